'use strict';
// Reads blocks of answers, and reads and writes the JSON of methods.

const { STATUS_NAMES } = require('./calls.js');
const { constants, statuses, words, structs, koffi } = require('./native.js');

const KINDS = words('KIND_');
const MATCH_KINDS = words('MATCH_');
const CONFIDENCES = words('CONFIDENCE_');
const REASONS = words('REASON_');

const camelCase = (name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());

/** Writes a request as JSON, with bytes in Base64. */
function encode(request) {
  return Buffer.from(
    JSON.stringify(request, function value(name, given) {
      // JSON.stringify() has already called toJSON() of a Buffer.
      const bytes = this[name];
      return bytes instanceof Uint8Array ? { bytes: Buffer.from(bytes).toString('base64') } : given;
    }),
  );
}

/** Reads an answer in JSON, with bytes in Base64. */
const decode = (json) =>
  JSON.parse(json, (_, value) => (typeof value?.bytes === 'string' ? Buffer.from(value.bytes, 'base64') : value));

/** Changes the names of an object to camel case. */
function camelNames(values) {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [camelCase(name), value]));
}

/** Returns the values that are known. */
const known = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));

const textAt = (block, { offset, length }) => (offset ? block.toString('utf8', offset, offset + length) : undefined);

function readItem(block, itemOffset) {
  const {
    library_title: library,
    kind,
    year,
    season,
    episode,
    flags,
    file,
    ...texts
  } = koffi.decode(block, itemOffset, structs.plexindex_item);
  const item = { library: textAt(block, library), kind: KINDS[kind] ?? 'other' };
  for (const [name, text] of Object.entries(texts)) item[camelCase(name)] = textAt(block, text);
  const { offset, length } = texts.path;
  if (flags & constants.ITEM_PATH_NOT_UTF8) item.path = Buffer.from(block.subarray(offset, offset + length));
  if (year !== 0) item.year = year;
  if (season !== -1) item.season = season;
  if (episode !== -1) item.episode = episode;
  return known(item);
}

/** Reads the file of an item, whose record is at this offset; 0: none. */
function readFile(block, itemOffset, path) {
  const { file: offset } = koffi.decode(block, itemOffset, structs.plexindex_item);
  if (offset === 0) return undefined;
  const { flags, reserved, size_bytes: size, resolution, container, ...numbers } = koffi.decode(
    block,
    offset,
    structs.plexindex_file,
  );
  // 0 means unknown.
  const knownNumbers = Object.entries({ size, ...numbers }).filter(([, number]) => Number(number) !== 0);
  return known({
    path,
    ...camelNames(Object.fromEntries(knownNumbers)),
    resolution: textAt(block, resolution),
    container: textAt(block, container),
    optimized: (flags & constants.FILE_OPTIMIZED) !== 0 || undefined,
  });
}

/** Reads a block of answers: plexindex_answers in the header. */
function readBlock(block) {
  const head = koffi.decode(block, structs.plexindex_answers);
  return Array.from({ length: head.count }, (_, place) => {
    const answer = koffi.decode(block, head.first + place * head.answer_size, structs.plexindex_answer);
    const candidates = Array.from({ length: answer.candidates_count }, (_, candidate) =>
      readItem(block, answer.candidates + candidate * head.item_size),
    );
    // 0 means none.
    const word = (all, value) => all[value || NaN];
    return known({
      status: STATUS_NAMES[answer.status] ?? 'UNKNOWN',
      sure: answer.status === statuses.OK && answer.confidence === constants.CONFIDENCE_HIGH ? candidates[0] : null,
      likely: answer.status === statuses.OK && answer.confidence !== constants.CONFIDENCE_HIGH ? candidates[0] : null,
      file: answer.item === 0 ? undefined : readFile(block, answer.item, candidates[0].path),
      matchKind: word(MATCH_KINDS, answer.match_kind),
      confidence: word(CONFIDENCES, answer.confidence),
      reason: word(REASONS, answer.reason),
      candidates,
      total: answer.candidates_total,
      message: textAt(block, answer.message),
      stale: (answer.flags & constants.ANSWER_STALE) !== 0,
      ageMs: answer.age_ms === -1 ? undefined : answer.age_ms,
    });
  });
}

module.exports = { MATCH_KINDS, camelCase, camelNames, encode, decode, readBlock };
