"""Writes what stands for Apple's frameworks where the library for macOS is linked elsewhere: text files with names.

A linker wants to know only which framework has a name. These are the names that the linked crates declare; the code is
in the frameworks of the Mac that loads the library. zig has such a file for libSystem, which is the C library, too.

Rust's own linker links, as zig's exports all functions and names a framework twice, which macOS may refuse.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import licences
from environment import ROOT, build_folder

FOLDER = build_folder() / "frameworks"
# Relative, as flags are part of what cargo names its output by: all folders give the same bytes. The linker itself
# leaves out symbols and what debuggers read: it signs its output, and numbers it by what it wrote, with names of
# temporary files in what rustc removes later. What is named and not used is not needed at run time.
PLACE = FOLDER.relative_to(ROOT)
FLAGS = [
    *("-Clinker=rust-lld", "-Clinker-flavor=ld64.lld", f"-Clink-arg=-F{PLACE}", f"-Clink-arg=-L{PLACE}"),
    *("-Clink-arg=-dead_strip_dylibs", "-Clink-arg=-S", "-Clink-arg=-x"),
]
COMMENT = re.compile(r"//.*")
# For all blocks of a crate such crates have one without names.
LINKED = re.compile(r'\blink\(\s*name\s*=\s*"(\w+)",\s*kind\s*=\s*"framework"\s*\)\s*\)?\]\s*extern\s+"C"\s*\{\s*\}')
# Such blocks have no braces inside.
BLOCK = re.compile(r'\bextern\s+"C(?:-unwind)?"\s*\{([^{}]*)\}')
DECLARED = re.compile(r"""\b(?:fn|(?<!')static(?:\s+mut)?)\s+(\w+)|\blink_name\s*=\s*["]([^"]+)["]""")
# Of the libraries that Rust names beside libSystem.
SAME, UNUSED = ("libSystem", "libc", "libm"), "libiconv"
STUB = """--- !tapi-tbd
tbd-version: 4
targets: [ x86_64-macos, arm64-macos ]
install-name: '{path}'
exports:
  - targets: [ x86_64-macos, arm64-macos ]
    symbols: [ {symbols} ]
...
"""


def declared(sources: list[str]) -> dict[str, set[str]]:
    """The names that a crate declares, by the framework that it links."""
    texts = [COMMENT.sub("", source) for source in sources]
    blocks = [block for text in texts for block in BLOCK.findall(text)]
    names = {renamed or name for block in blocks for name, renamed in DECLARED.findall(block)}
    return {framework: names for text in texts for framework in LINKED.findall(text)}


def stub(path: str, names: set[str]) -> str:
    """The file for a library with this path on a Mac."""
    return STUB.format(path=path, symbols=", ".join(f"'_{name}'" for name in sorted(names)))


def write(triple: str) -> None:
    """Writes the files for all crates that are linked for this platform."""
    found: dict[str, set[str]] = {}
    for crate in licences.crates(triple, licences.PACKAGES):
        folder = Path(crate["manifest_path"]).parent / "src"
        sources = [file.read_text(encoding="utf-8") for file in sorted(folder.rglob("*.rs"))]
        for framework, names in declared(sources).items():
            found.setdefault(framework, set()).update(names)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for framework, names in found.items():
        folder = FOLDER / f"{framework}.framework"
        folder.mkdir(exist_ok=True)
        path = f"/System/Library/Frameworks/{folder.name}/Versions/A/{framework}"
        (folder / f"{framework}.tbd").write_text(stub(path, names), encoding="utf-8")
    (FOLDER / f"{UNUSED}.tbd").write_text(stub("/usr/lib/libiconv.2.dylib", set()), encoding="utf-8")
    said = subprocess.run(["python-zig", "env"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    zig = re.search(r'\.lib_dir = "(.*)"', said)
    assert zig is not None
    text = (ROOT / zig[1] / "libc" / "darwin" / "libSystem.tbd").read_text(encoding="utf-8")
    for name in SAME:
        # Rust's linker does not know this processor, and looks for arm64.
        (FOLDER / f"{name}.tbd").write_text(text.replace("arm64e.x1", "arm64"), encoding="utf-8")
