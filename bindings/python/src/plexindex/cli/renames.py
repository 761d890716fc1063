"""Finds files that are renamed while `plexindex changes --watch` runs."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection

from ..compare.places import Places
from ..errors import ClosedError, Error
from ..index import Index
from ..item import Item
from ..library import Library

# Seconds between two walks of the disk by default, and at most between two requests for the same items.
DEFAULT_SECONDS, _LONGEST_PAUSE = 600.0, 3600.0


class RenameWatch:
    """Periodically compares the libraries' folders with the disk, on a separate thread.

    The server does not always report a rename, but each rename leaves a missing file and a new file. If a library has
    both, the thread requests the items of the missing files, as `plexindex diff` does, so that the feed reports them.
    """

    def __init__(self, index: Index, library: Library, seconds: float) -> None:
        self._index, self._library, self._seconds = index, library, seconds
        # The items in the last request, the pause after it, and the earliest time to request the same items again.
        self._asked_items: frozenset[tuple[str, str, str | None]] = frozenset()
        self._pause = self._next_time = 0.0

    def start(self) -> None:
        threading.Thread(target=self._run, name="plexindex-renames", daemon=True).start()

    def walk(self) -> None:
        places = Places(self._library)
        if not places.names.known:
            return
        places.reload(self._index.libraries(offline=True))
        folders = [folder for folder in sorted(places.locations) if os.path.isdir(folder)]
        if not folders:
            return
        comparison = self._index.compare(folders, self._library)
        comparison._ask_only_if(self._is_due)
        for _ in comparison:
            pass

    def _run(self) -> None:
        while self._index.is_open:
            try:
                self.walk()
            except ClosedError:
                return
            except Error:
                pass  # the server is unreachable, or a folder was removed; the feed reports lasting failures
            time.sleep(self._seconds)

    def _is_due(self, unsure: Collection[tuple[Library, Item]]) -> bool:
        """Returns whether to request the ``unsure`` items now. The pause doubles each time the items are the same."""
        items = frozenset((library.uuid, item.rating_key, item.path) for library, item in unsure)
        now = time.monotonic()
        is_new = items != self._asked_items
        if not items or (not is_new and now < self._next_time):
            return False
        self._pause = self._seconds if is_new else min(self._pause * 2, max(_LONGEST_PAUSE, self._seconds))
        self._asked_items, self._next_time = items, now + self._pause
        return True
