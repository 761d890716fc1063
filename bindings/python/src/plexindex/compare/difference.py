"""One difference between a disk and Plex's lists, and where differences come from: findings of the library's disk walk,
and listed files that are missing from the disk.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import islice, takewhile

from .._core import TYPE_CHECKING
from .._core.callbacks import Stoppable
from .._core.convert import path_of
from .._core.paths import components, folder_of
from ..errors import AbortedError
from ..item import Item
from . import left_out, on_disk
from .places import host_path, is_in

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from typing import Any

    from .._core.methods import Finding
    from .._core.types import DifferenceKind
    from ..library import Library
    from ..match import Match
    from .places import Places

# Maximum number of names to read, and of folders to pass, in one call. Most calls end earlier, after 200 ms.
_NAMES, _FOLDERS = 1_000_000, 4096
# An unmounted folder can contain a few leftover names, which these rules ignore.
_FEW, _LEFTOVERS = 64, ("hidden", "system", "empty")
# Maximum number of items that a reason lists.
_NAMED = 3
_TEXTS = {
    "not_scanned": "it is in a folder of library '{}', which does not list it (yet)",
    "not_fetched": "it is in a folder of a library that was never fetched: refresh the library",
    "no_library": "no library has a folder above it",
    "mapping_missing": "Plex lists it below a different root: a mapping is missing",
    "not_utf8": "its name is not UTF-8, and Plex probably lists it as {}: give the file a name in UTF-8",
    "replaced_characters": "Plex probably lists it as {}, with characters that SMB, rclone and Windows replace",
    "loop": "the link leads to one of its parent folders",
    "linked": "it leads to {}, which is compared under another path",
}
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


class Walk:
    """Compares files and folders on the disk with the listings."""

    def __init__(self, places: Places, without: Collection[str], progress: Callable[[int], object] | None) -> None:
        self._places, self._progress = places, progress
        self._rules = [rule for rule in left_out.RULES if rule not in without]
        self.files = 0
        """Number of media files found so far."""
        self.unreadable: set[bytes] = set()
        """Folders and links that could not be read."""
        self.paired: set[bytes] = set()
        """Listed files, as paths on this machine, that exist under names with other characters."""
        self.stop = Stoppable(places.index._session.progress)
        """The callback that ends the walk and its requests if the task is cancelled."""

    def findings(self, top: bytes, rules: list[str] | None = None) -> Iterator[Finding]:
        """Walks a folder. Yields files that are not listed as a single item, and folders and links that are not read.
        Outside of all libraries, ``rules`` are other rules than the comparison's.
        """
        # A stack: the walk reads the last folder next. The stack can contain as many folders as a library has films.
        to_read: list[Any] = [{"kind": "folder", "path": top}]
        walk = None
        while True:
            if self.stop.stopped:
                raise AbortedError("the comparison was stopped")
            start = to_read[: -_FOLDERS - 1 : -1]
            del to_read[-_FOLDERS:]
            found = self._find(start, self._rules if rules is None else rules, limit=_NAMES, walk=walk)
            walk = found.get("walk")
            if found["files"] and self._progress is not None:
                self._progress(self.files)
            to_read += reversed([one for one in found["findings"] if one["kind"] == "folder"])
            yield from (one for one in found["findings"] if one["kind"] != "folder")
            if walk is None:
                return

    def _find(self, start: list[Any], rules: list[str], **more: Any) -> dict[str, Any]:
        """Calls the method ``walk.next``."""
        asked = self._places.asked
        found: dict[str, Any] = asked._request("walk.next", start=start, rules=rules, **more)
        self.files += found["files"]
        return found

    def has_leftovers_only(self, place: bytes) -> bool:
        """Returns whether a location contains no media and no folder that could contain media."""
        inner = {*self._places.locations, *self._places.others} - {place}
        try:
            is_small = on_disk.names_in(place, _FEW) < _FEW
        except OSError:
            return False
        if not is_small or any(is_in(one, place) and os.path.exists(one) for one in inner):
            return False
        counted = self.files
        found = self._find([{"kind": "folder", "path": place}], list(left_out.RULES), once=True, limit=1)
        self.files = counted
        findings = found["findings"]
        files = [one for one in findings if one["kind"] == "file"]
        return len(files) == found["files"] and {one.get("cause", "") for one in findings} <= set(_LEFTOVERS)

    def not_read(self, path: bytes, number: int, owners: Collection[Library]) -> Difference:
        """Returns the difference for an unreadable folder or link, and remembers the path."""
        self.unreadable.add(path)
        text = f"plexindex cannot read the folder: {on_disk.text_of(number)}"
        return Difference._of("left_out", path, None, "unreadable", text, owners, is_folder=True)

    def recheck(self, files: Sequence[Any]) -> Iterator[Finding]:
        """Yields those of some files that Plex still does not list as a single item."""
        for begin in range(0, len(files), _FOLDERS):
            some = files[begin : begin + _FOLDERS]
            given = [{"kind": "file", "path": one["path"], "twin": one.get("twin", False)} for one in some]
            yield from self._find(given, self._rules, once=True)["findings"]
            self.files -= len(given)

    def difference(self, one: Finding) -> Difference | None:
        """Returns the difference for what the walk found."""
        path, code, detail = path_of(one["path"]), one.get("cause", ""), path_of(one.get("detail"))
        owners = self._places.owners(path)
        if one["kind"] == "unreadable":
            # A missing folder is not a difference, but listed files below a missing folder are.
            return None if one["errno"] in on_disk.NOT_THERE else self.not_read(path, one["errno"], owners)
        if code == "several_items":
            return self._several_items(path)
        listed = os.fsdecode(detail)
        text, item = _TEXTS.get(code) or listed or left_out.RULES[code][0], None
        if one["kind"] != "file" or code in left_out.RULES:
            if code == "linked":
                text = text.format(listed) if detail not in (path, b"") else "it is compared under another path"
            is_file = one["kind"] == "file"
            return Difference._of("left_out", path, None, code, text, owners, files=int(is_file), is_folder=not is_file)
        if code == "not_scanned":
            text = text.format("' or '".join(owner.title for owner in owners))
        elif code in ("not_utf8", "replaced_characters"):
            item = next((one for one in self.answer(path).candidates if one.path == listed), None)
            text = text.format(listed)
            self.paired.add(os.fsencode(self._places.index._host_path_of(listed) or ""))
        elif code == "mapping_missing":
            text, item = _mapping_missing(path, detail), self.answer(path).item
        return Difference._of("not_in_plex", path, item, code, text, owners, files=1)

    def _several_items(self, path: bytes) -> Difference:
        answer = self.answer(path)
        named = [item.describe() for item in answer.candidates[:_NAMED]]
        more = answer.candidates_total - len(named)
        if more:
            named.append(f"and {more:,} more")
        text = f"{answer.candidates_total:,} items have this file: {', '.join(named)}"
        return Difference._of("ambiguous", path, next(iter(answer.candidates), None), "several_items", text, files=1)

    def answer(self, path: bytes) -> Match:
        """Returns the item for a file, according to the listings."""
        return self._places.asked.match(path, offline=True)


def _mapping_missing(path: bytes, listed: bytes) -> str:
    """Proposes a mapping between the folders that remain after removing the two paths' common end."""
    text, host, server = _TEXTS["mapping_missing"], os.fsdecode(path), os.fsdecode(listed)
    pairs = zip(reversed(components(host)), reversed(components(server)))
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    # If the file names differ in case, the mapping would match only a single file.
    if common == 0:
        return text
    return f"{text}: map {folder_of(host, common)} to the server's {folder_of(server, common)}"


class ListedFiles:
    """Numbers of files that a library lists below a folder, by the result of the comparison."""

    __slots__ = ("below_empty", "empty", "files", "gone", "library", "unknown")

    def __init__(self, library: Library, empty: Collection[bytes]) -> None:
        """``empty`` contains the empty locations."""
        self.library, self.empty = library, empty
        self.files = self.gone = self.below_empty = self.unknown = 0


class Listing:
    """Compares the files that Plex lists below folders with the disk."""

    def __init__(self, places: Places, walk: Walk) -> None:
        self._places, self._walk = places, walk
        self.compared: dict[tuple[str, bytes], ListedFiles] = {}
        """The counts by library and folder."""
        self.respelled: list[tuple[Library, Item, bytes]] = []
        """Items whose file exists only in a different spelling, with the file, which may now belong to a different
        item.
        """
        self.seen: set[str] = set()
        """The keys of the items on the disk, whose further files are additional files."""

    def below(self, library: Library, root: bytes, empty: Collection[bytes]) -> Iterator[Difference]:
        """Yields the differences for files that a library lists below a folder. ``empty``: the empty locations."""
        counts = self.compared[library.uuid, root] = ListedFiles(library, empty)
        skipped = [place for place in empty if is_in(place, root)]
        is_empty = any(is_in(root, place) for place in empty)
        if is_empty or not self._places.knows_host_paths:
            counts.files = self._places.files(root, library)
            counts.below_empty, counts.unknown = (counts.files, 0) if is_empty else (0, counts.files)
            return
        for item, is_found in self._not_found(counts, root):
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
            if other is not None and not any(host_path(one) == other for one in self._walk.answer(other).candidates):
                is_there = True
                if len(self.respelled) < _MAX_RESPELLED:
                    self.respelled.append((library, item, other))
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

    def has_any(self, place: bytes) -> bool:
        """Returns whether one of the first listed files of a location exists, or may exist."""
        for library in self._places.locations[place]:
            items = library.items_below(place, offline=True)
            for path in (host_path(item) for item in islice(items, _MAX_PROBED)):
                if not on_disk.is_missing(path) or on_disk.spelt_otherwise(path) is not None:
                    return True
        return False

    def _not_found(self, counts: ListedFiles, root: bytes) -> Iterator[tuple[Item, bool]]:
        """Yields items whose file is missing, items with several files, and the last item on each page. The flag says
        whether the file is on the disk.
        """
        index, cursor = self._places.index, None
        while True:
            page = counts.library._request("items.missing", path=root, limit=_FILES_PER_CALL, cursor=cursor)
            counts.files += page["looked_for"]
            yield from ((Item(one["item"], index), one["on_disk"] == "there") for one in page["files"])
            cursor = page.get("cursor")
            if cursor is None:
                return
