"""The feed: what changed since a cursor, as a program that follows it sees it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import plexindex
import pytest
from cli import Cli
from conftest import OpenIndex, Server, run_python


def told(changes: Any) -> list[tuple[str, str | None, str | None]]:
    return [(one.change, one.path, one.from_path) for one in changes]


def item_of(change: plexindex.Change) -> plexindex.Item:
    assert change.item is not None
    return change.item


def listed(index: plexindex.Index) -> dict[str, tuple[str, ...]]:
    """Rating key to paths, of all that is listed."""
    return {
        item.rating_key: item.paths
        for library in index.libraries(offline=True)
        for item in index.items(index.library(section=library.section), offline=True)
    }


def follow(known: dict[str, str], changes: Any) -> None:
    """What a program does with changes that keeps a title for each rating key."""
    for one in changes:
        if one.from_key is not None:
            known.pop(one.from_key, None)
        if one.change == "removed":
            known.pop(one.item.rating_key, None)
        else:
            known[one.item.rating_key] = one.item.title


def test_outlives_processes_and_is_read_by_any(index: plexindex.Index, server: Server, cache: Path) -> None:
    index.refresh()
    cursor = index.changes().cursor
    server.post("items/add", {"library": 1, "items": [{"title": "New", "files": ["/data/movies/New.mkv"]}]})
    code = """
import plexindex, sys
with plexindex.open(sys.argv[1], server_url=sys.argv[2], token=sys.argv[3]) as index:
    index.refresh(full=True)
    print([one.path for one in index.changes(sys.argv[4])])
"""
    assert run_python(code, cache, server.url, server.token, cursor) == "['/data/movies/New.mkv']\n"
    assert told(index.changes(cursor)) == [("added", "/data/movies/New.mkv", None)]


def test_what_cannot_be_told_says_list_again(index: plexindex.Index, open_index: OpenIndex, tmp_path: Path) -> None:
    index.refresh()
    cursor = index.changes().cursor
    # Emptied: what was there before is not known any more.
    index.clear()
    with pytest.raises(plexindex.ListAgainError, match="list again in full"):
        index.changes(cursor)
    # Another store.
    other = open_index(tmp_path / "other")
    other.refresh()
    with pytest.raises(plexindex.ListAgainError, match="another store"):
        other.changes(cursor)
    # Of one library, and asked of another, or of all.
    of_movies = other.changes(library="Movies").cursor
    with pytest.raises(plexindex.ListAgainError, match="another library"):
        other.changes(of_movies, "TV Shows")
    with pytest.raises(plexindex.InvalidArgumentError, match="of one library: name that library"):
        other.changes(of_movies)
    with pytest.raises(plexindex.InvalidArgumentError, match="'banana' is not a cursor"):
        other.changes("banana")
    with pytest.raises(plexindex.InvalidArgumentError, match="begins without a cursor"):
        other.changes(of_movies, "Movies", full=True)


def test_asks_no_more_than_other_questions(index: plexindex.Index, server: Server) -> None:
    index.refresh()
    server.reset()
    found = index.changes()
    for _ in range(10):
        found = index.changes(found.cursor)
        assert told(found) == []
    assert server.requests() == 0


def test_a_full_listing_that_was_not_read_to_its_first_token_begins_anew(index: plexindex.Index) -> None:
    found = index.changes(full=True)
    next(found)
    assert found.cursor is None
    assert len(list(index.changes(found.cursor, full=found.cursor is None))) == 420
    with pytest.raises(plexindex.InvalidArgumentError, match="since is empty"):
        index.changes("")


def test_a_wait_says_that_the_server_is_away(open_index: OpenIndex, server: Server) -> None:
    index = open_index(library_ttl=0.01)
    index.refresh()
    cursor = index.changes().cursor
    server.stop()
    while any(library.fresh for library in index.libraries(offline=True)):
        time.sleep(0.001)
    assert next(iter(index.watch_pages(cursor, timeout=0.1))).stale


def test_never_fetched_is_an_error_offline(index: plexindex.Index) -> None:
    with pytest.raises(plexindex.NotFetchedError, match="fetched"):
        index.changes(offline=True)


def test_a_waiting_reader_is_woken_by_another_process(index: plexindex.Index, server: Server, cache: Path) -> None:
    index.refresh()
    cursor = index.changes().cursor
    code = """
import plexindex, sys, time
with plexindex.open(sys.argv[1], server_url=sys.argv[2], token=sys.argv[3]) as index:
    sys.stdin.readline()
    index.refresh(full=True)
    print(time.monotonic())
"""
    arguments = [sys.executable, "-c", code, str(cache), server.url, server.token]
    server.post("items/add", {"library": 1, "items": [{"title": "New", "files": ["/data/movies/New.mkv"]}]})
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        waiting = index.watch_changes(cursor, timeout=30, offline=True)
        assert other.stdin is not None
        threading.Timer(0.1, other.stdin.close).start()
        change = next(waiting)
        woken = time.monotonic()
        assert other.stdout is not None
        committed = float(other.stdout.readline())
    assert change.path == "/data/movies/New.mkv"
    # The other process says so only after its refresh has ended: a bound for a machine that is busy.
    assert woken - committed < 2
    assert next(index.watch_changes(index.changes().cursor, timeout=0.05, offline=True), None) is None


@pytest.mark.parametrize("end", ["close", "clear"])
def test_a_waiting_reader_ends_when_it_is_told_to(open_index: OpenIndex, end: str) -> None:
    index = open_index()
    index.refresh()
    waits = threading.Event()
    ended: list[BaseException | None] = []

    def wait() -> None:
        try:
            for _ in index.watch_pages(index.changes().cursor, offline=True):
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


def test_an_event_is_followed_up(index: plexindex.Index, server: Server) -> None:
    index.refresh()
    with index.watch():
        waiting = index.watch_changes(timeout=60)
        adder = threading.Timer(
            0.5,
            server.post,
            ("items/add", {"library": 1, "items": [{"title": "New", "files": ["/data/movies/New.mkv"]}]}),
        )
        adder.start()
        added = next(waiting)
        assert told([added]) == [("added", "/data/movies/New.mkv", None)]
        adder.join()
        # What goes is told without a question for its path.
        server.post("items/remove", {"ratingKeys": [int(item_of(added).rating_key)]})
        assert told([next(waiting)]) == [("removed", "/data/movies/New.mkv", None)]


def test_the_recipe_s_daemon_goes_on_where_it_stopped(open_index: OpenIndex, server: Server, tmp_path: Path) -> None:
    recipes = (Path(__file__).parents[2] / "docs/hosts.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(import json.*?)```", recipes, re.DOTALL)
    recipe: dict[str, Any] = {"__name__": "recipe"}
    exec(compile(code, "docs/hosts.md", "exec"), recipe)  # noqa: S102 - our own text
    kept = tmp_path / "titles.json"
    index = open_index()

    def titles() -> set[str]:
        found = recipe["follow"](index, kept, 0.01)
        assert json.loads(kept.read_text())[0] == found
        return {title for library in found.values() for title in library.values()}

    assert len(titles()) > 100
    film = {"title": "While it was away", "files": ["/data/movies/New.mkv"]}
    server.post("items/add", {"library": 1, "items": [film]})
    index.refresh(full=True)
    assert "While it was away" in titles()
    # The store was emptied meanwhile, and the first film is gone.
    row = server.paths(1)[0]
    server.post("items/remove", {"ratingKeys": [int(row["ratingKey"])]})
    index.clear()
    now = titles()
    assert "While it was away" in now
    assert row["title"] not in now


def test_the_command_keeps_its_own_cursor(server: Server, tmp_path: Path) -> None:
    cli, state = Cli(tmp_path, server), tmp_path / "state"
    cli.run("warm")
    begun = cli.run("changes", "--state", str(state))
    assert (begun.returncode, begun.stdout) == (0, "")
    assert "repeat the command" in begun.stderr
    server.post("items/add", {"library": 1, "items": [{"title": "New", "files": ["/data/movies/New.mkv"]}]})
    cli.run("warm", "--full")
    assert cli.good("changes", "--state", str(state)).startswith("added: New")
    again = cli.run("changes", "--state", str(state))
    assert (again.returncode, again.stdout) == (0, "")
    assert "no changes since the cursor" in again.stderr
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
        (("--state", str(tmp_path / "none" / "state")), "there is no folder"),
        (("--state", str(tmp_path)), "cannot read"),
    ):
        refused = cli.run("changes", *arguments)
        assert refused.returncode == 2
        assert wrong in refused.stderr


def test_the_command_tells_people_and_scripts(server: Server, tmp_path: Path) -> None:
    cli = Cli(tmp_path, server)
    cli.run("warm")
    begun = cli.run("changes")
    cursor = begun.stdout.split()[-1]
    assert (begun.returncode, begun.stdout) == (0, f"cursor: {cursor}\n")
    assert "--since" in begun.stderr
    film = {"title": "New", "year": 2026, "files": ["/data/movies/New.mkv"]}
    server.post("items/add", {"library": 1, "items": [film]})
    cli.run("warm", "--full")
    shown = cli.good("changes", "--since", cursor)
    assert shown.startswith("added: New (2026)")
    assert "\n  /data/movies/New.mkv\n" in shown
    change, last = [json.loads(line) for line in cli.good("changes", "--since", cursor, "--json").splitlines()]
    assert list(change) == ["change", "item", "path", "from", "from_key", "library", "section"]
    assert (change["library"], change["section"]) == ("Movies", "1")
    assert change["item"] == cli.json("match", "/data/movies/New.mkv")["item"]
    assert list(last) == ["cursor", "age", "stale"] and last["age"] >= 0
    (again,) = (json.loads(line) for line in cli.good("changes", "--since", last["cursor"], "--json").splitlines())
    assert again["cursor"] == last["cursor"] and again["age"] >= last["age"]
    assert len(cli.good("changes", "--full", "--json", "--library", "Movies").splitlines()) == 302
    cli.run("clear", "--yes")
    cli.run("warm")
    again = cli.run("changes", "--since", cursor)
    assert (again.returncode, again.stdout) == (8, "")
    assert "list again (plexindex changes --full)" in again.stderr
    assert cli.run("changes", "--since", cursor, "--full").returncode == 2
    assert cli.run("changes", "--since", "").returncode == 2


def test_a_library_that_went_is_told_to_have_gone(server: Server, tmp_path: Path) -> None:
    cli = Cli(tmp_path, server)
    cli.run("warm")
    cursor = cli.run("changes").stdout.split()[-1]
    server.post("library/set", {"library": 1, "title": "Films"})
    server.post("library/remove", {"library": 2})
    cli.run("warm")
    lines = cli.good("changes", "--since", cursor).splitlines()
    assert "list again: library 'TV Shows': the library was removed" in lines
    assert "list again: library 'Films': run `plexindex changes --full --library 1`" in lines


def test_who_follows_as_a_person_hears_the_token(server: Server, tmp_path: Path) -> None:
    cli = Cli(tmp_path, server)
    cli.run("warm")
    command, environment = cli.start("changes", "--follow")
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as follower:
        assert follower.stdout is not None
        begun = follower.stdout.readline()
        server.post("items/add", {"library": 1, "items": [{"title": "New", "files": ["/data/movies/New.mkv"]}]})
        cli.run("warm", "--full")
        assert follower.stdout.readline().startswith("added: New")
        assert follower.stdout.readline() == "  /data/movies/New.mkv\n"
        cursor = follower.stdout.readline()
        assert cursor.startswith("cursor: ") and cursor != begun
        follower.send_signal(signal.SIGINT)
        assert follower.wait(30) == 130
    assert "no changes since the cursor" in cli.run("changes", "--since", cursor.split()[-1]).stderr


def test_who_follows_gives_no_deadline(tmp_path: Path) -> None:
    done = Cli(tmp_path).run("changes", "--follow", "--deadline", "2", "--url", "http://127.0.0.1:1")
    assert (done.returncode, done.stderr) == (
        2, "plexindex: --follow runs until Ctrl-C: omit --deadline\n"
    )  # fmt: skip


def test_the_command_follows_until_ctrl_c(server: Server, tmp_path: Path) -> None:
    cli = Cli(tmp_path, server)
    cli.run("warm")
    command, environment = cli.start("changes", "--follow", "--json")
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as follower:
        assert follower.stdout is not None
        assert list(json.loads(follower.stdout.readline())) == ["cursor", "age", "stale"]
        server.post("items/add", {"library": 1, "items": [{"title": "New", "files": ["/data/movies/New.mkv"]}]})
        cli.run("warm", "--full")
        while "change" not in (line := json.loads(follower.stdout.readline())):
            pass
        assert (line["change"], line["path"]) == ("added", "/data/movies/New.mkv")
        assert list(json.loads(follower.stdout.readline())) == ["cursor", "age", "stale"]
        begun = time.monotonic()
        follower.send_signal(signal.SIGINT)
        assert follower.wait(30) == 130
        assert time.monotonic() - begun < 10


def test_nothing_changed_says_when_the_server_was_asked_and_asks_now(
    server: Server, index: plexindex.Index, tmp_path: Path
) -> None:
    cli = Cli(tmp_path, server)
    cli.run("warm")
    cursor = cli.run("changes").stdout.split()[-1]
    server.post("items/add", {"library": 1, "items": [{"title": "New", "files": ["/data/movies/New.mkv"]}]})
    server.reset()
    done = cli.run("changes", "--since", cursor)
    assert (done.returncode, server.requests()) == (0, 0)
    assert done.stderr.startswith("no changes since the cursor, as of ")
    assert "--check asks now" in done.stderr
    checked = cli.good("changes", "--since", cursor, "--check")
    assert checked.startswith("added: New · Movies")
    assert server.get("stats")["requests"]["sections"] == 1
    cursor = checked.split()[-1]
    server.reset()
    again = cli.run("changes", "--since", cursor, "--check")
    assert "as of just now" in again.stderr and "--check" not in again.stderr
    assert server.requests() == 1
    refused = cli.run("changes", "--since", cursor, "--check", "--offline")
    assert (refused.returncode, "omit --offline" in refused.stderr) == (2, True)
    # In Python.
    index.refresh()
    found = index.changes()
    assert found.age is not None and 0 <= found.age < 60
    film = {"title": "Newer", "files": ["/data/movies/Newer.mkv"]}
    server.post("items/add", {"library": 1, "items": [film]})
    assert told(index.changes(found.cursor)) == []
    assert told(index.library("Movies").changes(found.cursor, check=True)) == [("added", film["files"][0], None)]


def test_a_full_listing_is_whole_or_none(server: Server, tmp_path: Path) -> None:
    cli = Cli(tmp_path, server)
    cli.run("libraries")  # known, and none is fetched
    server.fault(kind="listing", action="delay", ms=1000, count=0)
    for also in ((), ("--library", "Movies"), ("--json",)):
        late = cli.run("changes", "--full", "--deadline", "0.3", *also)
        assert (late.returncode, late.stdout) == (7, ""), late
        assert "the deadline passed before" in late.stderr and "did not answer" not in late.stderr
        offline = cli.run("changes", "--full", "--offline", *also)
        assert (offline.returncode, offline.stdout) == (6, ""), offline
        assert "never fetched" in offline.stderr
    server.post("faults/clear")
    cli.run("warm", "Movies")
    # Of one library it is whole; of all it would not be.
    assert len(cli.good("changes", "--full", "--offline", "--json", "-l", "Movies").splitlines()) == 301
    assert cli.run("changes", "--full", "--offline", "--json").returncode == 6
    server.fault(kind="listing", action="delay", ms=1000, count=0)
    assert cli.run("changes", "--full", "--deadline", "0.3").returncode == 7
    server.post("faults/clear")
    server.fault(kind="listing", action="status", status=500, count=0)
    for also in ((), ("--library", "TV Shows")):
        failed = cli.run("changes", "--full", *also)
        assert (failed.returncode, failed.stdout) == (3, ""), failed
    server.post("faults/clear")
    assert len(cli.good("changes", "--full", "--json").splitlines()) == 421


def test_a_token_after_a_deadline_says_what_was_late(server: Server, open_index: OpenIndex) -> None:
    index = open_index()
    server.fault(kind="listing", action="delay", ms=1000, count=0)
    with pytest.raises(plexindex.TimeoutError, match=r"before 'Movies', 'TV Shows' were|before the server"):
        index.changes(deadline=0.3)
    server.post("faults/clear")
    index.refresh()
    server.post("items/add", {"library": 1, "items": [{"title": "New", "files": ["/data/movies/New.mkv"]}]})
    server.fault(kind="sections", action="delay", ms=1000, count=0)
    found = index.changes(check=True, deadline=0.1)
    assert (found.stale, found.late) == (True, True)
