-- Debian has no lua-resty-global-throttle; nothing in the tests may need it, so using it is an error.
return setmetatable({}, {
  __index = function(_, name)
    error("resty.global_throttle." .. tostring(name) .. " is not available in the tests")
  end,
})
