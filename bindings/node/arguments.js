'use strict';
// Checks what callers give. A wrong type is a TypeError that names the argument.

const { PlexindexError } = require('./errors.js');
const { statuses } = require('./abi.json');

const INVALID_ARGUMENT = statuses.PLEXINDEX_INVALID_ARGUMENT;

function refuse(name, expected, value) {
  const shown = { string: JSON.stringify(value), number: String(value), boolean: String(value), undefined: 'undefined' };
  const made = value === null ? 'null' : value?.constructor?.name ? `of type ${value.constructor.name}` : `of type ${typeof value}`;
  const error = new TypeError(`${name} must be ${expected}, not ${shown[typeof value] ?? made}`);
  error.code = 'ERR_INVALID_ARG_TYPE';
  throw error;
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

/** As text(), for what ends with a NUL: without one in it. */
function plain(value, name) {
  const bytes = text(value, name);
  // As the library refuses it in one text.
  if (bytes.includes(0)) throw new PlexindexError('INVALID_ARGUMENT', `${name} has a NUL in it`, INVALID_ARGUMENT);
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
  if (!Number.isSafeInteger(value)) refuse(name, 'an integer', value);
  if (value < least || value > most) throw new RangeError(`${name} is ${value}, and must be from ${least} to ${most}`);
};
const signed = integer(Number.MIN_SAFE_INTEGER);
const unsigned = integer(0);
const flag = (value, name) => typeof value === 'boolean' || refuse(name, 'true or false', value);
const callback = (value, name) => typeof value === 'function' || refuse(name, 'a function', value);
const signal = (value, name) => value instanceof AbortSignal || refuse(name, 'an AbortSignal', value);
const word = (...words) => (value, name) => words.includes(value) || refuse(name, words.map((one) => `'${one}'`).join(' or '), value);

/** An object whose values pass the checks of these names. */
function options(given, checks, name = 'options') {
  if (given === undefined) return {};
  if (given === null || typeof given !== 'object' || Array.isArray(given)) refuse(name, 'an object', given);
  for (const [key, value] of Object.entries(given)) {
    if (!Object.hasOwn(checks, key)) throw new TypeError(`there is no option ${key}: there are ${Object.keys(checks).join(', ')}`);
    if (value !== undefined) checks[key](value, key);
  }
  return given;
}

module.exports = { refuse, text, sized, plain, list, joined, integer, signed, unsigned, flag, callback, signal, word, options };
