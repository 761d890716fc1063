"""The files of items, and the versions into which Plex groups them."""

from __future__ import annotations

import plexindex

from ._core import TYPE_CHECKING
from ._core.convert import text_of
from ._core.record import Record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class MediaPart(Record):
    """A file of an item."""

    path: str
    """The listed path, in the server's spelling."""
    size: int | None
    """Size in bytes. None if unknown."""
    part_id: int | None
    """Plex's id of the part. None if unknown."""


class Media(Record):
    """A version of an item. An unknown field is None."""

    parts: tuple[plexindex.MediaPart, ...]
    """The files, in order: more than one if they are stacked."""
    media_id: int | None
    """Plex's id of the version."""
    resolution: str | None
    """Resolution as Plex names it: ``"4k"``, ``"1080"``, ``"sd"``."""
    container: str | None
    """The container, such as ``"mkv"``."""
    duration: float | None
    """Duration in seconds."""
    optimized: bool
    """Whether Plex made the version itself ('Optimized Versions')."""


class MatchedFile(Record):
    """The file that an answer is about, as Plex lists it. An unknown field is None."""

    path: str
    """The listed path, in the server's spelling."""
    size: int | None
    """Size in bytes."""
    part_id: int | None
    """Plex's id of the part, which is the file."""
    part: int
    """Which part of the version the file is, from 1."""
    parts: int
    """Number of parts of the version: more than 1 if the files are stacked."""
    version: int
    """Which version of the item, from 1."""
    versions: int
    """Number of versions of the item."""
    media_id: int | None
    """Plex's id of the version."""
    resolution: str | None
    """Resolution as Plex names it: ``"4k"``, ``"1080"``, ``"sd"``."""
    container: str | None
    """The container, such as ``"mkv"``."""
    duration: float | None
    """Duration of the version in seconds."""
    optimized: bool
    """Whether Plex made the version itself ('Optimized Versions')."""


def matched_file(facts: dict[str, Any]) -> MatchedFile:
    """Returns the file of an answer."""
    known: dict[str, Any] = {name: facts.get(name) for name in MatchedFile.__annotations__}
    known.update(path=text_of(facts["path"]) or "", optimized=facts.get("optimized", False))
    return MatchedFile(**{**known, "duration": _seconds(facts.get("duration_ms"))})


def _seconds(milliseconds: int | None) -> float | None:
    """Converts a duration in a JSON answer."""
    return None if milliseconds is None else milliseconds / 1000


def media_of(facts: dict[str, Any], paths: Sequence[str]) -> tuple[Media, ...]:
    """Returns an item's versions. ``paths`` are the files of all parts of all versions, in order."""
    path = iter(paths)
    return tuple(
        Media(
            tuple(MediaPart(next(path), part.get("size"), part.get("part_id")) for part in one["parts"]),
            one.get("media_id"),
            one.get("resolution"),
            one.get("container"),
            _seconds(one.get("duration_ms")),
            one.get("optimized", False),
        )
        for one in facts.get("media") or ()
    )


def file_of(media: Sequence[Media], path: str | None) -> MatchedFile | None:
    """Returns an item's file with this listed path."""
    for version, one in enumerate(media, 1):
        for number, part in enumerate(one.parts, 1):
            if part.path == path:
                facts = {name: value for name, value in vars(one).items() if name != "parts"}
                place = {"part": number, "parts": len(one.parts), "version": version, "versions": len(media)}
                return MatchedFile(**{**facts, **vars(part), **place})
    return None
