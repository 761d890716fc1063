"""The stand-in server against `plexapi`, an independent witness; test_names and test_compat use both together."""

from __future__ import annotations

import re
import urllib.parse
from pathlib import Path

import plexapi
import plexindex
from conftest import Server, until

SOURCE = "\n".join(path.read_text(encoding="utf-8") for path in Path(plexapi.__file__).parent.glob("*.py"))
# A field that plexapi does not read.
BEYOND_PLEXAPI = {"attribution"}


def test_what_is_asked_is_spelled_as_plexapi_spells_it(server: Server, tmp_path: Path) -> None:
    """The stand-in is ours, so neither notices a misspelling that both share."""
    with plexindex.open(tmp_path, server.url, server.token) as index:
        assert index.library("Movies").match(server.paths(1)[0]["path"])
        with index.watch():
            until(lambda: server.get("stats")["listeners"])
    listed: dict[str, set[str]] = {"excludeElements": set(), "excludeFields": set(), "filters": set()}
    for entry in server.get("log"):
        arguments = urllib.parse.parse_qs(urllib.parse.urlsplit(entry["target"]).query)
        for name in listed.keys() & arguments.keys():
            listed[name].update(",".join(arguments[name]).split(","))
    assert all(listed.values()), listed
    words = {word for words in listed.values() for word in words}
    # As it is, or with `include` before it.
    assert {word for word in words if not re.search(rf"\b(include|_)?{word}\b", SOURCE)} <= BEYOND_PLEXAPI
