"""Creates, encodes and decodes a library's rows in the drop-in's store."""

from __future__ import annotations

import os

from .._core import TYPE_CHECKING
from .host_log import host_log

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    Row = dict[str, Any]


def extract(item: Any) -> Row | None:
    """Returns an item's row: ``key``, ``title`` and ``file_paths``. None without a key, or if reading fails."""
    # Otherwise plexapi would send a request for each empty attribute.
    known = getattr(item, "__dict__", None)
    reloads = known is not None and known.get("_autoReload") is True
    try:
        if reloads:
            item._autoReload = False
        key = getattr(item, "key", None) or getattr(item, "ratingKey", None)
        if not key:
            host_log("Cache").debug("Item missing key, skipping")
            return None
        title = getattr(item, "title", None)
        media = getattr(item, "media", None) or ()
        files = [getattr(part, "file", None) for one in media for part in getattr(one, "parts", None) or ()]
        return {
            "key": str(key),
            "title": None if title is None else str(title),
            "file_paths": [_text(file) for file in files if file],
        }
    except Exception as error:
        host_log("Cache").warn(f"Failed to extract item data: {error}")
        return None
    finally:
        if reloads:
            item._autoReload = True


def _text(path: Any) -> str:
    return os.fsdecode(path) if isinstance(path, (bytes, os.PathLike)) else str(path)


def pack(items: Iterable[Any]) -> tuple[bytes, int]:
    """Returns the items' rows as JSON, and their number. Lone surrogates are escaped."""
    import json  # importing it takes longer than a lookup

    rows = [row for row in map(extract, items) if row is not None]
    return json.dumps([list(row.values()) for row in rows]).encode(), len(rows)


def unpack(text: bytes | bytearray) -> list[Row]:
    """Decodes rows into new lists and dicts."""
    import json

    return [{"key": key, "title": title, "file_paths": files} for key, title, files in json.loads(text)]
