'use strict';
// Wrong arguments, for which koffi would end the process.

const assert = require('node:assert');
const equal = assert.deepStrictEqual;
const { test } = require('node:test');
const plexindex = require('plexindex');
const { makeFolder, openIndex, runScript } = require('./support.js');

/** Returns what a call throws or rejects with. */
async function failure(call) {
  try {
    await call();
  } catch (error) {
    return error;
  }
  return null;
}

test('a wrong argument is a TypeError that names it', async (t) => {
  const index = await openIndex(t, { serverUrl: undefined });
  const library = index.library();
  const table = index.table('notes');
  const open = (options) => plexindex.open({ cacheDir: '/x', ...options });
  const calls = {
    path: [
      () => library.match(42),
      () => library.invalidatePath(null),
      () => library.lookupKey(),
      () => library.recordMatch(42, '1'),
    ],
    'paths[1]': [() => library.matchPaths(['/x', 42]), () => library.lookupKeys(['/x', null])],
    paths: [() => library.matchPaths(42), () => library.lookupKeys('/x')],
    key: [() => library.invalidateItem(42), () => library.recordMatch('/x', 42)],
    'pairs[0]': [() => library.recordMatches([42])],
    method: [() => index.call(42)],
    name: [() => index.library({}), () => table.lookup(42), () => table.get(42), () => table.put(42, '')],
    token: [() => index.setToken(42), () => index.setToken(), () => open({ token: 42 })],
    options: [() => plexindex.open(), () => library.match('/x', 100), () => index.call('versions', {}, 1)],
    timeoutMs: ['1', 2 ** 53, Infinity, NaN, 1.5, 1n].map((timeoutMs) => () => library.match('/x', { timeoutMs })),
    size: ['1', 0, -1, true, 1.5].map((size) => () => library.match('/x', { size })),
    ttlMs: [() => table.put('a', 'b', { ttlMs: '1' })],
    sizeLimit: [true, -1, 2 ** 53].map((sizeLimit) => () => open({ sizeLimit })),
    pageSize: [-1, 2 ** 32 + 1].map((pageSize) => () => open({ pageSize })),
    limit: [() => table.put('a', 'b', { limit: -1 })],
    cacheDir: [() => plexindex.open({})],
    logLevel: [() => open({ logLevel: 'loud' })],
    'mappings[0]': [() => open({ mappings: [null] })],
    'mappings[0].from': [() => open({ mappings: [{ from: 1, to: '/b' }] })],
    'mappings[0].side': [() => open({ mappings: [{ from: '/a', to: '/b', side: 'both' }] })],
  };
  for (const [name, wrong] of Object.entries(calls)) {
    for (const call of wrong) {
      const error = await failure(call);
      assert.ok(error instanceof TypeError, `${call}: ${error}`);
      assert.ok(error.message.startsWith(`${name} must be `), `${call}: ${error.message}`);
    }
  }
  for (const value of [1n, Object.create(null), Symbol('x'), ['x'.repeat(1 << 20)]]) {
    const error = await failure(() => library.match(value));
    assert.ok(error instanceof TypeError && error.message.length < 200, String(error));
  }
  await assert.rejects(library.match('/x', { signal: {} }), TypeError);
});

test('half a character does not become another one', async (t) => {
  const index = await openIndex(t, { serverUrl: undefined });
  const [library, table, name] = [index.library(), index.table('notes'), 'a\ud800'];
  await table.put('a\ufffd', 'another');
  equal([library.lookupKey(name), table.lookup(name), table.lookup('a\ufffd')], [null, null, 'another']);
  for (const call of [() => library.match(name), () => table.get(name), () => library.recordMatch(name, '1')]) {
    await assert.rejects(call, { name: 'TypeError', message: /must be well-formed Unicode, not 'a\\ud800'/i });
  }
  await assert.rejects(index.call('paths.compare', { path: name, others: [] }), { code: 'INVALID_ARGUMENT' });
});

test('values that the library refuses, and unknown options, are named', async (t) => {
  const library = (await openIndex(t, { serverUrl: undefined })).library();
  await assert.rejects(library.match('/x', { timeoutMs: -7 }), { code: 'INVALID_ARGUMENT', message: /timeout_ms/ });
  await assert.rejects(library.matchPaths(['a\0b']), {
    code: 'INVALID_ARGUMENT',
    status: 100,
    message: /^paths\[0\] contains a NUL/,
  });
  await assert.rejects(library.match('a\0b'), { code: 'INVALID_ARGUMENT' });
  await assert.rejects(library.match(`${'/'.repeat(3000)}\0`), /\/…$/); // a long message is cut
  assert.strictEqual((await library.matchPaths(['']))[0].status, 'INVALID_ARGUMENT');
  const unknown = { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE', message: /no deadline: use timeoutMs, / };
  await assert.rejects(library.match('/x', { deadline: 1 }), unknown);
  const mappings = [{ side: 'server', from: '(', to: '/b', pattern: true }].values();
  await assert.rejects(plexindex.open({ cacheDir: makeFolder(), mappings }), { code: 'INVALID_ARGUMENT' });
});

// In another process: if the library read the caller's memory, a signal would end it.
test('bytes may be transferred while a call runs', () => {
  const script = `
    const transfer = (bytes) => { structuredClone(bytes.buffer, { transfer: [bytes.buffer] }); global.gc(); };
    const [library, table, size] = [index.library(), index.table('notes'), 8 << 20];
    const value = new Uint8Array(size).fill(97);
    const put = table.put('one', value);
    transfer(value);
    await put;
    if (!(await table.get('one')).equals(Buffer.alloc(size, 97))) throw new Error('the value is another');
    for (let times = 0; times < 25; times += 1) {
      const path = new Uint8Array(8192).fill(97);
      const done = library.match(path).catch(() => {});
      transfer(path);
      await done;
    }
    await index.close();
    console.log('done');`;
  assert.deepStrictEqual(runScript(script, { offline: true }), [0, 'done\n', '']);
});
