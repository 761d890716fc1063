"""The drop-in's function: from a path to Plex's item, by recorded matches, then by an index or by plexapi.

A real section of plexapi's is asked through an index of its server (:mod:`plexindex._section_index`). Rows that the
host stored, searches and listings are for stand-ins of sections, and for when the index has no answer.

The lines in the host's log are those of the function that this one replaces.
"""

from __future__ import annotations

from ._errors import Error, OfflineError
from ._host_log import host_log
from ._paths import LONGEST_PATH, best, components, last_component, lies_under, mapped, same_file
from ._plex_cache import PlexCache
from ._plexapi import SectionIndex
from ._plexapi_errors import is_absence, is_trouble, status_of
from ._rows import extract, file_name
from ._section_index import section_index
from ._sync_item import SyncItem, as_leaf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar

    from ._answers import Match

    T = TypeVar("T")

# Seconds until a path that Plex did not find is searched again.
_MISSED_FOR = 30.0
# Most rows of a search by file name: a server without that filter sends any rows.
_ASKED_ROWS = 50
# The status of a server that has no such filter.
_NO_FILTER = 400
# Files that are asked for one by one in a library that was never listed.
_BY_FILE = 5
# Kinds of match by which the path itself is known.
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
        self._ours = isinstance(library_cache, PlexCache)
        kind = getattr(library, "type", None)
        self._leaf = _LEAVES.get(kind) if isinstance(kind, str) else None
        self._own_rule = isinstance(library, SectionIndex)
        self._index = library if self._own_rule else section_index(library, library_cache, match_cache)
        self._debug = debug
        self._log = host_log("Matcher")
        self.name = self._log.path(last_component(path))
        """The file's name, for texts that may be logged."""
        self._absence: Exception | None = None
        self.sure = True
        """Whether a single item may be the answer."""
        self.total = 0
        """How many items fit. An index names the first ones only."""
        self.is_listed = True
        """Whether all files of the library are known."""

    def found(self) -> list[Any]:
        """The items that fit best: one, several, or none."""
        recorded = self._recorded()
        if recorded is not None:
            return [recorded]
        found = self._looked_for()
        self.total = max(self.total, len(found))
        if len(found) == 1 and self.sure:
            if self._debug:
                self._note(f"HIGH confidence match: {_title_of(found[0])}")
            else:
                self._log.debug(f"HIGH confidence match for {self.name}")
        elif found:
            paths = [self._log.path(path) for path in map(_first_path, found) if path]
            self._log.warn(f"LOW confidence match for '{self.name}': {self.total} candidates found - {paths}")
        return found

    def _looked_for(self) -> list[Any]:
        if self._own_rule:
            items, self.sure = self._library.candidates(self._path)
            return list(items)
        self._log.debug(f"Searching '{self._title}' for: {self.name}")
        found = self._from_index()
        if found is None:
            found = self._judged(self._from_plexapi())
        return found

    def _judged(self, found: list[Any]) -> list[Any]:
        """The same items; of a single one of plexapi's it is noted whether the path speaks against it."""
        if self._leaf:
            # A name alone tells of no episode or track.
            found = [as_leaf(item) for item in found if self._is_told(item)]
        if len(found) == 1:
            self.sure = not self._speaks_against(found[0])
        return found

    def _say(self, text: str) -> None:
        if self._debug:
            import logging

            logging.getLogger("plexindex").debug("%s: %s", self._path, text)

    def _note(self, text: str) -> None:
        """A line for those who look for a reason: in the host's log at level info, if it asked for such lines."""
        if self._debug:
            self._log.info(f"[DEBUG] {text}")

    def _speaks_against(self, item: Any) -> bool:
        """Whether the path is most likely another file's: it names another item, or should be listed itself."""
        row = extract(item)
        if row is None or self._is_one_of(row["file_paths"]):
            return False
        locations = getattr(self._library, "locations", None)
        folders = [folder for folder in locations if isinstance(folder, str)] if isinstance(locations, list) else []
        if any(lies_under(path, folders) for path in self._spellings):
            return True
        # From the listing: plexapi sends a request when an empty attribute of an item is read.
        return self._names_another(row["file_paths"], getattr(item, "__dict__", {}))

    def _names_another(self, files: list[str], facts: dict[str, Any]) -> bool:
        from ._titles import contradicts

        return contradicts(self._mapped or self._path, files, facts)

    # By the index.

    def _from_index(self) -> list[Any] | None:
        """The index's answer. None where it has none: then plexapi is asked, and fails as it always did."""
        if self._index is None:
            return None
        try:
            return self._answer_of(self._index)
        except Error as error:
            self._say(f"the index cannot answer: {error}")
            return None

    def _answer_of(self, index: SectionIndex) -> list[Any]:
        # In a library that was never listed one request finds one file. For many it is listed, a second at a time.
        asked = not index.is_listed() and index.asked_by_file < _BY_FILE and not self._is_elsewhere(index)
        if asked:
            index.asked_by_file += 1
            found = self._judged(self._asked_by_file())
            if found:
                return found
        match = index.match(self._path, deadline=index.patience)
        if self._mapped and match.match_kind not in _LISTED:
            other = index.match(self._mapped, deadline=index.patience)
            match = other if other.match_kind in _LISTED or not match.candidates else match
        self.is_listed = match.status not in ("not_yet", "needs_warm")
        said = match.status, match.match_kind, match.confidence, match.reason_code
        self._note(f"Index of '{self._title}': {', '.join(said)}")
        index.note_patience(nothing_came=match.status == "needs_warm")
        if not match.candidates:
            return self._found_by_request(index, asked=asked)
        if match.match_kind not in _LISTED:
            if self._leaf and match.confidence != "high":
                # A name alone tells of no episode or track.
                return []
            if match.confidence != "high" and len(match.candidates) == 1:
                # Without evidence all files of this name are candidates.
                named = index.match("/" + last_component(self._path), deadline=index.patience)
                match = named if named.candidates_total > 1 else match
            if self._is_elsewhere(index):
                return []
        found = [SyncItem(index, item, self._spellings) for item in match.candidates]
        self.total = match.candidates_total
        for item in match.candidates:
            self._log.info(f"Found (cached): {item.title}")
        if len(found) == 1 and match.match_kind not in _LISTED:
            self.sure = not self._index_speaks_against(match, found[0])
        return found

    def _found_by_request(self, index: SectionIndex, *, asked: bool) -> list[Any]:
        """The server's items for a path that the index does not know. ``asked``: by its file name, in this call."""
        if self._is_elsewhere(index) or self._note_asked():
            return []
        # Files that came lately are not asked for together: one request for this one.
        found = [] if asked else self._judged(self._asked_by_file())
        if not found and not self.is_listed:
            # Not every server has that filter, and a listing takes its time.
            found = self._judged(self._by_title(quiet=False))
        return found

    def _note_asked(self) -> bool:
        """Notes that a request asks for this path now. Returns whether one did lately, in any process."""
        if not self._ours or self._cache._was_missed(self._title, self._path):
            return True
        self._cache._note_miss(self._title, self._path, _MISSED_FOR)
        return False

    def _is_elsewhere(self, index: SectionIndex) -> bool:
        """Whether the path itself is listed in another library, or lies in a folder of one. No request."""
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

    def _index_speaks_against(self, match: Match, item: SyncItem) -> bool:
        """As :meth:`_speaks_against`, of an item of which an index knows some facts."""
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
        # An index knows no second title, and no title of an album: plexapi's object decides.
        if (known.kind == "track" and match.confidence != "high") or self._names_another(files, facts):
            return self._names_another(files, getattr(item.full(), "__dict__", {}))
        return False

    # Recorded matches.

    def _recorded(self) -> Any:
        if self._matches is None:
            return None
        key = self._matches.get_match(self._title, self._path)
        if not key:
            self._note(f"Match cache MISS for: {self._log.path(self._path)}")
            return None
        self._log.debug(f"Match cache hit: {self._log.path(self._path)} -> {key}")
        item = self._recorded_in_index(key) or self._fetch(key)
        if item is not None:
            self._log.info(f"Cache hit: {_title_of(item)}")
            return item
        self._say("the recorded item is gone")
        self._log.debug(f"Cached key stale, invalidating: {self._absence}")
        self._matches.invalidate(self._title, self._path)
        return None

    def _recorded_in_index(self, key: Any) -> Any:
        """The recorded item, if the index has it: then Plex need not be asked whether it is still there."""
        index = self._index
        if index is None:
            return None
        try:
            if not self._own_rule:
                if not index.is_listed():
                    return None
                # An expired listing is renewed by a question for the path.
                match = index.match(self._path, deadline=index.patience)
                # Plex may list the path itself for another item than the recorded one: paths are recorded without case.
                is_it = match.match_kind in _LISTED or str(key) in (match.key, match.rating_key)
                facts = match.item if is_it and match.item is not None else index.facts(key)
                return None if facts is None else SyncItem(index, facts, self._spellings)
            return index.light(key)
        except Error as error:
            self._say(f"the index cannot answer: {error}")
            return None

    def _fetch(self, key: Any) -> Any:
        """The item with this key, by one request; None when the server does not have it. Other failures are raised."""
        if isinstance(key, str) and key.isascii() and key.isdigit():
            key = int(key)  # plexapi takes an address or a number
        try:
            return self._library.fetchItem(key)
        except Exception as error:
            if not is_absence(error):
                raise
            self._absence = error
            return None

    def _fetch_all(self, keys: Iterable[Any]) -> list[Any]:
        found = [item for item in map(self._fetch, keys) if item is not None]
        for item in found:
            self._log.info(f"Found (cached): {item.title}")
        return found

    # By plexapi.

    def _from_plexapi(self) -> list[Any]:
        listed = self._listed()
        if listed:
            return listed
        return self._searched() or self._leaves() if self._leaf else self._searched() or self._all(listed)

    # Stored rows.

    def _listed(self) -> list[Any] | None:
        """From the stored listing; None: there is none."""
        if not self._ours:
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
            self._say(f"the stored listing: {len(keys)} items")
        items = self._fetch_all(keys)
        return items + self._fetch_all(others) if len(items) == 1 and others and not self._is_told(items[0]) else items

    def _is_told(self, item: Any) -> bool:
        """Whether the path is a file of an item, or shares a folder with one that has the item's name."""
        row = extract(item)
        if row is None:
            return False
        if self._is_one_of(row["file_paths"]):
            return True
        from ._titles import tells

        facts = {**getattr(item, "__dict__", {}), "title": row["title"]}
        return any(tells(path, row["file_paths"], facts) for path in self._spellings)

    def _is_one_of(self, files: list[str]) -> bool:
        """Whether the path is one of these files, as it is or mapped."""
        return any(same_file(path, files) for path in self._spellings)

    # Searches by title.

    def _searched(self) -> list[Any]:
        # A path that was not found recently is not searched again.
        ours = self._cache if self._ours else None
        quiet = ours is not None and ours._was_missed(self._title, self._path)
        found = self._by_title(quiet=quiet)
        if not found and not quiet:
            found = self._asked_by_file()
            if ours is not None and not found:
                ours._note_miss(self._title, self._path, _MISSED_FOR)
        return found

    def _by_title(self, *, quiet: bool) -> list[Any]:
        """The items that have the path's title. ``quiet``: of stored search results only."""
        # Imported here: it takes longer than an answer from stored rows.
        from ._titles import leaf_titles, titles

        wanted = leaf_titles(self._path) if self._leaf else titles(self._path)
        self._note(f"Title variants: {' / '.join(map(repr, wanted))}")
        for title in wanted:
            self._note(f"Title search query: '{title}'")
            stored = self._cache.get_search_results(self._title, title) if self._cache is not None else None
            if stored:
                self._log.debug(f"Search cache hit: {len(stored)} results")
                fetched = self._fitting([(row["key"], row["file_paths"]) for row in stored], self._fetch_all)
                if fetched:
                    return fetched
            if quiet:
                continue
            items = self._search(title)
            self._note(f"Search returned {len(items)} title match(es)")
            self._say(f"{len(items)} items with the title {title!r}")
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
        found = self._fitting(rows, list)
        for item in found:
            self._log.info(f"Found: {item.title}")
        return found

    def _fitting(self, rows: list[tuple[T, list[str]]], items_of: Callable[[Iterable[T]], list[Any]]) -> list[Any]:
        """The items of the rows that fit best. Without evidence for a single one: of all with a file of that name."""
        chosen = best(rows, self._path, self._mapped)
        found = items_of(chosen)
        if len(found) == 1 and not self._is_told(found[0]):
            name = file_name(self._path)
            named = [thing for thing, files in rows if any(file_name(file) == name for file in files)]
            found += items_of(thing for thing in named if thing not in chosen)
        return found

    def _asked_by_file(self) -> list[Any]:
        """The server's items by file name: one request. Not every server has that filter, so it proves nothing."""
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
            # There may be more that fit as well, or the server does not know the filter.
            return self._best_of(items) if len(items) < _ASKED_ROWS else []
        except Exception as error:
            # A server without that filter says so by a 400.
            if is_trouble(error) and not is_absence(error) and status_of(error) != _NO_FILTER:
                raise
            return []

    # Listings.

    def _leaves(self) -> list[Any]:
        """All episodes or tracks, unless their listing is stored already."""
        if self._ours and self._cache._has_leaves(self._title):
            return []
        self._log_fallback()
        items = self._list(lambda: self._library.search(libtype=self._leaf[0] if self._leaf else None))
        self._log.debug(f"Scanning {len(items)} items...")
        if self._ours:
            self._cache._put_leaves(self._title, items)
        return self._best_of(items)

    def _all(self, listed: list[Any] | None) -> list[Any]:
        """All items, unless their listing is stored already."""
        self._log_fallback()
        if listed is not None:
            return []
        if self._cache is not None:
            stored = self._cache.get_library_items(self._title)
            if stored is not None:
                self._log.debug(f"Library cache hit: {len(stored)} items")
                # A foreign cache, or a path that cannot be resolved.
                return self._fitting([(row["key"], row["file_paths"]) for row in stored], self._fetch_all)
        items = self._list(lambda: self._library.all())
        self._log.debug(f"Scanning {len(items)} items...")
        if self._cache is not None:
            self._cache.set_library_items(self._title, items)
        return self._best_of(items)

    def _log_fallback(self) -> None:
        if self._debug:
            self._note("No title matches, falling back to full library scan")
        else:
            self._log.debug("Fallback: scanning all items...")

    def _list(self, ask: Any) -> list[Any]:
        try:
            return list(ask())
        except Exception as error:
            if not is_absence(error):
                raise
            return []


def _first_path(item: Any) -> str | None:
    """The first path of an item, as far as it tells without a request."""
    if isinstance(item, SyncItem):
        return next(iter(item.locations), None)
    row = extract(item)
    return row["file_paths"][0] if row and row["file_paths"] else None


def _title_of(item: Any) -> Any:
    """The title as far as it is known without a request."""
    return item._light_item.title if isinstance(item, SyncItem) else item.title
