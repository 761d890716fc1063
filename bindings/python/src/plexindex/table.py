"""A host's own table in an index."""

from __future__ import annotations

import plexindex

from ._core import TYPE_CHECKING, ItemsView, Iterator, MutableMapping, ValuesView, convert
from ._core import abi as c

if TYPE_CHECKING:
    from typing import Any, overload

    from ._core.session import Handle, Session

_ABSENT: Any = object()


def _bytes_of(value: bytes) -> bytes:
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError(f"value must be bytes, not {type(value).__name__}")
    return bytes(value)


class _Items(ItemsView[str, bytes]):
    _mapping: Table

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        for name in self._mapping:
            value = self._mapping.get(name)
            if value is not None:  # otherwise another thread or process was faster, or the entry has expired
                yield name, value


class _Values(ValuesView[bytes]):
    _mapping: Table

    def __iter__(self) -> Iterator[bytes]:
        return (value for _, value in self._mapping.items())

    def __contains__(self, value: object) -> bool:
        return any(value == one for one in self)


class Table(MutableMapping[str, bytes]):
    """A mapping of names to bytes in the index's folder, which every process sees. :meth:`Index.table` returns this
    object. Queries ignore tables, and plexindex never sends them to a server.

    A name is a ``str`` or bytes. Iteration yields each as a ``str``, decoded like ``os.fsdecode``, in the order of the
    bytes. A call that returns has stored its change. An entry stays until you remove it or it expires, unless the table
    has a ``limit``. If the disk is full, a change raises StoreError. Clearing takes constant time; ``len`` reads all
    names. ``items()`` and ``values()`` skip what is removed meanwhile, while ``dict(table)`` raises KeyError then: call
    ``dict(table.items())``.
    """

    def __init__(
        self, session: Session, name: plexindex.types.NameArg, *, limit: int | None = None, flags: int = 0
    ) -> None:
        self._session, self._flags = session, flags
        self._limit = convert.whole("limit", limit)
        self.name: bytes = convert.text_bytes("name", name)
        """The table's name."""

    @property
    def _handle(self) -> Handle:
        return self._session.table(self.name, self._flags)

    if TYPE_CHECKING:

        @overload
        def get(self, key: plexindex.types.NameArg, default: None = None) -> bytes | None: ...
        @overload
        def get(
            self, key: plexindex.types.NameArg, default: plexindex.types.Default
        ) -> bytes | plexindex.types.Default: ...

    def get(
        self, key: plexindex.types.NameArg, default: plexindex.types.Default | None = None
    ) -> bytes | plexindex.types.Default | None:
        """Returns an entry's value, or ``default`` if there is no entry or it has expired.

        >>> table.get("a"), table.get("missing", b"")
        (b'1', b'')
        """
        raw = convert.text_bytes("name", key)
        table_get = self._session.native.table_get
        status, value = self._session.fill(table_get, raw, len(raw), target=self._handle)
        return bytes(value) if status == c.OK else default

    def set(self, key: plexindex.types.NameArg, value: bytes, *, expire: float | None = None) -> None:
        """Stores a value, which expires after ``expire`` seconds; without ``expire``, never.

        >>> table.set("b", b"2", expire=3600)
        >>> table["b"]
        b'2'
        """
        raw, data = convert.text_bytes("name", key), _bytes_of(value)
        ttl_ms = convert.milliseconds("expire", expire, none=c.TTL_NEVER, zero=c.TTL_AT_ONCE)
        given = raw, len(raw), data, len(data), ttl_ms, self._limit
        self._session.ask(self._session.native.table_put, *given, target=self._handle)

    def delete(self, key: plexindex.types.NameArg) -> None:
        """Removes an entry. A missing entry is not an error.

        >>> table.delete("a")
        >>> "a" in table
        False
        """
        raw = convert.text_bytes("name", key)
        self._session.ask(self._session.native.table_remove, raw, len(raw), target=self._handle)

    def clear(self) -> None:
        """Removes all entries.

        >>> table.clear()
        >>> len(table)
        0
        """
        self._session.request("tables.clear", table=self.name)

    def __getitem__(self, name: plexindex.types.NameArg) -> bytes:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __setitem__(self, name: plexindex.types.NameArg, value: bytes) -> None:
        self.set(name, value)

    def __delitem__(self, name: plexindex.types.NameArg) -> None:
        if self._take(name) is None:
            raise KeyError(name)

    def add(self, key: plexindex.types.NameArg, value: bytes, *, expire: float | None = None) -> bool:
        """Stores a value as :meth:`set` does, unless the table has a value with this name. Returns whether it did.
        A value of this method, :meth:`setdefault`, :meth:`pop` and ``del`` has at most 45 MB, or 60 MB of UTF-8.

        >>> table.add("a", b"2")  # there is one
        False
        """
        return self._add(key, value, expire) is None

    def setdefault(self, key: plexindex.types.NameArg, default: bytes) -> bytes:
        """Returns an entry's value. If there is no entry, stores ``default``. Of several processes, one stores.

        >>> table.setdefault("a", b"2")
        b'1'
        """
        found = self._add(key, default, None)
        return bytes(default) if found is None else found

    if TYPE_CHECKING:

        @overload
        def pop(self, key: plexindex.types.NameArg) -> bytes: ...
        @overload
        def pop(
            self, key: plexindex.types.NameArg, default: plexindex.types.Default
        ) -> bytes | plexindex.types.Default: ...

    def pop(
        self, key: plexindex.types.NameArg, default: plexindex.types.Default = _ABSENT
    ) -> bytes | plexindex.types.Default:
        """Removes an entry and returns its value, or the default if there is none. Of several processes, one gets it.

        Without a default, raises KeyError if there is no entry.

        >>> table.pop("a"), table.pop("a", None)
        (b'1', None)
        """
        value = self._take(key)
        if value is None and default is _ABSENT:
            raise KeyError(key)
        return default if value is None else value

    def popitem(self) -> tuple[str, bytes]:
        """Removes the first entry, and returns its name and value. Raises KeyError if the table is empty.

        >>> table.popitem()
        ('a', b'1')
        """
        for name in self:
            value = self._take(name)
            if value is not None:  # otherwise another process was faster
                return name, value
        raise KeyError("the table is empty")

    def _add(self, name: plexindex.types.NameArg, value: bytes, expire: float | None) -> bytes | None:
        """Stores a value unless there is one, and returns the value that was there."""
        ttl_ms = convert.milliseconds("expire", expire, none=c.TTL_NEVER, zero=c.TTL_AT_ONCE)
        data, limit = _bytes_of(value), self._limit or None
        return self._changed("tables.add", name, value=data, ttl_ms=ttl_ms, max_bytes=limit)

    def _take(self, name: plexindex.types.NameArg) -> bytes | None:
        return self._changed("tables.take", name)

    def _changed(self, method: str, name: plexindex.types.NameArg, **request: Any) -> bytes | None:
        raw = convert.text_bytes("name", name)
        found = self._session.request(method, table=self.name, name=raw, **request).get("value")
        return None if found is None else convert.path_of(found)

    def items(self) -> ItemsView[str, bytes]:
        """Returns the names with their values.

        >>> dict(table.items())
        {'a': b'1'}
        """
        return _Items(self)

    def values(self) -> ValuesView[bytes]:
        """Returns the values, in the order of their names.

        >>> list(table.values())
        [b'1']
        """
        return _Values(self)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, (str, bytes)) and self.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        get_next, name, length = self._session.native.table_get_next, None, 0
        while True:
            status, found = self._session.fill(get_next, name, length, target=self._handle)
            if status != c.OK:
                return
            name, length = bytes(found), len(found)
            yield name.decode("utf-8", "surrogateescape")

    def __bool__(self) -> bool:
        return any(True for _ in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<plexindex.Table {self.name.decode('utf-8', 'replace')!r}>"
