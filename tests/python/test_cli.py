"""The command `plexindex`: what it prints, and how it ends."""

from __future__ import annotations

import json
import os
import platform
import re
import signal
import subprocess
import sys
from pathlib import Path

import plexindex
import pytest
from cli import Cli
from conftest import TOKEN, Server, ServerFactory

COMMANDS = ("libraries", "warm", "match", "folder", "diff", "stats", "clear", "doctor")


@pytest.fixture
def cli(tmp_path: Path, server: Server) -> Cli:
    """The command, with the server and an empty store."""
    return Cli(tmp_path, server)


def test_help_says_what_one_needs(cli: Cli) -> None:
    text = cli.good("--help")
    for word in (*COMMANDS, "examples:", "exit codes:", "PLEXINDEX_URL", "PLEXAPI_CONFIG_PATH", "config.ini"):
        assert word in text, word
    for command in COMMANDS:
        text = cli.good(command, "--help")
        assert "examples:" in text
        assert "--token-file" in text
        assert "list of processes" in " ".join(text.split())
        assert all(len(line) <= 100 for line in text.splitlines()), command


def test_version_names_package_and_library(cli: Cli) -> None:
    text = cli.good("--version")
    first, library, sqlite, python = text.splitlines()
    assert re.fullmatch(r"plexindex \S+, (with the accelerator|through ctypes, without the accelerator)", first)
    assert re.fullmatch(r"library \S+, (/|[A-Z]:\\)\S+", library)
    assert re.fullmatch(r"SQLite 3\.\d+\.\d+, within the library", sqlite)
    assert python.startswith(f"Python {platform.python_version()}, ")
    assert plexindex.__version__ in text


def test_a_library_that_cannot_be_loaded_is_said_in_a_line(cli: Cli) -> None:
    for arguments in (["--version"], ["libraries"], ["doctor"]):
        done = cli.run(*arguments, PLEXINDEX_LIBRARY="/nowhere/lib.so")
        assert (done.returncode, done.stderr.count("\n")) == (70, 1), done
        assert done.stderr.startswith("plexindex: the library that PLEXINDEX_LIBRARY names")


def test_the_wheel_installs_the_command(cli: Cli) -> None:
    script = Path(sys.executable).parent / "plexindex"
    done = subprocess.run([str(script), "--version"], env=cli.environment, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("plexindex "), done


def test_wrong_usage_is_2(cli: Cli) -> None:
    for arguments in (
        [],
        ["nothing"],
        ["match"],
        ["stats", "--watch", "0"],
        ["match", ""],
        ["match", "--dead", "1", "/x"],
    ):
        assert cli.run(*arguments).returncode == 2, arguments


def test_libraries(cli: Cli, server: Server) -> None:
    lines = cli.good("libraries").splitlines()
    assert lines[0].split() == ["id", "title", "kind", "items", "state", "folders"]
    assert lines[1].split() == ["1", "Movies", "movie", "–", "never", "fetched", "/data/movies"]
    cli.good("warm", "Movies")
    lines = cli.good("libraries").splitlines()
    assert re.fullmatch(r"1   Movies    movie    300  fresh, checked (just now|\d+ s ago)  /data/movies", lines[1])
    first, second = cli.json("libraries")
    assert (first["title"], first["items"], first["fresh"], first["locations"]) == (
        "Movies",
        300,
        True,
        ["/data/movies"],
    )
    assert second["age"] is None
    server.reset()
    cli.good("libraries")
    assert server.requests() == 0


def test_warm_is_silent_elsewhere_than_at_a_terminal(cli: Cli, server: Server) -> None:
    assert cli.good("warm") == ""
    assert [library["items"] for library in cli.json("libraries")] == [300, 120]
    server.reset()
    assert cli.good("warm") == ""
    # Who it is, and which libraries there are.
    assert (server.requests(), server.get("stats")["requests"]["listing"]) == (2, 0)
    cli.good("warm", "--full", "2")
    assert server.get("stats")["requests"]["listing"] == 1


def test_warm_shows_a_bar_to_a_person(tmp_path: Path, start_server: ServerFactory) -> None:
    server = start_server("--movies", "5000", "--plain")
    server.fault(kind="listing", action="delay", ms=150, count=0)
    code, seen = Cli(tmp_path, server).at_terminal("warm")
    assert code == 0
    frames = seen.split("\r")
    moving = [frame for frame in frames if " left" in frame]
    assert moving
    for frame in moving:
        pattern = r"Movies  █*░+  [1-4],000 of 5,000   \d0 %  [\d,]+/s  0:0\d left"
        assert re.fullmatch(pattern, frame.replace("\x1b[K", "")), frame
    assert re.fullmatch(r"Movies  5,000 items in \S+ m?s \([\d,]+/s\)\x1b\[K\n", frames[-1]), frames[-1]
    code, seen = Cli(tmp_path, server).at_terminal("warm")
    assert (code, seen) == (
        0,
        f"\r{server.url}  waiting\x1b[K\r\x1b[K\rMovies  waiting\x1b[K\r\x1b[KMovies  is up to date\n",
    )
    # A narrow terminal, and one that can do nothing.
    code, seen = Cli(tmp_path, server).at_terminal("warm", "--full", COLUMNS="40")
    assert all(len(frame.replace("\x1b[K", "").strip("\n")) < 40 for frame in seen.split("\r")[:-1])
    assert re.search(r"Movies  \d,000 of 5,000 ", seen)


@pytest.mark.deep
def test_the_rate_of_a_quick_fetch_is_that_of_the_whole_or_none(tmp_path: Path, start_server: ServerFactory) -> None:
    server = start_server("--movies", "20000", "--plain")
    for _ in range(2):
        code, seen = Cli(tmp_path, server).at_terminal("warm", "--full")
        found = re.search(r"20,000 items in (\S+) (m?s)(?: \(([\d,]+)/s\))?\x1b\[K\n", seen)
        assert code == 0
        assert found, seen
        if found[3]:
            took = float(found[1]) / (1000 if found[2] == "ms" else 1)
            assert float(found[3].replace(",", "")) == pytest.approx(20000 / took, rel=0.05)


def test_ctrl_c_ends_a_warm_and_the_next_goes_on(tmp_path: Path, start_server: ServerFactory) -> None:
    server = start_server("--movies", "5000", "--plain")
    server.fault(kind="listing", action="delay", ms=200, count=0)
    cli = Cli(tmp_path, server)
    code, seen = cli.at_terminal("warm", react=lambda seen: "\x03" if "2,000 of 5,000" in seen else "", NO_COLOR="1")
    assert code == 130
    assert seen.endswith("plexindex: interrupted; the fetched part is kept\n")
    server.reset()
    cli.good("warm")
    assert server.get("stats")["requests"]["listing"] < 5


def test_ctrl_c_reaches_a_call_that_waits_for_a_silent_server(cli: Cli, server: Server) -> None:
    server.fault(kind="identity", action="delay", ms=30_000, count=1)
    command, environment = cli.start("warm")
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        wait_for_request(server)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=15)
    assert process.returncode == 130
    assert "interrupted" in said


def test_a_server_that_gives_no_answer_is_told_from_a_file_that_is_missing(cli: Cli, server: Server) -> None:
    paths = [f"/data/movies/New {number} (2020)/New {number}.mkv" for number in range(3)]
    cli.good("warm")
    cli.good("warm", "--dir", cli.home / "other")
    for kind in ("sections", "search"):
        server.fault(kind=kind, action="delay", ms=600_000, count=0)
    # The deadline runs out for the first one. Then the server is left alone for a while.
    for path, code in zip(paths, (7, 3, 3)):
        done = cli.run("match", "--deadline", "0.5", path)
        assert done.returncode == code, done
        assert "cannot reach the server" in done.stdout
    server.reset()
    assert cli.run("match", paths[0]).returncode == 3
    answer = cli.json("match", paths[1])
    assert (answer["status"], answer["reason_code"], answer["stale"]) == ("not_found", "unavailable", True)
    assert cli.run("folder", "/data/movies/New 3 (2020)").returncode == 3
    assert cli.run("match", "--offline", paths[0]).returncode == 1, "by wish"
    assert server.requests() == 0
    server.stop()
    for path in paths:
        done = cli.run("match", "--deadline", "3", "--dir", cli.home / "other", path)
        assert done.returncode == 3, done
        assert "cannot reach the server" in done.stdout


def wait_for_request(server: Server) -> None:
    """Until the server was asked something."""
    while server.requests() == 0:
        pass


def test_match(cli: Cli, server: Server) -> None:
    row = server.paths(1)[0]
    text = cli.good("match", row["path"])
    first, second = text.splitlines()
    assert first == row["path"]
    assert second.startswith(f"  {row['title']}")
    assert second.endswith(f" · Movies · /library/metadata/{row['ratingKey']} · exact, high")
    # A mapping, a library, a batch.
    host = row["path"].replace("/data/", "/mnt/media/")
    assert cli.good("match", "--mapping", "/mnt/media", "/data", host).endswith("mapped, high\n")
    assert cli.good("match", "-l", "1", row["path"]) == text
    # Below another root, in an empty store: what may have it is fetched, then answered.
    done = cli.run("match", "/nowhere/x.mkv", PLEXINDEX_DIR=str(cli.home / "cold"))
    assert "no library has a folder above" in done.stdout
    host = row["path"].replace("/data/", "/mnt/media/")
    assert cli.good("match", host, PLEXINDEX_DIR=str(cli.home / "other")).endswith("suffix, high\n")
    cli.good("warm")
    done = cli.run("match", row["path"], "/nowhere/x.mkv")
    assert done.returncode == 1
    assert "/nowhere/x.mkv\n  not found: no library has a folder above '/nowhere/x.mkv'" in done.stdout


def test_match_says_json(cli: Cli, server: Server) -> None:
    rows = server.paths(2)
    odd = b"/data/tv/\xff \x1b[31m.mkv"
    listed = "\n".join([rows[0]["path"], "", rows[1]["path"] + "\r"]).encode() + b"\n" + odd + b"\n"
    done = cli.run("match", "--json", "-", given=listed)
    assert done.returncode == 1
    first, second, third = map(json.loads, done.stdout.splitlines())
    assert (first["status"], first["item"]["rating_key"], first["item"]["kind"]) == (
        "ok",
        rows[0]["ratingKey"],
        "episode",
    )
    assert (first["asked"], second["asked"]) == (rows[0]["path"], rows[1]["path"])
    assert os.fsencode(third["asked"]) == odd
    assert (third["item"], third["status"], third["reason_code"]) == (None, "not_found", "not_listed")
    assert third["reason"]
    # For people, names cannot steer the terminal.
    done = cli.run("match", "-", given=odd)
    assert "\x1b" not in done.stdout
    assert "\\x1b[31m" in done.stdout
    # As find -print0 has it.
    done = cli.run("match", "--json", "--null", "-", given=b"/a\nb.mkv\0/c.mkv\0")
    assert [json.loads(line)["asked"] for line in done.stdout.splitlines()] == ["/a\nb.mkv", "/c.mkv"]
    assert cli.run("match", "-", given=b"/a\0/b\0").returncode == 2
    assert cli.good("match", "-", given=b"\n") == ""


def test_match_takes_relative_paths_of_files_that_exist(cli: Cli, server: Server, tmp_path: Path) -> None:
    row = server.paths(1)[0]
    file = tmp_path / row["path"].lstrip("/")
    file.parent.mkdir(parents=True)
    file.touch()
    command, environment = cli.start("match", file.name, "not-there.mkv")
    done = subprocess.run(command, env=environment, cwd=file.parent, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[0] == str(file)
    assert "\nnot-there.mkv\n" in done.stdout


def test_match_lists_candidates(tmp_path: Path, start_server: ServerFactory) -> None:
    server = start_server("--movies", "3000")
    cli = Cli(tmp_path, server)
    cli.good("warm")
    done = cli.run("match", "/elsewhere/movie.mkv")
    assert done.returncode == 1
    assert re.search(r"\n  ambiguous: \d+ items fit", done.stdout)
    assert (
        len(re.findall(r"\n    \S.* · Movies · /library/metadata/\d+\n      /data/movies/.*/movie.mkv", done.stdout))
        == 5
    )
    assert re.search(r"\n    and \d+ more\n$", done.stdout)


def test_a_pipe_that_is_closed_is_no_defect(cli: Cli, server: Server) -> None:
    paths = "\n".join(row["path"] for row in server.paths(1) for _ in range(50))
    command, environment = cli.start("match", "-")
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(paths.encode())
        process.stdin.close()
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 141


def test_stats(cli: Cli, server: Server) -> None:
    cli.good("warm")
    cli.run("match", "/nowhere.mkv", server.paths(1)[0]["path"])
    text = cli.good("stats")
    assert [line.split()[0] for line in text.splitlines()] == [
        "store", "libraries", "items", "matches", "answers", "requests", "writes",
    ]  # fmt: skip
    assert re.search(r"^items +420$", text, re.MULTILINE)
    assert re.search(r"^answers +2 since the store was made$", text, re.MULTILINE)
    values = cli.json("stats")
    assert (values["items"], values["libraries"], values["folder"]) == (420, 2, str(cli.store))
    # Nothing of this process, which has asked nothing: it would be taken for what was asked of the store.
    assert list(values) == ["folder", "libraries", "items", "matches", "store_answers", "store_requests",
                            "disk_bytes", "size_limit", "over_limit", "evictions", "sequence"]  # fmt: skip
    assert (values["store_answers"], values["store_requests"] > 0) == (2, True)
    # Without naming a server the store speaks of the one it knows, though another token failed to reach it since.
    cli.run("warm", PLEXINDEX_TOKEN="another")
    assert cli.json("stats", PLEXINDEX_URL=None, PLEXINDEX_TOKEN=None)["items"] == 420


def test_stats_can_be_watched(cli: Cli, server: Server) -> None:
    cli.good("warm", "Movies")
    command, environment = cli.start("stats", "--json", "--watch", "0.1")
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        cli.run("match", server.paths(1)[0]["path"])
        while json.loads(process.stdout.readline())["store_answers"] == first["store_answers"]:
            pass
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    code, seen = cli.at_terminal("stats", "--watch", "0.1", react=lambda seen: "\x03" if "\x1b[7A" in seen else "")
    # As `changes --follow`: what goes on until Ctrl-C ends with what the table of exit codes says of it.
    assert code == 130
    assert seen.count("\nitems") >= 2


def test_clear_asks(cli: Cli) -> None:
    assert cli.good("clear") == f"there is nothing in {cli.store} for this server and user\n"
    cli.good("warm")
    done = cli.run("clear")
    assert done.returncode == 2
    assert "--yes" in done.stderr
    code, seen = cli.at_terminal("clear", react=lambda seen: "\n" if "[y/N]" in seen else "")
    assert code == 1
    assert f"Empty the index in {cli.store}: 420 items of 2 libraries? [y/N]" in seen
    assert seen.endswith("nothing was changed\n")
    assert cli.json("stats")["items"] == 420
    code, seen = cli.at_terminal("clear", react=lambda seen: "y\n" if "[y/N]" in seen else "")
    assert code == 0
    assert cli.json("stats")["items"] == 0
    cli.good("warm")
    said = cli.good("clear", "--yes")
    assert said.startswith(f"emptied {cli.store}: 420 items of 2 libraries; it takes "), said
    assert cli.json("stats")["items"] == 0


def test_each_failure_has_its_exit_code(cli: Cli, server: Server, tmp_path: Path) -> None:
    assert cli.run("warm", PLEXINDEX_URL=None, PLEXINDEX_TOKEN=None).returncode == 2
    done = cli.run("match", "/x.mkv", PLEXINDEX_URL=None, PLEXINDEX_TOKEN=None)
    assert (done.returncode, "--url" in done.stderr) == (6, True)
    done = cli.run("libraries", PLEXINDEX_URL="http://127.0.0.1:1", PLEXINDEX_DIR=str(tmp_path / "other"))
    assert done.returncode == 3
    assert "127.0.0.1:1" in done.stderr
    done = cli.run("warm", PLEXINDEX_TOKEN="wrong")
    assert done.returncode == 4
    assert "rejected the token (401)" in done.stderr
    assert "wrong" not in done.stderr
    file = tmp_path / "file"
    file.touch()
    done = cli.run("stats", "--dir", file)
    assert done.returncode == 5
    assert "cache_dir" not in done.stderr
    done = cli.run("warm", "Nothing")
    assert done.returncode == 6
    assert "'Movies' (section 1)" in done.stderr
    server.fault(kind="listing", action="delay", ms=2000, count=0)
    done = cli.run("warm", "--deadline", "0.2", "Movies")
    assert done.returncode == 7
    assert "run the same command again" in done.stderr
    assert cli.run("match", "--deadline", "0.2", "/data/movies/x.mkv").returncode == 7
    # Before the libraries are known, even: who gave the deadline is told the same.
    server.fault(kind="sections", action="delay", ms=2000, count=0)
    server.fault(kind="identity", action="delay", ms=2000, count=0)
    for command in (["warm"], ["libraries"], ["match", "/data/movies/x.mkv"]):
        done = cli.run(*command, "--deadline", "0.05", "--dir", tmp_path / "early")
        assert done.returncode == 7, done
        assert "''" not in done.stdout + done.stderr
    done = cli.run("stats", PLEXINDEX_LIBRARY="/nowhere/lib.so")
    assert done.returncode == 70
    assert "PLEXINDEX_LIBRARY" in done.stderr
    assert TOKEN not in done.stderr


def test_verbose_says_what_is_done(cli: Cli, server: Server) -> None:
    path = server.paths(1)[0]["path"]
    done = cli.run("match", "-v", path)
    assert "plexindex: INFO: 'Movies': 300 items listed" in done.stderr
    assert path not in done.stderr
    assert TOKEN not in cli.run("match", "-vv", path).stderr
    assert path in cli.run("match", "-vv", path).stderr


def test_what_was_never_fetched_has_one_exit_code(cli: Cli, tmp_path: Path) -> None:
    told: dict[str, int] = {}
    for words in ("stats", "libraries", "match /x.mkv"):
        told[f"no store: {words}"] = cli.run(*words.split(), "--offline").returncode
    cli.good("libraries")  # known, and none is fetched
    for words in ("match -l Movies /x.mkv", "folder /x", f"diff {tmp_path}", "changes --full", f"doctor {tmp_path}"):
        told[f"offline: {words}"] = cli.run(*words.split(), "--offline").returncode
    told["no server"] = cli.run("match", "/x.mkv", PLEXINDEX_URL=None, PLEXINDEX_TOKEN=None).returncode
    assert told == dict.fromkeys(told, 6)
    # One of several paths is enough, and what is known is told.
    cli.good("warm", "Movies")
    done = cli.run("match", "--offline", "/data/movies/x.mkv", "/x.mkv")
    assert (done.returncode, "is not listed (yet)" in done.stdout) == (6, True)
    assert cli.run("match", "--offline", "/data/movies/x.mkv").returncode == 1


def test_a_mapping_that_leads_elsewhere_is_named_with_its_path(cli: Cli, server: Server) -> None:
    path = server.paths(1)[0]["path"].replace("/data", "/mnt", 1)
    cli.good("warm")
    text = cli.good("match", "--offline", "--mapping", "/mnt -> /data/movies", path)
    assert f"\n  the mapping /mnt -> /data/movies gives /data/movies{path[4:]}\n" in text
    assert "the mapping" not in cli.good("match", "--offline", "--mapping", "/mnt -> /data", path)


def test_a_file_that_plex_never_lists_is_named_with_the_rule(cli: Cli, server: Server) -> None:
    film = server.paths(1)[0]
    cli.good("warm")
    done = cli.run("match", "--offline", film["path"][:-4] + ".srt")
    assert "\n  not found: Plex ignores it, by the rule 'extension' of " in done.stdout
    assert f"; its folder is {film['title']} (" in done.stdout
    assert done.returncode == 1


def test_a_file_of_several_episodes_names_each(tmp_path: Path, start_server: ServerFactory) -> None:
    server = start_server("--movies", "0", "--episodes", "200")
    paths = [row["path"] for row in server.paths()]
    double = next(path for path in paths if paths.count(path) == 2)
    number = re.search(r"S\d\dE\d\d-E\d\d", double)
    assert number is not None
    cli = Cli(tmp_path, server)
    assert f" – {number[0]} – " in cli.good("match", double)
    assert f" – {number[0]} – " in cli.good("match", "--format", "tsv", double)


def test_a_server_that_just_failed_is_no_deadline(cli: Cli, server: Server) -> None:
    cli.good("warm")
    server.fault(action="delay", ms=60000, count=0)
    path = "/data/movies/New Film (2024).mkv"
    assert cli.run("match", "--deadline", "1", path).returncode == 7
    again = cli.run("match", "--deadline", "5", path)
    assert ("the next attempt is in" in again.stdout, again.returncode) == (True, 3), again


def test_a_file_can_be_asked_for_again_at_once(cli: Cli, server: Server) -> None:
    cli.good("warm")
    path = "/data/movies/New Film (2024)/New Film (2024).mkv"
    assert cli.run("match", path).returncode == 1
    server.post("items/add", {"library": 1, "items": [{"title": "New Film", "year": 2024, "files": [path]}]})
    assert "New Film (2024) · Movies" in cli.good("match", "--check", path)
    refused = cli.run("match", "--check", "--offline", path)
    assert (refused.returncode, "omit --offline" in refused.stderr) == (2, True)


@pytest.mark.usefixtures("server")
def test_a_path_that_is_no_file_is_named(cli: Cli, tmp_path: Path) -> None:
    cli.good("warm")
    done = cli.run("match", "--offline", tmp_path, tmp_path / "none.mkv", "/not/here/none.mkv")
    assert "not found: it is a folder: `plexindex folder` shows what Plex lists in it" in done.stdout
    assert done.stdout.count("there is no such file on this machine") == 1
