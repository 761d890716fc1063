'use strict';
// Finds the item of a file: `node match.js URL TOKEN CACHE LIBRARY FILE`

const plexindex = require('plexindex');

async function main([serverUrl, token, cacheDir, library, file]) {
  const index = await plexindex.open({ serverUrl, token, cacheDir }); // creates the folder, and sends no request
  const match = await index.library(library).match(file); // fetches the library if necessary
  if (match.sure) console.log(`${match.sure.key}: ${match.sure.title}`);
  else
    console.log(
      `not sure, ${match.status}: ${match.message}`,
      match.candidates.map((item) => item.path),
    );
  await index.close();
}

main(process.argv.slice(2)).catch((error) => {
  console.error(`${error.code ?? error.name}: ${error.message}`);
  process.exitCode = 1;
});
