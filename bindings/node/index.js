'use strict';

const fs = require('node:fs');
const { inspect } = require('node:util');
const { isMainThread } = require('node:worker_threads');
const check = require('./arguments.js');
const { PlexindexError } = require('./errors.js');
const { Turns, poolSize } = require('./turns.js');
const { constants: c, statuses, words, layout, callbacks, load, Struct, koffi } = require('./native.js');

const FIRST_ERROR = 100;
const ERROR_TEXT = 2048;
const PAGE = 1000;
// Calls that koffi takes at once.
const AT_ONCE = 64;
// setTimeout() takes no more.
const LONGEST_TIMER = 2 ** 31 - 1;
const MATCH_KINDS = words('MATCH_');
const CONFIDENCES = words('CONFIDENCE_');
const REASONS = words('REASON_');
const REQUESTS = words('REQUEST_');
const EDITED = words('EDITED_');
const LEVELS = words('LOG_');
const NAMES = Object.fromEntries(Object.entries(statuses).map(([name, value]) => [value, name]));
const KINDS = { 1: 'movie', 2: 'show', 3: 'season', 4: 'episode', 8: 'artist', 9: 'album', 10: 'track', 12: 'clip', 13: 'photo' };
const MAPPINGS = { host: [c.MAPPING_HOST_PREFIX, c.MAPPING_HOST_PATTERN], server: [c.MAPPING_SERVER_PREFIX, c.MAPPING_SERVER_PATTERN] };
const OPEN_FLAGS = {
  offline: c.OPEN_OFFLINE,
  acceptInvalidCerts: c.OPEN_ACCEPT_INVALID_CERTS,
  noMmap: c.OPEN_NO_MMAP,
  obfuscatePaths: c.OPEN_OBFUSCATE_PATHS,
  sharedDurable: c.OPEN_SHARED_DURABLE,
};

const closedError = () => new PlexindexError('CLOSED', 'the index is closed: open it again');
const camel = (name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());

/** What JSON has, with names in camel case. */
const camelNames = (_, value) => {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [camel(name), one]));
};

/** An item in full, as the feed and item() have it; null where there is none. */
function readDetails(json) {
  const item = JSON.parse(json, camelNames);
  if (item === null) return null;
  // 0, -1 and '' stand for what is not known.
  const known = ([name, value]) => [name, value === (name === 'year' ? 0 : typeof value === 'number' ? -1 : '') ? null : value];
  return Object.fromEntries(Object.entries(item).map(known));
}

const QUERY = { deadlineMs: check.deadline, offline: check.flag, progress: check.callback, signal: check.signal };
// Questions that may be answered from what is at hand: by a flag, or, where the function has none, by a deadline.
const AT_HAND = { match_path: c.QUERY_AT_ONCE, match_paths: c.QUERY_AT_ONCE, match_folder: c.QUERY_AT_ONCE, match_guid: 0, search_title: 0 };
const DEADLINE = { deadlineMs: check.deadline };

/** For the library, for which 0 is what the options say. */
const nativeDeadline = (ms) => (ms === 0 ? 1 : ms ?? 0);

// --- Calls ---------------------------------------------------------------------------------------------------------

const calls = new Turns(AT_ONCE);
// Those that may wait for the server leave a thread of the pool to the others, and to the file system's functions.
const waits = new Turns(Math.max(1, poolSize() - 1));
// What the library reads and fills during calls: the engine may drop what a function does not use any more.
const held = new Set();

// A thread that waits for the loop to run its progress function would keep the process from ending, as the loop has
// ended. What was stored stays: the store holds each write that returned, however a process ends.
if (isMainThread) {
  let uncaught;
  process.on('uncaughtExceptionMonitor', (error) => {
    if (process.listenerCount('uncaughtException') === 0) uncaught = { error };
  });
  process.on('exit', function leave(code) {
    if (calls.running === 0) return;
    // Node would print it after this event.
    if (uncaught) fs.writeSync(2, `Uncaught ${inspect(uncaught.error)}\n`);
    const listeners = process.listeners('exit');
    for (const listener of listeners.slice(listeners.indexOf(leave) + 1)) listener.call(process, code);
    endNow(Number(process.exitCode ?? code));
  });
}

/** Ends this process without waiting for its threads. */
function endNow(code) {
  if (process.platform !== 'win32') koffi.load(null).func('void _exit(int status)')(code);
  // -1 is this process.
  else koffi.load('kernel32.dll').func('int TerminateProcess(intptr_t process, uint32_t code)')(-1, code);
}

// Node warns of a signal with more than ten listeners: calls share one.
const aborts = new WeakMap();

/** Calls `run` when the signal aborts. Returns what undoes that. */
function onAbort(signal, run) {
  if (!signal) return () => {};
  if (!aborts.has(signal)) {
    const runs = new Set();
    aborts.set(signal, { runs, all: () => runs.forEach((one) => one()) });
  }
  const { runs, all } = aborts.get(signal);
  runs.add(run);
  signal.addEventListener('abort', all);
  return () => {
    runs.delete(run);
    if (runs.size === 0) signal.removeEventListener('abort', all);
  };
}

/** How long a call may wait for the server. */
class Wait {
  /** `set` is given the deadline, and what is left of it when the call begins. */
  constructor(index, { deadlineMs, signal }, set) {
    this.index = index;
    this.signal = signal;
    this.set = set;
    this.own = nativeDeadline(deadlineMs);
    const longest = this.own || index._deadlineMs;
    this.until = longest > 0 ? performance.now() + longest : Infinity;
    set(this.own);
  }

  begin() {
    // A call whose deadline passed before its turn came still answers from what is at hand.
    this.set(this.until < Infinity ? Math.max(1, Math.ceil(this.until - performance.now())) : this.own);
  }

  /** Calls `fail` with an error when the signal aborts or the index closes, and `stop` when the deadline passes. */
  watch(fail, stop) {
    const aborted = () => fail(this.signal.reason);
    const closed = () => fail(closedError());
    const left = this.until - performance.now();
    const timer = left <= LONGEST_TIMER ? setTimeout(stop, Math.max(left, 0)) : undefined;
    const unwatch = onAbort(this.signal, aborted);
    this.index._closers.add(closed);
    if (this.signal?.aborted) aborted();
    if (this.index._closing) closed();
    return () => {
      clearTimeout(timer);
      unwatch();
      this.index._closers.delete(closed);
    };
  }
}

/** Calls on a thread of libuv's, with a buffer of its own for the error's text. Gives the status. */
async function call(name, forCall, wait = null) {
  const hasTurn = wait !== null && (await waits.take((fail, stop) => wait.watch(fail, stop)));
  try {
    await calls.take();
    try {
      wait?.begin();
      return await callNext(name, forCall);
    } finally {
      calls.leave();
    }
  } finally {
    if (hasTurn) waits.leave();
  }
}

async function callNext(name, forCall) {
  const text = Buffer.alloc(ERROR_TEXT);
  const error = new Struct('buffer', { data: text, capacity: text.length });
  const given = [...forCall, error.memory];
  held.add(given);
  try {
    const status = await new Promise((resolve, reject) => {
      load()[name].async(...given, (failure, result) => (failure ? reject(failure) : resolve(result)));
    });
    return checked(status, error, text);
  } finally {
    held.delete(given);
  }
}

/** The same, at once: for what never waits. */
function callNow(name, given) {
  const text = Buffer.alloc(ERROR_TEXT);
  const error = new Struct('buffer', { data: text, capacity: text.length });
  return checked(load()[name](...given, error.memory), error, text);
}

/** The status, unless it is an error. */
function checked(status, error, text) {
  if (status < FIRST_ERROR || status === statuses.BUFFER_TOO_SMALL) return status;
  const length = Math.min(error.number('length'), text.length - 1);
  throw new PlexindexError(NAMES[status] ?? 'UNKNOWN', text.toString('utf8', 0, length), status);
}

/** A call that fills a buffer, made again with a larger one where it must. */
async function fill(name, given, reserve = 16384, wait = null) {
  for (let capacity = reserve; ; ) {
    const memory = Buffer.alloc(capacity);
    const buffer = new Struct('buffer', { data: memory, capacity });
    const status = await call(name, [...given, buffer.memory], wait);
    if (status !== statuses.BUFFER_TOO_SMALL) return { status, bytes: memory.subarray(0, buffer.number('length')) };
    capacity = Math.ceil(buffer.number('length') * 1.25);
  }
}

// --- Blocks of answers ---------------------------------------------------------------------------------------------

const ANSWERS = layout('answers').fields;
const ANSWER = layout('answer').fields;
const ITEM = layout('item').fields;

function textAt(block, at) {
  const offset = block.readUInt32LE(at);
  return offset === 0 ? null : block.subarray(offset, offset + block.readUInt32LE(at + 4));
}

function readItem(block, at) {
  const item = {};
  for (const { name, type, offset } of Object.values(ITEM)) {
    if (type === 'plexindex_text') item[camel(name)] = textAt(block, at + offset)?.toString('utf8') ?? null;
  }
  const flags = block.readUInt32LE(at + ITEM.flags.offset);
  const number = (name, none) => {
    const value = block.readInt32LE(at + ITEM[name].offset);
    return value === none ? null : value;
  };
  item.kind = KINDS[number('kind', 0)] ?? null;
  item.year = number('year', 0);
  item.season = number('season', -1);
  item.episode = number('episode', -1);
  item.keyOnly = (flags & c.ITEM_KEY_ONLY) !== 0;
  if (flags & c.ITEM_PATH_NOT_UTF8) item.pathBytes = Buffer.from(textAt(block, at + ITEM.path.offset));
  return item;
}

/** Whether a call that may wait would give these answers, too. */
function isFinal(block) {
  return readBlock(block).every(({ status, stale }) => !stale && ['OK', 'NOT_FOUND', 'AMBIGUOUS'].includes(status));
}

function readBlock(block) {
  const step = block.readUInt32LE(ANSWERS.answer_size.offset);
  const itemStep = block.readUInt32LE(ANSWERS.item_size.offset);
  const first = block.readUInt32LE(ANSWERS.first.offset);
  return Array.from({ length: block.readUInt32LE(ANSWERS.count.offset) }, (_, number) => {
    const at = first + number * step;
    const u32 = (name) => block.readUInt32LE(at + ANSWER[name].offset);
    const byte = (name) => block.readUInt8(at + ANSWER[name].offset);
    const age = Number(block.readBigInt64LE(at + ANSWER.age_ms.offset));
    const status = block.readInt32LE(at + ANSWER.status.offset);
    const item = u32('item');
    const candidates = u32('candidates');
    return {
      status: NAMES[status] ?? 'UNKNOWN',
      matchKind: MATCH_KINDS[byte('match_kind')] ?? 'unknown',
      confidence: CONFIDENCES[byte('confidence')] ?? 'unknown',
      reason: REASONS[byte('reason')] ?? 'unknown',
      stale: (byte('flags') & c.ANSWER_STALE) !== 0,
      item: item === 0 ? null : readItem(block, item),
      candidates: Array.from({ length: u32('candidates_count') }, (_, n) => readItem(block, candidates + n * itemStep)),
      candidatesTotal: u32('candidates_total'),
      message: textAt(block, at + ANSWER.message.offset)?.toString('utf8') ?? null,
      ageMs: age === -1 ? null : age,
      items: Number(block.readBigUInt64LE(at + ANSWER.items.offset)),
      files: Number(block.readBigUInt64LE(at + ANSWER.files.offset)),
      kind: KINDS[block.readInt32LE(at + ANSWER.kind.offset)] ?? null,
    };
  });
}

// --- Progress ------------------------------------------------------------------------------------------------------

// One function for all calls, which the library calls on their threads and koffi runs in the loop: a call is known by
// its number.
const queries = new Map();
let numbers = 0;
let reporting = null;

function report(user, at) {
  const query = queries.get(BigInt(user ?? 0));
  if (!query) return 0;
  try {
    if (query.index._closing || query.signal?.aborted || query.stopped || query.raised) return 1;
    const more = query.progress?.(readProgress(at));
    if (typeof more?.then === 'function') query.promises.push(settle(query, more));
    return more === false ? 1 : 0;
  } catch (error) {
    query.raised = { error };
    return 1;
  }
}

/** Waits for the promises of a progress function, but no longer than the call may wait. */
async function settleAll(promises, wait) {
  if (promises.length === 0) return;
  let unwatch;
  const ended = new Promise((resolve, reject) => {
    unwatch = wait.watch(reject, resolve);
  });
  try {
    await Promise.race([Promise.all(promises), ended]);
  } finally {
    unwatch();
  }
}

/** What a promise of a progress function comes to counts with the next report; that it fails, always. */
async function settle(query, promise) {
  try {
    if ((await promise) === false) query.stopped = true;
  } catch (error) {
    query.raised ??= { error };
  }
}

// The functions for new tokens by number, as those of progress.
const renewals = new Map();
let renewing = null;
const BUFFER = layout('buffer');

function renew(user, at) {
  const renewal = renewals.get(BigInt(user ?? 0));
  if (!renewal) return 1;
  try {
    renewal.raised = null;
    const token = renewal.renew();
    // That it is a promise is the error, not how it ends.
    if (typeof token?.then === 'function') token.then(() => {}, () => {});
    const bytes = check.text(token ?? '', 'what renewToken returns');
    const { data, capacity, length } = BUFFER.fields;
    if (bytes.length === 0) return 1;
    const most = Number(koffi.decode(at, capacity.offset, 'size_t'));
    if (bytes.length > most || bytes.some((one) => one <= 0x20 || one > 0x7e)) {
      check.invalid(`what renewToken returns is no token: give ASCII without spaces and ends of lines, ${most} bytes at most`);
    }
    // No view: the memory is the library's, and goes with the call.
    koffi.encode(koffi.decode(at, data.offset, 'void *'), 'uint8_t', [...bytes], bytes.length);
    koffi.encode(at, length.offset, 'size_t', bytes.length);
    return 0;
  } catch (error) {
    renewal.raised = { error };
    return 1;
  }
}

const PROGRESS = layout('progress');

function readProgress(at) {
  const memory = Buffer.from(koffi.view(at, PROGRESS.size));
  const number = (offset) => Number(memory.readBigUInt64LE(offset));
  const { library, items, total, elapsed_ms: elapsed } = PROGRESS.fields;
  const length = number(library.offset + 8);
  const title = length ? Buffer.from(koffi.view(memory.readBigUInt64LE(library.offset), length)).toString('utf8') : '';
  return { library: title, items: number(items.offset), total: number(total.offset), elapsedMs: number(elapsed.offset) };
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

class Index {
  /** Made by open(). */
  constructor(handle, renewal, options) {
    check.made(handle);
    const { deadlineMs, offline } = options;
    const owned = { handle, renewal, flying: 0 };
    hide(this, { _handle: handle, _renewal: renewal, _owned: owned, _idle: null, _closing: null });
    hide(this, { _deadlineMs: nativeDeadline(deadlineMs), _offline: offline, _closers: new Set() });
    opened.add(owned);
    collected.register(this, owned, this);
  }

  /**
   * Closes the index, after the calls that are in flight; fetches are cut short. These and later calls fail with the
   * code 'CLOSED'.
   */
  close() {
    this._closing ??= this._close();
    return this._closing;
  }

  async _close() {
    // From here on _closing is set, and no call begins.
    await null;
    for (const end of this._closers) end();
    if (this._owned.flying > 0) {
      const idle = new Promise((resolve) => (this._idle = resolve));
      callNow('wake_waiting', [this._handle]);
      await idle;
    }
    collected.unregister(this);
    opened.delete(this._owned);
    const handle = this._handle;
    this._handle = null;
    await call('close', [handle]);
    renewals.delete(this._renewal);
  }

  /**
   * A library by its uuid, title or section id; without a name all of them. Sends no request: the first question to a
   * library that does not exist fails with the code 'LIBRARY_NOT_FOUND'.
   */
  library(name = null) {
    if (this._closing) throw closedError();
    if (typeof name === 'number') name = String(name);
    const selector = check.text(name ?? '', 'name');
    const out = Buffer.alloc(8);
    const kind = name === null ? c.SELECT_ALL : c.SELECT_ANY;
    callNow('get_library', [this._handle, kind, selector, selector.length, out]);
    return new Library(this, out.readBigUInt64LE());
  }

  /** A table of the host's own values. */
  table(name, options) {
    if (this._closing) throw closedError();
    const { foldAscii } = check.options(options, { foldAscii: check.flag });
    const bytes = check.text(name, 'name');
    const out = Buffer.alloc(8);
    callNow('get_table', [this._handle, bytes, bytes.length, foldAscii ? c.TABLE_FOLD_ASCII : 0, out]);
    return new Table(this, out.readBigUInt64LE());
  }

  /** Work that close() waits for. */
  async _during(work) {
    if (this._closing) throw closedError();
    this._owned.flying += 1;
    try {
      return await work();
    } catch (error) {
      // Why there was no new token.
      const raised = error?.code === 'UNAUTHORIZED' && renewals.get(this._renewal)?.raised;
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

  _fill(name, given, reserve, wait) {
    return this._during(() => fill(name, given, reserve, wait));
  }

  /** A call that may wait for the server: its last argument is the deadline. */
  _callWaiting(name, before, options) {
    const given = [...before, 0];
    const wait = new Wait(this, options, (left) => { given[before.length] = left; });
    return this._during(() => call(name, given, this._offline ? null : wait));
  }

  async _query(name, library, text, options, ...more) {
    const { deadlineMs, offline, full, check: probe, progress, signal } = options;
    signal?.throwIfAborted();
    const flags = (offline ? c.QUERY_OFFLINE : 0) | (full ? c.QUERY_FULL : 0) | (probe ? c.QUERY_PROBE : 0);
    const query = new Struct('query', { library, text, flags });
    numbers += 1;
    const number = BigInt(numbers);
    reporting ??= koffi.register(report, callbacks.plexindex_progress_fn);
    query.set('progress', reporting);
    query.set('progress_user', number);
    const known = { index: this, progress, signal, promises: [], stopped: false, raised: null };
    // Fetches tell of their progress often; a wait is woken.
    const wait = new Wait(this, { deadlineMs, signal }, (left) => query.set('deadline_ms', left));
    const mayWait = name === 'wait_for_changes' || !(offline || this._offline || name === 'list_changes');
    const given = [this._handle, query.memory, ...more];
    const reserve = 16384 + (text?.length ?? 0) * 4;
    if (mayWait && waits.isFull && name in AT_HAND) {
      // Calls that wait for a server, perhaps another, have all turns: what is known needs none. With the flag a call
      // waits for nothing and has all the time that it takes, which for many paths is more than a short deadline.
      query.set('flags', flags | AT_HAND[name]);
      query.set('deadline_ms', AT_HAND[name] ? c.NO_DEADLINE : 1);
      const atHand = await this._fill(name, given, reserve).then(({ bytes }) => bytes, () => null);
      if (atHand && isFinal(atHand)) return atHand;
      query.set('flags', flags);
      signal?.throwIfAborted();
    }
    queries.set(number, known);
    const wake = () => this._handle && callNow('wake_waiting', [this._handle]);
    const unwatch = onAbort(signal, wake);
    try {
      const work = name === 'refresh' || name === 'wait_for_changes'
        ? this._during(() => call(name, given, mayWait ? wait : null))
        : this._fill(name, given, reserve, mayWait ? wait : null).then(({ bytes }) => bytes);
      const [done] = await Promise.allSettled([work]);
      await settleAll(known.promises, wait).catch((error) => { throw known.raised ? known.raised.error : error; });
      if (known.raised) throw known.raised.error;
      if (done.status === 'rejected') throw done.reason;
      return done.value;
    } catch (error) {
      if (!known.raised && error?.code === 'ABORTED') {
        signal?.throwIfAborted();
        if (this._closing) throw closedError();
      }
      throw error;
    } finally {
      unwatch();
      queries.delete(number);
    }
  }

  async _json(name, ...given) {
    const { status, bytes } = await this._fill(name, given);
    return status === statuses.OK ? bytes.toString('utf8') : 'null';
  }

  /** Statistics: counts by name, `answers` by match kind, `requests` by kind. */
  async stats() {
    const filled = new Struct('stats');
    await this._call('get_stats', this._handle, filled.memory);
    const { size, answers, requests, lastFailure, ...counts } = camelNames('', filled.read());
    const byWord = (all, names) => Object.fromEntries(names.map((name, at) => [name, all[at]]));
    return { ...counts, answers: byWord(answers, MATCH_KINDS), requests: byWord(requests, REQUESTS), lastFailure: lastFailure || null };
  }

  /** The kind of place that the store is in. */
  async store() {
    return JSON.parse(await this._json('get_store_json', this._handle), camelNames);
  }

  /** Mappings that seem to be missing, the best first; with paths those that would have these listed. */
  async proposals(paths = []) {
    const { bytes, count } = check.joined(paths, 'paths');
    return JSON.parse(await this._json('propose_mappings_json', this._handle, bytes, bytes.length, count), camelNames);
  }

  /** The libraries that are known. */
  async libraries(options) {
    const json = await this._query('list_libraries_json', null, null, check.options(options, QUERY));
    return JSON.parse(json.toString('utf8'), camelNames);
  }

  /** Asks the server who it is and which libraries it shows. */
  async server(options) {
    const json = await this._query('check_server_json', null, null, check.options(options, QUERY));
    return JSON.parse(json.toString('utf8'), camelNames);
  }

  /** Begins to listen to the server's events. */
  async watchStart() {
    await this._call('watch_start', this._handle);
  }

  /** Ends what watchStart() began. */
  async watchStop() {
    await this._call('watch_stop', this._handle);
  }

  /** Tells the index of an event that the host received, such as a webhook. */
  async notify(body) {
    await this._call('notify', this._handle, ...check.sized(body, 'body'));
  }

  /**
   * Replaces the token; null is none. Sends no request, and calls under way go on as they began. Without the option `user`
   * nothing of the earlier token's is answered before the server has accepted this one. After a call that fails with the
   * code UNAUTHORIZED (401, or 498: the token expired), set a new one and call again.
   */
  async setToken(token) {
    if (token === undefined) check.refuse('token', 'a string, a Buffer or null', token);
    await this._call('set_token', this._handle, ...check.sized(token ?? '', 'token'));
  }

  /** Invalidates all libraries. */
  async invalidateAll() {
    await this.library().invalidate();
  }

  /** Removes all that the store holds of this server and user. */
  async clear() {
    await this._call('clear', this._handle);
  }
}

if (Symbol.asyncDispose) {
  Index.prototype[Symbol.asyncDispose] = Index.prototype.close;
}

/** Sets properties that are not shown: of no use to callers. */
function hide(object, values) {
  for (const [name, value] of Object.entries(values)) {
    Object.defineProperty(object, name, { value, writable: true, enumerable: false });
  }
}

class Library {
  /** Made by Index.library(). */
  constructor(index, handle) {
    check.made(handle);
    hide(this, { _index: index, _handle: handle });
  }

  async _one(name, given, argument, options) {
    const text = check.text(given, argument);
    return readBlock(await this._index._query(name, this._handle, text, check.options(options, QUERY)))[0];
  }

  /** The full answer for one path. Asks the server where that is needed. */
  match(path, options) {
    return this._one('match_path', path, 'path', options);
  }

  /** match() for many paths in one call: an answer for each, in order. */
  async matchPaths(paths, options) {
    const { bytes, count } = check.joined(paths, 'paths');
    const checked = check.options(options, QUERY);
    if (count === 0) return [];
    return readBlock(await this._index._query('match_paths', this._handle, bytes, checked, count));
  }

  /** Which show, season, artist, album or item a folder is. */
  folder(path, options) {
    return this._one('match_folder', path, 'path', options);
  }

  /** The items with this GUID. */
  matchGuid(guid, options) {
    return this._one('match_guid', guid, 'guid', options);
  }

  /** The items with this title. */
  searchTitle(title, options) {
    return this._one('search_title', title, 'title', options);
  }

  /** The key of the item with this path, where the index has it at hand; else null. Never waits. */
  lookupKey(path) {
    if (this._index._closing) throw closedError();
    if (typeof path === 'string') return path.includes('\0') ? null : load().fast_lookup_key(this._handle, path);
    return load().lookup_key(this._handle, terminated(path, 'path'));
  }

  /** lookupKey() for many paths: a key or null for each, in order. */
  lookupKeys(paths) {
    if (this._index._closing) throw closedError();
    const { bytes, count } = check.joined(paths, 'paths');
    for (let capacity = 64 + count * 40; ; ) {
      const memory = Buffer.alloc(capacity);
      const buffer = new Struct('buffer', { data: memory, capacity });
      const status = callNow('lookup_keys', [this._handle, bytes, bytes.length, count, buffer.memory]);
      capacity = buffer.number('length');
      if (status !== statuses.OK) continue;
      const keys = memory.toString('utf8', 0, capacity).split('\0');
      keys.pop();
      return keys.map((key) => key || null);
    }
  }

  /** The items with files below a folder, in the order of their paths. Sends no request. */
  async *itemsBelow(path) {
    const folder = check.text(path, 'path');
    for (let after = null; ; ) {
      const given = [this._handle, folder, folder.length, after, after?.length ?? 0, PAGE];
      const { status, bytes } = await this._index._fill('list_items_below', given, PAGE * 400);
      const items = status === statuses.OK ? readBlock(bytes)[0].candidates : [];
      if (items.length === 0) return;
      yield* this._whileOpen(items);
      const last = items[items.length - 1];
      after = last.pathBytes ?? Buffer.from(last.path);
    }
  }

  /** The items of the library as the store has them. Sends no request. */
  async *items() {
    const cursor = Buffer.alloc(8);
    for (;;) {
      const { status, bytes } = await this._index._fill('list_items', [this._handle, cursor, PAGE], PAGE * 400);
      if (status !== statuses.OK) return;
      yield* this._whileOpen(readBlock(bytes)[0].candidates);
    }
  }

  *_whileOpen(items) {
    for (const item of items) {
      if (this._index._closing) throw closedError();
      yield item;
    }
  }

  /** One item with all its files and ids; null when no listing holds it. */
  async item(key) {
    return readDetails(await this._index._json('get_item_json', this._handle, ...check.sized(key, 'key')));
  }

  /**
   * Brings the library up to date. False when the deadline came first; while no library is known that fails with the
   * code 'TIMEOUT'.
   */
  async refresh(options) {
    const checked = check.options(options, { ...QUERY, full: check.flag, check: check.flag });
    return (await this._index._query('refresh', this._handle, null, checked)) === statuses.OK;
  }

  /**
   * What was added, removed, changed and moved since a cursor, in the order in which the index learned it; without a
   * cursor none, and the cursor of now; with `full` all items come first. Sends no request: refresh() does, and has to be
   * called once before. `more` says that the next call has something. The code 'LIST_AGAIN' says to begin anew with `full`.
   */
  async changes(cursor, options) {
    const { full = false, limit = PAGE } = check.options(options, { full: check.flag, limit: check.integer(1, 10_000) });
    const text = check.text(cursor ?? '', 'cursor');
    if (full && text.length > 0) check.invalid('full begins anew: give no cursor with it');
    const bytes = await this._index._query('list_changes', this._handle, text, { full }, limit);
    const [next, more, ...texts] = bytes.toString('utf8').split('\0').map((text) => text || null);
    const changes = Array.from({ length: Math.floor(texts.length / 8) }, (_, at) => {
      const [change, library, section, path, from, ratingKey, fromKey, item] = texts.slice(at * 8, at * 8 + 8);
      return { change, library, section, path, from, ratingKey, fromKey, item: readDetails(item) };
    });
    return { changes, cursor: next, more: more !== null };
  }

  /**
   * Waits until changes() has something since the cursor, or until refresh() has to ask the server before that is known.
   * False when the deadline came first. `signal` ends it.
   */
  async waitForChanges(cursor, options) {
    const text = check.text(cursor, 'cursor');
    return (await this._index._query('wait_for_changes', this._handle, text, check.options(options, QUERY))) === statuses.OK;
  }

  /** Records that the item with this key has this path. */
  async recordMatch(path, key, options) {
    const { deadlineMs } = check.options(options, DEADLINE);
    const given = [this._handle, ...check.sized(path, 'path'), ...check.sized(key, 'key')];
    await this._index._callWaiting('record_match', given, { deadlineMs });
  }

  /** recordMatch() for many pairs of a path and a key: all, or none. */
  async recordMatches(pairs, options) {
    const { deadlineMs } = check.options(options, DEADLINE);
    const all = check.list(pairs, 'pairs').map((pair, at) => check.list(pair, `pairs[${at}]`));
    const paths = check.joined(all.map(([path]) => path), 'paths of pairs');
    const keys = check.joined(all.map(([, key]) => key), 'keys of pairs');
    const given = [this._handle, paths.bytes, paths.bytes.length, keys.bytes, keys.bytes.length, paths.count, 0];
    await this._index._callWaiting('record_matches', given, { deadlineMs });
  }

  /** Invalidates a path. */
  async invalidatePath(path) {
    await this._index._call('invalidate_path', this._handle, ...check.sized(path, 'path'));
  }

  /** Invalidates an item by its key or rating key. */
  async invalidateItem(key) {
    await this._index._call('invalidate_item', this._handle, ...check.sized(key, 'key'));
  }

  /** Invalidates the library. */
  async invalidate() {
    await this._index._call('invalidate_library', this._handle);
  }

  /** Gives many items the same values, as Plex names them: `{ title: 'A', 'genre+': 'Drama' }`. */
  async editItems(keys, changes, options) {
    const checks = { ...DEADLINE, lock: check.word('lock', 'unlock', 'leave') };
    const { lock = 'lock', deadlineMs } = check.options(options, checks);
    const items = check.joined(keys, 'keys');
    if (changes === null || typeof changes !== 'object') check.refuse('changes', 'an object', changes);
    for (const [name, value] of Object.entries(changes)) check.plain(value, `changes[${JSON.stringify(name)}]`);
    const pairs = check.joined(Object.entries(changes).flat(), 'changes');
    const states = Buffer.alloc(items.count);
    const report = new Struct('edit_report', { states, states_capacity: states.length });
    const edit = new Struct('edit', {
      library: this._handle,
      keys: items.bytes,
      keys_count: items.count,
      changes: pairs.bytes,
      changes_count: pairs.count / 2,
      lock: c[`EDIT_${lock.toUpperCase()}`],
    });
    const told = () => ({
      done: report.number('done'),
      failed: report.number('failed'),
      requests: report.number('requests'),
      states: [...states].map((state) => EDITED[state] ?? 'unknown'),
    });
    try {
      const wait = new Wait(this._index, { deadlineMs }, (left) => edit.set('deadline_ms', left));
      await this._index._during(() => call('edit_items', [edit.memory, report.memory], this._index._offline ? null : wait));
    } catch (error) {
      if (error instanceof PlexindexError) error.report = told();
      throw error;
    }
    return told();
  }
}

/** Bytes with a NUL behind them; null for bytes that hold one, which are the name of nothing. */
function terminated(given, argument) {
  const bytes = check.text(given, argument);
  return bytes.includes(0) ? null : Buffer.concat([bytes, Buffer.of(0)]);
}

class Table {
  /** Made by Index.table(). */
  constructor(index, handle) {
    check.made(handle);
    hide(this, { _index: index, _handle: handle });
  }

  /** The value of this name as text, where the index has it at hand; else null. Never waits. */
  lookup(name) {
    if (this._index._closing) throw closedError();
    const value = [null];
    if (typeof name !== 'string') load().table_lookup(this._handle, terminated(name, 'name'), value);
    else if (!name.includes('\0')) load().fast_table_lookup(this._handle, name, value);
    return value[0];
  }

  /** The value of this name as a Buffer; null when there is none. */
  async get(name) {
    const { status, bytes } = await this._index._fill('table_get', [this._handle, ...check.sized(name, 'name')]);
    return status === statuses.OK ? bytes : null;
  }

  /** Stores a value. `limit`: how many bytes all tables may take; 0: no limit. */
  async put(name, value, options) {
    const { ttlMs = 0, limit = 100_000_000 } = check.options(options, { ttlMs: check.integer(-2), limit: check.unsigned });
    await this._index._call('table_put', this._handle, ...check.sized(name, 'name'), ...check.sized(value, 'value'), ttlMs, limit);
  }

  /** Removes an entry. */
  async remove(name) {
    await this._index._call('table_remove', this._handle, ...check.sized(name, 'name'));
  }

  /** The names of its entries, in the order of their bytes, as Buffers. */
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

  /** How many entries it has. */
  async count() {
    const out = Buffer.alloc(8);
    await this._index._call('table_count', this._handle, out);
    return Number(out.readBigUInt64LE());
  }

  /** Removes all entries. */
  async clear() {
    await this._index._call('table_clear', this._handle);
  }
}

// --- Options -------------------------------------------------------------------------------------------------------

const NOT_FIELDS = ['size', 'deadline_ms', 'flags', 'reserved', 'log_level', 'mappings', 'mappings_count', 'renew_token', 'renew_token_user'];
const NUMBERS = {
  libraryTtlMs: check.integer(-2),
  retryMs: check.integer(-1),
  sharedRetryMs: check.integer(-1),
  slowMs: check.integer(-1),
  pageSize: check.integer(0, 1000),
};
const checkOf = (name, type) => (type === 'plexindex_bytes' ? check.text : NUMBERS[name] ?? check.unsigned);
const optional = (one) => (value, name) => value === null || one(value, name);
const fields = Object.values(layout('options').fields).filter(({ name }) => !NOT_FIELDS.includes(name));
// Options that are fields: in camel case, with the field's name.
const FIELDS = Object.fromEntries(fields.map(({ name }) => [camel(name), name]));
const MAPPING = { side: check.word('host', 'server'), from: check.text, to: check.text, pattern: check.flag };
const OPTIONS = {
  ...Object.fromEntries(fields.map(({ name, type }) => [camel(name), optional(checkOf(camel(name), type))])),
  ...Object.fromEntries(Object.keys(OPEN_FLAGS).map((name) => [name, check.flag])),
  deadlineMs: optional(check.deadline),
  logLevel: optional(check.word('off', ...LEVELS.filter(Boolean))),
  // Checked where they are read: an iterable may give them once only.
  mappings: () => {},
  renewToken: optional(check.callback),
};

// --- The package ---------------------------------------------------------------------------------------------------

/**
 * Opens an index. The options are the fields of plexindex_options, in camel case: `cacheDir`, `serverUrl`, `token`,
 * `libraryTtlMs`…; its flags by name (`offline: true`); and `mappings`, a list of `{ side, from, to, pattern }`.
 *
 * `renewToken` is a function that returns a new token, or null for none now, when the server refuses the one that there is
 * or it expired; the call that was refused is then made again. It runs in the loop while the call's thread waits, so it has to
 * have the token at hand: a promise counts as no token. If it throws there is no new token.
 */
async function open(options) {
  const filled = new Struct('options');
  const given = check.options(options ?? null, OPTIONS);
  const flags = Object.entries(OPEN_FLAGS).filter(([name]) => given[name]).map(([, bit]) => bit);
  filled.set('flags', flags.reduce((all, bit) => all | bit, 0));
  for (const [name, field] of Object.entries(FIELDS)) filled.set(field, given[name]);
  filled.set('deadline_ms', nativeDeadline(given.deadlineMs));
  if (given.logLevel) filled.set('log_level', c[`LOG_${given.logLevel.toUpperCase()}`]);
  const rules = check.list(given.mappings ?? [], 'mappings').map((rule, at) => {
    const { side = 'host', from, to, pattern = false } = check.options(rule ?? null, MAPPING, `mappings[${at}]`);
    return new Struct('mapping', { kind: MAPPINGS[side][pattern ? 1 : 0], from, to });
  });
  check.text(given.cacheDir, 'cacheDir');
  filled.kept.push(rules);
  filled.set('mappings', Buffer.concat(rules.map((rule) => rule.memory)));
  filled.set('mappings_count', rules.length);
  let renewal = null;
  if (given.renewToken) {
    numbers += 1;
    renewal = BigInt(numbers);
    renewals.set(renewal, { renew: given.renewToken, raised: null });
    renewing ??= koffi.register(renew, callbacks.plexindex_renew_token_fn);
    filled.set('renew_token', renewing);
    filled.set('renew_token_user', renewal);
  }
  const out = Buffer.alloc(8);
  try {
    await call('open', [filled.memory, out]);
  } catch (error) {
    renewals.delete(renewal);
    throw error;
  }
  return new Index(out.readBigUInt64LE(), renewal, given);
}

/** How a path compares with each of others: `{ equal, under, common }`, common being components from the end. */
function comparePaths(path, others) {
  const bytes = check.text(path, 'path');
  const list = check.joined(others, 'others');
  const relations = Buffer.alloc(list.count * 4);
  callNow('compare_paths', [bytes, bytes.length, list.bytes, list.bytes.length, list.count, relations]);
  return Array.from({ length: list.count }, (_, at) => {
    const relation = relations.readUInt32LE(at * 4);
    return {
      equal: (relation & c.PATHS_EQUAL) !== 0,
      under: (relation & c.PATHS_UNDER) !== 0,
      common: relation & c.PATHS_COMMON,
    };
  });
}

/** The log lines that wait, oldest first: `{ level, message }`. The ring holds 256 for the whole process. */
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

/** The version of the library. */
function version() {
  return load().get_version();
}

module.exports = { open, comparePaths, drainLog, version, PlexindexError, Index, Library, Table };
