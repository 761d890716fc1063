"""The files of items, and the versions into which Plex groups them."""

from __future__ import annotations

from ._core import Any, Record, Sequence, record_of

__all__ = ["MatchedFile", "Media", "MediaPart", "Version"]


class MediaPart(Record):
    """A file of an item."""

    path: str
    """The listed path, in the server's spelling."""
    size: int | None
    """Size in bytes. None if unknown."""
    part_id: int | None
    """Plex's id of the part. None if unknown."""


class Version(Record):
    """What a :class:`Media` and a :class:`MatchedFile` have of a version."""

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


class Media(Version):
    """A version of an item. An unknown field is None."""

    parts: tuple[MediaPart, ...]
    """The files, in order: more than one if they are stacked."""


class MatchedFile(Version, MediaPart):
    """The file that an answer is about, as Plex lists it. An unknown field is None."""

    part: int
    """Which part of the version the file is, from 1."""
    parts: int
    """Number of parts of the version: more than 1 if the files are stacked."""
    version: int
    """Which version of the item, from 1."""
    versions: int
    """Number of versions of the item."""


def media_of(facts: dict[str, Any], paths: Sequence[str]) -> tuple[Media, ...]:
    """Returns an item's versions. ``paths`` are the files of all parts of all versions, in order."""
    path, found = iter(paths), []
    for one in facts.get("media") or ():
        parts = tuple(record_of(MediaPart, part, path=next(path)) for part in one["parts"])
        found.append(record_of(Media, one, parts=parts, optimized=one.get("optimized", False)))
    return tuple(found)


def file_of(media: Sequence[Media], path: str | None) -> MatchedFile | None:
    """Returns an item's file with this listed path."""
    for version, one in enumerate(media, 1):
        for number, part in enumerate(one.parts, 1):
            if part.path == path:
                place = {"part": number, "parts": len(one.parts), "version": version, "versions": len(media)}
                return record_of(MatchedFile, {**vars(one), **vars(part), **place})
    return None
