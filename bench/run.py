"""Builds all that is measured, installs the peers, and measures: `make bench`.

    bench/run.py [--sizes 10000 100000 1000000] [--quick] [--only lookups processes …]

PLEXINDEX_STANDIN names a stand-in server that was built elsewhere, PLEXINDEX_PREBUILT a library. CC and CARGO name
the C compiler and cargo.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
CARGO = os.environ.get("CARGO", "cargo")
REQUIREMENTS = ROOT / "bench" / "requirements.txt"
DAY = [CARGO, "test", "--quiet", "--package=plexindex-tests", "--test=hosts"]
"""Its counts are the same in every profile, and CI has built this one."""
PROFILE = "dist"
"""What wheels and installs carry. Quick runs take `release`, which the demo builds too."""


def main() -> int:
    """Builds, installs, measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+")
    arguments = parser.parse_args()
    # With it, each new process would compile the package again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    load = os.getloadavg()[0]
    sizes = arguments.sizes or ([10_000] if arguments.quick else [10_000, 100_000, 1_000_000])
    profile = "release" if arguments.quick else PROFILE

    standin = build(profile)
    python = make_environment(profile)
    absent = install_peers(python)
    # What was installed, for C too: how a file was written shows in how fast its pages are mapped, and no host loads
    # what a linker wrote.
    library = installed(python)
    command = [str(python), "-m", "harness"]
    command += ["--standin", str(standin), "--library", str(library), "--native", str(compile_native())]
    command += ["--profile", profile, "--load", str(load), "--absent", str(absent), "--sizes", *map(str, sizes)]
    command += ["--quick"] if arguments.quick else []
    command += ["--only", *arguments.only] if arguments.only else []
    if shutil.which(CARGO) and (not arguments.only or "requests" in arguments.only):
        if subprocess.run([*DAY, "--no-run"], cwd=ROOT, check=False).returncode:
            sys.exit("the tests of several hosts could not be built: the messages above say why")
        command += ["--day", shlex.join([*DAY, "--", "a_day_costs", "--ignored", "--nocapture"])]
    return subprocess.run(command, cwd=ROOT / "bench", check=False).returncode


def build(profile: str) -> Path:
    """The stand-in server, where cargo says that it is."""
    standin = os.environ.get("PLEXINDEX_STANDIN")
    if not standin:
        if shutil.which(CARGO) is None:
            sys.exit("no `cargo` was found: install Rust 1.89 or newer (https://rustup.rs), or name it with CARGO=…")
        command = [CARGO, "build", "--package=plexindex-standin", "--bins", f"--profile={profile}"]
        command += ["--message-format=json-render-diagnostics"]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
        if done.returncode:
            sys.exit("the stand-in server could not be built: the messages above say why")
        for message in map(json.loads, done.stdout.splitlines()):
            standin = (message["reason"] == "compiler-artifact" and message.get("executable")) or standin
    if not standin:
        sys.exit("cargo built no stand-in server")
    return Path(standin).resolve()


def make_environment(profile: str) -> Path:
    """The Python of an environment with the package, which pip builds with this profile."""
    folder = BUILD / "bench-venv"
    python = folder / "bin" / "python"
    if not python.is_file():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "hatchling>=1.27,<2", "rich>=13", "platformdirs", "tomli"], check=True)
    variables = {**os.environ, "PLEXINDEX_CARGO_PROFILE": profile}
    package = ["--no-build-isolation", "--no-deps", "--force-reinstall", str(ROOT / "bindings" / "python")]
    if subprocess.run([*pip, *package], env=variables, check=False).returncode:
        sys.exit("the package could not be installed: the messages above say why")
    return python


def installed(python: Path) -> Path:
    """The library in an environment."""
    code = "from plexindex._core import native; print(native.library_path())"
    command = [str(python), "-I", "-c", code]
    return Path(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip())


def compile_native() -> Path:
    """The C program."""
    program = BUILD / "bench-native"
    program.parent.mkdir(exist_ok=True)
    source = ROOT / "bench" / "native" / "bench.c"
    compiler = shlex.split(os.environ.get("CC", "cc"))
    command = [
        *compiler,
        "-std=c11",
        "-O2",
        "-Wall",
        "-Wextra",
        f"-I{ROOT / 'include'}",
        "-o",
        str(program),
        str(source),
    ]
    if subprocess.run([*command, "-ldl", "-lpthread"], check=False).returncode:
        sys.exit("the C program could not be compiled: name a compiler, CC=…")
    return program


def install_peers(python: Path) -> Path:
    """Each by itself: one that cannot be installed is absent, and the others are not. Gives a file of reasons."""
    folder = python.parent.parent
    reasons, stamp = folder / "absent.json", folder / "peers.stamp"
    wanted = REQUIREMENTS.read_text(encoding="utf-8")
    if stamp.is_file() and stamp.read_text() == wanted:
        return reasons
    absent: dict[str, str] = {}
    for line in wanted.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", line]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode:
            said = [said for said in done.stderr.splitlines() if said.startswith("ERROR:")] or ["pip failed"]
            name = line.split("=")[0].split("<")[0].split(">")[0]
            absent[name] = said[-1].removeprefix("ERROR: ").strip()
            print(f"{name} cannot be installed: {absent[name]}", flush=True)
    reasons.write_text(json.dumps(absent))
    if not absent:
        stamp.write_text(wanted)
    return reasons


if __name__ == "__main__":
    sys.exit(main())
