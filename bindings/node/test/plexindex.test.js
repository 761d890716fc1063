'use strict';

const assert = require('node:assert');
const { execFileSync, spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
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
const { movies, repeated, show } = require('./facts.js');

async function opened(t, options = {}) {
  const cacheDir = fs.mkdtempSync(path.join(os.tmpdir(), 'plexindex-node-'));
  const index = await plexindex.open({ cacheDir, serverUrl, token, retryMs: -1, ...options });
  t.after(async () => {
    await index.close();
    fs.rmSync(cacheDir, { recursive: true });
  });
  return index;
}

const installed = path.dirname(require.resolve('plexindex'));
const windows = process.platform === 'win32';
const example = (name) => path.join(installed, 'examples', name);

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
  assert.strictEqual(library.lookupKey(Buffer.from(`${paths[1]}\0x`)), null);
  assert.throws(() => library.lookupKeys(['a\0b']), { code: 'INVALID_ARGUMENT' });

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
  assert.ok(count >= show.paths.length);
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
  await assert.rejects(plexindex.open({ cacheDir: '' }), { code: 'INVALID_ARGUMENT', message: /cache_dir/ });
  await assert.rejects(plexindex.open({ cacheDir: '/tmp/x', tokens: '' }), /no option tokens/);
  await index.close();
  await assert.rejects(index.stats(), plexindex.PlexindexError);
  assert.throws(() => index.library('Movies'), (error) => error instanceof plexindex.PlexindexError && error.status === null);
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

test('what a progress function throws reaches the caller, also of an asynchronous one', async (t) => {
  const index = await opened(t, slowly);
  const library = index.library('Movies');
  const mine = new RangeError('mine');
  const raise = () => { throw mine; };
  const later = async () => { await sleep(5); throw mine; };
  const is = (error) => error === mine;
  for (const progress of [raise, later]) {
    for (const question of [
      () => library.match(movies[0].path, { progress }),
      () => library.matchPaths([movies[0].path], { progress }),
      () => library.refresh({ full: true, progress }),
      () => library.searchTitle('x', { progress }),
    ]) {
      await assert.rejects(question(), is, `${progress} ${question}`);
    }
  }
  await library.refresh();
  const { cursor } = await library.changes();
  await assert.rejects(library.waitForChanges(cursor, { progress: raise, offline: true }), is);
  await assert.rejects(library.waitForChanges(cursor, { progress: later, offline: true }), is);
  await assert.rejects(library.refresh({ full: true, progress: async ({ items }) => items < 50 }), { code: 'ABORTED' });
  // It is thrown while the index closes, too.
  const closing = library.refresh({ full: true, progress: () => { index.close(); throw mine; } });
  await assert.rejects(closing, is);
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
    const before = given[asked];
    await assert.rejects(index.library().refresh(), (error) => {
      const raised = asked === 3 ? RangeError : TypeError;
      const cause = typeof before === 'function' ? raised : before ? plexindex.PlexindexError : undefined;
      assert.strictEqual(error.code, 'UNAUTHORIZED');
      assert.ok(cause ? error.cause instanceof cause : error.cause === undefined, String(error.cause));
      return true;
    });
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
  await assert.rejects(library.recordMatch('/own/c.mkv', movies[3].key, { deadlineMs: -7 }), /deadlineMs is -7/);
  await assert.rejects(library.recordMatches([['/own/c.mkv', movies[3].key]], { deadlineMs: -7 }), /deadlineMs is -7/);
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
  assert.ok((await index.server()).machineIdentifier);
  assert.strictEqual(typeof (await index.store()).fileSystem, 'string');
  assert.deepStrictEqual(await index.proposals(), []);
  const details = await library.item(movies[3].key);
  assert.ok(details.paths.includes(movies[3].path));
  assert.deepStrictEqual([details.ratingKey, details.season, details.showTitle], [path.basename(movies[3].key), null, null]);
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

test('objects have the fields of their types', async (t) => {
  const types = ['index.d.ts', 'names.d.ts'].map((name) => fs.readFileSync(path.join(installed, name), 'utf8')).join('');
  const same = (name, object, left = [], more = []) => {
    const fields = [...types.match(new RegExp(`interface ${name} \\{\\n(.*?)\\n\\}`, 's'))[1].matchAll(/^ {2}(\w+)\??:/gm)];
    assert.deepStrictEqual(Object.keys(object).sort(), fields.map(([, field]) => field).filter((field) => !left.includes(field)).concat(more).sort(), name);
  };
  const index = await opened(t);
  const library = index.library('Movies');
  const match = await library.match(movies[0].path);
  const [first] = (await library.changes('', { full: true, limit: 1 })).changes;
  same('AnswerFields', match, [], ['status', 'item']);
  same('Item', match.item, ['pathBytes']);
  same('ItemDetails', await library.item(movies[0].key));
  same('Change', first);
  same('ItemDetails', first.item);
  same('Stats', await index.stats());
  same('StoreInfo', await index.store());
  same('ServerInfo', await index.server());
  same('LibraryInfo', (await index.libraries())[0]);
  const [proposal] = await index.proposals(movies.map(({ path }) => `/elsewhere${path}`));
  same('Proposal', proposal);
  let progress;
  await library.refresh({ full: true, progress: (one) => { progress = one; } });
  same('Progress', progress);
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
  const one = all.find((one) => one.path === movies[0].path);
  assert.strictEqual(`/library/metadata/${one.ratingKey}`, movies[0].key);
  assert.strictEqual(one.item.ratingKey, one.ratingKey);
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

test('an index that is not closed is collected', { skip: windows && 'it reads /proc' }, async (t) => {
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
  const ended = spawnSync(process.execPath, ['-e', script, cacheDir, slowly.serverUrl, token], { timeout: 20000 });
  assert.deepStrictEqual([ended.status, ended.stderr.toString()], [7, '']);
});

test('an uncaught error is printed, also while a call is in flight', (t) => {
  const cacheDir = fs.mkdtempSync(path.join(os.tmpdir(), 'plexindex-node-'));
  t.after(() => fs.rmSync(cacheDir, { recursive: true }));
  const script = `const plexindex = require('plexindex'); (async () => {
    const index = await plexindex.open({ cacheDir: process.argv[1], serverUrl: process.argv[2], token: process.argv[3], pageSize: 25 });
    index.library('Movies').refresh({ progress: () => { setImmediate(() => { throw new Error('a defect of the host'); }); } }).catch(() => {});
  })();`;
  const ended = spawnSync(process.execPath, ['-e', script, cacheDir, slowly.serverUrl, token], { timeout: 20000 });
  assert.strictEqual(ended.status, 1);
  assert.match(ended.stderr.toString(), /Error: a defect of the host\n {4}at /);
});

test('the example finds a file', (t) => {
  const cacheDir = fs.mkdtempSync(path.join(os.tmpdir(), 'plexindex-node-'));
  t.after(() => fs.rmSync(cacheDir, { recursive: true }));
  const printed = execFileSync(process.execPath, [example('match.js'), serverUrl, token, cacheDir, 'Movies', movies[0].path]);
  assert.strictEqual(printed.toString(), `${movies[0].key}: ${movies[0].title}\n`);
});

test('a webhook of Sonarr gets the item, until it is ended', { skip: windows && 'no such signals' }, async (t) => {
  const cacheDir = fs.mkdtempSync(path.join(os.tmpdir(), 'plexindex-node-'));
  const settings = { PLEX_URL: serverUrl, PLEX_TOKEN: token, CACHE_DIR: cacheDir, LIBRARY: '', PORT: '0', WAIT_S: '0' };
  const folders = { SONARR_FOLDER: '/tv', PLEX_FOLDER: path.posix.dirname(show.folder) };
  const webhook = spawn(process.execPath, [example('sonarr.js')], { env: { ...process.env, ...settings, ...folders }, stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => {
    webhook.kill('SIGKILL');
    fs.rmSync(cacheDir, { recursive: true });
  });
  const [url] = await once(webhook.stdout, 'data');
  const post = async (event) => {
    const answer = await fetch(String(url).trim(), { method: 'POST', body: typeof event === 'string' ? event : JSON.stringify(event) });
    return [answer.status, await answer.json()];
  };
  assert.deepStrictEqual(await post({ eventType: 'Test' }), [200, {}]);
  const file = show.paths[0].replace(folders.PLEX_FOLDER, folders.SONARR_FOLDER);
  const [status, item] = await post({ eventType: 'Download', episodeFile: { path: file } });
  assert.deepStrictEqual([status, item.showTitle, typeof item.episode], [200, show.title, 'number']);
  const [missing, why] = await post({ eventType: 'Download', episodeFile: { path: '/tv/None/x.mkv' } });
  assert.deepStrictEqual([missing, why.reason], [404, 'not_listed']);
  assert.strictEqual((await post({ eventType: 'Download' }))[0], 400);
  assert.strictEqual((await post('no JSON'))[0], 400);
  assert.strictEqual((await post('null'))[0], 400);
  assert.strictEqual((await post('"text"'))[0], 400);
  assert.strictEqual((await post('x'.repeat(3 << 20)))[0], 413);
  // Another one cannot have its port.
  const taken = { ...process.env, ...settings, CACHE_DIR: `${cacheDir}/taken`, PORT: new URL(String(url)).port };
  const second = spawnSync(process.execPath, [example('sonarr.js')], { env: taken, timeout: 20000 });
  assert.deepStrictEqual([second.status, /^EADDRINUSE: [^\n]*\n$/.test(second.stderr.toString())], [1, true], second.stderr.toString());
  webhook.kill('SIGTERM');
  assert.deepStrictEqual(await once(webhook, 'exit'), [0, null]);
});

test('the feed of changes ends when it is told to', { skip: windows && 'no such signals' }, async (t) => {
  const cacheDir = fs.mkdtempSync(path.join(os.tmpdir(), 'plexindex-node-'));
  t.after(() => fs.rmSync(cacheDir, { recursive: true }));
  const feed = spawn(process.execPath, [example('feed.js'), serverUrl, token, cacheDir, 'Movies'], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => feed.kill('SIGKILL'));
  assert.match(String((await once(feed.stdout, 'data'))[0]), /^listening/);
  feed.kill('SIGTERM');
  assert.deepStrictEqual(await once(feed, 'exit'), [0, null]);
});

test('a token that is none is the cause of UNAUTHORIZED', async (t) => {
  const given = [() => 'a\nb', () => 'ä', () => 'x'.repeat(1 << 20), async () => { throw new Error('mine'); }, () => Promise.resolve('x')];
  for (const renewToken of given) {
    const library = (await opened(t, { token: 'refused', renewToken })).library('Movies');
    const error = await library.match(movies[0].path).catch((raised) => raised);
    assert.strictEqual(error.code, 'UNAUTHORIZED');
    assert.match(error.cause?.message ?? '', /^what renewToken returns /);
  }
});

test('items() ends with the index', async (t) => {
  const index = await opened(t);
  const library = index.library('Movies');
  await library.refresh();
  const both = [library.items(), library.itemsBelow('/')];
  for (const items of both) await items.next();
  await index.close();
  for (const items of both) await assert.rejects(items.next(), { code: 'CLOSED' });
});

test('the webhook does not start without a server', () => {
  const ended = spawnSync(process.execPath, [example('sonarr.js')], { env: { ...process.env, PLEX_URL: '', PORT: '0' }, timeout: 10_000 });
  assert.deepStrictEqual([ended.status, ended.stdout.toString()], [1, '']);
  assert.match(ended.stderr.toString(), /PLEX_URL is not set/);
});
