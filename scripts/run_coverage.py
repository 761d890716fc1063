"""Counts the lines of `src` that the Rust tests and the C programs run: TESTS="--lib" for some tests.

It needs LLVM's tools in the version of the compiler: rustup component add llvm-tools. Where another toolchain has them,
RUSTUP_TOOLCHAIN names it. The lines that no test runs lie in build/coverage/uncovered.txt.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from environment import ROOT, build_folder, target_folder
from runner import CARGO, cargo_test, locked, table


def tools() -> Path:
    """Where llvm-profdata and llvm-cov are."""
    said = subprocess.run(["rustc", "--print=target-libdir"], check=True, capture_output=True, text=True).stdout
    folder = Path(said.strip()).parent / "bin"
    if not (folder / "llvm-cov").is_file():
        sys.exit(
            "llvm-cov is not there: rustup component add llvm-tools, or name a toolchain with it in RUSTUP_TOOLCHAIN"
        )
    return folder


def programs(tests: list[str], variables: dict[str, str]) -> list[Path]:
    """The programs that cargo built, and the library that the C programs load."""
    command = [CARGO, "test", *locked(), *tests, "--no-run", "--message-format=json"]
    done = subprocess.run(command, env={**os.environ, **variables}, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit("the tests do not build")
    found = []
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("reason") == "compiler-artifact" and str(ROOT) in message.get("manifest_path", ""):
            found += [message["executable"]] if message["executable"] else []
            found += [name for name in message["filenames"] if name.endswith(".so")]
    return [Path(name) for name in found]


def main() -> int:
    """Runs the tests, and shows the lines by folder."""
    folder = tools()
    tests = os.environ.get("TESTS", "--workspace").split()
    place = build_folder() / "coverage"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    variables = {
        "RUSTFLAGS": "-Cinstrument-coverage",
        "CARGO_TARGET_DIR": str(target_folder() / "coverage"),
        # Processes of one program add up in a few files.
        "LLVM_PROFILE_FILE": str(place / "%4m.profraw"),
    }
    built = programs(tests, variables)
    rows = cargo_test("coverage", *tests, **variables)
    table(rows)
    data = place / "all.profdata"
    raw = [str(file) for file in place.glob("*.profraw")]
    subprocess.run([str(folder / "llvm-profdata"), "merge", "-sparse", *raw, "-o", str(data)], check=True)
    objects = [str(built[0]), *(f"-object={file}" for file in built[1:])]
    export = [str(folder / "llvm-cov"), "export", "-format=lcov", f"-instr-profile={data}", *objects]
    lcov = subprocess.run(export, check=True, stdout=subprocess.PIPE, text=True).stdout
    report(lcov, place / "uncovered.txt")
    return int(any(row.failed for row in rows))


def report(lcov: str, uncovered: Path) -> None:
    """Prints the sums, and the lines that no test runs."""
    sums: dict[str, list[int]] = {}
    left = []
    for record in lcov.split("end_of_record"):
        name = re.search(r"^SF:(.*)$", record, re.M)
        if name is None or not name[1].startswith(f"{ROOT}/src/"):
            continue
        path = Path(name[1]).relative_to(ROOT)
        # Tests themselves do not count.
        if path.stem.endswith("tests") or "tests" in path.parts or path.name == "fuzzing.rs":
            continue
        lines = {int(line): int(count) for line, count in re.findall(r"^DA:(\d+),(\d+)", record, re.M)}
        missed = [line for line, count in lines.items() if not count]
        one = sums.setdefault("/".join(path.parts[:2]), [0, 0])
        one[0] += len(lines)
        one[1] += len(lines) - len(missed)
        left += [f"{path}:{line}" for line in missed]
    uncovered.write_text("\n".join(left) + "\n")
    total = [sum(one[0] for one in sums.values()), sum(one[1] for one in sums.values())]
    print(f"\n{'lines of':<20}{'all':>8}{'run':>8}")
    for part, (every, ran) in [*sorted(sums.items()), ("together", total)]:
        print(f"{part:<20}{every:>8}{ran:>8}{100 * ran / max(every, 1):>8.1f} %")
    print(f"what no test runs: {uncovered}")


if __name__ == "__main__":
    sys.exit(main())
