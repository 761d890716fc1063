"""Converts findings from the library's disk walk to differences."""

from __future__ import annotations

import os
from itertools import takewhile

from .._core import TYPE_CHECKING
from .._core.callbacks import Stoppable
from .._core.convert import path_of
from .._core.paths import components, folder_of
from ..errors import AbortedError
from . import left_out, on_disk
from .difference import Difference
from .places import is_in

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from typing import Any

    from .._core.methods import Finding
    from ..library import Library
    from ..match import Match
    from .places import Places

# Maximum number of names to read, and of folders to pass, in one call.
_NAMES, _FOLDERS = 16_384, 4096
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
