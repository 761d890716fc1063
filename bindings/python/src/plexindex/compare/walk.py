"""Walks folders on this machine. Yields media files, and the folders and links that it does not read.

Below a library's folder, the walk reads each real folder (device and inode) once, and follows links last, so links make
no loop. With a slow disk, such as one in the network, several threads read.
"""

from __future__ import annotations

import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import NamedTuple

from .._core import TYPE_CHECKING
from . import on_disk
from .places import is_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from .scope import Location, Scope

    # A device and the number of a file on it.
    FileId = tuple[int, int]
    # The names in a folder. The flag says whether a name is a folder; None for a link.
    Names = list[tuple[bytes, bool | None]]

# Number of threads that read folders, and number of folders to read at once.
_THREADS, _AT_ONCE = 4, 256
# Seconds for a folder from which threads are worth their cost, which is that they wait for each other in Python.
_SLOW = 0.001
# Windows' kinds of links: junctions, which also mount volumes, and symbolic links.
_LINKS = (0xA0000003, 0xA000000C)


class MediaFile(NamedTuple):
    """A media file that the walk found, or that the caller gave."""

    path: bytes
    location: Location | None
    """The innermost location that contains the file."""
    twin: bool = False
    """Whether the path, or a folder above it, has a twin: another name in the same folder that differs only in case or
    Unicode form, and so matches the same item.
    """


class Unread(NamedTuple):
    """A folder or link that the walk did not read."""

    path: bytes
    cause: str
    """A rule of Plex; ``"loop"``: a link to a folder above it; ``"linked"``: a folder already read under the path in
    ``detail``; or ``"unreadable"``.
    """
    detail: bytes = b""
    """A line of a `.plexignore` file, or a path."""
    error: int = 0
    """The system's error number, for ``"unreadable"``."""


class _Folder(NamedTuple):
    """A folder to read, or a link to one."""

    path: bytes
    location: Location | None
    twin: bool
    is_known: bool = False
    """Whether the folder is already marked as read, because it is a link's target."""

    @property
    def is_out(self) -> bool:
        """Whether the folder is in a location out of scope, so that the walk reports nothing in it."""
        return self.location is not None and self.location.is_out_of_scope


class FolderWalk:
    """A walk below one folder."""

    def __init__(self, scope: Scope, top: bytes) -> None:
        self._scope = scope
        # The folders to read, with the next folder last.
        self._pending = [_Folder(top, scope.innermost(top), twin=False)]
        self._links: list[tuple[_Folder, FileId]] = []
        # The ids of the folders that were read, by location, and the folders that were read before any link. Only links
        # need ids, and reading an id takes as long as a third of the names.
        self._read: dict[Location | None, set[FileId]] = {}
        self._without_id: list[_Folder] = []
        self._follows_links = False

    @property
    def is_over(self) -> bool:
        """Whether no folder and no link is left."""
        return not (self._pending or self._links)

    def all(self) -> Iterator[list[MediaFile | Unread]]:
        """Walks all folders. Yields what it finds in several folders at a time."""
        with ThreadPoolExecutor(_THREADS, "plexindex-walk") as threads:
            is_slow = False
            while not self.is_over:
                if not self._pending:
                    self._follows_links = True
                    self._add_ids(threads)
                    yield self._follow_links()
                folders = self._take(_AT_ONCE)
                paths = [folder.path for folder in folders]
                begun = time.monotonic()
                if is_slow:
                    parts = [paths[number::_THREADS] for number in range(_THREADS)]
                    read = dict(zip(chain(*parts), chain.from_iterable(threads.map(_names_of, parts))))
                    listed = [read[path] for path in paths]
                else:
                    listed = _names_of(paths)
                is_slow = is_slow or (len(paths) == _AT_ONCE and time.monotonic() - begun > _SLOW * _AT_ONCE)
                found: list[MediaFile | Unread] = []
                below: list[_Folder] = []
                for folder, names in zip(folders, listed):
                    below += self._read_folder(folder, names, found)
                self._pending += reversed(below)
                yield found

    def _take(self, most: int) -> list[_Folder]:
        """Removes the next folders from those to read, and returns them."""
        folders = self._pending[: -most - 1 : -1]
        del self._pending[-len(folders) :]
        if not self._scope.has_others:
            return folders
        return [folder for folder in folders if not self._is_outside(folder)]

    def first(self) -> list[MediaFile | Unread]:
        """Reads only the first folder, and follows no link."""
        found: list[MediaFile | Unread] = []
        folder = self._pending.pop()
        self._pending += self._read_folder(folder, _names(folder.path), found)
        return found

    def _follow_links(self) -> list[MediaFile | Unread]:
        """Makes the targets of links pending, unless they were read. If several links lead to a folder, follows the one
        that sorts first.
        """
        found: list[MediaFile | Unread] = []
        links, self._links = sorted(self._links, key=lambda link: link[0].path), []
        for folder, target in links:
            if self._mark_read(folder, target):
                self._pending.append(folder)
            else:
                found += self._linked(folder)
        self._pending.reverse()
        return found

    def _add_ids(self, threads: ThreadPoolExecutor) -> None:
        """Marks as read the folders whose ids are not known yet."""
        folders, self._without_id = self._without_id, []
        parts = [folders[begin : begin + _AT_ONCE] for begin in range(0, len(folders), _AT_ONCE)]
        for folder, known in zip(folders, chain.from_iterable(threads.map(_ids_of, parts))):
            if known is not None:
                self._mark_read(folder, known)

    def _mark_read(self, folder: _Folder, target: FileId) -> bool:
        """Marks a folder as read. Returns whether it was not."""
        read = self._read.setdefault(folder.location, set())
        is_new = target not in read
        read.add(target)
        return is_new

    def _is_outside(self, folder: _Folder) -> bool:
        """Returns whether a folder is a location out of scope that contains no location in scope."""
        location, scope = folder.location, self._scope
        if not (location and location.is_out_of_scope and scope.at(folder.path) is location):
            return False
        inner = (one.folder for one in scope.locations.values() if not one.is_out_of_scope)
        return not any(is_in(one, folder.path) for one in inner)

    def _read_folder(
        self, folder: _Folder, names: Names | OSError, found: list[MediaFile | Unread]
    ) -> Iterable[_Folder]:
        """Adds a folder's media files to ``found``. Returns the folders below it that the walk must read, in order."""
        if isinstance(names, OSError):
            return self._unreadable(folder, names, found)
        # Before the first link, each folder counts as new, because some file systems give the same id to several.
        if not self._follows_links:
            self._without_id.append(folder)
        elif not folder.is_known:
            folder_id = _id_of(folder.path)
            if folder_id is not None and not self._mark_read(folder, folder_id):
                found += self._linked(folder)
                return ()
        scope, location = self._scope, folder.location
        media = scope.media_at(location)
        any_name = "extension" not in scope.rules
        folders: dict[bytes, FileId | None] = {}
        files: list[bytes] = []
        own = None
        for name, is_folder in names:
            target = None
            if is_folder is None:
                path = _join(folder.path, name)
                try:
                    is_folder, target = _resolve(path)
                except OSError as error:
                    found += [] if folder.is_out else [_unread(path, error)]
                    continue
            if is_folder:
                folders[name] = target
            elif not folder.is_out and (any_name or media.has_extension(name)):
                files.append(name)
            if name == b".plexignore":
                own = scope.own_ignored(folder.path, location)
        twins = set() if folder.twin else _twins([*folders, *files])
        found += [MediaFile(_join(folder.path, name), location, folder.twin or name in twins) for name in files]
        below: list[_Folder] = []
        at_root = location is not None and scope.at(folder.path) is location
        for name in sorted(folders):
            path, target = _join(folder.path, name), folders[name]
            own_location = scope.at(path)
            one = _Folder(path, own_location or location, folder.twin or name in twins)
            ruling = scope.ruling_for_folder(path, location, at_root, own)
            if ruling and not own_location:  # no rule ignores a location
                found += [] if folder.is_out else [Unread(path, *ruling)]
                below += self._locations_below(one)
            elif target and not ruling and _leads_up(path, target):
                found += [] if folder.is_out else [Unread(path, "loop")]
            elif target and not own_location:
                self._links.append((one._replace(is_known=True), target))
            else:
                below.append(one)
        return below

    def _unreadable(self, folder: _Folder, error: OSError, found: list[MediaFile | Unread]) -> Iterable[_Folder]:
        """Adds an unreadable folder to ``found``, unless it disappeared. Returns the locations below the folder,
        because a folder without permission to list its names may permit to open them.
        """
        if _number(error) in on_disk.NOT_THERE:
            return ()
        if not folder.is_out:
            found.append(_unread(folder.path, error))
        return () if on_disk.error_of(_join(folder.path, b".")) else self._locations_below(folder)

    def _locations_below(self, folder: _Folder) -> Iterable[_Folder]:
        """Returns the outermost locations below a folder that the walk does not read."""
        return [_Folder(one.folder, one, folder.twin) for one in self._scope.outermost_below(folder.path)]

    def _linked(self, folder: _Folder) -> list[MediaFile | Unread]:
        """Returns what to report for a folder that was already read under another path."""
        return [] if folder.is_out else [Unread(folder.path, "linked", os.path.realpath(folder.path))]


def _names_of(folders: Iterable[bytes]) -> list[Names | OSError]:
    return [_names(folder) for folder in folders]


def _names(folder: bytes) -> Names | OSError:
    """Returns the names in a folder, or the error."""
    try:
        found: Any = os.scandir(on_disk.native(folder))
        with found as entries:
            if os.name == "nt":
                return [(os.fsencode(one.name), _is_folder(one)) for one in entries]
            return [(one.name, None if one.is_symlink() else one.is_dir(follow_symlinks=False)) for one in entries]
    except ValueError as error:  # no folder can have this path
        return OSError(on_disk.NOT_THERE[0], str(error))
    except OSError as error:
        return error


def _ids_of(folders: Iterable[_Folder]) -> list[FileId | None]:
    return [_id_of(folder.path) for folder in folders]


def _id_of(folder: bytes) -> FileId | None:
    """Returns the id of a folder, following links; None if the folder has disappeared or cannot be read."""
    try:
        facts = os.stat(on_disk.native(folder))
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def _is_folder(entry: Any) -> bool | None:
    """Returns whether a name on Windows is a folder; None for a link or a junction."""
    try:
        tag = entry.stat(follow_symlinks=False).st_reparse_tag
        return None if tag in _LINKS else bool(entry.is_dir(follow_symlinks=False))
    except OSError:
        return None


def _join(folder: bytes, name: bytes) -> bytes:
    return folder + name if folder.endswith(on_disk.SEPARATOR) else folder + on_disk.SEPARATOR + name


def _number(error: OSError) -> int:
    """Returns the system's error number."""
    return getattr(error, "winerror", None) or error.errno or 0


def _unread(path: bytes, error: OSError) -> Unread:
    return Unread(path, "unreadable", error=_number(error))


def _resolve(link: bytes) -> tuple[bool, FileId | None]:
    """Returns whether a link leads to a folder, and the folder's id. A dangling or circular link does not."""
    try:
        facts = os.stat(on_disk.native(link))
    except OSError as error:
        if on_disk.is_gone(error):
            return False, None
        raise
    is_folder = stat.S_ISDIR(facts.st_mode)
    return is_folder, (facts.st_dev, facts.st_ino) if is_folder else None


def _leads_up(link: bytes, target: FileId) -> bool:
    """Returns whether a link leads, directly or through other links, to a folder above it."""
    folder, above = link, os.path.dirname(link)
    while above != folder:
        if _id_of(above) == target:
            return True
        folder, above = above, os.path.dirname(above)
    return False


def _twins(names: list[bytes]) -> set[bytes]:
    """Returns the names in one folder whose normal form another name there has, such as `A.mkv` and `a.mkv`."""
    if len(names) < 2:
        return set()
    forms: dict[bytes, list[bytes]] = {}
    for name in names:
        forms.setdefault(on_disk.form_of(name), []).append(name)
    return {name for same in forms.values() if len(same) > 1 for name in same}
