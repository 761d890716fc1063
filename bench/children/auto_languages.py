"""A process of Plex-Auto-Languages: ``auto_languages.py CHECKOUT FOLDER [scan]``, the server in ``PLEX_URL``.

It starts as the program does, with its database in the folder. Each line of its standard input is a command:
``refresh`` refreshes the library, ``handle`` reads the library's title of each episode that came, as the program's
handlers do first. After the start and each command it prints a line of JSON: seconds, peak memory, and the keys that a
refresh gave. ``scan``: refreshes fetch what the server's clocks show, and list nothing again.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import types
from pathlib import Path
from time import perf_counter
from typing import Any

checkout, folder, *mode = sys.argv[1:]
sys.path.insert(0, checkout)
from plex_auto_languages.plex_server import PlexServer  # type: ignore[import-not-found]  # noqa: E402

SETTINGS = {
    "data_dir": folder,
    "ignore_libraries": [""],
    "ignore_filepatterns": [""],
    "plex.connection_max_retries": 1,
    "plex.connection_retry_delay": 0,
}


class Server(PlexServer):  # type: ignore[misc]
    """The program's own, without plex.tv."""

    def _get_logged_user(self) -> Any:
        return types.SimpleNamespace(id="1", name="owner")


def peak() -> int:
    """The most memory since the last call or the start, in KiB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    most = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return most


def tell(begun: float, **more: object) -> None:
    """Prints a line."""
    print(json.dumps({"seconds": perf_counter() - begun, "peak_kib": peak(), **more}), flush=True)


peak()
start = perf_counter()
plex = Server(os.environ["PLEX_URL"], os.environ["PLEX_TOKEN"], None, SETTINGS)
files: Any = getattr(plex.cache, "_episode_files", None)
if mode:
    files.refresh = functools.partial(files.refresh, full=False)
tell(start, with_plexindex=files is not None)
found: tuple[list[Any], list[Any]] = ([], [])
for line in sys.stdin:
    start = perf_counter()
    if line.strip() == "refresh":
        found = plex.cache.refresh_library_cache()
    for item in found[0] + found[1] if line.strip() == "handle" else []:
        # Later versions return objects of their own.
        _ = item.library_section_title if type(item).__name__ == "EpisodeRef" else item.librarySectionTitle
    tell(start, added=sorted(item.key for item in found[0]), updated=sorted(item.key for item in found[1]))
