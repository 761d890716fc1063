"""The rows of the page: what was measured for each contender, and the goals that a row has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from .timing import Figure

OURS = "plexindex"


@dataclass(frozen=True)
class Goal:
    """What a row has to reach."""

    text: str
    is_reached: Callable[[Row], bool]


def at_most(limit: float, unit: str = "s") -> Goal:
    """Our mean is at most this."""
    return Goal(f"≤ {show(limit, unit)}", lambda row: row.ours.mean <= limit)


def longest(limit: float) -> Goal:
    """Our longest call takes at most this."""
    return Goal(f"longest ≤ {show(limit, 's')}", lambda row: (row.ours.longest or 0) <= limit)


def below(peer: str, factor: float = 1.0) -> Goal:
    """Our mean is at most so many times a peer's. Reached if the peer is absent."""
    part = "" if factor == 1 else f"1/{1 / factor:g} of " if factor < 0.5 else f"{factor:g} × "
    return Goal(f"≤ {part}{peer}", lambda row: peer not in row.peers or row.ours.mean <= factor * row.peers[peer].mean)


@dataclass
class Row:
    """One thing that a user does, at one size."""

    what: str
    group: str
    size: int
    unit: str = "s"
    """``s``, ``B``, or what is counted. Less is better."""
    goals: tuple[Goal, ...] = ()
    limit: str = ""
    """Shown where a goal is missed: what takes the time, and what was tried."""
    note: str = ""
    contenders: dict[str, Figure] = field(default_factory=dict)
    unranked: set[str] = field(default_factory=set)
    """Contenders that do less, such as a dict in memory: shown, but never 'ahead'."""

    @property
    def ours(self) -> Figure:
        """What plexindex needed."""
        return self.contenders[OURS]

    @property
    def peers(self) -> dict[str, Figure]:
        """What the others needed, the fastest first."""
        others = [(name, figure) for name, figure in self.contenders.items() if name != OURS]
        return dict(sorted(others, key=lambda one: one[1].mean))

    @property
    def ahead(self) -> list[str]:
        """The ranked peers that need less than plexindex."""
        ranked = {name: figure for name, figure in self.peers.items() if name not in self.unranked}
        return [name for name, figure in ranked.items() if figure.mean < self.ours.mean]

    @property
    def missed(self) -> list[str]:
        """The goals that this row does not reach."""
        return [goal.text for goal in self.goals if not goal.is_reached(self)]

    def add(self, who: str, figure: Figure, *, ranked: bool = True) -> None:
        """Adds a contender."""
        self.contenders[who] = figure
        if not ranked:
            self.unranked.add(who)


@dataclass
class Results:
    """All rows of a run."""

    machine: dict[str, str]
    sizes: list[int]
    quick: bool
    rows: list[Row] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    """Peers that could not be used, and why."""
    load: tuple[float, float] = (0.0, 0.0)
    """How busy the machine was before and after."""
    seconds: float = 0.0


def show(value: float, unit: str) -> str:
    """Three digits, in a unit that suits."""
    if unit not in ("s", "B"):
        return f"{_digits(value)} {unit}"
    steps = ((1, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
    if unit == "B":
        steps = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B"))
    size, name = next((step for step in steps if value >= step[0]), steps[-1])
    return f"{_digits(value / size)} {name}"


def _digits(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
