"""Sets up wine for the tests of the library for Windows, in target/wine, or in target/NAME for WINE=NAME.sh.

Needs wine (8 or newer), MinGW's C compiler and Rust's target x86_64-pc-windows-gnu. Standard library only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from environment import ROOT, has_target

TARGET = "x86_64-pc-windows-gnu"
# Another command for wine, such as scripts/wine10.sh, which has a folder of its own.
WINE = str(ROOT / os.environ["WINE"]) if os.environ.get("WINE") else "wine"
# cargo looks through all folders of a package but this one, and wine's drive Z is the whole disk.
FOLDER = ROOT / "target" / Path(WINE).stem
COMPILER = "x86_64-w64-mingw32-gcc"
# Tests that cannot run there: wine refuses the parameters with which certificates are verified, the state file is not
# used there, and the last ones read sources of this repository.
LEFT_OUT = ("http::", "state_file::", "documented_", "readme::", "source_layers::", "source_systems::")


def missing() -> list[str]:
    """What is not installed, as a person installs it."""
    tools = {WINE: "wine wine64 (Debian)", COMPILER: "gcc-mingw-w64-x86-64 (Debian)"}
    lacking = [package for tool, package in tools.items() if shutil.which(tool) is None]
    if not has_target(TARGET):
        lacking.append(f"rustup target add {TARGET}")
    return lacking


def variables() -> dict[str, str]:
    """What the environment of a build and of its programs has."""
    return {
        "WINEPREFIX": str(FOLDER),
        "WINEDEBUG": "-all",
        f"CARGO_TARGET_{TARGET.upper().replace('-', '_')}_RUNNER": WINE,
    }


def set_up() -> int:
    """Makes the folder that stands for a Windows machine. Returns an exit code."""
    folder = FOLDER
    if (folder / "made").is_file():
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    system = folder / "drive_c" / "windows" / "system32"
    library = system / "bcryptprimitives.dll"
    # Windows 10, since 8's default is 7, where Node.js and Python do not run.
    commands = [[WINE, "winecfg", "-v", "win10"], ["wineserver", "--wait"]]
    for command in commands:
        if shutil.which(command[0]):
            subprocess.run(command, env={**os.environ, **variables()}, check=False, stderr=subprocess.DEVNULL)
    if not library.is_file():
        source = ROOT / "tests" / "windows" / "prng.c"
        command = [COMPILER, "-O2", "-shared", "-s", "-o", str(library), str(source), "-ladvapi32"]
        if code := subprocess.run(command, check=False).returncode:
            return code
    (folder / "made").touch()
    return 0
