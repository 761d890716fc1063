'use strict';
// What changes in a library, as it changes: `node feed.js URL TOKEN CACHE LIBRARY`

const plexindex = require('plexindex');

async function main([serverUrl, token, cacheDir, title]) {
  const index = await plexindex.open({ serverUrl, token, cacheDir });
  const library = index.library(title);
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => index.close()); // the wait ends with the code 'CLOSED'
  await library.refresh(); // the feed has what the index knows: fetch it once
  await index.watchStart(); // hears the server's events; without, what is new is asked for once an hour
  let { cursor } = await library.changes(); // of now: keep it, it outlives the process
  console.log('listening');
  for (;;) {
    await library.waitForChanges(cursor);
    await library.refresh(); // asks the server, where it is due
    for (let more = true; more; ) {
      const page = await library.changes(cursor);
      for (const { change, path, from } of page.changes) console.log(change, from ?? '', path ?? '');
      ({ cursor, more } = page);
    }
  }
}

main(process.argv.slice(2)).catch((error) => {
  if (error.code === 'CLOSED') return;
  console.error(`${error.code ?? error.name}: ${error.message}`);
  process.exitCode = 1;
});
