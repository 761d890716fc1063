"""Titles to search Plex for: what a file's name and its folder tell of an item."""

from __future__ import annotations

import re

from ._paths import components

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
