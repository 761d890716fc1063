"""Finds files that were renamed while `plexindex changes --follow` waits."""

from __future__ import annotations

import os
import threading
import time

from .._errors import ClosedError, Error
from .._places import Places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from .._index import Index, Library
    from .._items import Item
    from .._library import LibraryInfo

EVERY = 600.0
"""Seconds between two walks of the disk, by default."""
# Maximum number of seconds until the server is asked again for the same items.
_LONGEST_PAUSE = 3600.0


class RenameWatch:
    """Compares the folders of the libraries with the disk from time to time, on a thread of its own.

    A rename may move no clock of the server. It leaves a file that is gone and one that is new. If a library has both,
    the server is asked for the items of those that are gone, as `plexindex diff` does, and the feed has what changed.
    Otherwise no request is sent.
    """

    def __init__(self, index: Index, library: Library | None, every: float) -> None:
        self._index, self._library, self._every = index, library, every
        # The items that the server was asked for last, how long to wait until it is asked again, and from when on.
        self._asked: frozenset[tuple[str, str, str | None]] = frozenset()
        self._pause = self._next = 0.0

    def start(self) -> None:
        """Starts the thread. It ends when the index is closed."""
        threading.Thread(target=self._run, name="plexindex-renames", daemon=True).start()

    def look(self) -> None:
        """Walks the folders that are on this machine, once."""
        places = Places(self._index, self._library or self._index.library())
        if not places.names.known:
            return
        places.reload(self._index.libraries(offline=True))
        there = [folder for folder in sorted(places.locations) if os.path.isdir(folder)]
        if not there:
            return
        found = self._index.compare(there, self._library)
        found._ask_only_if(self._is_due)
        for _ in found:
            pass

    def _run(self) -> None:
        while self._index.is_open:
            try:
                self.look()
            except ClosedError:
                return
            except Error:
                # The server is away, or a folder has gone meanwhile. The feed itself reports what lasts.
                pass
            time.sleep(self._every)

    def _is_due(self, unsure: Collection[tuple[LibraryInfo, Item]]) -> bool:
        """Returns whether to ask for these items now. For the same ones the pause doubles each time."""
        items = frozenset((library.uuid, item.rating_key, item.path) for library, item in unsure)
        now = time.monotonic()
        is_new = items != self._asked
        if not items or (not is_new and now < self._next):
            return False
        self._pause = self._every if is_new else min(self._pause * 2, max(_LONGEST_PAUSE, self._every))
        self._asked, self._next = items, now + self._pause
        return True
