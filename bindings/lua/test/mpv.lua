-- Runs the script for mpv as mpv does, with a module `mp` that does what mpv's would: `mpv.lua URL TOKEN CACHE FILE…`. Prints
-- what would be seen, and how long each handler of an event took.
local url, token, folder = arg[1], arg[2], arg[3]
local events, timers, path = {}, {}, nil
local mp = { msg = {} }
package.preload["mp"] = function() return mp end
package.preload["mp.utils"] = function()
   return { join_path = function(base, name) return name:sub(1, 1) == "/" and name or base .. "/" .. name end }
end
package.preload["mp.options"] = function()
   return { read_options = function(options)
      options.server_url, options.token, options.cache_dir, options.library = url, token, folder, "Movies"
   end }
end
function mp.command_native(command) return command[2] end
function mp.get_property(name) return ({ path = path, ["working-directory"] = "/data/movies" })[name] end
function mp.register_event(name, handler) events[name] = handler end
function mp.add_timeout(_, handler) timers[#timers + 1] = handler; return {} end
function mp.osd_message(text) print("seen: " .. text) end
function mp.msg.info(text) print("info: " .. text) end
function mp.msg.warn(text) print("warn: " .. text) end

dofile("examples/mpv.lua")
for number = 4, #arg do
   path = arg[number]
   events["file-loaded"]()
   print(#timers == 0 and "at once" or "later")
   while #timers > 0 do table.remove(timers, 1)() end
end
events.shutdown()
