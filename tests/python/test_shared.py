"""The log that several hosts share: its options, its status, its set-up and its removal."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import plexindex
import pytest
from cli import Cli
from cluster import OWNER_PASSWORD, TOOL_PASSWORD, Cluster, start_cluster
from conftest import TOKEN, OpenIndex, Server

ADDRESS = "postgresql://tool@127.0.0.1:1/plexindex?sslmode=disable"
REFUSED = plexindex.InvalidArgumentError


@pytest.fixture(scope="module")
def started() -> Iterator[Cluster]:
    cluster = start_cluster()
    yield cluster
    cluster.remove()


@pytest.fixture
def cluster(started: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A cluster without tables of the log; this process has the owner's password."""
    started.sql("DROP SCHEMA IF EXISTS plexindex CASCADE")
    monkeypatch.setenv("PGPASSWORD", OWNER_PASSWORD)
    return started


def test_options_that_are_refused(cache: Path, server: Server) -> None:
    for options, text in (
        ({"shared": ""}, "shared is empty"),
        ({"shared": ADDRESS, "database": "/plex"}, "shared and database"),
        ({"shared": "mysql://db/x"}, "shared"),
        ({"shared": "postgresql://tool:secret@db/x"}, "shared"),
        ({"shared": ADDRESS, "shared_retry": -1}, "shared_retry"),
    ):
        given: dict[str, Any] = {"server_url": server.url, **options}
        with pytest.raises(REFUSED, match=text) as refused:
            plexindex.open(cache, **given)
        assert "secret" not in str(refused.value)
    assert not cache.exists()
    with pytest.raises(TypeError):
        plexindex.open(cache, server.url, shared=7)  # type: ignore[arg-type]
    assert server.requests() == 0


def test_an_index_that_shares_nothing(index: plexindex.Index) -> None:
    assert index.shared_status() is None
    assert asyncio.run(index.ashared_status()) is None
    for call in (index.shared_init, index.shared_deliver, index.shared_clear):
        with pytest.raises(REFUSED, match="'shared'"):
            call()
    with pytest.raises(REFUSED, match="'shared'"), index.follow_shared():
        pass


def test_the_configuration_names_it(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("URL", server.url), ("TOKEN", TOKEN), ("DIR", str(tmp_path / "store")), ("SHARED", ADDRESS)):
        monkeypatch.setenv(f"PLEXINDEX_{name}", value)
    with plexindex.open() as index:
        status = index.shared_status()
        assert status is not None
        assert status.address == ADDRESS
        # A process that gets the index pickled shares the same.
        options = index.__reduce__()[1][3]
        assert (options["shared"], options["shared_durable"]) == (ADDRESS, False)
    monkeypatch.setenv("PLEXINDEX_SHARED_DURABLE", "1")
    with plexindex.open() as index:
        assert index.__reduce__()[1][3]["shared_durable"] is True
    with plexindex.open(shared_durable=False) as index:
        assert index.__reduce__()[1][3]["shared_durable"] is False
    with plexindex.open(shared=ADDRESS.replace("tool", "other")) as index:
        status = index.shared_status()
        assert status is not None
        assert "other" in status.address


def test_a_log_that_is_away_keeps_nobody_from_opening(open_index: OpenIndex, server: Server) -> None:
    index = open_index(shared=ADDRESS)
    status = index.shared_status()
    assert status is not None
    assert (status.reachable, status.views, status.address) == (False, [], ADDRESS)
    assert status.error
    assert status.error in repr(status)
    with pytest.raises(plexindex.ConnectError):
        index.shared_init()
    assert json.loads(json.dumps(status.as_dict()))["error"] == status.error
    assert server.requests() == 0
    offline = open_index(shared=ADDRESS, server_url=None, offline=True)
    status = offline.shared_status()
    assert status is not None
    assert status.error
    assert "offline" in status.error
    with pytest.raises(plexindex.OfflineError):
        offline.shared_clear()


def test_status_init_and_clear(open_index: OpenIndex, cluster: Cluster) -> None:
    index = open_index(shared=cluster.address(), shared_retry=0)
    assert index.shared_init() == "made"
    assert index.shared_init() == "present"
    assert cluster.sql("SELECT count(*) FROM plexindex.meta") == "1"
    status = index.shared_status()
    assert status is not None
    assert (status.reachable, status.error, status.views) == (True, None, [])
    entries = "'{4,4,2}', '{lib,lib,lib}', '{a,b,c}', '{x,y,z}'"
    cluster.sql(f"SELECT plexindex.write(plexindex.view('a machine', 'ann'), 7, {entries})")
    status = asyncio.run(index.ashared_status())
    assert status is not None
    (view,) = status.views
    assert (view.server, view.last, view.entries) == ("a machine", 3, {"listing": 1, "match": 2})
    assert view.age is not None
    assert 0 <= view.age < 60
    assert view.bytes > 0
    index.shared_clear()
    assert cluster.sql("SELECT count(*) FROM plexindex.entries") == "0"
    assert cluster.sql("SELECT count(*) FROM plexindex.meta") == "1"


# The command.


def test_the_command_wants_an_address(tmp_path: Path, server: Server) -> None:
    cli = Cli(tmp_path, server)
    done = cli.run("shared", "status")
    assert (done.returncode, "no shared log is named" in done.stderr) == (2, True)
    done = cli.run("shared", "status", "--shared", ADDRESS, "--offline")
    assert (done.returncode, "omit --offline" in done.stderr) == (2, True)
    done = cli.run("shared", "status", "--shared", "postgresql://tool:secret@db/x")
    assert (done.returncode, "secret" in done.stderr) == (2, False)
    done = cli.run("libraries", "--shared", ADDRESS, "--database", tmp_path)
    assert (done.returncode, "--shared and --database" in done.stderr) == (2, True)
    done = cli.run("libraries", "--shared", ADDRESS, "--no-server", "--database", tmp_path)
    assert (done.returncode, "omit --shared" in done.stderr) == (2, True)
    done = cli.run("shared", "follow", "--shared", ADDRESS, PLEXINDEX_URL=None)
    assert (done.returncode, "give --url" in done.stderr) == (2, True)
    done = cli.run("shared", "follow", "--shared", ADDRESS, "--deadline", "3")
    assert (done.returncode, "omit --deadline" in done.stderr) == (2, True)
    done = cli.run("warm", PLEXINDEX_SHARED_DURABLE="perhaps")
    assert (done.returncode, "PLEXINDEX_SHARED_DURABLE: 'perhaps' is neither yes nor no" in done.stderr) == (2, True)


def test_the_command_without_a_reachable_log(tmp_path: Path, server: Server) -> None:
    cli = Cli(tmp_path, server)
    for action in ("status", "clear"):
        done = cli.run("shared", action, PLEXINDEX_SHARED=ADDRESS)
        assert (done.returncode, "127.0.0.1" in done.stderr) == (3, True), done
    done = cli.run("shared", "init", PLEXINDEX_SHARED=ADDRESS)
    assert (done.returncode, TOKEN in done.stderr, "token" in done.stderr) == (3, False, False)
    found = cli.json("doctor", PLEXINDEX_SHARED=ADDRESS)
    assert found["exit_code"] == 3
    assert found["shared"]["reachable"] is False
    assert any("several-hosts.md" in problem for problem in found["problems"])
    found = cli.json("doctor", "--offline", PLEXINDEX_SHARED=ADDRESS)
    assert "shared" not in found
    assert server.requests() > 0


def test_the_command(tmp_path: Path, server: Server, cluster: Cluster) -> None:
    cli = Cli(tmp_path, server)
    config = tmp_path / ".config/plexapi/config.ini"
    config.parent.mkdir(parents=True)
    config.write_text(f"[plexindex]\nshared = {cluster.address()}\n")
    assert "is ready" in cli.good("shared", "init")
    assert "it is empty" in cli.good("shared", "status")
    cluster.sql("SELECT plexindex.write(plexindex.view('a machine', 'ann'), 7, '{4}', '{lib}', '{a}', '{x}')")
    said = cli.good("shared", "status")
    assert "1 entry of 1 server" in said
    assert "a machine" in said
    assert cli.json("shared", "status")["views"][0]["entries"] == {"match": 1}
    done = cli.run("shared", "clear")
    assert (done.returncode, "add --yes" in done.stderr) == (2, True)
    code, seen = cli.at_terminal("shared", "clear", react=lambda seen: "n\n" if "[y/N]" in seen else "")
    assert (code, "Each host keeps its" in seen) == (1, True), seen
    assert cluster.sql("SELECT count(*) FROM plexindex.entries") == "1"
    assert "each host keeps its folder" in cli.good("shared", "clear", "--yes")
    assert cluster.sql("SELECT count(*) FROM plexindex.entries") == "0"
    found = cli.json("doctor")
    assert (found["exit_code"], found["shared"]["reachable"]) == (0, True)
    assert OWNER_PASSWORD not in json.dumps(found)
    assert "Shared log" in cli.good("doctor")


# Matches that wait for the log, and a host that follows it.


def test_a_match_of_an_index_that_shares_nothing_cannot_wait(open_index: OpenIndex) -> None:
    away: dict[str, Any] = {"shared": ADDRESS}
    for options in ({}, {**away, "offline": True}, {**away, "server_url": None}):
        index = open_index(**options)
        movies = index.library("Movies")
        with pytest.raises(REFUSED, match="shared"):
            movies.record_match("/a.mkv", 1, through=True)
        with pytest.raises(REFUSED, match="shared"):
            movies.record_matches([("/a.mkv", 1)], through=True)
        assert movies.lookup_key("/a.mkv") is None


def test_the_command_says_once_what_the_role_may_not_do(tmp_path: Path, server: Server, cluster: Cluster) -> None:
    cli = Cli(tmp_path, server)
    owner: dict[str, Any] = {"PLEXINDEX_SHARED": cluster.address()}
    tool: dict[str, Any] = {"PLEXINDEX_SHARED": cluster.address("tool"), "PGPASSWORD": TOOL_PASSWORD}

    def expect_refusal(reason: str, **variables: Any) -> None:
        for action in (("status",), ("init",), ("clear", "--yes")):
            done = cli.run("shared", *action, **variables)
            assert (done.returncode, done.stderr.count(reason), "WARNING" in done.stderr) == (4, 1, False), done
        done = cli.run("doctor", **variables)
        assert (done.returncode, done.stdout.count(reason), "WARNING" in done.stderr) == (4, 1, False), done

    expect_refusal("this role may not create them", **tool)
    expect_refusal("password authentication failed", **{**owner, "PGPASSWORD": "wrong"})
    cli.good("shared", "init", **owner)
    expect_refusal("permission denied for schema plexindex", **tool)
    # A role that may read only.
    cluster.sql("GRANT USAGE ON SCHEMA plexindex TO tool")
    cluster.sql("GRANT SELECT ON ALL TABLES IN SCHEMA plexindex TO tool")
    for action in ("status", "init"):
        done = cli.run("shared", action, **tool)
        assert (done.returncode, done.stderr.count('role "tool" lacks INSERT, UPDATE, DELETE')) == (4, 1), done
    # One verdict.
    said = cli.run("doctor", **tool).stdout
    assert "GRANT INSERT, UPDATE, DELETE ON ALL TABLES" in said
    assert " answers: it is empty" not in said
    assert "it can be read: it is empty" in said
    found = cli.json("doctor", **tool)
    assert (found["exit_code"], found["shared"]["reachable"], found["shared"]["error_kind"]) == (4, True, "forbidden")
    cluster.sql("GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA plexindex TO tool")
    assert cli.run("shared", "status", **tool).returncode == 0
    done = cli.run("shared", "clear", "--yes", **tool)
    assert (done.returncode, 'role "tool" lacks TRUNCATE' in done.stderr) == (4, True), done


def test_the_command_tells_users_apart(tmp_path: Path, server: Server, cluster: Cluster) -> None:
    cli = Cli(tmp_path, server)
    cli.environment["PLEXINDEX_SHARED"] = cluster.address()
    cli.good("warm")
    cli.run("warm", PLEXINDEX_USER="ann", PLEXINDEX_DIR=str(tmp_path / "ann"))
    _, head, *rows, _ = cli.good("shared", "status").splitlines()
    assert head.split()[:3] == ["server", "user", "hosts"]
    views = cli.json("shared", "status")["views"]
    assert sorted((view["own"], view["user"] == "ann", view["hosts"]) for view in views) == [
        (False, True, 1),
        (True, False, 1),
    ]
    assert len(rows) == 2
    assert any(" ann " in row for row in rows)
    assert any("(this host's)" in row for row in rows)


def test_the_command_needs_no_server_for_the_log(tmp_path: Path, cluster: Cluster) -> None:
    cli = Cli(tmp_path)
    cli.environment["PLEXINDEX_SHARED"] = cluster.address()
    folder = tmp_path / "nothing" / "here"
    cli.environment["PLEXINDEX_DIR"] = str(folder)
    assert "is ready: the tables were made, it is empty" in cli.good("shared", "init")
    assert "is ready: the tables were there" in cli.good("shared", "init")
    assert cli.json("shared", "init")["tables"] == "present"
    said = cli.good("shared", "status")
    assert "it is empty" in said
    assert f"this host has no index yet in {folder}" in said
    assert "emptied" in cli.good("shared", "clear", "--yes")
    assert cli.json("shared", "status")["taken"] is None
    # None of them made the folder.
    assert not folder.parent.exists()


def test_a_host_follows(open_index: OpenIndex, cluster: Cluster, server: Server, tmp_path: Path) -> None:
    cli = Cli(tmp_path, server)
    command, environment = cli.start("shared", "follow", "--json", "-v", PLEXINDEX_SHARED=cluster.address())
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        # A host that stays behind fails the test, and holds it up no longer.
        patience = threading.Timer(60, process.kill)
        patience.start()
        first = json.loads(process.stdout.readline())
        assert (first["address"], first["undelivered"]) == (cluster.address(), first["undelivered"])
        one = open_index(tmp_path / "one", shared=cluster.address())
        one.refresh()
        file = server.paths(1)[0]
        one.record_match(file["path"], file["ratingKey"], "Movies", through=True)
        status = one.shared_status()
        assert status is not None
        last = status.views[0].last
        while (json.loads(process.stdout.readline())["taken"] or 0) < last:
            pass
        patience.cancel()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 130
        assert "interrupted" in said
        assert " of other hosts from the shared log" in said
        assert "took 1 entries" not in said
    assert server.get("stats")["listeners"] == 0


def test_following_in_a_program(open_index: OpenIndex, cluster: Cluster) -> None:
    index = open_index(shared=cluster.address())
    index.refresh()
    with index.follow_shared() as following:
        place = following.progress()
        assert place["address"] == cluster.address()
    index.close()
