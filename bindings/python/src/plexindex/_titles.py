"""Titles to search Plex for, and paths to compare: what a file's name and its folder tell of an item."""

from __future__ import annotations

import re
import unicodedata

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeVar

    T = TypeVar("T")

_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")
# A word that begins what is not part of the title any more. Words of their own only: 'Adventure' holds a 'DV'.
_QUALITY = re.compile(
    r"(?<![^\W_])(?:\d{3,4}[pi]|4k|uhd|hdr(?:10)?|web[ .-]?(?:dl|rip)|blu[ .-]?ray|brrip|bdrip|dvdrip|hdtv|remux|"
    r"[xh][ .]?26[45]|hevc|xvid)(?![^\W_])",
    re.IGNORECASE,
)
_YEAR = re.compile(r"[ ._-]*[(\[]?(?<!\d)(?:19|20)\d\d(?!\d)[)\]]?")
_EPISODE = re.compile(
    r"(?<![^\W_])(?:s\d{1,4}[ ._-]*e\d{1,4}(?:[ ._-]*e?\d{1,4})*|\d{1,2}x\d{2,3})(?![^\W_])", re.IGNORECASE
)
_TRACK = re.compile(r"^\d{1,3}(?:-\d{1,3})?[ ._-]+")
_MOST = 3


def components(path: str) -> list[str]:
    """The parts of a path. A backslash separates in paths that begin like those of Windows."""
    if _WINDOWS.match(path):
        path = path.replace("\\", "/")
    return [part for part in path.split("/") if part]


def normal(path: str) -> str:
    """What paths are compared by: one separator, no case, composed characters."""
    composed = unicodedata.normalize("NFC", "/".join(components(path)))
    return unicodedata.normalize("NFC", composed.lower())


def titles(path: str) -> list[str]:
    """Up to three titles that the file's name and its folder suggest, the likeliest first."""
    parts = components(path)
    stem = _stem(parts[-1]) if parts else ""
    folder = parts[-2] if len(parts) > 1 else ""
    return _distinct(_bare(stem), _bare(folder), _plain(stem))


def leaf_titles(path: str) -> list[str]:
    """The same for an episode or a track: what follows its number."""
    parts = components(path)
    stem = _stem(parts[-1]) if parts else ""
    numbered = _EPISODE.search(stem)
    if numbered:
        return _distinct(_bare(stem[numbered.end() :]))
    return _distinct(_bare(_TRACK.sub("", stem)), _plain(stem))


def _stem(name: str) -> str:
    stem, dot, end = name.rpartition(".")
    return stem if dot and stem and 0 < len(end) <= 5 and end.isalnum() else name


def _bare(text: str) -> str:
    """Without year, quality and what follows them."""
    # The last year: a title may hold one too.
    years = [found.start() for found in _YEAR.finditer(text, 1)]
    quality = _QUALITY.search(text, 1)
    end = min(*years[-1:], quality.start() if quality else len(text), len(text))
    return _plain(text[:end]) or _plain(text)


def _plain(text: str) -> str:
    if " " not in text:
        text = text.replace(".", " ").replace("_", " ")
    return text.strip(" ._-([")


def _distinct(*found: str) -> list[str]:
    return list(dict.fromkeys(title for title in found if title))[:_MOST]


def mapped(path: str, host: str | None, server: str | None) -> str | None:
    """The path under the server's folder instead of the host's; None when it does not lie there."""
    if not host or not server:
        return None
    below, windows = host.rstrip("/\\"), bool(_WINDOWS.match(server))
    if not path.startswith(below) or path[len(below) : len(below) + 1] not in ("/", "\\"):
        return None
    rest = path[len(below) :]
    if windows or not _WINDOWS.match(path):
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
