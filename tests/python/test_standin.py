"""The stand-in server against the real `plexapi` client.

The binary's path comes from the environment variable PLEXINDEX_STANDIN. Tests that any server which plays Plex has to
pass are in `real_client`; the stand-in's own counters must agree with what plexapi is known to ask.
"""

from __future__ import annotations

import gzip
import json
import math
import os
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

plexapi = pytest.importorskip("plexapi")

from plexapi.exceptions import BadRequest, NotFound  # noqa: E402
from plexapi.server import PlexServer  # noqa: E402
from real_client import *  # noqa: E402, F403

BINARY = os.environ.get("PLEXINDEX_STANDIN", "")
FIXTURES = Path(__file__).resolve().parent.parent / "standin" / "fixtures"
TOKEN = "test-token"

pytestmark = pytest.mark.skipif(not BINARY, reason="PLEXINDEX_STANDIN is not set")


class Standin:
    """A stand-in server in a process of its own."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [BINARY, "--token", TOKEN, "--exit-with-stdin", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline().split()
        assert line[0] == "standin:" and line[2] == f"token={TOKEN}", line
        self.url, self.token = line[1], TOKEN

    def close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        assert self.process.wait(timeout=10) == 0
        self.process.stdout.close()

    def control(self, name: str, body: object = None) -> Any:
        """A control request: GET without a body, POST with one."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_standin/{name}", data=data)
        with urllib.request.urlopen(request, timeout=10) as reply:
            return json.load(reply)

    def counted(self) -> dict[str, int]:
        """Requests by kind since the last call, those that were made only."""
        stats = self.control("stats")
        self.control("reset", {})
        return {kind: count for kind, count in stats["requests"].items() if count}

    def files(self, section: int) -> Any:
        """`ratingKey`, `title` and `path` of a section's items with a file, by rating key."""
        return self.control(f"paths?library={section}")

    def get(self, target: str, **headers: str) -> Any:
        """A JSON container."""
        request = urllib.request.Request(
            self.url + target,
            headers={"X-Plex-Token": TOKEN, "Accept": "application/json", **headers},
        )
        with urllib.request.urlopen(request, timeout=10) as reply:
            body = reply.read()
            if reply.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            return json.loads(body)["MediaContainer"]


@pytest.fixture
def server() -> Iterator[Standin]:
    standin = Standin("--plain", "--movies", "250", "--episodes", "45", "--tracks", "25", "--photos", "120")
    yield standin
    standin.close()


@pytest.fixture
def recorded() -> Iterator[Standin]:
    standin = Standin("--fixtures")
    yield standin
    standin.close()


def test_shared_users(server: Standin) -> None:
    server.control(
        "tokens",
        {"tokens": [{"token": TOKEN}, {"token": "guest", "libraries": [2], "owner": False}]},
    )
    guest = PlexServer(server.url, "guest")
    assert [s.title for s in guest.library.sections()] == ["TV Shows"]
    show = guest.library.section("TV Shows").all()[0]
    with pytest.raises(BadRequest):
        show.editTitle("No")


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250, 1000])
def test_all_takes_as_many_requests_as_known(count: int) -> None:
    standin = Standin("--plain", "--movies", "1")
    try:
        added = standin.control("library/add", {"title": "Many", "items": count, "plain": True})
        section = PlexServer(standin.url, TOKEN).library.sectionByID(added["library"])
        standin.counted()
        items = section.all()
        assert len(items) == count
        assert len({item.ratingKey for item in items}) == count
        assert standin.counted() == {"listing": max(1, math.ceil(count / 100))}
    finally:
        standin.close()


def test_a_server_that_ignores_paging(server: Standin, plex: PlexServer) -> None:
    movies = plex.library.section("Movies")
    server.control("config", {"ignorePaging": True})
    server.counted()
    assert len(movies.all()) == 250
    assert server.counted() == {"listing": 1}


def test_reload(server: Standin, plex: PlexServer) -> None:
    item = plex.library.section("Movies").all()[0]
    server.counted()
    item.reload()
    assert server.counted() == {"metadata": 1}
    assert item.media[0].parts[0].streams[0].codec == "h264"
    item.reload(checkFiles=True)
    assert server.counted() == {"metadata": 1}
    assert item.media[0].parts[0].exists and item.media[0].parts[0].accessible
    assert item.section().title == "Movies"


def test_an_absent_attribute_costs_one_request(server: Standin, plex: PlexServer) -> None:
    items = plex.library.section("Movies").all(maxresults=3)
    server.counted()
    assert [item.labels for item in items] == [[], [], []]
    assert server.counted() == {"metadata": 3}


def test_recorded_libraries(recorded: Standin) -> None:
    plex = PlexServer(recorded.url, TOKEN)
    movies = plex.library.section("Movies")
    assert {m.title: m.ratingKey for m in movies.all()} == {
        "Big Buck Bunny": 55,
        "Elephants Dream": 56,
        "Interstate 60": 108,
        "Sintel": 57,
    }
    item = plex.fetchItem(108)
    assert item.media[0].parts[0].file == "/data/Movies/Interstate 60 (2002).mkv"
    assert len(item.roles) == 22 and item.media[0].parts[0].streams[1].codec == "aac"
    show = plex.library.section("TV Shows").get("The 100")
    assert [s.title for s in show.seasons()] == ["Season 1", "Season 2"]
    assert [e.title for e in show.season(1).episodes()] == ["Pilot", "Earth Skills", "Earth Kills"]
    item.editTitle("Edited")
    assert item.reload().title == "Edited"
    assert recorded.get("/library/metadata/108")["Metadata"][0]["title"] == "Edited"


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
def test_json_by_field(recorded: Standin, target: str, name: str) -> None:
    """Every recorded row comes back with every field as it was."""

    def by_key(container: dict[str, Any]) -> dict[str, Any]:
        return {row["ratingKey"]: row for row in container["Metadata"]}

    want = json.loads((FIXTURES / name).read_text(encoding="utf-8"))["MediaContainer"]
    assert by_key(recorded.get(target)) == by_key(want)
    packed = recorded.get(target, **{"Accept-Encoding": "gzip"})
    assert by_key(packed) == by_key(want)


def kinds(value: object) -> object:
    """The JSON type of a value, with those of its members."""
    if isinstance(value, dict):
        return {name: kinds(member) for name, member in value.items()}
    if isinstance(value, list):
        return [kinds(value[0])] if value else []
    return type(value).__name__


@pytest.mark.parametrize(
    ("target", "name", "row", "rare"),
    [
        ("/library/sections/1/all?type=1&sort=id", "movie_library.json", 0, {"Collection"}),
        ("/library/sections/2/all?type=2&sort=id", "tv_library.json", 1, {"Collection"}),
    ],
)
def test_generated_rows_have_the_recorded_types(
    server: Standin, target: str, name: str, row: int, rare: set[str]
) -> None:
    recorded = json.loads((FIXTURES / name).read_text(encoding="utf-8"))["MediaContainer"]
    made = server.get(target)["Metadata"][0]
    for field, value in recorded["Metadata"][row].items():
        if field in rare:
            continue
        assert field in made, field
        if isinstance(value, (dict, list)):
            assert isinstance(made[field], type(value)), field
        else:
            assert kinds(made[field]) == kinds(value), field


def test_changes_are_seen(server: Standin, plex: PlexServer) -> None:
    movies = plex.library.section("Movies")
    added = server.control(
        "items/add",
        {
            "library": 1,
            "items": [{"title": "Brand New", "files": ["/data/movies/n1.mkv", ["/a", "/b"]]}],
        },
    )
    item = movies.get("Brand New")
    assert str(item.ratingKey) == added["ratingKeys"][0]
    assert [[p.file for p in m.parts] for m in item.media] == [
        ["/data/movies/n1.mkv"],
        ["/a", "/b"],
    ]
    server.control("items/remove", {"ratingKeys": [item.ratingKey]})
    with pytest.raises(NotFound):
        plex.fetchItem(item.ratingKey)


def test_faults_reach_the_client(server: Standin, plex: PlexServer) -> None:
    movies = plex.library.section("Movies")
    for status in (403, 500, 503):
        server.control("faults", {"kind": "listing", "action": "status", "status": status})
        with pytest.raises(BadRequest):
            movies.all()
    server.control("faults", {"action": "drop", "kind": "listing"})
    with pytest.raises(OSError):
        movies.all()
    assert len(movies.all()) == 250


def test_events_stream(server: Standin) -> None:
    request = urllib.request.Request(
        f"{server.url}/:/eventsource/notifications?filters=timeline",
        headers={"X-Plex-Token": TOKEN},
    )
    lines: list[str] = []
    with urllib.request.urlopen(request, timeout=10) as stream:
        assert stream.headers["Content-Type"] == "text/event-stream"

        def listen() -> None:
            while not any("deleted" in line for line in lines) and (line := stream.readline()):
                lines.append(line.decode().strip())

        thread = threading.Thread(target=listen)
        thread.start()
        key = server.control("paths?library=1&count=1")[0]["ratingKey"]
        server.control("items/remove", {"ratingKeys": [key]})
        thread.join(timeout=10)
        assert not thread.is_alive()
    assert lines[0] == "event: timeline"
    entry = json.loads(lines[1].removeprefix("data: "))["TimelineEntry"]
    assert (entry["itemID"], entry["state"], entry["sectionID"]) == (key, 9, "1")


def test_errors_are_html(server: Standin) -> None:
    for target, status in [("/library/metadata/1", 404), ("/nowhere", 404)]:
        with pytest.raises(urllib.error.HTTPError) as caught:
            server.get(target)
        assert caught.value.code == status
        assert caught.value.headers["Content-Type"] == "text/html"
        assert f"<h1>{status} Not Found</h1>" in caught.value.read().decode()
        caught.value.close()
