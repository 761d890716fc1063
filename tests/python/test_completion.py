"""What the shells complete, asked from the shells themselves."""

from __future__ import annotations

import os
import pty
import select
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cli import Cli

BASH, ZSH, FISH = map(shutil.which, ("bash", "zsh", "fish"))


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
    assert cli.run("completion", "--install", shell).returncode == 0
    file.unlink()
    file.mkdir()
    failed = cli.run("completion", "--install", shell)
    assert failed.returncode == 2
    assert f"cannot write {file}: " in failed.stderr


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
    """Presses TAB twice at a terminal, and waits for all these words."""
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
    *("stats", "clear", "matches", "shared", "doctor", "completion"),
}


# The words before the cursor, and what a shell completes: exactly these, or with "…" these among others.
CASES = [
    ("ma", {"match", "matches"}),
    ("match --fo", {"--format"}),
    ("match --format ''", {"text", "keys", "paths", "tsv", "json"}),
    ("warm --", {"--full", "--dir", "--mapping", "…"}),
    ("completion ''", {"bash", "zsh", "fish"}),
    ("doctor fil", {"films", "file.txt"}),
    ("doctor --dir fil", {"films"}),
    ("--dir fil", {"films"}),
    ("--off", {"--offline"}),
    ("--dir films st", {"stats"}),
]


@pytest.mark.skipif(BASH is None, reason="bash is not installed")
def test_bash(cli: Cli) -> None:
    assert bash(cli, "") == {*COMMANDS, "--help", "--version"}
    assert "--full" not in bash(cli, "stats", "--")
    expect_cases(cli, lambda line: bash(cli, *shlex.split(line)))


@pytest.mark.skipif(FISH is None, reason="fish is not installed")
def test_fish(cli: Cli) -> None:
    assert fish(cli, "") == COMMANDS
    expect_cases(cli, lambda line: {word.rstrip("/") for word in fish(cli, line)})


def expect_cases(cli: Cli, complete: Callable[[str], set[str]]) -> None:
    (cli.home / "films").mkdir()
    (cli.home / "file.txt").touch()
    for line, expected in CASES:
        found = complete(line)
        assert expected == found or ("…" in expected and expected - {"…"} < found), (line, found)


@pytest.mark.skipif(ZSH is None, reason="zsh is not installed")
def test_zsh(cli: Cli) -> None:
    zsh_shows(cli, [""], *COMMANDS, "Fetch missing and expired")
    zsh_shows(cli, ["match", "--format", ""], "text", "keys", "paths", "tsv", "json")
    zsh_shows(cli, ["warm", "--"], "--full", "--mapping")
    (cli.home / "films").mkdir()
    zsh_shows(cli, ["doctor", "--dir", "fil"], "films")
    zsh_shows(cli, ["--dir", "films", "--offline", "st"], "stats")
    zsh_shows(cli, ["--off"], "--offline")
    zsh_shows(cli, ["--offline", "match", "--form"], "--format")
