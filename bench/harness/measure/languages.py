"""A lookup from each language on one store: its program of ``languages/``, built or started as its users do."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from ..machine import version
from ..run import BENCH, Run, environment
from ..timing import interleaved
from ..world import HOST, SERVER, World

ROOT = BENCH.parent
BINDINGS = ROOT / "bindings"
PROGRAMS = BENCH / "languages"


class AbsentError(Exception):
    """A language cannot be measured, and why."""


def _built(command: list[str], folder: Path, **variables: str) -> None:
    if shutil.which(command[0]) is None:
        raise AbsentError(f"{command[0]} is not installed")
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise AbsentError((done.stderr or done.stdout).strip().splitlines()[-1])


def _rust(run: Run, _: Path) -> tuple[list[str], dict[str, str]]:
    profile = run.results.machine["cargo profile"]
    cargo = os.environ.get("CARGO", "cargo")
    _built([cargo, "build", "--quiet", "--package=plexindex", "--example=bench_lookup", f"--profile={profile}"], ROOT)
    target = os.environ.get("CARGO_TARGET_DIR") or str(ROOT / "target")
    return [str(ROOT / target / profile / "examples" / "bench_lookup")], {}


def _cpp(run: Run, made: Path) -> tuple[list[str], dict[str, str]]:
    program = str(made / "lookup-cpp")
    compiler = shlex.split(os.environ.get("CXX", "c++"))
    include = [f"-I{ROOT / 'include'}", f"-I{BINDINGS / 'cpp'}"]
    _built([*compiler, "-std=c++17", "-O2", *include, "lookup.cpp", str(run.library), "-o", program], PROGRAMS)
    return [program], {}


def _go(run: Run, made: Path) -> tuple[list[str], dict[str, str]]:
    program, folder = str(made / "lookup-go"), run.library.parent
    variables = {"CGO_CFLAGS": f"-I{ROOT / 'include'}", "CGO_LDFLAGS": f"-L{folder} -Wl,-rpath,{folder}"}
    _built(["go", "build", "-o", program, "."], PROGRAMS / "go", GOPROXY="off", **variables)
    return [program], {}


def _node(_: Run, __: Path) -> tuple[list[str], dict[str, str]]:
    if not (BINDINGS / "node" / "node_modules" / "koffi").is_dir():
        _built(["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent"], BINDINGS / "node")
    return ["node", str(PROGRAMS / "lookup.js")], {}


def _python(_: Run, __: Path) -> tuple[list[str], dict[str, str]]:
    return [sys.executable, "-I", str(PROGRAMS / "lookup.py")], {}


VERSIONS = {
    "Node.js": ["node", "--version"],
    "Go": ["go", "version"],
}
LANGUAGES = {
    "Rust": _rust,
    "C++": _cpp,
    "Python": _python,
    "Node.js": _node,
    "Go": _go,
}


def measure(run: Run, world: World) -> None:
    """``lookup_key`` of each, for paths that are listed."""
    pairs = world.questions["exact"].write(world.folder / "languages")
    contenders: list[tuple[str, Callable[[int], float]]] = []

    def c(_round: int) -> float:
        _, times = run.c("warm", run.library, world.store, HOST, SERVER, pairs, "lookup", 1, 1, world=world)
        return float(times[0]) * 1e-9

    contenders.append(("C", c))
    for name, prepare in LANGUAGES.items():
        run.say(f"{world.size:,}: a lookup from {name}")
        try:
            command, variables = prepare(run, world.folder)
            if shutil.which(command[0]) is None:
                raise AbsentError(f"{command[0]} is not installed")
        except AbsentError as error:
            run.results.absent[name] = str(error)
            continue
        variables = {**environment(world), "PLEXINDEX_LIBRARY": str(run.library), **variables}

        def other(_round: int, command: list[str] = command, variables: dict[str, str] = variables) -> float:
            _, times = run.program(command, world.store, HOST, SERVER, pairs, 1, variables=variables)
            return float(times[0]) * 1e-9

        contenders.append((name, other))
        if name in VERSIONS:
            run.results.machine[name] = version(VERSIONS[name])
    spreads = interleaved(run.rounds, contenders)
    row = run.results.row(
        "a lookup",
        "A lookup from each language",
        world.size,
        note="the loop of a program in it, its strings spread over memory, each answer compared there",
    )
    for name, _ in sorted(contenders, key=lambda one: spreads[one[0]].median):
        row.add(name, spreads[name], ours=True)
