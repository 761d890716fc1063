"""Packs the library for C programs on Windows: plexindex-VERSION-x86_64-pc-windows-gnu.zip, of `make release`.

The DLL is linked by MinGW and needs only what Windows has. MinGW links with libplexindex.dll.a, and Microsoft's
compiler with plexindex.lib, which zig's dlltool makes: both name the functions of the headers and nothing else.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import abi
import install
import licences
from archives import pack_zip, tree
from environment import ROOT
from install import version

TRIPLE = "x86_64-pc-windows-gnu"
TOOLS = "x86_64-w64-mingw32-"
LIBRARY = "plexindex.dll"
NAME = f"plexindex-{version()}-{TRIPLE}"
# What each Windows from 10 on has.
SYSTEM = {
    *("advapi32.dll", "bcrypt.dll", "bcryptprimitives.dll", "crypt32.dll", "kernel32.dll", "msvcrt.dll"),
    *("ntdll.dll", "secur32.dll", "userenv.dll", "ws2_32.dll"),
}
VIRTUAL = re.compile(r"api-ms-win-core-[\w-]+\.dll")


class ArchiveError(Exception):
    """The DLL is not what programs expect. The text says how."""


def tables(library: Path) -> tuple[list[str], list[str]]:
    """What a DLL exports, and the DLLs that it needs."""
    said = subprocess.run([f"{TOOLS}objdump", "-p", library], check=True, stdout=subprocess.PIPE, text=True).stdout
    names = said.partition("[Ordinal/Name Pointer] Table")[2].partition("\n\n")[0]
    exported = re.findall(r"^\s*\[ *\d+\](?: \+base\[ *\d+\]\s+[0-9a-f]+)? (\w+)$", names, re.MULTILINE)
    needed = {name.lower() for name in re.findall(r"^\s*DLL Name: (\S+)$", said, re.MULTILINE)}
    return exported, sorted(needed)


def check(library: Path) -> None:
    """Raises an error unless the DLL exports the functions of the headers, and needs what each Windows has."""
    exported, needed = tables(library)
    if differs := set(abi.functions()) ^ set(exported):
        raise ArchiveError(f"{library} exports other functions than the headers have: {', '.join(sorted(differs))}")
    if foreign := [name for name in needed if name not in SYSTEM and not VIRTUAL.fullmatch(name)]:
        raise ArchiveError(f"{library} needs {', '.join(foreign)}, which Windows lacks")


def import_libraries(folder: Path, microsoft: list[str]) -> None:
    """What compilers link with: for MinGW, and with this dlltool of LLVM for Microsoft's linker."""
    definition = folder / "plexindex.def"
    lines = [f"LIBRARY {LIBRARY}", "EXPORTS", *(f"    {name}" for name in abi.functions())]
    definition.write_text("\n".join([*lines, ""]), encoding="ascii")
    common = ["-m", "i386:x86-64", "-d", definition.name, "-D", LIBRARY]
    # The names and times of members are fixed, so that the same commit gives the same bytes.
    gnu = [f"{TOOLS}dlltool", "--deterministic-libraries", "--temp-prefix=plexindex", *common]
    subprocess.run([*gnu, "-l", "libplexindex.dll.a"], cwd=folder, check=True)
    if microsoft:
        subprocess.run([*microsoft, *common, "-l", "plexindex.lib"], cwd=folder, check=True)
    definition.unlink()


def fill(template: Path, target: Path) -> None:
    """Writes a file of pkg-config or CMake."""
    values = {
        "PREFIX": "${pcfiledir}/../..",
        "VERSION": version(),
        "MAJOR": version().split(".")[0],
        "LIBDIR": "lib",
        "INCLUDEDIR": "include",
        "PRIVATE": "",
        "POINTER": "8",
    }
    text = template.read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


def lay_out(library: Path, folder: Path, microsoft: list[str]) -> None:
    """Writes all files of the archive into a new folder."""
    check(library)
    for name in ("bin", "lib", "include", "licenses"):
        (folder / name).mkdir(parents=True)
    shutil.copyfile(library, folder / "bin" / LIBRARY)
    import_libraries(folder / "lib", microsoft)
    for header in [*abi.HEADERS, ROOT / "bindings" / "cpp" / "plexindex.hpp"]:
        shutil.copyfile(header, folder / "include" / header.name)
    fill(install.PACKAGING / "plexindex.pc.in", folder / "lib" / "pkgconfig" / "plexindex.pc")
    cmake = folder / "lib" / "cmake" / "plexindex"
    version_file = "plexindex-config-version.cmake"
    fill(install.PACKAGING / f"{version_file}.in", cmake / version_file)
    fill(install.PACKAGING / "windows" / "plexindex-config.cmake.in", cmake / "plexindex-config.cmake")
    for licence in ROOT.glob("LICENSE-*"):
        shutil.copyfile(licence, folder / "licenses" / licence.name)
    third_party = licences.text(TRIPLE, ("plexindex",))
    (folder / "licenses" / "THIRD-PARTY").write_text(third_party, encoding="utf-8")
    stage = folder / "stage"
    stage.mkdir()
    for name, page in install.documents(stage).items():
        target = folder / "doc" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(page, target)
    shutil.rmtree(stage)
    shutil.copyfile(install.PACKAGING / "windows" / "README.md", folder / "README.md")


def pack(library: Path, work: Path, target: Path, microsoft: list[str]) -> Path:
    """Writes the archive into this folder. Everything in it is in one folder of its name."""
    lay_out(library, work / NAME, microsoft)
    files = sorted(tree(work / NAME).items())
    made = target / f"{NAME}.zip"
    pack_zip({f"{NAME}/{path}": content for path, (content, _) in files if isinstance(content, bytes)}, made)
    return made


def dlltool() -> list[str]:
    """LLVM's dlltool of the system, or nothing: a release has that of zig."""
    found = shutil.which("llvm-dlltool")
    return [found] if found else []
