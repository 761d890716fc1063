"""The page `results/latest.md`, and a line of `results/history.md`."""

from __future__ import annotations

from .results import Results, Row, show
from .run import BENCH, GROUPS
from .timing import Figure

HISTORY = BENCH / "results" / "history.md"
HEAD = ["| what | entries | plexindex | peers | goal | reached |", "|---" * 6 + "|"]


def render(results: Results) -> str:
    """The whole page: rows where a peer is ahead come first."""
    ahead = [row for row in results.rows if row.ahead]
    rest = [row for row in results.rows if not row.ahead]
    sizes = ", ".join(f"{size:,}" for size in results.sizes)
    lines = [
        "# plexindex beside its peers",
        "",
        f"`make bench` made this page in {results.seconds / 60:.0f} minutes, with {sizes} items"
        + (", QUICK: too few rounds for any claim." if results.quick else "."),
        "A value is the mean; in brackets stand the median and what one call in a thousand exceeds.",
        "The contenders of most rows took turns in the same run. `bench/README.md` explains the method.",
        "",
        f"Load before and after: {results.load[0]:.1f}, {results.load[1]:.1f}{_busy(results)}. "
        + "; ".join(f"{name}: {value}" for name, value in results.machine.items())
        + "".join(f"; absent: {name}: {why}" for name, why in results.absent.items()),
        "",
        "## A peer is ahead",
        "",
        *_table(ahead),
        *_limits(results),
        *_slower(results),
    ]
    for group in GROUPS:
        if some := [row for row in rest if row.group == group]:
            lines += [f"## {group}", "", *_table(some)]
    return "\n".join(lines).rstrip() + "\n"


def _busy(results: Results) -> str:
    cores = int(results.machine.get("cores", "1"))
    return " (**the machine was busy: these times are too long**)" if results.load[0] > cores / 2 else ""


def _table(rows: list[Row]) -> list[str]:
    return [*HEAD, *map(_line, rows), ""] if rows else ["None.", ""]


def _line(row: Row) -> str:
    peers = ", ".join(
        f"{name} {_value(figure, row.unit)}" + (" (not ranked)" if name in row.unranked else "")
        for name, figure in row.peers.items()
    )
    what = f"{row.what} ({row.note})" if row.note else row.what
    goal = ", ".join(goal.text for goal in row.goals)
    reached = "" if not row.goals else "**no**" if row.missed else "yes"
    cells = (what, f"{row.size:,}", f"**{_value(row.ours, row.unit)}**", peers, goal, reached)
    return f"| {' | '.join(cells)} |"


def _value(figure: Figure, unit: str) -> str:
    text = show(figure.mean, unit)
    if figure.median is not None and figure.tail is not None:
        text += f" ({show(figure.median, unit)}, {show(figure.tail, unit)})"
    return text


def _limits(results: Results) -> list[str]:
    missed = [row for row in results.rows if row.missed]
    lines = [
        f"- {row.what}, {row.size:,}: {' and '.join(row.missed)}" + (f". {row.limit}" if row.limit else "")
        for row in missed
    ]
    return ["## Goals that were missed", "", *(lines or ["None."]), ""]


TREND = (
    ("a listed path, Python", 100_000, "lmdb"),
    ("drop-in `get_match`, hit, once loaded", 100_000, "lmdb"),
    ("drop-in `get_match`, hit, once loaded", 100_000, "diskcache"),
    ("record_match, paths in ascending order", 1_000_000, "sqlite3"),
    ("500 matches a call, each, paths in random order", 1_000_000, "sqlite3"),
    ("a new process, Python", 100_000, "diskcache"),
    ("first file after installing", 10_000, "Stash2Plex"),
    ("a hook", 10_000, "Stash2Plex"),
    ("memory of a process that looked up 1,000 files", 10_000, "plexapi"),
    ("a day", 10_000, "plexapi"),
)
"""The columns of `results/history.md`: the start of a row, its entries, and the peer of the ratio."""


def trend(results: Results) -> str:
    """A line of `results/history.md`: what plexindex needs, divided by what a peer needs."""
    cells = [results.machine[name] for name in ("date", "commit", "processor")]
    for what, size, peer in TREND:
        row = next((row for row in results.rows if row.what.startswith(what) and row.size == size), None)
        theirs = row.peers.get(peer) if row else None
        cells.append(f"{row.ours.mean / theirs.mean:.2g}" if row and theirs else "")
    return f"| {' | '.join(cells)} |\n"


DECISIONS = {
    "one implementation for Python, in ctypes": (0, 1),
    "records as rows of SQLite": (3, 4),
}
"""What was made slower for the sake of less code, with the places of its rows in TREND."""
BEFORE = "c98b78d4"
"""The commit in `results/history.md` that precedes the decisions."""


def _slower(results: Results) -> list[str]:
    """The factors by which decisions made rows slower: of the ratios to the same peer, since machines differ."""
    earlier, now = ([cell.strip() for cell in line.split("|")[4:-1]] for line in (_earlier(), trend(results)))
    lines = [f"The factors by which rows grew since {BEFORE}, beside the same peer.", ""]
    for decision, places in DECISIONS.items():
        for place in places:
            what, size, peer = TREND[place]
            if earlier[place] and now[place]:
                factor = float(now[place]) / float(earlier[place])
                lines.append(f"- {decision}: {what}, {size:,}, beside {peer}: {factor:.1f} ×")
    return ["## Slower by decision", "", *lines, ""]


def _earlier() -> str:
    lines = HISTORY.read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if f"| {BEFORE} |" in line)
