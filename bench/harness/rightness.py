"""The tables of being right: `results/right.md`, all rows, and the goals."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from .results import Results
from .units import show

OURS = ("match", "lookup_key")
ENOUGH = 0.99
BARE = (
    "| names | size | listed, absent | right | wrong | low | `match`, `lookup_key` "
    "| consumer: right | wrong | each | same name: right | wrong |"
)
SUMS = "| the host's view | listed, absent | right | wrong | low | each |"
KINDS = ("movie", "show", "artist", "photo", "other_videos")
COUNTS = ("listed", "absent", "right", "wrong", "low")


def goals(results: Results) -> list[dict[str, Any]]:
    """A line for each goal."""
    rows = [row for row in results.right if row["who"] in OURS]
    if not rows:
        return []
    bare = [row for row in rows if row["view"] == "no mapping"]
    wrong = {who: sum(row["wrong"] for row in rows if row["who"] == who) for who in OURS}
    shown = ", ".join(f"{count:,} by `{who}`" for who, count in wrong.items())
    return [
        _goal("another file's item, high", "0 in every row", shown, not any(wrong.values())),
        _least("well-named files without a mapping: found, high", [row for row in bare if row["well_named"]]),
        _least("`S01E01` files without a mapping: found, high", [row for row in bare if row["numbered"]]),
    ]


def _least(what: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    # The worst row counts, not the mean.
    least = min((row["right"] / row["listed"] for row in rows if row["listed"]), default=1.0)
    return _goal(what, "≥ 99 % in every row", _percent(least), least >= ENOUGH)


def _goal(what: str, goal: str, ours: str, reached: bool) -> dict[str, Any]:
    return {"what": what, "goal": goal, "plexindex": ours, "spread": "all rows", "reached": reached, "why": ""}


def write(results: Results, folder: Path, publish: Path | None) -> None:
    """All rows in a folder, those of a quick run under another name, and the sums where they are published."""
    stem = "quick-right" if results.quick else "right"
    text = summary(results)
    (folder / f"{stem}.md").write_text(text + by_scheme(results), encoding="utf-8")
    facts = {"machine": results.machine, "quick": results.quick, "goals": goals(results), "rows": results.right}
    (folder / f"{stem}.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if publish:
        (publish / "right.md").write_text(text, encoding="utf-8")
    print(text)


def summary(results: Results) -> str:
    """The goals and the sums, as Markdown."""
    from .markdown import HEADS, goal_line

    lines = [
        "# Right, or not sure",
        "",
        "Made by `make bench ONLY=right`" + (", QUICK: few collections." if results.quick else "."),
        "Plex lists half of each collection; every file is looked up. 'Right' is the share of listed files found with",
        "high confidence. 'Wrong' counts high-confidence answers with another file's item; 'low' counts listed files",
        "whose item comes first with low confidence. `bench/README.md` explains the method.",
        "",
        *HEADS,
        *map(goal_line, goals(results)),
        "",
        "## In every view",
        "",
        "Sums over all naming schemes: `match`, and wrong answers of both calls.",
        "",
        SUMS,
        "|---" * 6 + "|",
    ]
    sums: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in results.right:
        if row["who"] in OURS:
            sums[row["view"] + (", all libraries at once" if row["kind"] == "all" else "")].append(row)
    lines += [_sum(view, rows) for view, rows in sums.items()]
    worst = [row for row in results.right if row["who"] in OURS and row["examples"]]
    if worst:
        lines += ["", "## Wrong answers", ""]
        lines += [f"- {row['view']}, {row['kind']}, {row['scheme']}: {row['examples'][0]}" for row in worst[:20]]
    return "\n".join(lines) + "\n"


def by_scheme(results: Results) -> str:
    """A row for each naming scheme, without a mapping, as Markdown."""
    lines = [
        "",
        "## No mapping",
        "",
        "The files lie below a folder of which no mapping tells. `match`, `lookup_key` beside the consumer's algorithm",
        "(asked a sample) and what scripts do: the first item that has a file of the same name.",
        "",
        BARE,
        "|---" * 12 + "|",
    ]
    whole: dict[tuple[str, str, str], dict[str, dict[str, Any]]] = defaultdict(dict)
    for row in results.right:
        if row["view"] == "no mapping":
            whole[row["kind"], row["scheme"], row["size"]][row["who"]] = row
    rows_of = sorted(whole.items(), key=lambda row: [*KINDS, row[0][0]].index(row[0][0]))
    lines += [_bare(kind, scheme, size, rows) for (kind, scheme, size), rows in rows_of]
    return "\n".join(lines) + "\n"


def _bare(kind: str, scheme: str, size: str, rows: dict[str, dict[str, Any]]) -> str:
    match, lookup = rows["match"], rows["lookup_key"]
    cells = [f"{kind}: {scheme}", size, f"{match['listed']:,}, {match['absent']:,}", _right(match)]
    cells += [f"{max(match['wrong'], lookup['wrong']):,}", f"{match['low']:,}"]
    cells += [f"{show(match['seconds'], 's')}, {show(lookup['seconds'], 's')}"]
    theirs = rows.get("the consumer's algorithm")
    cells += [_right(theirs), _wrong(theirs), show(theirs["seconds"], "s")] if theirs else ["–"] * 3
    name = rows.get("the same file name")
    cells += [_right(name), _wrong(name)] if name else ["–"] * 2
    return f"| {' | '.join(cells)} |"


def _sum(view: str, rows: list[dict[str, Any]]) -> str:
    total = {name: sum(row[name] for row in rows if row["who"] == "match") for name in COUNTS}
    wrong = max(sum(row["wrong"] for row in rows if row["who"] == who) for who in OURS)
    asked = sum((row["listed"] + row["absent"]) * row["seconds"] for row in rows if row["who"] == "match")
    each = asked / max(1, total["listed"] + total["absent"])
    cells = [view, f"{total['listed']:,}, {total['absent']:,}", _right(total), f"{wrong:,}"]
    return f"| {' | '.join([*cells, format(total['low'], ','), show(each, 's')])} |"


def _right(row: dict[str, Any]) -> str:
    return _percent(row["right"] / row["listed"]) if row["listed"] else "–"


def _wrong(row: dict[str, Any]) -> str:
    """How many, and of all that was asked how many in a hundred: the consumer is asked a sample."""
    asked = row["listed"] + row["absent"]
    return f"{_percent(row['wrong'] / asked)}" if asked else "–"


def _percent(share: float) -> str:
    # What is not all is never shown as all.
    return f"{share:.0%}".replace("%", " %") if share in (0, 1) else f"{min(share * 100, 99.9):.1f} %"
