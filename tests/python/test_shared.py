"""The shared log from Python and by the command. What hosts exchange, Rust's tests prove."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import plexindex
import pytest
from cli import Cli
from conftest import TOKEN, OpenIndex, Server
from disk import make
from plexindex import aio
from postgresql import Cluster, MissingError

OWNER_PASSWORD, TOOL_PASSWORD = "the owner's, never shown", "the tool's, never shown"
ADDRESS = "postgresql://tool@127.0.0.1:1/plexindex?sslmode=disable"
OTHER = ADDRESS.replace("tool", "other")


@pytest.fixture(scope="module")
def started() -> Iterator[Cluster]:
    try:
        cluster = Cluster(OWNER_PASSWORD)
    except MissingError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))
    cluster.sql("CREATE ROLE tool LOGIN PASSWORD $$" + TOOL_PASSWORD + "$$")
    yield cluster
    cluster.remove()


def address(cluster: Cluster, role: str = "postgres") -> str:
    """The address of the database, for a machine that does much else: an answer may take a while."""
    return f"{cluster.address.replace('postgres@', f'{role}@', 1)}&connect_timeout=30"


@pytest.fixture
def cluster(started: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A cluster without tables; this process has the owner's password."""
    started.sql("DROP SCHEMA IF EXISTS plexindex, plexindex_shared CASCADE")
    monkeypatch.setenv("PGPASSWORD", OWNER_PASSWORD)
    return started


def test_the_configuration(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"SERVER_URL": server.url, "TOKEN": TOKEN, "CACHE_DIR": str(tmp_path / "store")}
    for name, value in {**values, "SHARED": ADDRESS, "SHARED_DURABLE": "1"}.items():
        monkeypatch.setenv(f"PLEXINDEX_{name}", value)
    arguments: Any = {"shared_durable": False, "shared": OTHER}
    for given, expected in (({}, (ADDRESS, True)), (arguments, (OTHER, False))):
        with plexindex.open(**given) as index:
            # A process that unpickles the index shares with the same hosts.
            options = index.__reduce__()[1][0].options
        assert (options["shared"], options["shared_durable"]) == expected


def test_each_method(open_index: OpenIndex, cluster: Cluster) -> None:
    # Without a server, nothing is exchanged: otherwise the tables may be made in the background.
    assert open_index(shared=address(cluster), server_url=None).shared.init() == "made"
    index = open_index(shared=address(cluster))
    assert index.shared.init() == "present"
    with pytest.raises(plexindex.InvalidArgumentError, match="look up a file"):
        index.shared.clear()
    index.refresh()
    for act in (index.shared.deliver, index.shared.clear, index.shared.drop_old):
        act()
    status = asyncio.run(aio.AsyncIndex(index).shared.status())
    assert status is not None
    assert (status["reachable"], [view["own"] for view in status["views"]]) == (True, [True])


def test_the_command_without_a_reachable_database(cli: Cli) -> None:
    cli.environment["PLEXINDEX_SHARED"] = ADDRESS
    for action in ("status", "init", "clear"):
        assert "token" not in cli.fails(3, "127.0.0.1", "shared", action)
    found = cli.json("doctor")
    assert found["exit_code"] == 3
    assert "this host uses only its own folder" in found["problems"][-1]
    assert "not checked" in cli.json("doctor", "--offline")["findings"][-1]["text"]
    cli.fails(2, "PLEXINDEX_SHARED_DURABLE: 'perhaps'", "refresh", PLEXINDEX_SHARED_DURABLE="perhaps")


def test_the_command(tmp_path: Path, cluster: Cluster, cli: Cli) -> None:
    # Neither a server nor a folder is needed.
    alone = Cli(tmp_path)
    make(tmp_path / ".config/plexindex/config.toml", f"shared = '{address(cluster)}'\n".encode())
    assert "created the tables" in alone.good("shared", "init")
    assert alone.json("shared", "init")["tables"] == "present"
    assert f"no index yet in {alone.store}" in alone.good("shared", "status")
    assert not alone.store.exists()
    ann = ("--user", "ann", "--cache-dir", tmp_path / "ann")
    for words in ((), ann):
        assert cli.run("refresh", *words).returncode == 0
    # A process does not wait for PostgreSQL before it ends.
    deadline = time.monotonic() + 60
    while " ann " not in cli.good("shared", "status") and time.monotonic() < deadline:
        assert cli.run("refresh", *ann).returncode == 0
    _, header, *rows, host = cli.good("shared", "status").splitlines()
    assert header.split()[:3] == ["server", "user", "matches"]
    assert [" ann " in row for row in rows].count(True) == 1
    assert ["(this host's)" in row for row in rows].count(True) == 1
    assert host.startswith("this host ")
    views = cli.json("shared", "status")["views"]
    assert sorted((view["own"], view["user"] == "ann") for view in views) == [(False, True), (True, False)]
    found = cli.json("doctor")
    assert found["exit_code"] == 0
    assert " responds: " in found["findings"][-2]["text"]
    assert OWNER_PASSWORD not in json.dumps(found)
    assert "Shared database" in cli.good("doctor")
    cluster.sql("SELECT plexindex_shared.deliver(view, '{lib}', '{a}', '{x}', '{1}') FROM plexindex_shared.views")
    cli.fails(2, "--yes", "shared", "clear")
    code, _ = cli.at_terminal("shared", "clear", react=lambda seen: "n\n" if "[y/N]" in seen else "")
    assert code == 1
    assert cluster.sql("SELECT count(key) FROM plexindex_shared.matches") == "2"
    cli.good("shared", "clear", "--yes")
    assert cluster.sql("SELECT count(key) FROM plexindex_shared.matches") == "1", "another user's stays"
    cli.good("shared", "drop-old", "--yes")


def test_a_role_without_permissions(cluster: Cluster, cli: Cli) -> None:
    owner: dict[str, Any] = {"PLEXINDEX_SHARED": address(cluster)}
    tool: dict[str, Any] = {"PLEXINDEX_SHARED": address(cluster, "tool"), "PGPASSWORD": TOOL_PASSWORD}
    for reason, variables in (
        ("permission denied for database", tool),
        ("password authentication failed", {**owner, "PGPASSWORD": "wrong"}),
    ):
        for words in ("shared status", "shared init", "shared clear --yes", "doctor"):
            printed = cli.fails(4, reason, *words.split(), **variables)
            assert printed.count(reason) == 1, "the command gives the reason once: not as a warning, too"
    cli.good("shared", "init", **owner)
    cluster.sql("GRANT USAGE ON SCHEMA plexindex_shared TO tool")
    cluster.sql("GRANT SELECT ON ALL TABLES IN SCHEMA plexindex_shared TO tool")
    cli.fails(4, "permission denied for table", "shared", "init", **tool)
    assert "they do not get what it records" in cli.json("doctor", **tool)["problems"][0]
