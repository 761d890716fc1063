"""What shells complete, asked as click's scripts ask, and once from each shell itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli import Cli
from test_cli import COMMANDS


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command, without a server."""
    return Cli(tmp_path)


@pytest.mark.parametrize(
    ("shell", "place"),
    [
        ("bash", "bash-completion/completions/plexindex"),
        ("zsh", "zsh/site-functions/_plexindex"),
        ("fish", "fish/vendor_completions.d/plexindex.fish"),
    ],
)
def test_it_is_installed_where_the_shell_looks(cli: Cli, shell: str, place: str) -> None:
    done = cli.run("completion", "--install", shell)
    file = cli.home / ".local" / "share" / place
    assert (done.returncode, done.stdout) == (0, f"{file}\n")
    assert file.read_text() == cli.good("completion", shell)
    assert ("fpath+=" in done.stderr) == (shell == "zsh")
    file.unlink()
    file.mkdir()
    failed = cli.run("completion", "--install", shell)
    assert failed.returncode == 2
    assert f"cannot write {file}: " in failed.stderr


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", set(COMMANDS)),
        ("ma", {"match", "matches"}),
        ("match --fo", {"--format"}),
        ("match --format ", {"text", "keys", "paths", "tsv", "json"}),
        ("refresh --ca", {"--cache-dir", "--ca-file"}),
        ("completion ", {"bash", "zsh", "fish"}),
        ("--off", {"--offline"}),
        ("--cache-dir films st", {"stats"}),
        ("diff --without s", {"system", "samples"}),
    ],
)
def test_what_is_completed(cli: Cli, line: str, expected: set[str]) -> None:
    words = line.split(" ")
    printed = cli.good(_PLEXINDEX_COMPLETE="bash_complete", COMP_WORDS=f"plexindex {line}", COMP_CWORD=str(len(words)))
    assert {one.partition(",")[2] for one in printed.splitlines()} == expected


@pytest.mark.parametrize(("shell", "check"), [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")])
def test_the_shell_reads_the_script(cli: Cli, shell: str, check: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    file = cli.home / "script"
    file.write_text(cli.good("completion", shell))
    subprocess.run([program, check, file], check=True)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash(cli: Cli) -> None:
    program = cli.home / "plexindex"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m plexindex "$@"\n')
    program.chmod(0o755)
    script = cli.good("completion", "bash") + (
        '\nCOMP_WORDS=(plexindex match --for); COMP_CWORD=2; _plexindex_completion plexindex; echo "${COMPREPLY[@]}"'
    )
    environment = {**cli.environment, "PATH": f"{cli.home}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "--norc", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("--format\n", "")
