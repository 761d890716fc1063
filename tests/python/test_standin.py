"""The stand-in server against the real `plexapi` client.

The binary's path comes from the environment variable PLEXINDEX_STANDIN. What plexapi asks, call by
call, is known (Plex API notes, section 10); here the stand-in's own counters must agree with that.
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

from plexapi.exceptions import BadRequest, NotFound, Unauthorized  # noqa: E402
from plexapi.server import PlexServer  # noqa: E402

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
        self.url = line[1]

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


@pytest.fixture
def plex(server: Standin) -> PlexServer:
    return PlexServer(server.url, TOKEN)


def test_connect_and_sections(server: Standin) -> None:
    plex = PlexServer(server.url + "/", TOKEN)
    assert server.counted() == {"root": 1}
    assert len(plex.machineIdentifier) == 40
    movies = plex.library.section("Movies")
    assert server.counted() == {"other": 1, "sections": 1}
    assert [s.title for s in plex.library.sections()] == ["Movies", "TV Shows", "Music", "Photos"]
    assert server.counted() == {}
    assert (movies.type, movies.locations) == ("movie", ["/data/movies"])
    assert movies.refreshing is False
    assert plex.identity().machineIdentifier == plex.machineIdentifier
    assert plex.activities[0].type == "butler"


def test_wrong_tokens_are_refused(server: Standin) -> None:
    with pytest.raises(Unauthorized):
        PlexServer(server.url, "wrong")
    with pytest.raises(Unauthorized):
        PlexServer(server.url)


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


def test_files_and_guids_cost_nothing_more(server: Standin, plex: PlexServer) -> None:
    movies = plex.library.section("Movies").all(sort="titleSort")
    server.counted()
    found = {part.file for m in movies for media in m.media for part in media.parts}
    assert found == {row["path"] for row in server.control("paths?library=1")}
    assert all(any(guid.id.startswith("imdb://tt") for guid in m.guids) for m in movies)
    assert server.counted() == {}


def test_search_and_get(server: Standin, plex: PlexServer) -> None:
    movies = plex.library.section("Movies")
    title = server.control("paths?library=1&start=17&count=1")[0]["title"]
    server.counted()
    assert [m.title for m in movies.search(title=title.lower())] == [title]
    assert server.counted() == {"search": 1}
    assert movies.get(title).title == title
    assert server.counted() == {"search": 1}
    assert movies.search(title="no such title") == []
    with pytest.raises(NotFound):
        movies.get("no such title")
    assert server.counted() == {"search": 2}


def test_search_with_filters(server: Standin, plex: PlexServer) -> None:
    movies = plex.library.section("Movies")
    server.counted()
    found = movies.search(sort="addedAt:desc", maxresults=5)
    assert server.counted() == {"count": 1, "other": 1, "listing": 1}
    times = [m.addedAt for m in found]
    assert len(found) == 5 and times == sorted(times, reverse=True)
    newest = found[0]
    assert newest in movies.search(year=newest.year)
    assert movies.search(guid=newest.guid) == [newest]
    assert movies.getGuid(newest.guid) == newest
    assert newest in movies.search(**{"addedAt>>": newest.addedAt.replace(year=2019)})
    assert newest in movies.search(genre=newest.genres[0].tag)
    assert movies.search(**{"title==": newest.title}) == [newest]
    assert len(movies.search(filters={"and": [{"year>>": 1900}, {"title": newest.title}]})) == 1
    with pytest.raises(NotFound):
        movies.search(nonsense=1)
    assert len(movies.recentlyAdded(maxresults=7)) == 7


def test_sizes_and_scans(server: Standin, plex: PlexServer) -> None:
    shows = plex.library.section("TV Shows")
    server.counted()
    assert shows.totalSize == 2
    assert server.counted() == {"count": 1}
    assert shows.totalViewSize(libtype="episode") == 45
    before = server.get("/library/sections")["Directory"][1]["scannedAt"]
    server.counted()
    shows.update()
    assert server.counted() == {"refresh": 1}
    assert server.get("/library/sections")["Directory"][1]["scannedAt"] > before
    shows.emptyTrash()


def test_single_items(server: Standin, plex: PlexServer) -> None:
    movies = plex.library.section("Movies")
    key = int(server.control("paths?library=1&start=3&count=1")[0]["ratingKey"])
    server.counted()
    item = plex.fetchItem(key)
    assert item.ratingKey == key and item.librarySectionID == movies.key
    assert plex.fetchItem(f"/library/metadata/{key}") == item
    assert server.counted() == {"metadata": 2}
    with pytest.raises(NotFound):
        plex.fetchItem(999_999_999)
    server.counted()
    items = plex.fetchItems([key + 2, key, 999_999_999, key + 1])
    assert [i.ratingKey for i in items] == [key + 2, key, key + 1]
    assert server.counted() == {"metadata": 1}
    many = plex.fetchItems([key + n for n in range(150)])
    assert len(many) == 150
    assert server.counted() == {"metadata": 2}


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


def test_batch_edit_is_one_put(server: Standin, plex: PlexServer) -> None:
    movies = plex.library.section("Movies")
    items = movies.all(maxresults=3)
    for item in items:
        item.reload()
    server.counted()
    movies.batchMultiEdits(items).editTitle("Same").editSummary("S & <T> \u00e9").addLabel("to watch").addGenre(
        "Noir"
    ).saveMultiEdits()
    log = server.control("log")
    assert server.counted() == {"edit": 1}
    assert log[0]["method"] == "PUT" and log[0]["target"].startswith("/library/sections/1/all?")
    for item in items:
        genres = {genre.tag for genre in item.genres}
        item.reload()
        assert (item.title, item.summary) == ("Same", "S & <T> \u00e9")
        assert [label.tag for label in item.labels] == ["To Watch"]
        assert {genre.tag for genre in item.genres} == genres | {"Noir"}
        locked = {field.name for field in item.fields if field.locked}
        assert {"title", "summary", "label", "genre"} <= locked
    assert len(movies.search(label="To Watch")) == 3
    items[0].removeLabel("To Watch")
    items[0].reload()
    assert items[0].labels == []
    assert len(movies.search(label="To Watch")) == 2


def test_single_edits(server: Standin, plex: PlexServer) -> None:
    item = plex.library.section("TV Shows").all()[0]
    server.counted()
    item.editTitle("Another")
    assert server.counted() == {"edit": 1}
    assert item.reload().title == "Another"
    assert {e.grandparentTitle for e in item.episodes()} == {"Another"}
    item.batchEdits().editSortTitle("ZZZ").editStudio("Studio").saveEdits()
    assert item.reload().titleSort == "ZZZ"
    assert plex.library.section("TV Shows").all()[-1] == item


def test_shows(server: Standin, plex: PlexServer) -> None:
    section = plex.library.section("TV Shows")
    shows = section.all()
    assert [s.type for s in shows] == ["show", "show"]
    assert sorted(s.leafCount for s in shows) == [5, 40]
    server.counted()
    episodes = section.all(libtype="episode")
    assert server.counted() == {"listing": 1}
    assert len(episodes) == 45
    assert {e.media[0].parts[0].file for e in episodes} == {row["path"] for row in server.control("paths?library=2")}
    show = max(shows, key=lambda s: s.leafCount)
    assert [s.index for s in show.seasons()] == [1, 2, 3, 4]
    assert len(show.episodes()) == 40
    assert show.season(2).episodes()[4].seasonEpisode == "s02e05"
    assert show.episode(season=3, episode=1).show() == show
    assert len(section.searchEpisodes(title="the")) == 45


def test_music(plex: PlexServer) -> None:
    section = plex.library.section("Music")
    assert [a.type for a in section.all()] == ["artist"]
    assert len(section.albums()) == 3
    tracks = section.searchTracks()
    assert len(tracks) == 25 and all(t.media[0].parts[0].file.endswith(".flac") for t in tracks)
    assert len(section.all()[0].tracks()) == 25


def test_photos(plex: PlexServer) -> None:
    section = plex.library.section("Photos")
    albums = section.all()
    assert len(albums) == 2
    # A listing of photos gives nothing without this argument, which plexapi does not send.
    assert section.all(libtype="photo") == []
    photos = section.fetchItems(f"/library/sections/{section.key}/all?type=13&clusterZoomLevel=1")
    assert len(photos) == 120 and photos[0].media[0].parts[0].file.endswith(".jpg")
    assert len(albums[0].photos()) in {20, 100}


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
