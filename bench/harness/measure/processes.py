"""New processes: the first question, and very many; in Python and in C."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import peers
from ..run import Run
from ..timing import Spread, interleaved
from ..world import Questions, World

NS = 1e-9


def measure(run: Run, world: World) -> None:
    """All of it."""
    first(run, world)
    many(run, world)


def first(run: Run, world: World) -> None:
    """The first lookup in a new process: whole, and in steps."""
    run.say(f"{world.size:,}: first lookups in new processes")
    asked = world.questions["exact"]
    path, key = asked.paths[0].decode(), asked.answers[0]
    one = Questions(asked.paths[:1], asked.answers[:1]).write(world.folder / "one")
    stores = _stores(run, world)
    steps: dict[str, dict[str, list[float]]] = {}

    def measured(who: str, start: Callable[[], tuple[float, Any]]) -> Callable[[int], float]:
        def measure(_number: int) -> float:
            seconds, times = start()
            for step, value in times.items():
                steps.setdefault(who, {}).setdefault(step, []).append(value * NS)
            return seconds

        return measure

    def python(who: str) -> Callable[[int], float]:
        store = stores.get(who, world.store)
        return measured(who, lambda: run.python("first.py", who, store, path, key, world=world))

    def native(how: str) -> Callable[[int], float]:
        arguments = run.c_arguments("first", world.store, one, how)
        return measured(f"C {how}", lambda: run.c(*arguments, world=world))

    names = ["nothing", "lookup_key", "match", *stores]
    contenders: list[tuple[str, Callable[[int], float]]] = [(name, python(name)) for name in names]
    contenders += [(f"C {how}", native(how)) for how in ("lookup", "match")]
    for _, once in contenders:
        once(0)  # compiled modules and the files' pages are there from now on
    steps.clear()
    spreads = interleaved(run.rounds * 2 + 1, contenders)

    whole = run.results.row(
        "first, whole process", "The first lookup in a new process", world.size, note="from the start to the end"
    )
    above = run.results.row(
        "first, in Python",
        "The first lookup in a new process",
        world.size,
        note="import, open, answer and close, above a bare interpreter",
    )
    for name in names:
        ours = name in ("lookup_key", "match")
        shown = f"plexindex {name}" if ours else "Python alone" if name == "nothing" else name
        whole.add(shown, spreads[name], ours=ours, ranked=name != "nothing")
        if name != "nothing":
            parts = [sum(step) for step in zip(*(steps[name][step] for step in ("import", "open", "ask", "close")))]
            above.add(shown, Spread.of(parts), ours=ours)
    for how in ("lookup", "match"):
        whole.add(f"plexindex in C, {how}", spreads[f"C {how}"], note="a C program", ranked=False)
    _native_steps(run, world, steps)
    _split(run, world, steps, names)


def _native_steps(run: Run, world: World, steps: dict[str, dict[str, list[float]]]) -> None:
    row = run.results.row(
        "first, native", "The first lookup in a new process", world.size, note="load the library, open, first answer: C"
    )
    for how in ("lookup", "match"):
        of = steps[f"C {how}"]
        parts = [sum(step) for step in zip(of["load"], of["open"], of["library"], of["ask"])]
        row.add(f"plexindex {how}", Spread.of(parts), ours=True)
    close = run.results.row(
        "close, native", "The first lookup in a new process", world.size, note="C, nothing was written"
    )
    for how in ("lookup", "match"):
        close.add(f"plexindex {how}", Spread.of(steps[f"C {how}"]["close"]), ours=True)


def _split(run: Run, world: World, steps: dict[str, dict[str, list[float]]], names: list[str]) -> None:
    wanted = [("C match", "plexindex match, C")] + [(name, name) for name in names if name != "nothing"]
    for who, shown in wanted:
        row = run.results.row(f"split {who}", "A new process in steps", world.size)
        for step, values in steps[who].items():
            ours = who in ("C match", "lookup_key", "match")
            prefix = "plexindex " if ours and not shown.startswith("plexindex") else ""
            row.add(f"{prefix}{shown}: {step}", Spread.of(values), ranked=False)


def _stores(run: Run, world: World) -> dict[str, Path]:
    """Of the peers: those that were filled for warm lookups, or new ones."""
    stores: dict[str, Path] = {}
    pairs = list(dict(world.pairs).items())
    for kind in peers.present((peers.DiskCache, peers.DiskCacheRs, peers.SQLite, peers.Lmdb), run.results.absent):
        if kind is peers.DiskCacheRs and world.size > 200_000:
            continue
        folder = world.folder / f"first-{kind.name}"
        peer = kind(folder)
        peer.fill(pairs)
        peer.close()
        stores[kind.name] = folder
    return stores


def many(run: Run, world: World) -> None:
    """Up to 100,000 distinct paths in a new process, all of it counted from loading the library on."""
    asked = world.questions["exact"]
    count = min(100_000, len(asked.paths))
    run.say(f"{world.size:,}: {count:,} paths in new processes")
    pairs = asked.write(world.folder / "pairs", count)
    diskcache = world.folder / "first-diskcache"

    def native(how: str) -> Callable[[int], float]:
        arguments = run.c_arguments("many", world.store, pairs, how)

        def measure(_number: int) -> float:
            _, times = run.c(*arguments, world=world)
            return NS * sum(float(times[step]) for step in ("load", "open", "library", "ask"))

        return measure

    def python(who: str, store: Path) -> Callable[[int], float]:
        return lambda _number: float(run.python("many.py", who, store, pairs, world=world)[1]["all"]) * NS

    hows = ["lookup", "batch", "match", "answers"]
    whos = ["lookup_key", "lookup_keys", "match", "match_paths"]
    contenders = [(f"C {how}", native(how)) for how in hows]
    contenders += [(who, python(who, world.store)) for who in whos]
    if diskcache.is_dir():
        contenders.append(("diskcache", python("diskcache", diskcache)))
    spreads = interleaved(max(3, run.rounds // 2), contenders)
    note = f"{count:,} paths, the store opened anew"
    c = run.results.row("many, native", "Many paths in a new process", world.size, note=f"C: {note}")
    for how, shown in zip(hows, ("lookup_key", "lookup_keys", "match_path", "match_paths")):
        c.add(f"plexindex {shown}", spreads[f"C {how}"], ours=True)
    py = run.results.row("many, Python", "Many paths in a new process", world.size, note=f"Python: {note}")
    for who in whos:
        py.add(f"plexindex {who}", spreads[who], ours=True)
    if "diskcache" in spreads:
        py.add("diskcache", spreads["diskcache"])
    scan = run.results.find("never seen", world.size)[0]
    one = scan.value("the consumer's algorithm") if scan else None
    if one:
        py.add("the consumer's algorithm", one.scaled(count), note=f"one path's time, {count:,} times: not run")
