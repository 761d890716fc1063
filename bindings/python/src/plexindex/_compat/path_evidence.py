"""Evidence that a path does not belong to the only item of the library that has a file of this name.

The path may belong to a file that Plex has not scanned yet, or to a different library. Or only the root differs,
because the host mounts the same folder elsewhere.
"""

from __future__ import annotations

from .._core.paths import components, folder_of, relations, same_file, shared_end
from ..errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..plexapi import SectionIndex
    from .host_log import HostLog

# The match kinds for a path that is itself listed or recorded.
LISTED = ("confirmed", "exact", "mapped")
# Plex's item types to search for, by library type.
_TYPES = {"movie": 1, "show": 4, "artist": 10}
# Warnings that were already logged, so that each appears only once.
_warned: set[tuple[str, ...]] = set()
_MAX_WARNED = 4096
# Sections that the host has used, by server and key. The host may try another section for the same path next.
_asked: set[tuple[str, str]] = set()


class PathEvidence:
    """The evidence in a path, for a section."""

    def __init__(self, section: Any, index: SectionIndex | None, spellings: list[str], log: HostLog) -> None:
        """``spellings``: the path and, if the path is below a mapped folder, the mapped path."""
        self._section, self._index, self._spellings, self._log = section, index, spellings, log
        self._server = str(getattr(getattr(section, "_server", None), "_baseurl", ""))
        self._key = str(getattr(section, "key", ""))
        _asked.add((self._server, self._key))
        # Title and key of another library that lists the path, in a list with at most one element. None: not determined
        # yet.
        self._listing: list[tuple[str, str]] | None = None
        # The section with a folder above the path, in a list with at most one element. None: not determined yet.
        self._owners: list[Any] | None = None
        self._reason = ""

    def contradicts(
        self,
        files: list[str],
        *,
        names_another: Callable[[], bool],
        is_alone: Callable[[], bool],
        is_in_library: bool = False,
    ) -> bool:
        """Returns whether the path belongs to a different item than the item with these files.

        ``names_another``: whether the path contains a different title, year, show or number. ``is_alone``: whether no
        other item in the library has a file with the same name. ``is_in_library``: whether the mapped path is in one of
        the library's folders.
        """
        if self.is_one_of(files):
            return False
        lister = self.listing_library()
        owner = None if is_in_library else self._owner()
        is_in_library = is_in_library or owner is self._section
        other = None if is_in_library or lister is not None else owner
        if other is not None and self._has_path(other):
            lister = other.title
            self._listing = [(other.title, str(other.key))]
        if lister is not None:
            return self._against(f"; library '{lister}' has this path")
        if other is None and not is_in_library:
            return names_another() and self._against(", whose folders name another title")
        shift = self._shift(files)
        where = "" if other is None else f", a folder of library '{other.title}'"
        if shift is None or names_another() or not is_alone():
            return self._against(where)
        self._warn_of_shift(*shift, where)
        return False

    def is_one_of(self, files: list[str]) -> bool:
        """Returns whether the path or the mapped path is one of ``files``."""
        return any(same_file(path, files) for path in self._spellings)

    def tell(self, file: str | None) -> None:
        """Warns, once for each path, that the library has only a different file with the same name."""
        path, title = self._spellings[0], self._section.title
        name = self._log.path(components(path)[-1])
        there = f" in {self._log.path(folder_of(file))}" if file else " elsewhere"
        remedy = (
            "If Plex has not scanned the file yet, scan the library. If Stash and Plex see the folder at different "
            "paths, mount it at the same path in both"
        )
        is_asked = False
        if self._listing:
            remedy = "Set plex_library to that library; or, if Stash means another file, mount its folder elsewhere"
            is_asked = (self._server, self._listing[0][1]) in _asked
        write = self._log.warn if _is_new(title, path) and not is_asked else self._log.debug
        write(
            f"LOW confidence match for '{name}': library '{title}' has a file of that name{there}, and none in "
            f"{self._log.path(folder_of(path))}{self._reason}. {remedy}"
        )

    def listing_library(self, sure_key: str | None = None) -> str | None:
        """Returns the title of another library that lists the path, if the index knows one. Sends no request.

        ``sure_key`` is the key of the item that this library returns with high confidence. If a fast lookup in all
        libraries finds the same item, no other library lists the path.
        """
        if self._listing is None:
            self._listing = []
            if sure_key is not None and self._index and self._index.surest_key(self._spellings[0]) == sure_key:
                return None
            try:
                found = self._index and self._index.index.match(self._spellings[0], offline=True)
            except Error:
                found = None  # the index contains no listing yet
            if found and found.match_kind in LISTED and all(item.section != self._key for item in found.candidates):
                self._listing = [(str(item.library), str(item.section)) for item in found.candidates]
        return self._listing[0][0] if self._listing else None

    def _against(self, reason: str) -> bool:
        self._reason = reason
        return True

    def is_outside(self) -> bool:
        """Returns whether no library lists the path or has a folder above it. Call this method only if the index has
        high confidence in an item, which it never has for an unlisted path below a library's folder. Sends no request.
        """
        if self.listing_library() is not None:
            return False
        index = self._index if len(self._spellings) == 1 else None
        is_known = index is not None and index.knows_folders(self._section, self._all_folders)
        return is_known or self._owner() is None

    def _all_folders(self) -> list[str]:
        return [folder for section in (self._section, *self._others()) for folder in _folders(section)]

    def _owner(self) -> Any:
        """Returns the section with a folder above the path: this section or another loaded one. Sends no request."""
        if self._owners is None:
            sections = [self._section, *self._others()]
            folders = [(folder, section) for section in sections for folder in _folders(section)]
            names = [folder for folder, _ in folders]
            related = [relations(path, names) for path in self._spellings] if names else []
            found = [one for (_, one), *of in zip(folders, *related) if any(it["under"] for it in of)]
            self._owners = found[:1]
        return self._owners[0] if self._owners else None

    def _others(self) -> list[Any]:
        """Returns the server's other sections, if the host's client has loaded them."""
        server = getattr(getattr(self._section, "_server", None), "__dict__", {})
        library = getattr(server.get("library"), "__dict__", {})
        # plexapi stores the sections under one of these two names.
        loaded = library.get("_loadSections") or (library.get("_sectionsByID"),)
        known = loaded[0] if isinstance(loaded, tuple) else None
        return [one for key, one in known.items() if str(key) != self._key] if isinstance(known, dict) else []

    def _has_path(self, other: Any) -> bool:
        """Asks the server whether another section has the path."""
        from urllib.parse import quote

        kind, name = _TYPES.get(other.type), components(self._spellings[0])[-1]
        file = quote(name, safe="", errors="surrogateescape")
        try:
            items = other.fetchItems(f"/library/sections/{other.key}/all?type={kind}&file={file}") if kind else []
            return any(self.is_one_of([path for path in item.locations if path]) for item in items)
        except Exception:
            return False  # not every server supports the request

    def _shift(self, files: list[str]) -> tuple[str, str] | None:
        """Returns the host's and the server's folder if only the roots of two paths differ."""
        for path in self._spellings:
            for file, common in zip(files, shared_end(path, files)):
                here, there = len(components(path)), len(components(file))
                if common >= 2 and common >= min(here, there) - 1:
                    return folder_of(path, common), folder_of(file, common)
        return None

    def _warn_of_shift(self, here: str, there: str, where: str) -> None:
        title = self._section.title
        here, there = self._log.path(here), self._log.path(there)
        if _is_new(title, here, there):
            self._log.warn(
                f"Stash's folder {here}{where and where + ','} is treated as Plex's {there} of library '{title}': the "
                "paths below them agree, and no other file in the library has that name. If that is wrong, mount the "
                "folder at the same path in both"
            )


def _folders(section: Any) -> list[str]:
    locations = getattr(section, "locations", None)
    return [folder for folder in locations if isinstance(folder, str)] if isinstance(locations, list) else []


def _is_new(*warning: str) -> bool:
    if warning in _warned:
        return False
    if len(_warned) >= _MAX_WARNED:
        _warned.clear()
    _warned.add(warning)
    return True
