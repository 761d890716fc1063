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

from .._core import Any, Collection, Iterable, Iterator, Sequence
from ..library import Library
from . import disk
from .difference import Difference, difference
from .rules import Ignored, extensions_of, is_media, rule_for_file, rule_for_folder, rules_of

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
        self.folder: bytes = folder
        self.compared: Sequence[Library] = compared
        self.others: Sequence[Library] = others
        kinds = {library.kind for library in compared}
        self.extensions: Collection[bytes] = extensions_of(kinds)
        self.rules: frozenset[str] = rules_of(kinds, rules)


class Scope:
    """All libraries' folders, and the rules of a comparison. Reads each `.plexignore` file once."""

    def __init__(self, locations: Iterable[Location], rules: Collection[str]) -> None:
        """``rules``: the names of the rules that apply."""
        # On Windows by path in lower case.
        self._by_path = {os.path.normcase(location.folder): location for location in locations}
        self.compared: list[Location] = [location for location in self._by_path.values() if location.compared]
        """The compared libraries' folders."""
        self.outside: Location = Location(b"", rules)
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

    def ruling_for_folder(self, above: bytes, name: bytes, location: Location, ignored: list[Ignored]) -> Ruling | None:
        """Returns the rule that ignores a folder; None if no rule does.

        ``location``: the innermost location that contains the folder above. ``ignored``: the `.plexignore` files there.
        """
        rule = rule_for_folder(name, location.rules, self.at(above) is location)
        if rule or not ignored:
            return (rule, "") if rule else None
        return _first(one.line_for(os.path.join(above, name), is_folder=True) for one in ignored)

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
        above: list[tuple[bytes, bytes]] = []
        while self.at(folder) is not location:
            folder, name = os.path.split(folder)
            above.insert(0, (folder, name))
        for one, name in above:
            if ruling := self.ruling_for_folder(one, name, location, self.ignored_in(one, location)):
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


class Place(NamedTuple):
    """A media file that the walk found; also a folder to read, or a link to one."""

    path: bytes
    location: Location
    """The innermost location that contains the file."""
    is_twin: bool = False
    """Whether another name in a folder on the way is the same name to the index, which may list the other one."""


def walk(scope: Scope, top: bytes) -> Iterator[Place | Difference]:
    """Yields the media files below a folder, and the remarks on what the walk does not read."""
    own = scope.innermost(top)
    # The folders to read, with the next folder last. Locations below the top are read by themselves, so that what is
    # above them may be ignored, or another library's.
    below = [one for one in scope.around(top) if one is not own and disk.is_in(one.folder, top)]
    twins = disk.twins([one.folder for one in below])
    pending = [Place(one.folder, one, one.folder in twins) for one in below[::-1]]
    pending += [Place(top, own)] if own.compared or not own.others else []
    links: list[Place] = []
    before_links: list[Place] = []
    while pending:
        before_links.append(pending.pop())
        yield from _contents(scope, before_links[-1], pending, links)
    # Only links need ids: some file systems give the same id to several folders.
    read = {(one.location, _id_of(one.path)) for one in before_links if links}
    while pending or links:
        if not pending:
            pending, links = sorted(links, key=lambda link: link.path, reverse=True), []
        folder = pending.pop()
        known = folder.location, _id_of(folder.path)
        if known[1] is not None and known in read:
            yield _remark(folder, "linked", os.path.realpath(folder.path))
        else:
            read.add(known)
            yield from _contents(scope, folder, pending, links)


def _contents(scope: Scope, folder: Place, pending: list[Place], links: list[Place]) -> Iterator[Place | Difference]:
    """Yields a folder's media files and remarks. Adds the folders below it that the walk must read, in order."""
    location, above = folder.location, folder.path.rstrip(disk.SEPARATOR) + disk.SEPARATOR
    try:
        listed = disk.entries(folder.path)
    except OSError as error:
        if not (error.errno == errno.ENOENT and disk.is_gone(error)):  # otherwise it disappeared
            yield _remark(folder, "unreadable", error.strerror)
        return
    every = "extension" not in location.rules
    ignored = scope.ignored_in(folder.path if b".plexignore" in listed else location.folder, location)
    twins = disk.twins(listed)
    below: list[Place] = []
    for name in sorted(listed):
        entry = listed[name]
        is_folder = entry.is_dir(follow_symlinks=False)
        if entry.is_symlink():
            try:
                is_folder = stat.S_ISDIR(os.stat(entry.path).st_mode)
            except OSError as error:  # a dangling or circular link is a file
                if not disk.is_gone(error):
                    yield _remark(Place(above + name, location), "unreadable", error.strerror)
                    continue
        if not (is_folder or every or name[name.rfind(b".") :].lower() in location.extensions):
            continue
        # In half the time of `Place(…)`.
        one = tuple.__new__(Place, (above + name, location, folder.is_twin or name in twins))
        if not is_folder:
            yield one
        elif scope.at(one.path):
            pass  # the walk reads it by itself
        elif ruling := scope.ruling_for_folder(folder.path, name, location, ignored):
            yield _remark(one, *ruling)
        elif not _is_link(entry):
            below.append(one)
        elif _leads_up(one.path):
            yield _remark(one, "loop")
        else:
            links.append(one)
    pending += reversed(below)


def _remark(folder: Place, reason: str, detail: bytes | str | None = "") -> Difference:
    """Returns the remark on a folder or link that is not read."""
    owners = folder.location.compared
    return difference("left_out", folder.path, reason, os.fsdecode(detail or ""), owners=owners, is_folder=True)


def _is_link(entry: os.DirEntry[bytes] | os.DirEntry[str]) -> bool:
    facts: Any = entry.stat(follow_symlinks=False) if os.name == "nt" else None
    return entry.is_symlink() or (facts is not None and facts.st_reparse_tag == _JUNCTION)


def _id_of(folder: bytes) -> tuple[int, int] | None:
    """Returns the id of a folder, following links; None if the folder has disappeared or cannot be read."""
    try:
        facts = os.stat(disk.native(folder))
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def _leads_up(link: bytes) -> bool:
    """Returns whether a link leads, directly or through other links, to a folder above it."""
    above = link
    while above != (above := os.path.dirname(above)):
        if _id_of(above) == _id_of(link):
            return True
    return False
