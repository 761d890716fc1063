# pyright: strict, reportPrivateUsage=false
"""Types that the package computes, which mypy and pyright check, in calls that run.

Each method's own types are those of its signature, which test_names reads, and test_documents calls each method.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Literal, Optional, Protocol

import plexindex
import pytest
from plexindex import aio
from plexindex.testing import FakePlex
from plexindex.types import Stats
from typing_extensions import assert_type

Confidence = Optional[Literal["low", "high"]]
ALIEN, BRAZIL = "/media/Alien (1979).mkv", "/media/Brazil (1985).mkv"


def index_types(index: plexindex.Index, movies: plexindex.Library) -> None:
    match, matches, table = movies.match(ALIEN), movies.match_paths([ALIEN, b"/x.mkv"]), index.table("notes")
    assert_type((match.confidence, match.title), "tuple[Confidence, str | None]")
    assert_type({one.asked: one.sure for one in matches if one.asked and one.sure}, "dict[str, plexindex.Item]")
    assert_type(match.file.size if match.file else None, Optional[int])
    for page in movies.watch(timeout=0):
        assert_type((page.cursor, [change.path for change in page]), "tuple[str | None, list[str | None]]")
    assert_type((matches[0], matches[:1]), "tuple[plexindex.Match, list[plexindex.Match]]")
    assert_type((table.get("a"), table.get("b", 7)), "tuple[bytes | None, bytes | int]")
    assert_type(
        (table.get("a", b""), table.pop("a", None), dict(table)), "tuple[bytes, bytes | None, dict[str, bytes]]"
    )
    assert_type(list(table.items()), "list[tuple[str, bytes]]")
    assert_type([one for one in movies], "list[plexindex.Item]")  # noqa: C416
    assert_type([change for change in movies.changes()], "list[plexindex.Change]")  # noqa: C416
    assert set(index.stats()) == set(Stats.__annotations__)
    assert section_of(movies) == "1"
    assert count(movies) == count(index) == 2
    with pytest.raises(AttributeError, match="section"):
        movies.section = "2"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    index.set_token("another")


def plexapi_types(plex: Any, folder: Path) -> None:
    with plexindex.from_server(plex, folder) as index:
        assert_type(index, plexindex.ServerIndex)
        with plexindex.from_section(plex.library.section("Movies"), folder, timeout=9) as films:
            assert_type(films, plexindex.SectionIndex)
            assert_type(films.match(ALIEN).light, Optional[plexindex.LightItem])


async def aio_types(folder: Path, plex: FakePlex) -> None:
    async with aio.open(folder, plex.url, plex.token) as index:
        assert_type(index, aio.AsyncIndex)
        movies = index.library("Movies")
        assert_type(movies, aio.AsyncLibrary)
        assert_type((movies.title, movies.age, index.is_open), "tuple[str, float | None, bool]")
        assert_type((await movies.match(ALIEN), await index.refresh()), "tuple[plexindex.Match, bool]")
        assert_type(await index.match_paths([ALIEN]), plexindex.Matches)
        assert_type(([item async for item in movies.items()]), "list[plexindex.Item]")
        assert_type(movies.lookup_key(ALIEN), Optional[str])
        assert_type((await index.table("a").get("b", b""), await index.table("a").pop("b", b"")), "tuple[bytes, bytes]")
        assert_type([change async for change in await index.changes(full=True)], "list[plexindex.Change]")
        async with index.watch(timeout=0) as watch:
            assert_type(watch, aio.AsyncWatch)
        assert_type(await index.libraries(), "list[aio.AsyncLibrary]")


class HasSection(Protocol):
    """A host's own interface."""

    @property
    def section(self) -> str: ...


class OwnLibrary(plexindex.Library):
    """A host's own class, which overrides a property."""

    @property
    def uuid(self) -> str:
        return super().uuid.upper()


def count(where: plexindex.Queries) -> int:
    return sum(1 for _ in where.items())


def section_of(library: HasSection) -> str:
    return library.section


def test_types_that_the_package_computes(tmp_path: Path) -> None:
    from plexapi.server import PlexServer  # pyright: ignore[reportMissingTypeStubs]

    with FakePlex({"Movies": [ALIEN, BRAZIL]}) as plex:
        with plexindex.open(tmp_path / "a", plex.url, plex.token) as index:
            index.refresh()
            index_types(index, index.library("Movies"))
        asyncio.run(aio_types(tmp_path / "b", plex))
        plexapi_types(PlexServer(plex.url, plex.token), tmp_path / "c")
