-- Shows which Plex item mpv plays. Put this file into ~/.config/mpv/scripts/plexindex as main.lua, beside plexindex.lua
-- and plexindex/abi.lua, and server_url, token and library into ~/.config/mpv/script-opts/plexindex.conf. mpv must be
-- built with LuaJIT.
local mp = require("mp")
local utils = require("mp.utils")
local plexindex = require("plexindex")

local options = { server_url = "http://127.0.0.1:32400", token = "", library = "", cache_dir = "~~cache/plexindex" }
require("mp.options").read_options(options, "plexindex")

local index = plexindex.open {
   server_url = options.server_url,
   token = options.token,
   cache_dir = mp.command_native { "expand-path", options.cache_dir },
}
local library = index:library(options.library ~= "" and options.library or nil)

local function show(match)
   if match.item then
      mp.osd_message(("Plex: %s (%s)"):format(match.item.title or match.item.key, match.item.year or "no year"))
   else
      mp.msg.info("not in Plex: " .. (match.message or match.status))
   end
end

local function playing()
   local path = mp.get_property("path")
   if not path or path:find("^%a[%w+.-]*://") then return nil end -- a stream is no file
   return utils.join_path(mp.get_property("working-directory"), path)
end

-- What the store knows, without a request; match_at_once() would not say that a file is not listed.
local function known(path) return library:match(path, { offline = true }) end

-- Each call blocks this script for two seconds at most, and mpv plays on: between them the script takes other events.
local timer
local function fetch()
   timer = nil
   local ok, result = pcall(function()
      if not library:refresh { deadline_ms = 2000 } then return nil end
      local path = playing()
      return path and known(path) or false
   end)
   if not ok then
      mp.msg.warn(tostring(result)) -- such as of a server that is away or silent: the next file asks again
   elseif result == nil then
      timer = mp.add_timeout(0, fetch)
   elseif result then
      show(result)
   end
end

mp.register_event("file-loaded", function()
   local path = playing()
   if not path then return end
   local ok, match = pcall(known, path)
   if not ok and match.code ~= "OFFLINE" then return mp.msg.warn(tostring(match)) end
   if ok and not match.stale then return show(match) end
   timer = timer or mp.add_timeout(0, fetch) -- the library was never fetched, or changed since
end)
mp.register_event("shutdown", function() index:close() end)
