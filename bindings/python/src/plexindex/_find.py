"""The drop-in's function: from a path to Plex's item, by recorded matches, then by an index or by plexapi.

A real section of plexapi's is asked through an index of its server (:mod:`plexindex._section_index`). Rows that the
host stored, searches and listings are for stand-ins of sections, and for when the index has no answer.

The lines in the host's log are those of the function that this one replaces.
"""

from __future__ import annotations

from ._errors import Error, OfflineError
from ._host_errors import NotFoundError
from ._host_log import host_log
from ._paths import LONGEST_PATH, best, components, last_component, lies_under, mapped, same_file
from ._plex_cache import PlexCache
from ._plexapi import SectionIndex
from ._plexapi_errors import is_absence, is_trouble, status_of
from ._rows import extract, file_name
from ._section_index import section_index, warn_of_tls
from ._sync_item import SyncItem, as_found, first_path, title_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar

    from ._answers import Match

    T = TypeVar("T")

# Seconds until a path that Plex did not find is searched again.
_MISSED_FOR = 30.0
# Maximum number of rows of a search by file name: a server without that filter sends any rows.
_ASKED_ROWS = 50
# The statuses of servers that have no such filter, or fail with it.
_NO_FILTER = (400, 500)
# Number of files to search one by one in an unlisted library.
_BY_FILE = 5
# Match kinds of a path that is itself listed or recorded.
_LISTED = ("confirmed", "exact", "mapped")
_LEAVES = {"show": ("episode", 4), "artist": ("track", 10)}


class Finder:
    """One search for one path."""

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
        self._library, self._path = library, path
        self._title = library.title
        self._mapped = mapped(path, *prefixes)
        self._spellings = [one for one in (path, self._mapped) if one]
        self._cache, self._matches = library_cache, match_cache
        self._has_own_cache = isinstance(library_cache, PlexCache)
        kind = getattr(library, "type", None)
        self._leaf = _LEAVES.get(kind) if isinstance(kind, str) else None
        self._is_section_index = isinstance(library, SectionIndex)
        self._index = library if self._is_section_index else section_index(library, library_cache, match_cache)
        self._debug = debug
        self._log = host_log("Matcher")
        self.name = self._log.path(last_component(path))
        """The file's name, for texts that may be logged."""
        self._not_found_error: Exception | None = None
        self.sure = True
        """Whether a single item can be returned with high confidence."""
        self.total = 0
        """How many items fit. An index names the first ones only."""
        self.is_listed = True
        """Whether all files of the library are known."""

    def found(self) -> list[Any]:
        """Returns the items that fit best: one, several, or none."""
        if getattr(self._library, "type", None) == "photo":
            return []  # a host would write a film's fields to a photo
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
        elif found:
            paths = [self._log.path(path) for path in map(first_path, found) if path]
            self._log.warn(f"LOW confidence match for '{self.name}': {self.total} candidates found - {paths}")
        return found

    def _find_items(self) -> list[Any]:
        if self._is_section_index:
            items, self.sure = self._library.candidates(self._path)
            return list(items)
        self._log.debug(f"Searching '{self._title}' for: {self.name}")
        found = self._from_index()
        if found is None:
            found = self._with_evidence(self._from_plexapi())
        return found

    def _with_evidence(self, found: list[Any]) -> list[Any]:
        """Drops episodes and tracks without evidence, and sets ``sure`` for a single item."""
        if self._leaf:
            # A file name alone is no evidence for an episode or track.
            found = [as_found(item) for item in found if self._is_named(item)]
        if len(found) == 1:
            self.sure = not self._is_contradicted(found[0])
        return list(map(as_found, found))

    def _log_step(self, text: str) -> None:
        if self._debug:
            import logging

            logging.getLogger("plexindex").debug("%s: %s", self._path, text)

    def _log_reason(self, text: str) -> None:
        """Logs a reason at level info in the host's log, if the host asked for such lines."""
        if self._debug:
            self._log.info(f"[DEBUG] {text}")

    def _is_contradicted(self, item: Any) -> bool:
        """Returns whether the path belongs to another item: it names one, or should be listed itself."""
        row = extract(item)
        if row is None or self._is_one_of(row["file_paths"]):
            return False
        locations = getattr(self._library, "locations", None)
        folders = [folder for folder in locations if isinstance(folder, str)] if isinstance(locations, list) else []
        if any(lies_under(path, folders) for path in self._spellings):
            return True
        # Reads ``__dict__``: plexapi sends a request when an empty attribute is read.
        return self._names_another(row["file_paths"], getattr(item, "__dict__", {}))

    def _names_another(self, files: list[str], facts: dict[str, Any]) -> bool:
        from ._titles import contradicts

        return contradicts(self._mapped or self._path, files, facts)

    # By the index.

    def _from_index(self) -> list[Any] | None:
        """Returns the index's answer; None if it fails. Then plexapi is asked, and raises its own errors."""
        if self._index is None:
            return None
        try:
            return self._answer_of(self._index)
        except Error as error:
            warn_of_tls(self._index, error)
            self._log_step(f"the index cannot answer: {error}")
            return None

    def _answer_of(self, index: SectionIndex) -> list[Any]:
        # In an unlisted library, one request finds one file. After a few files the library is listed, in short steps.
        asked = not index.is_listed() and index.asked_by_file < _BY_FILE and not self._is_elsewhere(index)
        if asked:
            index.asked_by_file += 1
            found = self._with_evidence(self._asked_by_file())
            if found:
                return found
        match = index.match(self._path, deadline=index.patience)
        if self._mapped and match.match_kind not in _LISTED:
            other = index.match(self._mapped, deadline=index.patience)
            match = other if other.match_kind in _LISTED or not match.candidates else match
        self.is_listed = match.status not in ("not_yet", "needs_warm")
        said = match.status, match.match_kind, match.confidence, match.reason_code
        self._log_reason(f"Index of '{self._title}': {', '.join(said)}")
        index.note_patience(nothing_came=match.status == "needs_warm")
        if match.match_kind not in _LISTED:
            if self._is_elsewhere(index):
                return []
            if match.confidence != "high":
                # The server may list the path by now. A file name alone is no evidence for an episode or track.
                found = self._found_by_request(asked=asked)
                if found or self._leaf or not match.candidates:
                    return found
                if len(match.candidates) == 1:
                    # Without evidence all files of this name are candidates.
                    named = index.match("/" + last_component(self._path), deadline=index.patience)
                    match = named if named.candidates_total > 1 else match
        found = [SyncItem(index, item, self._spellings) for item in match.candidates]
        self.total = match.candidates_total
        for item in match.candidates:
            self._log.info(f"Found (cached): {item.title}")
        if len(found) == 1 and match.match_kind not in _LISTED:
            self.sure = not self._is_contradicted_by_index(match, found[0])
        return found

    def _found_by_request(self, *, asked: bool) -> list[Any]:
        """Searches the server for a path that the index lacks. ``asked``: it was searched by file name already."""
        if not self._has_own_cache or self._cache._was_missed(self._title, self._path):
            return []
        # The file may be new.
        found = [] if asked else self._with_evidence(self._asked_by_file())
        if not found and not self.is_listed:
            # Some servers lack that filter, and the library is still being listed.
            found = self._with_evidence(self._search_by_title(quiet=False))
        if not found:
            # For a while no process searches for it again.
            self._cache._note_miss(self._title, self._path, _MISSED_FOR)
        return found

    def _is_elsewhere(self, index: SectionIndex) -> bool:
        """Returns whether another library lists the path or has it in a folder. Sends no request."""
        try:
            known = index.index.libraries(offline=True)
            anywhere = index.index.match_path(None, self._path, offline=True)
        except OfflineError:
            return False
        own = str(index.plex.key)
        if anywhere.match_kind in _LISTED and all(item.section != own for item in anywhere.candidates):
            return True
        others = [folder for one in known if one.section != own for folder in one.locations]
        owned = [folder for one in known if one.section == own for folder in one.locations]
        return lies_under(self._path, others) and not lies_under(self._path, owned)

    def _is_contradicted_by_index(self, match: Match, item: SyncItem) -> bool:
        """As :meth:`_is_contradicted`, for an item of the index, which knows some facts only."""
        if match.reason_code == "not_listed":
            return True
        known = match.item
        if known is None or known.key_only:
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
        # An index has no original title, and no album title: plexapi's object decides.
        if (known.kind == "track" and match.confidence != "high") or self._names_another(files, facts):
            return self._names_another(files, getattr(item.full(), "__dict__", {}))
        return False

    # Recorded matches.

    def _find_recorded(self) -> Any:
        if self._matches is None:
            return None
        key = self._matches.get_match(self._title, self._path)
        if not key:
            self._log_reason(f"Match cache MISS for: {self._log.path(self._path)}")
            return None
        self._log.debug(f"Match cache hit: {self._log.path(self._path)} -> {key}")
        item = self._recorded_in_index(key) or self._fetch_recorded(key)
        if item is not None:
            self._log.info(f"Cache hit: {title_of(item)}")
            return item
        self._log_step("the recorded item is gone, or has other files")
        self._log.debug(f"Cached key stale, invalidating: {self._not_found_error}")
        self._matches.invalidate(self._title, self._path)
        return None

    def _recorded_in_index(self, key: Any) -> Any:
        """Returns the recorded item if the index has it. Then no request checks whether it still exists."""
        index = self._index
        if index is None:
            return None
        try:
            if not self._is_section_index:
                if not index.is_listed():
                    return None
                # A match refreshes an expired listing.
                match = index.match(self._path, deadline=index.patience)
                # Plex may list the path for another item, since recorded paths ignore case.
                is_it = match.match_kind in _LISTED or str(key) in (match.key, match.rating_key)
                facts = match.item if is_it and match.item is not None else index.facts(key)
                return None if facts is None else SyncItem(index, facts, self._spellings)
            return index.light(key)
        except Error as error:
            self._log_step(f"the index cannot answer: {error}")
            return None

    def _fetch_recorded(self, key: Any) -> Any:
        """Requests the recorded item; None if the server does not have it, or has other files for it by now."""
        item = self._fetch(key)
        # Without an index a recorded match is believed, as the function that this one replaces does.
        row = extract(item) if item is not None and self._index is not None else None
        files = row["file_paths"] if row else []
        if not files or self._path in files:
            return item
        if file_name(self._path) in map(file_name, files) and not self._is_contradicted(item):
            return item
        self._not_found_error = NotFoundError(f"{key} has other files")
        return None

    def _fetch(self, key: Any) -> Any:
        """Requests the item with this key; None if the server does not have it. Raises other failures."""
        if isinstance(key, str) and key.isascii() and key.isdigit():
            key = int(key)  # plexapi takes an address or a number
        try:
            return self._library.fetchItem(key)
        except Exception as error:
            if not is_absence(error):
                raise
            self._not_found_error = error
            return None

    def _fetch_all(self, keys: Iterable[Any]) -> list[Any]:
        found = [item for item in map(self._fetch, keys) if item is not None]
        for item in found:
            self._log.info(f"Found (cached): {item.title}")
        return found

    # By plexapi.

    def _from_plexapi(self) -> list[Any]:
        listed = self._find_stored()
        if listed:
            return listed
        return self._search_titles() or (self._list_leaves() if self._leaf else self._list_all(listed))

    # Stored rows.

    def _find_stored(self) -> list[Any] | None:
        """Returns the items of the stored listing; None without one."""
        if not self._has_own_cache:
            return None
        found = self._match(leaves=self._leaf is not None)
        if not found and self._leaf:
            found = self._match(leaves=False) or found
        return found

    def _match(self, *, leaves: bool) -> list[Any] | None:
        try:
            paths = [path.encode() for path in self._spellings]
        except UnicodeEncodeError:
            return None
        if not paths or any(b"\0" in path or len(path) > LONGEST_PATH for path in paths):
            return None
        found = self._cache._match(self._title, self._path, self._mapped, leaves=leaves)
        if found is None:
            return None
        keys, others = found
        if keys:
            self._log_step(f"the stored listing: {len(keys)} items")
        items = self._fetch_all(keys)
        return items + self._fetch_all(others) if len(items) == 1 and others and not self._is_named(items[0]) else items

    def _is_named(self, item: Any) -> bool:
        """Returns whether the path is a file of the item, or shares a folder that has the item's name."""
        row = extract(item)
        if row is None:
            return False
        if self._is_one_of(row["file_paths"]):
            return True
        from ._titles import tells

        facts = {**getattr(item, "__dict__", {}), "title": row["title"]}
        return any(tells(path, row["file_paths"], facts) for path in self._spellings)

    def _is_one_of(self, files: list[str]) -> bool:
        """Returns whether the path, as it is or mapped, is one of these files."""
        return any(same_file(path, files) for path in self._spellings)

    # Searches by title.

    def _search_titles(self) -> list[Any]:
        # A path that was not found recently is not searched again.
        ours = self._cache if self._has_own_cache else None
        quiet = ours is not None and ours._was_missed(self._title, self._path)
        found = self._search_by_title(quiet=quiet)
        if not found and not quiet:
            found = self._asked_by_file()
            if ours is not None and not found:
                ours._note_miss(self._title, self._path, _MISSED_FOR)
        return found

    def _search_by_title(self, *, quiet: bool) -> list[Any]:
        """Returns the items with the path's title. ``quiet``: from stored search results only."""
        # Imported here: it takes longer than an answer from stored rows.
        from ._titles import leaf_titles, titles

        wanted = leaf_titles(self._path) if self._leaf else titles(self._path)
        self._log_reason(f"Title variants: {' / '.join(map(repr, wanted))}")
        for title in wanted:
            self._log_reason(f"Title search query: '{title}'")
            stored = self._cache.get_search_results(self._title, title) if self._cache is not None else None
            if stored:
                self._log.debug(f"Search cache hit: {len(stored)} results")
                fetched = self._best_items([(row["key"], row["file_paths"]) for row in stored], self._fetch_all)
                if fetched:
                    return fetched
            if quiet:
                continue
            items = self._search(title)
            self._log_reason(f"Search returned {len(items)} title match(es)")
            self._log_step(f"{len(items)} items with the title {title!r}")
            # An empty result is not stored: a file that is added now would not be found.
            if items and self._cache is not None:
                self._cache.set_search_results(self._title, title, items)
            found = self._best_of(items)
            if found:
                return found
        return []

    def _search(self, title: str) -> list[Any]:
        leaf = {"libtype": self._leaf[0]} if self._leaf else {}
        try:
            title.encode()
        except UnicodeEncodeError:
            return []  # no address can hold it, and no title of Plex's is like that
        try:
            return list(self._library.search(title=title, **leaf))
        except Exception as error:
            if not is_absence(error):
                raise
            return []

    def _best_of(self, items: Iterable[Any]) -> list[Any]:
        rows = [(item, row["file_paths"]) for item, row in ((item, extract(item)) for item in items) if row]
        found = self._best_items(rows, list)
        for item in found:
            self._log.info(f"Found: {item.title}")
        return found

    def _best_items(self, rows: list[tuple[T, list[str]]], items_of: Callable[[Iterable[T]], list[Any]]) -> list[Any]:
        """Returns the items that fit best. Without evidence for a single one, all with a file of that name."""
        chosen = best(rows, self._path, self._mapped)
        found = items_of(chosen)
        if len(found) == 1 and not self._is_named(found[0]):
            name = file_name(self._path)
            named = [thing for thing, files in rows if any(file_name(file) == name for file in files)]
            found += items_of(thing for thing in named if thing not in chosen)
        return found

    def _asked_by_file(self) -> list[Any]:
        """Searches the server by file name, in one request. Some servers lack that filter: no hit proves nothing."""
        section = getattr(self._library, "key", None)
        kind = self._leaf[1] if self._leaf else 1 if getattr(self._library, "type", None) == "movie" else None
        name = components(self._path)[-1:]
        if kind is None or not name or not isinstance(section, (int, str)):
            return []
        from urllib.parse import quote

        try:
            file = quote(name[0], safe="", errors="surrogateescape")
            asked = f"/library/sections/{section}/all?type={kind}&file={file}"
            items = self._library.fetchItems(
                asked, container_start=0, container_size=_ASKED_ROWS, maxresults=_ASKED_ROWS
            )
            # With so many rows some may be missing, or the server ignores the filter.
            return self._best_of(items) if len(items) < _ASKED_ROWS else []
        except Exception as error:
            # A server without that filter says so by a 400.
            if is_trouble(error) and not is_absence(error) and status_of(error) not in _NO_FILTER:
                raise
            return []

    # Listings.

    def _list_leaves(self) -> list[Any]:
        """Lists all episodes or tracks, unless a stored listing was searched already."""
        if self._has_own_cache and self._cache._has_leaves(self._title):
            return []
        self._log_fallback()
        items = self._list(lambda: self._library.search(libtype=self._leaf[0] if self._leaf else None))
        self._log.debug(f"Scanning {len(items)} items...")
        if self._has_own_cache:
            self._cache._put_leaves(self._title, items)
        return self._best_of(items)

    def _list_all(self, listed: list[Any] | None) -> list[Any]:
        """Lists all items, unless a stored listing was searched already."""
        self._log_fallback()
        if listed is not None:
            return []
        if self._cache is not None:
            stored = self._cache.get_library_items(self._title)
            if stored is not None:
                self._log.debug(f"Library cache hit: {len(stored)} items")
                # A foreign cache, or a path that cannot be resolved.
                return self._best_items([(row["key"], row["file_paths"]) for row in stored], self._fetch_all)
        items = self._list(lambda: self._library.all())
        self._log.debug(f"Scanning {len(items)} items...")
        if self._cache is not None:
            self._cache.set_library_items(self._title, items)
        return self._best_of(items)

    def _log_fallback(self) -> None:
        if self._debug:
            self._log_reason("No title matches, falling back to full library scan")
        else:
            self._log.debug("Fallback: scanning all items...")

    def _list(self, ask: Any) -> list[Any]:
        try:
            return list(ask())
        except Exception as error:
            if not is_absence(error):
                raise
            return []
