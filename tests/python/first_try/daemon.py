"""An asyncio daemon answers questions while the library is fetched, and stops when it is told to."""

import asyncio
import sys

import plexindex


async def main(files: list[str]) -> None:
    async with plexindex.open() as index:  # server and token from the environment
        movies = index.library("Movies")
        with index.watch():
            fetching = asyncio.create_task(movies.arefresh())
            ticks = 0
            while not fetching.done():
                await asyncio.sleep(0.001)
                ticks += 1
            print("fetched:", await fetching, "and the loop went on:", ticks > 0)
            matches = await index.amatch_paths(files, movies)
            print(matches.counts())
            for match in matches:
                print(match.title, match.confidence, match.match_kind)
            slow = asyncio.create_task(index.amatch("/data/tv/x.mkv", "TV Shows"))
            await asyncio.sleep(0)
            slow.cancel()
            print("cancelled:", (await asyncio.gather(slow, return_exceptions=True))[0].__class__.__name__)


asyncio.run(main(sys.argv[1:]))
