"""Converts the options of :func:`plexindex.open` for the C ABI."""

from __future__ import annotations

import ctypes
import os

from ..errors import InvalidArgumentError
from ..mapping import as_mapping
from . import TYPE_CHECKING, convert, log
from . import constants as c
from .native import CBytes, CMapping, COptions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..mapping import MappingArg
    from .types import PathArg


def c_options(
    *,
    cache_dir: PathArg,
    server_url: str | None,
    token: str | None,
    user: str | None,
    library_ttl: float | None,
    max_age: float | None,
    timeout: float | None,
    connect_timeout: float,
    read_timeout: float,
    retry_for: float | None,
    ca_file: PathArg | None,
    accept_invalid_certs: bool,
    offline: bool,
    mappings: Iterable[MappingArg],
    page_size: int,
    matches_limit: int,
    size_limit: int | None,
    database: PathArg | None,
    mmap: bool,
    slow: float | None,
    obfuscate_paths: bool,
    shared: str | None,
    shared_retry: float | None,
    shared_durable: bool | None,
) -> COptions:
    """Returns a plexindex_options. The struct keeps its texts alive."""
    folder = convert.folder_bytes("cache_dir", cache_dir)
    if not folder or b"\0" in folder:
        raise InvalidArgumentError(f"invalid cache_dir ({cache_dir!r}): give the path of a folder")
    if database is not None and not os.fspath(database):
        raise InvalidArgumentError("database is empty: give Plex's database or the folder 'Plex Media Server', or None")
    if shared is not None and not shared:
        raise InvalidArgumentError(
            "shared is empty: give an address such as postgresql://user@host/database, or omit shared"
        )
    ms, forever = convert.milliseconds, convert.FOREVER_MS
    rules = _rules(mappings)
    return COptions(
        size=ctypes.sizeof(COptions),
        cache_dir=CBytes.of(folder),
        server_url=_text("server_url", server_url),
        token=_text("token", token, hidden=True),
        user=_text("user", user),
        ca_file=_path("ca_file", ca_file),
        library_ttl_ms=ms("library_ttl", library_ttl, none=c.TTL_NEVER, zero=c.TTL_AT_ONCE),
        max_age_ms=ms("max_age", max_age, none=forever),
        timeout_ms=ms("timeout", timeout, none=0),
        connect_timeout_ms=ms("connect_timeout", connect_timeout, none=None, zero=None),
        read_timeout_ms=ms("read_timeout", read_timeout, none=None, zero=None),
        retry_ms=ms("retry_for", retry_for, none=forever, zero=c.NO_RETRY),
        matches_limit=_whole("matches_limit", matches_limit, 2**63 - 1),
        flags=(c.OPEN_OFFLINE if offline else 0)
        | (c.OPEN_ACCEPT_INVALID_CERTS if accept_invalid_certs else 0)
        | (0 if mmap else c.OPEN_NO_MMAP)
        | (c.OPEN_OBFUSCATE_PATHS if obfuscate_paths else 0)
        | (c.OPEN_SHARED_DURABLE if shared_durable else 0),
        log_level=log.level_for_open(),
        page_size=_whole("page_size", page_size, 1000),
        mappings=(CMapping * len(rules))(*rules) if rules else None,
        mappings_count=len(rules),
        slow_ms=ms("slow", slow, none=c.NEVER_SLOW),
        size_limit=0 if size_limit is None else _whole("size_limit", size_limit, 2**63 - 1),
        database=_path("database", database),
        shared=_text("shared", shared, hidden=True),
        shared_retry_ms=ms("shared_retry", shared_retry, none=forever, zero=c.NO_RETRY),
    )


def _rules(mappings: Iterable[MappingArg]) -> list[CMapping]:
    if isinstance(mappings, (str, bytes, dict)):
        kind = type(mappings).__name__
        raise TypeError(f"mappings must be a list of pairs such as [('/mnt/media', '/data/media')], not {kind}")
    rules = map(as_mapping, mappings)
    return [CMapping(rule.kind, 0, CBytes.of(rule.find), CBytes.of(rule.replace)) for rule in rules]


def _text(name: str, value: str | None, hidden: bool = False) -> CBytes:
    return CBytes.of(None if value is None else convert.text_bytes(name, value, hidden))


def _path(name: str, value: PathArg | None) -> CBytes:
    return CBytes.of(None if value is None else convert.folder_bytes(name, value))


def _whole(name: str, value: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if not 1 <= value <= most:
        raise InvalidArgumentError(f"invalid {name} ({value}): must be from 1 to {most}")
    return value
