'use strict';
// Calls of C functions on threads of libuv's pool.

const fs = require('node:fs');
const { inspect } = require('node:util');
const { isMainThread } = require('node:worker_threads');
const { PlexindexError } = require('./arguments.js');
const { statuses, load, endProcess } = require('./native.js');

const FIRST_ERROR = 100;
const ERROR_TEXT = 2048;
// koffi accepts no more calls at once.
const MOST_CALLS = 64;
const STATUS_NAMES = Object.fromEntries(Object.entries(statuses).map(([name, status]) => [status, name]));

let running = 0;
const waiting = [];
// The arguments of running calls: the garbage collector does not see that the library uses them.
const pinned = new Set();

/** Memory that the library fills. */
class Room {
  constructor(capacity) {
    this.data = Buffer.alloc(capacity);
    this.buffer = { data: this.data, capacity, length: 0 };
  }

  get bytes() {
    return this.data.subarray(0, this.buffer.length);
  }
}

/** Returns the status, or throws the error. */
function checked(status, error) {
  if (status < FIRST_ERROR || status === statuses.BUFFER_TOO_SMALL) return status;
  // The length of a text that does not fit is that of the whole.
  const text = error.data.toString('utf8', 0, error.data.indexOf(0));
  throw new PlexindexError(STATUS_NAMES[status] ?? 'UNKNOWN', text, status);
}

/** Runs work with calls once fewer than MOST_CALLS run. */
async function inTurn(work) {
  if (running < MOST_CALLS) running += 1;
  else await new Promise((resolve) => waiting.push(resolve));
  try {
    return await work();
  } finally {
    const next = waiting.shift();
    if (next) next();
    else running -= 1;
  }
}

/** Calls a function on a thread of the pool, and returns its status. */
async function call(name, ...args) {
  const error = new Room(ERROR_TEXT);
  const all = [...args, error.buffer];
  // koffi replaces `data` in structs that it passes both ways.
  const pin = [all, error];
  pinned.add(pin);
  try {
    const status = await new Promise((resolve, reject) => {
      load()[name].async(...all, (failure, result) => (failure ? reject(failure) : resolve(result)));
    });
    return checked(status, error);
  } finally {
    pinned.delete(pin);
  }
}

/**
 * Calls with memory of this size, and again with more if necessary. Returns the status and the bytes; a promise of them
 * if the call returns one.
 */
function fill(capacity, work) {
  const room = new Room(capacity);
  const finish = (status) =>
    status === statuses.BUFFER_TOO_SMALL ? fill(room.buffer.length, work) : [status, room.bytes];
  const result = work(room.buffer);
  return result instanceof Promise ? result.then(finish) : finish(result);
}

/** Calls a function that never waits, on this thread. */
function callNow(name, ...args) {
  const error = new Room(ERROR_TEXT);
  return checked(load()[name](...args, error.buffer), error);
}

// A thread that waits for the event loop to run its progress function would keep an exiting process from ending.
if (isMainThread) {
  process.on('uncaughtExceptionMonitor', (error) => {
    const isUncaught = process.listenerCount('uncaughtException') === 0;
    // Node.js would print it after the process has ended.
    if (running > 0 && isUncaught) fs.writeSync(2, `Uncaught ${inspect(error)}\n`);
  });
  process.on('exit', function endNow(code) {
    if (running === 0) return;
    const listeners = process.listeners('exit');
    for (const listener of listeners.slice(listeners.indexOf(endNow) + 1)) listener.call(process, code);
    endProcess(Number(process.exitCode ?? code));
  });
}

module.exports = { STATUS_NAMES, inTurn, call, fill, callNow };
