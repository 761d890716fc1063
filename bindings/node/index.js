'use strict';
// index.d.ts describes each function.

const check = require('./arguments.js');
const { MATCH_KINDS, camelCase, camelNames, encode, decode, readBlock } = require('./answers.js');
const { inTurn, call, fill, callNow } = require('./calls.js');
const { abi, constants: c, statuses, words, structs, callbacks, load, koffi } = require('./native.js');

const { PlexindexError } = check;
const REQUESTS = words('REQUEST_');
const LEVELS = words('LOG_');
const LIMITS = ['timeoutMs', 'progress', 'signal'];
const QUERY = [...LIMITS, 'offline', 'check'];
const MATCH = [...QUERY, 'size'];

const bytesOf = (bytes) => ({ data: bytes, length: bytes.length });
/** Returns a deadline for the library, for which 0 is the default. */
const nativeTimeout = (ms) => (ms === undefined ? 0 : check.integer(ms, 'timeoutMs') || 1);

/** Reads a plexindex_progress. */
function readProgress(pointer) {
  const { library: title, items, total, elapsed_ms: elapsedMs } = koffi.decode(pointer, structs.plexindex_progress);
  const library = title.length > 0 ? koffi.decode(title.data, koffi.array('char', title.length, 'String')) : '';
  return { library, items, total, elapsedMs };
}

class Index {
  #handle;
  #calls = new Set();
  #closing = null;

  /** Made by open(). */
  constructor(handle) {
    this.#handle = handle;
  }

  close() {
    this.#closing ??= (async () => {
      await null; // now #closing is set, and no call begins
      await Promise.allSettled(this.#calls);
      await inTurn(() => call('close', this.#handle));
    })();
    return this.#closing;
  }

  _checkOpen() {
    if (this.#closing) throw new PlexindexError('CLOSED', 'the index is closed; open it again');
  }

  /** Runs work that calls the library with the handle. close() waits for it. */
  async _run(work) {
    this._checkOpen();
    const promise = inTurn(() => {
      this._checkOpen(); // the turn may have come late
      return work(this.#handle);
    });
    this.#calls.add(promise);
    try {
      return await promise;
    } finally {
      this.#calls.delete(promise);
    }
  }

  #call(name, ...args) {
    return this._run((handle) => call(name, handle, ...args));
  }

  /** Makes a call that may wait. `work` gets the handle, and the fields of a struct of limits. */
  _wait({ timeoutMs, progress, signal }, work) {
    const limits = { timeout_ms: nativeTimeout(timeoutMs) };
    let thrown = null;
    const report = (_, pointer) => {
      try {
        if (this.#closing || signal?.aborted || thrown) return 1;
        return progress?.(readProgress(pointer)) === false ? 1 : 0;
      } catch (error) {
        thrown = { error };
        return 1;
      }
    };
    return this._run(async (handle) => {
      signal?.throwIfAborted();
      limits.progress = koffi.register(report, callbacks.plexindex_progress_fn);
      try {
        const result = await work(handle, limits);
        if (thrown) throw thrown.error; // by the last report
        return result;
      } catch (error) {
        if (thrown) throw thrown.error;
        signal?.throwIfAborted();
        this._checkOpen();
        throw error;
      } finally {
        koffi.unregister(limits.progress);
      }
    });
  }

  async call(method, request = {}, options = undefined) {
    const [name, json, out] = [check.string(method, 'method'), encode(request), [null]];
    return this._wait(check.options(options, LIMITS), async (handle, limits) => {
      limits.size = koffi.sizeof(structs.plexindex_call_options);
      await call('call', handle, name, json, json.length, limits, out);
      return decode(out[0]);
    });
  }

  library(name = null) {
    this._checkOpen();
    const title = typeof name === 'number' ? String(name) : check.text(name ?? '', 'name').toString();
    const [kind, out] = [name === null ? c.SELECT_ALL : c.SELECT_ANY, [null]];
    callNow('get_library', this.#handle, kind, ...check.sized(title), out);
    return new Library(this, out[0]);
  }

  table(name, options) {
    this._checkOpen();
    const { foldAscii } = check.options(options, ['foldAscii']);
    const out = [null];
    callNow('get_table', this.#handle, ...check.sized(name, 'name'), foldAscii ? c.TABLE_FOLD_ASCII : 0, out);
    return new Table(this, out[0]);
  }

  async stats() {
    const filled = { size: koffi.sizeof(structs.plexindex_stats) };
    await this.#call('get_stats', filled);
    const { size, answers, requests, lastFailure, ...counts } = camelNames(filled);
    const byWord = (all, names) => Object.fromEntries(names.map((name, place) => [name, all[place]]));
    const named = { answers: byWord(answers, MATCH_KINDS), requests: byWord(requests, REQUESTS) };
    return { ...counts, ...named, lastFailure: lastFailure || null };
  }

  async notify(body) {
    await this.#call('notify', ...check.sized(body, 'body'));
  }

  async setToken(token) {
    if (token === undefined) check.refuse('token', 'a string, a Buffer or null', token);
    await this.#call('set_token', ...check.sized(token ?? '', 'token'));
  }

  async clear() {
    await this.#call('clear');
  }
}

/** A library or table of an index. */
class IndexPart {
  constructor(index, handle) {
    Object.defineProperties(this, { _index: { value: index }, _handle: { value: handle } });
  }

  _call(name, ...args) {
    return this._index._run(() => call(name, this._handle, ...args));
  }
}

class Library extends IndexPart {
  /** Calls a function that takes a plexindex_query. */
  #ask(text, { offline, check: probe, size, ...limits }, flags, work) {
    return this._index._wait(limits, (handle, query) => {
      Object.assign(query, { size: koffi.sizeof(structs.plexindex_query), library: this._handle, text: bytesOf(text) });
      query.flags = flags | (offline ? c.QUERY_OFFLINE : 0) | (probe ? c.QUERY_PROBE : 0);
      query.flags |= size === false ? c.QUERY_NO_SIZE : 0;
      query.file_size = size || 0;
      return work(handle, query);
    });
  }

  #match(name, text, options, ...count) {
    const given = check.options(options, MATCH);
    if (given.size !== undefined && given.size !== false && !(check.integer(given.size, 'size') > 0)) {
      check.refuse('size', 'a number of bytes or false', given.size);
    }
    return this.#ask(text, given, c.QUERY_FILE, async (handle, query) => {
      const ask = (buffer) => call(name, handle, query, ...count, buffer);
      const [, block] = await fill(16384 + text.length * 4, ask);
      return readBlock(block);
    });
  }

  async match(path, options) {
    return (await this.#match('match_path', check.text(path, 'path'), options))[0];
  }

  async matchPaths(paths, options) {
    const [text, , count] = check.joined(paths, 'paths');
    return count === 0 ? [] : this.#match('match_paths', text, options, count);
  }

  lookupKey(path) {
    this._index._checkOpen();
    if (typeof path === 'string') return check.isInC(path) ? load().lookup_key(this._handle, path) : null;
    const bytes = check.text(path, 'path');
    return bytes.includes(0) ? null : this.lookupKeys([bytes])[0];
  }

  lookupKeys(paths) {
    this._index._checkOpen();
    const [bytes, length, count] = check.joined(paths, 'paths');
    const ask = (buffer) => callNow('lookup_keys', this._handle, bytes, length, count, buffer);
    const [, keys] = fill(64 + count * 40, ask);
    return Array.from(keys.toString().split('\0', count), (key) => key || null);
  }

  async refresh(options) {
    const { full, ...given } = check.options(options, [...QUERY, 'full']);
    const flags = full ? c.QUERY_FULL : 0;
    const status = await this.#ask(Buffer.alloc(0), given, flags, (handle, query) => call('refresh', handle, query));
    return status === statuses.OK;
  }

  async recordMatch(path, key, options) {
    const { timeoutMs } = check.options(options, ['timeoutMs']);
    const texts = [...check.sized(path, 'path'), ...check.sized(key, 'key')];
    await this._call('record_match', ...texts, nativeTimeout(timeoutMs));
  }

  async recordMatches(pairs, options) {
    const { timeoutMs } = check.options(options, ['timeoutMs']);
    const all = check.list(pairs, 'pairs', check.list);
    const [allPaths, allKeys] = [0, 1].map((place) => all.map((pair) => pair[place]));
    const [paths, pathsLength, count] = check.joined(allPaths, 'paths of pairs');
    const [keys, keysLength] = check.joined(allKeys, 'keys of pairs');
    const deadline = nativeTimeout(timeoutMs);
    await this._call('record_matches', paths, pathsLength, keys, keysLength, count, 0, deadline);
  }

  async invalidatePath(path) {
    await this._call('invalidate_path', ...check.sized(path, 'path'));
  }

  async invalidateItem(key) {
    await this._call('invalidate_item', ...check.sized(key, 'key'));
  }

  async invalidate() {
    await this._call('invalidate_library');
  }
}

class Table extends IndexPart {
  lookup(name) {
    this._index._checkOpen();
    const value = [null];
    if (check.isInC(check.string(name, 'name'))) load().table_lookup(this._handle, name, value);
    // In a value that is not text, koffi replaces bytes by this character.
    return value[0]?.includes('\uFFFD') ? null : value[0];
  }

  /** Makes a call that fills memory, and returns the bytes; null if there is none. */
  #read(name, ...args) {
    return this._index._run(async () => {
      const [status, bytes] = await fill(1024, (buffer) => call(name, this._handle, ...args, buffer));
      return status === statuses.OK ? bytes : null;
    });
  }

  async get(name) {
    return this.#read('table_get', ...check.sized(name, 'name'));
  }

  async put(name, value, options) {
    const { ttlMs = 0, limit = 0 } = check.options(options, ['ttlMs', 'limit']);
    const numbers = [check.integer(ttlMs, 'ttlMs'), check.integer(limit, 'limit', 'uint64_t')];
    await this._call('table_put', ...check.sized(name, 'name'), ...check.sized(value, 'value'), ...numbers);
  }

  async remove(name) {
    await this._call('table_remove', ...check.sized(name, 'name'));
  }

  async *names() {
    let name = await this.#read('table_get_next', null, 0);
    for (; name !== null; name = await this.#read('table_get_next', ...check.sized(name))) yield name;
  }
}

// Options of open() are fields of plexindex_options, and flags.
const OPTION_FIELDS = Object.fromEntries(
  abi.structs.plexindex_options.fields
    .filter(({ name, type }) => ['plexindex_bytes', 'int64_t', 'uint64_t'].includes(type) || name === 'page_size')
    .map((field) => [camelCase(field.name), field]),
);
const OPTION_FLAGS = Object.fromEntries(
  Object.entries(c)
    .filter(([name]) => name.startsWith('OPEN_'))
    .map(([name, bit]) => [camelCase(name.slice('OPEN_'.length).toLowerCase()), bit]),
);
const OPTIONS = [...Object.keys(OPTION_FIELDS), ...Object.keys(OPTION_FLAGS), 'logLevel', 'mappings'];

function nativeMapping(rule, name) {
  const { side = 'host', from, to, pattern } = check.options(rule ?? null, ['side', 'from', 'to', 'pattern'], name);
  const kind = c[`MAPPING_${side}_${pattern ? 'PATTERN' : 'PREFIX'}`.toUpperCase()];
  if (kind === undefined) check.refuse(`${name}.side`, "'host' or 'server'", side);
  return { kind, from: bytesOf(check.text(from, `${name}.from`)), to: bytesOf(check.text(to, `${name}.to`)) };
}

async function open(options) {
  const given = check.options(options ?? null, OPTIONS);
  check.path(given.cacheDir, 'cacheDir');
  const native = { size: koffi.sizeof(structs.plexindex_options), flags: 0 };
  for (const [option, value] of Object.entries(given)) {
    const field = OPTION_FIELDS[option];
    if (field?.type === 'plexindex_bytes') native[field.name] = bytesOf(check.text(value, option));
    else if (field) native[field.name] = check.integer(value, option, field.type);
    else if (value) native.flags |= OPTION_FLAGS[option] ?? 0;
  }
  if (given.logLevel !== undefined) {
    native.log_level = c[`LOG_${given.logLevel}`.toUpperCase()];
    if (native.log_level === undefined)
      check.refuse('logLevel', 'one of error, warn, info, debug, off', given.logLevel);
  }
  native.mappings = check.list(given.mappings ?? [], 'mappings', nativeMapping);
  native.mappings_count = native.mappings.length;
  const out = [null];
  await inTurn(() => call('open', native, out));
  return new Index(out[0]);
}

function drainLog() {
  const lines = [];
  const receive = koffi.register((_, level, message) => {
    lines.push({ level: LEVELS[level] ?? 'unknown', message });
  }, callbacks.plexindex_log_fn);
  try {
    callNow('drain_log', receive, null);
  } finally {
    koffi.unregister(receive);
  }
  return lines;
}

function version() {
  return load().get_version();
}

module.exports = { open, drainLog, version, PlexindexError };
