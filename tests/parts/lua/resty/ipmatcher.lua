-- Debian has no lua-resty-ipmatcher; nothing in the tests may need it, so using it is an error.
return setmetatable({}, {
  __index = function(_, name)
    error("resty.ipmatcher." .. tostring(name) .. " is not available in the tests")
  end,
})
