"""What is odd and happens: folders that are not there, streams that are closed or full, lists of nothing."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli import Cli
from conftest import Server


@pytest.fixture
def cli(tmp_path: Path, server: Server) -> Cli:
    """The command, with the server and an empty store."""
    return Cli(tmp_path, server)


def shell(cli: Cli, line: str) -> tuple[int, str, str]:
    """Runs a line of a shell, in which `plexindex` is the command."""
    whole = f'plexindex() {{ "{sys.executable}" -m plexindex "$@"; }}; {line}'
    done = subprocess.run(
        ["sh", "-c", whole], env=cli.environment, cwd=cli.home, capture_output=True, text=True, check=False, timeout=60
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "words", ["stats", "clear", "clear --yes", "libraries --offline", "match --offline /x.mkv", "doctor"]
)
def test_a_folder_that_is_misspelt_is_not_made(cli: Cli, tmp_path: Path, words: str) -> None:
    folder = tmp_path / "typo"
    done = cli.run(*words.split(), "--dir", folder)
    assert done.returncode == 5
    said = f"there is no folder {folder} (from --dir): correct it, or let `plexindex warm` create it"
    assert said in done.stdout + done.stderr
    assert not folder.exists()


def test_a_folder_of_the_environment_is_made_by_what_asks_the_server(cli: Cli) -> None:
    for words in (["stats"], ["match", "--offline", "/x.mkv"], ["libraries", "--offline"]):
        done = cli.run(*words)
        assert (done.returncode, f"nothing was fetched into {cli.store} yet" in done.stderr) == (6, True), done
    assert cli.good("clear") == f"there is nothing in {cli.store} for this server and user\n"
    assert not cli.store.exists()
    cli.good("libraries")
    assert cli.store.is_dir()


def test_a_folder_of_a_flag_is_made_by_what_asks_the_server(cli: Cli, tmp_path: Path) -> None:
    for words in (["libraries"], ["match", "/x.mkv"], ["folder", "/x"], ["changes"]):
        folder = tmp_path / words[0]
        done = cli.run(*words, "--dir", folder)
        assert (done.returncode in (0, 1), folder.is_dir()) == (True, True), done


def test_a_folder_without_a_store_stays_as_it_is(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    done = cli.run("stats", "--dir", folder)
    assert (done.returncode, done.stderr) == (
        6,
        f"plexindex: nothing was fetched into {folder} yet: `plexindex warm` does that\n",
    )
    assert cli.good("clear", "--dir", folder) == f"there is nothing in {folder} for this server and user\n"
    done = cli.run("match", "--offline", "--dir", folder, "/x.mkv")
    assert (done.returncode, "nothing was fetched into" in done.stderr) == (6, True)
    assert list(folder.iterdir()) == []
    # The folder that nothing names.
    done = cli.run("stats", PLEXINDEX_DIR=None)
    assert (done.returncode, "nothing was fetched into" in done.stderr) == (6, True)
    assert not (cli.home / ".cache").exists()


@pytest.mark.parametrize("flag", ["--dir", "--url", "--token", "--token-file", "--user", "--ca-file"])
def test_an_option_without_a_value_is_no_default(cli: Cli, flag: str) -> None:
    done = cli.run("stats", flag, "")
    assert (done.returncode, f"argument {flag}: it is empty" in done.stderr) == (2, True)


@pytest.mark.parametrize("flag", ["--deadline", "--size-limit"])
@pytest.mark.parametrize("given", ["-1", "-0.5", "-0"])
def test_a_value_that_looks_like_an_option_is_named(cli: Cli, flag: str, given: str) -> None:
    for words in ([flag, given, "match", "/x"], ["match", flag, given, "/x"]):
        done = cli.run(*words)
        assert (done.returncode, f"argument {flag}: '{given}' is no" in done.stderr) == (2, True), done.stderr


def test_what_is_missing_is_named_with_what_to_give(cli: Cli) -> None:
    for words, said in [
        (["match", "/x", "--deadline"], "argument --deadline has no value: give one, --deadline SECONDS"),
        (["match", "/x", "-l"], "argument --library has no value: give one, --library LIBRARY"),
        (["completion"], "required: shell: give bash or zsh or fish"),
    ]:
        done = cli.run(*words)
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    # An option after one that takes a value is none of it.
    assert cli.run("match", "-0", "--offline", given=b"/x").returncode != 0


def test_streams_that_are_closed(cli: Cli, server: Server) -> None:
    path = server.paths(1)[0]["path"]
    assert shell(cli, "plexindex match - <&-") == (0, "", "")
    for words in (f"match '{path}'", "libraries", "stats", "--version"):
        closed = (74, "", "plexindex: standard output cannot be written: Bad file descriptor\n")
        assert shell(cli, f"plexindex {words} >&-") == closed, words
    assert shell(cli, f"plexindex match '{path}' /x.mkv 2>&-")[0] == 1
    assert shell(cli, "plexindex warm <&- >&- 2>&-")[0] == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_output_that_cannot_be_written(cli: Cli) -> None:
    cli.good("warm")
    commands = ("stats", "libraries", "match --format paths /x.mkv", "match /x.mkv", "doctor", "--help", "match --help")
    for words in (*commands, "--version"):
        code, _, said = shell(cli, f"plexindex {words} >/dev/full")
        assert code == 74, words
        assert said == "plexindex: standard output cannot be written: No space left on device\n"


def test_input_that_cannot_be_read(cli: Cli) -> None:
    code, _, said = shell(cli, "plexindex match - 0>/dev/null")
    assert (code, said) == (74, "plexindex: standard input cannot be read: Bad file descriptor\n")


def test_a_path_that_begins_with_a_dash(cli: Cli) -> None:
    for words in (["-dash.mkv"], ["-dash.mkv", "/x.mkv"]):
        done = cli.run("match", *words)
        assert (done.returncode, "write -- before" in done.stderr) == (2, True), done.stderr
    assert "name a library with -l" in cli.run("changes", "Movies").stderr


def test_an_error_about_the_address_says_where_it_is_from(cli: Cli) -> None:
    assert cli.run("libraries", PLEXINDEX_URL="foo").stderr.startswith('plexindex: PLEXINDEX_URL "foo" has no scheme')
    assert cli.run("--url", "foo", "libraries").stderr.startswith('plexindex: --url "foo" has no scheme')


def test_a_variable_that_is_misspelt_causes_a_warning(cli: Cli) -> None:
    cli.good("warm")
    done = cli.run("libraries", PLEXINDEX_MAPPING="/a=/b")
    assert "PLEXINDEX_MAPPING is no setting, and is ignored; did you mean PLEXINDEX_MAPPINGS?" in done.stderr
    wrong = cli.run("libraries", PLEXINDEX_MAPPINGS="/a=/b,/c=/d")
    assert (
        "write each mapping on a line of its own, HOST-FOLDER -> SERVER-FOLDER, or put ; between them" in wrong.stderr
    )


def test_a_list_of_nothing(cli: Cli) -> None:
    assert cli.good("match", "-") == ""
    cli.good("warm")
    done = cli.run("doctor", "-")
    assert done.returncode == 1
    assert "there are no media files in the list on standard input" in done.stdout


def test_what_ends_a_fetch_leaves_no_bar(cli: Cli, server: Server) -> None:
    server.fault(kind="listing", action="delay", ms=300, count=0)
    react = lambda seen: "\x03" if "waiting" in seen else ""  # noqa: E731
    code, seen = cli.at_terminal("match", server.paths(1)[0]["path"], react=react)
    assert code == 130
    last = seen.rindex("waiting")
    assert "\r\x1b[K" in seen[last : seen.index("interrupted")].replace("waiting\x1b[K", "", 1)


def test_a_reader_that_has_enough(cli: Cli, server: Server) -> None:
    (cli.home / "list").write_text("".join(f"{row['path']}\n" for row in server.paths(1)) * 30)
    for words in ("match -", "match --format json -", "match --format paths -"):
        code, printed, said = shell(cli, f"plexindex {words} <list | head -1")
        assert (code, printed.count("\n"), said) == (0, 1, ""), words


def test_lists_of_other_systems(cli: Cli, server: Server) -> None:
    row = server.paths(1)[0]
    keys = cli.run("match", "-q", "--format", "keys", "-", given=f"{row['path']}\r\n\r\n".encode()).stdout
    assert keys == f"/library/metadata/{row['ratingKey']}\n"
    for variables in ({"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}):
        done = cli.run("match", "-", given="/data/movies/\xe9 \u2013 x.mkv\n/x\n".encode(), **variables)
        assert (done.returncode, done.stdout.count("not found:")) == (1, 2), done
        done = cli.run("match", "--format", "paths", "-", given=b"/data/movies/\xff.mkv\n", **variables)
        assert os.fsencode(done.stdout) == b"/data/movies/\xff.mkv\n"


def test_a_path_is_one_line(cli: Cli) -> None:
    assert cli.run("match", "/x\ny.mkv").stdout.startswith("/x\\ny.mkv\n  not found")


def test_where_a_path_leads_up_to_is_found_out(cli: Cli, server: Server, tmp_path: Path) -> None:
    row = server.paths(1)[0]
    file = tmp_path / "there" / row["path"].removeprefix("/data/")
    file.parent.mkdir(parents=True)
    file.touch()
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "link").symlink_to(tmp_path / "there" / "movies")
    up = f"{tmp_path}/deep/link/../{row['path'].removeprefix('/data/')}"
    assert cli.good("match", "--mapping", f"{tmp_path}/there=/data", up).endswith("mapped, high\n")


def test_a_mapping_of_a_folder_below_the_current_one(cli: Cli, server: Server) -> None:
    row = server.paths(1)[0]
    file = cli.home / "media" / row["path"].removeprefix("/data/")
    file.parent.mkdir(parents=True)
    file.touch()
    below = f"media/{row['path'].removeprefix('/data/')}"
    for line in (
        f"plexindex match --mapping media=/data '{below}'",
        f"plexindex match --mapping ./media=/data './{below}'",
        "find media -name '*.mkv' | plexindex match --mapping media=/data -",
        "cd media; find . -name '*.mkv' | plexindex match --mapping .=/data -",
        "cd media; plexindex match --mapping .=/data */*/*.mkv",
    ):
        code, printed, said = shell(cli, line)
        assert (code, printed.endswith("mapped, high\n"), said) == (0, True, ""), (line, printed, said)


def test_a_current_folder_that_is_gone(cli: Cli, server: Server) -> None:
    path = server.paths(1)[0]["path"]
    gone = "mkdir gone; cd gone; rmdir ../gone; "
    assert shell(cli, f"{gone}plexindex match --mapping .=/data '{path}'")[0] == 0
    assert shell(cli, f"{gone}plexindex match x.mkv")[0] == 1


def test_other_names_of_json_lines(cli: Cli, server: Server) -> None:
    path = server.paths(1)[0]["path"]
    for name in ("json", "jsonl", "ndjson"):
        assert cli.good("match", "--format", name, path).startswith("{")
    done = cli.run("match", "--format", "xml", path)
    assert (done.returncode, "choose from" in done.stderr) == (2, True)
    assert "did you mean" not in cli.run("completion", "tcsh").stderr


def test_a_token_file_that_is_none_is_said_in_words(cli: Cli, tmp_path: Path) -> None:
    done = cli.run("libraries", "--url", "http://127.0.0.1:9", "--token-file", tmp_path / "none")
    assert "cannot be read: No such file or directory; name a file with the token" in done.stderr
    assert "Errno" not in done.stderr


def test_a_warning_is_in_the_words_of_the_command(cli: Cli) -> None:
    cli.good("warm")
    done = cli.run("stats", "--size-limit", "3")
    assert "WARNING" in done.stderr
    assert "--size-limit" in done.stderr
    assert "size_limit" not in done.stderr


def test_names_that_are_no_utf8_can_be_turned_back(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"Caf\xe9")
    raw = os.fsencode(folder) + b"/\xff.mkv"
    folder.mkdir()
    Path(os.fsdecode(raw)).touch()
    whole = os.fsencode(tmp_path) + b"/fine.mkv"
    for words in (["match", "--json", "-"], ["folder", "--json", "-"]):
        first, second = map(json.loads, cli.run(*words, given=raw + b"\n" + whole).stdout.splitlines())
        assert base64.b64decode(first["asked_base64"]) == raw
        assert os.fsencode(first["asked"]) == raw  # as Python reads it
        assert "asked_base64" not in second
    line, summary = map(json.loads, cli.run("diff", "--json", folder).stdout.splitlines())
    assert base64.b64decode(line["path_base64"]) in (raw, os.fsencode(folder))
    assert [base64.b64decode(one) for one in summary["folders_base64"]] == [os.fsencode(folder)]


def test_a_name_is_one_line_in_which_its_odd_bytes_are_seen(cli: Cli, tmp_path: Path) -> None:
    # In a folder that is not there: a file that is missing in one that is has a reason without its name.
    raw = os.fsencode(tmp_path) + b"/none/a\nb\xff\xc3.mkv"
    shown = f"{tmp_path}/none/a\\nb\\xff\\xc3.mkv"
    for command, end in (("match", "mkv"), ("folder", "")):
        asked = raw if end else raw[:-4]
        first, second = cli.run(command, "--null", "-", given=asked + b"\0").stdout.splitlines()
        assert first == shown[: len(shown) if end else -4]
        assert f"'{first}'" in second
    folder = tmp_path / "disk"
    folder.mkdir()
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff\n.mkv")).touch()
    assert "\udcff" not in cli.run("diff", folder).stdout


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_jq_turns_them_back(cli: Cli) -> None:
    raw = b"/films/Caf\xe9.mkv"
    lines = cli.run("match", "--json", "-", given=raw + b"\n/films/fine.mkv\n").stdout
    pipe = "jq -r '.asked_base64 // (.asked|@base64)' | while read -r line; do echo \"$line\" | base64 -d; echo; done"
    done = subprocess.run(["sh", "-c", pipe], input=lines.encode(), capture_output=True, check=True)
    assert done.stdout == raw + b"\n/films/fine.mkv\n"


AS_THE_WHEEL_S_SCRIPT = """
import os, signal, sys

loaded = sys.argv[1]

class Interrupted:
    def find_spec(self, name, *_):
        if name == loaded:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupted())
from plexindex.__main__ import main
sys.argv[1:] = ["stats"]
sys.exit(main())
"""


@pytest.mark.parametrize("loaded", ["plexindex._cli", "plexindex._errors", "argparse", "plexindex._cli.commands"])
def test_ctrl_c_while_it_is_loaded_ends_it_quietly(tmp_path: Path, loaded: str) -> None:
    command = [sys.executable, "-c", AS_THE_WHEEL_S_SCRIPT, loaded]
    done = subprocess.run(
        command, env=Cli(tmp_path).environment, capture_output=True, text=True, check=False, timeout=60
    )
    said = done.stderr.replace("plexindex: interrupted\n", "")
    assert (done.returncode, done.stdout, said) == (130, "", "")


def test_ctrl_c_stays_ignored_where_it_was(tmp_path: Path) -> None:
    # As a shell starts a job in the background.
    code = AS_THE_WHEEL_S_SCRIPT.replace("class", "signal.signal(signal.SIGINT, signal.SIG_IGN)\nclass", 1)
    command = [sys.executable, "-c", code, "argparse"]
    done = subprocess.run(
        command, env=Cli(tmp_path).environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 6, "nothing was fetched yet"
