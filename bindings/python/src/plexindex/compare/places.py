"""The libraries' folders on this machine."""

from __future__ import annotations

import os

from .._core import constants as c
from .._core.call import path_of
from ..changes import is_chosen
from ..mapping import as_mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ..library import LibraryInfo

    # The index imports this module, so this module cannot import the class.
    Index = Any
    Library = Any

    ByFolder = dict[bytes, list[LibraryInfo]]


_SEPARATOR = os.sep.encode()


class Places:
    """All libraries' folders on this machine. ``asked`` is the library to compare, or all libraries."""

    def __init__(self, index: Index, asked: Library) -> None:
        self.index, self.asked = index, asked
        self.names = Names(index)
        self.locations: ByFolder = {}
        """The compared libraries' folders."""
        self.unfetched: ByFolder = {}
        """The folders of those compared libraries that were never fetched."""
        self.others: ByFolder = {}
        """The other libraries' folders."""

    def reload(self, libraries: Iterable[LibraryInfo]) -> None:
        """Updates the folders from the given libraries or, by default, from the index."""
        for library in libraries:
            known = self.unfetched if library.age is None else self.locations
            if not is_chosen(library, self.asked):
                known = self.others
            for location in library.locations:
                if location:
                    known.setdefault(self.names.host_folder(location), []).append(library)

    def library(self, library: LibraryInfo) -> Library:
        """Returns a library's handle."""
        return self.index.library(uuid=library.uuid)

    def at_locations(self, places: Iterable[bytes]) -> list[LibraryInfo]:
        """Returns the libraries with the given locations, without duplicates."""
        return list({library.uuid: library for place in places for library in self.locations[place]}.values())

    def innermost(self, path: bytes) -> bytes | None:
        """Returns the innermost location that contains a path."""
        return max((place for place in self.locations if is_in(path, place)), key=len, default=None)

    def owners(self, path: bytes) -> list[LibraryInfo]:
        """Returns the libraries with a location that contains a path."""
        place = self.innermost(path)
        return [] if place is None else self.locations[place]

    def owners_elsewhere(self, folder: bytes) -> list[LibraryInfo] | None:
        """Returns the other libraries that own the innermost location that contains a folder."""
        place = max((place for place in self.others if is_in(folder, place)), key=len, default=b"")
        return None if len(self.innermost(folder) or b"") >= len(place) else self.others[place]

    def files(self, folder: bytes, library: LibraryInfo) -> int:
        """Returns the number of files that a library lists below a folder in exactly this spelling."""
        found = self.index.folder(folder, self.library(library), offline=True)
        return found.files if found.match_kind in ("exact", "mapped") else 0


class Names:
    """Converts listed paths to the host's paths, with an index's mappings."""

    def __init__(self, index: Index) -> None:
        given = index._recipe[1][3]["mappings"] if index._recipe else ()
        rules = [as_mapping(rule) for rule in given or ()]
        self._index, self._are_mapped = index, bool(rules)
        self.known = all(rule.kind != c.MAPPING_HOST_PATTERN for rule in rules)
        """Whether every listed path has a host path; false with a pattern for host paths, which cannot be inverted."""

    def host(self, path: str) -> bytes:
        """Returns the host's path for a listed path."""
        raw = os.fsencode(path)
        if not (raw and self._are_mapped):
            return raw
        return path_of(self._index._request("mappings.to_host", path=raw)[1]["path"])

    def host_folder(self, folder: str) -> bytes:
        """Returns the host's path for a folder. The rules apply to paths below a folder, not to the folder itself."""
        below = self.host(folder.rstrip("/") + "/x")
        return os.path.normpath(os.path.dirname(below))


def is_in(path: bytes, folder: bytes) -> bool:
    """Returns whether a path is ``folder`` or is below it."""
    # On Windows, neither case nor the kind of separator matters.
    path, folder = os.path.normcase(path), os.path.normcase(folder)
    return path == folder or path.startswith(folder.rstrip(_SEPARATOR) + _SEPARATOR)


def outermost(folders: Iterable[bytes]) -> list[bytes]:
    """Returns the outermost of ``folders``, without duplicates."""
    once = list(dict.fromkeys(folders))
    return [one for one in once if not any(one != other and is_in(one, other) for other in once)]
