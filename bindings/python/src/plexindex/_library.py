"""A library in the C ABI: its handle, its fast path, and its facts."""

from __future__ import annotations

from _functools import partial  # type: ignore[import-not-found]
from ctypes import addressof, c_void_p, cast

from . import _accelerator
from ._convert import path_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Protocol

    from ._errors import ClosedError
    from ._native import Native
    from ._types import PathArg

    Lookup = Callable[[PathArg], "str | None"]
    Lookups = Callable[[Iterable[PathArg]], "list[str | None]"]

    class FastIndex(Protocol):
        """The parts of an index that a fast path uses."""

        _cell: c_void_p
        _hides_paths: bool
        _calls: dict[Any, int]

        def _closed_error(self) -> ClosedError: ...
        def _drain_log(self) -> None: ...
        def _lookup_counted(self, library: int, path: bytes) -> bytes | None: ...


class Selected:
    """The C library's handle for a selector. It does not refer to an index, so an index may hold it without a cycle."""

    __slots__ = ("cell", "handle", "lookup_for", "lookup_keys_for", "match_for", "named", "pointer")

    def __init__(self, native: Native, pointer: int, named: object, cell: Any = None) -> None:
        """``named``: the library in a request of JSON. ``cell``: memory of the accelerator that holds the handle, for
        its fast lookups.
        """
        self.pointer, self.named = pointer, named
        self.cell = cell
        # A ctypes object is read when C is called. An int would be read before the call, and another thread may close
        # the index in between.
        self.handle = c_void_p(pointer) if cell is None else c_void_p.from_address(_accelerator.load().address(cell))
        bind = _bind_fast_lookup if _accelerator.holds_the_lock() else _bind_counted
        self.lookup_for = bind(native, self.handle)
        """``lookup_for(index)`` returns the fast path: a function from a path to a key."""
        self.lookup_keys_for = _bind_fast_lookups(native, self.handle)
        """``lookup_keys_for(slow)`` returns the same for a list of paths. It calls ``slow(paths)`` for unusual ones."""
        self.match_for = _bind_match(native, self.handle)
        """``match_for(index, make, slow)`` returns the fast path for a full answer; None without an accelerator.

        It calls ``slow`` if the answer has to be waited for.
        """

    def retire(self) -> None:
        """Makes all fast paths raise ClosedError: plexindex_lookup_key() finds nothing at NULL."""
        self.handle.value = None


class TableHandle:
    """The C library's handle of a table. It has no reference to an index, so an index may hold it without a cycle."""

    __slots__ = ("handle", "pointer")

    def __init__(self, pointer: int) -> None:
        self.pointer = pointer
        # A ctypes object is read when C is called. An int would be read before the call, and another thread may close
        # the index in between.
        self.handle = c_void_p(pointer)

    def retire(self) -> None:
        """plexindex_table_lookup() finds nothing at NULL."""
        self.handle.value = None


class Chosen:
    """The selection of a library. :class:`plexindex.Library` derives from it."""

    def __init__(self, index: FastIndex, selected: Selected) -> None:
        self._index = index
        self._selected = selected


class LibraryInfo:
    """Facts about a library of the server. Made by :meth:`Index.libraries`."""

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
    """Its listing is current: answers from it are not stale."""
    generation: int
    """Number of its listing; moves only when its content changes."""

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> LibraryInfo:
        """From the method ``libraries.list``."""
        info = cls()
        info.section, info.uuid, info.title, info.kind = entry["section"], entry["uuid"], entry["title"], entry["kind"]
        info.locations = tuple(entry["locations"])
        age = entry.get("age_ms")
        info.items, info.age = entry.get("items", 0), None if age is None else age / 1000
        info.fresh, info.generation = entry["fresh"], entry.get("generation", 0)
        return info

    def __repr__(self) -> str:
        state = "never fetched" if self.age is None else f"{self.items} items, {'fresh' if self.fresh else 'expired'}"
        return f"<plexindex.LibraryInfo {self.title!r} section={self.section!r} {self.kind}: {state}>"


def _bind_fast_lookup(native: Native, handle: c_void_p) -> Callable[[FastIndex], Lookup]:
    # Measured with CPython 3.11, 100,000 paths and a lookup that takes next to no time in C:
    #   a method over argtypes 322 ns · a closure over argtypes 324 · os.fsencode instead of str.encode 352 · a
    #   functools.partial 283 · this one, with its checks, 300, of which the NUL check 17.
    # No argtypes: checking them costs 60 ns, and bytes and ctypes objects are passed on correctly without.
    call = native.fast_lookup
    fast = _accelerator.load()
    function = cast(call, c_void_p).value

    def lookup_for(index: FastIndex) -> Lookup:
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
            # bytes, os.PathLike, invalid UTF-8, a closed index, and refused paths.
            raw = path_bytes(path, index._hides_paths)
            if not handle:
                raise index._closed_error()
            key = call(handle, raw)
            return None if key is None else key.decode()

        # The accelerator reads the memory of the handle; `lookup_key` keeps it alive.
        return fast.lookup_key(function, addressof(handle), lookup_key) if fast else lookup_key

    return lookup_for


def _bind_fast_lookups(native: Native, handle: c_void_p) -> Callable[[Lookups], Lookups]:
    fast = _accelerator.load()
    function = cast(native.lookup_keys, c_void_p).value

    def lookup_keys_for(slow: Lookups) -> Lookups:
        return fast.lookup_keys(function, addressof(handle), slow) if fast else slow

    return lookup_keys_for


def _bind_match(native: Native, handle: c_void_p) -> Callable[[FastIndex, Any, Any], Any]:
    fast = _accelerator.load()
    function = cast(native.match_path, c_void_p).value

    def match_for(index: FastIndex, make: Any, slow: Any) -> Any:
        if fast is None:
            return None
        # `slow` keeps the handle alive, and the index its own.
        drain_log = index._drain_log
        match = fast.bind_match(function, addressof(index._cell), addressof(handle), make, index, drain_log, slow)
        # A partial may have attributes: inspect, and so editors at run time, read the signature of `slow`.
        match = partial(match)
        match.__wrapped__ = slow
        return match

    return match_for


def _bind_counted(_native: Native, handle: c_void_p) -> Callable[[FastIndex], Lookup]:
    # Without a global lock a lookup counts as a call in flight, for which a close waits.
    pointer = handle.value or 0

    def lookup_for(index: FastIndex) -> Lookup:
        def lookup_key(path: PathArg) -> str | None:
            raw = path_bytes(path, index._hides_paths)
            key = index._lookup_counted(pointer, raw)
            return None if key is None else key.decode()

        return lookup_key

    return lookup_for
