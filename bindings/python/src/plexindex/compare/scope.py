"""Decides which rule of Plex ignores a path: by the library's folder that contains it, and by `.plexignore` files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache

from .._core import TYPE_CHECKING
from . import on_disk
from .places import is_in
from .plexignore import Ignored
from .rules import EVERYWHERE, MediaTypes, rule_for_file, rule_for_folder

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from .places import Places

    # A rule, and the line of a `.plexignore` file, which is empty for other rules.
    Ruling = tuple[str, bytes]

# Number of folders whose rulings and `.plexignore` files stay in memory.
_KEPT = 1024
_EVERYWHERE_MEDIA = MediaTypes.of(())


@dataclass(frozen=True)
class Location:
    """A library's folder on this machine."""

    folder: bytes
    media: MediaTypes
    """The media types of the compared libraries with this folder."""
    is_out_of_scope: bool
    """Whether the folder only belongs to libraries that are not compared, so that nothing in it is reported."""
    is_fetched: bool
    """Whether each compared library with this folder has a listing."""


class Scope:
    """All libraries' folders, and the rules of a comparison. Reads each `.plexignore` file once."""

    def __init__(self, places: Places, rules: Collection[str]) -> None:
        """``rules``: the names of the rules that apply."""
        self.rules = frozenset(rules)
        self._outside = self.rules & EVERYWHERE
        self.locations: dict[bytes, Location] = {}
        """The libraries' folders by path; on Windows by path in lower case."""
        for folder in {**places.locations, **places.unfetched, **places.others}:
            kinds = [one.kind for known in (places.locations, places.unfetched) for one in known.get(folder, ())]
            location = Location(folder, MediaTypes.of(kinds), not kinds, folder not in places.unfetched)
            self.locations[os.path.normcase(folder)] = location
        self.has_others = any(location.is_out_of_scope for location in self.locations.values())
        """Whether a location is out of scope."""
        self.ignored_in = lru_cache(_KEPT)(Ignored.read)
        self._ruling_above = lru_cache(_KEPT)(self._uncached_ruling_above)

    def at(self, folder: bytes) -> Location | None:
        """Returns the location that is exactly this folder."""
        return self.locations.get(os.path.normcase(folder))

    def innermost(self, path: bytes) -> Location | None:
        """Returns the innermost location that contains a path."""
        containing = (one for one in self.locations.values() if is_in(path, one.folder))
        return max(containing, key=lambda one: len(one.folder), default=None)

    def outermost_below(self, folder: bytes) -> Iterator[Location]:
        """Yields the locations below a folder that are in no other location below the folder."""
        above = self.at(folder)
        below = [one for one in self.locations.values() if one is not above and is_in(one.folder, folder)]
        for one in below:
            if not any(one is not other and is_in(one.folder, other.folder) for other in below):
                yield one

    def media_at(self, location: Location | None) -> MediaTypes:
        """Returns the media types in a location, or outside all locations."""
        return location.media if location else _EVERYWHERE_MEDIA

    def ruling_for_folder(
        self, path: bytes, location: Location | None, at_root: bool, own: Ignored | None
    ) -> Ruling | None:
        """Returns the rule that ignores a folder; None if no rule does.

        ``location``: the innermost location that contains the folder above. ``at_root``: whether the folder above is
        this location. ``own``: the `.plexignore` file there, unless it is the location's.
        """
        rules = self.rules if location else self._outside
        rule = rule_for_folder(path.rpartition(on_disk.SEPARATOR)[2], rules, self.media_at(location), at_root)
        if rule is not None:
            return rule, b""
        for ignored in self._ignored(location, own):
            line = ignored.line_for_folder(path)
            if line is not None:
                return "plexignore", line
        return None

    def ruling_for_file(self, path: bytes, location: Location | None) -> Ruling | None:
        """Returns the rule that ignores a file, or a folder between the file and its location; None if no rule does.
        Reads the file's facts, which is slow.

        ``location``: the innermost location that contains the file.
        """
        folder, name = os.path.split(path)
        if location and self.at(path) is location:
            return None  # no rule ignores a location
        ruling = self._ruling_above(folder, location)
        if ruling is not None:
            return ruling
        rules, media = self.rules if location else self._outside, self.media_at(location)
        if "extension" in rules and not media.has_extension(name):
            return "extension", b""
        if not os.path.lexists(on_disk.native(path)):
            return None  # it disappeared
        rule = rule_for_file(path, rules, media)
        if rule is not None:
            return rule, b""
        for ignored in self._ignored(location, self.own_ignored(folder, location)):
            line = ignored.line_for_file(path)
            if line is not None:
                return "plexignore", line
        return None

    def _uncached_ruling_above(self, folder: bytes, location: Location | None) -> Ruling | None:
        """Returns the rule that ignores a folder, or a folder between it and its location."""
        if location is None or self.at(folder) is location or not is_in(folder, location.folder):
            return None
        above = os.path.dirname(folder)
        ruling = self._ruling_above(above, location)
        at_root = self.at(above) is location
        return ruling or self.ruling_for_folder(folder, location, at_root, self.own_ignored(above, location))

    def own_ignored(self, folder: bytes, location: Location | None) -> Ignored | None:
        """Returns a folder's own `.plexignore` file, unless the folder is the location."""
        if location is None or self.at(folder) is location or "plexignore" not in self.rules:
            return None
        return self.ignored_in(folder)

    def _ignored(self, location: Location | None, own: Ignored | None) -> list[Ignored]:
        """Returns the `.plexignore` files that apply: the location's, then a folder's own."""
        known = [own] if own else []
        if location and not location.is_out_of_scope and "plexignore" in self.rules:
            ignored = self.ignored_in(location.folder)
            if ignored:
                known.insert(0, ignored)
        return known
