'use strict';
// How many calls run at once. libuv runs them on its pool of threads, on which the file system's functions run, too.

class Turns {
  constructor(limit) {
    this.limit = limit;
    this.running = 0;
    this.queue = new Set();
  }

  get isFull() {
    return this.running >= this.limit;
  }

  /** Takes a turn: true, and leave() gives it back. `wait` may end the wait for it, by an error or with false. */
  async take(wait = (turn) => turn) {
    if (!this.isFull) {
      this.running += 1;
      return true;
    }
    let give;
    let given = false;
    let taken = false;
    const turn = new Promise((resolve) => {
      give = () => resolve((given = true));
    });
    this.queue.add(give);
    try {
      taken = await wait(turn);
      return taken;
    } finally {
      this.queue.delete(give);
      if (given && !taken) this.leave();
    }
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

/** How many threads libuv's pool has, as libuv reads it. */
function poolSize() {
  const named = process.env.UV_THREADPOOL_SIZE;
  return named === undefined ? 4 : Math.min(Math.max(Number.parseInt(named, 10) || 0, 1), 1024);
}

module.exports = { Turns, poolSize };
