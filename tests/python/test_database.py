"""Plex's own database as a source: from Python, by the command, and in the doctor. Rust's tests prove what it reads."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import plexindex
import pytest
from cli import Cli
from conftest import IS_ROOT, REPOSITORY, Server

RECORDED = REPOSITORY / "tests/sources/database/recorded"
INSIDE = "Plug-in Support/Databases/com.plexapp.plugins.library.db"
BUNNY = "/data/Movies/Big Buck Bunny (2008) - part1.mkv"


@pytest.fixture
def plex(tmp_path: Path) -> Path:
    """The folder of a server with a recorded database."""
    folder = tmp_path / "Plex Media Server"
    (folder / INSIDE).parent.mkdir(parents=True)
    (folder / INSIDE).write_bytes(gzip.decompress((RECORDED / "library-2023-05.db.gz").read_bytes()))
    return folder


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command, without a server."""
    return Cli(tmp_path)


def test_the_database_is_enough(plex: Path, cache: Path) -> None:
    with plexindex.open(cache, database=plex) as index:
        assert index.match(BUNNY).rating_key == "55"
        assert sum(index.stats()["requests"].values()) == 0
        with pickle.loads(pickle.dumps(index)) as again:  # noqa: S301
            assert again.match(BUNNY).rating_key == "55"


def test_what_is_not_a_database(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(plexindex.InvalidArgumentError, match="database contains a NUL"):
        plexindex.open(cache, database=b"a\0b")
    with plexindex.open(cache, database=tmp_path / "nowhere") as index, pytest.raises(plexindex.ServerUnavailableError):
        index.match(BUNNY)


# In another process, as the server does it. The triggers are those that only the server can run.
RENAME_SINTEL = """
import sqlite3, sys

database = sqlite3.connect(sys.argv[1])
for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
    database.execute(f'DROP TRIGGER "{name}"')
database.execute("UPDATE metadata_items SET changed_at = 8000 WHERE id = 57")
database.execute("UPDATE media_parts SET file = '/data/Movies/moved.mkv' WHERE file LIKE '%Sintel%'")
database.commit()
"""


def rename_sintel(plex: Path) -> None:
    subprocess.run([sys.executable, "-c", RENAME_SINTEL, plex / INSIDE], check=True)


def test_the_command_follows_without_events(cli: Cli, plex: Path) -> None:
    command, environment = cli.start("changes", "--watch", "--json", "--database", plex)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout is not None
        assert json.loads(follower.stdout.readline())["change"] == "cursor"
        rename_sintel(plex)
        change = next(line for line in map(json.loads, follower.stdout) if line["change"] != "cursor")
        assert (change["change"], change["path"]) == ("moved", "/data/Movies/moved.mkv")
        follower.send_signal(signal.SIGINT)
        assert follower.wait(30) == 130


def test_the_command_finds_it(cli: Cli, plex: Path) -> None:
    assert "Big Buck Bunny" in cli.good("match", "--database", plex, BUNNY)
    assert "Big Buck Bunny" in cli.good("match", BUNNY, PLEXINDEX_DATABASE=str(plex / INSIDE))
    config = cli.home / ".config/plexindex/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f"database = '{plex}'\n")
    cli.good("refresh")
    assert len(cli.lines("libraries")) == 4


def test_no_server(cli: Cli, plex: Path) -> None:
    cli.environment.update(PLEXINDEX_SERVER_URL="http://127.0.0.1:1", PLEXINDEX_DATABASE=str(plex))
    done = cli.run("match", BUNNY)
    assert (done.returncode, "add --no-server" in done.stderr) == (3, True)
    # The command then reads no token, either.
    assert "Big Buck Bunny" in cli.good("match", "--no-server", BUNNY, PLEXINDEX_TOKEN_FILE="/nowhere")
    assert cli.json("doctor", "--no-server")["server"]["url"] is None
    done = cli.run("match", "--no-server", "--server-url", "http://127.0.0.1:1", BUNNY)
    assert (done.returncode, "omit --server-url or --no-server" in done.stderr) == (2, True)


def test_a_wrong_database_is_a_usage_error(cli: Cli, plex: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.db"
    text.write_text("not a database, but at least as long as the header of one" * 20)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE media_parts (id INTEGER PRIMARY KEY)")
    database.close()
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "nowhere", tmp_path / "empty", text, other):
        for words in (["libraries"], ["match", BUNNY], ["refresh"], ["doctor"]):
            assert cli.run(*words, "--database", path).returncode == 2, (path, words)
    variables: dict[str, Any] = {"PLEXINDEX_SERVER_URL": "http://127.0.0.1:9"}
    assert cli.run("libraries", "--database", tmp_path / "nowhere", **variables).returncode == 2
    # This database may become readable.
    Path(f"{plex / INSIDE}-wal").touch()
    for words in (["libraries"], ["doctor"]):
        assert cli.run(*words, "--database", plex).returncode == 3, words


@pytest.mark.skipif(IS_ROOT and not shutil.which("setpriv"), reason="root reads everything")
def test_an_unreadable_database_is_a_usage_error(cli: Cli, plex: Path) -> None:
    (plex / INSIDE).chmod(0)
    command, environment = cli.start("doctor", "--database", plex)
    if IS_ROOT:
        command = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", *command]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, "readable" in done.stdout) == (2, True), done


def test_the_doctor(cli: Cli, plex: Path, server: Server, tmp_path: Path) -> None:
    text = cli.good("doctor", "--database", plex)
    assert f"  ok   can read {plex}: 4 libraries" in text
    assert "note cannot read Preferences.xml" in text and "uses only Plex's database" in text
    (plex / "Preferences.xml").write_text('<Preferences ProcessedMachineIdentifier="0123456789abcdef"/>')
    facts = cli.json("doctor", "--database", plex)["database"]
    assert facts == {"file": str(plex), "usable": True, "why_not": None, "libraries": 4,
                     "machine_identifier": "0123456789abcdef"}  # fmt: skip
    # Doctor reports on the database without a store, too.
    missing = tmp_path / "new"
    values = cli.json("doctor", "--database", plex, "--cache-dir", missing)
    assert (values["database"]["usable"], values["exit_code"], missing.exists()) == (True, 5, False)
    values = cli.json("doctor", "--database", tmp_path / "nothing", "--cache-dir", missing)
    assert (values["database"]["usable"], len(values["problems"])) == (False, 2)
    # Reading it needs no request, so doctor matches files of libraries that were never fetched.
    folder = tmp_path / "media"
    folder.mkdir()
    (folder / Path(BUNNY).name).touch()
    text = cli.good("doctor", "--database", plex, "--mapping", f"{folder}=/data/Movies", folder)
    assert "1 file in" in text and "each of the files matches a single item" in text
    done = cli.run("doctor", "--server-url", server.url, "--token", server.token, "--database", plex)
    assert f"{plex / INSIDE} is not the database of the server" in " ".join(done.stdout.split())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_while_the_database_is_read(plex: Path, cache: Path) -> None:
    with plexindex.open(cache, database=plex) as index:
        stop = threading.Event()

        def read() -> None:
            while not stop.is_set():
                os.utime(plex / INSIDE)  # the next question reads the database again
                index.match(BUNNY)

        readers = [threading.Thread(target=read) for _ in range(2)]
        for reader in readers:
            reader.start()
        statuses = []
        for _ in range(10):
            child = os.fork()
            if child == 0:
                signal.alarm(20)
                found = index.match(BUNNY).item
                os._exit(0 if found is not None and found.rating_key == "55" else 1)
            statuses.append(os.waitpid(child, 0)[1])
        stop.set()
        for reader in readers:
            reader.join()
        assert statuses == [0] * 10


def test_answers_from_a_removed_database(cli: Cli, plex: Path) -> None:
    cli.good("refresh", "--database", plex)
    shutil.rmtree(plex)
    for words in (["match", "--json", BUNNY], ["folder", "--json", "/data/Movies"], ["changes", "--json"]):
        done = cli.run(*words, "--database", plex)
        assert json.loads(done.stdout)["stale"] is True
        # Messages name the database instead of a server.
        assert "atabase" in done.stderr and "the server" not in done.stdout + done.stderr, done
    done = cli.run("libraries", "--database", plex)
    assert (done.returncode, "Movies" in done.stdout, "No such file" in done.stderr) == (0, True, True)
