"""Each public method has an example in its documentation, and the examples run."""

from __future__ import annotations

import doctest
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import plexindex
import pytest
from plexapi.server import PlexServer
from plexindex.testing import FakePlex

FILMS = ["/films/Sintel (2010).mkv", "/films/Big Buck Bunny (2008).mkv"]
EPISODES = [f"/tv/Alpha/Season 1/Alpha - S01E0{number}.mkv" for number in (1, 2)]
# They need PostgreSQL: docs/several-hosts.md.
SHARED = ("Index.shared_init", "Index.shared_deliver", "Index.shared_clear", "Index.shared_drop_old")


def public_functions() -> Iterator[tuple[str, Any]]:
    """Functions, and methods where they are defined, by their names."""
    for thing in (getattr(plexindex, name) for name in plexindex.__all__):
        for owner in inspect.getmro(thing) if isinstance(thing, type) else ():
            for name, value in vars(owner).items() if owner.__module__.startswith("plexindex") else ():
                method = getattr(value, "__func__", value)
                if name[0] != "_" and inspect.isfunction(method):
                    yield f"{owner.__name__}.{name}", method
        if inspect.isfunction(thing):
            yield thing.__name__, thing


@pytest.fixture
def names(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What the examples use."""
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / "New (2024).mkv").write_bytes(b"x")
    with (
        FakePlex({"Movies": FILMS, "TV Shows": EPISODES}) as plex,
        plexindex.open(tmp_path / "store", plex.url, plex.token) as index,
    ):
        index.refresh()
        movies, shows, table = index.library("Movies"), index.library("TV Shows"), index.table("settings")
        table["a"] = b"1"
        found = {"plexindex": plexindex, "plex": plex, "server": PlexServer(plex.url, plex.token), "folder": folder}
        found |= {"index": index, "movies": movies, "shows": shows, "table": table, "cache_dir": tmp_path / "other"}
        yield {**found, "item": movies.match(FILMS[0]).require()}


@pytest.mark.parametrize("name", sorted(dict(public_functions()).keys() - set(SHARED)))
def test_each_public_method_has_an_example_that_runs(name: str, names: dict[str, Any]) -> None:
    example = doctest.DocTestParser().get_doctest(
        inspect.getdoc(dict(public_functions())[name]) or "", names, name, None, None
    )
    assert example.examples
    printed: list[str] = []
    doctest.DocTestRunner(verbose=False).run(example, out=printed.append)
    assert printed == []
