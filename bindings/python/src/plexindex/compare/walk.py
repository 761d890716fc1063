"""Walks folders on this machine. Yields media files, and the folders and links that it does not read.

Below a library's folder, the walk reads each real folder (device and inode) once, and follows links last, so links make
no loop. It reads with several threads, because network file systems are slow.
"""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import NamedTuple

from .._core import TYPE_CHECKING
from . import on_disk
from .places import is_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from .scope import Location, Ruling, Scope

    # A device and the number of a file on it.
    FileId = tuple[int, int]
    # A folder's id, and its names. The flag says whether a name is a folder; None for a link.
    Names = tuple[FileId, list[tuple[bytes, bool | None]]]

# Number of threads that read folders, and number of folders that each of them reads at once.
_THREADS, _AT_ONCE = 4, 64


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
        # The ids of the folders that were read, by location.
        self._read: dict[Location | None, set[FileId]] = {}
        self._follows_links = False

    @property
    def is_over(self) -> bool:
        """Whether no folder and no link is left."""
        return not (self._pending or self._links)

    def all(self) -> Iterator[list[MediaFile | Unread]]:
        """Walks all folders. Yields what it finds in several folders at a time."""
        with ThreadPoolExecutor(_THREADS, "plexindex-walk") as threads:
            while not self.is_over:
                if not self._pending:
                    yield self._follow_links()
                folders = self._pending[: -_THREADS * _AT_ONCE - 1 : -1]
                del self._pending[-len(folders) :]
                folders = [folder for folder in folders if not self._is_outside(folder)]
                parts = [folders[begin : begin + _AT_ONCE] for begin in range(0, len(folders), _AT_ONCE)]
                listed = threads.map(_names_of_folders, parts) if len(parts) > 1 else map(_names_of_folders, parts)
                found: list[MediaFile | Unread] = []
                below: list[_Folder] = []
                for folder, names in zip(folders, chain.from_iterable(listed)):
                    below += self._read_folder(folder, names, found)
                self._pending += reversed(below)
                yield found

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
        self._follows_links = True
        found: list[MediaFile | Unread] = []
        links, self._links = sorted(self._links, key=lambda link: link[0].path), []
        for folder, target in links:
            if self._mark_read(folder, target):
                self._pending.append(folder)
            else:
                found += self._linked(folder)
        self._pending.reverse()
        return found

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
        folder_id, entries = names
        is_new = folder.is_known or self._mark_read(folder, folder_id)
        # Before the first link, a folder counts as new, because some file systems give the same id to several.
        if not is_new and self._follows_links:
            found += self._linked(folder)
            return ()
        scope, location = self._scope, folder.location
        media = scope.media_at(location)
        any_name = "extension" not in scope.rules
        folders: dict[bytes, FileId | None] = {}
        files: list[bytes] = []
        own = None
        for name, is_folder in entries:
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
        for name in sorted(folders):
            path = _join(folder.path, name)
            one = _Folder(path, scope.at(path) or location, folder.twin or name in twins)
            ruling = scope.ruling_for_folder(path, location, own)
            below += self._subfolder(folder, one, folders[name], ruling, found)
        return below

    def _subfolder(
        self, above: _Folder, folder: _Folder, target: FileId | None, ruling: Ruling | None,
        found: list[MediaFile | Unread],
    ) -> Iterable[_Folder]:  # fmt: skip
        """Returns the folders to read in place of a subfolder: itself, none, or the locations below it.

        ``target``: the id of the folder to which it leads, if it is a link. ``ruling``: the rule that ignores it. No
        rule ignores a location.
        """
        is_location = self._scope.at(folder.path) is not None
        if ruling and not is_location:
            found += [] if above.is_out else [Unread(folder.path, *ruling)]
            return self._locations_below(folder)
        if not ruling and target and _leads_up(folder.path, target):
            found += [] if above.is_out else [Unread(folder.path, "loop")]
            return ()
        if target and not is_location:
            self._links.append((folder._replace(is_known=True), target))
            return ()
        return [folder]

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


def _names_of_folders(folders: Iterable[_Folder]) -> list[Names | OSError]:
    return [_names(folder.path) for folder in folders]


def _names(folder: bytes) -> Names | OSError:
    """Returns the id and the names of a folder, or the error."""
    try:
        path: Any = on_disk.native(folder)
        facts = os.stat(path)
        with os.scandir(path) as entries:
            if os.name == "nt":
                names = [(os.fsencode(one.name), _is_folder(one)) for one in entries]
            else:
                names = [(one.name, None if one.is_symlink() else one.is_dir(follow_symlinks=False)) for one in entries]
        return (facts.st_dev, facts.st_ino), names
    except ValueError as error:  # no folder can have this path
        return OSError(on_disk.NOT_THERE[0], str(error))
    except OSError as error:
        return error


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
    folder = os.path.dirname(link)
    while True:
        try:
            facts = os.stat(on_disk.native(folder))
            if (facts.st_dev, facts.st_ino) == target:
                return True
        except OSError:
            pass
        above = os.path.dirname(folder)
        if above == folder:
            return False
        folder = above


def _twins(names: list[bytes]) -> set[bytes]:
    """Returns the names in one folder whose normal form another name there has, such as `A.mkv` and `a.mkv`."""
    if len(names) < 2:
        return set()
    forms: dict[bytes, list[bytes]] = {}
    for name in names:
        forms.setdefault(on_disk.form_of(name), []).append(name)
    return {name for same in forms.values() if len(same) > 1 for name in same}
