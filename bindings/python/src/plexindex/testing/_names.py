"""Derives an item's title, year, season, episode, album or track from a file's path."""

from __future__ import annotations

import ntpath
import os
import posixpath
import re
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from ..compare.rules import AUDIO, PHOTO, RULES, is_media
from ..compare.walk import Location, Place, Scope, walk

_EPISODE = re.compile(r"(?i)^(?:(.*?)[ ._-]*)?\bs(\d{1,4})[ ._-]*e(\d{1,4})[ ._-]*(.*)$")
_LAST_EPISODE = re.compile(r"(?i)^e(\d{1,4})\b[ ._-]*")
_YEAR = re.compile(r"^(.+?)[ ._]*[(\[]((?:19|20)\d\d)[)\]]")
_TRACK = re.compile(r"^(?:(\d{1,2})-)?(\d{1,3})[ ._-]+(.+)$")
_WINDOWS = re.compile(r"\w:|\\\\")
_SEASON = re.compile(r"(?i)^(?:season|series|staffel|saison)[ ._]*(\d{1,4})$|^specials$")


# Tests create empty files, which Plex ignores.
_RULES = RULES.keys() - {"empty"}


def files_below(folder: Path, *libraries: Any) -> list[str]:
    """Returns the files below a folder that Plex lists in a library of this folder, sorted; without a library, all
    media files.
    """
    top = os.fsencode(folder)
    location = Location(top, _RULES, libraries)
    scope = Scope([location], _RULES)
    files = (one.path for one in walk(scope, top) if isinstance(one, Place))
    return sorted(os.fsdecode(file) for file in files if not scope.ruling_for_file(file, location))


def kind_of(files: Iterable[str]) -> str:
    """Returns the library type for ``files``: that of the first file that is no picture."""
    files = list(files)
    name = _parts(next((file for file in files if not is_media(file, PHOTO)), ""))[-1]
    if is_media(name, AUDIO):
        return "artist"
    if files and not name:
        return "photo"
    return "show" if _EPISODE.match(os.path.splitext(name)[0]) else "movie"


def location_of(kind: str, files: Iterable[str], folders: Iterable[str] = ()) -> str | None:
    """Returns the folder of a library that contains ``files`` and ``folders``: the innermost folder that is not a
    single item's own. Returns None if only the root contains all.
    """
    files, folders = list(files), list(folders)
    names = ntpath if any(_WINDOWS.match(path) for path in (*files, *folders)) else posixpath
    for above in (lambda file: _folder_above(names, kind, file), names.dirname):
        paths = {*folders, *map(above, files)}
        try:
            common = names.commonpath(paths) if paths else ""
        except ValueError:  # different drives
            return None
        if common and names.dirname(common) != common:
            return common
    return None


def _folder_above(names: ModuleType, kind: str, file: str) -> str:
    """Returns the folder that contains the folders of a file's movie, show, artist or photo album."""
    folder: str = names.dirname(file)
    titles = [level["title"] for level in levels_of(kind, file)]
    while (name := names.basename(folder)) and (_SEASON.match(name) or _split_year(name)["title"] in titles):
        folder = names.dirname(folder)
    return folder


def lies_in(path: str, folder: str) -> bool:
    """Returns whether a path lies in a folder."""
    return path.startswith(folder.rstrip("/\\")) and path[len(folder.rstrip("/\\")) :][:1] in ("/", "\\")


def levels_of(kind: str, file: str) -> list[dict[str, object]]:
    """Returns the fields of a file's item and of the items above it, from the top to the item with the file.

    The fields come from the path: `title`, and `year` or `index` if the path has one.
    """
    parts = _parts(file)
    stem = os.path.splitext(parts[-1])[0]
    folder, grandparent = (parts[-2] if len(parts) > 1 else ""), (parts[-3] if len(parts) > 2 else "")
    if kind == "show":
        return _episode_levels(stem, folder, grandparent)
    if kind == "artist":
        match = _TRACK.match(stem)
        track: dict[str, object] = {"title": match[3], "index": int(match[2])} if match else {"title": stem}
        return [{"title": grandparent or "Unknown Artist"}, _split_year(folder or "Unknown Album"), track]
    if kind == "photo":
        return [{"title": folder or "Photos"}, {"title": stem}]
    return [_split_year(stem)]


def more_episodes(file: str) -> range:
    """Returns the numbers of the episodes after the first one in a file such as ``S01E01-E03``."""
    match = _EPISODE.match(os.path.splitext(_parts(file)[-1])[0])
    last = _LAST_EPISODE.match(match[4]) if match else None
    return range(int(match[3]) + 1, int(last[1]) + 1) if match and last else range(0)


def _episode_levels(stem: str, folder: str, grandparent: str) -> list[dict[str, object]]:
    match, season_folder = _EPISODE.match(stem), _SEASON.match(folder)
    show = _split_year(grandparent if season_folder else folder or (match[1] if match else "") or stem)
    season = int(match[2]) if match else int(season_folder[1] or 0) if season_folder else 1
    number: dict[str, object] = {"index": int(match[3])} if match else {}
    title = (_LAST_EPISODE.sub("", match[4]) if match else stem) or f"Episode {number['index']}"
    return [show, {"title": f"Season {season}" if season else "Specials", "index": season}, {"title": title, **number}]


def _split_year(name: str) -> dict[str, object]:
    match = _YEAR.match(name)
    return {"title": match[1], "year": int(match[2])} if match else {"title": name}


def _parts(file: str) -> list[str]:
    return [part for part in re.split(r"[/\\]" if _WINDOWS.match(file) else "/", file) if part] or [""]
