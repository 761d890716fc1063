-- Runs the script for mpv as mpv does, with modules that do what mpv's would: `mpv.lua URL TOKEN CACHE FILE…`. Prints
-- what would be seen, and whether it was seen at once.
local events, timers, path, mp = {}, {}, nil, { msg = {} }
package.preload["mp"] = function() return mp end
package.preload["mp.utils"] = function()
   return { join_path = function(base, name) return name:sub(1, 1) == "/" and name or base .. "/" .. name end }
end
package.preload["mp.options"] = function()
   return { read_options = function(options)
      options.server_url, options.token, options.cache_dir, options.library = arg[1], arg[2], arg[3], "Movies"
   end }
end
function mp.command_native(command) return command[2] end
function mp.get_property(name) return ({ path = path, ["working-directory"] = "/data/movies" })[name] end
function mp.register_event(name, handler) events[name] = handler end
function mp.add_timeout(_, handler) timers[#timers + 1] = handler; return {} end
function mp.osd_message(text) print("seen: " .. text) end
mp.msg.info, mp.msg.warn = mp.osd_message, print
dofile("examples/mpv.lua")
for number = 4, #arg do
   path = arg[number]
   events["file-loaded"]()
   print(#timers == 0 and "at once" or "later")
   while #timers > 0 do table.remove(timers, 1)() end
end
events.shutdown()
