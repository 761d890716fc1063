"""What the library asks is spelled as Plex spells it.

The stand-in is ours, so neither notices a misspelling that both share. `plexapi` is the independent witness.
"""

from __future__ import annotations

import re
import time
import urllib.parse
from pathlib import Path

import pytest
from conftest import OpenIndex, Server

plexapi = pytest.importorskip("plexapi")

SOURCE = "\n".join(path.read_text(encoding="utf-8") for path in Path(plexapi.__file__).parent.glob("*.py"))


# A field that plexapi does not read.
BEYOND_PLEXAPI = {"attribution"}


def is_known(word: str) -> bool:
    """Whether plexapi has the word, or an `include` argument of that name."""
    return re.search(rf"\b(include|_)?{word}\b", SOURCE) is not None


def test_what_is_asked_is_spelled_as_plexapi_spells_it(open_index: OpenIndex, server: Server) -> None:
    with open_index() as index:
        path = server.paths()[0]["path"]
        assert index.match(path, "Movies")
        index.refresh("Movies")
        with index.watch():
            end = time.monotonic() + 30
            while not server.get("stats")["listeners"]:
                assert time.monotonic() < end, "never listened"
                time.sleep(0.005)
            listed = {"excludeElements": set[str](), "excludeFields": set[str](), "filters": set[str]()}
            for entry in server.get("log"):
                arguments = urllib.parse.parse_qs(urllib.parse.urlsplit(entry["target"]).query)
                for name, values in arguments.items():
                    if name in listed:
                        listed[name].update(",".join(values).split(","))
    assert all(listed.values()), listed
    unknown = {word for words in listed.values() for word in words if not is_known(word)}
    assert unknown <= BEYOND_PLEXAPI
