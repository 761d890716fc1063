"""The C programs and some of the tests under the sanitizers: `make sanitize`, or ONLY="address python thread miri".

    address   the C programs and the header in C and C++, under AddressSanitizer with its leak check, and under UBSan:
              the library, SQLite and the programs are instrumented
    python    main job, errors, tables, edits, fork, the accelerator: with the runtime loaded first. Leaks with no frame
              of the library in them are CPython's own, and pass
    thread    the unit tests that have threads in them, under ThreadSanitizer, the standard library instrumented too:
              this needs a nightly compiler with its source (rustup component add --toolchain nightly rust-src)
    miri      unit tests of index files, overlay and the ladder, in an interpreter that sees undefined behaviour: this
              needs a nightly compiler with Miri (rustup component add … miri)

Each begins with mistakes that are planted (tests/sanitize): a sanitizer that does not find them finds nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from environment import REQUIREMENTS, ROOT, Environment, build_folder, host_triple, target_folder
from runner import CARGO, Row, cargo_test, ignore, locked, pytest, show, table

PLACE = ROOT / "tests" / "sanitize"
CC = os.environ.get("CC", "cc")
# The Python tests that run: the main job, errors, tables, edits, fork and threads.
PYTHON_TESTS = [
    *("test_answers", "test_bad_input", "test_edits", "test_lifetime", "test_log", "test_matching"),
    *("test_processes", "test_changes", "test_stash2plex", "test_progress", "test_accelerator"),
]
# Unit tests that Miri runs in some seconds each. It cannot run those that map files or call C, and takes many minutes
# for thousands of inputs or very long paths.
INTERPRETED = [
    *(f"view::tests::listing_segment::{name}" for name in ("an_empty", "matches_know", "shows_are")),
    *(
        f"view::tests::resolution::{name}"
        for name in ("a_file_of_two", "a_miss", "confirmed_matches", "folders_choose")
    ),
    "view::tests::memtable::forgetting",
]
# Modules whose unit tests have threads.
THREADED = ["platform::", "engine::view", "events::", "capi::", "freshness::"]


class Kind:
    """A build under a sanitizer: its flags, its folder, and what programs run with."""

    def __init__(self, name: str, rust: str, c: str) -> None:
        self.host = host_triple(CARGO)
        self.name = name
        self.folder = target_folder() / "sanitize" / name
        self.rust = rust
        # SQLite's build and the tests' C programs use CFLAGS.
        self.c = c
        self.variables = {
            "RUSTC_BOOTSTRAP": "1",
            "RUSTFLAGS": rust,
            **({"CFLAGS": c, "CXXFLAGS": c} if c else {}),
            "CARGO_TARGET_DIR": str(self.folder),
            # SQLite has one array under two names.
            "ASAN_OPTIONS": "detect_leaks=1:detect_odr_violation=0:allocator_may_return_null=1",
            "UBSAN_OPTIONS": "print_stacktrace=1",
            "LSAN_OPTIONS": f"suppressions={PLACE / 'leaks.supp'}:print_suppressions=0",
        }

    @property
    def cargo(self) -> list[str]:
        """Further arguments of cargo: a target, so that build scripts are not instrumented."""
        return ["--target", self.host]

    @property
    def library(self) -> Path:
        """The library that `cargo test` built."""
        return self.folder / self.host / "debug" / "deps" / "libplexindex.so"

    def c_programs(self) -> list[Row]:
        """One test each, without README's commands, which use no sanitizer."""
        left_out = ["--skip=the_readme", "--skip=every_program", "--skip=reload"]
        tests = [*self.cargo, "--test=c", "--", "capi_c::", "abi::", *left_out]
        rows = cargo_test(f"{self.name}: C", *tests, **self.variables)
        # Leaks of an unloaded library have no names, so the known one (tests/c/valgrind.supp) looks like others.
        # valgrind checks these.
        variables = {**self.variables, "ASAN_OPTIONS": self.variables["ASAN_OPTIONS"] + ":detect_leaks=0"}
        reload = [*self.cargo, "--test=c", "--", "capi_c::reload"]
        return rows + cargo_test(f"{self.name}: C, unloaded", *reload, **variables)

    def planted(self, *names: str) -> list[Row]:
        """Checks that each planted mistake is found, by the text of its report."""
        begin = time.monotonic()
        built = show([CARGO, "test", *locked(), *self.cargo, "--test=c", "--no-run"], ignore, variables=self.variables)
        with tempfile.TemporaryDirectory() as folder:
            program = Path(folder) / "planted"
            rustc = ["rustc", "--edition=2024", "--crate-type=cdylib", "-g", *self.rust.split()]
            built = built or show(
                [*rustc, "-o", f"{folder}/libplanted.so", str(PLACE / "planted.rs")], ignore, variables=self.variables
            )
            libraries = [f"-L{folder}", "-lplanted", f"-L{self.library.parent}", "-lplexindex", "-pthread"]
            paths = [f"-Wl,-rpath,{folder}", f"-Wl,-rpath,{self.library.parent}"]
            sources = ["-I", str(ROOT / "include"), str(PLACE / "planted.c")]
            if built or show([CC, "-g", *self.c.split(), *sources, *libraries, *paths, "-o", str(program)], ignore):
                return [Row(f"{self.name}: did not build", 0, 1, time.monotonic() - begin)]
            rows = []
            for name in names:
                begin = time.monotonic()
                store = Path(folder) / name
                done = subprocess.run(
                    [str(program), name, str(store)],
                    env={**os.environ, **self.variables},
                    capture_output=True,
                    text=True,
                    errors="replace",
                )
                found = re.search(MISTAKES[name], done.stderr, re.S)
                said = found[0].splitlines()[0] if found and done.returncode else ""
                print(f"planted {name}: {said or 'NOT FOUND'}", flush=True)
                if not said:
                    print(done.stdout, done.stderr, sep="\n")
                seconds = time.monotonic() - begin
                rows.append(Row(f"{self.name}: planted {name}", int(bool(said)), int(not said), seconds))
            return rows


# Planted mistakes, and the words that their reports must have, including whose code it is.
MISTAKES = {
    "overflow": r"AddressSanitizer: heap-buffer-overflow.*WRITE of size.*libplexindex",
    "leak": r"Direct leak of.*plexindex_open",
    "undefined": r"planted\.c:\d+:\d+: runtime error: signed integer overflow",
    "rust-overflow": r"AddressSanitizer: heap-buffer-overflow.*READ of size 1.*planted_read",
    "rust-leak": r"Direct leak of 1000 byte.*planted_leak",
}


def address_kind() -> Kind:
    """AddressSanitizer in Rust and C, and UBSan in C."""
    return Kind(
        "address",
        "-Zsanitizer=address -Cforce-frame-pointers=yes",
        "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer",
    )


def address() -> list[Row]:
    """C, C++ and SQLite."""
    kind = address_kind()
    rows = kind.planted("overflow", "leak", "undefined", "rust-overflow", "rust-leak")
    rows += instrumented(kind)
    # A sanitizer that misses a planted mistake is not run.
    return rows if any(row.failed for row in rows) else rows + kind.c_programs()


def instrumented(kind: Kind) -> list[Row]:
    """Checks that SQLite is instrumented: its build script must have used the flags."""
    archives = list(kind.folder.glob(f"{kind.host}/debug/build/libsqlite3-sys-*/out/libsqlite3.a"))
    names = ["__asan_report_load8", "__ubsan_handle_pointer_overflow_abort"]
    said = "".join(subprocess.run(["nm", str(file)], capture_output=True, text=True).stdout for file in archives)
    missing = [name for name in names if name not in said]
    note = f"without {' '.join(missing)}" if missing else ""
    return [Row(f"{kind.name}: SQLite is instrumented", int(not missing), int(bool(missing)), 0.0, note)]


def python() -> list[Row]:
    """The package, with the instrumented library and accelerator in it."""
    kind = address_kind()
    begin = time.monotonic()
    built = show([CARGO, "test", *locked(), *kind.cargo, "--test=c", "--no-run"], ignore, variables=kind.variables)
    accelerator = [CARGO, "build", *locked(), *kind.cargo, "--package=plexindex-accelerator"]
    built = built or show(accelerator, ignore, variables=kind.variables)
    built = built or show([CARGO, "build", *locked(), "--package=plexindex-standin"], ignore)
    if built:
        return [Row("python: did not build", 0, 1, time.monotonic() - begin)]
    environment = Environment(build_folder() / "sanitize" / "venv")
    try:
        environment.make(REQUIREMENTS)
        environment.install(kind.library)
    except SystemExit as error:
        print(error, flush=True)
        return [Row("python: no wheel", 0, 1, time.monotonic() - begin)]
    rows = python_planted(kind, environment)
    return rows if any(row.failed for row in rows) else rows + python_tests(kind, environment)


def preloaded(kind: Kind, reports: Path) -> dict[str, str]:
    """The environment of Python. Reports go to files, one a process, since tests read the output of programs."""
    ask = [[CC, f"-print-file-name=lib{name}.so"] for name in ("asan", "ubsan")]
    runtimes = [subprocess.run(one, check=True, capture_output=True, text=True).stdout.strip() for one in ask]
    asan = kind.variables["ASAN_OPTIONS"]
    return {
        "LD_PRELOAD": " ".join(runtimes),
        # Leaks do not fail a process; they are attributed afterwards.
        "ASAN_OPTIONS": f"{asan}:log_path={reports / 'report'}",
        "UBSAN_OPTIONS": f"print_stacktrace=1:log_path={reports / 'report'}",
        "LSAN_OPTIONS": kind.variables["LSAN_OPTIONS"] + ":exitcode=0",
        # The leak check does not look into Python's arenas.
        "PYTHONMALLOC": "malloc",
    }


def ours(reports: Path) -> list[str]:
    """Errors, and leaks with the library in their stack."""
    found = []
    for file in sorted(reports.iterdir()):
        text = file.read_text(errors="replace")
        if "ERROR: AddressSanitizer" in text or "runtime error" in text:
            found.append(text)
        found += [block for block in re.split(r"\n\n+", text) if " leak of " in block and "libplexindex" in block]
    return found


# A test that passes and leaks an open handle.
LEAKS = """
import ctypes, plexindex
from pathlib import Path
library = ctypes.CDLL(str(next(Path(plexindex.__file__).parent.glob("libplexindex.so"))))
class Bytes(ctypes.Structure):
    _fields_ = [("data", ctypes.c_char_p), ("length", ctypes.c_size_t)]
class Options(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("cache_dir", Bytes)]
def test_planted(tmp_path):
    folder = str(tmp_path / "store").encode()
    handle = ctypes.c_void_p()
    options = Options(24, Bytes(folder, len(folder)))
    assert library.plexindex_open(ctypes.byref(options), ctypes.byref(handle), None) == 0
    handle.value = None
"""


def python_planted(kind: Kind, environment: Environment) -> list[Row]:
    """Checks that the leak of a handle is reported when pytest ends."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        reports = Path(folder) / "reports"
        reports.mkdir()
        test = Path(folder) / "test_planted.py"
        test.write_text(LEAKS)
        command = [str(environment.python), "-m", "pytest", "-q", f"--rootdir={folder}", str(test)]
        done = subprocess.run(command, env={**os.environ, **preloaded(kind, reports)}, capture_output=True, text=True)
        found = [block for block in ours(reports) if "plexindex_open" in block]
        if not found:
            print(done.stdout, done.stderr, *[file.read_text() for file in reports.iterdir()], sep="\n")
    print(f"planted leak in Python: {found[0].splitlines()[0] if found else 'NOT FOUND'}", flush=True)
    return [Row("python: planted leak", int(bool(found)), int(not found), time.monotonic() - begin)]


def python_tests(kind: Kind, environment: Environment) -> list[Row]:
    """Runs the chosen tests and reads the reports."""
    with tempfile.TemporaryDirectory() as folder:
        files = tuple(f"tests/python/{name}.py" for name in PYTHON_TESTS)
        rows = pytest(environment, "python: pytest", files, **preloaded(kind, Path(folder)))
        found = ours(Path(folder))
        reports = len(list(Path(folder).iterdir()))
    for report in found:
        print(report, flush=True)
    return [*rows, Row("python: errors and leaks of ours", int(not found), len(found), 0.0, f"in {reports} reports")]


def thread() -> list[Row]:
    """Rust under ThreadSanitizer, with the standard library instrumented: otherwise its locks would look like races."""
    nightly = {"RUSTUP_TOOLCHAIN": "nightly"}
    probe = subprocess.run(["rustc", "--print=sysroot"], env={**os.environ, **nightly}, capture_output=True, text=True)
    source = Path(probe.stdout.strip()) / "lib" / "rustlib" / "src" / "rust" / "library" / "Cargo.lock"
    if probe.returncode or not source.is_file():
        note = "skipped: rustup toolchain install nightly, then rustup component add --toolchain nightly rust-src"
        return [Row("thread", 0, 0, 0.0, note)]
    kind = Kind("thread", "-Zsanitizer=thread", "")
    options = f"suppressions={PLACE / 'races.supp'}:allocator_may_return_null=1"
    variables = {**kind.variables, **nightly, "TSAN_OPTIONS": options}
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        # The planted race needs no instrumented standard library.
        rustc = ["rustc", "--edition=2024", "-g", *kind.rust.split(), "-Cunsafe-allow-abi-mismatch=sanitizer"]
        show([*rustc, "-o", f"{folder}/race", str(PLACE / "race.rs")], ignore, variables=variables)
        done = subprocess.run([f"{folder}/race"], capture_output=True, text=True, errors="replace")
    found = re.search(r"ThreadSanitizer: data race.*race::count", done.stderr, re.S)
    print(f"planted race: {found[0].splitlines()[0] if found else 'NOT FOUND'}", flush=True)
    rows = [Row("thread: planted race", int(bool(found)), int(not found), time.monotonic() - begin)]
    if found:
        threaded = ["-Zbuild-std", *kind.cargo, "--package=plexindex", "--lib", "--", *THREADED]
        rows += cargo_test("thread", *threaded, **variables)
    return rows


def miri() -> list[Row]:
    """Unit tests under Miri, without those that map files, call C or try thousands of inputs."""
    nightly = {"RUSTUP_TOOLCHAIN": "nightly"}
    probe = subprocess.run([CARGO, "miri", "--version"], env={**os.environ, **nightly}, capture_output=True)
    if probe.returncode:
        note = "skipped: rustup toolchain install nightly, then rustup component add --toolchain nightly miri"
        return [Row("miri", 0, 0, 0.0, note)]
    variables = {
        **nightly,
        "CARGO_TARGET_DIR": str(target_folder() / "miri"),
        # Tests may use folders and clocks.
        "MIRIFLAGS": "-Zmiri-disable-isolation",
    }
    begin = time.monotonic()

    def said(*command: str) -> str:
        return subprocess.run(command, env={**os.environ, **nightly}, capture_output=True, text=True).stdout.strip()

    program = Path(said("rustc", "--print=sysroot")) / "bin" / "miri"
    sysroot = said(CARGO, "miri", "setup", "--print-sysroot")
    command = [str(program), "--sysroot", sysroot, "--edition=2024", str(PLACE / "freed.rs")]
    done = subprocess.run(command, env={**os.environ, **nightly}, capture_output=True, text=True, errors="replace")
    found = re.search(r"Undefined Behavior: .*dangling", done.stderr)
    print(f"planted read of what was freed: {found[0] if found else 'NOT FOUND'}", flush=True)
    if not found:
        print(done.stdout, done.stderr, sep="\n")
    rows = [Row("miri: planted read of what was freed", int(bool(found)), int(not found), time.monotonic() - begin)]
    if found:
        rows += cargo_test("miri", "--package=plexindex", "--lib", "--", *INTERPRETED, command="miri test", **variables)
    return rows


SUITES = {"address": address, "python": python, "thread": thread, "miri": miri}


def main() -> int:
    """Runs what ONLY names, or all."""
    names = os.environ.get("ONLY", "").split() or list(SUITES)
    if unknown := [name for name in names if name not in SUITES]:
        sys.exit(f"ONLY has {' '.join(unknown)}: name some of {' '.join(SUITES)}")
    if not sys.platform.startswith("linux") or shutil.which(CC) is None:
        sys.exit("the sanitizers need Linux and a C compiler with their runtimes: GCC, such as Debian's package gcc")
    rows: list[Row] = []
    for name in names:
        print(f"\n== {name}", flush=True)
        rows += SUITES[name]()
    table(rows)
    failed = sum(row.failed for row in rows)
    print(f"\n{sum(row.passed for row in rows)} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
