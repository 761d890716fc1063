"""Batch edits: on the wire what the `plexapi` client sends, and a report of what was done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import plexindex
import pytest
from conftest import Server

Edit = Callable[[plexindex.Index, list[str]], plexindex.EditReport]


def edits(server: Server) -> list[tuple[str, str]]:
    """Method and target of the edits since the last reset, as they came over the wire."""
    return [(entry["method"], entry["target"]) for entry in server.get("log") if entry["kind"] == "edit"]


@pytest.fixture
def ready(index: plexindex.Index, server: Server) -> plexindex.Index:
    """An index that was fetched; nothing counted yet."""
    index.refresh()
    server.reset()
    return index


SAME: list[tuple[str, Callable[[Any], object], Edit]] = [
    (
        "a title",
        lambda section: section.editTitle("New / title & more: ü~!*'()"),
        lambda index, keys: index.edit_items(keys, {"title": "New / title & more: ü~!*'()"}, "Movies"),
    ),
    (
        "several fields",
        lambda section: section.editTitle("T").editSummary("S\nS").editSortTitle("").editContentRating("12"),
        lambda index, keys: index.edit_items(
            keys, {"summary": "S\nS", "contentRating": "12", "title": "T", "titleSort": ""}, "Movies"
        ),
    ),
    (
        "unlocked",
        lambda section: section.editTitle("T", locked=False).editStudio("", locked=False),
        lambda index, keys: index.edit_items(keys, {"title": "T", "studio": ""}, "Movies", locked=False),
    ),
    (
        "tags",
        lambda section: section.addGenre(["Drama", "Film Noir", "A,B"]).addLabel("Ä/b"),
        lambda index, keys: index.edit_items(
            keys, {"genre": ["Drama", "Film Noir", "A,B"], "label": ["Ä/b"]}, "Movies"
        ),
    ),
    (
        "many tags",
        lambda section: section.addCollection([f"c{number}" for number in range(12)]),
        lambda index, keys: index.edit_items(keys, {"collection": [f"c{number}" for number in range(12)]}, "Movies"),
    ),
    (
        "tags removed",
        lambda section: section.removeLabel(["Old, older", "x/y", "ü"]).removeGenre("Drama", locked=True),
        lambda index, keys: index.edit_items(
            keys, library="Movies", remove={"label": ["Old, older", "x/y", "ü"], "genre": "Drama"}
        ),
    ),
    (
        "fields and tags",
        lambda section: section.editTitle("T").addCollection("C").removeGenre("G").addLabel("L"),
        lambda index, keys: index.edit_items(
            keys, {"title": "T", "collection": ["C"], "label": ["L"]}, "Movies", remove={"genre": "G"}
        ),
    ),
    (
        "tags unlocked",
        lambda section: section.addGenre("G", locked=False),
        lambda index, keys: index.edit_items(keys, {"genre": ["G"]}, "Movies", locked=False),
    ),
]


@pytest.mark.parametrize(("theirs", "ours"), [pair[1:] for pair in SAME], ids=[pair[0] for pair in SAME])
def test_the_bytes_are_those_of_plexapi(
    ready: plexindex.Index, server: Server, theirs: Callable[[Any], object], ours: Edit
) -> None:
    client = pytest.importorskip("plexapi.server").PlexServer(server.url, server.token)
    section = client.library.section("Movies")
    items = section.all()[:3]
    section.batchMultiEdits(items)
    theirs(section)
    section.saveMultiEdits()
    expected = edits(server)
    assert len(expected) == 1
    server.reset()
    report = ours(ready, [str(item.ratingKey) for item in items])
    assert edits(server) == expected
    assert (len(report.done), report.requests) == (3, 1)


def test_a_lock_alone_is_what_plexapi_sends_as_such(ready: plexindex.Index, server: Server) -> None:
    client = pytest.importorskip("plexapi.server").PlexServer(server.url, server.token)
    section = client.library.section("Movies")
    items = section.all()[:2]
    for lock in (1, 0):
        section.multiEdit(items, **{"title.locked": lock})
    expected = edits(server)
    server.reset()
    for locked in (True, False):
        ready.edit_items([item.ratingKey for item in items], {"title": None}, "Movies", locked=locked)
    assert edits(server) == expected


def test_episodes_are_sent_as_plexapi_does(ready: plexindex.Index, server: Server) -> None:
    client = pytest.importorskip("plexapi.server").PlexServer(server.url, server.token)
    section = client.library.section("TV Shows")
    episodes = section.searchEpisodes(maxresults=4)
    server.reset()
    section.batchMultiEdits(episodes)
    section.editSummary("S")
    section.saveMultiEdits()
    expected = edits(server)
    server.reset()
    ready.library("TV Shows").edit_items([episode.ratingKey for episode in episodes], {"summary": "S"})
    assert edits(server) == expected


def test_a_failure_says_what_was_done(ready: plexindex.Index, server: Server) -> None:
    keys = [row["ratingKey"] for row in server.paths()[:250]]
    server.fault(kind="edit", skip=1, action="status", status=403)
    with pytest.raises(plexindex.ForbiddenError, match="owner") as caught:
        ready.edit_items(keys, {"title": "x"}, "Movies")
    report = caught.value.report
    assert report is not None
    assert (report.done, report.failed, report.left) == (keys[:100], keys[100:200], keys[200:])
    assert server.requests() == 2


def test_what_makes_no_sense_is_never_sent(ready: plexindex.Index, server: Server) -> None:
    key = server.paths()[0]["ratingKey"]
    for keys, fields, remove in (
        ([], {"title": "x"}, None),
        ([key], {}, None),
        ([key], None, None),
        ([key], {"genre": []}, None),
        ([key], {"": "x"}, None),
        ([key], {"id": "x"}, None),
        ([key], {"title": "a\0b"}, None),
        ([key], {"title": "\ud800"}, None),
        ([""], {"title": "x"}, None),
        (["1,2"], {"title": "x"}, None),
        ([key], {"title": "x"}, {"title": ["y"]}),
    ):
        with pytest.raises(plexindex.InvalidArgumentError):
            ready.edit_items(keys, fields, "Movies", remove=remove)
    wrong: Any
    for wrong in ({"title": b"x"}, {"title": True}, {"title": object()}, {"genre": [1]}, {1: "x"}):
        with pytest.raises(TypeError):
            ready.edit_items([key], wrong, "Movies")
    with pytest.raises(TypeError, match="list of keys"):
        ready.edit_items("1001", {"title": "x"}, "Movies")
    with pytest.raises(TypeError, match="one library"):
        ready.edit_items([key], {"title": "x"}, None)
    with pytest.raises(TypeError, match="locked"):
        ready.edit_items([key], {"title": "x"}, "Movies", locked=1)  # type: ignore[arg-type]
    with pytest.raises(plexindex.InvalidArgumentError):
        ready.library().edit_items([key], {"title": "x"})
    assert server.requests() == 0
    with pytest.raises(plexindex.NotOnServerError, match="987654") as caught:
        ready.edit_items([key, 987654], {"title": "x"}, "Movies")
    assert caught.value.report is not None
    assert (caught.value.report.missing, caught.value.report.left) == (["987654"], [key])
    assert edits(server) == []
