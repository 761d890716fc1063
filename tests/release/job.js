'use strict';
// Each path of a list is that item: `node job.js URL TOKEN FOLDER LIST`, lines `key<tab>path`.
const fs = require('node:fs');
const plexindex = require('plexindex');

async function main([serverUrl, token, cacheDir, list]) {
  const index = await plexindex.open({ serverUrl, token, cacheDir });
  const movies = index.library('Movies');
  const rows = fs.readFileSync(list, 'utf8').trim().split('\n').map((line) => line.split('\t'));
  for (const [key, path] of rows) {
    const match = await movies.match(path);
    if (match.item?.key !== key) throw new Error(`${path}: ${match.item?.key}, not ${key}`);
  }
  await index.close();
  console.log(`${rows.length} paths right`);
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
