"""The drop-in's function: from a path to Plex's item, by recorded matches, stored rows and searches."""

from __future__ import annotations

import os

from ._errors import ServerError
from ._paths import best, components, lies_under, mapped, same_file
from ._plex_cache import PlexCache
from ._plexapi import SectionIndex
from ._rows import extract

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

# Seconds until a path that Plex did not find is searched again.
_MISSED_FOR = 30.0
# Most rows of a search by file name: a server without that filter sends any rows.
_ASKED_ROWS = 50
# Bytes of the longest path that can be resolved.
_LONGEST = 32_767
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
        self._cache, self._matches = library_cache, match_cache
        self._ours = isinstance(library_cache, PlexCache)
        kind = getattr(library, "type", None)
        self._leaf = _LEAVES.get(kind) if isinstance(kind, str) else None
        self._debug = debug
        self.sure = True
        """Whether a single item may be the answer."""

    def found(self) -> list[Any]:
        """The items that fit best: one, several, or none."""
        item = self._recorded()
        if item is not None:
            return [item]
        if isinstance(self._library, SectionIndex):
            found, self.sure = self._library.candidates(self._path)
            return found
        found = self._looked_for()
        if len(found) == 1:
            self.sure = not self._speaks_against(found[0])
        return found

    def _looked_for(self) -> list[Any]:
        listed = self._listed()
        if listed:
            return listed
        return self._searched() or self._leaves() if self._leaf else self._searched() or self._all(listed)

    def _say(self, text: str) -> None:
        if self._debug:
            import logging

            logging.getLogger("plexindex").debug("%s: %s", self._path, text)

    def _speaks_against(self, item: Any) -> bool:
        """Whether the path is most likely another file's: it names another item, or should be listed itself."""
        row = extract(item)
        paths = [path for path in (self._path, self._mapped) if path]
        if row is None or any(same_file(path, row["file_paths"]) for path in paths):
            return False
        locations = getattr(self._library, "locations", None)
        folders = [folder for folder in locations if isinstance(folder, str)] if isinstance(locations, list) else []
        if any(lies_under(path, folders) for path in paths):
            return True
        from ._titles import contradicts

        # From the listing: plexapi sends a request when an empty attribute of an item is read.
        known = getattr(item, "__dict__", {})
        return contradicts(paths[-1], row["file_paths"], known)

    # Recorded matches.

    def _recorded(self) -> Any:
        if self._matches is None:
            return None
        key = self._matches.get_match(self._title, self._path)
        if not key:
            return None
        item = self._library.light(key) if isinstance(self._library, SectionIndex) else None
        item = item or self._fetch(key)
        if item is None:
            self._say("the recorded item is gone")
            self._matches.invalidate(self._title, self._path)
        return item

    def _fetch(self, key: Any) -> Any:
        """The item with this key, by one request; None when the server does not have it. Other failures are raised."""
        if isinstance(key, str) and key.isascii() and key.isdigit():
            key = int(key)  # plexapi takes an address or a number
        try:
            return self._library.fetchItem(key)
        except Exception as error:
            if not _is_absence(error):
                raise
            return None

    def _fetch_all(self, keys: Iterable[Any]) -> list[Any]:
        return [item for item in map(self._fetch, keys) if item is not None]

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
            paths = [path.encode() for path in (self._path, self._mapped) if path]
        except UnicodeEncodeError:
            return None
        if not paths or any(b"\0" in path or len(path) > _LONGEST for path in paths):
            return None
        keys = self._cache._match(self._title, self._path, self._mapped, leaves=leaves)
        if keys:
            self._say(f"the stored listing: {len(keys)} items")
        return None if keys is None else self._fetch_all(keys)

    # Searches by title.

    def _searched(self) -> list[Any]:
        # A path that was not found recently is not searched again.
        ours = self._cache if self._ours else None
        quiet = ours is not None and ours._was_missed(self._title, self._path)
        # Imported here: it takes longer than an answer from stored rows.
        from ._titles import leaf_titles, titles

        for title in leaf_titles(self._path) if self._leaf else titles(self._path):
            stored = self._cache.get_search_results(self._title, title) if self._cache is not None else None
            if stored:
                rows = [(row["key"], row["file_paths"]) for row in stored]
                fetched = self._fetch_all(best(rows, self._path, self._mapped))
                if fetched:
                    return fetched
            if quiet:
                continue
            items = self._search(title)
            self._say(f"{len(items)} items with the title {title!r}")
            # An empty result is not stored: a file that is added now would not be found.
            if items and self._cache is not None:
                self._cache.set_search_results(self._title, title, items)
            found = self._best_of(items)
            if found:
                return found
        found = [] if quiet else self._asked_by_file()
        if ours is not None and not found and not quiet:
            ours._note_miss(self._title, self._path, _MISSED_FOR)
        return found

    def _search(self, title: str) -> list[Any]:
        leaf = {"libtype": self._leaf[0]} if self._leaf else {}
        try:
            title.encode()
        except UnicodeEncodeError:
            return []  # no address can hold it, and no title of Plex's is like that
        try:
            return list(self._library.search(title=title, **leaf))
        except Exception as error:
            if not _is_absence(error):
                raise
            return []

    def _best_of(self, items: Iterable[Any]) -> list[Any]:
        rows = ((item, extract(item)) for item in items)
        return best([(item, row["file_paths"]) for item, row in rows if row], self._path, self._mapped)

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
            return self._best_of(items)
        except Exception as error:
            if _is_trouble(error) and not type(error).__module__.startswith("plexapi"):
                raise
            return []

    # Listings.

    def _leaves(self) -> list[Any]:
        """All episodes or tracks, unless their listing is stored already."""
        if self._ours and self._cache._has_leaves(self._title):
            return []
        items = self._list(lambda: self._library.search(libtype=self._leaf[0] if self._leaf else None))
        if self._ours:
            self._cache._put_leaves(self._title, items)
        return self._best_of(items)

    def _all(self, listed: list[Any] | None) -> list[Any]:
        """All items, unless their listing is stored already."""
        if listed is not None:
            return []
        if self._cache is not None:
            stored = self._cache.get_library_items(self._title)
            if stored is not None:
                # A foreign cache, or a path that cannot be resolved.
                rows = [(row["key"], row["file_paths"]) for row in stored]
                return self._fetch_all(best(rows, self._path, self._mapped))
        items = self._list(lambda: self._library.all())
        if self._cache is not None:
            self._cache.set_library_items(self._title, items)
        return self._best_of(items)

    def _list(self, ask: Any) -> list[Any]:
        try:
            return list(ask())
        except Exception as error:
            if not _is_absence(error):
                raise
            return []


def _is_trouble(error: Exception) -> bool:
    """Whether the server could not be reached, or refused to answer."""
    return isinstance(error, (OSError, ServerError)) or type(error).__module__.startswith(
        ("plexapi", "requests", "urllib3")
    )


def _is_absence(error: Exception) -> bool:
    """Whether an error means that the server does not have the item.

    A bare ``Exception``, which no client raises but stand-ins for one do, is taken for that.
    """
    if getattr(getattr(error, "response", None), "status_code", None) == 404:
        return True
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"NotFound", "PlexNotFound", "NotOnServerError"}) or type(error) in (Exception, KeyError)


def describe(path: str) -> str:
    """A path in an exception's text: only its last component, since texts may be logged."""
    return os.path.basename((components(path) or [path])[-1])
