"""Installs the library for C, or removes it again: `make install`, `make uninstall`.

    scripts/install.py install|uninstall

PREFIX (/usr/local) is where it will live; DESTDIR, a folder to put before that, is for packagers. LIBDIR (lib),
INCLUDEDIR (include), MANDIR (share/man) and DATADIR (share) are relative to PREFIX. CC, LD, AR and OBJCOPY name other
tools, PLEXINDEX_ARCHIVE an archive that rustc made elsewhere, and CARGO_BUILD_TARGET its platform. Without DESTDIR,
what was made is written to DATADIR/plexindex/installed, and uninstall removes that and nothing else.

The archive and the shared object are made here from the archive that rustc makes, and not by rustc: it gives the shared
object neither a soname nor symbol versions, and its archive exports what a host may have too, such as sqlite3_*.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path, PurePosixPath

import abi
import licences
from build_dist import ROOT, BuildError, build
from environment import host_triple

PACKAGING = ROOT / "packaging"
EXPORTED = "plexindex_*"
# Libraries that the C compiler's driver adds by itself, in another form with `-static`.
IMPLICIT = {"-lc", "-lgcc_s"}


class Place:
    """The folders of an installation."""

    def __init__(self) -> None:
        prefix = os.environ.get("PREFIX") or "/usr/local"
        if not prefix.startswith("/"):
            sys.exit(f"PREFIX={prefix}: give a path that begins with /; DESTDIR is what stands before it")
        destination = os.environ.get("DESTDIR") or ""
        self.prefix, self.is_staged = prefix.rstrip("/"), bool(destination)
        self.root = Path(f"{os.path.abspath(destination)}{prefix}" if destination else prefix)
        self.libdir = folder("LIBDIR", "lib")
        self.includedir = folder("INCLUDEDIR", "include")
        self.mandir = folder("MANDIR", "share/man")
        self.datadir = folder("DATADIR", "share")
        self.record = f"{self.datadir}/plexindex/installed"


def folder(name: str, usual: str) -> str:
    """A folder below PREFIX."""
    given = os.environ.get(name) or usual
    if given.startswith("/") or ".." in given.split("/") or re.search(r"[\s$\\\"]", given):
        sys.exit(f"{name}={given}: give a folder below PREFIX, such as {usual}")
    return str(PurePosixPath(given))


def version() -> str:
    """The package's version."""
    manifest = (ROOT / "Cargo.toml").read_text(encoding="utf-8")
    found = re.search(r'^\[workspace\.package\]\nversion = "([^"]+)"', manifest, re.MULTILINE)
    assert found is not None
    return found[1]


def run(*command: str | Path) -> None:
    """Runs a tool; ends this program when it fails."""
    try:
        done = subprocess.run([str(word) for word in command], check=False)
    except OSError as error:
        sys.exit(f"{command[0]} does not run ({error}): install a C compiler and binutils, or set CC, LD, OBJCOPY")
    if done.returncode:
        sys.exit(f"failed with exit code {done.returncode}: {' '.join(map(str, command))}")


def target_triple() -> str:
    """The platform that the build is for, if it is not this machine's."""
    return os.environ.get("CARGO_BUILD_TARGET") or ""


def tool(name: str, usual: str) -> list[str]:
    """A tool of the environment, with its arguments."""
    return (os.environ.get(name) or usual).split()


def private_libraries() -> list[str]:
    """The libraries that the archive needs, from rustc."""
    with tempfile.TemporaryDirectory() as work:
        command = [os.environ.get("RUSTC") or "rustc", "--crate-type=staticlib", "--print=native-static-libs"]
        command += [f"--target={target_triple()}"] if target_triple() else []
        # The host's compiler adds its unwinder; otherwise rustc names another one, which Alpine lacks.
        command += ["-Ctarget-feature=-crt-static"] if "-musl" in target_triple() else []
        command += ["--crate-name=empty", f"--out-dir={work}", "-"]
        try:
            done = subprocess.run(command, input="", capture_output=True, text=True, check=False)
        except OSError as error:
            sys.exit(f"{command[0]} does not run ({error}): install Rust, or set RUSTC")
    found = re.search(r"native-static-libs: (.*)", done.stderr)
    if found is None:
        sys.exit(f"rustc does not say which libraries an archive needs: {done.stderr}")
    return [library for library in dict.fromkeys(found[1].split()) if library not in IMPLICIT]


def make_archive(built: Path, target: Path, work: Path) -> None:
    """One object in which only our functions are global, so that a host keeps its own SQLite, zlib and Rust."""
    whole = work / "whole.o"
    # Groups of sections are dissolved: the linker keeps one of each name, and other Rust libraries use the same names.
    run(*tool("LD", "ld"), "-r", "--force-group-allocation", "--whole-archive", built, "-o", whole)
    # Bitcode of Rust's library is removed: binutils hand such an object to LLVM's plugin, which fails.
    bitcode = ["--remove-section=.llvmbc", "--remove-section=.llvmcmd"]
    local = ["--wildcard", f"--keep-global-symbol={EXPORTED}", "--strip-unneeded"]
    run(*tool("OBJCOPY", "objcopy"), *local, *bitcode, whole)
    target.unlink(missing_ok=True)
    run(*tool("AR", "ar"), "rcsD", target, whole.rename(work / "plexindex.o"))


def has_glibc() -> bool:
    """Whether the build is for glibc."""
    return "-gnu" in target_triple() if target_triple() else platform.libc_ver()[0] == "glibc"


def pointer() -> int:
    """The bytes of an address."""
    return 4 if target_triple().startswith(("arm", "i686")) else struct.calcsize("P")


def make_shared(archive: Path, target: Path, soname: str, libraries: list[str], work: Path) -> None:
    """Links the archive as a shared object with a soname and a version for each function."""
    script = work / "plexindex.map"
    script.write_text(abi.version_script(abi.FILE.read_text(encoding="utf-8")), encoding="utf-8")
    flags = [f"-Wl,--version-script={script}", f"-Wl,-soname,{soname}", "-Wl,-z,defs,-z,relro,-z,now"]
    flags += ["-Wl,-z,noexecstack", "-Wl,--gc-sections,-O1,--as-needed,--build-id", "-s"]
    # zig's linker refuses relocations of code by itself, and knows no such flag.
    flags += [] if "ziglang" in tool("CC", "cc") else ["-Wl,-z,text"]
    # As rustc links it: libgcc_s is loaded by the first panic, but on ARM.
    loads_unwinder = has_glibc() and not (target_triple() or platform.machine()).startswith("arm")
    unwinder = ["-O2", "-fPIC", "-fexceptions", str(ROOT / "src" / "platform" / "unwind.c")] if loads_unwinder else []
    whole = ["-Wl,--whole-archive", str(archive), "-Wl,--no-whole-archive"]
    run(*tool("CC", "cc"), "-shared", *flags, "-o", target, *unwinder, *whole, *libraries, "-ldl")


def up(path: str) -> str:
    """The relative path from a folder below PREFIX to PREFIX."""
    return "/".join([".."] * len(PurePosixPath(path).parts))


def completions(place: Place, made: Path) -> dict[str, Path | str]:
    """What makes shells complete the command, with its places: as a user installs it, below another folder."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "bindings" / "python" / "src"), "XDG_DATA_HOME": str(made)}
    for shell in ("bash", "zsh", "fish"):
        command = [sys.executable, "-m", "plexindex", "completion", "--install", shell]
        subprocess.run(command, env=environment, capture_output=True, check=True)
    return {f"{place.datadir}/{file.relative_to(made)}": file for file in made.rglob("*") if file.is_file()}


def stage(place: Place, stage: Path, work: Path) -> dict[str, Path | str]:
    """All files by their path below PREFIX: a file to copy, or the target of a link."""
    whole = version()
    major = whole.split(".")[0]
    named = os.environ.get("PLEXINDEX_ARCHIVE")
    if named and not Path(named).is_file():
        sys.exit(f"PLEXINDEX_ARCHIVE={named}: there is no such file")
    try:
        built = Path(named) if named else build()["staticlib"]
    except BuildError as error:
        sys.exit(str(error))
    libraries = private_libraries()
    archive, shared = stage / "libplexindex.a", stage / f"libplexindex.so.{whole}"
    make_archive(built, archive, work)
    make_shared(archive, shared, f"libplexindex.so.{major}", libraries, work)
    lib = place.libdir
    files: dict[str, Path | str] = {
        f"{lib}/{archive.name}": archive,
        f"{lib}/{shared.name}": shared,
        f"{lib}/libplexindex.so.{major}": shared.name,
        f"{lib}/libplexindex.so": f"libplexindex.so.{major}",
        f"{place.mandir}/man1/plexindex.1": ROOT / "docs" / "plexindex.1",
    }
    files |= completions(place, work / "completions")
    for header in [*abi.HEADERS, ROOT / "bindings" / "cpp" / "plexindex.hpp"]:
        files[f"{place.includedir}/{header.name}"] = header
    for licence in sorted(ROOT.glob("LICENSE-*")):
        files[f"{place.datadir}/licenses/plexindex/{licence.name}"] = licence
    files[f"{place.datadir}/licenses/plexindex/THIRD-PARTY"] = third_party(stage)
    files |= {f"{place.datadir}/doc/plexindex/{name}": page for name, page in documents(stage).items()}
    for template in sorted(PACKAGING.glob("*.in")):
        cmake = template.stem.endswith(".cmake")
        below = f"{lib}/cmake/plexindex" if cmake else f"{lib}/pkgconfig"
        values = {
            # Elsewhere the folder may be moved; pkg-config leaves out the folders of /usr, by this name alone.
            "PREFIX": "/usr" if place.prefix == "/usr" else f"${{pcfiledir}}/{up(below)}",
            "VERSION": whole,
            "MAJOR": major,
            "LIBDIR": lib,
            "INCLUDEDIR": place.includedir,
            "UP": up(below),
            "PRIVATE": ";".join(name[2:] for name in libraries) if cmake else " ".join(libraries),
            "POINTER": str(pointer()),
        }
        text = template.read_text(encoding="utf-8")
        for name, value in values.items():
            text = text.replace(f"@{name}@", value)
        made = stage / template.stem
        made.write_text(text, encoding="utf-8")
        files[f"{below}/{template.stem}"] = made
    return files


def third_party(stage: Path) -> Path:
    """The licences of the crates in the library."""
    try:
        host = host_triple(os.environ.get("RUSTC") or "rustc")
        text = licences.text(target_triple() or host, ("plexindex",))
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"the crates in the library cannot be listed ({error}): install where cargo has built it")
    made = stage / "THIRD-PARTY"
    made.write_text(text, encoding="utf-8")
    return made


def documents(stage: Path) -> dict[str, Path]:
    """The pages and the examples, by their path below the folder for documents. Links lead to what is installed; of
    other pages their path in the repository is named.
    """
    examples = ROOT / "examples" / "c"
    files = [*examples.glob("*.c"), examples / "CMakeLists.txt", examples / "README.md"]
    files += (ROOT / "examples" / "cpp").glob("*.cpp")
    made = {f"examples/{file.name}": file for file in sorted(files)}
    named = ("c.md", "abi.md", "answers.md", "install.md", "plex-database.md", "design/storage.md")
    pages = {Path(name).name: ROOT / "docs" / name for name in named}
    pages["cpp.md"] = ROOT / "bindings" / "cpp" / "README.md"
    names = {file: name for name, file in (made | pages).items()}
    for name, page in pages.items():

        def installed(link: re.Match[str], folder: Path = page.parent) -> str:
            text, target, anchor = link[1], Path(os.path.normpath(folder / link[2])), link[3] or ""
            return f"[{text}]({names[target]}{anchor})" if target in names else f"`{target.relative_to(ROOT)}`"

        text = re.sub(r"\[([^\]]*)\]\(([\w./-]+\.\w+)(#[\w-]+)?\)", installed, page.read_text(encoding="utf-8"))
        made[name] = stage / name
        made[name].write_text(text, encoding="utf-8")
    return made


def put(source: Path | str, target: Path) -> None:
    """Copies a file, or makes a link. A file that a process has mapped is replaced, not overwritten."""
    new = target.with_name(f".{target.name}.new")
    new.unlink(missing_ok=True)
    if isinstance(source, Path):
        shutil.copyfile(source, new)
        new.chmod(0o755 if ".so" in target.suffixes else 0o644)
    else:
        new.symlink_to(source)
    new.replace(target)


def check(place: Place) -> None:
    """Ends this program if nothing can be installed, before the build, which takes minutes."""
    for below in (place.libdir, place.includedir, place.mandir, place.datadir):
        target = place.root / below
        there = next(one for one in (target, *target.parents) if os.path.lexists(one))
        if not there.is_dir():
            sys.exit(f"{there} is no folder: give another PREFIX or DESTDIR")
        if not os.access(there, os.W_OK | os.X_OK):
            sys.exit(
                f"you may not write to {there}: give a PREFIX of your own; or call `make install DESTDIR=$PWD/stage`, "
                "and copy what that makes as root"
            )


def install() -> None:
    """Builds and installs. Files of an earlier version that this one lacks are removed."""
    place = Place()
    check(place)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "stage").mkdir()
        files = stage(place, Path(folder, "stage"), Path(folder))
        before = read_record(place)
        made = [line for line in before if line.endswith("/")]
        for path, source in files.items():
            target = place.root / path
            made += make_folders(place.root, target.parent)
            put(source, target)
            print(f"  {target}")
        if place.is_staged:
            return  # a package manager knows what it installed
        made += make_folders(place.root, (place.root / place.record).parent)
    for path in before:
        if not path.endswith("/") and path not in files:
            (place.root / path).unlink(missing_ok=True)
    record = place.root / place.record
    record.write_text("".join(f"{line}\n" for line in [*files, *made]), encoding="utf-8")
    record.chmod(0o644)
    lib = place.root / place.libdir
    print(f"Where programs do not find the shared object, run ldconfig, or link with -Wl,-rpath,{lib}")


def make_folders(root: Path, folder: Path) -> list[str]:
    """Makes a folder. Returns the folders that were made, as lines of the record, the outermost first."""
    missing = [one for one in [folder, *folder.parents] if not one.exists()]
    for one in reversed(missing):
        one.mkdir()
        one.chmod(0o755)
    inside = [one for one in reversed(missing) if root in one.parents]
    return [f"{one.relative_to(root)}/" for one in inside]


def read_record(place: Place) -> list[str]:
    """The installed files, and folders with a / at the end."""
    try:
        lines = (place.root / place.record).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    if strange := [line for line in lines if line.startswith("/") or ".." in line.split("/")]:
        sys.exit(f"{place.root / place.record} names {strange[0]}, which is not below {place.root}")
    return lines


def uninstall() -> None:
    """Removes the installed files, and the folders that were made for them if they are empty."""
    place = Place()
    lines = read_record(place)
    if not lines:
        sys.exit(f"plexindex is not installed there: there is no {place.root / place.record}; give the same PREFIX")
    for line in [*lines, place.record]:
        if not line.endswith("/"):
            (place.root / line).unlink(missing_ok=True)
    for line in sorted((line for line in lines if line.endswith("/")), key=len, reverse=True):
        try:
            (place.root / line).rmdir()
        except OSError:
            print(f"  {place.root / line} stays: it is not empty")


def main() -> int:
    """Installs or uninstalls."""
    if sys.argv[1:] not in (["install"], ["uninstall"]):
        sys.exit(__doc__)
    if sys.platform != "linux":
        sys.exit("make install needs Linux and its binutils: docs/c.md says what to do elsewhere")
    try:
        {"install": install, "uninstall": uninstall}[sys.argv[1]]()
    except OSError as error:
        sys.exit(f"{error.filename or 'make'}: {error.strerror or error}: mend that, and call it again")
    return 0


if __name__ == "__main__":
    sys.exit(main())
