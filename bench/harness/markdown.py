"""The results as Markdown: the numbers to reach, and every row."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

from .results import Results, Row
from .units import show, times


def put_into(page: Path, program: str, text: str) -> None:
    """Puts a text into a page, between the comments that name the program that makes it."""
    begin, end = f"<!-- {program} -->\n", f"<!-- /{program} -->"
    head, rest = page.read_text(encoding="utf-8").split(begin)
    page.write_text(head + begin + text + end + rest.split(end)[1], encoding="utf-8")


def summary(results: Results, goals: list[dict[str, Any]]) -> str:
    """The numbers to reach, and the machine: `results/latest.md`."""
    sizes = ", ".join(f"{size:,}" for size in results.sizes)
    lines = [
        "# plexindex side by side with its peers",
        "",
        f"Made by `make bench` in {results.seconds / 60:.0f} minutes, at {sizes} items"
        + (", QUICK: few rounds, no basis for claims." if results.quick else "."),
        "Medians, with the fastest and the slowest round. `bench/README.md` explains the method.",
        "",
        f"Load before and after: {results.load[0]:.1f}, {results.load[1]:.1f}{_busy(results)}. "
        + "; ".join(f"{name}: {value}" for name, value in results.machine.items())
        + "".join(f"; absent: {name}: {why}" for name, why in results.absent.items()),
        "",
        *HEADS,
        *(goal_line(goal) for goal in goals),
        "",
        "The ratio divides the peer's value by plexindex's. The peer is the one in the goal, else the fastest on disk;",
        "the last column names peers on disk that need less.",
    ]
    return "\n".join(lines) + "\n"


def render(results: Results, goals: list[dict[str, Any]]) -> str:
    """The summary with all goals, and then every row."""
    lines = [summary(results, goals), *_missed(goals)]
    for group, rows in groupby(sorted(results.rows, key=_place(results)), key=lambda row: row.group):
        lines += [f"## {group}", ""]
        for row in rows:
            lines += _row(row)
    if results.facts:
        lines += ["## Counts", "", *(f"- {name}: {value:g}" for name, value in results.facts.items())]
    return "\n".join(lines) + "\n"


def _busy(results: Results) -> str:
    cores = int(results.machine.get("cores", "1"))
    return " (**the machine was busy: these times are too long**)" if results.load[0] > cores / 2 else ""


HEADS = "| what | beside it | goal | plexindex | ratio | reached | a peer is ahead |", "|---" * 7 + "|"
"""The first lines of the table of goals."""


def _place(results: Results) -> Any:
    groups: dict[str, int] = {}
    names: dict[str, int] = {}
    for row in results.rows:
        groups.setdefault(row.group, len(groups))
        names.setdefault(row.name, len(names))
    return lambda row: (groups[row.group], names[row.name], row.size)


def goal_line(goal: dict[str, Any]) -> str:
    """A line of the table of goals."""
    reached = {True: "yes", False: "**no**", None: "–"}[goal["reached"]]
    if goal["why"]:
        reached += f" ({goal['why']})"
    ours = f"{goal['plexindex']} ({goal['spread']})" if "plexindex" in goal else "–"
    faster = goal.get("faster", "")
    cells = (goal["what"], goal.get("peer", ""), goal["goal"], ours, goal.get("ratio", ""), reached, faster)
    return f"| {' | '.join(cells)} |"


def _missed(goals: list[dict[str, Any]]) -> list[str]:
    """Why goals are missed."""
    lines = [f"- {goal['what']}: {goal['limit']}" for goal in goals if goal.get("limit")]
    return ["What limits the rows that are missed, and what was tried:", "", *lines, ""] if lines else []


def _row(row: Row) -> list[str]:
    head = f"**{row.name}**, {row.size:,}" + (f": {row.note}" if row.note else "")
    if row.ratio is not None and row.best_peer is not None:
        head += f". Best peer: {row.best_peer.who}, {times(row.ratio)}"
    lines = [head, ""]
    for value in row.values:
        low, high = show(value.spread.low, row.unit), show(value.spread.high, row.unit)
        spread = f" ({low} to {high}, {value.spread.rounds} rounds)" if value.spread.rounds > 1 else ""
        note = f" – {value.note}" if value.note else ""
        lines.append(f"- {value.who}: {show(value.spread.median, row.unit)}{spread}{note}")
    return [*lines, ""]
