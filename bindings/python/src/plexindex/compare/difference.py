"""One difference between a disk and Plex's lists, and the differences of listed files that are not on the disk."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import islice

from .._core import TYPE_CHECKING
from ..item import Item
from . import on_disk
from .places import host_path, is_in

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from .._core.types import DifferenceKind
    from ..library import Library
    from .places import Places
    from .unlisted import Walk

# Maximum number of files that one call requests.
_FILES_PER_CALL = 4096
# Maximum number of files to search in a location without visible media.
_MAX_PROBED = 1000
# Maximum number of stored items whose file has a different spelling on the disk.
_MAX_RESPELLED = 256


@dataclass(frozen=True, repr=False)
class Difference:
    """A difference between a disk and Plex's lists. :meth:`Index.compare` yields these objects."""

    what: DifferenceKind
    """``"not_in_plex"``, ``"not_on_disk"`` or ``"ambiguous"``. Two values are not differences: ``"left_out"`` (Plex
    ignores the file) and ``"several_paths"`` (an additional file of an item).
    """
    path: str
    """The host's path of the file or folder. ``surrogateescape`` decodes bytes that are not UTF-8."""
    is_folder: bool
    """Whether the difference concerns a whole folder, such as a folder outside of all libraries."""
    files: int
    """Number of media files on the disk, or 0 if plexindex did not count them."""
    item: Item | None
    """The item for which Plex lists the path, or for ``"renamed"`` the old path."""
    reason: str
    """The reason: ``"not_scanned"``, ``"renamed"`` (the new name of a missing file, by its size), ``"not_fetched"``,
    ``"no_library"``, ``"mapping_missing"``, ``"not_utf8"``, ``"replaced_characters"``, ``"gone"``,
    ``"location_empty"``, ``"several_items"``, ``"several_files"``, ``"loop"``, ``"linked"`` (compared under another
    path), ``"unreadable"``, or the name of the rule by which Plex ignores the file.
    """
    message: str
    """``reason`` as a sentence."""
    library: str | None
    """Title of the library that lists the path or has a folder above it. None for no library or several libraries."""
    section: str | None
    """Section id of the library."""

    @classmethod
    def _of(
        cls, what: DifferenceKind, path: bytes, item: Item | None, reason: str, message: str,
        owners: Collection[Library] = (), files: int = 0, is_folder: bool = False,
    ) -> Difference:  # fmt: skip
        """Creates a difference. Its library is the item's, or the only owner."""
        (owner,) = owners if len(owners) == 1 and item is None else (None,)
        library, section = (item.library, item.section) if item else (owner.title, owner.section) if owner else ("", "")
        return cls(what, os.fsdecode(path), is_folder, files, item, reason, message, library or None, section or None)

    def to_dict(self) -> dict[str, object]:
        """Returns all fields by name, as JSON values."""
        return {**vars(self), "item": None if self.item is None else self.item.to_dict()}

    def __repr__(self) -> str:
        return f"<plexindex.Difference {self.what} {self.path!r}: {self.reason}>"


class ListedFiles:
    """Numbers of files that a library lists below a folder, by the result of the comparison."""

    __slots__ = ("below_empty", "files", "gone", "unknown")

    def __init__(self) -> None:
        self.files = self.gone = self.below_empty = self.unknown = 0


class Listing:
    """Compares the files that Plex lists below folders with the disk."""

    def __init__(self, places: Places, walk: Walk) -> None:
        self._places, self._walk = places, walk
        self.compared: dict[tuple[str, bytes], ListedFiles] = {}
        """The counts by library and folder."""
        self.respelled: list[tuple[Library, Item]] = []
        """Items whose file exists only in a different spelling, which may now belong to a different item."""
        self.seen: set[str] = set()
        """The keys of the items on the disk, whose further files are additional files."""

    def below(self, library: Library, root: bytes, empty: Collection[bytes]) -> Iterator[Difference]:
        """Yields the differences for files that a library lists below a folder. ``empty``: the empty locations."""
        counts = self.compared[library.uuid, root] = ListedFiles()
        skipped = [place for place in empty if is_in(place, root)]
        is_empty = any(is_in(root, place) for place in empty)
        if is_empty or not self._places.knows_host_paths:
            counts.files = self._places.files(root, library)
            counts.below_empty, counts.unknown = (counts.files, 0) if is_empty else (0, counts.files)
            return
        for item, is_found in self._not_found(library, counts, root):
            if is_found and not skipped and item.rating_key not in self.seen:
                self.seen.add(item.rating_key)
                continue
            path = host_path(item)
            if any(is_in(path, place) for place in skipped):
                counts.below_empty += 1
                continue
            error = on_disk.error_of(path)
            is_there = error is None or path in self._walk.paired
            other = on_disk.spelt_otherwise(path) if error else None
            if other is not None and not any(host_path(one) == other for one in self._candidates(other)):
                is_there = True
                if len(self.respelled) < _MAX_RESPELLED:
                    self.respelled.append((library, item))
            elif error and not on_disk.is_gone(error):
                counts.unknown += 1
                folder = os.path.dirname(path)
                if not any(is_in(folder, known) for known in self._walk.unreadable):
                    yield self._walk.not_read(folder, getattr(error, "winerror", None) or error.errno or 0, [library])
                continue
            if not is_there:
                counts.gone += 1
                yield Difference._of("not_on_disk", path, item, "gone", "the file is not on the disk", [library])
            elif item.rating_key not in self.seen:
                self.seen.add(item.rating_key)
            else:
                paths = item.paths
                text = f"the item has {len(paths)} files: {', '.join(paths)}"
                yield Difference._of("several_paths", path, item, "several_files", text, [library])

    def _candidates(self, path: bytes) -> list[Item]:
        """Returns the items for a file, according to the listings."""
        return self._places.asked.match(path, offline=True).candidates

    def has_any(self, place: bytes) -> bool:
        """Returns whether one of the first listed files of a location exists, or may exist."""
        for library in self._places.locations[place]:
            items = library.items_below(place, offline=True)
            for path in (host_path(item) for item in islice(items, _MAX_PROBED)):
                if not on_disk.is_missing(path) or on_disk.spelt_otherwise(path) is not None:
                    return True
        return False

    def _not_found(self, library: Library, counts: ListedFiles, root: bytes) -> Iterator[tuple[Item, bool]]:
        """Yields items whose file is missing, items with several files, and the last item on each page. The flag says
        whether the file is on the disk.
        """
        index, cursor = self._places.index, None
        while True:
            page = library._request("items.missing", path=root, limit=_FILES_PER_CALL, cursor=cursor)
            counts.files += page["looked_for"]
            yield from ((Item(one["item"], index), one["on_disk"] == "there") for one in page["files"])
            cursor = page.get("cursor")
            if cursor is None:
                return
