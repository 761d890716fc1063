"""Makes the gem, the rock or the Go module with a library in it, and prints its path.

pack.py gem|rock|go FOLDER LIBRARY [TRIPLE]

LIBRARY is a shared object, for Go an archive, for the platform TRIPLE, such as aarch64-unknown-linux-gnu; without that
for this machine's. The files of FOLDER stay: for Go, one call after another adds a platform to the module there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import licences
from environment import ROOT, host_triple
from install import version
from make_bindings import DESCRIPTION

BINDINGS = ROOT / "bindings"
# What others call processors.
GO = {"x86_64": "amd64", "aarch64": "arm64", "armv7": "arm"}
ROCK = {"armv7": "arm"}
# How the THIRD-PARTY of a Go module begins.
PLATFORMS = "Platforms: "


def run(*command: str, folder: Path, **variables: str) -> None:
    """Runs a tool; its output is for people."""
    done = subprocess.run(command, cwd=folder, env={**os.environ, **variables}, stdout=sys.stderr, check=False)
    if done.returncode:
        sys.exit(f"failed with exit code {done.returncode}: {' '.join(command)}")


def copied(binding: str, folder: Path, triple: str) -> Path:
    """A copy of a binding, with its licence and those of what is in the library."""
    left_out = shutil.ignore_patterns("test", "*_test.go", "*.gem", "*.rock", "libplexindex.*")
    shutil.copytree(BINDINGS / binding, folder, ignore=left_out, dirs_exist_ok=True)
    for licence in ROOT.glob("LICENSE-*"):
        shutil.copyfile(licence, folder / licence.name)
    (folder / "THIRD-PARTY").write_text(licences.text(triple, ("plexindex",)), encoding="utf-8")
    return folder


def gem(folder: Path, library: Path, triple: str, work: Path) -> Path:
    """The gem for a platform."""
    copy = copied("ruby", work / "gem", triple)
    shutil.copyfile(library, copy / "lib" / "plexindex" / "libplexindex.so")
    shutil.copyfile(DESCRIPTION, copy / "lib" / "plexindex" / "abi.json")
    processor = triple.split("-")[0]
    platform = f"{processor}-linux" + ("-musl" if "musl" in triple else "")
    run(
        "gem",
        "build",
        "--output",
        str(copy / "made.gem"),
        "plexindex.gemspec",
        folder=copy,
        PLEXINDEX_GEM_PLATFORM=platform,
    )
    return Path(shutil.move(copy / "made.gem", folder / f"plexindex-{version()}-{platform}.gem"))


def rock(folder: Path, library: Path, triple: str, work: Path) -> Path:
    """The rock for a platform. luarocks names it after this machine's; nothing in it does."""
    copy = copied("lua", work / "rock", triple)
    shutil.copyfile(library, copy / "plexindex" / "libplexindex.so")
    (spec,) = (copy / "with-library").glob("*.rockspec")
    run("luarocks", "--lua-version", "5.1", "make", "--pack-binary-rock", str(spec), folder=copy)
    (made,) = copy.glob("*.rock")
    processor = triple.split("-")[0]
    return Path(shutil.move(made, folder / f"{spec.stem}.linux-{ROCK.get(processor, processor)}.rock"))


def go(folder: Path, library: Path, triple: str, work: Path) -> Path:
    """The module, with the archive for a platform."""
    del work
    with library.open("rb") as file:
        if file.read(8) != b"!<arch>\n":
            sys.exit(f"{library} is no archive: Go needs libplexindex.a, which `make install` installs, too")
    before = triples(folder / "go" / "THIRD-PARTY")
    copy = copied("go", folder / "go", triple)
    shutil.copyfile(library, copy / "lib" / f"linux_{GO[triple.split('-')[0]]}" / "libplexindex.a")
    (copy / "THIRD-PARTY").write_text(third_party([*before, triple]), encoding="utf-8")
    return copy


def triples(file: Path) -> list[str]:
    """The platforms that the first line of a module's THIRD-PARTY names."""
    if not file.is_file():
        return []
    return file.read_text(encoding="utf-8").partition("\n")[0].removeprefix(PLATFORMS).split(", ")


def third_party(names: list[str]) -> str:
    """The licences of the libraries for these platforms. A text that several platforms share is there once."""
    names = sorted(set(names))
    texts: dict[str, list[str]] = {}
    for name in names:
        texts.setdefault(licences.text(name, ("plexindex",)), []).append(name)
    parts = (f"#### {', '.join(which)}\n\n{text}" for text, which in texts.items())
    return f"{PLATFORMS}{', '.join(names)}\n\n" + "\n".join(parts)


def main() -> int:
    """Makes one package."""
    kinds = {"gem": gem, "rock": rock, "go": go}
    if len(sys.argv) not in (4, 5) or sys.argv[1] not in kinds:
        sys.exit(__doc__)
    folder, library = Path(sys.argv[2]).resolve(), Path(sys.argv[3]).resolve()
    triple = sys.argv[4] if sys.argv[4:] else host_triple(os.environ.get("RUSTC") or "rustc")
    if "linux" not in triple or not library.is_file():
        sys.exit(f"{triple}, {library}: give a library for Linux")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        print(kinds[sys.argv[1]](folder, library, triple, Path(work)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
