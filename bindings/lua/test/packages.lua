-- Where the module finds the library: tests for test.lua.
return function(test, same, new_folder)
   local library = os.getenv("PLEXINDEX_LIBRARY")

   local function run(command)
      local process = io.popen(command .. " 2>&1; echo exit $?")
      local printed = process:read("*a")
      process:close()
      local said, code = printed:match("^(.*)exit (%d+)\n$")
      return said, tonumber(code)
   end

   local function required(variables, more)
      local script = [[print(require("plexindex").version())]]
      return run(("env -u PLEXINDEX_LIBRARY %s luajit -e '%s %s'"):format(variables, more or "", script))
   end

   -- A folder with the library under these names, which the system looks into.
   local function system(...)
      local folder = new_folder()
      for _, name in ipairs { ... } do assert(os.execute(("ln -s '%s' '%s/%s'"):format(library, folder, name)) == 0) end
      return ("LUA_PATH='./?.lua' LD_LIBRARY_PATH='%s'"):format(folder)
   end

   test("a runtime package has no link for developers, and the link alone is enough", function()
      for _, name in ipairs { "libplexindex.so.0", "libplexindex.so" } do
         local said, code = required(system(name))
         assert(code == 0 and said:find("^%d+%.%d+%.%d+\n$"), said)
      end
   end)

   test("a library beside the module is loaded first", function()
      local folder = new_folder()
      assert(os.execute(("cp -r plexindex.lua plexindex '%s'; ln -s '%s' '%s/plexindex/libplexindex.so'"):format(folder, library,
         folder)) == 0)
      local said, code = required(("LUA_PATH='%s/?.lua'"):format(folder))
      assert(code == 0, said)
      said, code = run(("cd '%s'; env -u PLEXINDEX_LIBRARY luajit -e 'require(\"plexindex\")'"):format(folder))
      assert(code == 0, said)
   end)

   -- Of another platform, say. The system's would hide it.
   test("a library that is named or beside the module is loaded, or its failure shown", function()
      local folder = new_folder()
      assert(os.execute(("cp -r plexindex.lua plexindex '%s'; echo no library > '%s/plexindex/libplexindex.so'"):format(folder,
         folder)) == 0)
      local broken = folder .. "/plexindex/libplexindex.so"
      local variables = system("libplexindex.so.0"):gsub("%./%?%.lua", folder .. "/?.lua")
      for _, named in ipairs { "", " PLEXINDEX_LIBRARY='" .. broken .. "'" } do
         local said, code = required(variables .. named)
         same(code, 1)
         assert(said:find(broken .. ": ", 1, true) and not said:find("so.0:", 1, true), said)
      end
   end)

   test("another library is named, with what to do", function()
      local said, code = required("LUA_PATH='./?.lua' PLEXINDEX_LIBRARY=libc.so.6")
      same(code, 1)
      for _, part in ipairs { "libc.so.6 is not the plexindex library", ".rock", "PLEXINDEX_LIBRARY" } do
         assert(said:find(part, 1, true), said)
      end
   end)

   test("a missing library names what to install on this platform", function()
      local said, code = required(system())
      same(code, 1)
      local architecture = run("uname -m"):match("%S+")
      for _, part in ipairs { "plexindex-0.1.0-1.linux-" .. architecture .. ".rock", "make install", "PLEXINDEX_LIBRARY" } do
         assert(said:find(part, 1, true), said)
      end
   end)

   test("without LuaJIT's ffi the error says so", function()
      local said, code = required(system(), [[package.preload.ffi = function() error("none") end]])
      same(code, 1)
      assert(said:find("plexindex needs LuaJIT: this is Lua 5.1, which has no ffi", 1, true), said)
   end)
end
