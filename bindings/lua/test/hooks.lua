-- Debug hooks and Ctrl-C while C calls a function of Lua's: tests for test.lua. An error of theirs must not pass through C.
-- What each child runs: a call with an index of its own, again and again.
local CHILD = [[
   local plexindex, folder = require("plexindex"), arg[1]
   local token = os.getenv("PLEXINDEX_TEST_TOKEN")
   local function opened(more)
      local options = { cache_dir = folder, server_url = os.getenv("PLEXINDEX_TEST_SLOW_URL"), token = token,
         page_size = 25 }
      for name, value in pairs(more or {}) do options[name] = value end
      return plexindex.open(options)
   end
   local function idle() for _ = 1, 1000 do end end
   local calls = {
      progress = function()
         local library = opened():library("Movies")
         while true do library:refresh { full = true, progress = idle } end
      end,
      method = function()
         local index = opened()
         index:library():refresh()
         local request = ('{"offline":true,"cursor":"%s"}'):format(index:call("changes.list"):match('"cursor":"([^"]+)"'))
         while true do index:call("changes.wait", request, { progress = idle }) end
      end,
      token = function()
         while true do
            local index = opened { token = "refused", renew_token = function() idle() return token end }
            index:call("server.check")
            index:close()
         end
      end,
   }
   if not arg[3] then return calls[arg[2] ]() end
   local late = os.time() + 1
   debug.sethook(function() if os.time() > late then late = math.huge; error("watchdog", 0) end end, "", tonumber(arg[3]))
   local ok, raised = pcall(calls[arg[2] ])
   debug.sethook()
   print(ok, raised)
]]

return function(test, same, has, run, new_folder, opened, deep)
   local script = new_folder() .. "/child.lua"
   local file = io.open(script, "w")
   file:write(CHILD)
   file:close()

   local function child(before, call, count)
      return run("LUA_PATH='./?.lua' %s luajit %s %s %s %s", before, script, new_folder(), call, count or "")
   end

   for _, call in ipairs { "progress", "method", "token" } do
      test("hooks: Ctrl-C at any moment ends the program by an error: " .. call, function()
         local handled = 0
         for _ = 1, deep and 8 or 3 do
            local after = 0.1 + math.random() * 0.25
            local said, code = child(("timeout --foreground --preserve-status -s INT -k 10 %.4f"):format(after), call)
            if code ~= 130 then -- it came before the interpreter handled it
               same(code, 1)
               has(said, "interrupted!")
               handled = handled + 1
            end
         end
         assert(handled > 0, "no signal came during a call")
      end)

      test("hooks: a watchdog of debug.sethook ends the call: " .. call, function()
         for _, count in ipairs { 1, deep and 1000 } do
            local said, code = child("timeout -k 10 20", call, count)
            same(code, 0)
            same(said, "false\twatchdog\n")
         end
      end)
   end

   test("hooks: one is as before once a call is over, and its own functions see none", function()
      local library = opened():library("Movies")
      local counted, within = 0, 0
      local function hook() counted = counted + 1 end
      debug.sethook(hook, "", 1000)
      library:refresh { full = true, progress = function()
         local before = counted
         for _ = 1, 1e5 do end
         within = within + counted - before
      end }
      local found, mask, count = debug.gethook()
      debug.sethook()
      same(found, hook); same(mask, ""); same(count, 1000); same(within, 0)
      -- One that a progress function sets is kept.
      library:refresh { full = true, progress = function() debug.sethook(hook, "", 10) end }
      found = debug.gethook()
      debug.sethook()
      same(found, hook)
   end)
end
