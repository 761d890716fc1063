"""The fuzz targets, guided by coverage, under AddressSanitizer: `make fuzz`.

    make fuzz                       each target for TIME seconds, 60 unless told
    make fuzz TARGETS="paths calls" RUNS=1000000
    make fuzz FILE=build/fuzz/paths/found/crash-… TARGETS=paths
    python3 scripts/run_fuzz.py planted   whether a read out of bounds is found that is planted in a target

What a run learns stays in build/fuzz/NAME/corpus; inputs that fail lie in build/fuzz/NAME/found. The repository keeps
fuzz/corpus/NAME.tar, which `tests/fuzz.rs` runs. MERGE=1 writes to it the smallest inputs that reach what all reach.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from environment import ROOT, build_folder, host_triple, target_folder

CARGO = os.environ.get("CARGO", "cargo")
PLACE = ROOT / "fuzz"
CORPUS = PLACE / "corpus"
# The largest input: larger ones are slow and find nothing more. The most inputs of a target in the repository.
LONGEST, MOST_FILES, MOST_BYTES = 1024, 40, 60_000


def build(*features: str) -> Path:
    """Builds the fuzzer. SQLite and the other C code are instrumented too, through the compiler's flags."""
    host = host_triple(CARGO)
    folder = target_folder() / "fuzz"
    variables = {
        "RUSTC_BOOTSTRAP": "1",
        "RUSTC_WRAPPER": str(PLACE / "rustc.sh"),
        "RUSTFLAGS": "-Zsanitizer=address --cfg fuzzing",
        "CARGO_TARGET_DIR": str(folder),
    }
    command = [CARGO, "build", "--release", "--target", host, "--manifest-path", str(PLACE / "Cargo.toml")]
    command += [f"--features={feature}" for feature in features]
    if subprocess.run(command, env={**os.environ, **variables}).returncode:
        sys.exit("the fuzzer does not build: it needs a C++ compiler, and the package libfuzzer-sys")
    return folder / host / "release" / "plexindex-fuzz"


def targets() -> list[str]:
    """All, as `fuzz/targets/mod.rs` names them, or those of TARGETS."""
    known = re.findall(r'^    target\("(\w+)"', (PLACE / "targets" / "mod.rs").read_text(), re.M)
    wanted = os.environ.get("TARGETS", "").split()
    unknown = [name for name in wanted if name not in known]
    if unknown:
        sys.exit(f"TARGETS has {' '.join(unknown)}: name some of {' '.join(known)}")
    return wanted or known


def run(program: Path, name: str, *arguments: str) -> tuple[int, str]:
    """Runs a target. Prints its output and returns it."""
    # In memory if possible: some targets write files with each input.
    memory = Path("/dev") / "shm"
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        variables = {
            "PLEXINDEX_FUZZ": name,
            "PLEXINDEX_FUZZ_FOLDER": folder,
            # SQLite has one array under two names.
            "ASAN_OPTIONS": "detect_odr_violation=0:allocator_may_return_null=1"
            # Cheaper allocations, and reports still show enough.
            ":malloc_context_size=6:quarantine_size_mb=32",
        }
        process = subprocess.Popen(
            [str(program), f"-max_len={LONGEST}", "-timeout=30", *arguments],
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if not re.match(r"#\d+\s+(NEW|REDUCE)", line):
                sys.stdout.write(line)
                sys.stdout.flush()
        return process.wait(), "".join(said)


def processor() -> float:
    """Processor seconds of the programs that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def number(pattern: str, text: str) -> str:
    """The last match, or a question mark."""
    found = re.findall(pattern, text)
    return found[-1] if found else "?"


def fuzz() -> int:
    """Runs the targets and prints the result of each."""
    program = build()
    if file := os.environ.get("FILE"):
        names = targets()
        if len(names) != 1:
            sys.exit("FILE is an input of one target: name it, such as TARGETS=paths")
        return run(program, names[0], file)[0]
    rows, failed = [], 0
    for name in targets():
        own = build_folder() / "fuzz" / name
        learnt, found, kept = own / "corpus", own / "found", unpack(name, own / "kept")
        for folder in (learnt, found):
            folder.mkdir(parents=True, exist_ok=True)
        runs, seconds = os.environ.get("RUNS"), os.environ.get("TIME") or 60
        limit = f"-runs={runs}" if runs else f"-max_total_time={seconds}"
        print(f"\n{name}: {limit}", flush=True)
        begin = processor()
        code, said = run(
            program, name, limit, "-print_final_stats=1", f"-artifact_prefix={found}/", str(learnt), str(kept)
        )
        executions = number(r"stat::number_of_executed_units:\s+(\d+)", said)
        covered, features, corpus = (
            number(pattern, said) for pattern in (r"cov: (\d+)", r"ft: (\d+)", r"corp: (\d+/\w+)")
        )
        # Processor seconds: the load of the machine makes no difference.
        speed = round(int(executions) / max(processor() - begin, 0.01)) if executions != "?" else "?"
        rows.append((name, executions, speed, corpus, covered, features, "ok" if code == 0 else "FAILED"))
        if code:
            failed += 1
            file = number(r"Test unit written to (\S+)", said)
            print(f"{name} fails. Again: make fuzz TARGETS={name} FILE={file}", flush=True)
        elif os.environ.get("MERGE"):
            merge(program, name, learnt, kept)
    print(f"\n{'target':<12}{'executions':>12}{'a second':>10}{'corpus':>14}{'edges':>9}{'features':>10}")
    for name, executions, speed, corpus, covered, features, result in rows:
        print(f"{name:<12}{executions:>12}{speed:>10}{corpus:>14}{covered:>9}{features:>10}  {result}")
    return int(failed > 0)


def unpack(name: str, folder: Path) -> Path:
    """Makes a folder of the inputs that the repository keeps for a target."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tarfile.open(CORPUS / f"{name}.tar") as archive:
        for member in archive:
            content = archive.extractfile(member)
            assert content is not None
            (folder / member.name).write_bytes(content.read())
    return folder


def pack(name: str, folder: Path) -> None:
    """Writes that archive, the same bytes for the same inputs."""
    with tarfile.open(CORPUS / f"{name}.tar", "w", format=tarfile.USTAR_FORMAT) as archive:
        for file in sorted(folder.iterdir()):
            member = tarfile.TarInfo(file.name)
            member.size = file.stat().st_size
            with file.open("rb") as content:
                archive.addfile(member, content)


def merge(program: Path, name: str, learnt: Path, kept: Path) -> None:
    """Puts the smallest inputs that keep the coverage into the repository, small ones first, up to the limit."""
    with tempfile.TemporaryDirectory() as folder:
        if run(program, name, "-merge=1", folder, str(learnt), str(kept))[0]:
            print(f"{name}: the corpus is as it was", flush=True)
            return
        files = sorted(Path(folder).iterdir(), key=lambda file: (file.stat().st_size, file.name))
        # An even sample of all sizes. Inputs with a name of their own were written by hand, and stay.
        files = files[:: max(1, -(-len(files) // MOST_FILES))]
        for file in kept.iterdir():
            if re.fullmatch("[0-9a-f]{16}", file.name):
                file.unlink()
        size = 0
        for file in files:
            size += file.stat().st_size
            if size <= MOST_BYTES:
                shutil.copy(file, kept / file.name[:16])
    pack(name, kept)


def planted() -> int:
    """Checks that coverage leads to a planted read behind a buffer's end, and that AddressSanitizer reports it."""
    program = build("planted")
    with tempfile.TemporaryDirectory() as folder:
        code, said = run(program, "planted", "-max_total_time=300", "-seed=1", f"-artifact_prefix={folder}/")
    report = re.search(r"ERROR: AddressSanitizer: heap-buffer-overflow.*\n.*READ of size 1", said)
    if code == 0 or report is None or "planted" not in said:
        print("the read out of bounds that is planted was not found: the fuzzer finds nothing, whatever it says")
        return 1
    executions = number(r"(?m)^#(\d+)\s+(?:NEW|REDUCE|RELOAD|pulse)", said)
    print(f"\nplanted: found after some {executions} executions: {report[0].splitlines()[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(planted() if "planted" in sys.argv[1:] else fuzz())
