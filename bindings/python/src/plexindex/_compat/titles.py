"""Finds the titles in a path for which to search Plex, and evidence that the path belongs to a different item.

The index's rules (``matching::title_evidence``) are deliberately different. The index searches for only one title,
because each search costs a request; the drop-in searches for up to three titles, like the original. The index compares
words and editions with its listing; the drop-in has only plexapi's object, so only a clear contradiction counts.
"""

from __future__ import annotations

import re

from .._core.paths import components

# Words that end the title. Only whole words count, because 'Adventure' contains 'DV'.
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
_SEASON = re.compile(r"(?:season|series|staffel|saison|temporada|s)[ ._-]*(\d{1,4})", re.IGNORECASE)
_SPECIALS = re.compile(r"specials|season[ ._-]*0+", re.IGNORECASE)
# Additions to the title of a show, an album or a film in a folder name.
_ADDITIONS = re.compile(
    r"\([^)]*\)|\[[^]]*\]|\{[^}]*\}|(?<![^\W_])(?:complete|collection|the series)(?![^\W_]).*", re.IGNORECASE
)
_ARTICLE = re.compile(r"^\W*(?:the|a|an)\W+", re.IGNORECASE)
_DISC = re.compile(r"(?:cd|dis[ck])[ ._-]*\d+", re.IGNORECASE)
_TITLE_AND_YEAR = re.compile(r".*\S[ ._-]*[(\[](?:19|20)\d\d[)\]].*")
_NUMBERS = re.compile(r"\d+")
_MAX_TITLES = 3
# Number of components to examine: the file name and the folders above it.
_EXAMINED = 4


def titles(path: str) -> list[str]:
    """Returns up to three titles from the names of the file and its folder, likeliest first."""
    parts = components(path)
    stem = _stem(parts[-1]) if parts else ""
    folder = parts[-2] if len(parts) > 1 else ""
    return _distinct(_bare(stem), _bare(folder), _plain(stem))


def leaf_titles(path: str) -> list[str]:
    """Returns possible titles of an episode or a track: the text after the number."""
    parts = components(path)
    stem = _stem(parts[-1]) if parts else ""
    numbered = _EPISODE.search(stem)
    if numbered:
        return _distinct(_bare(stem[numbered.end() :]))
    return _distinct(_bare(_TRACK.sub("", stem)), _plain(stem))


def contradicts(path: str, listed: list[str], facts: dict[str, object]) -> bool:
    """Returns whether a path indicates a different item than ``files``: a different year, show, season or number.

    Folders that the listed files also have do not count. A path without a year, show, season and number contradicts
    nothing.
    """
    parts = components(path)
    known = [components(file) for file in listed]
    common = max((_common(parts, file) for file in known), default=0)
    folders = parts[-_EXAMINED : len(parts) - max(common, 1)]
    if facts.get("type") == "movie":
        return _another_film(parts, folders, known, facts)
    if facts.get("type") == "track":
        return _another_album(parts, folders, facts)
    if facts.get("type") != "episode":
        return False
    season = facts.get("parentIndex")
    for above, folder in zip(parts[-_EXAMINED:], parts[-_EXAMINED + 1 : -1]):
        season_folder = _SEASON.fullmatch(folder)
        if season_folder is None and not _SPECIALS.fullmatch(folder):
            continue
        if isinstance(season, int) and folder in folders and (int(season_folder[1]) if season_folder else 0) != season:
            return True
        # The folder above a season folder has the show's name.
        show = facts.get("grandparentTitle")
        if isinstance(show, str) and above in folders and not _is_same_name(above, show):
            return True
    numbers = _EPISODE.search(_stem(parts[-1]))
    number = facts.get("index")
    if numbers is None or not isinstance(season, int) or not isinstance(number, int):
        return False
    first, *rest = (int(text) for text in _NUMBERS.findall(numbers[0]))
    return first != season or (bool(rest) and not min(rest) <= number <= max(rest))


def names_no_film(path: str, file: str) -> bool:
    """Returns whether :func:`contradicts` finds nothing in a film's path, regardless of the film's other files.

    Other files can only have more folders in common with the path, and only folders with a year count.
    """
    parts = components(path)
    folders = parts[-_EXAMINED : len(parts) - max(_common(parts, components(file)), 1)]
    return not any(map(str.isdigit, "".join(folders)))


def names_item(path: str, listed: list[str], facts: dict[str, object]) -> bool:
    """Returns whether the path and a listed file share a folder with the item's title, show, artist or album.

    Common folders such as ``Season 01``, ``2024`` and ``BDMV/STREAM`` do not count.
    """
    parts = components(path)
    known = [facts.get(name) for name in ("title", "originalTitle", "grandparentTitle")]
    known += [facts.get("parentTitle")] if facts.get("type") == "track" else []
    names = [name for name in known if isinstance(name, str) and name]
    for file in listed:
        shared = parts[len(parts) - _common(parts, components(file)) : -1]
        if any(_is_same_name(folder, name) for folder in shared for name in names):
            return True
    return False


def _another_film(parts: list[str], folders: list[str], known: list[list[str]], facts: dict[str, object]) -> bool:
    year = facts.get("year")
    # A folder name that is only a year can be the year in which the film was added.
    named = [folder for folder in folders if not folder.isdigit()]
    years = {int(text) for folder in named for text in _NUMBERS.findall(folder) if _YEAR.fullmatch(text)}
    if not isinstance(year, int) or not years:
        return False
    if not years & {year - 1, year, year + 1}:
        return True
    # The folder 'Title (1979)' is a contradiction if neither the film nor its listed folders have this name, and the
    # file name is not the film's name.
    titles = [title for title in (facts.get("title"), facts.get("originalTitle")) if isinstance(title, str)]
    above = parts[-2]
    if not titles or above not in named or _TITLE_AND_YEAR.fullmatch(above) is None:
        return False
    listed = [folder for file in known for folder in file[-_EXAMINED:-1]]
    if any(_is_same_name(above, name) for name in titles + listed):
        return False
    return not any(_is_same_name(_stem(parts[-1]), title) for title in titles)


def _another_album(parts: list[str], folders: list[str], facts: dict[str, object]) -> bool:
    above = parts[:-2] if len(parts) > 1 and _DISC.fullmatch(parts[-2]) else parts[:-1]
    artist, album = facts.get("grandparentTitle"), facts.get("parentTitle")
    if len(above) < 2 or above[-1] not in folders or not isinstance(artist, str) or not isinstance(album, str):
        return False
    folder = re.sub(r"^(?:19|20)\d\d[ ._-]+", "", above[-1])
    return _is_same_name(above[-2], artist) and not _is_same_name(folder, album)


def _common(one: list[str], other: list[str]) -> int:
    count = 0
    for mine, its in zip(reversed(one), reversed(other)):
        if mine.lower() != its.lower():
            break
        count += 1
    return count


def _is_same_name(folder: str, title: str) -> bool:
    """Returns whether two names are equal without the year, the country and the quality."""
    return not {_letters(folder), _letters(_ADDITIONS.sub(" ", folder))}.isdisjoint(
        {_letters(title), _letters(_ADDITIONS.sub(" ", title))}
    )


def _letters(name: str) -> str:
    """Returns the letters and digits in a name, without the year, the quality, the article and accents."""
    from unicodedata import normalize

    text = normalize("NFKD", _ARTICLE.sub("", _bare(name)).replace("&", "and")).lower()
    return "".join(c for c in text if c.isalnum())


def _stem(name: str) -> str:
    stem, dot, end = name.rpartition(".")
    return stem if dot and stem and 0 < len(end) <= 5 and end.isalnum() else name


def _bare(text: str) -> str:
    """Returns the part of a name before the year or the quality."""
    # Use the last year, because the title can also contain a year.
    years = [found.start() for found in _YEAR.finditer(text, 1)]
    quality = _QUALITY.search(text, 1)
    end = min(*years[-1:], quality.start() if quality else len(text), len(text))
    return _plain(text[:end]) or _plain(text)


def _plain(text: str) -> str:
    if " " not in text:
        text = text.replace(".", " ").replace("_", " ")
    return text.strip(" ._-([")


def _distinct(*found: str) -> list[str]:
    return list(dict.fromkeys(title for title in found if title))[:_MAX_TITLES]
