"""The licence texts of the crates in the libraries. Most of them demand that their text goes with each package.

licences.py [TRIPLE]      prints them for one platform
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from environment import ROOT

PACKAGES = ("plexindex", "plexindex-accelerator")
HEAD = """\
The shared libraries of plexindex hold code of the crates below, each under its own licence, and SQLite, which is in the
public domain. Rust's standard library is under MIT or Apache-2.0, as plexindex itself is, and LLVM's runtime library
under Apache-2.0 with its exception. On Windows they hold parts of the runtime libraries of GCC, under the GPL with its
runtime exception, and of MinGW-w64, in the public domain or under the Zope Public License and the MIT licence.
"""


def crates(triple: str | None, libraries: tuple[str, ...]) -> list[dict[str, Any]]:
    """The crates whose code is in the libraries, without build and test dependencies."""
    command = [os.environ.get("CARGO", "cargo"), "metadata", "--format-version=1", "--locked"]
    command += [f"--filter-platform={triple}"] if triple else []
    facts = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    packages = {package["id"]: package for package in facts["packages"]}
    needs = {
        node["id"]: [
            dependency["pkg"]
            for dependency in node["deps"]
            if any(kind["kind"] is None for kind in dependency["dep_kinds"])
        ]
        for node in facts["resolve"]["nodes"]
    }
    waiting = [name for name in packages if packages[name]["name"] in libraries]
    seen = set(waiting)
    while waiting:
        new = set(needs[waiting.pop()]) - seen
        seen |= new
        waiting += new
    found = [packages[name] for name in seen if packages[name]["name"] not in PACKAGES]
    return sorted(found, key=lambda package: (package["name"], package["version"]))


def text(triple: str | None, libraries: tuple[str, ...] = PACKAGES) -> str:
    """All texts. A text that several crates share is printed once."""
    lines = [HEAD]
    bodies: dict[str, list[str]] = {}
    for crate in crates(triple, libraries):
        name = f"{crate['name']} {crate['version']}"
        lines.append(f"{name}: {crate['license'] or 'see below'}")
        folder = Path(crate["manifest_path"]).parent
        for file in sorted(folder.iterdir()):
            if file.is_file() and file.name.upper().startswith(("LICEN", "COPYING", "NOTICE", "COPYRIGHT")):
                body = file.read_text(encoding="utf-8", errors="replace").strip()
                bodies.setdefault(body, []).append(name)
    for body, names in bodies.items():
        lines += ["", "=" * 80, ", ".join(dict.fromkeys(names)), "=" * 80, "", body]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(text(sys.argv[1] if sys.argv[1:] else None), end="")
