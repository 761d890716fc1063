"""Turns listed files that the library did not find on the disk into differences."""

from __future__ import annotations

import os
from array import array
from itertools import islice

from . import _on_disk
from ._difference import Difference
from ._many import Folder
from ._places import is_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ._items import Item
    from ._library import LibraryInfo
    from ._places import Places
    from ._walked import Walk

# Files that one call looks for, and room for those that it does not find.
_FILES, _ROOM = 4096, 1 << 16
# Files that are looked for in a location without visible media.
_FIRST = 1000
# Most files with another spelling that are kept.
_OTHERWISE = 256


class Listed:
    """What a library lists below a folder, in files."""

    __slots__ = ("below_empty", "empty", "files", "gone", "library", "unknown")

    def __init__(self, library: LibraryInfo, empty: Collection[bytes]) -> None:
        """``empty``: empty locations."""
        self.library, self.empty = library, empty
        self.files = self.gone = self.below_empty = self.unknown = 0


class Listing:
    """What is listed below folders, compared with the disk."""

    def __init__(self, places: Places, walk: Walk) -> None:
        self._places, self._walk = places, walk
        self.compared: dict[tuple[str, bytes], Listed] = {}
        """The outcome by library and folder."""
        self.otherwise: list[tuple[LibraryInfo, Item, bytes]] = []
        """Items whose file exists in another spelling only, and that file: it may be another item's now."""
        self._seen = _Seen()

    def forget_seen(self) -> None:
        """Forgets which files of items are further ones."""
        self._seen = _Seen()

    def below(self, library: LibraryInfo, root: bytes, empty: Collection[bytes]) -> Iterator[Difference]:
        """Differences of the files that a library lists below a folder. ``empty``: empty locations."""
        names, places = self._places.names, self._places
        one = self.compared[library.uuid, root] = Listed(library, empty)
        skipped = [place for place in empty if is_in(place, root)]
        is_empty = any(is_in(root, place) for place in empty)
        if is_empty or not names.known:
            one.files = places.files(root, library)
            one.below_empty, one.unknown = (one.files, 0) if is_empty else (0, one.files)
            return
        for item in self._not_found(one, root):
            path = names.host(item.path or "")
            if any(is_in(path, place) for place in skipped):
                one.below_empty += 1
                continue
            try:
                os.stat(path)
            except ValueError:
                is_there = False
            except OSError as error:
                other = _on_disk.spelt_otherwise(path)
                is_there = other is not None and not self._is_listed_itself(other)
                if is_there and other is not None:
                    if len(self.otherwise) < _OTHERWISE:
                        self.otherwise.append((library, item, other))
                elif error.errno not in _on_disk.GONE:
                    one.unknown += 1
                    folder = os.path.dirname(path)
                    if not self._walk.is_unreadable(folder):
                        yield self._walk.not_read(folder, error.errno or 0, [library])
                    continue
            else:
                is_there = True
            if not is_there:
                one.gone += 1
                yield Difference("not_on_disk", path, item, "gone", "it is not on the disk", [library])
            elif self._seen.again(item.rating_key):
                paths = item.paths
                text = f"the item has {len(paths)} files: {', '.join(paths)}"
                yield Difference("several_paths", path, item, "several_files", text, [library])

    def has_any(self, place: bytes) -> bool:
        """Whether one of the first listed files of a location exists, or may exist."""
        index, names = self._places.index, self._places.names
        for library in self._places.locations[place]:
            items = index.items_below(self._places.library(library), place, offline=True)
            for path in (names.host(item.path or "") for item in islice(items, _FIRST)):
                if not _on_disk.is_missing(path) or _on_disk.spelt_otherwise(path) is not None:
                    return True
        return False

    def _not_found(self, one: Listed, root: bytes) -> Iterator[Item]:
        """The items whose files were not found, those with several files, and sometimes another one."""
        index, library, after = self._places.index, self._places.library(one.library), b""
        while True:
            arguments = root, len(root), after, len(after), _FILES
            block = index._do(index._native.list_items_not_on_disk, *arguments, library=library, reserve=_ROOM)
            page = Folder(block, asked=index)
            items = page.candidates
            if not items:
                return
            one.files += page.files
            yield from items
            after = os.fsencode(items[-1].path or "")

    def _is_listed_itself(self, path: bytes) -> bool:
        """Whether a file is listed in exactly this spelling."""
        (answer,) = self._places.index.match_paths(self._places.asked, [path], offline=True)
        return any(self._places.names.host(item.path or "") == path for item in answer.candidates)


class _Seen:
    """The seen items, a bit each: rating keys mostly are small numbers."""

    _MOST = 1 << 27

    def __init__(self) -> None:
        self._bits = array("B", bytes(1 << 16))
        self._others: set[str] = set()

    def again(self, key: str) -> bool:
        """Marks an item as seen. Returns whether it was seen before."""
        if not (key.isascii() and key.isdigit() and len(key) < 10) or int(key) >= self._MOST:
            known = key in self._others
            self._others.add(key)
            return known
        number = int(key)
        at, bit = number >> 3, 1 << (number & 7)
        if at >= len(self._bits):
            self._bits.frombytes(bytes(max(at + 1, 2 * len(self._bits)) - len(self._bits)))
        known = bool(self._bits[at] & bit)
        self._bits[at] |= bit
        return known
