"""Makes a virtual environment with the plexindex wheel in it, and renews only what is out of date.

Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "bindings" / "python"
REQUIREMENTS = ROOT / "scripts" / "requirements-test.txt"
OLDEST = (3, 9)


def build_folder() -> Path:
    """Where environments are made."""
    return ROOT / "build"


def target_folder() -> Path:
    """Where cargo builds."""
    command = [os.environ.get("CARGO", "cargo"), "metadata", "--format-version=1", "--no-deps", "--quiet"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
    return Path(json.loads(done.stdout)["target_directory"]) if done.returncode == 0 else ROOT / "target"


def host_triple(tool: str) -> str:
    """The platform that rustc or cargo builds for when it is given none, such as x86_64-unknown-linux-gnu."""
    said = subprocess.run([tool, "-vV"], stdout=subprocess.PIPE, text=True, check=True).stdout
    found = re.search(r"^host: (\S+)$", said, re.MULTILINE)
    assert found is not None
    return found[1]


def has_target(target: str) -> bool:
    """Whether rustc can build for this platform."""
    command = ["rustc", "--print=target-libdir", f"--target={target}"]
    printed = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    return any(Path(printed.stdout.strip()).glob("libstd-*.rlib"))


def check_python() -> None:
    """Stops with a message if this Python is too old or cannot make environments."""
    if sys.version_info < OLDEST:
        here = ".".join(map(str, sys.version_info[:3]))
        sys.exit(
            f"{sys.executable} is Python {here}, and plexindex needs 3.9 or newer: name another one, make PYTHON=…"
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        sys.exit(f"{sys.executable} cannot make virtual environments: install its venv module (Debian: python3-venv)")


class Environment:
    """A virtual environment, with stamps of what it was made from."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.python = path / "bin" / "python"

    def make(self, requirements: Path | None) -> None:
        """Makes the environment with the packages of a file, or with those that build the wheel."""
        made_of = sys.version.encode() + sys.executable.encode()
        made_of += requirements.read_bytes() if requirements else b""
        if self._is_current("made", made_of):
            return
        run([sys.executable, "-m", "venv", "--clear", str(self.path)])
        wanted = ["-r", str(requirements)] if requirements else ["hatchling>=1.27,<2"]
        self._pip("install", *wanted)
        self._stamp("made", made_of)

    def install(self, library: Path) -> None:
        """Installs the wheel of bindings/python with this library, and with the accelerator beside the library."""
        accelerator = library.with_name(library.name.replace("plexindex", "plexindex_accelerator"))
        built = [library, accelerator] if accelerator.is_file() else [library]
        made_of = b"".join(fingerprint(path) for path in [*built, *sources(PACKAGE)])
        if self._is_current("wheel", made_of):
            return
        # The library is built and hatchling installed, so only the archive is made.
        self._pip(
            "install",
            "--no-build-isolation",
            "--no-deps",
            "--force-reinstall",
            str(PACKAGE),
            PLEXINDEX_PREBUILT=str(library),
            PLEXINDEX_PREBUILT_ACCELERATOR=str(accelerator) if accelerator.is_file() else "",
        )
        self._stamp("wheel", made_of)

    def _pip(self, *arguments: str, **variables: str) -> None:
        command = [str(self.python), "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
        run(command, **variables)

    def _stamp_file(self, name: str) -> Path:
        return self.path / f"{name}.stamp"

    def _is_current(self, name: str, made_of: bytes) -> bool:
        stamp = self._stamp_file(name)
        return stamp.is_file() and stamp.read_text() == hashlib.sha256(made_of).hexdigest()

    def _stamp(self, name: str, made_of: bytes) -> None:
        self._stamp_file(name).write_text(hashlib.sha256(made_of).hexdigest())


def sources(folder: Path) -> list[Path]:
    """The files of the package that git would keep."""
    left_out = {"__pycache__", "dist", "build", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not left_out & set(path.parts) and path.suffix not in (".pyc", ".so", ".dylib", ".dll")
    )


def fingerprint(path: Path) -> bytes:
    """A text that changes with the file."""
    return str(path).encode() + hashlib.sha256(path.read_bytes()).digest()


def run(command: list[str], **variables: str) -> None:
    """Runs a command from the repository's root; ends this program when it fails."""
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **variables}, check=False)
    if done.returncode:
        sys.exit(f"failed with exit code {done.returncode}: {' '.join(command)}")
