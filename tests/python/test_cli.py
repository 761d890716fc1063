"""The commands of `plexindex`: what they print, and their exit codes."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
from pathlib import Path

import plexindex
import pytest
from cli import Cli
from conftest import TOKEN, Server, ServerFactory

COMMANDS = ("doctor", "match", "folder", "diff", "changes", "scan", "refresh", "libraries", "stats", "clear", "matches",
            "shared", "config", "completion", "help")  # fmt: skip


@pytest.fixture
def cli(tmp_path: Path, server: Server) -> Cli:
    """The command, with the server and an empty store."""
    return Cli(tmp_path, server)


def test_help(cli: Cli) -> None:
    text = cli.good("--help", COLUMNS="80")
    assert re.findall(r"^  (\w+)  ", text, re.MULTILINE) == list(COMMANDS)
    assert len(text.splitlines()) < 24, "it fits on a screen, with the prompt"
    assert cli.good("help", COLUMNS="80") == text
    done = cli.run(COLUMNS="80")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", text)
    for command in COMMANDS:
        assert cli.good(command, "--help").startswith(f"Usage: plexindex {command} ")
    assert cli.good("help", "match") == cli.good("match", "--help")
    assert "--token-file" in cli.good("help", "options")
    assert "PLEXAPI_CONFIG_PATH" in cli.good("help", "config")
    assert re.findall(r"^  (\d+) ", cli.good("help", "exit-codes"), re.MULTILINE) == [
        "0",
        "1",
        "2",
        "3",
        "4",
        "5",
        "6",
        "130",
    ]
    assert cli.run("help", "nothing").returncode == 2


def test_version(cli: Cli) -> None:
    package, library, sqlite, python = cli.good("--version").splitlines()
    assert package.startswith(f"plexindex {plexindex.__version__}, ")
    assert re.match(r"library \S+, (/|[A-Z]:\\)\S+", library)
    assert sqlite.startswith("SQLite 3.")
    assert python.startswith("Python ")


def test_libraries(cli: Cli, server: Server) -> None:
    header, first, _ = cli.good("libraries").splitlines()
    assert header.split() == ["id", "title", "kind", "items", "state", "folders"]
    assert first.split() == ["1", "Movies", "movie", "–", "never", "fetched", "/data/movies"]
    cli.good("refresh", "Movies")
    _, first, _ = cli.good("libraries").splitlines()
    assert re.fullmatch(r"1   Movies    movie    300  fresh, checked (just now|\d+ s ago)  /data/movies", first)
    movies, shows = cli.lines("libraries")
    assert (movies["title"], movies["items"], movies["fresh"]) == ("Movies", 300, True)
    assert (movies["locations"], shows["age"]) == (["/data/movies"], None)
    server.reset()
    cli.good("libraries")
    assert server.requests() == 0


def test_refresh_prints_nothing_without_a_terminal(cli: Cli, server: Server) -> None:
    assert cli.good("refresh") == ""
    assert [library["items"] for library in cli.lines("libraries")] == [300, 120]
    server.reset()
    assert cli.good("refresh") == ""
    # Two requests: for the identity of the server, and for its libraries.
    assert (server.requests(), server.get("stats")["requests"]["listing"]) == (2, 0)
    cli.good("refresh", "--full", "2")
    assert server.get("stats")["requests"]["listing"] == 2, "the episodes, and the ids of the shows"


def test_refresh_shows_a_bar_at_a_terminal(tmp_path: Path, start_server: ServerFactory) -> None:
    server = start_server("--movies", "5000", "--plain")
    server.fault(kind="listing", action="delay", ms=150, count=0)
    code, seen = Cli(tmp_path, server).at_terminal("refresh")
    assert code == 0
    assert re.search(r"Movies .*[1-4],000 of 5,000", seen)
    assert re.search(r"Movies  5,000 items in \S+ m?s\n$", seen)
    code, seen = Cli(tmp_path, server).at_terminal("refresh")
    assert (code, seen.endswith("Movies  is up to date\n")) == (0, True)
    assert Cli(tmp_path, server).at_terminal("refresh", "--full", "--quiet") == (0, "")


def test_ctrl_c_ends_a_fetch_and_the_next_one_resumes(tmp_path: Path, start_server: ServerFactory) -> None:
    server = start_server("--movies", "5000", "--plain")
    server.fault(kind="listing", action="delay", ms=200, count=0)
    cli = Cli(tmp_path, server)
    code, seen = cli.at_terminal("refresh", react=lambda seen: "\x03" if "2,000 of 5,000" in seen else "", NO_COLOR="1")
    assert (code, "interrupted; the next run resumes the fetch" in " ".join(seen.split())) == (130, True)
    server.reset()
    cli.good("refresh")
    assert server.get("stats")["requests"]["listing"] < 5


def test_ctrl_c_reaches_a_call_that_waits_for_a_silent_server(cli: Cli, server: Server) -> None:
    server.fault(kind="identity", action="delay", ms=30_000, count=1)
    command, environment = cli.start("refresh")
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        while server.requests() == 0:
            pass
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=15)
    assert (process.returncode, errors) == (130, "\nplexindex: interrupted\n"), "nothing was fetched"


def test_match(cli: Cli, server: Server) -> None:
    row, other = server.paths(1)[:2]
    text = cli.good("match", row["path"])
    path, item = text.splitlines()
    assert path == row["path"]
    assert item.startswith(f"  {row['title']}")
    assert item.endswith(f" · Movies · /library/metadata/{row['ratingKey']} · exact, high")
    assert cli.good("match", "-l", "1", row["path"]) == text
    host = row["path"].replace("/data/", "/mnt/media/")
    assert cli.good("match", "--mapping", "/mnt/media=/data", host).endswith("mapped, high\n")
    # Without a mapping, and in an empty store: match fetches the libraries that may have the file.
    assert cli.good("match", host, PLEXINDEX_CACHE_DIR=str(cli.home / "other")).endswith("suffix, high\n")
    # A single path needs no summary.
    assert cli.run("match", other["path"]).stderr == ""
    name = row["path"].rsplit("/", 1)[1]
    done = cli.run("match", f"/data/movies/Other/{name}", other["path"])
    assert (done.returncode, done.stderr) == (0, "2 of 2 paths found: 1 file name, 1 exact (1 of low confidence)\n")
    done = cli.run("match", row["path"], "/nowhere/x\ny.mkv")
    assert done.returncode == 1
    assert "/nowhere/x\\ny.mkv\n  not found: no library has a folder above" in done.stdout


def test_match_prints_json(cli: Cli, server: Server) -> None:
    rows = server.paths(2)
    odd = b"/data/tv/\xff \x1b[31m.mkv"
    listed = "\n".join([rows[0]["path"], "", rows[1]["path"] + "\r"]).encode() + b"\n" + odd + b"\n"
    done = cli.run("match", "--json", "-", given=listed)
    assert done.returncode == 1
    first, second, third = map(json.loads, done.stdout.splitlines())
    assert (first["status"], first["item"]["rating_key"]) == ("found", rows[0]["ratingKey"])
    assert (first["asked"], second["asked"]) == (rows[0]["path"], rows[1]["path"])
    assert os.fsencode(third["asked"]) == base64.b64decode(third["asked_base64"]) == odd
    assert "asked_base64" not in second
    assert (third["item"], third["status"], third["reason"]) == (None, "not_found", "not_listed")
    # Names cannot control the terminal.
    done = cli.run("match", "-", given=odd)
    assert "\x1b" not in done.stdout and "\\xff \\x1b[31m" in done.stdout
    done = cli.run("match", "--json", "--null", "-", given=b"/a\nb.mkv\0/c.mkv\0")
    assert [json.loads(line)["asked"] for line in done.stdout.splitlines()] == ["/a\nb.mkv", "/c.mkv"]
    assert cli.run("match", "-", given=b"/a\0/b\0").returncode == 2
    assert cli.good("match", "-", given=b"\n") == ""


def test_match_lists_candidates(tmp_path: Path, start_server: ServerFactory) -> None:
    server = start_server("--movies", "3000")
    cli = Cli(tmp_path, server)
    cli.good("refresh")
    done = cli.run("match", "/elsewhere/movie.mkv")
    assert done.returncode == 1
    candidate = r"\n    \S.* · Movies · /library/metadata/\d+\n      /data/movies/.*/movie.mkv"
    assert len(re.findall(candidate, done.stdout)) == 5
    assert re.search(r"\n    and \d+ more\n$", done.stdout)


def test_match_names_each_episode_of_a_file(tmp_path: Path, start_server: ServerFactory) -> None:
    server = start_server("--movies", "0", "--episodes", "200")
    paths = [row["path"] for row in server.paths()]
    double = next(path for path in paths if paths.count(path) == 2)
    number = re.search(r"S\d\dE\d\d-E\d\d", double)
    assert number is not None
    for output_format in ("text", "tsv"):
        assert f" – {number[0]} – " in Cli(tmp_path, server).good("match", "--format", output_format, double)


def test_match_explains_a_file_without_an_item(cli: Cli, server: Server, tmp_path: Path) -> None:
    row = server.paths(1)[0]
    path = row["path"].replace("/data", "/mnt", 1)
    cli.good("refresh")
    text = cli.good("match", "--offline", "--mapping", "/mnt -> /data/movies", path)
    assert f"\n  the mapping /mnt -> /data/movies gives /data/movies{path[4:]}\n" in text
    assert "the mapping" not in cli.good("match", "--offline", "--mapping", "/mnt -> /data", path)
    done = cli.run("match", "--offline", row["path"][:-4] + ".srt")
    assert (done.returncode, "the rule 'extension'" in done.stdout) == (1, True)
    assert f"; its folder is {row['title']} (" in done.stdout
    done = cli.run("match", "--offline", tmp_path, tmp_path / "none.mkv", "/not/here/none.mkv")
    assert "`plexindex folder` shows" in done.stdout
    assert done.stdout.count("there is no such file on this machine") == 1


def test_match_checks_for_a_file_that_was_just_scanned(cli: Cli, server: Server) -> None:
    cli.good("refresh")
    path = "/data/movies/New Film (2024)/New Film (2024).mkv"
    assert cli.run("match", path).returncode == 1
    server.post("items/add", {"library": 1, "items": [{"title": "New Film", "year": 2024, "files": [path]}]})
    assert "New Film (2024) · Movies" in cli.good("match", "--check", path)
    done = cli.run("match", "--check", "--offline", path)
    assert (done.returncode, "omit --offline" in done.stderr) == (2, True)


def test_stats(cli: Cli, server: Server) -> None:
    cli.good("refresh")
    cli.run("match", "/nowhere.mkv", server.paths(1)[0]["path"])
    text = cli.good("stats")
    names = ["store", "libraries", "items", "matches", "answers", "requests", "writes"]
    assert [line.split()[0] for line in text.splitlines()] == names
    assert re.search(r"^items +420$", text, re.MULTILINE)
    values = cli.json("stats")
    # Only fields of the store: this process has asked nothing.
    assert list(values) == ["folder", "libraries", "items", "matches", "store_answers", "store_requests",
                            "disk_bytes", "size_limit", "over_limit", "evictions", "sequence"]  # fmt: skip
    assert (values["items"], values["libraries"], values["folder"]) == (420, 2, str(cli.store))
    assert (values["store_answers"], values["store_requests"] > 0) == (2, True)
    # Without a server, stats shows the index of the last server.
    cli.run("refresh", PLEXINDEX_TOKEN="another")
    assert cli.json("stats", PLEXINDEX_SERVER_URL=None, PLEXINDEX_TOKEN=None)["items"] == 420


def test_stats_can_be_watched(cli: Cli, server: Server) -> None:
    cli.good("refresh", "Movies")
    command, environment = cli.start("stats", "--json", "--every", "0.1")
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        cli.run("match", server.paths(1)[0]["path"])
        while json.loads(process.stdout.readline())["store_answers"] == first["store_answers"]:
            pass
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    code, seen = cli.at_terminal(
        "stats", "--every", "0.1", react=lambda seen: "\x03" if seen.count("\nitems") > 1 else ""
    )
    assert (code, seen.count("\nitems") >= 2) == (130, True)


def test_clear_asks_first(cli: Cli) -> None:
    nothing = f"{cli.store} contains nothing for this server and user\n"
    assert cli.good("clear") == nothing
    cli.good("refresh")
    done = cli.run("clear")
    assert (done.returncode, "--yes" in done.stderr) == (2, True)
    for answer, code, items in (("\n", 1, 420), ("y\n", 0, 0)):
        found, seen = cli.at_terminal("clear", react=lambda seen: answer if "[y/N]" in seen else "")  # noqa: B023
        assert (found, cli.json("stats")["items"]) == (code, items)
        assert f"Empty the index in {cli.store}: 420 items of 2 libraries? [y/N]" in " ".join(seen.split())
    cli.good("refresh")
    assert cli.good("clear", "--yes").startswith(f"emptied {cli.store}: 420 items of 2 libraries; ")
    assert cli.good("clear", "--yes") == nothing


def test_each_failure_has_its_exit_code(cli: Cli, server: Server, tmp_path: Path) -> None:
    nobody = {"PLEXINDEX_SERVER_URL": None, "PLEXINDEX_TOKEN": None}
    other = str(tmp_path / "other")
    (tmp_path / "file").touch()
    for code, words, variables, text in (
        (2, ["refresh"], nobody, "--server-url"),
        (2, ["match", ""], {}, "the value is empty"),
        (6, ["match", "/x.mkv"], nobody, "--server-url"),
        (3, ["libraries"], {"PLEXINDEX_SERVER_URL": "http://127.0.0.1:1", "PLEXINDEX_CACHE_DIR": other}, "127.0.0.1:1"),
        (4, ["refresh"], {"PLEXINDEX_TOKEN": "wrong"}, "(401)"),
        (5, ["stats", "--cache-dir", tmp_path / "file"], {}, "is a file"),
        (6, ["refresh", "Nothing"], {}, "'Movies' (section 1)"),
        (5, ["stats"], {"PLEXINDEX_LIBRARY": "/nowhere/lib.so"}, "PLEXINDEX_LIBRARY"),
    ):
        done = cli.run(*words, **variables)
        assert (done.returncode, text in done.stderr) == (code, True), done
        assert "wrong" not in done.stderr and TOKEN not in done.stderr
    server.fault(kind="listing", action="delay", ms=2000, count=0)
    done = cli.run("refresh", "--timeout", "0.2", "Movies")
    assert (done.returncode, "run the command again" in done.stderr) == (3, True)
    # Even before plexindex knows the libraries.
    server.fault(kind="identity", action="delay", ms=2000, count=0)
    for words in (["refresh"], ["libraries"], ["match", "/data/movies/x.mkv"]):
        assert cli.run(*words, "--timeout", "0.05", "--cache-dir", tmp_path / "early").returncode == 3, words


def test_what_was_never_fetched_has_one_exit_code(cli: Cli, tmp_path: Path) -> None:
    for words in ("stats", "libraries", "match /x.mkv", "folder /x"):
        done = cli.run(*words.split(), "--offline")
        assert (done.returncode, f"nothing was fetched into {cli.store} yet" in done.stderr) == (6, True), words
    assert not cli.store.exists()
    cli.good("libraries")
    for words in ("match -l Movies /x.mkv", "folder /x", f"diff {tmp_path}", "changes --full", f"doctor {tmp_path}"):
        assert cli.run(*words.split(), "--offline").returncode == 6, words
    cli.good("refresh", "Movies")
    # One of several paths is enough.
    assert cli.run("match", "--offline", "/data/movies/x.mkv", "/x.mkv").returncode == 6
    assert cli.run("match", "--offline", "/data/movies/x.mkv").returncode == 1


def test_a_server_without_an_answer_is_not_a_missing_file(cli: Cli, server: Server) -> None:
    paths = [f"/data/movies/New {number} (2020)/New {number}.mkv" for number in range(3)]
    cli.good("refresh")
    for kind in ("sections", "search"):
        server.fault(kind=kind, action="delay", ms=600_000, count=0)
    # The first question waits until the time limit. Then plexindex leaves the server alone for a while.
    for path in paths:
        done = cli.run("match", "--timeout", "0.5", path)
        assert (done.returncode, "cannot reach the server" in done.stdout) == (3, True), done
    server.reset()
    answer = cli.json("match", paths[1])
    assert (answer["status"], answer["reason"], answer["stale"]) == ("not_found", "unavailable", True)
    assert cli.run("folder", "/data/movies/New 3 (2020)").returncode == 3
    assert cli.run("match", "--offline", paths[0]).returncode == 1, "the user chose this"
    assert server.requests() == 0


@pytest.mark.parametrize("words", ["stats", "clear", "libraries --offline", "match --offline /x.mkv", "doctor"])
def test_a_misspelt_folder_is_not_created(cli: Cli, tmp_path: Path, words: str) -> None:
    folder = tmp_path / "typo"
    done = cli.run(*words.split(), "--cache-dir", folder)
    assert (done.returncode, folder.exists()) == (5, False)
    assert f"there is no folder {folder} (from --cache-dir)" in done.stdout + done.stderr


def test_a_folder_is_created_by_commands_that_ask_the_server(cli: Cli, tmp_path: Path) -> None:
    for words in (["libraries"], ["match", "/x.mkv"], ["folder", "/x"], ["changes"]):
        folder = tmp_path / words[0]
        done = cli.run(*words, "--cache-dir", folder)
        assert (done.returncode in (0, 1), folder.is_dir()) == (True, True), done
    empty = tmp_path / "documents"
    empty.mkdir()
    for words, code in ((["stats"], 6), (["clear"], 0), (["match", "--offline", "/x.mkv"], 6)):
        assert cli.run(*words, "--cache-dir", empty).returncode == code
    assert list(empty.iterdir()) == []


def test_verbose_logs_each_step(cli: Cli, server: Server) -> None:
    path = server.paths(1)[0]["path"]
    errors = cli.run("match", "-v", path).stderr
    assert "plexindex: INFO: 'Movies': listed 300 items" in errors and path not in errors
    errors = cli.run("match", "-vv", path).stderr
    assert path in errors and TOKEN not in errors
    assert "WARNING" in cli.run("stats", "--size-limit", "3").stderr


def test_matches_are_moved_and_recovered_from_a_damaged_database(cli: Cli, tmp_path: Path, server: Server) -> None:
    key = server.paths(1)[0]["ratingKey"]
    with plexindex.open(cli.store, server_url=server.url, token=server.token) as index:
        index.library("Movies").record_match("/mnt/recorded.mkv", key)
    line = cli.good("matches", "export")
    entry = json.loads(line)
    assert (entry["path"], entry["key"], entry["library_title"]) == (
        "/mnt/recorded.mkv",
        f"/library/metadata/{key}",
        "Movies",
    )
    # In another folder.
    other = ("--cache-dir", tmp_path / "other")
    recorded, kept = {"recorded": 1, "kept": 0, "skipped": 0}, {"recorded": 0, "kept": 1, "skipped": 0}
    assert json.loads(cli.good("matches", "import", *other, given=line.encode())) == recorded
    assert json.loads(cli.good("matches", "import", *other, given=line.encode())) == kept
    elsewhere = json.dumps({**entry, "library_uuid": "another"}).encode()
    assert cli.run("matches", "import", *other, given=elsewhere).returncode == 1
    done = cli.run("matches", "import", *other, given=b"\n?")
    assert (done.returncode, "line 2 is not JSON" in done.stderr) == (2, True)
    # From a database that was damaged.
    broken = cli.store / "plexindex-1.db.broken"
    (cli.store / "plexindex-1.db").rename(broken)
    assert cli.good("matches", "export") == ""
    report = " ".join(cli.run("doctor").stdout.split())
    assert f"run `plexindex matches export --broken {broken} | plexindex matches import`" in report
    lines = cli.good("matches", "export", "--broken", broken)
    assert json.loads(cli.good("matches", "import", given=lines.encode())) == recorded
    assert cli.good("matches", "export") == line == lines


def test_scan_starts_scans_of_folders(cli: Cli, server: Server) -> None:
    cli.good("refresh")
    server.reset()
    new = [f"/mnt/media/movies/New (2024)/New {number}.mkv" for number in (1, 2)]
    mapping = ("--mapping", "/mnt/media=/data")
    one, two, refused = cli.lines("scan", *mapping, *new, "/nowhere/x.mkv")
    assert (one["folder"], one["library"], one["section"]) == ("/data/movies/New (2024)", "Movies", "1")
    assert (two["folder"], refused["folder"]) == (one["folder"], None)
    assert "no library" in refused["message"]
    assert server.get("stats")["requests"]["refresh"] == 1, "one request for a folder"
    assert cli.run("scan", *mapping, new[0], "/nowhere/x.mkv").returncode == 1
    assert cli.run("scan", "--offline", new[0]).returncode == 6
    path = "/data/movies/New (2024)/New 1.mkv"
    server.post("items/add", {"library": 1, "items": [{"title": "New", "year": 2024, "files": [path]}]})
    assert "New (2024) · Movies" in cli.good("scan", "--wait", "20", *mapping, new[0])
    done = cli.run("scan", "--wait", "0.1", "--json", *mapping, new[1])
    assert json.loads(done.stdout)["match"]["item"] is None
    assert done.returncode in (1, 3), "the server may not have answered in time"
