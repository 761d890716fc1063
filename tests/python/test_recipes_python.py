"""The recipes of docs/hosts.md in Python that need a whole server, run as they stand."""

from __future__ import annotations

import asyncio
import re
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plexindex
import pytest
from conftest import REPOSITORY
from plexindex.testing import FakePlex

RECIPES = (REPOSITORY / "docs" / "hosts.md").read_text("utf-8")


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[FakePlex], None]:
    """Has ``plexindex.open()`` use this server."""

    def use(plex: FakePlex) -> None:
        for name, value in (("CACHE_DIR", str(tmp_path / "index")), ("SERVER_URL", plex.url), ("TOKEN", plex.token)):
            monkeypatch.setenv(f"PLEXINDEX_{name}", value)

    return use


def recipe(word: str) -> dict[str, Any]:
    """The names that the block with this word defines."""
    (code,) = [
        block for block in re.findall(r"^```python\n(.*?)^```", RECIPES, re.DOTALL | re.MULTILINE) if word in block
    ]
    names: dict[str, Any] = {"__name__": "recipe"}
    exec(compile(code, "docs/hosts.md", "exec"), names)  # noqa: S102
    return names


def test_watched_states_of_one_server_on_another(tmp_path: Path) -> None:
    server = pytest.importorskip("plexapi.server").PlexServer
    copy_watched = recipe("copy_watched")["copy_watched"]
    films = [f"/media/films/Film {number} ({2000 + number}).mkv" for number in range(5)]
    with FakePlex({"Films": films}) as one, FakePlex() as other:
        other.add_library("Shows", ["/media/tv/Show/Season 01/Show - S01E01.mkv"])
        other.add_library("Films", [*films[::-1], "/media/films/Another (2020).mkv"])
        for path in films[:3]:
            one.set(path, viewCount=2)
        other.set(films[0], viewCount=1)
        first, second = (server(plex.url, plex.token) for plex in (one, other))
        assert sorted(copy_watched(first, second, "Films", str(tmp_path))) == films[1:3]
        assert [bool(other.item(path).get("viewCount")) for path in films] == [True, True, True, False, False]
        other.requests.clear()
        assert copy_watched(first, second, "Films", str(tmp_path)) == []
        listings = [request for request in other.requests if request.path.endswith("/all")]
        assert listings == []


def test_watched_episodes_of_one_server_on_another(tmp_path: Path) -> None:
    server = pytest.importorskip("plexapi.server").PlexServer
    copy_watched = recipe("copy_watched")["copy_watched"]
    files = [f"/media/tv/Show/Season 01/Show - S01E{name}.mkv" for name in ("01", "02-E03", "04")]
    with FakePlex({"Shows": files}) as one, FakePlex({"Shows": files[::-1]}) as other:
        first, second = (server(plex.url, plex.token) for plex in (one, other))
        for episode in first.library.section("Shows").all(libtype="episode")[:3]:
            episode.markPlayed()
        assert sorted(set(copy_watched(first, second, "Shows", str(tmp_path)))) == files[:2]
        played = [episode.isPlayed for episode in second.library.section("Shows").all(libtype="episode")]
        assert sorted(played) == [False, True, True, True]


def test_in_a_web_service(configure: Callable[[FakePlex], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """With as much of FastAPI as the recipe uses."""

    class HTTPException(Exception):  # noqa: N818
        pass

    class FastAPI:
        def __init__(self, lifespan: Any) -> None:
            self.lifespan, self.state, self.routes = lifespan, types.SimpleNamespace(), {}  # type: ignore[var-annotated]

        def get(self, path: str) -> Any:
            return lambda function: self.routes.setdefault(path, function)

    module = types.ModuleType("fastapi")
    vars(module).update(FastAPI=FastAPI, HTTPException=HTTPException)
    monkeypatch.setitem(sys.modules, "fastapi", module)
    with FakePlex({"Films": ["/media/films/Film (2001).mkv"]}) as plex:
        configure(plex)
        with plexindex.open() as index:
            index.refresh()
        plex.requests.clear()
        app = recipe("fastapi")["app"]

        async def ask() -> None:
            async with app.lifespan(app):
                found = await asyncio.gather(*(app.routes["/item"]("/media/films/Film (2001).mkv") for _ in range(50)))
                assert {one["item"]["title"] for one in found} == {"Film"}
                assert plex.requests == []
                with pytest.raises(HTTPException, match="404"):
                    await app.routes["/item"]("/media/films/None (2001).mkv")

        asyncio.run(ask())
