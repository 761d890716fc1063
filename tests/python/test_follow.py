"""`plexindex changes --watch` and files that were renamed on this machine."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import plexindex
import pytest
from cli import Cli
from conftest import ServerFactory
from plexindex.cli.changes import RenameWatch

from disk import Tree, make, requests


@pytest.fixture
def tree(tmp_path: Path, start_server: ServerFactory) -> Tree:
    return Tree(tmp_path, start_server)


def test_the_command_reports_a_rename(tmp_path: Path, tree: Tree) -> None:
    cli = Cli(tmp_path, tree.server)
    cli.run("refresh")
    old = tree.listed[0]
    new = tree.films / "Alpha, again (2001)" / "Alpha (2001).mkv"
    command, environment = cli.start("changes", "--watch", "--json", "--disk-every", "0.2")
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True) as follower:
        assert follower.stdout is not None and follower.stderr is not None
        assert json.loads(follower.stdout.readline())["change"] == "cursor"
        tree.rename(old, new)
        while (line := json.loads(follower.stdout.readline()))["change"] == "cursor":
            pass
        assert (line["change"], line["from"], line["path"]) == ("moved", str(old), str(new))
        follower.send_signal(signal.SIGINT)
        assert follower.wait(30) == 130
        assert follower.stderr.read() == "\nplexindex: interrupted\n", "no fetch has to be resumed"


def test_the_server_is_asked_only_for_new_differences(tmp_path: Path, tree: Tree) -> None:
    with plexindex.open(tmp_path / "store", tree.server.url, tree.server.token, retry_for=0) as index:
        index.refresh()
        tree.server.reset()
        watch = RenameWatch(index, index.library(), 1000)
        tree.listed[0].unlink()
        watch.walk()
        assert requests(tree) == {}, "no file is new"
        make(tree.films / "New (2024).mkv")
        for _ in range(2):
            watch.walk()
            assert requests(tree) == {"metadata": 1}
        tree.listed[1].unlink()
        watch.walk()
        assert requests(tree) == {"metadata": 2}
        pauses = []
        for _ in range(3):
            watch._next_time = 0.0
            watch.walk()
            pauses.append(watch._pause)
        assert (requests(tree), pauses) == ({"metadata": 5}, [2000, 3600, 3600])


def test_only_chosen_libraries_on_this_machine_are_walked(tmp_path: Path, tree: Tree) -> None:
    with plexindex.open(tmp_path / "store", tree.server.url, tree.server.token, retry_for=0) as index:
        index.refresh()
        new = tree.films / "Renamed (2001).mkv"
        tree.rename(tree.listed[0], new)
        cursor = index.changes().cursor
        aside = tree.films.rename(tree.media / "aside")
        RenameWatch(index, index.library(), 1000).walk()
        aside.rename(tree.films)
        RenameWatch(index, index.library("Shows"), 1000).walk()
        assert list(index.changes(cursor)) == []
        RenameWatch(index, index.library("Films"), 1000).walk()
        assert [(one.change, one.path) for one in index.changes(cursor)] == [("moved", str(new))]
