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
from plexindex.cli.changes import find_renames

from disk import Tree


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


def test_only_chosen_libraries_on_this_machine_are_walked(tmp_path: Path, tree: Tree) -> None:
    with plexindex.open(tmp_path / "store", tree.server.url, tree.server.token, retry_for=0) as index:
        index.refresh()
        new = tree.films / "Renamed (2001).mkv"
        tree.rename(tree.listed[0], new)
        cursor = index.changes().cursor
        aside = tree.films.rename(tree.media / "aside")
        find_renames(index, index.library())
        aside.rename(tree.films)
        find_renames(index, index.library("Shows"))
        assert list(index.changes(cursor)) == []
        find_renames(index, index.library("Films"))
        assert [(one.change, one.path) for one in index.changes(cursor)] == [("moved", str(new))]
