"""The shows and seasons of a library, or its artists and albums."""

from __future__ import annotations

from ._core.record import Record


class Show(Record):
    """A show or artist. An unknown field is None. Plex lists no year and no external IDs of shows with the episodes."""

    rating_key: str
    """Rating key of the show or artist."""
    title: str | None
    """Title."""
    guid: str | None
    """GUID, such as ``plex://show/…``."""
    items: int
    """Number of listed episodes or tracks."""


class Season(Record):
    """A season or album. An unknown field is None."""

    rating_key: str
    """Rating key of the season or album."""
    show_rating_key: str | None
    """Rating key of the show or artist."""
    number: int | None
    """Number of the season; 0 is 'Specials'. None for an album."""
    title: str | None
    """Title."""
    guid: str | None
    """GUID, such as ``plex://season/…``."""
    items: int
    """Number of listed episodes or tracks."""
