'use strict';
// Calls that wait for a silent server, beside others.

const assert = require('node:assert');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { opened, silent, run, serverUrl, movies: [movie] } = require('./support.js');

const LATE = ['NEEDS_WARM', 'NOT_YET'];
const code = (promise) => promise.then((done) => done?.status ?? done, (error) => error.code ?? error);
/** As many calls as the pool of this process has threads, and more. */
const many = (ask) => Array.from({ length: 8 }, () => code(ask()));

test('waiting calls leave a thread to files, to local calls, and to what is at hand', async (t) => {
  const library = (await opened(t)).library('Movies');
  await library.refresh();
  const index = await silent(t);
  let ended = 0;
  const waiting = many(() => index.library().match('/x.mkv').finally(() => { ended += 1; }));
  const table = index.table('notes');
  await table.put('a', 'b');
  assert.strictEqual(await table.count(), 1);
  await fs.promises.stat(os.tmpdir());
  const signal = AbortSignal.timeout(20_000);
  const statuses = (await library.matchPaths([movie.path, '/nowhere/x.mkv'], { signal })).map(({ status }) => status);
  assert.deepStrictEqual(statuses, ['OK', 'NOT_FOUND']);
  // However long they take.
  const answers = await library.matchPaths(Array(5_000).fill(movie.path), { signal, deadlineMs: 15_000 });
  assert.ok(answers.every(({ item }) => item?.key === movie.key));
  assert.ok((await library.searchTitle(movie.title, { signal })).total > 0);
  assert.strictEqual(ended, 0);
  await index.close();
  assert.deepStrictEqual(await Promise.all(waiting), Array(8).fill('CLOSED'));
});

test('a call that has no turn yet ends with its signal and its deadline', async (t) => {
  const index = await silent(t);
  const library = index.library();
  const waiting = many(() => library.match('/x.mkv'));
  const stopped = new AbortController();
  const aborted = code(library.matchGuid('imdb://tt1', { signal: stopped.signal }));
  assert.ok(LATE.includes(await code(library.match('/x.mkv', { deadlineMs: 50 }))));
  assert.strictEqual(await code(index.call('server.check', {}, { deadlineMs: 50 })), 'TIMEOUT');
  assert.strictEqual(await code(index.library('Movies').recordMatch('/x.mkv', '1', { deadlineMs: 50 })), 'TIMEOUT');
  stopped.abort('mine');
  assert.strictEqual(await aborted, 'mine');
  await index.close();
  await Promise.all(waiting);
});

test('a deadline of 0 waits for nothing, -1 is none, and that of the options holds in the queue', async (t) => {
  const patient = (await silent(t, { deadlineMs: 600_000 })).library();
  assert.ok(LATE.includes(await code(patient.match('/x.mkv', { deadlineMs: 0 }))));
  assert.ok(LATE.includes(await code(patient.folder('/x', { deadlineMs: 0 }))));
  const hasty = (await silent(t, { deadlineMs: 0 })).library('Movies');
  assert.ok(LATE.includes(await code(hasty.match('/x.mkv'))));
  assert.strictEqual(await code(hasty.recordMatch('/x.mkv', '1')), 'TIMEOUT');
  assert.strictEqual(await code(hasty.match('/x.mkv', { deadlineMs: -1, signal: AbortSignal.timeout(100) })), 23);
  const timed = (await silent(t, { deadlineMs: 100 })).library();
  const answers = await Promise.all(many(() => timed.match('/x.mkv')));
  assert.ok(answers.every((answer) => LATE.includes(answer)), String(answers));
});

test('whatever a signal is aborted with comes out, and any number of calls may share it', async (t) => {
  const library = (await silent(t)).library();
  const warnings = [];
  const warned = (warning) => warnings.push(String(warning));
  process.on('warning', warned);
  t.after(() => process.off('warning', warned));
  for (const reason of [null, 'mine']) {
    const stopped = new AbortController();
    const given = { signal: stopped.signal, progress: () => new Promise(() => {}) };
    const calls = Array.from({ length: 30 }, () => library.match('/x.mkv', given).then(() => 'done', (error) => error));
    setTimeout(() => stopped.abort(reason), 50);
    assert.deepStrictEqual(new Set(await Promise.all(calls)), new Set([reason]));
  }
  assert.deepStrictEqual(warnings, []);
});

test('a turn that comes as the wait for it ends is not lost', async () => {
  const { Turns } = require(path.join(path.dirname(require.resolve('plexindex')), 'turns.js'));
  const turns = new Turns(1);
  await turns.take();
  assert.strictEqual(await turns.take(async () => false), false);
  const late = turns.take(async (turn) => { turns.leave(); await turn; throw new Error('mine'); });
  await assert.rejects(late, { message: 'mine' });
  assert.strictEqual(turns.running, 0);
});

test('the pool may be as small as one thread', (t) => {
  const script = `await Promise.all(Array.from({ length: 70 }, (_, at) => index.library().match('/x' + at)));
    await index.close();
    console.log('done');`;
  for (const size of ['1', '9999']) {
    const env = { ...process.env, UV_THREADPOOL_SIZE: size };
    assert.deepStrictEqual(run(t, script, { serverUrl }, { env }), [0, 'done\n', '']);
  }
});
