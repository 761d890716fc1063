"""Holds back differences that may be renames until the server has answered.

A rename that did not change the server's timestamps looks like a missing file and a new file.
"""

from __future__ import annotations

import time

from .._core import TYPE_CHECKING
from ..changes import REFRESH_ERRORS
from . import on_disk
from .places import is_in
from .walked import LISTED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from .._core.types import PathArg
    from ..item import Item
    from ..library import Library
    from ..match import Match
    from .difference import Difference
    from .listed import Listing
    from .places import Places
    from .walked import OnDisk, Walk

    # An item that may have been renamed.
    Unsure = tuple[Library, Item]

# Maximum number of items that a comparison requests, 64 at a time.
_ASKED = 256
# Maximum number of new files, and of additional files of items, to hold back.
_MAX_HELD = 8192


class Renames:
    """The differences that plexindex holds back, and the results of the requests."""

    def __init__(self, places: Places, walk: Walk, listing: Listing) -> None:
        self._places, self._walk, self._listing = places, walk, listing
        self.may_ask = False
        """Whether requests are allowed. If not, no difference is held back."""
        self.until: float | None = None
        """The deadline for requests, on the monotonic clock."""
        self.unasked = 0
        """Number of items whose files may have been renamed, but that plexindex did not request."""
        self.failed = False
        """Whether the server did not answer."""
        self._new: list[OnDisk] = []
        # Files that belong to several items.
        self._shared: list[OnDisk] = []
        # The differences of these files, to yield if the server does not answer.
        self._ambiguous: list[Difference] = []
        # For each library, items whose files are missing, and additional files of items.
        self._gone: dict[str, list[tuple[Library, Difference]]] = {}
        self._further: list[tuple[str, Difference]] = []
        # Libraries with too many new files to hold back.
        self._flooded: set[str] = set()
        self._reported_further: set[str] = set()

    def holds_file(self, one: OnDisk, difference: Difference) -> bool:
        """Returns whether to hold back a file's difference, because the file may be the new or old name of an item's
        file.
        """
        if self.may_ask and difference.what == "ambiguous" and len(self._shared) < _MAX_HELD:
            self._shared.append(one)
            self._ambiguous.append(difference)
            return True
        if not self.may_ask or difference.reason != "not_scanned":
            return False
        if len(self._new) == _MAX_HELD:
            self._flooded |= {owner.uuid for owner in self._places.owners(one[0])}
            return False
        self._new.append(one)
        return True

    def holds_listed(self, library: Library, difference: Difference) -> bool:
        """Returns whether to hold back an item's difference."""
        if difference.what == "not_on_disk":
            held = self._gone.setdefault(library.uuid, [])
            if self.may_ask and len(held) < _ASKED:
                held.append((library, difference))
                return True
        elif difference.what == "several_paths" and self.may_ask:
            if len(self._further) < _MAX_HELD:
                self._further.append((library.uuid, difference))
                return True
            self._reported_further.add(library.uuid)
        return False

    def resolve(self) -> Iterator[Difference]:
        """Requests the items that may have been renamed, then yields the remaining differences."""
        listing, held = self._listing, self._new + self._shared
        keys, changed = self._request_items(self._first_candidates())
        self.may_ask = False

        def is_asked(library: str, item: Item | None) -> bool:
            return item is not None and library in changed and (library, item.rating_key) in keys

        for library, item, path in listing.respelled:
            if is_asked(library.uuid, item):
                held.append((path, False, "", b""))
        yield from map(self._walk.file_difference, self._walk.recheck(held))
        yield from self._unanswered()
        gone = [(uuid, one) for uuid, held in self._gone.items() for _, one in held]
        for uuid, difference in gone + self._further:
            if not is_asked(uuid, difference.item):
                yield difference
        # The items' files may have changed, so the listing must find additional files again.
        listing.forget_seen()
        for (uuid, root), one in list(listing.compared.items()):
            for difference in listing.below(one.library, root, one.empty) if uuid in changed else ():
                is_reported = difference.what == "several_paths" and uuid in self._reported_further
                if is_asked(uuid, difference.item) and not is_reported:
                    yield difference

    def _unanswered(self) -> Iterator[Difference]:
        """Yields the differences of shared files for which the server did not answer."""
        paths = [path for path, *_ in self._shared] if self.failed else []
        answers = self._places.index.match_paths(paths, self._places.asked, offline=True) if paths else ()
        for answer, difference in zip(answers, self._ambiguous):
            if answer.reason == "unconfirmed":
                yield difference

    def _first_candidates(self) -> list[Unsure]:
        """Returns the items to request first.

        A rename leaves a missing file, and either a new file or a file in a different spelling. So only libraries with
        both are candidates.
        """
        places, owners_of_new = self._places, [self._places.owners(path) for path, *_ in self._new]
        new = {owner.uuid for owners in owners_of_new for owner in owners} | self._flooded
        otherwise: dict[str, list[Unsure]] = {}
        for library, item, _ in self._listing.respelled:
            otherwise.setdefault(library.uuid, []).append((library, item))
        found: list[Unsure] = []
        for uuid, gone in self._gone.items():
            if uuid in new or uuid in otherwise:
                room = 0 if uuid in self._flooded else _ASKED - len(found)
                found += [(library, one.item) for library, one in gone[:room] if one.item]
                count = sum(one.gone for (of, _), one in self._listing.compared.items() if of == uuid)
                self.unasked += count - len(gone[:room])
        # An earlier comparison may have found only some of the renames.
        shared = [(path, places.owners(path)) for path, *_ in self._shared]
        for owner in {owner.uuid: owner for _, owners in shared for owner in owners}.values():
            if owner.uuid in new - self._flooded:
                found += self._items_sharing(owner, [path for path, owners in shared if owner in owners])
        found += self._gone_of_others()
        for uuid, unsure in otherwise.items():
            if uuid not in self._flooded and (uuid in new or uuid in self._gone):
                found += unsure[: max(_ASKED - len(found), 0)]
        return found

    def _gone_of_others(self) -> list[Unsure]:
        """Returns items in other libraries whose file is missing from a shared folder. A new file in the folder may be
        the renamed file.
        """
        places = self._places
        found: list[Unsure] = []
        if not places.others or not places.names.known:
            return found
        for root in {root for root in (places.innermost(path) for path, *_ in self._new) if root is not None}:
            shared = [library for place, known in places.others.items() if is_in(root, place) for library in known]
            for library in {one.uuid: one for one in shared if one.age is not None}.values():
                for item in library.items_below(root, offline=True):
                    path = places.names.host(item.path or "")
                    is_paired = path in self._walk.paired
                    if not is_paired and on_disk.is_missing(path) and on_disk.spelt_otherwise(path) is None:
                        found.append((library, item))
                        if len(found) == _ASKED:
                            return found
        return found

    def _request_items(self, unsure: Collection[Unsure]) -> tuple[set[tuple[str, str]], set[str]]:
        """Requests items, and then further items that share a file with a renamed item.

        Returns the requested items, and the libraries in which at least one requested item lost or changed its files.
        """
        places = self._places
        keys: set[tuple[str, str]] = set()
        changed: set[str] = set()
        compared = {uuid for uuid, _ in self._listing.compared}
        while unsure and not self.failed:
            # An item can appear with several files, and can have lost only some of them.
            by_key: dict[tuple[str, str], list[Unsure]] = {}
            for library, item in unsure:
                by_key.setdefault((library.uuid, item.rating_key), []).append((library, item))
            unknown = [key for key in by_key if key not in keys]
            now = unknown[: _ASKED - len(keys)]
            self.unasked += len(unknown) - len(now)
            keys.update(now)
            items = [by_key[key] for key in now]
            if not items:
                break
            try:
                for (library, item), *_ in items:
                    library.invalidate_path(item.path or "")
                places.asked.refresh(timeout=self._time_left(), progress=self._walk.stop)
                for other in {one.uuid: one for (one, _), *_ in items if one.uuid not in compared}.values():
                    other.refresh(timeout=self._time_left(), progress=self._walk.stop)
            except REFRESH_ERRORS:
                self.failed = True
            unsure = []
            for files in items:
                library, item = files[0]
                answers = library.match_paths([file.path or "" for _, file in files], offline=True)
                if any(answer.reason == "unconfirmed" for answer in answers):
                    self.failed = True
                elif any(not _is_of(answer, item) for answer in answers):
                    changed.add(library.uuid)
                    unsure += self._items_sharing(library, item.paths)
        return keys, changed

    def _time_left(self) -> float | None:
        return None if self.until is None else max(self.until - time.monotonic(), 0)

    def _items_sharing(self, library: Library, paths: Collection[PathArg]) -> list[Unsure]:
        """Returns a library's items that share one of ``files``. Some of the items may have lost the file."""
        answers = library.match_paths(paths, offline=True) if paths else ()
        several = [answer for answer in answers if answer.match_kind in LISTED and answer.status == "ambiguous"]
        return [(library, item) for answer in several for item in answer.candidates]


def _is_of(answer: Match, item: Item) -> bool:
    """Returns whether Plex lists a file for an item."""
    return answer.match_kind in LISTED and any(one.rating_key == item.rating_key for one in answer.candidates)
