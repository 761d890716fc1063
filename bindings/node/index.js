'use strict';
// index.d.ts describes each function.

const { isMainThread } = require('node:worker_threads');
const check = require('./arguments.js');
const {
  NAMES, closedError, nativeDeadline, call, callNow, fill, ask, endCalls, renewals, addRenewal,
} = require('./calls.js');
const { constants: c, statuses, words, layout, callbacks, load, Struct, Room, koffi } = require('./native.js');

const { PlexindexError } = check;
const MATCH_KINDS = words('MATCH_');
const CONFIDENCES = words('CONFIDENCE_');
const REASONS = words('REASON_');
const REQUESTS = words('REQUEST_');
const KINDS = words('KIND_');
const LEVELS = words('LOG_');
// Methods that never wait for a server.
const LOCAL = /^(items|mappings|paths|store|tables|versions|walk|watch)\b|^changes\.list$/;

const DEADLINE = { deadlineMs: check.integer(-1) };
const LIMITS = { ...DEADLINE, progress: check.callback, signal: check.signal };
const ASK = { ...LIMITS, offline: check.flag };

// --- Answers -------------------------------------------------------------------------------------------------------

const camel = (name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());

/** A request as JSON. Bytes are in Base64. */
function encode(request) {
  return Buffer.from(JSON.stringify(request, function value(name, given) {
    // A Buffer makes JSON of its own.
    const bytes = this[name];
    return bytes instanceof Uint8Array ? { bytes: Buffer.from(bytes).toString('base64') } : given;
  }));
}

/** A value of an answer: bytes of Base64. */
const plainNames = (_, value) => (typeof value?.bytes === 'string' ? Buffer.from(value.bytes, 'base64') : value);

/** The same, with names in camel case. */
function camelNames(name, given) {
  const value = plainNames(name, given);
  if (value === null || typeof value !== 'object' || Array.isArray(value) || Buffer.isBuffer(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [camel(key), one]));
}

const isFinal = ({ status, stale }) => !stale && ['OK', 'NOT_FOUND', 'AMBIGUOUS'].includes(status);

const ANSWERS = layout('answers').fields;
const ANSWER = layout('answer').fields;
const ITEM = layout('item').fields;

function textAt(block, at) {
  const offset = block.readUInt32LE(at);
  return offset === 0 ? undefined : block.subarray(offset, offset + block.readUInt32LE(at + 4));
}

/** The values that are known. */
const known = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));

function readItem(block, at) {
  const item = {};
  for (const { name, type, offset } of Object.values(ITEM)) {
    if (type === 'plexindex_text') item[camel(name)] = textAt(block, at + offset)?.toString();
  }
  const { libraryTitle: library, ...texts } = item;
  const number = (name, none) => {
    const value = block.readInt32LE(at + ITEM[name].offset);
    return value === none ? undefined : value;
  };
  const isBytes = block.readUInt32LE(at + ITEM.flags.offset) & c.ITEM_PATH_NOT_UTF8;
  if (isBytes) texts.path = Buffer.from(textAt(block, at + ITEM.path.offset));
  const [season, episode] = [number('season', -1), number('episode', -1)];
  return known({ ...texts, library, kind: KINDS[number('kind')] ?? 'other', year: number('year', 0), season, episode });
}

function readBlock(block) {
  const step = block.readUInt32LE(ANSWERS.answer_size.offset);
  const itemStep = block.readUInt32LE(ANSWERS.item_size.offset);
  const first = block.readUInt32LE(ANSWERS.first.offset);
  return Array.from({ length: block.readUInt32LE(ANSWERS.count.offset) }, (_, number) => {
    const at = first + number * step;
    const u32 = (name) => block.readUInt32LE(at + ANSWER[name].offset);
    // 0 is none.
    const word = (all, name) => all[block.readUInt8(at + ANSWER[name].offset) || NaN];
    const age = Number(block.readBigInt64LE(at + ANSWER.age_ms.offset));
    const length = u32('candidates_count');
    const candidates = Array.from({ length }, (_, n) => readItem(block, u32('candidates') + n * itemStep));
    return answered(block.readInt32LE(at + ANSWER.status.offset), known({
      matchKind: word(MATCH_KINDS, 'match_kind'),
      confidence: word(CONFIDENCES, 'confidence'),
      reason: word(REASONS, 'reason'),
      candidates,
      total: u32('candidates_total'),
      message: textAt(block, at + ANSWER.message.offset)?.toString(),
      stale: (block.readUInt8(at + ANSWER.flags.offset) & c.ANSWER_STALE) !== 0,
      ageMs: age === -1 ? undefined : age,
    }));
  });
}

/** An answer with the name of its status, and the item if there is a single one. */
function answered(status, answer) {
  return { ...answer, status: NAMES[status] ?? 'UNKNOWN', item: status === statuses.OK ? answer.candidates[0] : null };
}

// --- The index -----------------------------------------------------------------------------------------------------

// The indexes of this thread that are open: their handles, and how many calls use each.
const opened = new Set();

// An index that is collected without close() is closed then: calls in flight keep it.
const collected = new FinalizationRegistry((owned) => {
  opened.delete(owned);
  load().close(owned.handle, null);
  renewals.delete(owned.renewal);
});

// A worker thread ends without the process: an index that it left open would keep the folder locked. One with calls in
// flight stays open, as these wait for a loop that has ended.
if (!isMainThread) {
  process.on('exit', () => {
    for (const { handle, flying } of opened) if (flying === 0) load().close(handle, null);
    opened.clear();
  });
}

/** Sets properties that are not shown: of no use to callers. */
function hide(object, values) {
  for (const [name, value] of Object.entries(values)) {
    Object.defineProperty(object, name, { value, writable: true, enumerable: false });
  }
}

class Index {
  /** Made by open(). */
  constructor(handle, renewal, options) {
    check.made(handle);
    const { deadlineMs, offline } = options;
    const owned = { handle, renewal, flying: 0 };
    hide(this, { _handle: handle, _owned: owned, _idle: null, _closing: null });
    hide(this, { _deadlineMs: nativeDeadline(deadlineMs), _offline: offline === true });
    opened.add(owned);
    collected.register(this, owned, this);
  }

  close() {
    this._closing ??= this._close();
    return this._closing;
  }

  async _close() {
    // From here on _closing is set, and no call begins.
    await null;
    endCalls(this);
    if (this._owned.flying > 0) await new Promise((resolve) => { this._idle = resolve; });
    collected.unregister(this);
    opened.delete(this._owned);
    this._handle = null;
    await call('close', [this._owned.handle]);
    renewals.delete(this._owned.renewal);
  }

  _checkOpen() {
    if (this._closing) throw closedError();
  }

  /** Work that close() waits for. */
  async _during(work) {
    this._checkOpen();
    this._owned.flying += 1;
    try {
      return await work();
    } catch (error) {
      // Why there was no new token.
      const raised = error?.code === 'UNAUTHORIZED' && renewals.get(this._owned.renewal)?.raised;
      if (raised) error.cause = raised.error;
      throw error;
    } finally {
      this._owned.flying -= 1;
      if (this._owned.flying === 0) this._idle?.();
    }
  }

  _call(name, ...given) {
    return this._during(() => call(name, given));
  }

  _fill(name, given, reserve) {
    return this._during(() => fill(name, given, reserve));
  }

  /** Records matches. */
  async _record(name, given, options) {
    const mayWait = !this._offline;
    await ask(this, check.options(options, DEADLINE), { mayWait }, (ms) => call(name, [...given, ms]));
  }

  async _method(method, fields, options, names) {
    const [json, limits, out] = [encode(fields), new Struct('call_options'), [null]];
    const mayWait = method === 'changes.wait' || !(this._offline || fields?.offline || LOCAL.test(method));
    const found = ({ status, answer }) => isFinal({ status: NAMES[status], stale: answer.stale });
    return ask(this, options, { mayWait, limits, isFinal: method.startsWith('match.') && found }, async (ms, atOnce) => {
      limits.set('deadline_ms', ms);
      const given = atOnce ? encode({ ...fields, offline: true }) : json;
      try {
        const status = await call('call', [this._handle, method, given, given.length, limits.memory, out]);
        return { status, answer: JSON.parse(out[0], names) };
      } catch (error) {
        if (out[0]) error.report = JSON.parse(out[0], names);
        throw error;
      }
    });
  }

  /** The status and the answer of a method, which knows what is among the options. */
  _known(method, fields, options) {
    const { offline, ...limits } = check.options(options, ASK);
    return this._method(method, { ...fields, offline }, limits, camelNames);
  }

  async call(method, fields = {}, options = undefined) {
    check.string(method, 'method');
    return (await this._method(method, fields, check.options(options, LIMITS), plainNames)).answer;
  }

  library(name = null) {
    this._checkOpen();
    const title = typeof name === 'number' ? String(name) : check.text(name ?? '', 'name').toString();
    const out = Buffer.alloc(8);
    callNow('get_library', [this._handle, name === null ? c.SELECT_ALL : c.SELECT_ANY, ...check.sized(title), out]);
    return new Library(this, out.readBigUInt64LE(), name === null ? undefined : title);
  }

  table(name, options) {
    this._checkOpen();
    const { foldAscii } = check.options(options, { foldAscii: check.flag });
    const [bytes, out] = [check.text(name, 'name'), Buffer.alloc(8)];
    // The empty name is a pointer and 0.
    const at = bytes.length === 0 ? Buffer.alloc(1) : bytes;
    callNow('get_table', [this._handle, at, bytes.length, foldAscii ? c.TABLE_FOLD_ASCII : 0, out]);
    return new Table(this, out.readBigUInt64LE(), typeof name === 'string' ? name : bytes);
  }

  async stats() {
    const filled = new Struct('stats');
    await this._call('get_stats', this._handle, filled.memory);
    const { size, answers, requests, lastFailure, ...counts } = camelNames('', filled.read());
    const byWord = (all, names) => Object.fromEntries(names.map((name, at) => [name, all[at]]));
    const named = { answers: byWord(answers, MATCH_KINDS), requests: byWord(requests, REQUESTS) };
    return { ...counts, ...named, lastFailure: lastFailure || null };
  }

  async store() {
    return (await this._known('store.get')).answer;
  }

  async proposals(paths = []) {
    return (await this._known('mappings.propose', { paths: check.list(paths, 'paths', check.path) })).answer.proposals;
  }

  async libraries(options) {
    return (await this._known('libraries.list', {}, options)).answer.libraries;
  }

  async server(options) {
    return (await this._known('server.check', {}, options)).answer;
  }

  async watchStart() {
    await this._known('watch.start');
  }

  async watchStop() {
    await this._known('watch.stop');
  }

  async notify(body) {
    await this._call('notify', this._handle, ...check.sized(body, 'body'));
  }

  async setToken(token) {
    if (token === undefined) check.refuse('token', 'a string, a Buffer or null', token);
    await this._call('set_token', this._handle, ...check.sized(token ?? '', 'token'));
  }

  async invalidateAll() {
    await this.library().invalidate();
  }

  async clear() {
    await this._call('clear', this._handle);
  }
}

if (Symbol.asyncDispose) {
  Index.prototype[Symbol.asyncDispose] = Index.prototype.close;
}

class Library {
  /** Made by Index.library(). */
  constructor(index, handle, name) {
    check.made(handle);
    hide(this, { _index: index, _handle: handle, _name: name });
  }

  _known(method, fields, options) {
    return this._index._known(method, { library: this._name, ...fields }, options);
  }

  async _match(method, fields, options) {
    const { status, answer } = await this._known(method, fields, options);
    return answered(status, answer);
  }

  async _paths(name, text, options, ...count) {
    const { offline, ...given } = check.options(options, ASK);
    const limits = new Struct('query', { library: this._handle, text });
    const how = { mayWait: !(offline || this._index._offline), limits, isFinal: (answers) => answers.every(isFinal) };
    return ask(this._index, given, how, async (ms, atOnce) => {
      limits.set('deadline_ms', ms);
      limits.set('flags', (offline ? c.QUERY_OFFLINE : 0) | (atOnce ? c.QUERY_AT_ONCE : 0));
      const { bytes } = await fill(name, [this._index._handle, limits.memory, ...count], 16384 + text.length * 4);
      return readBlock(bytes);
    });
  }

  async match(path, options) {
    return (await this._paths('match_path', check.text(path, 'path'), options))[0];
  }

  async matchPaths(paths, options) {
    const { bytes, count } = check.joined(paths, 'paths');
    check.options(options, ASK);
    return count === 0 ? [] : this._paths('match_paths', bytes, options, count);
  }

  async folder(path, options) {
    return this._match('match.folder', { path: check.path(path, 'path') }, options);
  }

  async matchGuid(guid, options) {
    return this._match('match.guid', { guid: check.string(guid, 'guid') }, options);
  }

  async searchTitle(title, options) {
    return this._match('match.title', { title: check.string(title, 'title') }, options);
  }

  lookupKey(path) {
    this._index._checkOpen();
    if (typeof path === 'string') return path.includes('\0') ? null : load().fast_lookup_key(this._handle, path);
    return load().lookup_key(this._handle, terminated(path, 'path'));
  }

  lookupKeys(paths) {
    this._index._checkOpen();
    const { bytes, count } = check.joined(paths, 'paths');
    for (let capacity = 64 + count * 40; ; ) {
      const room = new Room(capacity);
      const status = callNow('lookup_keys', [this._handle, bytes, bytes.length, count, room.memory]);
      capacity = room.number('length');
      if (status === statuses.OK) return room.bytes.toString().split('\0').slice(0, count).map((key) => key || null);
    }
  }

  async *_pages(method, fields) {
    for (let cursor; ; ) {
      const page = (await this._known(method, { ...fields, cursor })).answer;
      for (const item of page.items) {
        this._index._checkOpen();
        yield item;
      }
      ({ cursor } = page);
      if (cursor === undefined) return;
    }
  }

  async *itemsBelow(path) {
    yield* this._pages('items.below', { path: check.path(path, 'path') });
  }

  items() {
    return this._pages('items.list', {});
  }

  async item(key) {
    return (await this._known('items.get', { key: check.string(key, 'key') })).answer.item ?? null;
  }

  async refresh(options) {
    const { offline, full, check: probe, ...given } = check.options(options, { ...ASK, full: check.flag, check: check.flag });
    const flags = (offline ? c.QUERY_OFFLINE : 0) | (full ? c.QUERY_FULL : 0) | (probe ? c.QUERY_PROBE : 0);
    const limits = new Struct('query', { library: this._handle, flags });
    const status = await ask(this._index, given, { mayWait: !(offline || this._index._offline), limits }, (ms) => {
      limits.set('deadline_ms', ms);
      return call('refresh', [this._index._handle, limits.memory]);
    });
    return status === statuses.OK;
  }

  async changes(cursor, options) {
    const fields = check.options(options, { full: check.flag, limit: check.integer(1, 10_000) });
    return (await this._known('changes.list', { cursor: check.string(cursor ?? '', 'cursor'), ...fields })).answer;
  }

  async waitForChanges(cursor, options) {
    const { status } = await this._known('changes.wait', { cursor: check.string(cursor, 'cursor') }, options);
    return status === statuses.OK;
  }

  async recordMatch(path, key, options) {
    const given = [this._handle, ...check.sized(path, 'path'), ...check.sized(key, 'key')];
    await this._index._record('record_match', given, options);
  }

  async recordMatches(pairs, options) {
    const all = check.list(pairs, 'pairs', check.list);
    const paths = check.joined(all.map(([path]) => path), 'paths of pairs');
    const keys = check.joined(all.map(([, key]) => key), 'keys of pairs');
    const given = [this._handle, paths.bytes, paths.bytes.length, keys.bytes, keys.bytes.length, paths.count, 0];
    await this._index._record('record_matches', given, options);
  }

  async invalidatePath(path) {
    await this._index._call('invalidate_path', this._handle, ...check.sized(path, 'path'));
  }

  async invalidateItem(key) {
    await this._index._call('invalidate_item', this._handle, ...check.sized(key, 'key'));
  }

  async invalidate() {
    await this._index._call('invalidate_library', this._handle);
  }

  async editItems(keys, changes, { lock, ...options } = {}) {
    const fields = { keys: check.list(keys, 'keys'), changes: check.list(changes, 'changes'), lock };
    return (await this._known('edit', fields, options)).answer;
  }
}

/** Bytes with a NUL behind them; null for bytes that hold one, which are the name of nothing. */
function terminated(given, argument) {
  const bytes = check.text(given, argument);
  return bytes.includes(0) ? null : Buffer.concat([bytes, Buffer.of(0)]);
}

class Table {
  /** Made by Index.table(). */
  constructor(index, handle, name) {
    check.made(handle);
    hide(this, { _index: index, _handle: handle, _name: name });
  }

  lookup(name) {
    this._index._checkOpen();
    const value = [null];
    if (typeof name !== 'string') load().table_lookup(this._handle, terminated(name, 'name'), value);
    else if (!name.includes('\0')) load().fast_table_lookup(this._handle, name, value);
    return value[0];
  }

  async get(name) {
    const { status, bytes } = await this._index._fill('table_get', [this._handle, ...check.sized(name, 'name')]);
    return status === statuses.OK ? bytes : null;
  }

  async put(name, value, options) {
    const checks = { ttlMs: check.integer(-2), limit: check.integer(0) };
    const { ttlMs = 0, limit = 100_000_000 } = check.options(options, checks);
    const given = [...check.sized(name, 'name'), ...check.sized(value, 'value'), ttlMs, limit];
    await this._index._call('table_put', this._handle, ...given);
  }

  async remove(name) {
    await this._index._call('table_remove', this._handle, ...check.sized(name, 'name'));
  }

  async *names() {
    for (let after = null; ; ) {
      // The empty name is a pointer and 0.
      const given = [this._handle, after?.length === 0 ? Buffer.alloc(1) : after, after?.length ?? 0];
      const { status, bytes } = await this._index._fill('table_get_next', given, 1024);
      if (status !== statuses.OK) return;
      after = Buffer.from(bytes);
      yield after;
    }
  }

  async count() {
    return (await this._index._known('tables.count', { table: this._name })).answer.count;
  }

  async clear() {
    await this._index._known('tables.clear', { table: this._name });
  }
}

// --- The package ---------------------------------------------------------------------------------------------------

const OPEN_FLAGS = Object.fromEntries(Object.keys(c).filter((name) => name.startsWith('OPEN_'))
  .map((name) => [camel(name.slice('OPEN_'.length).toLowerCase()), c[name]]));
const LEAST = { libraryTtlMs: -2, retryMs: -1, sharedRetryMs: -1, slowMs: -1, deadlineMs: -1 };
// Options that are fields: in camel case, with the field's name.
const FIELDS = {};
const OPTIONS = Object.fromEntries(Object.keys(OPEN_FLAGS).map((name) => [name, check.flag]));
for (const { name, type } of Object.values(layout('options').fields)) {
  if (!['plexindex_bytes', 'int64_t', 'uint64_t'].includes(type) && name !== 'page_size') continue;
  FIELDS[camel(name)] = name;
  const most = name === 'page_size' ? 1000 : undefined;
  OPTIONS[camel(name)] = type === 'plexindex_bytes' ? check.text : check.integer(LEAST[camel(name)] ?? 0, most);
}
OPTIONS.logLevel = check.word('off', ...LEVELS.filter(Boolean));
// Checked where they are read: an iterable may give them once only.
OPTIONS.mappings = () => {};
OPTIONS.renewToken = check.callback;

const MAPPING = { side: check.word('host', 'server'), from: check.text, to: check.text, pattern: check.flag };

function mapping(rule, name) {
  const { side = 'host', from, to, pattern } = check.options(rule ?? null, MAPPING, name);
  const kind = c[`MAPPING_${side.toUpperCase()}_${pattern ? 'PATTERN' : 'PREFIX'}`];
  return new Struct('mapping', { kind, from, to }).memory;
}

async function open(options) {
  const filled = new Struct('options');
  const given = check.options(options ?? null, OPTIONS);
  check.text(given.cacheDir, 'cacheDir');
  for (const [name, field] of Object.entries(FIELDS)) filled.set(field, given[name]);
  filled.set('deadline_ms', nativeDeadline(given.deadlineMs));
  filled.set('flags', Object.entries(OPEN_FLAGS).reduce((all, [name, bit]) => all | (given[name] ? bit : 0), 0));
  if (given.logLevel) filled.set('log_level', c[`LOG_${given.logLevel.toUpperCase()}`]);
  const rules = check.list(given.mappings ?? [], 'mappings', mapping);
  filled.set('mappings', Object.assign(Buffer.concat(rules), { rules }));
  filled.set('mappings_count', rules.length);
  const renewal = addRenewal(filled, given.renewToken);
  const out = Buffer.alloc(8);
  try {
    await call('open', [filled.memory, out]);
  } catch (error) {
    renewals.delete(renewal);
    throw error;
  }
  return new Index(out.readBigUInt64LE(), renewal, given);
}

function comparePaths(path, others) {
  const json = encode({ path: check.path(path, 'path'), others: check.list(others, 'others', check.path) });
  const out = [null];
  callNow('call', [null, 'paths.compare', json, json.length, null, out]);
  return JSON.parse(out[0]).relations;
}

function drainLog() {
  const lines = [];
  const receive = koffi.register((_, level, at, length) => {
    const message = Buffer.from(koffi.view(at, Number(length))).toString('utf8');
    lines.push({ level: LEVELS[level] ?? 'unknown', message });
  }, callbacks.plexindex_log_fn);
  try {
    callNow('drain_log', [receive, null]);
  } finally {
    koffi.unregister(receive);
  }
  return lines;
}

function version() {
  return load().get_version();
}

module.exports = { open, comparePaths, drainLog, version, PlexindexError, Index, Library, Table };
