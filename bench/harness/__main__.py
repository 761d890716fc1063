"""Measures, and writes the page. `bench/run.py` builds and installs what this needs, and calls it."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from time import perf_counter

from . import machine, page, quotes
from .measure import fetching, hosts, lookups, processes, questions, recording, refreshing, requests, right
from .results import Results
from .run import BENCH, Run
from .timing import WrongAnswerError
from .world import World

EACH_SIZE: dict[str, Callable[[Run, World], None]] = {
    "lookups": lookups.measure,
    "processes": processes.measure,
    "recording": recording.measure,
    "fetching": fetching.measure,
    "questions": questions.measure,
    "hosts": hosts.measure,
    "refreshing": refreshing.measure,
}
ONCE: dict[str, Callable[[Run], None]] = {
    "first": fetching.first_time,
    "requests": requests.measure,
    "right": right.measure,
}
SIZES = [10_000, 100_000, 1_000_000]
"""Of a page that README can quote."""
QUESTIONS = 100_000
"""Listed paths of which rounds draw."""


def main() -> int:
    """Runs what the command line names."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--standin", type=Path, required=True)
    parser.add_argument("--native", type=Path, required=True)
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", choices=[*EACH_SIZE, *ONCE])
    parser.add_argument("--absent", type=Path, required=True, help="JSON: peers that could not be installed, and why")
    parser.add_argument("--day", default="", help="a command that counts the requests of a day of ten hosts")
    parser.add_argument("--profile", required=True, help="cargo's profile, for the page")
    parser.add_argument("--load", type=float, required=True, help="how busy the machine was before the builds")
    arguments = parser.parse_args()

    begun = perf_counter()
    results = Results(machine.describe(arguments.profile), sorted(arguments.sizes), arguments.quick)
    results.absent = json.loads(arguments.absent.read_text()) if arguments.absent.is_file() else {}
    chosen = arguments.only or [*EACH_SIZE, *ONCE]
    failed = ""
    # Stash2Plex and the drop-in write their lines to standard error, as they do to Stash.
    with (
        tempfile.TemporaryDirectory(prefix="plexindex-bench-") as temporary,
        Path(os.devnull).open("w", buffering=1) as nowhere,
        redirect_stderr(nowhere),
    ):
        folder = Path(temporary)
        run = Run(results, folder, arguments.standin, arguments.native, arguments.library, 3, arguments.day)
        try:
            for size in results.sizes if set(chosen) & set(EACH_SIZE) else []:
                run.rounds = 3 if arguments.quick else 7 if size <= 100_000 else 5
                run.say(f"{size:,}: the server and its library")
                world = World(size, arguments.standin, folder / str(size), min(size, QUESTIONS))
                try:
                    for name, measure in EACH_SIZE.items():
                        if name in chosen:
                            measure(run, world)
                finally:
                    world.stop()
            for name, once in ONCE.items():
                if name in chosen:
                    once(run)
        except WrongAnswerError as error:
            failed = str(error)
    if failed:
        print(f"bench: FAILED: {failed}", file=sys.stderr)
    results.load = (arguments.load, machine.load())
    results.seconds = perf_counter() - begun
    results.rows = [row for row in results.rows if row.contenders]
    text = page.render(results)
    # Only a whole run renews the page of the repository.
    is_whole = not (failed or arguments.only or arguments.quick)
    target = BENCH / "results" if is_whole else BENCH.parent / "build" / "bench"
    target.mkdir(parents=True, exist_ok=True)
    (target / "latest.md").write_text(text, encoding="utf-8")
    if is_whole and results.sizes == SIZES:
        with (target / "history.md").open("a", encoding="utf-8") as history:
            history.write(page.trend(results))
        readme = BENCH.parent / "README.md"
        readme.write_text(quotes.quoted(text, readme.read_text(encoding="utf-8")), encoding="utf-8")
    print(text)
    print(f"written: {target / 'latest.md'}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
