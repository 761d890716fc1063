"""Converts the options of :func:`plexindex.open` for the C ABI."""

from __future__ import annotations

import ctypes
import os
from types import SimpleNamespace

from ..errors import InvalidArgumentError
from ..mapping import as_mapping
from . import TYPE_CHECKING, convert, log
from . import constants as c
from .native import CBytes, CMapping, COptions

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ..mapping import MappingArg
    from .types import PathArg


def c_options(token: str | None, options: dict[str, Any]) -> COptions:
    """Returns a plexindex_options from the arguments of :func:`plexindex.open`. The struct keeps its texts alive."""
    given = SimpleNamespace(**options)
    folder = convert.folder_bytes("cache_dir", given.cache_dir)
    if not folder or b"\0" in folder:
        raise InvalidArgumentError(f"invalid cache_dir ({given.cache_dir!r}): give the path of a folder")
    if given.database is not None and not os.fspath(given.database):
        raise InvalidArgumentError("database is empty: give Plex's database or the folder 'Plex Media Server', or None")
    if given.shared is not None and not given.shared:
        raise InvalidArgumentError(
            "shared is empty: give an address such as postgresql://user@host/database, or omit shared"
        )
    for name in ("accept_invalid_certs", "offline", "mmap", "obfuscate_paths", "shared_durable"):
        if name != "shared_durable" or given.shared_durable is not None:
            convert.flag(name, options[name])
    ms, forever = convert.milliseconds, convert.FOREVER_MS
    rules = _rules(given.mappings)
    return COptions(
        size=ctypes.sizeof(COptions),
        cache_dir=CBytes.of(folder),
        server_url=_text("server_url", given.server_url),
        token=_text("token", token, hidden=True),
        user=_text("user", given.user),
        ca_file=_path("ca_file", given.ca_file),
        library_ttl_ms=ms("library_ttl", given.library_ttl, none=c.TTL_NEVER, zero=c.TTL_AT_ONCE),
        max_age_ms=ms("max_age", given.max_age, none=forever),
        timeout_ms=ms("timeout", given.timeout, none=0),
        connect_timeout_ms=ms("connect_timeout", given.connect_timeout, none=None, zero=None),
        read_timeout_ms=ms("read_timeout", given.read_timeout, none=None, zero=None),
        retry_ms=ms("retry_for", given.retry_for, none=forever, zero=c.NO_RETRY),
        matches_limit=_whole("matches_limit", given.matches_limit, 2**63 - 1),
        flags=(c.OPEN_OFFLINE if given.offline else 0)
        | (c.OPEN_ACCEPT_INVALID_CERTS if given.accept_invalid_certs else 0)
        | (0 if given.mmap else c.OPEN_NO_MMAP)
        | (c.OPEN_OBFUSCATE_PATHS if given.obfuscate_paths else 0)
        | (c.OPEN_SHARED_DURABLE if given.shared_durable else 0),
        log_level=log.level_for_open(),
        page_size=_whole("page_size", given.page_size, 1000),
        mappings=(CMapping * len(rules))(*rules) if rules else None,
        mappings_count=len(rules),
        slow_ms=ms("slow", given.slow, none=c.NEVER_SLOW),
        size_limit=0 if given.size_limit is None else _whole("size_limit", given.size_limit, 2**63 - 1),
        database=_path("database", given.database),
        shared=_text("shared", given.shared, hidden=True),
        shared_retry_ms=ms("shared_retry", given.shared_retry, none=forever, zero=c.NO_RETRY),
        stale_answer_timeout_ms=ms("stale_answer_timeout", given.stale_answer_timeout, none=forever),
    )


def _rules(mappings: Iterable[MappingArg]) -> list[CMapping]:
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
