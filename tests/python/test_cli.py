"""The commands of `plexindex`: what they print, and their exit codes."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import plexindex
import pytest
from cli import Cli
from conftest import Server, ServerFactory, until

COMMANDS = ("doctor", "match", "folder", "diff", "changes", "scan", "refresh-item", "refresh", "libraries", "stats",
            "clear", "matches", "shared", "config", "completion", "help")  # fmt: skip


def test_help(cli: Cli) -> None:
    text = cli.good("--help")
    assert re.findall(r"^  ([\w-]+)  ", text, re.MULTILINE) == list(COMMANDS)
    assert len(text.splitlines()) < 24, "it fits on a screen, with the prompt"
    assert cli.good("help") == text
    assert cli.run().stderr == text
    for command in COMMANDS:
        assert cli.good(command, "--help").startswith(f"Usage: plexindex {command} ")
    assert cli.good("help", "match") == cli.good("match", "--help")
    for topic in ("options", "config", "exit-codes", *COMMANDS):
        assert all(len(line) <= 80 for line in cli.good("help", topic).splitlines())
    codes = re.findall(r"^  (\d+) ", cli.good("help", "exit-codes"), re.MULTILINE)
    assert codes == ["0", "1", "2", "3", "4", "5", "6", "130"]


def test_version(cli: Cli) -> None:
    package, library, sqlite, python = cli.good("--version").splitlines()
    assert package == f"plexindex {plexindex.__version__}"
    assert re.match(r"library \S+, (/|[A-Z]:\\)\S+", library)
    assert sqlite.startswith("SQLite 3.")
    assert python.startswith("Python ")


def test_libraries(cli: Cli) -> None:
    header, first, _ = cli.good("libraries").splitlines()
    assert header.split() == ["id", "title", "kind", "items", "state", "folders"]
    assert first.split() == ["1", "Movies", "movie", "–", "never", "fetched", "/data/movies"]
    assert cli.good("refresh", "Movies") == ""
    _, first, _ = cli.good("libraries").splitlines()
    assert re.fullmatch(r"1   Movies    movie    300  fresh, checked (just now|\d+ s ago)  /data/movies", first)
    movies, shows = cli.lines("libraries")
    assert {"title": "Movies", "items": 300, "fresh": True, "locations": ["/data/movies"]}.items() <= movies.items()
    assert shows["age"] is None


def test_refresh_at_a_terminal(tmp_path: Path, start_server: ServerFactory) -> None:
    server = start_server("--movies", "5000", "--plain")
    server.fault(kind="listing", action="delay", ms=150, count=0)
    cli = Cli(tmp_path, server)
    code, seen = cli.at_terminal("refresh", react=lambda seen: "\x03" if "2,000 of 5,000" in seen else "", NO_COLOR="1")
    assert code == 130
    assert "interrupted; the next run resumes the fetch" in " ".join(seen.split())
    server.reset()
    _, seen = cli.at_terminal("refresh")
    assert server.get("stats")["requests"]["listing"] < 5
    assert re.search(r"Movies  5,000 items in \S+ m?s\n$", seen)
    assert cli.at_terminal("refresh")[1].endswith("Movies  is up to date\n")
    assert cli.at_terminal("refresh", "--full", "--quiet") == (0, "")
    # A line of the log stands above the bar.
    assert re.search(r"\x1b\[2Kplexindex: INFO", cli.at_terminal("refresh", "--full", "-v")[1])


def test_ctrl_c_reaches_a_call_that_waits_for_a_silent_server(cli: Cli, server: Server) -> None:
    server.fault(kind="identity", action="delay", ms=30_000, count=1)
    command, environment = cli.start("refresh")
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        until(server.requests)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=15)
    assert process.returncode == 130
    assert errors == "\nplexindex: interrupted\n", "nothing was fetched"


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
    sized = ("match", "--size", str(row["size"]), host)
    assert cli.good(*sized, PLEXINDEX_CACHE_DIR=str(cli.home / "other")).endswith("suffix, high\n")
    assert "suffix, low: verify it\n" in cli.good("match", "--no-size", host)
    cli.fails(2, "give a single path", "match", "--size", "1", host, row["path"])
    done = cli.run("match", f"/data/movies/Other/{Path(row['path']).name}", other["path"])
    assert done.stderr == "2 of 2 paths found: 1 file name, 1 exact (1 of low confidence)\n"
    cli.fails(1, "/nowhere/x\\ny.mkv not found: ", "match", row["path"], "/nowhere/x\ny.mkv")
    assert cli.run("match", "-q", row["path"], "/nowhere/x.mkv").stderr == ""


def test_match_prints_json(cli: Cli, server: Server) -> None:
    rows = server.paths(2)
    odd = b"/data/tv/\xff \x1b[31m.mkv"
    listed = f"{rows[0]['path']}\n\n{rows[1]['path']}\r\n".encode() + odd + b"\n"
    first, second, third = cli.lines("match", "-", given=listed)
    item = first["item"]
    assert item["rating_key"] == rows[0]["ratingKey"]
    assert first["candidates"] == [], "no second copy of the item"
    assert item["guids"][0].startswith("imdb://")
    assert int(item["season_key"]) < int(item["rating_key"])
    mapped = cli.json("match", "--mapping", "/mnt/media=/data", item["path"].replace("/data/", "/mnt/media/"))["item"]
    assert mapped["host_path"] == item["path"].replace("/data/", "/mnt/media/") != mapped["path"]
    assert first["asked"] == rows[0]["path"]
    assert second["asked"] == rows[1]["path"]
    assert "asked_base64" not in second
    assert os.fsencode(third["asked"]) == base64.b64decode(third["asked_base64"]) == odd
    assert {"item": None, "status": "not_found", "reason": "not_listed"}.items() <= third.items()
    assert "\\xff \\x1b[31m" in cli.run("match", "-", given=odd).stdout, "names cannot control the terminal"
    names = [line["asked"] for line in cli.lines("match", "--null", "-", given=b"/a\nb.mkv\0/c.mkv\0")]
    assert names == ["/a\nb.mkv", "/c.mkv"]
    cli.fails(2, "add --null", "match", "-", given=b"/a\0/b\0")
    assert cli.good("match", "-", given=b"\n") == ""


def test_match_lists_candidates(tmp_path: Path, start_server: ServerFactory) -> None:
    cli = Cli(tmp_path, start_server("--movies", "3000"))
    cli.good("refresh")
    printed = cli.run("match", "/elsewhere/movie.mkv").stdout
    assert printed.count(" · Movies · /library/metadata/") == 5
    assert re.search(r"\n    and \d+ more\n$", printed)


def test_match_names_each_episode_of_a_file(tmp_path: Path, start_server: ServerFactory) -> None:
    server = start_server("--movies", "0", "--episodes", "200")
    paths = [row["path"] for row in server.paths()]
    double = next(path for path in paths if paths.count(path) == 2)
    number = re.search(r"S\d\dE\d\d-E\d\d", double)
    assert number is not None
    for form in ("text", "tsv"):
        assert f" – {number[0]} – " in Cli(tmp_path, server).good("match", "--format", form, double)


def test_match_explains_a_file_without_an_item(cli: Cli, server: Server, tmp_path: Path) -> None:
    row = server.paths(1)[0]
    path = row["path"].replace("/data", "/mnt", 1)
    cli.good("refresh")
    text = cli.good("match", "--offline", "--mapping", "/mnt -> /data/movies", path)
    assert f"\n  the mapping /mnt -> /data/movies gives /data/movies{path[4:]}\n" in text
    assert "the mapping" not in cli.good("match", "--offline", "--mapping", "/mnt -> /data", path)
    printed = cli.fails(1, "'extension'", "match", "--offline", row["path"][:-4] + ".srt")
    assert f"; its folder is {row['title']} (" in printed
    paths = tmp_path, tmp_path / "none.mkv", "/not/here/none.mkv"
    printed = cli.fails(1, "`plexindex folder`", "match", "--offline", *paths)
    assert printed.count("no such file") == 1


def test_match_checks_for_a_file_that_was_just_scanned(cli: Cli, server: Server) -> None:
    cli.good("refresh")
    path = "/data/movies/New Film (2024)/New Film (2024).mkv"
    assert cli.run("match", path).returncode == 1
    server.post("items/add", {"library": 1, "items": [{"title": "New Film", "year": 2024, "files": [path]}]})
    assert "New Film (2024) · Movies" in cli.good("match", "--check", path)
    cli.fails(2, "omit --offline", "match", "--check", "--offline", path)


@pytest.mark.parametrize(("is_refused", "code"), [(True, 4), (False, 3)])
def test_json_says_that_a_check_failed(cli: Cli, server: Server, is_refused: bool, code: int) -> None:
    cli.good("refresh")
    path = server.paths(1)[0]["path"]
    words = ("match", "--check", "--timeout", "1", "--json", path)
    assert cli.json(*words)["stale"] is False
    if is_refused:
        server.post("tokens", {"tokens": [{"token": server.token, "expired": True}]})
    else:
        server.fault(kind="sections", action="delay", ms=60000, count=0)
    done = cli.run(*words)
    assert done.returncode == code
    answer = json.loads(done.stdout)
    assert (answer["status"], answer["confidence"], answer["stale"]) == ("found", "high", True)
    assert answer["message"]
    assert f"plexindex: {answer['message']}: searching" in done.stderr
    assert "old" in cli.run(*words[:-2], path).stdout


def test_folder(cli: Cli, server: Server) -> None:
    season = os.path.dirname(server.paths(2)[0]["path"])
    root = os.path.dirname(os.path.dirname(season))
    text = cli.good("folder", season)
    path, item = text.splitlines()
    assert path == season
    assert item.startswith("  season: ")
    assert "exact, high" in item
    assert cli.good("folder", "--null", "-", given=f"{season}\0".encode()) == text
    one, several, none = cli.lines("folder", season, root, "/srv/none")
    assert {"asked": season, "status": "found", "kind": "season", "confidence": "high"}.items() <= one.items()
    assert list(one) == list(none)
    assert {"status": "ambiguous", "item": None, "items": 120}.items() <= several.items()
    assert len(several["candidates"]) > 1
    assert {"reason": "no_location", "items": 0, "candidates": []}.items() <= none.items()
    cli.fails(1, "folder", "match", root)


def test_stats(cli: Cli, server: Server) -> None:
    cli.good("refresh")
    cli.run("match", "/nowhere.mkv", server.paths(1)[0]["path"])
    text = cli.good("stats")
    names = ["store", "libraries", "items", "matches", "answers", "requests", "writes"]
    assert [line.split()[0] for line in text.splitlines()] == names
    assert re.search(r"^items +420$", text, re.MULTILINE)
    values = cli.json("stats")
    assert {"items": 420, "libraries": 2, "store_answers": 2, "folder": str(cli.store)}.items() <= values.items()
    assert "answers" not in values, "only fields of the store: this process has asked nothing"
    # Without a server, stats shows the index of the last server.
    cli.run("refresh", PLEXINDEX_TOKEN="another")
    assert cli.json("stats", PLEXINDEX_SERVER_URL=None, PLEXINDEX_TOKEN=None)["items"] == 420


def test_clear_asks_first(cli: Cli) -> None:
    nothing = f"{cli.store} contains nothing for this server and user\n"
    assert cli.good("clear") == nothing
    cli.good("refresh")
    cli.fails(2, "--yes", "clear")
    for answer, code, items in (("\n", 1, 420), ("y\n", 0, 0)):
        found, seen = cli.at_terminal("clear", react=lambda seen: answer if "[y/N]" in seen else "")  # noqa: B023
        assert found == code
        assert cli.json("stats")["items"] == items
        assert f"Empty the index in {cli.store}: 420 items of 2 libraries? [y/N]" in " ".join(seen.split())
    cli.good("refresh")
    assert cli.good("clear", "--yes").startswith(f"emptied {cli.store}: 420 items of 2 libraries; ")
    assert cli.good("clear", "--yes") == nothing


NOBODY = {"PLEXINDEX_SERVER_URL": None, "PLEXINDEX_TOKEN": None}


@pytest.mark.parametrize(
    ("code", "words", "variables", "text"),
    [
        (2, "refresh", NOBODY, "--server-url"),
        (6, "match /x.mkv", NOBODY, "--server-url"),
        (3, "libraries", {"PLEXINDEX_SERVER_URL": "http://127.0.0.1:1"}, "127.0.0.1:1"),
        (4, "refresh", {"PLEXINDEX_TOKEN": "wrong"}, "401"),
        (5, f"stats --cache-dir {__file__}", {}, __file__),
        (6, "refresh Nothing", {}, "'Movies' (section 1)"),
        (5, "libraries", {"PLEXINDEX_LIBRARY": "/nowhere/lib.so"}, "PLEXINDEX_LIBRARY"),
        (2, "doctor", NOBODY, "BAD no server is specified"),
        (3, "doctor", {"PLEXINDEX_SERVER_URL": "http://127.0.0.1:1"}, "BAD cannot use http://127.0.0.1:1 (from PLEX"),
        (4, "doctor", {"PLEXINDEX_TOKEN": "wrong"}, "; the token is from PLEXINDEX_TOKEN"),
        (4, "doctor", {"PLEXINDEX_TOKEN": None}, "; for this command, set PLEXINDEX_TOKEN"),
        (4, "refresh", {"PLEXINDEX_TOKEN": None}, "config.toml"),
        (2, "doctor --database /none", {}, "ok the token (from PLEXINDEX_TOKEN) is valid"),
        (4, "doctor -q", {"PLEXINDEX_TOKEN": "wrong"}, "the server rejected the token"),
        (5, "doctor", {"PLEXINDEX_CACHE_DIR": __file__}, "1 problem found"),
    ],
)
def test_each_failure_has_its_exit_code(cli: Cli, code: int, words: str, variables: dict[str, Any], text: str) -> None:
    assert "wrong" not in cli.fails(code, text, *words.split(), **variables)


def test_the_time_limit_has_its_exit_code(cli: Cli, server: Server) -> None:
    server.fault(kind="listing", action="delay", ms=2000, count=0)
    cli.fails(3, "", "refresh", "--timeout", "0.2", "Movies")
    # A server without an answer is not a missing file, unless the user chose this.
    server.post("faults/clear")
    cli.good("refresh")
    path = "/data/movies/New (2020)/New.mkv"
    server.fault(kind="sections", action="delay", ms=600_000, count=0)
    cli.fails(3, path, "match", "--timeout", "0.5", path)
    cli.fails(1, "", "match", "--offline", path)
    server.post("faults/clear")
    # Even before plexindex knows the libraries.
    server.fault(kind="identity", action="delay", ms=2000, count=0)
    for words in (["refresh"], ["libraries"], ["match", "/data/movies/x.mkv"]):
        cli.fails(3, "", *words, "--timeout", "0.05", "--cache-dir", cli.home / "early")


def test_what_was_never_fetched_has_one_exit_code(cli: Cli, tmp_path: Path) -> None:
    for words in ("stats", "libraries", "match /x.mkv", "folder /x"):
        cli.fails(6, str(cli.store), *words.split(), "--offline")
    assert not cli.store.exists()
    cli.good("libraries")
    for words in ("match -l Movies /x.mkv", "folder /x", f"diff {tmp_path}", "changes --full", f"doctor {tmp_path}"):
        cli.fails(6, "", *words.split(), "--offline")
    cli.good("refresh", "Movies")
    # One of several paths is enough.
    cli.fails(6, "", "match", "--offline", "/data/movies/x.mkv", "/x.mkv")
    cli.fails(1, "", "match", "--offline", "/data/movies/x.mkv")


@pytest.mark.parametrize("words", ["stats", "clear", "libraries --offline", "match --offline /x.mkv", "doctor"])
def test_a_misspelt_folder_is_not_created(cli: Cli, tmp_path: Path, words: str) -> None:
    folder = tmp_path / "typo"
    cli.fails(5, str(folder), *words.split(), "--cache-dir", folder)
    assert not folder.exists()
    folder.mkdir()
    cli.run(*words.split(), "--cache-dir", folder)
    assert any(folder.iterdir()) == (words == "doctor"), "only what asks the server makes a store"


def test_verbose_logs_each_step(cli: Cli, server: Server) -> None:
    path = server.paths(1)[0]["path"]
    errors = cli.run("match", "-v", path).stderr
    assert "plexindex: INFO: 'Movies': listed 300 items" in errors
    assert path not in errors
    assert path in cli.run("match", "-vv", path).stderr
    assert "WARNING" in cli.run("stats", "--size-limit", "3").stderr


def test_matches_are_moved_and_recovered_from_a_damaged_database(
    cli: Cli, index: plexindex.Index, tmp_path: Path, server: Server
) -> None:
    key = server.paths(1)[0]["ratingKey"]
    index.library("Movies").record_match("/mnt/recorded.mkv", key)
    index.close()
    line = cli.good("matches", "export")
    entry = json.loads(line)
    assert entry["path"] == "/mnt/recorded.mkv"
    assert entry["key"] == f"/library/metadata/{key}"
    # In another folder.
    other = ("matches", "import", "--cache-dir", tmp_path / "other")
    recorded, kept = {"recorded": 1, "kept": 0, "skipped": 0}, {"recorded": 0, "kept": 1, "skipped": 0}
    assert cli.json(*other, given=line.encode()) == recorded
    assert cli.json(*other, given=line.encode()) == kept
    assert cli.run(*other, given=json.dumps({**entry, "library_uuid": "another"}).encode()).returncode == 1
    cli.fails(2, "line 2 ", *other, given=b"\n?")
    # From a database that was damaged.
    broken = cli.store / "plexindex-1.db.broken"
    (cli.store / "plexindex-1.db").rename(broken)
    assert cli.good("matches", "export") == ""
    cli.fails(0, f"run `plexindex matches export --broken {broken} | plexindex matches import`", "doctor")
    lines = cli.good("matches", "export", "--broken", broken)
    assert cli.json("matches", "import", given=lines.encode()) == recorded
    assert cli.good("matches", "export") == line == lines


def test_refresh_item(cli: Cli, server: Server) -> None:
    cli.good("refresh")
    row = server.paths(1)[0]
    path, key = row["path"], f"/library/metadata/{row['ratingKey']}"
    server.reset()
    assert key in cli.good("refresh-item", path)
    assert cli.good("refresh-item", "--analyze", key, row["ratingKey"]) == f"{key}\n{row['ratingKey']}\n"
    assert server.get("stats")["requests"]["refresh"] == 3
    found, missed = cli.lines("refresh-item", path, "/nowhere/x.mkv")
    assert found == {"asked": path, "key": key, "message": None}
    assert (missed["key"], "no library has a folder" in missed["message"]) == (None, True)
    cli.fails(1, "no library has a folder", "refresh-item", "/nowhere/x.mkv")
    cli.fails(3, "item 999999", "refresh-item", "999999")


def test_scan_starts_scans_of_folders(cli: Cli, server: Server) -> None:
    cli.good("refresh")
    server.reset()
    new = [f"/mnt/media/movies/New (2024)/New {number}.mkv" for number in (1, 2)]
    scan = ("scan", "--mapping", "/mnt/media=/data")
    one, two, refused = cli.lines(*scan, *new, "/nowhere/x.mkv")
    assert {"folder": "/data/movies/New (2024)", "library": "Movies", "section": "1"}.items() <= one.items()
    assert [two["folder"], refused["folder"]] == [one["folder"], None]
    assert server.get("stats")["requests"]["refresh"] == 1, "one request for a folder"
    cli.fails(1, "no library", *scan, new[0], "/nowhere/x.mkv")
    cli.fails(6, "", "scan", "--offline", new[0])
    path = "/data/movies/New (2024)/New 1.mkv"
    server.post("items/add", {"library": 1, "items": [{"title": "New", "year": 2024, "files": [path]}]})
    assert "New (2024) · Movies" in cli.good(*scan, "--wait", "20", new[0])
    assert cli.json(*scan, "--wait", "0.1", new[1])["match"]["item"] is None
