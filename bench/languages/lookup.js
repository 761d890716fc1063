'use strict';
// bench/languages/README.md

const fs = require('node:fs');
const plexindex = require('../../bindings/node');

async function main([store, host, server, file, rounds]) {
  const { PLEX_URL: serverUrl, PLEX_TOKEN: token } = process.env;
  const mappings = [{ from: host, to: server }];
  const index = await plexindex.open({ cacheDir: store, serverUrl, token, mappings, libraryTtlMs: -2 });
  const movies = index.library('Movies');
  const pairs = fs.readFileSync(file, 'utf8').trimEnd().split('\n').map((line) => line.split('\t'));
  const times = [];
  for (let round = -1; round < Number(rounds); round += 1) {
    for (let at = pairs.length - 1; at > 0; at -= 1) {
      const other = Math.floor(Math.random() * (at + 1));
      [pairs[at], pairs[other]] = [pairs[other], pairs[at]];
    }
    let wrong = 0;
    const begun = process.hrtime.bigint();
    for (const [path, key] of pairs) wrong += movies.lookupKey(path) === key ? 0 : 1;
    const took = Number(process.hrtime.bigint() - begun);
    if (wrong > 0) throw new Error(`${wrong} answers are wrong`);
    if (round >= 0) times.push(took / pairs.length);
  }
  console.log(JSON.stringify(times));
  await index.close();
}

main(process.argv.slice(2));
