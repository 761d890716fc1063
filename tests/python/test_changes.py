"""What changes an index: recorded matches, invalidation, refreshing, clearing; and what it tells about itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import plexindex
import pytest
from conftest import TOKEN, OpenIndex, Server
from plexindex import _constants
from plexindex._native import CStats


@pytest.fixture
def movies(index: plexindex.Index) -> plexindex.Library:
    library = index.library("Movies")
    library.refresh()
    return library


@pytest.mark.both
def test_a_recorded_match_answers_first(movies: plexindex.Library, server: Server) -> None:
    rows = server.paths(1)
    movies.record_match("/host/a.mkv", f"/library/metadata/{rows[4]['ratingKey']}")
    movies.record_match("/host/b.mkv", int(rows[5]["ratingKey"]))
    server.reset()
    for path, row in (("/host/a.mkv", rows[4]), ("/host/b.mkv", rows[5])):
        match = movies.match(path)
        assert (match.match_kind, match.confidence, match.rating_key) == ("confirmed", "high", row["ratingKey"])
        assert movies.lookup_key(path) == f"/library/metadata/{row['ratingKey']}"
    assert server.requests() == 0
    assert movies.index.stats().matches == 2


@pytest.mark.both
def test_many_matches_are_recorded_at_once(movies: plexindex.Library, server: Server) -> None:
    rows = server.paths(1)
    movies.record_matches((f"/host/{number}.mkv", row["ratingKey"]) for number, row in enumerate(rows))
    assert movies.index.stats().matches == len(rows)
    assert movies.lookup_keys([f"/host/{number}.mkv" for number in range(len(rows))]) == [
        f"/library/metadata/{row['ratingKey']}" for row in rows
    ]
    movies.record_matches([])
    assert movies.index.stats().matches == len(rows)


def test_recording_in_an_unknown_library_ends_at_the_deadline(index: plexindex.Index, server: Server) -> None:
    server.fault(action="delay", ms=20_000, count=0)
    movies, pairs = index.library("Movies"), [("/host/a.mkv", "7")]
    calls: list[Callable[[], object]] = [
        lambda: index.record_match(*pairs[0], "Movies", deadline=0.05),
        lambda: index.record_matches(pairs, "Movies", deadline=0.05),
        lambda: movies.record_match(*pairs[0], deadline=0.05),
        lambda: movies.record_matches(pairs, deadline=0.05),
        lambda: asyncio.run(index.arecord_match(*pairs[0], "Movies", deadline=0.05)),
        lambda: asyncio.run(index.arecord_matches(pairs, "Movies", deadline=0.05)),
    ]
    for call in calls:
        with pytest.raises(plexindex.TimeoutError, match="deadline"):
            call()
    server.post("faults/clear")
    movies.record_match(*pairs[0], deadline=60)
    movies.record_matches([("/host/b.mkv", "7")], deadline=60)
    assert index.stats().matches == 2
    for deadline in (-1, float("nan")):
        with pytest.raises(plexindex.InvalidArgumentError, match="deadline"):
            movies.record_match(*pairs[0], deadline=deadline)
        with pytest.raises(plexindex.InvalidArgumentError, match="deadline"):
            movies.record_matches(pairs, deadline=deadline)


def index_is_stale(index: plexindex.Index, path: str) -> bool:
    return index.match(path, "Movies", offline=True).stale


def test_clearing_empties_the_store(movies: plexindex.Library, server: Server) -> None:
    path = server.paths(1)[0]["path"]
    index = movies.index
    index.clear()
    assert (index.stats().items, index.stats().matches) == (0, 0)
    assert movies.lookup_key(path) is None
    assert movies.match(path).match_kind == "exact"


def test_a_refresh_that_runs_out_of_time_says_so(index: plexindex.Index, server: Server) -> None:
    server.fault(kind="listing", action="delay", ms=2000)
    assert index.refresh("Movies", deadline=0.2) is False
    server.post("faults/clear")
    assert index.refresh("Movies") is True


def test_libraries(index: plexindex.Index, server: Server) -> None:
    libraries = index.libraries()
    assert [info.title for info in libraries] == ["Movies", "TV Shows"]
    movies, shows = libraries
    state = server.get("state")["libraries"]
    assert (movies.section, movies.uuid, movies.kind) == ("1", state[0]["uuid"], "movie")
    assert shows.kind == "show"
    assert movies.locations == ("/data/movies",)
    assert (movies.items, movies.age, movies.fresh) == (0, None, False)
    assert repr(movies) == "<plexindex.LibraryInfo 'Movies' section='1' movie: never fetched>"
    index.refresh("Movies")
    server.reset()
    movies = index.libraries()[0]
    assert server.requests() == 0
    assert (movies.items, movies.fresh) == (300, True)
    assert movies.age is not None
    assert movies.generation > 0
    assert repr(movies) == "<plexindex.LibraryInfo 'Movies' section='1' movie: 300 items, fresh>"


def test_statistics_count_what_happened(index: plexindex.Index, server: Server) -> None:
    assert index.stats().request_count == 0
    rows = server.paths(1)
    movies = index.library("Movies")
    movies.refresh()
    before = index.stats()
    assert before.request_count == server.requests()
    assert before.bytes_received == server.get("stats")["bytes"]
    assert (before.items, before.listings) == (300, 1)
    movies.record_match("/host/a.mkv", rows[0]["ratingKey"])
    movies.match("/host/a.mkv")
    movies.match_paths(row["path"] for row in rows)
    movies.match("/nowhere/at/all.mkv")
    movies.lookup_key(rows[0]["path"])
    movies.lookup_key("/nowhere/else.mkv")
    stats = index.stats()
    added = {kind: count - before.answers[kind] for kind, count in stats.answers.items()}
    assert added == {"confirmed": 1, "exact": len(rows) + 1, "none": 1, "mapped": 0, "suffix": 0, "file_name": 0}
    assert stats.lookup_misses == before.lookup_misses + 1
    assert stats.matches == 1
    assert stats.network_seconds > 0
    assert stats.disk_bytes > 0
    assert stats.answer_count == sum(stats.answers.values())
    assert repr(stats).startswith("<plexindex.Stats: ")


def test_statistics_have_the_library_s_own_names(index: plexindex.Index) -> None:
    named = {name.replace("_us", "_seconds") for name, *_ in CStats._fields_}
    assert named - {"size"} == set(index.stats().as_dict())


def test_statistics_as_a_dictionary(index: plexindex.Index) -> None:
    stats = index.stats()
    values = stats.as_dict()
    assert set(values) == set(plexindex.Stats.__slots__)
    assert values["answers"] == dict.fromkeys(_constants.MATCH_KINDS, 0)
    assert values["requests"] == dict.fromkeys(_constants.REQUESTS, 0)
    assert isinstance(values["answers"], dict)
    values["answers"]["exact"] = 7
    assert stats.answers["exact"] == 0


def test_what_the_server_did_wrong_is_in_the_statistics(open_index: OpenIndex, server: Server) -> None:
    index = open_index(library_ttl=0)
    path = server.paths(1)[0]["path"]
    assert index.match(path, "Movies")
    assert (index.stats().failures, index.stats().last_failure) == (0, None)
    server.fault(action="status", status=500, count=0)
    for _ in range(3):
        assert index.match(path, "Movies").stale
    stats = index.stats()
    assert stats.failures == 1
    assert stats.last_failure is not None
    assert "500" in stats.last_failure
    assert TOKEN not in stats.last_failure
