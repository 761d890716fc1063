-- Debug hooks and Ctrl-C while C calls a function of Lua's: tests for test.lua. Their errors must not pass through C.
-- What each child runs: a call with an index of its own, again and again.
local CHILD = [[
   local folder, call, count, token = arg[1], arg[2], tonumber(arg[3]), os.getenv("PLEXINDEX_TEST_TOKEN")
   local function idle() for _ = 1, 1000 do end return token end
   local function opened(given, renew_token)
      return require("plexindex").open { cache_dir = folder, server_url = os.getenv("PLEXINDEX_TEST_SLOW_URL"),
         token = given, renew_token = renew_token, page_size = 25 }
   end
   local calls = {
      progress = function(index) index:library("Movies"):refresh { full = true, progress = idle } end,
      method = function(index) index:call("changes.wait", request, { progress = idle }) end,
      token = function(index)
         opened("refused", idle):call("server.check")
         collectgarbage()
      end,
   }
   local function work()
      local index = opened(token)
      if call == "method" then
         index:library():refresh()
         request = ('{"offline":true,"cursor":"%s"}'):format(index:call("changes.list"):match('"cursor":"([^"]+)"'))
      end
      while true do calls[call](index) end
   end
   if not count then return work() end
   local late = os.time() + 1
   debug.sethook(function() if os.time() > late then late = math.huge; error("watchdog", 0) end end, "", count)
   local ok, raised = pcall(work)
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
      test("hooks: Ctrl-C at any moment, and a watchdog, end the program by an error: " .. call, function()
         local handled = 0
         for _ = 1, deep and 8 or 3 do
            local after = 0.1 + math.random() * 0.25
            local said, code = child(("timeout --foreground --preserve-status -s INT -k 10 %.4f"):format(after), call)
            if code ~= 130 then -- it came before the interpreter handled it
               same(code, 1); has(said, "interrupted!")
               handled = handled + 1
            end
         end
         assert(handled > 0, "no signal came during a call")
         for _, count in ipairs { 1, deep and 1000 } do
            same(child("timeout -k 10 20", call, count), "false\twatchdog\n")
         end
      end)
   end

   test("hooks: one is as before once a call is over, and its own functions see none", function()
      local library, counted, within = opened():library("Movies"), 0, 0
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
