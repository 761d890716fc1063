"""The shell recipes of docs/hosts.md and the lines with jq elsewhere, run as they stand on a disk and a server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli import Cli
from conftest import REPOSITORY, ServerFactory

from disk import Tree, make

pytestmark = pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")

RECIPES = REPOSITORY / "docs/hosts.md"


class Shell:
    """Runs scripts in which what they call is at hand: the command, and what would reach the network or a mailbox."""

    def __init__(self, folder: Path, tree: Tree) -> None:
        self.cli, self.tree = Cli(folder, tree.server), tree
        assert self.cli.run("refresh").returncode == 0
        programs = folder / "programs"
        programs.mkdir()
        for name, does in {
            "plexindex": f'exec "{sys.executable}" -m plexindex "$@"',
            "curl": 'printf "%s\\n" "$*"',
            "mail": 'printf "%s\\n" "$*"; cat',
        }.items():
            program = programs / name
            program.write_text(f"#!/bin/sh\n{does}\n")
            program.chmod(0o755)
        self.path = f"{programs}:{os.environ['PATH']}"

    def run(self, script: str, *given: object, **variables: str) -> str:
        script = script.replace("/mnt/media", str(self.tree.media))
        environment = {**self.cli.environment, "PATH": self.path, **variables}
        done = subprocess.run(
            ["sh", "-c", script, "recipe", *map(str, given)],
            env=environment, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert (done.stderr, done.returncode) == ("", 0), done
        return done.stdout


@pytest.fixture
def tree(tmp_path: Path, start_server: ServerFactory) -> Tree:
    return Tree(tmp_path, start_server)


@pytest.fixture
def shell(tmp_path: Path, tree: Tree) -> Shell:
    return Shell(tmp_path, tree)


def blocks() -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", RECIPES.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def test_the_recipes_of_a_shell(shell: Shell, tree: Tree) -> None:
    imported, hook, report, new, dead, trash = blocks()
    server = tree.server
    show = shell.cli.json("folder", tree.shows / "Delta")["item"]["key"]
    token = f"--silent --fail -X {{}} -H X-Plex-Token: {server.token} {server.url}"
    assert shell.run(hook, tree.shows / "Delta") == f"{token.format('PUT')}{show}/refresh\n"
    assert shell.run(hook, tree.shows / "Epsilon") == ""
    file = next(path for path in tree.listed if "Delta" in str(path))
    assert str(file) in shell.run(imported, sonarr_episodefile_path=str(file))
    assert shell.run(imported) == "", "Sonarr tests the connection"
    assert shell.run(report, tree.media) == ""
    added = make(tree.films / "New (2024)" / "New (2024).mkv")
    tree.listed[0].unlink()
    (sent, *lines) = shell.run(report, tree.media).splitlines()
    assert sent == "-s Plex and the disk root"
    assert any(str(added) in line for line in lines) and any(str(tree.listed[0]) in line for line in lines)
    assert shell.run(new) == f"not_scanned\t{added}\n"
    assert shell.run(dead) == f"gone\t1\t{tree.listed[0]}\n"
    # Pasted as it stands it empties no trash; nor do the two of them.
    for pasted in (trash, dead + trash):
        assert "emptyTrash" not in shell.run(f"({pasted}) 2>/dev/null || true")
    (emptied,) = shell.run(trash.replace("SECTION= ", "SECTION=1 ")).splitlines()
    assert emptied == f"-X PUT -H X-Plex-Token: {server.token} {server.url}/library/sections/1/emptyTrash"


def test_other_lines_with_jq(shell: Shell, tree: Tree) -> None:
    readme = (REPOSITORY / "docs" / "command.md").read_text("utf-8")
    ((command, filtered),) = re.findall(r"^\$ (plexindex diff --json) /tmp/media (\| jq .*)$", readme, re.MULTILINE)
    assert shell.run(f"{command} /mnt/media {filtered}") == '["summary",null,null]\n'
    line = " ".join(
        re.findall(r"plexindex diff --json /mnt/media \|\n.*jq .*", shell.cli.good("diff", "--help"))[0].split()
    )
    added = make(tree.films / "New (2024)" / "New (2024).mkv")
    assert shell.run(line) == f"{added}\n"
