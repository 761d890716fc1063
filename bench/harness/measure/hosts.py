"""What users feel: the first file after installing, a hook, a day of a tool that synchronises, and memory."""

from __future__ import annotations

import os
import resource
import shutil
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from ..peers import HOST_FOLDER, LIBRARY, SERVER_FOLDER
from ..results import OURS, Row, show
from ..run import Run
from ..timing import Figure, WrongAnswerError, in_turns
from ..world import Questions, World

GROUP = "Hosts"
MOST_ITEMS = 100_000
STASH2PLEX, PLEXAPI = "Stash2Plex", "plexapi"
HOURS, NEW_FILES, LOOKUPS = 24, 200, 2_000


@dataclass
class Costs:
    """What a contender needed beside time."""

    processor: list[float] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)

    def show(self) -> str:
        """For the note of a row."""
        return f"{statistics.median(self.requests):,.0f} requests, {show(statistics.median(self.processor), 's')}"


def measure(run: Run, world: World) -> None:
    """Measures all of this module."""
    if world.size > MOST_ITEMS:
        return
    has_plexapi = run.has_plexapi(world.size)
    path, key = world.questions["listed"].paths[0].decode(), world.questions["listed"].answers[0]
    below = path.removeprefix(SERVER_FOLDER)
    places = {"mapped path": f"{HOST_FOLDER}{below}", "path without a mapping": f"/mnt/elsewhere{below}"}
    for what, place in places.items():
        asked = Questions([place.encode()], [key]).write(world.folder / "pairs")
        names = [OURS, STASH2PLEX] if has_plexapi else [OURS]
        processes(run, world, f"first file after installing, {what}", asked, names, cold=True)
        processes(run, world, f"a hook, {what}", asked, names, cold=False)
    memory(run, world, has_plexapi=has_plexapi)
    day(run, world, has_plexapi=has_plexapi)


def note(row: Row, costs: dict[str, Costs]) -> None:
    """Adds requests and the processor's time to a row."""
    row.note = "; ".join(f"{name}: {cost.show()} of the processor" for name, cost in costs.items())


def processes(run: Run, world: World, what: str, asked: Path, names: list[str], *, cold: bool) -> None:
    """A new process that finds one file, from the start of Python to its exit, with an empty store or a filled one."""
    costs = {name: Costs() for name in names}
    row = run.row(what, GROUP, world.size)

    def start(name: str) -> Callable[[int], float]:
        def one_round(_: int) -> float:
            store = world.folder / "host" / name
            if cold:
                shutil.rmtree(store, ignore_errors=True)
            elif name == OURS and not store.is_dir():
                shutil.copytree(world.store, store)
            requests, processor = world.server.requests(), of_children()
            seconds = run.python("host.py", name, store, asked)[0]
            costs[name].requests.append(world.server.requests() - requests)
            costs[name].processor.append(of_children() - processor)
            return seconds

        return one_round

    if not cold:
        shutil.rmtree(world.folder / "host" / OURS)
    contenders = {name: start(name) for name in names}
    for once in contenders.values():
        once(0)  # Compiled modules exist from now on; a warm cache is filled.
    costs.update({name: Costs() for name in names})
    for name, seconds in in_turns(run.rounds, contenders).items():
        row.add(name, Figure.of(seconds))
    note(row, costs)


def of_children() -> float:
    """Seconds of the processor that ended children took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def memory(run: Run, world: World, *, has_plexapi: bool) -> None:
    """A process that has looked up up to 1,000 listed files."""
    asked = world.questions["listed"].write(world.folder / "pairs", 1_000)
    row = run.row("memory of a host that looked up 1,000 files", GROUP, world.size, unit="B")
    for name in (OURS, PLEXAPI) if has_plexapi else (OURS,):
        sizes = run.python("host.py", name, world.store if name == OURS else "-", asked)[1]
        row.add(name, Figure(sizes["VmRSS:"]))
        if name == OURS:
            row.note = f"of it in files, which processes share, {show(sizes['RssFile:'], 'B')}"


def share(count: int, hour: int) -> tuple[int, int]:
    """The part of a day's work that an hour has."""
    return hour * count // HOURS, (hour + 1) * count // HOURS


def new_file(number: int) -> tuple[str, str]:
    """The title and the path of a film that Plex adds."""
    name = f"Brand New {number} (2025)"
    return f"Brand New {number}", f"{SERVER_FOLDER}/movies/{name}/{name}.mkv"


def day(run: Run, world: World, *, has_plexapi: bool) -> None:
    """Each hour Plex has some new files; then a refresh, and lookups of listed and new files. Adds to the server."""
    import plexindex

    row = run.row(f"a day: {HOURS} refreshes, {NEW_FILES} new files, {LOOKUPS:,} lookups", GROUP, world.size)
    questions = world.questions["listed"]
    listed = list(zip([path.decode() for path in questions.paths], questions.answers))
    costs = {OURS: Costs()}
    requests, seconds, processor = world.server.requests(), 0.0, 0.0
    with plexindex.open(
        world.copy("day"), os.environ["PLEX_URL"], os.environ["PLEX_TOKEN"], mappings=[(HOST_FOLDER, SERVER_FOLDER)]
    ) as index:
        library = index.library(LIBRARY)

        def timed(action: Callable[[], Any]) -> Any:
            nonlocal seconds, processor
            begun, used = perf_counter(), process_time()
            answer = action()
            seconds, processor = seconds + perf_counter() - begun, processor + process_time() - used
            return answer

        for hour in range(HOURS):
            files = [new_file(number) for number in range(*share(NEW_FILES, hour))]
            items = [{"title": title, "year": 2025, "files": [path]} for title, path in files]
            world.server.post("items/add", {"library": 1, "items": items})
            timed(lambda: library.refresh(check=True))
            asked = [listed[number % len(listed)] for number in range(*share(LOOKUPS, hour))]
            paths = [path for path, _ in asked] + [path for _, path in files]

            def look_up(paths: list[str] = paths) -> list[str | None]:
                return [library.match(path, timeout=30).key for path in paths]

            answers = timed(look_up)
            if answers[: len(asked)] != [key for _, key in asked] or not all(answers):
                raise WrongAnswerError(f"hour {hour}: a file was answered with another item, or with none")
    costs[OURS] = Costs([processor], [world.server.requests() - requests])
    row.add(OURS, Figure(seconds))
    if has_plexapi:
        asked_file = questions.write(world.folder / "pairs", LOOKUPS // HOURS)
        requests, processor = world.server.requests(), of_children()
        hour_seconds = run.python("host.py", PLEXAPI, "-", asked_file)[0]
        costs[PLEXAPI] = Costs([HOURS * (of_children() - processor)], [HOURS * (world.server.requests() - requests)])
        row.add(PLEXAPI, Figure(HOURS * hour_seconds))
    note(row, costs)
    if has_plexapi:
        row.note += ", 24 times that of an hour in which it lists all"
