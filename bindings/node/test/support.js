'use strict';
// What the tests share: a server, what it has, and folders that go again.

const { spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const plexindex = require('plexindex');

const { PLEXINDEX_TEST_URL: serverUrl, PLEXINDEX_TEST_SLOW_URL: slowUrl, PLEXINDEX_TEST_TOKEN: token } = process.env;
const rows = fs.readFileSync(process.env.PLEXINDEX_TEST_FACTS, 'utf8').trim().split('\n').map((line) => line.split('\t'));
const of = (kind) => rows.filter(([first]) => first === kind);

function folder() {
  const cacheDir = fs.mkdtempSync(path.join(os.tmpdir(), 'plexindex-node-'));
  process.on('exit', () => fs.rmSync(cacheDir, { recursive: true })); // its index is closed then
  return cacheDir;
}

async function opened(t, options = {}) {
  const index = await plexindex.open({ cacheDir: folder(), serverUrl, token, retryMs: -1, ...options });
  t.after(() => index.close());
  return index;
}

/** An index of a server that takes connections and says nothing. */
async function silent(t, options = {}) {
  const server = net.createServer((socket) => socket.on('error', () => {}));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return opened(t, { serverUrl: `http://127.0.0.1:${server.address().port}`, retryMs: undefined, ...options });
}

/** Runs a script of its own process, with an index: how it ended, and what it printed. */
function run(t, script, options, more = {}) {
  const source = `const plexindex = require('plexindex');
    plexindex.open(${JSON.stringify({ cacheDir: folder(), token, ...options })}).then(async (index) => { ${script} });`;
  const ended = spawnSync(process.execPath, ['--expose-gc', '-e', source], { timeout: 60_000, ...more });
  return [ended.status, ended.stdout.toString(), ended.stderr.toString()];
}

/** How many files below a folder this process has open. */
function held(cacheDir) {
  return fs.readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`).startsWith(cacheDir);
    } catch {
      return false;
    }
  }).length;
}

module.exports = {
  folder, opened, silent, run, held, serverUrl, slowUrl, token,
  // Sixty pages of 20 ms: a fetch that is still under way when its progress is told of.
  slowly: { serverUrl: slowUrl, pageSize: 25 },
  windows: process.platform === 'win32',
  movies: of('movie').map(([, key, title, file]) => ({ key, title, path: file })),
  repeated: { name: of('repeated')[0][1], paths: of('repeated').map(([, , file]) => file) },
  show: { folder: of('show')[0][1], title: of('show')[0][2], paths: of('show').map(([, , , file]) => file) },
};
