'use strict';
// Calls that wait for a silent server, beside others.

const assert = require('node:assert');
const { spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const plexindex = require('plexindex');

// As many as the pool of this process has threads, and more.
const MORE = 8;

/** An index of a server that takes connections and says nothing. */
async function silent(t, options = {}) {
  const cacheDir = fs.mkdtempSync(path.join(os.tmpdir(), 'plexindex-node-'));
  const server = net.createServer((socket) => socket.on('error', () => {}));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const index = await plexindex.open({ cacheDir, serverUrl: `http://127.0.0.1:${server.address().port}`, token: 'x', ...options });
  t.after(async () => {
    await index.close();
    server.close();
    fs.rmSync(cacheDir, { recursive: true });
  });
  return index;
}

const code = (promise) => promise.then((done) => done?.status ?? done, (error) => error.code ?? error);

test('waiting calls leave a thread to files and to local calls', async (t) => {
  const index = await silent(t);
  let ended = 0;
  const waiting = Array.from({ length: MORE }, () => code(index.library().match('/x.mkv')).finally(() => { ended += 1; }));
  await index.table('notes').put('a', 'b');
  await index.stats();
  await fs.promises.stat(os.tmpdir());
  assert.strictEqual(ended, 0);
  await index.close();
  assert.deepStrictEqual(await Promise.all(waiting), Array(MORE).fill('CLOSED'));
});

test('a known file is answered while all turns are taken', async (t) => {
  const { movies: [movie] } = require('./facts.js');
  const cacheDir = fs.mkdtempSync(path.join(os.tmpdir(), 'plexindex-node-'));
  const known = await plexindex.open({ cacheDir, serverUrl: process.env.PLEXINDEX_TEST_URL, token: process.env.PLEXINDEX_TEST_TOKEN });
  t.after(() => known.close());
  t.after(() => fs.rmSync(cacheDir, { recursive: true }));
  const library = known.library('Movies');
  await library.refresh();
  const index = await silent(t);
  let ended = 0;
  const waiting = Array.from({ length: MORE }, () => code(index.library().match('/x.mkv')).finally(() => { ended += 1; }));
  const signal = AbortSignal.timeout(20_000);
  for (const asked of [{ signal }, { signal, deadlineMs: 15_000 }]) {
    const began = performance.now();
    assert.strictEqual((await library.match(movie.path, asked)).item?.key, movie.key);
    const [first, none] = await library.matchPaths([movie.path, '/nowhere/x.mkv'], asked);
    assert.deepStrictEqual([first.item?.key, none.status], [movie.key, 'NOT_FOUND']);
    // However long they take.
    const many = await library.matchPaths(Array(5_000).fill(movie.path), asked);
    assert.ok(many.every(({ item }) => item?.key === movie.key));
    assert.ok(performance.now() - began < 10_000);
  }
  assert.strictEqual(ended, 0);
  await index.close();
  await Promise.all(waiting);
});

test('a call that has no turn yet ends with its signal and its deadline', async (t) => {
  const index = await silent(t);
  const library = index.library();
  const waiting = Array.from({ length: MORE }, () => code(library.match('/x.mkv')));
  const stopped = new AbortController();
  const aborted = code(library.match('/x.mkv', { signal: stopped.signal }));
  const late = ['NEEDS_WARM', 'NOT_YET'];
  assert.ok(late.includes(await code(library.match('/x.mkv', { deadlineMs: 50 }))));
  const record = await code(index.library('Movies').recordMatch('/x.mkv', '1', { deadlineMs: 50 }));
  assert.strictEqual(record, 'TIMEOUT');
  stopped.abort('mine');
  assert.strictEqual(await aborted, 'mine');
  await index.close();
  await Promise.all(waiting);
});

test('the deadline of the options holds for a call that has no turn yet', async (t) => {
  const index = await silent(t, { deadlineMs: 100 });
  const answers = await Promise.all(Array.from({ length: MORE }, () => code(index.library().match('/x.mkv'))));
  assert.ok(answers.every((answer) => answer === 'NEEDS_WARM' || answer === 'NOT_YET'), String(answers));
});

test('whatever a signal is aborted with comes out', async (t) => {
  const index = await silent(t);
  for (const reason of [null, 'mine']) {
    const stopped = new AbortController();
    const given = { signal: stopped.signal, progress: () => new Promise(() => {}) };
    const calls = Array.from({ length: MORE }, () => index.library().match('/x.mkv', given).then(() => 'done', (error) => error));
    setTimeout(() => stopped.abort(reason), 50);
    assert.deepStrictEqual(await Promise.all(calls), Array.from(calls, () => reason));
  }
});

test('any error ends the wait for a turn', async () => {
  const { Turns } = require(path.join(path.dirname(require.resolve('plexindex')), 'turns.js'));
  const turns = new Turns(0);
  const watch = (how) => (...ends) => { ends[how](null); return () => {}; };
  assert.strictEqual(await turns.take(watch(0)).then(() => 'a turn', (error) => error), null);
  assert.strictEqual(await turns.take(watch(1)), false);
});

test('any number of calls may share a signal', async (t) => {
  const index = await silent(t);
  const warnings = [];
  const warned = (warning) => warnings.push(String(warning));
  process.on('warning', warned);
  t.after(() => process.off('warning', warned));
  const stopped = new AbortController();
  const calls = Array.from({ length: 30 }, () => code(index.library().match('/x.mkv', { signal: stopped.signal })));
  await new Promise(setImmediate); // warnings come before
  stopped.abort('mine');
  assert.deepStrictEqual(new Set(await Promise.all(calls)), new Set(['mine']));
  assert.deepStrictEqual(warnings, []);
});

test('a deadline of 0 waits for nothing, and -1 is none', async (t) => {
  const late = ['NEEDS_WARM', 'NOT_YET'];
  const patient = (await silent(t, { deadlineMs: 600_000 })).library();
  assert.ok(late.includes(await code(patient.match('/x.mkv', { deadlineMs: 0 }))));
  assert.strictEqual(await code(patient.recordMatch('/x.mkv', '1', { deadlineMs: 0 })), 'INVALID_ARGUMENT'); // of one library only
  const hasty = (await silent(t, { deadlineMs: 0 })).library('Movies');
  assert.ok(late.includes(await code(hasty.match('/x.mkv'))));
  assert.strictEqual(await code(hasty.recordMatch('/x.mkv', '1')), 'TIMEOUT');
  assert.strictEqual(await code(hasty.match('/x.mkv', { deadlineMs: -1, signal: AbortSignal.timeout(100) })), 23);
});

test('a promise of a progress function that stays open does not hold the call', async (t) => {
  const cacheDir = fs.mkdtempSync(path.join(os.tmpdir(), 'plexindex-node-'));
  t.after(() => fs.rmSync(cacheDir, { recursive: true }));
  const [serverUrl, token] = [process.env.PLEXINDEX_TEST_SLOW_URL, process.env.PLEXINDEX_TEST_TOKEN];
  const index = await plexindex.open({ cacheDir, serverUrl, token, pageSize: 25 });
  const library = index.library('Movies');
  const progress = () => new Promise(() => {});
  await assert.rejects(library.refresh({ progress, signal: AbortSignal.timeout(200) }), { name: 'TimeoutError' });
  assert.strictEqual(await library.refresh({ progress, deadlineMs: 200 }), false);
  let closing;
  const closes = () => {
    closing ??= index.close();
    return closing;
  };
  await assert.rejects(library.refresh({ full: true, progress: closes }), { code: 'CLOSED' });
  await closing;
});

test('the pool may be as small as one thread', (t) => {
  const cacheDir = fs.mkdtempSync(path.join(os.tmpdir(), 'plexindex-node-'));
  t.after(() => fs.rmSync(cacheDir, { recursive: true }));
  const script = `const plexindex = require('plexindex'); (async () => {
    const index = await plexindex.open({ cacheDir: process.argv[1], serverUrl: process.argv[2], token: process.argv[3] });
    await Promise.all(Array.from({ length: 70 }, (_, at) => index.library().match('/x' + at)));
    await index.close();
    console.log('done');
  })();`;
  for (const size of ['1', '9999']) {
    const env = { ...process.env, UV_THREADPOOL_SIZE: size };
    const ended = spawnSync(process.execPath, ['-e', script, cacheDir, process.env.PLEXINDEX_TEST_URL, process.env.PLEXINDEX_TEST_TOKEN], { env, timeout: 20000 });
    assert.deepStrictEqual([ended.status, ended.signal, ended.stderr.toString(), ended.stdout.toString()], [0, null, '', 'done\n']);
  }
});
