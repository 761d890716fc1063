"""Where the files of libraries lie on this machine, and whose folder one is."""

from __future__ import annotations

import os

from . import _constants as c
from ._feed import is_chosen
from ._mapping import as_mapping
from ._rules import Rules, _moved

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ._library import LibraryInfo

    # An index makes comparisons, so this module cannot name its class.
    Index = Any
    Library = Any

    ByFolder = dict[bytes, list[LibraryInfo]]


class Places:
    """The folders of an index's libraries. ``asked``: the library that is compared, or all."""

    def __init__(self, index: Index, asked: Library) -> None:
        self.index, self.asked = index, asked
        self.names = Names(index)
        self.locations: ByFolder = {}
        """Those of the libraries that are asked."""
        self.unfetched: ByFolder = {}
        """The same, of which nothing was ever fetched."""
        self.others: ByFolder = {}
        """Those of the libraries that are not asked."""

    def learn(self, libraries: Iterable[LibraryInfo]) -> None:
        """Takes over what is known by now."""
        for library in libraries:
            known = self.unfetched if library.age is None else self.locations
            if not is_chosen(library, self.asked):
                known = self.others
            for location in library.locations:
                if location:
                    known.setdefault(self.names.host_folder(location), []).append(library)

    def library(self, library: LibraryInfo) -> Library:
        """A library, to be asked."""
        return self.index.library(uuid=library.uuid)

    def among(self, places: Iterable[bytes]) -> list[LibraryInfo]:
        """The libraries that have these locations, each once."""
        return list({library.uuid: library for place in places for library in self.locations[place]}.values())

    def around(self, path: bytes) -> bytes | None:
        """The innermost location that a path lies in."""
        return max((place for place in self.locations if is_in(path, place)), key=len, default=None)

    def owners(self, path: bytes) -> list[LibraryInfo]:
        """The libraries whose folder a path lies in."""
        place = self.around(path)
        return [] if place is None else self.locations[place]

    def owners_elsewhere(self, folder: bytes) -> list[LibraryInfo] | None:
        """The libraries that are not asked, where a folder is theirs: the innermost location says whose it is."""
        place = max((place for place in self.others if is_in(folder, place)), key=len, default=b"")
        return None if len(self.around(folder) or b"") >= len(place) else self.others[place]

    def files(self, folder: bytes, library: LibraryInfo) -> int:
        """How many files a library lists below a folder: this one, and not another that ends alike."""
        found = self.index.folder(folder, self.library(library), offline=True)
        return found.files if found.rung in ("exact", "mapped") else 0


class Names:
    """What listed paths are called on the host, by the mappings of an index."""

    def __init__(self, index: Index) -> None:
        given = index._recipe[1][3]["mappings"] if index._recipe else ()
        rules = [as_mapping(rule) for rule in given or ()]
        self._rules = Rules(rules) if rules else None
        self._back = [
            (rule.replace.decode("utf-8", "surrogateescape"), rule.find.decode("utf-8", "surrogateescape"))
            for rule in rules
            if rule.kind == c.MAPPING_HOST_PREFIX
        ]
        self.known = all(rule.kind != c.MAPPING_HOST_PATTERN for rule in rules)
        """Whether the host's name of each listed path is known: a pattern over the host's paths leads one way."""

    def host(self, path: str) -> bytes:
        """A listed path, as the host has it."""
        if self._rules is not None:
            found = self._rules._host(path)
            for server, host in () if found else self._back:
                found = _moved(path, server, host) or ""
                if found:
                    break
            path = found or path
        return os.fsencode(path)

    def host_folder(self, folder: str) -> bytes:
        """The same for a folder: rules are written for what lies below it."""
        below = self.host(folder.rstrip("/") + "/x")
        return os.path.normpath(os.path.dirname(below))


def is_in(path: bytes, folder: bytes) -> bool:
    """Whether a path is this folder, or lies below it."""
    return path == folder or path.startswith(folder.rstrip(b"/") + b"/")


def outermost(folders: Iterable[bytes]) -> list[bytes]:
    """Those that lie in no other one of them, each once."""
    once = list(dict.fromkeys(folders))
    return [one for one in once if not any(one != other and is_in(one, other) for other in once)]
