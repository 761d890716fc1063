"""Finds renames that the server does not report: a missing file and a new file, with no newer timestamp.

The comparison holds back the differences that may come from renames. At its end, plexindex asks the server for the
items of the missing files. If one of them has changed, plexindex compares once more.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace

from .._core import TYPE_CHECKING
from ..changes import REFRESH_ERRORS
from ..match import LISTED
from ..media import file_of
from . import on_disk
from .places import host_path, is_in

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from ..item import Item
    from ..library import Library
    from .difference import Difference, Listing
    from .places import Places
    from .unlisted import Walk

    # An item that may have been renamed.
    Unsure = tuple[Library, Item]

# Maximum number of items that a comparison requests, 64 at a time.
_ASKED = 256
# Smaller files can have the same size by chance.
_MIN_RENAMED = 100 << 20
# Maximum number of differences to hold back, in addition to missing files. So many are no renames.
_MAX_HELD = 65_536
# What differences of this kind a rename can cause, and their reasons.
_HELD = {"not_scanned", "gone", "several_items", "several_files"}


def _listed_size(item: Item) -> int | None:
    """Returns the size that Plex lists of an item's file."""
    file = file_of(item.media, item.path)
    return None if file is None else file.size


def _of_size(sized: Iterable[tuple[int | None, Difference]]) -> dict[int, Difference]:
    """Returns the only difference for each size that distinguishes its file."""
    found: dict[int, list[Difference]] = {}
    for size, one in sized:
        found.setdefault(size or 0, []).append(one)
    return {size: same[0] for size, same in found.items() if size >= _MIN_RENAMED and len(same) == 1}


class Renames:
    """The differences that plexindex holds back, and the requests for items that may have been renamed."""

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
        self._held: list[Difference] = []
        # Number of missing files that are held back, by section.
        self._gone: dict[str | None, int] = {}
        # Hashes of missing files that were not held back, because there can be a million.
        self._told: set[int] = set()

    def holds(self, one: Difference) -> bool:
        """Returns whether to hold back a difference, because a rename can cause it."""
        if one.reason not in _HELD:
            return False
        if one.reason == "gone":
            held = self._gone.get(one.section, 0)
            if held == _ASKED:
                self._told.add(hash((one.section, one.path)))
                return False
            self._gone[one.section] = held + self.may_ask
        else:
            self.may_ask = self.may_ask and len(self._held) - sum(self._gone.values()) < _MAX_HELD
        if self.may_ask:
            self._held.append(one)
        return self.may_ask

    def has_changed(self) -> bool:
        """Requests the items that may have been renamed. Returns whether any of their files changed, so that all must
        be compared again. Then, no difference is held back any more.
        """
        candidates = self._candidates()
        changed = self._request_items(candidates if self.may_ask else ())
        if changed:
            self._held.clear()
            self._gone.clear()
        return changed

    def is_new(self, one: Difference) -> bool:
        """Returns whether a difference of the second comparison was held back, or not found, in the first."""
        return one.reason in _HELD and hash((one.section, one.path)) not in self._told

    def remaining(self) -> Iterator[Difference]:
        """Yields the differences that are held back. A new file that alone has the size of a missing file is probably
        that file.
        """
        gone = _of_size((_listed_size(one.item), one) for one in self._held if one.reason == "gone" and one.item)
        sizes = {one.path: on_disk.size_of(os.fsencode(one.path)) for one in self._new()} if gone else {}
        new = _of_size((sizes[one.path], one) for one in self._new()) if gone else {}
        for one in self._held:
            size = sizes.get(one.path) or 0
            old = gone.get(size) if new.get(size) is one else None
            if old is None:
                yield one
                continue
            text = f"it is probably '{old.path}', which is gone and had the same size, under a new name"
            yield replace(one, item=old.item, reason="renamed", message=text)

    def _new(self) -> Iterator[Difference]:
        return (one for one in self._held if one.reason == "not_scanned")

    def _candidates(self) -> list[Unsure]:
        """Returns the items to request.

        A rename leaves a missing file, and either a new file or a file in a different spelling. So only libraries with
        both are candidates.
        """
        places = self._places
        paths = [os.fsencode(one.path) for one in self._new()]
        new = {owner.uuid for path in paths for owner in places.owners(path)}
        unsure = new | {library.uuid for library, _ in self._listing.respelled}
        found: list[Unsure] = []
        for one in self._held if self.may_ask else ():
            library = places.library_of(one)
            if library and library.uuid in unsure and one.reason == "gone" and one.item:
                found.append((library, one.item))
        self.unasked += sum(one.gone for (uuid, _), one in self._listing.compared.items() if uuid in unsure) - len(
            found
        )
        # An earlier comparison may have found only some of the renames.
        shared = [os.fsencode(one.path) for one in self._held if one.reason == "several_items"]
        for owner in {owner.uuid: owner for path in shared for owner in places.owners(path)}.values():
            if owner.uuid in new:
                found += _items_sharing(owner, [path for path in shared if owner in places.owners(path)])
        found += self._gone_of_others(paths)
        if len(found) > _ASKED:
            # First the items whose file has the size of a new file.
            sizes = {on_disk.size_of(path) for path in paths} - {None}
            found.sort(key=lambda one: _listed_size(one[1]) not in sizes)
        likely = [one for one in self._listing.respelled if one[0].uuid in new]
        return found + likely[: max(_ASKED - len(found), 0)]

    def _gone_of_others(self, new: Collection[bytes]) -> list[Unsure]:
        """Returns items in other libraries whose file is missing from a shared folder. A new file in the folder may be
        the renamed file.
        """
        places = self._places
        found: list[Unsure] = []
        if not places.others or not places.knows_host_paths:
            return found
        for root in filter(None, {places.innermost(path) for path in new}):
            shared = [library for place, known in places.others.items() if is_in(root, place) for library in known]
            for library in {one.uuid: one for one in shared if one.age is not None}.values():
                for item in library.items_below(root, offline=True):
                    path = host_path(item)
                    if on_disk.is_missing(path) and on_disk.spelt_otherwise(path) is None:
                        found.append((library, item))
                        if len(found) > _ASKED:  # one more, so that `unasked` is not 0
                            return found
        return found

    def _request_items(self, unsure: Collection[Unsure]) -> bool:
        """Requests items. If an item now has another item's file, the index also requests that other item.

        Returns whether at least one requested item lost or changed its files.
        """
        # An item can appear with several files, and can have lost only some of them.
        by_key: dict[tuple[str, str], list[Unsure]] = {}
        for library, item in unsure:
            by_key.setdefault((library.uuid, item.rating_key), []).append((library, item))
        unknown = [key for key in by_key if key not in self.unchanged]
        items = [by_key[key] for key in unknown[:_ASKED]]
        self.unasked += len(unknown) - len(items)
        compared, changed = {uuid for uuid, _ in self._listing.compared}, False
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
                changed = True
            else:
                self.unchanged.add((library.uuid, item.rating_key))
        return changed

    def _time_left(self) -> float | None:
        return None if self.until is None else max(self.until - time.monotonic(), 0)


def _items_sharing(library: Library, paths: Collection[bytes]) -> list[Unsure]:
    """Returns a library's items that share one of ``paths``. Some of the items may have lost the file."""
    answers = library.match_paths(paths, offline=True)
    several = [answer for answer in answers if answer.match_kind in LISTED and answer.status == "ambiguous"]
    return [(library, item) for answer in several for item in answer.candidates]
