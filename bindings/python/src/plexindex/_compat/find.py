"""The drop-in's function, which finds a path's Plex item with recorded matches, and then with an index or plexapi.

For a real plexapi section, the answer comes from an index of the section's server (:mod:`plexindex._section_index`).
For other objects that act as a section, and if the index fails, the answer comes from stored rows, searches and
listings.

The host's log gets the same lines as from the original function.
"""

from __future__ import annotations

from .._core.paths import ends_alike, last_component
from ..errors import Error
from ..plexapi import SectionIndex
from .host_errors import NotFoundError
from .path_evidence import LISTED
from .plexapi_errors import is_absence
from .plexapi_search import MISSED_FOR, PlexapiSearch
from .rows import extract
from .section_index import section_index, warn_of_tls
from .sync_item import SyncItem, first_path, title_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..match import Match

# Number of files for which to search the server before listing the whole library.
_BY_FILE = 5


class Finder(PlexapiSearch):
    """A search for one path."""

    def __init__(
        self,
        library: Any,
        path: str,
        prefixes: tuple[str | None, str | None],
        library_cache: Any,
        match_cache: Any,
        *,
        debug: bool,
    ) -> None:
        index = library if isinstance(library, SectionIndex) else section_index(library, library_cache, match_cache)
        super().__init__(library, path, prefixes, library_cache, index, debug=debug)
        self._matches = match_cache
        self._is_section_index = isinstance(library, SectionIndex)
        self.total = 0
        """Total number of matching items. An index returns only the first items."""
        self.is_listed = True
        """Whether the index or the cache contains all of the library's files."""
        self._former: Any = None
        """The recorded item, if its files have changed since then."""

    def found(self) -> list[Any]:
        """Returns the items that match best: one item, several items, or none."""
        if getattr(self._library, "type", None) == "photo":
            return []  # the host would write film fields to a photo
        recorded = self._find_recorded()
        if recorded is not None:
            return [recorded]
        found = self._find_items()
        self.total = max(self.total, len(found))
        if len(found) == 1 and self.sure:
            if self._debug:
                self._log_reason(f"HIGH confidence match: {title_of(found[0])}")
            else:
                self._log.debug(f"HIGH confidence match for {self.name}")
        elif not found and self._former is not None:
            # Plex may have renamed the file, and the host has not scanned the file yet. No other item has this file.
            found, self.sure, self.total = [self._former], False, 1
            self._log.info(
                f"LOW confidence match for '{self.name}': the recorded item has other files now, and no other item "
                f"has this file - {self._shown(found)}"
            )
        elif len(found) == 1:
            self._evidence.tell(first_path(found[0]))
        elif found:
            paths = self._shown(found)
            self._log.warn(f"LOW confidence match for '{self.name}': {self.total} candidates found - {paths}")
        return found

    def _shown(self, found: list[Any]) -> list[str]:
        """Returns one path of each item, for the log. Adds the keys if two items have the same path."""
        paths = [(first_path(item), item) for item in found]
        shown = [(self._log.path(path), item.key) for path, item in paths if path]
        if len({path for path, _ in shown}) == len(shown):
            return [path for path, _ in shown]
        return [f"{path} ({key})" for path, key in shown]

    def _find_items(self) -> list[Any]:
        if self._is_section_index:
            items, self.sure = self._library.candidates(self._path)
            return list(items)
        self._log.debug(f"Searching '{self._title}' for: {self.name}")
        found = self._from_index()
        if found is None:
            found = self._with_evidence(self._from_plexapi())
        return found

    # Answers from the index.

    def _from_index(self) -> list[Any] | None:
        """Returns the index's answer, or None if the index fails; plexapi then answers, and raises its own errors."""
        if self._index is None:
            return None
        try:
            return self._answer_of(self._index)
        except Error as error:
            warn_of_tls(self._index, error)
            self._log_step(f"the index cannot answer: {error}")
            return None

    def _answer_of(self, index: SectionIndex) -> list[Any]:
        # If the library is not listed yet, one request finds one file. After a few files, each call lists part of the
        # library.
        asked = not index.is_listed() and index.asked_by_file < _BY_FILE
        asked = asked and self._evidence.listing_library() is None
        if asked:
            index.asked_by_file += 1
            found = self._with_evidence(self._asked_by_file())
            if found:
                return found
        match = index.match_within_patience(self._path)
        if self._mapped and match.match_kind not in LISTED:
            other = index.match_within_patience(self._mapped)
            match = other if other.match_kind in LISTED or not match.candidates else match
        self.is_listed = match.status not in ("not_yet", "needs_warm")
        kind, confidence = match.match_kind, match.confidence
        if self._debug:
            self._log_reason(f"Index of '{self._title}': {match.status}, {kind}, {confidence}, {match.reason_code}")
        index.note_patience(nothing_came=match.status == "needs_warm")
        if kind not in LISTED:
            lister = self._evidence.listing_library(match.key if confidence == "high" else None)
            # The server may list the path in the meantime. A file name alone is not evidence for an episode or track.
            if match.confidence != "high" and lister is None:
                found = self._found_by_request(asked=asked)
                if found:
                    return found
            if not match.candidates or (self._leaf and match.confidence != "high"):
                return []
            if len(match.candidates) == 1 and match.confidence != "high":
                # Without evidence, all items with a file of this name are candidates.
                named = self._match_name(index)
                match = named if named.candidates_total > 1 else match
            if lister is not None and len(match.candidates) > 1:
                self._log.info(
                    f"library '{self._title}' has {match.candidates_total} other files named '{self.name}': library "
                    f"'{lister}' has this path"
                )
                return []
        found = [self._sync_item(index, item) for item in match.candidates]
        self.total = match.candidates_total
        if len(found) > 1 and match.match_kind in LISTED and not self._leaf:
            # Two items have the same file, but one of the items may have lost the file since the listing.
            found = [item for item in found if self._has_its_file(item)]
            self.total = len(found)
        if len(found) == 1 and match.match_kind not in LISTED:
            self.sure = not self._is_contradicted_by_index(index, match, found[0])
        return found

    def _found_by_request(self, *, asked: bool) -> list[Any]:
        """Searches the server for a path that the index lacks. ``asked``: a search by file name found nothing."""
        if not self._has_own_cache or self._cache._was_missed(self._title, self._path):
            return []
        # The file may be new.
        found = [] if asked else self._with_evidence(self._asked_by_file())
        if not found and not self.is_listed:
            # Some servers cannot filter by file name, and the library is not listed yet.
            found = self._with_evidence(self._search_by_title(quiet=False))
        if not found:
            # For a while, this record keeps all processes from searching for the path again.
            self._cache._note_miss(self._title, self._path, MISSED_FOR)
        if self._index is not None and self.is_listed:
            for item in found:
                # The index lacks the item or lists other files for it, so the index must ask the server about the item
                # later.
                self._index.index.invalidate_item(item.ratingKey, self._index.library)
        return found

    def _match_name(self, index: SectionIndex) -> Match:
        return index.match_within_patience("/" + last_component(self._path))

    def _sync_item(self, index: SectionIndex, item: Any, text: str = "Found (cached)", stale: Any = None) -> SyncItem:
        """Creates an item from the index. ``text`` is the start of the log line that is written once Plex has sent the
        item.
        """
        return SyncItem(index, item, self._spellings, lambda title: self._log.info(f"{text}: {title}"), stale)

    def _has_its_file(self, item: SyncItem) -> bool:
        """Fetches an item. Returns whether the item still has its file."""
        try:
            item.full()
        except Exception as error:
            if not is_absence(error):
                raise
            return False
        return True

    def _is_contradicted_by_index(self, index: SectionIndex, match: Match, item: SyncItem) -> bool:
        """Like :meth:`_is_contradicted`, for an item from the index, which has only some of the fields."""
        known = match.item
        if known is None or known.key_only:
            return match.reason_code == "not_listed"
        if match.confidence == "high" and known.kind == "movie" and self._evidence.is_outside():
            path, file = self._mapped or self._path, known.path or ""
            if ends_alike(path, file):
                return False
            from .titles import names_no_film

            if names_no_film(path, file):
                return False
        facts = {
            "type": known.kind,
            "title": known.title,
            "year": known.year,
            "parentIndex": known.season,
            "index": known.episode,
            "grandparentTitle": known.show_title,
        }
        files = list(known.paths)

        def names_another() -> bool:
            # An index has neither original titles nor album titles, so check the plexapi object.
            if (known.kind == "track" and match.confidence != "high") or self._names_another(files, facts):
                return self._names_another(files, getattr(item.full(), "__dict__", {}))
            return False

        return self._evidence.contradicts(
            files,
            names_another=names_another,
            is_alone=lambda: self.is_listed and self._match_name(index).candidates_total == 1,
            is_in_library=match.reason_code == "not_listed",
        )

    # Recorded matches.

    def _find_recorded(self) -> Any:
        if self._matches is None:
            return None
        key = self._matches.get_match(self._title, self._path)
        if not key:
            if self._debug:
                self._log_reason(f"Match cache MISS for: {self._log.path(self._path)}")
            return None
        self._log.debug(f"Match cache hit: {self._log.path(self._path)} -> {key}")
        item = self._recorded_in_index(key) or self._fetch_recorded(key)
        if item is not None:
            if not isinstance(item, SyncItem):
                self._log.info(f"Cache hit: {title_of(item)}")
            return item
        self._log_step("the recorded item is gone, or has other files")
        self._log.debug(f"Cached key stale, invalidating: {self._not_found_error}")
        self._forget()
        return None

    def _forget(self) -> None:
        self._matches.invalidate(self._title, self._path)

    def _recorded_in_index(self, key: Any) -> Any:
        """Returns the recorded item if the index contains it. Sends no request for the item."""
        index = self._index
        if index is None:
            return None
        try:
            if not self._is_section_index:
                if not index.is_listed():
                    return None
                # A match refreshes an expired listing.
                match = index.match_within_patience(self._path)
                # Plex may list a different item for the path, because recorded paths ignore case.
                is_it = match.match_kind in LISTED or str(key) in (match.key, match.rating_key)
                facts = match.item if is_it and match.item is not None else index.facts(key)
                if facts is None:
                    return None
                item = self._sync_item(index, facts, "Cache hit", self._forget)
                return item if match.match_kind in LISTED or self._is_still_recorded(item, facts) else None
            return index.light(key)
        except Error as error:
            self._log_step(f"the index cannot answer: {error}")
            return None

    def _fetch_recorded(self, key: Any) -> Any:
        """Requests the recorded item. Returns None if the server lacks the item, or if the item now has other files."""
        item = self._fetch(key)
        # Without an index, trust the recorded match, as the original function does.
        row = extract(item) if item is not None and self._index is not None else None
        files = row["file_paths"] if row else []
        if not files or self._path in files:
            return item
        if self._has_name(files) and not self._is_contradicted(item, is_alone=True):
            return item
        self._former = item
        self._not_found_error = NotFoundError(f"{key} has other files")
        return None

    def _is_still_recorded(self, item: SyncItem, facts: Any) -> bool:
        """Makes the same checks as :meth:`_fetch_recorded`, for an item from the index."""
        files = item.locations
        known = {"type": facts.kind, "title": facts.title, "year": facts.year}
        return self._has_name(files) and not self._evidence.contradicts(
            files, names_another=lambda: self._names_another(files, known), is_alone=lambda: True
        )
