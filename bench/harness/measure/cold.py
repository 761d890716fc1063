"""The first answer from a library that was never fetched and is too large to be fetched for it: 400,000 episodes."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import Any

from ..run import Run
from ..timing import Spread, WrongAnswerError
from ..world import PREFIX, Standin, World

EPISODES = 400_000
AT = 100_000
NS = 1e-9


@dataclass
class Served:
    """A server without a store."""

    server: Standin


def measure(run: Run, world: World) -> None:
    """Once in a run, whatever the other sizes."""
    if world.size != AT and not run.quick:
        return
    run.say(f"{EPISODES:,} episodes: the first answer of a cold library")
    server = Standin(run.standin, "--movies", "4", "--episodes", str(EPISODES))
    found: list[dict[str, Any]] = []
    try:
        row = server.get(f"paths?library=2&start={EPISODES // 2}&count=1")[0]
        path, key = row["path"], PREFIX + str(row["ratingKey"])
        for number in range(run.rounds):
            store = run.folder / f"cold-{number}"
            before = server.requests()
            _, times = run.python("cold.py", store, path, key, world=Served(server))
            asked = server.requests() - before
            found.append(times)
            shutil.rmtree(store)
            if asked > 3:
                raise WrongAnswerError(f"the first answer of a cold library took {asked} requests")
    finally:
        server.stop()
    own = run.results.row(
        "cold", "The first answer of a cold library", AT, note=f"{EPISODES:,} episodes, a new process, an empty folder"
    )
    note = f"{asked} requests; the processor's time in our process, Python's import included"
    own.add("plexindex: own time", Spread.of(times["own"] * NS for times in found), ours=True, note=note)
    own.add("plexindex: until the answer", Spread.of(times["wall"] * NS for times in found), ranked=False)
