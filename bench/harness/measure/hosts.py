"""What users feel: the first file after installing, a hook, a restart, an hour, a day, the command, and memory."""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, process_time

from ..peers import HOST_FOLDER, LIBRARY, SERVER_FOLDER
from ..results import OURS, Row, at_most, below, show
from ..run import MEMORY, WAITING, Run
from ..timing import Figure, WrongAnswerError, in_turns, seconds_of
from ..world import Questions, World

STASH2PLEX, PLEXAPI, BARE = "Stash2Plex", "plexapi", "a bare interpreter"
HOURS, NEW_FILES, LOOKUPS = 24, 200, 2_000
MOST_MEMORY = {100_000: 64 * 2**20, 1_000_000: 100 * 2**20}


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
    memory(run, world)
    if world.size not in (run.smallest, run.main):
        return
    path, key = world.questions["listed"].paths[0].decode(), world.questions["listed"].answers[0]
    below_root = path.removeprefix(SERVER_FOLDER)
    mapped = Questions([f"{HOST_FOLDER}{below_root}".encode()], [key]).write(world.folder / "mapped")
    names = [OURS, STASH2PLEX] if run.has_plexapi(world.size) else [OURS]
    processes(run, world, "first file after installing", mapped, names, cold=True)
    if world.size == run.main:
        elsewhere = Questions([f"/mnt/elsewhere{below_root}".encode()], [key]).write(world.folder / "elsewhere")
        processes(run, world, "first file after installing, no mapping", elsewhere, [OURS], cold=True)
    processes(run, world, "a hook", mapped, names, cold=False)
    if world.size == run.main:
        command(run, world, f"{HOST_FOLDER}{below_root}")
        hour(run, world)
    else:
        day(run, world)


def note(row: Row, costs: dict[str, Costs]) -> None:
    """Adds requests and the processor's time to a row."""
    row.note = "; ".join(f"{name}: {cost.show()} of the processor" for name, cost in costs.items())


def processes(run: Run, world: World, what: str, asked: Path, names: list[str], *, cold: bool) -> None:
    """A new process that finds one file, from the start of Python to its exit, with an empty store or a filled one."""
    costs = {name: Costs() for name in names}
    goals = [below(STASH2PLEX, 1 / 3)] if STASH2PLEX in names else [at_most(1.0 if cold else 0.1)]
    limit = "Without a mapping, only the whole listing shows that no other file has the size." if cold else ""
    row = run.row(what, WAITING, world.size, *goals, limit=limit)

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
    if len(names) > 1:
        row.note += "; plexindex: without plexapi, which an edit imports"


def of_children() -> float:
    """Seconds of the processor that ended children took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def command(run: Run, world: World, path: str) -> None:
    """`plexindex match FILE` over a filled store, beside an interpreter that does nothing."""
    program = Path(sys.executable).with_name("plexindex")
    match = [str(program), "match", path, f"--cache-dir={world.store}", f"--mapping={HOST_FOLDER}={SERVER_FOLDER}"]
    environment = {**os.environ, "PLEXINDEX_SERVER_URL": world.server.url, "PLEXINDEX_TOKEN": world.server.token}

    def start(arguments: list[str]) -> Callable[[int], float]:
        def one_round(_: int) -> float:
            begun = perf_counter()
            done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
            seconds = perf_counter() - begun
            if done.returncode:
                raise WrongAnswerError(f"{arguments[1]}: {done.stdout}{done.stderr}")
            return seconds

        return one_round

    row = run.row("`plexindex match FILE`", WAITING, world.size, below(BARE, 4))
    contenders = {OURS: start(match), BARE: start([sys.executable, "-c", "pass"])}
    for once in contenders.values():
        once(0)
    for name, seconds in in_turns(2 * run.rounds, contenders).items():
        row.add(name, Figure.of(seconds), ranked=name != BARE)


def memory(run: Run, world: World) -> None:
    """A process that starts and looks up up to 1,000 listed files; with plexapi, it lists the library first."""
    asked = world.questions["listed"].write(world.folder / "pairs", 1_000)
    names = (OURS, PLEXAPI) if run.has_plexapi(world.size) else (OURS,)
    restart = run.row("a restart, then 1,000 files", WAITING, world.size, below(PLEXAPI, 1 / 10))
    goals = [at_most(MOST_MEMORY[world.size], "B")] if world.size in MOST_MEMORY else [below(PLEXAPI, 1 / 4)]
    what = "memory of a process that looked up 1,000 files"
    limit = "Around each page that is read, the system maps 15 more that it has in memory, and can take them back."
    row = run.row(what, MEMORY, world.size, *goals, unit="B", limit=limit)
    for name in names:
        seconds, sizes = run.python("host.py", name, world.store if name == OURS else "-", asked)
        if PLEXAPI in names:
            restart.add(name, Figure(seconds))
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


class Tool:
    """A tool that synchronises: each hour Plex has some new files, and the tool refreshes and looks files up."""

    def __init__(self, world: World) -> None:
        import plexindex

        self.world, self.seconds, self.processor = world, 0.0, 0.0
        url, token = os.environ["PLEX_URL"], os.environ["PLEX_TOKEN"]
        self.index = plexindex.open(world.copy("tool"), url, token, mappings=[(HOST_FOLDER, SERVER_FOLDER)])
        self.library = self.index.library(LIBRARY)

    def hour(self, files: list[tuple[str, str]], listed: list[tuple[str, str | None]]) -> None:
        """Plex gets the new files; then the tool asks for these and for listed ones."""
        items = [{"title": title, "year": 2025, "files": [path]} for title, path in files]
        self.world.server.post("items/add", {"library": 1, "items": items})
        paths = [path for path, _ in listed] + [path for _, path in files]
        answers: list[str | None] = []

        def work() -> None:
            self.library.refresh(check=True)
            answers.extend(self.library.match(path, timeout=30).key for path in paths)

        used = process_time()
        self.seconds += seconds_of(work)
        self.processor += process_time() - used
        if answers[: len(listed)] != [key for _, key in listed] or not all(answers):
            raise WrongAnswerError("a file was answered with another item, or with none")


def listed_files(world: World) -> list[tuple[str, str | None]]:
    """Paths and keys."""
    questions = world.questions["listed"]
    return list(zip([path.decode() for path in questions.paths], questions.answers))


def hour(run: Run, world: World) -> None:
    """An hour with one new file. Adds to the server."""
    row = run.row("an hour with one new file: a refresh, 12 lookups", WAITING, world.size, at_most(1.0))
    tool = Tool(world)
    requests = world.server.requests()
    tool.hour([new_file(NEW_FILES)], listed_files(world)[:11])
    tool.index.close()
    row.add(OURS, Figure(tool.seconds))
    note(row, {OURS: Costs([tool.processor], [world.server.requests() - requests])})


def day(run: Run, world: World) -> None:
    """24 such hours, beside a tool that lists the library with plexapi each hour. Adds to the server."""
    what = f"a day: {HOURS} refreshes, {NEW_FILES} new files, {LOOKUPS:,} lookups"
    row = run.row(what, WAITING, world.size, below(PLEXAPI, 1 / 50))
    listed, tool = listed_files(world), Tool(world)
    requests = world.server.requests()
    for hour in range(HOURS):
        asked = [listed[number % len(listed)] for number in range(*share(LOOKUPS, hour))]
        tool.hour([new_file(number) for number in range(*share(NEW_FILES, hour))], asked)
    tool.index.close()
    costs = {OURS: Costs([tool.processor], [world.server.requests() - requests])}
    row.add(OURS, Figure(tool.seconds))
    if run.has_plexapi(world.size):
        asked_file = world.questions["listed"].write(world.folder / "pairs", LOOKUPS // HOURS)
        requests, processor = world.server.requests(), of_children()
        hour_seconds = run.python("host.py", PLEXAPI, "-", asked_file)[0]
        costs[PLEXAPI] = Costs([HOURS * (of_children() - processor)], [HOURS * (world.server.requests() - requests)])
        row.add(PLEXAPI, Figure(HOURS * hour_seconds))
    note(row, costs)
    row.note += f"; {OURS}: one process, which has the library; {PLEXAPI}: {HOURS} times an hour of a new process"
