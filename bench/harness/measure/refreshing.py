"""Refreshing a library, and lookups while another process refreshes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from ..peers import Plexindex
from ..results import OURS, longest
from ..run import BENCH, LOOKUPS, Run
from ..run import QUESTIONS as GROUP
from ..timing import Figure, WrongAnswerError, seconds_of
from ..world import World

CHANGED = 100


def measure(run: Run, world: World) -> None:
    """Last of a size: the items of the server have other keys afterwards."""
    if world.size != run.main:
        return
    store = world.copy("refreshed")
    ours = Plexindex(str(store))
    ours.library.refresh(check=True)  # what other measurements changed
    row = run.row("refresh, nothing changed", GROUP, world.size)
    row.note = requests_of(world, lambda: row.add(OURS, Figure.of(refreshes(ours, run.rounds))))
    changed(run, world, ours)
    ours.close()
    meanwhile(run, world)


def refreshes(ours: Plexindex, rounds: int) -> list[float]:
    """Seconds of each refresh."""
    return [seconds_of(lambda: ours.library.refresh(check=True)) for _ in range(rounds)]


def requests_of(world: World, action: Any) -> str:
    """How many requests an action caused."""
    before = world.server.requests()
    action()
    return f"{world.server.requests() - before} requests in all"


def changed(run: Run, world: World, ours: Plexindex) -> None:
    """100 films have other files, and the feed reports them."""
    cursor = ours.index.changes().cursor
    for path, key in world.pairs[:: world.size // CHANGED][:CHANGED]:
        name = path.rsplit(".", 1)[0] + " - 2160p.mkv"
        world.server.post("items/files", {"ratingKey": int(key.rsplit("/", 1)[1]), "files": [name], "touch": True})
    row = run.row(f"refresh, {CHANGED} items changed", GROUP, world.size)
    row.note = requests_of(world, lambda: row.add(OURS, Figure(seconds_of(lambda: ours.library.refresh(check=True)))))
    found = list(ours.index.changes(cursor, offline=True))
    if len(found) < CHANGED:
        raise WrongAnswerError(f"the feed has {len(found)} of {CHANGED} changes")


def meanwhile(run: Run, world: World) -> None:
    """A C program looks up paths while another process stores a listing in which every item has a new key."""
    store = world.copy("meanwhile")
    asked = world.questions["listed"]
    world.server.post("library/rekey", {"library": 1})
    renewed = dict(world.server.listed())
    pairs = world.folder / "rekeyed"
    listed = ((path.decode(), key) for path, key in zip(asked.paths, asked.answers))
    lines = (f"{path}\t{key}\t{renewed[path]}\n" for path, key in listed if path in renewed)
    pairs.write_text("".join(lines), encoding="utf-8")
    row = run.row("a listed path, C, while another process refreshes", LOOKUPS, world.size, longest(20e-3))
    reader = subprocess.Popen(
        [str(run.native), *map(str, run.c_arguments("reader", store, pairs, "other"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert reader.stdin
    assert reader.stdout
    reader.stdout.readline()
    refresh_elsewhere(store)
    reader.stdin.close()
    text = reader.stdout.read()
    if reader.wait():
        raise WrongAnswerError("a lookup during a refresh was wrong: the message above says which")
    found = json.loads(text)
    if found["not_new"]:
        raise WrongAnswerError(f"{found['not_new']} lookups still had old keys after the refresh")
    row.add(OURS, Figure(*(found[name] * 1e-9 for name in ("mean", "p50", "p999", "max"))))
    row.note = f"longest {found['max'] / 1e6:.2g} ms"


def refresh_elsewhere(store: Path) -> None:
    """Refreshes a store in a new process."""
    code = f"from harness.peers import Plexindex; Plexindex({str(store)!r}).library.refresh(full=True)"
    subprocess.run([sys.executable, "-c", code], cwd=BENCH, check=True)
