"""Differences between a disk and what Plex lists, on a tree of files of this machine."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import random
import re
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import plexindex
import pytest
from cli import Cli
from conftest import IS_ROOT, Server, ServerFactory
from plexindex import _left_out, _walked
from plexindex._cli import arguments

FILMS = ("Alpha (2001)", "Beta (2002)", "Gamma (2003)")


def make(path: Path, content: bytes = b"x") -> Path:
    """A file, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


class Tree:
    """A disk and a server that lists it."""

    def __init__(self, folder: Path, start_server: ServerFactory) -> None:
        self.media = folder / "media"
        self.films, self.shows = self.media / "films", self.media / "shows"
        self.listed = [self.films / name / f"{name}.mkv" for name in FILMS]
        self.listed += [self.shows / "Delta" / "Season 01" / f"Delta - S01E0{number}.mkv" for number in (1, 2)]
        for path in self.listed:
            make(path)
        items = [{"title": name[:-7], "year": int(name[-5:-1]), "files": [str(path)]}
                 for name, path in zip(FILMS, self.listed)]  # fmt: skip
        episodes = [{"title": f"Part {number}", "show": "Delta", "season": 1, "index": number, "files": [str(path)]}
                    for number, path in zip((1, 2), self.listed[3:])]  # fmt: skip
        spec = {
            "libraries": [
                {"kind": "movie", "items": 0, "title": "Films", "plain": True, "locations": [str(self.films)]},
                {"kind": "show", "items": 0, "title": "Shows", "plain": True, "locations": [str(self.shows)]},
            ],
            "items": {"1": items, "2": episodes},
        }
        file = folder / "spec.json"
        file.write_text(json.dumps(spec))
        self.server = start_server("--spec", str(file))


@pytest.fixture
def tree(tmp_path: Path, start_server: ServerFactory) -> Tree:
    return Tree(tmp_path, start_server)


@pytest.fixture
def index(tree: Tree, tmp_path: Path) -> Iterator[plexindex.Index]:
    with plexindex.open(tmp_path / "store", tree.server.url, tree.server.token, retry_for=0) as index:
        yield index


def serve(folder: Path, start_server: ServerFactory, *libraries: tuple[list[Path], list[Path]]) -> Server:
    """A server with libraries of films: their locations, and their files."""
    spec: dict[str, Any] = {"libraries": [], "items": {}}
    for number, (locations, files) in enumerate(libraries, 1):
        spec["libraries"].append({"kind": "movie", "items": 0, "title": f"Films {number}", "plain": True,
                                  "locations": [str(location) for location in locations]})  # fmt: skip
        spec["items"][str(number)] = [{"title": file.stem[:-7], "year": int(file.stem[-5:-1]), "files": [str(file)]}
                                      for file in files]  # fmt: skip
    place = folder / "libraries.json"
    place.write_text(json.dumps(spec))
    return start_server("--spec", str(place))


def told(index: plexindex.Index, *folders: Path, **options: object) -> list[tuple[str, str, str]]:
    found = index.compare(folders, **options)  # type: ignore[arg-type]
    return sorted((one.what, one.path, one.reason_code) for one in found)


def test_nothing_differs(index: plexindex.Index, tree: Tree) -> None:
    found = index.compare(tree.media)
    assert list(found) == []
    assert not found.differs
    assert (found.files, found.listed) == (5, 5)
    summary = found.summary
    assert (summary["what"], summary["not_in_plex"], summary["not_on_disk"]) == ("summary", 0, 0)
    assert told(index, tree.films) == told(index, tree.shows / "Delta") == []


def test_both_ways(index: plexindex.Index, tree: Tree) -> None:
    new = make(tree.films / "New (2024)" / "New (2024).mkv")
    make(tree.films / "New (2024)" / "New (2024).srt")
    tree.listed[0].unlink()
    assert told(index, tree.media) == [
        ("not_in_plex", str(new), "not_scanned"),
        ("not_on_disk", str(tree.listed[0]), "gone"),
    ]
    gone = next(one for one in index.compare(tree.films) if one.what == "not_on_disk")
    assert gone.item is not None and gone.item.title == "Alpha"
    assert told(index, tree.shows) == []


def test_of_what_other_libraries_own_nothing_is_told(tmp_path: Path, index: plexindex.Index, tree: Tree) -> None:
    make(tree.films / "New (2024)" / "New (2024).mkv")
    make(tree.films / "@eaDir" / "x.mkv")
    (tree.films / "loop").symlink_to(tree.films)
    loose = make(tree.media / "loose.mkv")
    found = index.compare(tree.media, "Shows")
    assert [(one.path, one.reason_code) for one in found] == [(str(loose), "no_library")]
    assert (found.files, found.listed) == (3, 2)
    for given in (tree.films, tree.films / FILMS[0]):
        with pytest.raises(plexindex.InvalidArgumentError, match="of library 'Films', which was not asked"):
            list(index.compare([tree.shows, given], "Shows"))
    done = Cli(tmp_path, tree.server).run("diff", "-l", "Shows", tree.films)
    assert (done.returncode, "of library 'Films'" in done.stderr) == (2, True)


def test_libraries_within_each_other_and_with_one_folder(tmp_path: Path, start_server: ServerFactory) -> None:
    outer, inner = tmp_path / "media", tmp_path / "media" / "anime" / "films"
    films = [make(outer / name / f"{name}.mkv") for name in FILMS]
    other = make(inner / "Delta (2004)" / "Delta (2004).mkv")
    shared = make(outer / "Epsilon (2005)" / "Epsilon (2005).mkv")
    server = serve(tmp_path, start_server, ([outer], films), ([inner], [other]), ([outer], [shared]))
    with plexindex.open(tmp_path / "store", server.url, server.token) as index:
        index.refresh()
        # In a folder of the outer ones, above that of 'Films 2'.
        (outer / "anime" / "up").symlink_to(outer)
        assert told(index, outer / "anime", library="Films 2") == []
        (outer / "anime" / "up").unlink()
        for library, count in (("Films 1", 3), ("Films 2", 1), ("Films 3", 1), (None, 5)):
            found = index.compare(tmp_path, library)
            assert (list(found), found.files, found.listed) == ([], count, count), library
        new = make(outer / "New (2026).mkv")
        assert told(index, outer, library="Films 1") == [("not_in_plex", str(new), "not_scanned")]
        # Of two libraries it is not known which one it is to be.
        (line,) = index.compare(outer)
        assert (line.library, line.section) == (None, None) and "'Films 1' or 'Films 3'" in line.reason
        (line,) = index.compare(outer, "Films 1")
        assert (line.library, line.section) == ("Films 1", "1")


def test_the_server_is_asked_first_with_one_request(index: plexindex.Index, tree: Tree) -> None:
    index.refresh()
    tree.server.reset()
    found = index.compare(tree.media)
    assert (list(found), found.stale, tree.server.requests()) == ([], False, 1)
    # Added on both sides, and then removed from Plex: told at once, though the listing is fresh.
    new = make(tree.films / "New (2024)" / "New (2024).mkv")
    film = {"title": "New", "year": 2024, "files": [str(new)]}
    tree.server.post("items/add", {"library": 1, "items": [film]})
    assert told(index, tree.media) == []
    item = index.match(new, "Films").item
    assert item is not None
    tree.server.post("items/remove", {"ratingKeys": [int(item.rating_key)]})
    tree.server.reset()
    assert told(index, tree.media, offline=True) == []
    assert tree.server.requests() == 0
    found = index.compare(tree.media)
    assert [(one.what, one.path) for one in found] == [("not_in_plex", str(new))]
    assert found.age is not None and found.age < 30 and found.summary["age"] == round(found.age, 3)


def test_a_server_that_is_away_is_told_with_the_age(tmp_path: Path, tree: Tree) -> None:
    cli = Cli(tmp_path, tree.server)
    assert "the listing was current just now" in cli.run("diff", tree.media).stderr
    tree.server.post("tokens", {"tokens": [{"token": tree.server.token, "expired": True}]})
    for code, *command in ((0, "diff", tree.media), (4, "changes", "--check")):
        done = cli.run(*command)
        assert (done.returncode, "the server refused the token:" in " ".join(done.stderr.split())) == (code, True), done
    tree.server.stop()
    done = cli.run("diff", tree.media)
    assert (done.returncode, f"cannot connect to {tree.server.url}" in done.stderr) == (0, True)
    assert ": compared with the listing from" in " ".join(done.stderr.split())
    summary = json.loads(cli.run("diff", "--json", tree.media).stdout)
    assert summary["stale"] is True and summary["age"] >= 0


def test_a_deadline_that_came_first_is_no_missing_library(tmp_path: Path, tree: Tree) -> None:
    cli = Cli(tmp_path, tree.server)
    tree.server.fault(kind="listing", action="delay", ms=1000, count=0)
    for _ in range(2):  # the second one knows the libraries
        done = cli.run("diff", "--deadline", "0.3", tree.media)
        assert (done.returncode, done.stdout) == (7, ""), done
        assert "the deadline passed before" in done.stderr
    tree.server.post("faults/clear")
    cli.run("warm", "Films")
    tree.server.fault(kind="listing", action="delay", ms=1000, count=0)
    done = cli.run("diff", "--deadline", "0.3", tree.media)
    assert (done.returncode, "before 'Shows' was fetched" in done.stderr) == (7, True)


def test_a_call_has_a_deadline_of_its_own(index: plexindex.Index, tree: Tree) -> None:
    tree.server.fault(kind="listing", action="delay", ms=1000, count=0)
    with pytest.raises(plexindex.TimeoutError, match="the deadline passed before"):
        told(index, tree.media, deadline=0.3)
    tree.server.post("faults/clear")
    index.refresh()
    old = tree.listed[0]
    rename(tree, old, tree.films / "New (2001).mkv", keys(tree)[str(old)])
    tree.server.fault(kind="metadata", action="delay", ms=5000, count=1)
    begun = time.monotonic()
    found = index.compare(tree.media, deadline=0.5)
    assert sorted(one.what for one in found) == ["not_in_plex", "not_on_disk"]
    assert (found.renames_unknown, time.monotonic() - begun < 4) == (True, True)


def test_under_asyncio_it_runs_on_a_thread(index: plexindex.Index, tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    index.refresh()
    tree.listed[0].unlink()
    make(tree.films / "New (2024).mkv")
    threads: set[int] = set()
    # A call for each folder.
    monkeypatch.setattr(_walked, "_FOLDERS", 1)
    asked: list[threading.Thread] = []
    begun, go_on = threading.Event(), threading.Event()

    async def ask() -> None:
        found = index.compare(tree.media, progress=lambda _: threads.add(threading.get_ident()))
        differences = [one async for one in found]
        assert sorted(one.what for one in differences) == ["not_in_plex", "not_on_disk"]
        assert found.summary["files"] == 5

        def slow(_files: int) -> None:
            asked.append(threading.current_thread())
            begun.set()
            go_on.wait(30)

        stopped = asyncio.ensure_future(anext_of(index.compare(tree.media, offline=True, progress=slow)))
        assert await asyncio.to_thread(begun.wait, 30)
        stopped.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopped

    asyncio.run(ask())
    assert threads and threading.get_ident() not in threads
    go_on.set()
    asked[0].join(30)
    assert len(asked) == 1, "a task that is cancelled ends the walk"


async def anext_of(found: plexindex.Comparison) -> plexindex.Difference:
    """The first difference."""
    async for one in found:
        return one
    raise AssertionError("nothing differs")


def rename(tree: Tree, old: Path, new: Path, key: str) -> None:
    """A file that is called otherwise, on the disk and in Plex: no clock of the server's moves."""
    new.parent.mkdir(parents=True, exist_ok=True)
    old.rename(new)
    tree.server.post("items/rename", {"ratingKey": int(key), "from": str(old), "to": str(new)})


def keys(tree: Tree, library: int = 1) -> dict[str, str]:
    """The rating key of each path."""
    return {row["path"]: row["ratingKey"] for row in tree.server.paths(library)}


def requests(tree: Tree) -> dict[str, int]:
    counts = tree.server.get("stats")["requests"]
    return {kind: count for kind, count in counts.items() if count}


def test_a_rename_that_moved_no_clock_is_no_difference(index: plexindex.Index, tree: Tree) -> None:
    index.refresh()
    old, gone = tree.listed[:2]
    new = tree.films / "Alpha, again (2001)" / "Alpha (2001).mkv"
    rename(tree, old, new, keys(tree)[str(old)])
    gone.unlink()
    also_new = make(tree.films / "New (2024).mkv")
    tree.server.reset()
    found = index.compare(tree.media)
    assert sorted((one.what, one.path) for one in found) == [
        ("not_in_plex", str(also_new)),
        ("not_on_disk", str(gone)),
    ]
    assert requests(tree) == {"sections": 1, "metadata": 1}
    assert (found.files, found.listed, found.unasked) == (5, 5, 0)
    assert index.match(new, "Films", offline=True).match_kind == "exact"
    # The same for all who ask, without asking for what has been asked for... but for what is gone.
    assert told(index, tree.media, offline=True) == told(index, tree.media)
    # Into another folder that is given.
    (tree.films / "a").mkdir()
    rename(tree, new, tree.films / "z" / new.name, keys(tree)[str(new)])
    also_new.unlink()
    assert told(index, tree.films / "a", tree.films / "z", new.parent) == []


def test_the_server_is_asked_only_where_a_rename_is_possible(index: plexindex.Index, tree: Tree) -> None:
    index.refresh()
    for make_one in (lambda: tree.listed[0].unlink(), lambda: make(tree.shows / "Delta" / "new.mkv")):
        make_one()
        tree.server.reset()
        assert len(told(index, tree.media)) in (1, 2)
        assert requests(tree) == {"sections": 1}, "what is gone is of one library, and what is new of another"
    make(tree.films / "New (2024).mkv")
    tree.server.reset()
    three = told(index, tree.media, offline=True)
    assert (len(three), requests(tree)) == (3, {})
    assert (told(index, tree.media), requests(tree)) == (three, {"sections": 1, "metadata": 1})


def test_a_server_that_does_not_say_what_was_renamed(tmp_path: Path, index: plexindex.Index, tree: Tree) -> None:
    index.refresh()
    old = tree.listed[0]
    new = tree.films / "New (2001).mkv"
    rename(tree, old, new, keys(tree)[str(old)])
    tree.server.fault(kind="metadata", action="status", status=500, count=0)
    found = index.compare(tree.films)
    assert sorted((one.what, one.path) for one in found) == [("not_in_plex", str(new)), ("not_on_disk", str(old))]
    assert found.stale and found.renames_unknown
    done = Cli(tmp_path, tree.server).run("diff", "--dir", tmp_path / "store", tree.films)
    text = " ".join(done.stderr.split())
    assert ", but the server did not say what was renamed since: renamed files count as gone and as new" in text


def test_a_server_that_does_not_say_whose_a_file_is(index: plexindex.Index, tree: Tree) -> None:
    again = [{"title": "Beta, once more", "year": 2002, "files": [str(tree.listed[1])]}]
    tree.server.post("items/add", {"library": 1, "items": again})
    new = make(tree.films / "New (2001).mkv")
    index.refresh(full=True)
    tree.server.fault(kind="metadata", action="status", status=500, count=0)
    found = index.compare(tree.films)
    assert sorted((one.what, one.path) for one in found) == [
        ("ambiguous", str(tree.listed[1])),
        ("not_in_plex", str(new)),
    ]
    assert found.stale
    check_sums(found.summary)


def test_many_renames_are_asked_for_in_batches(tmp_path: Path, start_server: ServerFactory) -> None:
    films = tmp_path / "films"
    files = [make(films / f"Film {number} (2001).mkv") for number in range(300)]
    server = serve(tmp_path, start_server, ([films], files))
    rows = {row["path"]: row["ratingKey"] for row in server.paths(1)}
    with plexindex.open(tmp_path / "store", server.url, server.token) as index:
        index.refresh()
        for file in files:
            file.rename(file.with_suffix(".mp4"))
            names = {"from": str(file), "to": str(file.with_suffix(".mp4"))}
            server.post("items/rename", {"ratingKey": int(rows[str(file)]), **names})
        server.reset()
        found = index.compare(films)
        left = [(one.what, one.path) for one in found]
        assert server.get("stats")["requests"]["metadata"] == 4, "64 in a request, and 256 in a run"
        assert (found.unasked, found.counts) == (44, {"not_in_plex": 44, "not_on_disk": 44})
        assert len(left) == 88
        done = Cli(tmp_path, server).run("diff", "--dir", tmp_path / "store", films)
        assert (done.returncode, done.stdout) == (0, "")
        (films / "x").mkdir()
        for number, file in enumerate(files):
            file.with_suffix(".mp4").rename(films / "x" / f"{number}.mkv")
        done = Cli(tmp_path, server).run("diff", films)
        assert "44 files may have been renamed, which the server was not asked" in done.stderr
        assert "`plexindex warm --full` asks for all" in done.stderr


def renumber(films: Path, server: Server, first: int, last: int) -> None:
    """Each film gets the name of the next one, on the disk and in Plex."""
    of = {row["path"]: row["ratingKey"] for row in server.paths(1)}
    for number in range(last, first - 1, -1):
        old, new = (films / f"Film {one} (2001).mkv" for one in (number, number + 1))
        old.rename(new)
        server.post("items/rename", {"ratingKey": int(of[str(old)]), "from": str(old), "to": str(new)})


def test_a_chain_of_renames_is_no_difference(
    tmp_path: Path, start_server: ServerFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    films = tmp_path / "films"
    server = serve(tmp_path, start_server, ([films], [make(films / f"Film {one} (2001).mkv") for one in range(1, 5)]))
    with plexindex.open(tmp_path / "store", server.url, server.token) as index:
        index.refresh()
        # The limit ends it in the middle; the next run goes on there.
        renumber(films, server, 1, 4)
        with monkeypatch.context() as patch:
            patch.setattr("plexindex._renamed._ASKED", 2)
            found = index.compare(films)
            assert [(one.what, Path(one.path).name) for one in found] == [("not_in_plex", "Film 5 (2001).mkv")]
            assert found.unasked == 1
        for _ in range(2):
            found = index.compare(films)
            assert (list(found), found.files, found.listed, found.unasked) == ([], 4, 4, 0)
            check_sums(found.summary)
        of = {row["path"]: row["ratingKey"] for row in server.paths(1)}
        assert {path: index.match(path, offline=True).key for path in of} == {
            path: f"/library/metadata/{key}" for path, key in of.items()
        }
    # In one run, all of it.
    with plexindex.open(tmp_path / "other", server.url, server.token) as index:
        index.refresh()
        renumber(films, server, 2, 5)
        found = index.compare(films)
        assert (list(found), found.unasked) == ([], 0)


def test_further_files_of_an_item_that_was_renamed(tmp_path: Path, index: plexindex.Index, tree: Tree) -> None:
    files = [make(tree.films / f"{name}.mkv") for name in "abc"]
    film = {"title": "Many", "year": 2000, "files": [str(file) for file in files]}
    tree.server.post("items/add", {"library": 1, "items": [film]})
    index.refresh(full=True)
    key = keys(tree)[str(files[0])]
    # First to be first still, first to be last, in the middle to be first, and last to be first.
    for count, (old, new) in enumerate((("a", "0"), ("0", "z"), ("c", "1"), ("z", "A"))):
        rename(tree, tree.films / f"{old}.mkv", tree.films / f"{new}.mkv", key)
        found = index.compare(tree.films)
        lines = [Path(one.path).stem for one in found if one.what == "several_paths"]
        with plexindex.open(tmp_path / f"fresh{count}", tree.server.url, tree.server.token) as fresh:
            expected = fresh.compare(tree.films)
            assert sorted(lines) == sorted(Path(one.path).stem for one in expected), (old, new)
        assert found.counts == {"several_paths": 2}, (old, new)


def test_further_files_are_printed_on_request(tmp_path: Path, tree: Tree) -> None:
    files = [make(tree.films / f"{name}.mkv") for name in "ab"]
    film = {"title": "Many", "year": 2000, "files": [str(file) for file in files]}
    tree.server.post("items/add", {"library": 1, "items": [film]})
    cli = Cli(tmp_path, tree.server)
    done = cli.run("diff", tree.media)
    assert (done.returncode, done.stdout, "1 further file of an item" in done.stderr) == (0, "", True)
    assert cli.run("diff", "--left-out", tree.media).stdout.startswith("several files: ")
    assert '"what": "several_paths"' in cli.run("diff", "--json", tree.media).stdout


def test_a_rename_of_an_item_that_shares_another_file(index: plexindex.Index, tree: Tree) -> None:
    old, shared = (make(tree.films / f"{name}.mkv") for name in ("old", "shared"))
    films = [{"title": "One", "files": [str(old), str(shared)]}, {"title": "Two", "files": [str(shared)]}]
    tree.server.post("items/add", {"library": 1, "items": films})
    index.refresh(full=True)
    rename(tree, old, tree.films / "new.mkv", keys(tree)[str(old)])
    for offline in (False, True):
        differences = [one for one in told(index, tree.films, offline=offline) if one[0] != "several_paths"]
        assert differences == [("ambiguous", str(shared), "several_items")]


def test_a_rename_of_an_item_of_which_another_file_is_gone(index: plexindex.Index, tree: Tree) -> None:
    gone, old = (make(tree.films / f"{name}.mkv") for name in ("gone", "old"))
    tree.server.post("items/add", {"library": 1, "items": [{"title": "One", "files": [str(gone), str(old)]}]})
    index.refresh(full=True)
    gone.unlink()
    rename(tree, old, tree.films / "new.mkv", keys(tree)[str(gone)])
    assert told(index, tree.films) == [("not_on_disk", str(gone), "gone")]


def test_items_that_share_their_files_with_each_other(index: plexindex.Index, tree: Tree) -> None:
    one, two, shared = (make(tree.films / f"{name}.mkv") for name in ("one", "two", "shared"))
    films = [{"title": file.stem, "files": [str(file), str(shared)]} for file in (one, two)]
    tree.server.post("items/add", {"library": 1, "items": films})
    index.refresh(full=True)
    # Each item is found by several paths, in this order or that: one question settles all of them.
    for paths in ((shared, one), (one, two, shared), (shared, two, one)):
        for path in paths:
            index.invalidate_path(path, "Films")
        tree.server.reset()
        index.refresh()
        assert requests(tree)["metadata"] == 1
        answers = index.match_paths([one, two, shared], "Films", offline=True)
        assert [answer.status for answer in answers] == ["ok", "ok", "ambiguous"], paths


def test_a_rename_in_a_folder_that_another_library_shares(tmp_path: Path, start_server: ServerFactory) -> None:
    films = tmp_path / "films"
    one, two = (make(films / f"{name}.mkv") for name in ("Alpha (2001)", "Beta (2002)"))
    server = serve(tmp_path, start_server, ([films], [one]), ([films], [two]))
    with plexindex.open(tmp_path / "store", server.url, server.token) as index:
        index.refresh()
        new = films / "Beta, again (2002).mkv"
        two.rename(new)
        (row,) = server.paths(2)
        server.post("items/rename", {"ratingKey": int(row["ratingKey"]), "from": str(two), "to": str(new)})
        found = index.compare(films, "Films 1")
        assert (list(found), found.files, found.listed) == ([], 1, 1)
        # What is gone of the other library is not told, but asked for.
        new.unlink()
        also_new = make(films / "New (2026).mkv")
        assert told(index, films, library="Films 1") == [("not_in_plex", str(also_new), "not_scanned")]


def test_outside_every_library_no_rule_of_plex_s_holds(tmp_path: Path, tree: Tree) -> None:
    media = [
        make(tree.media / name)
        for name in (
            "Other/a.mkv",
            "Shorts/b.mkv",
            "Interviews/c.mkv",
            "samples/d.mkv",
            "VIDEO_TS/e.vob",
            "_UNPACK_f/f.mkv",
            "else/g-trailer.mkv",
            "else/h-sample.mkv",
            "ignored/i.mkv",
        )
    ]
    make(tree.media / ".plexignore", b"*\nignored/*\n")
    make(tree.media / "ignored" / ".plexignore", b"*.mkv\n")
    # What is no media anywhere.
    junk = [make(tree.media / name).parent for name in (".trash/x.mkv", "@eaDir/x.mkv")]
    make(tree.media / "else" / "empty.mkv", b"")
    cli = Cli(tmp_path, tree.server)
    done = cli.run("diff", "--json", tree.media)
    *lines, summary = (json.loads(line) for line in done.stdout.splitlines())
    assert {(line["what"], line["path"], line["reason_code"]) for line in lines if line["what"] != "left_out"} == {
        ("not_in_plex", str(path), "no_library") for path in media
    }
    assert done.returncode == 1
    left_out = {line["path"] for line in lines if line["what"] == "left_out"}
    assert left_out == {*map(str, junk), str(tree.media / "else" / "empty.mkv")}
    assert summary["files_not_in_plex"] == len(media)


def check_sums(summary: Mapping[str, Any]) -> None:
    """What a summary tells is whole."""
    parts = {name: summary[f"files_{name}"] for name in ("in_plex", "not_in_plex", "ambiguous", "left_out")}
    assert summary["files"] == sum(parts.values()), parts
    parts = {name: summary[f"listed_{name}"] for name in ("on_disk", "not_on_disk", "unknown")}
    assert summary["listed"] == sum(parts.values()), parts
    assert 0 <= summary["listed_location_empty"] <= summary["listed_not_on_disk"]


def test_a_summary_adds_up(tmp_path: Path, tree: Tree) -> None:
    cli = Cli(tmp_path, tree.server)
    make(tree.films / "New (2024).mkv")
    make(tree.films / "Alpha-trailer.mkv")
    make(tree.films / "Alpha (2001)" / "Featurettes" / "x.mkv")
    (tree.films / "loop").symlink_to(tree.films)
    tree.listed[0].unlink()
    again = [{"title": "Beta, once more", "year": 2002, "files": [str(tree.listed[1])]}]
    tree.server.post("items/add", {"library": 1, "items": again})
    done = cli.run("diff", "--json", tree.media)
    summary = json.loads(done.stdout.splitlines()[-1])
    check_sums(summary)
    assert {name: summary[name] for name in summary if name.startswith(("files", "listed"))} == {
        "files": 6, "files_in_plex": 3, "files_not_in_plex": 1, "files_ambiguous": 1, "files_left_out": 1,
        "listed": 6, "listed_on_disk": 5, "listed_not_on_disk": 1, "listed_location_empty": 0, "listed_unknown": 0,
    }  # fmt: skip
    assert summary["left_out"] == 3
    text = " ".join(cli.run("diff", tree.media).stderr.split())
    assert "6 media files on the disk: 3 in Plex, 1 not in Plex, 1 ambiguous, 1 left out; " in text
    assert "Plex lists 6 files there: 5 on the disk, 1 not on the disk; 2 folders left out; " in text
    # A mount that is missing, given whole or in part; the other library is there.
    shutil.rmtree(tree.films)
    for folder, listed in ((tree.media, 6), (tree.films, 4), (tree.listed[1].parent, 2)):
        summary = json.loads(cli.run("diff", "--json", folder).stdout.splitlines()[-1])
        check_sums(summary)
        assert (summary["listed"], summary["listed_not_on_disk"]) == (listed, min(listed, 4)), folder


def test_an_empty_folder_that_no_library_has_differs_in_nothing(tmp_path: Path, tree: Tree) -> None:
    cli = Cli(tmp_path, tree.server)
    empty = tmp_path / "empty"
    empty.mkdir()
    done = cli.run("diff", "--json", empty)
    summary = json.loads(done.stdout)
    assert (done.returncode, summary["files"], summary["not_in_plex"]) == (0, 0, 0)
    # Nothing differs, and nothing was compared: the folder may be another one than was meant.
    done = cli.run("diff", empty)
    assert (done.returncode, done.stdout) == (0, "")
    assert "; nothing was compared: no library has files there; " in " ".join(done.stderr.split())
    assert "nothing differs" not in done.stderr
    make(empty / "deep" / "x.mkv")
    make(empty / "y.mkv")
    done = cli.run("diff", "--json", empty)
    line, summary = (json.loads(line) for line in done.stdout.splitlines())
    assert (done.returncode, line["reason_code"], summary["not_in_plex"]) == (1, "no_library", 1)
    assert (summary["files"], summary["files_not_in_plex"]) == (2, 2)
    check_sums(summary)


def test_what_cannot_be_asked_is_refused(index: plexindex.Index, tree: Tree) -> None:
    for given in ("", b"", [tree.media, ""]):
        with pytest.raises(plexindex.InvalidArgumentError, match="full path of a folder"):
            index.compare(given)  # type: ignore[arg-type]
    with pytest.raises(plexindex.InvalidArgumentError, match="no folder given"):
        index.compare([])
    with pytest.raises(TypeError, match=r"give \['samples'\]"):
        index.compare(tree.media, without="samples")


def test_each_difference_names_its_library(index: plexindex.Index, tree: Tree) -> None:
    make(tree.films / "New (2024)" / "New (2024).mkv")
    make(tree.films / ".trash" / "x.mkv")
    tree.listed[0].unlink()
    shutil.rmtree(tree.shows)
    loose = make(tree.media / "loose.mkv")
    for one in index.compare(tree.media):
        place = None if one.path == str(loose) else "Shows" if one.reason_code == "location_empty" else "Films"
        section = {"Films": "1", "Shows": "2", None: None}[place]
        assert (one.library, one.section) == (place, section), one
        assert (one.to_dict()["library"], one.to_dict()["section"]) == (place, section)


@pytest.mark.usefixtures("closed_to_root")
def test_a_root_that_cannot_be_read_is_not_gone(index: plexindex.Index, tree: Tree) -> None:
    tree.films.chmod(0)
    for folder in (tree.media, tree.films, tree.films / FILMS[0]):
        found = index.compare(folder)
        unreadable = folder if folder != tree.media else tree.films
        assert [(one.what, one.path, one.reason_code) for one in found] == [("left_out", str(unreadable), "unreadable")]
        assert (found.unreadable, found.differs) == (1, False)
    tree.films.chmod(0o755)


@pytest.mark.usefixtures("closed_to_root")
def test_a_folder_that_one_may_only_pass_through(tmp_path: Path, start_server: ServerFactory) -> None:
    others, films = tmp_path / "media", tmp_path / "media" / "between" / "films"
    alpha, new = (make(films / f"{name}.mkv") for name in ("Alpha (2001)", "New (2024)"))
    server = serve(tmp_path, start_server, ([others], []), ([films], [alpha]))
    with plexindex.open(tmp_path / "store", server.url, server.token) as index:
        is_new = ("not_in_plex", str(new), "not_scanned")
        for closed in (others, films.parent):
            closed.chmod(0o111)
            assert told(index, tmp_path) == sorted([is_new, ("left_out", str(closed), "unreadable")])
            assert told(index, tmp_path, library="Films 2") == [is_new], "nothing is told of what others have"
            closed.chmod(0)
            assert ("left_out", str(closed), "unreadable") in told(index, tmp_path)
            closed.chmod(0o755)


def test_a_mount_that_is_missing_is_one_line(index: plexindex.Index, tree: Tree) -> None:
    for path in tree.listed[:3]:
        path.unlink()
        path.parent.rmdir()
    (line,) = index.compare(tree.media)
    assert (line.what, line.path, line.reason_code) == ("not_on_disk", str(tree.films), "location_empty")
    assert "3 files of library 'Films'" in line.reason and "is empty" in line.reason
    tree.films.rmdir()
    (line,) = index.compare(tree.films)
    assert "does not exist" in line.reason
    with pytest.raises(plexindex.InvalidArgumentError, match="no folder"):
        list(index.compare(tree.media / "nowhere"))


def test_leftovers_are_no_media(index: plexindex.Index, tree: Tree) -> None:
    aside = tree.films.with_name("aside")
    tree.films.rename(aside)
    for name in (".keep", "Thumbs.db", "lost+found/x.mkv", ".Trash-0/y.mkv", "._z.mkv", "NOT MOUNTED.txt"):
        make(tree.films / name)
    for without in ((), ("hidden", "system")):
        (line,) = (one for one in index.compare(tree.media, without=without) if one.what == "not_on_disk")
        assert (line.path, line.reason_code) == (str(tree.films), "location_empty")
        assert line.reason.startswith("3 files of library 'Films'")
        assert line.reason.endswith("it has no media in it: a mount may be missing")
    found = index.compare(tree.films)
    assert len(list(found)) == 1
    check_sums(found.summary)
    assert found.summary["listed_not_on_disk"] == found.summary["listed_location_empty"] == 3
    # A file that is listed is in Plex, whatever leaves it out.
    film = {"title": "Hidden", "files": [str(tree.films / ".Trash-0" / "y.mkv")]}
    tree.server.post("items/add", {"library": 1, "items": [film]})
    gone = [("not_on_disk", str(path), "gone") for path in tree.listed[:3]]
    assert [one for one in told(index, tree.films) if one[0] == "not_on_disk"] == gone
    # Media, or a folder that may have some, or more than a few names: then each file that is gone is told.
    for name in ("New.mkv", "New/x.txt"):
        make(tree.films / name)
        assert [one for one in told(index, tree.films) if one[0] == "not_on_disk"] == gone
        shutil.rmtree(tree.films / "New", ignore_errors=True)
        (tree.films / "New.mkv").unlink(missing_ok=True)
    for number in range(64):
        make(tree.films / f"{number}.txt")
    assert [one for one in told(index, tree.films) if one[0] == "not_on_disk"] == gone


def test_a_location_below_leftovers(tmp_path: Path, start_server: ServerFactory) -> None:
    outer, inner = tmp_path / "media", tmp_path / "media" / ".hidden" / "films"
    gone, there = outer / "Alpha (2001).mkv", make(inner / "Beta (2002).mkv")
    server = serve(tmp_path, start_server, ([outer, inner], [gone, there]))
    with plexindex.open(tmp_path / "store", server.url, server.token) as index:
        assert [one for one in told(index, outer) if one[0] == "not_on_disk"] == [("not_on_disk", str(gone), "gone")]


def test_what_plex_leaves_out(index: plexindex.Index, tree: Tree) -> None:
    film = tree.listed[0].parent
    left_out = {
        make(film / ".hidden.mkv"): "hidden",
        make(film / "empty.mkv", b""): "empty",
        make(film / "alpha-sample.mkv"): "samples",
        make(film / "Alpha-trailer.mkv"): "extras",
        make(film / "Featurettes" / "making of.mkv").parent: "extras",
        make(film / "VIDEO_TS" / "VTS_01.VOB").parent: "discs",
        make(tree.films / "@eaDir" / "x.mkv").parent: "system",
        make(tree.films / "$RECYCLE.BIN" / "x.mkv").parent: "system",
        make(tree.films / "_UNPACK_New" / "x.mkv").parent: "unpacking",
        make(tree.films / ".trash" / "x.mkv").parent: "hidden",
    }
    (film / "dead link.mkv").symlink_to("/nowhere/at/all")
    left_out[film / "dead link.mkv"] = "empty"
    make(film / "poster.jpg")
    make(film / "Alpha.mkv.part")
    assert told(index, tree.films) == sorted(("left_out", str(path), rule) for path, rule in left_out.items())
    # Each can be switched off; what it left out is media then.
    for rule in set(left_out.values()):
        hidden = {str(path) for path, own in left_out.items() if own == rule}
        rest = told(index, tree.films, without=[rule])
        assert not [one for one in rest if one[2] == rule], rule
        assert [one for one in rest if one[0] == "not_in_plex"], rule
        assert {one[1] for one in rest if one[0] == "left_out"} >= {
            str(path) for path, own in left_out.items() if own != rule
        } - hidden
    part = [one for one in told(index, tree.films, without=["extension"]) if one[0] == "not_in_plex"]
    assert {Path(one[1]).name for one in part} == {"poster.jpg", "Alpha.mkv.part"}
    with pytest.raises(plexindex.InvalidArgumentError, match="is no rule"):
        index.compare(tree.films, without=["nothing"])


def test_a_plexignore_that_is_no_text_or_no_file(index: plexindex.Index, tree: Tree) -> None:
    news = [make(tree.films / name) for name in ("New.mkv", "New/New.mkv")]
    new = sorted(("not_in_plex", str(path), "not_scanned") for path in news)
    ignored = make(tree.films / ".plexignore", b"[!\0]*\n*.avi\0\n\0\n\xff*\n")
    assert told(index, tree.films) == new
    # Nothing writes into it.
    for folder in (tree.films, news[1].parent):
        ignored.unlink(missing_ok=True)
        ignored = folder / ".plexignore"
        os.mkfifo(ignored)
        assert told(index, tree.films) == new


def test_links_loops_and_names_that_are_no_text(index: plexindex.Index, tree: Tree) -> None:
    (tree.films / "loop").symlink_to(tree.films)
    (tree.films / "linked").symlink_to(make(tree.media / "else" / "far.mkv").parent)
    odd = os.fsencode(tree.films) + b"/odd \xff.mkv"
    with open(odd, "wb") as file:
        file.write(b"x")
    found = told(index, tree.films)
    assert found == sorted(
        [
            ("left_out", str(tree.films / "loop"), "loop"),
            ("not_in_plex", str(tree.films / "linked" / "far.mkv"), "not_scanned"),
            ("not_in_plex", os.fsdecode(odd), "not_scanned"),
        ]
    )


def test_links_that_lead_nowhere_or_above(tmp_path: Path, index: plexindex.Index, tree: Tree) -> None:
    (tree.films / "itself.mkv").symlink_to("itself.mkv")
    (tree.films / "here").symlink_to("there")
    (tree.films / "there").symlink_to("here")
    # Above all that is walked: it would be walked once more by another name.
    (tree.films / "up").symlink_to(tmp_path)
    # What is listed is gone when its link leads nowhere.
    tree.listed[0].unlink()
    tree.listed[0].symlink_to("/no/such/place.mkv")
    assert told(index, tree.films) == [
        ("left_out", str(tree.films / "itself.mkv"), "empty"),
        ("left_out", str(tree.films / "up"), "loop"),
        ("not_on_disk", str(tree.listed[0]), "gone"),
    ]


@pytest.fixture
def closed_to_root() -> Iterator[None]:
    """Rights hold for root, too: this thread, and those that it starts, do without the power to pass them over."""
    if not IS_ROOT:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    head, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    if libc.capget(head, sets) != 0:
        pytest.skip("this system has no capabilities")
    effective = sets[0]
    sets[0] &= ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    libc.capset(head, sets)
    yield
    sets[0] = effective
    libc.capset(head, sets)


@pytest.mark.usefixtures("closed_to_root")
def test_what_cannot_be_read_is_not_gone(index: plexindex.Index, tree: Tree) -> None:
    closed = tree.listed[0].parent
    closed.chmod(0)
    found = index.compare(tree.media)
    assert [(one.what, one.path, one.reason_code) for one in found] == [("left_out", str(closed), "unreadable")]
    assert (found.unreadable, found.summary["unreadable"], found.differs) == (1, 1, False)
    closed.chmod(0o755)


def test_what_goes_while_it_is_walked(index: plexindex.Index, tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    going = tree.listed[0].parent
    real = index._request

    def request(method: str, *arguments: Any, **options: Any) -> Any:
        if method == "walk.next":
            shutil.rmtree(going, ignore_errors=True)
        return real(method, *arguments, **options)

    monkeypatch.setattr(index, "_request", request)
    assert told(index, going) == [("not_on_disk", str(tree.listed[0]), "gone")]


def test_a_folder_in_a_mount_that_is_missing(index: plexindex.Index, tree: Tree) -> None:
    shutil.rmtree(tree.films)
    tree.films.mkdir()
    line = [("not_on_disk", str(tree.films), "location_empty")]
    assert told(index, tree.listed[0].parent) == told(index, tree.films) == line


def test_what_is_no_folder_is_refused(index: plexindex.Index, tree: Tree) -> None:
    for given, what in ((tree.films / "Misspelt", "does not exist"), (tree.listed[0], "is a file")):
        with pytest.raises(
            plexindex.InvalidArgumentError, match=f"no folder .it {what}.*: give .*'{re.escape(str(tree.films))}'"
        ):
            list(index.compare(given))
    # A folder that went is what Plex lists and is gone.
    shutil.rmtree(tree.listed[0].parent)
    assert told(index, tree.listed[0].parent) == [("not_on_disk", str(tree.listed[0]), "gone")]


def test_one_folder_that_is_refused_is_refused_before_anything_is_told(index: plexindex.Index, tree: Tree) -> None:
    make(tree.films / "New.mkv")
    found = iter(index.compare([tree.films, tree.shows / "Misspelt"]))
    with pytest.raises(plexindex.InvalidArgumentError, match="Misspelt is no folder"):
        next(found)


def test_one_file_of_several_items_is_ambiguous(tmp_path: Path, index: plexindex.Index, tree: Tree) -> None:
    again = [{"title": "Beta, once more", "year": 2002, "files": [str(tree.listed[1])]}]
    tree.server.post("items/add", {"library": 1, "items": again})
    (found,) = index.compare(tree.films)
    assert (found.what, found.path, found.reason_code) == ("ambiguous", str(tree.listed[1]), "several_items")
    assert "2 items" in found.reason
    cli = Cli(tmp_path, tree.server)
    done = cli.run("diff", tree.films)
    assert (done.returncode, done.stdout.splitlines()[0]) == (1, f"ambiguous: {tree.listed[1]}")


def test_a_folder_that_cannot_be_read_is_told_by_the_command(tmp_path: Path, tree: Tree) -> None:
    closed = tree.films / "Alpha (2001)"
    if IS_ROOT:
        pytest.skip("root reads every folder")
    closed.chmod(0)
    try:
        done = Cli(tmp_path, tree.server).run("diff", tree.films)
    finally:
        closed.chmod(0o755)
    assert done.returncode == 1
    assert f"left out: {closed}" in done.stdout
    assert "1 folder not read" in done.stderr


def test_what_was_never_fetched_is_not_missing(index: plexindex.Index, tree: Tree) -> None:
    with pytest.raises(plexindex.NotFetchedError, match="fetched"):
        told(index, tree.media, offline=True)
    index.refresh("Films")
    assert told(index, tree.films, offline=True) == told(index, tree.films, library="Films", offline=True) == []
    for folder in (tree.shows, tree.shows / "Delta", tree.media):
        with pytest.raises(plexindex.NotFetchedError, match="'Shows' was never fetched"):
            told(index, folder, offline=True)


def test_folders_that_are_given_twice(index: plexindex.Index, tree: Tree) -> None:
    found = index.compare([tree.films, tree.listed[0].parent, f"{tree.media}/films/", tree.films / ".", tree.films])
    assert list(found) == []
    assert (found.files, found.listed) == (3, 3)


@pytest.mark.parametrize("one_library", [True, False])
def test_locations_within_each_other(tmp_path: Path, start_server: ServerFactory, one_library: bool) -> None:
    outer, inner = tmp_path / "media", tmp_path / "media" / "anime"
    films = [make(outer / name / f"{name}.mkv") for name in FILMS]
    other = make(inner / "Delta (2004)" / "Delta (2004).mkv")
    if one_library:
        server = serve(tmp_path, start_server, ([outer, inner], [*films, other]))
    else:
        server = serve(tmp_path, start_server, ([outer], films), ([inner], [other]))
    with plexindex.open(tmp_path / "store", server.url, server.token) as index:
        for folder, count in ((outer, 4), (tmp_path, 4), (inner, 1)):
            found = index.compare(folder)
            assert list(found) == []
            assert (found.files, found.listed) == (count, count)
        other.unlink()
        for folder in (outer, tmp_path, inner):
            assert told(index, folder) == [("not_on_disk", str(other), "gone")]
        # Once, by the outer one, if that says it already.
        shutil.rmtree(outer)
        missing = [outer] if one_library else [outer, inner]
        assert told(index, outer) == [("not_on_disk", str(place), "location_empty") for place in missing]


def test_an_empty_location_that_is_called_like_another(tmp_path: Path, start_server: ServerFactory) -> None:
    full, empty = tmp_path / "a" / "films", tmp_path / "b" / "films"
    files = [make(full / name / f"{name}.mkv") for name in FILMS]
    empty.mkdir(parents=True)
    server = serve(tmp_path, start_server, ([full, empty], files))
    with plexindex.open(tmp_path / "store", server.url, server.token) as index:
        assert told(index, empty) == told(index, tmp_path) == []


def test_mappings_are_proposed_and_used(tmp_path: Path, index: plexindex.Index, tree: Tree) -> None:
    copy = tmp_path / "host"
    for path in tree.listed:
        make(copy / path.relative_to(tree.media))
    (line,) = index.compare(copy)
    assert (line.what, line.path, line.reason_code) == ("not_in_plex", str(copy), "mapping_missing")
    assert str(tree.media) in line.reason
    assert "5 media files are in it" in line.reason
    # Beside folders of libraries each file is told of, with the mapping that it lacks.
    lines = [one for one in index.compare(tmp_path) if one.path.startswith(str(copy))]
    assert {one.reason_code for one in lines} == {"mapping_missing"}
    assert all(f"give {copy} as the server's {tree.media}" in one.reason for one in lines), lines[0].reason
    found = index.compare(make(tmp_path / "none" / "x.mkv").parent)
    (none,) = found
    assert (none.reason_code, found.files) == ("no_library", 1)
    assert "1 media file is in it" in none.reason
    rules = (plexindex.Mapping.host_prefix(str(copy), str(tree.media)),
             plexindex.Mapping.server_prefix(str(tree.media), str(copy)))  # fmt: skip
    for rule in rules:
        with plexindex.open(tmp_path / "store", tree.server.url, tree.server.token, mappings=[rule]) as mapped:
            assert told(mapped, copy) == []
            (copy / "films" / FILMS[0] / f"{FILMS[0]}.mkv").rename(copy / "films" / "away.mkv")
            assert told(mapped, copy / "films") == [
                ("not_in_plex", str(copy / "films" / "away.mkv"), "not_scanned"),
                ("not_on_disk", str(copy / "films" / FILMS[0] / f"{FILMS[0]}.mkv"), "gone"),
            ]
            (copy / "films" / "away.mkv").rename(copy / "films" / FILMS[0] / f"{FILMS[0]}.mkv")


def test_other_spellings_are_the_same_file(index: plexindex.Index, tree: Tree) -> None:
    old = tree.listed[0]
    folder = old.parent.rename(old.parent.with_name(old.parent.name.upper()))
    (folder / old.name).rename(folder / old.name.upper().replace(".MKV", ".mkv"))
    assert told(index, tree.films) == []


def test_the_command(tmp_path: Path, tree: Tree) -> None:
    cli = Cli(tmp_path, tree.server)
    good = cli.run("diff", tree.media)
    assert (good.returncode, good.stdout) == (0, "")
    assert "nothing differs" in good.stderr
    new = make(tree.films / "New.mkv")
    make(tree.films / "sample-x.mkv")
    tree.listed[0].unlink()
    done = cli.run("diff", "--json", tree.media)
    assert (done.returncode, done.stderr) == (1, "")
    *lines, summary = (json.loads(line) for line in done.stdout.splitlines())
    assert {(line["what"], line["path"], line["reason_code"]) for line in lines} == {
        ("not_in_plex", str(new), "not_scanned"),
        ("left_out", str(tree.films / "sample-x.mkv"), "samples"),
        ("not_on_disk", str(tree.listed[0]), "gone"),
    }
    assert list(lines[0]) == [
        "what",
        "path",
        "is_folder",
        "files",
        "item",
        "reason_code",
        "reason",
        "library",
        "section",
    ]
    assert summary["what"] == "summary"
    assert (summary["not_in_plex"], summary["not_on_disk"], summary["left_out"]) == (1, 1, 1)
    text = cli.run("diff", tree.media)
    assert f"not in Plex: {new}" in text.stdout and "Alpha" in text.stdout
    assert "sample-x" not in text.stdout
    assert "sample-x" in cli.run("diff", "--left-out", tree.media).stdout
    tree.server.stop()
    assert cli.run("diff", "--offline", tree.media).returncode == 1
    assert cli.run("diff").returncode == 2
    assert cli.run("diff", "--without", "nothing", tree.media).returncode == 2
    rules = cli.good("diff", "--rules")
    assert all(name in rules for name in _left_out.RULES)
    assert tuple(_left_out.RULES) == arguments.RULES
    as_json = [json.loads(line) for line in cli.good("diff", "--rules", "--json").splitlines()]
    assert [line["rule"] for line in as_json] == list(arguments.RULES)
    assert all(line["leaves_out"] and line["source"] for line in as_json)


def test_the_doctor_leaves_out_what_diff_does(tmp_path: Path, tree: Tree) -> None:
    cli = Cli(tmp_path, tree.server)
    cli.good("warm")
    film = tree.listed[0].parent
    for name in ("Featurettes/Making of.mkv", "Other-trailer.mkv", "deep/Samples/x.mkv", "sample.mkv", "disc.iso"):
        make(film / name)
    make(film / "BDMV" / "STREAM" / "00001.m2ts")
    (film / ".plexignore").write_text("ignored.mkv\n")
    make(film / "ignored.mkv")
    assert cli.run("diff", tree.media).returncode == 0
    values = cli.json("doctor", tree.media)
    assert (values["exit_code"], values["files"]["unmatched"], values["files"]["left_out"]) == (0, {}, 7)
    said = cli.good("doctor", tree.media)
    assert "\n  left out      6  " in said and "\n  never listed  1  " in said and "nothing is wrong" in said
    new = make(film / "New" / "Brand New (2020).mkv")
    values = cli.json("doctor", tree.media)
    assert (values["exit_code"], values["files"]["unmatched"], values["files"]["left_out"]) == (
        0, {"not found: not listed": 1}, 7
    )  # fmt: skip
    assert str(new) in cli.good("doctor", tree.media)


def test_files_that_differ_in_their_case_only(index: plexindex.Index, tree: Tree) -> None:
    alpha, beta = tree.listed[:2]
    twin = make(alpha.with_name(alpha.name.lower()))
    if twin.samefile(alpha):
        pytest.skip("this disk does not tell such files apart")
    below = make(tree.films / beta.parent.name.upper() / beta.name)
    accented = tree.films / "Gamma (2003)" / "\u00c9t\u00e9 (2003).mkv"
    make(accented)
    make(accented.with_name(accented.name.lower()))
    new = [("not_in_plex", str(path), "not_scanned") for path in (twin, below)]
    new += [("not_in_plex", str(accented.with_name(name)), "not_scanned")
            for name in (accented.name, accented.name.lower())]  # fmt: skip
    assert told(index, tree.films) == sorted(new)
    # Both are listed, each by its own spelling.
    for path in (twin, below):
        film = {"title": f"Twin of {path}", "files": [str(path)]}
        tree.server.post("items/add", {"library": 1, "items": [film]})
    index.refresh(full=True)
    assert told(index, tree.films) == sorted(new[2:])
    # The one that is gone is not the one that is left.
    twin.unlink()
    assert ("not_on_disk", str(twin), "gone") in told(index, tree.films)
    alpha.rename(twin)
    assert told(index, tree.films) == sorted([*new[2:], ("not_on_disk", str(alpha), "gone")])
    # By another spelling alone it is the listed one, as ever.
    gamma = tree.listed[2]
    gamma.rename(gamma.with_name(gamma.name.upper()))
    assert told(index, tree.films) == sorted([*new[2:], ("not_on_disk", str(alpha), "gone")])


@pytest.mark.parametrize("seed", range(12))
def test_random_renames_are_no_difference(tmp_path: Path, start_server: ServerFactory, seed: int) -> None:
    films, chance = tmp_path / "films", random.Random(seed)  # noqa: S311
    names = [f"{letter} (2001).mkv" for letter in "abcdefABCDEF"]
    if make(tmp_path / "x").samefile(make(tmp_path / "X")):
        pytest.skip("this disk does not tell such files apart")
    # No two files of the first state differ in their case only.
    files = [make(films / chance.choice((name, name.upper().replace(".MKV", ".mkv")))) for name in names[:5]]
    server = serve(tmp_path, start_server, ([films], files))
    with plexindex.open(tmp_path / "store", server.url, server.token) as index:
        index.refresh()
        of = {row["path"]: int(row["ratingKey"]) for row in server.paths(1)}
        for _ in range(chance.randrange(1, 9)):
            old = Path(chance.choice(sorted(of)))
            free = [name for name in names if not any(name.lower() == Path(path).name.lower() for path in of)]
            new = films / chance.choice([*free, old.name.swapcase().replace(".MKV", ".mkv")])
            if str(new) in of:
                continue
            old.rename(new)
            of[str(new)] = of.pop(str(old))
            server.post("items/rename", {"ratingKey": of[str(new)], "from": str(old), "to": str(new)})
        assert told(index, films) == [], sorted(of)
        # A file that only took a name that another one had.
        new_film = next(films / name for name in names if not (films / name).exists())
        make(new_film)
        if not any(path.lower() == str(new_film).lower() for path in of):
            assert told(index, films) == [("not_in_plex", str(new_film), "not_scanned")]


def test_a_new_file_that_took_the_name_of_a_renamed_one(index: plexindex.Index, tree: Tree) -> None:
    index.refresh()
    old = tree.listed[0]
    new = tree.films / "Renamed (2001).mkv"
    rename(tree, old, new, keys(tree)[str(old)])
    taken = make(old.with_name(old.name.upper().replace(".MKV", ".mkv")))
    if old.exists():
        pytest.skip("this disk does not tell such files apart")
    assert told(index, tree.films) == [("not_in_plex", str(taken), "not_scanned")]


def test_further_files_that_went_to_another_item_are_not_told(index: plexindex.Index, tree: Tree) -> None:
    files = [make(tree.films / f"{name}.mkv") for name in "abc"]
    film = {"title": "Many", "year": 2000, "files": [str(file) for file in files]}
    tree.server.post("items/add", {"library": 1, "items": [film]})
    index.refresh(full=True)
    assert [(one.what, one.path) for one in index.compare(tree.films)] == [
        ("several_paths", str(file)) for file in files[1:]
    ]
    # The second one is another film's by now, and it and the third one are called otherwise.
    key = keys(tree)[str(files[0])]
    further = [tree.films / f"{name}.mkv" for name in "yz"]
    for old, new in zip(files[1:], further):
        rename(tree, old, new, key)
    rename(tree, tree.listed[0], files[1], keys(tree)[str(tree.listed[0])])
    found = list(index.compare(tree.films))
    assert [(one.what, one.path) for one in found] == [("several_paths", str(file)) for file in further]


def test_a_file_of_many_items_names_some_of_them(index: plexindex.Index, tree: Tree) -> None:
    file = str(tree.listed[1])
    again = [{"title": f"Beta {number}", "year": 2002, "files": [file]} for number in range(5)]
    tree.server.post("items/add", {"library": 1, "items": again})
    (found,) = index.compare(tree.films)
    assert found.reason.startswith("6 items have this file: "), found.reason
    assert found.reason.count("(2002)") == 3 and found.reason.endswith(", and 3 more")


def test_a_plexignore_with_odd_patterns(index: plexindex.Index, tree: Tree) -> None:
    make(tree.films / ".plexignore", b"[z-a]*.mkv\n[\nodd \xff*\n")
    odd = os.fsencode(tree.films) + b"/odd \xff x.mkv"
    with open(odd, "wb") as file:
        file.write(b"x")
    new = make(tree.films / "New.mkv")
    assert told(index, tree.films) == [
        ("left_out", os.fsdecode(odd), "plexignore"),
        ("not_in_plex", str(new), "not_scanned"),
    ]
