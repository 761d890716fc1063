"""Compares paths in the library's normal form."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TypeVar

    from .methods import PathRelation

    T = TypeVar("T")

LONGEST_PATH = 32_767
"""Maximum length of a path that the library compares, in bytes."""


def is_windows(path: str) -> bool:
    """Returns whether a path starts with a Windows drive or share."""
    return path[:2] == "\\\\" or (
        path[1:2] == ":" and path[2:3] in ("/", "\\") and path[0].isascii() and path[0].isalpha()
    )


def full_path(path: bytes) -> bytes:
    r"""Returns the absolute path of a file on this machine. On Windows, removes the ``\\?\`` prefix of long paths."""
    if os.name == "nt":
        if path[:8].upper() == b"\\\\?\\UNC\\":
            path = b"\\\\" + path[8:]
        elif path[:4] == b"\\\\?\\" and path[5:6] == b":":
            path = path[4:]
    return os.path.abspath(path)


def components(path: str) -> list[str]:
    """Splits a path into its components. In a Windows path, a backslash is also a separator."""
    if is_windows(path):
        path = path.replace("\\", "/")
    return [part for part in path.split("/") if part]


def last_component(path: str) -> str:
    """Returns a path's last component, for messages that can appear in a log."""
    return (components(path) or [path])[-1]


def folder_of(path: str, count: int = 1) -> str:
    """Returns a path without its last ``count`` components; by default, without the file name."""
    end = len(path)
    for part in reversed(components(path)[-count:]):
        end = path.rindex(part, 0, end)
    return path[:end].rstrip("/\\") or path[:1]


def ends_alike(path: str, file: str) -> bool:
    """Returns whether the file name and the three folders above are equal, which is enough evidence for a film."""
    end = path.rsplit("/", 4)[1:]
    return len(end) == 4 and all(end) and end == file.rsplit("/", 4)[1:]


def shared_end(path: str, others: Sequence[str]) -> list[int]:
    """Returns how many trailing components each of ``others`` has in common with the path."""
    return [relation["common"] for relation in relations(path, others)]


def relations(path: str, others: Sequence[str]) -> list[PathRelation]:
    """Compares a path with each of ``others``, with the method ``paths.compare``."""
    # Import the module on first use, because importing the drop-in must be fast.
    from .call import ask_without_index

    raw, *rest = (text.encode("utf-8", "surrogatepass") for text in (path, *others))
    # Compare overlong strings, which cannot be paths, byte by byte.
    if len(raw) > LONGEST_PATH:
        return [{"equal": text == raw, "under": False, "common": 0} for text in rest]
    given = [b"" if len(text) > LONGEST_PATH else text for text in rest]
    found: list[PathRelation] = ask_without_index("paths.compare", {"path": raw, "others": given})["relations"]
    return found


def same_file(path: str, others: Sequence[str]) -> bool:
    """Returns whether one of ``others`` is the same path in any spelling."""
    return any(relation["equal"] for relation in relations(path, others))


def lies_under(path: str, folders: Sequence[str]) -> bool:
    """Returns whether a path is below one of the folders."""
    return any(relation["under"] for relation in relations(path, folders))


def mapped(path: str, host: str | None, server: str | None) -> str | None:
    """Replaces the host's folder with the server's folder. Returns None if the path is not in the host's folder."""
    if not host or not server:
        return None
    below, windows = host.rstrip("/\\"), is_windows(server)
    if not path.startswith(below) or path[len(below) : len(below) + 1] not in ("/", "\\"):
        return None
    rest = path[len(below) :]
    if windows or not is_windows(path):
        rest = rest if not windows else rest.replace("/", "\\")
    else:
        rest = rest.replace("\\", "/")
    return server.rstrip("/\\") + rest


def best(rows: Iterable[tuple[T, list[str]]], path: str, other: str | None) -> list[T]:
    """Returns the rows that match the path best. ``other`` is the mapped path.

    Equal bytes are best, then an equal normal form, then the same two for the mapped path, then the longest common end.
    """
    files = [(row, file) for row in rows for file in row[1]]
    listed = [file for _, file in files]
    asked = [(path, 5)] if other is None else [(path, 5), (other, 3)]
    compared = [relations(one, listed) for one, _ in asked]
    highest: tuple[int, int] = (0, 0)
    found: list[tuple[T, list[str]]] = []
    for (row, file), *related in zip(files, *compared):
        rank = max(_rank(file == one, relation, level) for (one, level), relation in zip(asked, related))
        if rank > highest:
            highest, found = rank, [row]
        elif rank == highest and rank[0] and found[-1] is not row:
            found.append(row)
    return [thing for thing, _ in found]


def _rank(identical: bool, relation: PathRelation, level: int) -> tuple[int, int]:
    if identical or relation["equal"]:
        return level + identical, 0
    return (1, relation["common"]) if relation["common"] else (0, 0)
