"""Renamed files are no difference: `diff` asks the server for the items of files that are gone."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import plexindex
import pytest
from cli import Cli
from conftest import Server, ServerFactory
from disk import Tree, check_sums, lines_of, make, not_in_plex, not_on_disk, requests, serve, set_size
from plexindex.testing import FakePlex


@pytest.fixture
def server(tree: Tree) -> Server:
    return tree.server


def test_a_rename_is_no_difference(index: plexindex.Index, tree: Tree) -> None:
    index.refresh()
    old, gone = tree.listed[:2]
    new = tree.films / "Alpha, again (2001)" / "Alpha (2001).mkv"
    tree.rename(old, new)
    gone.unlink()
    also_new = make(tree.films / "New (2024).mkv")
    tree.server.reset()
    assert lines_of(index, tree.media) == [not_in_plex(also_new), not_on_disk(gone)]
    assert requests(tree) == {"sections": 1, "metadata": 1}
    tree.server.reset()
    assert len(lines_of(index, tree.media, offline=True)) == 2
    assert requests(tree) == {}
    # The index has learned the new path.
    assert index.library("Films").match(new, offline=True).match_kind == "exact"
    # From one given folder to another.
    (tree.films / "a").mkdir()
    tree.rename(new, tree.films / "z" / new.name)
    also_new.unlink()
    assert lines_of(index, tree.films / "a", tree.films / "z", new.parent) == []


def test_a_file_that_plex_has_not_scanned_is_paired_by_its_size(index: plexindex.Index, tree: Tree) -> None:
    index.refresh()
    old, gone = tree.listed[:2]
    size = next(row["size"] for row in tree.server.paths(1) if row["path"] == str(old))
    assert size > 100 << 20
    new = set_size(old.rename(tree.films / "Something else.mkv"), size)
    gone.unlink()
    other = make(tree.films / "New (2024).mkv")
    lines = [("not_in_plex", str(new), "renamed"), not_in_plex(other), not_on_disk(old), not_on_disk(gone)]
    assert lines_of(index, tree.films) == sorted(lines)
    (found,) = [one for one in index.compare(tree.films) if one.reason == "renamed"]
    assert found.item is not None
    assert found.item.path == str(old)
    # Two files of this size are no evidence.
    set_size(other, size)
    assert ("not_in_plex", str(new), "not_scanned") in lines_of(index, tree.films)


def test_a_moved_file_of_any_size_is_paired_by_its_name(tmp_path: Path) -> None:
    films = tmp_path / "films"
    small, other = (
        make(films / f"{name} (2001)" / f"{name} (2001).mkv", content) for name, content in (("A", b"a"), ("B", b"bb"))
    )
    large = [set_size(make(films / f"{name}.mkv"), 101 << 20) for name in ("Alpha (2001)", "Beta (2002)")]
    with FakePlex({"Films": films}) as plex, plexindex.open(tmp_path / "store", plex.url, plex.token) as index:
        index.refresh()
        # Another size, or another name of a file that is so small, is no evidence.
        moved, *new = films / "New" / small.name, films / "New" / other.name, films / "New" / "Else.mkv"
        for path, content in zip(new, (b"longer", b"bb")):
            make(path, content)
        small.rename(moved)
        other.unlink()
        renamed = ("not_in_plex", str(moved), "renamed")
        lines = [renamed, *map(not_in_plex, new), not_on_disk(small), not_on_disk(other)]
        assert lines_of(index, films) == sorted(lines)
        # Nor is the size of two missing files.
        new[0] = large[0].rename(films / "New.mkv")
        assert ("not_in_plex", str(new[0]), "renamed") in lines_of(index, films)
        large[1].unlink()
        assert not_in_plex(new[0]) in lines_of(index, films)


def test_a_file_that_was_moved_out_of_the_compared_folder_is_not_missing(index: plexindex.Index, tree: Tree) -> None:
    index.refresh()
    (tree.films / "old").mkdir()
    tree.rename(tree.listed[0], tree.films / "old" / "Alpha (2001).mkv")
    index.refresh(full=True)
    tree.rename(tree.films / "old" / "Alpha (2001).mkv", tree.films / "Alpha (2001).mkv")
    assert lines_of(index, tree.films / "old") == []


def test_all_libraries_share_one_limit(cli: Cli, tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.good("refresh")
    for file, key in ((tree.listed[0], None), (tree.listed[3], tree.server.paths(2)[0]["ratingKey"])):
        tree.rename(file, file.with_name("New.mkv"), key)
    monkeypatch.setattr("plexindex.compare.comparison._ASKED", 1)
    printed = cli.fails(1, "1 file may have been renamed: run `plexindex refresh --full`", "diff", tree.media)
    assert printed.count("New.mkv") == 1, "the server was asked about one of them"
    cli.fails(0, "nothing differs", "diff", tree.media)


def test_a_server_that_does_not_report_renames(cli: Cli, tree: Tree) -> None:
    cli.good("refresh")
    tree.rename(tree.listed[0], tree.films / "New (2001).mkv")
    tree.server.fault(kind="metadata", action="status", status=500, count=0)
    cli.fails(1, "the server did not report whether files were renamed", "diff", tree.films)
    # The item is still unconfirmed, so the next comparison begins with a listing that is not up to date.
    cli.fails(1, "compared with a listing that was current", "diff", tree.films)


@pytest.fixture
def chain(tmp_path: Path, start_server: ServerFactory) -> Iterator[tuple[plexindex.Index, Path, Server]]:
    """An index that has not noticed that each of four films has the name of the next one."""
    films = tmp_path / "films"
    server = serve(tmp_path, start_server, ([films], [make(films / f"Film {one} (2001).mkv") for one in range(1, 5)]))
    with plexindex.open(tmp_path / "store", server.url, server.token, retry_for=0) as index:
        index.refresh()
        rating_keys = {row["path"]: int(row["ratingKey"]) for row in server.paths(1)}
        for number in (4, 3, 2, 1):
            old, new = (str(films / f"Film {one} (2001).mkv") for one in (number, number + 1))
            os.rename(old, new)
            server.post("items/rename", {"ratingKey": rating_keys[old], "from": old, "to": new})
        yield index, films, server


def test_a_chain_of_renames(chain: tuple[plexindex.Index, Path, Server], monkeypatch: pytest.MonkeyPatch) -> None:
    index, films, server = chain
    # Each film took a name from the next, so asking about one asks about all, whatever the limit of one run.
    monkeypatch.setattr("plexindex.compare.comparison._ASKED", 2)
    found = index.compare(films)
    assert list(found) == []
    assert found.summary["files"] == found.summary["listed"] == 4
    assert found.summary["unasked"] == 0
    check_sums(found.summary)
    for row in server.paths(1):
        assert index.match(row["path"], offline=True).rating_key == row["ratingKey"]


@pytest.mark.parametrize("answered", [1, 2, 3])
def test_a_chain_of_which_the_server_answered_a_part(
    chain: tuple[plexindex.Index, Path, Server], answered: int
) -> None:
    index, films, server = chain
    server.fault(kind="metadata", skip=answered, action="status", status=500, count=0)
    assert lines_of(index, films) != []
    server.post("faults/clear")
    assert lines_of(index, films) == []


@pytest.mark.parametrize("number", [3, 5])
def test_a_missing_file_of_a_chain(chain: tuple[plexindex.Index, Path, Server], number: int) -> None:
    index, films, _ = chain
    gone, new = films / f"Film {number} (2001).mkv", make(films / "New (2001).mkv")
    gone.unlink()
    assert lines_of(index, films) == [not_in_plex(new), not_on_disk(gone)]


def test_another_spelling_of_a_name_that_a_rename_left(index: plexindex.Index, tree: Tree) -> None:
    index.refresh()
    alpha, beta, gamma = tree.listed[:3]
    twins = [file.with_name(file.name.lower()) for file in (alpha, gamma)]
    if make(twins[0]).samefile(alpha):
        pytest.skip("this disk does not tell such files apart")
    twins[0].unlink()
    gamma.rename(twins[1])
    tree.server.reset()
    assert lines_of(index, tree.films) == []
    assert requests(tree) == {"sections": 1}, "no file is missing or new"
    twins[1].rename(gamma)
    # Gamma is missing, and the other spelling is Beta.
    gamma.unlink()
    tree.rename(beta, twins[1])
    assert lines_of(index, tree.films) == [not_on_disk(gamma)]


def test_renames_of_an_item_with_several_files(tmp_path: Path, cli: Cli, index: plexindex.Index, tree: Tree) -> None:
    files = [make(tree.films / f"{name}.mkv") for name in "abc"]
    tree.add({"title": "Many", "year": 2000, "files": [*map(str, files)]})
    index.refresh(full=True)
    key = tree.key(files[0])
    # From first to first, from first to last, from the middle to first, and from last to first.
    for count, (old, new) in enumerate((("a", "0"), ("0", "z"), ("c", "1"), ("z", "A"))):
        tree.rename(tree.films / f"{old}.mkv", tree.films / f"{new}.mkv", key)
        found = index.compare(tree.films)
        paths = sorted(one.path for one in found)
        assert (found.differs, found.summary["several_paths"]) == (False, 2), (old, new)
        with plexindex.open(tmp_path / f"fresh{count}", tree.server.url, tree.server.token) as fresh:
            assert paths == sorted(one.path for one in fresh.compare(tree.films)), (old, new)
    cli.fails(0, "2 further files of an item", "diff", tree.media)
    assert "several files: " in cli.run("diff", "--left-out", tree.media).stdout


def test_items_with_a_file_in_common(index: plexindex.Index, tree: Tree) -> None:
    one, two, shared = (make(tree.films / f"{name}.mkv") for name in ("one", "two", "shared"))
    tree.add(*({"title": file.stem, "files": [str(file), str(shared)]} for file in (one, two)))
    index.refresh(full=True)
    tree.rename(one, tree.films / "new.mkv")
    for offline in (False, True):
        lines = [line for line in lines_of(index, tree.films, offline=offline) if line[0] != "several_paths"]
        assert lines == [("ambiguous", str(shared), "several_items")]


def test_a_folder_of_a_library_that_was_never_fetched(tmp_path: Path, start_server: ServerFactory) -> None:
    films = tmp_path / "films"
    one, two = (make(films / f"{name}.mkv") for name in ("Alpha (2001)", "Beta (2002)"))
    server = serve(tmp_path, start_server, ([films], [one]), ([films], [two]))
    with plexindex.open(tmp_path / "store", server.url, server.token) as index:
        index.library("Films 1").refresh()
        unlisted = make(films / "New (2024).mkv")
        assert str(unlisted) in [one.path for one in index.library("Films 1").compare(films)]


@pytest.mark.parametrize("seed", range(6))
def test_random_renames(tmp_path: Path, start_server: ServerFactory, seed: int) -> None:
    films, chance = tmp_path / "films", random.Random(seed)  # noqa: S311
    names = [f"{letter} (2001).mkv" for letter in "abcdefABCDEF"]
    if make(tmp_path / "x").samefile(make(tmp_path / "X")):
        pytest.skip("this disk does not tell such files apart")
    # At first, no two files differ only in case.
    files = [make(films / chance.choice((name, name.upper().replace(".MKV", ".mkv")))) for name in names[:5]]
    server = serve(tmp_path, start_server, ([films], files))
    with plexindex.open(tmp_path / "store", server.url, server.token) as index:
        index.refresh()
        rating_keys = {row["path"]: int(row["ratingKey"]) for row in server.paths(1)}
        for _ in range(chance.randrange(1, 9)):
            old = Path(chance.choice(sorted(rating_keys)))
            used = {Path(path).name.lower() for path in rating_keys}
            free = [name for name in names if name.lower() not in used]
            new = films / chance.choice([*free, old.name.swapcase().replace(".MKV", ".mkv")])
            if str(new) in rating_keys:
                continue
            old.rename(new)
            rating_keys[str(new)] = rating_keys.pop(str(old))
            names_of_rename = {"from": str(old), "to": str(new)}
            server.post("items/rename", {"ratingKey": rating_keys[str(new)], **names_of_rename})
        assert lines_of(index, films) == [], sorted(rating_keys)
