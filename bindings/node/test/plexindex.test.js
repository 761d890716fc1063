'use strict';

const assert = require('node:assert');
const { execFileSync, spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const { test } = require('node:test');
const { setTimeout: sleep } = require('node:timers/promises');
const plexindex = require('plexindex');
const { folder, opened, serverUrl, token, slowly, windows, movies, repeated, show } = require('./support.js');

const example = (name) => path.join(path.dirname(require.resolve('plexindex')), 'examples', name);

test('answers come alike from blocks and from methods', async (t) => {
  const index = await opened(t);
  const library = index.library('Movies');
  const [movie] = movies;
  assert.strictEqual(library.lookupKey(movie.path), null, 'nothing was fetched yet');
  const { item, ...match } = await library.match(movie.path);
  assert.deepStrictEqual([match.status, match.matchKind, match.confidence, match.reason, match.stale], ['OK', 'exact', 'high', undefined, false]);
  assert.deepStrictEqual([item.key, item.title, item.kind, item.path], [movie.key, movie.title, 'movie', movie.path]);
  const { candidates: same, ...other } = await library.searchTitle(movie.title);
  assert.deepStrictEqual(same.find(({ key }) => key === movie.key), item);
  assert.deepStrictEqual([typeof other.ageMs, other.total, other.stale], [typeof match.ageMs, same.length, match.stale]);
  const { paths: [file], guids, ...details } = await library.item(movie.key);
  assert.deepStrictEqual({ ...details, path: file, section: item.section, library: 'Movies' }, item);
  assert.strictEqual(await library.item('999999'), null);
  const several = await library.match(`/elsewhere/${repeated.name}`);
  assert.deepStrictEqual([several.status, several.item, several.total], ['AMBIGUOUS', null, repeated.paths.length]);
  const all = await library.matchPaths([...movies.map((one) => one.path), '/nowhere/x.mkv']);
  assert.deepStrictEqual(all.map((answer) => answer.item?.key), [...movies.map(({ key }) => key), undefined]);
  assert.match(all.at(-1).message, /no library has a folder above/);
  assert.deepStrictEqual(await library.matchPaths([]), []);
  assert.deepStrictEqual(library.lookupKeys([movie.path, '/nowhere/x.mkv']), [movie.key, null]);
  assert.deepStrictEqual([movie.path, Buffer.from(movie.path), '\0'].map((one) => library.lookupKey(one)), [movie.key, movie.key, null]);
  const { status, kind, item: found, files } = await index.library('TV Shows').folder(show.folder);
  assert.deepStrictEqual([status, kind, found.title, files >= show.paths.length], ['OK', 'show', show.title, true]);
  assert.strictEqual((await library.matchGuid('imdb://tt0000000')).status, 'NOT_FOUND');
});

test('methods are called by name, and their pages read to the end', async (t) => {
  const index = await opened(t);
  const library = index.library('TV Shows');
  await library.refresh();
  const [below, all] = [[], []];
  for await (const item of library.itemsBelow(show.folder)) below.push(item.path);
  for await (const item of library.items()) all.push(...item.paths);
  assert.deepStrictEqual(show.paths.filter((file) => !below.includes(file) || !all.includes(file)), []);
  const page = await index.call('items.below', { library: 'TV Shows', path: show.folder, limit: 1 });
  assert.deepStrictEqual([page.items[0].path, typeof page.cursor], [below[0], 'string']);
  const bytes = Buffer.from([47, 255]);
  assert.deepStrictEqual(await index.call('mappings.to_host', { path: bytes }), { path: bytes });
  assert.deepStrictEqual(plexindex.comparePaths('/a/b', ['/A/b', bytes]).map(({ common }) => common), [2, 0]);
  assert.strictEqual((await index.call('versions')).library, plexindex.version());
  assert.ok((await index.server()).machineIdentifier && (await index.store()).sharesMemory !== undefined);
  assert.deepStrictEqual((await index.libraries()).map((one) => one.title), ['Movies', 'TV Shows']);
  await index.watchStart();
  await index.watchStop();
  const refused = { code: 'INVALID_ARGUMENT', status: 100, message: /^items\.get: .*unknown field `path`/ };
  await assert.rejects(index.call('items.get', { path: '/x' }), refused);
  await assert.rejects(index.call('no such'), { code: 'INVALID_ARGUMENT', message: /no method 'no such'/ });
  const items = library.items();
  await items.next();
  await index.close();
  await assert.rejects(items.next(), { code: 'CLOSED' });
});

test('what changes the store is called with its arguments', async (t) => {
  const index = await opened(t);
  const library = index.library('Movies');
  await library.recordMatch('/own/name.mkv', movies[3].key);
  await library.recordMatches([['/own/a.mkv', movies[4].key], ['/own/b.mkv', movies[5].key]]);
  const kinds = await library.matchPaths(['/own/name.mkv', '/own/a.mkv', '/own/b.mkv']);
  assert.deepStrictEqual(kinds.map(({ matchKind }) => matchKind), Array(3).fill('confirmed'));
  await library.invalidatePath('/own/name.mkv');
  assert.strictEqual((await library.match('/own/name.mkv')).status, 'NOT_FOUND');
  await library.refresh({ check: true });
  const { answers, requests, lastFailure } = await index.stats();
  assert.deepStrictEqual([answers.confirmed, requests.probe > 0, lastFailure], [3, true, null]);
  await library.invalidateItem(movies[4].key);
  await index.invalidateAll();
  await index.setToken('refused');
  await assert.rejects(library.refresh(), { code: 'UNAUTHORIZED' });
  await index.setToken(token);
  await assert.rejects(index.notify('no event'), { code: 'INVALID_ARGUMENT' });
  plexindex.drainLog();
  const edit = library.editItems([movies[0].key, '999999'], [{ field: 'title', set: 'A' }], { lock: 'leave' });
  await assert.rejects(edit, ({ code, report }) => {
    assert.deepStrictEqual([code, report.states], ['NOT_ON_SERVER', ['no', 'missing']]);
    return true;
  });
  const table = index.table(new TextEncoder().encode('notes'), { foldAscii: true });
  await table.put('One', 'first', { ttlMs: -2 });
  await table.put('', Buffer.from([0, 255]));
  assert.deepStrictEqual([table.lookup('one'), await table.get('ONE'), await table.get('two')], ['first', Buffer.from('first'), null]);
  const names = [];
  for await (const name of table.names()) names.push(name.toString());
  assert.deepStrictEqual([names, await table.count()], [['', 'one'], 2]);
  await index.table('').put('a', 'b');
  assert.strictEqual(await index.table('').count(), 1);
  await table.remove('one');
  await table.clear();
  assert.strictEqual(await table.get(''), null);
  await index.clear();
});

test('an error is a PlexindexError; 100 at once each have their own text', async (t) => {
  const index = await opened(t);
  const failures = await Promise.all(Array.from({ length: 100 }, (_, number) => {
    const library = index.library(`None ${number}`);
    return (number % 2 ? library.match('/x.mkv') : library.searchTitle('x')).then(() => assert.fail(), (error) => error);
  }));
  failures.forEach((error, number) => {
    assert.ok(error instanceof plexindex.PlexindexError, String(error));
    assert.deepStrictEqual([error.code, error.status], ['LIBRARY_NOT_FOUND', 400]);
    assert.match(error.message, new RegExp(`None ${number}\\b`));
  });
  await assert.rejects(plexindex.open({ cacheDir: '' }), { code: 'INVALID_ARGUMENT', message: /cache_dir/ });
  await index.close();
  for (const call of [() => index.stats(), () => index.call('versions')]) await assert.rejects(call, { code: 'CLOSED' });
  assert.throws(() => index.library('Movies'), { code: 'CLOSED', status: null });
});

test('progress is reported, ends a call, and what it throws comes out', async (t) => {
  const index = await opened(t, slowly);
  const library = index.library('Movies');
  const seen = [];
  await assert.rejects(library.refresh({ progress: (one) => (seen.push(one), one.items < 50) }), { code: 'ABORTED' });
  assert.ok(seen.at(-1).items >= 50 && seen.at(-1).library === 'Movies' && seen.at(-1).elapsedMs >= 0, JSON.stringify(seen));
  await assert.rejects(library.refresh({ full: true, progress: async ({ items }) => items < 50 }), { code: 'ABORTED' });
  const mine = new RangeError('mine');
  const raise = () => { throw mine; };
  const later = async () => { await sleep(5); throw mine; };
  const is = (error) => error === mine;
  for (const progress of [raise, later]) {
    await library.refresh();
    const { cursor } = await library.changes();
    await assert.rejects(library.refresh({ full: true, progress }), is);
    await assert.rejects(index.call('changes.wait', { library: 'Movies', cursor, offline: true }, { progress }), is);
  }
  // A quick fetch tells of its progress once, when all is fetched.
  await assert.rejects((await opened(t)).library().match(movies[0].path, { progress: raise }), is);
  const stopped = new AbortController();
  const aborting = library.refresh({ full: true, signal: stopped.signal, progress: () => stopped.abort() });
  await assert.rejects(aborting, { name: 'AbortError' });
  const open = () => new Promise(() => {}); // which does not hold the call
  await assert.rejects(library.refresh({ full: true, progress: open, signal: AbortSignal.timeout(200) }), { name: 'TimeoutError' });
  assert.strictEqual(await library.refresh({ full: true, progress: open, deadlineMs: 200 }), false);
  // It is thrown while the index closes, too.
  await assert.rejects(library.refresh({ full: true, progress: () => { index.close(); throw mine; } }), is);
});

test('a long call does not block the loop, and close ends it and waits', async (t) => {
  const index = await opened(t, slowly);
  const order = [];
  index.library('Movies').refresh().catch((error) => order.push(error.code));
  for (let ticks = 0; ticks < 10; ticks += 1) await sleep(1);
  assert.deepStrictEqual(order, []);
  await index.close().then(() => order.push('closed'));
  assert.deepStrictEqual(order, ['CLOSED', 'closed']);
});

test('a token is renewed; why there was none is the cause', async (t) => {
  const given = [null, '', () => { throw new RangeError('mine'); }, async () => { throw new Error('mine'); }, 'a\nb', 'x'.repeat(1 << 20)];
  for (const one of given) {
    const renewToken = () => (global.gc(), typeof one === 'function' ? one() : one);
    const error = await (await opened(t, { token: 'refused', renewToken })).library().refresh().catch((raised) => raised);
    assert.strictEqual(error.code, 'UNAUTHORIZED');
    assert.match(String(error.cause), one ? /mine|what renewToken returns / : /^undefined$/);
  }
  const library = (await opened(t, { token: 'refused', renewToken: () => token })).library('Movies');
  const answers = await Promise.all(movies.map(({ path: file }) => library.match(file)));
  assert.deepStrictEqual(answers.map((answer) => answer.item.key), movies.map(({ key }) => key));
});

test('the feed of changes, and a wait that ends', async (t) => {
  const index = await opened(t);
  const library = index.library('Movies');
  await library.refresh();
  const { cursor } = await library.changes();
  assert.strictEqual(await library.waitForChanges(cursor, { deadlineMs: 1, offline: true }), false);
  const stopped = new AbortController();
  setTimeout(() => stopped.abort(), 20);
  await assert.rejects(library.waitForChanges(cursor, { signal: stopped.signal, offline: true }), { name: 'AbortError' });
  const { changes: [first], more } = await library.changes('', { full: true, limit: 7 });
  assert.deepStrictEqual([first.change, typeof first.item.ratingKey, more], ['added', 'string', true]);
  const unheard = library.waitForChanges(cursor, { offline: true }).catch((error) => error.code);
  await index.close();
  assert.strictEqual(await unheard, 'CLOSED');
});

test('the examples find a file, answer a webhook and wait for changes', { skip: windows && 'no such signals' }, async (t) => {
  const printed = execFileSync(process.execPath, [example('match.js'), serverUrl, token, folder(), 'Movies', movies[0].path]);
  assert.strictEqual(printed.toString(), `${movies[0].key}: ${movies[0].title}\n`);
  const start = async (name, given, settings) => {
    const started = spawn(process.execPath, [example(name), ...given], { env: { ...process.env, ...settings }, stdio: ['ignore', 'pipe', 2] });
    t.after(() => started.kill('SIGKILL'));
    return [started, String((await once(started.stdout, 'data'))[0]).trim()];
  };
  const [feed, listening] = await start('feed.js', [serverUrl, token, folder(), 'Movies']);
  assert.strictEqual(listening, 'listening');
  const server = { PLEX_URL: serverUrl, PLEX_TOKEN: token, CACHE_DIR: folder(), PORT: '0', WAIT_S: '0' };
  const [webhook, url] = await start('sonarr.js', [], server);
  const post = async (event) => {
    const answer = await fetch(url, { method: 'POST', body: JSON.stringify(event) });
    return [answer.status, await answer.json()];
  };
  const [status, item] = await post({ eventType: 'Download', episodeFile: { path: show.paths[0] } });
  assert.deepStrictEqual([status, item.showTitle, typeof item.episode], [200, show.title, 'number']);
  const [missing, why] = await post({ episodeFile: { path: `${show.folder}/x.mkv` } });
  assert.deepStrictEqual([missing, why.reason], [404, 'not_listed']);
  for (const [event, expected] of [[{ eventType: 'Test' }, 200], [null, 400], ['x'.repeat(3 << 20), 413]]) {
    assert.strictEqual((await post(event))[0], expected);
  }
  for (const ended of [feed, webhook]) {
    ended.kill('SIGTERM');
    assert.deepStrictEqual(await once(ended, 'exit'), [0, null]);
  }
});
