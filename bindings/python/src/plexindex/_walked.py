"""Turns the findings of the library's walk of a disk into differences."""

from __future__ import annotations

import ctypes
import os
from itertools import takewhile

from . import _constants as c
from . import _left_out, _on_disk
from ._callbacks import Stoppable
from ._difference import Difference, not_read
from ._errors import AbortedError
from ._native import CBytes, CWalkRequest
from ._paths import components, folder_of
from ._places import is_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from ._answers import Match
    from ._library import LibraryInfo
    from ._places import Places

    # A file's path; whether another file differs in case only; why it is not listed as a single item; and a detail.
    OnDisk = tuple[bytes, bool, str, bytes]

# Match kinds of a listed path.
LISTED = ("confirmed", "exact", "mapped")
# Per call: names to read, folders to pass, and the size of the answer buffer. A folder whose findings do not fit is
# read again with a larger buffer. The first folder may have all films, so its buffer is larger.
_NAMES, _FOLDERS, _ROOM, _FIRST_ROOM = 16_384, 4096, 1 << 20, 8 << 20
# Leftovers in the folder of an unmounted disk: few names, left out by these rules.
_FEW, _LEFTOVERS = 64, (b"hidden", b"system", b"empty")
# Maximum number of items that a reason names.
_NAMED = 3
_TEXTS = {
    "not_scanned": "it lies in a folder of library '{}', which does not list it (yet)",
    "not_fetched": "it lies in a folder of a library that was never fetched: refresh it first",
    "no_library": "no library has a folder above it",
    "mapping_missing": "Plex lists it below another root: a mapping is missing",
    "loop": "the link leads to a folder above it",
    "linked": "it leads to {}, which is compared already, by another path",
    "linked_itself": "it is compared already, by another path",
}


class Walk:
    """Files and folders of the disk, compared with what is listed."""

    def __init__(self, places: Places, without: Collection[str], progress: Callable[[int], object] | None) -> None:
        self._places, self._progress = places, progress
        self._rules = _left_out.rule_bits(without)
        self.files = 0
        """Media files that were found."""
        self.unreadable: set[bytes] = set()
        """Folders and links that could not be read."""
        self.stop = Stoppable(places.index._progress)
        """Ends the walk, and requests that have it as their progress, when nobody waits for them any more."""

    def below(self, top: bytes) -> Iterator[tuple[OnDisk | None, Difference]]:
        """Yields the differences of a folder and everything below it, those of files with the file."""
        for differences, files in self._pages(top, self._rules):
            for difference in differences:
                yield None, difference
            for one in files:
                yield one, self._file_difference(one)

    def media_below(self, top: bytes) -> Iterator[tuple[list[Difference], list[OnDisk]]]:
        """Yields all media files below a folder outside every library, and differences for unreadable folders."""
        return self._pages(top, _left_out.rule_bits(set(_left_out.RULES) - {"extension"}))

    def _pages(self, top: bytes, rules: int) -> Iterator[tuple[list[Difference], list[OnDisk]]]:
        """Walks a folder. Yields the findings of each call: differences, and files not listed as a single item."""
        request = self._request(rules, _NAMES)
        # A stack: the last folder is read next. There may be as many as a library has films.
        to_read = [top]
        twin_folders: set[bytes] = set()
        room = _FIRST_ROOM
        while True:
            if self.stop.stopped:
                raise AbortedError("the comparison was stopped")
            folders = to_read[-_FOLDERS:]
            del to_read[-_FOLDERS:]
            folders.reverse()
            given = [(b"twin_folder" if one in twin_folders else b"folder", one) for one in folders]
            found = self._find(request, given, room)
            room = _ROOM
            self.files += request.files
            if request.files and self._progress is not None:
                self._progress(self.files)
            differences: list[Difference] = []
            files: list[OnDisk] = []
            at = 0
            for what, why, path, line in zip(found[::4], found[1::4], found[2::4], found[3::4]):
                if what in (b"folder", b"twin_folder"):
                    break
                at += 4
                if what in (b"file", b"twin_file"):
                    files.append((path, what == b"twin_file", why.decode(), line))
                elif what == b"unreadable":
                    # A missing folder is no difference. The files that are listed below it are.
                    if int(why) not in _on_disk.NOT_THERE:
                        differences.append(self.not_read(path, int(why), self._places.owners(path)))
                else:
                    rule = why.decode()
                    text_of_it = _text_of_link(rule, path, line) or _text(rule, line)
                    owners = self._places.owners(path)
                    differences.append(Difference("left_out", path, None, rule, text_of_it, owners, is_folder=True))
            kinds, rest = found[at:-1:4], found[at + 2 :: 4]
            if b"twin_folder" in kinds:
                twin_folders.update([path for what, path in zip(kinds, rest) if what == b"twin_folder"])
            rest.reverse()
            to_read += rest
            del found, kinds, rest
            yield differences, files
            if not request.walk:
                return

    def _request(self, rules: int, limit: int = 1, flags: int = 0) -> CWalkRequest:
        library = self._places.index._library_pointer(self._places.asked)
        return CWalkRequest(ctypes.sizeof(CWalkRequest), library, limit=limit, rules=rules, flags=flags)

    def _find(self, request: CWalkRequest, given: list[tuple[bytes, bytes]], room: int = _ROOM) -> list[bytes]:
        """Calls plexindex_walk(). Returns four texts for each finding, then an empty one."""
        request.folders = CBytes.of(b"".join([b"%b\0%b\0" % pair for pair in given]))
        request.folders_count = len(given)
        index = self._places.index
        return index._do(index._native.walk, library=request, reserve=room).split(b"\0")  # type: ignore[no-any-return]

    def has_leftovers_only(self, place: bytes) -> bool:
        """Returns whether a location has no media and no folder that may have some."""
        inner = {*self._places.locations, *self._places.others} - {place}
        try:
            is_small = _on_disk.names_in(place, _FEW) < _FEW
        except OSError:
            return False
        if not is_small or any(is_in(one, place) and os.path.exists(one) for one in inner):
            return False
        request = self._request(_left_out.rule_bits(), flags=c.WALK_ONCE)
        found = self._find(request, [(b"folder", place)])
        rules, files = found[1::4], [what for what in found[:-1:4] if what in (b"file", b"twin_file")]
        return len(files) == request.files and set(rules) <= set(_LEFTOVERS)

    def not_read(self, path: bytes, number: int, owners: Collection[LibraryInfo]) -> Difference:
        """Returns the difference of an unreadable folder or link, and remembers it."""
        self.unreadable.add(path)
        return not_read(path, number, owners)

    def is_unreadable(self, folder: bytes) -> bool:
        """Returns whether a folder was already reported as unreadable."""
        return any(is_in(folder, known) for known in self.unreadable)

    def recheck(self, files: list[OnDisk]) -> Iterator[OnDisk]:
        """Yields those of the files that are still not listed as a single item."""
        for at in range(0, len(files), _FOLDERS):
            given = [(b"twin_file" if twin else b"file", path) for path, twin, *_ in files[at : at + _FOLDERS]]
            request = self._request(self._rules, flags=c.WALK_ONCE)
            found = self._find(request, given)
            self.files += request.files - len(given)
            for what, why, path, detail in zip(found[::4], found[1::4], found[2::4], found[3::4]):
                yield path, what == b"twin_file", why.decode(), detail

    def recheck_differences(self, files: list[OnDisk]) -> Iterator[Difference]:
        """Yields the differences of files that were found before, if they still differ."""
        return map(self._file_difference, self.recheck(files))

    def _file_difference(self, one: OnDisk) -> Difference:
        path, _, code, detail = one
        owners = self._places.owners(path)
        if code in _left_out.RULES:
            return Difference("left_out", path, None, code, _text(code, detail), owners, files=1)
        if code == "several_items":
            return self._several_items(path)
        text, item = _TEXTS.get(code, ""), None
        if code == "not_scanned":
            text = text.format("' or '".join(owner.title for owner in owners))
        elif code == "mapping_missing":
            text, item = _mapping_missing(path, detail), self._answer(path).item
        return Difference("not_in_plex", path, item, code, text, owners, files=1)

    def _several_items(self, path: bytes) -> Difference:
        answer = self._answer(path)
        named = [item.describe() for item in answer.candidates[:_NAMED]]
        more = answer.candidates_total - len(named)
        if more:
            named.append(f"and {more:,} more")
        text = f"{answer.candidates_total:,} items have this file: {', '.join(named)}"
        return Difference("ambiguous", path, next(iter(answer.candidates), None), "several_items", text, files=1)

    def _answer(self, path: bytes) -> Match:
        return self._places.index.match(path, self._places.asked, offline=True)  # type: ignore[no-any-return]


def _mapping_missing(path: bytes, listed: bytes) -> str:
    """Proposes a mapping: the folders that remain of both paths without their common end."""
    text, host, server = _TEXTS["mapping_missing"], os.fsdecode(path), os.fsdecode(listed)
    pairs = zip(reversed(components(host)), reversed(components(server)))
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    # If only the case of the file name differs, the mapping would fit a single file.
    if common == 0:
        return text
    return f"{text}: give {folder_of(host, common)} as the server's {folder_of(server, common)}"


def _text_of_link(why: str, path: bytes, real: bytes) -> str | None:
    """Describes why the target of a link is not compared. ``real``: the target."""
    if why == "linked":
        return _TEXTS["linked_itself" if real in (path, b"") else "linked"].format(os.fsdecode(real))
    return _TEXTS.get(why)


def _text(rule: str, line: bytes) -> str:
    return os.fsdecode(line) or _left_out.RULES[rule][0]
