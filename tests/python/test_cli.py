"""The commands of `plexindex`: what they print, their exit codes, and how they read options and input."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import plexindex
import pytest
from cli import Cli
from conftest import (
    Server,
    ServerFactory,
    interrupts,
    names_bytes,
    on_unix,
    run,
    runs_shell,
    types_at_terminal,
)
from disk import make
from plexindex._cli import find, options
from plexindex._cli.help import PLACES
from plexindex._core.config import parse_mapping

COMMANDS = ("doctor", "match", "folder", "diff", "changes", "scan", "refresh-item", "refresh", "libraries", "stats",
            "clear", "matches", "shared", "config", "completion", "help")  # fmt: skip

SHARED = "postgresql://tool@127.0.0.1:1/plexindex"


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


@types_at_terminal
def test_refresh_at_a_terminal(tmp_path: Path, start_server: ServerFactory) -> None:
    server = start_server("--movies", "5000", "--plain")
    server.fault(kind="listing", action="delay", ms=150, count=0)
    cli = Cli(tmp_path, server)
    code, seen = cli.at_terminal(
        "refresh", react=lambda seen: "\x03" * bool(re.search(r"[1-4],\d{3} of", seen)), NO_COLOR="1"
    )
    assert code == 130
    assert "interrupted; the next run resumes the fetch" in " ".join(seen.split())
    server.reset()
    server.post("faults/clear")
    _, seen = cli.at_terminal("refresh")
    assert server.get("stats")["requests"]["listing"] < 6, "six pages are all"
    assert re.search(r"Movies  5,000 items in \S+ m?s\n$", seen)
    assert cli.at_terminal("refresh")[1].endswith("Movies  is up to date\n")
    assert cli.at_terminal("refresh", "--full", "--quiet") == (0, "")
    # A line of the log stands above the bar.
    assert re.search(r"\x1b\[2Kplexindex: INFO", cli.at_terminal("refresh", "--full", "-v")[1])


def test_ctrl_c_reaches_a_call_that_waits_for_a_silent_server(cli: Cli, server: Server) -> None:
    server.fault(kind="identity", action="delay", ms=30_000, count=1)
    with interrupts(server.requests):
        done = cli.run("refresh")
    assert (done.returncode, done.stderr) == (130, "\nplexindex: interrupted\n"), "nothing was fetched"


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


@names_bytes
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


def test_match_names_candidates_and_the_episodes_of_a_file(tmp_path: Path, start_server: ServerFactory) -> None:
    server = start_server("--movies", "3000", "--episodes", "200")
    cli = Cli(tmp_path, server)
    cli.good("refresh")
    printed = cli.run("match", "/elsewhere/movie.mkv").stdout
    assert printed.count(" · Movies · /library/metadata/") == 5
    assert re.search(r"\n    and \d+ more\n$", printed)
    paths = [row["path"] for row in server.paths(2)]
    double = next(path for path in paths if paths.count(path) == 2)
    number = re.search(r"S\d\dE\d\d-E\d\d", double)
    assert number is not None
    assert f" – {number[0]} – " in cli.good("match", double)


@on_unix("a path without a drive lies on no disk of Windows, so no rule of a disk is looked up")
def test_match_explains_a_file_without_an_item(cli: Cli, row: dict[str, str], tmp_path: Path) -> None:
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
def test_json_says_that_a_check_failed(
    cli: Cli, server: Server, row: dict[str, str], is_refused: bool, code: int
) -> None:
    cli.good("refresh")
    words = ["match", "--check", row["path"]]
    assert cli.json(*words)["stale"] is False
    if is_refused:
        server.post("tokens", {"tokens": [{"token": server.token, "expired": True}]})
    else:
        server.fault(kind="sections", action="delay", ms=60000, count=0)
        words += ["--timeout", "0.3"]
    done = cli.run(*words, "--json")
    assert done.returncode == code
    answer = json.loads(done.stdout)
    assert (answer["status"], answer["confidence"], answer["stale"]) == ("found", "high", True)
    assert answer["message"]
    assert f"plexindex: {answer['message']}: searching" in done.stderr
    assert "old" in cli.run(*words).stdout


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


@types_at_terminal
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


def test_verbose_logs_each_step(cli: Cli, row: dict[str, str]) -> None:
    errors = cli.run("match", "-v", row["path"]).stderr
    assert "plexindex: INFO: 'Movies': listed 300 items" in errors
    assert row["path"] not in errors
    assert row["path"] in cli.run("match", "-vv", row["path"]).stderr
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
    for wrong in (b"?", b"[" * 100_000):
        cli.fails(2, "line 2 ", *other, given=b"\n" + wrong)
    # From a database that was damaged.
    broken = cli.store / "plexindex-1.db.broken"
    (cli.store / "plexindex-1.db").rename(broken)
    assert cli.good("matches", "export") == ""
    cli.fails(0, f"run `plexindex matches export --broken {broken} | plexindex matches import`", "doctor")
    lines = cli.good("matches", "export", "--broken", broken)
    assert cli.json("matches", "import", given=lines.encode()) == recorded
    assert cli.good("matches", "export") == line == lines


def test_refresh_item(cli: Cli, server: Server, row: dict[str, str]) -> None:
    cli.good("refresh")
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
        ("/mnt/disk:a->/data", ("/mnt/disk:a", "/data")),
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


@pytest.mark.parametrize("text", ["/mnt/media", "/a=/b=/c", "/a ->", "films:tv", "/a -> b", "-> /b", "/a -> /b -> /c"])
def test_what_is_not_a_mapping(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        parse_mapping(text)


@runs_shell
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
        ("match -f paths --json /x", "--json"),
        ("match -f xml /x", "'xml'"),
        ("match /x --timeout", "'--timeout'"),
        ("match --timeout -1 /x", "'-1'"),
        ("--size-limit -1.5 match /x", "'-1.5'"),
        ("match --mapping films:tv /x", "'films:tv'"),
        ("completion", "zsh"),
        ("help nothing", "'nothing'"),
        ("match -dash.mkv", "-d"),
        ("changes Movies", "Movies"),
        ("diff", "no folder"),
        ("diff --without nothing /x", "'samples'"),
        (f"shared status --shared {SHARED} --offline", "--offline"),
        ("shared status", "no shared database"),
        (f"libraries --shared {SHARED} --no-server --database /x", "--shared"),
        (f"--server-url= shared clear --shared {SHARED} --yes", "--server-url"),
    ],
)
def test_wrong_words(cli: Cli, words: str, text: str) -> None:
    cli.fails(2, text, *words.split(" "))


@pytest.mark.parametrize(
    ("line", "arguments", "values", "shared"),
    [
        ("-qv match -0vf json -lMovies /x -- -y", "/x -y", {"null": True, "format": "json", "library": "Movies"},
         {"quiet": True, "verbose": 2}),
        ("match --format=paths --size 7 --timeout=.5 -", "-", {"format": "paths", "size": 7}, {"timeout": 0.5}),
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


@names_bytes
def test_paths_without_an_item(cli: Cli, server: Server) -> None:
    cli.good("refresh")
    odd = b"/nowhere/\xff\ttab\\.mkv"
    listed = server.paths(1)[0]["path"].encode() + b"\r\n\r\n" + odd
    # The same bytes as in the list, for xargs.
    for end, words in ((b"\n", []), (b"\0", ["--null"])):
        given = listed.replace(b"\r\n\r\n", b"\n").replace(b"\n", end)
        done = cli.run("match", *words, "--missing", "--format", "paths", "-", given=given)
        assert os.fsencode(done.stdout) == odd + end
        assert done.stderr == "1 of 2 paths found: 1 exact; 1 not found\n"


@names_bytes
def test_lists_in_another_locale(cli: Cli) -> None:
    given = "/data/movies/\xe9 \u2013 x.mkv\n".encode() + b"/data/movies/\xff.mkv\n"
    for variables in ({"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}):
        assert cli.run("match", "-", given=given, **variables).stdout.count("not found:") == 2
        done = cli.run("match", "--format", "paths", "-", given=given, **variables)
        assert os.fsencode(done.stdout) == given


@names_bytes
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
        ("nothing 2>/dev/full", 2, None),
        ("match - 0>/dev/null", 5, "input"),
        *((f"{words} >/dev/full", 5, "output") for words in ("libraries", "match -f paths /x.mkv", "doctor", "--help")),
    ],
)
@runs_shell
def test_a_stream_that_is_closed_or_full(cli: Cli, line: str, code: int, stream: str | None) -> None:
    found, _, errors = shell(cli, f"plexindex {line}")
    assert found == code
    why = "No space left on device" if "full" in line else "Bad file descriptor"
    assert errors == (f"plexindex: cannot read or write standard {stream}: {why}\n" if stream else "")


@runs_shell
def test_a_reader_that_has_enough(cli: Cli, server: Server) -> None:
    (cli.home / "list").write_text("".join(f"{row['path']}\n" for row in server.paths(1)) * 30)
    for words in ("match -", "match --format json -", "match --format paths -"):
        _, printed, errors = shell(cli, f"{{ plexindex {words} <list; echo $? >code; }} | head -1")
        assert printed.count("\n") == 1
        assert errors == ""
        assert (cli.home / "code").read_text() == "141\n"


@types_at_terminal
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
@types_at_terminal
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


@pytest.mark.parametrize(
    "module", ["plexindex._cli", "plexindex.errors", "plexindex.index", "plexindex._cli.libraries"]
)
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
    unneeded = {"argparse", "difflib", "rich", "asyncio", "tomllib", "json", "dataclasses", "logging"}
    assert names & {"plexindex", *unneeded} == {"plexindex"}


@pytest.mark.parametrize(("shell", "check"), [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")])
@on_unix("the completions are for shells that Windows lacks")
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
        ("match --format ", {"text", "paths", "json"}),
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
@on_unix("the completions are for shells that Windows lacks")
def test_bash_completes(cli: Cli) -> None:
    program = cli.home / "plexindex"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m plexindex "$@"\n')
    program.chmod(0o755)
    script = cli.good("completion", "bash") + (
        '\nCOMP_WORDS=(plexindex match --for); COMP_CWORD=2; _plexindex_completion plexindex; echo "${COMPREPLY[@]}"'
    )
    cli.environment["PATH"] = f"{cli.home}:{os.environ['PATH']}"
    assert process(["bash", "--norc", "-c", script], cli) == (0, "--format\n", "")
