'use strict';
// Checks what callers give. A wrong type is a TypeError that names the argument.

const { PlexindexError } = require('./errors.js');
const { statuses } = require('./abi.js');

const INVALID_ARGUMENT = statuses.PLEXINDEX_INVALID_ARGUMENT;

const LONGEST_SHOWN = 80;

const coded = (error, code) => Object.assign(error, { code });

function refuse(name, expected, value) {
  throw coded(new TypeError(`${name} must be ${expected}, not ${shown(value)}`), 'ERR_INVALID_ARG_TYPE');
}

/** A value for a message. Runs no code of the value's but a getter of its constructor. */
function shown(value) {
  if (typeof value === 'string') return JSON.stringify(value.length > LONGEST_SHOWN ? `${value.slice(0, LONGEST_SHOWN)}…` : value);
  if (value === null || ['number', 'boolean', 'undefined'].includes(typeof value)) return String(value);
  try {
    const { name } = value.constructor;
    if (typeof name === 'string' && name) return `of type ${name.slice(0, LONGEST_SHOWN)}`;
  } catch {
    // An object without a prototype has none.
  }
  return `of type ${typeof value}`;
}

/**
 * The bytes of a text or a path, as a copy: a call reads them on another thread, and the caller may transfer or resize
 * its memory meanwhile. A path that is no UTF-8 is given as bytes.
 */
function text(value, name) {
  if (typeof value === 'string') return Buffer.from(value, 'utf8');
  if (value instanceof Uint8Array) return Buffer.from(value);
  return refuse(name, 'a string or a Buffer', value);
}

/** As text(), with its length behind it, as functions take it. */
function sized(value, name) {
  const bytes = text(value, name);
  return [bytes, bytes.length];
}

/** As the library refuses an argument. */
function invalid(message) {
  throw new PlexindexError('INVALID_ARGUMENT', message, INVALID_ARGUMENT);
}

/** As text(), for what ends with a NUL: without one in it. */
function plain(value, name) {
  const bytes = text(value, name);
  if (bytes.includes(0)) invalid(`${name} has a NUL in it`);
  return bytes;
}

/** The values of an iterable. A string is a list of its letters, which is never meant. */
function list(value, name) {
  if (value === null || typeof value !== 'object' || typeof value[Symbol.iterator] !== 'function' || value instanceof Uint8Array) {
    refuse(name, 'an array or another iterable', value);
  }
  return Array.from(value);
}

/** Texts with a NUL behind each, in one buffer. */
function joined(values, name) {
  const parts = list(values, name).flatMap((value, at) => [plain(value, `${name}[${at}]`), Buffer.of(0)]);
  return { bytes: Buffer.concat(parts), count: parts.length / 2 };
}

/** Checks of options: each takes a value and the option's name. */
const integer = (least, most = Number.MAX_SAFE_INTEGER) => (value, name) => {
  if (typeof value !== 'number') refuse(name, 'an integer', value);
  if (!Number.isInteger(value) || value < least || value > most) {
    throw coded(new RangeError(`${name} is ${value}, and must be an integer from ${least} to ${most}`), 'ERR_OUT_OF_RANGE');
  }
};
const deadline = integer(-1);
const unsigned = integer(0);
const flag = (value, name) => typeof value === 'boolean' || refuse(name, 'true or false', value);
const callback = (value, name) => typeof value === 'function' || refuse(name, 'a function', value);
const signal = (value, name) => value instanceof AbortSignal || refuse(name, 'an AbortSignal', value);
const word = (...words) => (value, name) => words.includes(value) || refuse(name, words.map((one) => `'${one}'`).join(' or '), value);

/** The values of an object, own and inherited, that pass the checks of these names. */
function options(given, checks, name = 'options') {
  if (given === undefined) return {};
  if (given === null || typeof given !== 'object' || Array.isArray(given)) refuse(name, 'an object', given);
  for (const key of Object.keys(given)) {
    if (!Object.hasOwn(checks, key)) {
      throw coded(new TypeError(`there is no option ${key}: there are ${Object.keys(checks).join(', ')}`), 'ERR_INVALID_ARG_VALUE');
    }
  }
  const values = {};
  for (const [key, pass] of Object.entries(checks)) {
    const value = given[key];
    if (value === undefined) continue;
    pass(value, key);
    values[key] = value;
  }
  return values;
}

/** What open() gives has a handle, which is a BigInt. */
function made(handle) {
  if (typeof handle !== 'bigint') {
    throw coded(new TypeError('Illegal constructor: open() gives an index, and that libraries and tables'), 'ERR_ILLEGAL_CONSTRUCTOR');
  }
}

module.exports = { refuse, invalid, made, text, sized, plain, list, joined, integer, deadline, unsigned, flag, callback, signal, word, options };
