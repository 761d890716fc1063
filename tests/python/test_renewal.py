"""A token that is renewed: in an open index, by a callable, by a command, and with plexapi."""

from __future__ import annotations

import base64
import json
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import plexindex
import pytest
from cli import Cli
from conftest import TOKEN, Server

NOW = int(time.time())


def jwt(week: int, username: str | None = "ann", **claims: object) -> str:
    """A token as plexapi gets it; only its number and its signature tell it from others of the user."""
    payload = {"aud": ["plex.tv"], "iss": "plex.tv", "iat": 1, "exp": NOW + week * 604_800, **claims}
    payload["thumbprint"] = "the thumbprint of a key pair"
    if username is not None:
        payload["username"] = username
    parts: list[Any] = [{"alg": "EdDSA"}, payload, f"signature {week}"]
    raw = (json.dumps(part).encode() for part in parts)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in raw)


def admit(server: Server, *tokens: str, expired: tuple[str, ...] = ()) -> None:
    """From now on the server admits these alone; others have expired."""
    rows = [{"token": token} for token in tokens] + [{"token": token, "expired": True} for token in expired]
    server.post("tokens", {"tokens": rows})


@pytest.fixture
def used(server: Server, tmp_path: Path) -> Path:
    """A folder in which the first token's user has listed the films, and recorded a match."""
    admit(server, jwt(1))
    with plexindex.open(tmp_path / "store", server.url, jwt(1)) as index:
        index.refresh("Movies")
        index.library("Movies").record_match("/host/a.mkv", server.paths()[0]["ratingKey"])
    server.reset()
    return tmp_path / "store"


def test_a_token_is_replaced_in_an_open_index(server: Server, used: Path) -> None:
    index = plexindex.open(used, server.url, jwt(1))
    index.token = jwt(2)
    admit(server, jwt(2))
    movies = index.library("Movies")
    with pytest.raises(plexindex.OfflineError):  # the server has not accepted it
        movies.match("/host/a.mkv", offline=True)
    assert movies.lookup_key("/host/a.mkv") is None
    assert movies.match("/host/a.mkv").match_kind == "confirmed"
    assert server.get("stats")["requests"]["listing"] == 0
    assert server.requests() == 1
    with pytest.raises(AttributeError):
        _ = index.token
    for bad in ("with a space", "two\nlines"):
        with pytest.raises(plexindex.InvalidArgumentError) as refused:
            index.token = bad
        assert bad not in str(refused.value)
    index.set_token(None)
    with pytest.raises(plexindex.UnauthorizedError, match="none was given"):
        index.refresh("Movies")
    index.close()
    with pytest.raises(plexindex.ClosedError):
        index.token = TOKEN


def test_a_callable_is_called_again_after_401_and_498_and_once_for_all_threads(server: Server, used: Path) -> None:
    now = [1]
    threads: list[int] = []

    def renew() -> str:
        threads.append(threading.get_ident())
        return jwt(now[0])

    with plexindex.open(used, server.url, renew, library_ttl=0) as index:
        assert threads == [threading.get_ident()]
        movies = index.library("Movies")
        path = server.paths()[3]["path"]
        for week, expired in ((2, ()), (3, (jwt(2),))):
            admit(server, jwt(week), expired=expired)
            now[0] = week
            del threads[:]
            failures: list[BaseException] = []
            begin = threading.Barrier(8)

            def ask(begin: threading.Barrier = begin, failures: list[BaseException] = failures) -> None:
                try:
                    begin.wait()
                    for _ in range(5):
                        assert movies.match(path).item is not None
                        assert index.match_paths([path], "Movies")[0].item is not None
                except BaseException as error:
                    failures.append(error)

            asking = [threading.Thread(target=ask) for _ in range(8)]
            for one in asking:
                one.start()
            for one in asking:
                one.join()
            assert failures == []
            assert len(threads) == 1
            assert threads[0] in {one.ident for one in asking}
        assert movies.match("/host/a.mkv").match_kind == "confirmed"
    assert server.get("stats")["requests"]["listing"] == 0


def test_what_a_callable_raises_is_the_cause(server: Server, tmp_path: Path) -> None:
    admit(server, "another")
    tokens: list[Callable[[], str]] = [lambda: TOKEN]
    problem = RuntimeError("plex.tv is away")

    def renew() -> str:
        if tokens:
            return tokens.pop()()
        raise problem

    with plexindex.open(tmp_path / "store", server.url, renew) as index:
        with pytest.raises(plexindex.UnauthorizedError) as refused:
            index.refresh("Movies")
        assert refused.value.__cause__ is problem
    with pytest.raises(RuntimeError, match=r"plex\.tv is away"):
        plexindex.open(tmp_path / "other", server.url, renew)
    assert not (tmp_path / "other").exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("by", ["another thread", "the callable"])
def test_a_fork_while_the_callable_runs(server: Server, used: Path, by: str) -> None:
    now = [1]
    entered, forked = threading.Event(), threading.Event()
    children: list[int] = []

    def fork() -> None:
        children.append(os.fork())
        if children == [0]:
            signal.alarm(30)

    def renew() -> str:
        if now[0] == 2 and not entered.is_set():
            entered.set()
            if by == "the callable":
                fork()
            else:
                forked.wait(30)
        return jwt(now[0])

    with plexindex.open(used, server.url, renew) as index:
        now[0] = 2
        admit(server, jwt(2))
        asking = threading.Thread(target=index.refresh, args=("Movies",), kwargs={"full": True})
        if by == "the callable":
            index.refresh("Movies", full=True)
        else:
            asking.start()
            assert entered.wait(30)
            fork()
        if children == [0]:
            code = 1
            try:
                for now[0] in (3, 4):
                    admit(server, jwt(now[0]))
                    index.refresh("Movies", full=True)
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(children[0], 0)
        admit(server, jwt(2))
        forked.set()
        if asking.ident is not None:
            asking.join()
        index.refresh("Movies", full=True)
        assert status == 0


def test_a_pickled_index_finds_its_token_again(server: Server, used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLEXINDEX_TOKEN", jwt(1))
    with plexindex.open(used, server.url, lambda: jwt(1)) as index:
        raw = pickle.dumps(index)
        assert jwt(1).encode() not in raw
        again = pickle.loads(raw)  # noqa: S301
        assert again.library("Movies").match("/host/a.mkv").match_kind == "confirmed"
        again.close()


def plex(server: Server, token: str, **more: object) -> Any:
    """As much of a PlexServer as is looked at."""
    return SimpleNamespace(_baseurl=server.url, _token=token, _session=None, library=None, **more)


def test_from_server_follows_plexapi_and_takes_its_account(server: Server, used: Path) -> None:
    known = plex(server, jwt(1))
    with plexindex.from_server(known, used, library_ttl=0) as index:
        known._token = jwt(2)
        admit(server, jwt(2), expired=(jwt(1),))
        assert index.match("/host/a.mkv", "Movies").match_kind == "confirmed"
        path = server.paths()[3]["path"]
        assert index.match(path, "Movies").item is not None
        index.refresh("Movies")
        admit(server, jwt(3))
        index.token = jwt(3)
        assert index.match("/host/a.mkv", "Movies").match_kind == "confirmed"
    assert server.get("stats")["requests"]["listing"] == 0


@pytest.mark.parametrize("is_its", [True, False])
def test_the_account_is_the_user_where_the_token_is_its(server: Server, tmp_path: Path, is_its: bool) -> None:
    tokens = ["token-1", "token-2"]
    listings = []
    for token in tokens:
        admit(server, token)
        account = SimpleNamespace(_token=token if is_its else "another", uuid="0123abcd")
        with plexindex.from_server(plex(server, token, _myPlexAccount=account), tmp_path / "store") as index:
            index.refresh("Movies")
        listings.append(server.get("stats")["requests"]["listing"])
    assert (listings[0] == listings[1]) is is_its


@pytest.fixture
def cli(tmp_path: Path, server: Server) -> Cli:
    return Cli(tmp_path, server)


def test_the_command_that_prints_the_token(
    cli: Cli, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = f'"{sys.executable}" -c "print(open(\'token\').read())"'
    (tmp_path / "token").write_text(jwt(1))
    monkeypatch.chdir(tmp_path)
    admit(server, jwt(1))
    for given in ({"flags": ["--token-command", command]}, {"PLEXINDEX_TOKEN_COMMAND": command}):
        flags = given.pop("flags", [])
        done = cli.run("libraries", *flags, PLEXINDEX_TOKEN=None, **given)
        assert (done.returncode, "Movies" in done.stdout) == (0, True), done.stderr
    done = cli.run("libraries", "--token-command", command, PLEXINDEX_TOKEN=TOKEN)
    assert done.returncode == 0, "a flag goes before the environment"
    done = cli.run("libraries", "--token-command", command, "--token", TOKEN)
    assert (done.returncode, "are both given" in done.stderr) == (2, True)
    for bad, why in (
        (f'"{sys.executable}" -c "exit(1)"', "exit code 1"),
        (f'"{sys.executable}" -c "exit(0)"', "printed nothing"),
        ("/not/there", "cannot be run"),
        # On Windows a program may be called so, but this one is not there.
        ("'", "quotes" if os.name == "posix" else "cannot be run"),
    ):
        done = cli.run("libraries", "--token-command", bad, PLEXINDEX_TOKEN=None)
        assert (done.returncode, why in done.stderr) == (2, True), done.stderr


def test_plexapis_file_may_name_the_command(cli: Cli, server: Server, tmp_path: Path) -> None:
    admit(server, jwt(1))
    (tmp_path / "token").write_text(jwt(1))
    config = tmp_path / "config.ini"
    config.write_text(
        f"[auth]\nserver_baseurl = {server.url}\nserver_token = an-old-one\n"
        f"[plexindex]\ntoken_command = {'cmd /c type' if os.name == 'nt' else 'cat'} {tmp_path / 'token'}\n"
    )
    done = cli.run("libraries", PLEXINDEX_URL=None, PLEXINDEX_TOKEN=None, PLEXAPI_CONFIG_PATH=str(config))
    assert (done.returncode, "Movies" in done.stdout) == (0, True), done.stderr


def test_clear_does_not_say_that_there_is_nothing_before_the_token_is_accepted(
    cli: Cli, server: Server, used: Path
) -> None:
    assert used == cli.store
    admit(server, jwt(2))
    done = cli.run("clear", "--yes", PLEXINDEX_TOKEN=jwt(2))
    assert done.returncode != 0, done.stdout
    assert "has not accepted the token yet: ask it first (plexindex warm)" in " ".join(done.stderr.split())
    assert server.requests() == 0
    cli.run("warm", PLEXINDEX_TOKEN=jwt(2))
    assert cli.good("clear", "--yes", PLEXINDEX_TOKEN=jwt(2)).startswith("emptied ")
    assert cli.good("clear", "--yes", PLEXINDEX_TOKEN=jwt(2)).startswith("there is nothing in ")


def test_doctor_tells_when_a_token_expires_and_whose_it_is(cli: Cli, server: Server) -> None:
    identity = server.get("state")["identity"]["machineIdentifier"]
    servers_own = "this is the server's own token"
    for token, lines in (
        (jwt(1), ["the token expires on ", "renew it until then"]),
        (jwt(0, exp=NOW + 7200), ["the token expires in "]),
        (jwt(1, None), ["the token does not name its user"]),
        (jwt(1, aud=["plex.tv", identity]), [servers_own]),
        ("a-token-that-does-not-expire", []),
    ):
        admit(server, token)
        done = cli.run("doctor", PLEXINDEX_TOKEN=token)
        for line in lines:
            assert line in " ".join(done.stdout.split()), (line, done.stdout)
        assert (servers_own in " ".join(done.stdout.split())) is (servers_own in lines)
        assert token not in done.stdout and "key pair" not in done.stdout.replace("its key pair", "")
    values = cli.json("doctor", PLEXINDEX_TOKEN=token)
    assert (values["server"]["token_expires"], values["server"]["token_is_the_servers"]) == (None, False)
    admit(server, "another", expired=(jwt(1),))
    done = cli.run("doctor", PLEXINDEX_TOKEN=jwt(1))
    assert done.returncode == 4
    assert "the token expired (498): renew it" in " ".join(done.stdout.split())


def test_doctor_knows_the_servers_token_by_its_preferences(tmp_path: Path) -> None:
    from plexindex._cli.token import _stands_in_preferences, claims_of

    media = tmp_path / "Plex Media Server"
    databases = media / "Plug-in Support" / "Databases"
    databases.mkdir(parents=True)
    (media / "Preferences.xml").write_text('<?xml version="1.0"?>\n<Preferences PlexOnlineToken="its-own" Other="x"/>')
    for place in (media, databases, databases / "com.plexapp.plugins.library.db"):
        assert _stands_in_preferences("its-own", str(place))
        assert not _stands_in_preferences("another", str(place))
    assert not _stands_in_preferences("its-own", str(tmp_path))
    assert not _stands_in_preferences("its-own", None)
    for odd in ("", "a.b.c", "a.bnVsbA.c", "one", "....", "a.!!!!.c"):
        assert claims_of(odd) == {}
