"""Builds all that is measured, installs the peers, and measures: `make bench`.

    bench/run.py [--sizes 10000 100000 1000000] [--quick] [--only lookups processes …] [--no-divan]

PLEXINDEX_STANDIN names a stand-in server that was built elsewhere, PLEXINDEX_PREBUILT a library (the Rust benchmarks
are left out then, as they would measure another). CC, CARGO and PYTHON are taken from the environment.
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
sys.path.insert(0, str(ROOT / "scripts"))

import build_dist  # noqa: E402
from environment import Environment, build_folder, check_python  # noqa: E402

CARGO = os.environ.get("CARGO", "cargo")
REQUIREMENTS = ROOT / "bench" / "requirements.txt"
RUST_BENCHMARKS = [CARGO, "bench", "--quiet", "--package=plexindex", "--bench=lookup"]
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
    parser.add_argument("--no-divan", action="store_true")
    arguments = parser.parse_args()
    check_python()
    sizes = arguments.sizes or ([10_000] if arguments.quick else [10_000, 100_000])
    profile = "release" if arguments.quick else PROFILE

    library, standin = build(profile)
    environment = Environment(build_folder() / "bench-venv")
    environment.make(None)
    absent = install_peers(environment)
    environment.install(library)
    # What was installed, for C too: how a file was written shows in how fast its pages are mapped, and no host loads
    # what a linker wrote.
    library = installed(environment)
    command = [str(environment.python), "-m", "harness"]
    command += ["--standin", str(standin), "--library", str(library), "--native", str(compile_native())]
    command += ["--profile", profile, "--absent", str(absent), "--sizes", *map(str, sizes)]
    command += ["--quick"] if arguments.quick else []
    command += ["--only", *arguments.only] if arguments.only else []
    if not (arguments.no_divan or os.environ.get("PLEXINDEX_PREBUILT") or arguments.only):
        # Compiled now: later nothing else may run.
        if subprocess.run([*RUST_BENCHMARKS, f"--profile={profile}", "--no-run"], cwd=ROOT, check=False).returncode:
            sys.exit("the Rust benchmarks could not be built: the messages above say why; --no-divan leaves them out")
        command += ["--divan", divan(profile, sizes, quick=arguments.quick)]
    if shutil.which(CARGO) and (not arguments.only or "hosts" in arguments.only):
        if subprocess.run([*DAY, "--no-run"], cwd=ROOT, check=False).returncode:
            sys.exit("the tests of several hosts could not be built: the messages above say why")
        command += ["--day", shlex.join([*DAY, "--", "a_day_costs", "--ignored", "--nocapture"])]
    variables = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    return subprocess.run(command, cwd=ROOT / "bench", env=variables, check=False).returncode


def build(profile: str) -> tuple[Path, Path]:
    """The library and the stand-in server, where cargo says that they are."""
    library, standin = os.environ.get("PLEXINDEX_PREBUILT"), os.environ.get("PLEXINDEX_STANDIN")
    if library and standin:
        return Path(library).resolve(), Path(standin).resolve()
    if shutil.which(CARGO) is None:
        sys.exit("no `cargo` was found: install Rust 1.89 or newer (https://rustup.rs), or name it with CARGO=…")
    if not library:
        try:
            library = str(build_dist.build(profile=profile)["cdylib"])
            build_dist.build_accelerator(profile=profile)
        except build_dist.BuildError as error:
            sys.exit(str(error))
    if not standin:
        command = [CARGO, "build", "--package=plexindex-standin", "--bins", f"--profile={profile}"]
        command += ["--message-format=json-render-diagnostics"]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
        if done.returncode:
            sys.exit("the stand-in server could not be built: the messages above say why")
        for message in map(json.loads, done.stdout.splitlines()):
            standin = (message["reason"] == "compiler-artifact" and message.get("executable")) or standin
    if not standin:
        sys.exit("cargo built no stand-in server")
    return Path(library).resolve(), Path(standin).resolve()


def installed(environment: Environment) -> Path:
    """The library in an environment."""
    code = "from plexindex import _accelerator; print(_accelerator.library_path())"
    command = [str(environment.python), "-I", "-c", code]
    return Path(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip())


def compile_native() -> Path:
    """The C program."""
    program = build_folder() / "bench-native"
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


def install_peers(environment: Environment) -> Path:
    """Each by itself: one that cannot be installed is absent, and the others are not. Gives a file of reasons."""
    reasons = environment.path / "absent.json"
    stamp = environment.path / "peers.stamp"
    wanted = REQUIREMENTS.read_text(encoding="utf-8")
    made = environment.path / "made.stamp"
    made_of = wanted + made.read_text() if made.is_file() else wanted
    if stamp.is_file() and stamp.read_text() == made_of:
        return reasons
    absent: dict[str, str] = {}
    for line in wanted.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        pip = [str(environment.python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", line]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode:
            said = [said for said in done.stderr.splitlines() if said.startswith("ERROR:")] or ["pip failed"]
            name = line.split("=")[0].split("<")[0].split(">")[0]
            absent[name] = said[-1].removeprefix("ERROR: ").strip()
            print(f"{name} cannot be installed: {absent[name]}", flush=True)
    reasons.write_text(json.dumps(absent))
    if not absent:
        stamp.write_text(made_of)
    return reasons


def divan(profile: str, sizes: list[int], *, quick: bool) -> str:
    """The command of the Rust benchmarks."""
    limit = "--sample-count=20 --max-time=0.3" if quick else "--sample-count=100 --max-time=3"
    chosen = " ".join(map(str, sizes))
    command = f"{shlex.join(RUST_BENCHMARKS)} --profile={profile} -- {limit}"
    return f"PLEXINDEX_BENCH_SIZES={shlex.quote(chosen)} {command}"


if __name__ == "__main__":
    sys.exit(main())
