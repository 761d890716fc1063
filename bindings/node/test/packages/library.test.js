'use strict';
// Where the package looks for the library.

const assert = require('node:assert');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');

const modules = path.dirname(path.dirname(require.resolve('plexindex')));
const [packaged] = fs.readdirSync(path.join(modules, '@plexindex'));
const windows = process.platform === 'win32';
const library = path.join(modules, '@plexindex', packaged, windows ? 'plexindex.dll' : 'libplexindex.so');

const LOADED_HERE = `const maps = require('fs').readFileSync('/proc/self/maps', 'latin1');
      console.log(maps.match(/\\/\\S*libplexindex\\.so\\S*/)[0]);`;
const LOADED_THERE = `const kernel = require('koffi').load('kernel32.dll'), path = Buffer.alloc(1000);
      const handle = kernel.func('void *GetModuleHandleW(str16)')('plexindex.dll');
      const length = kernel.func('uint32_t GetModuleFileNameW(void *, void *, uint32_t)')(handle, path, path.length / 2);
      console.log(path.toString('utf16le', 0, length * 2));`;

/** A project with the package, but without that of the library. */
function project(t) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'plexindex-node-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  fs.cpSync(path.join(modules, 'plexindex'), path.join(folder, 'node_modules', 'plexindex'), { recursive: true });
  // A user of Windows may make no links.
  const link = windows ? (from, to) => fs.cpSync(from, to, { recursive: true }) : fs.symlinkSync;
  for (const name of windows ? ['koffi', '@koromix'] : ['koffi']) link(path.join(modules, name), path.join(folder, 'node_modules', name));
  return folder;
}

/** What a process in that folder prints: the library's file, or the error. */
function loaded(cwd, variables = {}, before = '') {
  // koffi looks at the platform, too, and is loaded before it is changed.
  const script = `require('koffi'); ${before}; const plexindex = require('plexindex');
    try {
      plexindex.version();
      ${windows ? LOADED_THERE : LOADED_HERE}
    } catch (error) {
      console.log(error instanceof plexindex.PlexindexError, error.code, error.message);
    }`;
  const env = { ...process.env, PLEXINDEX_LIBRARY: '', LD_LIBRARY_PATH: '', ...variables };
  const done = spawnSync(process.execPath, ['-e', script], { cwd, env, encoding: 'utf8' });
  assert.strictEqual(done.stderr, '');
  return done.stdout.trim();
}

test('the package of the platform comes first, and a named file before it', (t) => {
  assert.strictEqual(loaded(path.dirname(modules)), library);
  const named = path.join(project(t), path.basename(library));
  fs.copyFileSync(library, named);
  assert.strictEqual(loaded(path.dirname(modules), { PLEXINDEX_LIBRARY: named }), named);
  assert.match(loaded(path.dirname(modules), { PLEXINDEX_LIBRARY: '/nowhere/x.so' }), /^true NOT_INSTALLED .*\/nowhere\/x\.so/);
});

test('without it the library of the system', { skip: !windows && 'of Windows' }, (t) => {
  const folder = project(t);
  const system = path.join(folder, 'lib');
  fs.mkdirSync(system);
  fs.copyFileSync(library, path.join(system, 'plexindex.dll'));
  assert.strictEqual(loaded(folder, { PATH: system }), path.join(system, 'plexindex.dll'));
});

test('without it the runtime library of the system, then the development link', { skip: windows && 'it has one name there' }, (t) => {
  const folder = project(t);
  const system = path.join(folder, 'lib');
  fs.mkdirSync(system);
  fs.copyFileSync(library, path.join(system, 'libplexindex.so'));
  assert.strictEqual(loaded(folder, { LD_LIBRARY_PATH: system }), path.join(system, 'libplexindex.so'));
  fs.copyFileSync(library, path.join(system, 'libplexindex.so.0'));
  assert.strictEqual(loaded(folder, { LD_LIBRARY_PATH: system }), path.join(system, 'libplexindex.so.0'));
  fs.rmSync(path.join(system, 'libplexindex.so'));
  assert.strictEqual(loaded(folder, { LD_LIBRARY_PATH: system }), path.join(system, 'libplexindex.so.0'));
});

test('a missing library says what to install for this platform', (t) => {
  const folder = project(t);
  const version = require('plexindex').version();
  const wanted = (what) => `true NOT_INSTALLED the plexindex library cannot be loaded: npm install ${what}, or install the C library`;
  assert.ok(loaded(folder).startsWith(wanted(`plexindex-${packaged}-${version}.tgz`)));
  const maps = windows || `const fs = require('fs'); const read = fs.readFileSync;
    fs.readFileSync = (file, ...more) => file === '/proc/self/maps' ? '7f00-7f01 r--p 00000000 00:01 1 /lib/ld-musl-x86_64.so.1' : read(file, ...more)`;
  if (!windows) assert.match(loaded(folder, {}, maps), new RegExp(`npm install plexindex-linux-${process.arch}-musl-`));
  assert.match(loaded(folder, {}, "Object.defineProperty(process, 'arch', { value: 'ia32' })"), /NOT_INSTALLED plexindex needs Node.js for x64 or arm64/);
  assert.match(loaded(folder, {}, "Object.defineProperty(process, 'platform', { value: 'freebsd' })"), /no package is made for freebsd-\w+: build the library there/);
  const manifest = path.join(folder, 'node_modules', 'plexindex', 'package.json');
  const published = { ...JSON.parse(fs.readFileSync(manifest)), optionalDependencies: { [`@plexindex/${packaged}`]: version } };
  fs.writeFileSync(manifest, JSON.stringify(published));
  assert.ok(loaded(folder).startsWith(wanted(`@plexindex/${packaged}@${version}`)));
});

test('another library is named with its version', (t) => {
  const folder = project(t);
  assert.match(loaded(folder, { PLEXINDEX_LIBRARY: windows ? 'kernel32.dll' : 'libc.so.6' }), /^true NOT_INSTALLED (libc\.so\.6|kernel32\.dll) lacks plexindex_\w+: install version /);
});

test('the packages have the licences of what is in them', () => {
  const texts = (folder) => fs.readdirSync(folder).filter((name) => /^(LICENSE|THIRD)/.test(name));
  assert.deepStrictEqual(texts(path.join(modules, 'plexindex')), ['LICENSE-APACHE', 'LICENSE-MIT']);
  assert.deepStrictEqual(texts(path.dirname(library)), ['LICENSE-APACHE', 'LICENSE-MIT', 'THIRD-PARTY']);
  assert.match(fs.readFileSync(path.join(path.dirname(library), 'THIRD-PARTY'), 'utf8'), /^rustls \d/m);
});
