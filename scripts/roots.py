"""Folders with another Debian, for programs of other processors and other C libraries: for `make try-release`.

debootstrap fetches the packages into build/roots; they are unpacked and not configured. Programs are started by the C
library's loader, for another processor within qemu: no container engine and no rights but debootstrap's are needed.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from environment import build_folder


@dataclass(frozen=True)
class Root:
    """A Debian: the names that it, GNU, glibc and musl give the processor."""

    debian: str
    gnu: str
    glibc: str
    musl: str
    suite: str = "bookworm"

    @property
    def folder(self) -> Path:
        """Where it is."""
        return build_folder() / "roots" / f"{self.suite}-{self.debian}"

    @property
    def emulator(self) -> str:
        """The emulator, or nothing where the processor is this machine's."""
        cpu = self.gnu.split("-")[0]
        return "" if cpu == platform.machine() else f"qemu-{cpu}-static"

    def missing(self) -> list[str]:
        """The tools that are not installed."""
        tools = [tool for tool in (self.emulator, "debootstrap") if tool and shutil.which(tool) is None]
        return tools or ([] if self.folder.is_dir() or os.geteuid() == 0 else ["the rights of root, for debootstrap"])

    def make(self) -> None:
        """Fetches and unpacks it, once."""
        if self.folder.is_dir():
            return
        work = self.folder.with_suffix(".new")
        shutil.rmtree(work, ignore_errors=True)
        options = [f"--arch={self.debian}", "--variant=minbase", "--include=python3,musl"]
        command = ["debootstrap", "--foreign", *options, self.suite, str(work)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        for package in sorted((work / "var" / "cache" / "apt" / "archives").glob("*.deb")):
            subprocess.run(["dpkg-deb", "--extract", str(package), str(work)], check=True)
            package.unlink()
        work.rename(self.folder)

    def command(self, program: Path) -> str:
        """What starts a program that was linked for glibc."""
        at = self.folder
        paths = f"{at}/lib/{self.gnu}:{at}/usr/lib/{self.gnu}"
        return f"{self.emulator} {at}/usr/lib/{self.glibc} --library-path {paths} {program}".strip()

    def musl_command(self, program: Path, libraries: Path) -> str:
        """What starts a program that was linked for musl."""
        return f"{self.emulator} {self.folder}/lib/{self.musl} --library-path {libraries} {program}".strip()

    def python(self) -> str:
        """The command of its Python."""
        (found,) = (file for file in (self.folder / "usr" / "bin").glob("python3.*") if "-" not in file.name)
        return f"env PYTHONHOME={self.folder}/usr {self.command(found)}"


# By the processor, as wheels call it. The last one has a Python that is newer than this machine's.
ROOTS = {
    "x86_64": Root("amd64", "x86_64-linux-gnu", "x86_64-linux-gnu/ld-linux-x86-64.so.2", "ld-musl-x86_64.so.1"),
    "aarch64": Root("arm64", "aarch64-linux-gnu", "aarch64-linux-gnu/ld-linux-aarch64.so.1", "ld-musl-aarch64.so.1"),
    "armv7l": Root("armhf", "arm-linux-gnueabihf", "arm-linux-gnueabihf/ld-linux-armhf.so.3", "ld-musl-armhf.so.1"),
}
NEWEST = Root("amd64", "x86_64-linux-gnu", "x86_64-linux-gnu/ld-linux-x86-64.so.2", "ld-musl-x86_64.so.1", "sid")
