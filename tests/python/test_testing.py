"""`plexindex.testing`: the server in pure Python, with the real `plexapi` client and with an index."""

from __future__ import annotations

import itertools
import json
import pickle
import socket
import struct
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import plexindex
import pytest
import requests
from conftest import NEW, OLD, OpenIndex
from disk import make
from plexapi.exceptions import NotFound, Unauthorized
from plexapi.server import PlexServer
from plexindex._core import abi as c
from plexindex._core.selection import selection_of
from plexindex.library import Library
from plexindex.testing import FakePlex

MOVIE = "/media/movies/Big Buck Bunny (2008).mkv"


FILMS = [f"/data/movies/Film {n:03} ({1950 + n % 70}).mkv" for n in range(250)]
EPISODES = [
    f"/data/tv/{show}/Season {n // 10 + 1:02}/{show} - S{n // 10 + 1:02}E{n % 10 + 1:02} - The {n % 10 + 1}.mkv"
    for show, count in (("A", 40), ("B", 5))
    for n in range(count)
]


@pytest.fixture
def fake() -> Iterator[FakePlex]:
    """250 movies, 45 episodes of 2 shows, 25 tracks of an artist and 120 photos, in the sections 1 to 4."""
    with FakePlex({"Movies": FILMS, "TV Shows": EPISODES}) as fake:
        for n, path in enumerate(FILMS):
            genre = ["Drama", "Noir", "Comedy"][n % 3]
            fake.set(path, guids=[f"imdb://tt{n:07}"], tags={"genre": [genre]}, addedAt=1_700_000_000 + n)
        fake.add_library("Music", [f"/m/Band/Album {n % 3} (2001)/{n + 1:02} - Song {n}.flac" for n in range(25)])
        fake.add_library("Photos", [f"/p/{2001 + (n >= 100)}/IMG_{n:03}.jpg" for n in range(120)])
        yield fake


@pytest.fixture
def client(fake: FakePlex) -> Any:
    return PlexServer(fake.url, fake.token)


@pytest.fixture
def movies(client: PlexServer) -> Any:
    return client.library.section("Movies")


def test_connect_and_sections(fake: FakePlex, movies: Any) -> None:
    client = PlexServer(fake.url + "/", fake.token)
    assert len(client.machineIdentifier) == 40
    assert [s.title for s in client.library.sections()] == ["Movies", "TV Shows", "Music", "Photos"]
    assert movies.type == "movie"
    assert movies.locations == ["/data/movies"]
    assert movies.refreshing is False
    assert client.identity().machineIdentifier == client.machineIdentifier
    assert client.activities[0].type == "butler"


def test_wrong_tokens_are_refused(fake: FakePlex) -> None:
    for token in ("wrong", None):
        with pytest.raises(Unauthorized):
            PlexServer(fake.url, token)


def test_files_and_guids_cost_nothing_more(fake: FakePlex, movies: Any) -> None:
    items = movies.all()
    fake.requests.clear()
    assert [part.file for item in items for media in item.media for part in media.parts] == FILMS
    assert all(any(guid.id.startswith("imdb://tt") for guid in item.guids) for item in items)
    assert fake.requests == []


def test_search(movies: Any) -> None:
    assert [movie.title for movie in movies.search(title="film 017")] == ["Film 017"]
    assert movies.get("Film 017").title == "Film 017"
    assert movies.search(title="no such title") == []
    for get in (movies.get, movies.getGuid):
        with pytest.raises(NotFound):
            get("no such title")
    assert movies.getGuid("imdb://tt0000003").title == "Film 003"
    found = movies.search(sort="addedAt:desc", maxresults=5)
    times = [m.addedAt for m in found]
    assert len(found) == 5
    assert times == sorted(times, reverse=True)
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


def test_sizes_and_scans(client: PlexServer) -> None:
    shows = client.library.section("TV Shows")
    assert shows.totalSize == 2
    assert shows.totalViewSize(libtype="episode") == 45
    before = int(client.query("/library/sections")[1].attrib["scannedAt"])
    shows.update()
    assert int(client.query("/library/sections")[1].attrib["scannedAt"]) > before
    shows.emptyTrash()


def test_single_items(client: PlexServer, movies: Any) -> None:
    key = movies.get("Film 003").ratingKey
    item = client.fetchItem(key)
    assert item.ratingKey == key
    assert item.librarySectionID == movies.key
    assert client.fetchItem(f"/library/metadata/{key}") == item
    with pytest.raises(NotFound):
        client.fetchItem(999_999_999)
    items = client.fetchItems([key + 2, key, 999_999_999, key + 1])
    assert [i.ratingKey for i in items] == [key + 2, key, key + 1]
    many = client.fetchItems([key + n for n in range(150)])
    assert len(many) == 150


def test_batch_edits(movies: Any) -> None:
    items = movies.all(maxresults=3)
    for item in items:
        item.reload()
    movies.batchMultiEdits(items).editTitle("Same").editSummary("S & <T> \u00e9").addLabel("to watch").addGenre(
        "Noir"
    ).saveMultiEdits()
    for item in items:
        genres = {genre.tag for genre in item.genres}
        item.reload()
        assert item.title == "Same"
        assert item.summary == "S & <T> \u00e9"
        assert [label.tag for label in item.labels] == ["To Watch"]
        assert {genre.tag for genre in item.genres} == genres | {"Noir"}
        locked = {field.name for field in item.fields if field.locked}
        assert {"title", "summary", "label", "genre"} <= locked
    assert len(movies.search(label="To Watch")) == 3
    items[0].removeLabel("To Watch")
    items[0].reload()
    assert items[0].labels == []
    assert len(movies.search(label="To Watch")) == 2


def test_single_edits(client: PlexServer) -> None:
    item = client.library.section("TV Shows").all()[0]
    item.editTitle("Another")
    assert item.reload().title == "Another"
    assert {e.grandparentTitle for e in item.episodes()} == {"Another"}
    item.batchEdits().editSortTitle("ZZZ").editStudio("Studio").saveEdits()
    assert item.reload().titleSort == "ZZZ"
    assert client.library.section("TV Shows").all()[-1] == item


def test_shows(client: PlexServer) -> None:
    section = client.library.section("TV Shows")
    shows = section.all()
    assert [s.type for s in shows] == ["show", "show"]
    assert sorted(s.leafCount for s in shows) == [5, 40]
    assert sorted(e.media[0].parts[0].file for e in section.all(libtype="episode")) == sorted(EPISODES)
    show = max(shows, key=lambda s: s.leafCount)
    assert [s.index for s in show.seasons()] == [1, 2, 3, 4]
    assert len(show.episodes()) == 40
    assert show.season(2).episodes()[4].seasonEpisode == "s02e05"
    assert show.episode(season=3, episode=1).show() == show
    assert len(section.searchEpisodes(title="the")) == 45


def test_music(client: PlexServer) -> None:
    section = client.library.section("Music")
    assert [a.type for a in section.all()] == ["artist"]
    assert len(section.albums()) == 3
    tracks = section.searchTracks()
    assert len(tracks) == 25
    assert all(t.media[0].parts[0].file.endswith(".flac") for t in tracks)
    assert len(section.all()[0].tracks()) == 25


def test_photos(client: PlexServer) -> None:
    section = client.library.section("Photos")
    albums = section.all()
    assert len(albums) == 2
    # A listing of photos gives nothing without this argument, which plexapi does not send.
    assert section.all(libtype="photo") == []
    photos = section.fetchItems(f"/library/sections/{section.key}/all?type=13&clusterZoomLevel=1")
    assert len(photos) == 120
    assert photos[0].media[0].parts[0].file.endswith(".jpg")
    assert len(albums[0].photos()) in {20, 100}


def test_a_moved_file_is_another_part() -> None:
    """Tools that look for replaced files compare the keys of parts."""
    other = "/media/movies/Big Buck Bunny (2008) - 4K.mkv"
    with FakePlex({"Movies": [MOVIE, other]}) as plex:
        first, second = (media["Part"][0]["key"] for media in plex.item(101)["Media"])
        plex.move(MOVIE, "/media/movies/Big Buck Bunny (2008) - 1080p.mkv")
        moved, kept = (media["Part"][0]["key"] for media in plex.item(101)["Media"])
        assert moved not in (first, second)
        assert kept == second


def test_events_over_a_websocket(plex: FakePlex) -> None:
    """As plexapi's alert listener reads them."""
    with socket.create_connection(("127.0.0.1", int(plex.url.rpartition(":")[2])), timeout=10) as client:
        client.sendall(
            f"GET /:/websockets/notifications?X-Plex-Token={plex.token} HTTP/1.1\r\nHost: plex\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        stream = client.makefile("rb")
        head = b"".join(iter(stream.readline, b"\r\n"))
        assert head.startswith(b"HTTP/1.1 101")
        # The example of RFC 6455.
        assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
        plex.remove(OLD)
        kind, length, long_length = struct.unpack("!BBH", stream.read(4))
        assert kind == 0x81
        assert length == 126
        note = json.loads(stream.read(long_length))["NotificationContainer"]
        assert note["type"] == "timeline"
        assert note["TimelineEntry"][0]["state"] == 9


def test_a_server_that_fails(plex: FakePlex, open_index: OpenIndex) -> None:
    index = open_index(server_url=plex.url, token=plex.token)
    plex.fail(503, path="/all")
    assert [library.title for library in index.libraries()] == ["Films"]
    with pytest.raises(plexindex.ServerUnavailableError):
        index.refresh()
    plex.pause()
    with pytest.raises(plexindex.TimeoutError):
        index.server(timeout=0.2)
    plex.resume()
    index.refresh()
    plex.token = "another"
    with pytest.raises(plexindex.UnauthorizedError):
        index.refresh(full=True)
    index.set_token("another")
    index.refresh(full=True)
    address = plex.url
    plex.stop()
    with pytest.raises(plexindex.ServerUnavailableError):
        index.refresh(full=True)
    plex.start()
    assert plex.url == address


def test_the_folder_of_a_library(tmp_path: Path) -> None:
    first, second = tmp_path / "Film (2001).mkv", tmp_path / "Another (2002).mkv"
    first.touch()
    (tmp_path / "notes.txt").touch()
    with FakePlex({"Movies": str(tmp_path)}) as plex:
        section = PlexServer(plex.url, plex.token).library.section("Movies")
        second.touch()
        assert [item.title for item in section.all()] == ["Film"]
        section.update()
        assert [item.title for item in section.all()] == ["Another", "Film"]
        first.unlink()
        section.update()
        assert [item.title for item in section.all()] == ["Another"]


def test_what_plex_ignores_in_a_folder_is_not_listed(tmp_path: Path) -> None:
    films, shows = tmp_path / "films", tmp_path / "films" / "shows"
    film, episode, late = (
        films / "A (2001)" / "A (2001).mkv",
        shows / "B" / "B - S01E01-E02.mkv",
        shows / "C S01E01.mkv",
    )
    for name in ("A (2001)-poster.jpg", "A (2001)-trailer.mkv", "Featurettes/On Set.mkv", "theme.mp3", ".A (2001).mkv"):
        make(film.parent / name)
    make(film)
    make(episode)

    def listed(plex: FakePlex, title: str) -> set[str]:
        return {file for item in PlexServer(plex.url, plex.token).library.section(title).search(libtype=kinds[title])
                for file in item.locations}  # fmt: skip

    kinds = {"Films": "movie", "Shows": "episode"}
    with FakePlex({"Films": films, "Shows": shows}) as plex:
        assert listed(plex, "Films") == {str(film), str(episode)}
        assert listed(plex, "Shows") == {str(episode)}
        # Two libraries can list a file, and two items can have it.
        make(late)
        episode.unlink()
        for section in PlexServer(plex.url, plex.token).library.sections():
            section.update()
        assert listed(plex, "Films") == {str(film), str(late)}
        assert listed(plex, "Shows") == {str(late)}
    with FakePlex({"Shows": [str(episode)]}) as plex:
        plex.move(episode, shows / "B" / "B - S01E01-02.mkv")
        assert listed(plex, "Shows") == {str(shows / "B" / "B - S01E01-02.mkv")}


def test_watched_states(fake: FakePlex, movies: Any) -> None:
    movie = movies.all()[0]
    movie.markPlayed()
    assert movie.reload().isPlayed
    assert fake.item(FILMS[0])["viewCount"] == 1
    movie.updateProgress(60_000)
    assert fake.item(FILMS[0])["viewOffset"] == 60_000
    movie.rate(8.0)
    movie.markUnplayed()
    row = fake.item(FILMS[0])
    assert row["userRating"] == 8.0
    assert "viewCount" not in row


def test_items_with_several_files(fake: FakePlex, movies: Any) -> None:
    assert movies.search(duplicate=True) == []
    fake.add("Movies", FILMS[7].replace(".mkv", " - 2160p.mkv"))
    assert [item.title for item in movies.search(duplicate=True)] == ["Film 007"]


def test_the_history_of_plays(client: PlexServer, movies: Any) -> None:
    shows = client.library.section("TV Shows")
    first, second = movies.all()[:2]
    for item in (first, second, shows.get("A").episodes()[0], first):
        item.markPlayed()
    assert [play.ratingKey for play in movies.history()] == [first.ratingKey, second.ratingKey, first.ratingKey]
    assert [play.grandparentTitle for play in shows.history()] == ["A"]
    assert len(client.history()) == 4
    assert len(client.history(mindate=first.reload().lastViewedAt)) == 0
    assert [play.ratingKey for play in second.history()] == [second.ratingKey]


def test_collections(movies: Any) -> None:
    first, second = movies.all()[:2]
    assert movies.collections() == []
    best = movies.createCollection("Best & last", items=[first])
    assert movies.collections() == [best]
    best.addItems([second])
    assert movies.collection("Best & last").items() == [first, second]
    assert [tag.tag for tag in second.reload().collections] == ["Best & last"]
    assert best.reload().childCount == 2
    best.removeItems([first])
    assert movies.collection("Best & last").items() == [second]
    best.delete()
    assert movies.collections() == []
    first.addCollection("Tagged")
    assert [one.title for one in movies.collections()] == ["Tagged"]


def test_keys_are_numbers_or_strings(plex: FakePlex) -> None:
    for form in (101, "101", "/library/metadata/101"):
        plex.set(form, summary=f"By {form}")
        assert plex.item(form)["summary"] == f"By {form}"


def test_wrong_arguments(plex: FakePlex) -> None:
    calls: list[tuple[type[Exception], str, Callable[[], object]]] = [
        (ValueError, "'films'", lambda: plex.add_library("Others", kind="films")),
        (ValueError, "already lists", lambda: plex.add("Films", OLD)),
        (ValueError, "not in the folder", lambda: plex.add("Films", "/elsewhere/B (2002).mkv")),
        (ValueError, "not in the folder", lambda: plex.move(OLD, "/elsewhere/B (2002).mkv")),
        (ValueError, "already lists", lambda: plex.move(OLD, OLD)),
        (ValueError, "not a media file", lambda: plex.add("Films", "/m/A (2001).srt")),
        (ValueError, "not a media file", lambda: plex.add_library("Music", ["/m/a.flac", "/m/a.jpg"])),
        (LookupError, "'Movies'", lambda: plex.add("Movies", OLD)),
        (LookupError, "'/no'", lambda: plex.remove("/no")),
        (ValueError, "'Media'", lambda: plex.set(OLD, Media=[])),
        (TypeError, "list", lambda: FakePlex([MOVIE])),  # type: ignore[arg-type]
        (NotADirectoryError, "folder", lambda: FakePlex({"Movies": MOVIE})),
    ]
    for kind, said, call in calls:
        with pytest.raises(kind, match=said):
            call()
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{plex.url}/nonsense?X-Plex-Token={plex.token}")


@pytest.mark.parametrize(
    ("files", "location"),
    [
        ([MOVIE], "/media/movies"),
        (["/tv/Show/Season 01/Show - S01E01.mkv"], "/tv"),
        (["C:\\tv\\S\\S - S01E01.mkv"], "C:\\tv"),
        # A file outside widens it.
        ([MOVIE, "/media/more/B (2002).mkv"], "/media"),
    ],
)
def test_the_location_of_a_library(files: list[str], location: str, open_index: OpenIndex) -> None:
    with FakePlex({"Library": files[:1]}) as plex:
        for file in files[1:]:
            plex.add("Library", file)
        (library,) = open_index(server_url=plex.url, token=plex.token).libraries()
        assert library.locations == (location,)


def test_an_edit_adds_and_removes_tags(plex: FakePlex, films: plexindex.Index) -> None:
    edit = films.library("Films").edit_items
    edit(["101"], {"genre": ["Noir", "A, B", "Comedy"]})
    edit(["101"], {"label": ["seen"]}, remove={"genre": ["A, B"]}, locked=None)
    assert [tag["tag"] for tag in plex.item(OLD)["Genre"]] == ["Noir", "Comedy"]


def test_an_edit_uses_a_renewed_token(plex: FakePlex, open_index: OpenIndex) -> None:
    films = open_index(server_url=plex.url, token=lambda: plex.token, user="ann").library("Films")
    key = films.match(OLD).require().key
    for title in ("B", "C"):
        assert films.edit_items([key], {"title": title}).done == [key]
        plex.token = f"renewed-for-{title}"
        films.refresh(check=True)
        assert films.match(OLD).title == title


def test_an_equal_pickle_uses_the_newest_token(plex: FakePlex, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def use(library: plexindex.Library, token: str) -> None:
        plex.token = token
        assert library.refresh(check=True)
        assert library.edit_items(["101"], {"label": [token]}).done == ["101"]

    with plexindex.open(cache, plex.url, plex.token, user="ann") as index:
        pickled = pickle.dumps(index.library("Films"))
    monkeypatch.setenv("PLEXINDEX_TOKEN", plex.token)
    first = pickle.loads(pickled)  # noqa: S301
    use(first, plex.token)
    monkeypatch.setenv("PLEXINDEX_TOKEN", "rotated")  # as for the next task of a worker
    second = pickle.loads(pickled)  # noqa: S301
    use(second, "rotated")
    first.index.set_token("given")
    use(second, "given")
    use(pickle.loads(pickled), "given")  # noqa: S301
    monkeypatch.delenv("PLEXINDEX_TOKEN")
    use(pickle.loads(pickled), "given")  # noqa: S301
    first.index.close()
    second.index.close()


def test_a_version_that_is_gone_says_so(plex: FakePlex, cache: Path) -> None:
    with plexindex.from_server(PlexServer(plex.url, plex.token), cache) as index:
        light = index.match(OLD).light
        assert light is not None
        (medium,) = light.media
        plex.move(OLD, NEW)
        with pytest.raises(plexindex.NotOnServerError, match="look up the file again"):
            _ = medium.parts[0].streams
        assert not index.match(OLD)


def test_an_edit_sends_the_token_to_nobody_else(
    films: plexindex.Index, open_index: OpenIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str | None] = []

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["X-Plex-Token"])
            self.send_response(302)
            self.send_header("Location", f"{url}/elsewhere")
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Other) as other:
        url = f"http://127.0.0.1:{other.server_port}"
        threading.Thread(target=other.serve_forever).start()
        try:
            monkeypatch.setenv("http_proxy", url)
            assert films.library("Films").edit_items(["101"], {"title": "B"}).done == ["101"]
            assert not seen
            index = open_index(tmp_path / "other", server_url=url, token="secret", user="ann")
            movies = Library(index, selection_of(index).select(c.SELECT_SECTION, "1"))
            monkeypatch.setattr(type(movies._selection), "request", lambda *_, **__: {"libraries": [{"section": "1"}]})
            with pytest.raises(plexindex.NotPlexError, match="redirects"):
                movies.edit_items(["101"], {"title": "B"})
            assert len(seen) == 1
        finally:
            other.shutdown()


def test_an_edit_whose_answer_is_no_xml_fails(plex: FakePlex, films: plexindex.Index) -> None:
    given = PlexServer(plex.url, plex.token)
    selection_of(films).session.plexapi.given = given
    proxy = requests.Response()
    proxy.status_code, proxy._content = 200, b"<html><p>Sign in<br></html>"
    given._session.get = lambda *_, **__: proxy
    with pytest.raises(plexindex.ServerUnavailableError, match="edited 0 of 1"):
        films.library("Films").edit_items(["999"], {"label": ["x"]})


def test_an_item_is_deleted_and_what_plex_does_else_fails() -> None:
    paths = ["/m/A (2001).mkv", "/m/B (2002).mkv", "/m/C (2003).mkv"]
    with FakePlex({"Movies": paths}) as plex:
        movies: Any = PlexServer(plex.url, plex.token).library.section("Movies")
        first, second, _ = movies.all()
        first.delete()
        assert [item.title for item in movies.all()] == ["B", "C"]
        assert len(movies.search(limit=1)) == 1
        for change in (second.split, second.unmatch):
            with pytest.raises(NotFound):
                change()
        for bad in ("/library/sections/1/all?type=x", f"/:/rate?key={second.ratingKey}&rating=x"):
            answer = requests.get(f"{plex.url}{bad}", headers={"X-Plex-Token": plex.token}, timeout=10)
            assert answer.status_code == 400


def test_the_work_to_add_files_grows_as_their_number() -> None:
    def calls(count: int) -> int:
        seen = itertools.count()
        sys.setprofile(lambda *_: next(seen) and None)
        try:
            with FakePlex({"Movies": [f"/m/Film {n} (2001).mkv" for n in range(count)]}) as plex:
                for n in range(count // 4):
                    plex.add("Movies", f"/m/More {n} (2002).mkv")
        finally:
            sys.setprofile(None)
        return next(seen)

    assert calls(2_000) < 12 * calls(250)


def test_renamed_and_moved_items_are_found_by_what_they_are_now() -> None:
    with FakePlex({"Movies": ["/m/A (2001).mkv", "/m/B (2002).mkv"]}) as plex:
        key = plex.add("Movies", "/m/C (2003).mkv")
        plex.set(key, title="D")
        assert plex.add("Movies", "/m/2/D (2003).mkv") == key
        assert plex.add("Movies", "/m/2/C (2003).mkv") != key
        plex.move("/m/B (2002).mkv", "/m/2/B.mkv")
        with pytest.raises(LookupError):
            plex.item("/m/B (2002).mkv")
        with pytest.raises(ValueError, match="already"):
            plex.add("Movies", "/m/2/B.mkv")
        plex.remove("/m/2/B.mkv")
        plex.add("Movies", "/m/2/B.mkv")
