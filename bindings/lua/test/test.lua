-- The tests of the binding, without a library for tests: `make test-languages`. Run one with a pattern of its name.
package.path = "./?.lua;" .. package.path
local ffi = require("ffi")
local plexindex = require("plexindex")
ffi.cdef("int chdir(const char *); char *mkdtemp(char *); long readlink(const char *, char *, size_t);")

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

local function fails(code, work, ...)
   local ok, raised = pcall(work, ...)
   if ok then error("nothing was raised", 2) end
   if getmetatable(raised) ~= plexindex.Error then error(raised, 2) end
   if raised.code ~= code then error(("found %s, wanted %s: %s"):format(raised.code, code, raised.message), 2) end
   return raised
end

local tests = {}
local function test(name, work)
   if name:find(arg[1] or "") then tests[#tests + 1] = { name, work } end
end

-- What takes long, or is of packages, is for `make check-deep`.
local deep = os.getenv("PLEXINDEX_TEST_DEEP")
local function deep_test(name, work)
   if deep then test(name, work) end
end

test("one path, many paths, candidates", function()
   local library = opened():library("Movies")
   same(library:lookup_key(movies[1].path), nil)
   local one = library:match(movies[1].path)
   same(one.status, "OK"); same(one.match_kind, "exact"); same(one.confidence, "high"); same(one.stale, false)
   same(one.item.key, movies[1].key); same(one.item.title, movies[1].title); same(one.item.kind, "movie")
   same(one.item.path, movies[1].path)
   local paths = {}
   for at, movie in ipairs(movies) do paths[at] = movie.path end
   table.insert(paths, "/nowhere/x.mkv")
   local all, keys = library:match_paths(paths), library:lookup_keys(paths)
   for at, movie in ipairs(movies) do
      same(all[at].item.key, movie.key)
      same(keys[at], movie.key)
   end
   same(all[#all].status, "NOT_FOUND"); same(all[#all].item, nil); same(keys[#keys], false)
   assert(all[#all].message:find("no library has a folder above", 1, true))
   for _ = 1, 1000 do same(library:lookup_key(paths[2]), movies[2].key) end
   same(#library:match_paths({}), 0)
   same(library:lookup_key(paths[2] .. "\0x"), nil)

   local several = library:match("/somewhere/else/" .. repeated.name)
   same(several.status, "AMBIGUOUS"); same(several.candidates_total, #repeated.paths)
   local found = {}
   for at, item in ipairs(several.candidates) do found[at] = item.path end
   table.sort(found); table.sort(repeated.paths)
   same(table.concat(found, "\n"), table.concat(repeated.paths, "\n"))
end)

test("a caller's mistake is refused by name", function()
   local index = opened()
   local library = index:library("Movies")
   -- With a `^` the message begins with these words.
   local function refuses(words, work, ...)
      local raised = fails("INVALID_ARGUMENT", work, ...)
      local plain = words:gsub("^%^", "")
      local at = raised.message:find(plain, 1, true)
      if not at or at > 1 and plain ~= words then error(raised.message, 0) end
      assert(("said: " .. raised):find(plain, 1, true))
   end
   local function refuses_option(words, options)
      options.cache_dir = options.cache_dir or new_folder()
      refuses(words, plexindex.open, options)
   end
   refuses("the options of open()", plexindex.open)
   refuses_option("page_size", { page_size = 2 ^ 40 })
   refuses_option("page_size", { page_size = -1 })
   refuses_option("deadline_ms", { deadline_ms = "5" })
   refuses_option("deadline_ms", { deadline_ms = 0 / 0 })
   refuses_option("deadline_ms", { deadline_ms = math.huge })
   refuses_option("cache_dir", { cache_dir = 5 })
   refuses_option("offline", { offline = "no" })
   refuses_option("renew_token", { renew_token = 5 })
   refuses_option("mappings", { mappings = { from = "/a", to = "/b" } })
   refuses_option("mappings[1]", { mappings = { 1 } })
   refuses_option("mappings[1].to", { mappings = { { from = "/a" } } })
   refuses_option("no field sidee", { mappings = { { from = "/a", to = "/b", sidee = "host" } } })
   refuses_option("mappings[1].side", { mappings = { { from = "/a", to = "/b", side = "own" } } })
   refuses("the name of a library", index.library, index, {})
   refuses("index:library", index.library, "Movies")
   refuses("library:match(", library.match, "/x")
   refuses("a path", library.lookup_key, library, nil)
   refuses("holes", library.lookup_keys, library, { "/x", nil, "/y" })
   refuses("paths must be a table", library.match_paths, library, "/x")
   refuses("paths[2]", library.match_paths, library, { "/x", 5 })
   refuses("no options", library.match_at_once, library, "/x", { deadline_ms = 5 })
   refuses("deadline_ms", library.match, library, "/x", { deadline_ms = 0 / 0 })
   refuses("offline", library.match, library, "/x", { offline = "no" })
   refuses("progress", library.match, library, "/x", { progress = 5 })
   refuses("options of a call", library.match, library, "/x", 5)
   refuses("limit is -1: it must be a whole number from 1", library.changes_json, library, nil, { limit = -1 })
   refuses("limit is 20000: give 1 to 10000", library.changes_json, library, nil, { limit = 20000 })
   -- What C refuses has no names of C.
   refuses_option("^deadline_ms is -5: give milliseconds, or -1 for none", { deadline_ms = -5 })
   refuses_option("^retry_ms is -5: give milliseconds, 0 for 30 s, or -1 for never", { retry_ms = -5 })
   refuses_option("^log_level is 9: give one of 1 to 4, and -1", { log_level = 9 })
   refuses("^the call has full = true, which this function does not know: call refresh() with it", library.match, library, "/x", { full = true })
   refuses("not know: match(), match_paths() and folder() do; or give offline = true", library.refresh, library, { at_once = true })
   refuses("lock", library.edit_items, library, { "1" }, { title = "x" }, { lock = "own" })
   refuses("changes.title", library.edit_items, library, { "1" }, { title = 5 })
   refuses("no option", library.record_match, library, "/x", "1", { deadline = 5 })
   refuses("'no key' is not the key of an item", library.record_match, library, "/x", "no key")
   refuses("ttl_ms", function() index:table("t"):put("a", "b", 1.5) end)
end)

test("a path with a NUL is its own error", function()
   local library = opened():library("Movies")
   local path = movies[1].path
   local alone = fails("INVALID_ARGUMENT", library.match, library, "a\0b")
   local all = library:match_paths { path, "a\0b", path }
   same(all[1].status, "OK"); same(all[2].status, alone.code); same(all[3].status, "OK")
   assert(all[2].message:find("paths[2] cannot hold a NUL", 1, true))
   local keys = library:lookup_keys { path, "a\0b" }
   same(keys[1], movies[1].key); same(keys[2], false)
end)

test("folders, and the items below them", function()
   local library = opened():library("TV Shows")
   local folder = library:folder(show.folder)
   same(folder.status, "OK"); same(folder.kind, "show"); same(folder.item.title, show.title)
   same(folder.items, #show.paths)
   local below, count = {}, 0
   for item in library:items_below(show.folder) do below[item.path], count = true, count + 1 end
   same(count, folder.files)
   for _, path in ipairs(show.paths) do same(below[path], true) end
   count = 0
   for item in library:items() do count = count + (item.kind == "episode" and 1 or 0) end
   assert(count >= 120)
end)

test("an error is of the library; a hundred calls each have their own text", function()
   local index = opened()
   -- LuaJIT has no threads: the calls are interleaved, each error is looked at when all have failed.
   local failed = {}
   for number = 1, 100 do
      failed[number] = fails("LIBRARY_NOT_FOUND", function() index:library("None " .. number):match("/x.mkv") end)
   end
   for number, raised in ipairs(failed) do
      same(raised.status, 400)
      assert(tostring(raised):find("'None " .. number .. "'", 1, true), tostring(raised))
   end
   assert(fails("INVALID_ARGUMENT", function() index:library("Movies"):match("") end).message:find("path is empty"))
   fails("INVALID_ARGUMENT", plexindex.open, {})
   local ok, raised = pcall(plexindex.open, { cache_dir = "/x", tokens = "" })
   assert(not ok and tostring(raised):find("no option tokens"))
   ok, raised = pcall(function() index:library("Movies"):match(3) end)
   assert(not ok and tostring(raised):find("must be a string"))
end)

test("progress is reported, and can end a call", function()
   local index = opened(slowly)
   local library = index:library("Movies")
   local seen
   fails("ABORTED", function()
      library:refresh { progress = function(progress) seen = progress; collectgarbage(); return progress.items < 50 end }
   end)
   assert(seen.items >= 50 and seen.library == "Movies")
   local mine = {}
   local ok, raised = pcall(function() library:refresh { full = true, progress = function() error(mine) end } end)
   assert(not ok); same(raised, mine)
   ok, raised = pcall(function() library:refresh { full = true, progress = function() index:close() end } end)
   assert(not ok and tostring(raised):find("cannot be closed from its progress"), tostring(raised))
   same(library:refresh(), true)
end)

-- The library keeps what it fetched; the index below it is closed by none of them.
test("a progress function may ask again, and close nothing", function()
   local index = opened(slowly)
   local library, refused = index:library("Movies"), nil
   fails("ABORTED", library.refresh, library, { progress = function()
      pcall(index.server_json, index, { progress = function() end })
      pcall(library.match, library, movies[1].path, { progress = function() return false end })
      refused = fails("INVALID_ARGUMENT", index.close, index)
      return false
   end })
   assert(refused.message:find("cannot be closed from its progress", 1, true), refused.message)
   same(tostring(library), "plexindex.Library of plexindex.Index (open)")
   index:close()
   same(tostring(index), "plexindex.Index (closed)")
end)

test("a token is renewed, and the call made again", function()
   local causes = { false, "number", "most", "character", "mine" }
   local given = { "", 7, ("t"):rep(70000), token .. "\n", function() error("mine") end, token }
   local asked, index = 0, nil
   local function renew()
      asked = asked + 1
      collectgarbage()
      local raised = select(2, pcall(index.close, index))
      assert(tostring(raised):find("while it asks for a token"), tostring(raised))
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
   for _ = 1, 1000 do
      for _, one in ipairs(movies) do same(index:library("Movies"):lookup_key(one.path), one.key) end
   end
   local ok, raised = pcall(plexindex.open, { cache_dir = new_folder(), renew_token_user = 1 })
   assert(not ok and tostring(raised):find("there is no option renew_token_user"), tostring(raised))
   fails("INVALID_ARGUMENT", plexindex.open, { cache_dir = "", renew_token = renew })
end)

-- There is room for some hundreds of callbacks.
deep_test("what a token function takes of the engine comes back", function()
   local folder = new_folder()
   for at = 1, 1500 do
      local made = plexindex.open { cache_dir = folder, renew_token = function() end }
      if at % 2 == 0 then made:close() end
      made = nil
      if at % 50 == 0 then collectgarbage() end
   end
end)

-- A quick fetch tells of its progress once, when all is fetched.
test("the last word of a progress function counts", function()
   local library = opened():library("Movies")
   local mine = {}
   for _ = 1, 20 do
      local ok, raised = pcall(function() library:refresh { full = true, progress = function() error(mine) end } end)
      assert(not ok); same(raised, mine)
   end
   fails("ABORTED", library.refresh, library, { full = true, progress = function() return false end })
   same(library:match(movies[1].path, { offline = true }).item.key, movies[1].key)
end)

ffi.cdef [[ int fork(void); int waitpid(int, int *, int); void _exit(int); ]]

-- Also while a progress function of the parent runs, of which the child has a copy: there closing is refused.
test("a forked child closes its index", function()
   local index = opened()
   local function exit_code_of(work)
      local child = ffi.C.fork()
      if child == 0 then ffi.C._exit(work() and 0 or 3) end
      local status = ffi.new("int[1]")
      ffi.C.waitpid(child, status, 0)
      return status[0] / 256
   end
   local within
   index:library("Movies"):refresh { progress = function()
      within = exit_code_of(function() return not pcall(index.close, index) end)
   end }
   same(within, 0)
   same(exit_code_of(function() index:close(); return pcall(index.library, index, "Movies") == false end), 0)
   same(index:library("Movies"):match(movies[1].path).item.key, movies[1].key)
end)

test("statistics, facts, and what is recorded", function()
   local index = opened()
   local library = index:library("Movies")
   library:record_match("/own/name.mkv", movies[4].key)
   library:record_matches { { "/own/a.mkv", movies[5].key }, { "/own/b.mkv", movies[6].key } }
   fails("INVALID_ARGUMENT", library.record_match, library, "/own/c.mkv", movies[4].key, { deadline_ms = -7 })
   fails("INVALID_ARGUMENT", library.record_matches, library, { { "/own/c.mkv", movies[4].key } }, { deadline_ms = -7 })
   same(library:match("/own/name.mkv").match_kind, "confirmed")
   library:invalidate_path("/own/name.mkv")
   same(library:match("/own/name.mkv").status, "NOT_FOUND")
   local stats = index:stats()
   same(stats.answers.confirmed, 1)
   assert(stats.requests.page >= 1 and stats.items >= 1500)
   library:refresh()
   same(index:stats().requests.probe, stats.requests.probe)
   library:refresh { check = true }
   same(index:stats().requests.probe, stats.requests.probe + 1)
   assert(not pcall(library.refresh, library, { chek = true }))
   assert(index:libraries_json():find('"TV Shows"', 1, true))
   assert(index:server_json():find("machine_identifier", 1, true))
   assert(index:store_json():find("file_system", 1, true))
   same(index:proposals_json(), "[]")
   assert(library:item_json(movies[4].key):find(movies[4].title, 1, true))
   same(library:item_json("999999"), nil)
   assert(#library:search_title(movies[4].title).candidates >= 1)
   same(library:match_guid("imdb://tt0000000").status, "NOT_FOUND")
   library:invalidate_item(movies[5].key)
   library:invalidate()
   index:set_token("refused")
   local all = index:library()
   fails("UNAUTHORIZED", all.refresh, all)
   index:set_token(token)
   index:invalidate_all()
   index:watch_start()
   index:watch_stop()
   fails("INVALID_ARGUMENT", index.notify, index, "no event")
   local relations = plexindex.compare_paths("/a/b/c.mkv", { "/A/b/c.mkv", "/a" })
   same(relations[1].equal, true); same(relations[1].common, 3); same(relations[2].under, true)
   assert(type(plexindex.drain_log()) == "table")
   assert(plexindex.version():find("^%d+%.%d+%.%d+"))
   index:clear()
end)

test("tables", function()
   local notes = opened():table("notes", true)
   notes:put("One", "first", -2)
   notes:put("", "\0\255")
   same(notes:get("ONE"), "first"); same(notes:lookup("one"), "first"); same(notes:get("two"), nil)
   same(notes:get(""), "\0\255")
   local names = {}
   for name in notes:names() do names[#names + 1] = name end
   same(#names, 2); same(names[1], ""); same(names[2], "one")
   same(notes:count(), 2)
   notes:remove("one")
   notes:clear()
   same(notes:get(""), nil)
end)

test("the feed of changes", function()
   local library = opened():library("Movies")
   library:refresh()
   local cursor = library:changes_json():match('"cursor":"([^"]+)"')
   same(library:wait_for_changes(cursor, { deadline_ms = 1, offline = true }), false)
   fails("ABORTED", library.wait_for_changes, library, cursor, { offline = true, progress = function() return false end })
   local all = library:changes_json(nil, { full = true, limit = 10000 })
   assert(all:find(movies[1].path, 1, true) and all:find('"more":false', 1, true))
   fails("INVALID_ARGUMENT", library.changes_json, library, "no cursor")
end)

test("an edit", function()
   local library = opened():library("Movies")
   local raised = fails("NOT_ON_SERVER", library.edit_items, library, { movies[1].key, "999999" }, { title = "A" })
   same(table.concat(raised.report.states, " "), "no missing")
   local report = library:edit_items({ movies[10].key }, { summary = "A" }, { lock = "leave" })
   same(report.done, 1); same(report.states[1], "done")
end)

test("mappings", function()
   local library = opened({ mappings = { { from = "/mnt/films", to = "/data/movies" } } }):library("Movies")
   local found = library:match((movies[1].path:gsub("^/data/movies", "/mnt/films")))
   same(found.match_kind, "mapped"); same(found.item.key, movies[1].key)
end)

test("a closed index", function()
   local index = opened()
   local library = index:library("Movies")
   index:close()
   index:close()
   fails("CLOSED", library.match, library, "/x")
   fails("CLOSED", library.lookup_key, library, "/x")
   fails("CLOSED", index.stats, index)
end)

local function held(folder)
   local count, target = 0, ffi.new("char[4096]")
   for number = 0, 255 do
      local length = ffi.C.readlink("/proc/self/fd/" .. number, target, 4096)
      if length > 0 and ffi.string(target, length):sub(1, #folder) == folder then count = count + 1 end
   end
   return count
end

test("an index that is not closed is collected", function()
   local folder = new_folder()
   do
      local index = plexindex.open { cache_dir = folder, server_url = url, token = token }
      index:library("Movies"):match(movies[1].path)
      assert(held(folder) > 0)
   end
   for _ = 1, 10 do collectgarbage() end
   same(held(folder), 0)
end)

test("the example finds a file", function()
   local command = ("luajit examples/match.lua '%s' '%s' '%s' Movies '%s'"):format(url, token, new_folder(), movies[1].path)
   local process = io.popen("LUA_PATH='./?.lua;;' " .. command)
   local printed = process:read("*a")
   process:close()
   same(printed, movies[1].key .. ": " .. movies[1].title .. "\n")
end)

test("a match at once waits for nothing", function()
   local library = opened():library("Movies")
   same(library:match_at_once(movies[1].path), nil)
   library:refresh()
   same(library:match_at_once(movies[1].path).item.key, movies[1].key)
   local missing = library:match_at_once("/nowhere/x.mkv")
   same(missing and missing.status, "NOT_FOUND")
   same(library:match(movies[1].path, { at_once = true }).item.key, movies[1].key)
end)

-- Calls `work` with a server that takes this long to name its libraries.
local function served_slowly(seconds, work)
   local server = io.popen(("exec python3 test/slow.py '%s' %s"):format(url, seconds))
   local port, process = server:read("*l"):match("(%d+) (%d+)")
   local ok, raised = xpcall(function() work("http://127.0.0.1:" .. port) end, debug.traceback)
   os.execute("kill " .. process)
   server:close()
   if not ok then error(raised, 0) end
end

-- No step of half a second has the first answer.
test("a refresh in steps goes on, however long one answer takes", function()
   served_slowly(0.7, function(address)
      local library = opened({ server_url = address }):library("Movies")
      fails("TIMEOUT", library.refresh, library, { deadline_ms = 500 })
      local steps = 0
      repeat steps = steps + 1 until library:refresh_step()
      assert(steps > 1 and steps < 10, steps)
      same(library:match_at_once(movies[1].path).item.key, movies[1].key)
   end)
   local library = opened(slowly):library("Movies")
   local steps = 0
   repeat steps = steps + 1 until library:refresh_step()
   assert(steps > 1 and steps < 10, steps)
   local all = opened({ token = "refused" }):library()
   fails("UNAUTHORIZED", all.refresh_step, all)
end)

test("a refresh in steps ends with an error where the server is silent", function()
   served_slowly(60, function(address)
      local library = opened({ server_url = address, read_timeout_ms = 3000 }):library("Movies")
      for _ = 1, deep and 2 or 1 do -- the second time anew
         local steps = 0
         local raised = fails("TIMEOUT", function()
            repeat steps = steps + 1 until library:refresh_step()
         end)
         same(steps, 3) -- of 0.5, 1 and 1.5 s
         assert(raised.message:find("silent for 3 s", 1, true), raised.message)
      end
   end)
end)

ffi.cdef("struct test_time { long sec, nsec; }; int clock_gettime(int, struct test_time *);")

-- The time of the longest step until the error, in seconds, and how many there were.
local function steps_of(library)
   local longest, steps = 0, 0
   local time = ffi.new("struct test_time")
   local function now()
      ffi.C.clock_gettime(1, time)
      return tonumber(time.sec) + tonumber(time.nsec) / 1e9
   end
   local raised = fails("TIMEOUT", function()
      repeat
         local begun = now()
         steps = steps + 1
         local ok, done = pcall(library.refresh_step, library)
         longest = math.max(longest, now() - begun)
         if not ok then error(done, 0) end
      until done
   end)
   return longest, steps, raised
end

deep_test("a step takes no longer than the deadline of the index, or two seconds", function()
   served_slowly(60, function(address)
      local library = opened({ server_url = address, read_timeout_ms = 2000, deadline_ms = 200 }):library("Movies")
      local longest, steps = steps_of(library)
      assert(longest < 0.6, longest)
      same(steps, 10)
      library = opened({ server_url = address, read_timeout_ms = 8000 }):library("Movies")
      longest, steps = steps_of(library)
      assert(longest < 2.5, longest)
      same(steps, 6) -- of 0.5, 1, 2, 2, 2 and 0.5 s
   end)
end)

test("the example ends by Ctrl-C", function()
   served_slowly(60, function(address)
      local command = ("timeout --foreground --preserve-status -s INT -k 10 1 luajit examples/match.lua '%s' '%s' '%s' Movies /a.mkv"):format(
         address, token, new_folder())
      local process = io.popen("LUA_PATH='./?.lua;;' " .. command .. " 2>&1; echo exit $?")
      local printed = process:read("*a")
      process:close()
      assert(printed:find("interrupted!", 1, true) and printed:find("exit 1\n", 1, true), printed)
   end)
end)

local function played(address, ...)
   local command = ("luajit test/mpv.lua '%s' '%s' '%s' '%s'"):format(address, token, new_folder(), table.concat({ ... }, "' '"))
   local process = io.popen("LUA_PATH='./?.lua;;' " .. command)
   local printed = process:read("*a")
   process:close()
   local lines = {}
   for line in printed:gmatch("[^\n]+") do lines[#lines + 1] = line end
   return lines, printed
end

local function shows_what_plays(address)
   local unlisted = movies[1].path:match("^.*/") .. "Unlisted (1900).mkv"
   local lines, printed = played(address, movies[1].path, (movies[2].path:gsub("^/data/movies/", "")), "/nowhere/x.mkv", unlisted,
      "http://127.0.0.1:9/x.mkv")
   local function seen(line, movie) assert(line:find("seen: Plex: " .. movie.title .. " (", 1, true), printed) end
   same(lines[1], "later") -- the first file: the library is fetched
   seen(lines[2], movies[1])
   seen(lines[3], movies[2]) -- a relative path
   same(lines[4], "at once")
   assert(lines[5]:find("info: not in Plex: no library has a folder above", 1, true), printed)
   same(lines[6], "at once")
   assert(lines[7]:find("info: not in Plex: .*is not listed"), printed)
   same(lines[8], "at once")
   same(lines[9], "at once") -- a stream is no file
   same(#lines, 9)
end

test("the script for mpv shows what plays", function()
   shows_what_plays(url)
end)

deep_test("the script for mpv shows what plays on a slow or a silent server", function()
   served_slowly(0.7, shows_what_plays)
   served_slowly(60, function(address)
      local lines, printed = played(address, movies[1].path)
      same(#lines, 2); same(lines[1], "later")
      assert(lines[2]:find("warn: the server has been silent", 1, true), printed)
   end)
end)

if deep then dofile("test/packages.lua")(test, same, new_folder) end
dofile("test/hooks.lua")(test, same, new_folder, opened, deep)

test("structs have the layout of docs/abi.txt", function()
   local checked = 0
   for line in io.lines("../../docs/abi.txt") do
      local struct, bytes = line:match("^struct (%S+) (%d+)")
      if struct then same(ffi.sizeof(struct), tonumber(bytes)) end
      local offset, type_, field = line:match("^    (%d+) %d+ (%S+)%.(%S+)$")
      if offset then
         same(ffi.offsetof(type_, field), tonumber(offset))
         checked = checked + 1
      end
   end
   assert(checked > 100)
end)

local failed = 0
for _, one in ipairs(tests) do
   local ok, raised = xpcall(one[2], function(what) return debug.traceback(tostring(what), 2) end)
   print((ok and "PASS: " or "FAIL: ") .. one[1])
   if not ok then
      print(raised)
      failed = failed + 1
   end
end
for _, index in ipairs(open_indexes) do index:close() end
for _, folder in ipairs(folders) do os.execute("rm -r '" .. folder .. "'") end
os.exit(failed == 0 and 0 or 1)
