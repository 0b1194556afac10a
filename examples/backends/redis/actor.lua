-- Common to the operations on an actor's record. ARGV holds names and values in
-- turn; instants, tokens and epochs in it are strings of 20 digits.
-- KEYS: the record, the registration of arg.node, the index of held actors.
local arg = {}
for i = 1, #ARGV, 2 do arg[ARGV[i]] = ARGV[i + 1] end
local node, epoch, claim = arg.node, arg.epoch, arg.claim

local function pad(n) return string.rep('0', 20 - #n) .. n end

local f = redis.call('HMGET', KEYS[1], 'holder', 'epoch', 'token', 'version', 'expiry', 'claim')
local rec = {holder = f[1], epoch = f[2], token = f[3] or '0', expiry = f[5], claim = f[6]}
local exists = f[4] ~= false
local held = exists and rec.holder ~= ''

-- answer tells the result with what the step saw, or has made.
local function answer(result)
	return {
		result,
		redis.call('HMGET', KEYS[1], 'holder', 'epoch', 'token', 'version', 'expiry', 'claim'),
		redis.call('HMGET', KEYS[2], 'epoch', 'address', 'status', 'seen'),
	}
end

-- standing returns why node may not hold an actor. An epoch before the current
-- one is failed for good, one after it was never given out.
local function standing()
	local n = redis.call('HMGET', KEYS[2], 'epoch', 'status')
	local current = pad(n[1] or '0')
	if epoch > current then return 'unknown' end
	if epoch < current or n[2] == 'failed' then return 'failed' end
	if n[2] ~= 'active' then return 'unknown' end
end

-- tenure returns why the lease is not the record's. A lower token was followed
-- by another grant; a higher one was never granted.
local function tenure()
	local current = pad(rec.token)
	if arg.token < current then return 'fenced' end
	if arg.token > current or rec.holder ~= arg.holder or rec.epoch ~= arg.holderEpoch then return 'not held' end
end

local function index(holder, e) return holder .. '\0' .. e .. '\0' .. arg.actor end

-- grant begins a tenure: the only place where the token grows.
local function grant(to, e, id)
	if held then redis.call('ZREM', KEYS[3], index(rec.holder, rec.epoch)) end
	redis.call('ZADD', KEYS[3], 0, index(to, e))
	redis.call('HSET', KEYS[1], 'holder', to, 'epoch', e, 'expiry', arg.expiry, 'claim', id)
	redis.call('HINCRBY', KEYS[1], 'token', 1)
	redis.call('HINCRBY', KEYS[1], 'version', 1)
	return answer('ok')
end
