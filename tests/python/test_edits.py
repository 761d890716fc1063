"""Batch edits: on the wire what the `plexapi` client sends, and a report of what was done."""

from __future__ import annotations

import plexindex
import pytest
from conftest import Server


def edits(server: Server) -> list[tuple[str, str]]:
    """Method and target of the edits since the last reset, as they came over the wire."""
    return [(entry["method"], entry["target"]) for entry in server.get("log") if entry["kind"] == "edit"]


@pytest.fixture
def ready(index: plexindex.Index, server: Server) -> plexindex.Index:
    """An index that was fetched; nothing counted yet."""
    index.refresh()
    server.reset()
    return index


def test_a_failure_says_what_was_done(ready: plexindex.Index, server: Server) -> None:
    keys = [row["ratingKey"] for row in server.paths()[:250]]
    server.fault(kind="edit", skip=1, action="status", status=403)
    with pytest.raises(plexindex.UnauthorizedError, match="owner") as caught:
        ready.edit_items(keys, {"title": "x"}, "Movies")
    report = caught.value.report
    assert report is not None
    assert (report.done, report.failed, report.left) == (keys[:100], keys[100:200], keys[200:])
    assert server.requests() == 2


@pytest.mark.parametrize(
    "fields",
    [{"label": "watched"}, {"Label": ["watched"]}, {"year": "abc"}, {"title": ["A"]}],
    ids=str,
)
def test_a_field_that_plex_would_ignore_is_refused(
    ready: plexindex.Index, server: Server, fields: dict[str, str | list[str]]
) -> None:
    with pytest.raises(plexindex.InvalidArgumentError):
        ready.edit_items([server.paths()[0]["ratingKey"]], fields, "Movies")
    assert server.requests() == 0


def test_the_report_counts_one_request(ready: plexindex.Index, server: Server) -> None:
    report = ready.edit_items([server.paths()[0]["ratingKey"]], {"label": ["watched"], "year": "1999"}, "Movies")
    assert repr(report) == "<plexindex.EditReport: 1 done, 1 request>"
