-- Weighted round robin with the interface that the controller's balancer/round_robin.lua calls: new, find, reinit.
-- Debian has no lua-resty-balancer; which backend is asked next is all that this decides, the canary is not here.
local _M = {}
_M.__index = _M

local function turns(nodes)
  local names, list = {}, {}
  for name in pairs(nodes) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    for _ = 1, math.max(nodes[name], 0) do
      list[#list + 1] = name
    end
  end
  return list
end

function _M.new(_, nodes)
  local self = setmetatable({}, _M)
  self:reinit(nodes)
  return self
end

function _M.reinit(self, nodes)
  self.nodes = nodes
  self.turns = turns(nodes)
  self.next = #self.turns > 0 and math.random(#self.turns) or 1
end

function _M.find(self)
  if #self.turns == 0 then
    return nil
  end
  local name = self.turns[self.next]
  self.next = self.next % #self.turns + 1
  return name
end

return _M
