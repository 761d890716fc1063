"""Folders from Python and by the command. What a folder is, Rust's tests prove."""

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
from plexindex import aio


@pytest.fixture
def server(start_server: ServerFactory) -> Server:
    """A server with films and shows of plain names."""
    return start_server("--movies", "30", "--episodes", "400", "--plain")


@pytest.fixture
def season(server: Server) -> str:
    """The folder of an episode."""
    return os.path.dirname(server.paths(2)[0]["path"])


@pytest.mark.both
def test_a_folder_in_python(open_index: OpenIndex, season: str, server: Server) -> None:
    index = open_index()
    for call in (index.match, index.folder, lambda path, **options: list(index.items_below(path, **options))):
        with pytest.raises(plexindex.NotFetchedError):
            call(season, offline=True)
    inside = sorted(row["path"] for row in server.paths(2) if row["path"].startswith(f"{season}/"))
    shows = index.library("TV Shows")
    assert sorted(item.path or "" for item in shows.items_below(season)) == inside
    found = shows.folder(season)
    assert found
    assert isinstance(found, plexindex.FolderMatch)
    assert found.kind == "season"
    assert found.items == found.files == len(inside)
    assert found.path == season
    assert found.show_title == shows.match(inside[0]).show_title
    assert found == index.folder(f"{season}/") == pickle.loads(pickle.dumps(found))  # noqa: S301
    assert found == asyncio.run(aio.AsyncIndex(index).folder(season))
    assert hash(found) == hash(shows.folder(season))
    assert "items>" in repr(found)
    assert found.to_dict()["kind"] == "season"


def test_the_command(tmp_path: Path, server: Server, season: str) -> None:
    cli = Cli(tmp_path, server)
    text = cli.good("folder", season)
    path, item = text.splitlines()
    assert path == season
    assert item.startswith("  season: ") and "exact, high" in item
    root = os.path.dirname(os.path.dirname(season))
    done = cli.run("folder", season, root, "/srv/none", "--json")
    assert (done.returncode, done.stderr) == (1, "")
    one, several, none = (json.loads(line) for line in done.stdout.splitlines())
    assert (one["asked"], one["status"], one["kind"], one["confidence"]) == (season, "found", "season", "high")
    assert list(one) == list(none) and one["below"] is None
    assert (several["status"], several["item"], several["items"]) == ("ambiguous", None, 400)
    assert len(several["candidates"]) > 1
    assert (none["reason"], none["items"], none["candidates"]) == ("no_location", 0, [])
    first = json.loads(cli.good("folder", "--items", "--json", season))
    assert first["items"] == len(first["below"])
    matched = json.loads(cli.good("match", "--json", first["below"][0]["path"]))
    assert first["below"][0] == matched["item"]
    assert cli.good("folder", "--null", "-", given=f"{season}\0".encode()) == text
    assert cli.run("folder", "").returncode == 2
    assert "folder" in cli.run("match", root).stdout
