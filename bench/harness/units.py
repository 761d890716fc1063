"""Numbers for people."""

from __future__ import annotations


def show(value: float, unit: str) -> str:
    """Three digits, in a unit that suits."""
    if unit not in ("s", "B"):
        return f"{_digits(value)} {unit}"
    steps: tuple[tuple[float, str], ...]
    if unit == "B":
        steps = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B"))
    else:
        steps = ((1, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
    size, name = next((step for step in steps if abs(value) >= step[0]), steps[-1])
    return f"{_digits(value / size)} {name}"


def times(ratio: float) -> str:
    """A ratio, such as `12 ×`."""
    return f"{_digits(ratio)} ×"


def _digits(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
