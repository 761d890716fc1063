"""Where the command finds server, token, folder and mappings."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from pathlib import Path
from typing import Any

import plexindex
import pytest
from cli import Cli
from conftest import TOKEN, Server, on_unix
from disk import make
from plexindex._core import config as _config
from plexindex.testing import FakePlex


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command, without a server."""
    return Cli(tmp_path)


@pytest.fixture
def ours(server: Server) -> dict[str, Any]:
    """The environment that names the server."""
    return {"PLEXINDEX_SERVER_URL": server.url, "PLEXINDEX_TOKEN": TOKEN}


def write_config(cli: Cli, text: str, name: str = ".config/plexindex/config.toml") -> str:
    return str(make(cli.home / name, text.encode()))


def own(server: Server, token: str = TOKEN) -> str:
    return f"server_url = '{server.url}'\ntoken = '{token}'\n"


def sources_of(cli: Cli, *arguments: object, **variables: Any) -> dict[str, Any]:
    return {line["name"]: line["source"] for line in cli.lines("config", *arguments, **variables)}


def sources(cli: Cli, *arguments: object, **variables: Any) -> tuple[str | None, str | None]:
    """The source of the server's address, and the token's."""
    facts = sources_of(cli, *arguments, **variables)
    return facts["server_url"], facts["token"]


def test_each_source(cli: Cli, server: Server, tmp_path: Path, ours: dict[str, Any]) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    mine = write_config(cli, own(server))
    assert sources(cli) == (f"server_url in {mine}", f"token in {mine}")
    assert sources(cli, PLEXINDEX_TOKEN=TOKEN) == (f"server_url in {mine}", "PLEXINDEX_TOKEN")
    other = write_config(cli, own(server), "other.toml")
    for words, variables in (["--config", other], {}), ([], {"PLEXINDEX_CONFIG": other}):
        assert sources(cli, *words, **variables) == (f"server_url in {other}", f"token in {other}")
    assert sources(cli, **ours) == ("PLEXINDEX_SERVER_URL", "PLEXINDEX_TOKEN")
    files: dict[str, Any] = {"PLEXINDEX_SERVER_URL": server.url, "PLEXINDEX_TOKEN_FILE": str(file)}
    assert sources(cli, **files) == ("PLEXINDEX_SERVER_URL", "PLEXINDEX_TOKEN_FILE")
    flags = ["--server-url", server.url, "--token-file", file]
    assert sources(cli, *flags, **ours) == ("--server-url", "--token-file")
    assert sources(cli, *flags[:2], "--token", TOKEN, **ours) == ("--server-url", "--token")
    assert "Movies" in cli.good("libraries", **files)
    cli.fails(2, "cannot read the configuration file", "config", "--config", cli.home / "none.toml")


def test_a_command_prints_the_token(
    cli: Cli, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ours: dict[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "token").write_text(TOKEN)
    command = f'"{sys.executable}" -c "print(open(\'token\').read())"'
    assert "Movies" in cli.good("libraries", "--token-command", command, **{**ours, "PLEXINDEX_TOKEN": "wrong"})
    write_config(cli, f"server_url = '{server.url}'\ntoken_command = {json.dumps(f'{command} x')}\n")
    assert "Movies" in cli.good("libraries")
    empty = str(make(tmp_path / "empty", b"\n"))
    for flag, bad, why in (
        ("--token-command", f'"{sys.executable}" -c "exit(1)"', "exit code 1"),
        ("--token-command", f'"{sys.executable}" -c "exit(0)"', "printed nothing"),
        ("--token-command", "/not/there", "cannot run"),
        ("--token-command", "'", "cannot run"),
        ("--token-file", empty, f"{empty} is empty"),
        ("--token-file", "/nowhere", "/nowhere"),
    ):
        cli.fails(2, why, "libraries", "--server-url", server.url, flag, bad)
    words = ("libraries", "--server-url", server.url, "--token-file", tmp_path / "token", "--token", "x")
    cli.fails(2, "--token and --token-file are both given", *words)


def test_mappings(cli: Cli, server: Server, ours: dict[str, Any]) -> None:
    path = server.paths(1)[0]["path"]
    host = path.replace("/data/", "/mnt/media/")
    for mappings in ("/mnt/tv=/data/tv;/mnt/media=/data", "/mnt/tv -> /data/tv\n/mnt/media -> /data"):
        assert cli.json("match", host, PLEXINDEX_MAPPINGS=mappings, **ours)["match_kind"] == "mapped"
    cli.fails(2, "PLEXINDEX_MAPPINGS: 'media'", "match", path, PLEXINDEX_MAPPINGS="media", **ours)
    mine = f"{own(server)}[mappings]\n'/mnt/a' = '/nowhere'\n'/mnt/media' = '/data'\n"
    file = write_config(cli, mine)
    assert cli.json("match", host)["match_kind"] == "mapped"
    shown = {"name": "mapping", "value": "/mnt/media -> /data", "source": f"mappings in {file}"}
    assert cli.lines("config")[-1] == shown
    for wrong in ("''", "1"):
        write_config(cli, f"{mine}'/mnt/b' = {wrong}\n")
        cli.fails(2, f"mappings in {file}", "match", path)


def test_a_token_is_sent_to_no_other_server(cli: Cli, server: Server) -> None:
    write_config(cli, own(server))
    cli.fails(2, f"only to {server.url}", "libraries", "--server-url", "http://127.0.0.1:1")
    cli.fails(2, f"only to {server.url}", "libraries", PLEXINDEX_SERVER_URL="http://127.0.0.1:1")
    # The same server in another spelling, and a token without a server.
    cli.good("libraries", "--server-url", server.url.replace("http", "HTTP") + "/")
    write_config(cli, f"token = '{TOKEN}'\n")
    cli.good("libraries", "--server-url", server.url)


def test_an_error_names_the_source(cli: Cli, server: Server, tmp_path: Path) -> None:
    for url in ("http://user:secret@127.0.0.1:1", "http://127.0.0.1:1/?X-Plex-Token=secret"):
        assert "secret" not in cli.fails(2, "server_url", "libraries", "--server-url", url)
    file = tmp_path / "token"
    variables: dict[str, Any] = {"PLEXINDEX_SERVER_URL": server.url, "PLEXINDEX_TOKEN_FILE": str(file)}
    for token, code in (("wrong", 4), ("two words\x01", 2)):
        file.write_text(token)
        cli.fails(code, "PLEXINDEX_TOKEN_FILE", "libraries", **variables)
    path = write_config(cli, own(server, "wrong"))
    cli.fails(4, path, "libraries")
    cli.fails(2, "PLEXINDEX_SERVER_URL", "libraries", PLEXINDEX_SERVER_URL="foo")


@on_unix("the default folder is another")
def test_the_folder(cli: Cli, tmp_path: Path, ours: dict[str, Any]) -> None:
    def folder(*arguments: object, **variables: Any) -> str:
        facts = {line["name"]: line["value"] for line in cli.lines("config", *arguments, **ours, **variables)}
        return str(facts["cache_dir"])

    def default(**variables: Any) -> str:
        return folder(PLEXINDEX_CACHE_DIR=None, **variables)

    assert folder("--cache-dir", tmp_path / "flag") == str(tmp_path / "flag")
    assert folder() == str(cli.store)
    assert folder(PLEXINDEX_CACHE_DIR="~/mine") == str(tmp_path / "mine")
    former, data = tmp_path / ".cache" / "plexindex", tmp_path / ".local" / "share" / "plexindex"
    former.mkdir(parents=True)
    assert default() == str(former)
    assert f"former default folder {former}: " in cli.run("doctor", "-v", PLEXINDEX_CACHE_DIR=None).stderr
    data.mkdir(parents=True)
    assert default() == str(data)
    assert default(XDG_DATA_HOME=str(tmp_path / "xdg")) == str(former)
    former.rename(tmp_path / "moved")
    assert default(XDG_DATA_HOME=str(tmp_path / "xdg")) == str(tmp_path / "xdg" / "plexindex")
    write_config(cli, f"cache_dir = '{tmp_path}/the store'\n")
    assert default() == str(tmp_path / "the store")
    cli.good("libraries", PLEXINDEX_CACHE_DIR=None, **ours)
    assert stat.S_IMODE((tmp_path / "the store").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("system", "platform", "kind", "folder"),
    [
        ("posix", "linux", "config", "/home/ann/.config/plexindex"),
        ("posix", "linux", "cache", "/home/ann/.cache/plexindex"),
        ("posix", "darwin", "data", "/home/ann/Library/Application Support/plexindex"),
        ("posix", "darwin", "cache", "/home/ann/Library/Caches/plexindex"),
        ("nt", "win32", "config", "/local/plexindex"),
        ("nt", "win32", "cache", "/local/plexindex/Cache"),
    ],
)
@on_unix("the default folder is another")
def test_the_folders_of_each_system(
    monkeypatch: pytest.MonkeyPatch, system: str, platform: str, kind: str, folder: str
) -> None:
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    monkeypatch.setattr(os, "name", system)
    monkeypatch.setattr(sys, "platform", platform)
    assert _config.folder(kind) == folder


def test_a_file_with_unknown_settings_or_of_another_form(cli: Cli, server: Server) -> None:
    path = write_config(cli, f"{own(server)}mapping = '/mnt/media -> /data'\nfrobnicate = 1\n")
    first, second = cli.run("libraries").stderr.splitlines()
    assert f"mapping in {path}; the settings are server_url, " in first
    assert f"frobnicate in {path}" in second
    for broken in (f"token = {TOKEN}\n".encode(), b"\xff\xfe"):
        Path(path).write_bytes(broken)
        cli.fails(2, path, "libraries")


def test_the_size_limit(cli: Cli, ours: dict[str, Any]) -> None:
    cli.good("refresh", "Movies", **ours)
    assert cli.json("stats")["size_limit"] == 0
    write_config(cli, "size_limit = 70_000\n")
    assert cli.json("stats")["size_limit"] == 70_000
    assert cli.json("stats", PLEXINDEX_SIZE_LIMIT="500M")["size_limit"] == 500_000_000
    assert cli.json("stats", "--size-limit", "2G", PLEXINDEX_SIZE_LIMIT="500M")["size_limit"] == 2_000_000_000
    assert " of 70.0 kB allowed, too small by " in cli.run("stats").stdout
    cli.fails(0, "increase size_limit", "doctor", **ours)
    cli.fails(2, "PLEXINDEX_SIZE_LIMIT: 'much'", "stats", PLEXINDEX_SIZE_LIMIT="much")

    for text in ("", "0", "-1", "G", "1.5G", "1GB", "9999999999T", "٣"):
        with pytest.raises(ValueError, match=re.escape(repr(text))):
            _config.parse_size(text)


def test_the_user_is_found_beside_the_token(cli: Cli, ours: dict[str, Any]) -> None:
    def user(*words: str, **variables: Any) -> Any:
        return sources_of(cli, *words, **ours, **variables)["user"]

    path = write_config(cli, "token = 'another'\nuser = 'ann'\n")
    assert user() is None, "the user of the file need not be that of the environment's token"
    assert user(PLEXINDEX_USER="ann") == "PLEXINDEX_USER"
    assert user("--user", "ann", PLEXINDEX_USER="bob") == "--user"
    ours["PLEXINDEX_TOKEN"] = None
    assert user() == f"user in {path}"


@on_unix("the default folder is another")
def test_a_process_in_the_former_folder_loses_nothing(
    cli: Cli, server: Server, row: dict[str, str], tmp_path: Path, ours: dict[str, Any]
) -> None:
    ours["PLEXINDEX_CACHE_DIR"] = None
    former, data = tmp_path / ".cache" / "plexindex", tmp_path / ".local" / "share" / "plexindex"
    former.parent.mkdir()
    with plexindex.open(former, server.url, TOKEN) as older:
        # While the index is in the former folder, newer processes use it too.
        older.library("Movies").record_match("/mnt/one.mkv", row["ratingKey"])
        assert cli.json("match", "/mnt/one.mkv", **ours)["match_kind"] == "confirmed"
        # A new index does not hide what an older process still records: its matches can be moved.
        cli.good("refresh", "--cache-dir", data, **ours)
        older.library("Movies").record_match("/mnt/two.mkv", row["ratingKey"])
    cli.fails(0, f"plexindex --cache-dir {former} matches export | plexindex matches import", "doctor", **ours)
    lines = cli.good("matches", "export", "--cache-dir", former, **ours)
    cli.good("matches", "import", given=lines.encode(), **ours)
    for name in ("one", "two"):
        assert cli.json("match", f"/mnt/{name}.mkv", **ours)["match_kind"] == "confirmed"


def test_a_default_folder_that_cannot_be_made_is_an_error_of_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "file", b"")
    monkeypatch.setenv("PLEXINDEX_CACHE_DIR", str(tmp_path / "file" / "data" / "plexindex"))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(plexindex.StoreError, match="PLEXINDEX_CACHE_DIR"):
        plexindex.open()


def test_several_servers(cli: Cli, tmp_path: Path) -> None:
    here, there = "/media/films/Sintel (2010).mkv", "/media/films/Spring (2019).mkv"
    attic = FakePlex({"Movies": [here], "Shows": ["/media/shows/Pioneer One/Pioneer One - S01E01.mkv"]}, token=TOKEN)
    den = FakePlex({"Movies": [there]}, token=TOKEN)
    tables = f"[servers.attic]\nserver_url = '{attic.url}'\n[servers.den]\nserver_url = '{den.url}'\n"
    tables += "[servers.den.mappings]\n'/mnt/den' = '/media'\n"
    file = write_config(cli, f"token = '{TOKEN}'\n{tables}")
    hosts = there.replace("/media", "/mnt/den", 1)
    # Each answer says which server it is from; one server that has the file is enough.
    first, second = cli.lines("match", here, hosts)
    assert (first["server"], first["item"]["path"], first["confidence"]) == ("attic", here, "high")
    assert (second["server"], second["item"]["path"], second["match_kind"]) == ("den", there, "mapped")
    assert cli.good("match", hosts).endswith(" · mapped, high, server den\n")
    assert cli.run("match", here, hosts).stderr == "2 of 2 paths found: 1 exact, 1 mapped\n"
    assert cli.good("match", "--missing", here, hosts, "--quiet") == ""
    assert [line["server"] for line in cli.lines("match", "/nowhere/x.mkv")] == ["attic", "den"], "none has the file"
    assert cli.fails(1, "(server attic, den)", "match", "/nowhere/x.mkv").count("not found") == 1, "one line for all"
    assert cli.json("match", "--server", "den", "/nowhere/x.mkv")["server"] == "den"
    assert cli.json("match", "-l", "Shows", "/nowhere/x.mkv")["server"] == "attic", "the one that has the library"
    # Other commands, and Python, take one server.
    choose = f"{file} has several servers: choose one of attic, den with --server or PLEXINDEX_SERVER"
    cli.fails(2, choose, "libraries")
    assert len(cli.lines("libraries", "--server", "attic")) == 2
    of_den = (f"server_url of server den in {file}", f"token in {file}")
    assert sources(cli, "--server", "den") == sources(cli, PLEXINDEX_SERVER="den") == of_den
    with pytest.raises(plexindex.InvalidArgumentError, match="choose one of attic, den"):
        _config.find({"config": _config.Setting(file, "")})
    variables: dict[str, Any] = {"PLEXINDEX_SERVER_URL": den.url, "PLEXINDEX_TOKEN": TOKEN}
    assert sources(cli, **variables) == ("PLEXINDEX_SERVER_URL", "PLEXINDEX_TOKEN")
    assert sources(cli, "--server-url", den.url) == ("--server-url", f"token in {file}")
    for code, text, words, given in (
        (2, "has no server 'dan': the servers are attic, den", "libraries --server dan", {}),
        (2, "--server and --server-url both", f"libraries --server den --server-url {den.url}", {}),
        (2, f"only to {den.url}", "libraries --server attic", variables),
    ):
        cli.fails(code, text, *words.split(), **given)
    # The others answer if a server fails.
    den.stop()
    done = cli.run("match", here, PLEXINDEX_CACHE_DIR=str(tmp_path / "new"))
    assert (done.returncode, "server den: " in done.stderr) == (3, True)
    assert done.stdout.endswith(", server attic\n")
    attic.stop()
    cli.fails(3, "127.0.0.1", "match", here, PLEXINDEX_CACHE_DIR=str(tmp_path / "none"))
    for text, why in (
        (f"server_url = '{den.url}'\n{tables}", "move server_url"),
        ("servers = 1\n", "a table for each"),
        (f"{tables}'/a' = 1\n", "mappings in [servers.den]"),
    ):
        write_config(cli, text)
        cli.fails(2, why, "match", here)
    write_config(cli, f"[servers.one]\nserver_url = '{attic.url}'\ntoken = '{TOKEN}'\n")
    attic.start()
    assert cli.json("match", here)["server"] == "one", "the only server needs no choice"
