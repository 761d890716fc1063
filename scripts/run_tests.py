"""Runs the test suites and says at the end what ran: `make test`, or `make test-rust` and so on for some of them.

Each suite is a command, or a few; its output is shown as it comes, and read for counts. All suites run, whatever fails.
The last line is `N passed, N failed` over all of them, and the exit code says the same.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from environment import REQUIREMENTS, ROOT, Environment, build_folder, check_python, target_folder

CARGO = os.environ.get("CARGO", "cargo")
VALGRIND_TESTS = "capi_c"


@dataclass
class Row:
    """A line of the table at the end."""

    suite: str
    passed: int
    failed: int
    seconds: float
    note: str = ""


def locked() -> list[str]:
    """In CI the lock file is law; on a desk a changed Cargo.toml may renew it."""
    return ["--locked"] if os.environ.get("CI") and (ROOT / "Cargo.lock").is_file() else []


def ignore(_line: str) -> None:
    """For commands of which only the exit code counts."""


def show(command: list[str], read: Callable[[str], None], **variables: str) -> int:
    """Runs a command, shows what it says, and hands each line on. Gives its exit code."""
    print("$", " ".join([*(f"{name}={value}" for name, value in variables.items()), *command]), flush=True)
    environment = {**os.environ, **variables}
    try:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
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
        sys.stdout.write(line)
        sys.stdout.flush()
        read(line)
    return process.wait()


def check(suite: str, *commands: list[str], **variables: str) -> list[Row]:
    """A suite that passes or fails as a whole."""
    begin = time.monotonic()
    failed = [command for command in commands if show(command, ignore, **variables)]
    return [Row(suite, int(not failed), int(bool(failed)), time.monotonic() - begin)]


def cargo_test(name: str, *arguments: str, **variables: str) -> list[Row]:
    """`cargo test`, with a row for each of its programs."""
    rows: list[Row] = []
    current = "?"

    def read(line: str) -> None:
        nonlocal current
        if started := re.match(r"\s+(?:Running|Doc-tests) (?:unittests )?(\S+)(?: \(.*?(\w+)-[0-9a-f]+\))?", line):
            path, binary = started.groups()
            current = path if binary is None else binary if path.startswith("src") else Path(path).stem
            kind = "doc tests" if "Doc-tests" in line else "unit tests" if path.startswith("src") else "tests"
            current = f"{name}: {current}, {kind}"
        if ended := re.match(r"test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;.* in ([\d.]+)s", line):
            passed, failed, ignored, seconds = ended.groups()
            note = f"{ignored} ignored" if int(ignored) else ""
            if int(passed) + int(failed) + int(ignored):
                rows.append(Row(current, int(passed), int(failed), float(seconds), note))

    begin = time.monotonic()
    code = show([CARGO, "test", *locked(), "--no-fail-fast", *arguments], read, **variables)
    if code and not any(row.failed for row in rows):
        # A program that does not compile, or dies, counts as a failure: nothing else would show it.
        rows.append(Row(f"{name}: did not build or died", 0, 1, time.monotonic() - begin))
    return rows


def shared_library() -> Path:
    """The library that the tests use, in C and in Python: `cargo test` renews this copy, not the one a folder up."""
    suffix = "dylib" if sys.platform == "darwin" else "so"
    return target_folder() / "debug" / "deps" / f"libplexindex.{suffix}"


def lint() -> list[Row]:
    """What the compiler's friends say of the Rust code."""
    clippy = [CARGO, "clippy", *locked(), "--workspace", "--all-targets", "--", "-D", "warnings"]
    return [*check("cargo fmt", [CARGO, "fmt", "--all", "--check"]), *check("cargo clippy", clippy)]


def rust() -> list[Row]:
    """All that `cargo test` finds, the C programs included."""
    return cargo_test("Rust", "--workspace")


def valgrind() -> list[Row]:
    """The C programs once more, under valgrind."""
    if shutil.which("valgrind") is None:
        return [Row("C under valgrind", 0, 0, 0.0, "skipped: valgrind is not installed")]
    return cargo_test("C under valgrind", f"--test={VALGRIND_TESTS}", PLEXINDEX_VALGRIND="1")


def python() -> list[Row]:
    """The Python package: its style, its types, and its tests against the wheel as a user would install it."""
    environment = Environment(build_folder() / "venv")
    library = shared_library()
    begin = time.monotonic()
    # Through the workspace, so that nothing is built twice with other features.
    built = show([CARGO, "test", *locked(), "--workspace", "--no-run", "--quiet"], ignore)
    if built or not library.is_file():
        return [Row("Python wheel", 0, 1, time.monotonic() - begin, f"no {library.name} to put into it")]
    try:
        environment.make(REQUIREMENTS)
        environment.install(library)
    except SystemExit as error:
        print(error, flush=True)
        return [Row("Python wheel", 0, 1, time.monotonic() - begin)]
    rows = [Row("Python wheel", 1, 0, time.monotonic() - begin)]
    tools = environment.path / "bin"
    here = [folder for folder in ("bindings/python", "tests/python", "demo", "scripts") if (ROOT / folder).is_dir()]
    rows += check("ruff", [str(tools / "ruff"), "check", *here], [str(tools / "ruff"), "format", "--check", *here])
    mypy = [str(tools / "mypy"), "--strict", "--config-file"]
    rows += check("mypy", [*mypy, "bindings/python/pyproject.toml"], [*mypy, "mypy.ini"])
    return rows + pytest(environment)


def pytest(environment: Environment) -> list[Row]:
    """`pytest tests/python`."""
    counts = {"passed": 0, "failed": 0, "error": 0, "skipped": 0}

    def read(line: str) -> None:
        if re.search(r"\d+ (passed|failed|error|skipped).* in [\d.]+s", line):
            for count, what in re.findall(r"(\d+) (passed|failed|error|skipped)", line):
                counts[what] = int(count)

    begin = time.monotonic()
    standin = target_folder() / "debug" / "standin"
    command = [str(environment.python), "-m", "pytest", "-q", "tests/python"]
    code = show(command, read, PLEXINDEX_STANDIN=str(standin))
    failed = counts["failed"] + counts["error"]
    if code and not failed:
        failed = 1
    note = f"{counts['skipped']} skipped" if counts["skipped"] else ""
    return [Row("pytest", counts["passed"], failed, time.monotonic() - begin, note)]


SUITES = {"lint": lint, "rust": rust, "valgrind": valgrind, "python": python}


def table(rows: list[Row]) -> None:
    """What ran."""
    width = max(len(row.suite) for row in rows)
    print(f"\n{'suite':<{width}}  passed  failed  seconds")
    for row in rows:
        note = f"  {row.note}" if row.note else ""
        print(f"{row.suite:<{width}}  {row.passed:>6}  {row.failed:>6}  {row.seconds:>7.1f}{note}")


def main() -> int:
    """Runs the suites that are named, or all."""
    check_python()
    names = sys.argv[1:] or list(SUITES)
    if unknown := [name for name in names if name not in SUITES]:
        sys.exit(f"no suite is called {', '.join(unknown)}: there are {', '.join(SUITES)}")
    if shutil.which(CARGO) is None:
        sys.exit("no `cargo` was found: install Rust 1.89 or newer (https://rustup.rs), or name it with CARGO=…")
    begin = time.monotonic()
    rows: list[Row] = []
    for name in names:
        print(f"\n== {name}", flush=True)
        rows += SUITES[name]()
    table(rows)
    passed, failed = sum(row.passed for row in rows), sum(row.failed for row in rows)
    print(f"in {time.monotonic() - begin:.0f} s\n\n{passed} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
