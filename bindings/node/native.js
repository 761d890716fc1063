'use strict';
// The functions and structs of the shared library, as its description has them: a package has abi.json, a copy of the
// repository's include/plexindex.json.

const { existsSync } = require('node:fs');
const koffi = require('koffi');
const { text } = require('./arguments.js');
const { openLibrary, keep, refused, version } = require('./library.js');

const abi = require(existsSync(`${__dirname}/abi.json`) ? './abi.json' : '../../include/plexindex.json');

const short = (name) => name.replace(/^plexindex_/i, '');
const numbers = (part) => Object.fromEntries(Object.entries(part).map(([name, value]) => [short(name), value]));

/** Numbers without their prefix: `constants.QUERY_OFFLINE`, `statuses.NOT_FOUND`. */
const constants = numbers(abi.constants);
const statuses = numbers(abi.statuses);

/** The words for the numbers with this prefix: `MATCH_FILE_NAME` at 5 is 'file_name'. */
function words(prefix) {
  const found = [];
  for (const [name, value] of Object.entries(constants)) {
    if (name.startsWith(prefix)) found[value] = name.slice(prefix.length).toLowerCase();
  }
  return found;
}

/** A struct's size, and its fields by name. */
function layout(name) {
  const { size, fields } = abi.structs[`plexindex_${name}`];
  return { size, fields: Object.fromEntries(fields.map((field) => [field.name, field])) };
}

const callbacks = {};
for (const [name, { result, arguments: given }] of Object.entries(abi.callbacks)) {
  callbacks[name] = koffi.pointer(koffi.proto(name, result, given.map(argumentType)));
}

function argumentType({ type }) {
  if (type in callbacks) return callbacks[type];
  // Structs, texts and outputs are given as buffers, or as addresses.
  return type.includes('*') ? 'void *' : type;
}

let loaded;

/** The loaded library: each function without its prefix. */
function load() {
  if (loaded) return loaded;
  const { file, library } = openLibrary();
  const bind = (name, type, given) => {
    try {
      return library.func(name, type, given);
    } catch (error) {
      throw refused(`${file} lacks ${name}: install version ${version} of the library (${error.message})`);
    }
  };
  const native = {};
  for (const [name, { result, arguments: given }] of Object.entries(abi.functions)) {
    const type = result === 'const char *' ? 'str' : result.includes('*') ? 'void *' : result;
    native[short(name)] = bind(name, type, given.map(argumentType));
  }
  // The fast lookups take NUL-terminated text, which koffi makes of a string faster than a buffer is made.
  native.fast_lookup_key = bind('plexindex_lookup_key', 'str', ['void *', 'str']);
  const value = koffi.out(koffi.pointer('str'));
  native.table_lookup = bind('plexindex_table_lookup', 'int32_t', ['void *', 'void *', value]);
  native.fast_table_lookup = bind('plexindex_table_lookup', 'int32_t', ['void *', 'str', value]);
  const json = koffi.out(koffi.pointer(koffi.disposable('plexindex_json', 'str', native.free)));
  native.call = bind('plexindex_call', 'int32_t', ['void *', 'str', 'void *', 'size_t', 'void *', json, 'void *']);
  if (native.get_abi_version() !== constants.ABI_VERSION) {
    const found = `${file} (plexindex ${native.get_version()}) has ABI version ${native.get_abi_version()}`;
    const wanted = `this package was written for ${constants.ABI_VERSION}`;
    throw refused(`${found}, ${wanted}: install version ${version} of the library`);
  }
  keep(file);
  loaded = native;
  return native;
}

/** A struct for the library, filled by the names of its fields. What it points to is kept in `kept`. */
class Struct {
  constructor(name, values = {}) {
    this.layout = layout(name);
    this.memory = Buffer.alloc(this.layout.size);
    // The engine knows nothing of addresses: what holds the memory holds what it points to.
    this.memory.kept = [];
    if ('size' in this.layout.fields) this.set('size', this.layout.size);
    for (const [field, value] of Object.entries(values)) this.set(field, value);
  }

  set(name, value) {
    const { type, offset } = this.layout.fields[name];
    if (value === undefined || value === null) return;
    if (type === 'plexindex_bytes') {
      const bytes = text(value, name);
      this.point(offset, bytes);
      this.memory.writeBigUInt64LE(BigInt(bytes.length), offset + 8);
    } else if (typeof value === 'number') {
      if (type === 'uint32_t' || type === 'int32_t') this.memory.writeInt32LE(value | 0, offset);
      else this.memory.writeBigInt64LE(BigInt(value), offset);
    } else {
      this.point(offset, value);
    }
  }

  point(offset, value) {
    this.memory.kept.push(value);
    const address = Buffer.isBuffer(value) ? (value.length ? koffi.address(value) : 0n) : BigInt(value);
    this.memory.writeBigUInt64LE(address, offset);
  }

  number(name) {
    return Number(this.memory.readBigUInt64LE(this.layout.fields[name].offset));
  }

  /** All fields by name: numbers of 64 bits, arrays of them, and texts. */
  read() {
    const number = (offset) => Number(this.memory.readBigUInt64LE(offset));
    const value = ({ type, offset, count }) => {
      if (type === 'char') return this.memory.toString('utf8', offset, this.memory.indexOf(0, offset));
      return count ? Array.from({ length: count }, (_, at) => number(offset + at * 8)) : number(offset);
    };
    return Object.fromEntries(Object.values(this.layout.fields).map((field) => [field.name, value(field)]));
  }
}

/** Memory of this size that the library fills. */
class Room extends Struct {
  constructor(capacity) {
    const data = Buffer.alloc(capacity);
    super('buffer', { data, capacity });
    this.data = data;
  }

  get bytes() {
    return this.data.subarray(0, this.number('length'));
  }
}

module.exports = { constants, statuses, words, layout, callbacks, load, Struct, Room, koffi };
