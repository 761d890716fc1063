"""What Stash2Plex's user pays before and after the import is changed: requests and times, with the real plexapi client.

    build/bench-venv/bin/python bench/consumer.py --standin target/release/standin [--items 20000] [--rounds 7]

`bench/run.py` makes that environment, with the wheel and the peers. A stand-in server plays Plex. 'Before' is
Stash2Plex's own code where STASH2PLEX names a checkout (its caches and its matcher, with their log), else the same
algorithm written anew (harness/consumer.py). 'After' is plexindex.compat in its place, with the same log. Every answer
is checked, each case is asked with paths that were not asked before, and times are medians over the rounds, of which
before and after take turns. Prints a table, and with --write puts it into bench/results/hosts.md.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from harness import consumer, machine
from harness.markdown import put_into
from harness.timing import Spread, WrongAnswerError, interleaved
from harness.world import SERVER, Standin
from plexindex import _section_index
from plexindex.compat import MatchCache, PlexCache, find_plex_items_with_confidence

LIBRARY = "Movies"
UNTOLD = 60
"""Films of which no file name tells the title: the search by title misses."""
TOLD = 600
"""Films whose file name is the title: what Stash2Plex's search finds."""
LOOKUPS = 100_000


class Rewritten:
    """The consumer's caches and its algorithm, written anew."""

    name = "before"

    def __init__(self, folder: Path) -> None:
        self.matches: Any = consumer.MatchCache(folder / "match_cache", 1 << 40)
        self.library: Any = consumer.LibraryCache(folder / "cache")

    def find(self, section: Any, path: str) -> list[str]:
        """The keys of the items that fit; the single one is fetched, as the consumer does."""
        key = self.matches.get_match(section.title, path)
        if key is not None:
            return [section.fetchItem(key).key]
        found = consumer.find(section, path, self.library)
        return [section.fetchItem(key).key for key in found]

    def expire(self) -> None:
        """An hour goes by."""
        self.library.clear()

    def close(self) -> None:
        """Both caches."""
        self.matches.close()
        self.library.close()


class Original:
    """Stash2Plex's own caches and matcher."""

    name = "before"

    def __init__(self, folder: Path) -> None:
        from plex.cache import MatchCache, PlexCache  # type: ignore[import-not-found]
        from plex.matcher import find_plex_items_with_confidence as find  # type: ignore[import-not-found]

        self._find = find
        self.matches: Any = MatchCache(str(folder), 1 << 40)
        self.library: Any = PlexCache(str(folder), size_limit=1 << 40)

    def find(self, section: Any, path: str) -> list[str]:
        """The keys of the items that fit."""
        return keys_of(self._find, section, path, self)

    def expire(self) -> None:
        """An hour goes by."""
        self.library.clear()

    def close(self) -> None:
        """Both caches."""
        self.matches.close()
        self.library.close()


def keys_of(find: Any, section: Any, path: str, caches: Any) -> list[str]:
    """What a function of that shape finds."""
    try:
        found = find(section, path, library_cache=caches.library, match_cache=caches.matches)
    except Exception as error:
        if "NotFound" not in type(error).__name__:
            raise
        return []
    return [item.key for item in found[2]]


def before(folder: Path) -> Any:
    """Stash2Plex itself where there is a checkout."""
    return Original(folder) if "STASH2PLEX" in os.environ else Rewritten(folder)


class After:
    """The drop-in."""

    name = "after"

    def __init__(self, folder: Path) -> None:
        self.matches = MatchCache(folder, 1 << 40)
        self.library = PlexCache(folder, size_limit=1 << 40)

    def find(self, section: Any, path: str) -> list[str]:
        """The same."""
        return keys_of(find_plex_items_with_confidence, section, path, self)

    def expire(self) -> None:
        """An hour goes by: the listing is looked at again."""
        for index in _section_index._indexes.values():
            index.refresh()

    def close(self) -> None:
        """Both caches."""
        self.matches.close()
        self.library.close()


class Costs:
    """The table: for each case and contender requests and time."""

    def __init__(self, server: Standin) -> None:
        self._server = server
        self.rows: list[tuple[str, dict[str, str]]] = []

    def add(self, case: str, cells: dict[str, str]) -> None:
        """A row; shown at once."""
        self.rows.append((case, cells))
        print(f"{case}: " + " · ".join(f"{who} {cell}" for who, cell in cells.items()), flush=True)

    def case(self, name: str, rounds: int, contenders: list[tuple[str, Callable[[int], tuple[Any, Any]]]]) -> None:
        """A case: each contender gives what it answered and what is right."""
        requests: dict[str, float] = {who: 0 for who, _ in contenders}

        def timed(who: str, ask: Callable[[int], tuple[Any, Any]]) -> Callable[[int], float]:
            def measure(number: int) -> float:
                before = self._server.requests()
                begun = perf_counter_ns()
                answer, right = ask(number)
                seconds = (perf_counter_ns() - begun) / 1e9
                requests[who] += (self._server.requests() - before) / rounds
                if answer != right:
                    raise WrongAnswerError(f"{name}, {who}: {answer!r} instead of {right!r}")
                return seconds

            return measure

        spreads = interleaved(rounds, [(who, timed(who, ask)) for who, ask in contenders])
        self.add(name, {who: cell(requests[who], spreads[who]) for who, _ in contenders})

    def table(self, who: list[str]) -> str:
        """As Markdown."""
        lines = ["| case | " + " | ".join(who) + " |", "|---|" + "---|" * len(who)]
        for case, cells in self.rows:
            lines.append(f"| {case} | " + " | ".join(cells.get(name, "–") for name in who) + " |")
        return "\n".join(lines)


def cell(requests: float, spread: Spread) -> str:
    """Requests and time."""
    requests = round(requests, 2)
    return f"{requests:g} request{'' if requests == 1 else 's'}, {shown(spread)}"


def shown(spread: Spread) -> str:
    """A time for people."""
    seconds = spread.median
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def main() -> None:
    """All cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--standin", type=Path, required=True)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    if "STASH2PLEX" in os.environ:
        sys.path.insert(0, os.environ["STASH2PLEX"])
        # Its log, which both write to.
        import shared.log  # type: ignore[import-not-found]  # noqa: F401
    load = machine.load()
    folder = Path(tempfile.mkdtemp(prefix="plexindex-consumer-"))
    server = Standin(
        arguments.standin.resolve(), "--movies", str(arguments.items - UNTOLD - TOLD), "--episodes", "1000"
    )
    try:
        untold = [
            {"title": f"Untold Story {n}", "year": 2001, "files": [f"{SERVER}/movies/xq-{n}/xq-{n}.mkv"]}
            for n in range(UNTOLD)
        ]
        told = [
            {
                "title": f"Plain Story {n}",
                "year": 2002,
                "files": [f"{SERVER}/movies/Plain Story {n}/Plain Story {n}.mkv"],
            }
            for n in range(TOLD)
        ]
        server.post("items/add", {"library": 1, "items": untold + told})
        with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
            table = measure(server, folder, arguments.rounds)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    facts = machine.describe("")
    named = "; ".join(facts[name] for name in ("processor", "system", "python"))
    whose = "Stash2Plex's own code" if "STASH2PLEX" in os.environ else "its algorithm, written anew"
    how = f"{arguments.items:,} films; {arguments.rounds} rounds, medians; before: {whose}. {named}"
    busy = " (others used the machine, too: these times are too long)" if load > int(facts["cores"]) / 2 else ""
    text = f"{how}; load at the start {load:.1f} on {facts['cores']} cores{busy}\n\n{table}\n"
    print(f"\n{text}")
    if arguments.write:
        put_into(Path(__file__).resolve().parent / "results" / "hosts.md", "bench/consumer.py", text)


def measure(server: Standin, folder: Path, rounds: int) -> str:
    """The cases, the cheap ones last: those that fill the caches come first."""
    from plexapi.server import PlexServer

    plex: Any = PlexServer(server.url, server.token)
    section = plex.library.section(LIBRARY)
    shows = plex.library.section("TV Shows")
    costs = Costs(server)
    rows = server.listed()
    paths = iter([(path, key) for path, key in rows if "/Plain Story" in path])
    hidden = iter([(path, key) for path, key in rows if "/xq-" in path])
    episodes = iter(server.listed(2)[::7])

    def ask(who: Any, of: Any, source: Any, root: str = "") -> Callable[[int], tuple[Any, Any]]:
        def one(_number: int) -> tuple[Any, Any]:
            path, key = next(source)
            return who.find(of, root + path), [key]

        return one

    def fresh(source: Any, root: str = "") -> list[tuple[str, Callable[[int], tuple[Any, Any]]]]:
        """Each contender in a new folder, as after an installation."""

        def asked(kind: Any) -> Callable[[int], tuple[Any, Any]]:
            def one(number: int) -> tuple[Any, Any]:
                who = kind(Path(tempfile.mkdtemp(dir=folder)))
                answer = ask(who, section, source, root)(number)
                who.close()
                return answer

            return one

        return [("before", asked(before)), ("after", asked(After))]

    # The first one also pays for what is loaded once in a process.
    for contender in fresh(paths):
        contender[1](0)
    costs.case("first path, nothing stored; its title is found", rounds, fresh(paths))
    costs.case("the same, and the host has it below another root", rounds, fresh(paths, "/stash"))
    costs.case("first path, nothing stored; its title is not found", 1, fresh(hidden))
    first, second = before(folder / "before"), After(folder / "after")

    def missing(who: Any, name: str, *, under: bool = False) -> Callable[[int], tuple[Any, Any]]:
        place = f"{SERVER}/movies" if under else "/stash/nowhere"
        return lambda number: (who.find(section, f"{place}/{name.format(number)}.mkv"), [])

    pair = [("before", first, section), ("after", second, section)]

    def both(name: str, *, under: bool = False) -> list[tuple[str, Callable[[int], tuple[Any, Any]]]]:
        return [(who, missing(finder, name, under=under)) for who, finder, _ in pair]

    costs.case("not in Plex, nothing listed: first call", 1, both("Not a Known Film"))
    for _ in range(20):
        second.find(section, "/stash/nowhere/Not a Known Film.mkv")
    costs.case("not in Plex, listed: first call", rounds, both("Not One {}", under=True))
    costs.case("not in Plex, listed: again", rounds, both("Not One {}", under=True))
    costs.case("listed, its title is found", rounds, [(w, ask(c, s, paths)) for w, c, s in pair])
    costs.case("the same below another root", rounds, [(w, ask(c, s, paths, "/stash")) for w, c, s in pair])
    costs.case("listed, its title is not found", rounds, [(w, ask(c, s, hidden)) for w, c, s in pair])
    recorded = [next(paths) for _ in range(rounds)]
    for path, key in recorded:
        first.matches.set_match(LIBRARY, path, key)
        second.matches.set_match(LIBRARY, path, key)

    def again(who: Any, of: Any) -> Callable[[int], tuple[Any, Any]]:
        return lambda number: (who.find(of, recorded[number][0]), [recorded[number][1]])

    costs.case("recorded match", rounds, [(w, again(c, s)) for w, c, s in pair])
    second.find(shows, "/nowhere/Nothing - S09E09.mkv")
    costs.case("episode by its path (before: never found)", rounds, [("after", ask(second, shows, episodes))])
    day(costs, [("before", first), ("after", second)], section, paths)
    caches(costs, folder, first, second, rows, rounds)
    first.close()
    second.close()
    return costs.table(["before", "after"])


def day(costs: Costs, contenders: list[tuple[str, Any]], section: Any, paths: Any) -> None:
    """A day of use: each hour ten files that Plex has, each asked for and recorded, and one that it lacks so far."""
    asked = [next(paths) for _ in range(240)]

    def live(who: Any) -> Callable[[int], tuple[Any, Any]]:
        def one(_number: int) -> tuple[Any, Any]:
            right = 0
            for hour in range(24):
                who.expire()
                for path, key in asked[10 * hour : 10 * hour + 10]:
                    right += who.find(section, path) == [key]
                    who.matches.set_match(LIBRARY, path, key)
                right += who.find(section, f"{SERVER}/movies/Of Hour {hour}.mkv") == []
            return right, 24 * 11

        return one

    costs.case("a day of use: 240 files, 24 that Plex lacks", 1, [(name, live(who)) for name, who in contenders])


def caches(costs: Costs, folder: Path, before: Any, after: After, rows: list[tuple[str, str]], rounds: int) -> None:
    """The classes alone: no server is asked."""
    listed: dict[str, list[Any]] = {}
    films = [plain_item(key, path) for path, key in rows]
    for cache in (before.library, after.library):
        cache.set_library_items(LIBRARY, films)

    def listing(who: str, get: Callable[[], Any]) -> Callable[[int], tuple[Any, Any]]:
        def one(_number: int) -> tuple[Any, Any]:
            gc.enable()  # as it is in a host: both make many objects
            listed[who] = get()
            return len(listed[who]), len(listed["before"])

        return one

    get_items = [
        ("before", listing("before", lambda: before.library.get_library_items(LIBRARY))),
        ("after", listing("after", lambda: after.library.get_library_items(LIBRARY))),
    ]
    costs.case("get_library_items", rounds, get_items)
    listed.clear()
    pairs = list({path.lower(): key for path, key in rows}.items())[:LOOKUPS]
    with before.matches._cache.transact():
        for path, key in pairs:
            before.matches.set_match(LIBRARY, path, key)
    for path, key in pairs:
        after.matches.set_match(LIBRARY, path, key)
    raw = [path.encode() for path, _ in pairs]

    def lookups(get: Callable[[str, str], Any]) -> Callable[[int], float]:
        def one(number: int) -> float:
            order = list(range(len(pairs)))
            random.Random(number).shuffle(order)  # noqa: S311
            asked = [raw[at].decode() for at in order[:20_000]]
            begun = perf_counter_ns()
            answers = [get(LIBRARY, path) for path in asked]
            seconds = (perf_counter_ns() - begun) / 1e9 / len(asked)
            if answers != [pairs[at][1] for at in order[:20_000]]:
                raise WrongAnswerError("get_match")
            return seconds

        return one

    contenders = [("before", lookups(before.matches.get_match)), ("after", lookups(after.matches.get_match))]
    contenders += [(name, lookups(get)) for name, get in plain_peers(folder / "peers", pairs).items()]
    spreads = interleaved(rounds, contenders)
    costs.add(f"get_match, {len(pairs):,} recorded", {who: shown(spreads[who]) for who in ("before", "after")})
    for name in spreads.keys() - {"before", "after"}:
        costs.add(f"the same of {name} alone", {"before": shown(spreads[name])})

    def forget(_number: int) -> tuple[Any, Any]:
        after.matches.invalidate_library(LIBRARY)
        return None, None

    costs.case(
        f"invalidate_library, {len(pairs):,} recorded",
        1,
        [
            ("before", lambda _: (before.matches.invalidate_library(LIBRARY), None)),
            ("after", forget),
        ],
    )


def plain_item(key: str, path: str) -> Any:
    """An item as the caches look at it."""
    part = type("Part", (), {"file": path})()
    medium = type("Medium", (), {"parts": [part]})()
    return type("Film", (), {"key": key, "title": "Film", "media": [medium]})()


def plain_peers(folder: Path, pairs: list[tuple[str, str]]) -> dict[str, Callable[[str, str], Any]]:
    """Diskcache and lmdb by themselves, with nothing around them."""
    from harness import peers

    found: dict[str, Callable[[str, str], Any]] = {}
    for kind in (peers.DiskCache, peers.Lmdb):
        try:
            peer = kind(folder / kind.name)
        except ImportError as error:
            print(f"{kind.name} is left out: {error}", file=sys.stderr)
            continue
        peer.fill(pairs)
        found[kind.name] = by_path(peer.get)
    return found


def by_path(get: Callable[[str], Any]) -> Callable[[str, str], Any]:
    """What knows of no libraries, as if it did."""
    return lambda _library, path: get(path)


if __name__ == "__main__":
    main()
