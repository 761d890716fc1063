"""One library of an index, or all of them; and the fast path."""

from __future__ import annotations

import sys
from ctypes import c_void_p

from ._convert import path_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    from ._answers import Item, Match, Matches
    from ._edits import EditReport
    from ._index import Index
    from ._native import Native
    from ._types import FieldArg, PathArg, ProgressArg

    Lookup = Callable[[PathArg], "str | None"]


class Library:
    """A library of an index, or all of them. Made by :meth:`Index.library`; usable from any thread.

    It fetches nothing by itself, keeps its index open, and is of no use once that is closed (:class:`ClosedError`).
    """

    def __init__(self, index: Index, selected: Selected, title: str | None, selector: str) -> None:
        self._index = index
        self._selected = selected
        self._title = title
        self._selector = selector
        # The fast path: as an attribute of the instance it costs no method call, and hides the method below.
        self.__dict__["lookup_key"] = selected.lookup_for(index)

    @property
    def index(self) -> Index:
        """The index that it belongs to."""
        return self._index

    @property
    def title(self) -> str | None:
        """The title that it was asked for by; None when it was another way."""
        return self._title

    def lookup_key(self, path: PathArg) -> str | None:
        """The key of the item with this path, if a fast lookup knows it: the fast path, well under a microsecond.

        It never blocks, never asks the server and never renews an expired listing. None is no verdict: nothing is
        known, several items fit, or the confidence is low; :meth:`match` tells more. Raises InvalidArgumentError for
        an empty path and for one with a NUL.
        """
        return self._selected.lookup_for(self._index)(path)

    def lookup_keys(self, paths: Iterable[PathArg]) -> list[str | None]:
        """:meth:`lookup_key` for many paths at once, in their order; faster for each than one by one."""
        return self._index._lookup_keys(self, paths)

    def match(
        self,
        path: PathArg,
        *,
        deadline: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Match:
        """Which item this file is: :meth:`Index.match_path` in this library."""
        return self._index.match_path(self, path, deadline=deadline, offline=offline, progress=progress)

    def match_paths(
        self,
        paths: Iterable[PathArg],
        *,
        deadline: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Matches:
        """Which items these files are: :meth:`Index.match_paths` in this library."""
        return self._index.match_paths(self, paths, deadline=deadline, offline=offline, progress=progress)

    def match_guid(
        self,
        guid: str,
        *,
        deadline: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Match:
        """The item with this GUID: :meth:`Index.match_guid` in this library."""
        return self._index.match_guid(self, guid, deadline=deadline, offline=offline, progress=progress)

    def search_title(
        self,
        title: str,
        *,
        deadline: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Match:
        """The items with this title: :meth:`Index.search_title` in this library."""
        return self._index.search_title(self, title, deadline=deadline, offline=offline, progress=progress)

    def items(self) -> Iterator[Item]:
        """Its items as the store has them: :meth:`Index.items` of this library."""
        return self._index.items(self)

    def record_match(self, path: PathArg, key: str | int) -> None:
        """Confirms that the item with this key has this path: :meth:`Index.record_match` in this library."""
        self._index.record_match(self, path, key)

    def record_matches(self, pairs: Iterable[tuple[PathArg, str | int]]) -> None:
        """:meth:`record_match` for many pairs of path and key in one transaction: all or none."""
        self._index.record_matches(self, pairs)

    def invalidate_path(self, path: PathArg) -> None:
        """Invalidates a path: :meth:`Index.invalidate_path` in this library."""
        self._index.invalidate_path(self, path)

    def invalidate_item(self, key: str | int) -> None:
        """Invalidates an item and all its paths: :meth:`Index.invalidate_item` in this library."""
        self._index.invalidate_item(self, key)

    def invalidate(self) -> None:
        """Invalidates the library: :meth:`Index.invalidate_library`."""
        self._index.invalidate_library(self)

    def refresh(
        self,
        *,
        full: bool = False,
        deadline: float | None = None,
        progress: ProgressArg = None,
    ) -> bool:
        """Brings the library up to date now: :meth:`Index.refresh` for this library."""
        return self._index.refresh(self, full=full, deadline=deadline, progress=progress)

    def edit_items(
        self,
        keys: Iterable[str | int],
        fields: Mapping[str, FieldArg] | None = None,
        *,
        remove: Mapping[str, str | Iterable[str]] | None = None,
        locked: bool | None = True,
        deadline: float | None = None,
    ) -> EditReport:
        """Gives items of the library the same values: :meth:`Index.edit_items` in this library."""
        return self._index.edit_items(self, keys, fields, remove=remove, locked=locked, deadline=deadline)

    async def amatch(
        self,
        path: PathArg,
        *,
        deadline: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Match:
        """:meth:`match` on a thread of its own, for ``asyncio``: :meth:`Index.amatch_path` in this library."""
        return await self._index.amatch_path(self, path, deadline=deadline, offline=offline, progress=progress)

    async def amatch_paths(
        self,
        paths: Iterable[PathArg],
        *,
        deadline: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Matches:
        """:meth:`match_paths` on a thread of its own: :meth:`Index.amatch_paths` in this library."""
        return await self._index.amatch_paths(self, paths, deadline=deadline, offline=offline, progress=progress)

    async def arefresh(
        self,
        *,
        full: bool = False,
        deadline: float | None = None,
        progress: ProgressArg = None,
    ) -> bool:
        """:meth:`refresh` on a thread of its own: :meth:`Index.arefresh` for this library."""
        return await self._index.arefresh(self, full=full, deadline=deadline, progress=progress)

    def __repr__(self) -> str:
        closed = "" if self._index.is_open else " (closed)"
        return f"<plexindex.Library {self._selector}{closed}>"


class LibraryInfo:
    """What is known about a library of the server. Made by :meth:`Index.libraries`."""

    __slots__ = ("age", "fresh", "generation", "items", "kind", "locations", "section", "title", "uuid")

    section: str
    """Section id, such as ``"1"``."""
    uuid: str
    """The library's uuid."""
    title: str
    """Title; two libraries may share it."""
    kind: str
    """What it holds: ``"movie"``, ``"show"``, ``"artist"``, ``"photo"``."""
    locations: tuple[str, ...]
    """Its folders, as the server sees them."""
    items: int
    """Items listed now."""
    age: float | None
    """Seconds since its listing was last seen to be current; None: never fetched completely."""
    fresh: bool
    """Its listing answers without asking the server."""
    generation: int
    """Number of its listing; moves only when its content changes."""

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> LibraryInfo:
        """From an entry of plexindex_libraries_json()."""
        info = cls()
        info.section, info.uuid, info.title, info.kind = entry["section"], entry["uuid"], entry["title"], entry["kind"]
        info.locations = tuple(entry["locations"])
        age = entry["age_ms"]
        info.items, info.age = entry["items"], None if age is None or age < 0 else age / 1000
        info.fresh, info.generation = entry["fresh"], entry["generation"]
        return info

    def __repr__(self) -> str:
        state = "never fetched" if self.age is None else f"{self.items} items, {'fresh' if self.fresh else 'expired'}"
        return f"<plexindex.LibraryInfo {self.title!r} section={self.section!r} {self.kind}: {state}>"


class Selected:
    """The library's own handle for a selector. Knows no index, so an index may hold it without a cycle."""

    __slots__ = ("handle", "lookup_for", "pointer")

    def __init__(self, native: Native, pointer: int) -> None:
        self.pointer = pointer
        # An object that is read when C is called, and not a value that Python reads before: another thread may close
        # the index between the two.
        self.handle = c_void_p(pointer)
        bind = _bind_fast_lookup if _holds_the_lock() else _bind_counted
        self.lookup_for = bind(native, self.handle)
        """``lookup_for(index)`` is the fast path's function."""

    def retire(self) -> None:
        """Makes all fast paths raise ClosedError: plexindex_lookup_key() finds nothing at NULL."""
        self.handle.value = None


def _holds_the_lock() -> bool:
    """Whether this interpreter has its global lock, under which a lookup and a close cannot meet."""
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def _bind_fast_lookup(native: Native, handle: c_void_p) -> Callable[[Index], Lookup]:
    # Measured with CPython 3.11, 100,000 paths and a lookup that takes next to no time in C:
    #   a method over argtypes 322 ns · a closure over argtypes 324 · os.fsencode instead of str.encode 352 · a
    #   functools.partial 283 · this one, with its checks, 300, of which the NUL check 17.
    # No argtypes: bytes and a ctypes object are passed on as they are, checking them costs 60 ns more.
    call = native.fast_lookup

    def lookup_for(index: Index) -> Lookup:
        def lookup_key(path: PathArg) -> str | None:
            try:
                if "\0" not in path:  # type: ignore[operator]
                    key = call(handle, path.encode())  # type: ignore[union-attr]
                    if key is not None:
                        return key.decode()  # type: ignore[no-any-return]
                    if path and handle:
                        return None
            except (TypeError, AttributeError, UnicodeEncodeError):
                pass
            # bytes, os.PathLike, what is not UTF-8; an index that was closed; and what is refused.
            raw = path_bytes(path, index._hides_paths)
            if not handle:
                raise index._closed_error()
            key = call(handle, raw)
            return None if key is None else key.decode()

        return lookup_key

    return lookup_for


def _bind_counted(_native: Native, handle: c_void_p) -> Callable[[Index], Lookup]:
    # Without a global lock a lookup counts as a call in flight, for which a close waits.
    pointer = handle.value or 0

    def lookup_for(index: Index) -> Lookup:
        def lookup_key(path: PathArg) -> str | None:
            raw = path_bytes(path, index._hides_paths)
            key = index._lookup_counted(pointer, raw)
            return None if key is None else key.decode()

        return lookup_key

    return lookup_for
