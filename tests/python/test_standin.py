"""The stand-in server against the real `plexapi` client. Rust's tests prove the stand-in's own behaviour.

The tests that every server has to pass are in `real_client`.
"""

from __future__ import annotations

import math
import re
import urllib.parse
from pathlib import Path
from typing import Any

import plexindex
import pytest
from conftest import Server as ServerProcess
from conftest import ServerFactory, until

plexapi = pytest.importorskip("plexapi")

from plexapi.exceptions import BadRequest  # noqa: E402
from plexapi.server import PlexServer  # noqa: E402
from real_client import *  # noqa: E402, F403
from real_client import RealClientServer  # noqa: E402


class Standin(RealClientServer):
    def __init__(self, server: ServerProcess) -> None:
        self.control, self.url, self.token = server, server.url, server.token

    def counted(self) -> dict[str, int]:
        counts = self.control.get("stats")["requests"]
        self.control.reset()
        return {kind: count for kind, count in counts.items() if count}

    def files(self, section: int) -> list[dict[str, Any]]:
        return self.control.paths(section)


@pytest.fixture
def server(start_server: ServerFactory) -> Standin:
    arguments = "--plain --movies 250 --episodes 45 --tracks 25 --photos 120"
    return Standin(start_server(*arguments.split()))


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
    assert part.exists
    assert part.accessible
    assert part.streams[0].codec == "h264"
    # plexapi reloads an item that lacks an attribute.
    assert [one.labels for one in items[1:]] == [[], []]
    assert server.counted() == {"metadata": 2}


SOURCE = "\n".join(path.read_text(encoding="utf-8") for path in Path(plexapi.__file__).parent.glob("*.py"))
# A field that plexapi does not read.
BEYOND_PLEXAPI = {"attribution"}


def test_what_is_asked_is_spelled_as_plexapi_spells_it(server: Standin, tmp_path: Path) -> None:
    """The stand-in is ours, so neither notices a misspelling that both share. `plexapi` is the independent witness."""
    with plexindex.open(tmp_path, server.url, server.token) as index:
        assert index.match(server.files(1)[0]["path"], "Movies")
        with index.watch():
            until(lambda: server.control.get("stats")["listeners"])
    listed: dict[str, set[str]] = {"excludeElements": set(), "excludeFields": set(), "filters": set()}
    for entry in server.control.get("log"):
        arguments = urllib.parse.parse_qs(urllib.parse.urlsplit(entry["target"]).query)
        for name in listed.keys() & arguments.keys():
            listed[name].update(",".join(arguments[name]).split(","))
    assert all(listed.values()), listed
    words = {word for words in listed.values() for word in words}
    # As it is, or with `include` before it.
    assert {word for word in words if not re.search(rf"\b(include|_)?{word}\b", SOURCE)} <= BEYOND_PLEXAPI
