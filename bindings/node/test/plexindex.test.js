'use strict';

const assert = require('node:assert');
const { execFileSync, spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { setTimeout: sleep } = require('node:timers/promises');
const { Worker } = require('node:worker_threads');
const plexindex = require('plexindex');
const {
  makeFolder,
  openIndex,
  runScript,
  serverUrl,
  token,
  slowServer,
  movies,
  repeated,
  show,
} = require('./support.js');

const example = (name) => path.join(path.dirname(require.resolve('plexindex')), 'examples', name);

test('matches and lookups find items', async (t) => {
  const index = await openIndex(t);
  const library = index.library('Movies');
  const [movie] = movies;
  assert.strictEqual(library.lookupKey(movie.path), null, 'nothing was fetched yet');
  const { item, ...match } = await library.match(movie.path);
  assert.deepStrictEqual(
    [match.status, match.matchKind, match.confidence, match.reason, match.stale],
    ['OK', 'exact', 'high', undefined, false],
  );
  assert.deepStrictEqual([item.key, item.title, item.kind, item.path], [movie.key, movie.title, 'movie', movie.path]);
  const found = await index.call('match.title', { library: 'Movies', title: movie.title });
  const { rating_key: ratingKey, ...same } = found.candidates.find(({ key }) => key === movie.key);
  assert.deepStrictEqual({ ratingKey, ...same }, item);
  assert.deepStrictEqual([typeof found.age_ms, found.stale], [typeof match.ageMs, match.stale]);
  const several = await library.match(`/elsewhere/${repeated.name}`);
  assert.deepStrictEqual([several.status, several.item, several.total], ['AMBIGUOUS', null, repeated.paths.length]);
  const all = await library.matchPaths([...movies.map((one) => one.path), '/nowhere/x.mkv']);
  assert.deepStrictEqual(
    all.map((answer) => answer.item?.key),
    [...movies.map(({ key }) => key), undefined],
  );
  assert.match(all.at(-1).message, /no library has a folder above/);
  assert.deepStrictEqual(await library.matchPaths([]), []);
  assert.deepStrictEqual(library.lookupKeys([movie.path, '/nowhere/x.mkv']), [movie.key, null]);
  assert.deepStrictEqual(
    [movie.path, Buffer.from(movie.path), '\0'].map((one) => library.lookupKey(one)),
    [movie.key, movie.key, null],
  );
  assert.strictEqual((await library.matchPaths(Array(5_000).fill(movie.path))).length, 5_000);
  const [shows, episode] = [index.library('TV Shows'), show.paths[0]];
  const {
    item: { showTitle, season },
  } = await shows.match(Buffer.from(episode), { offline: false, deadlineMs: undefined });
  assert.deepStrictEqual([showTitle, typeof season], [show.title, 'number']);
});

test('methods are called by name', async (t) => {
  const index = await openIndex(t);
  await index.library().refresh();
  const page = await index.call('items.below', { library: 'TV Shows', path: show.folder, limit: 1 });
  assert.ok(show.paths.includes(page.items[0].path) && typeof page.cursor === 'string', JSON.stringify(page));
  const bytes = Buffer.from([47, 255]);
  assert.deepStrictEqual(await index.call('mappings.to_host', { path: bytes }), { path: bytes });
  assert.strictEqual((await index.call('versions')).library, plexindex.version());
  const refused = { code: 'INVALID_ARGUMENT', status: 100, message: /^items\.get: .*unknown field `path`/ };
  await assert.rejects(index.call('items.get', { path: '/x' }), refused);
  await assert.rejects(index.call('no such'), { code: 'INVALID_ARGUMENT', message: /no method 'no such'/ });
  const edit = {
    library: 'Movies',
    keys: [movies[0].key, '999999'],
    changes: [{ field: 'title', set: 'A' }],
    lock: 'leave',
  };
  await assert.rejects(index.call('edit', edit), ({ code, report }) => {
    assert.deepStrictEqual([code, report.states], ['NOT_ON_SERVER', ['no', 'missing']]);
    return true;
  });
});

test('calls that change the store pass their arguments on', async (t) => {
  const index = await openIndex(t);
  const library = index.library('Movies');
  await library.recordMatch('/own/name.mkv', movies[3].key);
  await library.recordMatches(
    [
      ['/own/a.mkv', movies[4].key],
      ['/own/b.mkv', movies[5].key],
    ],
    { deadlineMs: 60_000 },
  );
  const kinds = await library.matchPaths(['/own/name.mkv', '/own/a.mkv', '/own/b.mkv']);
  assert.deepStrictEqual(
    kinds.map(({ matchKind }) => matchKind),
    Array(3).fill('confirmed'),
  );
  await library.invalidatePath('/own/name.mkv');
  assert.strictEqual((await library.match('/own/name.mkv')).status, 'NOT_FOUND');
  await library.refresh({ check: true });
  const { answers, requests, lastFailure } = await index.stats();
  assert.deepStrictEqual([answers.confirmed, requests.probe > 0, lastFailure], [3, true, null]);
  await library.invalidateItem(movies[4].key);
  await library.invalidate();
  await index.setToken('refused');
  await assert.rejects(library.refresh(), { code: 'UNAUTHORIZED' });
  await index.setToken(token);
  await assert.rejects(index.notify('no event'), { code: 'INVALID_ARGUMENT' });
  plexindex.drainLog();
  const table = index.table(new TextEncoder().encode('notes'), { foldAscii: true });
  await table.put('One', 'first', { ttlMs: -2 });
  await table.put('', Buffer.alloc(5_000, 255));
  assert.deepStrictEqual(
    [table.lookup('one'), await table.get('ONE'), await table.get('two')],
    ['first', Buffer.from('first'), null],
  );
  assert.deepStrictEqual(await table.get(''), Buffer.alloc(5_000, 255));
  const names = [];
  for await (const name of table.names()) names.push(name.toString());
  assert.deepStrictEqual(names, ['', 'one']);
  await table.remove('one');
  assert.strictEqual(await table.get('one'), null);
  await index.clear();
});

test('100 failing calls at once each have their own error', async (t) => {
  const index = await openIndex(t);
  const failures = await Promise.all(
    Array.from({ length: 100 }, (_, number) =>
      index
        .library(`None ${number}`)
        .match('/x.mkv')
        .then(
          () => assert.fail(),
          (error) => error,
        ),
    ),
  );
  failures.forEach((error, number) => {
    assert.ok(error instanceof plexindex.PlexindexError, String(error));
    assert.deepStrictEqual([error.code, error.status], ['LIBRARY_NOT_FOUND', 400]);
    assert.match(error.message, new RegExp(`None ${number}\\b`));
  });
  await assert.rejects(plexindex.open({ cacheDir: '' }), { code: 'INVALID_ARGUMENT', message: /cache_dir/ });
  await index.close();
  for (const call of [() => index.stats(), () => index.call('versions')])
    await assert.rejects(call, { code: 'CLOSED' });
  assert.throws(() => index.library('Movies'), { code: 'CLOSED', status: null });
});

test('progress is reported, and its result or exception ends the call', async (t) => {
  const index = await openIndex(t, slowServer);
  const library = index.library('Movies');
  const reports = [];
  await assert.rejects(library.refresh({ progress: (one) => (reports.push(one), one.items < 50) }), {
    code: 'ABORTED',
  });
  assert.ok(reports.at(-1).items >= 50 && reports.at(-1).library === 'Movies' && reports.at(-1).elapsedMs >= 0);
  const mine = new RangeError('mine');
  const progress = () => {
    throw mine;
  };
  await library.refresh();
  const { cursor } = await index.call('changes.list', { library: 'Movies' });
  await assert.rejects(library.refresh({ full: true, progress }), (error) => error === mine);
  await assert.rejects(
    index.call('changes.wait', { library: 'Movies', cursor, offline: true }, { progress }),
    (error) => error === mine,
  );
  // A quick fetch reports its progress once, at its end.
  await assert.rejects((await openIndex(t)).library().match(movies[0].path, { progress }), (error) => error === mine);
});

test('deadlines and signals end a call', async (t) => {
  const index = await openIndex(t, slowServer);
  const library = index.library('Movies');
  assert.strictEqual(await library.refresh({ deadlineMs: 100 }), false);
  assert.ok(['NOT_YET', 'NEEDS_WARM'].includes((await library.match('/x.mkv', { deadlineMs: 0 })).status));
  for (const reason of ['mine', undefined]) {
    const controller = new AbortController();
    const calls = [
      library.refresh({ signal: controller.signal }),
      library.match('/x.mkv', { signal: controller.signal }),
    ];
    setTimeout(() => controller.abort(reason), 50);
    for (const ended of await Promise.allSettled(calls)) assert.strictEqual(ended.reason, controller.signal.reason);
    await assert.rejects(
      library.match('/x.mkv', { signal: controller.signal }),
      (error) => error === controller.signal.reason,
    );
  }
  await library.refresh();
  const { cursor } = await index.call('changes.list', { library: 'Movies' });
  const wait = (options) => index.call('changes.wait', { library: 'Movies', cursor, offline: true }, options);
  assert.deepStrictEqual(await wait({ deadlineMs: 1 }), { ready: false });
  await assert.rejects(wait({ signal: AbortSignal.timeout(20) }), { name: 'TimeoutError' });
  const unheard = assert.rejects(wait(), { code: 'CLOSED' });
  await index.close();
  await unheard;
});

test('a long call does not block the loop, and close ends it and waits', async (t) => {
  const index = await openIndex(t, slowServer);
  const order = [];
  const calls = Array.from({ length: 70 }, () =>
    index
      .library('Movies')
      .refresh()
      .catch((error) => order.push(error.code)),
  );
  for (let ticks = 0; ticks < 10; ticks += 1) await sleep(1);
  assert.deepStrictEqual(order, []);
  await index.close().then(() => order.push('closed'));
  await Promise.all(calls);
  assert.deepStrictEqual(order, [...Array(70).fill('CLOSED'), 'closed']);
});

test('a worker thread uses the library, which stays loaded', async () => {
  const script = `const { workerData } = require('node:worker_threads'); const plexindex = require('plexindex');
    plexindex.open({ cacheDir: workerData, offline: true }).then(async (index) => {
      await index.table('notes').put('a', 'b'); await index.close(); });`;
  const cacheDir = makeFolder();
  await once(new Worker(script, { eval: true, workerData: cacheDir }), 'exit');
  if (process.platform === 'linux') assert.match(fs.readFileSync('/proc/self/maps', 'latin1'), /libplexindex\.so/);
  const index = await plexindex.open({ cacheDir, offline: true });
  assert.deepStrictEqual(await index.table('notes').get('a'), Buffer.from('b'));
  await index.close();
});

test('a process ends while a call runs, and prints an uncaught error', () => {
  const refresh = (progress) => `index.library('Movies').refresh({ progress: () => { ${progress} } }).catch(() => {});`;
  assert.deepStrictEqual(runScript(refresh('process.exit(7);'), slowServer), [7, '', '']);
  const [status, , errors] = runScript(
    refresh("setImmediate(() => { throw new Error('a defect of the host'); });"),
    slowServer,
  );
  assert.strictEqual(status, 1);
  assert.match(errors, /Error: a defect of the host\n {4}at /);
});

test(
  'the examples find a file, answer a webhook and wait for changes',
  { skip: process.platform === 'win32' },
  async (t) => {
    const printed = execFileSync(process.execPath, [
      example('match.js'),
      serverUrl,
      token,
      makeFolder(),
      'Movies',
      movies[0].path,
    ]);
    assert.strictEqual(printed.toString(), `${movies[0].key}: ${movies[0].title}\n`);
    const start = async (name, args, settings) => {
      const started = spawn(process.execPath, [example(name), ...args], {
        env: { ...process.env, ...settings },
        stdio: ['ignore', 'pipe', 2],
      });
      t.after(() => started.kill('SIGKILL'));
      return [started, String((await once(started.stdout, 'data'))[0]).trim()];
    };
    const [feed, listening] = await start('feed.js', [serverUrl, token, makeFolder(), 'Movies']);
    assert.strictEqual(listening, 'listening');
    const server = { PLEX_URL: serverUrl, PLEX_TOKEN: token, CACHE_DIR: makeFolder(), PORT: '0', WAIT_S: '0' };
    const [webhook, url] = await start('sonarr.js', [], server);
    const post = async (event) => {
      const answer = await fetch(url, { method: 'POST', body: JSON.stringify(event) });
      return [answer.status, await answer.json()];
    };
    const [status, item] = await post({ eventType: 'Download', episodeFile: { path: show.paths[0] } });
    assert.deepStrictEqual([status, item.showTitle, typeof item.episode], [200, show.title, 'number']);
    const [missing, why] = await post({ episodeFile: { path: `${show.folder}/x.mkv` } });
    assert.deepStrictEqual([missing, why.reason], [404, 'not_listed']);
    for (const [event, expected] of [
      [{ eventType: 'Test' }, 200],
      [null, 400],
      ['x'.repeat(3 << 20), 413],
    ]) {
      assert.strictEqual((await post(event))[0], expected);
    }
    for (const ended of [feed, webhook]) {
      ended.kill('SIGTERM');
      assert.deepStrictEqual(await once(ended, 'exit'), [0, null]);
    }
  },
);
