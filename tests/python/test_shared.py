"""The shared log from Python and by the command. What hosts exchange, Rust's tests prove."""

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
from plexindex import aio

ADDRESS = "postgresql://tool@127.0.0.1:1/plexindex?sslmode=disable"
OTHER = ADDRESS.replace("tool", "other")


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


@pytest.fixture
def cli(tmp_path: Path, server: Server) -> Cli:
    return Cli(tmp_path, server)


def test_an_index_that_shares_nothing(open_index: OpenIndex) -> None:
    index = open_index()
    assert index.shared_status() is None
    assert asyncio.run(aio.AsyncIndex(index).shared_status()) is None
    for call in (
        index.shared_init,
        index.shared_deliver,
        index.shared_clear,
        lambda: index.follow_shared().__enter__(),
        lambda: index.library("Movies").record_match("/a.mkv", 1, through=True),
    ):
        with pytest.raises(plexindex.InvalidArgumentError, match="shared"):
            call()
    with pytest.raises(plexindex.InvalidArgumentError) as error:
        open_index(shared="postgresql://tool:secret@db/x")
    assert "secret" not in str(error.value)


def test_the_configuration(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("URL", server.url), ("TOKEN", TOKEN), ("DIR", str(tmp_path / "store")), ("SHARED", ADDRESS)):
        monkeypatch.setenv(f"PLEXINDEX_{name}", value)
    for given, variable, expected in (
        ({}, "", (ADDRESS, False)),
        ({}, "1", (ADDRESS, True)),
        ({"shared_durable": False, "shared": OTHER}, "1", (OTHER, False)),
    ):
        monkeypatch.setenv("PLEXINDEX_SHARED_DURABLE", variable)
        with plexindex.open(**given) as index:  # type: ignore[arg-type]
            # A process that unpickles the index shares the same log.
            options = index.__reduce__()[1][3]
        assert (options["shared"], bool(options["shared_durable"])) == expected


def test_an_unreachable_log(open_index: OpenIndex) -> None:
    index = open_index(shared=ADDRESS)
    status = index.shared_status()
    assert status is not None and status["error"]
    assert (status["reachable"], status["views"], status["address"]) == (False, [], ADDRESS)
    with pytest.raises(plexindex.ServerUnavailableError):
        index.shared_init()
    with pytest.raises(plexindex.OfflineError):
        open_index(shared=ADDRESS, server_url=None, offline=True).shared_clear()


def test_init_status_and_clear(open_index: OpenIndex, cluster: Cluster) -> None:
    index = open_index(shared=cluster.address(), shared_retry=0)
    assert [index.shared_init(), index.shared_init()] == ["made", "present"]
    entries = "'{4,4,2}', '{lib,lib,lib}', '{a,b,c}', '{x,y,z}'"
    cluster.sql(f"SELECT plexindex.write(plexindex.view('a machine', 'ann'), 7, {entries})")
    status = asyncio.run(aio.AsyncIndex(index).shared_status())
    assert status is not None and status["reachable"] and "error" not in status
    (view,) = status["views"]
    assert (view["server"], view["last"], view["entries"]) == ("a machine", 3, {"listing": 1, "match": 2})
    assert 0 <= view["age_ms"] < 60_000 and view["bytes"] > 0
    index.shared_clear()
    assert cluster.sql("SELECT count(*) FROM plexindex.entries") == "0"


def test_following(open_index: OpenIndex, cluster: Cluster) -> None:
    index = open_index(shared=cluster.address())
    index.refresh()
    with index.follow_shared() as following:
        assert following.progress()["address"] == cluster.address()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (f"shared status --shared {ADDRESS} --offline", "omit --offline"),
        ("shared status", "no shared log is specified"),
        (f"libraries --shared {ADDRESS} --no-server --database /x", "omit --shared"),
        (f"--server-url= shared follow --shared {ADDRESS}", "--server-url"),
        (f"shared follow --shared {ADDRESS} --timeout 3", "omit --timeout"),
    ],
)
def test_wrong_words(cli: Cli, words: str, text: str) -> None:
    done = cli.run(*words.split())
    assert (done.returncode, text in done.stderr) == (2, True), done


def test_the_command_without_a_reachable_log(cli: Cli) -> None:
    cli.environment["PLEXINDEX_SHARED"] = ADDRESS
    for action in ("status", "init", "clear"):
        done = cli.run("shared", action)
        assert (done.returncode, "127.0.0.1" in done.stderr, "token" in done.stderr) == (3, True, False), done
    found = cli.json("doctor")
    assert (found["exit_code"], found["shared"]["reachable"]) == (3, False)
    assert any("several-hosts.md" in problem for problem in found["problems"])
    assert "shared" not in cli.json("doctor", "--offline")
    done = cli.run("refresh", PLEXINDEX_SHARED_DURABLE="perhaps")
    assert (done.returncode, "PLEXINDEX_SHARED_DURABLE: 'perhaps' is neither yes nor no" in done.stderr) == (2, True)


def test_the_command(tmp_path: Path, cluster: Cluster, cli: Cli, server: Server) -> None:
    # Neither a server nor a folder is needed.
    alone = Cli(tmp_path)
    config = tmp_path / ".config/plexindex/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f"shared = '{cluster.address()}'\n")
    assert "is ready: created the tables, the log is empty" in alone.good("shared", "init")
    assert alone.json("shared", "init")["tables"] == "present"
    assert f"this host has no index yet in {alone.store}" in alone.good("shared", "status")
    assert not alone.store.exists()
    assert (
        cli.run("refresh").returncode
        == cli.run("refresh", "--user", "ann", "--cache-dir", tmp_path / "ann").returncode
        == 0
    )
    _, header, *rows, host = cli.good("shared", "status").splitlines()
    assert header.split()[:3] == ["server", "user", "hosts"]
    assert len(rows) == 2 and any(" ann " in row for row in rows) and any("(this host's)" in row for row in rows)
    assert host.startswith("this host ")
    views = cli.json("shared", "status")["views"]
    assert sorted((view["own"], view["user"] == "ann", view["hosts"]) for view in views) == [
        (False, True, 1),
        (True, False, 1),
    ]
    found = cli.json("doctor")
    assert (found["exit_code"], found["shared"]["reachable"]) == (0, True)
    assert OWNER_PASSWORD not in json.dumps(found) and "Shared log" in cli.good("doctor")
    done = cli.run("shared", "clear")
    assert (done.returncode, "add --yes" in done.stderr) == (2, True)
    code, seen = cli.at_terminal("shared", "clear", react=lambda seen: "n\n" if "[y/N]" in seen else "")
    assert (code, "Each host keeps its" in " ".join(seen.split())) == (1, True), seen
    assert cluster.sql("SELECT count(*) > 0 FROM plexindex.entries") == "t"
    assert "each host keeps its folder" in cli.good("shared", "clear", "--yes")
    assert cluster.sql("SELECT count(*) FROM plexindex.entries") == "0"
    assert server.requests() > 0


def test_a_role_without_permissions(cluster: Cluster, cli: Cli) -> None:
    owner: dict[str, Any] = {"PLEXINDEX_SHARED": cluster.address()}
    tool: dict[str, Any] = {"PLEXINDEX_SHARED": cluster.address("tool"), "PGPASSWORD": TOOL_PASSWORD}

    def expect_rejection(reason: str, variables: dict[str, Any], *commands: str) -> None:
        """The exit code is 4, and the command gives the reason once: not as a warning, too."""
        for command in commands:
            done = cli.run(*command.split(), **variables)
            text = done.stdout + done.stderr
            assert (done.returncode, text.count(reason), "WARNING" in text) == (4, 1, False), done

    every = ("shared status", "shared init", "shared clear --yes", "doctor")
    expect_rejection("this role is not allowed to create them", tool, *every)
    expect_rejection("password authentication failed", {**owner, "PGPASSWORD": "wrong"}, *every)
    cli.good("shared", "init", **owner)
    expect_rejection("permission denied for schema plexindex", tool, *every)
    cluster.sql("GRANT USAGE ON SCHEMA plexindex TO tool")
    cluster.sql("GRANT SELECT ON ALL TABLES IN SCHEMA plexindex TO tool")
    expect_rejection("this role is not allowed to write", tool, "shared status", "shared init", "doctor")
    found = cli.json("doctor", **tool)
    assert (found["exit_code"], found["shared"]["reachable"], found["shared"]["error_kind"]) == (4, True, "forbidden")
    cluster.sql("GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA plexindex TO tool")
    assert cli.run("shared", "status", **tool).returncode == 0
    expect_rejection("only the owner can empty the log", tool, "shared clear --yes")


def test_a_host_follows(open_index: OpenIndex, cluster: Cluster, server: Server, cli: Cli, tmp_path: Path) -> None:
    command, environment = cli.start("shared", "follow", "--json", "-v", PLEXINDEX_SHARED=cluster.address())
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        # A host that stays behind fails the test instead of blocking it.
        timer = threading.Timer(60, process.kill)
        timer.start()
        assert json.loads(process.stdout.readline())["address"] == cluster.address()
        index = open_index(tmp_path / "one", shared=cluster.address())
        index.refresh()
        file = server.paths(1)[0]
        index.record_match(file["path"], file["ratingKey"], "Movies", through=True)
        status = index.shared_status()
        assert status is not None
        last = status["views"][0]["last"]
        while (json.loads(process.stdout.readline())["taken"] or 0) < last:
            pass
        timer.cancel()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert (process.returncode, " from other hosts through the shared log" in errors) == (130, True)
    assert server.get("stats")["listeners"] == 0
