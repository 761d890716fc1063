"""Handles, locks, and fast lookups."""

from __future__ import annotations

import os
import sys
from _thread import RLock
from ctypes import c_void_p

import plexindex

from . import TYPE_CHECKING, Iterable, convert

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..types import PathArg
    from .session import Session


class Handle(c_void_p):
    """The C handle of an index, library or table, which closing the index overwrites with NULL.

    Python reads a ctypes object during the call into C. An int would be read before the call, and another thread could
    close the index in between.
    """

    def __init__(self, value: int | None = None, named: object = None) -> None:
        super().__init__(value)
        self.named = named
        """A library's value in a JSON request, where None means all libraries."""

    def retire(self) -> None:
        """Clears the handle."""
        self.value = None


# Whether this interpreter has a global lock, which prevents lookups while a thread closes the index. An interpreter
# that has one keeps it.
HAS_GLOBAL_LOCK = bool(getattr(sys, "_is_gil_enabled", lambda: True)())


# Number of forks.
_forks = 0


def _count_fork() -> None:
    global _forks
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)


class ForkLock:
    """A lock that a call returns. A forked child gets a new lock, because the old one may be held for ever.

    The lock is reentrant, because a signal handler can close the index that the interrupted code is closing.
    """

    def __init__(self) -> None:
        self._lock, self._forks = RLock(), _forks

    def __call__(self) -> RLock:
        if self._forks != _forks:
            self._lock, self._forks = RLock(), _forks
        return self._lock


# Estimated size of a key in bytes. A buffer that is too small costs a second call.
_BYTES_PER_KEY = 40
# Batches that fit into the processor's caches are faster than all paths at once.
_KEYS_AT_ONCE = 1024


class Lookups:
    """Fast lookups in one library, or in all libraries."""

    __slots__ = ("_handle", "_lookup", "_session")

    _session: Session
    _handle: Handle
    _lookup: Callable[[Any, bytes], bytes | None]

    def __init__(self, session: Session, handle: Handle) -> None:
        self._session, self._handle = session, handle
        # Without argument types, which would cost more than the lookup. So pass only bytes and ctypes objects.
        self._lookup = session.native.lookup_key if HAS_GLOBAL_LOCK else self._lookup_counted

    def lookup_key(self, path: plexindex.types.PathArg) -> str | None:
        """Returns the key of the item with this path, if a fast lookup finds the item. Takes about a microsecond.

        A fast lookup never asks the server and never fetches a library, and also uses expired listings. After a change
        in the store, the lookup reads the change, and waits at most 200 ms for other processes. None does not mean that
        no item exists: call :meth:`match`, or :meth:`refresh` before the first lookup. The library may never have been
        fetched or have another name, the file may be new, several items may match, or the path may need a mapping, even
        if :meth:`match` is certain by the file's size. Raises InvalidArgumentError if the path is empty or contains a
        NUL.

        >>> movies.lookup_key("/films/Sintel (2010).mkv")
        '/library/metadata/101'
        """
        try:
            if "\0" not in path:  # type: ignore[operator]
                key = self._lookup(self._handle, path.encode())  # type: ignore[union-attr]
                if key is not None:
                    return key.decode()
                if path and self._handle:
                    return None
        except (AttributeError, TypeError, UnicodeEncodeError):
            pass
        return self._lookup_key(path)

    def _lookup_key(self, path: PathArg) -> str | None:
        raw = convert.path_bytes(path, self._session.hides_paths)
        if not self._handle:
            raise self._session.closed_error()
        key = self._lookup(self._handle, raw)
        return None if key is None else key.decode()

    def _lookup_counted(self, _pointer: object, raw: bytes) -> bytes | None:
        # Without a global lock, a lookup counts as a running call, and closing the index waits for the lookup.
        (key,) = self._keys_of(raw + b"\0", 1)
        return key.encode() or None

    def lookup_keys(self, paths: Iterable[plexindex.types.PathArg]) -> list[str | None]:
        """Looks up many paths at once, and returns their keys in order. Faster than calling :meth:`lookup_key` for
        each.

        >>> movies.lookup_keys(["/films/Sintel (2010).mkv", "/nowhere.mkv"])
        ['/library/metadata/101', None]
        """
        paths = convert.path_list(paths)
        hides_paths = self._session.hides_paths
        found: list[str | None] = []
        for start in range(0, len(paths) or 1, _KEYS_AT_ONCE):
            piece = paths[start : start + _KEYS_AT_ONCE]
            text, count = convert.join_paths(piece, hides_paths), len(piece)
            try:
                keys = self._keys_of(text, count)
            except plexindex.InvalidArgumentError:
                convert.check_paths(piece, hides_paths)
                raise
            found += [key or None for key in keys]
        return found

    def _keys_of(self, paths: bytes, count: int) -> list[str]:
        given = paths, len(paths), count
        _, answer = self._session.fill(
            self._session.native.lookup_keys, *given, target=self._handle, reserve=count * _BYTES_PER_KEY
        )
        keys = answer.decode().split("\0")
        keys.pop()
        if len(keys) != count:
            # Without this check, paths could get the keys of other paths.
            raise plexindex.Error(f"bug in plexindex: {len(keys)} keys for {count} paths")
        return keys
