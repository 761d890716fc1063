"""What Stash2Plex's user pays before and after the import is changed: requests and times, with the real plexapi client.

    build/bench-venv/bin/python bench/consumer.py --standin target/release/standin [--items 20000] [--rounds 7]

`bench/run.py` makes that environment, with the wheel and the peers. A stand-in server plays Plex. 'Before' is the
consumer's algorithm over diskcache, written anew (harness/consumer.py); 'after' is plexindex.compat in its place;
'index' is the same function over plexindex.from_section(). Every answer is checked, each case is asked with paths that
were not asked before, and times are medians over the rounds, of which before and after take turns. Prints a table, and
writes it to bench/results/consumer.md and, with --write, into docs/stash2plex.md.
"""

from __future__ import annotations

import argparse
import gc
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import plexindex
from harness import consumer, machine
from harness.timing import Spread, WrongAnswerError, interleaved
from harness.world import SERVER, Standin
from plexindex.compat import MatchCache, PlexCache, find_plex_items_with_confidence

LIBRARY = "Movies"
UNTOLD = 60
"""Films of which no file name tells the title: the search by title misses."""
LOOKUPS = 100_000


class Before:
    """The consumer's caches and its algorithm."""

    name = "before"

    def __init__(self, folder: Path) -> None:
        self.matches = consumer.MatchCache(folder / "match_cache", 1 << 40)
        self.library = consumer.LibraryCache(folder / "cache")

    def find(self, section: Any, path: str) -> list[str]:
        """The keys of the items that fit; the single one is fetched, as the consumer does."""
        key = self.matches.get_match(section.title, path)
        if key is not None:
            return [section.fetchItem(key).key]
        found = consumer.find(section, path, self.library)
        return [section.fetchItem(key).key for key in found]

    def close(self) -> None:
        """Both caches."""
        self.matches.close()
        self.library.close()


class After:
    """The drop-in."""

    name = "after"

    def __init__(self, folder: Path) -> None:
        self.matches = MatchCache(folder, 1 << 40)
        self.library = PlexCache(folder, size_limit=1 << 40)

    def find(self, section: Any, path: str) -> list[str]:
        """The same."""
        from plexapi.exceptions import NotFound

        try:
            found = find_plex_items_with_confidence(section, path, library_cache=self.library, match_cache=self.matches)
        except NotFound:
            return []
        return [item.key for item in found[2]]

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
    folder = Path(tempfile.mkdtemp(prefix="plexindex-consumer-"))
    server = Standin(arguments.standin.resolve(), "--movies", str(arguments.items - UNTOLD), "--episodes", "1000")
    try:
        untold = [
            {"title": f"Untold Story {n}", "year": 2001, "files": [f"{SERVER}/movies/xq-{n}/xq-{n}.mkv"]}
            for n in range(UNTOLD)
        ]
        server.post("items/add", {"library": 1, "items": untold})
        table = measure(server, folder, arguments.rounds)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    facts = machine.describe("")
    named = "; ".join(facts[name] for name in ("processor", "system", "python"))
    text = f"{arguments.items:,} films; {arguments.rounds} rounds, medians. {named}\n\n{table}\n"
    print(f"\n{text}")
    here = Path(__file__).resolve().parent
    (here / "results" / "consumer.md").write_text(text, encoding="utf-8")
    if arguments.write:
        guide = here.parent / "docs" / "stash2plex.md"
        begin, end = "<!-- bench/consumer.py -->\n", "<!-- /bench/consumer.py -->"
        head, rest = guide.read_text(encoding="utf-8").split(begin)
        guide.write_text(head + begin + text + end + rest.split(end)[1], encoding="utf-8")


def measure(server: Standin, folder: Path, rounds: int) -> str:
    """The cases, the cheap ones last: those that fill the caches come first."""
    from plexapi.server import PlexServer

    plex: Any = PlexServer(server.url, server.token)
    section = plex.library.section(LIBRARY)
    shows = plex.library.section("TV Shows")
    before, after = Before(folder / "before"), After(folder / "after")
    index = plexindex.from_section(section, folder / "index")
    costs = Costs(server)
    rows = server.listed()
    told = [(path, key) for path, key in rows if "/xq-" not in path and f"({path.rsplit('(', 1)[-1][:4]})" in path]
    told = [(path, key) for path, key in told if path.endswith(" - 1080p.mkv")]
    paths = iter(told[:: max(1, len(told) // 2000)])
    hidden = iter([(path, key) for path, key in rows if "/xq-" in path])
    episodes = iter(server.listed(2)[::7])

    def ask(who: Any, of: Any, source: Any) -> Callable[[int], tuple[Any, Any]]:
        def one(_number: int) -> tuple[Any, Any]:
            path, key = next(source)
            return who.find(of, path), [key]

        return one

    def missing(who: Any, of: Any, *, again: bool) -> Callable[[int], tuple[Any, Any]]:
        return lambda number: (who.find(of, f"/stash/nowhere/Not a Known Film {0 if again else number}.mkv"), [])

    pair = [("before", before, section), ("after", after, section)]
    costs.case("first path, nothing stored; its title is found", 1, [(w, ask(c, s, paths)) for w, c, s in pair])
    costs.case("first path, nothing stored; its title is not", 1, [(w, ask(c, s, hidden)) for w, c, s in pair])
    costs.case("first path of an index", 1, [("index", ask(after, index, paths))])
    costs.case(
        "not in Plex, first time (before: listed above)", 1, [(w, missing(c, s, again=True)) for w, c, s in pair]
    )
    costs.case("not in Plex, again", rounds, [(w, missing(c, s, again=True)) for w, c, s in pair])
    three = [*pair, ("index", after, index)]
    costs.case("next path, its title is found", rounds, [(w, ask(c, s, paths)) for w, c, s in three])
    costs.case("next path, its title is not", rounds, [(w, ask(c, s, hidden)) for w, c, s in three])
    recorded = [next(paths) for _ in range(rounds)]
    for path, key in recorded:
        before.matches.set_match(LIBRARY, path, key)
        after.matches.set_match(LIBRARY, path, key)

    def again(who: Any, of: Any) -> Callable[[int], tuple[Any, Any]]:
        return lambda number: (who.find(of, recorded[number][0]), [recorded[number][1]])

    costs.case("recorded match", rounds, [(w, again(c, s)) for w, c, s in three])
    found = [("after", ask(after, shows, episodes))]
    costs.case("episode by its path (before: never found)", rounds, found)
    caches(costs, folder, before, after, rows, rounds)
    before.close()
    after.close()
    index.close()
    return costs.table(["before", "after", "index"])


def caches(costs: Costs, folder: Path, before: Before, after: After, rows: list[tuple[str, str]], rounds: int) -> None:
    """The classes alone: no server is asked."""
    listed: dict[str, list[Any]] = {}

    def listing(who: str, get: Callable[[], Any]) -> Callable[[int], tuple[Any, Any]]:
        def one(_number: int) -> tuple[Any, Any]:
            gc.enable()  # as it is in a host: both make many objects
            listed[who] = get()
            return len(listed[who]), len(listed["before"])

        return one

    get_items = [
        ("before", listing("before", lambda: before.library.get(f"library:{LIBRARY}"))),
        ("after", listing("after", lambda: after.library.get_library_items(LIBRARY))),
    ]
    costs.case("get_library_items", rounds, get_items)
    listed.clear()
    pairs = list({path.lower(): key for path, key in rows}.items())[:LOOKUPS]
    with before.matches.transaction():
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
    contenders += [(name, lookups(get)) for name, get in plain_peers(folder / "peers", pairs, costs).items()]
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
            ("before", lambda _: (before.matches.invalidate_library(LIBRARY) >= len(pairs), True)),
            ("after", forget),
        ],
    )


def plain_peers(folder: Path, pairs: list[tuple[str, str]], costs: Costs) -> dict[str, Callable[[str, str], Any]]:
    """Diskcache and lmdb by themselves, with nothing around them."""
    from harness import peers

    found: dict[str, Callable[[str, str], Any]] = {}
    for kind in (peers.DiskCache, peers.Lmdb):
        try:
            peer = kind(folder / kind.name)
        except ImportError as error:
            costs.add(f"{kind.name} is absent", {"before": str(error)})
            continue
        peer.fill(pairs)
        found[kind.name] = by_path(peer.get)
    return found


def by_path(get: Callable[[str], Any]) -> Callable[[str, str], Any]:
    """What knows of no libraries, as if it did."""
    return lambda _library, path: get(path)


if __name__ == "__main__":
    main()
