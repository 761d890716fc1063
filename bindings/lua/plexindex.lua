-- Tells which Plex item a file is, without asking the server: a thin layer over the C library, whose plexindex.h says in
-- full what a call does. For LuaJIT.

local has_ffi, ffi = pcall(require, "ffi")
if not has_ffi then error("plexindex needs LuaJIT: this is " .. _VERSION .. ", which has no ffi", 0) end
local abi = require("plexindex.abi")
local c, statuses = abi.constants, abi.statuses

local plexindex = {}

local VERSION = "0.1.0"
local FIRST_ERROR = 100
local ERROR_TEXT = 2048
local PAGE = 1000
-- Of refresh_step(), in milliseconds: the first step, the longest one without `deadline_ms` of open(), and how long the server may
-- be silent without `read_timeout_ms`.
local STEP, LONGEST_STEP, SILENCE = 500, 2000, 15000
local KINDS = { [1] = "movie", [2] = "show", [3] = "season", [4] = "episode", [8] = "artist", [9] = "album", [10] = "track",
   [12] = "clip", [13] = "photo" }
local MAPPINGS = { host = c.MAPPING_HOST_PREFIX, server = c.MAPPING_SERVER_PREFIX }
local MAPPING = { side = true, from = true, to = true, pattern = true }
local FLAGS = { offline = c.OPEN_OFFLINE, accept_invalid_certs = c.OPEN_ACCEPT_INVALID_CERTS,
   no_mmap = c.OPEN_NO_MMAP, obfuscate_paths = c.OPEN_OBFUSCATE_PATHS,
   shared_durable = c.OPEN_SHARED_DURABLE }

-- The words for the numbers with this prefix.
local function words(prefix)
   local found = {}
   for name, value in pairs(c) do
      if name:sub(1, #prefix) == prefix then found[value] = name:sub(#prefix + 1):lower() end
   end
   return found
end

local EDITED = words("EDITED_")
local MATCH_KINDS, REQUESTS = words("MATCH_"), words("REQUEST_")
local CONFIDENCES, REASONS, LEVELS = words("CONFIDENCE_"), words("REASON_"), words("LOG_")
local NAMES = {}
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
      if file then
         file:close()
         return { beside }
      end
   end
   local rock = package.searchpath("plexindex.libplexindex", package.cpath)
   return rock and { rock } or names
end

local ARCHITECTURES = { x64 = "x86_64", arm64 = "aarch64", arm = "arm", x86 = "x86" }

local function load()
   local failed = {}
   for _, place in ipairs(places()) do
      local ok, library = pcall(ffi.load, place)
      if ok and not pcall(function() return library.plexindex_get_abi_version end) then
         ok, library = false, place .. " is not the plexindex library"
      end
      if ok then
         if library.plexindex_get_abi_version() ~= c.ABI_VERSION then
            error(("plexindex %s has ABI version %d, this module was written for %d: install matching versions"):format(
               ffi.string(library.plexindex_get_version()), library.plexindex_get_abi_version(), c.ABI_VERSION), 0)
         end
         return library
      end
      failed[#failed + 1] = library
   end
   local platform = (ffi.os == "OSX" and "macosx" or ffi.os:lower()) .. "-" .. (ARCHITECTURES[ffi.arch] or ffi.arch)
   error(("the plexindex library cannot be loaded. For %s install the rock plexindex-%s-1.%s.rock, or the library with"
      .. " `make install` and ldconfig; or name its file in PLEXINDEX_LIBRARY (%s)"):format(platform, VERSION, platform,
      table.concat(failed, "; ")), 0)
end

local C = load()

-- --- Errors --------------------------------------------------------------------------------------------------------

-- An error: `status` is its number, `code` its name, such as "LIBRARY_NOT_FOUND"; "INVALID_ARGUMENT" for a mistake of the
-- caller's. `cause` is what the function `renew_token` raised in the call.
local Error = {}
Error.__index = Error
Error.__tostring = function(self) return self.message end
Error.__concat = function(left, right) return tostring(left) .. tostring(right) end
plexindex.Error = Error

local function failure(code, message, status)
   return setmetatable({ code = code, message = message, status = status }, Error)
end

-- What C's texts name, in words of this module.
local WORDS = { PLEXINDEX_NO_DEADLINE = "-1 for none", PLEXINDEX_NO_RETRY = "-1 for never", PLEXINDEX_NEVER_SLOW = "-1 for never",
   PLEXINDEX_TTL_AT_ONCE = "-1 for none", PLEXINDEX_TTL_NEVER = "-2 for ever", ["PLEXINDEX_LOG_*"] = "1 to 4, and -1",
   PLEXINDEX_QUERY_FULL = "full = true", PLEXINDEX_QUERY_PROBE = "check = true", PLEXINDEX_QUERY_AT_ONCE = "at_once = true",
   PLEXINDEX_QUERY_OFFLINE = "offline = true", ["plexindex_refresh()"] = "refresh()", ["plexindex_match_path()"] = "match()",
   ["plexindex_match_paths()"] = "match_paths()", ["plexindex_match_folder()"] = "folder()" }

local function own_words(text)
   text = text:gsub("PLEXINDEX_[%u_]+%*?", WORDS):gsub("plexindex_[%l_]+%(%)", WORDS):gsub("^query%.flags has", "the call has")
   return (text:gsub("^query%.", ""):gsub("^options%.", ""):gsub("^edit%.", ""))
end

local function mistake(message, ...) error(failure("INVALID_ARGUMENT", message:format(...), statuses.INVALID_ARGUMENT), 0) end

-- An error must not pass through C, but a debug hook may raise one before the first instruction of a function that C calls:
-- the program's own hook, or the one by which `luajit` ends it after Ctrl-C. LuaJIT runs no hook within a hook: so each call
-- that may call back is made in one.

-- How many functions C may call back now; the program's count hook, while a call keeps it from running.
local callbacks, count_hook = 0, nil

-- Whether a signal's handler has set a hook meanwhile, which is to end the call. C's hooks are texts in Lua.
local function interrupted() return type(debug.gethook()) == "string" end

-- Runs `work`, which must not raise, without hooks. One that became due raises behind it.
local function without_hooks(work, buffer)
   local hook, mask, count = debug.gethook()
   if type(hook) == "string" then
      mistake("progress, renew_token and drain_log() cannot be used while a C program's debug hook is set")
   end
   local begun, status, outer = false, nil, count_hook
   local function inside()
      if begun then return end
      begun = true
      status = work(buffer)
   end
   count_hook = outer or count > 0 and hook or nil
   debug.sethook(inside, "", 1)
   -- Within a function that C called hooks are off, and this one has not run.
   inside()
   count_hook = outer
   if debug.gethook() ~= inside then return status end -- one that was set meanwhile stays
   debug.sethook(hook, mask, count)
   -- The count begins anew: short calls, one after another, would keep the hook from running.
   if count > 0 then hook("count") end
   return status
end
jit.off(without_hooks, true)

-- What the function for a token raised in this call.
local renewal_raised

-- Makes a call with a buffer of its own for the error's text, as the last of its arguments; gives the status.
local function call(work)
   renewal_raised = nil
   local text = ffi.new("char[?]", ERROR_TEXT)
   local buffer = ffi.new("plexindex_buffer", { data = text, capacity = ERROR_TEXT })
   local status
   if callbacks > 0 then status = without_hooks(work, buffer) else status = work(buffer) end
   if status < FIRST_ERROR or status == statuses.BUFFER_TOO_SMALL then return status end
   local message = ffi.string(text)
   local failed = failure(NAMES[status] or "UNKNOWN", status == FIRST_ERROR and own_words(message) or message, status)
   failed.cause = renewal_raised
   error(failed, 0)
end

-- A call that fills a buffer, made again with a larger one where it must: the status, and what `read` makes of the
-- buffer. Its memory lives as long as this function runs.
local function fill(work, read, reserve)
   local capacity = reserve or 16384
   while true do
      local memory = ffi.new("uint64_t[?]", math.ceil(capacity / 8))
      local buffer = ffi.new("plexindex_buffer", { data = memory, capacity = capacity })
      local status = call(function(failed) return work(buffer, failed) end)
      if status ~= statuses.BUFFER_TOO_SMALL then
         local found = read(buffer)
         return status, found
      end
      capacity = math.ceil(tonumber(buffer.length) * 1.25)
   end
end
-- Compiled code must not be called back by C, and need not keep memory that it does not use any more: what calls C with
-- a callback, or with memory that C fills, stays with the interpreter.
jit.off(call, true)
jit.off(fill, true)

-- What the caller gives has to be of this type.
local function typed(value, what, wanted)
   if type(value) ~= wanted then mistake("%s must be a %s, not %s", what, wanted, type(value)) end
   return value
end

local function checked(text, what) return typed(text, what, "string") end

local function flag(value, what)
   if value ~= nil then typed(value, what, "boolean") end
   return value
end

-- A whole number, `least` at least; nil is 0. An int64_t of ffi is taken as it is.
local function whole(value, what, least)
   if value == nil then return 0 end
   if type(value) == "cdata" and tonumber(value) then return value end
   typed(value, what, "number")
   if value ~= math.floor(value) or math.abs(value) > 2^53 or value < (least or value) then
      mistake("%s is %s: it must be a whole number%s", what, tostring(value), least and " from " .. least or "")
   end
   return value
end

-- The count of a list: a table with nothing else in it, and no hole.
local function counted(list, what)
   local count, last = 0, 0
   for key in pairs(typed(list, what, "table")) do
      if type(key) ~= "number" then mistake("%s must be a list: it has a field %s", what, tostring(key)) end
      count, last = count + 1, math.max(last, key)
   end
   if count ~= last then mistake("%s must be a list without holes: it has nil in it", what) end
   return count
end

-- Named arguments: nil, or a table with no other names than these.
local function named_of(ask, known)
   if ask == nil then return {} end
   for name in pairs(typed(ask, "the options of a call", "table")) do
      if not known[name] then mistake("there is no option %s", tostring(name)) end
   end
   return ask
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

-- --- Blocks of answers ---------------------------------------------------------------------------------------------

local TEXTS = {}
for _, name in ipairs(abi.structs.plexindex_item) do
   local field = ffi.new("plexindex_item")[name]
   if type(field) == "cdata" then TEXTS[#TEXTS + 1] = name end
end

local function read_text(block, text)
   local at = C.plexindex_get_text(block, text)
   if at == nil then return nil end
   return ffi.string(at, text.length)
end

local function unless(value, none)
   if value ~= none then return value end
end

local function read_item(block, item)
   if item == nil then return nil end
   local read = {}
   for _, name in ipairs(TEXTS) do read[name] = read_text(block, item[name]) end
   read.kind = KINDS[item.kind]
   read.year = unless(item.year, 0)
   read.season = unless(item.season, -1)
   read.episode = unless(item.episode, -1)
   read.key_only = bit.band(item.flags, c.ITEM_KEY_ONLY) ~= 0
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
      answers[place] = {
         status = NAMES[found.status] or "UNKNOWN",
         match_kind = MATCH_KINDS[found.match_kind] or "unknown",
         confidence = CONFIDENCES[found.confidence] or "unknown",
         reason = REASONS[found.reason] or "unknown",
         stale = bit.band(found.flags, c.ANSWER_STALE) ~= 0,
         item = read_item(block, C.plexindex_get_item(block, found)),
         candidates = candidates,
         candidates_total = found.candidates_total,
         message = read_text(block, found.message),
         age_ms = unless(tonumber(found.age_ms), -1),
         items = tonumber(found.items),
         files = tonumber(found.files),
         kind = KINDS[found.kind],
      }
   end
   return answers
end

-- --- The index -----------------------------------------------------------------------------------------------------

local Index, Library, Table = {}, {}, {}
Index.__index, Library.__index, Table.__index = Index, Library, Table

local function open_handle(index)
   if index._handle == nil then error(failure("CLOSED", "the index is closed: open it again"), 0) end
   return index._handle
end

local function freed(callback)
   callback:free()
   callbacks = callbacks - 1
end

-- A plexindex_renew_token_fn, to be freed once the index is closed. It keeps the index from being collected only while it runs.
local function renewal_callback(renew_token, index)
   callbacks = callbacks + 1
   local weak = setmetatable({ index = index }, { __mode = "v" })
   return ffi.cast("plexindex_renew_token_fn", function(_, buffer)
      local asking = weak.index
      local before = asking and asking._reporting
      if asking then asking._reporting = true end
      -- What is raised must not go through C.
      local ok, token = pcall(renew_token)
      if asking then asking._reporting = before end
      if not ok then
         renewal_raised = token
      elseif token ~= nil and type(token) ~= "string" then
         renewal_raised = "renew_token must return a string or nil, not " .. type(token)
      elseif token and #token > buffer.capacity then
         renewal_raised = ("renew_token returned %d bytes: a token has %d at most"):format(#token, tonumber(buffer.capacity))
      elseif token and token:find("[%z\1-\31\127]") then
         renewal_raised = "renew_token returned a text with a NUL, a line break or another control character"
      end
      if renewal_raised or not token or token == "" then return 1 end
      ffi.copy(buffer.data, token, #token)
      buffer.length = #token
      return 0
   end)
end

-- Opens an index. The options are the fields of plexindex_options, its flags by name (`offline = true`), and
-- `mappings`, a list of `{ side = "host", from = …, to = …, pattern = false }`.
--
-- `renew_token` is a function that gives a new token, or nil for none now, when the server refuses the one that there is or it
-- expired. The call that was refused is then made again. If the function raises there is no new token, and what it raised is
-- the `cause` of the call's error. After nil, or a token that is refused, it is not called for 15 s; set_token() goes on at once.
-- It must not close the index, and what it asks that does not renew the token. Nothing ends a call meanwhile.
function plexindex.open(options)
   typed(options, "the options of open()", "table")
   local given = ffi.new("plexindex_options")
   local flags = 0
   for name, value in pairs(options) do
      if FLAGS[name] then
         if flag(value, name) then flags = bit.bor(flags, FLAGS[name]) end
      elseif name ~= "mappings" and name ~= "renew_token" then
         local ok, field = pcall(function() return given[name] end)
         if not ok or name == "size" or name == "flags" or name == "mappings_count" or name == "reserved"
            or name == "renew_token_user" then
            mistake("there is no option %s", tostring(name))
         end
         if ffi.istype("plexindex_bytes", field) then
            given[name] = { data = checked(value, name), length = #value }
         else
            given[name] = whole(value, name)
            if type(value) == "number" and tonumber(given[name]) ~= value then mistake("%s is %s: it is out of range", name, tostring(value)) end
         end
      end
   end
   local rules = options.mappings or {}
   local mappings = ffi.new("plexindex_mapping[?]", counted(rules, "mappings"))
   for at, rule in ipairs(rules) do
      local what = ("mappings[%d]"):format(at)
      for name in pairs(typed(rule, what, "table")) do
         if not MAPPING[name] then mistake("%s has no field %s", what, tostring(name)) end
      end
      checked(rule.from, what .. ".from")
      checked(rule.to, what .. ".to")
      flag(rule.pattern, what .. ".pattern")
      local kind = MAPPINGS[rule.side or "host"] or mistake("%s.side must be 'host' or 'server'", what)
      local one = mappings[at - 1]
      one.kind = kind + (rule.pattern and 1 or 0)
      one.from = { data = rule.from, length = #rule.from }
      one.to = { data = rule.to, length = #rule.to }
   end
   given.size, given.flags = ffi.sizeof("plexindex_options"), flags
   given.mappings, given.mappings_count = mappings, #rules
   local index = setmetatable({ _reporting = false }, Index)
   index._silence = tonumber(unless(given.read_timeout_ms, 0) or SILENCE)
   index._longest_step = given.deadline_ms > 0 and tonumber(given.deadline_ms) or LONGEST_STEP
   if options.renew_token ~= nil then typed(options.renew_token, "renew_token", "function") end
   local renewal = options.renew_token and renewal_callback(options.renew_token, index)
   given.renew_token = renewal
   local out = ffi.new("plexindex_handle *[1]")
   local opened, raised = pcall(call, function(failed) return C.plexindex_open(given, out, failed) end)
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
   if self._reporting then mistake("an index cannot be closed from its progress function, or while it asks for a token") end
   local handle, renewal = ffi.gc(self._handle, nil), self._renewal
   self._handle, self._renewal = nil, nil
   local closed, raised = pcall(call, function(failed) return C.plexindex_close(handle, failed) end)
   if renewal then freed(renewal) end
   if not closed then error(raised, 0) end
end

-- A library by its uuid, title or section id; without a name all of them. Sends no request: the first question to a
-- library that does not exist fails with the code "LIBRARY_NOT_FOUND".
function Index:library(name)
   local handle = open_handle(self)
   if name ~= nil and type(name) ~= "number" then checked(name, "the name of a library") end
   local selector = name and tostring(name) or ""
   local out = ffi.new("const plexindex_library_handle *[1]")
   call(function(failed)
      return C.plexindex_get_library(handle, name and c.SELECT_ANY or c.SELECT_ALL, selector, #selector, out, failed)
   end)
   return setmetatable({ _index = self, _handle = out[0] }, Library)
end

-- What match_at_once() asks with.
local AT_ONCE = { at_once = true }
local FLAGS_ASKED = { at_once = true, offline = true, full = true, check = true }
local DEADLINE = { deadline_ms = true }
local EDIT = { deadline_ms = true, lock = true }
local CHANGES = { full = true, limit = true }
local ASKED = { at_once = true, deadline_ms = true, offline = true, full = true, check = true, progress = true }

-- A call that takes a plexindex_query. `ask`: deadline_ms, offline, full, check, and progress, a function that ends the call
-- when it gives false or raises; only with that does Ctrl-C end the call. Debug hooks wait until the call is over; a count
-- hook, as of a watchdog, runs before each report, too.
local function query(index, library, text, ask, work)
   ask = named_of(ask, ASKED)
   if ask.progress ~= nil then typed(ask.progress, "progress", "function") end
   for name in pairs(FLAGS_ASKED) do flag(ask[name], name) end
   local handle = open_handle(index)
   local asked = ffi.new("plexindex_query")
   asked.size = ffi.sizeof("plexindex_query")
   asked.library = library
   if text then asked.text = { data = text, length = #text } end
   asked.deadline_ms = whole(ask.deadline_ms, "deadline_ms")
   asked.flags = bit.bor(ask.offline and c.QUERY_OFFLINE or 0, ask.full and c.QUERY_FULL or 0, ask.check and c.QUERY_PROBE or 0,
      ask.at_once and c.QUERY_AT_ONCE or 0)
   if not ask.progress then return work(handle, asked) end
   -- What is raised must not go through C: it goes on behind the call.
   local raised
   local function progress(told)
      if count_hook then count_hook("count") end
      return ask.progress {
         library = ffi.string(told.library.data, told.library.length),
         items = tonumber(told.items),
         total = tonumber(told.total),
         elapsed_ms = tonumber(told.elapsed_ms),
      }
   end
   callbacks = callbacks + 1
   local report = ffi.cast("plexindex_progress_fn", function(_, told)
      local before = index._reporting
      index._reporting = true
      local ok, go_on = pcall(progress, told)
      index._reporting = before
      if not ok then raised = { go_on } end
      return ok and go_on ~= false and not interrupted() and 0 or 1
   end)
   asked.progress = report
   local ended = { pcall(work, handle, asked) }
   freed(report)
   if raised then error(raised[1], 0) end
   if not ended[1] then error(ended[2], 0) end
   return unpack(ended, 2)
end
jit.off(query, true)

-- The answers to a question that takes a query.
local function answers(library, function_name, text, ask, ...)
   local function_ = C["plexindex_" .. function_name]
   local more = { ... }
   return query(library._index, library._handle, text, ask, function(handle, asked)
      local _, read = fill(function(out, failed)
         if more[1] then return function_(handle, asked, more[1], out, failed) end
         return function_(handle, asked, out, failed)
      end, read_block, 16384 + 4 * #text)
      return read
   end)
end
jit.off(answers, true)

-- The full answer for one path. Asks the server where that is needed.
function Library:match(path, ask)
   return answers(self, "match_path", checked(path, "a path"), ask)[1]
end

-- match() that waits for nothing: nil where it would have to, as for a library that was never fetched, and always for a file
-- below a library's folder that is not listed. Then match() the path where the program may wait; or match() it with `offline`,
-- which says NOT_FOUND at once, from the store and without a request.
function Library:match_at_once(path, more)
   if more ~= nil then mistake("match_at_once() takes a path, and no options") end
   local match = answers(self, "match_path", checked(path, "a path"), AT_ONCE)[1]
   if match.status ~= "NOT_YET" then return match end
end

-- match() for many paths in one call: an answer for each, in order.
function Library:match_paths(paths, ask)
   local with_nul = {}
   local text, count = joined(paths, "paths", with_nul)
   if count == 0 then return {} end
   local all = answers(self, "match_paths", text, ask, count)
   for _, at in ipairs(with_nul) do all[at].message = ("paths[%d] cannot hold a NUL"):format(at) end
   return all
end

-- Which show, season, artist, album or item a folder is.
function Library:folder(path, ask)
   return answers(self, "match_folder", checked(path, "a folder"), ask)[1]
end

-- The items with this GUID.
function Library:match_guid(guid, ask)
   return answers(self, "match_guid", checked(guid, "a GUID"), ask)[1]
end

-- The items with this title.
function Library:search_title(title, ask)
   return answers(self, "search_title", checked(title, "a title"), ask)[1]
end

-- The key of the item with this path, where the index has it at hand; else nil. Never waits.
function Library:lookup_key(path)
   if self._index._handle == nil then open_handle(self._index) end
   if type(path) ~= "string" then checked(path, "a path") end
   if path:find("\0", 1, true) then return nil end
   local key = C.plexindex_lookup_key(self._handle, path)
   if key ~= nil then return ffi.string(key) end
end

-- lookup_key() for many paths: a key or false for each, in order.
function Library:lookup_keys(paths)
   open_handle(self._index)
   local text, count = joined(paths, "paths", {})
   local _, keys = fill(function(out, failed)
      return C.plexindex_lookup_keys(self._handle, text, #text, count, out, failed)
   end, function(out)
      local found, at = {}, ffi.cast("const char *", out.data)
      for place = 1, count do
         local key = ffi.string(at)
         found[place] = key ~= "" and key
         at = at + #key + 1
      end
      return found
   end, 64 + 40 * count)
   return keys
end

-- Iterates over pages of items.
local function paged(index, work)
   local items, at = {}, 0
   return function()
      if at == #items then
         open_handle(index)
         local last = items[at]
         local status, page = fill(function(out, failed) return work(last, out, failed) end, read_block, PAGE * 400)
         items, at = status == statuses.OK and page[1].candidates or {}, 0
      end
      at = at + 1
      return items[at]
   end
end

-- Iterates over the items with files below a folder, in the order of their paths. Sends no request.
function Library:items_below(folder)
   checked(folder, "a folder")
   return paged(self._index, function(last, out, failed)
      local after = last and last.path
      return C.plexindex_list_items_below(self._handle, folder, #folder, after, after and #after or 0, PAGE, out, failed)
   end)
end

-- Iterates over the items of the library as the store has them. Sends no request.
function Library:items()
   local cursor = ffi.new("int64_t[1]")
   return paged(self._index, function(_, out, failed)
      return C.plexindex_list_items(self._handle, cursor, PAGE, out, failed)
   end)
end

local function read_bytes(buffer) return ffi.string(buffer.data, buffer.length) end

-- JSON, as text: decode it with the library of your choice. nil when there is none.
local function json(index, work)
   local handle = open_handle(index)
   local status, read = fill(function(out, failed) return work(handle, out, failed) end, read_bytes)
   if status == statuses.OK then return read end
end

-- One item with all its files and ids, as JSON; nil when no listing holds it.
function Library:item_json(key)
   checked(key, "a key")
   return json(self._index, function(_, out, failed)
      return C.plexindex_get_item_json(self._handle, key, #key, out, failed)
   end)
end

-- Brings the library up to date. false when the deadline came first: the next call goes on behind the server's last answer.
-- Before the first one, which names the libraries, that is the code "TIMEOUT".
function Library:refresh(ask)
   return query(self._index, self._handle, nil, ask, function(handle, asked)
      return call(function(failed) return C.plexindex_refresh(handle, asked, failed) end) == statuses.OK
   end)
end
jit.off(Library.refresh, true)

-- refresh() in steps, for a program that must not wait long, such as a script with a timer: true once the library is up to
-- date; else false, then call it again. A step blocks for half a second at most. After a step without an answer of the server
-- the next takes twice as long, since a request begins anew in each; 2 s at most, or `deadline_ms` of open(), which holds for the
-- first step, too. Once the server was silent for 15 s in all, or for `read_timeout_ms` of open(), the error TIMEOUT is raised;
-- the next call begins anew. Other errors are raised at once.
function Library:refresh_step()
   local longest = self._index._longest_step
   local state = self._steps or { step = math.min(STEP, longest), silent = 0, items = -1 }
   self._steps = nil
   -- -1 until the server has named its libraries.
   local items = -1
   local ok, done = pcall(self.refresh, self, { deadline_ms = state.step, progress = function(progress)
      items = math.max(items, progress.items)
   end })
   if not ok and not (getmetatable(done) == Error and done.code == "TIMEOUT") then error(done, 0) end
   if done == true then return true end
   items = ok and math.max(items, 0) or -1
   if items > state.items then
      state.items, state.silent = items, 0
   else
      state.silent, state.step = state.silent + state.step, 2 * state.step
      local left = self._index._silence - state.silent
      if left <= 0 then
         error(failure("TIMEOUT", ("the server has been silent for %g s, in steps of up to %g s: try again later, give open() a longer"
            .. " read_timeout_ms or deadline_ms, or call refresh()"):format(state.silent / 1000, longest / 1000), statuses.TIMEOUT), 0)
      end
      state.step = math.min(state.step, left, longest)
   end
   self._steps = state
   return false
end
jit.off(Library.refresh_step, true)

local CHANGE = '{"change":%s,"library":%s,"section":%s,"path":%s,"from":%s,"from_key":%s,"item":%s}'

-- A text as JSON; null for an empty one.
local function quoted(text)
   return text == "" and "null" or '"' .. text:gsub('[%c"\\]', function(c) return ("\\u%04x"):format(c:byte()) end) .. '"'
end

-- What was added, removed, changed and moved since a cursor, in the order in which the index learned it, as JSON with
-- `changes`, `cursor` and `more`. Without a cursor no changes, and the cursor of now; with `ask.full` all items come first.
-- Sends no request. The code "LIST_AGAIN" says to begin anew with `full`.
function Library:changes_json(cursor, ask)
   ask = named_of(ask, CHANGES)
   if cursor ~= nil then checked(cursor, "a cursor") end
   local limit = whole(ask.limit == nil and PAGE or ask.limit, "limit", 1)
   return query(self._index, self._handle, cursor, { full = ask.full }, function(handle, asked)
      local _, read = fill(function(out, failed)
         return C.plexindex_list_changes(handle, asked, limit, out, failed)
      end, read_bytes)
      local changes, next_, more, texts = {}, read:match("^(%Z*)%z(%Z*)%z(.*)$")
      for change, title, section, path, from, _, from_key, item in texts:gmatch(("(%Z*)%z"):rep(8)) do
         changes[#changes + 1] = CHANGE:format(quoted(change), quoted(title), quoted(section), quoted(path), quoted(from),
            quoted(from_key), item == "" and "null" or item)
      end
      return ('{"changes":[%s],"cursor":"%s","more":%s}'):format(table.concat(changes, ","), next_, tostring(more ~= ""))
   end)
end
jit.off(Library.changes_json, true)

-- Waits until changes_json() has something since the cursor, or until refresh() has to ask the server before that is
-- known. false when the deadline came first; `ask.progress` ends it by false.
function Library:wait_for_changes(cursor, ask)
   return query(self._index, self._handle, checked(cursor, "a cursor"), ask, function(handle, asked)
      return call(function(failed) return C.plexindex_wait_for_changes(handle, asked, failed) end) == statuses.OK
   end)
end
jit.off(Library.wait_for_changes, true)

-- A call that gives nothing back.
local function tell(index, work)
   local handle = open_handle(index)
   call(function(failed) return work(handle, failed) end)
end

-- Records that the item with this key has this path. The server is asked only for a library that the store does not know
-- yet: the code "TIMEOUT" says that `ask.deadline_ms` passed first, and nothing is recorded.
function Library:record_match(path, key, ask)
   checked(path, "a path")
   checked(key, "a key")
   local within = whole(named_of(ask, DEADLINE).deadline_ms, "deadline_ms")
   tell(self._index, function(_, failed)
      return C.plexindex_record_match(self._handle, path, #path, key, #key, within, failed)
   end)
end

-- record_match() for many pairs of a path and a key: all, or none.
function Library:record_matches(pairs_, ask)
   local all_paths, all_keys = {}, {}
   local within = whole(named_of(ask, DEADLINE).deadline_ms, "deadline_ms")
   for at = 1, counted(pairs_, "pairs") do
      local pair = typed(pairs_[at], ("pairs[%d]"):format(at), "table")
      all_paths[at], all_keys[at] = checked(pair[1], "the path of a pair"), checked(pair[2], "the key of a pair")
   end
   local paths, count = joined(all_paths, "paths")
   local keys = joined(all_keys, "keys")
   tell(self._index, function(_, failed)
      return C.plexindex_record_matches(self._handle, paths, #paths, keys, #keys, count, 0, within, failed)
   end)
end

-- Invalidates a path.
function Library:invalidate_path(path)
   checked(path, "a path")
   tell(self._index, function(_, failed) return C.plexindex_invalidate_path(self._handle, path, #path, failed) end)
end

-- Invalidates an item by its key or rating key.
function Library:invalidate_item(key)
   checked(key, "a key")
   tell(self._index, function(_, failed) return C.plexindex_invalidate_item(self._handle, key, #key, failed) end)
end

-- Invalidates the library.
function Library:invalidate()
   tell(self._index, function(_, failed) return C.plexindex_invalidate_library(self._handle, failed) end)
end

-- Gives many items the same values, as Plex names them: `{ title = "A", ["genre+"] = "Drama" }`. A table says how far it
-- came, and is the `report` of an error. `ask`: deadline_ms, and lock: "lock", "unlock" or "leave".
function Library:edit_items(keys, changes, ask)
   ask = named_of(ask, EDIT)
   local lock = ask.lock == nil and "lock" or ask.lock
   if lock ~= "lock" and lock ~= "unlock" and lock ~= "leave" then mistake("lock must be 'lock', 'unlock' or 'leave'") end
   local within = whole(ask.deadline_ms, "deadline_ms")
   local items, items_count = joined(keys, "keys")
   local values = {}
   for name, value in pairs(typed(changes, "changes", "table")) do
      checked(value, "changes." .. tostring(name))
      values[#values + 1] = name
      values[#values + 1] = value
   end
   local named, named_count = joined(values, "changes")
   local states = ffi.new("uint8_t[?]", items_count)
   local report = ffi.new("plexindex_edit_report", { size = ffi.sizeof("plexindex_edit_report"), states = states,
      states_capacity = items_count })
   local edit = ffi.new("plexindex_edit", { size = ffi.sizeof("plexindex_edit"), library = self._handle,
      keys = { data = items, length = #items }, keys_count = items_count,
      changes = { data = named, length = #named }, changes_count = named_count / 2,
      deadline_ms = within, lock = c["EDIT_" .. lock:upper()] })
   local ok, raised = pcall(tell, self._index, function(_, failed)
      return C.plexindex_edit_items(edit, report, failed)
   end)
   local told = { done = tonumber(report.done), failed = tonumber(report.failed),
      requests = tonumber(report.requests), states = {} }
   for at = 1, items_count do told.states[at] = EDITED[states[at - 1]] or "unknown" end
   if ok then return told end
   if getmetatable(raised) == Error then raised.report = told end
   error(raised, 0)
end
jit.off(Library.edit_items, true)

-- Statistics as a table: counts by name, `answers` by match kind, `requests` by kind, `last_failure` as text or nil.
function Index:stats()
   local handle = open_handle(self)
   local filled = ffi.new("plexindex_stats")
   filled.size = ffi.sizeof("plexindex_stats")
   call(function(failed) return C.plexindex_get_stats(handle, filled, failed) end)
   local counts = {}
   for _, name in ipairs(abi.structs.plexindex_stats) do
      if name ~= "size" then counts[name] = tonumber(filled[name]) end -- nil for an array
   end
   counts.last_failure = unless(ffi.string(filled.last_failure), "")
   counts.answers, counts.requests = {}, {}
   for number, word in pairs(MATCH_KINDS) do counts.answers[word] = tonumber(filled.answers[number]) end
   for number, word in pairs(REQUESTS) do counts.requests[word] = tonumber(filled.requests[number]) end
   return counts
end

-- The kind of place that the store is in, as JSON.
function Index:store_json() return json(self, C.plexindex_get_store_json) end

-- Mappings that seem to be missing, as JSON; with paths those that would have these listed.
function Index:proposals_json(paths)
   local text, count = joined(paths or {}, "paths")
   return json(self, function(handle, out, failed)
      return C.plexindex_propose_mappings_json(handle, text, #text, count, out, failed)
   end)
end

local function asked_json(index, ask, function_)
   return query(index, nil, nil, ask, function(handle, asked)
      local _, read = fill(function(out, failed) return function_(handle, asked, out, failed) end, read_bytes)
      return read
   end)
end
jit.off(asked_json, true)

-- The libraries that are known, as JSON.
function Index:libraries_json(ask) return asked_json(self, ask, C.plexindex_list_libraries_json) end

-- Asks the server who it is and which libraries it shows; as JSON.
function Index:server_json(ask) return asked_json(self, ask, C.plexindex_check_server_json) end

-- Begins to listen to the server's events.
function Index:watch_start() tell(self, C.plexindex_watch_start) end

-- Ends what watch_start() began.
function Index:watch_stop() tell(self, C.plexindex_watch_stop) end

-- Tells the index of an event that the host received, such as a webhook.
function Index:notify(body)
   checked(body, "a body")
   tell(self, function(handle, failed) return C.plexindex_notify(handle, body, #body, failed) end)
end

-- Replaces the token; nil is none. Sends no request. Without the option `user` nothing of the earlier token's is answered before
-- the server has accepted this one. After a call that fails with UNAUTHORIZED (401, or 498: the token expired), set a new one
-- and call again.
function Index:set_token(token)
   token = checked(token or "", "a token")
   tell(self, function(handle, failed) return C.plexindex_set_token(handle, token, #token, failed) end)
end

-- Invalidates all libraries.
function Index:invalidate_all() self:library():invalidate() end

-- Removes all that the store holds of this server and user.
function Index:clear() tell(self, C.plexindex_clear) end

-- --- Tables --------------------------------------------------------------------------------------------------------

-- A table of the host's own values. With fold_ascii `A` to `Z` in names of entries count as `a` to `z`.
function Index:table(name, fold_ascii)
   checked(name, "a table's name")
   flag(fold_ascii, "fold_ascii")
   local out = ffi.new("const plexindex_table_handle *[1]")
   tell(self, function(handle, failed)
      return C.plexindex_get_table(handle, name, #name, fold_ascii and c.TABLE_FOLD_ASCII or 0, out, failed)
   end)
   return setmetatable({ _index = self, _handle = out[0] }, Table)
end

-- The value of this name, where the index has it at hand; else nil. Never waits.
function Table:lookup(name)
   if self._index._handle == nil then open_handle(self._index) end
   if type(name) ~= "string" then checked(name, "a name") end
   if name:find("\0", 1, true) then return nil end
   local value = ffi.new("const char *[1]")
   if C.plexindex_table_lookup(self._handle, name, value) == 0 then return ffi.string(value[0]) end
end

-- The value of this name; nil when there is none.
function Table:get(name)
   checked(name, "a name")
   return json(self._index, function(_, out, failed)
      return C.plexindex_table_get(self._handle, name, #name, out, failed)
   end)
end

-- Stores a value. `ttl_ms`: 0 is one hour, -2 never. `limit`: how many bytes all tables may take, 0 any number.
function Table:put(name, value, ttl_ms, limit)
   checked(name, "a name")
   checked(value, "a value")
   ttl_ms, limit = whole(ttl_ms, "ttl_ms"), whole(limit == nil and 100000000 or limit, "limit", 0)
   tell(self._index, function(_, failed)
      return C.plexindex_table_put(self._handle, name, #name, value, #value, ttl_ms, limit, failed)
   end)
end

-- Removes an entry.
function Table:remove(name)
   checked(name, "a name")
   tell(self._index, function(_, failed) return C.plexindex_table_remove(self._handle, name, #name, failed) end)
end

-- Iterates over the names of its entries, in the order of their bytes.
function Table:names()
   local after
   return function()
      after = json(self._index, function(_, out, failed)
         return C.plexindex_table_get_next(self._handle, after, after and #after or 0, out, failed)
      end)
      return after
   end
end

-- How many entries it has.
function Table:count()
   local out = ffi.new("uint64_t[1]")
   tell(self._index, function(_, failed) return C.plexindex_table_count(self._handle, out, failed) end)
   return tonumber(out[0])
end

-- Removes all entries.
function Table:clear()
   tell(self._index, function(_, failed) return C.plexindex_table_clear(self._handle, failed) end)
end

-- A method that is called with a dot instead of a colon has no object.
for class, name in pairs { [Index] = "index", [Library] = "library", [Table] = "table" } do
   for method, work in pairs(class) do
      if type(work) == "function" then
         class[method] = function(self, a, b, d, e)
            if getmetatable(self) ~= class then mistake("%s() is called with a colon: %s:%s(…)", method, name, method) end
            return work(self, a, b, d, e)
         end
      end
   end
end

function Index.__tostring(index) return ("plexindex.Index (%s)"):format(index._handle == nil and "closed" or "open") end
function Library.__tostring(library) return "plexindex.Library of " .. tostring(library._index) end
function Table.__tostring(table) return "plexindex.Table of " .. tostring(table._index) end

-- --- Functions of the module ---------------------------------------------------------------------------------------

-- How a path compares with each of others: `{ equal, under, common }`, common being components from the end.
function plexindex.compare_paths(path, others)
   checked(path, "a path")
   local list, count = joined(others, "others")
   local relations = ffi.new("uint32_t[?]", count)
   call(function(failed) return C.plexindex_compare_paths(path, #path, list, #list, count, relations, failed) end)
   local found = {}
   for at = 1, count do
      local number = relations[at - 1]
      found[at] = {
         equal = bit.band(number, c.PATHS_EQUAL) ~= 0,
         under = bit.band(number, c.PATHS_UNDER) ~= 0,
         common = bit.band(number, c.PATHS_COMMON),
      }
   end
   return found
end

-- The log lines that wait, oldest first: `{ level, message }`. The ring holds 256 for the whole process.
function plexindex.drain_log()
   local lines = {}
   callbacks = callbacks + 1
   local receive = ffi.cast("plexindex_log_fn", function(_, level, message, length)
      lines[#lines + 1] = { level = LEVELS[level] or "unknown", message = ffi.string(message, length) }
   end)
   local ok, raised = pcall(call, function(failed) return C.plexindex_drain_log(receive, nil, failed) end)
   freed(receive)
   if not ok then error(raised, 0) end
   return lines
end
jit.off(plexindex.drain_log, true)

-- The version of the library.
function plexindex.version() return ffi.string(C.plexindex_get_version()) end

return plexindex
