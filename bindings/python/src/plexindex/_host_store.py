"""A store that the host fills itself, for plexindex.compat: opened when needed, and again after it was closed."""

from __future__ import annotations

import ctypes
import os
from _thread import allocate_lock

from . import _constants as c
from . import _convert
from ._errors import ClosedError, LibraryNotFoundError, OfflineError
from ._open import open as open_index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar

    from ._answers import Match
    from ._index import Index, Library
    from ._mapping import MappingArg

    T = TypeVar("T")

# How often something is done again that other threads close, or other processes clear, at the same time.
_PERSISTENCE = 20
_MOST = 2**63 - 1
_UNKNOWN = (LibraryNotFoundError, OfflineError)


def library_name(name: object) -> str:
    """A library's name as the store has it: any text, exactly. What is no text is shown as one, as in an f-string."""
    text = name if isinstance(name, str) else str(name)
    if text and text[0] not in "\1\2" and "\0" not in text:
        try:
            text.encode()
            return text
        except UnicodeEncodeError:
            pass
    return "\1" + text.encode("utf-8", "surrogatepass").hex()


def leaves_name(name: object) -> str:
    """The name of what is listed beside a library: the episodes of its shows, the tracks of its artists."""
    return "\2" + library_name(name)


def whole(limit: object) -> int:
    """A limit in bytes as the library takes it."""
    try:
        return min(max(1, int(limit)), _MOST)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError, OverflowError):
        return _MOST


class HostStore:
    """The store in a folder. Every call may come after a close: it opens again."""

    def __init__(self, folder: str, limit: object, mappings: Iterable[MappingArg] = ()) -> None:
        """Opens it, making the folder and those above it."""
        # It is opened again after a close, and the current folder may be another by then.
        self._folder = folder = os.path.abspath(folder)
        self._limit = whole(limit)
        self._mappings = tuple(mappings)
        self._opening = allocate_lock()
        self._open: Index | None = None
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        self.index()

    def index(self) -> Index:
        """The open index."""
        found = self._open
        if found is not None and found.is_open:
            return found
        with self._opening:
            found = self._open
            if found is None or not found.is_open:
                found = self._open = open_index(
                    self._folder, matches_limit=self._limit, library_ttl=None, max_age=None, mappings=self._mappings
                )
            return found

    def close(self) -> None:
        """Closes it. It opens again with the next call."""
        with self._opening:
            found, self._open = self._open, None
        if found is not None:
            found.close()

    def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Does something with the index, again when another thread closed it meanwhile."""
        for _ in range(_PERSISTENCE):
            try:
                return work(self.index(), *arguments)
            except ClosedError:
                pass
        return work(self.index(), *arguments)

    def match(self, library: str, path: bytes) -> Match | None:
        """The answer for a path; None when nothing was ever stored in this library."""
        return self.run(_match, library, path)

    def record(self, library: str, path: bytes, key: str) -> None:
        """Records a match."""
        self.run(_record, library, path, key)

    def put(self, library: str, name: bytes, value: bytes, ttl: float | None) -> None:
        """Keeps a value. ``ttl`` in seconds: not more than 0 expires at once, None never."""
        self.run(_put, library, name, value, _ttl_ms(ttl), self._limit)

    def get(self, library: str, name: bytes) -> bytes | bytearray | None:
        """A value that has not expired."""
        return self.run(_get, library, name)

    def has(self, library: str, name: bytes) -> bool:
        """Whether there is one, without reading it."""
        return self.run(_has, library, name)

    def count(self) -> int:
        """How many values are kept."""
        return self.run(_count)


def _ttl_ms(ttl: float | None) -> int:
    if ttl is None:
        return c.TTL_NEVER
    if not ttl > 0:
        return c.TTL_AT_ONCE
    return _convert.FOREVER_MS if ttl * 1000 >= _convert.FOREVER_MS else max(1, round(ttl * 1000))


def library_of(index: Index, name: str) -> Library:
    """The library of this name, known or not."""
    return index.library(uuid=name)


def _match(index: Index, library: str, path: bytes) -> Match | None:
    try:
        return index.match_path(library_of(index, library), path, offline=True)
    except _UNKNOWN:
        return None


def _record(index: Index, library: str, path: bytes, key: str) -> None:
    for attempt in range(_PERSISTENCE):
        try:
            index.record_match(library_of(index, library), path, key)
            return
        except _UNKNOWN:
            # Nobody has stored anything there yet, or somebody has just cleared it.
            if attempt == _PERSISTENCE - 1:
                raise
        raw = library.encode()
        index._do(index._native.host_library, raw, len(raw), library=index)


def _put(index: Index, library: str, name: bytes, value: bytes, ttl_ms: int, limit: int) -> None:
    function = index._native.host_put
    index._do(function, name, len(name), value, len(value), ttl_ms, limit, library=library_of(index, library))


def _get(index: Index, library: str, name: bytes) -> bytes | bytearray | None:
    call = index._native.host_get
    status, value = index._ask(call, name, len(name), library=library_of(index, library), reserve=0, detach=True)
    return value if status == c.OK else None


def _has(index: Index, library: str, name: bytes) -> bool:
    call = index._native.host_get
    status, _ = index._ask(call, name, len(name), None, library=library_of(index, library))
    return status == c.OK


def _count(index: Index) -> int:
    count = ctypes.c_uint64()
    index._do(index._native.host_count, ctypes.byref(count), library=index)
    return count.value
