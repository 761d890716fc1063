"""`plexindex.testing`: the server in pure Python, with the real `plexapi` client and with an index."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import struct
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import plexindex
import pytest
from plexindex.testing import FakePlex, fake_plex  # noqa: F401

try:
    from real_client import *  # noqa: F403
except pytest.skip.Exception:
    # Only the tests with plexapi need it.
    pass

MOVIE = "/media/movies/Big Buck Bunny (2008).mkv"


class Counted(FakePlex):
    """A server of the content that the tests of the real client expect."""

    def __init__(self) -> None:
        super().__init__()
        movies = [f"/data/movies/Film {n:03} ({1950 + n % 70}).mkv" for n in range(250)]
        self.add_library("Movies", movies)
        for n, path in enumerate(movies):
            genre = ["Drama", "Noir", "Comedy"][n % 3]
            self.set(path, guids=[f"imdb://tt{n:07}"], tags={"genre": [genre]}, addedAt=1_700_000_000 + n)
        episodes = [(show, n // 10 + 1, n % 10 + 1) for show, count in (("A", 40), ("B", 5)) for n in range(count)]
        files = [f"/data/tv/{t}/Season {s:02}/{t} - S{s:02}E{e:02} - The {e}.mkv" for t, s, e in episodes]
        self.add_library("TV Shows", files)
        self.add_library("Music", [f"/m/Band/Album {n % 3} (2001)/{n + 1:02} - Song {n}.flac" for n in range(25)])
        self.add_library("Photos", [f"/p/{2001 + (n >= 100)}/IMG_{n:03}.jpg" for n in range(120)])
        self.requests.clear()

    def counted(self) -> dict[str, int]:
        """Requests by kind since the last call."""
        counts: dict[str, int] = {}
        for request in self.requests:
            kind = self._kind(request)
            counts[kind] = counts.get(kind, 0) + 1
        self.requests.clear()
        return counts

    def _kind(self, request: Any) -> str:
        if request.method == "PUT":
            return "edit"
        if request.path.startswith("/library/metadata/"):
            return "metadata"
        if request.path.endswith("/refresh"):
            return "refresh"
        if not request.path.endswith("/all"):
            return {"/": "root", "/library/sections": "sections"}.get(request.path, "other")
        if request.window and request.window[1] == 0:
            return "count"
        return "search" if request.argument("title") else "listing"

    def files(self, section: int) -> list[dict[str, Any]]:
        """The items of a section that have a file, by rating key."""
        found = [self.item(item.key) for item in self._libraries[section].items.values() if item.files]
        return [{**row, "path": row["Media"][0]["Part"][0]["file"]} for row in found]

    def get(self, target: str, **headers: str) -> Any:
        """A JSON container."""
        headers = {"X-Plex-Token": self.token, "Accept": "application/json", **headers}
        with urllib.request.urlopen(urllib.request.Request(self.url + target, headers=headers), timeout=10) as reply:
            return json.load(reply)["MediaContainer"]


@pytest.fixture
def server() -> Iterator[Counted]:
    """The content that the tests of the real client expect."""
    counted = Counted()
    yield counted
    counted.stop()


@pytest.fixture
def plex_of_movies(fake_plex: FakePlex) -> FakePlex:  # noqa: F811
    """One library with one movie."""
    fake_plex.add_library("Movies", [MOVIE])
    return fake_plex


def open_index(plex: FakePlex, folder: Path) -> plexindex.Index:
    """An index of the server's."""
    return plexindex.open(folder, server_url=plex.url, token=plex.token, retry_for=0)


def test_an_index_finds_each_kind_of_file(tmp_path: Path) -> None:
    files = {
        "Movies": MOVIE,
        "TV": "/media/tv/A Show (2010)/Season 02/A Show (2010) - S02E03 - Third.mkv",
        "Music": "/media/music/A Band/First (1999)/01 - Opener.flac",
        "Photos": "/media/photos/2001/IMG_0001.jpg",
    }
    with FakePlex({name: [file] for name, file in files.items()}) as plex, open_index(plex, tmp_path) as index:
        titles = {name: index.match(file, name).title for name, file in files.items()}
        assert titles == {"Movies": "Big Buck Bunny", "TV": "Third", "Music": "Opener", "Photos": "IMG_0001"}
        episode = index.match(files["TV"], "TV").item
        assert episode is not None
        assert (episode.show_title, episode.season, episode.episode) == ("A Show", 2, 3)


def test_changes_reach_an_index(plex_of_movies: FakePlex, tmp_path: Path) -> None:
    with open_index(plex_of_movies, tmp_path) as index:
        index.refresh()
        cursor = index.changes().cursor
        key = plex_of_movies.add("Movies", "/media/movies/Sintel (2010).mkv", guids=["imdb://tt1727587"])
        plex_of_movies.move(MOVIE, "/media/movies/bbb.mkv")
        index.refresh(full=True)
        assert index.match("/media/movies/Sintel (2010).mkv", "Movies").rating_key == str(key)
        assert index.match_guid("imdb://tt1727587", "Movies").rating_key == str(key)
        assert {(change.change, change.path) for change in index.changes(cursor)} == {
            ("added", "/media/movies/Sintel (2010).mkv"),
            ("moved", "/media/movies/bbb.mkv"),
        }
        plex_of_movies.remove(key)
        index.refresh(full=True)
        assert not index.match("/media/movies/Sintel (2010).mkv", "Movies")


def test_a_file_with_another_path_is_another_part() -> None:
    """Tools that look for replaced files compare the keys of parts."""

    def parts(plex: FakePlex) -> list[str]:
        return [media["Part"][0]["key"] for media in plex.item(101)["Media"]]

    other = "/media/movies/Big Buck Bunny (2008) - 4K.mkv"
    with FakePlex({"Movies": [MOVIE, other]}) as plex:
        first, second = parts(plex)
        plex.set(101, title="Another title")
        assert parts(plex) == [first, second]
        plex.move(MOVIE, "/media/movies/Big Buck Bunny (2008) - 1080p.mkv")
        moved, stayed = parts(plex)
        assert moved not in (first, second)
        assert stayed == second


def test_events_arrive(plex_of_movies: FakePlex, tmp_path: Path) -> None:
    with open_index(plex_of_movies, tmp_path) as index:
        index.refresh()
        cursor = index.changes().cursor
        index.watch_start()
        found: list[Any] = []
        reader = threading.Thread(target=lambda: found.append(next(iter(index.watch_changes(cursor)))), daemon=True)
        reader.start()
        # A stream that is not open yet misses the event, so it is sent until it arrived.
        for number in range(100):
            if reader.is_alive():
                plex_of_movies.add("Movies", f"/media/movies/Film {number} (2001).mkv")
                reader.join(0.2)
        assert found and found[0].change == "added"


def test_events_arrive_over_a_websocket(plex_of_movies: FakePlex) -> None:
    """As plexapi's alert listener reads them."""
    plex = plex_of_movies
    with socket.create_connection(("127.0.0.1", int(plex.url.rpartition(":")[2])), timeout=10) as client:
        key = base64.b64encode(b"0123456789abcdef").decode()
        client.sendall(
            f"GET /:/websockets/notifications?X-Plex-Token={plex.token} HTTP/1.1\r\nHost: plex\r\n"
            f"Upgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        stream = client.makefile("rb")
        head = b"".join(iter(stream.readline, b"\r\n"))
        assert head.startswith(b"HTTP/1.1 101")
        assert (
            b"Sec-WebSocket-Accept: "
            + base64.b64encode(
                hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()  # noqa: S324
            )
            in head
        )
        # The listener is there before its head is sent.
        plex.remove(MOVIE)
        kind, length, long_length = struct.unpack("!BBH", stream.read(4))
        assert (kind, length) == (0x81, 126)
        note = json.loads(stream.read(long_length))["NotificationContainer"]
        assert (note["type"], note["TimelineEntry"][0]["state"]) == ("timeline", 9)


def test_a_server_that_fails_is_away_or_refuses(plex_of_movies: FakePlex, tmp_path: Path) -> None:
    plex = plex_of_movies
    with open_index(plex, tmp_path) as index:
        plex.fail(500)
        with pytest.raises(plexindex.ServerError):
            index.refresh()
        index.refresh()
        plex.token = "another"
        with pytest.raises(plexindex.UnauthorizedError):
            index.refresh(full=True)
        index.token = "another"
        index.refresh(full=True)
        address = plex.url
        plex.stop()
        with pytest.raises(plexindex.ConnectError):
            index.refresh(full=True)
        plex.start()
        assert plex.url == address


def test_a_silent_server_is_given_up(plex_of_movies: FakePlex, tmp_path: Path) -> None:
    with open_index(plex_of_movies, tmp_path) as index:
        plex_of_movies.pause()
        with pytest.raises(plexindex.TimeoutError):
            index.refresh(deadline=0.2)
        # A deadline that is too short looks the same; this tells them apart.
        assert index.match(MOVIE, deadline=0.2).status == "needs_warm"
        with pytest.raises(plexindex.TimeoutError):
            index.server(deadline=0.2)
        plex_of_movies.resume()
        index.refresh()


def test_a_folder_is_a_library(tmp_path: Path) -> None:
    media = tmp_path / "tv" / "A Show" / "Season 01"
    media.mkdir(parents=True)
    for name in ("A Show - S01E01.mkv", "A Show - S01E02.mkv", "notes.txt"):
        (media / name).touch()
    with FakePlex({"TV": tmp_path / "tv"}) as plex, open_index(plex, tmp_path / "cache") as index:
        episodes = [index.match(path, "TV") for path in sorted(media.glob("*.mkv"))]
        assert [match.title for match in episodes] == ["Episode 1", "Episode 2"]
        assert not index.match(media / "notes.txt", "TV")


def test_paths_may_be_of_any_kind(tmp_path: Path) -> None:
    here = tmp_path / "films"
    here.mkdir()
    (here / "Film (2001).mkv").touch()
    for folder in (here, str(here)):
        with FakePlex({"Films": folder}) as plex:
            assert plex.item(here / "Film (2001).mkv")["title"] == "Film"
    one, two, three = (Path(f"/media/{name} (2001).mkv") for name in ("One", "Two", "Three"))
    with FakePlex({"Films": [one]}) as plex:
        key = plex.add("Films", two)
        plex.set(two, title="Other")
        plex.move(two, three)
        assert (plex.item(three)["ratingKey"], plex.item(str(three))["title"]) == (str(key), "Other")
        plex.remove(one)
        with pytest.raises(LookupError):
            plex.item(one)


def test_a_scan_reads_the_folder_of_a_library(tmp_path: Path) -> None:
    from plexapi.server import PlexServer

    first, second = tmp_path / "Film (2001).mkv", tmp_path / "Another (2002).mkv"
    first.touch()
    with FakePlex({"Movies": tmp_path}) as plex:
        section = PlexServer(plex.url, plex.token).library.section("Movies")
        second.touch()
        assert [item.title for item in section.all()] == ["Film"]
        section.update()
        assert [item.title for item in section.all()] == ["Another", "Film"]
        first.unlink()
        section.update()
        assert [item.title for item in section.all()] == ["Another"]


def test_a_file_of_several_episodes(tmp_path: Path) -> None:
    file = "/media/tv/Show/Season 01/Show - S01E01-E03 - Together.mkv"
    with FakePlex({"TV": [file]}) as plex, open_index(plex, tmp_path) as index:
        match = index.match(file)
        assert match.reason_code == "several_episodes"
        assert [item.episode for item in match.candidates] == [1, 2, 3]
        assert match.title == "Together"


def test_servers_are_told_apart(tmp_path: Path) -> None:
    other = "/media/movies/Another (2001).mkv"
    with FakePlex({"Movies": [MOVIE]}) as one, FakePlex({"Movies": [other, MOVIE]}) as two:
        for plex in (one, two):
            with open_index(plex, tmp_path) as index:
                assert index.match(MOVIE).rating_key == plex.item(MOVIE)["ratingKey"]


def test_requests_of_one_kind_fail(plex_of_movies: FakePlex, tmp_path: Path) -> None:
    plex_of_movies.fail(503, path="/all")
    with open_index(plex_of_movies, tmp_path) as index:
        assert [library.title for library in index.libraries()] == ["Movies"]
        with pytest.raises(plexindex.ServerError):
            index.refresh()
        index.refresh()


def test_watched_states(plex_of_movies: FakePlex) -> None:
    from plexapi.server import PlexServer

    movie = PlexServer(plex_of_movies.url, plex_of_movies.token).library.section("Movies").all()[0]
    movie.markPlayed()
    assert plex_of_movies.item(MOVIE)["viewCount"] == 1
    assert movie.reload().isPlayed
    movie.updateProgress(60_000)
    assert plex_of_movies.item(MOVIE)["viewOffset"] == 60_000
    movie.rate(8.0)
    movie.markUnplayed()
    row = plex_of_movies.item(MOVIE)
    assert row["userRating"] == 8.0
    assert "viewCount" not in row


def test_wrong_arguments_are_told(plex_of_movies: FakePlex) -> None:
    with pytest.raises(ValueError, match="'films' is no type of a library: give one of movie"):
        plex_of_movies.add_library("Films", kind="films")
    with pytest.raises(LookupError, match="no library 'Films': there are 'Movies'"):
        plex_of_movies.add("Films", MOVIE)
    with pytest.raises(TypeError, match="libraries must be a mapping of names to files, not list"):
        FakePlex([MOVIE])  # type: ignore[arg-type]
    with pytest.raises(NotADirectoryError, match="is no folder of this machine: give one, or a list of paths"):
        FakePlex({"Movies": MOVIE})
    with pytest.raises(LookupError, match="no item has the file '/no'"):
        plex_of_movies.remove("/no")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{plex_of_movies.url}/nonsense?X-Plex-Token={plex_of_movies.token}")


def test_an_offline_index_without_libraries_names_the_remedy(plex_of_movies: FakePlex, tmp_path: Path) -> None:
    options: dict[str, Any] = {"server_url": plex_of_movies.url, "token": plex_of_movies.token}
    remedy = r"give server_url and token, .*, or drop the offline flag"
    for given in ({}, {**options, "offline": True}):
        with plexindex.open(tmp_path, **given) as index, pytest.raises(plexindex.OfflineError, match=remedy):
            index.record_match("/host/film.mkv", "1", "Movies")
    with plexindex.open(tmp_path, **options) as index:
        index.refresh()
        key = index.library("Movies").match(MOVIE).rating_key
    # What a test of a host does: the libraries are known, so a match is recorded without the server.
    with plexindex.open(tmp_path, **options, offline=True) as index:
        index.record_match("/host/film.mkv", str(key), "Movies")
        assert index.match("/host/film.mkv").match_kind == "confirmed"


def test_a_test_as_the_readme_has_it(tmp_path: Path) -> None:
    """The lines of README run, without a plug-in that loads by itself."""
    readme = Path(__file__).resolve().parents[2] / "bindings" / "python" / "README.md"
    blocks = readme.read_text(encoding="utf-8").split("```python\n")[1:]
    code = next(text.split("```")[0] for text in blocks if "import FakePlex" in text.split("```")[0])
    test = tmp_path / "test_readme.py"
    test.write_text(code, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(test)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
