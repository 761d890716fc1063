'use strict';

const assert = require('node:assert');
const { execFileSync, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { setTimeout: sleep } = require('node:timers/promises');
const plexindex = require('plexindex');

const serverUrl = process.env.PLEXINDEX_TEST_URL;
// Sixty pages of 20 ms: a fetch that is still under way when its progress is told of.
const slowly = { serverUrl: process.env.PLEXINDEX_TEST_SLOW_URL, pageSize: 25 };
const token = process.env.PLEXINDEX_TEST_TOKEN;
const { movies, repeated, show } = JSON.parse(fs.readFileSync(process.env.PLEXINDEX_TEST_FACTS, 'utf8'));

async function opened(t, options = {}) {
  const cacheDir = fs.mkdtempSync(path.join(os.tmpdir(), 'plexindex-node-'));
  const index = await plexindex.open({ cacheDir, serverUrl, token, retryMs: -1, ...options });
  t.after(async () => {
    await index.close();
    fs.rmSync(cacheDir, { recursive: true });
  });
  return index;
}

test('one path, many paths, candidates', async (t) => {
  const library = (await opened(t)).library('Movies');
  assert.strictEqual(library.lookupKey(movies[0].path), null, 'nothing was fetched yet');
  const one = await library.match(movies[0].path);
  assert.strictEqual(one.status, 'OK');
  assert.deepStrictEqual([one.matchKind, one.confidence, one.stale], ['exact', 'high', false]);
  assert.deepStrictEqual([one.item.key, one.item.title, one.item.kind], [movies[0].key, movies[0].title, 'movie']);
  assert.strictEqual(one.item.path, movies[0].path);

  const paths = movies.map((movie) => movie.path);
  const all = await library.matchPaths([...paths, '/nowhere/x.mkv']);
  assert.deepStrictEqual(all.slice(0, -1).map((answer) => answer.item.key), movies.map((movie) => movie.key));
  assert.deepStrictEqual([all.at(-1).status, all.at(-1).item], ['NOT_FOUND', null]);
  assert.match(all.at(-1).message, /no library has a folder above/);
  assert.deepStrictEqual(library.lookupKeys([...paths, '/nowhere/x.mkv']), [...movies.map((movie) => movie.key), null]);
  assert.strictEqual(library.lookupKey(paths[1]), movies[1].key);
  assert.strictEqual(library.lookupKey(Buffer.from(paths[1])), movies[1].key);
  assert.deepStrictEqual(await library.matchPaths([]), []);
  assert.strictEqual(library.lookupKey(`${paths[1]}\0x`), null);
  assert.throws(() => library.lookupKeys(['a\0b']), TypeError);

  const several = await library.match(`/somewhere/else/${repeated.name}`);
  assert.strictEqual(several.status, 'AMBIGUOUS');
  assert.deepStrictEqual(several.candidates.map((item) => item.path).sort(), repeated.paths.sort());
  assert.strictEqual(several.candidatesTotal, repeated.paths.length);
});

test('folders, and the items below them', async (t) => {
  const library = (await opened(t)).library('TV Shows');
  const folder = await library.folder(show.folder);
  assert.deepStrictEqual([folder.status, folder.kind, folder.item.title], ['OK', 'show', show.title]);
  assert.strictEqual(folder.items, show.paths.length);
  const below = [];
  for await (const item of library.itemsBelow(show.folder)) below.push(item.path);
  assert.strictEqual(below.length, folder.files);
  assert.deepStrictEqual(show.paths.filter((path) => !below.includes(path)), []);
  let count = 0;
  for await (const item of library.items()) count += item.kind === 'episode' ? 1 : 0;
  assert.ok(count >= show.episodes);
});

test('an error is a PlexindexError; 100 at once each have their own text', async (t) => {
  const index = await opened(t);
  const failures = await Promise.all(
    Array.from({ length: 100 }, (_, number) =>
      index.library(`None ${number}`).match('/x.mkv').then(() => assert.fail(), (error) => error)),
  );
  failures.forEach((error, number) => {
    assert.ok(error instanceof plexindex.PlexindexError, String(error));
    assert.deepStrictEqual([error.code, error.status], ['LIBRARY_NOT_FOUND', 400]);
    assert.match(error.message, new RegExp(`None ${number}\\b`));
  });
  await assert.rejects(index.library('Movies').match(''), { code: 'INVALID_ARGUMENT', message: /path is empty/ });
  await assert.rejects(index.library('Movies').match(3), TypeError);
  await assert.rejects(plexindex.open({}), { code: 'INVALID_ARGUMENT', message: /cache_dir/ });
  await assert.rejects(plexindex.open({ cacheDir: '/tmp/x', tokens: '' }), /no option tokens/);
});

test("Plex's own database is named by an option", async (t) => {
  const index = await opened(t, { serverUrl: undefined, token: undefined, database: '/nowhere/plex.db' });
  await assert.rejects(index.library('Movies').match('/data/a.mkv'), /\/nowhere\/plex\.db/);
});

test('progress is reported, and can end a call', async (t) => {
  const library = (await opened(t, slowly)).library('Movies');
  const seen = [];
  await assert.rejects(
    library.refresh({ progress: (progress) => (seen.push(progress), progress.items < 50) }), { code: 'ABORTED' });
  assert.ok(seen.length >= 1 && seen.at(-1).items >= 50 && seen.at(-1).library === 'Movies', JSON.stringify(seen));
  await assert.rejects(library.refresh({ full: true, progress: () => { throw new RangeError('mine'); } }), { name: 'RangeError' });
  const stopped = new AbortController();
  const aborting = library.refresh({ full: true, signal: stopped.signal, progress: () => stopped.abort() });
  await assert.rejects(aborting, { name: 'AbortError' });
  assert.strictEqual(await library.refresh(), true);
});

test('a token is renewed, and the call made again', async (t) => {
  const given = [null, '', () => { throw new RangeError('mine'); }, () => Promise.resolve(token), 'x'.repeat(1 << 20), token];
  let asked = 0;
  const renewToken = () => {
    global.gc?.();
    const one = given[asked];
    asked += 1;
    return typeof one === 'function' ? one() : one;
  };
  for (const _ of given.slice(1)) {
    const index = await opened(t, { token: 'refused', renewToken });
    await assert.rejects(index.library().refresh(), { code: 'UNAUTHORIZED' });
  }
  const library = (await opened(t, { token: 'refused', renewToken })).library('Movies');
  const answers = await Promise.all(movies.slice(0, 8).map(({ path }) => library.match(path)));
  assert.deepStrictEqual(answers.map((answer) => answer.item.key), movies.slice(0, 8).map(({ key }) => key));
  assert.strictEqual(asked, given.length);
  await assert.rejects(plexindex.open({ cacheDir: '', renewToken }), { code: 'INVALID_ARGUMENT' });
});

// A quick fetch tells of its progress once, when all is fetched.
test('the last word of a progress function counts', async (t) => {
  const library = (await opened(t)).library('Movies');
  const raise = () => { throw new RangeError('mine'); };
  await assert.rejects(library.match(movies[0].path, { progress: raise }), { name: 'RangeError' });
  for (let times = 0; times < 20; times += 1) {
    await assert.rejects(library.refresh({ full: true, progress: raise }), { name: 'RangeError' });
  }
  await assert.rejects(library.refresh({ full: true, progress: () => false }), { code: 'ABORTED' });
  assert.strictEqual((await library.match(movies[0].path, { offline: true })).item.key, movies[0].key);
});

test('a long call does not block the loop, and close waits for it', async (t) => {
  const index = await opened(t, slowly);
  let ticks = 0;
  const ticking = setInterval(() => (ticks += 1), 1);
  const fetched = index.library('Movies').refresh().then(() => 'done', (error) => error.code);
  while (ticks < 10) await sleep(1);
  assert.strictEqual(await Promise.race([fetched, sleep(0, 'running')]), 'running', 'the loop ran while it was fetched');
  const order = [];
  fetched.then((how) => order.push(how));
  await index.close().then(() => order.push('closed'));
  clearInterval(ticking);
  assert.deepStrictEqual(order, ['CLOSED', 'closed']);
  await assert.rejects(index.stats(), { code: 'CLOSED' });
  assert.throws(() => index.library('Movies'), { code: 'CLOSED' });
});

test('statistics, facts, and what is recorded', async (t) => {
  const index = await opened(t);
  const library = index.library('Movies');
  await library.recordMatch('/own/name.mkv', movies[3].key);
  await library.recordMatches([['/own/a.mkv', movies[4].key], ['/own/b.mkv', movies[5].key]]);
  await assert.rejects(library.recordMatch('/own/c.mkv', movies[3].key, { deadlineMs: -7 }), /deadline_ms is -7/);
  await assert.rejects(library.recordMatches([['/own/c.mkv', movies[3].key]], { deadlineMs: -7 }), /deadline_ms is -7/);
  assert.strictEqual((await library.match('/own/name.mkv')).matchKind, 'confirmed');
  await library.invalidatePath('/own/name.mkv');
  assert.strictEqual((await library.match('/own/name.mkv')).status, 'NOT_FOUND');
  const stats = await index.stats();
  assert.strictEqual(stats.answers.confirmed, 1);
  assert.ok(stats.requests.page >= 1);
  await library.refresh();
  assert.strictEqual((await index.stats()).requests.probe, stats.requests.probe);
  await library.refresh({ check: true });
  assert.strictEqual((await index.stats()).requests.probe, stats.requests.probe + 1);
  await assert.rejects(library.refresh({ chek: true }), /there is no option chek/);
  assert.deepStrictEqual((await index.libraries()).map((one) => one.title), ['Movies', 'TV Shows']);
  assert.ok((await index.server()).machine_identifier);
  assert.strictEqual(typeof (await index.store()).file_system, 'string');
  assert.deepStrictEqual(await index.proposals(), []);
  assert.ok((await library.item(movies[3].key)).paths.includes(movies[3].path));
  assert.strictEqual(await library.item('999999'), null);
  assert.ok((await library.searchTitle(movies[3].title)).candidates.length >= 1);
  assert.strictEqual((await library.matchGuid('imdb://tt0000000')).status, 'NOT_FOUND');
  await library.invalidateItem(movies[4].key);
  await library.invalidate();
  await index.setToken('refused');
  await assert.rejects(index.library().refresh(), { code: 'UNAUTHORIZED' });
  await index.setToken(token);
  await index.invalidateAll();
  await index.watchStart();
  await index.watchStop();
  await assert.rejects(index.notify('no event'), { code: 'INVALID_ARGUMENT' });
  assert.deepStrictEqual(plexindex.comparePaths('/a/b/c.mkv', ['/A/b/c.mkv', '/a', '/x/c.mkv']), [
    { equal: true, under: false, common: 3 },
    { equal: false, under: true, common: 0 },
    { equal: false, under: false, common: 1 },
  ]);
  assert.ok(Array.isArray(plexindex.drainLog()));
  assert.match(plexindex.version(), /^\d+\.\d+\.\d+/);
  await index.clear();
});

test('the feed of changes', async (t) => {
  const index = await opened(t);
  const library = index.library('Movies');
  await library.refresh();
  const { cursor, changes } = await library.changes(null);
  assert.deepStrictEqual(changes, []);
  assert.strictEqual(await library.waitForChanges(cursor, { deadlineMs: 1, offline: true }), false);
  const stopped = new AbortController();
  const waiting = library.waitForChanges(cursor, { signal: stopped.signal, offline: true });
  setImmediate(() => stopped.abort());
  await assert.rejects(waiting, { name: 'AbortError' });
  const all = [];
  for (let page = { cursor: '', more: true }; page.more; all.push(...page.changes)) {
    page = await library.changes(page.cursor, { full: page.cursor === '', limit: 700 });
  }
  assert.ok(all.length >= 1500 && all.every((one) => one.change === 'added'));
  assert.ok(all.some((one) => one.path === movies[0].path));
  await assert.rejects(library.changes('no cursor'), { code: 'INVALID_ARGUMENT' });
  const unheard = library.waitForChanges(cursor, { offline: true }).catch((error) => error.code);
  await index.close();
  assert.strictEqual(await unheard, 'CLOSED');
});

test('tables, and a refused edit', async (t) => {
  const index = await opened(t);
  const table = index.table('notes', { foldAscii: true });
  await table.put('One', 'first', { ttlMs: -2 });
  await table.put('', Buffer.from([0, 255]));
  assert.deepStrictEqual(await table.get('ONE'), Buffer.from('first'));
  assert.strictEqual(table.lookup('one'), 'first');
  assert.strictEqual(await table.get('two'), null);
  const names = [];
  for await (const name of table.names()) names.push(name.toString());
  assert.deepStrictEqual(names, ['', 'one']);
  assert.strictEqual(await table.count(), 2);
  await table.remove('one');
  await table.clear();
  assert.strictEqual(await table.get(''), null);
  await assert.rejects(index.library('Movies').editItems([movies[0].key, '999999'], { title: 'A' }), (error) => {
    assert.deepStrictEqual([error.code, error.report.states], ['NOT_ON_SERVER', ['no', 'missing']]);
    return true;
  });
});

test('an index that is not closed is collected', async (t) => {
  const cacheDir = fs.mkdtempSync(path.join(os.tmpdir(), 'plexindex-node-'));
  t.after(() => fs.rmSync(cacheDir, { recursive: true }));
  const held = () => fs.readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`).startsWith(cacheDir);
    } catch {
      return false;
    }
  }).length;
  await (async () => {
    const index = await plexindex.open({ cacheDir, serverUrl, token });
    await index.library('Movies').match(movies[0].path);
  })();
  assert.ok(held() > 0);
  for (let tries = 0; held() > 0 && tries < 500; tries += 1) {
    global.gc();
    await sleep(10);
  }
  assert.strictEqual(held(), 0);
});

test('a process ends while a call is in flight', (t) => {
  const cacheDir = fs.mkdtempSync(path.join(os.tmpdir(), 'plexindex-node-'));
  t.after(() => fs.rmSync(cacheDir, { recursive: true }));
  const script = `const plexindex = require('plexindex'); (async () => {
    const index = await plexindex.open({ cacheDir: process.argv[1], serverUrl: process.argv[2], token: process.argv[3], pageSize: 25 });
    index.library('Movies').refresh({ progress: () => process.exit(7) }).catch(() => {});
  })();`;
  const folder = path.join(__dirname, '..');
  const ended = spawnSync(process.execPath, ['-e', script, cacheDir, slowly.serverUrl, token], { cwd: folder, timeout: 20000 });
  assert.deepStrictEqual([ended.status, ended.stderr.toString()], [7, '']);
});

test('the example finds a file', (t) => {
  const cacheDir = fs.mkdtempSync(path.join(os.tmpdir(), 'plexindex-node-'));
  t.after(() => fs.rmSync(cacheDir, { recursive: true }));
  const example = path.join(__dirname, '..', 'examples', 'match.js');
  const printed = execFileSync(process.execPath, [example, serverUrl, token, cacheDir, 'Movies', movies[0].path]);
  assert.strictEqual(printed.toString(), `${movies[0].key}: ${movies[0].title}\n`);
});
