'use strict';
// Calls of the library, on threads of libuv's pool: their turns, deadlines, progress, and what ends them.

const { setMaxListeners } = require('node:events');
const fs = require('node:fs');
const { inspect } = require('node:util');
const { isMainThread } = require('node:worker_threads');
const { PlexindexError, text } = require('./arguments.js');
const { endProcess } = require('./library.js');
const { constants, statuses, layout, callbacks, load, Room, koffi } = require('./native.js');
const { Turns, poolSize } = require('./turns.js');

const FIRST_ERROR = 100;
const ERROR_TEXT = 2048;
// Calls that koffi takes at once.
const AT_ONCE = 64;
// setTimeout() takes no more.
const LONGEST_TIMER = 2 ** 31 - 1;
const NAMES = Object.fromEntries(Object.entries(statuses).map(([name, value]) => [value, name]));

const closedError = () => new PlexindexError('CLOSED', 'the index is closed: open it again');
/** For the library, for which 0 is what the options say. */
const nativeDeadline = (ms) => (ms === 0 ? 1 : ms ?? 0);

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
    endProcess(Number(process.exitCode ?? code));
  });
}

/** The status, unless it is an error. */
function checked(status, error) {
  if (status < FIRST_ERROR || status === statuses.BUFFER_TOO_SMALL) return status;
  throw new PlexindexError(NAMES[status] ?? 'UNKNOWN', error.bytes.toString(), status);
}

/** Calls on a thread of libuv's, with a buffer of its own for the error's text. Gives the status. */
async function call(name, given) {
  await calls.take();
  const error = new Room(ERROR_TEXT);
  const all = [...given, error.memory];
  held.add(all);
  try {
    const status = await new Promise((resolve, reject) => {
      load()[name].async(...all, (failure, result) => (failure ? reject(failure) : resolve(result)));
    });
    return checked(status, error);
  } finally {
    held.delete(all);
    calls.leave();
  }
}

/** The same, at once: for what never waits. */
function callNow(name, given) {
  const error = new Room(ERROR_TEXT);
  return checked(load()[name](...given, error.memory), error);
}

/** A call that fills a buffer, made again with a larger one where it must. */
async function fill(name, given, reserve = 16384) {
  for (let capacity = reserve; ; ) {
    const room = new Room(capacity);
    const status = await call(name, [...given, room.memory]);
    if (status !== statuses.BUFFER_TOO_SMALL) return { status, bytes: room.bytes };
    capacity = Math.ceil(room.number('length') * 1.25);
  }
}

// --- Progress ------------------------------------------------------------------------------------------------------

// One function for all calls, which the library calls on their threads and koffi runs in the loop: a call is known by
// its number.
const queries = new Map();
let numbers = 0;
let reporting = null;

const nextNumber = () => BigInt((numbers += 1));

function report(user, at) {
  const query = queries.get(BigInt(user ?? 0));
  if (!query) return 0;
  try {
    if (query.hasEnded || query.stopped || query.raised) return 1;
    const more = query.progress?.(readProgress(at));
    if (typeof more?.then === 'function') query.promises.push(query.settle(more));
    return more === false ? 1 : 0;
  } catch (error) {
    query.raised = { error };
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

/** A call that may wait: how long, its progress function, and what ends it: its signal, or that the index closes. */
class Query {
  constructor(index, { deadlineMs, progress, signal }) {
    Object.assign(this, { index, progress, signal, promises: [], stopped: false, raised: null });
    this.own = nativeDeadline(deadlineMs);
    const longest = this.own || index._deadlineMs;
    this.until = longest > 0 ? performance.now() + longest : Infinity;
    this.ended = new Promise((_, reject) => {
      this.end = () => {
        reject(signal?.aborted ? signal.reason : closedError());
        // A fetch tells of its progress often; a wait is woken.
        if (index._handle) callNow('wake_waiting', [index._handle]);
      };
    });
    this.ended.catch(() => {});
  }

  get hasEnded() {
    return this.signal?.aborted || this.index._closing !== null;
  }

  get left() {
    // A call whose deadline passed before its turn came still answers from what is at hand.
    return this.until < Infinity ? Math.max(1, Math.ceil(this.until - performance.now())) : this.own;
  }

  /** Waits for a promise until the deadline, then gives false, or until the call is ended. */
  async race(promise) {
    const left = this.until - performance.now();
    let timer;
    const late = new Promise((resolve) => {
      if (left <= LONGEST_TIMER) timer = setTimeout(resolve, Math.max(left, 0), false);
    });
    try {
      return await Promise.race([promise, this.ended, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** What a promise of the progress function comes to counts with the next report; that it fails, always. */
  async settle(promise) {
    try {
      if ((await promise) === false) this.stopped = true;
    } catch (error) {
      this.raised ??= { error };
    }
  }

  async run(run, mayWait, limits) {
    const number = nextNumber();
    reporting ??= koffi.register(report, callbacks.plexindex_progress_fn);
    limits?.set('progress', reporting);
    limits?.set('progress_user', number);
    queries.set(number, this);
    // Node warns of a signal with more than ten listeners: any number of calls may share one.
    if (this.signal) setMaxListeners(0, this.signal);
    this.signal?.addEventListener('abort', this.end);
    const inTurn = async () => {
      const hasTurn = mayWait && (await waits.take((turn) => this.race(turn)));
      try {
        return await run(this.left);
      } finally {
        if (hasTurn) waits.leave();
      }
    };
    try {
      const [done] = await Promise.allSettled([this.index._during(inTurn)]);
      if (this.promises.length > 0) await this.race(Promise.all(this.promises));
      if (done.status === 'rejected') throw done.reason;
      if (!this.raised) return done.value;
    } catch (error) {
      if (!this.raised && error?.code === 'ABORTED' && this.hasEnded) await this.ended;
      if (!this.raised) throw error;
    } finally {
      queries.delete(number);
      this.signal?.removeEventListener('abort', this.end);
    }
    throw this.raised.error;
  }
}

/**
 * A call that may wait for the server. `run` is given the time that it may take, and `limits` the progress function. Where
 * calls that wait for a server, perhaps another, have all turns, what is known needs none: `run` is called at once, and
 * what it gives counts if `isFinal` says so.
 */
async function ask(index, options, { mayWait, limits, isFinal }, run) {
  const { signal } = options;
  signal?.throwIfAborted();
  const query = new Query(index, options);
  if (mayWait && isFinal && waits.isFull) {
    const atHand = await index._during(() => run(constants.NO_DEADLINE, true)).catch(() => null);
    if (atHand && isFinal(atHand)) return atHand;
    signal?.throwIfAborted();
  }
  return query.run(run, mayWait, limits);
}

/** Ends the calls of an index that wait. */
function endCalls(index) {
  for (const query of queries.values()) if (query.index === index) query.end();
}

// --- Tokens --------------------------------------------------------------------------------------------------------

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
    const bytes = text(token ?? '', 'what renewToken returns');
    const { data, capacity, length } = BUFFER.fields;
    if (bytes.length === 0) return 1;
    const most = Number(koffi.decode(at, capacity.offset, 'size_t'));
    if (bytes.length > most || bytes.some((one) => one <= 0x20 || one > 0x7e)) {
      const expected = `give ASCII without spaces and ends of lines, ${most} bytes at most`;
      throw new PlexindexError('INVALID_ARGUMENT', `what renewToken returns is no token: ${expected}`, 100);
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

/** Keeps a function for new tokens under a number. */
function addRenewal(options, renewToken) {
  if (!renewToken) return null;
  const number = nextNumber();
  renewals.set(number, { renew: renewToken, raised: null });
  renewing ??= koffi.register(renew, callbacks.plexindex_renew_token_fn);
  options.set('renew_token', renewing);
  options.set('renew_token_user', number);
  return number;
}

module.exports = { NAMES, closedError, nativeDeadline, call, callNow, fill, ask, endCalls, renewals, addRenewal };
