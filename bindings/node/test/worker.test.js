'use strict';
// Worker threads: what they leave behind when they end.

const assert = require('node:assert');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { Worker } = require('node:worker_threads');
const plexindex = require('plexindex');

const OPEN = `const { workerData } = require('node:worker_threads'); const plexindex = require('plexindex');
  plexindex.open({ cacheDir: workerData, offline: true }).then(async (index) => { await index.table('notes').put('a', 'b');`;
// wine has a /proc of its own: it is that of wine's server.
const windows = process.platform === 'win32';
const moduleHandle = windows && require('koffi').load('kernel32.dll').func('void *GetModuleHandleW(str16)');
const endings = {
  'by itself': '});',
  'by process.exit': 'process.exit(0); });',
  'by an exception': "setImmediate(() => { throw new Error('mine'); }); });",
};

for (const [how, ending] of Object.entries(endings)) {
  test(`a worker thread that ends ${how} leaves no lock`, async (t) => {
    const cacheDir = fs.mkdtempSync(path.join(os.tmpdir(), 'plexindex-node-'));
    t.after(() => fs.rmSync(cacheDir, { recursive: true }));
    for (let times = 0; times < 2; times += 1) {
      const worker = new Worker(OPEN + ending, { eval: true, workerData: cacheDir });
      const raised = [];
      worker.on('error', (error) => raised.push(error.message));
      await new Promise((resolve) => worker.once('exit', resolve));
      assert.deepStrictEqual(raised, how === 'by an exception' ? ['mine'] : []);
    }
    if (windows) assert.notStrictEqual(moduleHandle('plexindex.dll'), null, 'the library stays');
    else assert.match(fs.readFileSync('/proc/self/maps', 'latin1'), /libplexindex\.so/, 'the library stays');
    // Windows removes no folder with a file that is open.
    const left = (windows ? [] : fs.readdirSync('/proc/self/fd')).filter((fd) => {
      try {
        return fs.readlinkSync(`/proc/self/fd/${fd}`).startsWith(cacheDir);
      } catch {
        return false;
      }
    });
    assert.deepStrictEqual(left, [], 'no file stays open');
    const index = await plexindex.open({ cacheDir, offline: true });
    assert.deepStrictEqual(await index.table('notes').get('a'), Buffer.from('b'));
    await index.close();
  });
}
