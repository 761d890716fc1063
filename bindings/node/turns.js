'use strict';
// How many calls run at once. libuv runs them on its pool of threads, on which the file system's functions run, too.

class Turns {
  constructor(limit) {
    this.limit = limit;
    this.running = 0;
    this.queue = new Set();
  }

  /**
   * Waits for a turn: true, and leave() gives it back. Where it has to wait, `watch` is called with two functions that end
   * the wait: the first with an error, whatever that is, the second with false. It returns one that undoes the watch.
   */
  async take(watch = () => () => {}) {
    if (!this.isFull) {
      this.running += 1;
      return true;
    }
    let turn;
    let unwatch;
    try {
      return await new Promise((resolve, reject) => {
        turn = () => resolve(true);
        this.queue.add(turn);
        // It gets no turn any more.
        const end = (settle) => (value) => { this.queue.delete(turn); settle(value); };
        unwatch = watch(end(reject), end(() => resolve(false)));
      });
    } finally {
      unwatch();
    }
  }

  get isFull() {
    return this.running >= this.limit;
  }

  leave() {
    const [next] = this.queue;
    if (!next) {
      this.running -= 1;
      return;
    }
    this.queue.delete(next);
    next();
  }
}

/** How many threads libuv's pool has. */
function poolSize() {
  const named = process.env.UV_THREADPOOL_SIZE;
  if (named === undefined) return 4;
  // As libuv reads it.
  return Math.min(Math.max(Number.parseInt(named, 10) || 0, 1), 1024);
}

module.exports = { Turns, poolSize };
