"""Runs the test suites and prints a table of them: `make test`, or `make test-rust` and so on for some of them.

Each suite is a command, or a few; its output is shown as it comes, and read for counts. All suites run, whatever fails.
The last line is `N passed, N failed` over all of them, and the exit code says the same.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Callable

import languages as others
import narrow
import windows
import windows_python
import windows_tests
from environment import (
    PACKAGE,
    REQUIREMENTS,
    ROOT,
    Environment,
    build_folder,
    check_python,
    fingerprint,
    has_target,
    target_folder,
)
from runner import CARGO, Row, cargo_test, check, ignore, locked, pytest, shared_library, show, table

VALGRIND_TESTS = "capi_c"
# Systems for which other code of src/platform is compiled than for Linux with glibc; on ARM addresses have 32 bits.
OTHER_SYSTEMS = (
    "aarch64-apple-darwin",
    "armv7-unknown-linux-gnueabihf",
    "x86_64-pc-windows-gnu",
    "x86_64-unknown-linux-musl",
)


def lint() -> list[Row]:
    """rustfmt, clippy, rustdoc, and the list of the Rust API."""
    every = ["--workspace", "--all-targets", "--features", "plexindex/unstable-source"]
    clippy = [CARGO, "clippy", *locked(), *every, "--", "-D", "warnings"]
    page = [CARGO, "rustdoc", *locked(), "--lib", "--package=plexindex", "--", "-D", "warnings"]
    rows = [
        *check("cargo fmt", [CARGO, "fmt", "--all", "--check"]),
        *check("cargo clippy", clippy),
        *check("rustdoc", page),
        *check("docs/api.txt", [sys.executable, str(ROOT / "scripts" / "api.py"), "--check"]),
    ]
    return rows + [row for target in OTHER_SYSTEMS for row in lint_for(target)]


def lint_for(target: str) -> list[Row]:
    """Checks the library for another system, if the compiler has its target."""
    suite = f"cargo clippy for {target}"
    if not has_target(target):
        return [Row(suite, 0, 0, 0.0, f"skipped: rustup target add {target}")]
    command = [CARGO, "clippy", *locked(), "--lib", "--package=plexindex", f"--target={target}", "--", "-D", "warnings"]
    compiler = {f"CC_{target.replace('-', '_')}": str(ROOT / "scripts" / "no_cc.sh")}
    begin = time.monotonic()
    failed = int(show(command, ignore, variables=compiler) != 0)
    return [Row(suite, 1 - failed, failed, time.monotonic() - begin)]


def rust() -> list[Row]:
    """All tests of `cargo test`, including the C programs."""
    return cargo_test("Rust", "--workspace")


def hosts() -> list[Row]:
    """Only the tests of several hosts."""
    return cargo_test("Rust", "--workspace", "--test=hosts")


def build() -> int:
    """Builds what the suites run, so that none waits for another's build. Returns the exit code."""
    # Through the workspace, so that nothing is built twice with other features.
    built = show([CARGO, "test", *locked(), "--workspace", "--no-run", "--quiet"], ignore)
    return built or show([CARGO, "build", *locked(), "--package=plexindex-accelerator", "--quiet"], ignore)


def valgrind() -> list[Row]:
    """The C programs under valgrind. It takes minutes, so a build that has passed is not run again."""
    suite = "C under valgrind"
    if shutil.which("valgrind") is None:
        return [Row(suite, 0, 0, 0.0, "skipped: valgrind is not installed")]
    tests = ROOT / "bindings" / "c" / "tests"
    files = [*sorted((ROOT / "tests" / "c").iterdir()), tests / f"{VALGRIND_TESTS}.rs", tests / "compile" / "mod.rs"]
    inputs = [shared_library(), *files]
    seen = hashlib.sha256(b"".join(map(fingerprint, inputs))).hexdigest() if inputs[0].is_file() else ""
    stamp = build_folder() / "valgrind.stamp"
    if seen and stamp.is_file() and stamp.read_text() == seen and "valgrind" not in sys.argv:
        return [Row(suite, 0, 0, 0.0, "not run again: it passed with this very library")]
    # Those in C++ are built with sanitizers anyway.
    programs = [f"--test={VALGRIND_TESTS}", "--", "--skip=the_readme", "--skip=every_program", "--skip=cpp_"]
    rows = cargo_test(suite, *programs, PLEXINDEX_VALGRIND="1")
    if seen and not any(row.failed for row in rows):
        stamp.parent.mkdir(exist_ok=True)
        stamp.write_text(seen)
    return rows


def environment_of_python() -> Environment:
    """The environment of Python's tests and tools."""
    return Environment(build_folder() / "venv")


_ENVIRONMENT = threading.Lock()


def make_environment() -> None:
    """Makes it, one suite at a time: suites run in parallel."""
    with _ENVIRONMENT:
        environment_of_python().make(REQUIREMENTS)


def python() -> list[Row]:
    """The Python package: its style, its types, and its tests against the wheel as a user would install it."""
    environment = environment_of_python()
    library = shared_library()
    begin = time.monotonic()
    if build() or not library.is_file():
        return [Row("Python wheel", 0, 1, time.monotonic() - begin, f"no {library.name} to put into it")]
    try:
        make_environment()
        environment.install(library)
    except SystemExit as error:
        print(error, flush=True)
        return [Row("Python wheel", 0, 1, time.monotonic() - begin)]
    rows = [Row("Python wheel", 1, 0, time.monotonic() - begin)]
    with ThreadPoolExecutor() as pool:
        looked_at = pool.submit(python_sources, environment)
        return rows + pytest_twice(environment) + looked_at.result()


def python_sources(environment: Environment) -> list[Row]:
    """ruff, mypy and the reference over Python's sources."""
    tools = environment.path / "bin"
    here = [
        folder
        for folder in ("bindings/python", "tests/python", "tests/install", "demo", "bench", "scripts", "docs/hosts")
        if (ROOT / folder).is_dir()
    ]
    rows = check("ruff", [str(tools / "ruff"), "check", *here], [str(tools / "ruff"), "format", "--check", *here])
    mypy = [str(tools / "mypy"), "--strict"]
    rows += check("mypy", mypy, mypy, [*mypy, "--config-file=bench/mypy.ini"], folders=(PACKAGE, ROOT, ROOT))
    # The reference is made from the sources, not from the wheel.
    return rows + check("reference", [sys.executable, str(ROOT / "scripts" / "make_docs.py")])


def pytest_twice(environment: Environment) -> list[Row]:
    """The tests of the package, with the accelerator and without, in parallel: each waits much of its time."""
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(pytest, environment, "pytest, ctypes only", PLEXINDEX_NO_ACCELERATOR="1")
        return [*pytest(environment), *slow.result()]


def install() -> list[Row]:
    """Tests the output of `make install` in a temporary folder. Run by itself this builds as users do, which takes
    minutes. Among the other suites it takes the library that they have built.
    """
    if sys.platform != "linux":
        return [Row("install", 0, 0, 0.0, "skipped: make install is for Linux")]
    begin = time.monotonic()
    environment = environment_of_python()
    built = build()
    try:
        make_environment()
    except SystemExit as error:
        print(error, flush=True)
        built = 1
    if built:
        return [Row("install", 0, 1, time.monotonic() - begin, "nothing to test it with")]
    # The archive beside the shared object under test.
    alone = "install" in sys.argv
    archive = "" if alone else str(shared_library().with_suffix(".a"))
    name = "install" if alone else "install, not optimised"
    return pytest(environment, name, ("tests/install",), PLEXINDEX_ARCHIVE=archive)


def languages() -> list[Row]:
    """The bindings for other languages, two at a time: each in its language's own way, with one stand-in server."""
    library = shared_library()
    if build():
        return [Row("languages", 0, 1, 0.0, "nothing to test them with")]
    return others.with_servers(library, lambda _variables: others.all_of_them(library), is_here=True)


def elsewhere() -> list[Row]:
    """On macOS and Windows itself: the tests in Rust that run under wine, and the tests of the installed package."""
    tests = [f"--test={name}" for name in windows.TESTS]
    rows = cargo_test("Rust", "--package=plexindex", "--features=unstable-source", "--lib", *tests)
    begin = time.monotonic()
    pip = [sys.executable, "-m", "pip", "install", "--quiet", *windows_python.PACKAGES, str(PACKAGE)]
    if show([CARGO, "build", *locked(), "--package=plexindex-standin"], ignore) or show(
        pip, ignore, variables={"PLEXINDEX_CARGO_PROFILE": "dev"}
    ):
        return [*rows, Row("Python wheel", 0, 1, time.monotonic() - begin, "the package was not installed")]
    standin = target_folder() / "debug" / ("standin.exe" if os.name == "nt" else "standin")
    return rows + pytest([sys.executable], PLEXINDEX_STANDIN=str(standin))


SUITES = {"lint": lint, "rust": rust, "valgrind": valgrind, "python": python, "install": install}
# Not part of `make test`, as their toolchains are many: with `+languages` beside it, or by their name. The tests of
# `hosts` are part of `rust` too.
MORE = {"languages": languages, "hosts": hosts, "elsewhere": elsewhere, **windows_tests.SUITES, **narrow.SUITES}

# These run alone, before the others and after them: a compiler uses all processors, and programs under wine miss
# deadlines beside other suites.
FIRST = ("lint",)
LAST = ("windows-short",)


def run_all(suites: list[tuple[str, Callable[[], list[Row]]]]) -> list[Row]:
    """Runs suites. Builds have all processors. Then most suites run in parallel, since each waits much of
    its time: `rust`, which is shown as it runs, and two others.
    """
    rows: list[Row] = []
    alone = len(suites) == 1
    beside = [] if alone else [(name, suite) for name, suite in suites if name not in (*FIRST, *LAST)]

    def run(names: tuple[str, ...]) -> None:
        for name, suite in suites:
            if name in names:
                print(f"\n== {name}", flush=True)
                rows.extend(suite())

    with ThreadPoolExecutor(1) as early, ThreadPoolExecutor(2) as pool:
        if not alone and {"python", "install"} & {name for name, _ in suites}:
            # pip fetches meanwhile. The suite that needs the environment reports a failure.
            early.submit(make_environment)
        run((suites[0][0],) if alone else FIRST)
        if beside:
            build()
            print(f"\n== {', '.join(name for name, _ in beside)}", flush=True)
        live = [suite for name, suite in beside if name == "rust"]
        # The longest first.
        others = sorted(
            (one for one in beside if one[0] != "rust"), key=lambda one: one[0] not in ("python", "valgrind")
        )
        started = [pool.submit(suite) for _, suite in others]
        for suite in live:
            rows += suite()
        for future in started:
            rows += future.result()
    if not alone:
        run(LAST)
    return rows


def main() -> int:
    """Runs the named suites, or all."""
    check_python()
    suites = {**SUITES, **MORE}
    added = [name[1:] for name in sys.argv[1:] if name.startswith("+")]
    names = [name for name in sys.argv[1:] if not name.startswith("+")] or list(SUITES)
    names += added
    if unknown := [name for name in names if name not in suites]:
        sys.exit(f"no suite is called {', '.join(unknown)}: there are {', '.join(suites)}")
    if shutil.which(CARGO) is None:
        sys.exit("no `cargo` was found: install Rust 1.89 or newer (https://rustup.rs), or name it with CARGO=…")
    begin = time.monotonic()
    if not (target_folder() / "debug").is_dir():
        # Notes for incremental builds take a fifth of the compiler's time, and a first build does not use them.
        os.environ.setdefault("CARGO_INCREMENTAL", "0")
    rows = run_all([(name, suites[name]) for name in names])
    table(rows)
    passed, failed = sum(row.passed for row in rows), sum(row.failed for row in rows)
    print(f"in {time.monotonic() - begin:.0f} s\n\n{passed} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
