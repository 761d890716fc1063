"""The tests of the library for Windows, under wine: `make test-windows`. Arguments name parts: rust, python, programs.

They run alone: next to other suites wine misses deadlines.
"""

from __future__ import annotations

import sys
import time

import languages
import windows as wine
import windows_programs
import windows_python
from environment import target_folder
from runner import CARGO, Row, cargo_test, ignore, locked, pytest, shared_library, show, table

# Each look at the identity of a file that is locked keeps one more file open in wine's server, until the lock is gone.
# Next to others these reach a usual limit of 20,000, and then say "database is locked" or "too many open files".
ALONE = ("plan_tests", "matches_written_in_whatever_order")


def rust() -> list[Row]:
    """The unit tests of the library, and the tests of behaviour and of sources."""
    skipped = [f"--skip={name}" for name in (*ALONE, *wine.LEFT_OUT)]
    return [*cargo(*skipped), *(row for name in ALONE for row in cargo(name))]


def cargo(*arguments: str) -> list[Row]:
    """Runs those tests, as the arguments choose."""
    tests = ["--package=plexindex", "--package=plexindex-tests", "--lib", "--test=behaviour", "--test=sources"]
    command = [f"--target={wine.TARGET}", *tests, "--", *arguments]
    return cargo_test("Windows", *command, **wine.variables())


def not_ready() -> list[Row]:
    """Sets wine up. Returns why it cannot be used."""
    if lacking := wine.missing():
        return [Row("Windows", 0, 0, 0.0, f"skipped: not installed: {', '.join(lacking)}")]
    begin = time.monotonic()
    return [Row("Windows", 0, 1, time.monotonic() - begin, "wine could not be set up")] if wine.set_up() else []


def programs() -> list[Row]:
    """Programs in C, C++ and Node.js, with the library as a release has it."""
    if why := windows_programs.make_archive():
        return [Row("Windows, C and C++", 0, 1, 0.0, why)]
    command, variables = windows_programs.harness()
    rows = cargo_test("Windows, C and C++", *command, **variables)
    with languages.variables(shared_library()) as given:
        return rows + windows_programs.suites(given)


def python() -> list[Row]:
    """The package and the command in CPython for Windows."""
    if lacking := windows_python.missing() or windows_python.set_up():
        return [Row("Windows: Python", 0, 0, 0.0, f"skipped: {lacking}")]
    packages = [f"--package=plexindex-{name}" for name in ("capi", "accelerator", "standin")]
    if show([CARGO, "build", *locked(), f"--target={wine.TARGET}", *packages], ignore):
        return [Row("Windows: Python", 0, 1, 0.0, "nothing to test")]
    windows_python.install(built := target_folder() / wine.TARGET / "debug")
    # The certificates of this machine may be at no such path there.
    given = {"REQUESTS_CA_BUNDLE": "", "CURL_CA_BUNDLE": "", **wine.variables()}
    given["PLEXINDEX_STANDIN"] = windows_python.path(built / "standin.exe")
    return pytest(windows_python.python(), "Windows: Python", ("tests/python",), **given)


PARTS = {"rust": rust, "python": python, "programs": programs}


def main() -> int:
    """Runs the named parts, or all."""
    rows = not_ready() or [row for name in sys.argv[1:] or PARTS for row in PARTS[name]()]
    table(rows)
    passed, failed = sum(row.passed for row in rows), sum(row.failed for row in rows)
    print(f"{passed} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
