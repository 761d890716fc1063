-- The tests of the binding, without a library for tests: `make test-languages`. Run one with a pattern of its name.
package.path = "./?.lua;" .. package.path
local ffi = require("ffi")
local plexindex = require("plexindex")
ffi.cdef [[ char *mkdtemp(char *); long readlink(const char *, char *, size_t);
   int fork(void); int waitpid(int, int *, int); void _exit(int); ]]

local url, token = os.getenv("PLEXINDEX_TEST_URL"), os.getenv("PLEXINDEX_TEST_TOKEN")
-- Sixty pages of 20 ms: a fetch that is still under way when its progress is told of.
local slowly = { server_url = os.getenv("PLEXINDEX_TEST_SLOW_URL"), page_size = 25 }
local movies, repeated, show = {}, { paths = {} }, { paths = {} }
for line in io.lines(os.getenv("PLEXINDEX_TEST_FACTS")) do
   local what, a, b, d = line:match("^([^\t]*)\t([^\t]*)\t([^\t]*)\t?(.*)$")
   if what == "movie" then movies[#movies + 1] = { key = a, title = b, path = d } end
   if what == "repeated" then repeated.name = a; table.insert(repeated.paths, b) end
   if what == "show" then show.folder, show.title = a, b; table.insert(show.paths, d) end
end

local folders, open_indexes = {}, {}

local function new_folder()
   local made = ffi.string(ffi.C.mkdtemp(ffi.new("char[64]", "/tmp/plexindex-lua-XXXXXX")))
   folders[#folders + 1] = made
   return made
end

local function opened(more)
   local options = { cache_dir = new_folder(), server_url = url, token = token, retry_ms = -1 }
   for name, value in pairs(more or {}) do options[name] = value end
   local index = plexindex.open(options)
   open_indexes[#open_indexes + 1] = index
   return index
end

local function same(found, wanted)
   if found ~= wanted then error(("found %s, wanted %s"):format(tostring(found), tostring(wanted)), 2) end
end

local function has(text, part)
   if not text:find(part, 1, true) then error(("no %q in %s"):format(part, text), 2) end
end

local function fails(code, work, ...)
   local ok, raised = pcall(work, ...)
   if ok then error("nothing was raised", 2) end
   if getmetatable(raised) ~= plexindex.Error then error(raised, 2) end
   if raised.code ~= code then error(("found %s, wanted %s: %s"):format(raised.code, code, raised.message), 2) end
   return raised
end

local function run(command, ...)
   local process = io.popen("{ " .. command:format(...) .. "; } 2>&1; echo exit $?")
   local said, code = process:read("*a"):match("^(.*)exit (%d+)\n$")
   process:close()
   return said, tonumber(code)
end

local tests, deep = {}, os.getenv("PLEXINDEX_TEST_DEEP")
local function test(name, work)
   if name:find(arg[1] or "") then tests[#tests + 1] = { name, work } end
end

test("one path, many paths, candidates", function()
   local library = opened():library("Movies")
   same(library:lookup_key(movies[1].path), nil)
   same(library:match_at_once(movies[1].path), nil)
   local one = library:match(movies[1].path)
   same(one.status, "OK"); same(one.match_kind, "exact"); same(one.confidence, "high"); same(one.stale, false)
   same(one.item.key, movies[1].key); same(one.item.title, movies[1].title); same(one.item.kind, "movie")
   same(one.item.path, movies[1].path); same(one.item.season, nil)
   same(library:match_at_once(movies[1].path).item.key, movies[1].key)
   local paths = {}
   for at, movie in ipairs(movies) do paths[at] = movie.path end
   table.insert(paths, "/nowhere/x.mkv")
   local all, keys = library:match_paths(paths), library:lookup_keys(paths)
   for at, movie in ipairs(movies) do
      same(all[at].item.key, movie.key)
      same(keys[at], movie.key)
   end
   same(all[#all].status, "NOT_FOUND"); same(all[#all].item, nil); same(keys[#keys], false)
   has(all[#all].message, "no library has a folder above")
   for _ = 1, 1000 do same(library:lookup_key(paths[2]), movies[2].key) end
   same(#library:match_paths({}), 0)
   -- A path with a NUL is its own error.
   fails("INVALID_ARGUMENT", library.match, library, "a\0b")
   all, keys = library:match_paths { "a\0b", paths[1] }, library:lookup_keys { "a\0b", paths[1] }
   same(all[1].status, "INVALID_ARGUMENT"); has(all[1].message, "paths[1] cannot hold a NUL"); same(all[2].status, "OK")
   same(keys[1], false); same(keys[2], movies[1].key); same(library:lookup_key(paths[1] .. "\0x"), nil)
   local several = library:match("/somewhere/else/" .. repeated.name)
   same(several.status, "AMBIGUOUS"); same(several.candidates_total, #repeated.paths)
   same(#several.candidates, #repeated.paths); has(table.concat(repeated.paths, "\n"), several.candidates[1].path)
end)

test("a method by its name, with its status, its answer, its limits and its errors", function()
   local index = opened()
   index:library():refresh()
   local answer, status = index:call("match.folder", ('{"library":"TV Shows","path":"%s"}'):format(show.folder))
   same(status, "OK"); has(answer, '"kind":"show"'); has(answer, show.title)
   answer, status = index:call("items.get", '{"key":"999999"}')
   same(status, "NOT_FOUND"); same(answer, "{}")
   has(index:call("libraries.list"), '"TV Shows"')
   has(fails("INVALID_ARGUMENT", index.call, index, "items.lst").message, "no method 'items.lst'")
   has(fails("INVALID_ARGUMENT", index.call, index, "items.get", '{"kye":"1"}').message, "unknown field `kye`")
   local cursor = ('{"cursor":"%s","offline":true}'):format(index:call("changes.list"):match('"cursor":"([^"]+)"'))
   answer, status = index:call("changes.wait", cursor, { deadline_ms = 1 })
   same(status, "NOT_YET"); same(answer, "{}")
   fails("ABORTED", index.call, index, "changes.wait", cursor, { progress = function() return false end })
   local failed = fails("NOT_ON_SERVER", index.call, index, "edit", ([[{"library":"Movies","keys":["%s","999999"],
      "changes":[{"field":"title","set":"A"}]}]]):format(movies[1].key))
   has(failed.answer, '["no","missing"]')
   index:call("watch.start")
   index:call("watch.stop")
   has(index:call("tables.count", '{"table":{"bytes":"/w=="}}'), '"count":0')
end)

test("a caller's mistake is refused by name", function()
   local index = opened()
   local library = index:library("Movies")
   local function refuses(part, work, ...) has("" .. fails("INVALID_ARGUMENT", work, ...), part) end
   for part, options in pairs { page_size = { page_size = 2 ^ 40 }, ["deadline_ms is"] = { deadline_ms = 0 / 0 },
      ["no option renew_token_user"] = { renew_token_user = 1 }, offline = { offline = "no" }, token = { token = 5 },
      ["mappings must be a list"] = { mappings = { from = "/a", to = "/b" } },
      ["mappings[1].side"] = { mappings = { { side = "own" } } },
      ["no option sidee"] = { mappings = { { sidee = "host" } } },
      ["retry_ms is -5: give milliseconds, 0 for 30 s, or -1 for never"] = { retry_ms = -5 } } do
      options.cache_dir = new_folder()
      refuses(part, plexindex.open, options)
   end
   refuses("path is empty", library.match, library, "")
   refuses("index:library", index.library, "Movies")
   refuses("paths must be a list without holes", library.match_paths, library, { "/x", nil, "/y" })
   refuses("progress", library.match, library, "/x", { progress = 5 })
   refuses("no option deadline", library.record_match, library, "/x", "1", { deadline = 5 })
   refuses("not the key of an item", library.record_match, library, "/x", "no key")
   local failed = {} -- each looked at when all have failed
   for number = 1, 100 do
      failed[number] = fails("LIBRARY_NOT_FOUND", function() index:library("None " .. number):match("/x.mkv") end)
   end
   for number, raised in ipairs(failed) do has(tostring(raised), "'None " .. number .. "'") end
   same(failed[1].status, 400)
end)

test("progress is reported, can ask again, end a call, and close nothing", function()
   local index = opened(slowly)
   local library, seen, mine = index:library("Movies"), nil, {}
   fails("ABORTED", library.refresh, library, { progress = function(progress)
      seen = progress
      collectgarbage()
      pcall(index.call, index, "server.check", nil, { progress = function() end })
      pcall(library.match, library, movies[1].path, { progress = function() return false end })
      has(fails("INVALID_ARGUMENT", index.close, index).message, "cannot be closed from its progress")
      return progress.items < 50
   end })
   assert(seen.items >= 50 and seen.library == "Movies")
   local ok, raised = pcall(library.refresh, library, { full = true, progress = function() error(mine) end })
   assert(not ok); same(raised, mine)
   same(library:refresh { deadline_ms = 1, full = true }, false)
   same(library:refresh(), true)
   same(tostring(library), "plexindex.Library of plexindex.Index (open)")
end)

test("a token is renewed, and the call made again", function()
   local given = { "", 7, ("t"):rep(70000), token .. "\n", function() error("mine") end, token }
   local causes, asked, index = { false, "most", "most", false, "mine" }, 0, nil
   local function renew()
      asked = asked + 1
      collectgarbage()
      has(fails("INVALID_ARGUMENT", index.close, index).message, "while it asks for a token")
      local one = given[asked]
      return type(one) == "function" and one() or one
   end
   for _, cause in ipairs(causes) do
      index = opened { token = "refused", renew_token = renew }
      local all = index:library()
      local raised = fails("UNAUTHORIZED", all.refresh, all)
      same(raised.cause and raised.cause:match("%a+$") or false, cause)
      same(fails("OFFLINE", function() index:library("None"):match("/x", { offline = true }) end).cause, nil)
   end
   index = opened { token = "refused", renew_token = renew }
   same(index:library("Movies"):match(movies[1].path).item.key, movies[1].key)
   same(asked, 6)
   -- A call often made is compiled: it calls for no token from there.
   for _ = 1, 10000 do same(index:library("Movies"):lookup_key(movies[1].path), movies[1].key) end
   index:set_token("refused")
   fails("UNAUTHORIZED", function() index:call("server.check") end)
end)

test("what is recorded, invalidated and counted", function()
   local index = opened { mappings = { { from = "/mnt/films", to = "/data/movies" } } }
   local library = index:library("Movies")
   library:record_match("/own/name.mkv", movies[4].key)
   library:record_matches { { "/own/a.mkv", movies[5].key }, { "/own/b.mkv", movies[6].key } }
   fails("INVALID_ARGUMENT", library.record_match, library, "/own/c.mkv", movies[4].key, { deadline_ms = -7 })
   same(library:match("/own/name.mkv").match_kind, "confirmed")
   library:invalidate_path("/own/name.mkv")
   same(library:match("/own/name.mkv").status, "NOT_FOUND")
   same(library:match((movies[1].path:gsub("^/data/movies", "/mnt/films"))).match_kind, "mapped")
   local stats = index:stats()
   same(stats.answers.confirmed, 1); same(stats.last_failure, nil)
   assert(stats.requests.page >= 1 and stats.items >= 1500)
   library:refresh { check = true }
   same(index:stats().requests.probe, stats.requests.probe + 1)
   library:invalidate_item(movies[5].key)
   library:invalidate()
   index:invalidate_all()
   fails("INVALID_ARGUMENT", index.notify, index, "no event")
   assert(type(plexindex.drain_log()) == "table" and plexindex.version():find("^%d+%.%d+%.%d+"))
   index:clear()
end)

test("tables", function()
   local names, notes = {}, opened():table("notes", true)
   notes:put("One", "first", -2)
   notes:put("", "\0\255")
   same(notes:get("ONE"), "first"); same(notes:lookup("one"), "first"); same(notes:get("two"), nil)
   same(notes:get(""), "\0\255")
   for name in notes:names() do names[#names + 1] = name end
   same(table.concat(names, ","), ",one")
   notes:remove("one")
   same(notes:get("one"), nil)
end)

-- Also while a progress function of the parent runs, of which the child has a copy: there closing is refused.
test("a forked child closes its index", function()
   local index = opened()
   local status = ffi.new("int[1]", 1)
   local function in_child(work)
      local child = ffi.C.fork()
      if child == 0 then ffi.C._exit(work() and 0 or 3) end
      ffi.C.waitpid(child, status, 0)
   end
   index:library("Movies"):refresh { progress = function()
      in_child(function() return not pcall(index.close, index) end)
   end }
   same(status[0], 0)
   in_child(function() index:close(); return not pcall(index.library, index, "Movies") end)
   same(status[0], 0)
   same(index:library("Movies"):match(movies[1].path).item.key, movies[1].key)
   local library = index:library("Movies")
   index:close()
   index:close()
   for _, method in ipairs { "match", "lookup_key" } do fails("CLOSED", library[method], library, "/x") end
   fails("CLOSED", index.stats, index)
   fails("CLOSED", index.call, index, "store.get")
end)

test("an index that is not closed is collected, with its functions", function()
   local folder, target, held = new_folder(), ffi.new("char[4096]"), 0
   for at = 1, 1200 do -- there is room for some hundreds of callbacks
      local made = plexindex.open { cache_dir = folder, renew_token = function() end }
      if at % 2 == 0 then made:close() end
      made = nil
      if at % 50 == 0 then collectgarbage() end
   end
   for _ = 1, 10 do collectgarbage() end
   for number = 0, 255 do
      local length = ffi.C.readlink("/proc/self/fd/" .. number, target, 4096)
      if length > 0 and ffi.string(target, length):sub(1, #folder) == folder then held = held + 1 end
   end
   same(held, 0)
end)

test("the example finds a file", function()
   local said = run("LUA_PATH='./?.lua;;' luajit examples/match.lua '%s' '%s' '%s' Movies '%s' 2>/dev/null", url, token,
      new_folder(), movies[1].path)
   same(said, movies[1].key .. ": " .. movies[1].title .. "\n")
end)

test("the script for mpv shows what plays", function()
   local paths = { movies[1].path, (movies[2].path:gsub("^/data/movies/", "")), "/nowhere/x.mkv",
      movies[1].path:match("^.*/") .. "Unlisted (1900).mkv", "http://127.0.0.1:9/x.mkv" }
   local said = run("LUA_PATH='./?.lua;;' luajit test/mpv.lua '%s' '%s' '%s' '%s'", slowly.server_url, token,
      new_folder(), table.concat(paths, "' '"))
   -- The library is fetched for the first file; the second is a relative path; a stream is no file.
   local wanted = { "later", "seen: Plex: " .. movies[1].title .. " (", "seen: Plex: " .. movies[2].title .. " (",
      "at once", "seen: not in Plex: no library has a folder above", "at once", "is not listed", "at once", "at once", "end" }
   local at = 0
   for line in (said .. "end"):gmatch("[^\n]+") do
      at = at + 1
      has(line, wanted[at])
   end
end)

test("a library beside the module is loaded, or its failure shown; without one the error says what to do", function()
   local folder, library = new_folder(), os.getenv("PLEXINDEX_LIBRARY")
   local beside = folder .. "/plexindex/libplexindex.so"
   local function required(variables)
      return run("env -u PLEXINDEX_LIBRARY LUA_PATH='%s/?.lua' LD_LIBRARY_PATH='%s' %s luajit -e 'require(\"plexindex\")'",
         folder, folder, variables)
   end
   run("cp -r plexindex.lua plexindex '%s'", folder)
   for _, named in ipairs { "", "PLEXINDEX_LIBRARY=libc.so.6" } do
      local said, code = required(named)
      same(code, 1)
      for _, part in ipairs { "plexindex-0.1.0-1.linux-", "make install", "PLEXINDEX_LIBRARY" } do has(said, part) end
      has(said, named ~= "" and "libc.so.6 is not the plexindex library" or "libplexindex.so.0")
   end
   run("ln -s '%s' '%s/libplexindex.so.0'", library, folder)
   same(required(""), "")
   run("echo no library > '%s'", beside)
   for _, named in ipairs { "", "PLEXINDEX_LIBRARY='" .. beside .. "'" } do has(required(named), beside .. ": ") end
   run("ln -sf '%s' '%s'", library, beside)
   same(required(""), "")
end)

dofile("test/hooks.lua")(test, same, has, run, new_folder, opened, deep)

local failed = 0
for _, one in ipairs(tests) do
   local ok, raised = xpcall(one[2], function(what) return debug.traceback(tostring(what), 2) end)
   print((ok and "PASS: " or "FAIL: ") .. one[1])
   if not ok then print(raised) end
   failed = failed + (ok and 0 or 1)
end
for _, index in ipairs(open_indexes) do index:close() end
for _, folder in ipairs(folders) do os.execute("rm -r '" .. folder .. "'") end
os.exit(failed == 0 and 0 or 1)
