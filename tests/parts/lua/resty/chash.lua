-- A consistent hash ring with the interface that the controller calls: new, find, reinit.
local _M = {}
_M.__index = _M

local POINTS_PER_WEIGHT = 40

function _M.new(_, nodes)
  local self = setmetatable({}, _M)
  self:reinit(nodes)
  return self
end

function _M.reinit(self, nodes)
  self.nodes = nodes
  self.ring = {}
  for name, weight in pairs(nodes) do
    for point = 1, POINTS_PER_WEIGHT * math.max(weight, 1) do
      self.ring[#self.ring + 1] = { hash = ngx.crc32_long(name .. "#" .. point), name = name }
    end
  end
  table.sort(self.ring, function(a, b)
    return a.hash < b.hash
  end)
end

function _M.find(self, key)
  if #self.ring == 0 then
    return nil
  end
  local wanted, low, high = ngx.crc32_long(tostring(key)), 1, #self.ring
  while low < high do
    local middle = math.floor((low + high) / 2)
    if self.ring[middle].hash < wanted then
      low = middle + 1
    else
      high = middle
    end
  end
  local found = self.ring[low].hash >= wanted and low or 1
  return self.ring[found].name
end

return _M
