'use strict';
// What an index leaves behind when its thread or its process ends, or when nobody has it any more.

const assert = require('node:assert');
const fs = require('node:fs');
const { test } = require('node:test');
const { setTimeout: sleep } = require('node:timers/promises');
const { Worker } = require('node:worker_threads');
const plexindex = require('plexindex');
const { folder, held, run, slowly, windows } = require('./support.js');

const OPEN = `const { workerData } = require('node:worker_threads'); const plexindex = require('plexindex');
  plexindex.open({ cacheDir: workerData, offline: true }).then(async (index) => { await index.table('notes').put('a', 'b');`;
// wine has a /proc of its own: it is that of wine's server.
const moduleHandle = windows && require('koffi').load('kernel32.dll').func('void *GetModuleHandleW(str16)');
const endings = {
  'by itself': '});',
  'by process.exit': 'process.exit(0); });',
  'by an exception': "setImmediate(() => { throw new Error('mine'); }); });",
};

for (const [how, ending] of Object.entries(endings)) {
  test(`a worker thread that ends ${how} leaves no lock`, async (t) => {
    const cacheDir = folder();
    const worker = new Worker(OPEN + ending, { eval: true, workerData: cacheDir });
    const raised = [];
    worker.on('error', (error) => raised.push(error.message));
    await new Promise((resolve) => worker.once('exit', resolve));
    assert.deepStrictEqual(raised, how === 'by an exception' ? ['mine'] : []);
    if (windows) assert.notStrictEqual(moduleHandle('plexindex.dll'), null, 'the library stays');
    else assert.match(fs.readFileSync('/proc/self/maps', 'latin1'), /libplexindex\.so/, 'the library stays');
    // Windows removes no folder with a file that is open.
    if (!windows) assert.strictEqual(held(cacheDir), 0);
    const index = await plexindex.open({ cacheDir, offline: true });
    assert.deepStrictEqual(await index.table('notes').get('a'), Buffer.from('b'));
    await index.close();
  });
}

test('an index that is not closed is collected', { skip: windows && 'it reads /proc' }, async (t) => {
  const cacheDir = folder();
  await (async () => { await (await plexindex.open({ cacheDir, offline: true })).table('notes').put('a', 'b'); })();
  assert.ok(held(cacheDir) > 0);
  for (let tries = 0; held(cacheDir) > 0 && tries < 500; tries += 1) {
    global.gc();
    await sleep(10);
  }
  assert.strictEqual(held(cacheDir), 0);
});

test('a process ends while a call is in flight, and prints an uncaught error', (t) => {
  const refresh = (progress) => `index.library('Movies').refresh({ progress: () => { ${progress} } }).catch(() => {});`;
  assert.deepStrictEqual(run(t, refresh('process.exit(7);'), slowly), [7, '', '']);
  const [status, , errors] = run(t, refresh("setImmediate(() => { throw new Error('a defect of the host'); });"), slowly);
  assert.strictEqual(status, 1);
  assert.match(errors, /Error: a defect of the host\n {4}at /);
});
