"""Right, or not sure: collections by naming scheme, of which Plex lists one half and every file is asked for.

A part of `make bench ONLY=right`, with the same generator: `bench/harness/right`.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import plexindex
import pytest
from conftest import REPOSITORY, Server

sys.path.insert(0, str(REPOSITORY / "bench"))

from harness.right import judge
from harness.right.collection import Collection, Scheme

pytestmark = pytest.mark.deep

SHARE = 0.4
"""Of the small collections of the benchmark: enough that each scheme's traps are in it."""
EVERY = 3
"""Full answers are asked for a third of the files, fast lookups for all: they come from the same climb."""
ENOUGH = 0.99


class World:
    """A server with a library for each naming scheme, and what was answered."""

    def __init__(self, collections: list[Collection], store: Path, open_: judge.Open) -> None:
        self.collections, self.store, self.open = collections, store, open_
        self.matched: dict[tuple[str, Scheme], judge.Tally] = defaultdict(judge.Tally)
        self.looked_up: dict[tuple[str, Scheme], judge.Tally] = defaultdict(judge.Tally)
        for case in judge.judged(store, open_, collections):
            row = case.view.name, case.collection.scheme
            self.matched[row].join(judge.judge(case.questions[::EVERY], judge.by_match(case.library)))
            self.looked_up[row].join(judge.judge(case.questions, judge.by_lookup(case.library)))


@pytest.fixture(scope="module", params=[1, 6])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    server = Server()
    collections = judge.make(request.param, "small", SHARE)
    judge.serve(server, collections)

    def opened(store: Path, mappings: list[tuple[str, str]]) -> plexindex.Index:
        return plexindex.open(
            store, server_url=server.url, token=server.token, library_ttl=None, mappings=mappings, slow=None
        )

    store = tmp_path_factory.mktemp("right")
    with opened(store, []) as index:
        index.refresh()
    yield World(collections, store, opened)
    server.stop()


def wrong(rows: dict[tuple[str, Scheme], judge.Tally]) -> list[str]:
    return [
        f"{view}, {scheme.kind}, {scheme.name}: {example}"
        for (view, scheme), tally in rows.items()
        for example in tally.examples
    ]


def test_no_answer_is_wrong_and_high(world: World) -> None:
    assert wrong(world.matched) == []


def test_no_fast_lookup_gives_the_item_of_another_file(world: World) -> None:
    assert wrong(world.looked_up) == []


def test_nor_does_one_in_all_libraries(world: World) -> None:
    with world.open(world.store, []) as index:
        for view in judge.VIEWS:
            if not view.needs_mapping:
                asked = judge.everywhere(world.collections, view)[:: 4 * EVERY]
                assert judge.judge(asked, judge.by_lookup(index.library())).examples == [], view.name


@pytest.mark.parametrize("rows", ["matched", "looked_up"])
def test_what_is_named_well_is_found_without_a_mapping(world: World, rows: str) -> None:
    short = {
        f"{scheme.kind}, {scheme.name}": tally.share
        for (view, scheme), tally in getattr(world, rows).items()
        if view == "no mapping" and (scheme.well_named or scheme.numbered) and tally.share < ENOUGH
    }
    assert short == {}


def test_a_file_named_by_its_number_alone_is_found_because_only_the_root_differs(world: World) -> None:
    view = next(view for view in judge.VIEWS if view.name == "no mapping")
    with world.open(world.store, []) as index:
        for collection in world.collections:
            if collection.scheme.numbered:
                listed = [question.path for question in judge.asked(collection, view) if question.key]
                answers = judge.by_match(index.library(collection.title))(listed)
                told = sum(answer.reason == "only_root_differs" for answer in answers)
                assert told >= ENOUGH * len(listed) > 0


def test_a_mapped_path_is_found_whatever_its_name(world: World) -> None:
    assert {tally.share for (view, _), tally in world.matched.items() if view == "mapped"} == {1.0}


def test_the_same_collections_show_what_comparing_names_does(world: World) -> None:
    """The traps are real: comparing file names falls into them."""
    view = next(view for view in judge.VIEWS if view.name == "no mapping")
    fallen = {
        collection.scheme.name
        for collection in world.collections
        if judge.judge(judge.asked(collection, view), judge.by_name([collection])).wrong
    }
    assert {"S01E01", "general names", "Blu-ray discs", "numbers only"} <= fallen
