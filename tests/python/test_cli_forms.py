"""How the command reads its options and its input, what shells complete, and how it writes its output."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli import Cli
from conftest import Server, run
from disk import make
from plexindex._core.config import parse_mapping
from plexindex.cli import find, options
from plexindex.cli.help import PLACES
from test_cli import COMMANDS


def shell(cli: Cli, line: str) -> tuple[int, str, str]:
    """Runs a line of a shell, in which `plexindex` is the command."""
    script = f'plexindex() {{ "{sys.executable}" -m plexindex "$@"; }}; {line}'
    return process(["sh", "-c", script], cli)


def process(command: list[str], cli: Cli) -> tuple[int, str, str]:
    done = run(*command, env=cli.environment, cwd=cli.home)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("/a = /b", ("/a", "/b")),
        ("/mnt/my=media=/data", ("/mnt/my=media", "/data")),
        ("/mnt/my=media -> /data", ("/mnt/my=media", "/data")),
        ("/mnt/my=media:/data", ("/mnt/my=media", "/data")),
        ("/mnt/x:D:\\media", ("/mnt/x", "D:\\media")),
        ("/mnt/x=D:\\media", ("/mnt/x", "D:\\media")),
        ("Z:\\media=/data", ("Z:\\media", "/data")),
        ("Z:/media:C:/data", ("Z:/media", "C:/data")),
        ("/mnt/x:\\\\nas\\media", ("/mnt/x", "\\\\nas\\media")),
    ],
)
def test_forms_of_a_mapping(text: str, pair: tuple[str, str]) -> None:
    assert parse_mapping(text) == pair


@pytest.mark.parametrize("text", ["/mnt/media", "/a=/b=/c", "/a ->", "films:tv", "/a -> b"])
def test_what_is_not_a_mapping(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        parse_mapping(text)


def test_a_mapping_of_a_folder_below_the_current_one(cli: Cli, server: Server) -> None:
    below = server.paths(1)[0]["path"].replace("/data/", "media/", 1)
    file = cli.home / below
    file.parent.mkdir(parents=True)
    file.touch()
    for line in (
        f"plexindex match --mapping media=/data '{below}'",
        "find media -name '*.mkv' | plexindex match --mapping ./media=/data -",
        "cd media; plexindex match --mapping .=/data */*/*.mkv",
        f"mkdir deep; ln -s ../media/movies deep/up; plexindex match --mapping media=/data 'deep/up/../{below[6:]}'",
    ):
        assert shell(cli, line)[1].endswith("mapped, high\n"), line
    assert shell(cli, "mkdir gone; cd gone; rmdir ../gone; plexindex match --mapping .=/data x.mkv")[0] == 1


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("matsch /x", "'matsch'"),
        ("match --librar x /x", "'--librar'"),
        ("stats --bogus", "--bogus"),
        ("match", "`plexindex match --help`"),
        ("match --cache-dir= /x", "'--cache-dir': the value is empty"),
        ("match -f keys --json /x", "--json"),
        ("match -f xml /x", "'xml'"),
        ("match --missing --format keys /x", "--format paths"),
        ("match /x --timeout", "'--timeout'"),
        ("match --timeout -1 /x", "'-1'"),
        ("--size-limit -1.5 match /x", "'-1.5'"),
        ("match --mapping films:tv /x", "'films:tv'"),
        ("completion", "zsh"),
        ("help nothing", "'nothing'"),
        ("match -dash.mkv", "-d"),
        ("changes Movies", "Movies"),
        ("changes --disk-every 5", "--watch"),
        ("diff", "no folder"),
        ("diff --without nothing /x", "'samples'"),
    ],
)
def test_wrong_words(cli: Cli, words: str, text: str) -> None:
    cli.fails(2, text, *words.split(" "))


@pytest.mark.parametrize(
    ("line", "arguments", "values", "shared"),
    [
        ("-qv match -0vf json -lMovies /x -- -y", "/x -y", {"null": True, "format": "json", "library": "Movies"},
         {"quiet": True, "verbose": 2}),
        ("match --format=keys --size 7 --timeout=.5 -", "-", {"format": "keys", "size": 7}, {"timeout": 0.5}),
        ("--mapping /a=/b diff --only renamed --only not-in-plex --limit 0 --mapping=/c=/d /x", "/x",
         {"only": ("renamed", "not-in-plex"), "limit": 0}, {"mapping": (("/a", "/b"), ("/c", "/d"))}),
        ("--offline --server-url http://x match --token t -l 1 /x", "/x", {"library": "1"},
         {"offline": True, "server_url": "http://x", "token": "t"}),
        ("--color never --size-limit 2K refresh --full", "", {"full": True}, {"color": "never", "size_limit": 2000}),
        ("shared clear -y", "", {"yes": True}, {}),
    ],
)  # fmt: skip
def test_a_command_line(line: str, arguments: str, values: dict[str, object], shared: dict[str, object]) -> None:
    options.given.clear()
    name, _, found, own = options.parse(line.split(" "), find)
    assert found == arguments.split()
    assert {name: value for name, value in own.items() if value is not False and value not in (None, ())} == values
    assert options.given == {**shared, "command": f"plexindex {name}"}


@pytest.mark.parametrize(("argument", "status"), [("timeout", None), ("server_url", "invalid_argument")])
def test_an_error_in_json(cli: Cli, argument: str, status: str | None) -> None:
    words = ("match", "/x", "--json", f"--{argument.replace('_', '-')}", "wrong")
    error = json.loads(cli.run(*words).stderr)["error"]
    assert "wrong" in error.pop("message")
    assert error == {"argument": argument, "status": status, "exit_code": 2}


def test_formats(cli: Cli, server: Server) -> None:
    cli.good("refresh")
    row = server.paths(1)[0]
    odd = b"/nowhere/\xff\ttab\\.mkv"
    listed = row["path"].encode() + b"\r\n\r\n" + odd
    key = f"/library/metadata/{row['ratingKey']}"

    def lines(*words: str) -> list[str]:
        done = cli.run("match", *words, "-", given=listed)
        assert done.stderr == "1 of 2 paths found: 1 exact; 1 not found\n"
        return done.stdout.splitlines()

    assert lines("--format", "keys") == [key, ""]
    found, missing = (line.split("\t") for line in lines("--format", "tsv"))
    assert found == [row["path"], key, "found", "high", "exact", found[5], "Movies", ""]
    assert missing[:7] == ["/nowhere/\udcff\\ttab\\\\.mkv", "", "not_found", "none", "none", "", ""]
    # The same bytes as in the list, for xargs.
    for end, words in ((b"\n", ["--quiet"]), (b"\0", ["--quiet", "--null"])):
        given = listed.replace(b"\r\n\r\n", b"\n").replace(b"\n", end)
        done = cli.run("match", *words, "--missing", "--format", "paths", "-", given=given)
        assert os.fsencode(done.stdout) == odd + end
        assert done.stderr == ""


def test_lists_in_another_locale(cli: Cli) -> None:
    given = "/data/movies/\xe9 \u2013 x.mkv\n".encode() + b"/data/movies/\xff.mkv\n"
    for variables in ({"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}):
        assert cli.run("match", "-", given=given, **variables).stdout.count("not found:") == 2
        done = cli.run("match", "--format", "paths", "-", given=given, **variables)
        assert os.fsencode(done.stdout) == given


def test_names_that_are_not_utf8(cli: Cli, tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/Caf\xe9\n"
    os.mkdir(folder)
    Path(os.fsdecode(folder + b"/\xff.mkv")).write_bytes(b"x")
    line, summary = cli.lines("diff", os.fsdecode(folder))
    assert base64.b64decode(line["path_base64"]).startswith(folder)
    assert [base64.b64decode(one) for one in summary["counts"]["folders_base64"]] == [folder]
    shown = f"{tmp_path}/Caf\\xe9\\n"
    assert cli.run("folder", "--null", "-", given=folder + b"\0").stdout.startswith(f"{shown}\n")
    assert shown in cli.run("diff", os.fsdecode(folder)).stdout


@pytest.mark.parametrize(
    ("line", "code", "stream"),
    [
        ("match - <&-", 0, None),
        ("match /x.mkv >&-", 5, "output"),
        ("--version >&-", 5, "output"),
        ("match /x.mkv 2>&-", 1, None),
        ("refresh <&- >&- 2>&-", 0, None),
        ("match - 0>/dev/null", 5, "input"),
        *((f"{words} >/dev/full", 5, "output") for words in ("libraries", "match -f paths /x.mkv", "doctor", "--help")),
    ],
)
def test_a_stream_that_is_closed_or_full(cli: Cli, line: str, code: int, stream: str | None) -> None:
    found, _, errors = shell(cli, f"plexindex {line}")
    assert found == code
    why = "No space left on device" if "full" in line else "Bad file descriptor"
    assert errors == (f"plexindex: cannot read or write standard {stream}: {why}\n" if stream else "")


def test_a_reader_that_has_enough(cli: Cli, server: Server) -> None:
    (cli.home / "list").write_text("".join(f"{row['path']}\n" for row in server.paths(1)) * 30)
    for words in ("match -", "match --format json -", "match --format paths -"):
        _, printed, errors = shell(cli, f"{{ plexindex {words} <list; echo $? >code; }} | head -1")
        assert printed.count("\n") == 1
        assert errors == ""
        assert (cli.home / "code").read_text() == "141\n"


def test_colors_are_for_terminals(cli: Cli, server: Server) -> None:
    cli.good("refresh")
    path = server.paths(1)[0]["path"]
    assert "\x1b" not in cli.good("match", path)
    assert "\x1b[32m" in cli.good("match", "--color", "always", path, NO_COLOR="1")
    assert "\x1b[32m" in cli.good("match", path, FORCE_COLOR="1")
    assert "\x1b[32m" in cli.at_terminal("match", path)[1]
    assert "\x1b" not in cli.at_terminal("match", "--color", "never", path)[1]
    assert "\x1b" not in cli.at_terminal("match", path, NO_COLOR="1")[1]
    assert "\x1b" not in json.dumps(cli.json("doctor", "--color=always"))
    assert cli.run("match", "--color=always", "").stderr.startswith("\x1b[31m\x1b[1mplexindex:\x1b[0m ")


@pytest.mark.parametrize("columns", [40, 80])
def test_lines_are_wrapped_between_words_and_commands(cli: Cli, tmp_path: Path, columns: int) -> None:
    store = tmp_path / "a store with a long name"
    cli.good("refresh", "Movies", "--cache-dir", store)
    store.chmod(0o755)
    (store / "plexindex-2.db.broken").touch()
    words = ("doctor", "--cache-dir", store, make(tmp_path / "media" / "New (2001).mkv").parent)
    whole = cli.run(*words).stdout
    _, seen = cli.at_terminal(*words, COLUMNS=str(columns), NO_COLOR="1")
    commands = re.findall("`[^`]+`", whole)
    assert f"`chmod 700 '{store}'`" in commands
    assert [command for command in commands if command not in seen] == []
    lines = seen.partition("\nServer\n")[2].partition("\nLibraries\n")[0].splitlines()
    assert len(lines) > 2
    assert all(len(line) <= columns or len(line.split()) < 3 for line in lines), lines
    assert {word for line in lines for word in line.split() if not re.match(r"\d+|ms", word)} <= set(whole.split())


INTERRUPTED_IMPORT = """
import signal, sys

module = sys.argv[1]

class Interrupted:
    def find_spec(self, name, *_):
        if name == module:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupted())
from plexindex.__main__ import main
sys.argv[1:] = ["stats"]
sys.exit(main())
"""


@pytest.mark.parametrize("module", ["plexindex.cli", "plexindex.errors", "plexindex.index", "plexindex.cli.libraries"])
def test_ctrl_c_during_an_import(tmp_path: Path, module: str) -> None:
    code, _, errors = process([sys.executable, "-c", INTERRUPTED_IMPORT, module], Cli(tmp_path))
    assert code == 130
    assert errors.replace("plexindex: interrupted\n", "").strip() == ""


def test_ctrl_c_stays_ignored_in_a_background_job(tmp_path: Path) -> None:
    code = INTERRUPTED_IMPORT.replace("class", "signal.signal(signal.SIGINT, signal.SIG_IGN)\nclass", 1)
    assert process([sys.executable, "-c", code, "plexindex.index"], Cli(tmp_path))[0] == 6, "nothing was fetched yet"


def test_without_its_package_the_command_names_it(cli: Cli) -> None:
    code = "import sys; sys.modules['rich'] = None; from plexindex.__main__ import main; sys.exit(main())"
    status, _, errors = process([sys.executable, "-c", code, "libraries"], cli)
    assert "pip install rich" in errors
    assert status == 5


def test_one_match_imports_no_more_than_it_needs(cli: Cli, server: Server) -> None:
    command, _ = cli.start("match", server.paths(1)[0]["path"])
    _, _, errors = process([command[0], "-X", "importtime", *command[1:]], cli)
    names = {line.rpartition("|")[2].strip().partition(".")[0] for line in errors.splitlines()}
    assert names & {"argparse", "difflib", "rich", "asyncio", "tomllib", "json", "dataclasses", "logging"} == set()


@pytest.mark.parametrize(("shell", "check"), [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")])
def test_a_completion_is_installed_where_the_shell_looks(cli: Cli, shell: str, check: str) -> None:
    file = cli.home / ".local" / "share" / PLACES[shell]
    assert cli.run("completion", "--install", shell).stdout == f"{file}\n"
    assert file.read_text() == cli.good("completion", shell)
    if program := shutil.which(shell):
        subprocess.run([program, check, file], check=True)
    file.unlink()
    file.mkdir()
    cli.fails(2, f"cannot write {file}: ", "completion", "--install", shell)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", set(COMMANDS)),
        ("ma", {"match", "matches"}),
        ("match --fo", {"--format"}),
        ("match --format ", {"text", "keys", "paths", "tsv", "json"}),
        ("refresh --ca", {"--cache-dir", "--ca-file"}),
        ("completion ", {"bash", "zsh", "fish"}),
        ("--cache-dir films st", {"stats"}),
        ("diff --without s", {"system", "samples"}),
    ],
)
def test_what_is_completed(cli: Cli, line: str, expected: set[str]) -> None:
    words = line.split(" ")
    assert set(cli.good(*words, _PLEXINDEX_COMPLETE="1").splitlines()) == expected


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes(cli: Cli) -> None:
    program = cli.home / "plexindex"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m plexindex "$@"\n')
    program.chmod(0o755)
    script = cli.good("completion", "bash") + (
        '\nCOMP_WORDS=(plexindex match --for); COMP_CWORD=2; _plexindex_completion plexindex; echo "${COMPREPLY[@]}"'
    )
    cli.environment["PATH"] = f"{cli.home}:{os.environ['PATH']}"
    assert process(["bash", "--norc", "-c", script], cli) == (0, "--format\n", "")
