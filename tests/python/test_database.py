"""Plex's own database as a source: from Python, from the command, and what the doctor says of it."""

from __future__ import annotations

import gzip
import inspect
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
    """The command, and nothing said about a server."""
    return Cli(tmp_path)


@pytest.mark.parametrize("named", ["folder", "file", "bytes", "its own folder"])
def test_it_is_all_that_is_needed(plex: Path, cache: Path, named: str) -> None:
    ways: dict[str, Path | str | bytes] = {"folder": plex, "file": str(plex / INSIDE), "bytes": os.fsencode(plex)}
    ways["its own folder"] = (plex / INSIDE).parent
    database = ways[named]
    with plexindex.open(cache, database=database) as index:
        found = index.match(BUNNY)
        assert found.item is not None
        assert (found.item.rating_key, found.item.title) == ("55", "Big Buck Bunny")
        assert [library.title for library in index.libraries()] == ["Movies", "TV Shows", "Photos", "Music"]
        movies = index.library("Movies")
        movies.refresh()
        assert movies.lookup_key(BUNNY) == "/library/metadata/55"
        assert sum(index.stats().requests.values()) == 0
    assert os.listdir((plex / INSIDE).parent) == [Path(INSIDE).name]


def rename_sintel(file: Path) -> None:
    """What the server does when a file moved."""
    database = sqlite3.connect(file)
    # Those of the server's triggers that only it can run.
    for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        database.execute(f'DROP TRIGGER "{name}"')
    database.execute("UPDATE metadata_items SET changed_at = 8000 WHERE id = 57")
    database.execute("UPDATE media_parts SET file = '/data/Movies/moved.mkv' WHERE file LIKE '%Sintel%'")
    database.commit()
    database.close()


def rename_elsewhere(file: Path) -> None:
    """The same in another process, as the server is: what this one has open is not read meanwhile."""
    script = "\n".join(
        [
            "import sqlite3, sys",
            "from pathlib import Path",
            inspect.getsource(rename_sintel),
            "rename_sintel(sys.argv[1])",
        ]
    )
    subprocess.run([sys.executable, "-c", script, file], check=True)


def test_a_wait_hears_what_is_written(plex: Path, cache: Path) -> None:
    with plexindex.open(cache, database=plex) as index:
        waiting = index.watch_changes(timeout=60)
        writer = threading.Timer(0.3, rename_elsewhere, (plex / INSIDE,))
        writer.start()
        change = next(waiting)
        assert (change.change, change.path) == ("moved", "/data/Movies/moved.mkv")
        writer.join()


def test_the_command_follows_it_without_events(cli: Cli, plex: Path) -> None:
    command, environment = cli.start("changes", "--follow", "--json", "--database", plex)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout is not None
        assert list(json.loads(follower.stdout.readline())) == ["cursor", "age", "stale"]
        rename_sintel(plex / INSIDE)
        # It may look in after each of the writer's commits, of which the last changes an item: a cursor comes alone.
        lines = map(json.loads, follower.stdout)
        change = next(line for line in lines if "cursor" not in line)
        assert (change["change"], change["path"]) == ("moved", "/data/Movies/moved.mkv")
        follower.send_signal(signal.SIGINT)
        assert follower.wait(30) == 130


def test_it_is_asked_alone_though_a_server_is_named(cli: Cli, plex: Path) -> None:
    away: dict[str, Any] = {"PLEXINDEX_URL": "http://127.0.0.1:1", "PLEXINDEX_DATABASE": str(plex)}
    done = cli.run("match", BUNNY, **away)
    assert done.returncode == 3
    assert "Plex's database was not used: only its server says that it is its own; --no-server asks it alone" in (
        " ".join(done.stderr.split())
    )
    assert "Big Buck Bunny" in cli.good("match", "--no-server", BUNNY, **away)
    assert cli.good("warm", "--no-server", **away) == ""
    assert cli.json("doctor", "--no-server", **away)["server"]["url"] is None
    done = cli.run("match", "--no-server", "--url", "http://127.0.0.1:1", BUNNY, PLEXINDEX_DATABASE=str(plex))
    assert (done.returncode, "--url" in done.stderr) == (2, True)
    # No token is looked for, either: one that cannot be read is none of its.
    assert "Big Buck Bunny" in cli.good("match", "--no-server", BUNNY, PLEXINDEX_TOKEN_FILE="/nowhere", **away)


def test_a_pickled_index_has_it_too(plex: Path, cache: Path) -> None:
    with plexindex.open(cache, database=plex) as index:
        again = pickle.loads(pickle.dumps(index))  # noqa: S301
        assert again.match(BUNNY).item.rating_key == "55"
        again.close()


def test_what_is_no_database_is_refused(tmp_path: Path, cache: Path) -> None:
    for option in ("ca_file", "database"):
        given: dict[str, Any] = {option: b"a\0b"}
        with pytest.raises(plexindex.InvalidArgumentError, match=f"^{option} contains a NUL"):
            plexindex.open(cache, **given)
    with pytest.raises(plexindex.InvalidArgumentError, match="database is empty"):
        plexindex.open(cache, database="")
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE media_parts (id INTEGER PRIMARY KEY)")
    database.close()
    with (
        plexindex.open(cache, database=other) as index,
        pytest.raises(plexindex.ServerError, match=r"media_parts\.file"),
    ):
        index.match(BUNNY)
    with (
        plexindex.open(cache, database=tmp_path / "nowhere") as index,
        pytest.raises(plexindex.ServerError, match="it does not exist"),
    ):
        index.match(BUNNY)


def test_the_command_takes_it_from_each_place(cli: Cli, plex: Path) -> None:
    assert "Big Buck Bunny" in cli.good("match", "--database", plex, BUNNY)
    assert "Big Buck Bunny" in cli.good("match", BUNNY, PLEXINDEX_DATABASE=str(plex / INSIDE))
    config = cli.home / ".config/plexapi/config.ini"
    config.parent.mkdir(parents=True)
    config.write_text(f"[plexindex]\ndatabase = {plex}\n")
    assert "Big Buck Bunny" in cli.good("match", BUNNY)
    cli.good("warm")
    assert len(cli.json("libraries")) == 4


def test_a_wrong_database_is_wrong_usage(cli: Cli, plex: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.db"
    text.write_text("no database, and as long as the header of one is at least, if not longer than that" * 20)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE media_parts (id INTEGER PRIMARY KEY)")
    database.close()
    wrong = {
        tmp_path / "nowhere": "it does not exist",
        tmp_path: "is in this folder",
        text: "not a database",
        other: "lacks",
    }
    for named, why in wrong.items():
        for words in (["libraries"], ["match", BUNNY], ["warm"], ["doctor"]):
            done = cli.run(*words, "--database", named)
            assert (done.returncode, why in " ".join((done.stdout + done.stderr).split())) == (2, True), done
    assert f"nor {INSIDE} is in this folder" in cli.run("libraries", "--database", tmp_path).stderr
    # It may be read later.
    Path(f"{plex / INSIDE}-wal").touch()
    for words in (["libraries"], ["doctor"]):
        done = cli.run(*words, "--database", plex)
        assert done.returncode == 3, done


@pytest.mark.skipif(IS_ROOT and not shutil.which("setpriv"), reason="root reads everything")
def test_a_database_that_may_not_be_read_is_no_refused_token(cli: Cli, plex: Path) -> None:
    (plex / INSIDE).chmod(0)
    for words in (["libraries"], ["doctor"]):
        command, environment = cli.start(*words, "--database", plex)
        if IS_ROOT:
            command = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", *command]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, "must be readable by this user" in " ".join((done.stdout + done.stderr).split())) == (
            2,
            True,
        ), done


def test_a_store_that_is_empty_is_filled_or_its_remedy_is_said(cli: Cli, plex: Path, tmp_path: Path) -> None:
    done = cli.run("match", "--offline", "--database", plex, BUNNY)
    assert done.returncode == 6
    assert done.stderr.endswith("no server is available: omit --offline\n")
    for words, code in ((["match", BUNNY], 6), (["warm"], 2), (["doctor"], 2)):
        done = cli.run(*words)
        assert (done.returncode, "--database" in done.stdout + done.stderr) == (code, True), done
    new = tmp_path / "new"
    assert len(cli.json("libraries", "--dir", new, "--database", plex)) == 4


def test_the_doctor_says_whether_it_can_be_used(cli: Cli, plex: Path) -> None:
    text = cli.good("doctor", "--database", plex)
    assert f"  ok   {plex} can be read: it has 4 libraries" in text
    assert "note Preferences.xml is not there, or cannot be read" in text
    assert "only Plex's database is used" in text
    (plex / "Preferences.xml").write_text('<Preferences ProcessedMachineIdentifier="0123456789abcdef"/>')
    facts = cli.json("doctor", "--database", plex)["database"]
    assert facts == {
        "file": str(plex), "usable": True, "why_not": None, "libraries": 4, "machine_identifier": "0123456789abcdef",
    }  # fmt: skip
    lone = Path(f"{plex / INSIDE}-wal")
    lone.touch()
    done = cli.run("doctor", "--database", plex)
    assert (done.returncode, "BAD  it cannot be used here: " in done.stdout) == (3, True)
    assert "starting or stopping" in " ".join(done.stdout.split())


def test_the_doctor_says_whether_it_is_the_servers(cli: Cli, plex: Path, server: Server) -> None:
    given = ["--url", server.url, "--token", server.token, "--database", plex]
    done = cli.run("doctor", *given)
    said = " ".join(done.stdout.split())
    assert f"{plex / INSIDE} is not the database of the server at {server.url}" in said
    assert "name the file of this server, or omit" in said


def test_the_doctor_asks_it_for_what_was_never_fetched(cli: Cli, plex: Path, tmp_path: Path) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    (folder / Path(BUNNY).name).touch()
    text = cli.good("doctor", "--database", plex, "--mapping", f"{folder}=/data/Movies", folder)
    assert "1 file in" in text
    assert "no library was fetched" not in text
    assert "each of them is a single item" in text
    assert text.endswith("nothing is wrong\n")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_is_safe_while_it_is_read(plex: Path, cache: Path) -> None:
    with plexindex.open(cache, database=plex) as index:
        stop = threading.Event()

        def read() -> None:
            while not stop.is_set():
                os.utime(plex / INSIDE)  # so that it is looked into each time
                index.match(BUNNY)

        readers = [threading.Thread(target=read) for _ in range(2)]
        for reader in readers:
            reader.start()
        ends = []
        for _ in range(10):
            child = os.fork()
            if child == 0:
                signal.alarm(20)
                found = index.match(BUNNY).item
                os._exit(0 if found is not None and found.rating_key == "55" else 1)
            ends.append(os.waitpid(child, 0)[1])
        stop.set()
        for reader in readers:
            reader.join()
        assert ends == [0] * 10


def test_doctor_tells_of_the_database_where_the_store_is_not_there(cli: Cli, plex: Path, tmp_path: Path) -> None:
    missing = tmp_path / "new"
    done = cli.run("doctor", "--database", plex, "--dir", missing)
    assert done.returncode == 5
    assert "can be read: it has" in done.stdout and "BAD  there is no folder" in done.stdout
    values = cli.json("doctor", "--database", plex, "--dir", missing)
    assert values["database"]["usable"] is True and values["exit_code"] == 5
    # What is wrong with either is said.
    values = cli.json("doctor", "--database", tmp_path / "nothing", "--dir", missing)
    assert values["database"]["usable"] is False and len(values["problems"]) == 2
    assert not missing.exists()


def test_texts_name_what_is_asked(cli: Cli, plex: Path, tmp_path: Path) -> None:
    missing, folder = "/data/Movies/none.mkv", "/elsewhere"
    assert "Plex's database has no library 'Nope'" in cli.run("match", "-l", "Nope", missing, "--database", plex).stderr
    cli.good("warm", "--database", plex)
    shutil.rmtree(plex)
    for words in (["match", BUNNY], ["match", missing], ["folder", folder], ["changes"], ["diff", str(tmp_path)]):
        done = cli.run(*words, "--database", plex)
        said = done.stdout + done.stderr
        assert "the server" not in said, said
        named = ("Plex's database could not be asked", "Plex's database did not answer", f"Plex's database {plex}: ")
        assert any(one in said for one in named), said


def test_what_stands_in_for_a_removed_one_is_said_to_be_old(cli: Cli, plex: Path) -> None:
    cli.good("warm", "--database", plex)
    shutil.rmtree(plex)
    for words in (["match", "--json", BUNNY], ["folder", "--json", "/data/Movies"], ["changes", "--json"]):
        done = cli.run(*words, "--database", plex)
        assert json.loads(done.stdout)["stale"] is True
        assert "it does not exist" in done.stderr or "Plex's database did not answer" in done.stderr, done
    # Lists of what is known are given without a look: they say why they are old.
    done = cli.run("libraries", "--database", plex)
    assert (done.returncode, "Movies" in done.stdout) == (0, True)
    assert "it does not exist" in done.stderr
