'use strict';
// A server, what it has, and temporary folders.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const plexindex = require('plexindex');

const { PLEXINDEX_TEST_URL: serverUrl, PLEXINDEX_TEST_SLOW_URL: slowUrl, PLEXINDEX_TEST_TOKEN: token } = process.env;
const rows = fs
  .readFileSync(process.env.PLEXINDEX_TEST_FACTS, 'utf8')
  .trim()
  .split('\n')
  .map((line) => line.split('\t'));
const rowsOf = (kind) => rows.filter(([rowKind]) => rowKind === kind);

function makeFolder() {
  const cacheDir = fs.mkdtempSync(path.join(os.tmpdir(), 'plexindex-node-'));
  process.on('exit', () => fs.rmSync(cacheDir, { recursive: true }));
  return cacheDir;
}

async function openIndex(t, options = {}) {
  const index = await plexindex.open({ cacheDir: makeFolder(), serverUrl, token, retryMs: -1, ...options });
  t.after(() => index.close());
  return index;
}

/** Runs a script with an index in another process. Returns its exit code and output. */
function runScript(script, options) {
  const source = `const plexindex = require('plexindex');
    plexindex.open(${JSON.stringify({ cacheDir: makeFolder(), token, ...options })}).then(async (index) => { ${script} });`;
  const ended = spawnSync(process.execPath, ['--expose-gc', '-e', source], { timeout: 60_000 });
  return [ended.status, ended.stdout.toString(), ended.stderr.toString()];
}

// Sixty pages of 20 ms.
const slowServer = { serverUrl: slowUrl, pageSize: 25 };
const movies = rowsOf('movie').map(([, key, title, file]) => ({ key, title, path: file }));
const repeated = { name: rowsOf('repeated')[0][1], paths: rowsOf('repeated').map(([, , file]) => file) };
const [[, folder, showTitle]] = rowsOf('show');
const show = { folder, title: showTitle, paths: rowsOf('show').map(([, , , file]) => file) };

module.exports = { makeFolder, openIndex, runScript, serverUrl, token, slowServer, movies, repeated, show };
