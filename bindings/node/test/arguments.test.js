'use strict';
// What callers give: a wrong type is a TypeError that names the argument.

const assert = require('node:assert');
const { test } = require('node:test');
const plexindex = require('plexindex');
const { folder, opened, run } = require('./support.js');

/** What a call throws or rejects with. */
async function failure(call) {
  try {
    const made = call();
    await (typeof made?.next === 'function' ? made.next() : made);
  } catch (error) {
    return error;
  }
  return null;
}

test('each argument is refused by its name', async (t) => {
  const index = await opened(t, { serverUrl: undefined });
  const library = index.library();
  const table = index.table('notes');
  const open = (options) => plexindex.open({ cacheDir: '/x', ...options });
  const calls = {
    path: [() => library.match(42), () => library.folder(null), () => library.lookupKey(), () => library.itemsBelow({})],
    'paths[1]': [() => library.matchPaths(['/x', 42]), () => library.lookupKeys(['/x', null]), () => index.proposals(['/x', 1])],
    paths: [() => library.matchPaths(42), () => library.lookupKeys('/x')],
    others: [() => plexindex.comparePaths('/x', '/y')],
    key: [() => library.item(42), () => library.recordMatch('/x', 42), () => library.invalidateItem(42)],
    cursor: [() => library.changes(42), () => library.waitForChanges()],
    'pairs[0]': [() => library.recordMatches([42])],
    keys: [() => library.editItems('1', [])],
    method: [() => index.call(42)],
    name: [() => index.library({}), () => table.lookup(42), () => table.get(42), () => table.put(42, '')],
    token: [() => index.setToken(42), () => index.setToken(), () => open({ token: 42 })],
    options: [() => plexindex.open(), () => library.match('/x', 100), () => index.call('edit', {}, 1)],
    deadlineMs: [() => library.match('/x', { deadlineMs: '1' }), () => library.recordMatches([], { deadlineMs: '1' })],
    offline: [() => library.match('/x', { offline: 'no' }), () => library.match('/x', Object.create({ offline: 1 }))],
    progress: [() => library.refresh({ progress: 42 }), () => library.matchPaths([], { progress: {} })],
    signal: [() => index.libraries({ signal: new AbortController() })],
    cacheDir: [() => plexindex.open({})],
    logLevel: [() => open({ logLevel: 'loud' })],
    'mappings[0]': [() => open({ mappings: [null] })],
    from: [() => open({ mappings: [{ from: 1, to: '/b' }] })],
  };
  for (const [name, wrong] of Object.entries(calls)) {
    for (const call of wrong) {
      const error = await failure(call);
      assert.ok(error instanceof TypeError, `${call}: ${error}`);
      assert.strictEqual(error.code, 'ERR_INVALID_ARG_TYPE', `${call}: ${error}`);
      assert.ok(error.message.startsWith(`${name} must be `), `${call}: ${error.message}`);
    }
  }
  for (const value of [1n, Object.create(null), { get constructor() { throw new Error('mine'); } }, Symbol('x'), ['x'.repeat(1 << 20)]]) {
    const error = await failure(() => library.match(value));
    assert.ok(error instanceof TypeError && error.message.length < 200, String(error));
  }
});

test('numbers out of range, a NUL and an unknown option are named', async (t) => {
  const library = (await opened(t, { serverUrl: undefined })).library();
  const range = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE', message: /^[a-z]\w+ is \S+, and must be an integer from / };
  for (const name of ['deadlineMs', 'libraryTtlMs', 'sizeLimit', 'pageSize']) await assert.rejects(plexindex.open({ [name]: -7 }), range);
  for (const deadlineMs of [-7, 2 ** 53, Infinity, NaN, 1.5]) await assert.rejects(library.match('/x', { deadlineMs }), range);
  await assert.rejects(library.matchPaths(['a\0b']), { code: 'INVALID_ARGUMENT', status: 100, message: /^paths\[0\] has a NUL/ });
  for (const call of [() => library.match('a\0b'), () => library.folder('a\0b'), () => library.matchPaths([''])]) {
    assert.match(JSON.stringify(await call().catch((error) => [error])), /INVALID_ARGUMENT/);
  }
  const unknown = { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE', message: /no option deadline: there are deadlineMs, / };
  await assert.rejects(library.match('/x', { deadline: 1 }), unknown);
  const mappings = [{ side: 'server', from: '(', to: '/b', pattern: true }].values(); // read once
  await assert.rejects(plexindex.open({ cacheDir: folder(), mappings }), { code: 'INVALID_ARGUMENT' });
  for (const type of [plexindex.Index, plexindex.Library, plexindex.Table]) {
    assert.throws(() => new type(null, null, null), { name: 'TypeError', code: 'ERR_ILLEGAL_CONSTRUCTOR' });
  }
});

// In another process: where the library reads the caller's memory it ends by a signal.
test('bytes may be transferred or resized while a call is under way', (t) => {
  const script = `
    const gone = {
      resize: (bytes) => bytes.buffer.resize(0),
      transfer: (bytes) => { structuredClone(bytes.buffer, { transfer: [bytes.buffer] }); global.gc(); },
    };
    const made = (length) => new Uint8Array(new ArrayBuffer(length, { maxByteLength: length })).fill(97);
    const [library, table, size] = [index.library(), index.table('notes'), 8 << 20];
    for (const free of 'resize' in ArrayBuffer.prototype ? [gone.resize, gone.transfer] : [gone.transfer]) {
      const value = made(size);
      const put = table.put('one', value);
      free(value);
      await put;
      if (!(await table.get('one')).equals(Buffer.alloc(size, 97))) throw new Error('the value is another');
      for (let times = 0; times < 25; times += 1) {
        for (const call of [(path) => library.match(path), (path) => library.folder(path)]) {
          const path = made(8192);
          const done = call(path).catch(() => {});
          free(path);
          await done;
        }
      }
    }
    await index.close();
    console.log('done');`;
  assert.deepStrictEqual(run(t, script, { offline: true }), [0, 'done\n', '']);
});
