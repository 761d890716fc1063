"""What calls spend their time on: totals, and a line for what was slow; and paths that are hidden on request."""

from __future__ import annotations

import json
import logging
import re

import plexindex
import pytest
from conftest import OpenIndex, Server

PARTS = ("server", "parsing", "store", "segments", "matching", "waiting")


def test_the_parts_add_up(open_index: OpenIndex, server: Server) -> None:
    server.fault(kind="listing", action="delay", ms=50, count=0)
    index = open_index()
    assert repr(index.profile()).startswith("<plexindex.Profile: 0 calls in 0.000 s")
    row = server.paths(1)[0]
    index.match(row["path"], "Movies")
    profile = index.profile()
    # One page of 300 movies, kept waiting for 50 ms.
    assert (profile.calls, profile.slow_calls, profile.requests) == (1, 0, 4)
    assert profile.server >= 0.05
    assert profile.seconds >= profile.server
    for part in ("parsing", "store", "segments", "matching"):
        assert 0 < getattr(profile, part) < profile.seconds, part
    assert profile.matching < profile.seconds - profile.server
    assert set(profile.as_dict()) == set(profile.__slots__)
    assert "server (4 requests)" in repr(profile)
    index.library("Movies").lookup_key(row["path"])
    assert index.profile().calls == 1
    index.match_paths([row["path"]] * 50, "Movies")
    after = index.profile()
    assert after.calls == 2
    assert after.server == profile.server
    assert after.matching > profile.matching


def test_a_slow_call_is_logged_with_its_parts(
    open_index: OpenIndex, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.fault(kind="listing", action="delay", ms=60, count=0)
    path = server.paths(1)[0]["path"]
    with caplog.at_level(logging.INFO, "plexindex"):
        index = open_index(slow=0.05)
        index.match(path, "Movies")
    (line,) = [record for record in caplog.records if " took " in record.getMessage()]
    # It fetched: that takes its time.
    assert line.levelno == logging.INFO
    pattern = r"match_path in 'Movies' took 0\.\d\d s: the server \(4 requests\) 0\.\d\d s(, [a-z ]+ 0\.\d\d s)*"
    assert re.fullmatch(pattern, line.getMessage()), line.getMessage()
    assert path not in caplog.text
    assert index.profile().slow_calls == 1
    assert "; 1 slow" in repr(index.profile())


def test_slow_can_be_off(open_index: OpenIndex, server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.fault(kind="listing", action="delay", ms=60, count=0)
    with caplog.at_level(logging.INFO, "plexindex"):
        index = open_index(slow=None)
        index.refresh("Movies")
    assert " took " not in caplog.text
    assert index.profile().slow_calls == 0
    for refused in (-1, float("nan")):
        with pytest.raises(plexindex.InvalidArgumentError, match="slow="):
            open_index(slow=refused)


HIDDEN = r"path-[0-9a-f]{10}\.mkv"


def test_paths_can_be_hidden(open_index: OpenIndex, server: Server, caplog: pytest.LogCaptureFixture) -> None:
    rows = server.paths(1)
    secret = "/private/things/An Intimate Film (1999).mkv"
    with caplog.at_level(logging.DEBUG, "plexindex"):
        hidden = open_index(obfuscate_paths=True, log_level="debug")
        texts = [str(hidden.match(secret, "Movies").reason)]
        hidden.match(f"/elsewhere/{rows[0]['path'].rpartition('/')[2]}", "Movies")
        texts.append(str(hidden.match("/data/movies/Secret.mkv", "Movies").reason))
        for bad in ("/private/Secret\0.mkv", "/private/Secret\ud800.mkv", "/private/Secret" + "x" * 40_000):
            for ask in (
                lambda path: hidden.match(path, "Movies"),
                lambda path: hidden.match_paths([path], "Movies"),
                lambda path: hidden.record_match(path, 1, "Movies"),
                lambda path: hidden.invalidate_path(path, "Movies"),
                lambda path: hidden.library("Movies").lookup_key(path),
            ):
                try:
                    answer = ask(bad)
                except plexindex.InvalidArgumentError as error:
                    texts.append(str(error))
                else:
                    texts.append(str(answer[0].reason) if isinstance(answer, plexindex.Matches) else "")
    everything = "\n".join([*texts, caplog.text])
    for word in ("Intimate", "Secret", "private", "/data/movies", rows[0]["path"]):
        assert word not in everything, word
    assert re.search(f"'{HIDDEN}'", texts[0])
    assert re.search(f"'{HIDDEN}': not_found, match kind none", caplog.text.lower())
    # The same path has the same name, in texts and in the log, and another store has another.
    name = re.search(HIDDEN, texts[0])
    assert name is not None
    assert name[0] in caplog.text
    plain = open_index(log_level="debug")
    assert secret in str(plain.match(secret, "Movies").reason)


def test_answers_and_proposals_are_not_hidden(open_index: OpenIndex, server: Server) -> None:
    hidden = open_index(obfuscate_paths=True)
    rows = server.paths(1)
    assert hidden.match(rows[0]["path"], "Movies").path == rows[0]["path"]
    for row in rows[:5]:
        hidden.match(row["path"].replace("/data/", "/mnt/media/"), "Movies")
    assert [(one.host, one.server) for one in hidden.proposals()] == [("/mnt/media", "/data")]


def test_proposals_are_what_answers_speak_for(open_index: OpenIndex, server: Server) -> None:
    index = open_index()
    assert index.proposals() == []
    rows = server.paths(1)
    for row in rows[:30]:
        assert index.match(row["path"].replace("/data/", "/mnt/media/"), "Movies").match_kind == "suffix"
    index.match("/elsewhere/" + rows[31]["path"].rpartition("/")[2], "Movies")
    (proposal,) = index.proposals()
    # An answer by the file name alone names no folders: it speaks for no mapping, and against none.
    assert (proposal.host, proposal.server, proposal.matched, proposal.of) == ("/mnt/media", "/data", 30, 30)
    assert repr(proposal) == "<plexindex.Proposal '/mnt/media' -> '/data': 30 of 30 paths>"
    mapped = open_index(mappings=[proposal.mapping])
    assert mapped.match(rows[0]["path"].replace("/data/", "/mnt/media/"), "Movies").match_kind == "mapped"


def test_a_store_says_what_place_it_is_in(index: plexindex.Index, server: Server) -> None:
    info = index.store()
    assert info.folder == index.cache_dir
    assert info.locks
    assert info.locks_error is None
    assert info.journal in ("wal", "truncate")
    assert info.shares_memory == (info.journal == "wal")
    assert info.disk_bytes > 0
    assert info.free_bytes is None or info.free_bytes > 0
    assert "locks work" in repr(info)
    assert json.loads(json.dumps(info.as_dict()))["folder"] == index.cache_dir
    assert server.requests() == 0


def test_a_server_says_who_it_is(open_index: OpenIndex, server: Server) -> None:
    index = open_index()
    info = index.server()
    assert (info.libraries, server.requests()) == (2, 3)
    assert info.machine_identifier
    assert info.answered > 0
    assert info.machine_identifier in repr(info)
    # What it told is known now; asked once more it asks again.
    assert len(index.libraries()) == 2
    index.server()
    assert server.requests() == 5
    with pytest.raises(plexindex.UnauthorizedError):
        open_index(token="wrong").server()
    with pytest.raises(plexindex.OfflineError):
        open_index(offline=True).server()
