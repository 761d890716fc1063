"""The tests of the library for Windows, under wine: `make test-windows`, of run_tests.py.

`.ci/run` has a short form of them, alone and after all others: next to other suites wine misses deadlines.
"""

from __future__ import annotations

import time

import languages
import windows as wine
import windows_programs
import windows_python
from environment import target_folder
from runner import CARGO, Row, cargo_test, ignore, locked, pytest, shared_library, show

# Each look at the identity of a file that is locked keeps one more file open in wine's server, until the lock is gone.
# Next to others these reach a usual limit of 20,000, and then say "database is locked" or "too many open files".
ALONE = ("plan_tests", "matches_written_in_whatever_order")
# The short form has the unit tests too.
SHORT = ("source_contract",)


def windows() -> list[Row]:
    """All that can run there, one after the other: deadlines are missed where two run at a time."""
    return not_ready() or [*all_of_rust(), *python(), *programs()]


def short() -> list[Row]:
    """What CI runs, without notes for debuggers, which cost a third of the build."""
    return not_ready() or rust(SHORT, CARGO_PROFILE_DEV_DEBUG="0")


def all_of_rust() -> list[Row]:
    """All tests in Rust."""
    return [*rust(wine.TESTS), *(row for name in ALONE for row in cargo("--", name))]


def rust(tests: tuple[str, ...], **variables: str) -> list[Row]:
    """The unit tests of the library, and these tests of behaviour."""
    chosen = [f"--test={name}" for name in tests]
    return cargo(*chosen, "--", *(f"--skip={name}" for name in ALONE), **variables)


def cargo(*arguments: str, **variables: str) -> list[Row]:
    """Runs the unit tests, and what the arguments choose."""
    library = ["--package=plexindex", f"--target={wine.TARGET}", "--features=unstable-source", "--lib"]
    return cargo_test("Windows", *library, *arguments, **wine.variables(), **variables)


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


SUITES = {
    "windows": windows,
    "windows-short": short,
    "windows-rust": lambda: not_ready() or all_of_rust(),
    "windows-python": lambda: not_ready() or python(),
    "windows-programs": lambda: not_ready() or programs(),
}
