"""What came out: rows of values, and how they stand against the best peer."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from .timing import Spread

OURS = "plexindex"


@dataclass
class Value:
    """What one contender needed."""

    who: str
    spread: Spread
    ours: bool = False
    ranked: bool = True
    """Whether it does the same job: what lives in the memory of one process, say, is shown and not ranked."""
    note: str = ""


@dataclass
class Row:
    """One thing measured, for all contenders."""

    name: str
    """Unique together with the size: what goals refer to."""
    group: str
    size: int
    unit: str
    """``s``, ``B`` or what is counted; less is better."""
    values: list[Value] = field(default_factory=list)
    note: str = ""

    def add(self, who: str, spread: Spread, *, ours: bool = False, ranked: bool = True, note: str = "") -> None:
        """Adds a contender."""
        self.values.append(Value(who, spread, ours, ranked, note))

    @property
    def best_of_ours(self) -> Value | None:
        """The fastest of ours."""
        return min((value for value in self.values if value.ours), key=lambda value: value.spread.median, default=None)

    @property
    def best_peer(self) -> Value | None:
        """The best of those that do the same job."""
        peers = (value for value in self.values if value.ranked and not value.ours)
        return min(peers, key=lambda value: value.spread.median, default=None)

    @property
    def ratio(self) -> float | None:
        """How many times less plexindex needs than the best peer."""
        ours, peer = self.best_of_ours, self.best_peer
        return peer.spread.median / ours.spread.median if ours and peer and ours.spread.median else None

    def value(self, who: str) -> Spread | None:
        """What a contender needed."""
        return next((value.spread for value in self.values if value.who == who), None)


@dataclass
class Results:
    """All of a run."""

    machine: dict[str, str]
    sizes: list[int]
    quick: bool
    rows: list[Row] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    """Peers that are not here, and why."""
    facts: dict[str, float] = field(default_factory=dict)
    """Counts that are no times: requests, say."""
    right: list[dict[str, Any]] = field(default_factory=list)
    """How often answers are right, and how often wrong: a row for each naming scheme, view and contender."""
    load: tuple[float, float] = (0.0, 0.0)
    """How busy the machine was before and after."""
    seconds: float = 0.0

    def row(self, name: str, group: str, size: int, unit: str = "s", note: str = "") -> Row:
        """A new row."""
        row = Row(name, group, size, unit, note=note)
        self.rows.append(row)
        return row

    def find(self, name: str, size: int) -> tuple[Row | None, bool]:
        """The row of that size, and whether it is of that size: else it is the largest there is."""
        rows = [row for row in self.rows if row.name == name]
        exact = [row for row in rows if row.size == size]
        if exact:
            return exact[0], True
        return max(rows, key=lambda row: row.size, default=None), False

    @classmethod
    def from_dict(cls, read: dict[str, Any]) -> Results:
        """What :meth:`as_dict` gave."""
        results = cls(read["machine"], read["sizes"], read["quick"], absent=read["absent"], facts=read["facts"])
        results.load, results.seconds = tuple(read["load"]), read["seconds"]
        for one in read["rows"]:
            row = results.row(one["name"], one["group"], one["size"], one["unit"], one["note"])
            row.values = [Value(**{**value, "spread": Spread(**value["spread"])}) for value in one["values"]]
        return results

    def as_dict(self, goals: list[dict[str, Any]]) -> dict[str, Any]:
        """For JSON."""
        rows = []
        for row in self.rows:
            entry = asdict(row)
            peer = row.best_peer
            entry["best_peer"], entry["ratio"] = peer.who if peer else None, row.ratio
            rows.append(entry)
        return {
            "machine": self.machine,
            "sizes": self.sizes,
            "quick": self.quick,
            "load": self.load,
            "seconds": round(self.seconds, 1),
            "absent": self.absent,
            "goals": goals,
            "facts": self.facts,
            "rows": rows,
        }
