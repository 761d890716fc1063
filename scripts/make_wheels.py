"""Makes a wheel for each platform and checks it: `make wheel`, into build/wheels.

    make_wheels.py [PLATFORM ...]      this machine's platform, those that are named, or `all`; `sdist` for the sources

The library is built by cargo-zigbuild, for Windows with MinGW, so any Linux machine makes all of them; nothing is taken
from its C library. For macOS Apple's SDK is not needed. The tools come from PyPI into an environment of their own,
with what scripts/requirements-wheel.txt pins.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import abi
import build_dist
import frameworks
import licences
import macho
from environment import PACKAGE, ROOT, Environment, build_folder, check_python, target_folder
from platforms import PLATFORMS, Platform

REQUIREMENTS = ROOT / "scripts" / "requirements-wheel.txt"
# Files of each wheel besides the modules.
BUILT = ("plexindex/libplexindex.so", "plexindex/_fast.abi3.so")
BUILT_FOR_WINDOWS = ("plexindex/plexindex.dll", "plexindex/_fast.pyd")
BUILT_FOR_MACOS = ("plexindex/libplexindex.dylib", "plexindex/_fast.abi3.so")
IN_PACKAGE = ("plexindex/py.typed", *BUILT)
IN_METADATA = ("licenses/LICENSE-APACHE", "licenses/LICENSE-MIT", "licenses/THIRD-PARTY", "entry_points.txt")


# The source distribution, which is for each of them.
SOURCES = "sdist"


class WheelError(Exception):
    """A wheel does not match its name. The text says how."""


def here() -> str:
    """The platform of this machine."""
    libc = "manylinux" if platform.libc_ver()[0] == "glibc" else "musllinux"
    name = f"{libc}_{platform.machine()}"
    if sys.platform != "linux" or name not in PLATFORMS:
        sys.exit(
            f"no wheel is made for {sys.platform} on {platform.machine()}: name some of {', '.join(PLATFORMS)}, "
            "or use `pip wheel ./bindings/python`"
        )
    return name


def libraries(one: Platform) -> dict[str, Path]:
    """The library for this platform, shared and on Linux as an archive, too, and the accelerator."""
    if one.parts:
        parts = [libraries(PLATFORMS[name]) for name in one.parts]
        folder = target_folder() / "universal2"
        return {kind: macho.join([part[kind] for part in parts], folder / parts[0][kind].name) for kind in parts[0]}
    if one.is_macos:
        frameworks.write(one.triple)
        os.environ["MACOSX_DEPLOYMENT_TARGET"] = one.oldest
    zig = not one.is_windows
    kinds = tuple(build_dist.KINDS) if one.is_linux else ("cdylib",)
    built = build_dist.build(kinds, target=one.target, zigbuild=zig, flags=one.flags)
    built["accelerator"] = build_dist.build_accelerator(target=one.target, zigbuild=zig, flags=one.flags)
    return {kind: strip(one, file) for kind, file in built.items()} if one.is_windows else built


def strip(one: Platform, library: Path) -> Path:
    """A copy without symbols. rustc leaves some in a DLL, with the builder's folder and names of chance in them.

    MinGW's strip would write the time into it, but for this option.
    """
    copy = library.parent / "stripped" / library.name
    copy.parent.mkdir(exist_ok=True)
    shutil.copy2(library, copy)
    subprocess.run([f"{one.binutils}strip", "--preserve-dates", str(copy)], check=True)
    return copy


def pack(python: Path, one: Platform, built: dict[str, Path], folder: Path) -> Path:
    """A wheel with this library and this accelerator in it."""
    third_party = build_folder() / "THIRD-PARTY"
    third_party.parent.mkdir(exist_ok=True)
    third_party.write_text(licences.text(one.triple), encoding="utf-8")
    command = [str(python), "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    variables = {
        "PLEXINDEX_PREBUILT": str(built["cdylib"]),
        "PLEXINDEX_PREBUILT_ACCELERATOR": str(built["accelerator"]),
        "PLEXINDEX_PLATFORM_TAG": one.tags,
        "PLEXINDEX_LICENCES": str(third_party),
    }
    subprocess.run(command, cwd=PACKAGE, env={**os.environ, **variables}, check=True, stdout=subprocess.DEVNULL)
    (wheel,) = folder.iterdir()
    return wheel


def pack_sources(python: Path, folder: Path) -> Path:
    """The source distribution."""
    command = [str(python), "-m", "hatchling", "build", "-t", "sdist", "-d", str(folder)]
    subprocess.run(command, cwd=PACKAGE, check=True, stdout=subprocess.DEVNULL)
    (sdist,) = folder.iterdir()
    return sdist


def make(python: Path, name: str, folder: Path) -> Path:
    """Makes and checks the wheel of one platform, or the source distribution, alone in the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    if name == SOURCES:
        return pack_sources(python, folder)
    one = PLATFORMS[name]
    print(f"== {name}: {one.target}", flush=True)
    try:
        wheel = pack(python, one, libraries(one), folder)
    except build_dist.BuildError as error:
        raise WheelError(
            f"{error}\nDoes the Rust toolchain lack the platform? rustup target add {one.triple}"
        ) from error
    check(python, wheel)
    return wheel


def check(python: Path, wheel: Path) -> None:
    """Raises an error if the wheel lacks a file, names folders of the builder, or needs more than its name says."""
    name, version, *_ = wheel.name.split("-")
    tags = wheel.stem.rpartition("-")[2].split(".")
    files = BUILT
    if tags[0].startswith(("win", "macosx")):
        files = BUILT_FOR_WINDOWS if tags[0].startswith("win") else BUILT_FOR_MACOS
    wanted = {"plexindex/py.typed", *files, *(f"{name}-{version}.dist-info/{file}" for file in IN_METADATA)}
    with zipfile.ZipFile(wheel) as archive:
        missing = wanted - set(archive.namelist())
        metadata = archive.read(f"{name}-{version}.dist-info/METADATA").decode()
        parts = [] if missing else [archive.read(file) for file in files]
        built = b"".join(parts)
    if missing:
        raise WheelError(f"{wheel.name} lacks {', '.join(sorted(missing))}")
    if named := [str(folder) for folder in build_dist.folders() if os.fsencode(folder) in built]:
        remedy = "remove target.*.rustflags from cargo's configuration"
        raise WheelError(f"the library in {wheel.name} names {', '.join(named)}: {remedy}")
    if "# plexindex for Python" not in metadata:
        raise WheelError(f"{wheel.name} lacks the README")
    if files == BUILT_FOR_WINDOWS:
        # GCC's and MinGW's own are named so; they would have to be in the wheel.
        if foreign := sorted(set(re.findall(rb"\0(lib[\w+-]+\.dll)\0", built, re.IGNORECASE))):
            raise WheelError(f"{wheel.name} needs {', '.join(map(os.fsdecode, foreign))}, which Windows lacks")
        return
    if files == BUILT_FOR_MACOS:
        check_for_macos(wheel, *parts)
        return
    # It must not look at libraries of this machine: glibc's `libc.so`, a linker script, stops it for musl's wheels.
    command = [str(python), "-m", "auditwheel", "show", "--ldpaths=/nowhere", str(wheel)]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = " ".join(done.stdout.split())
    # auditwheel knows musl under Alpine's name for it. musl's loader takes each `libc.*` for itself, and opens no file.
    found = re.search(r"achieve the tag platform tag '(musllinux_\w+)' the following .* be eliminated: libc\.so$", said)
    found = found or re.search(r'is consistent with the following platform tag: "(\w+)"', said)
    if done.returncode or not found:
        raise WheelError(f"auditwheel could not read {wheel.name}: {said}")
    if wrong := [tag for tag in tags if not is_enough(tag, found[1])]:
        raise WheelError(f"{wheel.name} is tagged {', '.join(wrong)}, and its library needs {found[1]}: {said}")


def check_for_macos(wheel: Path, library: bytes, accelerator: bytes) -> None:
    """Raises an error if a Mac would not load these."""
    one = PLATFORMS["macosx_universal2"]
    slices = [PLATFORMS[name] for name in one.parts]
    processors = {part.triple.split("-")[0]: part.oldest for part in slices}
    try:
        macho.check(library, processors, abi.functions())
        macho.check(accelerator, processors, ["PyInit__fast"])
    except macho.MachError as error:
        raise WheelError(f"{wheel.name}: {error}") from error


def is_enough(tag: str, needed: str) -> bool:
    """Whether each system with the first tag has the second one too: of one C library, as new, and of one machine."""
    form = re.compile(r"(manylinux|musllinux)_(\d+)_(\d+)_(\w+)")
    has, needs = form.fullmatch(tag.replace("manylinux2014", "manylinux_2_17")), form.fullmatch(needed)
    if not has or not needs:
        return False
    same = (has[1], has[4]) == (needs[1], needs[4])
    return same and (int(has[2]), int(has[3])) >= (int(needs[2]), int(needs[3]))


def tools() -> Environment:
    """The environment with zig and the other tools, which is put before PATH."""
    found = Environment(build_folder() / "wheel-tools")
    found.make(REQUIREMENTS)
    os.environ["PATH"] = f"{found.python.parent}{os.pathsep}{os.environ['PATH']}"
    return found


def main() -> int:
    """Makes the named wheels."""
    check_python()
    names = sys.argv[1:] or [here()]
    wheels = [name for name, one in PLATFORMS.items() if one.tags]
    names = wheels if names == ["all"] else names
    if unknown := [name for name in names if name not in (*wheels, SOURCES)]:
        sys.exit(f"no wheel is made for {', '.join(unknown)}: there are {', '.join(wheels)}, all and {SOURCES}")
    environment = tools()
    folder = build_folder() / "wheels"
    folder.mkdir(exist_ok=True)
    made: list[str] = []
    for name in names:
        begin = time.monotonic()
        try:
            file = make(environment.python, name, folder / name)
        except WheelError as error:
            sys.exit(str(error))
        file = file.replace(folder / file.name)
        (folder / name).rmdir()
        seconds = time.monotonic() - begin
        made.append(f"{file.relative_to(ROOT)}  {file.stat().st_size:,} bytes  {seconds:.0f} s")
    print(*made, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
