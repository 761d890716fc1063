"""A run: where things are, how often things are measured, and how other programs are started."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from .peers import HOST_FOLDER, SERVER_FOLDER
from .results import Goal, Results, Row
from .timing import MOST_TIMED, Figure, WrongAnswerError, check, each_call, in_turns, mean_of_calls
from .world import Questions

BENCH = Path(__file__).resolve().parent.parent
Get = Callable[..., object]
WAITING, REQUESTS, MEMORY = "What a user waits for", "Requests to Plex", "Memory and disk"
LOOKUPS, RECORDS, QUESTIONS, RIGHT = "Lookups", "Recorded matches", "Other questions, and refreshing", "Right answers"
GROUPS = (WAITING, REQUESTS, MEMORY, LOOKUPS, RECORDS, QUESTIONS, RIGHT)
"""Of rows, in the order of the page."""


@dataclass
class Run:
    """What all measurements share."""

    results: Results
    folder: Path
    """For temporary files."""
    standin: Path
    """The program of the stand-in server."""
    native: Path
    """The C program of `native/`."""
    library: Path
    """The shared library that was installed."""
    rounds: int
    day: str = ""
    """The command that counts the requests of a day of ten hosts."""

    @property
    def smallest(self) -> int:
        """The size at which slow peers are measured, too."""
        return self.results.sizes[0]

    @property
    def main(self) -> int:
        """The size of most rows: the largest of at most 100,000."""
        return max((size for size in self.results.sizes if size <= 100_000), default=self.smallest)

    @property
    def largest(self) -> int:
        """The size that shows how figures grow."""
        return self.results.sizes[-1]

    @property
    def is_quick(self) -> bool:
        """Whether this run only shows that the benchmark works."""
        return self.results.quick

    def has_plexapi(self, size: int = 0) -> bool:
        """Whether plexapi and diskcache are there, and fast enough for this size."""
        return size <= 20_000 and not {"plexapi", "diskcache"} & self.results.absent.keys()

    def say(self, text: str) -> None:
        """Reports progress."""
        print(f"bench: {text}", flush=True)

    def row(
        self, what: str, group: str, size: int, *goals: Goal, unit: str = "s", note: str = "", limit: str = ""
    ) -> Row:
        """Adds a row to the page."""
        self.say(f"{size:,}: {what}")
        row = Row(what, group, size, unit, goals, limit, note)
        self.results.rows.append(row)
        return row

    def find(self, what: str, size: int) -> Row | None:
        """A row that was measured before."""
        return next((row for row in self.results.rows if (row.what, row.size) == (what, size)), None)

    def race(self, row: Row, asked: Questions, contenders: dict[str, tuple[Get, str]], most: int = MOST_TIMED) -> None:
        """Asks each contender the same questions, in turns, and adds their figures to the row.

        A contender is its function and what that takes before the path. Each round makes new strings in random order,
        so that no hash is cached, and checks every answer. The mean is that of the median round, without a clock
        between the calls; median and tail are of one more round, in which each call is timed.
        """
        asked_of: dict[str, Callable[[int], float]] = {}
        for name, (get, library) in contenders.items():

            def measure(number: int, name: str = name, get: Get = get, library: str = library) -> float:
                paths, expected = asked.fresh(number, most)
                seconds, answers = mean_of_calls(get, paths, library)
                check(name, paths, answers, expected)
                return seconds

            asked_of[name] = measure
        means = in_turns(self.rounds, asked_of)
        for name, (get, library) in contenders.items():
            paths = asked.fresh(self.rounds, most)[0]
            calls = Figure.of(each_call(get, ((library, path) if library else (path,) for path in paths)))
            row.add(name, Figure(statistics.median(means[name]), calls.median, calls.tail), ranked=name != "dict")

    def python(self, script: str, *arguments: object, **variables: str) -> tuple[float, Any]:
        """Runs a script of `children/` in a new interpreter: seconds of the whole process, and what it printed."""
        return self._run([sys.executable, "-I", str(BENCH / "children" / script)], arguments, variables)

    def c(self, what: str, store: Path, pairs: Path, *rest: object) -> tuple[float, Any]:
        """Runs the C program in the same way."""
        return self._run([str(self.native)], self.c_arguments(what, store, pairs, *rest), {})

    def c_arguments(self, what: str, store: Path, pairs: Path, *rest: object) -> tuple[object, ...]:
        """The arguments of the C program."""
        return (what, self.library, store, HOST_FOLDER, SERVER_FOLDER, pairs, *rest)

    def _run(self, command: list[str], arguments: tuple[object, ...], variables: dict[str, str]) -> tuple[float, Any]:
        begun = perf_counter()
        done = subprocess.run(
            [*command, *map(str, arguments)],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = perf_counter() - begun
        if done.returncode:
            raise WrongAnswerError(f"{Path(command[-1]).name}: {done.stderr.strip()}")
        return seconds, json.loads(done.stdout)
