r"""Creates, encodes and decodes a library's rows in the drop-in's store.

The encoded text starts with the line ``plexindex 1``. The second line contains the number of rows, the flags,
``row:paths`` for each row without exactly one path, and ``row:-`` for each row without a title; rows are numbered from
0. The keys of all rows, all titles and all paths follow, separated by NUL. Joining and splitting whole columns is
fastest in Python.

The flag ``-`` means that there are no flags. ``e`` means that NUL is escaped as ``\1`` and ``0``, and ``\1`` as ``\1``
and ``1``. ``s`` means that there are lone surrogates.
"""

from __future__ import annotations

import gc
import os

from .._core.paths import LONGEST_PATH
from .host_log import host_log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Row = dict[str, Any]

_HEAD = "plexindex 1\n"


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
        paths = []
        for media in getattr(item, "media", None) or ():
            for part in getattr(media, "parts", None) or ():
                path = getattr(part, "file", None)
                if path:
                    paths.append(path if type(path) is str else _path(path))
        return {
            "key": key if type(key) is str else str(key),
            "title": title if title is None or type(title) is str else str(title),
            "file_paths": paths,
        }
    except Exception as error:
        host_log("Cache").warn(f"Failed to extract item data: {error}")
        return None
    finally:
        if reloads:
            item._autoReload = True


def _path(path: Any) -> str:
    return os.fsdecode(path) if isinstance(path, (bytes, os.PathLike)) else str(path)


# Average number of paths in one value.
_TOGETHER = 16


def file_name(path: str) -> str:
    """Returns a path's search key: the part after the last separator (of any system), in lower case."""
    name = path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    if name.isascii():
        return name.lower()
    from unicodedata import normalize

    return normalize("NFC", normalize("NFC", name).lower())


def find_in(count: int, name: str) -> int:
    """Returns the number of the table value that contains a file name."""
    from binascii import crc32

    return crc32(name.encode()) % count


def pack_files(rows: list[Row]) -> list[bytes]:
    """Returns an index's values by file name: pairs of a key and a path, all separated by NUL.

    Skips invalid paths, and keys that contain a NUL.
    """
    from binascii import crc32

    count = max(1, sum([len(row["file_paths"]) for row in rows]) // _TOGETHER)
    fields: list[list[str]] = [[] for _ in range(count)]
    for row in rows:
        key = row["key"]
        for path in row["file_paths"]:
            try:
                if not path or "\0" in path or "\0" in key or _is_odd(path) or _is_odd(key):
                    continue
                fields[crc32(file_name(path).encode()) % count] += key, path
            except UnicodeEncodeError:
                pass
    return ["\0".join(pairs).encode() for pairs in fields]


def _is_odd(text: str) -> bool:
    """Returns whether a string is too long or cannot be encoded. A quick check accepts most strings."""
    return len(text) > LONGEST_PATH if text.isascii() else len(text.encode()) > LONGEST_PATH


def pack(rows: list[Row]) -> bytes:
    """Encodes the rows as text."""
    keys = [row["key"] for row in rows]
    titles = [row["title"] or "" for row in rows]
    paths = [path for row in rows for path in row["file_paths"]]
    odd = [f" {number}:{len(row['file_paths'])}" for number, row in enumerate(rows) if len(row["file_paths"]) != 1]
    odd += [f" {number}:-" for number, row in enumerate(rows) if row["title"] is None]
    fields = keys + titles + paths
    body = "\0".join(fields)
    flags = ""
    if fields and body.count("\0") != len(fields) - 1:
        flags = "e"
        body = "\0".join([field.replace("\1", "\0011").replace("\0", "\0010") for field in fields])
    try:
        raw = body.encode()
    except UnicodeEncodeError:
        flags += "s"
        raw = body.encode("utf-8", "surrogatepass")
    return f"{_HEAD}{len(rows)} {flags or '-'}{''.join(odd)}\n".encode() + raw


def unpack(text: bytes | bytearray) -> list[Row]:
    """Decodes rows into new lists and dicts."""
    head = text.index(b"\n", len(_HEAD))
    count_text, flags, *odd = text[len(_HEAD) : head].decode().split(" ")
    count = int(count_text)
    if not count:
        return []
    collecting = gc.isenabled()
    # Pause the garbage collector, which would find nothing, and would take longer than decoding.
    gc.disable()
    try:
        fields = str(memoryview(text)[head + 1 :], "utf-8", "surrogatepass" if "s" in flags else "strict").split("\0")
        if "e" in flags:
            fields = [field.replace("\0010", "\0").replace("\0011", "\1") for field in fields]
        keys, titles, paths = fields[:count], fields[count : 2 * count], fields[2 * count :]
        files = _files(paths, [entry for entry in odd if not entry.endswith("-")]) if odd else None
        rows: list[Row]
        if files is None:
            rows = [{"key": k, "title": t, "file_paths": [path]} for k, t, path in zip(keys, titles, paths)]
        else:
            rows = [{"key": k, "title": t, "file_paths": of_row} for k, t, of_row in zip(keys, titles, files)]
            for entry in odd:
                if entry.endswith("-"):
                    rows[int(entry[:-2])]["title"] = None
        return rows
    finally:
        if collecting:
            gc.enable()


def _files(paths: list[str], odd: list[str]) -> list[list[str]]:
    """Returns the paths of each row. Each row has one path, except for the rows in ``odd``."""
    files: list[list[str]] = []
    begin = 0
    for entry in odd:
        row, paths_of_row = map(int, entry.split(":"))
        ones = row - len(files)
        files += [[path] for path in paths[begin : begin + ones]]
        begin += ones
        files.append(paths[begin : begin + paths_of_row])
        begin += paths_of_row
    files += [[path] for path in paths[begin:]]
    return files
