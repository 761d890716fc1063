"""Updates docs/abi.txt from the headers: `make abi`.

The file records functions, numbers, and the layout that a C compiler gives each struct. tests/python/test_abi.py
compares the file with the header and the library. docs/abi.md says what may change.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADERS = [ROOT / "include" / "plexindex.h"]
FILE = ROOT / "docs" / "abi.txt"
HEAD = """\
# The ABI of plexindex where pointers have 64 bits. Made by `make abi`: docs/abi.md says what may change.
# Structs: size, alignment; fields: offset, size, name.
"""


class Declared:
    """The declarations of a header, in order."""

    def __init__(self, header: str) -> None:
        # Helper functions are not part of the ABI: the host's compiler compiles them.
        header = re.sub(r"// Helpers\..*?#ifdef __cplusplus", "#ifdef __cplusplus", header, flags=re.DOTALL)
        code = re.sub(r"/\*.*?\*/|//[^\n]*", "", header, flags=re.DOTALL)
        self.constants = re.findall(r"^#define (PLEXINDEX_(?!VERSION_NUMBER)\w+) +\S", code, re.MULTILINE)
        code = " ".join(re.sub(r"^#.*$", "", code, flags=re.MULTILINE).split())
        for body in re.findall(r"enum \w+ {([^}]*)}", code):
            self.constants += re.findall(r"(PLEXINDEX_\w+) =", body)
        self.structs = {
            name: [re.split(r"[ *]", field.split("[")[0].strip())[-1] for field in body.split(";") if field.strip()]
            for name, body in re.findall(r"typedef struct (\w+) {([^}]*)}", code)
        }
        self.callbacks = re.findall(r"typedef ([^;{}]*\(\*\w+\)\([^;]*\));", code)
        self.functions = {
            name: f"{result.strip()} {stars}({arguments})"
            for result, stars, name, arguments in re.findall(r"([\w ]+ )(\**)(plexindex_\w+)\(([^()]*)\);", code)
        }

    def program(self) -> str:
        """Returns a C program that prints the structs and the numbers."""
        lines = ["#include <abi.h>", "#include <stdio.h>", "int main(void) {"]
        for name, fields in self.structs.items():
            lines.append(f'printf("struct {name} %zu %zu\\n", sizeof({name}), _Alignof({name}));')
            lines += [
                f'printf("    %zu %zu {name}.{field}\\n", offsetof({name}, {field}), sizeof((({name} *)0)->{field}));'
                for field in fields
            ]
        lines += [f'printf("{name} %lld\\n", (long long)({name}));' for name in self.constants]
        return "\n".join([*lines, "return 0; }", ""])


def headers() -> str:
    """Returns all headers as one text."""
    texts = [header.read_text(encoding="utf-8") for header in HEADERS]
    return "\n".join(texts).replace('#include "plexindex.h"', "")


def described(header: str) -> str:
    """Returns the text of docs/abi.txt for this header."""
    declared = Declared(header)
    with tempfile.TemporaryDirectory() as folder:
        program, source = Path(folder, "abi"), Path(folder, "abi.c")
        Path(folder, "abi.h").write_text(header, encoding="utf-8")
        source.write_text(declared.program(), encoding="utf-8")
        subprocess.run([os.environ.get("CC", "cc"), "-std=c11", f"-I{folder}", "-o", program, source], check=True)
        printed = subprocess.check_output([program], text=True)
    lines = [f"function {name}: {types}" for name, types in sorted(declared.functions.items())]
    lines += [f"callback {callback}" for callback in declared.callbacks]
    return "\n".join([HEAD.rstrip("\n"), *lines, printed])


def main() -> int:
    """Updates the file, and lists the lines that changed or disappeared."""
    old = FILE.read_text(encoding="utf-8")
    new = described(headers())
    FILE.write_text(new, encoding="utf-8")
    kept = set(new.splitlines())
    gone = [line for line in old.splitlines() if line and line not in kept]
    print(f"docs/abi.txt is {'up to date' if old == new else 'updated'}")
    for line in gone:
        print(f"  changed or removed: {line.strip()}")
    if gone:
        print("docs/abi.md says which of these changes break compiled programs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
