-- KEYS: the group's key, then keys of it. Returns the time and all values.
local time = redis.call('TIME')
return {time[1], time[2], redis.call('MGET', unpack(KEYS))}
