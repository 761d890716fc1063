"""What the unit tests of 32-bit Linux need: a compiler, the C library, and for ARM an emulator.

Standard library only.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from environment import has_target

# By Rust's names of the targets: the compiler, the loader of the C library, and the emulator.
PLATFORMS = {
    "armv7-unknown-linux-gnueabihf": ("arm-linux-gnueabihf-gcc", "ld-linux-armhf.so.3", "qemu-arm-static"),
    "i686-unknown-linux-gnu": ("i686-linux-gnu-gcc", "ld-linux.so.2", ""),
}


def missing(target: str) -> list[str]:
    """What is not installed."""
    compiler, _, emulator = PLATFORMS[target]
    lacking = [tool for tool in (compiler, emulator) if tool and shutil.which(tool) is None]
    return lacking if has_target(target) else [*lacking, f"rustup target add {target}"]


def variables(target: str) -> dict[str, str]:
    """What the environment of a build and of its tests has."""
    compiler, loader, emulator = PLATFORMS[target]
    libraries = Path("/usr") / compiler.removesuffix("-gcc") / "lib"
    # Through the loader: told a root, the emulator would look for all files of a test below it.
    runner = f"{emulator} {libraries / loader} --library-path {libraries}".strip()
    name = f"CARGO_TARGET_{target.upper().replace('-', '_')}"
    return {f"CC_{target.replace('-', '_')}": compiler, f"{name}_LINKER": compiler, f"{name}_RUNNER": runner}
