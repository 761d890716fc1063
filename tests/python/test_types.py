# pyright: strict, reportPrivateUsage=false
"""A program that uses each public name. mypy and pyright check its types, and it runs."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Optional, Protocol

import plexindex
import pytest
from plexindex import aio
from plexindex._core import methods
from plexindex.testing import FakePlex
from plexindex.types import Stats
from typing_extensions import assert_type

PATH = "/data/movies/Sintel (2010)/Sintel (2010).mkv"
Text = Optional[str]


def read_answers(index: plexindex.Index, movies: plexindex.Library) -> plexindex.Item:
    match = movies.match(PATH, timeout=30, offline=False, check=True, progress=lambda _: True)
    assert_type(match, plexindex.Match)
    assert_type((match.message, match.stale, match.age, match.asked), "tuple[str, bool, float | None, str | None]")
    assert_type(match.confidence, Optional[Literal["low", "high"]])
    assert_type(match.error, Optional[plexindex.Error])
    assert_type(match.candidates, "list[plexindex.Item]")
    assert (match.match_kind, match.reason, match.status, match.candidates_total) == ("exact", None, "found", 1)
    assert_type((match.key, match.rating_key, match.ratingKey), "tuple[Text, Text, int | str | None]")
    assert_type((match.title, match.path), "tuple[Text, Text]")
    assert (match.kind, match.light) == ("movie", None)
    assert_type(match.to_dict(), "dict[str, object]")
    file = movies.match(PATH, size=5).file
    assert file is not None
    assert_type((file.path, file.part, file.parts, file.version, file.versions), "tuple[str, int, int, int, int]")
    assert_type((file.size, file.part_id, file.media_id), "tuple[int | None, int | None, int | None]")
    assert_type((file.resolution, file.container, file.duration), "tuple[Text, Text, float | None]")
    assert_type(file.optimized, bool)
    assert_type(file, plexindex.MatchedFile)
    matches = movies.match_paths([PATH, b"/nowhere.mkv"], size=False)
    assert_type(matches, plexindex.Matches)
    assert_type(matches[0], plexindex.Match)
    assert_type(matches[:1], "list[plexindex.Match]")
    assert_type(matches.counts(), "dict[str, int]")
    folder = movies.folder(Path(PATH).parent)
    assert_type(folder, plexindex.FolderMatch)
    assert_type((folder.items, folder.files), "tuple[int, int]")
    assert_type(index.match_guid("plex://movie/1"), plexindex.Match)
    assert_type(movies.search_title("Sintel"), plexindex.Match)
    assert_type(movies.lookup_key(PATH), Text)
    assert_type(movies.lookup_keys([PATH]), "list[str | None]")
    assert_type((match.sure, match.likely), "tuple[plexindex.Item | None, plexindex.Item | None]")
    return match.require()


def read_items(index: plexindex.Index, movies: plexindex.Library, item: plexindex.Item) -> None:
    assert_type((item.key, item.rating_key, item.ratingKey), "tuple[str, str, int | str]")
    assert_type((item.title, item.guid, item.path, item.host_path), "tuple[Text, Text, Text, Text]")
    assert_type((item.show_title, item.show_rating_key, item.show_guid), "tuple[Text, Text, Text]")
    assert_type((item.year, item.season, item.episode), "tuple[int | None, int | None, int | None]")
    assert_type((item.paths, item.key_only), "tuple[tuple[str, ...], bool]")
    assert_type((item.season_key, item.season_title, item.season_guid, item.edition), "tuple[Text, Text, Text, Text]")
    assert_type((item.guids, item.added_at, item.duration), "tuple[tuple[str, ...], int | None, float | None]")
    media, part = item.media[0], item.media[0].parts[0]
    assert_type(media, plexindex.Media)
    assert_type(part, plexindex.MediaPart)
    assert_type((media.media_id, media.resolution, media.container), "tuple[int | None, Text, Text]")
    assert_type((media.duration, media.optimized), "tuple[float | None, bool]")
    assert_type((part.path, part.size, part.part_id), "tuple[str, int | None, int | None]")
    assert_type(movies.shows(), list[plexindex.Show])
    assert_type(movies.seasons(), list[plexindex.Season])
    assert (movies.shows(), movies.seasons()) == ([], [])
    assert (item.kind, item.library_title, item.section, item.light, item.trashed) == (
        "movie",
        "Films",
        "1",
        None,
        False,
    )
    assert_type((item.describe(), item.to_dict()), "tuple[str, dict[str, object]]")
    assert_type([one for one in movies], "list[plexindex.Item]")  # noqa: C416
    for items in (movies.items(), movies.items_below("/data")):
        assert_type(items, Iterator[plexindex.Item])
    assert_type(movies.item_facts(item), "dict[str, Any] | None")
    assert_type((movies.title, movies.section, movies.uuid, movies.kind), "tuple[str, str, str, str]")
    assert_type((movies.locations, movies.item_count), "tuple[tuple[str, ...], int]")
    assert_type((movies.age, movies.fresh, movies.generation), "tuple[float | None, bool, int]")
    assert_type(index.libraries(), "list[plexindex.Library]")
    assert_type(movies.index, plexindex.Index)
    assert section_of(movies) == "1"
    assert count(movies) == count(index) == 1
    with pytest.raises(AttributeError, match="section"):
        movies.section = "2"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def write(index: plexindex.Index, movies: plexindex.Library, item: plexindex.Item) -> None:
    movies.record_match("/host/a.mkv", item)
    movies.record_matches([("/host/b.mkv", item.key), (b"/host/c.mkv", 7)])
    index.invalidate_path("/host/b.mkv")
    index.invalidate_item(item)
    movies.invalidate()
    index.invalidate()
    assert_type(movies.refresh(full=True), bool)
    assert_type(movies.wait_for(PATH, timeout=1), plexindex.Match)
    index.refresh_items([item], analyze=True)
    report = movies.edit_items([item], {"title": "Sintel", "genre": ["Fantasy"]})
    assert_type(report, plexindex.EditReport)
    assert_type(
        (report.done, report.failed, report.left, report.missing), "tuple[list[str], list[str], list[str], list[str]]"
    )
    assert report.requests == 1
    index.notify({"event": "library.new"})
    index.set_token("token")
    index.token = "token"
    table = index.table("notes")
    assert_type(table, plexindex.Table)
    table.set("a", b"1", expire=60)
    assert_type(table.get("a"), Optional[bytes])
    assert_type(table.get("b", 7), "bytes | int | None")
    table.delete("a")
    table.clear()
    assert (len(table), table.name) == (0, b"notes")


def follow(index: plexindex.Index, movies: plexindex.Library, folder: Path) -> None:
    assert_type(index.changes(), plexindex.Changes)
    changes = movies.changes(None, full=True)
    assert_type(changes, plexindex.Changes)
    assert_type((changes.cursor, changes.stale, changes.late, changes.refused), "tuple[Text, bool, bool, bool]")
    assert_type(changes.age, Optional[float])
    for change in changes:
        assert_type(change, plexindex.Change)
        assert_type((change.path, change.from_path, change.from_key), "tuple[Text, Text, Text]")
        assert_type((change.item, change.library, change.section), "tuple[plexindex.Item | None, str, str]")
        assert change.kind in ("added", "removed", "changed", "moved", "list_again")
    with movies.watch(changes.cursor, timeout=0) as watch:
        assert_type(watch, plexindex.Watch)
        assert_type(list(watch), "list[plexindex.Changes]")
    comparison = movies.compare([folder], offline=True, without=["samples"])
    assert_type(comparison, plexindex.Comparison)
    for difference in comparison:
        assert_type(difference, plexindex.Difference)
        assert_type((difference.path, difference.reason, difference.message), "tuple[str, str, str]")
        assert difference.what in ("not_in_plex", "not_on_disk")
    assert_type((comparison.summary["files"], comparison.differs), "tuple[int, bool]")


def diagnose(index: plexindex.Index) -> None:
    assert_type((index.cache_dir, index.is_open), "tuple[str, bool]")
    assert_type(index.stats(), Stats)
    assert set(index.stats()) == set(Stats.__annotations__)
    assert_type(index.server(), methods.ServerInfo)
    assert_type(index.store()["locks"], bool)
    assert_type(index.shared_status(), Optional[methods.SharedStatus])
    for proposal in index.proposals([PATH]):
        assert_type(proposal, plexindex.Proposal)
        assert_type((proposal.host, proposal.server, proposal.matched, proposal.of), "tuple[str, str, int, int]")
        assert_type((proposal.gain, proposal.mapping), "tuple[int | None, plexindex.Mapping]")
        assert_type((proposal.contradicted, proposal.certain), "tuple[int, bool]")
    rules = [plexindex.Mapping.server_prefix("/srv", "/mnt"), plexindex.Mapping.server_pattern("a", "b")]
    rules += [plexindex.Mapping.host_prefix("/mnt", "/srv"), plexindex.Mapping.host_pattern("a", "b")]
    assert_type(rules, "list[plexindex.Mapping]")


def call(index: plexindex.Index) -> None:
    request = {"library": index.library("Films"), "limit": 1}
    (item,) = index.call("items.list", request)["items"]
    assert index.call("items.get", {"key": item["rating_key"], "library": "Films"})["item"]["paths"] == [PATH]
    assert index.call("tables.count", {"table": b"notes"})["count"] == 0
    with pytest.raises(plexindex.InvalidArgumentError):
        index.call("no.method")


def use_plexapi(plex: Any, folder: Path) -> None:
    with plexindex.from_server(plex, folder) as index:
        assert_type(index, plexindex.ServerIndex)
        with plexindex.from_section(plex.library.section("Films"), folder) as films:
            assert_type(films, plexindex.SectionIndex)
            light = films.match(PATH).light
            assert_type(light, Optional[plexindex.LightItem])
            assert light is not None
            assert_type(
                (light.title, light.year, light.guid, light.locations), "tuple[Text, int | None, Text, list[str]]"
            )
        assert_type(index.section("Films"), plexindex.SectionIndex)


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


async def use_asyncio(folder: Path, plex: FakePlex) -> None:
    async with aio.open(folder, plex.url, plex.token) as index:
        assert_type(index, aio.AsyncIndex)
        movies = index.library("Films")
        assert_type(movies, aio.AsyncLibrary)
        assert_type(await movies.match(PATH), plexindex.Match)
        assert_type(await index.match_paths([PATH]), plexindex.Matches)
        assert_type(await index.folder("/data"), plexindex.FolderMatch)
        assert_type([item async for item in movies.items()], "list[plexindex.Item]")
        assert (await index.call("versions"))["library"]
        assert_type(await index.refresh(), bool)
        assert_type(movies.lookup_key(PATH), Text)
        changes = await index.changes(full=True)
        assert_type(changes, plexindex.Changes)
        assert [change.path async for change in changes] == [PATH]
        async with index.watch(timeout=0) as watch:
            assert_type(watch, aio.AsyncWatch)
        assert_type(await index.libraries(), "list[aio.AsyncLibrary]")


def test_the_program_runs(tmp_path: Path) -> None:
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "New (2020).mkv").write_bytes(b"x")
    with FakePlex({"Films": [PATH]}) as plex:
        with plexindex.open(
            tmp_path / "a", plex.url, plex.token, mappings=[(str(tmp_path / "media"), "/data")]
        ) as index:
            movies = index.library("Films")
            item = read_answers(index, movies)
            read_items(index, movies, item)
            follow(index, movies, tmp_path / "media")
            diagnose(index)
            call(index)
            write(index, movies, item)
        asyncio.run(use_asyncio(tmp_path / "b", plex))
        from plexapi.server import PlexServer  # pyright: ignore[reportMissingTypeStubs]

        use_plexapi(PlexServer(plex.url, plex.token), tmp_path / "c")


def test_the_program_uses_each_public_name() -> None:
    program = ast.parse(Path(__file__).read_text(encoding="utf-8"))
    used = {node.attr for node in ast.walk(program) if isinstance(node, ast.Attribute)}
    used |= {name for name in plexindex.__all__ if name.endswith("Error")}  # test_abi
    used |= {
        "Progress",
        "shared_init",
        "shared_deliver",
        "shared_clear",
        "shared_drop_old",
        "close",
        "clear",
        "summary",
    }
    for kind in (
        plexindex.Queries,
        plexindex.Index,
        plexindex.Library,
        plexindex.Match,
        plexindex.Item,
        plexindex.Change,
    ):
        assert {name for name in vars(kind) if not name.startswith("_")} - used == set()
    assert set(plexindex.__all__) - used == set()
