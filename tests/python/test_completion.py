"""What the shells complete, as the shells themselves say it."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from cli import Cli

BASH, ZSH, FISH = map(shutil.which, ("bash", "zsh", "fish"))


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command, and nothing said about a server."""
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
    assert cli.run("completion", "--install", shell).returncode == 0
    file.unlink()
    file.mkdir()
    failed = cli.run("completion", "--install", shell)
    assert failed.returncode == 2
    assert f"{file} cannot be written: " in failed.stderr


def bash(cli: Cli, *words: str) -> set[str]:
    script = cli.good("completion", "bash") + '\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _plexindex'
    assert BASH
    done = subprocess.run(
        [BASH, "--norc", "-c", script + '; printf "%s\\n" "${COMPREPLY[@]}"', "bash", "plexindex", *words],
        capture_output=True, text=True, check=True, cwd=cli.home,
    )  # fmt: skip
    assert done.stderr == ""
    return set(done.stdout.split())


def fish(cli: Cli, *words: str) -> set[str]:
    file = cli.home / "plexindex.fish"
    file.write_text(cli.good("completion", "fish"))
    line = " ".join(["plexindex", *words])
    assert FISH
    done = subprocess.run(
        [FISH, "--no-config", "-c", f"source {file}; complete -C '{line}'"],
        capture_output=True, text=True, check=True, cwd=cli.home, env={**os.environ, "HOME": str(cli.home)},
    )  # fmt: skip
    assert done.stderr == ""
    return {line.split("\t")[0] for line in done.stdout.splitlines()}


def zsh_shows(cli: Cli, words: list[str], *wanted: str) -> None:
    """All these are to be seen at a terminal when TAB is pressed twice."""
    folder = cli.home / "zfunc"
    folder.mkdir(exist_ok=True)
    (folder / "_plexindex").write_text(cli.good("completion", "zsh"))
    setup = (
        f"fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -d {cli.home}/dump; PS1='%% '; LISTMAX=10000\n"
        "zstyle ':completion:*' list-prompt ''; setopt auto_list list_ambiguous no_beep\n"
        "bindkey '^I' complete-word; echo rea''dy\n"
    )
    environment = {"HOME": str(cli.home), "PATH": os.environ["PATH"], "TERM": "xterm", "COLUMNS": "200", "LINES": "200"}
    assert ZSH
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(cli.home)
        os.execve(ZSH, [ZSH, "-f", "-i"], environment)  # noqa: S606
    os.set_blocking(terminal, False)

    def until(*wanted: str) -> None:
        seen, end = "", time.monotonic() + 30
        while not all(word in seen for word in wanted) and time.monotonic() < end:
            if select.select([terminal], [], [], 0.05)[0]:
                seen += os.read(terminal, 65536).decode(errors="replace")
        assert all(word in seen for word in wanted), (wanted, seen)

    try:
        os.write(terminal, setup.encode())
        until("ready")
        os.write(terminal, f"{' '.join(['plexindex', *words])}\t\t".encode())
        until(*wanted)
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)


COMMANDS = {
    *("libraries", "warm", "match", "folder", "diff", "changes"),
    *("stats", "clear", "shared", "doctor", "completion"),
}


@pytest.mark.skipif(BASH is None, reason="bash is not installed")
def test_bash(cli: Cli) -> None:
    assert bash(cli, "") == {*COMMANDS, "--help", "--version"}
    assert bash(cli, "ma") == {"match"}
    assert bash(cli, "match", "--fo") == {"--format"}
    assert bash(cli, "match", "--format", "") == {"text", "keys", "paths", "tsv", "json"}
    assert bash(cli, "match", "--color", "a") == {"auto", "always"}
    assert {"--full", "--dir", "--mapping"} <= bash(cli, "warm", "--")
    assert "--full" not in bash(cli, "stats", "--")
    assert bash(cli, "completion", "") == {"bash", "zsh", "fish"}
    (cli.home / "films").mkdir()
    (cli.home / "file.txt").touch()
    assert bash(cli, "doctor", "fil") == {"films", "file.txt"}
    assert bash(cli, "doctor", "--dir", "fil") == {"films"}
    assert bash(cli, "doctor", "--token-file", "file") == {"file.txt"}
    assert bash(cli, "--dir", "fil") == {"films"}
    assert bash(cli, "--offline", "stats", "--wat") == {"--watch"}
    assert bash(cli, "--off") == {"--offline"}
    assert bash(cli, "--dir", "films", "st") == {"stats"}


@pytest.mark.skipif(FISH is None, reason="fish is not installed")
def test_fish(cli: Cli) -> None:
    assert fish(cli, "") == COMMANDS
    assert fish(cli, "ma") == {"match"}
    assert fish(cli, "match", "--fo") == {"--format"}
    assert fish(cli, "match", "--format", "''") == {"text", "keys", "paths", "tsv", "json"}
    assert {"--full", "--dir"} <= fish(cli, "warm", "--")
    assert "--full" not in fish(cli, "stats", "--")
    assert fish(cli, "completion", "") == {"bash", "zsh", "fish"}
    (cli.home / "films").mkdir()
    (cli.home / "file.txt").touch()
    assert fish(cli, "doctor", "fil") == {"films/", "file.txt"}
    assert fish(cli, "doctor", "--dir", "fil") == {"films/"}
    assert fish(cli, "--off") == {"--offline"}
    assert fish(cli, "--dir", "fil") == {"films/"}
    assert fish(cli, "--dir", "films", "st") == {"stats"}


@pytest.mark.skipif(ZSH is None, reason="zsh is not installed")
def test_zsh(cli: Cli) -> None:
    zsh_shows(cli, [""], *COMMANDS, "Fetch what is missing")
    zsh_shows(cli, ["match", "--format", ""], "text", "keys", "paths", "tsv", "json")
    zsh_shows(cli, ["warm", "--"], "--full", "--mapping")
    (cli.home / "films").mkdir()
    zsh_shows(cli, ["doctor", "--dir", "fil"], "films")
    zsh_shows(cli, ["--dir", "films", "--offline", "st"], "stats")
    zsh_shows(cli, ["--off"], "--offline")
    zsh_shows(cli, ["--offline", "match", "--form"], "--format")
