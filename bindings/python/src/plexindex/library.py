"""Handles for libraries and tables, fast lookups, and facts about a library."""

from __future__ import annotations

from _functools import partial  # type: ignore[import-not-found]
from ctypes import c_void_p, cast

from ._core import accelerator as _accelerator
from ._core.convert import path_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Protocol

    from typing_extensions import Self

    from ._core.native import Native
    from ._core.types import PathArg
    from .errors import ClosedError

    Lookup = Callable[[PathArg], "str | None"]
    Lookups = Callable[[Iterable[PathArg]], "list[str | None]"]

    class FastIndex(Protocol):
        """The attributes of an index that a fast path uses."""

        _cell: bytearray
        _hides_paths: bool
        _calls: dict[Any, int]

        def _closed_error(self) -> ClosedError: ...
        def _drain_log(self) -> None: ...
        def _lookup_counted(self, library: int, path: bytes) -> bytes | None: ...


class Handle:
    """A C library handle. Closing the index overwrites the handle with NULL, so that fast lookups find nothing.

    The object does not refer to an index, so an index can refer to it without a cycle.
    """

    __slots__ = ("cell", "handle", "pointer")

    def __init__(self, pointer: int, cell: bytearray | None = None) -> None:
        """``cell`` is the memory for the handle, if it already exists."""
        self.pointer = pointer
        self.cell = bytearray(c_void_p(pointer)) if cell is None else cell
        # Python reads a ctypes object during the call into C. An int would be read before the call, and another thread
        # could close the index in between.
        self.handle = c_void_p.from_buffer(self.cell)

    def retire(self) -> None:
        """Clears the handle."""
        self.handle.value = None


class Selected(Handle):
    """A library's handle and fast paths."""

    __slots__ = ("lookup_for", "named", "native")

    def __init__(self, native: Native, pointer: int, named: object, cell: bytearray | None = None) -> None:
        """``named`` is the library's value in a JSON request."""
        super().__init__(pointer, cell)
        self.native, self.named = native, named
        bind = _bind_fast_lookup if _accelerator.holds_the_lock() else _bind_counted
        self.lookup_for = bind(self)
        """``lookup_for(index)`` returns the fast path: a function that returns the key for a path."""

    def lookup_keys_for(self, slow: Lookups) -> Lookups:
        """Returns the fast path for a list of paths, which calls ``slow(paths)`` for unusual paths."""
        fast = _accelerator.load()
        return fast.lookup_keys(_address(self.native.lookup_keys), self.cell, slow) if fast else slow

    def match_for(self, index: FastIndex, make: Any, slow: Any) -> Any:
        """Returns the fast path for a full answer, or None without an accelerator.

        The fast path calls ``slow`` if it would have to wait for the answer.
        """
        fast = _accelerator.load()
        if fast is None:
            return None
        function = _address(self.native.match_path)
        # A partial can have attributes, so `inspect`, and editors at run time, can read the signature of `slow`.
        match = partial(fast.match_path(function, index._cell, self.cell, make, index, index._drain_log, slow))
        match.__wrapped__ = slow
        return match


def _address(function: Any) -> int | None:
    return cast(function, c_void_p).value


class Chosen:
    """A selected library. :class:`plexindex.Library` derives from this class."""

    def __init__(self, index: FastIndex, selected: Selected) -> None:
        self._index = index
        self._selected = selected


class Fields:
    """A JSON answer's fields, under the same names. An absent field is None."""

    __slots__: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Self:
        """Creates the object from one of the library's answers."""
        made = cls()
        for name in cls.__slots__:
            setattr(made, name, entry.get(name))
        return made

    def as_dict(self) -> dict[str, Any]:
        """Returns all fields by name."""
        return {name: getattr(self, name) for name in self.__slots__}


class LibraryInfo(Fields):
    """Facts about a library on the server. :meth:`Index.libraries` returns these objects."""

    __slots__ = ("age", "fresh", "generation", "items", "kind", "locations", "section", "title", "uuid")

    section: str
    """Section id, such as ``"1"``."""
    uuid: str
    """The library's uuid."""
    title: str
    """Title. Two libraries can have the same title."""
    kind: str
    """Library type: ``"movie"``, ``"show"``, ``"artist"`` or ``"photo"``."""
    locations: tuple[str, ...]
    """The library's folders, as paths on the server."""
    items: int
    """Number of listed items."""
    age: float | None
    """Seconds since the listing was last known to be current. None if the library was never fetched completely."""
    fresh: bool
    """Whether the listing is current, so that answers from it are not stale."""
    generation: int
    """The listing's number, which changes only when the content changes."""

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> LibraryInfo:
        """Creates the object from an entry in the answer to ``libraries.list``."""
        age = entry.get("age_ms")
        facts = {"locations": tuple(entry["locations"]), "age": None if age is None else age / 1000}
        return super().from_json({"items": 0, "generation": 0, **entry, **facts})

    def __repr__(self) -> str:
        state = "never fetched" if self.age is None else f"{self.items} items, {'fresh' if self.fresh else 'expired'}"
        return f"<plexindex.LibraryInfo {self.title!r} section={self.section!r} {self.kind}: {state}>"


def _bind_fast_lookup(selected: Selected) -> Callable[[FastIndex], Lookup]:
    # Measured with CPython 3.11, 100,000 paths and a lookup that takes almost no time in C:
    #   a method over argtypes 322 ns · a closure over argtypes 324 · os.fsencode instead of str.encode 352 · a
    #   functools.partial 283 · this one, with its checks, 300, of which the NUL check 17.
    # Set no argtypes: checking them costs 60 ns, and ctypes passes bytes and its own objects correctly without them.
    call, handle, cell = selected.native.fast_lookup, selected.handle, selected.cell
    fast, function = _accelerator.load(), _address(call)

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
            # This fallback handles bytes, os.PathLike, invalid UTF-8, a closed index, and invalid paths.
            raw = path_bytes(path, index._hides_paths)
            if not handle:
                raise index._closed_error()
            key = call(handle, raw)
            return None if key is None else key.decode()

        return fast.lookup_key(function, cell, lookup_key) if fast else lookup_key

    return lookup_for


def _bind_counted(selected: Selected) -> Callable[[FastIndex], Lookup]:
    # Without a global lock, a lookup counts as a running call, and closing the index waits for the lookup.
    pointer = selected.pointer

    def lookup_for(index: FastIndex) -> Lookup:
        def lookup_key(path: PathArg) -> str | None:
            raw = path_bytes(path, index._hides_paths)
            key = index._lookup_counted(pointer, raw)
            return None if key is None else key.decode()

        return lookup_key

    return lookup_for
