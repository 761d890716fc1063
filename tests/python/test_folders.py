"""Folders: which show or film they are, and what lies below them, from Python and by the command."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
from pathlib import Path

import plexindex
import pytest
from cli import Cli
from conftest import OpenIndex, Server, ServerFactory


@pytest.fixture
def server(start_server: ServerFactory) -> Server:
    """A server with films and shows, whose names are plain."""
    return start_server("--movies", "30", "--episodes", "400", "--plain")


@pytest.fixture
def season(server: Server) -> str:
    """The folder of an episode."""
    return os.path.dirname(server.paths(2)[0]["path"])


@pytest.fixture
def shows(open_index: OpenIndex) -> plexindex.Library:
    """The library of shows, fetched."""
    index = open_index()
    index.refresh()
    return index.library("TV Shows")


@pytest.mark.both
def test_a_folder_is_its_show(shows: plexindex.Library, season: str, server: Server) -> None:
    inside = [row["path"] for row in server.paths(2) if row["path"].startswith(f"{season}/")]
    episode = shows.match(inside[0]).item
    assert episode is not None
    found = shows.folder(season)
    assert found and isinstance(found, plexindex.Folder)
    assert (found.kind, found.items, found.files) == ("season", len(inside), len(inside))
    assert (found.status, found.match_kind, found.confidence, found.reason_code) == ("ok", "exact", "high", "none")
    item = found.item
    assert item is not None
    assert (item.kind, item.title, item.season) == ("season", f"Season {episode.season}", episode.season)
    assert item.rating_key not in (episode.rating_key, episode.show_rating_key)
    assert (item.guid or "").startswith("plex://season/")
    assert (item.show_title, item.show_rating_key) == (episode.show_title, episode.show_rating_key)
    assert (item.show_guid, item.path) == (episode.show_guid, season)
    assert item.describe() == f"{item.show_title} – {item.title}"
    assert found.rating_key == item.rating_key
    # Equal to itself, whenever it is asked; and it can be sent elsewhere.
    assert found == shows.index.folder(f"{season}/") == pickle.loads(pickle.dumps(found))  # noqa: S301
    # So do spellings of it that mean nothing.
    for spelling in (
        f"{season}/.",
        f"{season}/./",
        f"{season}/././/.",
        f"/{season[1:].replace('/', '//')}",
        season.upper(),
    ):
        assert shows.folder(spelling) == found
        assert len(list(shows.items_below(spelling))) == len(inside)
    assert found != shows.match(inside[0])
    assert hash(found) == hash(shows.folder(season))
    assert "items>" in repr(found)
    assert found.to_dict()["kind"] == "season"


def test_what_was_never_fetched_is_fetched(open_index: OpenIndex, season: str) -> None:
    index = open_index()
    assert len(index.libraries()) == 2
    with pytest.raises(plexindex.LibraryNotFoundError):
        list(index.items_below(season, "TV Shows", offline=True))
    assert index.folder(season, "TV Shows", offline=True).status == "not_found"
    assert list(index.items_below(season, "TV Shows"))
    assert index.folder(season).kind == "season"


def test_a_deadline_before_the_libraries_are_known(open_index: OpenIndex, server: Server) -> None:
    server.fault(action="delay", ms=2000, count=5)
    found = open_index().folder("/data/tv/Alpha", deadline=0.001)
    assert found.status in ("not_yet", "needs_warm")
    assert (found.reason or "").startswith("the deadline passed before the server listed its libraries")


def test_asyncio_asks_for_folders_too(shows: plexindex.Library, season: str) -> None:
    async def ask() -> tuple[plexindex.Folder, plexindex.Folder]:
        return await shows.afolder(season), await shows.index.afolder(season)

    one, other = asyncio.run(ask())
    assert one == other == shows.folder(season)


def test_the_command(tmp_path: Path, server: Server, season: str) -> None:
    cli = Cli(tmp_path, server)
    text = cli.good("folder", season)
    lines = text.splitlines()
    assert lines[0] == season
    assert lines[1].startswith("  season: ")
    assert "exact, high" in lines[1]
    root = os.path.dirname(os.path.dirname(season))
    done = cli.run("folder", season, root, "/srv/none", "--json")
    assert (done.returncode, done.stderr) == (1, "")
    one, several, none = (json.loads(line) for line in done.stdout.splitlines())
    assert (one["asked"], one["status"], one["kind"], one["confidence"]) == (season, "ok", "season", "high")
    assert one["item"]["kind"] == "season"
    names = ["asked", "status", "match_kind", "confidence", "stale", "kind", "item", "items", "files", "candidates",
             "candidates_total", "reason_code", "reason", "age"]  # fmt: skip
    assert one["stale"] is False and one["age"] >= 0
    assert list(one) == names
    assert (several["status"], several["item"], several["items"]) == ("ambiguous", None, 400)
    assert len(several["candidates"]) > 1
    assert (none["reason_code"], none["items"], none["candidates"]) == ("no_location", 0, [])
    assert f"holds {several['candidates_total']} shows" in cli.run("folder", root).stdout
    first, *items = (json.loads(line) for line in cli.good("folder", "--items", "--json", season).splitlines())
    assert first["items"] == len(items)
    as_matched = json.loads(cli.good("match", "--json", items[0]["item"]["path"]))
    assert items == [{"folder": season, "item": row["item"]} for row in items]
    assert items[0]["item"] == as_matched["item"]
    given = f"{season}\0".encode()
    assert cli.good("folder", "--null", "-", given=given) == text
    assert cli.run("folder", "").returncode == 2
    hint = cli.run("match", root).stdout
    assert "plexindex folder" in hint
