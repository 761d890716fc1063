"""What the host sees when Plex fails or refuses, and when the index of the drop-in cannot be used."""

from __future__ import annotations

import pickle
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import plexindex
import pytest
from compat_world import caches, close_indexes, outcome, refresh
from conftest import Server, ServerFactory
from plexapi.exceptions import BadRequest, Unauthorized
from plexapi.server import PlexServer
from plexindex import _find, _host_errors, _tables
from plexindex.compat import MatchCache, PlexCache, find_plex_items_with_confidence


@pytest.fixture(autouse=True)
def no_open_indexes() -> Iterator[None]:
    yield
    close_indexes()


@pytest.fixture
def world(start_server: ServerFactory) -> Server:
    return start_server("--movies", "300", "--episodes", "120", "--tracks", "100")


@pytest.fixture
def movies(world: Server) -> Any:
    return PlexServer(world.url, world.token).library.section("Movies")


@pytest.fixture
def listed(movies: Any, tmp_path: Path) -> Callable[[], None]:
    return lambda: refresh(movies, tmp_path)


class ServerDown(Exception):  # noqa: N818
    """As Stash2Plex's."""


@pytest.fixture
def _server_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host's module of exceptions is loaded."""
    host: Any = types.ModuleType("plex.exceptions")
    host.PlexServerDown = ServerDown
    monkeypatch.setitem(sys.modules, "plex.exceptions", host)


@pytest.mark.usefixtures("_server_down")
@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_server_that_is_busy_makes_the_host_wait(
    world: Server, movies: Any, tmp_path: Path, listed: Callable[[], None], status: int
) -> None:
    given, rows = caches(tmp_path), world.paths()
    listed()
    item = find_plex_items_with_confidence(movies, rows[0]["path"], **given)[1]
    shows = PlexServer(world.url, world.token).library.section("TV Shows")
    world.fault(action="status", status=status, count=0)
    for ask in (
        lambda: item.title,
        lambda: find_plex_items_with_confidence(movies, "/nowhere/Nothing.mkv", **given),
        lambda: find_plex_items_with_confidence(shows, "/nowhere/Nothing.mkv", **given),
    ):
        with pytest.raises(ServerDown, match=f"Plex answered {status}") as caught:
            ask()
        assert isinstance(caught.value, ConnectionError)
        assert type(pickle.loads(pickle.dumps(caught.value))) is type(caught.value)  # noqa: S301
    world.post("faults/clear")
    assert item.title == rows[0]["title"], "nothing was lost"


def test_what_fails_for_one_item_is_no_server_that_is_down(world: Server, movies: Any, tmp_path: Path) -> None:
    world.fault(action="status", status=500, count=0)
    with pytest.raises(ConnectionError, match="Plex answered 500") as caught:
        find_plex_items_with_confidence(movies, "/nowhere/Nothing.mkv", **caches(tmp_path))
    assert type(caught.value) is plexindex.ConnectError


def test_a_server_that_fails_with_file_names_is_asked_for_titles(world: Server, movies: Any, tmp_path: Path) -> None:
    given = caches(tmp_path)
    world.fault(contains="file=", action="status", status=500, count=0)
    row = world.paths()[3]
    assert outcome(movies, row["path"], given) == (
        "high",
        f"/library/metadata/{row['ratingKey']}",
        (f"/library/metadata/{row['ratingKey']}",),
    )
    assert outcome(movies, "/nowhere/Nothing (2020).mkv", given)[0] == "none"


@pytest.mark.usefixtures("_server_down")
@pytest.mark.parametrize("status", [400, 401, 403, 500])
@pytest.mark.parametrize("refused", ["file=", "title="])
def test_a_search_that_is_refused_fails_no_job(
    world: Server,
    movies: Any,
    tmp_path: Path,
    host_lines: list[str],
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    refused: str,
) -> None:
    """A proxy may refuse a parameter. Plexapi's error for that would send each job to the DLQ at once."""
    monkeypatch.setattr(_host_errors, "_told", set())
    given = caches(tmp_path)
    world.fault(contains=refused, action="status", status=status, count=0)
    for row in world.paths()[3:5]:
        assert outcome(movies, row["path"], given)[:2] == ("high", f"/library/metadata/{row['ratingKey']}")
    for _ in range(2):
        assert outcome(movies, "/nowhere/Nothing (2020).mkv", given)[0] == "none"
    told = [line for line in host_lines if "it is asked without" in line]
    assert len(told) <= 1
    if status != 400 and refused == "file=":
        assert told == [
            f"w Plex, or a proxy before it, fails a search ({status}) and answers other requests: it is asked without"
        ]


@pytest.mark.usefixtures("_server_down")
@pytest.mark.parametrize("action", ["login_page", "garbage"])
def test_a_search_that_is_answered_with_something_else_is_in_the_log(
    world: Server,
    movies: Any,
    tmp_path: Path,
    host_lines: list[str],
    monkeypatch: pytest.MonkeyPatch,
    action: str,
) -> None:
    monkeypatch.setattr(_host_errors, "_told", set())
    given = caches(tmp_path)
    world.fault(contains="file=", action=action, count=0)
    for _ in range(2):
        assert outcome(movies, "/nowhere/Nothing (2020).mkv", given)[0] == "none"
    (told,) = [line for line in host_lines if "it is asked without" in line]
    assert told.startswith("w Plex, or a proxy before it, fails a search (ParseError)")


def test_a_certificate_that_only_the_host_trusts_is_in_the_log(
    movies: Any, world: Server, tmp_path: Path, host_lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def distrust(*_: Any, **__: Any) -> Any:
        raise plexindex.TlsError("the certificate was refused: name its authority with ca_file")

    monkeypatch.setattr(_find.Finder, "_answer_of", distrust)
    given = caches(tmp_path)
    for row in world.paths()[3:5]:
        assert outcome(movies, row["path"], given)[0] == "high"
    (said,) = [line for line in host_lines if "cannot be used" in line]
    assert said.startswith("w The index cannot be used, so Plex is asked for each file: it refuses the certificate")
    # The advice is what a user of the host can do. The index's own options are none of it.
    assert all(word in said for word in ("plex_url", "plex.direct", "REQUESTS_CA_BUNDLE"))
    assert "ca_file" not in said


@pytest.mark.usefixtures("_server_down")
@pytest.mark.parametrize("status", [502, 503, 504])
def test_one_item_that_cannot_be_had_holds_up_no_other(
    world: Server, movies: Any, tmp_path: Path, listed: Callable[[], None], status: int
) -> None:
    # A proxy says 504 of an item that takes long, and 502 of one that ends Plex. A host must not wait for it.
    given, row = caches(tmp_path), world.paths()[0]
    listed()
    item = find_plex_items_with_confidence(movies, row["path"], **given)[1]
    world.fault(kind="metadata", action="status", status=status, count=0)
    with pytest.raises(ConnectionError, match=f"Plex answered {status}") as caught:
        assert item.title
    assert type(caught.value) is plexindex.ConnectError


def test_a_refused_token_is_no_server_that_is_down(world: Server, movies: Any, tmp_path: Path) -> None:
    """A host without an exception that makes it wait gets plexapi's."""
    world.fault(action="status", status=401, count=0)
    with pytest.raises(Unauthorized):
        find_plex_items_with_confidence(movies, "/nowhere/Nothing.mkv", **caches(tmp_path))


@pytest.mark.usefixtures("_server_down")
@pytest.mark.parametrize("status", [401, 403])
def test_a_host_that_can_wait_loses_no_job_to_a_refused_token(
    world: Server,
    movies: Any,
    tmp_path: Path,
    listed: Callable[[], None],
    host_lines: list[str],
    monkeypatch: pytest.MonkeyPatch,
    status: int,
) -> None:
    monkeypatch.setattr(_host_errors, "_warned_at", [])
    given, rows = caches(tmp_path), world.paths()
    listed()
    item = find_plex_items_with_confidence(movies, rows[0]["path"], **given)[1]
    shows = PlexServer(world.url, world.token).library.section("TV Shows")
    world.fault(action="status", status=status, count=0)
    for ask in (
        lambda: item.title,
        lambda: find_plex_items_with_confidence(movies, "/nowhere/Nothing.mkv", **given),
        lambda: find_plex_items_with_confidence(shows, "/nowhere/Nothing.mkv", **given),
    ):
        with pytest.raises(ServerDown, match=f"Plex answered {status}"):
            ask()
    # The host says of each that the server is down. So one line says what is wrong.
    (said,) = [line for line in host_lines if line.startswith("w ")]
    assert said.startswith(f"w Plex refuses all requests ({status}), and the jobs wait: check plex_token")
    world.post("faults/clear")
    assert item.title == rows[0]["title"], "nothing was lost"


@pytest.mark.usefixtures("_server_down")
@pytest.mark.parametrize(("status", "error"), [(401, Unauthorized), (403, BadRequest)])
def test_one_item_that_the_token_may_not_see_holds_up_no_other(
    world: Server,
    movies: Any,
    tmp_path: Path,
    listed: Callable[[], None],
    host_lines: list[str],
    status: int,
    error: type[Exception],
) -> None:
    given, row = caches(tmp_path), world.paths()[0]
    listed()
    item = find_plex_items_with_confidence(movies, row["path"], **given)[1]
    world.fault(kind="metadata", action="status", status=status, count=0)
    with pytest.raises(error):
        assert item.title
    assert not [line for line in host_lines if "refuses" in line]


@pytest.mark.usefixtures("_server_down")
def test_a_searched_item_makes_the_host_wait_too(world: Server, movies: Any, tmp_path: Path) -> None:
    # In a library that was never listed, a search gives the item, which is fetched before it is edited.
    item = find_plex_items_with_confidence(movies, world.paths()[0]["path"], **caches(tmp_path))[1]
    world.fault(action="status", status=503, count=0)
    with pytest.raises(ServerDown, match="Plex answered 503"):
        assert item.actors


def test_an_index_that_cannot_be_used_is_in_the_log(
    movies: Any, world: Server, tmp_path: Path, host_lines: list[str]
) -> None:
    (tmp_path / "index").write_text("a file")
    given, row = caches(tmp_path), world.paths()[3]
    for _ in range(2):
        assert outcome(movies, row["path"], given)[0] == "high"
    (said,) = [line for line in host_lines if "cannot be used" in line]
    assert said.replace("File already exists", "File exists") == (  # as Windows says it
        f"w The index cannot be used, so Plex is asked for each file: {tmp_path / 'index'} cannot be made or written "
        "(File exists): remove what is in its place, or make its folder writable for this program"
    )


def test_a_folder_that_no_cache_can_use_is_named_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file, not a folder")
    for cache in (PlexCache, MatchCache):
        with pytest.raises(OSError, match=r"data cannot be made or written .*: remove what is in its place") as caught:
            cache(tmp_path / "data")
        assert "Errno" not in str(caught.value)


def test_a_folder_that_may_not_be_written_is_told_with_a_remedy_of_the_host_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not by the mode of a folder: the tests may run as root.
    def refuse(folder: str, **_: Any) -> Any:
        text = f"cannot write to cache_dir {folder}: Permission denied (os error 13); choose a cache_dir that this "
        raise plexindex.StoreError(text + "user may write")

    monkeypatch.setattr(_tables, "open_index", refuse)
    with pytest.raises(plexindex.StoreError) as caught:
        PlexCache(tmp_path)
    assert str(caught.value) == (
        f"cannot write to the folder {tmp_path}/cache: Permission denied (os error 13); make it, and all in it, "
        "writable for the user that Stash runs as"
    )


def test_a_folder_that_cannot_be_used_stops_nothing(world: Server, movies: Any, tmp_path: Path) -> None:
    given, row = caches(tmp_path), world.paths()[5]
    (tmp_path / "index").write_text("a file, not a folder")
    assert find_plex_items_with_confidence(movies, row["path"], **given)[1].ratingKey == int(row["ratingKey"])
