'use strict';
// A webhook for Sonarr (Settings, Connect, Webhook, on file import): returns the Plex item of the imported episode.
//   PLEX_URL=http://127.0.0.1:32400 PLEX_TOKEN=… [LIBRARY='TV Shows'] [PORT=8099] [WAIT_S=30] node sonarr.js
// If Sonarr and Plex name folders differently: SONARR_FOLDER=/tv PLEX_FOLDER=/data/shows

const http = require('node:http');
const { setTimeout: sleep } = require('node:timers/promises');
const plexindex = require('plexindex');

const LONGEST = 1 << 20; // of a body, in bytes
// make and compose files pass on empty variables.
const given = Object.fromEntries(Object.entries(process.env).filter(([, value]) => value));
const env = { LIBRARY: 'TV Shows', CACHE_DIR: 'plexindex-cache', PORT: '8099', WAIT_S: '30', ...given };

/** Matches a path. Plex lists a file some seconds after its import, so a miss is retried. */
async function find(library, path, signal) {
  const end = Date.now() + Number(env.WAIT_S) * 1000;
  for (;;) {
    const match = await library.match(path, { timeoutMs: 10_000, signal });
    if (match.sure || match.candidates.length > 0 || Date.now() >= end) return match;
    await sleep(2000, undefined, { signal });
    await library.refresh({ check: true, signal });
  }
}

/** Reads the body of a request to its end, so that the client gets an answer. Returns null if it is too long. */
async function read(request) {
  const parts = [];
  let length = 0;
  for await (const part of request) {
    length += part.length;
    if (length <= LONGEST) parts.push(part);
  }
  return length <= LONGEST ? Buffer.concat(parts).toString('utf8') : null;
}

async function answer(library, request, signal) {
  const body = await read(request);
  if (body === null) return [413, { error: `the body is longer than ${LONGEST} bytes` }];
  const event = JSON.parse(body);
  if (event?.eventType === 'Test') return [200, {}];
  const path = event?.episodeFile?.path;
  if (typeof path !== 'string') return [400, { error: 'there is no episodeFile.path' }];
  const { sure: item, reason, message, candidates } = await find(library, path, signal);
  if (!item) return [404, { reason, message, candidates: candidates.map(({ ratingKey }) => ratingKey) }];
  const { ratingKey, showTitle, season, episode, title, guid } = item;
  return [200, { ratingKey, showTitle, season, episode, title, guid }];
}

async function main() {
  const { PLEX_URL: serverUrl, PLEX_TOKEN: token, CACHE_DIR: cacheDir, SONARR_FOLDER: from, PLEX_FOLDER: to } = env;
  if (!serverUrl) throw new Error('PLEX_URL is not set: name the server, such as http://127.0.0.1:32400');
  const index = await plexindex.open({ cacheDir, serverUrl, token, mappings: from && to ? [{ from, to }] : [] });
  const library = index.library(env.LIBRARY);
  const server = http.createServer(async (request, response) => {
    const gone = new AbortController();
    response.on('close', () => gone.abort()); // Sonarr disconnected: stop the match
    const refused = (error) => [
      error instanceof SyntaxError ? 400 : 502,
      { error: error.code ?? error.name, message: error.message },
    ];
    const [status, body] = await answer(library, request, gone.signal).catch(refused);
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  const stop = () => {
    server.close();
    server.closeIdleConnections();
    index.close();
  };
  server.on('error', (error) => {
    // such as a port in use
    failed(error);
    stop();
  });
  server.listen(Number(env.PORT), '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, stop);
}

function failed(error) {
  console.error(`${error.code ?? error.name}: ${error.message}`);
  process.exitCode = 1;
}

main().catch(failed);
