'use strict';

const { deepStrictEqual: equal, match, ok, rejects, throws } = require('node:assert');
const { execFileSync, spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { setTimeout: sleep } = require('node:timers/promises');
const { Worker } = require('node:worker_threads');
const plexindex = require('plexindex');
const support = require('./support.js');

const { makeFolder, openIndex, runScript, serverUrl, token } = support;
const { slowServer, movies, repeated, show } = support;

const example = (name) => path.join(path.dirname(require.resolve('plexindex')), 'examples', name);

test('matches and lookups find items', async (t) => {
  const index = await openIndex(t);
  const library = index.library('Movies');
  const [movie] = movies;
  equal(library.lookupKey(movie.path), null, 'nothing was fetched yet');
  const { sure: item, ...answer } = await library.match(movie.path);
  equal([answer.status, answer.matchKind, answer.confidence], ['OK', 'exact', 'high']);
  equal([answer.reason, answer.stale], [undefined, false]);
  equal([item.key, item.title, item.kind, item.path], [movie.key, movie.title, 'movie', movie.path]);
  const found = await index.call('match.title', { library: 'Movies', title: movie.title });
  const { rating_key: ratingKey, ...same } = found.candidates.find(({ key }) => key === movie.key);
  equal({ ratingKey, ...same }, item);
  equal([typeof found.age_ms, found.stale], [typeof answer.ageMs, answer.stale]);
  const { file } = answer;
  equal([file.path, file.part, file.parts, file.version <= file.versions], [movie.path, 1, 1, true]);
  const elsewhere = `/elsewhere/${path.basename(movie.path)}`;
  const { size } = file;
  const sized = await library.match(elsewhere, { size });
  equal([sized.sure.key, sized.confidence, sized.reason, sized.file], [movie.key, 'high', 'same_file', file]);
  const replaced = await library.match(elsewhere, { size: size + 1 });
  equal([replaced.confidence, replaced.sure, replaced.likely.key], ['low', null, movie.key]);
  equal((await library.matchPaths([elsewhere], { size: false }))[0].confidence, 'low');
  await rejects(library.matchPaths([elsewhere], { size }), /file_size/);
  const several = await library.match(`/elsewhere/${repeated.name}`);
  equal([several.status, several.sure, several.total], ['AMBIGUOUS', null, repeated.paths.length]);
  const all = await library.matchPaths([...movies.map((one) => one.path), '/nowhere/x.mkv']);
  const keys = all.map((answer) => answer.sure?.key);
  equal(keys, [...movies.map(({ key }) => key), undefined]);
  match(all.at(-1).message, /no library has a folder above/);
  equal(await library.matchPaths([]), []);
  equal(library.lookupKeys([movie.path, '/nowhere/x.mkv']), [movie.key, null]);
  equal([library.lookupKey(movie.path), library.lookupKey(Buffer.from(movie.path))], [movie.key, movie.key]);
  equal([library.lookupKey('\0'), library.lookupKey(Buffer.alloc(1))], [null, null]);
  const [shows, episode, longest] = [index.library('TV Shows'), show.paths[0], '9'.repeat(255)];
  await shows.recordMatch('/own/new.mkv', longest); // more memory than other keys
  equal(shows.lookupKeys(['/own/new.mkv']), [`/library/metadata/${longest}`]);
  const { sure: listed } = await shows.match(Buffer.from(episode), { offline: false, timeoutMs: undefined });
  equal([listed.showTitle, typeof listed.season], [show.title, 'number']);
});

test('methods are called by name', async (t) => {
  const index = await openIndex(t);
  await index.library().refresh();
  const page = await index.call('items.below', { library: 'TV Shows', path: show.folder, limit: 1 });
  ok(show.paths.includes(page.items[0].path) && typeof page.cursor === 'string', JSON.stringify(page));
  const bytes = Buffer.from([47, 255]);
  equal(await index.call('mappings.to_host', { path: bytes }), { path: bytes });
  equal((await index.call('versions')).library, plexindex.version());
  const refused = { code: 'INVALID_ARGUMENT', status: 100, message: /^items\.get: .*unknown field `path`/ };
  await rejects(index.call('items.get', { path: '/x' }), refused);
  await rejects(index.call('no such'), { code: 'INVALID_ARGUMENT', message: /no method 'no such'/ });
});

test('calls that change the store pass their arguments on', async (t) => {
  const index = await openIndex(t);
  const library = index.library('Movies');
  await library.recordMatch('/own/name.mkv', movies[3].key);
  const pairs = new Map(Object.entries({ '/own/a.mkv': movies[4].key, '/own/b.mkv': movies[5].key }));
  await library.recordMatches(pairs, { timeoutMs: 60_000 });
  const recorded = await library.matchPaths(['/own/name.mkv', '/own/a.mkv', '/own/b.mkv']);
  ok(recorded.every(({ matchKind }) => matchKind === 'confirmed'));
  await library.invalidatePath('/own/name.mkv');
  equal((await library.match('/own/name.mkv')).status, 'NOT_FOUND');
  await library.refresh({ check: true });
  const { answers, requests, lastFailure } = await index.stats();
  equal([answers.confirmed, requests.probe > 0, lastFailure], [3, true, null]);
  await library.invalidateItem(movies[4].key);
  await library.invalidate();
  await index.setToken('refused');
  await rejects(library.refresh(), { code: 'UNAUTHORIZED' });
  await index.setToken(token);
  await rejects(index.notify('no event'), { code: 'INVALID_ARGUMENT' });
  plexindex.drainLog();
  const table = index.table(new TextEncoder().encode('notes'), { foldAscii: true });
  await table.put('One', 'first', { ttlMs: -2 });
  await table.put('', Buffer.alloc(5_000, 255));
  equal([table.lookup('one'), await table.get('ONE'), await table.get('two')], ['first', Buffer.from('first'), null]);
  equal(await table.get(''), Buffer.alloc(5_000, 255));
  await table.put('bytes', Buffer.from([97, 255]));
  equal([table.lookup('bytes'), await table.get('bytes')], [null, Buffer.from([97, 255])]);
  await table.remove('bytes');
  const names = [];
  for await (const name of table.names()) names.push(name.toString());
  equal(names, ['', 'one']);
  await table.remove('one');
  equal(await table.get('one'), null);
  await index.clear();
});

test('100 failing calls at once each have their own error', async (t) => {
  const index = await openIndex(t);
  const calls = Array.from({ length: 100 }, (_, number) => index.library(`None ${number}`).match('/x.mkv'));
  (await Promise.allSettled(calls)).forEach(({ reason: error }, number) => {
    ok(error instanceof plexindex.PlexindexError, String(error));
    equal([error.code, error.status], ['LIBRARY_NOT_FOUND', 400]);
    match(error.message, new RegExp(`None ${number}\\b`));
  });
  await rejects(plexindex.open({ cacheDir: '' }), { code: 'INVALID_ARGUMENT', message: /cache_dir/ });
  await index.close();
  for (const call of [() => index.stats(), () => index.call('versions')]) await rejects(call, { code: 'CLOSED' });
  throws(() => index.library('Movies'), { code: 'CLOSED', status: null });
});

test('progress is reported, and its result or exception ends the call', async (t) => {
  const index = await openIndex(t, slowServer);
  const library = index.library('Movies');
  const reports = [];
  await rejects(library.refresh({ progress: (one) => (reports.push(one), one.items < 50) }), { code: 'ABORTED' });
  ok(reports.at(-1).items >= 50 && reports.at(-1).library === 'Movies' && reports.at(-1).elapsedMs >= 0);
  const mine = { name: 'RangeError', message: 'mine' };
  const progress = () => {
    throw new RangeError('mine');
  };
  await library.refresh();
  const { cursor } = await index.call('changes.list', { library: 'Movies' });
  await rejects(library.refresh({ full: true, progress }), mine);
  await rejects(index.call('changes.wait', { library: 'Movies', cursor, offline: true }, { progress }), mine);
  // A quick fetch reports its progress once, at its end.
  await rejects((await openIndex(t)).library().match(movies[0].path, { progress }), mine);
});

test('deadlines and signals end a call', async (t) => {
  const index = await openIndex(t, slowServer);
  const library = index.library('Movies');
  equal(await library.refresh({ timeoutMs: 100 }), false);
  const unlimited = await openIndex(t, { timeoutMs: 0 }); // as the header says
  equal((await unlimited.library().match(movies[0].path)).status, 'OK');
  ok(['NOT_YET', 'NEEDS_WARM'].includes((await library.match('/x.mkv', { timeoutMs: 0 })).status));
  for (const reason of ['mine', undefined]) {
    const controller = new AbortController();
    const { signal } = controller;
    const calls = [library.refresh({ signal }), library.match('/x.mkv', { signal })];
    setTimeout(() => controller.abort(reason), 50);
    for (const ended of await Promise.allSettled(calls)) equal(ended.reason, signal.reason);
    await rejects(library.match('/x.mkv', { signal }), (error) => error === signal.reason);
  }
  await library.refresh();
  const { cursor } = await index.call('changes.list', { library: 'Movies' });
  const wait = (options) => index.call('changes.wait', { library: 'Movies', cursor, offline: true }, options);
  equal(await wait({ timeoutMs: 1 }), { ready: false });
  await rejects(wait({ signal: AbortSignal.timeout(20) }), { name: 'TimeoutError' });
  const unheard = rejects(wait(), { code: 'CLOSED' });
  await index.close();
  await unheard;
});

test('a long call does not block the loop, and close ends it and waits', async (t) => {
  const index = await openIndex(t, slowServer);
  const [library, order] = [index.library('Movies'), []];
  const refresh = () => library.refresh().catch((error) => order.push(error.code));
  const calls = Array.from({ length: 70 }, refresh);
  for (let ticks = 0; ticks < 10; ticks += 1) await sleep(1);
  equal(order, []);
  await index.close().then(() => order.push('closed'));
  await Promise.all(calls);
  equal(order, [...Array(70).fill('CLOSED'), 'closed']);
});

test('a worker thread uses the library, which stays loaded', async () => {
  const script = `const { workerData } = require('node:worker_threads'); const plexindex = require('plexindex');
    plexindex.open({ cacheDir: workerData, offline: true }).then(async (index) => {
      await index.table('notes').put('a', 'b'); await index.close(); });`;
  const cacheDir = makeFolder();
  await once(new Worker(script, { eval: true, workerData: cacheDir }), 'exit');
  if (process.platform === 'linux') match(fs.readFileSync('/proc/self/maps', 'latin1'), /libplexindex\.so/);
  const index = await plexindex.open({ cacheDir, offline: true });
  equal(await index.table('notes').get('a'), Buffer.from('b'));
  await index.close();
});

test('a process ends while a call runs, and prints an uncaught error', () => {
  const refresh = (progress) => `index.library('Movies').refresh({ progress: () => { ${progress} } }).catch(() => {});`;
  equal(runScript(refresh('process.exit(7);'), slowServer), [7, '', '']);
  const throwLater = "setImmediate(() => { throw new Error('a defect of the host'); });";
  const [status, , errors] = runScript(refresh(throwLater), slowServer);
  equal(status, 1);
  match(errors, /Error: a defect of the host\n {4}at /);
});

test('the examples find a file, answer a webhook and wait for changes', async (t) => {
  if (process.platform === 'win32') return t.skip('no signals');
  const match = [example('match.js'), serverUrl, token, makeFolder(), 'Movies', movies[0].path];
  equal(execFileSync(process.execPath, match).toString(), `${movies[0].key}: ${movies[0].title}\n`);
  const start = async (name, args, settings) => {
    const options = { env: { ...process.env, ...settings }, stdio: ['ignore', 'pipe', 2] };
    const started = spawn(process.execPath, [example(name), ...args], options);
    t.after(() => started.kill('SIGKILL'));
    return [started, String((await once(started.stdout, 'data'))[0]).trim()];
  };
  const [feed, listening] = await start('feed.js', [serverUrl, token, makeFolder(), 'Movies']);
  equal(listening, 'listening');
  const server = { PLEX_URL: serverUrl, PLEX_TOKEN: token, CACHE_DIR: makeFolder(), PORT: '0', WAIT_S: '0' };
  const [webhook, url] = await start('sonarr.js', [], server);
  const post = async (event) => {
    const response = await fetch(url, { method: 'POST', body: JSON.stringify(event) });
    return [response.status, await response.json()];
  };
  const [status, item] = await post({ eventType: 'Download', episodeFile: { path: show.paths[0] } });
  equal([status, item.showTitle, typeof item.episode], [200, show.title, 'number']);
  const [missing, why] = await post({ episodeFile: { path: `${show.folder}/x.mkv` } });
  equal([missing, why.reason], [404, 'not_listed']);
  equal((await post({ eventType: 'Test' }))[0], 200);
  equal((await post(null))[0], 400);
  equal((await post('x'.repeat(3 << 20)))[0], 413);
  for (const program of [feed, webhook]) {
    program.kill('SIGTERM');
    equal(await once(program, 'exit'), [0, null]);
  }
});
