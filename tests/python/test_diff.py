"""Differences between a disk and what Plex lists, on a tree of files of this machine; renamed files are none."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import random
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import plexindex
import pytest
from cli import Cli
from conftest import IS_ROOT, OpenIndex, Server, ServerFactory, cancelled, makes_links, takes_rights
from disk import FILMS, Tree, check_sums, film, lines_of, make, not_in_plex, not_on_disk, serve, set_size
from plexindex import aio
from plexindex._core.selection import Selection
from plexindex.compare import RULES
from plexindex.compare import disk as on_disk
from plexindex.testing import FakePlex


@pytest.fixture
def server(tree: Tree) -> Server:
    return tree.server


def test_both_ways(index: plexindex.Index, tree: Tree) -> None:
    assert lines_of(index, tree.media) == []
    new = make(tree.films / "New (2024)" / "New (2024).mkv")
    make(tree.films / "New (2024)" / "New (2024).srt")
    tree.listed[0].unlink()
    shutil.rmtree(tree.shows)
    loose = make(tree.media / "loose.mkv")
    comparison = index.compare(tree.media)
    found = {one.path: one for one in comparison}
    with pytest.raises(plexindex.InvalidArgumentError, match="only once"):
        list(comparison)
    assert {(one.what, one.path, one.reason) for one in found.values()} == {
        not_in_plex(new),
        ("not_in_plex", str(loose), "no_library"),
        not_on_disk(tree.listed[0]),
        ("not_on_disk", str(tree.shows), "location_empty"),
    }
    assert found[str(new)].section == "1"
    assert found[str(loose)].section is None
    assert found[str(tree.shows)].section == "2"
    assert "Alpha" in str(found[str(tree.listed[0])].item)
    # Each folder once, whatever its spelling.
    given = (tree.films, tree.listed[1].parent, Path(f"{tree.media}/films/."), tree.films)
    assert lines_of(index, *given) == [not_in_plex(new), not_on_disk(tree.listed[0])]
    # One of several libraries: what lies in no library, but nothing of another's.
    shows = index.library("Shows")
    assert [line[1] for line in lines_of(shows, tree.media)] == [str(loose), str(tree.shows)]
    with pytest.raises(plexindex.InvalidArgumentError, match="'Films'"):
        list(shows.compare([tree.shows, tree.films]))


def test_libraries_within_each_other_and_with_one_folder(tmp_path: Path, start_server: ServerFactory) -> None:
    outer, inner = tmp_path / "media", tmp_path / "media" / "anime" / "films"
    films = [make(outer / name / f"{name}.mkv") for name in FILMS]
    other, kept = (make(inner / name / f"{name}.mkv") for name in ("Delta (2004)", "Zeta (2006)"))
    shared = make(outer / "Epsilon (2005)" / "Epsilon (2005).mkv")
    server = serve(tmp_path, start_server, ([outer], films), ([inner], [other, kept]), ([outer], [shared]))
    with plexindex.open(tmp_path / "store", server.url, server.token) as index:
        index.library("Films 1").refresh()
        # A folder of a library that was never fetched.
        assert lines_of(index.library("Films 1"), outer) == [not_in_plex(shared)]
        index.refresh()
        for name, count in (("Films 1", 3), ("Films 2", 2), ("Films 3", 1), (None, 6)):
            found = (index.library(name) if name else index).compare(tmp_path)
            assert list(found) == []
            assert found.summary["files"] == found.summary["listed"] == count
        new = make(outer / "New (2026).mkv")
        # Either library of the folder may get the file.
        (line,) = index.compare(outer)
        assert line.library is None
        assert "'Films 1' or 'Films 3'" in line.message
        (line,) = index.library("Films 1").compare(outer)
        assert line.path == str(new)
        assert line.library == "Films 1"
        new.unlink()
        other.unlink()
        for folder in (outer, tmp_path, inner):
            assert lines_of(index, folder) == [not_on_disk(other)]
        shutil.rmtree(outer)
        missing = sorted({line[1:] for line in lines_of(index, outer)})
        assert missing == [(str(outer), "location_empty"), (str(inner), "location_empty")]


def test_an_old_listing(cli: Cli, tree: Tree) -> None:
    cli.good("refresh")
    tree.server.post("tokens", {"tokens": [{"token": tree.server.token, "expired": True}]})
    for code, *command in ((0, "diff", tree.media), (4, "changes", "--check")):
        cli.fails(code, "(498", *command)
    tree.server.stop()
    cli.fails(0, tree.server.url, "diff", tree.media)
    summary = cli.json("diff", tree.media)["counts"]
    assert summary["stale"]
    assert summary["age"] >= 0


def test_a_deadline(cli: Cli, index: plexindex.Index, tree: Tree) -> None:
    tree.server.fault(kind="listing", action="delay", ms=1000, count=0)
    cli.fails(3, "", "diff", "--timeout", "0.3", tree.media)
    with pytest.raises(plexindex.TimeoutError):
        lines_of(index, tree.media, timeout=0.3)
    tree.server.post("faults/clear")
    index.refresh()
    tree.rename(tree.listed[0], tree.films / "New (2001).mkv")
    tree.server.fault(kind="metadata", action="delay", ms=5000, count=1)
    found = index.compare(tree.media, timeout=0.5)
    assert sorted(one.what for one in found) == ["not_in_plex", "not_on_disk"]
    assert found.renames_unknown


def test_what_was_never_fetched(index: plexindex.Index, tree: Tree) -> None:
    index.library("Films").refresh()
    assert lines_of(index, tree.films, offline=True) == lines_of(index.library("Films"), tree.films, offline=True) == []
    for folder in (tree.shows / "Delta", tree.media):
        with pytest.raises(plexindex.NotFetchedError, match="'Shows'"):
            lines_of(index, folder, offline=True)


def test_a_listing_that_is_lost_ends_the_comparison(
    index: plexindex.Index, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.refresh()
    for number in range(1100):
        make(tree.films / f"folder {number}" / "New.mkv")

    def lose(_: int) -> None:
        monkeypatch.setattr(Selection, "facts", lambda _selection: [])

    with pytest.raises(plexindex.NotFetchedError, match="lost"):
        list(index.compare(tree.films, offline=True, progress=lose))


def test_asyncio(index: plexindex.Index, tree: Tree) -> None:
    index.refresh()
    tree.listed[0].unlink()
    walking: list[threading.Thread] = []
    begun, resume = threading.Event(), threading.Event()

    def wait(_files: int) -> None:
        walking.append(threading.current_thread())
        begun.set()
        resume.wait(30)

    async def ask() -> None:
        own = aio.AsyncIndex(index)
        async for difference in own.compare(tree.media):
            assert difference.what == "not_on_disk"
            break
        found = own.compare([tree.films, tree.shows], offline=True, progress=wait)
        task = asyncio.ensure_future(found.__aiter__().__anext__())
        assert await asyncio.to_thread(begun.wait, 30)
        await cancelled(task)

    asyncio.run(ask())
    assert threading.current_thread() not in walking
    resume.set()
    walking[0].join(30)
    assert len(walking) == 1, "a cancelled task ends the walk before the second folder"


def test_outside_of_every_library_plex_s_rules_do_not_hold(index: plexindex.Index, tree: Tree) -> None:
    names = ("samples/d.mkv", "_UNPACK_f/f.mkv", "else/g-trailer.mkv", "ignored/i.mkv")
    media = [make(tree.media / name) for name in names]
    make(tree.media / ".plexignore", b"*\nignored/*\n")
    junk = [make(tree.media / ".trash/x.mkv").parent, make(tree.media / "else" / "empty.mkv", b"")]
    lines = lines_of(index, tree.media)
    assert {one for one in lines if one[0] != "left_out"} == {("not_in_plex", str(one), "no_library") for one in media}
    assert [one[1] for one in lines if one[0] == "left_out"] == sorted(map(str, junk))


@makes_links
def test_a_summary_adds_up(cli: Cli, tree: Tree) -> None:
    make(tree.films / "New (2024).mkv")
    make(tree.films / "Alpha-trailer.mkv")
    make(tree.films / "Alpha (2001)" / "Featurettes" / "x.mkv")
    (tree.films / "loop").symlink_to(tree.films)
    tree.listed[0].unlink()
    tree.add(film(tree.listed[1], title="Beta, once more"))
    summary = cli.lines("diff", tree.media)[-1]["counts"]
    check_sums(summary)
    assert {name: summary[name] for name in summary if name.startswith(("files", "listed"))} == {
        "files": 6, "files_in_plex": 3, "files_not_in_plex": 1, "files_ambiguous": 1, "files_left_out": 1,
        "listed": 6, "listed_on_disk": 5, "listed_not_on_disk": 1, "listed_location_empty": 0, "listed_unknown": 0,
    }  # fmt: skip
    assert summary["left_out"] == 3
    text = " ".join(cli.run("diff", tree.media).stderr.split())
    assert "6 media files on the disk: 3 in Plex, 1 not in Plex, 1 ambiguous, 1 left out; " in text
    assert "Plex lists 6 files there: 5 on the disk, 1 not on the disk; 2 folders left out; " in text
    # A whole location is missing, but not that of the other library.
    shutil.rmtree(tree.films)
    for folder, listed in ((tree.media, 6), (tree.films, 4), (tree.listed[1].parent, 2)):
        summary = cli.lines("diff", folder)[-1]["counts"]
        check_sums(summary)
        assert summary["listed"] == listed
        assert summary["listed_not_on_disk"] == min(listed, 4)


def test_what_is_not_a_folder(index: plexindex.Index, tree: Tree) -> None:
    for given in ("", [tree.media, ""], []):
        with pytest.raises(plexindex.InvalidArgumentError, match="folder"):
            index.compare(given)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="without"):
        index.compare(tree.media, without="samples")
    with pytest.raises(plexindex.InvalidArgumentError, match="'nothing'"):
        index.compare(tree.media, without=["nothing"])
    make(tree.films / "New.mkv")
    empty = tree.media / "empty"
    make(empty / "x.txt")
    for path in (tree.films / "Misspelt", tree.listed[0], empty):
        with pytest.raises(plexindex.InvalidArgumentError, match=re.escape(str(path))):
            list(index.compare([tree.shows, path]))
    # Plex lists a file in this folder, so the folder is gone and not misspelt.
    shutil.rmtree(tree.listed[0].parent)
    assert lines_of(index, tree.listed[0].parent) == [not_on_disk(tree.listed[0])]


def test_a_missing_mount_is_one_line(cli: Cli, index: plexindex.Index, tree: Tree) -> None:
    index.refresh()
    cli.good("doctor", tree.media)
    for path in tree.listed[:3]:
        shutil.rmtree(path.parent)
    line = [("not_on_disk", str(tree.films), "location_empty")]
    (found,) = index.compare(tree.media)
    assert "3 files of library 'Films'" in found.message
    # Leftovers are no media.
    for name in (".keep", "Thumbs.db", "lost+found/x.mkv", ".Trash-0/y.mkv", "._z.mkv", "NOT MOUNTED.txt"):
        make(tree.films / name)
    comparison = index.compare(tree.films)
    assert len(list(comparison)) == 1
    assert comparison.summary["listed_not_on_disk"] == comparison.summary["listed_location_empty"] == 3
    check_sums(comparison.summary)
    make(tree.films / "New" / "x.txt")
    assert lines_of(index, tree.films) == line
    # With media, each missing file is a line.
    make(tree.films / "New" / "x.mkv")
    assert {not_on_disk(path) for path in tree.listed[:3]} <= set(lines_of(index, tree.films))
    shutil.rmtree(tree.films)
    for folder in (tree.films, tree.listed[0].parent):
        assert lines_of(index, folder) == line
    cli.fails(1, f"BAD {tree.films}: 3 files of library 'Films' are listed below this folder", "doctor", tree.media)


@pytest.fixture
def without_root_rights() -> Iterator[None]:
    """Permissions hold for root, too: this thread, and those that it starts, give up the power to ignore them."""
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


@pytest.mark.usefixtures("without_root_rights")
@takes_rights
def test_an_unreadable_folder_is_not_gone(index: plexindex.Index, tree: Tree) -> None:
    outside = make(tree.media / "outside" / "x.mkv").parent
    for closed in (tree.films, tree.listed[0].parent, outside):
        closed.chmod(0)
        found = index.compare(outside if closed is outside else [tree.films, tree.shows])
        assert [(one.what, one.path, one.reason) for one in found] == [("left_out", str(closed), "unreadable")]
        assert found.summary["unreadable"] == 1
        assert not found.differs
        closed.chmod(0o755)


def test_a_file_behind_an_error_beside_a_rename(
    index: plexindex.Index, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.refresh()
    renamed, failing = tree.listed[:2]
    tree.rename(renamed, tree.films / "New (2001).mkv")
    failing.unlink()
    error_of = on_disk.error_of
    fails = {os.fsencode(failing): OSError(errno.EIO, "input/output error")}
    monkeypatch.setattr(on_disk, "error_of", lambda path: fails.get(path) or error_of(path))
    assert lines_of(index, tree.films) == [("left_out", str(failing.parent), "unreadable")]


def test_a_file_that_comes_back_before_it_is_walked_is_not_missing(
    index: plexindex.Index, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.refresh()
    replaced, entries = tree.listed[0], on_disk.entries
    replaced.unlink()
    monkeypatch.setattr(on_disk, "entries", lambda folder: make(replaced) and entries(folder))
    found = index.compare(tree.films, offline=True)
    assert list(found) == []
    assert found.summary["listed_on_disk"] == found.summary["files_in_plex"] == 3


def test_one_file_of_several_items(index: plexindex.Index, tree: Tree) -> None:
    path = tree.listed[1]
    tree.add(*(film(path, title=f"Beta {number}") for number in range(5)))
    ambiguous = ("ambiguous", str(path), "several_items")
    assert lines_of(index, tree.films) == [ambiguous]
    tree.server.reset()
    lines_of(index, tree.films)
    assert tree.server.counted() == {"sections": 1}, "no file is new"
    # If the server does not answer, the path stays ambiguous.
    tree.server.fault(kind="metadata", action="status", status=500, count=0)
    episode = tree.listed[3]
    new = [episode.rename(episode.with_name("New.mkv")), tree.films / "New (2001).mkv"]
    assert lines_of(index, tree.media) == [ambiguous, not_in_plex(new[0]), not_on_disk(episode)]
    make(new[1])
    assert lines_of(index, tree.films) == [ambiguous, not_in_plex(new[1])]


@pytest.mark.parametrize(
    ("listed", "on_disk", "reason"),
    [("Caf\ufffd", b"Caf\xe9", "not_utf8"), ("Mission: Two", "Mission\uf022 Two".encode(), "replaced_characters")],
    ids=["bytes", "letters"],
)
def test_a_name_is_paired_with_the_listed_one(
    index: plexindex.Index, tree: Tree, listed: str, on_disk: bytes, reason: str
) -> None:
    file = make(Path(os.fsdecode(os.fsencode(tree.films) + b"/" + on_disk + b"/" + on_disk + b" (2003).mkv")))
    twin = tree.films / listed / f"{listed} (2003).mkv"
    tree.add(film(twin))
    index.refresh()
    (found,) = index.compare(tree.films)
    assert found.path == str(file)
    assert found.reason == reason
    assert found.item
    # A new file beside the listed one is another file.
    make(twin)
    assert lines_of(index, tree.films) == [not_in_plex(file)]
    twin.unlink()
    # Two listed names are no evidence.
    other = tree.films / listed.replace(":", "?") / f"{listed.replace(':', '?')} (2003).mkv"
    if other != twin:
        tree.add(film(other))
        assert not_in_plex(file) in lines_of(index, tree.films)


def test_missing_mappings(tmp_path: Path, open_index: OpenIndex, tree: Tree) -> None:
    index = open_index()
    copy = tmp_path / "host"
    sizes = {row["path"]: row["size"] for library in (1, 2) for row in tree.server.paths(library)}
    for path in tree.listed:
        set_size(make(copy / path.relative_to(tree.media)), sizes[str(path)])
    assert lines_of(index, copy) == [("not_in_plex", str(copy), "mapping_missing")]
    (line,) = index.compare(copy)
    assert str(tree.media) in line.message
    assert "5 media files" in line.message
    # Beside folders of libraries, each file is a line.
    lines = [one for one in index.compare(tmp_path) if one.path.startswith(str(copy))]
    assert [one.reason for one in lines] == ["mapping_missing"] * 5
    # Case does not matter.
    file = copy / "films" / FILMS[0] / f"{FILMS[0]}.mkv"
    shouted = file.rename(file.with_name(file.name.upper()))
    (message,) = [one.message for one in index.compare(tmp_path) if one.path == str(shouted)]
    assert message.endswith(f"leads to {tree.listed[0]}")
    shouted.rename(file)
    away, old = copy / "films" / "away.mkv", copy / "films" / FILMS[0] / f"{FILMS[0]}.mkv"
    for rule in (plexindex.Mapping.host_prefix(str(copy), str(tree.media)),
                 plexindex.Mapping.server_prefix(str(tree.media), str(copy))):  # fmt: skip
        mapped = open_index(mappings=[rule])
        assert lines_of(mapped, copy) == []
        old.rename(away)
        renamed = ("not_in_plex", str(away), "renamed")
        assert lines_of(mapped, copy / "films") == [renamed, not_on_disk(old)]
        away.rename(old)


def test_files_that_differ_only_in_case(index: plexindex.Index, tree: Tree) -> None:
    alpha, gamma = tree.listed[0], tree.listed[2]
    twin = make(alpha.with_name(alpha.name.lower()))
    if twin.samefile(alpha):
        pytest.skip("this disk does not tell such files apart")
    # A listed file in another spelling is in Plex, unless both spellings exist.
    gamma.parent.rename(gamma.parent.with_name(gamma.parent.name.upper()))
    beside = [make(tree.films / "BETA (2002)" / "Beta (2002).mkv")]
    for folder in (beside[0].parent, tree.listed[1].parent):  # so many files that they are looked up in two batches
        beside += [make(folder / f"{number}.mkv") for number in range(1024)]
    assert lines_of(index, tree.films) == sorted(map(not_in_plex, (twin, *beside)))
    for path in beside:
        path.unlink()
    tree.add(film(twin))
    assert lines_of(index, tree.films) == []
    twin.unlink()
    assert lines_of(index, tree.films) == [not_on_disk(twin)]
    alpha.rename(twin)
    assert lines_of(index, tree.films) == [not_on_disk(alpha)]


def test_the_command(cli: Cli, tree: Tree) -> None:
    done = cli.run("diff", tree.media)
    assert done.returncode == 0
    assert done.stdout == ""
    assert "nothing differs" in done.stderr
    new = make(tree.films / "New.mkv")
    sample = make(tree.films / "sample-x.mkv")
    tree.listed[0].unlink()
    *lines, summary = cli.lines("diff", tree.media)
    assert sorted((line["what"], line["path"], line["reason"]) for line in lines) == [
        ("left_out", str(sample), "samples"),
        not_in_plex(new),
        not_on_disk(tree.listed[0]),
    ]
    fields = ["what", "path", "is_folder", "files", "item", "reason", "message", "library", "section", "counts"]
    assert list(lines[0]) == list(summary) == fields
    assert summary["what"] == "summary"
    assert summary["counts"]["not_in_plex"] == 1
    text = cli.run("diff", tree.media).stdout
    assert f"not in Plex: {new}" in text
    assert "Alpha" in text
    assert "sample-x" not in text
    assert "sample-x" in cli.run("diff", "--left-out", tree.media).stdout
    assert not_in_plex(sample) in [
        (line["what"], line["path"], line["reason"]) for line in cli.lines("diff", "--without", "samples", tree.films)
    ]
    rules = cli.lines("diff", "--rules")
    assert [rule["rule"] for rule in rules] == list(RULES)
    assert all(rule["leaves_out"] and rule["source"] for rule in rules)
    assert all(rule in cli.good("diff", "--rules") for rule in RULES)
    tree.server.stop()
    assert cli.run("diff", "--offline", tree.media).returncode == 1


def test_the_command_prints_a_part(cli: Cli, tree: Tree) -> None:
    new = [make(tree.films / f"New {number}.mkv") for number in (1, 2)]
    shutil.rmtree(tree.shows / "Delta" / "Season 01")
    make(tree.shows / "Epsilon" / "x.mkv")
    gone = f"not on the disk: {tree.shows / 'Delta' / 'Season 01'}{os.sep} (2 files)\n"
    assert gone in cli.run("diff", tree.media).stdout
    assert cli.run("diff", "--only", "not-on-disk", tree.media).stdout == gone
    assert [line["what"] for line in cli.lines("diff", "--only", "not-on-disk", tree.media)] == (
        ["not_on_disk"] * 2 + ["summary"]
    )
    assert cli.lines("diff", "--only", "renamed", tree.media)[0]["what"] == "summary"
    first, summary = cli.lines("diff", "--limit", "1", "--only", "not-in-plex", tree.films)
    assert first["path"] == str(new[0])
    assert summary["counts"]["not_in_plex"] == 2
    assert "1 further line not printed" in cli.fails(1, str(new[0]), "diff", "--limit", "1", tree.films)
    make(tree.films / "A-trailer.mkv")
    whats = [line["what"] for line in cli.lines("diff", "--limit", "1", tree.films)]
    assert whats == ["left_out", "not_in_plex", "summary"], "what is no difference does not count"


def test_a_rename_is_no_difference(index: plexindex.Index, tree: Tree) -> None:
    index.refresh()
    old, gone = tree.listed[:2]
    new = tree.films / "Alpha, again (2001)" / "Alpha (2001).mkv"
    tree.rename(old, new)
    gone.unlink()
    also_new = make(tree.films / "New (2024).mkv")
    tree.server.reset()
    assert lines_of(index, tree.media) == [not_in_plex(also_new), not_on_disk(gone)]
    assert tree.server.counted() == {"sections": 1, "metadata": 1}
    assert len(lines_of(index, tree.media, offline=True)) == 2
    assert tree.server.counted() == {}
    # The index has learned the new path.
    assert index.library("Films").match(new, offline=True).match_kind == "exact"
    # From one given folder to another.
    (tree.films / "a").mkdir()
    tree.rename(new, tree.films / "z" / new.name)
    also_new.unlink()
    assert lines_of(index, tree.films / "a", tree.films / "z", new.parent) == []


def test_a_match_that_was_recorded_stays_and_is_no_rename(index: plexindex.Index, tree: Tree) -> None:
    index.refresh()
    films, (gone, other) = index.library("Films"), tree.listed[:2]
    new = make(tree.films / "New.mkv")
    films.record_match(new, films.match(gone).require())
    films.record_match(gone, films.match(other).require())
    gone.unlink()
    assert lines_of(index, tree.films) == [not_on_disk(gone)], "a recorded file counts as in Plex"
    assert films.match(gone).match_kind == films.match(new).match_kind == "confirmed"


def test_a_new_file_is_paired_with_a_missing_one(tmp_path: Path, open_index: OpenIndex) -> None:
    films = tmp_path / "films"
    small, other = (
        make(films / f"{name} (2001)" / f"{name} (2001).mkv", content) for name, content in (("A", b"a"), ("B", b"bb"))
    )
    sizes = {"Alpha (2001)": 101 << 20, "Beta (2002)": 102 << 20, "Gamma (2003)": 102 << 20}
    large = [set_size(make(films / f"{name}.mkv"), size) for name, size in sizes.items()]
    with FakePlex({"Films": films}) as plex:
        index = open_index(server_url=plex.url, token=plex.token)
        index.refresh()
        # By its name and its size. Another size, or another name of a file that is so small, is no evidence.
        moved, *new = films / "New" / small.name, films / "New" / other.name, films / "New" / "Else.mkv"
        for path, content in zip(new, (b"longer", b"bb")):
            make(path, content)
        small.rename(moved)
        other.unlink()
        renamed = ("not_in_plex", str(moved), "renamed")
        lines = [renamed, *map(not_in_plex, new), not_on_disk(small), not_on_disk(other)]
        assert lines_of(index, films) == sorted(lines)
        # A large one by its size, unless two new or two listed files have it.
        new[0] = large[0].rename(films / "New.mkv")
        (found,) = [one for one in index.compare(films) if one.path == str(new[0])]
        assert found.reason == "renamed"
        assert found.item is not None
        assert found.item.path == str(large[0])
        twin = set_size(make(films / "Twin.mkv"), 101 << 20)
        assert not_in_plex(new[0]) in lines_of(index, films)
        twin.unlink()
        new[0].unlink()
        new[0] = large[1].rename(films / "Newer.mkv")
        assert not_in_plex(new[0]) in lines_of(index, films)
        large[2].unlink()
        assert not_in_plex(new[0]) in lines_of(index, films)
        named = new[0].rename(films / "New" / large[1].name)
        assert ("not_in_plex", str(named), "renamed") in lines_of(index, films), "the name decides between the two"
        # Nor are two new files with the name and the size.
        make(films / "Newer" / small.name, b"a")
        assert not_in_plex(moved) in lines_of(index, films)


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
    assert tree.server.counted() == {"sections": 1}, "no file is missing or new"
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
    # In another spelling, and beside a file that Plex renamed.
    if make(other := shared.with_name("SHARED.mkv")).samefile(shared):
        pytest.skip("this disk does not tell such files apart")
    shared.unlink()
    tree.rename(two, tree.films / "newer.mkv")
    lines = [line for line in lines_of(index, tree.films) if line[0] != "several_paths"]
    assert lines == [("ambiguous", str(other), "several_items")]


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


def test_a_folder_that_cannot_be_compared_is_hidden(tree: Tree, open_index: OpenIndex) -> None:
    index = open_index(obfuscate_paths=True)
    index.refresh()
    for library, folder in ((index, tree.media / "SECRET"), (index.library("Films"), tree.shows)):
        with pytest.raises(plexindex.InvalidArgumentError, match="hidden") as caught:
            list(library.compare(folder))
        assert str(tree.media) not in str(caught.value)
