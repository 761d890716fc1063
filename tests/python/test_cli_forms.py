"""The forms in which the command is asked and answers: mappings, the order of options, formats, colours, widths."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cli import Cli
from conftest import REPOSITORY, Server
from plexindex._cli.output import size


@pytest.fixture
def cli(tmp_path: Path, server: Server) -> Cli:
    """The command, with the server and an empty store."""
    return Cli(tmp_path, server)


@pytest.mark.parametrize(
    "given",
    [["/mnt/my=media=/data"], ["/mnt/my=media -> /data"], ["/mnt/my=media->/data/"], ["/mnt/my=media:/data"]],
)
def test_a_mapping_is_written_in_any_form(cli: Cli, server: Server, given: list[str]) -> None:
    host = server.paths(1)[0]["path"].replace("/data/", "/mnt/my=media/")
    assert cli.good("match", "--mapping", *given, host).endswith("mapped, high\n")


def test_a_mapping_of_two_words_still_is_one(cli: Cli, server: Server, tmp_path: Path) -> None:
    host = server.paths(1)[0]["path"].replace("/data/", "/mnt/media/")
    assert cli.good("match", "--mapping", "/mnt/media", "/data", host).endswith("mapped, high\n")
    on_windows = host.replace("/mnt/media/", "D:\\media\\")
    assert cli.good("match", "--mapping", "D:\\media", "/data", on_windows).endswith("mapped, high\n")
    assert cli.run("match", "--mapping", "/mnt/media", "D:\\media", "/nowhere/x.mkv").returncode == 1
    # A file that stands where a folder should is none of a mapping.
    file = tmp_path / "film.mkv"
    file.touch()
    for arguments in (["/mnt/media", file], [f"/mnt/media={file}"], [f"{file}:/data"]):
        done = cli.run("match", "--mapping", *arguments, host)
        assert (done.returncode, f"{file} is a file: a mapping is between folders, HOST=SERVER" in done.stderr) == (
            2,
            True,
        )


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("/mnt/x:D:\\media", ("/mnt/x", "D:\\media")),
        ("/mnt/x=D:\\media", ("/mnt/x", "D:\\media")),
        ("Z:\\media=/data", ("Z:\\media", "/data")),
        ("Z:\\media:/data", ("Z:\\media", "/data")),
        ("Z:/media:C:/data", ("Z:/media", "C:/data")),
        ("/a = /b", ("/a", "/b")),
        ("/mnt/x:\\\\nas\\media", ("/mnt/x", "\\\\nas\\media")),
    ],
)
def test_where_a_mapping_is_split(text: str, pair: tuple[str, str]) -> None:
    from plexindex._config import pair_of

    assert pair_of(text) == pair


def test_a_word_before_a_folder_is_no_mapping_of_two_words(cli: Cli) -> None:
    done = cli.run("folder", "--mapping", "bad", "/x")
    assert (done.returncode, "'bad' is no mapping: give HOST=SERVER" in done.stderr) == (2, True), done


def test_what_is_no_mapping_is_refused_with_the_form(cli: Cli) -> None:
    for text, said in (
        ("/mnt/media", "HOST=SERVER"),
        ("/a=/b=/c", "2 ways: write 'HOST -> SERVER'"),
        ("/a ->", "HOST=SERVER"),
        ("films:tv", "HOST=SERVER"),
        ("/a -> b", "with the server's full folder"),
    ):
        done = cli.run("match", "--mapping", text, "--quiet", "/x.mkv")
        assert (done.returncode, said in done.stderr) == (2, True), done


def test_the_doctor_says_which_mapping_it_understood(cli: Cli, server: Server, tmp_path: Path) -> None:
    cli.good("warm")
    listed = tmp_path / "paths.txt"
    listed.write_text(server.paths(1)[0]["path"])
    assert "\n  with the mapping /mnt/a -> /data\n" in cli.good("doctor", "--mapping", "/mnt/a:/data", listed)


def test_options_stand_before_or_behind_the_command(cli: Cli, server: Server, tmp_path: Path) -> None:
    other = tmp_path / "other"
    path = server.paths(1)[0]["path"]
    host = path.replace("/data/", "/mnt/media/")
    bare: dict[str, Any] = {"PLEXINDEX_URL": None, "PLEXINDEX_TOKEN": None, "PLEXINDEX_DIR": None}
    flags: list[object] = [
        "--url",
        server.url,
        "--token",
        server.token,
        "--dir",
        other,
        "--mapping",
        "/mnt/media",
        "/data",
    ]
    for given in (
        ["match", *flags, host],
        [*flags, "match", host],
        ["-l", "Movies", *flags[:6], "match", *flags[6:], host],
    ):
        assert cli.good(*given, **bare).endswith("mapped, high\n"), given
    assert cli.run("--json", "match", path).stdout.startswith("{")
    wrong: list[list[object]] = [["--nothing", "match", path], ["--dir"], ["--dir", other], ["--dir", other, "nothing"]]
    for words in wrong:
        assert cli.run(*words).returncode == 2, words
    assert cli.good("--dir", other, "--help").startswith("usage: plexindex ")


def test_a_word_that_is_wrong_is_answered_with_the_right_one(cli: Cli) -> None:
    for given, said in (
        (["matsch", "/x"], "did you mean match?\n`plexindex --help` says more"),
        (["match", "--librar", "x", "/x"], "unrecognized arguments: --librar; did you mean --library?"),
        (
            ["match", "--mapping", "/mnt", "/data/film.mkv", "/x"],
            "/data/film.mkv is a file: a mapping is between folders",
        ),
        (["match", "--mapping", "/mnt", "film.mkv"], "'/mnt' is no mapping: give HOST=SERVER"),
        (["match"], "`plexindex match --help` says more"),
        # Of a command's options its own help tells.
        (["match", "--misssing", "/x"], "did you mean --missing?\n`plexindex match --help` says more"),
        (["stats", "--missing"], "--missing; it is an option of match\n`plexindex stats --help` says more"),
    ):
        done = cli.run(*given)
        assert (done.returncode, said in done.stderr) == (2, True), done
    # What is like no option is none of them misspelt, and what is wrong is all that is said.
    said = "plexindex stats: error: unrecognized arguments: --bogus\n`plexindex stats --help` says more\n"
    assert cli.run("stats", "--bogus").stderr == said
    done = cli.run("match", "-f", "keys", "--json", "/x")
    assert (done.returncode, done.stderr) == (2, "plexindex: --format keys and --json are both formats: give one\n")
    assert cli.good("help", "match") == cli.good("match", "--help")
    assert cli.good("help") == cli.good("--help")


def test_without_anything_the_help_is_shown(cli: Cli) -> None:
    done = cli.run()
    assert (done.returncode, done.stdout, done.stderr) == (2, "", cli.good("--help"))


def test_formats(cli: Cli, server: Server) -> None:
    cli.good("warm")
    row = server.paths(1)[0]
    odd = b"/nowhere/\xff\ttab\\.mkv"
    given = row["path"].encode() + b"\n" + odd
    key = f"/library/metadata/{row['ratingKey']}"

    def lines(*arguments: str, code: int = 1) -> list[str]:
        done = cli.run("match", *arguments, "-", given=given)
        assert done.returncode == code
        assert done.stderr == "1 of 2 paths found: 1 exact; 1 not found\n"
        return done.stdout.splitlines()

    assert lines("--format", "keys") == [key, ""]
    found, missing = (line.split("\t") for line in lines("--format", "tsv"))
    assert found == [row["path"], key, "ok", "high", "exact", found[5], "Movies", ""]
    assert found[5].startswith(row["title"])
    assert (missing[0], missing[1:7]) == ("/nowhere/\udcff\\ttab\\\\.mkv", ["", "not_found", "none", "none", "", ""])
    assert "no library has a folder above" in missing[7]
    assert [json.loads(line)["status"] for line in lines("-f", "json")] == ["ok", "not_found"]
    assert [json.loads(line)["status"] for line in lines("--json")] == ["ok", "not_found"]
    # What is missing, byte by byte: for xargs.
    assert len(lines("--missing")) == 2
    assert [json.loads(line)["status"] for line in lines("--missing", "--json")] == ["not_found"]
    command, environment = cli.start("match", "--quiet", "--missing", "--format", "paths", "-")
    done = subprocess.run(command, env=environment, input=given, capture_output=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == (odd + b"\n", b"", 1)
    command.insert(4, "--null")
    done = subprocess.run(command, env=environment, input=given.replace(b"\n", b"\0"), capture_output=True, check=False)
    assert done.stdout == odd + b"\0"
    assert cli.run("match", "--missing", "--format", "keys", "/x").returncode == 2
    assert "choose from" in cli.run("match", "--format", "xml", "/x").stderr


def test_the_summary_tells_of_low_confidence(cli: Cli, server: Server) -> None:
    cli.good("warm")
    name = server.paths(1)[0]["path"].rsplit("/", 1)[1]
    done = cli.run("match", f"/data/movies/Other/{name}", server.paths(1)[1]["path"])
    assert done.returncode == 0
    assert re.fullmatch(r"2 of 2 paths found: 1 file name, 1 exact \(1 of low confidence\)\n", done.stderr)
    assert "lies in a folder of Plex's, but is not listed (yet)" in done.stdout, "a low answer says why"
    # One path is its own summary.
    assert cli.run("match", server.paths(1)[1]["path"]).stderr == ""


def test_the_doctor_makes_no_folder_that_a_flag_names(cli: Cli, tmp_path: Path) -> None:
    missing = tmp_path / "typo"
    done = cli.run("doctor", "--dir", missing)
    assert done.returncode == 5
    assert f"BAD  there is no folder {missing} (from --dir)" in done.stdout
    assert "nothing is wrong" not in done.stdout
    assert not missing.exists()


def test_libraries_without_a_server_are_not_known(cli: Cli) -> None:
    bare: dict[str, Any] = {"PLEXINDEX_URL": None, "PLEXINDEX_TOKEN": None}
    for given in (bare, {}):
        done = cli.run("libraries", *([] if given else ["--offline"]), **given)
        assert done.returncode == 6
        assert done.stderr.startswith(
            f"plexindex: nothing was fetched into {cli.store} yet, and no server is available"
        )


def test_clearing_gives_the_disk_back(cli: Cli, server: Server) -> None:
    server.post(
        "items/add", {"library": 1, "items": [{"title": f"Film {n} {'x' * 400}", "files": []} for n in range(3000)]}
    )
    cli.good("warm")
    before = sum(file.stat().st_size for file in cli.store.iterdir())
    cli.good("clear", "--yes")
    after = sum(file.stat().st_size for file in cli.store.iterdir())
    assert after < before / 2, (before, after)


def test_what_clear_says_it_takes_is_what_is_left(cli: Cli) -> None:
    cli.good("warm")
    before = sum(file.stat().st_size for file in cli.store.iterdir())
    said = cli.good("clear", "--yes")
    after = sum(file.stat().st_size for file in cli.store.iterdir())
    assert said.endswith(f"; it takes {size(after)}, {size(before)} before\n"), (said, before, after)
    assert after < before


def test_colours_are_for_terminals(cli: Cli, server: Server) -> None:
    cli.good("warm")
    path = server.paths(1)[0]["path"]
    assert "\x1b" not in cli.good("match", path)
    assert "\x1b[32m" in cli.good("match", "--color", "always", path)
    assert "\x1b[32m" in cli.good("match", "--color", "always", path, NO_COLOR="1")
    _, seen = cli.at_terminal("match", path)
    assert "\x1b[32m" in seen
    assert "\x1b" not in cli.at_terminal("match", "--color", "never", path)[1]
    assert "\x1b" not in cli.at_terminal("match", path, NO_COLOR="1")[1]
    text = cli.good("doctor", "--color=always")
    assert "\x1b[1mServer\x1b[0m" in text
    assert "  \x1b[32mok\x1b[0m   " in text
    assert "\x1b" not in json.dumps(cli.json("doctor", "--color=always"))
    assert cli.run("match", "--color=always", "").stderr.startswith("\x1b[1;31mplexindex:\x1b[0m empty path")


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_no_word_is_cut(cli: Cli, columns: int) -> None:
    """A flag or an address that is broken in the middle is none."""
    whole = {
        word for command in ([], ["match"], ["doctor"]) for word in cli.good(*command, "--help", COLUMNS="110").split()
    }
    for command in ([], ["match"], ["doctor"]):
        text = cli.good(*command, "--help", COLUMNS=str(columns))
        assert set(text.split()) <= whole, command
        assert all(len(line) <= max(columns, 50) or len(line.split()) < 3 for line in text.splitlines()), command
    _, seen = cli.at_terminal("doctor", COLUMNS=str(columns), NO_COLOR="1")
    words = set(cli.good("doctor").split())
    lines = seen.partition("\nServer\n")[2].partition("\nLibraries\n")[0].splitlines()
    assert len(lines) > 2
    assert {word for line in lines for word in line.split() if "ms" not in word} - {"0.1"} <= words | {"ms"} | {
        word for word in seen.split() if re.fullmatch(r"[\d.]+", word)
    }
    assert all(len(line) <= columns or len(line.split()) < 3 for line in lines), lines


def test_the_stand_in_takes_a_port() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
    done = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "standin", "PORT=32499"],
        cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.rstrip().endswith("--port 32499")
