"""What the path of a file says about its item: a title, a year, a place in a show or on an album."""

from __future__ import annotations

import ntpath
import os
import posixpath
import re
from collections.abc import Collection, Iterable
from pathlib import Path

__all__ = ["files_below", "kind_of", "levels_of", "location_of", "more_episodes"]

_AUDIO = frozenset(
    {".aac", ".aiff", ".alac", ".ape", ".flac", ".m4a", ".m4b", ".mp3", ".oga", ".ogg", ".opus", ".wav", ".wma"}
)
_IMAGES = frozenset({".bmp", ".gif", ".heic", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
_VIDEOS = frozenset(
    {".3gp", ".avi", ".flv", ".iso", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv"}
)

_EPISODE = re.compile(r"(?i)^(?:(.*?)[ ._-]*)?\bs(\d{1,4})[ ._-]*e(\d{1,4})[ ._-]*(.*)$")
_LAST_EPISODE = re.compile(r"(?i)^e(\d{1,4})\b[ ._-]*")
_YEAR = re.compile(r"^(.+?)[ ._]*[(\[]((?:19|20)\d\d)[)\]]")
_TRACK = re.compile(r"^(?:(\d{1,2})-)?(\d{1,3})[ ._-]+(.+)$")
_WINDOWS = re.compile(r"\w:|\\\\")
_SEASON = re.compile(r"(?i)^(?:season|series|staffel|saison)[ ._]*(\d{1,4})$|^specials$")


def files_below(folder: Path) -> list[str]:
    """The media files below a folder, in the order of their names."""
    paths = (Path(at, name) for at, _, names in os.walk(folder) for name in names)
    return sorted(str(path) for path in paths if path.suffix.lower() in _AUDIO | _IMAGES | _VIDEOS)


def kind_of(files: Iterable[str]) -> str:
    """The type of a library that has such files: what the first of them is."""
    for file in files:
        stem, end = os.path.splitext(_parts(file)[-1])
        if end.lower() in _AUDIO:
            return "artist"
        if end.lower() in _IMAGES:
            return "photo"
        if _EPISODE.match(stem):
            return "show"
        break
    return "movie"


def location_of(files: Collection[str]) -> str | None:
    """The folder that has all of these files."""
    names = ntpath if any(_WINDOWS.match(file) for file in files) else posixpath
    return names.commonpath({names.dirname(file) for file in files}) if files else None


def levels_of(kind: str, file: str) -> list[dict[str, object]]:
    """The items that a file stands for, from the one below the library to the one that has the file.

    Each is what its path says: `title`, and `year` or `index` where it names one.
    """
    parts = _parts(file)
    stem = os.path.splitext(parts[-1])[0]
    folder, above = (parts[-2] if len(parts) > 1 else ""), (parts[-3] if len(parts) > 2 else "")
    if kind == "show":
        return _episode(stem, folder, above)
    if kind == "artist":
        track = _TRACK.match(stem)
        last: dict[str, object] = {"title": track[3], "index": int(track[2])} if track else {"title": stem}
        return [{"title": above or "Unknown Artist"}, _with_year(folder or "Unknown Album"), last]
    if kind == "photo":
        return [{"title": folder or "Photos"}, {"title": stem}]
    return [_with_year(stem)]


def more_episodes(file: str) -> range:
    """The numbers of the episodes behind the first one in a file such as ``S01E01-E03``."""
    found = _EPISODE.match(os.path.splitext(_parts(file)[-1])[0])
    last = _LAST_EPISODE.match(found[4]) if found else None
    return range(int(found[3]) + 1, int(last[1]) + 1) if found and last else range(0)


def _episode(stem: str, folder: str, above: str) -> list[dict[str, object]]:
    found = _EPISODE.match(stem)
    in_season = _SEASON.match(folder)
    name = _with_year(above if in_season else folder or (found[1] if found else "") or stem)
    season = int(found[2]) if found else int(in_season[1] or 0) if in_season else 1
    number: dict[str, object] = {"index": int(found[3])} if found else {}
    title = (_LAST_EPISODE.sub("", found[4]) if found else stem) or f"Episode {number['index']}"
    return [name, {"title": f"Season {season}" if season else "Specials", "index": season}, {"title": title, **number}]


def _with_year(name: str) -> dict[str, object]:
    found = _YEAR.match(name)
    return {"title": found[1], "year": int(found[2])} if found else {"title": name}


def _parts(file: str) -> list[str]:
    return [part for part in re.split(r"[/\\]" if _WINDOWS.match(file) else "/", file) if part] or [""]
