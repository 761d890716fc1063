"""The chart of the README: horizontal bars on a logarithmic scale, written by hand as SVG."""

from __future__ import annotations

import math
from html import escape

from .results import Results, Value
from .units import show

WIDTH, LEFT, RIGHT = 860, 250, 120
BAR, STEP, HEAD = 16, 24, 34
OURS, THEIRS, MEMORY = "#d97706", "#64748b", "#cbd5e1"
PANELS = (
    ("warm lookup", "Warm lookup of a path in Python"),
    ("first, in Python", "New Python process: import, open, first answer"),
    ("never seen", "A path never seen, by its file name"),
    ("invalidate", "Forget the matches of a library"),
    ("fetch", "Fetch a library and store it"),
)


def render(results: Results) -> str:
    """The SVG. Each panel has a scale of its own; bars begin a little below the smallest value."""
    parts: list[str] = []
    top = 12
    for name, title in PANELS:
        row, _ = results.find(name, 100_000)
        if row is None:
            continue
        values = sorted(_shown(row.values), key=lambda value: value.spread.median)
        parts.append(_text(12, top + 16, f"{title}, {row.size:,} entries", "title", weight="600"))
        top += HEAD
        low = math.floor(math.log10(min(value.spread.median for value in values)) - 0.3)
        high = math.ceil(math.log10(max(value.spread.median for value in values)))
        scale = (WIDTH - LEFT - RIGHT) / max(1, high - low)
        bottom = top + STEP * len(values)
        for power in range(low, high + 1):
            x = LEFT + (power - low) * scale
            ends = f'x1="{x:.1f}" y1="{top - 4}" x2="{x:.1f}" y2="{bottom}"'
            parts.append(f'<line {ends} stroke="#94a3b8" opacity="0.35"/>')
            parts.append(_text(x, bottom + 12, show(10.0**power, row.unit), "small", anchor="middle"))
        for value in values:
            length = max(2.0, (math.log10(value.spread.median) - low) * scale)
            colour = OURS if value.ours else THEIRS if value.ranked else MEMORY
            parts.append(_text(LEFT - 8, top + BAR - 4, value.who, "label", anchor="end"))
            parts.append(f'<rect x="{LEFT}" y="{top}" width="{length:.1f}" height="{BAR}" rx="2" fill="{colour}"/>')
            parts.append(_text(LEFT + length + 6, top + BAR - 4, show(value.spread.median, row.unit), "label"))
            top += STEP
        top += 34
    note = "Logarithmic, less is better. Light grey: in the memory of one process."
    parts.append(_text(12, top + 4, note + (" QUICK run." if results.quick else ""), "small"))
    height = top + 16
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'role="img" aria-label="plexindex and its peers" font-family="system-ui, sans-serif">'
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff" rx="6"/>'
    )
    return "\n".join([head, *parts, "</svg>"]) + "\n"


def _shown(values: list[Value]) -> list[Value]:
    return [value for value in values if value.who != "Python alone" and not value.who.startswith("plexapi:")]


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start", weight: str = "400") -> str:
    size, colour = {"small": (10, "#64748b"), "label": (12, "#0f172a")}.get(kind, (14, "#0f172a"))
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" fill="{colour}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )
