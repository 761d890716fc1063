"""`plexindex changes --follow` and files that were renamed on this machine."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import plexindex
import pytest
from cli import Cli
from conftest import ServerFactory
from plexindex._cli.renames import RenameWatch
from test_diff import Tree, keys, make, rename, requests


@pytest.fixture
def tree(tmp_path: Path, start_server: ServerFactory) -> Tree:
    return Tree(tmp_path, start_server)


def test_a_rename_that_moved_no_clock_is_told(tmp_path: Path, tree: Tree) -> None:
    cli = Cli(tmp_path, tree.server)
    cli.run("warm")
    old = tree.listed[0]
    new = tree.films / "Alpha, again (2001)" / "Alpha (2001).mkv"
    command, environment = cli.start("changes", "--follow", "--json", "--disk-every", "0.2")
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as follower:
        assert follower.stdout is not None and follower.stderr is not None
        assert "cursor" in json.loads(follower.stdout.readline())
        rename(tree, old, new, keys(tree)[str(old)])
        while "change" not in (line := json.loads(follower.stdout.readline())):
            pass
        assert (line["change"], line["from"], line["path"]) == ("moved", str(old), str(new))
        follower.send_signal(signal.SIGINT)
        assert follower.wait(30) == 130
        assert follower.stderr.read() == "plexindex: interrupted; the fetched part is kept\n"


def test_the_server_is_asked_only_for_new_differences(tmp_path: Path, tree: Tree) -> None:
    with plexindex.open(tmp_path / "store", tree.server.url, tree.server.token, retry_for=0) as index:
        index.refresh()
        tree.server.reset()
        watch = RenameWatch(index, None, 1000)
        watch.look()
        tree.listed[0].unlink()
        watch.look()
        assert requests(tree) == {}, "nothing is new"
        make(tree.films / "New (2024).mkv")
        watch.look()
        assert requests(tree) == {"metadata": 1}
        watch.look()
        assert requests(tree) == {"metadata": 1}, "the same files"
        tree.listed[1].unlink()
        watch.look()
        assert requests(tree) == {"metadata": 2}
        # Where the same ones are due again.
        pauses = []
        for _ in range(5):
            watch._next = 0.0
            watch.look()
            pauses.append(watch._pause)
        assert (requests(tree), pauses) == ({"metadata": 7}, [2000, 3600, 3600, 3600, 3600])


def test_only_chosen_libraries_on_this_machine_are_walked(tmp_path: Path, tree: Tree) -> None:
    with plexindex.open(tmp_path / "store", tree.server.url, tree.server.token, retry_for=0) as index:
        index.refresh()
        old = tree.listed[0]
        new = tree.films / "Renamed (2001).mkv"
        rename(tree, old, new, keys(tree)[str(old)])
        cursor = index.changes().cursor
        aside = tree.films.rename(tree.media / "aside")
        RenameWatch(index, None, 1000).look()
        aside.rename(tree.films)
        RenameWatch(index, index.library("Shows"), 1000).look()
        assert list(index.changes(cursor)) == []
        RenameWatch(index, index.library("Films"), 1000).look()
        assert [(one.change, one.path) for one in index.changes(cursor)] == [("moved", str(new))]


def test_walks_of_the_disk_are_for_followers(tmp_path: Path) -> None:
    done = Cli(tmp_path).run("changes", "--disk-every", "5", "--url", "http://127.0.0.1:1")
    assert (done.returncode, done.stderr) == (
        2,
        "plexindex: --disk-every needs --follow: give both or neither\n",
    )
