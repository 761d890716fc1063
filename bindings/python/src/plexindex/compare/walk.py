"""Walks folders on this machine by Plex's rules. Yields media files, and a remark on each folder and link that it does
not read: its reason is a rule, ``"loop"``, ``"linked"`` or ``"unreadable"``.

Below a library's folder, the walk reads each real folder (device and inode) once, and follows links last, so links make
no loop.
"""

from __future__ import annotations

import errno
import os
import stat
from functools import lru_cache
from typing import NamedTuple

from .._core import TYPE_CHECKING
from . import disk
from .difference import Difference, difference
from .rules import Ignored, extensions_of, is_media, rule_for_file, rule_for_folder, rules_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from typing import Any

    from ..library import Library

    # A device and the number of a file on it.
    FileId = tuple[int, int]
    # A rule, and the line of a `.plexignore` file, which is empty for other rules.
    Ruling = tuple[str, str]

# Windows' other kind of links, which also mount volumes.
_JUNCTION = 0xA0000003
# Number of folders whose `.plexignore` files stay in memory.
_KEPT = 1024


class Location:
    """A library's folder on this machine, or what is outside of all of them."""

    def __init__(
        self, folder: bytes, rules: Collection[str], compared: Sequence[Library] = (), others: Sequence[Library] = ()
    ) -> None:
        """``compared`` and ``others``: the libraries with this folder."""
        self.folder, self.compared, self.others = folder, compared, others
        kinds = {library.kind for library in compared}
        self.extensions, self.rules = extensions_of(kinds), rules_of(kinds, rules)


class Scope:
    """All libraries' folders, and the rules of a comparison. Reads each `.plexignore` file once."""

    def __init__(self, locations: Iterable[Location], rules: Collection[str]) -> None:
        """``rules``: the names of the rules that apply."""
        # On Windows by path in lower case.
        self._by_path = {os.path.normcase(location.folder): location for location in locations}
        self.compared = [location for location in self._by_path.values() if location.compared]
        """The compared libraries' folders."""
        self.outside = Location(b"", rules)
        """What is outside of all libraries' folders."""
        self._ignored = lru_cache(_KEPT)(Ignored.read)

    def at(self, folder: bytes) -> Location | None:
        """Returns the location that is exactly this folder."""
        return self._by_path.get(os.path.normcase(folder))

    def innermost(self, path: bytes) -> Location:
        """Returns the innermost location that contains a path."""
        containing = (one for one in self._by_path.values() if disk.is_in(path, one.folder))
        return max(containing, key=lambda one: len(one.folder), default=self.outside)

    def around(self, folder: bytes) -> list[Location]:
        """Returns the compared libraries' folders that contain a folder or are below it, sorted."""
        around = (one for one in self.compared if disk.is_in(folder, one.folder) or disk.is_in(one.folder, folder))
        return sorted(around, key=lambda one: one.folder)

    def ruling_for_folder(self, path: bytes, location: Location, ignored: list[Ignored]) -> Ruling | None:
        """Returns the rule that ignores a folder; None if no rule does.

        ``location``: the innermost location that contains the folder above. ``ignored``: the `.plexignore` files there.
        """
        above, name = os.path.split(path)
        rule = rule_for_folder(name, location.rules, self.at(above) is location)
        return (rule, "") if rule else _first(one.line_for(path, is_folder=True) for one in ignored)

    def ruling_for_file(self, path: bytes, location: Location) -> Ruling | None:
        """Returns the rule that ignores a media file; None if no rule does. Reads the file's facts, which is slow."""
        if not os.path.lexists(disk.native(path)):
            return None  # it disappeared
        rule, ignored = rule_for_file(path, location.rules), self.ignored_in(os.path.dirname(path), location)
        return (rule, "") if rule else _first(one.line_for(path, is_folder=False) for one in ignored)

    def ruling_for_path(self, path: bytes) -> Ruling | None:
        """Returns the rule that ignores any file in a location, or a folder between the file and the location."""
        location, folder = self.innermost(path), os.path.dirname(path)
        if location is self.outside or self.at(path) is location:
            return None
        above: list[bytes] = []
        while self.at(folder) is not location:
            above.insert(0, folder)
            folder = os.path.dirname(folder)
        for one in above:
            if ruling := self.ruling_for_folder(one, location, self.ignored_in(os.path.dirname(one), location)):
                return ruling
        is_extension = "extension" in location.rules and not is_media(path, location.extensions)
        return ("extension", "") if is_extension else self.ruling_for_file(path, location)

    def ignored_in(self, folder: bytes, location: Location) -> list[Ignored]:
        """Returns the `.plexignore` files that apply in a folder: the location's, and the folder's own."""
        if "plexignore" not in location.rules:
            return []
        return [ignored for ignored in map(self._ignored, dict.fromkeys((location.folder, folder))) if ignored]


def _first(lines: Iterable[bytes | None]) -> Ruling | None:
    """Returns the ruling of the first line of a `.plexignore` file that ignores a file or folder."""
    return next((("plexignore", os.fsdecode(line)) for line in lines if line is not None), None)


class MediaFile(NamedTuple):
    """A media file that the walk found."""

    path: bytes
    location: Location
    """The innermost location that contains the file."""
    twin: bool = False
    """Whether the path, or a folder above it, has a twin: another name in the same folder that differs only in case or
    Unicode form, and so matches the same item.
    """


class _Folder(NamedTuple):
    """A folder to read, or a link to one."""

    path: bytes
    location: Location
    twin: bool = False
    target: FileId | None = None
    """The folder to which a link leads."""


class Walk:
    """A walk below one folder. Yields what it finds in each folder. You can iterate over it once."""

    def __init__(self, scope: Scope, top: bytes) -> None:
        self._scope = scope
        own = scope.innermost(top)
        # The folders to read, with the next folder last. Locations below the top are read by themselves, so that what
        # is above them may be ignored, or another library's.
        below = [one for one in scope.around(top) if one is not own and disk.is_in(one.folder, top)]
        tops = [_Folder(one.folder, one) for one in below]
        self._pending = [*tops[::-1], *([_Folder(top, own)] if own.compared or not own.others else [])]
        self._links: list[_Folder] = []
        # The folders that were read before any link, and the ids of all that were read, by location. Only links need
        # ids: some file systems give the same id to several folders.
        self._before_links: list[_Folder] = []
        self._read: set[tuple[Location, FileId | None]] = set()
        self._follows_links = False

    def __iter__(self) -> Iterator[list[MediaFile | Difference]]:
        while self._pending or self._links:
            if not self._pending:
                yield self._follow_links()
                continue
            folder = self._pending.pop()
            if not self._follows_links:
                self._before_links.append(folder)
            elif folder.target is None and not self._is_new(folder._replace(target=_id_of(folder.path))):
                yield [_remark(folder, "linked", os.path.realpath(folder.path))]
                continue
            yield self._contents(folder)

    def _follow_links(self) -> list[MediaFile | Difference]:
        """Makes the targets of links pending, unless they were read. If several links lead to a folder, follows the one
        that sorts first. Returns the remarks on the others.
        """
        self._follows_links = True
        self._read.update((one.location, _id_of(one.path)) for one in self._before_links)
        links, self._links, self._before_links = sorted(self._links, key=lambda link: link.path), [], []
        found: list[MediaFile | Difference] = []
        for link in links:
            if self._is_new(link):
                self._pending.insert(0, link)
            else:
                found.append(_remark(link, "linked", os.path.realpath(link.path)))
        return found

    def _is_new(self, folder: _Folder) -> bool:
        """Marks a folder as read. Returns whether it was not."""
        known = folder.location, folder.target
        is_new = folder.target is None or known not in self._read
        self._read.add(known)
        return is_new

    def _contents(self, folder: _Folder) -> list[MediaFile | Difference]:
        """Returns a folder's media files and remarks. Adds the folders below it that the walk must read, in order."""
        location, above = folder.location, os.path.join(folder.path, b"")
        found: list[MediaFile | Difference] = []
        try:
            with os.scandir(disk.native(folder.path)) as entries:
                listed = {os.fsencode(entry.name): entry for entry in entries}
        except OSError as error:
            is_gone = error.errno == errno.ENOENT and disk.is_gone(error)  # it disappeared
            return [] if is_gone else [_remark(folder, "unreadable", error.strerror)]
        every = "extension" not in location.rules
        files: list[bytes] = []
        folders: dict[bytes, FileId | None] = {}
        for name in sorted(listed):
            if not _is_link(listed[name]):
                if listed[name].is_dir(follow_symlinks=False):
                    folders[name] = None
                    continue
            else:
                try:
                    facts = os.stat(disk.native(above + name))
                    if stat.S_ISDIR(facts.st_mode):
                        folders[name] = facts.st_dev, facts.st_ino
                        continue
                except OSError as error:  # a dangling or circular link is a file
                    if not disk.is_gone(error):
                        found.append(_remark(folder._replace(path=above + name), "unreadable", error.strerror))
                        continue
            if every or name[name.rfind(b".") :].lower() in location.extensions:
                files.append(name)
        twins: Collection[bytes] = () if folder.twin else _twins([*folders, *files])
        found += [MediaFile(above + name, location, folder.twin or name in twins) for name in files]
        if not folders:
            return found
        ignored = self._scope.ignored_in(folder.path if b".plexignore" in listed else location.folder, location)
        below: list[_Folder] = []
        for name, target in folders.items():
            path = above + name
            one = _Folder(path, location, folder.twin or name in twins, target)
            if self._scope.at(path):
                continue
            if ruling := self._scope.ruling_for_folder(path, location, ignored):
                found.append(_remark(one, *ruling))
            elif target is None:
                below.append(one)
            elif _leads_up(path, target):
                found.append(_remark(one, "loop"))
            else:
                self._links.append(one)
        self._pending += reversed(below)
        return found


def _remark(folder: _Folder, reason: str, detail: bytes | str | None = "") -> Difference:
    """Returns the remark on a folder or link that is not read."""
    owners = folder.location.compared
    return difference("left_out", folder.path, reason, os.fsdecode(detail or ""), owners=owners, is_folder=True)


def _is_link(entry: os.DirEntry[bytes] | os.DirEntry[str]) -> bool:
    facts: Any = entry.stat(follow_symlinks=False) if os.name == "nt" else None
    return entry.is_symlink() or (facts is not None and facts.st_reparse_tag == _JUNCTION)


def _id_of(folder: bytes) -> FileId | None:
    """Returns the id of a folder, following links; None if the folder has disappeared or cannot be read."""
    try:
        facts = os.stat(disk.native(folder))
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def _leads_up(link: bytes, target: FileId) -> bool:
    """Returns whether a link leads, directly or through other links, to a folder above it."""
    above = os.path.dirname(link)
    return above != link and (_id_of(above) == target or _leads_up(above, target))


def _twins(names: list[bytes]) -> Collection[bytes]:
    """Returns the names in one folder whose normal form another name there has, such as `A.mkv` and `a.mkv`."""
    if len(names) < 2:
        return ()
    forms: dict[bytes, list[bytes]] = {}
    for name in names:
        forms.setdefault(disk.form_of(name), []).append(name)
    return {name for same in forms.values() if len(same) > 1 for name in same}
