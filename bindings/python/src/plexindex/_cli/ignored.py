"""Finds files that Plex leaves out of its libraries, by the rules of `plexindex diff`."""

from __future__ import annotations

import os

from .._left_out import RULES
from .._places import Places
from .._walked import Walk
from . import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .._answers import Match
    from .._index import Index
    from .._library import LibraryInfo


def ignored_by_plex(
    index: Index, libraries: Iterable[LibraryInfo], answers: Iterable[Match], paths: Iterable[bytes]
) -> dict[bytes, str]:
    """Returns the unmatched files in a library's folder that Plex leaves out, each with the rule."""
    places = Places(index, index.library(None))
    places.reload(libraries)
    unmatched = [
        (path, False, "", b"")
        for path, answer in zip(paths, answers)
        # On Windows a path without a drive is one of another machine.
        if not answer and (os.name != "nt" or os.path.splitdrive(path)[0]) and places.owners(path)
    ]
    return {path: why for path, _, why, _ in Walk(places, (), None).recheck(unmatched) if why in RULES}


def reasons(index: Index, paths: Sequence[bytes], answers: Sequence[Match]) -> dict[bytes, str]:
    """Returns a sentence for each unmatched path that is no file, or that Plex leaves out, with the item beside it."""
    if all(answers):
        return {}
    missed = {path: answer for path, answer in zip(paths, answers) if not answer}
    said = {path: text for path in missed if (text := _no_file(path))}
    others = {path: answer for path, answer in missed.items() if path not in said}
    ignored = ignored_by_plex(index, index.libraries(offline=True), others.values(), others)
    return {**said, **{path: _sentence(index, path, rule) for path, rule in ignored.items()}}


def _no_file(path: bytes) -> str:
    if os.path.isdir(path):
        return "it is a folder: `plexindex folder` shows what Plex lists in it"
    # Without its folder, the disk may belong to another machine.
    if os.path.isdir(os.path.dirname(path) or b".") and not os.path.lexists(path):
        return "there is no such file on this machine"
    return ""


def _sentence(index: Index, path: bytes, rule: str) -> str:
    what = RULES[rule][0].partition(": ")[0] if rule == "plexignore" else RULES[rule][0]
    text = f"Plex ignores it, by the rule '{rule}' of `plexindex diff --rules`: {what}"
    folder = index.folder(os.path.dirname(path), offline=True)
    if folder.item is None or folder.confidence != "high":
        return text
    return f"{text}; its folder is {folder.item.describe()} ({output.one_line(folder.item.key)})"
