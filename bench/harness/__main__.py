"""Measures, and writes the results. Not called by hand: ``bench/run.py`` builds and installs what this needs."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from time import perf_counter

from . import chart, goals, machine, markdown, peers, rightness
from .measure import (
    cold,
    fetching,
    folders,
    hosts,
    languages,
    lookups,
    native,
    processes,
    refreshing,
    right,
    sizes,
    sustained,
    writing,
)
from .results import Results
from .run import BENCH, Run
from .timing import WrongAnswerError
from .world import World

MEASURES = {
    "lookups": lookups.measure,
    "processes": processes.measure,
    "native": native.measure,
    "languages": languages.measure,
    "fetching": fetching.measure,
    "cold": cold.measure,
    "writing": writing.measure,
    "sustained": sustained.measure,
    "sizes": sizes.measure,
    "folders": folders.measure,
    "hosts": hosts.measure,
    # Last: the items of its server have other keys afterwards.
    "refreshing": refreshing.measure,
}
SCALING = "scaling"
"""Of a million what has a number to reach."""
MILLION = 1_000_000
SCALES = (
    lookups.scale,
    native.scale,
    folders.scale,
    fetching.measure,
    sizes.measure,
    sustained.measure,
    hosts.scale,
)
HOSTS = "hosts"
"""Alone it has results of its own, so that those of the other families stay."""
RIGHT = "right"
"""Has worlds of its own."""
PAGES = BENCH / "results"
"""What a full run publishes. All that was measured goes to `build/bench`."""


def main() -> int:
    """Runs what was asked for."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--standin", type=Path, required=True)
    parser.add_argument("--native", type=Path, required=True)
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", choices=[*MEASURES, SCALING, RIGHT], default=[*MEASURES, SCALING, RIGHT])
    parser.add_argument("--absent", type=Path, help="JSON: peers that could not be installed, and why")
    parser.add_argument("--divan", help="a command whose output is read at the end")
    parser.add_argument("--day", default="", help="a command that counts the requests of a day of ten hosts")
    parser.add_argument("--profile", default="unknown", help="cargo's profile, for the record")
    arguments = parser.parse_args()

    begun = perf_counter()
    results = Results(machine.describe(arguments.profile), sorted(arguments.sizes), arguments.quick)
    results.absent = json.loads(arguments.absent.read_text()) if arguments.absent else {}
    peers.present(peers.ALL, results.absent)
    before = machine.load()
    failed = 0
    try:
        if RIGHT in arguments.only:
            with tempfile.TemporaryDirectory(prefix="plexindex-bench-") as folder:
                right.measure(Run(results, Path(folder), arguments.standin, arguments.native, arguments.library, 1))
        for size in results.sizes if set(arguments.only) & set(MEASURES) else []:
            one_size(arguments, results, size, [MEASURES[name] for name in MEASURES if name in arguments.only])
        if SCALING in arguments.only and MILLION not in results.sizes and not arguments.quick:
            one_size(arguments, results, MILLION, SCALES)
    except WrongAnswerError as error:
        print(f"bench: FAILED: {error}", file=sys.stderr)
        return 1
    if arguments.divan:
        failed = divan(arguments, results)
    results.load = (before, machine.load())
    results.seconds = perf_counter() - begun
    rows = BENCH.parent / "build" / "bench"
    rows.mkdir(parents=True, exist_ok=True)
    if results.right:
        rightness.write(results, rows, None if arguments.quick else PAGES)
    if results.rows:
        is_whole = arguments.only == parser.get_default("only") and not arguments.quick
        write(results, rows, PAGES if is_whole else None, alone=arguments.only == [HOSTS])
    print(f"written: {rows}")
    return failed


def one_size(
    arguments: argparse.Namespace, results: Results, size: int, measures: Iterable[Callable[[Run, World], None]]
) -> None:
    """A world, and what is measured in it."""
    with tempfile.TemporaryDirectory(prefix="plexindex-bench-") as folder:
        rounds = 3 if arguments.quick else 5 if size > 200_000 else 7
        run = Run(results, Path(folder), arguments.standin, arguments.native, arguments.library, rounds, arguments.day)
        run.say(f"{size:,}: the server and its library")
        world = World(size, arguments.standin, Path(folder), min(size, 5_000 if arguments.quick else 100_000))
        try:
            for measure in measures:
                measure(run, world)
        finally:
            world.stop()


def divan(arguments: argparse.Namespace, results: Results) -> int:
    """The Rust benchmarks. When they fail the run fails, but what was measured before is written all the same."""
    run = Run(results, Path(), arguments.standin, arguments.native, arguments.library, 0)
    run.say("the Rust benchmarks")
    done = subprocess.run(arguments.divan, shell=True, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S602
    print(done.stdout)
    if done.returncode:
        results.absent["the Rust benchmarks"] = f"they ended with exit code {done.returncode}"
        print(f"bench: FAILED: the Rust benchmarks ended with exit code {done.returncode}", file=sys.stderr)
    else:
        native.read_divan(run, done.stdout)
    return int(done.returncode != 0)


def write(results: Results, folder: Path, publish: Path | None, *, alone: bool) -> None:
    """Writes every row to a folder, and the summary and the chart where they are published. `alone`: several hosts."""
    stem = f"{'quick' if results.quick else 'latest'}{'-' + HOSTS if alone else ''}"
    table = goals.table(results, hosts.GROUP if alone else "")
    (folder / f"{stem}.json").write_text(
        json.dumps(results.as_dict(table), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    (folder / f"{stem}.md").write_text(markdown.render(results, table), encoding="utf-8")
    # Several hosts have a page of their own: docs/several-hosts.md.
    shown = [goal for goal in table if alone or (goal["reached"] is not None and goal.get("group") != hosts.GROUP)]
    text = markdown.summary(results, shown)
    if publish:
        (publish / "latest.md").write_text(text, encoding="utf-8")
        (publish / "latest.svg").write_text(chart.draw(results), encoding="utf-8")
    print(text)


if __name__ == "__main__":
    sys.exit(main())
