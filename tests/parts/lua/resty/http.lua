-- Debian has no lua-resty-http; nothing in the tests may need it, so using it is an error.
return setmetatable({}, {
  __index = function(_, name)
    error("resty.http." .. tostring(name) .. " is not available in the tests")
  end,
})
