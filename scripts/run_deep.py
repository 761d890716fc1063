"""The long fault tests in full: `make check-deep`; ONLY="processes disk size_limit hostile simulation" names some.

The tests are those that `make test` ignores, optimised. One runs after the other, each in a process of its own, so that
none disturbs the timing of another. docs/faults.md has the counts; PLEXINDEX_DEPTH=N runs each N times as often as
`make test` does. The last line is `N passed, N failed` over all of them, and the exit code says the same.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from environment import ROOT
from runner import CARGO, Row, locked, show, table

SUITES = ["processes", "disk", "size_limit", "hostile", "simulation"]


def programs(suites: list[str]) -> dict[str, Path]:
    """The test programs by suite, built optimised."""
    tests = [f"--test={suite}" for suite in suites]
    command = [CARGO, "test", *locked(), "--release", *tests, "--no-run", "--message-format=json-render-diagnostics"]
    print("$", " ".join(command), flush=True)
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit("the tests do not build")
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    built = [message for message in messages if message.get("executable")]
    found = {message["target"]["name"]: Path(message["executable"]) for message in built}
    return {suite: found[suite] for suite in suites}


def deep_tests(program: Path) -> list[str]:
    """The tests that `make test` ignores, without the one that plays other processes."""
    said = subprocess.run(
        [str(program), "--ignored", "--list", "--format=terse"], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    names = re.findall(r"^(\S+): test$", said, re.M)
    return [name for name in names if name != "worker"]


def run(suite: str, program: Path, test: str) -> tuple[Row, list[str]]:
    """Runs a test. Returns its row, and what it tried, how often and for how long."""
    tried: list[str] = []
    passed = False

    def read(line: str) -> None:
        nonlocal passed
        # The harness prints the test's name first, without an end of line.
        if counted := re.search(r"deep: (\w+): (\d+) in ([\d.]+) s$", line):
            name, count, seconds = counted.groups()
            tried.append(f"{int(count) or '-':>8}  {seconds:>7}  {name}")
        passed |= re.search(r"test result: ok\. 1 passed", line) is not None

    begin = time.monotonic()
    code = show([str(program), "--exact", test, "--ignored", "--nocapture", "--test-threads=1"], read)
    well = passed and code == 0
    note = "" if well else f"exit code {code}"
    return Row(f"{suite}: {test}", int(well), int(not well), time.monotonic() - begin, note), tried


def main() -> int:
    """Runs the suites that ONLY names, or all."""
    suites = os.environ.get("ONLY", "").split() or SUITES
    if unknown := [suite for suite in suites if suite not in SUITES]:
        sys.exit(f"ONLY has {' '.join(unknown)}: name some of {' '.join(SUITES)}")
    built = programs(suites)
    begin = time.monotonic()
    rows: list[Row] = []
    tried: list[str] = []
    for suite in suites:
        print(f"\n== {suite}", flush=True)
        for test in deep_tests(built[suite]):
            row, counts = run(suite, built[suite], test)
            rows.append(row)
            tried += counts
    table(rows)
    print("\n   times  seconds  tried", *tried, sep="\n")
    passed, failed = sum(row.passed for row in rows), sum(row.failed for row in rows)
    depth = os.environ.get("PLEXINDEX_DEPTH", "as docs/faults.md says")
    print(f"depth: {depth}; in {time.monotonic() - begin:.0f} s\n\n{passed} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
