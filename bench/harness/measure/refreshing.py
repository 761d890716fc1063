"""A reader's lookups while a refresh is stored in which every item has a new key: the worst case for those who read."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ..run import BENCH, Run, environment
from ..timing import Spread, WrongAnswerError
from ..world import World

KINDS = ("p50", "p99", "p999", "p9999", "max")


def measure(run: Run, world: World) -> None:
    """A C program looks up, and matches what has no answer by a fast lookup, without a pause:
    alone, while another process refreshes, while a thread of its own does.

    Last of a world: the server's items have other keys afterwards.
    """
    run.say(f"{world.size:,}: lookups during a refresh")
    stores = {how: world.folder / f"refresh-{how}" for how in ("idle", "other process", "own thread")}
    for store in stores.values():
        shutil.copytree(world.store, store)
    asked = world.questions["exact"]
    listed = [(path.decode(), key or "") for path, key in zip(asked.paths, asked.answers)]
    world.server.post("library/rekey", {"library": 1})
    renewed = dict(world.server.listed())
    pairs = world.folder / "rekeyed"
    pairs.write_text("".join(f"{path}\t{key}\t{renewed[path]}\n" for path, key in listed), encoding="utf-8")
    other, seconds = reader(run, world, stores["other process"], pairs, "other")
    idle, _ = reader(run, world, stores["idle"], pairs, "idle", max(1.0, seconds))
    own, _ = reader(run, world, stores["own thread"], pairs, world.server.url)
    for who, found in (("another process", other), ("a thread of its own", own)):
        if found["not_new"]:
            raise WrongAnswerError(f"{found['not_new']} lookups still had old keys after {who} had refreshed")
    for kind in KINDS:
        row = run.results.row(
            f"during refresh, {kind}", "Lookups while a refresh is stored", world.size, note="C, clock included"
        )
        for who, found in (
            ("plexindex, nothing else happens", idle),
            ("plexindex, another process refreshes", other),
            ("plexindex, a thread of its own refreshes", own),
        ):
            row.add(who, Spread.of([found[kind] * 1e-9]), ours=True, note=f"{found['asked']:,} lookups")
    facts, size = run.results.facts, f"{world.size:,}"
    for who, found in (("no refresh", idle), ("another process", other), ("a thread of its own", own)):
        facts[f"lookups with no answer by a fast lookup, so matched: {who}, {size}"] = found["none"]
    facts[f"seconds of the refresh by another process, {size}"] = round(seconds, 3)
    facts[f"seconds of the refresh by a thread of the reader, {size}"] = round(own["refresh"] / 1e9, 3)


def reader(
    run: Run, world: World, store: Path, pairs: Path, how: str, idle: float = 0.0
) -> tuple[dict[str, Any], float]:
    """What the reader saw, and the seconds of the refresh."""
    command = [str(run.native), *map(str, run.c_arguments("reader", store, pairs, how))]
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment(world), errors="replace"
    )
    assert process.stdin
    assert process.stdout
    seconds = 0.0
    if process.stdout.readline().strip() == "ready":
        if how == "other":
            script = BENCH / "children" / "refresh.py"
            done = subprocess.run(
                [sys.executable, "-I", str(script), str(store)],
                env=environment(world),
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            seconds = float(done.stdout)
        elif how == "idle":
            time.sleep(idle)
        else:
            # It ends by itself.
            text = process.stdout.read()
            process.wait()
            return _result(process, text), 0.0
    process.stdin.close()
    text = process.stdout.read()
    process.wait()
    return _result(process, text), seconds


def _result(process: subprocess.Popen[str], text: str) -> dict[str, Any]:
    if process.returncode:
        raise WrongAnswerError(f"the reader: {process.stderr.read().strip() if process.stderr else ''}")
    found: dict[str, Any] = json.loads(text)
    return found
