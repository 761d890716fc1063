"""Runs what the READMEs of the bindings for Go, Ruby and LuaJIT show: part of `make test-languages`.

A README has one part between two comments: how to install, a program, and how to run it. All of it runs in an empty
folder, in a shell without variables of ours. The library is in a prefix, as `make install` lays it out. The program
gets the stand-in's address and one of its files, and has to print the title.

language_readmes.py NAME FACTS      needs the variables of `make test-languages`
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from environment import ROOT

BINDINGS = ROOT / "bindings"
PART = re.compile(r"<!-- make test-languages -->\n(.*?)<!-- end -->", re.DOTALL)
BLOCK = re.compile(r"```(\w+)\n(.*?)```\n", re.DOTALL)
# The file that a README's program is in.
FILES = {"go": "main.go", "ruby": "hello.rb", "lua": "hello.lua"}
# What a user has: his shell, tools, and nothing of ours. `make install` is tested elsewhere, and takes minutes.
BEFORE = "set -eu\nmake() { :; }\n"
KEPT = ("PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "GOCACHE", "GOFLAGS", "GOPROXY")
SCREEN = 60


def prefix(folder: Path, library: Path) -> None:
    """What `make install` makes of the library, in names: no link for developers where a package has none."""
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "libplexindex.so.0").symlink_to(library)
    (folder / "lib" / "libplexindex.so").symlink_to("libplexindex.so.0")
    (folder / "lib" / "libplexindex.a").symlink_to(library.with_suffix(".a"))


def main() -> int:
    """Runs the README of one binding."""
    name = sys.argv[1]
    movie = json.loads(Path(os.environ["PLEXINDEX_TEST_FACTS"]).read_text(encoding="utf-8"))["movies"][0]
    readme = (BINDINGS / name / "README.md").read_text(encoding="utf-8")
    overview = (BINDINGS / "README.md").read_text(encoding="utf-8")
    if (length := len(readme.splitlines())) > SCREEN:
        sys.exit(f"FAIL: the README of {name} has {length} lines, and a screen {SCREEN}")
    (part,) = PART.findall(readme)
    shown = [body for kind, body in BLOCK.findall(overview) if kind == name]
    program = next(body for kind, body in BLOCK.findall(part) if kind == name)
    for line in shown[0].splitlines():
        if line.split("//")[0].strip() not in program:
            sys.exit(f"FAIL: bindings/README.md shows a line that the README of {name} lacks: {line}")
    for placeholder, value in {
        "http://127.0.0.1:32400": os.environ["PLEXINDEX_TEST_URL"],
        "YOUR-TOKEN": os.environ["PLEXINDEX_TEST_TOKEN"],
        "/media/movies/Big Buck Bunny (2008).mkv": movie["path"],
    }.items():
        if placeholder not in program:
            sys.exit(f"FAIL: the program in the README of {name} does not name {placeholder}")
        program = program.replace(placeholder, value)
    with tempfile.TemporaryDirectory() as folder:
        prefix(Path(folder, "prefix"), Path(os.environ["PLEXINDEX_LIBRARY"]))
        script = BEFORE
        for kind, body in BLOCK.findall(part):
            script += body if kind == "sh" else f"cat > {FILES[name]} <<'PROGRAM'\n{program}PROGRAM\n"
        variables = {key: os.environ[key] for key in KEPT if key in os.environ}
        variables |= {
            "PLEXINDEX": str(ROOT),
            "PREFIX": str(Path(folder, "prefix")),
            "GEM_HOME": str(Path(folder, "gems")),
        }
        done = subprocess.run(
            ["sh", "-c", script],
            cwd=folder,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    after = script.rsplit("PROGRAM\n", 1)[1]
    wanted = len([line for line in after.splitlines() if line.strip()])
    printed = [line for line in done.stdout.splitlines() if movie["title"] in line]
    if done.returncode or len(printed) != wanted:
        sys.exit(f"FAIL: the README of {name} ends with {done.returncode}, and prints:\n{done.stdout}")
    print(f"PASS: the README of {name}, run {wanted} times")
    return 0


if __name__ == "__main__":
    sys.exit(main())
