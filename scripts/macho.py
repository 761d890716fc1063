"""Reads, joins and checks libraries for macOS, which this machine cannot load.

Standard library only.
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# By the name of the processor in Rust's platforms.
PROCESSORS = {0x01000007: "x86_64", 0x0100000C: "aarch64"}
THIN, FAT = b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe"
# Parts of a file with several processors begin at a page of arm64.
PAGE = 14
# Load commands.
SYMBOLS, LOAD, IDENTITY, WEAK, SIGNATURE, OLDEST_BEFORE, REEXPORT, OLDEST = 2, 12, 13, 24, 29, 36, 31, 50
DYLD_INFO, EXPORTS = 34, 51
# The bit that says that an older system must not ignore it.
REQUIRED = 0x80000000
SYSTEM = ("/usr/lib/", "/System/Library/Frameworks/")


class MachError(Exception):
    """A library is not what a Mac loads. The text says why."""


def slices(data: bytes) -> dict[str, bytes]:
    """The libraries in a file, by their processors."""
    if data[:4] == THIN:
        return {PROCESSORS[struct.unpack_from("<I", data, 4)[0]]: data}
    if data[:4] != FAT:
        raise MachError("it is no library for macOS")
    (count,) = struct.unpack_from(">I", data, 4)
    rows = [struct.unpack_from(">5I", data, 8 + 20 * number) for number in range(count)]
    return {PROCESSORS[cpu]: data[start : start + size] for cpu, _, start, size, _ in rows}


def join(files: list[Path], target: Path) -> Path:
    """Writes one file with the libraries for several processors."""
    header, body = FAT + struct.pack(">I", len(files)), b""
    first = 1 << PAGE
    for file in files:
        data = file.read_bytes()
        cpu, kind = struct.unpack_from("<2I", data, 4)
        body += bytes(-len(body) % first)
        header += struct.pack(">5I", cpu, kind, first + len(body), len(data), PAGE)
        body += data
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(header.ljust(first, b"\0") + body)
    return target


class Image:
    """A library for one processor."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.needed: list[str] = []
        self.identity = self.oldest = ""
        self.exported: list[str] = []
        self.is_signed = False
        for command, at in self._commands():
            if command in (LOAD, WEAK, REEXPORT):
                self.needed.append(self._text(at))
            elif command == IDENTITY:
                self.identity = self._text(at)
            elif command in (OLDEST, OLDEST_BEFORE):
                (packed,) = struct.unpack_from("<I", data, at + (12 if command == OLDEST else 8))
                self.oldest = f"{packed >> 16}.{packed >> 8 & 255}"
            elif command in (DYLD_INFO, EXPORTS):
                start, size = struct.unpack_from("<2I", data, at + (40 if command == DYLD_INFO else 8))
                self.exported = sorted(exports(data[start : start + size])) if size else []
            elif command == SIGNATURE:
                start, size = struct.unpack_from("<2I", data, at + 8)
                self.is_signed = is_valid(data, data[start : start + size])

    def _commands(self) -> Iterator[tuple[int, int]]:
        (count,) = struct.unpack_from("<I", self.data, 16)
        at = 32
        for _ in range(count):
            command, size = struct.unpack_from("<2I", self.data, at)
            yield command & ~REQUIRED, at
            at += size

    def _text(self, at: int) -> str:
        """The name in a command about a library."""
        size, offset = struct.unpack_from("<2I", self.data, at + 4)
        return self.data[at + offset : at + size].partition(b"\0")[0].decode()


def number(data: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where it ends."""
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 128:
            return value, at


def exports(tree: bytes, node: int = 0, before: str = "") -> Iterator[str]:
    """The exported names, which are a tree of what they begin with."""
    size, at = number(tree, node)
    if size:
        yield before
    at += size
    count, at = tree[at], at + 1
    for _ in range(count):
        end = tree.index(0, at)
        text = tree[at:end].decode()
        child, at = number(tree, end + 1)
        yield from exports(tree, child, before + text)


def is_valid(data: bytes, signature: bytes) -> bool:
    """Whether the check sums in a signature are those of the file. arm64 loads nothing else."""
    magic, _, count = struct.unpack_from(">3I", signature)
    if magic != 0xFADE0CC0:
        return False
    for row in range(count):
        _, start = struct.unpack_from(">2I", signature, 12 + 8 * row)
        code = signature[start:]
        if struct.unpack_from(">I", code)[0] != 0xFADE0C02:
            continue
        sums, _, _, pages, limit = struct.unpack_from(">5I", code, 16)
        width, kind, _, page = struct.unpack_from("4B", code, 36)
        found = [hashlib.sha256(data[at : min(at + (1 << page), limit)]).digest() for at in range(0, limit, 1 << page)]
        wanted = [code[sums + width * one : sums + width * (one + 1)] for one in range(pages)]
        return kind == 2 and found == wanted
    return False


def check(data: bytes, processors: dict[str, str], exported: list[str] | None) -> None:
    """Raises an error unless a Mac can load the file: `processors` has the oldest system for each of them.

    `exported` are the functions of a library; a module of Python's has one of its own.
    """
    found = slices(data)
    if found.keys() != processors.keys():
        raise MachError(f"it is for {', '.join(found)} only")
    for name, part in found.items():
        image = Image(part)
        if len(set(image.needed)) < len(image.needed):
            raise MachError(f"for {name} it needs a library twice: {', '.join(image.needed)}")
        if foreign := [needed for needed in image.needed if not needed.startswith(SYSTEM)]:
            raise MachError(f"for {name} it needs {', '.join(foreign)}, which macOS lacks")
        if image.oldest != processors[name]:
            raise MachError(f"for {name} it asks for macOS {image.oldest}, not for {processors[name]}")
        if exported is not None and image.exported != sorted(f"_{one}" for one in exported):
            differs = set(image.exported) ^ {f"_{one}" for one in exported}
            raise MachError(f"for {name} it exports other functions than it should: {', '.join(sorted(differs))}")
        if name == "aarch64" and not image.is_signed:
            raise MachError(f"for {name} it lacks a signature, or has one of another file")
