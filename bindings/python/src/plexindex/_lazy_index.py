"""A small index for fast lookups, opened through the accelerator without ``ctypes``.

Importing ``ctypes`` and the full index takes longer than the rest of a process that asks one question. So ``open()``
returns a :class:`LazyIndex` first. It becomes a :class:`plexindex.Index` in place, the same object with the same
handle, when more is needed or when that class is loaded. So do its libraries. Without an accelerator ``open()``
returns the full index.

The modules that such a process loads have annotations in quotes: ``from __future__ import annotations`` would load one
more module.
"""

import os
import sys
from _weakref import ref

from . import _accelerator
from . import _constants as c
from ._accelerator import closing_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ._callbacks import ProgressArg

    # The addresses of the library's functions.
    Native = dict[str, int]
    Texts = tuple["bytes | None", ...]
    Numbers = tuple[int, ...]
    Rules = tuple[tuple[int, bytes, bytes], ...]


_FUNCTIONS = ("open", "close", "get_library", "match_path", "drain_log", "lookup_key", "lookup_keys")
_TEXT_CAPACITY, _BLOCK_CAPACITY = 2048, 4096
_WORD = 8


def words(*numbers: int) -> bytes:
    """Numbers and addresses of a struct, of eight bytes each. Neither ``ctypes`` nor ``struct`` is loaded."""
    return b"".join([number.to_bytes(_WORD, sys.byteorder, signed=number < 0) for number in numbers])


def halves(*numbers: int) -> bytes:
    """Numbers of four bytes each."""
    return b"".join([number.to_bytes(_WORD // 2, sys.byteorder, signed=number < 0) for number in numbers])


def load_fast(path: str) -> "tuple[Any, Native] | None":
    """Loads the shared library: the accelerator, and the addresses of the functions. None if ctypes has to load it, or
    to report an error.
    """
    fast = _accelerator.load()
    # On a processor of 32 bits structs are laid out otherwise.
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


class _Memory:
    """A plexindex_buffer and its memory."""

    def __init__(self, fast: "Any", capacity: int) -> None:
        self.memory = bytearray(capacity)
        self.buffer = bytearray(words(fast.address(self.memory), capacity, 0))

    def text(self) -> bytes:
        """The text of an error."""
        return bytes(self.memory.partition(b"\0")[0])

    def block(self) -> bytes:
        """The block of an answer; empty if it did not fit."""
        length = _number(self.buffer[2 * _WORD :])
        return bytes(self.memory[:length]) if length <= len(self.memory) else b""


def open_lazily(path: str, texts: "Texts", numbers: "Numbers", rules: "Rules", progress: "ProgressArg") -> "Any":
    """Opens an index on a folder. None if ctypes has to open it, or to report an error of the library.

    ``texts``: folder, URL, token, user, certificates, database and shared log. ``numbers``: those of plexindex_options,
    in order.
    """
    if f"{__package__}._index" in sys.modules:
        return None
    loaded = load_fast(path)
    if loaded is None:
        return None
    fast, native = loaded

    def text(raw: "bytes | None") -> "tuple[int, int]":
        return (0, 0) if raw is None else (fast.address(raw), len(raw))

    mappings = b"".join([halves(kind, 0) + words(*text(find), *text(to)) for kind, find, to in rules])
    options = packed_options(numbers, [text(one) for one in texts], fast.address(mappings) if rules else 0, len(rules))
    handle, error = bytearray(_WORD), _Memory(fast, _TEXT_CAPACITY)
    status = fast.call(native["open"], options, handle, error.buffer)
    if status:
        raise _failure(fast, native, status, error.text())
    index = LazyIndex(
        fast, native, _number(handle), texts[0] or b"", bool(numbers[7] & c.OPEN_OBFUSCATE_PATHS), progress
    )
    _open_indexes[:] = [known for known in _open_indexes if known() is not None]
    _open_indexes.append(ref(index))
    _pass_on_log(fast, native)
    # Another thread may have loaded the classes meanwhile.
    return full_index(index) if f"{__package__}._index" in sys.modules else index


def packed_options(numbers: "Numbers", texts: "Sequence[tuple[int, int]]", mappings: int, count: int) -> bytes:
    """plexindex_options; each text is an address and a length."""
    first = words(*(part for one in texts[:5] for part in one), *numbers[:7]) + halves(*numbers[7:10], 0)
    # No callback: Python renews the token when a call is refused.
    rest = words(mappings, count, *numbers[10:12], *texts[5], 0, 0, *texts[6], numbers[12])
    return words(_WORD + len(first) + len(rest)) + first + rest


def packed_query(library: int, text: int, length: int, flags: int) -> bytes:
    """plexindex_query, without a deadline and progress."""
    rest = words(library, text, length, 0) + halves(flags, 0) + words(0, 0)
    return words(_WORD + len(rest)) + rest


def _number(memory: "bytearray") -> int:
    return int.from_bytes(memory, sys.byteorder)


def _failure(fast: "Any", native: "Native", status: int, text: bytes) -> "Exception":
    from . import Error
    from ._errors import error_for

    _pass_on_log(fast, native)
    failure: Error = error_for(status, text)
    return failure


def _pass_on_log(fast: "Any", native: "Native") -> None:
    lines: Sequence[tuple[int, bytes]] = fast.lines(native["drain_log"])
    if lines:
        from ._log import hand_on

        hand_on([(level, text.decode("utf-8", "replace")) for level, text in lines])


# Indexes that may have to become an Index. The next open removes those that were freed.
_open_indexes: "list[ref[LazyIndex]]" = []
_LISTED = ("confirmed", "exact", "mapped")


class LazyIndex:
    """An open index that only does fast lookups. It becomes a :class:`plexindex.Index` when more is needed."""

    def __init__(
        self,
        fast: "Any",
        native: "Native",
        handle: int,
        folder: bytes,
        hides_paths: bool,
        progress: "ProgressArg",
    ) -> None:
        self._native_handle = fast, native
        self._handle: int | None = handle
        self._open = True
        self._cache_dir = os.fsdecode(folder)
        self._hides_paths = hides_paths
        self._progress = progress
        self._closing = closing_lock()
        self._recipe: tuple[Any, ...] | None = None
        # By title of a library: memory with its handle, and the handle. A close clears the memory.
        self._found: dict[str, tuple[bytearray, int]] = {}
        self._libraries: list[ref[LazyLibrary]] = []

    def library(self, title: "Any" = None, *, section: "Any" = None, uuid: "Any" = None) -> "Any":
        """As :meth:`plexindex.Index.library`."""
        # Called on the class: another thread may have made the object an Index.
        if type(title) is str and title and section is None and uuid is None:
            library = LazyIndex._known_library(self, title)
            if library is not None:
                return library
        return full_index(self).library(title, section=section, uuid=uuid)

    def _set_token(self, token: "Any") -> None:
        full_index(self).set_token(token)

    token = property(None, _set_token)

    def _known_library(self, title: str) -> "Any":
        try:
            raw = title.encode()
        except UnicodeEncodeError:
            return None
        # A close waits for this call, as for any other.
        with self._closing:
            if type(self) is not LazyIndex or not self._open:
                return None
            fast, native = self._native_handle
            if title not in self._found:
                cell = bytearray(_WORD)
                arguments = self._handle, c.SELECT_ANY, raw, len(raw), cell, None
                if fast.call(native["get_library"], *arguments):
                    return None
                self._found[title] = cell, _number(cell)
                if not self._open:
                    # A signal handler closed the index, and may have missed this handle.
                    self._retire()
                    return None
            library = LazyLibrary(self, title, self._found[title][0])
            self._libraries = [*(known for known in self._libraries if known() is not None), ref(library)]
            return library

    def _match(self, title: str, path: str) -> "Any":
        """Returns a match that needs no request; None if it may need one."""
        try:
            raw = path.encode()
        except UnicodeEncodeError:
            return None
        # Errors, and calls of two threads at once, are for a full index.
        if not raw or b"\0" in raw or not self._closing.acquire(blocking=False):
            return None
        try:
            if type(self) is not LazyIndex or not self._open:
                return None
            fast, native = self._native_handle
            query = packed_query(self._found[title][1], fast.address(raw), len(raw), c.QUERY_OFFLINE)
            answer = _Memory(fast, _BLOCK_CAPACITY)
            status = fast.call(native["match_path"], self._handle, query, answer.buffer, None)
            block = answer.block()
        finally:
            self._closing.release()
        if status != c.OK or not block:
            return None
        from . import Match
        from ._answers import log_lines

        if log_lines(block):
            _pass_on_log(fast, native)
        match = Match(block, asked=self, question=path)
        # A current listing has the path: a match with requests would be the same.
        certain = match.confidence == "high" and match.match_kind in _LISTED and not match.stale
        return match if certain else None

    def _retire(self) -> None:
        for cell, _ in self._found.values():
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
        # No fast lookup is running: it would hold the interpreter's lock, which this thread has.
        self._retire()
        fast, native = self._native_handle
        error = _Memory(fast, _TEXT_CAPACITY)
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
            # At the interpreter's end modules are half unloaded, and no caller is left for an error.
            pass

    def __getattr__(self, name: str) -> "Any":
        if type(self) is not LazyIndex:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(full_index(self), name)


class LazyLibrary:
    """A library of a :class:`LazyIndex`. It becomes a :class:`plexindex.Library` with it."""

    def __init__(self, index: "LazyIndex", title: str, cell: bytearray) -> None:
        self._index = index
        self._title = title
        fast, native = index._native_handle

        # These functions must not refer to this object: the garbage collector does not see what the accelerator keeps.
        def lookup_key(path: "Any") -> "Any":
            return full_index(index)._select(c.SELECT_ANY, title).lookup_for(index)(path)

        def lookup_keys(paths: "Any") -> "Any":
            return full_index(index).library(title).lookup_keys(paths)

        # The index keeps the memory of the handle.
        address = fast.address(cell)
        self.lookup_key = fast.lookup_key(native["lookup_key"], address, lookup_key)
        self.lookup_keys = fast.lookup_keys(native["lookup_keys"], address, lookup_keys)

    def match(self, path: "Any", **options: "Any") -> "Any":
        """As :meth:`plexindex.Library.match`."""
        if type(path) is str and not options:
            found = LazyIndex._match(self._index, self._title, path)
            if found is not None:
                return found
        return full_library(self).match(path, **options)

    def __getattr__(self, name: str) -> "Any":
        if type(self) is not LazyLibrary:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(full_library(self), name)


def full_index(index: "Any") -> "Any":
    """The same object as a :class:`plexindex.Index`."""
    if type(index) is LazyIndex:
        # Replaces all, and waits for another thread that does.
        from . import Index, Library

        _replace(index, Index, Library)
    return index


def replace_all(index_class: "Any", library_class: "Any") -> None:
    """Makes every open index an Index. Called when the classes are loaded, so that hosts see one class only."""
    for known in _open_indexes:
        index = known()
        if index is not None:
            _replace(index, index_class, library_class)
    _open_indexes.clear()


def _replace(index: "Any", index_class: "Any", library_class: "Any") -> None:
    from ._library import Selected
    from ._native import load
    from ._session import initial_state

    native = load()
    with index._closing:
        if type(index) is not LazyIndex:
            return
        found, libraries = index._found, index._libraries
        selected = {
            (c.SELECT_ANY, title): Selected(native, pointer, title, cell) for title, (cell, pointer) in found.items()
        }
        index.__dict__.update(initial_state(native, index._handle), _selected=selected)
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
    """The same object as a :class:`plexindex.Library`."""
    index = full_index(library._index)
    with index._closing:
        # Waits for a thread that is replacing it.
        return library


def _set_class(thing: "Any", kind: "type") -> None:
    object.__setattr__(thing, "__class__", kind)


def _forward(kind: "type", make_full: "Any", names: "tuple[str, ...]") -> None:
    """Adds special methods that first make the object a full one. Python looks them up in the class."""

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
