"""What the host sees when Plex fails or refuses, and when the index of the drop-in cannot be used."""

from __future__ import annotations

import pickle
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from compat_world import caches, close_indexes, outcome, refresh
from conftest import Server, ServerFactory
from plexapi.server import PlexServer
from plexindex._compat import host_errors as _host_errors
from plexindex.compat import find_plex_items_with_confidence


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
    monkeypatch.setattr(_host_errors, "_warned", set())
    given = caches(tmp_path)
    world.fault(contains=refused, action="status", status=status, count=0)
    for row in world.paths()[3:5]:
        assert outcome(movies, row["path"], given)[:2] == ("high", f"/library/metadata/{row['ratingKey']}")
    for _ in range(2):
        assert outcome(movies, "/nowhere/Nothing (2020).mkv", given)[0] == "none"
    told = [line for line in host_lines if "continuing without the search" in line]
    assert len(told) <= 1
    if status != 400 and refused == "file=":
        cause = f"Plex, or a proxy in front of Plex, fails a search ({status}) but answers other requests"
        assert told == [f"w {cause}: continuing without the search"]


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
    assert said.startswith(f"w Plex rejects all requests ({status}), and the jobs wait: check plex_token")
    world.post("faults/clear")
    assert item.title == rows[0]["title"], "nothing was lost"
