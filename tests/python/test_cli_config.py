"""Where the command finds server, token, folder and mappings."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from cli import Cli
from conftest import TOKEN, Server
from plexindex import _config


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command, and nothing said about a server."""
    return Cli(tmp_path)


def write_config(cli: Cli, text: str, name: str = ".config/plexapi/config.ini") -> Path:
    path = cli.home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def auth(server: Server, token: str = TOKEN) -> str:
    return f"[auth]\nserver_baseurl = {server.url}\nserver_token = {token}\n"


def found(cli: Cli, *arguments: object, **variables: Any) -> tuple[str | None, str | None, str | None]:
    """Server, and where it and the token are from, as the doctor says it."""
    facts = cli.json("doctor", *arguments, **variables)["server"]
    return facts["url"], facts["url_from"], facts["token_from"]


def test_flags(cli: Cli, server: Server, tmp_path: Path) -> None:
    assert found(cli, "--url", server.url, "--token", TOKEN) == (server.url, "--url", "--token")
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert found(cli, "--url", server.url, "--token-file", file) == (server.url, "--url", "--token-file")
    assert cli.run("libraries", "--url", server.url, "--token-file", file).returncode == 0
    done = cli.run("libraries", "--url", server.url, "--token-file", file, "--token", TOKEN)
    assert (done.returncode, "--token and --token-file" in done.stderr) == (2, True)
    file.write_text("\n")
    done = cli.run("libraries", "--url", server.url, "--token-file", file)
    assert (done.returncode, "is empty" in done.stderr) == (2, True)
    done = cli.run("libraries", "--url", server.url, "--token-file", tmp_path / "missing")
    assert (done.returncode, "cannot be read" in done.stderr) == (2, True)


def test_the_environment(cli: Cli, server: Server, tmp_path: Path) -> None:
    ours: dict[str, Any] = {"PLEXINDEX_URL": server.url, "PLEXINDEX_TOKEN": TOKEN}
    assert found(cli, **ours) == (server.url, "PLEXINDEX_URL", "PLEXINDEX_TOKEN")
    file = tmp_path / "token"
    file.write_text(TOKEN)
    ours = {"PLEXINDEX_URL": server.url, "PLEXINDEX_TOKEN_FILE": str(file)}
    assert found(cli, **ours) == (server.url, "PLEXINDEX_URL", "PLEXINDEX_TOKEN_FILE")
    theirs: dict[str, Any] = {"PLEXAPI_AUTH_SERVER_BASEURL": server.url, "PLEXAPI_AUTH_SERVER_TOKEN": TOKEN}
    assert found(cli, **theirs) == (server.url, "PLEXAPI_AUTH_SERVER_BASEURL", "PLEXAPI_AUTH_SERVER_TOKEN")
    assert found(cli, **theirs, **ours) == (server.url, "PLEXINDEX_URL", "PLEXINDEX_TOKEN_FILE")
    assert cli.run("libraries", **theirs).returncode == 0


def test_mappings_of_the_environment(cli: Cli, server: Server) -> None:
    path = server.paths(1)[0]["path"]
    ours: dict[str, Any] = {"PLEXINDEX_URL": server.url, "PLEXINDEX_TOKEN": TOKEN}
    for mappings in ("/mnt/tv=/data/tv;/mnt/media=/data", "/mnt/tv -> /data/tv\n/mnt/media -> /data"):
        asked = path.replace("/data/", "/mnt/media/")
        assert cli.json("match", asked, PLEXINDEX_MAPPINGS=mappings, **ours)["match_kind"] == "mapped"
    wrong = cli.run("match", path, PLEXINDEX_MAPPINGS="media", **ours)
    assert wrong.returncode == 2
    assert "PLEXINDEX_MAPPINGS: 'media' is no mapping: give HOST=SERVER" in wrong.stderr


def test_the_file_that_plexapi_users_have(cli: Cli, server: Server) -> None:
    path = str(write_config(cli, f"{auth(server)}[header]\nplatform = x%y\n"))
    assert found(cli) == (server.url, path, path)
    # As plexapi reads it, names are in any case, and the environment names another file.
    other = write_config(
        cli, auth(server).upper().replace(server.url.upper(), server.url).replace(TOKEN.upper(), TOKEN), "o.ini"
    )
    assert found(cli, PLEXAPI_CONFIG_PATH=str(other)) == (server.url, str(other), str(other))
    assert found(cli, PLEXAPI_CONFIG_PATH=str(cli.home / "missing")) == (None, None, None)
    # A token of the environment goes with the server of the file, as in plexapi.
    write_config(cli, auth(server, "wrong"))
    theirs: dict[str, Any] = {"PLEXAPI_AUTH_SERVER_TOKEN": TOKEN}
    assert found(cli, **theirs) == (server.url, path, "PLEXAPI_AUTH_SERVER_TOKEN")
    assert cli.run("libraries", **theirs).returncode == 0


def test_what_plexapi_finds_is_found(cli: Cli, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    config = pytest.importorskip("plexapi.config")
    path = write_config(cli, auth(server, "a%token").replace("server_token", "Server_Token"))
    monkeypatch.delenv("PLEXAPI_AUTH_SERVER_TOKEN", raising=False)
    theirs = config.PlexConfig(str(path))
    from plexindex._config import _plexapi_file

    monkeypatch.setenv("PLEXAPI_CONFIG_PATH", str(path))
    _, ours = _plexapi_file()
    for name in ("server_baseurl", "server_token"):
        assert ours["auth"][name] == theirs.get(f"auth.{name}")


def test_a_broken_file_is_told_without_what_it_holds(cli: Cli) -> None:
    path = write_config(cli, f"server_token = {TOKEN}\n")
    done = cli.run("libraries")
    assert done.returncode == 2
    assert str(path) in done.stderr
    assert "line 1" in done.stderr
    assert TOKEN not in done.stderr
    path.write_bytes(b"\xff\xfe")
    assert cli.run("libraries").returncode == 2


def test_a_token_goes_to_no_other_server(cli: Cli, server: Server) -> None:
    write_config(cli, auth(server))
    done = cli.run("libraries", "--url", "http://127.0.0.1:1")
    assert done.returncode == 2
    assert "is sent nowhere else" in done.stderr
    assert server.url in done.stderr
    assert TOKEN not in done.stderr
    done = cli.run("libraries", PLEXINDEX_URL="http://127.0.0.1:1")
    assert done.returncode == 2
    # The same server, spelled in another way; and a token that nothing says the server of.
    assert cli.run("libraries", "--url", server.url.replace("http", "HTTP") + "/").returncode == 0
    write_config(cli, f"[auth]\nserver_token = {TOKEN}\n")
    assert cli.run("libraries", "--url", server.url).returncode == 0


def test_the_folder(cli: Cli, server: Server, tmp_path: Path) -> None:
    ours: dict[str, Any] = {"PLEXINDEX_URL": server.url, "PLEXINDEX_TOKEN": TOKEN}

    def folder(*arguments: object, **variables: Any) -> str:
        return str(cli.json("doctor", *arguments, **ours, **variables)["store"]["folder"])

    assert folder() == str(cli.store)
    (tmp_path / "flag").mkdir()
    assert folder("--dir", tmp_path / "flag") == str(tmp_path / "flag")
    assert folder(PLEXINDEX_DIR=None) == str(tmp_path / ".cache" / "plexindex")
    assert folder(PLEXINDEX_DIR=None, XDG_CACHE_HOME=str(tmp_path / "xdg")) == str(tmp_path / "xdg" / "plexindex")
    assert folder(PLEXINDEX_DIR="~/mine") == str(tmp_path / "mine")
    write_config(cli, f"[plexindex]\ndir = {tmp_path}/ini\n")
    assert folder(PLEXINDEX_DIR=None) == str(tmp_path / "ini")
    assert stat.S_IMODE((tmp_path / "ini").stat().st_mode) == 0o700


def test_the_folder_of_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALAPPDATA", r"C:\Users\me\AppData\Local")
    with monkeypatch.context() as windows:
        windows.setattr(os, "name", "nt")
        folder = _config.default_folder()
    # This system joins with its own separator.
    assert folder == os.path.join(r"C:\Users\me\AppData\Local", "plexindex")


def test_mappings_of_the_file(cli: Cli, server: Server) -> None:
    path = server.paths(1)[0]["path"]
    ini = f"{auth(server)}[plexindex]\nmappings =\n    /mnt/a -> /nowhere\n    /mnt/media -> /data\n"
    write_config(cli, ini)
    assert cli.good("match", path.replace("/data/", "/mnt/media/")).endswith("mapped, high\n")
    write_config(cli, f"{ini}    /mnt/b\n")
    done = cli.run("match", path)
    assert (done.returncode, "HOST-FOLDER -> SERVER-FOLDER" in done.stderr) == (2, True)


def test_a_name_that_the_file_s_section_does_not_have_is_told(cli: Cli, server: Server) -> None:
    path = write_config(cli, f"{auth(server)}[plexindex]\nmapping = /mnt/media -> /data\nfrobnicate = 1\n")
    ignored = f"plexindex: WARNING: {path}, [plexindex] %s: it is no setting, and is ignored; %s"
    assert cli.run("libraries").stderr.splitlines() == [
        ignored % ("mapping", "did you mean mappings?"),
        ignored
        % (
            "frobnicate",
            "there are dir, database, size_limit, shared, shared_durable, token_command, user and mappings",
        ),
    ]


def test_a_value_of_the_file_that_is_wrong_is_not_the_flag_s(cli: Cli, server: Server) -> None:
    path = write_config(cli, f"{auth(server)}[plexindex]\nsize_limit = 2X\n")
    done = cli.run("libraries")
    assert done.returncode == 2
    assert f"{path}, [plexindex] size_limit: '2X' is no size" in done.stderr


@pytest.mark.parametrize("quote", ["'", '"'])
def test_quotes_round_a_value_of_the_file_are_none_of_it(cli: Cli, server: Server, tmp_path: Path, quote: str) -> None:
    write_config(cli, f"{auth(server)}[plexindex]\ndir = {quote}{tmp_path}/the store{quote}\n")
    assert cli.json("doctor", PLEXINDEX_DIR=None)["store"]["folder"] == str(tmp_path / "the store")


def test_what_is_wrong_with_an_address_goes_before_its_token(cli: Cli, server: Server) -> None:
    write_config(cli, auth(server))
    done = cli.run("libraries", "--url", "nonsense")
    assert (done.returncode, "--url" in done.stderr, "has no scheme" in done.stderr) == (2, True, True), done
    assert "no token was given" not in done.stderr


def test_an_address_with_a_user_names_the_flag_for_tokens(cli: Cli) -> None:
    for url in ("http://user:pw@127.0.0.1:1", "http://127.0.0.1:1/?X-Plex-Token=secret"):
        done = cli.run("libraries", "--url", url)
        assert (done.returncode, "--token-file" in done.stderr, "`token`" in done.stderr) == (2, True, False), done
        assert "pw" not in done.stderr and "secret" not in done.stderr


def test_a_token_that_is_refused_says_where_it_is_from(cli: Cli, server: Server, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("wrong")
    ours: dict[str, Any] = {"PLEXINDEX_URL": server.url, "PLEXINDEX_TOKEN_FILE": str(file)}
    done = cli.run("libraries", **ours)
    assert (done.returncode, done.stderr.endswith("; the token is from PLEXINDEX_TOKEN_FILE\n")) == (4, True), done
    path = write_config(cli, auth(server, "wrong"))
    done = cli.run("libraries")
    assert (done.returncode, done.stderr.endswith(f"; the token is from {path}\n")) == (4, True), done
    # One that cannot be sent at all.
    file.write_text("two words\x01")
    done = cli.run("libraries", **ours)
    assert (done.returncode, done.stderr.endswith("; the token is from PLEXINDEX_TOKEN_FILE\n")) == (2, True), done


def test_the_user_is_found_beside_the_token(cli: Cli, server: Server, tmp_path: Path) -> None:
    """Two tokens of one user: the second one lists nothing anew."""
    tokens = ("token-1", "token-2")
    server.post("tokens", {"tokens": [{"token": token} for token in tokens]})

    def listings(*arguments: object, config: str = "", **variables: str) -> list[int]:
        """How often each token's holder listed the libraries, in a store of their own."""
        store = {"PLEXINDEX_DIR": str(tmp_path / f"store {len(list(tmp_path.glob('store *')))}")}
        counts = []
        for token in tokens:
            write_config(cli, auth(server, token) + config)
            server.reset()
            given: dict[str, Any] = {name: text or token for name, text in {**variables, **store}.items()}
            done = cli.run("warm", *arguments, **given)
            assert done.returncode == 0, done.stderr
            counts.append(int(server.get("stats")["requests"]["listing"]))
        return counts

    anew = listings()
    assert anew[0] == anew[1] > 0
    once = [anew[0], 0]
    assert listings("--user", "ann") == once
    assert listings(PLEXINDEX_USER="ann") == once
    assert listings(config="[plexindex]\nuser = ann\n") == once
    ours = {"PLEXINDEX_URL": server.url, "PLEXINDEX_TOKEN": ""}
    assert listings(PLEXINDEX_USER="ann", **ours) == once
    # Whose the token of the environment is, the file does not know.
    assert listings(config="[plexindex]\nuser = ann\n", **ours) == anew
