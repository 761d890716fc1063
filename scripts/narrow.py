"""The tests of the library for Linux of 32 bits: x86, which this machine runs, and ARM in an emulator: `make test-arm`.

`.ci/run` has a short form of them. Standard library only.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from environment import ROOT, has_target
from runner import CARGO, Row, cargo_test, locked

X86 = "i686-unknown-linux-gnu"
ARM = "armv7-unknown-linux-gnueabihf"
# The prefix of the C compiler, the loader of the C library, and the emulator.
PLATFORMS = {
    X86: ("i686-linux-gnu", "ld-linux.so.2", ""),
    ARM: ("arm-linux-gnueabihf", "ld-linux-armhf.so.3", "qemu-arm-static"),
}
# Tests of behaviour on x86. Left out: `day_of_requests`, `disk`, `evidence`, `locked_store`, `simulation`, `source` and
# `source_log` (long, or about the same code as others), `hot_path` and `lookup_alloc` (they measure what 64 bits need),
# `documented_*`, `readme`, `source_layers`, `source_systems` (they read sources), and those of PostgreSQL.
ON_X86 = (
    "api",
    "database",
    "edits",
    "events",
    "fetching",
    "folders",
    "freshness",
    "hostile",
    "on_disk",
    "questions",
    "regressions",
    "size_limit",
    "source_contract",
    "state_file",
    "tables",
    "token_renewal",
)
# Tests of behaviour that end in the emulator in sensible time.
IN_EMULATOR = ("edits", "on_disk", "questions", "source_contract", "tables")
# Tests that start themselves again, which the emulator cannot: the system starts no program of another processor. So do
# many of `database`, `fetching`, `hostile`, `processes` and `size_limit`.
START_THEMSELVES = (
    "engine::sql::plan_tests",
    "a_commit_is_seen_by_the_next_lookup_of_another_process",
    "a_kill_loses_nothing_and_leaves_nothing_half",
    "both_sides_of_a_fork_go_on",
)
# Tests of the harness of C programs that cannot run on x86 of 32 bits, and why.
LEFT_OUT = {
    "clang": "the cross compiler is gcc",
    "either_standard": "the cross compiler is gcc",
    "readme": "its commands name no cross compiler",
}
LIBRARY = ["--package=plexindex", "--features=unstable-source"]


def missing(target: str) -> list[str]:
    """What is not installed."""
    prefix, _, emulator = PLATFORMS[target]
    lacking = [tool for tool in (f"{prefix}-gcc", emulator) if tool and shutil.which(tool) is None]
    return lacking if has_target(target) else [*lacking, f"rustup target add {target}"]


def variables(target: str) -> dict[str, str]:
    """What the environment of a build and of its tests has.

    A program names the loader and the libraries itself, so that it starts like any other, and can start itself again.
    """
    prefix, loader, emulator = PLATFORMS[target]
    libraries = Path("/usr") / prefix / "lib"
    # Old tags, so that libraries find theirs there too.
    flags = f"-Wl,--dynamic-linker={libraries / loader},--disable-new-dtags,-rpath,{libraries}"
    cargo = f"CARGO_TARGET_{target.upper().replace('-', '_')}"
    given = {
        # Of the build, and of programs that tests compile.
        f"CC_{target.replace('-', '_')}": f"{prefix}-gcc",
        "CC": f"{prefix}-gcc",
        "CXX": f"{prefix}-g++",
        "CFLAGS": flags,
        "CXXFLAGS": flags,
        f"{cargo}_LINKER": f"{prefix}-gcc",
        f"{cargo}_RUSTFLAGS": f"-Clink-arg={flags}",
    }
    return {**given, f"{cargo}_RUNNER": emulator} if emulator else given


def tested(target: str, tests: tuple[str, ...], **given: str) -> list[Row]:
    """The unit tests of the library, and these tests of behaviour."""
    if lacking := missing(target):
        return [Row(target, 0, 0, 0.0, f"skipped: not installed: {', '.join(lacking)}")]
    chosen = ["--lib", *(f"--test={name}" for name in tests)]
    skipped = [f"--skip={name}" for name in START_THEMSELVES if target == ARM]
    return cargo_test(target, *LIBRARY, f"--target={target}", *chosen, "--", *skipped, **variables(target), **given)


def x86() -> list[Row]:
    """All that is run on x86."""
    rows = tested(X86, ON_X86)
    return rows if missing(X86) else [*rows, *two_widths(), *programs()]


def two_widths() -> list[Row]:
    """Processes of 32 and of 64 bits that share a folder."""
    name = f"{X86} and 64 bits"
    other = other_width()
    if other is None:
        return [Row(name, 0, 1, 0.0, "the tests of 64 bits did not build")]
    arguments = [*LIBRARY, f"--target={X86}", "--test=processes"]
    return cargo_test(name, *arguments, PLEXINDEX_TEST_OTHER=str(other), **variables(X86))


def programs() -> list[Row]:
    """Programs in C, and in C++ if there is a compiler."""
    no_cpp = [] if shutil.which(f"{PLATFORMS[X86][0]}-g++") else ["cpp", "the_examples"]
    skipped = [f"--skip={name}" for name in [*LEFT_OUT, *no_cpp]]
    arguments = ["--package=plexindex-capi", f"--target={X86}", "--test=c", "--", "capi_c::", *skipped]
    return cargo_test(f"{X86}, C", *arguments, **variables(X86))


def other_width() -> Path | None:
    """The program of the tests of several processes for this machine, as `make test-rust` builds it."""
    command = [CARGO, "test", *locked(), "--workspace", "--test=processes", "--no-run", "--message-format=json"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    found = [message["executable"] for message in messages if message.get("executable")]
    return Path(found[0]) if done.returncode == 0 and found else None


SUITES = {
    "arm": lambda: [*x86(), *tested(ARM, IN_EMULATOR)],
    # The emulator takes minutes. Notes for debuggers cost a third of the build.
    "arm-short": lambda: tested(X86, ("source_contract",), CARGO_PROFILE_DEV_DEBUG="0"),
}
