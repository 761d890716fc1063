'use strict';
// Where the shared library is: in the package of this platform, else the system's runtime library, else the link that
// a development package has.

const fs = require('node:fs');
const koffi = require('koffi');
const { PlexindexError } = require('./arguments.js');
const { version, platforms, optionalDependencies } = require('./package.json');

const SYSTEM = {
  darwin: ['libplexindex.0.dylib', 'libplexindex.dylib'],
  win32: ['plexindex.dll'],
}[process.platform] ?? ['libplexindex.so.0', 'libplexindex.so'];

/** This platform, as its package is called: 'linux-x64-gnu', 'linux-arm64-musl', 'darwin-arm64'. */
function platform() {
  const system = `${process.platform}-${process.arch}`;
  return process.platform === 'linux' ? `${system}-${hasMusl() ? 'musl' : 'gnu'}` : system;
}

/** Whether the C library of this process is musl: its loader is mapped then. */
function hasMusl() {
  try {
    return fs.readFileSync('/proc/self/maps', 'latin1').includes('/ld-musl-');
  } catch {
    return false;
  }
}

/** The files to try. A package that is there is used, or its failure is shown. */
function files() {
  if (process.env.PLEXINDEX_LIBRARY) return [process.env.PLEXINDEX_LIBRARY];
  try {
    return [require.resolve(`@plexindex/${platform()}`)];
  } catch {
    return SYSTEM;
  }
}

function remedy() {
  const other = "or name the library's file in PLEXINDEX_LIBRARY";
  if (process.env.PLEXINDEX_LIBRARY) return `PLEXINDEX_LIBRARY names no library for ${platform()}`;
  if (!platforms.includes(platform())) return `no package is made for ${platform()}: build the library there, ${other}`;
  // Only what is published may be installed by its name.
  const packed = optionalDependencies ? `@plexindex/${platform()}@${version}` : `plexindex-${platform()}-${version}.tgz`;
  return `npm install ${packed}, or install the C library (${SYSTEM[0]}), ${other}`;
}

const refused = (message) => new PlexindexError('NOT_INSTALLED', message);

/** Loads the library: `{ file, library }`. */
function openLibrary() {
  if (!['x64', 'arm64'].includes(process.arch)) {
    throw refused(`plexindex needs Node.js for x64 or arm64, and this one is for ${process.arch}`);
  }
  const failures = [];
  for (const file of files()) {
    try {
      return { file, library: koffi.load(file) };
    } catch (error) {
      failures.push(`${file}: ${error.message}`);
    }
  }
  throw refused(`the plexindex library cannot be loaded: ${remedy()} (${failures.join('; ')})`);
}

/** Takes another reference: koffi unloads the library when its worker thread ends, under threads of the library's. */
function keep(file) {
  if (process.platform === 'win32') koffi.load('kernel32.dll').func('void *LoadLibraryW(str16)')(file);
  else koffi.load(null).func('void *dlopen(const char *, int)')(file, 1);
}

/** Ends this process without waiting for its threads. */
function endProcess(code) {
  if (process.platform !== 'win32') koffi.load(null).func('void _exit(int status)')(code);
  // -1 is this process.
  else koffi.load('kernel32.dll').func('int TerminateProcess(intptr_t process, uint32_t code)')(-1, code);
}

module.exports = { openLibrary, keep, endProcess, refused, version };
