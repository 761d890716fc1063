'use strict';
// Prints what changes in a library: `node feed.js URL TOKEN CACHE LIBRARY`

const plexindex = require('plexindex');

async function main([serverUrl, token, cacheDir, library]) {
  const index = await plexindex.open({ serverUrl, token, cacheDir });
  // Closing ends the wait with the code 'CLOSED'.
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => index.close());
  await index.library(library).refresh(); // fetch once: the feed starts from what the index has
  await index.call('watch.start'); // without the server's events, changes are noticed once an hour
  let { cursor } = await index.call('changes.list', { library }); // the present; a cursor outlives the process
  console.log('listening');
  for (;;) {
    await index.call('changes.wait', { library, cursor });
    const refreshed = index.library(library).refresh();
    await refreshed.catch((error) => {
      if (error.code === 'CLOSED') throw error;
      console.error(error.message); // the server may be away; changes of other processes still arrive
    });
    for (let more = true; more;) {
      const page = await index.call('changes.list', { library, cursor });
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
