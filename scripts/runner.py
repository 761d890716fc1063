"""Runs commands of tests, and counts what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from environment import ROOT, Environment, target_folder

CARGO = os.environ.get("CARGO", "cargo")


@dataclass
class Row:
    """A line of the table at the end."""

    suite: str
    passed: int
    failed: int
    seconds: float
    note: str = ""
    failures: list[str] = field(default_factory=list)
    """The names of tests that failed, as far as they are known."""


def locked() -> list[str]:
    """In CI the lock file must be current; elsewhere a changed Cargo.toml may renew it."""
    return ["--locked"] if os.environ.get("CI") and (ROOT / "Cargo.lock").is_file() else []


def ignore(_line: str) -> None:
    """Reads the output of a command of which only the exit code counts."""


def show(
    command: list[str],
    read: Callable[[str], None],
    *,
    folder: Path = ROOT,
    variables: dict[str, str] | None = None,
) -> int:
    """Runs a command, prints its output and passes each line on. Returns its exit code.

    In a thread of its own it is shown at the end: what runs beside it is shown in between.
    """
    variables = variables or {}
    said = [" ".join(["$", *(f"{name}={value}" for name, value in variables.items()), *command, "\n"])]
    quiet = threading.current_thread() is not threading.main_thread()
    if not quiet:
        print(said.pop(), end="", flush=True)
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        print(f"{command[0]} does not run: {error}", flush=True)
        return 127
    assert process.stdout is not None
    for line in process.stdout:
        if quiet:
            said.append(line)
        else:
            print(line, end="", flush=True)
        read(line)
    print(*said, sep="", end="", flush=True)
    return process.wait()


def cargo_test(name: str, *arguments: str, command: str = "test", **variables: str) -> list[Row]:
    """`cargo test`, or another runner, with a row for each of its programs."""
    rows: list[Row] = []
    targets: list[str] = []  # of the rows: as cargo names them when they fail
    failed_targets: set[str] = set()
    failures: list[str] = []
    since = time.monotonic()

    def read(line: str) -> None:
        nonlocal since
        named = r"\s+(?:Running|Doc-tests) (unittests )?(\S+)(?: \(.*?(\w+)-[0-9a-f]+(?:\.exe)?\))?"
        if started := re.match(named, line):
            units, path, binary = started.groups()
            what = "doc tests" if binary is None else "unit tests" if units else "tests"
            target = binary or path
            # A program without cargo's harness prints no counts: it is one test. Its failure is counted below.
            rows.append(Row(f"{name}: {target}, {what}", 1, 0, 0.0, "no count"))
            targets.append("--doc" if binary is None else "--lib" if path.endswith("lib.rs") else f"--test {target}")
            since = time.monotonic()
        if rows and rows[-1].note == "no count":
            rows[-1].seconds = time.monotonic() - since
        if ended := re.match(r"test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;.* in ([\d.]+)s", line):
            passed, failed, ignored, seconds = ended.groups()
            note = f"{ignored} ignored" if int(ignored) else ""
            # Doc tests come in several batches.
            one = rows[-1] if rows[-1].note == "no count" else Row(rows[-1].suite, 0, 0, 0.0)
            if one is not rows[-1]:
                rows.append(one)
                targets.append(targets[-1])
            one.passed, one.failed, one.seconds, one.note = int(passed), int(failed), float(seconds), note
            one.failures = failures[:]
            failures.clear()
        if failure := re.match(r"test (.+) \.\.\. FAILED", line):
            failures.append(failure[1])
        if failed_target := re.match(r"\s+`(?:-p \S+ )?(--[a-z]+(?: \S+)?)`$", line):
            failed_targets.add(failed_target[1])

    begin = time.monotonic()
    code = show([CARGO, *command.split(), *locked(), "--no-fail-fast", *arguments], read, variables=variables)
    counted = {target for row, target in zip(rows, targets) if row.failed}
    for row, target in zip(rows, targets):
        if target in failed_targets - counted:
            row.passed, row.failed, row.note = 0, 1, "died"
    if code and not any(row.failed for row in rows):
        # A failed build shows in no count of tests.
        rows.append(Row(f"{name}: did not build", 0, 1, time.monotonic() - begin))
    return [row for row in rows if row.passed + row.failed or row.note]


def shared_library() -> Path:
    """The library that the tests use, in C and in Python: `cargo test` renews this copy, not the one a folder up."""
    suffix = "dylib" if sys.platform == "darwin" else "so"
    return target_folder() / "debug" / "deps" / f"libplexindex.{suffix}"


def pytest(
    environment: Environment | list[str],
    name: str = "pytest",
    tests: tuple[str, ...] = ("tests/python",),
    **variables: str,
) -> list[Row]:
    """`pytest` over all tests of the package, or some."""
    counts = {"passed": 0, "failed": 0, "error": 0, "skipped": 0}
    failures: list[str] = []

    def read(line: str) -> None:
        if re.search(r"\d+ (passed|failed|error|skipped).* in [\d.]+s", line):
            for count, what in re.findall(r"(\d+) (passed|failed|error|skipped)", line):
                counts[what] = int(count)
        if failure := re.match(r"(?:FAILED|ERROR) (\S+::\S+)", line):
            failures.append(failure[1])

    begin = time.monotonic()
    standin = target_folder() / "debug" / "standin"
    program = [str(environment.python)] if isinstance(environment, Environment) else environment
    code = show(
        [*program, "-m", "pytest", "-q", *tests], read, variables={"PLEXINDEX_STANDIN": str(standin), **variables}
    )
    failed = counts["failed"] + counts["error"]
    if code and not failed:
        failed = 1
    note = f"{counts['skipped']} skipped" if counts["skipped"] else ""
    return [Row(name, counts["passed"], failed, time.monotonic() - begin, note, failures)]


def table(rows: list[Row]) -> None:
    """Prints the table, and after it what failed: output is long, and CI may show its end only."""
    width = max(len(row.suite) for row in rows)
    print(f"\n{'suite':<{width}}  passed  failed  seconds")
    for row in rows:
        note = f"  {row.note}" if row.note else ""
        print(f"{row.suite:<{width}}  {row.passed:>6}  {row.failed:>6}  {row.seconds:>7.1f}{note}")
    for row in rows:
        for failure in row.failures:
            print(f"failed: {row.suite}: {failure}")
