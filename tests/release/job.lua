-- Each path of a list is that item: `luajit job.lua URL TOKEN FOLDER LIST`, lines `key<tab>path`.
local plexindex = require("plexindex")

local url, token, folder, list = unpack(arg)
local index = plexindex.open { server_url = url, token = token, cache_dir = folder }
local movies, count = index:library("Movies"), 0
for line in io.lines(list) do
   local key, path = line:match("^(.-)\t(.*)$")
   local match = movies:match(path)
   assert(match.item and match.item.key == key, path)
   count = count + 1
end
index:close()
print(count .. " paths right")
