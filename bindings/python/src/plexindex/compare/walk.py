"""Walks folders on this machine by Plex's rules. Yields media files, and a remark on each folder and link that it does
not read: its reason is a rule, ``"loop"``, ``"linked"`` or ``"unreadable"``.

Below a library's folder, the walk reads each real folder (device and inode) once, and follows links last, so links make
no loop. With a slow disk, such as one in the network, several threads read.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import NamedTuple

from .._core import TYPE_CHECKING
from . import disk
from .difference import Difference, of_unread
from .rules import EVERYWHERE, Ignored, MediaTypes, is_media, rule_for_file, rule_for_folder

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from typing import Any

    from ..library import Library

    # A device and the number of a file on it.
    FileId = tuple[int, int]
    # The names of the files, folders and links in a folder.
    Names = tuple[list[bytes], list[bytes], list[bytes]]
    # A rule, and the line of a `.plexignore` file, which is empty for other rules.
    Ruling = tuple[str, bytes]

# Number of threads that read folders, and number of folders to read at once.
_THREADS, _AT_ONCE = 4, 256
# Seconds for a folder from which threads are worth their cost, which is that they wait for each other in Python.
_SLOW = 0.001
# Windows' kinds of links: junctions, which also mount volumes, and symbolic links.
_LINKS = (0xA0000003, 0xA000000C)
# Number of folders whose `.plexignore` files stay in memory.
_KEPT = 1024


@dataclass(eq=False)
class Location:
    """A library's folder on this machine, or what is outside of all of them."""

    folder: bytes
    compared: list[Library] = field(default_factory=list)
    """The compared libraries with this folder."""
    others: list[Library] = field(default_factory=list)
    """The other libraries with this folder."""

    @property
    def is_reported(self) -> bool:
        """Whether the walk reports what it finds: not in the folders of other libraries."""
        return bool(self.compared) or not self.others

    @cached_property
    def media(self) -> MediaTypes:
        """The media types of the compared libraries; all media types outside of all libraries."""
        return MediaTypes.of(library.kind for library in self.compared)


class Scope:
    """All libraries' folders, and the rules of a comparison. Reads each `.plexignore` file once."""

    def __init__(self, locations: Iterable[Location], rules: Collection[str]) -> None:
        """``rules``: the names of the rules that apply."""
        self._rules = frozenset(rules)
        # On Windows by path in lower case.
        self._by_path = {os.path.normcase(location.folder): location for location in locations}
        self.locations = list(self._by_path.values())
        self.compared = [location for location in self.locations if location.compared]
        """The compared libraries' folders."""
        self.outside = Location(b"")
        """What is outside of all libraries' folders."""
        self._ignored = lru_cache(_KEPT)(Ignored.read)

    def at(self, folder: bytes) -> Location | None:
        """Returns the location that is exactly this folder."""
        return self._by_path.get(folder if os.name != "nt" else os.path.normcase(folder))

    def innermost(self, path: bytes) -> Location:
        """Returns the innermost location that contains a path."""
        containing = (one for one in self.locations if disk.is_in(path, one.folder))
        return max(containing, key=lambda one: len(one.folder), default=self.outside)

    def around(self, folder: bytes) -> list[Location]:
        """Returns the compared libraries' folders that contain a folder or are below it, sorted."""
        around = (one for one in self.compared if disk.is_in(folder, one.folder) or disk.is_in(one.folder, folder))
        return sorted(around, key=lambda one: one.folder)

    def outermost_below(self, folder: bytes) -> list[Location]:
        """Returns the locations to read below a folder that are in no other location below the folder."""
        own = self.at(folder)
        below = {one.folder: one for one in self.locations if one is not own and disk.is_in(one.folder, folder)}
        return [below[path] for path in disk.outermost(below) if self.is_of_use(below[path])]

    def is_of_use(self, location: Location) -> bool:
        """Returns whether a location is, or contains, a compared library's folder."""
        return any(disk.is_in(one.folder, location.folder) for one in self.compared)

    def rules(self, location: Location) -> frozenset[str]:
        """Returns the rules in a location."""
        return self._rules & EVERYWHERE if location is self.outside else self._rules

    def ruling_for_folder(
        self, path: bytes, name: bytes, location: Location, at_root: bool, ignored: list[Ignored]
    ) -> Ruling | None:
        """Returns the rule that ignores a folder; None if no rule does.

        ``location``: the innermost location that contains the folder above. ``at_root``: whether the folder above is
        this location. ``ignored``: the `.plexignore` files there.
        """
        rule = rule_for_folder(name, self.rules(location), location.media, at_root)
        if rule is not None:
            return rule, b""
        return _first(one.line_for_folder(path) for one in ignored) if ignored else None

    def ruling_for_file(self, path: bytes, location: Location) -> Ruling | None:
        """Returns the rule that ignores a media file; None if no rule does. Reads the file's facts, which is slow."""
        if not os.path.lexists(disk.native(path)):
            return None  # it disappeared
        rule = rule_for_file(path, self.rules(location), location.media)
        ignored = self.ignored_in(os.path.dirname(path), location)
        return (rule, b"") if rule else _first(one.line_for_file(path) for one in ignored)

    def ruling_for_path(self, path: bytes) -> Ruling | None:
        """Returns the rule that ignores any file in a location, or a folder between the file and the location."""
        location, below = self.innermost(path), path
        if location is self.outside or self.at(path) is location:
            return None
        above: list[bytes] = []
        while self.at(below) is not location:
            below = os.path.dirname(below)
            above.insert(0, below)
        for folder, below in zip(above, above[1:]):
            name, ignored = os.path.basename(below), self.ignored_in(folder, location)
            if ruling := self.ruling_for_folder(below, name, location, folder == above[0], ignored):
                return ruling
        is_extension = "extension" in self._rules and not is_media(path, location.media.extensions)
        return ("extension", b"") if is_extension else self.ruling_for_file(path, location)

    def ignored_in(self, folder: bytes | None, location: Location) -> list[Ignored]:
        """Returns the `.plexignore` files that apply in a folder: the location's, and the folder's own."""
        if not location.compared or "plexignore" not in self._rules:
            return []
        return [ignored for ignored in map(self._ignored, filter(None, (location.folder, folder))) if ignored]


def _first(lines: Iterable[bytes | None]) -> Ruling | None:
    """Returns the ruling of the first line of a `.plexignore` file that ignores a file or folder."""
    return next((("plexignore", line) for line in lines if line is not None), None)


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
    twin: bool
    target: FileId | None = None
    """The folder to which a link leads."""


class Walk:
    """A walk below one folder. Yields what it finds in several folders at a time. You can iterate over it once."""

    def __init__(self, scope: Scope, top: bytes) -> None:
        self._scope = scope
        # The folders to read, with the next folder last.
        self._pending = [_Folder(top, scope.innermost(top), twin=False)]
        self._links: list[_Folder] = []
        # The ids of the folders that were read, by location, and the folders that were read before any link. Only links
        # need ids, and reading an id takes as long as a third of the names.
        self._read: dict[Location, set[FileId]] = {}
        self._without_id: list[_Folder] = []
        self._follows_links = False
        self._files: list[MediaFile] = []
        self._unread: list[Difference] = []

    def __iter__(self) -> Iterator[tuple[list[MediaFile], list[Difference]]]:
        with ThreadPoolExecutor(_THREADS, "plexindex-walk") as threads:
            is_slow = False
            while self._pending or self._links:
                self._files, self._unread = [], []
                if not self._pending:
                    self._follow_links(threads)
                folders = self._pending[: -_AT_ONCE - 1 : -1]
                del self._pending[-_AT_ONCE:]
                begun = time.monotonic()
                read = (threads.map if is_slow else map)(_names_in, [folder.path for folder in folders])
                listed = list(read)
                is_slow = is_slow or (len(folders) == _AT_ONCE and time.monotonic() - begun > _SLOW * _AT_ONCE)
                below: list[_Folder] = []
                for folder, names in zip(folders, listed):
                    below += self._below(folder, names)
                self._pending += reversed(below)
                yield self._files, self._unread

    def _follow_links(self, threads: ThreadPoolExecutor) -> None:
        """Makes the targets of links pending, unless they were read. If several links lead to a folder, follows the one
        that sorts first.
        """
        self._follows_links = True
        while self._without_id:
            folders = self._without_id[-_AT_ONCE:]
            del self._without_id[-_AT_ONCE:]
            for folder, known in zip(folders, threads.map(_id_of, [folder.path for folder in folders])):
                self._read.setdefault(folder.location, set()).update(filter(None, [known]))
        links, self._links = sorted(self._links, key=lambda link: link.path), []
        self._pending = [link for link in links if self._is_new(link, link.target)][::-1]

    def _is_new(self, folder: _Folder, target: FileId | None) -> bool:
        """Marks a folder as read. Returns whether it was not, and otherwise reports it."""
        read = self._read.setdefault(folder.location, set())
        if target in read:
            self._report(folder, "linked", os.path.realpath(folder.path))
            return False
        if target is not None:
            read.add(target)
        return True

    def _report(self, folder: _Folder, cause: str, detail: bytes = b"") -> None:
        """Reports a folder or link that is not read, unless it is in the folder of a library that is not compared."""
        if folder.location.is_reported:
            self._unread.append(of_unread(folder.path, cause, detail, folder.location.compared))

    def _report_error(self, folder: _Folder, error: OSError) -> None:
        self._report(folder, "unreadable", disk.text_of(error).encode())

    def _below(self, folder: _Folder, names: Names | OSError) -> list[_Folder]:
        """Adds a folder's media files. Returns the folders below it that the walk must read, in order."""
        scope, location = self._scope, folder.location
        if isinstance(names, OSError):
            is_gone = names.errno == errno.ENOENT and disk.is_gone(names)  # it disappeared
            if not is_gone:
                self._report_error(folder, names)
            return []
        # Before the first link, each folder counts as new, because some file systems give the same id to several.
        if not self._follows_links:
            self._without_id.append(folder)
        elif folder.target is None and not self._is_new(folder, _id_of(folder.path)):
            return []
        files, folders, links = names
        targets = self._resolve(folder, links, files) if links else {}
        folders = sorted([*folders, *targets])
        if location.is_reported:
            if "extension" in scope.rules(location):
                extensions = location.media.extensions
                files = [name for name in files if name[name.rfind(b".") :].lower() in extensions]
        else:
            files = []
        above = disk.join(folder.path, b"")
        twins: Collection[bytes] = () if folder.twin else _twins([*folders, *files])
        for name in sorted(files):
            self._files.append(MediaFile(above + name, location, folder.twin or name in twins))
        if not folders:
            return []
        at_root = scope.at(folder.path) is location
        ignored = scope.ignored_in(folder.path if b".plexignore" in names[0] else None, location)
        below: list[_Folder] = []
        for name in folders:
            path, target = above + name, targets.get(name)
            own = scope.at(path)
            one = _Folder(path, own or location, folder.twin or name in twins)
            ruling = scope.ruling_for_folder(path, name, location, at_root, ignored)
            if ruling and not own:  # no rule ignores a location
                self._report(one, *ruling)
                below += self._locations_below(one)
            elif own and not scope.is_of_use(own):
                continue
            elif target and _leads_up(path, target):
                self._report(one, "loop")
            elif target:
                self._links.append(one._replace(target=target))
            else:
                below.append(one)
        return below

    def _resolve(self, folder: _Folder, links: list[bytes], files: list[bytes]) -> dict[bytes, FileId]:
        """Returns the links to folders with their targets, and adds the other links to the files. A dangling or
        circular link is a file.
        """
        targets: dict[bytes, FileId] = {}
        for name in links:
            path = disk.join(folder.path, name)
            try:
                facts = os.stat(disk.native(path))
            except OSError as error:
                if disk.is_gone(error):
                    files.append(name)
                else:
                    self._report_error(folder._replace(path=path), error)
                continue
            if stat.S_ISDIR(facts.st_mode):
                targets[name] = facts.st_dev, facts.st_ino
            else:
                files.append(name)
        return targets

    def _locations_below(self, folder: _Folder) -> list[_Folder]:
        """Returns the outermost locations below a folder that the walk does not read."""
        return [_Folder(one.folder, one, folder.twin) for one in self._scope.outermost_below(folder.path)]


def _names_in(folder: bytes) -> Names | OSError:
    """Returns the names in a folder, or the error."""
    path = disk.native(folder)
    files: list[Any] = []
    folders: list[Any] = []
    links: list[Any] = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    (links if os.name == "nt" and _is_junction(entry) else folders).append(entry.name)
                else:
                    (links if entry.is_symlink() else files).append(entry.name)
    except OSError as error:
        return error
    if os.name == "nt":
        files, folders, links = ([*map(os.fsencode, names)] for names in (files, folders, links))
    return files, folders, links


def _id_of(folder: bytes) -> FileId | None:
    """Returns the id of a folder, following links; None if the folder has disappeared or cannot be read."""
    try:
        facts = os.stat(disk.native(folder))
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def _is_junction(entry: Any) -> bool:
    try:
        return entry.stat(follow_symlinks=False).st_reparse_tag in _LINKS
    except OSError:
        return True  # reading the link gives the error


def _leads_up(link: bytes, target: FileId) -> bool:
    """Returns whether a link leads, directly or through other links, to a folder above it."""
    folder, above = link, os.path.dirname(link)
    while above != folder:
        if _id_of(above) == target:
            return True
        folder, above = above, os.path.dirname(above)
    return False


def _twins(names: list[bytes]) -> Collection[bytes]:
    """Returns the names in one folder whose normal form another name there has, such as `A.mkv` and `a.mkv`."""
    if len(names) < 2:
        return ()
    forms: dict[bytes, list[bytes]] = {}
    for name in names:
        forms.setdefault(disk.form_of(name), []).append(name)
    return {name for same in forms.values() if len(same) > 1 for name in same}
