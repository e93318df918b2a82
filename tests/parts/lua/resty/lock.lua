-- A lock in a shared dictionary, tried once: the controller asks for it with timeout = 0.
local _M = {}
_M.__index = _M

function _M.new(_, dict_name, options)
  local dict = ngx.shared[dict_name]
  if not dict then
    return nil, "dictionary not found"
  end
  return setmetatable({ dict = dict, exptime = options and options.exptime or 30 }, _M)
end

function _M.lock(self, key)
  local ok, err = self.dict:add(key, true, self.exptime)
  if not ok then
    return nil, err == "exists" and "timeout" or err
  end
  self.key = key
  return 0
end

function _M.unlock(self)
  if not self.key then
    return nil, "unlocked"
  end
  self.dict:delete(self.key)
  self.key = nil
  return 1
end

return _M
