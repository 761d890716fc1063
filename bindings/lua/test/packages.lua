-- Where the module finds the library: tests for test.lua.
return function(test, same, has, run, new_folder)
   local library = os.getenv("PLEXINDEX_LIBRARY")
   local function required(variables)
      return run("env -u PLEXINDEX_LIBRARY %s luajit -e 'print(require(\"plexindex\").version())'", variables)
   end

   test("a library beside the module is loaded, or its failure shown; another one does not hide it", function()
      local folder, installed = new_folder(), new_folder()
      run("cp -r plexindex.lua plexindex '%s'; ln -s '%s' '%s/libplexindex.so.0'", folder, library, installed)
      local variables = ("LUA_PATH='%s/?.lua' LD_LIBRARY_PATH='%s'"):format(folder, installed)
      same(select(2, required(variables)), 0)
      local beside = folder .. "/plexindex/libplexindex.so"
      run("echo no library > '%s'", beside)
      for _, named in ipairs { "", " PLEXINDEX_LIBRARY='" .. beside .. "'" } do
         local said, code = required(variables .. named)
         same(code, 1)
         has(said, beside .. ": ")
      end
      run("ln -sf '%s' '%s'", library, beside)
      same(select(2, required(("LUA_PATH='%s/?.lua'"):format(folder))), 0)
   end)

   test("without a library, or with another one, the error says what to do", function()
      for _, named in ipairs { "", "PLEXINDEX_LIBRARY=libc.so.6" } do
         local said, code = required("LUA_PATH='./?.lua' LD_LIBRARY_PATH= " .. named)
         same(code, 1)
         for _, part in ipairs { "plexindex-0.1.0-1.linux-", ".rock", "make install", "PLEXINDEX_LIBRARY" } do has(said, part) end
         has(said, named ~= "" and "libc.so.6 is not the plexindex library" or "libplexindex.so.0")
      end
   end)
end
