"""The chart of the README: bars on logarithmic scales, written by hand as SVG, for light and dark pages.

`python -m harness.chart ../build/bench/latest.json` draws it again.
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
PANELS = (
    ("warm lookup", "Warm lookup of a path in Python"),
    ("first, in Python", "New Python process: import, open, first answer"),
    ("never seen", "A path never seen, by its file name"),
    ("invalidate", "Forget the matches of a library"),
    ("fetch", "Fetch a library and store it"),
)
AT = 100_000
"""The size that bars show."""


def draw(results: Results) -> str:
    """A panel for each row. Each has a scale of its own; bars begin a little below the smallest value."""
    parts: list[str] = []
    top = 12
    for name, title in PANELS:
        row, _ = results.find(name, AT)
        values = sorted(_shown(row), key=lambda value: value.spread.median) if row else []
        if row is None or not values:
            continue
        parts.append(_text(12, top + 16, f"{title}, {row.size:,} entries", "title"))
        top += HEAD
        low, high = _powers(value.spread.median for value in values)
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
    return _page(parts, top, note)


def _powers(values: Iterable[float]) -> tuple[int, int]:
    """The powers of ten around them, with some room below the smallest."""
    powers = [math.log10(value) for value in values]
    low = math.floor(min(powers) - 0.3)
    return low, max(low + 1, math.ceil(max(powers)))


def _shown(row: Row) -> list[Value]:
    left_out = ("plexapi:", "plexindex: until")
    return [value for value in row.values if value.who != "Python alone" and not value.who.startswith(left_out)]


def _page(parts: list[str], top: float, note: str) -> str:
    parts = [*parts, _text(12, top + 4, note, "small")]
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
    chart = draw(Results.from_dict(json.loads(source.read_text(encoding="utf-8"))))
    Path("results/latest.svg").write_text(chart, encoding="utf-8")
