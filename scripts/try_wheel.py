"""Uses an installed plexindex against a stand-in server, as a host would: `try_wheels.py` runs this in each Python.

    try_wheel.py URL TOKEN      the server has movies in its section 1

Imports nothing but plexindex and the standard library, and starts no process: it also runs in an emulator.
"""

from __future__ import annotations

import json
import platform
import sys
import tempfile
import threading
import urllib.request

import plexindex


def main(url: str, token: str) -> None:
    """Asks for every path of the library, in each way, and from threads."""
    with urllib.request.urlopen(f"{url}/_standin/paths?library=1") as answer:  # noqa: S310 - of ours
        rows = [row for row in json.load(answer) if row["path"]]
    assert rows, "the stand-in has no movies"
    with tempfile.TemporaryDirectory() as cache:
        with plexindex.open(cache, server_url=url, token=token, retry_for=0) as index, index.watch():
            movies = index.library("Movies")
            first = movies.match(rows[0]["path"])
            assert first, first
            for row in rows:
                assert movies.lookup_key(row["path"]) == f"/library/metadata/{row['ratingKey']}", row
            answers = movies.match_paths([row["path"] for row in rows])
            assert [match.rating_key for match in answers] == [row["ratingKey"] for row in rows]
            assert not movies.match("/nowhere/at all.mkv")
            movies.record_match("/a/path/of mine.mkv", str(first.key))
            # From threads with the C library's stack size, which is small with musl.
            wrong: list[object] = []

            def ask() -> None:
                match = movies.match("/a/path/of mine.mkv")
                if match.key != first.key:
                    wrong.append(match)

            threads = [threading.Thread(target=ask) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert not wrong, wrong
            index.invalidate_library("Movies")
            assert movies.match(rows[-1]["path"]).rating_key == rows[-1]["ratingKey"]  # from a thread of the library's
        try:
            with plexindex.open(cache, server_url="https://127.0.0.1:1", token=token, retry_for=0) as index:
                index.refresh("Movies")
            said = "nothing"
        except plexindex.Error as error:
            said = str(error)
        assert "127.0.0.1:1" in said, said
    libc = "-".join(filter(None, platform.libc_ver())) or "no glibc"
    print(f"{platform.machine()}, {libc}, Python {platform.python_version()}: {len(rows)} paths right")


if __name__ == "__main__":
    main(*sys.argv[1:])
