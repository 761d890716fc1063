"""A token that is renewed in an open index, by a callable, and with plexapi. Rust's tests prove when that happens."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import plexindex
import pytest
from conftest import TOKEN, Server, exit_of_child


def admit(server: Server, *tokens: str) -> None:
    """From now on the server accepts only these tokens."""
    server.post("tokens", {"tokens": [{"token": token} for token in tokens]})


@pytest.fixture
def used(server: Server, tmp_path: Path) -> Path:
    """A store in which the user has listed the films, and recorded a match."""
    admit(server, "token-1")
    with plexindex.open(tmp_path / "store", server.url, "token-1", user="ann") as index:
        index.refresh("Movies")
        index.library("Movies").record_match("/host/a.mkv", server.paths()[0]["ratingKey"])
    server.reset()
    return tmp_path / "store"


def test_an_error_of_the_callable_is_the_cause(server: Server, tmp_path: Path) -> None:
    admit(server, "another")
    tokens: list[Callable[[], str]] = [lambda: TOKEN]
    problem = RuntimeError("plex.tv is away")

    def renew() -> str:
        if tokens:
            return tokens.pop()()
        raise problem

    with plexindex.open(tmp_path / "store", server.url, renew) as index:
        with pytest.raises(plexindex.UnauthorizedError) as error:
            index.refresh("Movies")
        assert error.value.__cause__ is problem
    with pytest.raises(RuntimeError, match=r"plex\.tv is away"):
        plexindex.open(tmp_path / "other", server.url, renew)
    assert not (tmp_path / "other").exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_while_the_callable_runs(server: Server, used: Path) -> None:
    number = 1
    entered, forked = threading.Event(), threading.Event()

    def renew() -> str:
        if number == 2 and not entered.is_set():
            entered.set()
            forked.wait(30)
        return f"token-{number}"

    with plexindex.open(used, server.url, renew) as index:
        number = 2
        admit(server, "token-2")
        asking = threading.Thread(target=index.refresh, args=("Movies",), kwargs={"full": True})
        asking.start()
        assert entered.wait(30)

        def child() -> None:
            nonlocal number
            number = 3
            admit(server, "token-3")
            index.refresh("Movies", full=True)

        assert exit_of_child(child) == 0
        admit(server, "token-2")
        forked.set()
        asking.join()
        index.refresh("Movies", full=True)


def test_a_pickled_index_finds_its_token_again(server: Server, used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLEXINDEX_TOKEN", "token-1")
    with plexindex.open(used, server.url, lambda: "token-1", user="ann") as index:
        pickled = pickle.dumps(index)
    assert b"token-1" not in pickled
    with pickle.loads(pickled) as index:  # noqa: S301
        assert index.library("Movies").match("/host/a.mkv").match_kind == "confirmed"


def plex_server(server: Server, token: str, **more: object) -> Any:
    """The attributes of a PlexServer that plexindex reads."""
    return SimpleNamespace(_baseurl=server.url, _token=token, _session=None, library=None, **more)


def test_from_server_reads_the_token_of_plexapi(server: Server, used: Path) -> None:
    plex = plex_server(server, "token-1")
    with plexindex.from_server(plex, used, user="ann") as index:
        plex._token = "token-2"
        admit(server, "token-2")
        assert index.match("/host/a.mkv", "Movies").match_kind == "confirmed"


@pytest.mark.parametrize("is_own", [True, False])
def test_the_account_is_the_user_of_its_own_token(server: Server, tmp_path: Path, is_own: bool) -> None:
    listings = []
    for token in ("token-1", "token-2"):
        admit(server, token)
        account = SimpleNamespace(_token=token if is_own else "another", uuid="0123abcd")
        plex = plex_server(server, token, _myPlexAccount=account)
        with plexindex.from_server(plex, tmp_path / "store") as index:
            index.refresh("Movies")
        listings.append(server.get("stats")["requests"]["listing"])
    assert (listings[0] == listings[1]) is is_own
