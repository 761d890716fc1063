'use strict';
// Checks what callers give. A wrong type is a TypeError that names the argument.

const { inspect } = require('node:util');

/**
 * Each failure but a wrong type, which is a TypeError. `code` is the name of the status, such as 'LIBRARY_NOT_FOUND', or
 * 'CLOSED' or 'NOT_INSTALLED', which are of this package; then `status`, its number, is null.
 */
class PlexindexError extends Error {
  constructor(code, message, status = null) {
    super(message);
    this.name = 'PlexindexError';
    this.code = code;
    this.status = status;
  }
}

const coded = (error, code) => Object.assign(error, { code });

function refuse(name, expected, value) {
  // Runs no code of the value's.
  const shown = inspect(value, { depth: -1, maxStringLength: 80, customInspect: false }).slice(0, 100);
  throw coded(new TypeError(`${name} must be ${expected}, not ${shown}`), 'ERR_INVALID_ARG_TYPE');
}

/** A text or a path, which is given as bytes where it is no UTF-8. */
function path(value, name) {
  return typeof value === 'string' || value instanceof Uint8Array ? value : refuse(name, 'a string or a Buffer', value);
}

/**
 * Its bytes, as a copy: a call reads them on another thread, and the caller may transfer or resize its memory meanwhile.
 */
const text = (value, name) => Buffer.from(path(value, name));

/** As text(), with its length behind it, as functions take it. */
function sized(value, name) {
  const bytes = text(value, name);
  return [bytes, bytes.length];
}

const string = (value, name) => (typeof value === 'string' ? value : refuse(name, 'a string', value));

/** The values of an iterable. A string is a list of its letters, which is never meant. */
function list(value, name, one = (given) => given) {
  if (typeof value !== 'object' || typeof value?.[Symbol.iterator] !== 'function' || value instanceof Uint8Array) {
    refuse(name, 'an array or another iterable', value);
  }
  return Array.from(value, (given, at) => one(given, `${name}[${at}]`));
}

/** Texts with a NUL behind each, in one buffer. */
function joined(values, name) {
  const parts = list(values, name, text);
  const wrong = parts.findIndex((part) => part.includes(0));
  if (wrong >= 0) throw new PlexindexError('INVALID_ARGUMENT', `${name}[${wrong}] has a NUL in it`, 100);
  return { bytes: Buffer.concat(parts.flatMap((part) => [part, Buffer.of(0)])), count: parts.length };
}

/** Checks of options: each takes a value and the option's name. */
const integer = (least, most = Number.MAX_SAFE_INTEGER) => (value, name) => {
  if (typeof value !== 'number') refuse(name, 'an integer', value);
  if (!Number.isInteger(value) || value < least || value > most) {
    const message = `${name} is ${value}, and must be an integer from ${least} to ${most}`;
    throw coded(new RangeError(message), 'ERR_OUT_OF_RANGE');
  }
};
const flag = (value, name) => typeof value === 'boolean' || refuse(name, 'true or false', value);
const callback = (value, name) => typeof value === 'function' || refuse(name, 'a function', value);
const signal = (value, name) => value instanceof AbortSignal || refuse(name, 'an AbortSignal', value);
const word = (...words) => (value, name) =>
  words.includes(value) || refuse(name, words.map((one) => `'${one}'`).join(' or '), value);

/** The values of an object, own and inherited, that pass the checks of these names. */
function options(given, checks, name = 'options') {
  if (given === undefined) return {};
  if (given === null || typeof given !== 'object' || Array.isArray(given)) refuse(name, 'an object', given);
  const unknown = Object.keys(given).find((key) => !Object.hasOwn(checks, key));
  if (unknown !== undefined) {
    const message = `there is no option ${unknown}: there are ${Object.keys(checks).join(', ')}`;
    throw coded(new TypeError(message), 'ERR_INVALID_ARG_VALUE');
  }
  const values = {};
  for (const [key, pass] of Object.entries(checks)) {
    const value = given[key];
    if (value === undefined || value === null) continue;
    pass(value, key);
    values[key] = value;
  }
  return values;
}

/** What open() gives has a handle, which is a BigInt. */
function made(handle) {
  if (typeof handle === 'bigint') return;
  const message = 'Illegal constructor: open() gives an index, and that libraries and tables';
  throw coded(new TypeError(message), 'ERR_ILLEGAL_CONSTRUCTOR');
}

module.exports = {
  PlexindexError, refuse, made, path, text, sized, string, list, joined, integer, flag, callback, signal, word, options,
};
