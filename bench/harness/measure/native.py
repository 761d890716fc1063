"""Warm lookups without Python: a C program over the shared library; and divan's numbers of the Rust benchmarks."""

from __future__ import annotations

import re
from collections.abc import Callable

from ..run import Run
from ..timing import Spread, interleaved
from ..world import World

CALLS = {
    "lookup": "plexindex_lookup_key",
    "batch": "plexindex_lookup_keys",
    "match": "plexindex_match_path",
    "answers": "plexindex_match_paths",
}


KINDS = ("exact", "confirmed", "mapped", "suffix", "file name", "miss")


def scale(run: Run, world: World) -> None:
    """The exact path at a size where nothing else is measured."""
    measure(run, world, ("exact",))


def measure(run: Run, world: World, kinds: tuple[str, ...] = KINDS) -> None:
    """Every match kind, every call."""
    for kind in kinds:
        run.say(f"{world.size:,}: native, {kind}")
        asked = world.questions["exact" if kind == "confirmed" else kind]
        pairs = asked.write(world.folder / "native")
        store = world.confirmed_store() if kind == "confirmed" else world.store

        def call(how: str, store: object = store, pairs: object = pairs) -> Callable[[int], float]:
            def measure(number: int) -> float:
                # One round in a process of its own: the program asks for all once before.
                _, times = run.c("warm", run.library, store, "/host", "/data", pairs, how, 1, number, world=world)
                return float(times[0]) * 1e-9

            return measure

        # A miss may ask the server, unless it is a lookup.
        hows = ("lookup", "batch") if kind == "miss" else tuple(CALLS)
        spreads = interleaved(run.rounds, [(how, call(how)) for how in hows])
        row = run.results.row(
            f"native {kind}", "Warm lookups in C", world.size, note="fresh copies, random order, each answer compared"
        )
        for how in hows:
            row.add(f"plexindex {CALLS[how]}", spreads[how], ours=True)
        if kind == "exact":
            python = run.results.find("warm lookup", world.size)[0]
            spread = python.value("dict") if python else None
            if spread:
                row.add("a Python dict", spread, ranked=False, note="called by Python, in memory")


UNITS = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1.0}


def read_divan(run: Run, text: str) -> None:
    """Rows of what ``cargo bench`` printed: a tree of names, with fastest, slowest, median and mean."""
    names: dict[int, str] = {}
    for line in text.splitlines():
        found = re.match(r"^((?:│  |   )*)[├╰]─ (.+?)\s{2,}(.*)$", line) or re.match(
            r"^((?:│  |   )*)[├╰]─ (\S+)\s*(.*)$", line
        )
        if not found:
            continue
        depth = len(found.group(1)) // 3
        names[depth] = found.group(2)
        times = re.findall(r"([\d.]+) (ns|µs|ms|s)\b", found.group(3))
        if len(times) < 4 or not names[depth].isdigit():
            continue
        fastest, slowest, median, _ = (float(value) * UNITS[unit] for value, unit in times[:4])
        samples = re.search(r"│ (\d+)\s+│ \d+\s*$", found.group(3))
        size, kind, call = int(names[depth]), names[depth - 1], names[depth - 2]
        name, group = f"Rust {kind}", "Warm lookups in Rust"
        row = next((row for row in run.results.rows if (row.name, row.size) == (name, size)), None)
        row = row or run.results.row(name, group, size, note="by divan: a round is a sample of 1,000")
        row.add(
            f"plexindex {call}", Spread(median, fastest, slowest, int(samples.group(1)) if samples else 0), ours=True
        )
