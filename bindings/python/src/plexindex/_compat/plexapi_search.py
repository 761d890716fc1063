"""The drop-in without an index, which uses stored rows, searches by title and by file name, and listings."""

from __future__ import annotations

from .._core.paths import LONGEST_PATH, best, components, last_component, mapped
from .host_errors import warn_of_search
from .host_log import host_log
from .path_evidence import PathEvidence
from .plex_cache import PlexCache
from .plexapi_errors import is_absence, is_refused_search, is_trouble
from .rows import extract, file_name
from .sync_item import as_found

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar

    from ..plexapi import SectionIndex

    T = TypeVar("T")

# Seconds until the next search for a path that Plex did not find.
MISSED_FOR = 30.0
# Maximum number of rows from a search by file name. A server that does not support the filter sends all rows.
_ASKED_ROWS = 50
_LEAVES = {"show": ("episode", 4), "artist": ("track", 10)}


class PlexapiSearch:
    """Searches for a path in a section."""

    def __init__(
        self,
        library: Any,
        path: str,
        prefixes: tuple[str | None, str | None],
        library_cache: Any,
        index: SectionIndex | None,
        *,
        debug: bool,
    ) -> None:
        self._library, self._path = library, path
        self._title = library.title
        self._mapped = mapped(path, *prefixes)
        self._spellings = [one for one in (path, self._mapped) if one]
        self._cache, self._index = library_cache, index
        self._has_own_cache = isinstance(library_cache, PlexCache)
        kind = getattr(library, "type", None)
        self._leaf = _LEAVES.get(kind) if isinstance(kind, str) else None
        self._debug = debug
        self._log = host_log("Matcher")
        self._evidence = PathEvidence(library, index, self._spellings, self._log)
        self.name = self._log.path(last_component(path))
        """The file name, for messages that can appear in a log."""
        self._not_found_error: Exception | None = None
        self.sure = True
        """Whether a single item has high confidence."""
        # Number of items with a file of the same name, if known.
        self._named: int | None = None

    def _from_plexapi(self) -> list[Any]:
        listed = self._find_stored()
        if listed:
            return listed
        return self._search_titles() or (self._list_leaves() if self._leaf else self._list_all(listed))

    def _with_evidence(self, found: list[Any]) -> list[Any]:
        """Drops episodes and tracks without evidence, and sets ``sure`` for a single item."""
        if self._leaf:
            # A file name alone is not evidence for an episode or track.
            found = [as_found(item) for item in found if self._is_named(item)]
        if len(found) == 1:
            self.sure = not self._is_contradicted(found[0])
        return list(map(as_found, found))

    def _log_step(self, text: str) -> None:
        if self._debug:
            import logging

            logging.getLogger("plexindex").debug("%s: %s", self._path, text)

    def _log_reason(self, text: str) -> None:
        """Logs a reason at level info in the host's log, if the host has enabled debug logging."""
        if self._debug:
            self._log.info(f"[DEBUG] {text}")

    def _is_contradicted(self, item: Any, *, is_alone: bool | None = None) -> bool:
        """Returns whether the path belongs to a different item.

        ``is_alone``: whether no other item has a file with the same name; None if unknown.
        """
        row = extract(item)
        if row is None:
            return False
        files = row["file_paths"]
        return self._evidence.contradicts(
            files,
            # Read ``__dict__``, because accessing an empty attribute makes plexapi send a request.
            names_another=lambda: self._names_another(files, getattr(item, "__dict__", {})),
            is_alone=lambda: self._is_alone() if is_alone is None else is_alone,
        )

    def _is_alone(self) -> bool:
        """Returns whether no other item is known to have a file with the same name."""
        if self._named is None:
            self._asked_by_file(quiet=True)
        return self._named is None or self._named == 1

    def _names_another(self, files: list[str], facts: dict[str, Any]) -> bool:
        from .titles import contradicts

        return contradicts(self._mapped or self._path, files, facts)

    def _has_name(self, files: list[str]) -> bool:
        return file_name(self._path) in map(file_name, files)

    def _fetch(self, key: Any) -> Any:
        """Requests an item by key. Returns None if the server does not have the item; raises all other errors."""
        if isinstance(key, str) and key.isascii() and key.isdigit():
            key = int(key)  # plexapi expects an address or a number
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

    # Stored rows.

    def _find_stored(self) -> list[Any] | None:
        """Returns the matching items from the stored listing, or None without a stored listing."""
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
        """Returns whether the path is one of the item's files, or shares a folder with the item's name."""
        row = extract(item)
        if row is None:
            return False
        if self._evidence.is_one_of(row["file_paths"]):
            return True
        from .titles import names_item

        facts = {**getattr(item, "__dict__", {}), "title": row["title"]}
        return any(names_item(path, row["file_paths"], facts) for path in self._spellings)

    # Searches by title.

    def _search_titles(self) -> list[Any]:
        # Do not search again for a path that Plex recently did not find.
        ours = self._cache if self._has_own_cache else None
        quiet = ours is not None and ours._was_missed(self._title, self._path)
        found = self._search_by_title(quiet=quiet)
        if not found and not quiet:
            found = self._asked_by_file()
            if ours is not None and not found:
                ours._note_miss(self._title, self._path, MISSED_FOR)
        return found

    def _search_by_title(self, *, quiet: bool) -> list[Any]:
        """Returns the items with the path's title. With ``quiet``, uses only stored search results."""
        # Import the module here, because the import takes longer than answering from stored rows.
        from .titles import leaf_titles, titles

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
            # Do not store an empty result, because it would hide a file that Plex adds later.
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
            return []  # no URL can contain the title, and no Plex title is like it
        try:
            return list(self._library.search(title=title, **leaf))
        except Exception as error:
            if not is_absence(error) and not is_refused_search(error, self._library):
                raise
            return []

    def _best_of(self, items: Iterable[Any]) -> list[Any]:
        rows = [(item, row["file_paths"]) for item, row in ((item, extract(item)) for item in items) if row]
        found = self._best_items(rows, list)
        for item in found:
            self._log.info(f"Found: {item.title}")
        return found

    def _best_items(self, rows: list[tuple[T, list[str]]], items_of: Callable[[Iterable[T]], list[Any]]) -> list[Any]:
        """Returns the best items or, without evidence for a single item, all items with a file of the same name."""
        chosen = best(rows, self._path, self._mapped)
        found = items_of(chosen)
        if len(found) == 1 and not self._is_named(found[0]):
            name = file_name(self._path)
            named = [thing for thing, files in rows if any(file_name(file) == name for file in files)]
            found += items_of(thing for thing in named if thing not in chosen)
        return found

    def _asked_by_file(self, *, quiet: bool = False) -> list[Any]:
        """Searches the server by file name, in one request. Some servers do not support the filter, so an empty result
        proves nothing.

        With ``quiet``, only counts the items with a file of the same name.
        """
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
            # At the row limit, rows may be missing, or the server may have ignored the filter.
            if len(items) >= _ASKED_ROWS:
                return []
            rows = [row for row in map(extract, items) if row]
            self._named = sum(self._has_name(row["file_paths"]) for row in rows) or None
            return [] if quiet else self._best_of(items)
        except Exception as error:
            if is_absence(error) or is_refused_search(error, self._library):
                return []
            if is_trouble(error):
                raise
            warn_of_search(type(error).__name__)  # the response is a proxy's page, or an incomplete response from Plex
            return []

    # Listings.

    def _list_leaves(self) -> list[Any]:
        """Lists all episodes or tracks, unless a stored listing exists."""
        if self._has_own_cache and self._cache._has_leaves(self._title):
            return []
        self._log_fallback()
        items = self._list(lambda: self._library.search(libtype=self._leaf[0] if self._leaf else None))
        self._log.debug(f"Scanning {len(items)} items...")
        if self._has_own_cache:
            self._cache._put_leaves(self._title, items)
        return self._best_of(items)

    def _list_all(self, listed: list[Any] | None) -> list[Any]:
        """Lists all items, unless this object has already searched a stored listing."""
        self._log_fallback()
        if listed is not None:
            return []
        if self._cache is not None:
            stored = self._cache.get_library_items(self._title)
            if stored is not None:
                self._log.debug(f"Library cache hit: {len(stored)} items")
                # The cache is not plexindex's own, or the path cannot be resolved.
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
