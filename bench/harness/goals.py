"""The table 'Numbers to reach' of the design, filled with what was measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import rightness
from .results import Results, Row, Value
from .timing import Spread
from .units import show, times


@dataclass
class Goal:
    """A line of the table."""

    what: str
    row: str
    size: int
    goal: str
    reached: Callable[[Row], bool]
    ours: str = ""
    """Which of our values counts; empty: the best."""
    against: tuple[str, ...] = ()
    """With whom it is compared: the first gives the ratio. Empty: the best peer."""
    limit: str = ""
    """Said where the goal is missed: what the time is spent on, and what was tried."""


def _within(limit: float, who: str = "") -> Callable[[Row], bool]:
    def reached(row: Row) -> bool:
        spread = _ours(row, who)
        return spread is not None and spread.median <= limit

    return reached


def _ours(row: Row, who: str) -> Spread | None:
    if who:
        return row.value(who)
    best = row.best_of_ours
    return best.spread if best else None


def _of(peer: str, most: float, who: str = "") -> Callable[[Row], bool]:
    """At most so many times what this peer needs, in the same run."""

    def reached(row: Row) -> bool:
        ours, theirs = _ours(row, who), row.value(peer)
        return ours is not None and theirs is not None and ours.median <= most * theirs.median

    return reached


def _both(*all_of: Callable[[Row], bool]) -> Callable[[Row], bool]:
    return lambda row: all(one(row) for one in all_of)


def _sustained(size: int) -> list[Goal]:
    """Recording that goes on at this many stored."""
    goals = []
    for who, shown in (
        ("plexindex record_match", "record_match"),
        ("plexindex.compat set_match", "drop-in `set_match`"),
    ):
        peers = ("sqlite3", "diskcache")
        mean = _both(_of("sqlite3", 1.0, who), _of("diskcache", 1 / 3, who))
        what = f"{shown}, mean in one go, {size:,} stored"
        goals.append(
            Goal(what, "sustained single: mean", size, "≤ sqlite3's, ≤ 1/3 of diskcache's", mean, who, against=peers)
        )
        what = f"{shown}, longest of 10,000 calls, {size:,} stored"
        goals.append(Goal(what, "sustained single: longest", size, "≤ 10 ms", _within(10e-3, who), who))
    return goals


SHARED, NOT_SHARED = "plexindex, shared", "plexindex, not shared"


def _hosts() -> list[Goal]:
    """Several hosts that share one log. The exchange is measured at the smallest size, lookups at the largest."""
    ten, one = "plexindex, ten hosts", "one host"
    goals = [
        Goal(
            "requests to Plex in a day, ten hosts",
            "requests of a day",
            600,
            "≤ 1.1 × one host's",
            _of(one, 1.1, ten),
            ten,
            against=(one, "ten hosts that share nothing"),
        )
    ]
    for size, most in ((10_000, 2.0), (100_000, 2.0), (1_000_000, 10.0)):
        listing = ("plexindex, from Plex",)
        goals += [
            Goal(
                f"a new host, {size:,}: first answer",
                "new host",
                size,
                f"≤ {most:g} s",
                _within(most, SHARED),
                SHARED,
                against=listing,
            ),
            Goal(
                f"a new host, {size:,}: requests to Plex",
                "new host, requests",
                size,
                "≤ 2",
                _within(2, SHARED),
                SHARED,
                against=listing,
            ),
            Goal(
                f"a new host, {size:,}: peak of memory",
                "new host, peak",
                size,
                "≤ 150 MiB",
                _within(150 * 2**20, SHARED),
                SHARED,
                against=listing,
            ),
        ]
    for who, most in (("both follow", 0.05), ("neither follows", 5.5)):
        shown = "50 ms" if most < 1 else "5.5 s"
        goals.append(
            Goal(
                f"recorded on one host, answered on another: {who}",
                f"recorded and answered, {who}",
                10_000,
                f"median ≤ {shown}",
                _within(most, "plexindex"),
                "plexindex",
            )
        )
    goals += [
        Goal(
            "ten hosts record 100 a second each: p99 of a local record",
            "record on ten hosts, p99",
            10_000,
            "≤ 100 µs",
            _within(100e-6, SHARED),
            SHARED,
            against=(NOT_SHARED,),
        ),
        Goal(
            "queries of an idle host in 5 s",
            "queries of an idle host in 5 s",
            10_000,
            "≤ 1",
            _within(1, "plexindex, follows"),
            "plexindex, follows",
        ),
    ]
    goals += [
        Goal(
            f"{what}, 100,000, with `shared`",
            f"{row}, several hosts",
            100_000,
            "≤ 1.05 × without",
            _of(NOT_SHARED, 1.05, SHARED),
            SHARED,
            against=(NOT_SHARED,),
        )
        for what, row in (
            ("native lookup", "plexindex_lookup_key"),
            ("full answer, native", "plexindex_match_path"),
            ("native: load, open, first answer", "opening"),
        )
    ]
    goals.append(Goal("size in PostgreSQL for each item", "size in PostgreSQL", 100_000, "≤ 300 bytes", _within(300)))
    return goals


LOOKUP = "plexindex plexindex_lookup_key"
BATCH = "plexindex plexindex_lookup_keys"
ANSWER = "plexindex plexindex_match_path"
DICT, PYTHON_DICT = "dict", "a Python dict"
FIRST, MATCH = "first, in Python", "plexindex match"
GOALS = (
    Goal(
        "record one match, 100,000",
        "record, single",
        100_000,
        "≤ 1/3 of diskcache",
        _of("diskcache", 1 / 3),
        against=("diskcache",),
        limit="a transaction of its own, which other processes see: 6 fcntl, 2 flock, 2 statx, and the pages "
        "that go to the log. Tried: an index and a column less, statements kept, a key that lets SQLite "
        "append, no reading of what the call before it wrote.",
    ),
    *(goal for size in (10_000, 100_000, 1_000_000) for goal in _sustained(size)),
    Goal(
        "record in a batch, 100,000, each",
        "record, batch",
        100_000,
        "≤ sqlite3's",
        _of("sqlite3", 1.0),
        against=("sqlite3",),
    ),
    Goal("Python, warm lookup, 10,000", "warm lookup", 10_000, "≤ 1.5 of the dict", _of(DICT, 1.5), against=(DICT,)),
    Goal(
        "Python, warm lookup, 100,000", "warm lookup", 100_000, "faster than the dict", _of(DICT, 1.0), against=(DICT,)
    ),
    Goal(
        "Python, warm lookup, 1,000,000",
        "warm lookup",
        1_000_000,
        "faster than the dict",
        _of(DICT, 1.0),
        against=(DICT,),
    ),
    Goal(
        "Python, batch, 100,000, each path",
        "batch",
        100_000,
        "≤ 200 ns",
        _within(200e-9),
        limit="joining and splitting strings in Python alone takes 130 to 150 ns, and the lookup in C 120: of both "
        "most is waiting for memory, the paths', the slots', the entries' and that of new strings. 177 ns on a day "
        "when the machine was a fourth faster (its dict at 313 ns for 10,000).",
    ),
    Goal(
        "drop-in `get_match`, 100,000",
        "get_match",
        100_000,
        "≥ 20 × diskcache",
        _of("diskcache", 1 / 20),
        against=("diskcache",),
        limit="two reads of memory that wait for each other, the slot and the entry, and the call itself, "
        "which Python makes through the method of a class. Tried: the entry is asked for before it is "
        "known whether the snapshot is current, the library asked last is remembered, letters are "
        "lowered without Python.",
    ),
    Goal(
        "new Python process: import, open, `lookup_key`, close",
        FIRST,
        100_000,
        "≤ 3 ms, ≥ 8 × diskcache, ahead of sqlite3",
        _both(
            _within(3e-3, "plexindex lookup_key"),
            _of("diskcache", 1 / 8, "plexindex lookup_key"),
            _of("sqlite3", 1.0, "plexindex lookup_key"),
        ),
        "plexindex lookup_key",
        against=("diskcache", "sqlite3"),
        limit="the modules that Python loads, and the library. Each of six modules takes some 75 µs to be found and "
        "read, and 4.4 µs for each KB of bytecode; a library that does nothing, with as much code and as many "
        "relocations, 160 µs. It moves with the machine: 2.1 ms on a day when diskcache took 20 ms.",
    ),
    Goal(
        "the same with `match`",
        FIRST,
        100_000,
        "≤ 3 ms, ≥ 8 × diskcache, ahead of sqlite3",
        _both(_within(3e-3, MATCH), _of("diskcache", 1 / 8, MATCH), _of("sqlite3", 1.0, MATCH)),
        MATCH,
        against=("diskcache", "sqlite3"),
        limit="the modules that Python loads, and the library: `native: load` has that part. An answer loads one "
        "module more, 170 to 260 µs. Tried: modules that only other calls need are loaded by those, and annotations "
        "that load none.",
    ),
    Goal(
        "native: load, open, first answer",
        "first, native",
        100_000,
        "≤ 0.8 ms",
        _within(0.8e-3, MATCH),
        MATCH,
        limit="pages that are touched first, each of which takes 2 µs in a virtual machine: 60 in loading, of which 49 "
        "are written by 9,800 relocations (24 by the tables of regex alone, which patterns with `(?i)` need), and 50 "
        "in opening, most of them code. A library that does nothing, with as much code and as many relocations, "
        "takes 160 µs to load, ours 165 to 230, an empty one 47. Tried: "
        "libgcc_s, a third of loading, comes with the first panic; SQLite is opened later, when nothing else "
        "answers; relocations in less room (RELR) gain nothing; the functions of a start beside each other would "
        "save 40 to 60 µs, but linkers do not agree on how to be told.",
    ),
    Goal("native: close", "close, native", 100_000, "≤ 0.2 ms", _within(0.2e-3, MATCH), MATCH),
    *(
        Goal(
            f"native lookup, {size:,}",
            "native exact",
            size,
            f"≤ {most} of the dict",
            _of(PYTHON_DICT, most, LOOKUP),
            LOOKUP,
            against=(PYTHON_DICT,),
        )
        for size, most in ((10_000, 0.4), (100_000, 0.6), (1_000_000, 0.5))
    ),
    *(
        Goal(
            f"native batch, {size:,}, each",
            "native exact",
            size,
            "≤ 0.6 of single lookups",
            _of(LOOKUP, 0.6, BATCH),
            BATCH,
            against=(LOOKUP,),
            limit="what a batch saves is waiting, and of that single lookups have the less, the more of an index the "
            "processor's cache holds. The work is the same: some 600 instructions a path. Tried: paths "
            "searched for a NUL at once, no memory cleared for each group, no line asked for behind the path's own.",
        )
        for size in (100_000, 1_000_000)
    ),
    Goal(
        "full answer, native, 100,000",
        "native exact",
        100_000,
        "≤ 0.4 µs",
        _within(0.4e-6, ANSWER),
        ANSWER,
        limit="some 3,400 instructions, none of which allocates, and two reads of memory that wait for each "
        "other: 20 to 60 ns for the slot, 150 to 175 for the entry, of which checks hide a part. The block that is "
        "handed out takes 900 instructions, the lookup 600, the checks of what was given 500. Tried: no plan for a "
        "path that is listed once in a fresh library, one cursor for entry and item, the entry asked for before all "
        "checks, files in large pages: 4,900 instructions before.",
    ),
    Goal("full answer, Python, 100,000", "match kind exact", 100_000, "≤ 2 µs", _within(2e-6, MATCH), MATCH),
    Goal(
        "new process, 100,000 distinct paths matched: their keys",
        "many, native",
        100_000,
        "≤ 50 ms for all, native",
        _within(50e-3),
    ),
    Goal(
        "a never seen path by file name, 100,000",
        "never seen",
        100_000,
        "≤ 5 µs, 0 requests",
        _within(5e-6),
        limit="cold caches: 40 calls come after Python's collector went through all objects. Once warm they take "
        "2.8 µs, some 18,900 instructions: most compare the words of the names, the answer's sentence is the rest. "
        "4.96 µs on a day when the machine was a fourth faster.",
    ),
    Goal("invalidate one library of 100,000 matches", "invalidate", 100_000, "≤ 1 ms", _within(1e-3)),
    Goal(
        "fetch and store 100,000 items",
        "fetch",
        100_000,
        "≥ 100 × faster than plexapi and pickle",
        _of("plexapi, pickle", 1 / 100),
        limit="as for a million.",
    ),
    Goal("its peak of memory", "fetch, peak", 100_000, "≤ 100 MiB", _within(100 * 2**20)),
    Goal(
        "fetch and store 1,000,000 items",
        "fetch",
        1_000_000,
        "≤ 3.5 s",
        _within(3.5),
        limit="both cores, one of which the server needs too: one thread fetches and parses, another stores, a third "
        "makes the index file. Storing takes longest, 18,000 instructions an item, and of it SQLite takes most (its "
        "machine 16 %, pages that are divided 10 %, the keys of its indexes 9 %); reading a page comes next, "
        "most of it parsing. Tried: texts packed with an eighth less work, statements kept, pages fetched ahead, only "
        "the numbers read of what went; no gzip on one machine, items whose memory goes round. A JSON reader of ours "
        "was quicker, and was left out: serde_json is kept by others.",
    ),
    Goal("its peak of memory", "fetch, peak", 1_000_000, "≤ 100 MiB", _within(100 * 2**20)),
    Goal(
        "cold library of 400,000 episodes: own time until the first answer, in at most 3 requests",
        "cold",
        100_000,
        "≤ 100 ms",
        _within(0.1, "plexindex: own time"),
        "plexindex: own time",
    ),
    Goal(
        "a folder of ten seasons",
        "folder of ten seasons",
        1_000_000,
        "≤ 5 µs",
        _within(5e-6),
    ),
    Goal("the same without Python", "native folder of ten seasons", 1_000_000, "≤ 5 µs", _within(5e-6)),
    Goal(
        "100,000 files against 100,000 items, ten a folder",
        "diff",
        100_000,
        "≤ 1 s",
        _within(1.0),
    ),
    Goal(
        "the same with a folder for each file",
        "diff, films",
        100_000,
        "≤ 1 s",
        _within(1.0),
        limit="the system's calls: to open, read and close 100,000 folders takes 0.6 s of processor time.",
    ),
    Goal("disk for each of 100,000 items", "bytes on disk", 100_000, "≤ 380 bytes", _within(380.0)),
    Goal("memory or mapped file for each of 1,000,000 items", "memory", 1_000_000, "≤ 200 bytes", _within(200.0)),
    *_hosts(),
)


def _ahead(row: Row, ours: Spread) -> list[Value]:
    """Peers that need less."""
    ahead = [value for value in row.values if value.ranked and not value.ours and value.spread.median < ours.median]
    return sorted(ahead, key=lambda value: value.spread.median)


def _told(values: list[Value], row: Row) -> str:
    return ", ".join(f"{value.who} {show(value.spread.median, row.unit)}" for value in values)


def table(results: Results, group: str = "") -> list[dict[str, Any]]:
    """A line for each goal: who is compared with whom, and whether the goal is reached at its size.

    `group`: of the rows of this family alone, as far as they were measured.
    """
    lines: list[dict[str, Any]] = []
    for goal in GOALS:
        row, exact = results.find(goal.row, goal.size)
        if group and (row is None or row.group != group or not exact):
            continue
        ours = _ours(row, goal.ours) if row else None
        if row is None or ours is None or not exact:
            lines.append({"what": goal.what, "goal": goal.goal, "reached": None, "why": "not measured"})
            continue
        peers = [value for who in goal.against for value in row.values if value.who == who]
        if not goal.against and row.best_peer:
            peers = [row.best_peer]
        peer = peers[0] if peers else None
        reached = goal.reached(row)
        if goal.row == "never seen":
            reached &= results.facts.get(f"requests for a path never seen, plexindex, {row.size:,}") == 0
        lines.append(
            {
                "what": goal.what,
                "peer": _told(peers, row),
                "faster": _told(_ahead(row, ours), row),
                "goal": goal.goal,
                "plexindex": show(ours.median, row.unit),
                "spread": f"{show(ours.low, row.unit)} to {show(ours.high, row.unit)}",
                "ratio": times(peer.spread.median / ours.median) if peer and ours.median else "",
                "size": row.size,
                "group": row.group,
                "reached": reached,
                "limit": "" if reached else goal.limit,
                "why": "",
            }
        )
    return lines if group else lines + rightness.goals(results)
