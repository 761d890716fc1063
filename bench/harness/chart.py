"""The charts of the README and the report: bars, and lines over sizes, on logarithmic scales, written by hand as SVG.

Each file has the colours of a light and of a dark page. `python -m harness.chart results/latest.json` draws them anew.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable
from html import escape
from pathlib import Path

from .results import Results, Row, Value
from .units import show

WIDTH, LEFT, RIGHT = 860, 250, 120
BAR, STEP, HEAD = 16, 24, 34
STYLE = (
    ".page{fill:#ffffff}.text{fill:#0f172a}.small{fill:#64748b}.grid{stroke:#94a3b8;opacity:.35}"
    ".ours{fill:#d97706;stroke:#d97706}.peer{fill:#64748b;stroke:#64748b}.memory{fill:#cbd5e1;stroke:#94a3b8}"
    "@media(prefers-color-scheme:dark){"
    ".page{fill:#0d1117}.text{fill:#e6edf3}.small{fill:#9198a1}"
    ".ours{fill:#f0a132;stroke:#f0a132}.peer{fill:#7d8590;stroke:#7d8590}.memory{fill:#484f58;stroke:#6e7681}}"
)
Panels = tuple[tuple[str, str], ...]
OVERVIEW: Panels = (
    ("warm lookup", "Warm lookup of a path in Python"),
    ("first, in Python", "New Python process: import, open, first answer"),
    ("never seen", "A path never seen, by its file name"),
    ("invalidate", "Forget the matches of a library"),
    ("fetch", "Fetch a library and store it"),
)
FAMILIES: dict[str, Panels] = {
    "lookups": (
        ("warm lookup", "Warm lookup of a path in Python"),
        ("native exact", "The same without Python, each path"),
        ("get_match", "The drop-in's get_match"),
        ("never seen", "A path never seen, by its file name"),
    ),
    "writes": (
        ("record, single", "Record one match"),
        ("record, batch", "Record matches in a batch, each"),
        ("invalidate", "Forget the matches of a library"),
    ),
    "start": (
        ("first, in Python", "New Python process: import, open, first answer"),
        ("first, native", "New process without Python: load, open, first answer"),
        ("many, Python", "New Python process: many paths"),
    ),
    "fetch": (
        ("fetch", "Fetch a library and store it"),
        ("fetch, peak", "The process's peak of memory meanwhile"),
        ("cold", "The first answer of a library that was never fetched"),
    ),
}
"""By the end of the file's name."""
SCALING = "scaling"
AT = 100_000
"""The size that bars show."""
LINES = (
    ("warm lookup", "plexindex lookup_key", "plexindex, Python", "ours"),
    ("native exact", "plexindex plexindex_lookup_key", "plexindex, C", "ours"),
    ("native exact", "plexindex plexindex_lookup_keys", "plexindex, C, batch", "ours"),
    ("warm lookup", "dict", "dict", "memory"),
    ("warm lookup", "lmdb, one transaction", "lmdb, one transaction", "peer"),
    ("warm lookup", "sqlite3", "sqlite3", "peer"),
    ("warm lookup", "diskcache", "diskcache", "peer"),
)


def write(results: Results, folder: Path, stem: str) -> list[str]:
    """All charts; gives the names of their files, the overview first. One without values is not written."""
    drawn = {f"{stem}.svg": bars(results, OVERVIEW)}
    drawn |= {f"{stem}-{family}.svg": bars(results, panels) for family, panels in FAMILIES.items()}
    drawn[f"{stem}-{SCALING}.svg"] = lines(results)
    written = []
    for name, text in drawn.items():
        (folder / name).unlink(missing_ok=True)
        if text:
            (folder / name).write_text(text, encoding="utf-8")
            written.append(name)
    return written


def bars(results: Results, panels: Panels) -> str:
    """A panel for each row. Each has a scale of its own; bars begin a little below the smallest value."""
    parts: list[str] = []
    top = 12
    for name, title in panels:
        row, _ = results.find(name, AT)
        values = sorted(_shown(row), key=lambda value: value.spread.median) if row else []
        if row is None or not values:
            continue
        parts.append(_text(12, top + 16, f"{title}, {row.size:,} entries", "title"))
        top += HEAD
        low, high = _powers((value.spread.median for value in values), 0.3)
        scale = (WIDTH - LEFT - RIGHT) / (high - low)
        bottom = top + STEP * len(values)
        for power in range(low, high + 1):
            x = LEFT + (power - low) * scale
            parts.append(_line(x, top - 4, x, bottom))
            parts.append(_text(x, bottom + 12, show(10.0**power, row.unit), "small", "middle"))
        for value in values:
            length = max(2.0, (math.log10(value.spread.median) - low) * scale)
            kind = "ours" if value.ours else "peer" if value.ranked else "memory"
            who = value.who.replace("plexindex plexindex_", "plexindex_")
            parts.append(_text(LEFT - 8, top + BAR - 4, who, "label", "end"))
            bar = f'x="{LEFT}" y="{top}" width="{length:.1f}" height="{BAR}" rx="2"'
            parts.append(f'<rect class="{kind}" stroke-width="0" {bar}/>')
            shown = show(value.spread.median, row.unit) + (", not run" if "not run" in value.note else "")
            parts.append(_text(LEFT + length + 6, top + BAR - 4, shown, "label"))
            top += STEP
        top += 34
    note = "Logarithmic, less is better. Faint: in the memory of one process, or no peer."
    return _page(results, parts, top, note) if parts else ""


def lines(results: Results) -> str:
    """What a lookup takes, over the number of entries."""
    top, bottom, right = HEAD + 12, 420, WIDTH - 215
    found = [(label, kind, _over_sizes(results, name, who)) for name, who, label, kind in LINES]
    found = [(label, kind, points) for label, kind, points in found if len(points) > 1]
    if not found:
        return ""
    first, last = _powers((size for _, _, points in found for size, _ in points), 0)
    low, high = _powers((seconds for _, _, points in found for _, seconds in points), 0)

    def at(size: float, seconds: float) -> tuple[float, float]:
        x = 70 + (math.log10(size) - first) / (last - first) * (right - 70)
        return x, bottom - (math.log10(seconds) - low) / (high - low) * (bottom - top)

    parts = [_text(12, 28, "A warm lookup of a path, by the number of entries", "title")]
    for power in range(first, last + 1):
        x, _ = at(10.0**power, 10.0**low)
        parts += [_line(x, top, x, bottom), _text(x, bottom + 16, f"{10**power:,}", "small", "middle")]
    for power in range(low, high + 1):
        x, y = at(10.0**first, 10.0**power)
        parts += [_line(x, y, right, y), _text(x - 8, y + 4, show(10.0**power, "s"), "small", "end")]
    # Labels stand where their lines end, or as near to that as the one above them lets.
    free = 0.0
    for label, kind, points in sorted(found, key=lambda line: -line[2][-1][1]):
        places = [at(*point) for point in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline class="{kind}" style="fill:none" stroke-width="2.5" points="{path}"/>')
        parts += [f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in places]
        x, y = places[-1]
        y = max(y, free)
        parts.append(_text(x + 10, y + 4, f"{label}: {show(points[-1][1], 's')}", "label"))
        free = y + 15
    note = "Both axes logarithmic, less is better; each path a fresh string. Faint: in the memory of one process."
    return _page(results, parts, bottom + 34, note)


def _over_sizes(results: Results, name: str, who: str) -> list[tuple[float, float]]:
    rows = sorted((row for row in results.rows if row.name == name), key=lambda row: row.size)
    found = [(row.size, row.value(who)) for row in rows]
    return [(size, spread.median) for size, spread in found if spread]


def _powers(values: Iterable[float], below: float) -> tuple[int, int]:
    """The powers of ten around them, with so much room below the smallest."""
    powers = [math.log10(value) for value in values]
    low = math.floor(min(powers) - below)
    return low, max(low + 1, math.ceil(max(powers)))


def _shown(row: Row) -> list[Value]:
    left_out = ("plexapi:", "plexindex: until")
    return [value for value in row.values if value.who != "Python alone" and not value.who.startswith(left_out)]


def _page(results: Results, parts: list[str], top: float, note: str) -> str:
    parts = [*parts, _text(12, top + 4, note + (" QUICK run." if results.quick else ""), "small")]
    height = top + 16
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'role="img" aria-label="plexindex and its peers" font-family="system-ui, sans-serif">'
        f'<style>{STYLE}</style><rect class="page" width="{WIDTH}" height="{height}" rx="6"/>'
    )
    return "\n".join([head, *parts, "</svg>"]) + "\n"


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="grid" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    size = {"small": 10, "label": 12}.get(kind, 14)
    weight = ' font-weight="600"' if kind == "title" else ""
    colour = "small" if kind == "small" else "text"
    return (
        f'<text class="{colour}" x="{x:.1f}" y="{y:.1f}" font-size="{size}"{weight} '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )


if __name__ == "__main__":
    source = Path(sys.argv[1])
    print(*write(Results.from_dict(json.loads(source.read_text(encoding="utf-8"))), source.parent, source.stem))
