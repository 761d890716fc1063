'use strict';
// Loads the shared library and binds its functions and structs, which include/plexindex.json describes. A package has a
// copy of that file: abi.json.

const { existsSync } = require('node:fs');
const koffi = require('koffi');
const { PlexindexError } = require('./arguments.js');
const { version } = require('./package.json');

const abi = require(existsSync(`${__dirname}/abi.json`) ? './abi.json' : '../../include/plexindex.json');
const SYSTEM_FILES = { darwin: 'libplexindex.0.dylib', win32: 'plexindex.dll' };
const FILE = process.env.PLEXINDEX_LIBRARY || SYSTEM_FILES[process.platform] || 'libplexindex.so.0';

const shortName = (name) => name.replace(/^plexindex_/i, '');
const shortNames = (all) => Object.fromEntries(Object.entries(all).map(([name, value]) => [shortName(name), value]));

/** Numbers without their prefix: `constants.QUERY_OFFLINE`, `statuses.NOT_FOUND`. */
const constants = shortNames(abi.constants);
const statuses = shortNames(abi.statuses);

/** Returns the words of the constants with this prefix: 'file_name' at 5 for `MATCH_FILE_NAME`. */
function words(prefix) {
  const all = [];
  for (const [name, value] of Object.entries(constants)) {
    if (name.startsWith(prefix)) all[value] = name.slice(prefix.length).toLowerCase();
  }
  return all;
}

const structs = {};
const callbacks = {};

function koffiType(type) {
  if (!type.endsWith('*')) return structs[type] ?? callbacks[type] ?? type;
  const struct = structs[type.replace(/^const | \*$/g, '')];
  return struct ? koffi.pointer(struct) : 'void *';
}

/** Returns the type of an argument: the library writes to structs that are not `const`, and to pointers to pointers. */
function argumentType({ type }) {
  if (type.endsWith('**')) return koffi.out(koffi.pointer('void *'));
  const isWritten = !type.startsWith('const') && koffiType(type) !== 'void *' && type.endsWith('*');
  return isWritten ? koffi.inout(koffiType(type)) : koffiType(type);
}

for (const [name, { result, arguments: args }] of Object.entries(abi.callbacks)) {
  const types = args.map(({ type }) => (type === 'const char *' ? 'str' : type.endsWith('*') ? 'void *' : type));
  callbacks[name] = koffi.pointer(koffi.proto(name, result, types));
}
for (const [name, { fields }] of Object.entries(abi.structs)) {
  const fieldType = ({ type, count }) =>
    count ? koffi.array(type, count, type === 'char' ? 'String' : 'Array') : koffiType(type);
  structs[name] = koffi.struct(name, Object.fromEntries(fields.map((field) => [field.name, fieldType(field)])));
}

let native;

function notInstalled(message) {
  const remedy = `install version ${version} of the C library, or set PLEXINDEX_LIBRARY to its file`;
  return new PlexindexError('NOT_INSTALLED', `${message}; ${remedy}`);
}

function loadFile() {
  try {
    return koffi.load(FILE);
  } catch (error) {
    throw notInstalled(`cannot load the plexindex library ${FILE} (${error.message})`);
  }
}

/** Returns the library's functions, by their names without the prefix. */
function load() {
  if (native) return native;
  const library = loadFile();
  const abiVersion = library.func('plexindex_get_abi_version', 'uint32_t', [])();
  if (abiVersion !== constants.ABI_VERSION) {
    throw notInstalled(`${FILE} has ABI version ${abiVersion}, not ${constants.ABI_VERSION}`);
  }
  native = {};
  for (const [name, { result, arguments: args }] of Object.entries(abi.functions)) {
    const type = result === 'const char *' ? 'str' : result.endsWith('*') ? 'void *' : result;
    native[shortName(name)] = library.func(name, type, args.map(argumentType));
  }
  // These take and return texts that end with a NUL.
  const json = koffi.out(koffi.pointer(koffi.disposable('plexindex_json', 'str', native.free)));
  const [handle, value] = ['void *', koffi.out(koffi.pointer('str'))];
  native.lookup_key = library.func('plexindex_lookup_key', 'str', [handle, 'str']);
  native.table_lookup = library.func('plexindex_table_lookup', 'int32_t', [handle, 'str', value]);
  const [options, error] = [koffiType('const plexindex_call_options *'), argumentType({ type: 'plexindex_buffer *' })];
  native.call = library.func('plexindex_call', 'int32_t', [handle, 'str', 'void *', 'size_t', options, json, error]);
  // koffi unloads a library when the worker thread that loaded it ends, under the library's own threads.
  if (process.platform === 'win32') koffi.load('kernel32.dll').func('void *LoadLibraryW(str16)')(FILE);
  else koffi.load(null).func('void *dlopen(const char *, int)')(FILE, 1);
  return native;
}

/** Ends this process without waiting for its threads. */
function endProcess(code) {
  if (process.platform !== 'win32') koffi.load(null).func('void _exit(int status)')(code);
  // -1 is this process.
  else koffi.load('kernel32.dll').func('int TerminateProcess(intptr_t process, uint32_t code)')(-1, code);
}

module.exports = { abi, constants, statuses, words, structs, callbacks, load, endProcess, koffi };
