-- bench/languages/README.md
local plexindex = require("plexindex")
local ffi = require("ffi")
ffi.cdef("typedef struct { long s, n; } bench_time; int clock_gettime(int, bench_time *);")

local time = ffi.new("bench_time")
local function now()
   ffi.C.clock_gettime(1, time)
   return tonumber(time.s) * 1e9 + tonumber(time.n)
end

local store, host, server, file, rounds = unpack(arg)
local index = plexindex.open {
   cache_dir = store, server_url = os.getenv("PLEX_URL"), token = os.getenv("PLEX_TOKEN"), library_ttl_ms = -2,
   mappings = { { from = host, to = server } },
}
local movies = index:library("Movies")
local pairs = {}
for line in io.lines(file) do
   local path, key = line:match("^([^\t]*)\t(.*)$")
   pairs[#pairs + 1] = { path, key }
end
local times = {}
for round = 0, tonumber(rounds) do
   for at = #pairs, 2, -1 do
      local other = math.random(at)
      pairs[at], pairs[other] = pairs[other], pairs[at]
   end
   local wrong = 0
   local begun = now()
   for at = 1, #pairs do
      local pair = pairs[at]
      if movies:lookup_key(pair[1]) ~= pair[2] then wrong = wrong + 1 end
   end
   local took = now() - begun
   if wrong > 0 then error(wrong .. " answers are wrong") end
   if round > 0 then times[round] = ("%.2f"):format(took / #pairs) end
end
print("[" .. table.concat(times, ",") .. "]")
index:close()
