"""Blocks of answers, built here byte by byte after the header, are read as what they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from struct import Struct

import plexindex
import pytest
from plexindex import Match, Matches
from plexindex._core import blocks as _blocks
from plexindex._core import constants as c

pytestmark = pytest.mark.both

NUMBERS = {"kind": 1, "season": -1, "episode": -1}

# A library of a later version may have larger structs: the steps in the block's head say so.
STRETCH = pytest.mark.parametrize("stretch", [0, 8])


@dataclass
class Made:
    """An answer to be put into a block."""

    status: int = c.OK
    match_kind: int = c.MATCH_KINDS.index("exact")
    confidence: int = c.CONFIDENCES.index("high")
    reason: int = c.REASONS.index("none")
    flags: int = 0
    items: list[dict[str, str | bytes | int]] = field(default_factory=list)
    total: int | None = None
    message: str | None = None
    age_ms: int = 1500


def block(*answers: Made, log_lines: int = 0, stretch: int = 0) -> bytes:
    """A block as the library writes it."""
    answer_size, item_size, head = 64 + stretch, 104 + stretch, 24 + stretch
    items_at = head + answer_size * len(answers)
    texts_at = items_at + item_size * sum(len(answer.items) for answer in answers)
    heads, records, texts = bytearray(), bytearray(), bytearray()

    def text(value: str | bytes | int | None) -> tuple[int, int]:
        if value is None:
            return 0, 0
        raw = value if isinstance(value, bytes) else str(value).encode()
        at = texts_at + len(texts)
        texts.extend(raw + b"\0")
        return at, len(raw)

    for answer in answers:
        first = items_at + len(records)
        for item in answer.items:
            fields = [part for name in _blocks.TEXTS for part in text(item.get(name))]
            numbers = [item.get(name, NUMBERS.get(name, 0)) for name in _blocks.NUMBERS]
            records += Struct("=20I4i2I").pack(*fields, *numbers, 0) + bytes(stretch)
        heads += Struct("=i4B6Iq2QiI").pack(
            *(answer.status, answer.match_kind, answer.confidence, answer.reason, answer.flags),
            *(first if answer.status == c.OK else 0, first if answer.items else 0, len(answer.items)),
            len(answer.items) if answer.total is None else answer.total,
            *text(answer.message),
            answer.age_ms,
            *(0, 0, 0, 0),
        )
        heads += bytes(stretch)
    begin = Struct("=6I").pack(24, answer_size, item_size, len(answers), head, log_lines)
    return begin + bytes(stretch) + heads + records + texts


MOVIE: dict[str, str | bytes | int] = {
    "key": "/library/metadata/55",
    "rating_key": "55",
    "title": "Big Buck Bunny",
    "guid": "plex://movie/5d77",
    "path": "/media/Big Buck Bunny (2008).mkv",
    "section": "1",
    "library": "Movies",
    "year": 2008,
}

EPISODE: dict[str, str | bytes | int] = {
    "key": "/library/metadata/77",
    "rating_key": "77",
    "title": "Pilot",
    "show_title": "Aurora",
    "show_rating_key": "70",
    "show_guid": "plex://show/9",
    "kind": 4,
    "season": 0,
    "episode": 3,
}


def test_numbers_of_a_later_version_are_named() -> None:
    match = Match(block(Made(status=42, match_kind=9, confidence=7, reason=200, items=[{**MOVIE, "kind": 99}])))
    assert (match.status, match.match_kind, match.confidence, match.reason) == (
        "unknown",
        "unknown_9",
        "unknown_7",
        "unknown_200",
    )
    assert match.candidates[0].kind == "unknown"


@STRETCH
def test_a_batch_is_a_sequence(stretch: int) -> None:
    failed = Made(status=c.STARTING, match_kind=c.MATCH_KINDS.index("none"), message="the server is starting")
    made = block(Made(items=[MOVIE]), failed, Made(items=[EPISODE]), stretch=stretch)
    matches = Matches(made, None, ["/a.mkv", b"/b.mkv", Path("/c.mkv")])
    assert [match.asked for match in matches] == ["/a.mkv", "/b.mkv", str(Path("/c.mkv"))]
    assert isinstance(matches, Sequence)
    assert len(matches) == 3
    assert [match.title for match in matches] == ["Big Buck Bunny", None, "Pilot"]
    assert matches[-1].title == matches[2].title == "Pilot"
    assert [match.status for match in matches[1:]] == ["starting", "found"]
    error = matches[1].error
    assert isinstance(error, plexindex.ServerUnavailableError)
    assert str(error) == "the server is starting"
    assert matches.counts() == {"found": 2, "starting": 1}
    assert repr(matches) == "<plexindex.Matches 3: 2 found, 1 starting>"
    for wrong in (3, -4):
        with pytest.raises(IndexError):
            matches[wrong]
