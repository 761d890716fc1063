"""The libraries' folders on this machine."""

from __future__ import annotations

import os

from .._core import TYPE_CHECKING
from .._core import abi as c
from ..errors import NotFetchedError
from ..mapping import as_mapping
from .on_disk import SEPARATOR

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..item import Item
    from ..library import Library
    from .difference import Difference

    ByFolder = dict[bytes, list[Library]]


class Places:
    """All libraries' folders on this machine. ``asked`` is the library to compare, or all libraries."""

    def __init__(self, asked: Library) -> None:
        self.index, self.asked = asked.index, asked
        rules = [as_mapping(rule) for rule in self.index._recipe[3]["mappings"]]
        self.knows_host_paths = all(rule.kind != c.MAPPING_HOST_PATTERN for rule in rules)
        """Whether every listed path has a host path; false with a pattern for host paths, which cannot be inverted."""
        self.locations: ByFolder = {}
        """The compared libraries' folders."""
        self.unfetched: ByFolder = {}
        """The folders of those compared libraries that were never fetched."""
        self.others: ByFolder = {}
        """The other libraries' folders."""
        self.compares_all = asked._handle.named is None
        """Whether all libraries are compared."""
        self._listed = 0

    def reload(self, libraries: Iterable[Library]) -> None:
        """Updates the folders from all libraries."""
        current = self.asked._current()
        asked = {facts["uuid"] for facts in current}
        self._listed = sum("age_ms" in facts for facts in current)
        for library in libraries:
            known = self.unfetched if library.age is None else self.locations
            if library.uuid not in asked:
                known = self.others
            for location in library.locations:
                if location:
                    # The rules apply to paths below a folder, not to the folder itself.
                    below = os.fsencode(self.index._host_path_of(location.rstrip("/") + "/x") or "")
                    known.setdefault(os.path.normpath(os.path.dirname(below)), []).append(library)

    def expect_listings(self) -> None:
        """Raises NotFetchedError if the store has lost a listing since :meth:`reload`, because its files then look
        unlisted.
        """
        if sum("age_ms" in facts for facts in self.asked._current()) < self._listed:
            raise NotFetchedError("a listing was lost during the comparison: fetch the libraries again (refresh)")

    def at_locations(self, places: Iterable[bytes]) -> list[Library]:
        """Returns the libraries with the given locations, without duplicates."""
        return list({library.uuid: library for place in places for library in self.locations[place]}.values())

    def innermost(self, path: bytes) -> bytes | None:
        """Returns the innermost location that contains a path."""
        return max((place for place in self.locations if is_in(path, place)), key=len, default=None)

    def owners(self, path: bytes) -> list[Library]:
        """Returns the libraries with a location that contains a path."""
        place = self.innermost(path)
        return [] if place is None else self.locations[place]

    def library_of(self, one: Difference) -> Library | None:
        """Returns the compared library that lists the path of a difference."""
        known = (library for libraries in self.locations.values() for library in libraries)
        return next((library for library in known if library.section == one.section), None)

    def owners_elsewhere(self, folder: bytes) -> list[Library] | None:
        """Returns the other libraries that own the innermost location that contains a folder."""
        place = max((place for place in self.others if is_in(folder, place)), key=len, default=b"")
        return None if len(self.innermost(folder) or b"") >= len(place) else self.others[place]

    def files(self, folder: bytes, library: Library) -> int:
        """Returns the number of files that a library lists below a folder in exactly this spelling."""
        found = library.folder(folder, offline=True)
        return found.files if found.match_kind in ("exact", "mapped") else 0


def host_path(item: Item) -> bytes:
    """Returns the path of an item's listed file on this machine."""
    return os.fsencode(item.host_path or "")


def is_in(path: bytes, folder: bytes) -> bool:
    """Returns whether a path is ``folder`` or is below it."""
    # On Windows, neither case nor the kind of separator matters.
    path, folder = os.path.normcase(path), os.path.normcase(folder)
    return path == folder or path.startswith(folder.rstrip(SEPARATOR) + SEPARATOR)


def outermost(folders: Iterable[bytes]) -> list[bytes]:
    """Returns the outermost of ``folders``, without duplicates."""
    once = list(dict.fromkeys(folders))
    return [one for one in once if not any(one != other and is_in(one, other) for other in once)]
