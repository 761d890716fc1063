"""An index of which only fast lookups were asked yet: opened through the accelerator, without ``ctypes``.

Importing ``ctypes`` and all that an index can do takes longer than the rest of a process that asks one question. So
``open()`` gives an object that can do the least, where nothing more was loaded before. It becomes a
:class:`plexindex.Index`, the same object with the same handle, in place, and so do its libraries: at the first wish
that goes beyond what it can do, and when that class is loaded for another reason. Where there is no accelerator,
``open()`` gives the index itself.

In the modules that such a process loads annotations are texts: ``from __future__ import annotations`` loads one more.
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

    Texts = tuple["bytes | None", ...]
    Numbers = tuple[int, ...]
    Rules = tuple[tuple[int, bytes, bytes], ...]


def enter(path: str, texts: "Texts", numbers: "Numbers", rules: "Rules", progress: "ProgressArg") -> "Any":
    """An index on a folder; None where ctypes is to open it, and to say what is wrong with the library.

    The texts are folder, URL, token, user, certificates and database; the numbers those of plexindex_options in their
    order.
    """
    if f"{__package__}._index" in sys.modules:
        return None
    fast = _accelerator.load()
    if fast is None or not hasattr(fast, "load"):
        return None
    door = fast.load(os.fsencode(path), c.ABI_VERSION)
    if door is None:
        return None
    _accelerator.loaded = path
    status, handle = fast.open(door, texts, numbers, rules)
    if status:
        raise _failure(fast, door, status)
    index = Unasked(fast, door, handle, texts[0] or b"", bool(numbers[7] & c.OPEN_OBFUSCATE_PATHS), progress)
    _living[:] = [known for known in _living if known() is not None]
    _living.append(ref(index))
    _tell(fast, door)
    # Another thread may have loaded the classes meanwhile.
    return grown(index) if f"{__package__}._index" in sys.modules else index


def _failure(fast: "Any", door: "Any", status: int) -> "Exception":
    text = fast.message(door).decode("utf-8", "replace")
    from . import Error
    from ._errors import error_for

    _tell(fast, door)
    failure: Error = error_for(status, text)
    return failure


def _tell(fast: "Any", door: "Any") -> None:
    lines: Sequence[tuple[int, bytes]] = fast.lines(door)
    if lines:
        from ._log import hand_on

        hand_on([(level, text.decode("utf-8", "replace")) for level, text in lines])


# Those that may have to become more; those that are gone are struck off with the next.
_living: "list[ref[Unasked]]" = []
_LISTED = ("confirmed", "exact", "mapped")


class Unasked:
    """An open index of which only fast lookups were asked yet. It becomes a :class:`plexindex.Index` when more is."""

    def __init__(
        self, fast: "Any", door: "Any", handle: int, folder: bytes, hides_paths: bool, progress: "ProgressArg"
    ) -> None:
        self._door = fast, door
        self._handle: int | None = handle
        self._open = True
        self._cache_dir = os.fsdecode(folder)
        self._hides_paths = hides_paths
        self._progress = progress
        self._closing = closing_lock()
        self._recipe: tuple[Any, ...] | None = None
        # Where the handles of libraries lie, by their titles, with the handles.
        self._found: dict[str, tuple[Any, int]] = {}
        self._libraries: list[ref[UnaskedLibrary]] = []

    def library(self, title: "Any" = None, *, section: "Any" = None, uuid: "Any" = None) -> "Any":
        """As :meth:`plexindex.Index.library`."""
        # As a function of the class: by now the object may be more.
        if type(title) is str and title and section is None and uuid is None:
            library = Unasked._quickly(self, title)
            if library is not None:
                return library
        return grown(self).library(title, section=section, uuid=uuid)

    def _set_token(self, token: "Any") -> None:
        grown(self).set_token(token)

    token = property(None, _set_token)

    def _quickly(self, title: str) -> "Any":
        try:
            raw = title.encode()
        except UnicodeEncodeError:
            return None
        # A close waits for this call, as for any other.
        with self._closing:
            if type(self) is not Unasked or not self._open:
                return None
            fast, door = self._door
            if title not in self._found:
                status, pointer = fast.library(door, self._handle, c.SELECT_TITLE, raw)
                if status:
                    return None
                self._found[title] = fast.cell(pointer), pointer
                if not self._open:
                    # A signal handler closed it, and may not have seen this one.
                    self._retire()
                    return None
            library = UnaskedLibrary(self, title, self._found[title][0])
            self._libraries = [*(known for known in self._libraries if known() is not None), ref(library)]
            return library

    def _match(self, title: str, path: str) -> "Any":
        """A match of which the server need not be asked; None where that is not so, or it is not known."""
        try:
            raw = path.encode()
        except UnicodeEncodeError:
            return None
        # What is refused, Python says; and what two threads ask at once is for an index that can do so.
        if not raw or b"\0" in raw or not self._closing.acquire(blocking=False):
            return None
        try:
            if type(self) is not Unasked or not self._open:
                return None
            fast, door = self._door
            pointer = self._found[title][1]
            status, block = fast.match_path(door, self._handle, pointer, raw, c.QUERY_OFFLINE)
        finally:
            self._closing.release()
        if status != c.OK or not block:
            return None
        from . import Match
        from ._answers import log_lines

        if log_lines(block):
            _tell(fast, door)
        match = Match(block, asked=self)
        # A listing that is current, and has the path: asked in earnest, the library says the same.
        certain = match.confidence == "high" and match.rung in _LISTED and not match.stale
        return match if certain else None

    def _retire(self) -> None:
        for cell, _ in self._found.values():
            self._door[0].retire(cell)

    def close(self) -> None:
        """As :meth:`plexindex.Index.close`."""
        with self._closing:
            if type(self) is Unasked:
                Unasked._close(self)
                return
        grown(self).close()

    def _close(self) -> None:
        self._open = False
        handle, self._handle = self._handle, None
        if handle is None:
            return
        # No fast lookup is running: it would hold the interpreter's lock, which is here.
        self._retire()
        fast, door = self._door
        status = fast.close(door, handle)
        if status:
            raise _failure(fast, door, status)
        _tell(fast, door)

    def __enter__(self) -> "Any":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        try:
            if type(self) is Unasked and self._handle is not None:
                self._close()
        except Exception:
            # At the interpreter's end modules are half gone, and no caller is left to be told.
            pass

    def __getattr__(self, name: str) -> "Any":
        if type(self) is not Unasked:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(grown(self), name)


class UnaskedLibrary:
    """A library of such an index. It becomes a :class:`plexindex.Library` with it."""

    def __init__(self, index: "Unasked", title: str, cell: "Any") -> None:
        self._index = index
        self._title = title
        fast, door = index._door

        # Neither knows this object: what an accelerator keeps is not seen by the garbage collector.
        def lookup_key(path: "Any") -> "Any":
            return grown(index)._select(c.SELECT_TITLE, title).lookup_for(index)(path)

        def lookup_keys(paths: "Any") -> "Any":
            return grown(index).library(title).lookup_keys(paths)

        one, many = fast.addresses(door)
        address = fast.address(cell)
        self.lookup_key = fast.lookup_key(one, address, lookup_key)
        self.lookup_keys = fast.lookup_keys(many, address, lookup_keys)

    def match(self, path: "Any", **options: "Any") -> "Any":
        """As :meth:`plexindex.Library.match`."""
        if type(path) is str and not options:
            found = Unasked._match(self._index, self._title, path)
            if found is not None:
                return found
        return grown_library(self).match(path, **options)

    def __getattr__(self, name: str) -> "Any":
        if type(self) is not UnaskedLibrary:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(grown_library(self), name)


def grown(index: "Any") -> "Any":
    """The same object as a :class:`plexindex.Index`."""
    if type(index) is Unasked:
        # Grows all there are; and this one, where another thread is at that.
        from . import Index, Library

        _grow(index, Index, Library)
    return index


def grow_all(index_class: "Any", library_class: "Any") -> None:
    """Called when the classes are there: code that can name them finds nothing else."""
    for known in _living:
        index = known()
        if index is not None:
            _grow(index, index_class, library_class)
    _living.clear()


def _grow(index: "Any", index_class: "Any", library_class: "Any") -> None:
    from ._library import Selected
    from ._native import load
    from ._session import unasked

    native = load()
    with index._closing:
        if type(index) is not Unasked:
            return
        found, libraries = index._found, index._libraries
        selected = {
            (c.SELECT_TITLE, title): Selected(native, pointer, cell) for title, (cell, pointer) in found.items()
        }
        index.__dict__.update(unasked(native, index._handle), _selected=selected)
        _become(index, index_class)
        for known in libraries:
            library = known()
            if library is not None:
                title = library._title
                made = library_class(index, selected[c.SELECT_TITLE, title], title, repr(title), _chosen_by(title))
                library.__dict__.update(made.__dict__)
                _become(library, library_class)


def _chosen_by(title: str) -> "dict[str, str | None]":
    return {"title": title, "section": None, "uuid": None}


def grown_library(library: "Any") -> "Any":
    """The same object as a :class:`plexindex.Library`."""
    index = grown(library._index)
    with index._closing:
        # Where another thread was at it, it is over.
        return library


def _become(thing: "Any", kind: "type") -> None:
    object.__setattr__(thing, "__class__", kind)


def _grow_for(kind: "type", grow: "Any", names: "tuple[str, ...]") -> None:
    """Protocols look for their methods in the class: these are asked of what the object becomes."""

    def asked(name: str) -> "Any":
        def method(self: "Any", *arguments: "Any") -> "Any":
            return getattr(grow(self), name)(*arguments)

        method.__name__, method.__qualname__ = name, f"{kind.__qualname__}.{name}"
        return method

    for name in names:
        setattr(kind, name, asked(name))


_ALWAYS = ("__repr__", "__reduce__", "__dir__")
_grow_for(Unasked, grown, (*_ALWAYS, "__aenter__", "__aexit__"))
_grow_for(UnaskedLibrary, grown_library, (*_ALWAYS, "__contains__", "__getitem__", "__iter__", "__len__"))
