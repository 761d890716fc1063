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
"""Other sizes: lookups, so that the chart of sizes has them all, and of a million what has a number to reach."""
SCALES = {
    1_000: (lookups.scale, native.scale),
    1_000_000: (
        lookups.scale,
        native.scale,
        folders.scale,
        fetching.measure,
        sizes.measure,
        sustained.measure,
        hosts.scale,
    ),
}
HOSTS = "hosts"
"""Alone it has results of its own, so that those of the other families stay."""
RIGHT = "right"
"""Has worlds of its own."""
NEEDED = {"diskcache": "diskcache", "diskcache_rs": "diskcache_rs", "cachetools": "cachetools", "lmdb": "lmdb"}


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
        for size, measures in SCALES.items() if SCALING in arguments.only else ():
            if size not in results.sizes and not (arguments.quick and size > max(results.sizes)):
                one_size(arguments, results, size, measures)
    except WrongAnswerError as error:
        print(f"bench: FAILED: {error}", file=sys.stderr)
        return 1
    if arguments.divan:
        failed = divan(arguments, results)
    results.load = (before, machine.load())
    results.seconds = perf_counter() - begun
    if results.right:
        rightness.write(results, BENCH / "results")
    if results.rows:
        write(results, alone=arguments.only == [HOSTS])
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


def write(results: Results, *, alone: bool) -> None:
    """JSON, Markdown and the charts, beside each other. `alone`: of several hosts only, which has no chart."""
    folder = BENCH / "results"
    folder.mkdir(exist_ok=True)
    stem = "quick" if results.quick else "latest"
    if alone:
        stem = f"quick-{HOSTS}" if results.quick else HOSTS
    table = goals.table(results, hosts.GROUP if alone else "")
    charts = [] if alone else chart.write(results, folder, stem)
    (folder / f"{stem}.json").write_text(
        json.dumps(results.as_dict(table), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    text = markdown.render(results, table, charts)
    (folder / f"{stem}.md").write_text(text, encoding="utf-8")
    print(text.split("\n## Numbers to reach\n")[1].split("\n## ")[0])
    print(f"written: {', '.join([f'bench/results/{stem}.md and .json', *charts])}")


if __name__ == "__main__":
    sys.exit(main())
