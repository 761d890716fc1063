"""Runs the test suites and prints a table of them: `make test`, or `make test-rust` and so on for some of them.

Each suite is a command, or a few; its output is shown as it comes, and read for counts. All suites run, whatever fails.
The last line is `N passed, N failed` over all of them, and the exit code says the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import languages as others
import narrow
import windows as wine
import windows_programs
import windows_python
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

CARGO = os.environ.get("CARGO", "cargo")
VALGRIND_TESTS = "capi_c"
# Systems for which other code of src/platform is compiled than for Linux with glibc.
OTHER_SYSTEMS = ("aarch64-apple-darwin", "x86_64-pc-windows-gnu", "x86_64-unknown-linux-musl")


@dataclass
class Row:
    """A line of the table at the end."""

    suite: str
    passed: int
    failed: int
    seconds: float
    note: str = ""


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


def check(suite: str, *commands: list[str], folders: tuple[Path, ...] = ()) -> list[Row]:
    """A suite that passes or fails as a whole: commands, each in its folder."""
    begin = time.monotonic()
    places = folders or (ROOT,) * len(commands)
    failed = [command for command, place in zip(commands, places) if show(command, ignore, folder=place)]
    return [Row(suite, int(not failed), int(bool(failed)), time.monotonic() - begin)]


def cargo_test(name: str, *arguments: str, command: str = "test", **variables: str) -> list[Row]:
    """`cargo test`, or another runner, with a row for each of its programs."""
    rows: list[Row] = []
    targets: list[str] = []  # of the rows: as cargo names them when they fail
    failed_targets: set[str] = set()
    since = time.monotonic()

    def read(line: str) -> None:
        nonlocal since
        if started := re.match(r"\s+(?:Running|Doc-tests) (unittests )?(\S+)(?: \(.*?(\w+)-[0-9a-f]+\))?", line):
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


def pytest(
    environment: Environment | list[str],
    name: str = "pytest",
    tests: tuple[str, ...] = ("tests/python",),
    **variables: str,
) -> list[Row]:
    """`pytest` over all tests of the package, or some."""
    counts = {"passed": 0, "failed": 0, "error": 0, "skipped": 0}

    def read(line: str) -> None:
        if re.search(r"\d+ (passed|failed|error|skipped).* in [\d.]+s", line):
            for count, what in re.findall(r"(\d+) (passed|failed|error|skipped)", line):
                counts[what] = int(count)

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
    return [Row(name, counts["passed"], failed, time.monotonic() - begin, note)]


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
    return with_servers(library, lambda _variables: others.all_of_them(library), is_here=True)


def with_servers(
    library: Path, all_of: Callable[[dict[str, str]], list[others.Language]], *, is_here: bool = False
) -> list[Row]:
    """Tests programs of other languages with two stand-in servers; with the READMEs' programs if that is here."""
    standin = target_folder() / "debug" / "standin"
    server, slow = others.Server(standin), others.Server(standin).slow()
    try:
        folder = build_folder() / "languages"
        folder.mkdir(parents=True, exist_ok=True)
        told = others.facts(server)
        (folder / "facts.json").write_text(json.dumps(told), encoding="utf-8")
        (folder / "facts.txt").write_text(others.lines(told), encoding="utf-8")
        variables = {
            "PLEXINDEX_LIBRARY": str(library),
            "PLEXINDEX_TEST_URL": server.url,
            "PLEXINDEX_TEST_SLOW_URL": slow.url,
            "PLEXINDEX_TEST_TOKEN": others.TOKEN,
            "PLEXINDEX_TEST_FACTS": str(folder / "facts.json"),
            "PLEXINDEX_TEST_LINES": str(folder / "facts.txt"),
        }
        all_of_them = all_of(variables)
        for name, command in others.readme_programs(told, server).items() if is_here else ():
            next(one for one in all_of_them if one.name == name).commands.append(command)
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(lambda one: language(one, variables), all_of_them))
    finally:
        server.stop()
        slow.stop()


def language(one: others.Language, variables: dict[str, str]) -> Row:
    """Tests one binding. Its output is printed at its end."""
    if missing := one.missing():
        return Row(one.name, 0, 0, 0.0, f"skipped: not installed: {', '.join(missing)}")
    begin = time.monotonic()
    counts: dict[str, int] = {}

    def read(line: str) -> None:
        # The counts of Node, of Ruby, and of the other tests.
        if found := re.match(r"# (pass|fail) (\d+)$", line):
            counts[found[1]] = int(found[2])
        if found := re.match(r"(\d+) runs, \d+ assertions, (\d+) failures, (\d+) errors", line):
            counts["fail"] = int(found[2]) + int(found[3])
            counts["pass"] = int(found[1]) - counts["fail"]
        if found := re.match(r"\s*(?:--- )?(PASS|FAIL): ", line):
            counts[found[1].lower()] = counts.get(found[1].lower(), 0) + 1

    for command in one.commands:
        failed = show(command, read, folder=one.folder, variables={**variables, **one.variables})
        if failed:
            counts["fail"] = max(counts.get("fail", 0), 1)
            break
    if not counts.get("pass"):
        # An unknown runner would look like success.
        counts["fail"] = max(counts.get("fail", 0), 1)
    return Row(one.name, counts.get("pass", 0), counts.get("fail", 0), time.monotonic() - begin)


def windows() -> list[Row]:
    """The library for Windows, under wine: its unit tests, and the tests of behaviour that can run there."""
    if lacking := wine.missing():
        return [Row("Windows", 0, 0, 0.0, f"skipped: not installed: {', '.join(lacking)}")]
    begin = time.monotonic()
    if wine.set_up():
        return [Row("Windows", 0, 1, time.monotonic() - begin, "wine could not be set up")]
    programs = ["--lib", *(f"--test={name}" for name in wine.TESTS)]
    arguments = ["--package=plexindex", f"--target={wine.TARGET}", "--features=unstable-source", *programs]
    rows = cargo_test("Windows", *arguments, **wine.variables())
    rows += python_of_windows()
    if why := windows_programs.make_archive():
        return [*rows, Row("Windows, C and C++", 0, 1, 0.0, why)]
    command, variables = windows_programs.harness()
    rows += cargo_test("Windows, C and C++", *command, **variables)
    return rows + with_servers(shared_library(), windows_programs.suites)


def python_of_windows() -> list[Row]:
    """The package and the command in CPython for Windows, under wine."""
    if lacking := ", ".join(wine.missing()) or windows_python.missing() or windows_python.set_up():
        return [Row("Windows: Python", 0, 0, 0.0, f"skipped: {lacking}")]
    packages = [f"--package=plexindex-{name}" for name in ("capi", "accelerator", "standin")]
    if show([CARGO, "build", *locked(), f"--target={wine.TARGET}", *packages], ignore):
        return [Row("Windows: Python", 0, 1, 0.0, "nothing to test")]
    windows_python.install(built := target_folder() / wine.TARGET / "debug")
    standin = {"PLEXINDEX_STANDIN": windows_python.path(built / "standin.exe"), **wine.variables()}
    return pytest(windows_python.python(), "Windows: Python", ("tests/python",), **standin)


def arm() -> list[Row]:
    """The unit tests where addresses have 32 bits: ARM in an emulator, and x86."""
    rows: list[Row] = []
    for target in narrow.PLATFORMS:
        if lacking := narrow.missing(target):
            rows.append(Row(target, 0, 0, 0.0, f"skipped: not installed: {', '.join(lacking)}"))
            continue
        # One of them starts itself again, and would start the loader.
        program = ["--package=plexindex", f"--target={target}", "--lib", "--", "--skip=engine::sql::plan_tests"]
        rows += cargo_test(target, *program, **narrow.variables(target))
    return rows


SUITES = {"lint": lint, "rust": rust, "valgrind": valgrind, "python": python, "install": install}
# Not part of `make test`, as their toolchains are many: with `+languages` beside it, or by their name. The tests of
# `hosts` are part of `rust` too.
MORE = {"languages": languages, "hosts": hosts, "windows": windows, "python-windows": python_of_windows, "arm": arm}


def table(rows: list[Row]) -> None:
    """Prints the table."""
    width = max(len(row.suite) for row in rows)
    print(f"\n{'suite':<{width}}  passed  failed  seconds")
    for row in rows:
        note = f"  {row.note}" if row.note else ""
        print(f"{row.suite:<{width}}  {row.passed:>6}  {row.failed:>6}  {row.seconds:>7.1f}{note}")


def run_all(suites: list[tuple[str, Callable[[], list[Row]]]]) -> list[Row]:
    """Runs suites. Builds have all processors. Then the suites run in parallel, since each waits much of
    its time: `rust`, which is shown as it runs, and two others.
    """
    rows: list[Row] = []
    beside: list[tuple[str, Callable[[], list[Row]]]] = []
    alone = len(suites) == 1
    with ThreadPoolExecutor(1) as early, ThreadPoolExecutor(2) as pool:
        if not alone and {"python", "install"} & {name for name, _ in suites}:
            # pip fetches meanwhile. The suite that needs the environment reports a failure.
            early.submit(make_environment)
        for name, suite in suites:
            if alone or name == "lint":
                print(f"\n== {name}", flush=True)
                rows += suite()
            else:
                beside.append((name, suite))
        if beside:
            build()
        live = [suite for name, suite in beside if name == "rust"]
        # The longest first.
        others = sorted(
            (one for one in beside if one[0] != "rust"), key=lambda one: one[0] not in ("python", "valgrind")
        )
        print(f"\n== {', '.join(name for name, _ in beside)}", flush=True)
        started = [pool.submit(suite) for _, suite in others]
        for suite in live:
            rows += suite()
        for future in started:
            rows += future.result()
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
