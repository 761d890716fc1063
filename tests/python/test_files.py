"""The file itself: its size in questions, and what Plex lists of it in answers."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Iterator
from pathlib import Path

import plexindex
import pytest
from disk import make, set_size
from plexindex import aio
from plexindex.testing import FakePlex

NAME = "Big Buck Bunny (2008).mkv"
LISTED = f"/media/movies/{NAME}"
OTHER = "/media/movies/Big Buck Bunny (2008) - 4K.mkv"
EPISODES = [f"/media/tv/Show/Season {season:02}/Show - S{season:02}E{number:02}.mkv" for season in (1, 2)
            for number in (1, 2)]  # fmt: skip
TRACK = "/media/music/A Band/First (1999)/01 - Opener.flac"
SIZE = 20_000_001


@pytest.fixture
def plex() -> Iterator[FakePlex]:
    libraries = {"Movies": [LISTED, OTHER], "TV": EPISODES, "Music": [TRACK]}
    with FakePlex(libraries, sizes={LISTED: SIZE, OTHER: 2 * SIZE}) as plex:
        yield plex


@pytest.fixture
def index(plex: FakePlex, tmp_path: Path) -> Iterator[plexindex.Index]:
    with plexindex.open(tmp_path / "cache", server_url=plex.url, token=plex.token) as index:
        index.refresh()
        yield index


def how(match: plexindex.Match) -> tuple[str | None, str | None]:
    return match.confidence, match.reason


def test_a_webhook_knows_the_size(index: plexindex.Index, plex: FakePlex, tmp_path: Path) -> None:
    path = f"/elsewhere/{NAME}"
    assert how(index.match(path, size=SIZE)) == ("high", "same_file")
    assert how(index.wait_for(path, timeout=5, size=SIZE)) == ("high", "same_file")
    assert how(index.match(LISTED, size=SIZE + 1)) == ("high", "size_differs")

    async def ask() -> plexindex.Match:
        async with aio.open(tmp_path / "cache", server_url=plex.url, token=plex.token) as same:
            return await same.match(path, size=SIZE)

    assert how(asyncio.run(ask())) == ("high", "same_file")
    assert index.match(path, size=False).confidence == "low"


def test_an_answer_says_which_file_it_is(index: plexindex.Index) -> None:
    match = index.match(OTHER)
    assert match.file is not None
    facts = match.file._asdict()
    assert {name: facts[name] for name in ("path", "size", "part", "parts", "version", "versions", "container")} == {
        "path": OTHER, "size": 2 * SIZE, "part": 1, "parts": 1, "version": 2, "versions": 2, "container": "mkv",
    }  # fmt: skip
    assert match.file.part_id
    assert match.file.media_id
    assert not match.file.optimized
    assert match.to_dict()["file"] == facts
    assert index.wait_for(OTHER, timeout=5).file == match.file
    item = match.require()
    assert [media.parts[0].path for media in item.media] == [LISTED, OTHER] == list(item.paths)
    assert [media.parts[0].size for media in item.media] == [SIZE, 2 * SIZE]
    assert item.media[1].media_id == match.file.media_id
    assert index.match("/nowhere.mkv").file is None
    assert index.search_title("Big Buck Bunny").file is None
    # A pickled match has no index to read, unless it has read before.
    again = pickle.loads(pickle.dumps(index.match(OTHER)))  # noqa: S301
    assert "file" in again.to_dict()
    with pytest.raises(plexindex.Error, match="pickled"):
        assert again.file
    (listed,) = index.library("Movies").items()
    assert pickle.loads(pickle.dumps(listed)).media == item.media  # noqa: S301


def test_an_item_has_what_the_listing_has(index: plexindex.Index, plex: FakePlex) -> None:
    plex.set(LISTED, guids=["imdb://tt1254207"], duration=596_000, editionTitle="Director's Cut", addedAt=1_700_000_000)
    index.refresh(full=True)
    item = index.match(LISTED).require()
    for one in (item, *index.library("Movies").items()):
        assert (one.guids, one.duration, one.edition) == (("imdb://tt1254207",), 596.0, "Director's Cut")
        assert one.added_at == 1_700_000_000
        assert one.season_key is None
    episode = index.match(EPISODES[2]).require()
    assert (episode.season_title, episode.season) == (plex.item(int(episode.season_key or 0))["title"], 2)
    assert str(episode.season_guid).startswith("plex://season/")


def test_the_server_for_tests_lists_sizes(tmp_path: Path) -> None:
    file = set_size(make(tmp_path / "films" / "Film (2001).mkv"), SIZE)
    with FakePlex({"Films": tmp_path / "films", "Others": [LISTED, OTHER]}, sizes={OTHER: 7}) as plex:

        def size(path: object) -> int:
            sizes = {part["file"]: part["size"] for media in plex.item(str(path))["Media"] for part in media["Part"]}
            return int(sizes[str(path)])

        assert (size(file), size(OTHER)) == (SIZE, 7)
        own = size(LISTED)
        assert own > SIZE
        plex.move(LISTED, "/media/movies/Moved.mkv")
        assert size("/media/movies/Moved.mkv") == own
        # A scan notices a replaced file.
        set_size(file, 3)
        assert size(file) == SIZE
        with plexindex.open(tmp_path / "cache", server_url=plex.url, token=plex.token) as index:
            index.refresh()
            index.call("server.scan", {"paths": [str(file)]})
            assert size(file) == 3
