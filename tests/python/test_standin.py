"""The stand-in server against the real `plexapi` client. Rust's tests prove the stand-in's own behaviour.

The tests that every server has to pass are in `real_client`.
"""

from __future__ import annotations

import gzip
import json
import math
import urllib.request
from typing import Any

import pytest
from conftest import REPOSITORY, ServerFactory
from conftest import Server as ServerProcess

plexapi = pytest.importorskip("plexapi")

from plexapi.exceptions import BadRequest  # noqa: E402
from plexapi.server import PlexServer  # noqa: E402
from real_client import *  # noqa: E402, F403

FIXTURES = REPOSITORY / "tests" / "standin" / "fixtures"


class Standin:
    """What the tests of the real client ask of a server."""

    def __init__(self, server: ServerProcess) -> None:
        self.control, self.url, self.token = server, server.url, server.token
        self.files = server.paths

    def counted(self) -> dict[str, int]:
        """Requests by kind since the last call."""
        counts = self.control.get("stats")["requests"]
        self.control.reset()
        return {kind: count for kind, count in counts.items() if count}

    def get(self, target: str, **headers: str) -> Any:
        """A JSON container."""
        headers = {"X-Plex-Token": self.token, "Accept": "application/json", **headers}
        request = urllib.request.Request(self.url + target, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as reply:
            body = reply.read()
            body = gzip.decompress(body) if reply.headers.get("Content-Encoding") == "gzip" else body
            return json.loads(body)["MediaContainer"]


@pytest.fixture
def server(start_server: ServerFactory) -> Standin:
    arguments = "--plain --movies 250 --episodes 45 --tracks 25 --photos 120"
    return Standin(start_server(*arguments.split()))


@pytest.fixture
def recorded(start_server: ServerFactory) -> Standin:
    return Standin(start_server("--fixtures"))


def test_a_shared_user_may_not_edit(server: Standin) -> None:
    guest = {"token": "guest", "libraries": [2], "owner": False}
    server.control.post("tokens", {"tokens": [{"token": server.token}, guest]})
    library = PlexServer(server.url, "guest").library
    assert [section.title for section in library.sections()] == ["TV Shows"]
    with pytest.raises(BadRequest):
        library.section("TV Shows").all()[0].editTitle("No")


@pytest.mark.parametrize("count", [0, 100, 101, 250])
def test_paging(server: Standin, count: int) -> None:
    added = server.control.post("library/add", {"title": "Many", "items": count, "plain": True})
    section = PlexServer(server.url, server.token).library.sectionByID(added["library"])
    server.counted()
    assert len({item.ratingKey for item in section.all()}) == count
    assert server.counted() == {"listing": max(1, math.ceil(count / 100))}


def test_reload(server: Standin, plex: PlexServer) -> None:
    item, *_ = items = plex.library.section("Movies").all(maxresults=3)
    server.counted()
    item.reload(checkFiles=True)
    assert server.counted() == {"metadata": 1}
    part = item.media[0].parts[0]
    assert part.exists and part.accessible and part.streams[0].codec == "h264"
    # plexapi reloads an item that lacks an attribute.
    assert [one.labels for one in items[1:]] == [[], []]
    assert server.counted() == {"metadata": 2}


def test_recorded_libraries(recorded: Standin) -> None:
    plex = PlexServer(recorded.url, recorded.token)
    titles = {movie.title: movie.ratingKey for movie in plex.library.section("Movies").all()}
    assert titles == {"Big Buck Bunny": 55, "Elephants Dream": 56, "Interstate 60": 108, "Sintel": 57}
    item = plex.fetchItem(108)
    assert len(item.roles) == 22 and item.media[0].parts[0].streams[1].codec == "aac"
    show = plex.library.section("TV Shows").get("The 100")
    assert [episode.title for episode in show.season(1).episodes()] == ["Pilot", "Earth Skills", "Earth Kills"]
    item.editTitle("Edited")
    assert item.reload().title == "Edited"


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("/library/sections/1/all?type=1", "movie_library.json"),
        ("/library/sections/2/all?type=2", "tv_library.json"),
        ("/library/metadata/22/children", "tv_seasons.json"),
        ("/library/metadata/89/children", "tv_episodes.json"),
        ("/library/metadata/108", "metadata_108.json"),
    ],
)
def test_each_recorded_row_comes_back(recorded: Standin, target: str, name: str) -> None:
    def by_key(container: dict[str, Any]) -> dict[str, Any]:
        return {row["ratingKey"]: row for row in container["Metadata"]}

    expected = json.loads((FIXTURES / name).read_text(encoding="utf-8"))["MediaContainer"]
    assert by_key(recorded.get(target)) == by_key(expected)
    assert by_key(recorded.get(target, **{"Accept-Encoding": "gzip"})) == by_key(expected)


@pytest.mark.parametrize(
    ("target", "name", "row"),
    [
        ("/library/sections/1/all?type=1&sort=id", "movie_library.json", 0),
        ("/library/sections/2/all?type=2&sort=id", "tv_library.json", 1),
    ],
)
def test_generated_rows_have_the_recorded_types(server: Standin, target: str, name: str, row: int) -> None:
    recorded = json.loads((FIXTURES / name).read_text(encoding="utf-8"))["MediaContainer"]["Metadata"][row]
    generated = server.get(target)["Metadata"][0]
    types = {field: type(value) for field, value in recorded.items() if field != "Collection"}
    assert {field: type(generated.get(field)) for field in types} == types
