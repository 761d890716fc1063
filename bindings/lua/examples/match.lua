-- Which item is this file? `luajit match.lua URL TOKEN CACHE LIBRARY FILE`
local plexindex = require("plexindex")

local url, token, folder, library, file = unpack(arg)
local index = plexindex.open { server_url = url, token = token, cache_dir = folder } -- the folder is made
-- Called while the server is waited for. Without it Ctrl-C would not end the call.
local function progress(told)
   if told.total > 0 then io.stderr:write(("%s: %d of %d items\n"):format(told.library, told.items, told.total)) end
end
local match = index:library(library):match(file, { progress = progress }) -- fetches the library where it must
if match.item then
   print(match.item.key .. ": " .. match.item.title)
else
   print(match.status .. ": " .. (match.message or ""))
   for _, item in ipairs(match.candidates) do print("  " .. item.path) end
end
index:close()
