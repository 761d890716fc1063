"""Holds back differences that may be renames until the server has answered.

A rename that did not change the server's timestamps looks like a missing file and a new file.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import replace
from itertools import chain

from .._core import TYPE_CHECKING
from ..changes import REFRESH_ERRORS
from ..match import LISTED
from ..media import file_of
from . import on_disk
from .places import host_path, is_in

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from .._core.types import PathArg
    from ..item import Item
    from ..library import Library
    from .difference import Difference, Listing
    from .places import Places
    from .unlisted import Finding, Walk

    # An item that may have been renamed.
    Unsure = tuple[Library, Item]

# Maximum number of items that a comparison requests, 64 at a time.
_ASKED = 256
# Smaller files can have the same size by chance.
_MIN_RENAMED = 100 << 20
# Maximum number of differences to hold back, in addition to missing files.
_MAX_HELD = 65_536


def _listed_size(item: Item) -> int | None:
    """Returns the size that Plex lists of an item's file."""
    file = file_of(item.media, item.path)
    return None if file is None else file.size


def _paired(new: list[Difference], gone: list[Difference]) -> Iterator[Difference]:
    """Yields the differences of new files. A file that alone has the size of a missing file is probably that file."""
    missing: dict[int, list[Difference]] = {}
    for one in gone if new else ():
        size = None if one.item is None else _listed_size(one.item)
        if size is not None and size >= _MIN_RENAMED:
            missing.setdefault(size, []).append(one)
    if not missing:
        yield from new
        return
    sizes = [on_disk.size_of(os.fsencode(one.path)) if one.reason == "not_scanned" else None for one in new]
    counts = Counter(sizes)
    for one, size in zip(new, sizes):
        found = missing.get(size or 0, [])
        if len(found) == 1 and counts[size] == 1:
            text = f"it is probably '{found[0].path}', which is gone and had the same size, under a new name"
            yield replace(one, item=found[0].item, reason="renamed", message=text)
        else:
            yield one


class Renames:
    """The differences that plexindex holds back, and the results of the requests."""

    def __init__(self, places: Places, walk: Walk, listing: Listing) -> None:
        self._places, self._walk, self._listing = places, walk, listing
        self.may_ask = False
        """Whether requests are allowed. If not, no difference is held back."""
        self.until: float | None = None
        """The deadline for requests, on the monotonic clock."""
        self.unchanged: set[tuple[str, str]] = set()
        """Items (library and rating key) that the server recently reported as unchanged. This comparison does not
        request them, and adds further ones.
        """
        self.unasked = 0
        """Number of items whose files may have been renamed, but that plexindex did not request."""
        self.failed = False
        """Whether the server did not answer."""
        # New files, each with whether it has a twin.
        self._new: list[tuple[bytes, bool]] = []
        # Files that belong to several items, likewise, and their differences.
        self._shared: list[tuple[bytes, bool]] = []
        self._ambiguous: list[Difference] = []
        # For each library, items whose files are missing.
        self._gone: dict[str, list[tuple[Library, Difference]]] = {}
        # Hashes of missing files that were not held back, because there can be a million.
        self._told: set[int] = set()
        # Additional files of items.
        self._further: list[tuple[Library, Difference]] = []

    def holds_file(self, one: Finding, difference: Difference) -> bool:
        """Returns whether to hold back a file's difference, because the file may be the new or old name of an item's
        file.
        """
        if difference.what == "ambiguous" and self._has_room():
            self._shared.append((one.path, one.twin))
            self._ambiguous.append(difference)
            return True
        if difference.reason == "not_scanned" and self._has_room():
            self._new.append((one.path, one.twin))
            return True
        return False

    def holds_listed(self, library: Library, difference: Difference) -> bool:
        """Returns whether to hold back an item's difference."""
        held = self._further
        if difference.what == "not_on_disk":
            held = self._gone.setdefault(library.uuid, [])
            if len(held) == _ASKED:
                self._told.add(hash((library.uuid, difference.path)))
                return False
        if not self._has_room():
            return False
        held.append((library, difference))
        return True

    def _has_room(self) -> bool:
        """Returns whether to hold back one more difference. So many are no renames, so plexindex then asks nothing."""
        self.may_ask = self.may_ask and len(self._new) + len(self._shared) + len(self._further) < _MAX_HELD
        return self.may_ask

    def resolve(self) -> Iterator[Difference]:
        """Requests the items that may have been renamed, then yields the remaining differences."""
        listing, first = self._listing, self._first_candidates()
        changed = self._request_items(first if self.may_ask else ())
        held = [(path, False) for library, _, path in listing.respelled if library.uuid in changed]
        yield from self._ambiguous if self.failed else ()
        rest = self._walk.recheck([*self._new, *held, *(() if self.failed else self._shared)])
        gone = [
            difference
            for library, difference in chain.from_iterable(self._gone.values())
            if library.uuid not in changed or difference.item is None
        ]
        yield from _paired([*filter(None, map(self._walk.difference, rest))], gone)
        yield from gone
        for library, difference in self._further:
            if library.uuid not in changed or difference.item is None:
                yield difference
        # The items' files may have changed, so compare the listing again.
        listing.seen.clear()
        for (uuid, root), one in list(listing.compared.items()):
            for difference in listing.below(one.library, root, one.empty) if uuid in changed else ():
                if hash((uuid, difference.path)) not in self._told:
                    yield difference

    def _first_candidates(self) -> list[Unsure]:
        """Returns the items to request first.

        A rename leaves a missing file, and either a new file or a file in a different spelling. So only libraries with
        both are candidates.
        """
        places = self._places
        new = {owner.uuid for path, _ in self._new for owner in places.owners(path)}
        respelled = {library.uuid for library, *_ in self._listing.respelled}
        found: list[Unsure] = []
        for uuid, gone in self._gone.items():
            if uuid in new | respelled:
                asked = gone if self.may_ask else []
                found += [(library, one.item) for library, one in asked if one.item]
                self.unasked += sum(one.gone for (of, _), one in self._listing.compared.items() if of == uuid)
                self.unasked -= len(asked)
        # An earlier comparison may have found only some of the renames.
        shared = [(path, places.owners(path)) for path, _ in self._shared]
        for owner in {owner.uuid: owner for _, owners in shared for owner in owners}.values():
            if owner.uuid in new:
                found += self._items_sharing(owner, [path for path, owners in shared if owner in owners])
        found += self._gone_of_others()
        if len(found) > _ASKED:
            # First the items whose file has the size of a new file.
            sizes = {on_disk.size_of(path) for path, _ in self._new} - {None}
            found.sort(key=lambda one: _listed_size(one[1]) not in sizes)
        likely = [(library, item) for library, item, _ in self._listing.respelled if library.uuid in new]
        return found + likely[: max(_ASKED - len(found), 0)]

    def _gone_of_others(self) -> list[Unsure]:
        """Returns items in other libraries whose file is missing from a shared folder. A new file in the folder may be
        the renamed file.
        """
        places = self._places
        found: list[Unsure] = []
        if not places.others or not places.knows_host_paths:
            return found
        for root in filter(None, {places.innermost(path) for path, _ in self._new}):
            shared = [library for place, known in places.others.items() if is_in(root, place) for library in known]
            for library in {one.uuid: one for one in shared if one.age is not None}.values():
                for item in library.items_below(root, offline=True):
                    path = host_path(item)
                    if on_disk.is_missing(path) and on_disk.spelt_otherwise(path) is None:
                        found.append((library, item))
                        if len(found) > _ASKED:  # one more, so that `unasked` is not 0
                            return found
        return found

    def _request_items(self, unsure: Collection[Unsure]) -> set[str]:
        """Requests items. If an item now has another item's file, the index also requests that other item.

        Returns the libraries in which at least one requested item lost or changed its files.
        """
        # An item can appear with several files, and can have lost only some of them.
        by_key: dict[tuple[str, str], list[Unsure]] = {}
        for library, item in unsure:
            by_key.setdefault((library.uuid, item.rating_key), []).append((library, item))
        unknown = [key for key in by_key if key not in self.unchanged]
        items = [by_key[key] for key in unknown[:_ASKED]]
        self.unasked += len(unknown) - len(items)
        compared, changed = {uuid for uuid, _ in self._listing.compared}, set()
        try:
            for (library, item), *_ in items:
                library.invalidate_path(item.path or "")
            if items:
                self._places.asked.refresh(timeout=self._time_left(), progress=self._walk.stop)
            for other in {one.uuid: one for (one, _), *_ in items if one.uuid not in compared}.values():
                other.refresh(timeout=self._time_left(), progress=self._walk.stop)
        except REFRESH_ERRORS:
            self.failed = True
        for files in items:
            library, item = files[0]
            answers = library.match_paths([file.path or "" for _, file in files], offline=True)
            if any(answer.reason == "unconfirmed" for answer in answers):
                self.failed = True
            elif not all(
                answer.match_kind in LISTED and item.rating_key in [one.rating_key for one in answer.candidates]
                for answer in answers
            ):
                changed.add(library.uuid)
            else:
                self.unchanged.add((library.uuid, item.rating_key))
        return changed

    def _time_left(self) -> float | None:
        return None if self.until is None else max(self.until - time.monotonic(), 0)

    def _items_sharing(self, library: Library, paths: Collection[PathArg]) -> list[Unsure]:
        """Returns a library's items that share one of ``files``. Some of the items may have lost the file."""
        answers = library.match_paths(paths, offline=True) if paths else ()
        several = [answer for answer in answers if answer.match_kind in LISTED and answer.status == "ambiguous"]
        return [(library, item) for answer in several for item in answer.candidates]
