"""A small index for fast lookups, opened through the accelerator without ``ctypes``.

Importing ``ctypes`` and the full index takes longer than everything else that a process with one lookup does. So
``open()`` first returns a :class:`LazyIndex`. On the first use of another feature, or when a module loads the class
:class:`plexindex.Index`, the same object becomes an Index with the same handle. Its libraries change in the same way.
Without an accelerator, ``open()`` returns the full index.

Modules that every process loads have quoted annotations, because ``from __future__ import annotations`` would load
another module.
"""

import os
import sys
from _functools import partial  # type: ignore[import-not-found]
from _weakref import ref

from . import accelerator as _accelerator
from . import constants as c
from .accelerator import closing_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from .callbacks import ProgressArg

    # The addresses of the library's functions.
    Native = dict[str, int]
    Texts = tuple["bytes | None", ...]
    Numbers = tuple[int, ...]
    Rules = tuple[tuple[int, bytes, bytes], ...]


_FUNCTIONS = (
    *("open", "close", "get_library", "match_path", "drain_log", "lookup_key", "lookup_keys", "get_table"),
    "table_lookup",
)
_TEXT_CAPACITY = 2048
_WORD = 8


def words(*numbers: int) -> bytes:
    """Packs a struct's numbers and addresses into eight bytes each, without loading ``ctypes`` or ``struct``."""
    return b"".join([number.to_bytes(_WORD, sys.byteorder, signed=number < 0) for number in numbers])


def halves(*numbers: int) -> bytes:
    """Packs numbers into four bytes each."""
    return b"".join([number.to_bytes(_WORD // 2, sys.byteorder, signed=number < 0) for number in numbers])


def load_fast(path: str) -> "tuple[Any, Native] | None":
    """Loads the shared library. Returns the accelerator and the function addresses, or None if ctypes must load the
    library or report an error.
    """
    fast = _accelerator.load()
    # On 32-bit processors, structs have a different layout.
    if fast is None or not hasattr(fast, "symbol") or sys.maxsize < 1 << 32 or not _accelerator.is_whole(path):
        return None
    raw = os.fsencode(path)
    version = fast.symbol(raw, b"plexindex_get_abi_version")
    if version is None or fast.call(version) != c.ABI_VERSION:
        return None
    native = {name: fast.symbol(raw, b"plexindex_" + name.encode()) for name in _FUNCTIONS}
    if None in native.values():
        return None
    _accelerator.loaded = path
    return fast, native


class _ErrorText:
    """A plexindex_buffer for an error text."""

    def __init__(self, fast: "Any") -> None:
        self._memory = bytearray(_TEXT_CAPACITY)
        self.buffer = bytearray(words(fast.address(self._memory), _TEXT_CAPACITY, 0))

    def text(self) -> bytes:
        """Returns the text."""
        return bytes(self._memory.partition(b"\0")[0])


def open_lazily(path: str, texts: "Texts", numbers: "Numbers", rules: "Rules", progress: "ProgressArg") -> "Any":
    """Opens an index in a folder. Returns None if ctypes must open the index.

    ``texts`` are the folder, the URL, the token, the user, the certificates, the database and the shared log.
    ``numbers`` are the numbers of plexindex_options, in order.
    """
    if "plexindex.index" in sys.modules:
        return None
    loaded = load_fast(path)
    if loaded is None:
        return None
    fast, native = loaded

    def text(raw: "bytes | None") -> "tuple[int, int]":
        return (0, 0) if raw is None else (fast.address(raw), len(raw))

    mappings = b"".join([halves(kind, 0) + words(*text(find), *text(to)) for kind, find, to in rules])
    options = packed_options(numbers, [text(one) for one in texts], fast.address(mappings) if rules else 0, len(rules))
    handle, error = bytearray(_WORD), _ErrorText(fast)
    status = fast.call(native["open"], options, handle, error.buffer)
    if status:
        raise _failure(fast, native, status, error.text())
    index = LazyIndex(fast, native, handle, texts[0] or b"", bool(numbers[7] & c.OPEN_OBFUSCATE_PATHS), progress)
    _open_indexes[:] = [known for known in _open_indexes if known() is not None]
    _open_indexes.append(ref(index))
    _pass_on_log(fast, native)
    # Another thread may have loaded the class in the meantime.
    return full_index(index) if "plexindex.index" in sys.modules else index


def packed_options(numbers: "Numbers", texts: "Sequence[tuple[int, int]]", mappings: int, count: int) -> bytes:
    """Packs plexindex_options. Each text is an address and a length."""
    first = words(*(part for one in texts[:5] for part in one), *numbers[:7]) + halves(*numbers[7:10], 0)
    # There is no token callback, because ctypes opens indexes that have one.
    rest = words(mappings, count, *numbers[10:12], *texts[5], 0, 0, *texts[6], numbers[12])
    return words(_WORD + len(first) + len(rest)) + first + rest


def _number(memory: "bytearray") -> int:
    return int.from_bytes(memory, sys.byteorder)


def _failure(fast: "Any", native: "Native", status: int, text: bytes) -> "Exception":
    from .. import Error
    from ..errors import error_for

    _pass_on_log(fast, native)
    failure: Error = error_for(status, text)
    return failure


def _pass_on_log(fast: "Any", native: "Native") -> None:
    lines = fast.lines(native["drain_log"])
    if lines:
        from .log import hand_on

        hand_on([(level, text.decode("utf-8", "replace")) for level, text in zip(lines[::2], lines[1::2])])


# Open indexes that can become an Index. The next `open` removes freed indexes.
_open_indexes: "list[ref[LazyIndex]]" = []


class LazyIndex:
    """An open index for fast lookups, which becomes a :class:`plexindex.Index` on the first use of another feature."""

    def __init__(
        self,
        fast: "Any",
        native: "Native",
        cell: bytearray,
        folder: bytes,
        hides_paths: bool,
        progress: "ProgressArg",
    ) -> None:
        self._native_handle = fast, native
        self._cell = cell
        self._handle: int | None = _number(cell)
        self._open = True
        self._cache_dir = os.fsdecode(folder)
        self._hides_paths = hides_paths
        self._progress = progress
        self._closing = closing_lock()
        self._recipe: tuple[Any, ...] | None = None
        # For each library title, memory that contains the handle, and the handle itself. Closing clears the memory.
        self._found: dict[str, tuple[bytearray, int]] = {}
        # For each table name, memory that contains the handle, and the handle itself.
        self._table_cells: dict[bytes, tuple[bytearray, int]] = {}
        self._libraries: list[ref[LazyLibrary]] = []

    def library(self, title: "Any" = None, *, section: "Any" = None, uuid: "Any" = None) -> "Any":
        """As :meth:`plexindex.Index.library`."""
        # Call the method through this class, because another thread may have turned the object into an Index.
        if type(title) is str and title and section is None and uuid is None:
            library = LazyIndex._known_library(self, title)
            if library is not None:
                return library
        return full_index(self).library(title, section=section, uuid=uuid)

    @property
    def is_open(self) -> bool:
        """As :attr:`plexindex.Index.is_open`."""
        return self._open

    def _set_token(self, token: "Any") -> None:
        full_index(self).set_token(token)

    token = property(None, _set_token)

    def _known_library(self, title: str) -> "Any":
        try:
            raw = title.encode()
        except UnicodeEncodeError:
            return None
        # Closing the index waits for the end of this block.
        with self._closing:
            cell = LazyIndex._cell_of(self, self._found, title, "get_library", c.SELECT_ANY, raw, len(raw))
            if cell is None:
                return None
            library = LazyLibrary(self, title, cell)
            self._libraries = [*(known for known in self._libraries if known() is not None), ref(library)]
            return library

    def _table_cell(self, table: bytes, flags: int) -> "bytearray | None":
        """Returns memory that contains a table's handle, or None if only the full index can get the handle."""
        with self._closing:
            return LazyIndex._cell_of(self, self._table_cells, table, "get_table", table, len(table), flags)

    def _cell_of(
        self, found: "dict[Any, tuple[bytearray, int]]", name: "Any", function: str, *arguments: "Any"
    ) -> "bytearray | None":
        """Returns memory that contains a library's or table's handle, from ``found`` or from the shared library."""
        if type(self) is not LazyIndex or not self._open:
            return None
        if name not in found:
            fast, native = self._native_handle
            cell = bytearray(_WORD)
            if fast.call(native[function], self._handle, *arguments, cell, None):
                return None
            found[name] = cell, _number(cell)
            if not self._open:
                # A signal handler has closed the index, and may not have cleared this handle.
                self._retire()
                return None
        return found[name][0]

    def _drain_log(self) -> None:
        _pass_on_log(*self._native_handle)

    def _retire(self) -> None:
        for cell, _ in ((self._cell, 0), *self._found.values(), *self._table_cells.values()):
            cell[:] = bytes(_WORD)

    def close(self) -> None:
        """As :meth:`plexindex.Index.close`."""
        with self._closing:
            if type(self) is LazyIndex:
                LazyIndex._close(self)
                return
        full_index(self).close()

    def _close(self) -> None:
        self._open = False
        handle, self._handle = self._handle, None
        if handle is None:
            return
        # No fast lookup is running, because this thread has the interpreter's lock.
        self._retire()
        fast, native = self._native_handle
        error = _ErrorText(fast)
        status = fast.call(native["close"], handle, error.buffer)
        if status:
            raise _failure(fast, native, status, error.text())
        _pass_on_log(fast, native)

    def __enter__(self) -> "Any":
        return self if self._open else full_index(self).__enter__()

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        try:
            if type(self) is LazyIndex and self._handle is not None:
                self._close()
        except Exception:
            # When the interpreter exits, modules may already be unloaded, and no caller can handle an error.
            pass

    def __getattr__(self, name: str) -> "Any":
        if type(self) is not LazyIndex:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(full_index(self), name)


def _make_match(*arguments: "Any") -> "Any":
    # Import the class only for the first match.
    from .. import Match

    return Match(*arguments)


class LazyLibrary:
    """A library in a :class:`LazyIndex`. Becomes a :class:`plexindex.Library` when the index becomes an Index."""

    def __init__(self, index: "LazyIndex", title: str, cell: bytearray) -> None:
        self._index = index
        self._title = title
        fast, native = index._native_handle

        # These functions must not refer to this object, because the garbage collector does not see the accelerator's
        # references.
        def lookup_key(path: "Any") -> "Any":
            return full_index(index)._select(c.SELECT_ANY, title).lookup_for(index)(path)

        def lookup_keys(paths: "Any") -> "Any":
            return full_index(index).library(title).lookup_keys(paths)

        def match(*arguments: "Any", **options: "Any") -> "Any":
            return full_index(index).library(title).match(*arguments, **options)

        self.lookup_key = fast.lookup_key(native["lookup_key"], cell, lookup_key)
        self.lookup_keys = fast.lookup_keys(native["lookup_keys"], cell, lookup_keys)
        drain_log = partial(LazyIndex._drain_log, index)
        self.match = fast.match_path(native["match_path"], index._cell, cell, _make_match, index, drain_log, match)

    def __getattr__(self, name: str) -> "Any":
        if type(self) is not LazyLibrary:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(full_library(self), name)


def full_index(index: "Any") -> "Any":
    """Turns an index into a :class:`plexindex.Index`, and returns the same object."""
    if type(index) is LazyIndex:
        # This import replaces all open indexes, unless another thread is replacing them.
        from .. import Index, Library

        _replace(index, Index, Library)
    return index


def replace_all(index_class: "Any", library_class: "Any") -> None:
    """Turns every open index into an Index. Called when the classes are loaded, so that hosts see only one class."""
    for known in _open_indexes:
        index = known()
        if index is not None:
            _replace(index, index_class, library_class)
    _open_indexes.clear()


def _replace(index: "Any", index_class: "Any", library_class: "Any") -> None:
    from ..library import Handle, Selected
    from .native import load
    from .session import initial_state

    native = load()
    with index._closing:
        if type(index) is not LazyIndex:
            return
        found, libraries = index._found, index._libraries
        selected = {
            (c.SELECT_ANY, title): Selected(native, pointer, title, cell) for title, (cell, pointer) in found.items()
        }
        tables = {table: Handle(pointer, cell) for table, (cell, pointer) in index._table_cells.items()}
        index.__dict__.update(initial_state(native, index._cell), _selected=selected, _tables=tables)
        _set_class(index, index_class)
        for known in libraries:
            library = known()
            if library is not None:
                title = library._title
                made = library_class(index, selected[c.SELECT_ANY, title], title, repr(title), _chosen_by(title))
                library.__dict__.update(made.__dict__)
                _set_class(library, library_class)


def _chosen_by(title: str) -> "dict[str, str | None]":
    return {"title": title, "section": None, "uuid": None}


def full_library(library: "Any") -> "Any":
    """Turns a library into a :class:`plexindex.Library`, and returns the same object."""
    index = full_index(library._index)
    with index._closing:
        # The lock makes this code wait for a thread that is replacing the library.
        return library


def _set_class(thing: "Any", kind: "type") -> None:
    object.__setattr__(thing, "__class__", kind)


def _forward(kind: "type", make_full: "Any", names: "tuple[str, ...]") -> None:
    """Adds special methods, which Python looks up in the class. Each method first turns the object into a full one."""

    def forwarded(name: str) -> "Any":
        def method(self: "Any", *arguments: "Any") -> "Any":
            return getattr(make_full(self), name)(*arguments)

        method.__name__, method.__qualname__ = name, f"{kind.__qualname__}.{name}"
        return method

    for name in names:
        setattr(kind, name, forwarded(name))


_ALWAYS = ("__repr__", "__reduce__", "__dir__")
_forward(LazyIndex, full_index, (*_ALWAYS, "__aenter__", "__aexit__"))
_forward(LazyLibrary, full_library, (*_ALWAYS, "__contains__", "__getitem__", "__iter__", "__len__"))
