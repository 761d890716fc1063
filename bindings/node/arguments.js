'use strict';
// Checks of arguments: koffi ends the process where it gets a value of another type.

const { inspect } = require('node:util');

/**
 * Every failure except a wrong argument. `code` is the name of the status, such as 'LIBRARY_NOT_FOUND', and `status`
 * its number. This package adds the codes 'CLOSED' and 'NOT_INSTALLED', whose status is null.
 */
class PlexindexError extends Error {
  constructor(code, message, status = null) {
    super(message);
    this.name = 'PlexindexError';
    this.code = code;
    this.status = status;
  }
}

function refuse(name, expected, value) {
  // `customInspect: false` runs no code of the value.
  const shown = inspect(value, { depth: -1, maxStringLength: 80, customInspect: false }).slice(0, 100);
  throw Object.assign(new TypeError(`${name} must be ${expected}, not ${shown}`), { code: 'ERR_INVALID_ARG_TYPE' });
}

/** Returns a text or path unchanged. */
function path(value, name) {
  return typeof value === 'string' || value instanceof Uint8Array ? value : refuse(name, 'a string or a Buffer', value);
}

/** Returns whether UTF-8 has all characters of a text: half a character would become another one. */
const isWellFormed = (text) => text.isWellFormed?.() ?? !/\p{Surrogate}/u.test(text); // Node.js 18 lacks the method
/** Returns whether the library gets this text as it is, followed by a NUL. */
const isInC = (text) => !text.includes('\0') && isWellFormed(text);

/** Returns a copy of a text, because the caller may transfer its memory while a call reads it on another thread. */
function text(value, name) {
  if (typeof value === 'string' && !isWellFormed(value)) refuse(name, 'well-formed Unicode', value);
  return Buffer.from(path(value, name));
}

/** Returns text() and its length, as C functions take them. */
function sized(value, name) {
  const bytes = text(value, name);
  // An empty text needs a pointer, too.
  return [bytes.length > 0 ? bytes : Buffer.alloc(1), bytes.length];
}

const string = (value, name) => (typeof value === 'string' ? value : refuse(name, 'a string', value));

/** Returns an integer that fits into this type of C: koffi would wrap another one. */
function integer(value, name, type = 'int64_t') {
  const least = type === 'int64_t' ? Number.MIN_SAFE_INTEGER : 0;
  const most = type === 'uint32_t' ? 2 ** 32 - 1 : Number.MAX_SAFE_INTEGER;
  const fits = Number.isSafeInteger(value) && value >= least && value <= most;
  return fits ? value : refuse(name, `an integer from ${least} to ${most}`, value);
}

/** Returns the values of an iterable. A string, whose values are its letters, is a mistake. */
function list(value, name, check = (one) => one) {
  if (typeof value !== 'object' || typeof value?.[Symbol.iterator] !== 'function' || value instanceof Uint8Array) {
    refuse(name, 'an array or another iterable', value);
  }
  return Array.from(value, (one, place) => check(one, `${name}[${place}]`));
}

/** Returns texts in one buffer, each with a NUL behind it: `[bytes, length, count]`. */
function joined(values, name) {
  const parts = list(values, name, text);
  const wrong = parts.findIndex((part) => part.includes(0));
  if (wrong >= 0) throw new PlexindexError('INVALID_ARGUMENT', `${name}[${wrong}] contains a NUL`, 100);
  const bytes = Buffer.concat(parts.flatMap((part) => [part, Buffer.of(0)]));
  return [bytes, bytes.length, parts.length];
}

/** Returns the options that are given, all of which must have one of these names. */
function options(given, names, name = 'options') {
  if (given === undefined) return {};
  if (given === null || typeof given !== 'object' || Array.isArray(given)) refuse(name, 'an object', given);
  const unknown = Object.keys(given).find((key) => !names.includes(key));
  if (unknown !== undefined) {
    const message = `${name} has no ${unknown}: use ${names.join(', ')}`;
    throw Object.assign(new TypeError(message), { code: 'ERR_INVALID_ARG_VALUE' });
  }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined && value !== null));
}

module.exports = { PlexindexError, isInC, refuse, path, text, sized, string, integer, list, joined, options };
