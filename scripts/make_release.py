"""Makes all that users download, in build/release: `make release`.

make_release.py [PLATFORM ...]           these platforms; default: all that scripts/platforms.py names
make_release.py --compare FOLDER         says which files of build/release and of FOLDER differ

The library of a platform is built once, and each ecosystem gets that file. What lacks a tool is skipped, and named at
the end. With STRICT=1 that is an error, and so is a tag that is not ready (scripts/release_checks.py). The last
commit's time is that of all files: the same commit gives the same bytes (docs/releasing.md).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Callable

import archives
import build_dist
import dotnet
import licences
import macos_archive
import make_dist
import make_packages
import make_wheels
import pack
import release_checks
import sbom
import windows_archive
from environment import ROOT, Environment, build_folder, check_python, has_target, target_folder
from install import version
from platforms import PLATFORMS, Platform

FOLDER = build_folder() / "release"
MODULE = f"{make_packages.ADDRESS.partition('//')[2]}/bindings/go"


class MissingToolError(Exception):
    """A tool is not installed. The text names it."""


def need(*tools: str) -> None:
    """Raises an error if one of these is not installed."""
    if missing := [tool for tool in tools if not (Path(tool).exists() if "/" in tool else shutil.which(tool))]:
        raise MissingToolError(f"not installed: {', '.join(missing)}")


def run(*command: str | Path, **variables: str) -> str:
    """What a tool prints; ends this program if it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words, cwd=ROOT, env={**os.environ, **variables}, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"failed with exit code {done.returncode}: {' '.join(words)}\n{done.stdout}")
    return done.stdout


class Platforms:
    """The platforms of a release with the files that cargo has built for them."""

    def __init__(self, tools: Environment, work: Path) -> None:
        self.tools, self.work = tools, work
        self.built: dict[str, dict[str, Path]] = {}

    def build(self, name: str) -> None:
        """Builds the library."""
        one = PLATFORMS[name]
        triples = [PLATFORMS[part].triple for part in one.parts] or [one.triple]
        if missing := [triple for triple in triples if not has_target(triple)]:
            raise MissingToolError(f"not installed: rustup target add {' '.join(missing)}")
        tools = ("gcc", "dlltool", "objdump", "strip") if one.is_windows else ("ld", "objcopy") if one.is_linux else ()
        need(*(f"{one.binutils}{tool}" for tool in tools))
        print(f"== {name}: {one.target}", flush=True)
        self.built[name] = make_wheels.libraries(one)

    def pack(self, name: str) -> None:
        """Makes what belongs to this platform alone."""
        one, built = PLATFORMS[name], self.built[name]
        if not one.tags:
            return
        wheel = make_wheels.pack(self.tools.python, one, built, self.work / name)
        make_wheels.check(self.tools.python, wheel)
        wheel.replace(FOLDER / wheel.name)
        if one.is_windows:
            zig = [str(self.tools.python), "-m", "ziglang", "dlltool"]
            windows_archive.pack(built["cdylib"], self.work, FOLDER, zig)
            return
        if one.is_macos:
            macos_archive.pack(built["cdylib"], self.work, FOLDER)
            return
        built["archive"] = self.c_archive(one, built["staticlib"])
        if not one.is_musl:
            pack.go(self.work, built["archive"], one.triple, self.work)

    def c_archive(self, one: Platform, library: Path) -> Path:
        """Packs what `make install` makes. Returns the archive in it."""
        name = f"plexindex-{version()}-{one.triple}"
        # Where `make install` adds no way to the system's unwinder, zig's is in the shared object, as in the wheel's.
        unwinder = ["-lunwind"] if one.is_musl or one.triple.startswith("armv7") else []
        zig = [str(self.tools.python), "-m", "ziglang", "cc", *one.zig, *unwinder]
        variables = {name: f"{one.binutils}{name.lower()}" for name in ("LD", "AR", "OBJCOPY")}
        variables |= {"CC": " ".join(zig), "PLEXINDEX_ARCHIVE": str(library), "CARGO_BUILD_TARGET": one.triple}
        place = {"DESTDIR": str(self.work), "PREFIX": f"/{name}"}
        run(sys.executable, ROOT / "scripts" / "install.py", "install", **variables, **place)
        archives.pack(archives.tree(self.work / name), name, make_dist.commit_time(), FOLDER / f"{name}.tar.gz")
        return self.work / name / "lib" / "libplexindex.a"

    def packages(self) -> dict[str, Path]:
        """The libraries, by the names of their platforms in npm."""
        return {PLATFORMS[name].npm: built["cdylib"] for name, built in self.built.items() if PLATFORMS[name].npm}

    def gems(self) -> None:
        """A gem for each platform with 64 bits: the binding has the structs' layout from there."""
        need("gem")
        for name, built in self.built.items():
            if not PLATFORMS[name].is_linux or not PLATFORMS[name].has_64_bits:
                continue
            pack.gem(FOLDER, built["cdylib"], PLATFORMS[name].triple, make_packages.fresh(self.work / "gem" / name))

    def rocks(self) -> None:
        """A rock for each processor: luarocks has no names for C libraries."""
        need("luarocks", "luajit")
        for name, built in self.built.items():
            if PLATFORMS[name].is_linux and not PLATFORMS[name].is_musl:
                work = make_packages.fresh(self.work / "rock" / name)
                archives.repack(pack.rock(FOLDER, built["cdylib"], PLATFORMS[name].triple, work))

    def npm(self) -> None:
        """The package, and one for each platform."""
        need("npm")
        os.environ["PUBLISHED"] = "1"
        folders = make_packages.npm(self.packages(), make_packages.fresh(self.work / "npm"))
        run("npm", "pack", "--silent", f"--pack-destination={FOLDER}", *folders)

    def jar(self) -> None:
        """One JAR with the libraries."""
        need("javac", str(make_packages.JNA))
        make_packages.jar(self.packages(), FOLDER)

    def nuget(self) -> None:
        """One package with the libraries."""
        need("npm")
        if not dotnet.is_there():
            raise MissingToolError("the .NET SDK of npm is for x86-64 with glibc")
        (folder,) = make_packages.csharp(self.packages(), make_packages.fresh(self.work / "csharp"))
        dotnet.pack(build_folder() / "dotnet", folder, FOLDER)

    def go(self) -> None:
        """The module as Go's proxy serves it, with the archives for glibc."""
        number, module = f"v{version()}", self.work / "go"
        if not module.is_dir():
            raise MissingToolError("no platform with glibc was built")
        files = archives.tree(module)
        packed = {f"{MODULE}@{number}/{path}": file[0] for path, file in sorted(files.items())}
        archives.pack_zip(packed, FOLDER / f"plexindex-go-{number}.zip")  # type: ignore[arg-type] # there are no links


def crate() -> None:
    """The crate, which cargo builds from the package alone."""
    run(build_dist.find_cargo(), "package", "--locked", "--quiet", "--package=plexindex")
    name = f"plexindex-{version()}.crate"
    shutil.copyfile(target_folder() / "package" / name, FOLDER / name)


def papers(names: list[str]) -> None:
    """The licences of all that is linked, and the bill of materials."""
    triples = [*dict.fromkeys(PLATFORMS[name].triple for name in names)]
    texts = (f"#### {triple}\n\n{licences.text(triple)}" for triple in triples)
    (FOLDER / "THIRD-PARTY").write_text("\n".join(texts), encoding="utf-8")
    (FOLDER / f"plexindex-{version()}.cdx.json").write_text(sbom.text(triples), encoding="utf-8")


def digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file."""
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}


def compare(other: Path) -> int:
    """Prints the files that differ. Returns an exit code."""
    here, there = digests(FOLDER), digests(other)
    differ = [name for name in here.keys() & there.keys() if here[name] != there[name]]
    lines = [f"differs: {name}" for name in sorted(differ)]
    lines += [f"in one folder only: {name}" for name in sorted(here.keys() ^ there.keys())]
    print(*lines, sep="\n")
    print(f"{len(here.keys() & there.keys()) - len(differ)} files are the same, {len(differ)} differ")
    return int(bool(differ or not here))


def make(names: list[str], tools: Environment, work: Path) -> dict[str, str]:
    """Makes all files. Returns what was skipped, and why."""
    skipped: dict[str, str] = {}

    def attempt(what: str, maker: Callable[[], object]) -> None:
        try:
            maker()
        except MissingToolError as error:
            skipped[what] = str(error)

    platforms = Platforms(tools, work)
    for name in names:
        attempt(name, lambda name=name: platforms.build(name))  # type: ignore[misc]
    print("== crate", flush=True)
    crate()
    # Not before: cargo builds C code anew when it changes, and no library tells the time.
    os.environ["SOURCE_DATE_EPOCH"] = str(make_dist.commit_time())
    for name in platforms.built:
        print(f"== {name}", flush=True)
        platforms.pack(name)
    for maker in (platforms.npm, platforms.gems, platforms.rocks, platforms.go, platforms.jar, platforms.nuget):
        print(f"== {maker.__name__}", flush=True)
        attempt(maker.__name__, maker)
    print("== sources", flush=True)
    sdist = make_wheels.pack_sources(tools.python, work / "sdist")
    sdist.replace(FOLDER / sdist.name)
    make_dist.make(FOLDER)
    papers([*platforms.built])
    return skipped


def main() -> int:
    """Makes a release, or compares two."""
    if sys.argv[1:2] == ["--compare"] and len(sys.argv) == 3:
        return compare(Path(sys.argv[2]))
    names = sys.argv[1:] or list(PLATFORMS)
    if unknown := [name for name in names if name not in PLATFORMS]:
        sys.exit(f"no platform is called {', '.join(unknown)}: there are {', '.join(PLATFORMS)}")
    check_python()
    if release_checks.is_strict() and (unready := release_checks.find_unready()):
        sys.exit("\n".join(unready))
    make_dist.check_commit()
    # The modes of files are in archives, too.
    os.umask(0o022)
    tools = make_wheels.tools()
    make_packages.fresh(FOLDER)
    with tempfile.TemporaryDirectory() as work:
        try:
            skipped = make(names, tools, Path(work))
        except (build_dist.BuildError, make_wheels.WheelError) as error:
            sys.exit(str(error))
    sums = digests(FOLDER)
    (FOLDER / "SHA256SUMS").write_text(
        "".join(f"{digest}  {name}\n" for name, digest in sums.items()), encoding="utf-8"
    )
    width = max(map(len, sums))
    for name in sums:
        print(f"{name:<{width}} {(FOLDER / name).stat().st_size:>12,}")
    for what, why in skipped.items():
        print(f"skipped: {what}: {why}")
    left_out = [(name, "not named") for name in PLATFORMS if name not in names]
    return release_checks.report([*skipped.items(), *left_out])


if __name__ == "__main__":
    sys.exit(main())
