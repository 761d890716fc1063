"""Builds the library as it is installed, packed and measured, and prints where cargo put it.

    scripts/build_dist.py [--kind cdylib] [--kind staticlib] [--profile dist] [--target TRIPLE] [--zigbuild]

The Python package's accelerator is built by `build_accelerator`, in the same way.

A build of the profile `dist` without link-time optimisation is an error. What it makes names no folder of the builder:
see `neutral`.

Standard library only, and nothing else of this folder: the source distribution takes this file along, and the build
hook of the Python package loads it. CARGO names another cargo. RUSTFLAGS and cargo's other variables hold as ever; the
flags of this program are added to them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parent.parent
CRATE = "plexindex"
# Its library is named like the crate, which is an rlib.
PACKAGE = "plexindex-capi"
ACCELERATOR = "plexindex-accelerator"
PROFILE = "dist"
# The endings of each kind's files.
KINDS = {"cdylib": (".so", ".dylib", ".dll"), "staticlib": (".a", ".lib")}
# Between the flags in CARGO_ENCODED_RUSTFLAGS.
SEPARATOR = "\x1f"

NO_CARGO = """\
plexindex is written in Rust, and no Rust toolchain was found: there is no `cargo` on the PATH.
Install one (https://rustup.rs, or your system's package for cargo 1.89 or newer) and try again.
"""
UNMAPPED = """\
The build names folders of this machine: `target.*.rustflags` of cargo's configuration replaces the flags that leave
them out. Set RUSTFLAGS to the flags that you have there, and build again.
"""


class BuildError(Exception):
    """The build failed. The text says why and what to do."""


def find_cargo() -> str:
    """The path of cargo, from CARGO, PATH or rustup."""
    cargo = os.environ.get("CARGO") or shutil.which("cargo")
    cargo = cargo or shutil.which("cargo", path=str(Path.home() / ".cargo" / "bin"))
    if cargo is None:
        raise BuildError(NO_CARGO)
    return cargo


def folders(root: Path = ROOT) -> dict[Path, str]:
    """Folders of the builder that hold sources, and a neutral name for each."""
    rustup, cargo = (os.environ.get(name) for name in ("RUSTUP_HOME", "CARGO_HOME"))
    return {
        root: CRATE,
        root / (rustup or Path.home() / ".rustup"): "rustup",
        root / (cargo or Path.home() / ".cargo"): "cargo",
    }


def neutral(root: Path = ROOT) -> list[str]:
    """Compiler flags that replace these folders in panic texts, which would show the builder's user name.

    No C code that we compile holds a path.
    """
    return [f"--remap-path-prefix={folder}={name}" for folder, name in folders(root).items()]


def rustflags() -> list[str] | None:
    """The flags of the environment, which cargo takes in place of those of its configuration. `None` if it has none."""
    encoded, plain = (os.environ.get(name) for name in ("CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS"))
    if encoded is not None:
        return encoded.split(SEPARATOR) if encoded else []
    return None if plain is None else plain.split()


def command(
    kinds: Sequence[str] = tuple(KINDS),
    *,
    package: str = PACKAGE,
    profile: str = PROFILE,
    target: str | None = None,
    zigbuild: bool = False,
    flags: Sequence[str] = (),
) -> list[str]:
    """The command that builds these kinds. With `zigbuild` cargo-zigbuild links, and a target may name a glibc."""
    cargo = [shutil.which("cargo-zigbuild") or "cargo-zigbuild"] if zigbuild else [find_cargo()]
    # Verbose: `build` reads the compiler's command line.
    built = [*cargo, "rustc", "--verbose", "--message-format=json-render-diagnostics"]
    built += [f"--package={package}", "--lib", f"--crate-type={','.join(kinds)}", f"--profile={profile}"]
    # cargo adds these to the `build.rustflags` of its configuration.
    built += [f"--config=build.rustflags={json.dumps(flags, ensure_ascii=False)}"] if flags else []
    return built + ([f"--target={target}"] if target else [])


def build(
    kinds: Sequence[str] = tuple(KINDS),
    *,
    package: str = PACKAGE,
    profile: str = PROFILE,
    target: str | None = None,
    zigbuild: bool = False,
    flags: Sequence[str] = (),
    root: Path = ROOT,
) -> dict[str, Path]:
    """Builds these kinds and returns their files. Compiler output goes to stderr.

    Name fewer kinds only where one cannot be built: cargo keeps no more than the last set, and builds another one anew.
    """
    flags = [*flags, *(neutral(root) if profile == PROFILE else [])]
    variables = dict(os.environ)
    if (given := rustflags()) is not None:
        variables["CARGO_ENCODED_RUSTFLAGS"] = SEPARATOR.join([*given, *flags])
        flags = []
    line = command(kinds, package=package, profile=profile, target=target, zigbuild=zigbuild, flags=flags)
    crate = CRATE if package == PACKAGE else package.replace("-", "_")
    line += ["--locked"] if (root / "Cargo.lock").is_file() else []
    compiler, ours = None, f" --crate-type {kinds[0]} "  # its command line, when it has run
    with tempfile.TemporaryFile() as messages:
        try:
            cargo = subprocess.Popen(
                line, cwd=root, env=variables, stdout=messages, stderr=subprocess.PIPE, text=True, errors="replace"
            )
        except OSError as error:
            raise BuildError(f"{line[0]} does not run: {error}") from error
        assert cargo.stderr is not None
        for said in cargo.stderr:
            if re.match(r"\s+(Running|Fresh|Dirty) ", said):
                compiler = said if f" --crate-name {crate} " in said and ours in said else compiler
            else:
                sys.stderr.write(said)
        if cargo.wait():
            raise BuildError(f"cargo could not build {package} (exit code {cargo.returncode}); its messages are above")
        messages.seek(0)
        files = [Path(file) for message in map(json.loads, messages) for file in _files(message, crate)]
    if profile == PROFILE and compiler and not re.search(r" -C lto(=fat)? ", compiler):
        raise BuildError(f"cargo built {package} without link-time optimisation: {compiler.strip()}")
    if profile == PROFILE and compiler and "--remap-path-prefix" not in compiler:
        print(UNMAPPED, file=sys.stderr)
    built = {kind: file for kind in kinds for file in files if file.suffix in KINDS[kind]}
    if missing := [kind for kind in kinds if kind not in built]:
        raise BuildError(f"cargo built no {' and no '.join(missing)} for {target or 'this machine'}")
    return built


def build_accelerator(
    *,
    profile: str = PROFILE,
    target: str | None = None,
    zigbuild: bool = False,
    flags: Sequence[str] = (),
    root: Path = ROOT,
) -> Path:
    """The extension module for Python."""
    return build(
        ["cdylib"], package=ACCELERATOR, profile=profile, target=target, zigbuild=zigbuild, flags=flags, root=root
    )["cdylib"]


def _files(message: dict[str, object], crate: str) -> list[str]:
    """The files of a crate, from one of cargo's messages."""
    target, files = message.get("target"), message.get("filenames")
    ours = message["reason"] == "compiler-artifact" and isinstance(target, dict) and target["name"] == crate
    return files if ours and isinstance(files, list) else []


def main() -> int:
    """Builds, and prints `kind path` for each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", action="append", choices=list(KINDS), help="what to build; default: all kinds")
    parser.add_argument("--profile", default=PROFILE, help=f"cargo's profile ({PROFILE})")
    parser.add_argument("--target", metavar="TRIPLE", help="build for another platform")
    parser.add_argument("--zigbuild", action="store_true", help="build with cargo-zigbuild")
    given = parser.parse_args()
    kinds = given.kind or tuple(KINDS)
    try:
        built = build(kinds, profile=given.profile, target=given.target, zigbuild=given.zigbuild)
    except BuildError as error:
        sys.exit(str(error))
    for kind, file in built.items():
        print(kind, file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
