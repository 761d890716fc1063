-- Tells which Plex item a file is, without asking the server: a thin layer over the C library, whose plexindex.h says
-- in full what a call does. For LuaJIT.

local has_ffi, ffi = pcall(require, "ffi")
if not has_ffi then error("plexindex needs LuaJIT: this is " .. _VERSION .. ", which has no ffi", 0) end
local abi = require("plexindex.abi")
local c, statuses = abi.constants, abi.statuses
local plexindex = {}
local VERSION = "0.1.0"

-- The words for the numbers with this prefix.
local function words(prefix)
   local found = {}
   for name, value in pairs(c) do
      if name:sub(1, #prefix) == prefix then found[value] = name:sub(#prefix + 1):lower() end
   end
   return found
end

local MATCH_KINDS, CONFIDENCES, REASONS = words("MATCH_"), words("CONFIDENCE_"), words("REASON_")
local KINDS, REQUESTS, LEVELS, NAMES = words("KIND_"), words("REQUEST_"), words("LOG_"), {}
KINDS[c.KIND_OTHER] = nil
for name, value in pairs(statuses) do NAMES[value] = name end

-- Where the library may be: what PLEXINDEX_LIBRARY names; else beside this file, or where a rock for this platform has
-- it; else installed, under the name that programs load, then under the one that compilers link. One that is named or
-- beside is loaded, or its failure shown: another one would hide it.
local function places()
   local named = os.getenv("PLEXINDEX_LIBRARY")
   if named and named ~= "" then return { named } end
   local names = ffi.os == "OSX" and { "libplexindex.0.dylib", "libplexindex.dylib" }
      or { "libplexindex.so.0", "libplexindex.so" }
   local here = debug.getinfo(1, "S").source:match("^@(.*)plexindex%.lua$")
   for _, name in ipairs(here and names or {}) do
      -- With a slash it is a path, and not looked for elsewhere.
      local beside = (here == "" and "./" or here) .. "plexindex/" .. name
      local file = io.open(beside)
      if file then return file:close() and { beside } end
   end
   local rock = package.searchpath("plexindex.libplexindex", package.cpath)
   return rock and { rock } or names
end

local function load()
   local failed = {}
   for _, place in ipairs(places()) do
      local ok, library = pcall(ffi.load, place)
      if ok and pcall(function() return library.plexindex_get_abi_version end) then
         local version = library.plexindex_get_abi_version()
         if version == c.ABI_VERSION then return library end
         error(("plexindex %s has ABI version %d, this module needs %d: install matching versions"):format(
            ffi.string(library.plexindex_get_version()), version, c.ABI_VERSION), 0)
      end
      failed[#failed + 1] = ok and place .. " is not the plexindex library" or library
   end
   local machine = ({ x64 = "x86_64", arm64 = "aarch64" })[ffi.arch] or ffi.arch
   local platform = (ffi.os == "OSX" and "macosx" or ffi.os:lower()) .. "-" .. machine
   error(("the plexindex library cannot be loaded. For %s install the rock plexindex-%s-1.%s.rock, or the library with"
      .. " `make install` and ldconfig; or name its file in PLEXINDEX_LIBRARY (%s)"):format(platform, VERSION, platform,
      table.concat(failed, "; ")), 0)
end

local C = load()

-- An error: `status` is its number, `code` its name, such as "LIBRARY_NOT_FOUND"; "INVALID_ARGUMENT" for a mistake of
-- the caller's. `cause` is what `renew_token` raised in the call, `answer` what call() gives also where it fails.
local Error = {}
Error.__index = Error
Error.__tostring = function(self) return self.message end
Error.__concat = function(left, right) return tostring(left) .. tostring(right) end
plexindex.Error = Error

local function failure(code, message)
   return setmetatable({ code = code, message = message, status = statuses[code] }, Error)
end

local function mistake(message, ...) error(failure("INVALID_ARGUMENT", message:format(...)), 0) end

-- What C's texts name, in words of this module.
local WORDS = { PLEXINDEX_NO_DEADLINE = "-1 for none", PLEXINDEX_NO_RETRY = "-1 for never",
   PLEXINDEX_NEVER_SLOW = "-1 for never", PLEXINDEX_TTL_AT_ONCE = "-1 for none", PLEXINDEX_TTL_NEVER = "-2 for ever",
   ["PLEXINDEX_LOG_*"] = "1 to 4, and -1", PLEXINDEX_QUERY_FULL = "full", PLEXINDEX_QUERY_PROBE = "check",
   PLEXINDEX_QUERY_AT_ONCE = "at_once", PLEXINDEX_QUERY_OFFLINE = "offline" }

-- An error must not pass through C, but a debug hook may raise one before the first instruction of a function that C
-- calls: the program's own hook, or the one by which `luajit` ends it after Ctrl-C. LuaJIT runs no hook within a hook:
-- so each call that may call back is made in one.

-- How many functions C may call back now; the program's count hook, while a call keeps it from running.
local callbacks, count_hook = 0, nil

-- Runs `work`, which must not raise, without hooks. One that became due raises behind it.
local function without_hooks(work)
   local hook, mask, count = debug.gethook()
   if type(hook) == "string" then
      mistake("progress, renew_token and drain_log() cannot be used while a C program's debug hook is set")
   end
   local begun, outer = false, count_hook
   local function inside()
      if begun then return end
      begun = true
      work()
   end
   count_hook = outer or count > 0 and hook or nil
   debug.sethook(inside, "", 1)
   -- Within a function that C called hooks are off, and this one has not run.
   inside()
   count_hook = outer
   if debug.gethook() ~= inside then return end -- one that was set meanwhile stays
   debug.sethook(hook, mask, count)
   -- The count begins anew: short calls, one after another, would keep the hook from running.
   if count > 0 then hook("count") end
end
jit.off(without_hooks, true)

-- What the function for a token raised in this call.
local renewal_raised

-- Calls a function of C with these arguments, and a buffer for the error's text as the last one; gives the status.
-- Compiled code must not be called back by C, and need not keep memory that it does not use any more: what calls C with
-- a callback, or with memory that C fills, stays with the interpreter.
local function call(name, ...)
   local arguments, count, status = { ... }, select("#", ...) + 1, nil
   local text, function_ = ffi.new("char[2048]"), C["plexindex_" .. name]
   arguments[count] = ffi.new("plexindex_buffer", { data = text, capacity = 2048 })
   local function work() status = function_(unpack(arguments, 1, count)) end
   renewal_raised = nil
   if callbacks > 0 then without_hooks(work) else work() end
   if status < statuses.INVALID_ARGUMENT or status == statuses.BUFFER_TOO_SMALL then return status end
   local message = ffi.string(text)
   if status == statuses.INVALID_ARGUMENT then
      message = message:gsub("PLEXINDEX_[%u_]+%*?", WORDS):gsub("^options%.", ""):gsub("^query%.", "")
   end
   local failed = failure(NAMES[status] or "UNKNOWN", message)
   failed.status, failed.cause = status, renewal_raised
   error(failed, 0)
end
jit.off(call, true)

-- A call that fills a buffer, made again with a larger one where it must: what `read` makes of the buffer, and the
-- status. Its memory lives as long as this function runs.
local function fill(read, capacity, name, ...)
   local arguments, count = { ... }, select("#", ...) + 1
   while true do
      local memory = ffi.new("uint64_t[?]", math.ceil(capacity / 8))
      local buffer = ffi.new("plexindex_buffer", { data = memory, capacity = capacity })
      arguments[count] = buffer
      local status = call(name, unpack(arguments, 1, count))
      if status ~= statuses.BUFFER_TOO_SMALL then return read(buffer), status end
      capacity = math.ceil(tonumber(buffer.length) * 1.25)
   end
end
jit.off(fill, true)

-- What the caller gives has to be of this type.
local function typed(value, what, wanted)
   if type(value) ~= wanted then mistake("%s must be a %s, not %s", what, wanted, type(value)) end
   return value
end

local function checked(text, what) return typed(text, what, "string") end

local function flag(value, what) return value ~= nil and typed(value, what, "boolean") end

-- A whole number; nil is 0. An int64_t of ffi is taken as it is.
local function whole(value, what)
   if value == nil then return 0 end
   if type(value) == "cdata" and tonumber(value) then return value end
   if typed(value, what, "number") ~= math.floor(value) or math.abs(value) > 2^53 then
      mistake("%s is %s: it must be a whole number", what, tostring(value))
   end
   return value
end

-- Named arguments: nil, or a table with no other names than these.
local function named_of(ask, known, what)
   for name in pairs(ask ~= nil and typed(ask, what or "the options of a call", "table") or {}) do
      if not known[name] then mistake("%shas no option %s", what and what .. " " or "this call ", tostring(name)) end
   end
   return ask or {}
end

-- How many a list has: a table with nothing else in it, and no hole.
local function counted(list, what)
   local count = 0
   for _ in pairs(typed(list, what, "table")) do count = count + 1 end
   if count ~= #list then mistake("%s must be a list without holes", what) end
   return count
end

-- Texts with a NUL behind each. One with a NUL in it is refused, or noted in `with_nul`, and empty.
local function joined(texts, what, with_nul)
   local parts, count = {}, counted(texts, what)
   for at = 1, count do
      local text = checked(texts[at], ("%s[%d]"):format(what, at))
      if text:find("\0", 1, true) then
         if not with_nul then mistake("%s[%d] cannot hold a NUL", what, at) end
         with_nul[#with_nul + 1], text = at, ""
      end
      parts[at] = text .. "\0"
   end
   return table.concat(parts), count
end

-- --- Answers -------------------------------------------------------------------------------------------------------

local TEXTS = {}
for _, name in ipairs(abi.structs.plexindex_item) do
   if type(ffi.new("plexindex_item")[name]) == "cdata" then TEXTS[#TEXTS + 1] = name end
end

local function unless(value, none)
   if value ~= none then return value end
end

local function read_text(block, text)
   local at = C.plexindex_get_text(block, text)
   if at ~= nil then return ffi.string(at, text.length) end
end

local function read_item(block, item)
   if item == nil then return nil end
   local read = { kind = KINDS[item.kind], year = unless(item.year, 0), season = unless(item.season, -1),
      episode = unless(item.episode, -1), key_only = bit.band(item.flags, c.ITEM_KEY_ONLY) ~= 0 }
   for _, name in ipairs(TEXTS) do read[name] = read_text(block, item[name]) end
   return read
end

local function read_block(block)
   local answers = {}
   for place = 1, tonumber(C.plexindex_count_answers(block)) do
      local found = C.plexindex_get_answer(block, place - 1)
      local candidates = {}
      for at = 1, found.candidates_count do
         candidates[at] = read_item(block, C.plexindex_get_candidate(block, found, at - 1))
      end
      answers[place] = { status = NAMES[found.status] or "UNKNOWN", reason = REASONS[found.reason] or "unknown",
         match_kind = MATCH_KINDS[found.match_kind] or "unknown", message = read_text(block, found.message),
         confidence = CONFIDENCES[found.confidence] or "unknown", age_ms = unless(tonumber(found.age_ms), -1),
         stale = bit.band(found.flags, c.ANSWER_STALE) ~= 0, candidates = candidates,
         item = read_item(block, C.plexindex_get_item(block, found)), candidates_total = found.candidates_total }
   end
   return answers
end

local function read_string(buffer) return ffi.string(buffer.data, buffer.length) end

-- --- The index -----------------------------------------------------------------------------------------------------

local Index, Library, Table = {}, {}, {}
Index.__index, Library.__index, Table.__index = Index, Library, Table

-- The handle of an index, a library or a table, if its index is open.
local function handle_of(object)
   local index = object and object._index or object
   if getmetatable(index) ~= Index then mistake("methods are called with a colon, as index:library(…)") end
   if index._handle == nil then error(failure("CLOSED", "the index is closed: open it again"), 0) end
   return object._handle
end

-- A function of Lua that C may call. Free it with freed() once C calls it no more.
local function callback(kind, work)
   callbacks = callbacks + 1
   return ffi.cast(kind, work)
end

local function freed(called)
   called:free()
   callbacks = callbacks - 1
end

-- Runs what C calls back. The index cannot be closed meanwhile; an error must not go through C.
local function reporting(index, work, ...)
   local before = index and index._reporting
   if index then index._reporting = true end
   local ok, result = pcall(work, ...)
   if index then index._reporting = before end
   return ok, result
end

-- A plexindex_renew_token_fn, to be freed once the index is closed. It keeps the index from being collected only while
-- it runs.
local function renewal_callback(renew_token, index)
   local weak = setmetatable({ index = index }, { __mode = "v" })
   return callback("plexindex_renew_token_fn", function(_, buffer)
      local ok, token = reporting(weak.index, renew_token)
      if not ok then
         renewal_raised = token
      elseif token ~= nil and (type(token) ~= "string" or #token > buffer.capacity) then
         renewal_raised = ("renew_token must return nil or a string of %d bytes at most"):format(
            tonumber(buffer.capacity))
      end
      if renewal_raised or not token or token == "" then return 1 end
      ffi.copy(buffer.data, token, #token)
      buffer.length = #token
      return 0
   end)
end

local MAPPING = { side = true, from = true, to = true, pattern = true }
local FLAGS = { offline = true, accept_invalid_certs = true, no_mmap = true, obfuscate_paths = true,
   shared_durable = true }
-- Fields of plexindex_options that are no options by themselves.
local OWN = { size = true, flags = true, mappings_count = true, reserved = true, renew_token_user = true }

-- The rules of the option `mappings`.
local function mappings_of(rules)
   local mappings = ffi.new("plexindex_mapping[?]", counted(rules, "mappings"))
   for at, rule in ipairs(rules) do
      local what = ("mappings[%d]"):format(at)
      named_of(rule, MAPPING, what)
      local form = flag(rule.pattern, what .. ".pattern") and "PATTERN" or "PREFIX"
      local kind = c[("MAPPING_%s_%s"):format(tostring(rule.side or "host"):upper(), form)]
      mappings[at - 1] = {
         kind = kind or mistake("%s.side must be 'host' or 'server'", what),
         from = { data = checked(rule.from, what .. ".from"), length = #rule.from },
         to = { data = checked(rule.to, what .. ".to"), length = #rule.to },
      }
   end
   return mappings
end

-- Opens an index. The options are the fields of plexindex_options, its flags by name (`offline = true`), and
-- `mappings`, a list of `{ side = "host", from = …, to = …, pattern = false }`.
--
-- `renew_token` is a function that gives a new token, or nil for none now, when the server refuses the one that there
-- is or it expired. The call that was refused is then made again. What the function raises is the `cause` of the call's
-- error. After nil, or a token that is refused, it is not called for 15 s; set_token() goes on at once. It must not
-- close the index, and what it asks does not renew the token. Nothing ends a call meanwhile.
function plexindex.open(options)
   typed(options, "the options of open()", "table")
   local given = ffi.new("plexindex_options", { size = ffi.sizeof("plexindex_options") })
   for name, value in pairs(options) do
      local ok, field = pcall(function() return given[name] end)
      if FLAGS[name] then
         if flag(value, name) then given.flags = bit.bor(given.flags, c["OPEN_" .. name:upper()]) end
      elseif not ok or OWN[name] then
         mistake("there is no option %s", tostring(name))
      elseif ffi.istype("plexindex_bytes", field) then
         given[name] = { data = checked(value, name), length = #value }
      elseif name ~= "mappings" and name ~= "renew_token" then
         given[name] = whole(value, name)
         if tonumber(given[name]) ~= tonumber(value) then mistake("%s is out of range: %s", name, tostring(value)) end
      end
   end
   local mappings = mappings_of(options.mappings or {})
   given.mappings, given.mappings_count = mappings, #(options.mappings or {})
   local index = setmetatable({ _reporting = false }, Index)
   local renewal = options.renew_token ~= nil
      and renewal_callback(typed(options.renew_token, "renew_token", "function"), index) or nil
   given.renew_token = renewal
   local out = ffi.new("plexindex_handle *[1]")
   local opened, raised = pcall(call, "open", given, out)
   if not opened then
      if renewal then freed(renewal) end
      error(raised, 0)
   end
   -- The finaliser closes an index that is collected without close().
   index._handle = ffi.gc(out[0], function(lost)
      C.plexindex_close(lost, nil)
      if renewal then freed(renewal) end
   end)
   index._renewal = renewal
   return index
end

-- Closes the index. Later calls fail with the code "CLOSED". From within a progress function it is refused.
function Index:close()
   if self._handle == nil then return end
   if self._reporting then
      mistake("an index cannot be closed from its progress function, or while it asks for a token")
   end
   local handle, renewal = ffi.gc(self._handle, nil), self._renewal
   self._handle, self._renewal = nil, nil
   local closed, raised = pcall(call, "close", handle)
   if renewal then freed(renewal) end
   if not closed then error(raised, 0) end
end

-- A library by its uuid, title or section id; without a name all of them. Sends no request: the first question to a
-- library that does not exist fails with the code "LIBRARY_NOT_FOUND".
function Index:library(name)
   local handle, out = handle_of(self), ffi.new("const plexindex_library_handle *[1]")
   name = type(name) == "number" and tostring(name) or name
   local kind = name == nil and c.SELECT_ALL or c.SELECT_ANY
   local selector = checked(name or "", "the name of a library")
   call("get_library", handle, kind, selector, #selector, out)
   return setmetatable({ _index = self, _handle = out[0] }, Library)
end

-- Makes a call with limits, a plexindex_query or plexindex_call_options. `ask` has deadline_ms, and progress, a
-- function that ends the call when it gives false or raises; only with that does Ctrl-C end the call. Debug hooks wait
-- until the call is over; a count hook, as of a watchdog, runs before each report, too.
local function limited(index, limits, ask, work)
   limits.size, limits.deadline_ms = ffi.sizeof(limits), whole(ask.deadline_ms, "deadline_ms")
   if ask.progress == nil then return work() end
   typed(ask.progress, "progress", "function")
   local raised
   local function progress(told)
      if count_hook then count_hook("count") end
      return ask.progress { library = ffi.string(told.library.data, told.library.length), items = tonumber(told.items),
         total = tonumber(told.total), elapsed_ms = tonumber(told.elapsed_ms) }
   end
   local report = callback("plexindex_progress_fn", function(_, told)
      local ok, go_on = reporting(index, progress, told)
      if not ok then raised = { go_on } end
      -- A hook that is a text in Lua is C's: a signal's handler has set it meanwhile, to end the call.
      return ok and go_on ~= false and type(debug.gethook()) ~= "string" and 0 or 1
   end)
   limits.progress = report
   local ended = { pcall(work) }
   freed(report)
   if raised then error(raised[1], 0) end
   if not ended[1] then error(ended[2], 0) end
   return unpack(ended, 2)
end
jit.off(limited, true)

local LIMITS = { deadline_ms = true, progress = true }
local ASKED = { at_once = "AT_ONCE", offline = "OFFLINE", full = "FULL", check = "PROBE", deadline_ms = true,
   progress = true }

-- Makes a call with a plexindex_query of which `ask` has flags, too.
local function query(library, text, ask, work)
   local handle, asked = handle_of(library), ffi.new("plexindex_query", { library = library._handle })
   asked.text = { data = text, length = #text }
   for name, value in pairs(named_of(ask, ASKED)) do
      if not LIMITS[name] and flag(value, name) then asked.flags = bit.bor(asked.flags, c["QUERY_" .. ASKED[name]]) end
   end
   return limited(library._index, asked, ask or {}, function() return work(library._index._handle, asked) end)
end
jit.off(query, true)

-- Calls a method by its name: docs/methods.md describes each. Request and answer are JSON, as texts: decode them with
-- the library of your choice. Gives the answer, and the call's status: "OK", or such as "NOT_FOUND" and "NOT_YET".
-- `ask`: deadline_ms and progress.
function Index:call(method, request, ask)
   local handle, options = handle_of(self), ffi.new("plexindex_call_options")
   checked(method, "the name of a method")
   request = checked(request or "", "a request")
   return limited(self, options, named_of(ask, LIMITS), function()
      local out = ffi.new("char *[1]")
      local ok, status = pcall(call, "call", handle, method, request, #request, options, out)
      local answer = out[0] ~= nil and ffi.string(out[0]) or nil
      C.plexindex_free(out[0])
      if ok then return answer, NAMES[status] end
      if getmetatable(status) == Error then status.answer = answer end
      error(status, 0)
   end)
end
jit.off(Index.call, true)

-- The full answer for one path. Asks the server where that is needed. `ask`: deadline_ms, progress, offline, at_once.
function Library:match(path, ask)
   return query(self, checked(path, "a path"), ask, function(handle, asked)
      return fill(read_block, 16384, "match_path", handle, asked)[1]
   end)
end

-- match() that waits for nothing: nil where it would have to, as for a library that was never fetched, and always for a
-- file below a library's folder that is not listed. Then match() the path where the program may wait; or match() it
-- with `offline`, which says NOT_FOUND at once, from the store and without a request.
function Library:match_at_once(path)
   local match = self:match(path, { at_once = true })
   if match.status ~= "NOT_YET" then return match end
end

-- match() for many paths in one call: an answer for each, in order.
function Library:match_paths(paths, ask)
   local with_nul = {}
   local text, count = joined(paths, "paths", with_nul)
   if count == 0 then return {} end
   return query(self, text, ask, function(handle, asked)
      local all = fill(read_block, 16384 + 4 * #text, "match_paths", handle, asked, count)
      for _, at in ipairs(with_nul) do all[at].message = ("paths[%d] cannot hold a NUL"):format(at) end
      return all
   end)
end

-- The key of the item with this path, where the index has it at hand; else nil. Never waits.
function Library:lookup_key(path)
   if self._index._handle == nil then handle_of(self) end
   if type(path) ~= "string" then checked(path, "a path") end
   if path:find("\0", 1, true) then return nil end
   local key = C.plexindex_lookup_key(self._handle, path)
   if key ~= nil then return ffi.string(key) end
end

-- lookup_key() for many paths: a key or false for each, in order.
function Library:lookup_keys(paths)
   local handle, found, text, count = handle_of(self), {}, joined(paths, "paths", {})
   local keys = fill(read_string, 64 + 40 * count, "lookup_keys", handle, text, #text, count)
   for key in keys:gmatch("(%Z*)%z") do found[#found + 1] = key ~= "" and key end
   return found
end

-- Brings the library up to date. false when the deadline came first: the next call goes on behind the server's last
-- answer. Before the first one, which names the libraries, that is the code "TIMEOUT". `ask`: deadline_ms, progress,
-- full, check.
function Library:refresh(ask)
   return query(self, "", ask, function(handle, asked) return call("refresh", handle, asked) == statuses.OK end)
end

-- Records that the item with this key has this path. The server is asked only for a library that the store does not
-- know yet: the code "TIMEOUT" says that `ask.deadline_ms` passed first, and nothing is recorded.
function Library:record_match(path, key, ask) self:record_matches({ { path, key } }, ask) end

-- record_match() for many pairs of a path and a key: all, or none.
function Library:record_matches(pairs_, ask)
   local handle, paths, keys = handle_of(self), {}, {}
   local within = whole(named_of(ask, { deadline_ms = true }).deadline_ms, "deadline_ms")
   for at = 1, counted(pairs_, "pairs") do
      local pair = typed(pairs_[at], ("pairs[%d]"):format(at), "table")
      paths[at], keys[at] = checked(pair[1], "the path of a pair"), checked(pair[2], "the key of a pair")
   end
   local path, key = joined(paths, "paths"), joined(keys, "keys")
   call("record_matches", handle, path, #path, key, #key, #paths, 0, within)
end

-- Makes a call that takes one text.
local function send(object, name, text, what)
   call(name, handle_of(object), checked(text, what), #text)
end

-- Invalidates a path; an item, by its key or rating key; the library, or all.
function Library:invalidate_path(path) send(self, "invalidate_path", path, "a path") end
function Library:invalidate_item(key) send(self, "invalidate_item", key, "a key") end
function Library:invalidate() call("invalidate_library", handle_of(self)) end
function Index:invalidate_all() self:library():invalidate() end

-- Removes all that the store holds of this server and user.
function Index:clear() call("clear", handle_of(self)) end
-- Tells the index of an event that the host received, such as a webhook.
function Index:notify(body) send(self, "notify", body, "a body") end

-- Replaces the token; nil is none. Sends no request. Without the option `user` nothing of the earlier token's is
-- answered before the server has accepted this one.
function Index:set_token(token) send(self, "set_token", token or "", "a token") end

-- Statistics as a table: counts by name, `answers` by match kind, `requests` by kind, `last_failure` as text or nil.
function Index:stats()
   local filled = ffi.new("plexindex_stats", { size = ffi.sizeof("plexindex_stats") })
   call("get_stats", handle_of(self), filled)
   local counts = { answers = {}, requests = {}, last_failure = unless(ffi.string(filled.last_failure), "") }
   for _, name in ipairs(abi.structs.plexindex_stats) do
      if name ~= "size" then counts[name] = counts[name] or tonumber(filled[name]) end -- nil for an array
   end
   for number, word in pairs(MATCH_KINDS) do counts.answers[word] = tonumber(filled.answers[number]) end
   for number, word in pairs(REQUESTS) do counts.requests[word] = tonumber(filled.requests[number]) end
   return counts
end

-- A table of the host's own values. With fold_ascii `A` to `Z` in names of entries count as `a` to `z`.
function Index:table(name, fold_ascii)
   local flags = flag(fold_ascii, "fold_ascii") and c.TABLE_FOLD_ASCII or 0
   local out = ffi.new("const plexindex_table_handle *[1]")
   call("get_table", handle_of(self), checked(name, "a table's name"), #name, flags, out)
   return setmetatable({ _index = self, _handle = out[0] }, Table)
end

-- The value of this name, where the index has it at hand; else nil. Never waits.
function Table:lookup(name)
   if self._index._handle == nil then handle_of(self) end
   if type(name) ~= "string" then checked(name, "a name") end
   if name:find("\0", 1, true) then return nil end
   local value = ffi.new("const char *[1]")
   if C.plexindex_table_lookup(self._handle, name, value) == 0 then return ffi.string(value[0]) end
end

-- The value of this name; nil when there is none.
function Table:get(name)
   local value, status = fill(read_string, 4096, "table_get", handle_of(self), checked(name, "a name"), #name)
   return status == statuses.OK and value or nil
end

-- Iterates over the names of its entries, in the order of their bytes.
function Table:names()
   return function(_, after)
      local name, status = fill(read_string, 1024, "table_get_next", handle_of(self), after, after and #after or 0)
      return status == statuses.OK and name or nil
   end
end

-- Stores a value. `ttl_ms`: 0 is one hour, -2 never. `limit`: how many bytes all tables may take, 0 any number.
function Table:put(name, value, ttl_ms, limit)
   checked(name, "a name")
   checked(value, "a value")
   ttl_ms, limit = whole(ttl_ms, "ttl_ms"), whole(limit == nil and 100000000 or limit, "limit")
   call("table_put", handle_of(self), name, #name, value, #value, ttl_ms, limit)
end

-- Removes an entry.
function Table:remove(name) send(self, "table_remove", name, "a name") end

function Index.__tostring(index) return ("plexindex.Index (%s)"):format(index._handle == nil and "closed" or "open") end
function Library.__tostring(library) return "plexindex.Library of " .. tostring(library._index) end
function Table.__tostring(table) return "plexindex.Table of " .. tostring(table._index) end

-- The log lines that wait, oldest first: `{ level, message }`. The ring holds 256 for the whole process.
function plexindex.drain_log()
   local lines = {}
   local receive = callback("plexindex_log_fn", function(_, level, message, length)
      lines[#lines + 1] = { level = LEVELS[level] or "unknown", message = ffi.string(message, length) }
   end)
   local ok, raised = pcall(call, "drain_log", receive, nil)
   freed(receive)
   if not ok then error(raised, 0) end
   return lines
end
jit.off(plexindex.drain_log, true)

-- The version of the library.
function plexindex.version() return ffi.string(C.plexindex_get_version()) end

return plexindex
