"""Packs the library for C programs on macOS: plexindex-VERSION-universal2-apple-darwin.tar.gz, of `make release`.

zig links the library; no Mac has run it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import abi
import archives
import install
import licences
import make_dist
from environment import ROOT
from install import version
from windows_archive import fill

if TYPE_CHECKING:
    from pathlib import Path

NAME = f"plexindex-{version()}-universal2-apple-darwin"
LIBRARY = "libplexindex.dylib"


def pack(library: Path, work: Path, target: Path) -> Path:
    """Writes the archive into this folder. Everything in it is in one folder of its name."""
    stage = work / NAME
    stage.mkdir()
    templates = {
        "lib/pkgconfig/plexindex.pc": "plexindex.pc.in",
        "lib/cmake/plexindex/plexindex-config.cmake": "macos/plexindex-config.cmake.in",
        "lib/cmake/plexindex/plexindex-config-version.cmake": "plexindex-config-version.cmake.in",
    }
    for path, template in templates.items():
        fill(install.PACKAGING / template, stage / path)
    third_party = stage / "THIRD-PARTY"
    third_party.write_text(licences.text("aarch64-apple-darwin", ("plexindex",)), encoding="utf-8")
    documents = stage / "documents"
    documents.mkdir()
    headers = [*abi.HEADERS, ROOT / "bindings" / "cpp" / "plexindex.hpp"]
    files = {
        f"lib/{LIBRARY}": library,
        "README.md": install.PACKAGING / "macos" / "README.md",
        "share/man/man1/plexindex.1": ROOT / "docs" / "plexindex.1",
        **install.completions(install.Place(), stage / "completions"),
        **{path: stage / path for path in templates},
        **{f"include/{header.name}": header for header in headers},
        **{f"licenses/{licence.name}": licence for licence in [*ROOT.glob("LICENSE-*"), third_party]},
        **{f"doc/{name}": page for name, page in install.documents(documents).items()},
    }
    made = target / f"{NAME}.tar.gz"
    packed = {path: (file.read_bytes(), path.startswith("lib/lib")) for path, file in files.items()}
    archives.pack(packed, NAME, make_dist.commit_time(), made)
    return made
