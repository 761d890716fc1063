"""The table 'Numbers to reach' of the design, filled with what was measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import rightness
from .results import Results, Row
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


def _warm_python(row: Row) -> bool:
    ours, diskcache = _ours(row, ""), row.value("diskcache")
    lmdb = [spread for name in ("lmdb", "lmdb, one transaction") if (spread := row.value(name))]
    return (
        ours is not None
        and ours.median <= 0.6e-6
        and (diskcache is None or diskcache.median >= 10 * ours.median)
        and all(spread.median > ours.median for spread in lmdb)
    )


def _fifth_of_diskcache(row: Row) -> bool:
    ours, diskcache = row.value("plexindex match"), row.value("diskcache")
    return ours is not None and diskcache is not None and ours.median * 5 <= diskcache.median


def _fifty_times(row: Row) -> bool:
    return row.ratio is not None and row.ratio >= 50


LOOKUP = "plexindex plexindex_lookup_key"
GOALS = (
    Goal(
        "Python, warm path lookup, 100,000 entries",
        "warm lookup",
        100_000,
        "≥ 10 × diskcache, ahead of lmdb; ≤ 0.6 µs",
        _warm_python,
    ),
    Goal("native, warm path lookup, 10,000", "native exact", 10_000, "≤ 100 ns", _within(100e-9, LOOKUP), LOOKUP),
    Goal("native, warm path lookup, 100,000", "native exact", 100_000, "≤ 300 ns", _within(300e-9, LOOKUP), LOOKUP),
    Goal("native, warm path lookup, 1,000,000", "native exact", 1_000_000, "≤ 400 ns", _within(400e-9, LOOKUP), LOOKUP),
    Goal("Python, batch lookup, per path", "batch", 100_000, "≤ 150 ns", _within(150e-9)),
    Goal(
        "native: load the library, open, first match",
        "first, native",
        100_000,
        "≤ 1.5 ms, any size",
        _within(1.5e-3, "plexindex match"),
        "plexindex match",
    ),
    Goal(
        "new Python process: import, open, first match, above `import ctypes`",
        "first, above ctypes",
        100_000,
        "≤ 1/5 of diskcache",
        _fifth_of_diskcache,
        "plexindex match",
    ),
    Goal(
        "new process, 100,000 distinct paths matched: their keys",
        "many, native",
        100_000,
        "≤ 50 ms for all, native",
        _within(50e-3),
    ),
    Goal(
        "the same: full answers, a call each",
        "many, native",
        100_000,
        "≤ 50 ms for all, native",
        _within(50e-3, "plexindex match_path"),
        "plexindex match_path",
    ),
    Goal("a never seen path by file name", "never seen", 100_000, "≤ 5 µs, 0 requests", _within(5e-6)),
    Goal("invalidate one library of 100,000 matches", "invalidate", 100_000, "≤ 1 ms", _within(1e-3)),
    Goal("fetch and store 100,000 items", "fetch", 100_000, "≥ 50 × faster than plexapi and pickle", _fifty_times),
    Goal("its peak of memory", "fetch, peak", 100_000, "≤ 100 MiB", _within(100 * 2**20)),
    Goal(
        "cold library of 400,000 episodes: own time until the first answer, in at most 2 requests",
        "cold",
        100_000,
        "≤ 100 ms",
        _within(0.1, "plexindex: own time"),
        "plexindex: own time",
    ),
    Goal("memory or mapped file for each of 1,000,000 items", "memory", 1_000_000, "≤ 200 bytes", _within(200.0)),
)


def table(results: Results) -> list[dict[str, Any]]:
    """A line for each goal: who is compared with whom, and whether the goal is reached at its size."""
    lines: list[dict[str, Any]] = []
    for goal in GOALS:
        row, exact = results.find(goal.row, goal.size)
        ours = _ours(row, goal.ours) if row else None
        if row is None or ours is None:
            lines.append({"what": goal.what, "goal": goal.goal, "reached": None, "why": "not measured"})
            continue
        peer = row.best_peer
        if goal.row == "native exact":
            peer = next((value for value in row.values if not value.ours), None)
        reached = goal.reached(row)
        if goal.row == "never seen":
            reached &= results.facts.get(f"requests for a path never seen, plexindex, {row.size:,}") == 0
        lines.append(
            {
                "what": goal.what,
                "peer": f"{peer.who} {show(peer.spread.median, row.unit)}" if peer else "",
                "goal": goal.goal,
                "plexindex": show(ours.median, row.unit),
                "spread": f"{show(ours.low, row.unit)} to {show(ours.high, row.unit)}",
                "ratio": times(peer.spread.median / ours.median) if peer and ours.median else "",
                "size": row.size,
                "reached": reached if exact else None,
                "why": "" if exact else f"at {row.size:,} it {'would be' if reached else 'is not'} reached",
            }
        )
    return lines + rightness.goals(results)
