-- Common to the operations on a node's registration; see actor.lua.
-- KEYS: the registration, the names of all nodes.
local arg = {}
for i = 1, #ARGV, 2 do arg[ARGV[i]] = ARGV[i + 1] end

local function pad(n) return string.rep('0', 20 - #n) .. n end

local f = redis.call('HMGET', KEYS[1], 'epoch', 'status', 'seen')
local current, status, seen = pad(f[1] or '0'), f[2], f[3]

local standing = 'unknown'
if arg.epoch and arg.epoch <= current then
	if arg.epoch < current or status == 'failed' then standing = 'failed'
	elseif status == 'active' then standing = 'active' end
end

local function answer(result)
	return {result, redis.call('HMGET', KEYS[1], 'epoch', 'address', 'status', 'seen')}
end
