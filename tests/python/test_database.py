"""Plex's own database as a source: from Python, by the command, and in the doctor. Rust's tests prove what it reads."""

from __future__ import annotations

import json
import pickle
import shutil
import sqlite3
import subprocess
import tarfile
from pathlib import Path

import plexindex
import pytest
from cli import Cli
from conftest import IS_ROOT, REPOSITORY, Server, run_python, takes_rights
from disk import make

RECORDED = REPOSITORY / "tests/sources/database/recorded"
INSIDE = "Plug-in Support/Databases/com.plexapp.plugins.library.db"
BUNNY = "/data/Movies/Big Buck Bunny (2008) - part1.mkv"


@pytest.fixture
def plex(tmp_path: Path) -> Path:
    """The folder of a server with a recorded database."""
    folder = tmp_path / "Plex Media Server"
    (folder / INSIDE).parent.mkdir(parents=True)
    with tarfile.open(RECORDED / "libraries.tar.xz") as recorded:
        database = recorded.extractfile("library-2023-05.db")
        assert database
        (folder / INSIDE).write_bytes(database.read())
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


def test_a_loop_over_a_watch_follows_without_events(plex: Path, cache: Path) -> None:
    with plexindex.open(cache, database=plex) as index:
        for number, page in enumerate(index.watch(index.changes().cursor, timeout=30)):
            if number == 0:
                run_python(RENAME_SINTEL, plex / INSIDE)
            if [change.path for change in page] == ["/data/Movies/moved.mkv"]:
                return
    raise AssertionError


def test_the_command_finds_it(cli: Cli, plex: Path) -> None:
    assert "Big Buck Bunny" in cli.good("match", "--database", plex, BUNNY)
    assert "Big Buck Bunny" in cli.good("match", BUNNY, PLEXINDEX_DATABASE=str(plex / INSIDE))
    make(cli.home / ".config/plexindex/config.toml", f"database = '{plex}'\n".encode())
    cli.good("refresh")
    assert len(cli.lines("libraries")) == 4


def test_no_server(cli: Cli, plex: Path) -> None:
    cli.environment.update(PLEXINDEX_SERVER_URL="http://127.0.0.1:1", PLEXINDEX_DATABASE=str(plex))
    cli.fails(3, "--no-server", "match", BUNNY)
    # The command then reads no token, either.
    assert "Big Buck Bunny" in cli.good("match", "--no-server", BUNNY, PLEXINDEX_TOKEN_FILE="/nowhere")
    assert "no server is specified" in cli.good("doctor", "--no-server")
    cli.fails(2, "--server-url", "match", "--no-server", "--server-url", "http://127.0.0.1:1", BUNNY)


def test_a_wrong_database_is_a_usage_error(cli: Cli, plex: Path, tmp_path: Path) -> None:
    text = make(tmp_path / "text.db", b"not a database, but at least as long as the header of one" * 20)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE media_parts (id INTEGER PRIMARY KEY)")
    database.close()
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "nowhere", tmp_path / "empty", text, other):
        for words in (["libraries"], ["match", BUNNY], ["refresh"], ["doctor"]):
            assert cli.run(*words, "--database", path).returncode == 2, (path, words)
    assert (
        cli.run("libraries", "--database", tmp_path / "no", PLEXINDEX_SERVER_URL="http://127.0.0.1:9").returncode == 2
    )
    # This database may become readable.
    Path(f"{plex / INSIDE}-wal").touch()
    for words in (["libraries"], ["doctor"]):
        assert cli.run(*words, "--database", plex).returncode == 3, words


@pytest.mark.skipif(IS_ROOT and not shutil.which("setpriv"), reason="root reads everything")
@takes_rights
def test_an_unreadable_database_is_a_usage_error(cli: Cli, plex: Path) -> None:
    (plex / INSIDE).chmod(0)
    command, environment = cli.start("doctor", "--database", plex)
    if IS_ROOT:
        command = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", *command]
    assert subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False, timeout=60).returncode == 2


def test_the_doctor(cli: Cli, plex: Path, server: Server, tmp_path: Path) -> None:
    printed = cli.fails(0, f"ok can read {plex}: 4 libraries", "doctor", "--database", plex)
    assert "note cannot read Preferences.xml" in printed
    (plex / "Preferences.xml").write_text('<Preferences ProcessedMachineIdentifier="0123456789abcdef"/>')
    # Doctor reports on the database without a store, too.
    missing = tmp_path / "new"
    values = cli.json("doctor", "--database", plex, "--cache-dir", missing)
    assert values["findings"][0] == {"mark": "ok", "text": f"can read {plex}: 4 libraries"}
    assert values["exit_code"] == 5
    assert not missing.exists()
    values = cli.json("doctor", "--database", tmp_path / "nothing", "--cache-dir", missing)
    assert "cannot read the database" in values["problems"][0]
    assert len(values["problems"]) == 2
    # Reading it needs no request, so doctor matches files of libraries that were never fetched.
    folder = make(tmp_path / "media" / Path(BUNNY).name).parent
    flags = ("--mapping", f"{folder}=/data/Movies", folder)
    cli.fails(0, "each of the files matches a single item", "doctor", "--database", plex, *flags)
    server_flags = ("--server-url", server.url, "--token", server.token)
    assert str(plex / INSIDE) in " ".join(cli.run("doctor", *server_flags, "--database", plex).stdout.split())


def test_answers_from_a_removed_database(cli: Cli, plex: Path) -> None:
    cli.good("refresh", "--database", plex)
    shutil.rmtree(plex)
    for words in (["match", "--json", BUNNY], ["folder", "--json", "/data/Movies"], ["changes", "--json"]):
        done = cli.run(*words, "--database", plex)
        assert json.loads(done.stdout)["stale"] is True
        # Messages name the database instead of a server.
        assert "atabase" in done.stderr
        assert "the server" not in done.stdout + done.stderr
    cli.fails(0, "Movies", "libraries", "--database", plex)
