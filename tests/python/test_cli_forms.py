"""How the command reads its options and its input, and how it writes its output."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli import Cli
from conftest import Server
from plexindex._core.config import parse_mapping


@pytest.fixture
def cli(tmp_path: Path, server: Server) -> Cli:
    """The command, with the server and an empty store."""
    return Cli(tmp_path, server)


def shell(cli: Cli, line: str) -> tuple[int, str, str]:
    """Runs a line of a shell, in which `plexindex` is the command."""
    script = f'plexindex() {{ "{sys.executable}" -m plexindex "$@"; }}; {line}'
    done = subprocess.run(
        ["sh", "-c", script], env=cli.environment, cwd=cli.home, capture_output=True, text=True, check=False, timeout=60
    )
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


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("/mnt/media", "HOST=SERVER"),
        ("/a=/b=/c", "2 ways: write 'HOST -> SERVER'"),
        ("/a ->", "HOST=SERVER"),
        ("films:tv", "HOST=SERVER"),
        ("/a -> b", "with the server's full folder"),
    ],
)
def test_what_is_not_a_mapping(cli: Cli, text: str, reason: str) -> None:
    done = cli.run("match", "--mapping", text, "/x.mkv")
    assert (done.returncode, reason in done.stderr) == (2, True), done


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
        code, printed, errors = shell(cli, line)
        assert (code, printed.endswith("mapped, high\n"), errors) == (0, True, ""), (line, printed, errors)
    assert shell(cli, "mkdir gone; cd gone; rmdir ../gone; plexindex match --mapping .=/data x.mkv")[0] == 1


def test_options_before_or_after_the_command(cli: Cli, server: Server, tmp_path: Path) -> None:
    path = server.paths(1)[0]["path"].replace("/data/", "/mnt/media/")
    bare: dict[str, Any] = {"PLEXINDEX_SERVER_URL": None, "PLEXINDEX_TOKEN": None, "PLEXINDEX_CACHE_DIR": None}
    flags = ["--server-url", server.url, "--token", server.token, "--cache-dir", str(tmp_path / "other")]
    mapping = ["--mapping", "/mnt/media=/data"]
    for words in (
        ["match", *flags, *mapping, path],
        [*flags, *mapping, "match", path],
        ["--offline", *flags, "match", *mapping, path],
    ):
        assert cli.good(*words, **bare).endswith("mapped, high\n"), words
    assert cli.good("--cache-dir", "x", "--help").startswith("Usage: plexindex ")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("matsch /x", "'matsch'"),
        ("match --librar x /x", "--library"),
        ("stats --bogus", "--bogus"),
        ("match", "`plexindex match --help`"),
        ("match -f keys --json /x", "--format keys and --json both specify a format: give only one of them"),
        ("match -f xml /x", "'xml' is not one of"),
        ("match --missing --format keys /x", "use --format paths"),
        ("match /x --timeout", "'--timeout' requires an argument"),
        ("match --timeout -1 /x", "'--timeout': '-1' is not"),
        ("--size-limit -1.5 match /x", "'--size-limit': '-1.5' is not"),
        ("stats --every 0", "greater than zero"),
        ("stats --cache-dir=", "'--cache-dir': the value is empty"),
        ("completion", "zsh"),
        ("match -dash.mkv", "-d"),
        ("changes Movies", "Movies"),
        ("changes --disk-every 5", "--disk-every needs --watch"),
        ("diff", "no folder was given"),
        ("diff --without nothing /x", "'samples'"),
    ],
)
def test_wrong_words(cli: Cli, words: str, text: str) -> None:
    done = cli.run(*words.split())
    assert (done.returncode, text in done.stderr) == (2, True), done.stderr


def test_formats(cli: Cli, server: Server) -> None:
    cli.good("refresh")
    row = server.paths(1)[0]
    odd = b"/nowhere/\xff\ttab\\.mkv"
    listed = row["path"].encode() + b"\r\n\r\n" + odd
    key = f"/library/metadata/{row['ratingKey']}"

    def lines(*words: str, given: bytes = listed) -> list[str]:
        done = cli.run("match", *words, "-", given=given)
        assert (done.returncode, done.stderr) == (1, "1 of 2 paths found: 1 exact; 1 not found\n")
        return done.stdout.splitlines()

    assert lines("--format", "keys") == [key, ""]
    found, missing = (line.split("\t") for line in lines("--format", "tsv"))
    assert found == [row["path"], key, "found", "high", "exact", found[5], "Movies", ""]
    assert found[5].startswith(row["title"])
    assert missing[:7] == ["/nowhere/\udcff\\ttab\\\\.mkv", "", "not_found", "none", "none", "", ""]
    for words in (["-f", "json"], ["--json"]):
        assert [json.loads(line)["status"] for line in lines(*words)] == ["found", "not_found"]
    # The same bytes as in the list, for xargs.
    for end, words in ((b"\n", ["--quiet"]), (b"\0", ["--quiet", "--null"])):
        given = listed.replace(b"\r\n\r\n", b"\n").replace(b"\n", end)
        done = cli.run("match", *words, "--missing", "--format", "paths", "-", given=given)
        assert (os.fsencode(done.stdout), done.stderr, done.returncode) == (odd + end, "", 1)


def test_lists_in_another_locale(cli: Cli) -> None:
    for variables in ({"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}):
        done = cli.run("match", "-", given="/data/movies/\xe9 \u2013 x.mkv\n/x\n".encode(), **variables)
        assert (done.returncode, done.stdout.count("not found:")) == (1, 2), done
        done = cli.run("match", "--format", "paths", "-", given=b"/data/movies/\xff.mkv\n", **variables)
        assert os.fsencode(done.stdout) == b"/data/movies/\xff.mkv\n"


def test_names_that_are_not_utf8(cli: Cli, tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/Caf\xe9\n"
    os.mkdir(folder)
    Path(os.fsdecode(folder + b"/\xff.mkv")).touch()
    line, summary = map(json.loads, cli.run("diff", "--json", os.fsdecode(folder)).stdout.splitlines())
    assert base64.b64decode(line["path_base64"]).startswith(folder)
    assert [base64.b64decode(one) for one in summary["counts"]["folders_base64"]] == [folder]
    shown = f"{tmp_path}/Caf\\xe9\\n"
    printed = cli.run("folder", "--null", "-", given=folder + b"\0").stdout
    assert printed.startswith(f"{shown}\n") and "\udcff" not in printed
    assert shown in cli.run("diff", os.fsdecode(folder)).stdout


def test_closed_streams(cli: Cli, server: Server) -> None:
    path = server.paths(1)[0]["path"]
    assert shell(cli, "plexindex match - <&-") == (0, "", "")
    for words in (f"match '{path}'", "stats", "--version"):
        expected = (5, "", "plexindex: cannot read or write standard output: Bad file descriptor\n")
        assert shell(cli, f"plexindex {words} >&-") == expected, words
    assert shell(cli, f"plexindex match '{path}' /x.mkv 2>&-")[0] == 1
    assert shell(cli, "plexindex refresh <&- >&- 2>&-")[0] == 0
    assert shell(cli, "plexindex match - 0>/dev/null")[::2] == (
        5,
        "plexindex: cannot read or write standard input: Bad file descriptor\n",
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("words", ["libraries", "match --format paths /x.mkv", "doctor", "--help", "--version"])
def test_output_to_a_full_disk(cli: Cli, words: str) -> None:
    error = "plexindex: cannot read or write standard output: No space left on device\n"
    assert shell(cli, f"plexindex {words} >/dev/full")[::2] == (5, error)


def test_a_reader_that_has_enough(cli: Cli, server: Server) -> None:
    (cli.home / "list").write_text("".join(f"{row['path']}\n" for row in server.paths(1)) * 30)
    for words in ("match -", "match --format json -", "match --format paths -"):
        line = f"{{ plexindex {words} <list; echo $? >code; }} | head -1"
        code, printed, errors = shell(cli, line)
        assert (code, printed.count("\n"), errors) == (0, 1, ""), words
        assert (cli.home / "code").read_text() == "141\n"


def test_colors_are_for_terminals(cli: Cli, server: Server) -> None:
    cli.good("refresh")
    path = server.paths(1)[0]["path"]
    assert "\x1b" not in cli.good("match", path)
    assert "\x1b[32m" in cli.good("match", "--color", "always", path, NO_COLOR="1")
    assert "\x1b[32m" in cli.at_terminal("match", path)[1]
    assert "\x1b" not in cli.at_terminal("match", "--color", "never", path)[1]
    assert "\x1b" not in cli.at_terminal("match", path, NO_COLOR="1")[1]
    assert "  \x1b[32mok\x1b[0m   " in cli.good("doctor", "--color=always")
    assert "\x1b" not in json.dumps(cli.json("doctor", "--color=always"))
    assert "\x1b[32m" in cli.good("match", path, FORCE_COLOR="1")
    assert cli.run("match", "--color=always", "").stderr.startswith("\x1b[31m\x1b[1mplexindex:\x1b[0m ")


@pytest.mark.parametrize("columns", [40, 80])
def test_no_word_is_cut(cli: Cli, columns: int) -> None:
    _, seen = cli.at_terminal("doctor", COLUMNS=str(columns), NO_COLOR="1")
    lines = seen.partition("\nServer\n")[2].partition("\nLibraries\n")[0].splitlines()
    assert len(lines) > 2
    assert {word for word in " ".join(lines).split() if not re.match(r"[\d.]+|ms", word)} <= set(
        cli.good("doctor").split()
    )
    assert all(len(line) <= columns or len(line.split()) < 3 for line in lines), lines


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


@pytest.mark.parametrize("module", ["plexindex.cli", "plexindex.errors", "click", "plexindex.cli.libraries"])
def test_ctrl_c_during_an_import(tmp_path: Path, module: str) -> None:
    command = [sys.executable, "-c", INTERRUPTED_IMPORT, module]
    environment = Cli(tmp_path).environment
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr.replace("plexindex: interrupted\n", "").strip()) == (130, "", "")


def test_ctrl_c_stays_ignored_in_a_background_job(tmp_path: Path) -> None:
    code = INTERRUPTED_IMPORT.replace("class", "signal.signal(signal.SIGINT, signal.SIG_IGN)\nclass", 1)
    command = [sys.executable, "-c", code, "click"]
    environment = Cli(tmp_path).environment
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 6, "nothing was fetched yet"


def test_without_its_packages_the_command_names_them(tmp_path: Path) -> None:
    for package, words in (("click", ["stats"]), ("rich", ["config"])):
        code = f"import sys; sys.modules[{package!r}] = None; from plexindex.__main__ import main; sys.exit(main())"
        command = [sys.executable, "-c", code, *words]
        environment = Cli(tmp_path).environment
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, "pipx install 'plexindex[cli]'" in done.stderr) == (5, True), done
