'use strict';
// A wrong type is a TypeError that names the argument, in every function.

const assert = require('node:assert');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const plexindex = require('plexindex');

async function opened(t) {
  const cacheDir = fs.mkdtempSync(path.join(os.tmpdir(), 'plexindex-node-'));
  const index = await plexindex.open({ cacheDir });
  t.after(async () => {
    await index.close();
    fs.rmSync(cacheDir, { recursive: true });
  });
  return index;
}

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
  const index = await opened(t);
  const library = index.library();
  const table = index.table('notes');
  const calls = {
    path: [
      () => library.match(42), () => library.folder(null), () => library.lookupKey(42), () => library.lookupKey(),
      () => library.itemsBelow({}), () => library.recordMatch(42, '1'), () => library.invalidatePath(42),
      () => plexindex.comparePaths(42, []),
    ],
    'paths[1]': [() => library.matchPaths(['/x', 42]), () => library.lookupKeys(['/x', null]), () => index.proposals(['/x', 1])],
    paths: [() => library.matchPaths(42), () => library.lookupKeys('/x'), () => index.proposals(42), () => library.lookupKeys()],
    others: [() => plexindex.comparePaths('/x', '/y')],
    guid: [() => library.matchGuid(42)],
    title: [() => library.searchTitle(42)],
    key: [() => library.item(42), () => library.recordMatch('/x', 42), () => library.invalidateItem(42)],
    cursor: [() => library.changes(42), () => library.waitForChanges()],
    pairs: [() => library.recordMatches(42)],
    'pairs[0]': [() => library.recordMatches([42])],
    keys: [() => library.editItems('1', { title: 'A' })],
    changes: [() => library.editItems(['1'], 'A')],
    'changes["title"]': [() => library.editItems(['1'], { title: 42 })],
    lock: [() => library.editItems(['1'], { title: 'A' }, { lock: 'locked' })],
    name: [
      () => index.library({}), () => index.table(42), () => table.lookup(42), () => table.get(42), () => table.put(42, ''),
      () => table.remove(42),
    ],
    value: [() => table.put('x', 42)],
    body: [() => index.notify({})],
    token: [() => index.setToken(42), () => index.setToken(), () => plexindex.open({ token: 42 })],
    foldAscii: [() => index.table('x', { foldAscii: 1 })],
    ttlMs: [() => table.put('x', '', { ttlMs: '1' })],
    limit: [() => table.put('x', '', { limit: '1' }), () => library.changes('', { limit: '1' })],
    options: [() => plexindex.open(), () => plexindex.open('cache'), () => library.match('/x', 100), () => index.table('x', true)],
    deadlineMs: [
      () => library.match('/x', { deadlineMs: '1' }), () => library.folder('/x', { deadlineMs: '1' }),
      () => library.recordMatch('/x', '1', { deadlineMs: '1' }), () => library.recordMatches([], { deadlineMs: '1' }),
      () => library.editItems([], {}, { deadlineMs: '1' }), () => plexindex.open({ deadlineMs: '1' }),
    ],
    offline: [() => library.match('/x', { offline: 'no' }), () => plexindex.open({ offline: 1 })],
    progress: [() => library.refresh({ progress: 42 }), () => library.matchPaths([], { progress: {} })],
    signal: [() => index.libraries({ signal: new AbortController() }), () => index.server({ signal: true })],
    full: [() => library.refresh({ full: 1 }), () => library.changes('', { full: 1 })],
    check: [() => library.refresh({ check: 'yes' })],
    cacheDir: [() => plexindex.open({ cacheDir: 42 }), () => plexindex.open({})],
    pageSize: [() => plexindex.open({ pageSize: '9' })],
    logLevel: [() => plexindex.open({ logLevel: 2 }), () => plexindex.open({ logLevel: 'loud' })],
    renewToken: [() => plexindex.open({ renewToken: 'x' })],
    mappings: [() => plexindex.open({ mappings: '/a:/b' })],
    'mappings[0]': [() => plexindex.open({ mappings: [null] })],
    side: [() => plexindex.open({ mappings: [{ side: 'x', from: '/a', to: '/b' }] })],
    from: [() => plexindex.open({ mappings: [{ from: 1, to: '/b' }] })],
  };
  for (const [name, wrong] of Object.entries(calls)) {
    for (const call of wrong) {
      const error = await failure(call);
      assert.ok(error instanceof TypeError, `${call}: ${error}`);
      assert.strictEqual(error.code, 'ERR_INVALID_ARG_TYPE', `${call}: ${error}`);
      assert.ok(error.message.startsWith(`${name} must be `), `${call}: ${error.message}`);
    }
  }
  assert.match((await failure(() => library.lookupKey(42))).message, /^path must be a string or a Buffer, not 42$/);
  assert.match((await failure(() => library.matchPaths([new Date()]))).message, /not of type Date$/);
});

test('whatever a wrong value is, the error names the argument', async (t) => {
  const library = (await opened(t)).library();
  const cyclic = {};
  cyclic.self = cyclic;
  const wrong = [cyclic, 1n, Object.create(null), { toJSON() { throw new Error('mine'); } }, { get constructor() { throw new Error('mine'); } },
    { constructor: { name: 1n } }, Symbol('x'), () => {}, new (class extends Array {})(), NaN];
  for (const value of wrong) {
    const calls = [() => library.match(value), () => library.matchPaths([value])];
    if (typeof value !== 'number') calls.push(() => library.match('/x', { deadlineMs: value }));
    for (const call of calls) await assert.rejects(async () => call(), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  }
  const long = await failure(() => library.match('/x', { progress: 'x'.repeat(1 << 20) }));
  assert.ok(long.message.length < 200, `${long.message.length}`);
});

test('inherited options are checked, too', async (t) => {
  const library = (await opened(t)).library();
  const inherited = (values) => Object.create(values);
  await assert.rejects(async () => library.match('/x', inherited({ deadlineMs: '1' })), { code: 'ERR_INVALID_ARG_TYPE', message: /^deadlineMs must be/ });
  await assert.rejects(library.match('/x', inherited({ offline: true })), { code: 'OFFLINE' });
});

test('a number out of range, a NUL and an unknown option are named', async (t) => {
  const library = (await opened(t)).library();
  await assert.rejects(plexindex.open({ pageSize: -1 }), { name: 'RangeError', message: /^pageSize is -1, and must be an integer from 0 to/ });
  await assert.rejects(library.matchPaths(['a\0b']), { code: 'INVALID_ARGUMENT', status: 100, message: /^paths\[0\] has a NUL/ });
  const bad = [() => library.match('a\0b'), () => library.match(''), () => library.folder('a\0b'), () => library.invalidatePath('a\0b')];
  for (const call of bad) {
    await assert.rejects(call, { name: 'PlexindexError', code: 'INVALID_ARGUMENT' });
  }
  const unknown = { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE', message: /no option deadline: there are deadlineMs, / };
  await assert.rejects(library.match('/x', { deadline: 1 }), unknown);
  const cacheDir = '/nowhere';
  const far = [
    () => library.match('/x', { deadlineMs: -7 }), () => library.recordMatch('/x', '1', { deadlineMs: -7 }), () => library.recordMatches([], { deadlineMs: -7 }),
    () => library.editItems([], {}, { deadlineMs: -7 }), () => library.changes('', { limit: 0 }), () => library.changes('', { limit: 10_001 }),
    ...['deadlineMs', 'libraryTtlMs', 'retryMs', 'sharedRetryMs', 'slowMs', 'maxAgeMs', 'connectTimeoutMs', 'readTimeoutMs', 'sizeLimit', 'matchesLimit']
      .map((name) => () => plexindex.open({ cacheDir, [name]: -7 })),
    () => plexindex.open({ cacheDir, pageSize: 1001 }),
  ];
  for (const call of far) {
    await assert.rejects(async () => call(), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE', message: /^[a-z]\w+ is -?\d+, and must be an integer from / });
  }
  for (const deadlineMs of [2 ** 53, Infinity, -Infinity, NaN, 1.5]) {
    const expected = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE', message: `deadlineMs is ${deadlineMs}, and must be an integer from -1 to 9007199254740991` };
    await assert.rejects(async () => library.match('/x', { deadlineMs }), expected);
  }
  await assert.rejects(library.changes('1', { full: true }), { code: 'INVALID_ARGUMENT', status: 100, message: /^full begins anew/ });
});

test('what open() gives is not made otherwise', () => {
  for (const type of [plexindex.Index, plexindex.Library, plexindex.Table]) {
    for (const given of [[], ['x'], [null, null, null]]) {
      assert.throws(() => new type(...given), { name: 'TypeError', code: 'ERR_ILLEGAL_CONSTRUCTOR', message: /: open\(\) gives an index/ });
    }
  }
});

test('mappings come from any iterable, which is read once', async (t) => {
  const cacheDir = fs.mkdtempSync(path.join(os.tmpdir(), 'plexindex-node-'));
  t.after(() => fs.rmSync(cacheDir, { recursive: true }));
  const rules = [{ from: '/a', to: '/b' }, { from: '/c', to: '/d' }];
  for (const mappings of [rules, new Set(rules), rules.values(), (function* each() { yield* rules; })()]) {
    await (await plexindex.open({ cacheDir, mappings })).close();
  }
  const one = (mapping) => (function* each() { yield mapping; })();
  await assert.rejects(plexindex.open({ cacheDir, mappings: one({ from: 1, to: '/b' }) }), { name: 'TypeError', message: /^from must be/ });
  // The library sees them.
  await assert.rejects(plexindex.open({ cacheDir, mappings: one({ from: '(', to: '/b', pattern: true }) }), { code: 'INVALID_ARGUMENT' });
});

test('bytes are any Uint8Array', async (t) => {
  const index = await opened(t);
  const bytes = new Uint8Array(Buffer.from('x/one').buffer.slice(0, 0));
  assert.strictEqual(index.library().lookupKey(bytes), null);
  const table = index.table(new TextEncoder().encode('notes'));
  await table.put(new TextEncoder().encode('one').subarray(0, 2), new Uint8Array([1, 2]), { ttlMs: -2 });
  assert.deepStrictEqual(await table.get('on'), Buffer.from([1, 2]));
});

// In another process: where the library reads the caller's memory it ends by a signal.
test('bytes may be transferred or resized while a call is under way', (t) => {
  const cacheDir = fs.mkdtempSync(path.join(os.tmpdir(), 'plexindex-node-'));
  t.after(() => fs.rmSync(cacheDir, { recursive: true }));
  const script = `const plexindex = require('plexindex');
    const size = 8 << 20;
    const gone = {
      resize: (bytes) => bytes.buffer.resize(0),
      transfer: (bytes) => { structuredClone(bytes.buffer, { transfer: [bytes.buffer] }); global.gc(); },
    };
    const made = (length) => new Uint8Array(new ArrayBuffer(length, { maxByteLength: length })).fill(97);
    (async () => {
      const index = await plexindex.open({ cacheDir: process.argv[1], offline: true });
      const [library, table] = [index.library(), index.table('notes')];
      const resizable = 'resize' in ArrayBuffer.prototype;
      for (const free of resizable ? [gone.resize, gone.transfer] : [gone.transfer]) {
        const value = made(size);
        const put = table.put('one', value);
        free(value);
        await put;
        const stored = await table.get('one');
        if (!stored.equals(Buffer.alloc(size, 97))) throw new Error('the value is another');
        for (let times = 0; times < 25; times += 1) {
          for (const call of [(path) => library.match(path), (path) => library.invalidatePath(path)]) {
            const path = made(8192);
            const done = call(path).catch(() => {});
            free(path);
            await done;
          }
        }
      }
      await index.close();
      console.log('done');
    })();`;
  const ended = spawnSync(process.execPath, ['--expose-gc', '-e', script, cacheDir], { timeout: 60000 });
  assert.deepStrictEqual([ended.signal, ended.stderr.toString(), ended.stdout.toString()], [null, '', 'done\n']);
});
