"""Whether answers say what is so: the reasons that a newcomer met and was misled by."""

from __future__ import annotations

import logging
import socket
import threading
from pathlib import Path
from typing import Any

import plexindex
import pytest
from cli import Cli
from conftest import OpenIndex, Server


def add(server: Server, library: int, *items: dict[str, object]) -> list[str]:
    keys: list[Any] = server.post("items/add", {"library": library, "items": list(items)})["ratingKeys"]
    return [str(key) for key in keys]


@pytest.fixture
def double(server: Server) -> tuple[str, list[str]]:
    """A file with two episodes, the later one added first."""
    file = "/data/tv/Two Hours/Season 01/Two Hours - S01E01-E02.mkv"
    show = {"show": "Two Hours", "season": 1, "files": [file]}
    keys = add(server, 2, {**show, "title": "Second", "episode": 2}, {**show, "title": "First", "episode": 1})
    return file, keys[::-1]


def test_one_file_with_several_episodes_is_found(index: plexindex.Index, double: tuple[str, list[str]]) -> None:
    file, keys = double
    match = index.match(file)
    assert (match.status, match.match_kind, match.confidence, match.reason_code) == (
        "ok",
        "exact",
        "high",
        "several_episodes",
    )
    assert [item.rating_key for item in match.candidates] == keys
    assert (match.rating_key, match.title, match.candidates_total) == (keys[0], "First", 2)
    assert match.message.endswith("has 2 episodes in one file")
    assert match == index.match_paths([file], "TV Shows")[0]


def test_the_doctor_counts_it_as_good(tmp_path: Path, server: Server, double: tuple[str, list[str]]) -> None:
    cli = Cli(tmp_path, server)
    cli.good("warm")
    listed = tmp_path / "paths.txt"
    listed.write_text(double[0])
    values = cli.json("doctor", listed)
    assert (values["exit_code"], values["problems"], values["files"]["match_kinds"]["exact"]) == (0, [], 1)


def test_two_films_on_one_path_are_ambiguous(index: plexindex.Index, server: Server) -> None:
    file = "/data/movies/Same (2001)/Same (2001).mkv"
    add(server, 1, {"title": "Same", "year": 2001, "files": [file]}, {"title": "Same", "year": 2001, "files": [file]})
    match = index.match(file, "Movies")
    assert (match.status, match.reason_code) == ("ambiguous", "several_items")


def test_a_folder_is_called_one(index: plexindex.Index) -> None:
    for folder in ("/data/movies", "/data/movies/", "/data"):
        match = index.match(folder, "Movies")
        assert not match
        assert (
            match.message
            == f"'{folder}' is a folder of library 'Movies': ask what it is (folder), or give the path of a file"
        )


def test_what_may_be_a_folder_is_told_to_be_no_file(index: plexindex.Index) -> None:
    told = "; if it is a folder, ask what it is (folder), or give the path of a file in it"
    for name in ("New Film (2020)", "Mr. Robot", "New.Film.(2020)/", "x."):
        path = f"/data/movies/{name}"
        assert index.match(path, "Movies").message.endswith(f"is not listed (yet){told}"), path
    for path in ("/data/movies/New Film (2020).mkv", "/data/movies/New Film/x.M2TS"):
        assert index.match(path, "Movies").message.endswith("is not listed (yet)"), path


def test_a_path_that_is_not_full_is_called_so(index: plexindex.Index) -> None:
    assert "above 'film.mkv', which is not a full path; their folders" in index.match("film.mkv", "Movies").message
    for path in ("/x/film.mkv", "D:\\x\\film.mkv"):
        assert "not a full path" not in index.match(path, "Movies").message


def test_one_odd_path_proposes_nothing(index: plexindex.Index, server: Server) -> None:
    index.refresh()
    rows = server.paths(1)[:4]
    windows = "D:\\Media" + rows[0]["path"].replace("/", "\\")
    assert index.match(windows).match_kind == "suffix"
    said = index.match("/elsewhere/unknown.mkv").message
    assert "agree on" not in said
    assert said.endswith("a mapping may be missing")
    # Nor onto the root, however many there are; the doctor tries each proposal, and may.
    for row in rows:
        index.match("/mnt" + row["path"])
    assert "agree on" not in index.match("/elsewhere/unknown.mkv").message
    for row in rows[:2]:
        index.match(row["path"].replace("/data/", "/films/"))
    assert "agree on /films -> /data" in index.match("/elsewhere/unknown.mkv").message


def test_a_miss_names_the_library_whose_folder_it_is(index: plexindex.Index, server: Server) -> None:
    index.refresh()
    for row in server.paths(1)[:3]:
        index.match(row["path"].replace("/data/movies", "/mnt/films"), "Movies")
    match = index.match("/data/tv/Show/none.mkv", "Movies")
    assert match.reason_code == "no_location"
    assert "is in a folder of library 'TV Shows', but you asked 'Movies': ask that library, or all" in match.message
    # What other libraries' answers tell is no mapping for this one.
    assert "agree on /mnt/films -> /data/movies" in index.match("/elsewhere/x.mkv", "Movies").message
    assert "agree on" not in index.match("/elsewhere/x.mkv", "TV Shows").message


def test_a_path_may_be_put_together_untidily(index: plexindex.Index, server: Server) -> None:
    movies, row = index.library("Movies"), server.paths(1)[0]
    for path in ("/data//movies/", "/data/./movies/", "///data/movies//./"):
        asked = row["path"].replace("/data/movies/", path)
        match = movies.match(asked)
        assert (match.rating_key, match.match_kind, match.confidence) == (row["ratingKey"], "exact", "high"), path
        # What the host said of this very spelling goes first.
        movies.record_match(asked, server.paths(1)[1]["ratingKey"])
        assert movies.match(asked).rating_key == server.paths(1)[1]["ratingKey"]
        movies.invalidate_path(asked)
        server.reset()
        assert movies.match(asked).rating_key == row["ratingKey"]
        assert server.requests() == 1, "an invalidated path is verified"


def test_what_a_search_for_a_title_says_is_so(index: plexindex.Index, server: Server) -> None:
    add(
        server,
        1,
        {"title": "Quux", "year": 2001, "files": ["/data/movies/q.mkv"]},
        {"title": "Quux Returns Again", "year": 2002, "files": ["/data/movies/q2.mkv"]},
        {"title": "Quux Returns Twice", "year": 2003, "files": ["/data/movies/q3.mkv"]},
    )
    movies = index.library("Movies")
    assert movies.search_title("quux").message == ""
    match = movies.search_title("returns quux")
    assert (match.status, match.message) == ("ambiguous", "no item has the title 'returns quux': 2 have all its words")
    match = movies.search_title("again quux")
    assert (match.status, match.message) == ("ok", "no item has the title 'again quux': 1 has all its words")
    match = movies.search_title("nothing at all")
    assert match.message == "no item of these libraries has the title 'nothing at all', or all its words in its title"


def test_a_server_that_cannot_be_reached_is_said_at_once(open_index: OpenIndex) -> None:
    index = open_index(server_url="http://127.0.0.1:1", retry_for=60)
    told = threading.Event()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "127.0.0.1:1" in record.getMessage() and "trying again" in record.getMessage():
                told.set()

    logger, listener = logging.getLogger("plexindex"), Listener()
    logger.addHandler(listener)

    def ask() -> None:
        with pytest.raises(plexindex.ClosedError):
            index.match("/x.mkv", "Movies")

    asked = threading.Thread(target=ask)
    try:
        asked.start()
        assert told.wait(20), "the call goes on, and nothing was said"
        assert asked.is_alive()
    finally:
        index.close()
        asked.join()
        logger.removeHandler(listener)


def test_a_silent_server_is_said_at_a_terminal(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        react = lambda seen: "\x03" if "waiting" in seen else ""  # noqa: E731
        code, seen = cli.at_terminal("warm", "--url", url, react=react)
    assert code == 130
    assert f"\r{url}  waiting" in seen
    assert "interrupted" in seen


def test_why_a_path_that_leads_up_is_of_low_confidence(index: plexindex.Index, server: Server) -> None:
    path = server.paths(1)[0]["path"].replace("/data/movies/", "/data/movies/x/../")
    match = index.match(path, "Movies")
    assert match.confidence == "low"
    assert "'..' in it is taken as it stands, since a link may lead elsewhere" in match.message
