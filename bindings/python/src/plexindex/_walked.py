"""Turns the findings of the library's walk of a disk into differences."""

from __future__ import annotations

import ctypes
import os

from . import _constants as c
from . import _left_out, _on_disk
from ._difference import Difference, not_read
from ._native import CBytes, CWalkRequest
from ._places import is_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from ._answers import Match
    from ._library import LibraryInfo
    from ._places import Places

    # A file's path, whether another one differs in its case only, the rule that leaves it out, and the line that does.
    OnDisk = tuple[bytes, bool, str, bytes]

# Match kinds of a listed path.
LISTED = ("confirmed", "exact", "mapped")
_AT_ONCE = 1024
# Names that a call of the library reads, folders that it is given, and the room for what it finds. A folder that has
# more than there is room for is read again: the first one may have all films.
_NAMES, _FOLDERS, _ROOM, _FIRST_ROOM = 16_384, 4096, 1 << 20, 8 << 20
# Leftovers in the folder of an unmounted disk: few names, left out by these rules.
_FEW, _LEFTOVERS = 64, (b"hidden", b"system", b"empty")
# Maximum number of items that a reason names.
_NAMED = 3
_TEXTS = {
    "not_scanned": "it lies in a folder of library '{}', which does not list it (yet)",
    "no_library": "no library has a folder above it",
    "mapping_missing": "Plex lists it below another root: a mapping is missing",
    "loop": "the link leads to a folder above it",
    "linked": "it leads to {}, which is compared already, by another path",
    "linked_itself": "it is compared already, by another path",
}


class Walk:
    """Files and folders of the disk, compared with what is listed."""

    def __init__(self, places: Places, without: Collection[str], told: Callable[[int], object] | None) -> None:
        self._places, self._told = places, told
        self._rules = _left_out.rule_bits(without)
        self.files = 0
        """Media files that were found."""
        self.unreadable: set[bytes] = set()
        """Folders and links that could not be read."""
        self._rules_in: dict[bytes, dict[bytes, str]] = {}

    def below(self, top: bytes) -> Iterator[tuple[OnDisk | None, Difference]]:
        """Differences of a folder and everything below it: those of files with the file."""
        for differences, files in self._pages(top, self._rules):
            for difference in differences:
                yield None, difference
            yield from self.differing(files)

    def media_below(self, top: bytes) -> Iterator[tuple[list[Difference], list[OnDisk]]]:
        """Differences of unreadable folders outside every library, and all media files there."""
        return self._pages(top, _left_out.rule_bits(set(_left_out.RULES) - {"extension"}))

    def _pages(self, top: bytes, rules: int) -> Iterator[tuple[list[Difference], list[OnDisk]]]:
        request = self._request(rules, _NAMES)
        # A stack: the next folder is the last. There may be as many as a library has films.
        left = [top]
        twins: set[bytes] = set()
        room = _FIRST_ROOM
        while True:
            given = left[-_FOLDERS:]
            del left[-_FOLDERS:]
            given.reverse()
            found = self._find(request, given, twins, room)
            room = _ROOM
            self.files += request.files
            if request.files and self._told is not None:
                self._told(self.files)
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
                    differences.append(self.not_read(path, int(why), self._places.owners(path)))
                else:
                    rule = why.decode()
                    text_of_it = _text_of_link(rule, path, line) or _text(rule, line)
                    differences.append(Difference("left_out", path, None, rule, text_of_it, self._places.owners(path)))
            kinds, rest = found[at:-1:4], found[at + 2 :: 4]
            if b"twin_folder" in kinds:
                twins.update([path for what, path in zip(kinds, rest) if what == b"twin_folder"])
            rest.reverse()
            left += rest
            del found, kinds, rest
            yield differences, files
            if not request.walk:
                return

    def _request(self, rules: int, limit: int = 1, flags: int = 0) -> CWalkRequest:
        library = self._places.index._library_pointer(self._places.asked)
        return CWalkRequest(ctypes.sizeof(CWalkRequest), library, limit=limit, rules=rules, flags=flags)

    def _find(
        self, request: CWalkRequest, folders: list[bytes], twins: Collection[bytes] = (), room: int = _ROOM
    ) -> list[bytes]:
        """The texts that plexindex_walk() finds: four for each finding, and an empty one."""
        kinds = [b"twin_folder" if one in twins else b"folder" for one in folders]
        request.folders = CBytes.of(b"".join([b"%b\0%b\0" % pair for pair in zip(kinds, folders)]))
        request.folders_count = len(folders)
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
        found = self._find(request, [place])
        rules, files = found[1::4], [what for what in found[:-1:4] if what in (b"file", b"twin_file")]
        return len(files) == request.files and set(rules) <= set(_LEFTOVERS)

    def rule_for(self, path: bytes) -> str | None:
        """Returns the rule that ignores an unlisted file or a folder above it; none outside every library."""
        folder = self._places.innermost(path)
        if folder is None:
            return None
        for name in path[len(folder) :].strip(b"/").split(b"/"):
            rules, above = self._rules_of(folder), folder
            folder = os.path.join(folder, name)
            if rules.get(folder):
                return rules[folder]
        # Files without a media extension are not reported.
        is_untold = folder not in rules and above not in rules and os.path.lexists(path)
        return "extension" if is_untold else None

    def _rules_of(self, folder: bytes) -> dict[bytes, str]:
        """Differences in a folder, each with the rule that leaves it out, or None. An unreadable folder is one."""
        if folder not in self._rules_in:
            found = self._find(self._request(self._rules, flags=c.WALK_ONCE), [folder])
            self._rules_in[folder] = {
                path: "" if what.endswith(b"folder") or what == b"unreadable" else why.decode()
                for what, why, path in zip(found[::4], found[1::4], found[2::4])
            }
        return self._rules_in[folder]

    def not_read(self, path: bytes, number: int, owners: Collection[LibraryInfo]) -> Difference:
        """The difference of an unreadable folder or link."""
        self.unreadable.add(path)
        return not_read(path, number, owners)

    def is_unreadable(self, folder: bytes) -> bool:
        """Returns whether a folder was already reported as unreadable."""
        return any(is_in(folder, known) for known in self.unreadable)

    def differing(self, files: list[OnDisk]) -> Iterator[tuple[OnDisk, Difference]]:
        """Differences of files."""
        for at in range(0, len(files), _AT_ONCE):
            yield from self._look_up(files[at : at + _AT_ONCE])

    def _look_up(self, batch: list[OnDisk]) -> Iterator[tuple[OnDisk, Difference]]:
        index, places = self._places.index, self._places
        paths = [path for path, *_ in batch]
        answers = index.match_paths(places.asked, paths, offline=True)
        # Libraries may share a folder: this one need not list what another one lists.
        elsewhere = index.match_paths(None, paths, offline=True) if places.others else answers
        for one, answer, other in zip(batch, answers, elsewhere):
            path, twin, *_ = one
            is_listed = answer.match_kind in LISTED and not (twin and self._is_twins(path, answer))
            if not is_listed and answer is not other and other.match_kind in LISTED and not self._is_twins(path, other):
                self.files -= 1
                continue
            difference = self._of_listed(path, answer) if is_listed else self._of_unlisted(one, answer)
            if difference is not None:
                yield one, difference

    def _is_twins(self, path: bytes, answer: Match) -> bool:
        """Returns whether the item is listed with another existing file that differs in case only."""
        names = self._places.names
        listed = [names.host(item.path) for item in answer.candidates if item.path]
        return names.known and path not in listed and any(os.path.lexists(one) for one in listed)

    @staticmethod
    def _of_listed(path: bytes, answer: Match) -> Difference | None:
        if answer.status != "ambiguous":
            return None
        named = [item.describe() for item in answer.candidates[:_NAMED]]
        more = answer.candidates_total - len(named)
        if more:
            named.append(f"and {more:,} more")
        text = f"{answer.candidates_total:,} items have this file: {', '.join(named)}"
        return Difference("ambiguous", path, answer.candidates[0], "several_items", text, files=1)

    def _of_unlisted(self, one: OnDisk, answer: Match) -> Difference:
        path, _, rule, line = one
        owners = self._places.owners(path)
        if rule:
            return Difference("left_out", path, None, rule, _text(rule, line), owners, files=1)
        code, item = "no_library", None
        text = _TEXTS[code]
        if owners:
            code = "not_scanned"
            text = _TEXTS[code].format("' or '".join(owner.title for owner in owners))
        elif answer.reason_code == "only_root_differs":
            code, item = "mapping_missing", answer.item
            text = _mapping_missing(path, os.fsencode(item.path or "") if item else b"")
        return Difference("not_in_plex", path, item, code, text, owners, files=1)


def _mapping_missing(path: bytes, listed: bytes) -> str:
    """The same with the mapping: what stands before the end that two paths have in common, in whole names."""
    own, other = path.split(b"/"), listed.split(b"/")
    while own and other and own[-1] == other[-1]:
        del own[-1], other[-1]
    host, server = (os.fsdecode(b"/".join(names)) or "/" for names in (own, other))
    text = _TEXTS["mapping_missing"]
    # They may differ in case only; a mapping would then be for a single file.
    return text if host == os.fsdecode(path) else f"{text}: give {host} as the server's {server}"


def _text_of_link(why: str, path: bytes, real: bytes) -> str | None:
    """Describes why the target of a link is not compared. ``real``: the target."""
    if why == "linked":
        return _TEXTS["linked_itself" if real in (path, b"") else "linked"].format(os.fsdecode(real))
    return _TEXTS.get(why)


def _text(rule: str, line: bytes) -> str:
    return os.fsdecode(line) or _left_out.RULES[rule][0]
