"""Paths as the drop-in compares them, by the ladder's rungs, where there is no stored listing to ask."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeVar

    T = TypeVar("T")


def is_windows(path: str) -> bool:
    """Whether a path begins like those of Windows: with a drive, or a share."""
    return path[:2] == "\\\\" or (
        path[1:2] == ":" and path[2:3] in ("/", "\\") and path[0].isascii() and path[0].isalpha()
    )


def components(path: str) -> list[str]:
    """The parts of a path. A backslash separates in paths that begin like those of Windows."""
    if is_windows(path):
        path = path.replace("\\", "/")
    return [part for part in path.split("/") if part]


def normal(path: str) -> str:
    """What paths are compared by: one separator, no case, composed characters."""
    plain = "/".join(components(path))
    if plain.isascii():
        return plain.lower()
    from unicodedata import normalize

    return normalize("NFC", normalize("NFC", plain).lower())


def lies_under(path: str, folder: str) -> bool:
    """Whether a path lies below a folder."""
    below, above = normal(path).split("/"), normal(folder).split("/")
    return above != [""] and len(below) > len(above) and below[: len(above)] == above


def mapped(path: str, host: str | None, server: str | None) -> str | None:
    """The path under the server's folder instead of the host's; None when it does not lie there."""
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
    """Those of the rows that fit the path best, by the rungs of the ladder; ``other`` is the path after mappings.

    Exact, exact in the normal form, the same for the mapped path, then the longest common end.
    """
    asked = [(path, normal(path), 5)]
    if other is not None:
        asked.append((other, normal(other), 3))
    ends = [form.split("/")[::-1] for _, form, _ in asked]
    highest, found = (0, 0), []
    for thing, paths in rows:
        rank = max((_rank(listed, asked, ends) for listed in paths), default=(0, 0))
        if rank > highest:
            highest, found = rank, [thing]
        elif rank == highest and rank[0]:
            found.append(thing)
    return found


def _rank(listed: str, asked: list[tuple[str, str, int]], ends: list[list[str]]) -> tuple[int, int]:
    form = normal(listed)
    for path, wanted, rung in asked:
        if listed == path:
            return rung + 1, 0
        if form == wanted:
            return rung, 0
    listed_end = form.split("/")[::-1]
    common = 0
    for end in ends:
        count = 0
        for ours, theirs in zip(end, listed_end):
            if ours != theirs:
                break
            count += 1
        common = max(common, count)
    return (1, common) if common else (0, 0)
