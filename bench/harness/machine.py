"""Which machine and which versions these numbers are of. No host names, no paths."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import sqlite3
import subprocess
import time
from pathlib import Path

PACKAGES = ("plexindex", "diskcache", "diskcache_rs", "lmdb", "plexapi")


def describe(profile: str) -> dict[str, str]:
    """Facts by name."""
    facts = {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": version(["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]),
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0),
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "rustc": version(["rustc", "--version"]),
        "cargo profile": profile,
        "C compiler": version(["cc", "--version"]),
        "sqlite3 of Python": sqlite3.sqlite_version,
    }
    for name in PACKAGES:
        try:
            facts[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            facts[name] = "absent"
    return facts


def load() -> float:
    """Processes that wanted to run in the last minute, this one included."""
    return os.getloadavg()[0]


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found.group(1) if found else platform.processor() or "unknown"


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except (ValueError, OSError):
        return "unknown"


def version(command: list[str]) -> str:
    """The first line that a command prints."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    except OSError:
        return "unknown"
    return done.stdout.splitlines()[0] if done.stdout else "unknown"
