"""The feed: what changed since a cursor, as a program that follows it sees it."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import plexindex
import pytest
from cli import Cli
from conftest import OpenIndex, Server


def told(changes: Any) -> list[tuple[str, str | None, str | None]]:
    return [(one.change, one.path, one.from_path) for one in changes]


@pytest.mark.parametrize("end", ["close", "clear"])
def test_a_waiting_reader_ends_when_it_is_told_to(open_index: OpenIndex, end: str) -> None:
    index = open_index()
    index.refresh()
    waits = threading.Event()
    ended: list[BaseException | None] = []

    def wait() -> None:
        try:
            for _ in index.watch(index.changes().cursor, offline=True):
                waits.set()
            ended.append(None)
        except plexindex.Error as error:
            ended.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    assert waits.wait(10)
    if end == "close":
        index.close()
        thread.join(10)
        assert [type(error) for error in ended] == [plexindex.ClosedError]
    else:
        index.clear()  # and what it waits for cannot be told any more
        thread.join(10)
        assert [type(error) for error in ended] == [plexindex.ListAgainError]


def test_the_command_keeps_its_own_cursor(server: Server, tmp_path: Path) -> None:
    cli, state = Cli(tmp_path, server), tmp_path / "state"
    cli.run("refresh")
    begun = cli.run("changes", "--state", str(state))
    # Under cron, each line would be a mail.
    assert (begun.returncode, begun.stdout, begun.stderr) == (0, "", "")
    server.post("items/add", {"library": 1, "items": [{"title": "New", "files": ["/data/movies/New.mkv"]}]})
    cli.run("refresh", "--full")
    assert cli.good("changes", "--state", str(state)).startswith("added: New")
    again = cli.run("changes", "--state", str(state))
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert "no changes since the cursor" in cli.at_terminal("changes", "--state", str(state))[1]
    change, last = (
        json.loads(line) for line in cli.good("changes", "--state", str(state), "--full", "--json").splitlines()[-2:]
    )
    assert (change["change"], state.read_text()) == ("added", last["cursor"] + "\n")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("state")] == ["state"]
    for content, wrong in ((b"", "is empty"), (b"\xff", "cannot read"), (b"no cursor", "cursor")):
        state.write_bytes(content)
        refused = cli.run("changes", "--state", str(state))
        assert refused.returncode == 2
        assert wrong in refused.stderr
        assert f"--state {state}" in refused.stderr
        assert state.read_bytes() == content
    for arguments, wrong in (
        (("--state", str(state), "--since", "c1.x"), "omit --since"),
        (("--state", str(tmp_path / "none" / "state")), "cannot read"),
        (("--state", str(tmp_path)), "cannot read"),
    ):
        refused = cli.run("changes", *arguments)
        assert refused.returncode == 2
        assert wrong in refused.stderr


def test_a_full_listing_that_was_not_read_to_its_first_token_begins_anew(index: plexindex.Index) -> None:
    found = index.changes(full=True)
    next(found)
    assert found.cursor is None
    assert len(list(index.changes(found.cursor, full=found.cursor is None))) == 420
    with pytest.raises(plexindex.InvalidArgumentError, match="since is empty"):
        index.changes("")


def test_a_token_after_a_deadline_says_what_was_late(server: Server, open_index: OpenIndex) -> None:
    index = open_index()
    server.fault(kind="listing", action="delay", ms=1000, count=0)
    with pytest.raises(plexindex.TimeoutError, match=r"before 'Movies', 'TV Shows' were|before the server"):
        index.changes(timeout=0.3)
    server.post("faults/clear")
    index.refresh()
    server.post("items/add", {"library": 1, "items": [{"title": "New", "files": ["/data/movies/New.mkv"]}]})
    server.fault(kind="sections", action="delay", ms=1000, count=0)
    found = index.changes(check=True, timeout=0.1)
    assert (found.stale, found.late) == (True, True)
