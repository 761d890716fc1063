"""`plexindex doctor`: what it finds, what it proposes, and its exit codes."""

from __future__ import annotations

import base64
import json
import re
import shlex
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from cli import Cli
from conftest import TOKEN, Server, ServerFactory, types_at_terminal
from disk import make, set_size
from plexindex._cli import doctor
from plexindex.testing import FakePlex


def plant(tree: Path, server: Server, library: int, folder: str = "/data", below: str = "") -> int:
    """Creates a file for each listed path, with another folder instead of the server's. Returns their number."""
    rows = server.paths(library)
    for row in rows:
        set_size(make(tree / below / row["path"][len(folder) :].lstrip("/")), row["size"])
    return len(rows)


def proposed(text: str) -> list[tuple[str, str]]:
    """The mappings that the doctor proposes for Python."""
    (pairs,) = [line for line in text.splitlines() if line.startswith("    mappings=[")]
    return eval(pairs.strip().partition("=")[2])  # type: ignore[no-any-return]  # noqa: S307


def test_nothing_is_wrong(cli: Cli, server: Server) -> None:
    text = cli.good("doctor")
    for line in (
        f"  ok   {server.url} (from PLEXINDEX_SERVER_URL) responds in ",
        "  ok   the token (from PLEXINDEX_TOKEN) is valid: the server shows 2 libraries",
        "  1  Movies    movie  –  never fetched  /data/movies",
        f"  ok   {cli.store}: ",
        "  ok   locks work (tested)",
        "no problems found",
    ):
        assert f"\n{line}" in text
    assert TOKEN not in text
    assert server.get("stats")["requests"]["listing"] == 0
    assert cli.good("doctor", "-q") == ""
    values = cli.json("doctor")
    assert values["exit_code"] == 0
    assert values["problems"] == []
    assert {"mark": "ok", "text": "locks work (tested)"} in values["findings"]


def test_a_server_without_a_token(cli: Cli, start_server: ServerFactory) -> None:
    opened = start_server("--movies", "3", "--open")
    cli.fails(0, "note no token was given", "doctor", PLEXINDEX_SERVER_URL=opened.url, PLEXINDEX_TOKEN=None)


def test_a_missing_mapping_is_proposed(cli: Cli, server: Server, tmp_path: Path) -> None:
    tree = tmp_path / "my media"
    movies = plant(tree, server, 1)
    (tree / "movies" / "poster.jpg").touch()
    lost = tree / "movies" / "Not There (1901).mkv"
    lost.touch()
    cli.good("refresh")
    server.reset()
    text = cli.run("doctor", "--offline", tree).stdout
    assert server.requests() == 0
    certain = f"certain: {movies} files have the size that Plex lists"
    for line in (
        f"  suffix                  {movies}  99 %  ",
        f"  {movies} of {movies + 1} files certain without a mapping",
        f"  not found: no location, for example:\n    {lost}",
        f"  try  {movies} of {movies + 1} files match if {tree}/movies becomes /data/movies; {certain}\n",
        "1 problem found; 1 mapping proposed\n",
    ):
        assert f"\n{line}" in text
    # Users can paste the proposals, in Python, on the command line and in the configuration file.
    lost.unlink()
    assert proposed(text) == [(f"{tree}/movies", "/data/movies")]
    option = shlex.split(text[text.index("    --mapping") :].partition("\n")[0])
    mapped = cli.good("doctor", "--offline", *option, tree)
    assert f"\n  with the mapping {tree}/movies -> /data/movies\n" in mapped
    assert f"\n  mapped  {movies}  100 %  " in mapped
    config = tmp_path / "config.toml"
    config.write_text(text[text.index("    [mappings]") :].partition("\n\n")[0])
    assert "no problems found" in cli.good("doctor", "--offline", tree, "--config", config)


def test_each_folder_has_its_part_of_the_sample(cli: Cli, server: Server, tmp_path: Path) -> None:
    plant(tmp_path, server, 1, "/data/movies", "films")
    episodes = plant(tmp_path, server, 2, "/data/tv", "nas/series")
    cli.good("refresh")
    values: dict[str, Any] = cli.json("doctor", "--offline", tmp_path / "films", tmp_path / "nas")
    assert [one["matched"] for one in values["proposals"]] == [250, episodes]


@pytest.mark.parametrize("folder", ["D:\\Media\\Films", "\\\\nas\\share\\Films"])
def test_a_server_on_windows(tmp_path: Path, folder: str) -> None:
    names = [f"Film {number} (2001)" for number in range(12)]
    sizes = {f"{folder}\\{name}\\{name}.mkv": pow(7, 9 + number, 4_000_000_007) for number, name in enumerate(names)}
    for name, size in zip(names, sizes.values()):
        set_size(make(tmp_path / "films" / name / f"{name}.mkv"), size)
    with FakePlex({"Films": list(sizes)}, sizes=sizes) as plex:
        cli = Cli(tmp_path, plex)
        cli.good("refresh")
        ((host, server),) = proposed(cli.run("doctor", "--offline", tmp_path / "films").stdout)
        text = cli.good("doctor", "--offline", "--mapping", f"{host} -> {server}", tmp_path / "films")
    assert "  mapped  12  100 %  " in text


def test_lists_of_paths(cli: Cli, server: Server, tmp_path: Path) -> None:
    cli.good("refresh")
    paths = [row["path"] for row in server.paths(1)]
    given = "\n".join(paths).encode()
    assert re.search(rf"\n  exact +{len(paths)} +100 %", cli.good("doctor", "-", given=given))
    text = cli.good("doctor", "--sample", "10", "-", given=given)
    assert f"\n  a sample of 10 of {len(paths)} files in the list on standard input\n" in text
    assert "ok the token" in cli.fails(2, str(tmp_path / "missing"), "doctor", tmp_path / "missing")
    cli.fails(1, "standard input", "doctor", "-")


@types_at_terminal
def test_libraries_are_fetched_after_confirmation(cli: Cli, server: Server, tmp_path: Path) -> None:
    tree = tmp_path / "media"
    plant(tree, server, 1)
    cli.fails(4, "1 problem found", "doctor", tree, PLEXINDEX_TOKEN="another")
    code, _ = cli.at_terminal("doctor", tree, react=lambda seen: "n\n" if "[Y/n]" in seen else "")
    assert code == 6
    assert server.get("stats")["requests"]["listing"] == 0
    code, seen = cli.at_terminal("doctor", tree, react=lambda seen: "\n" if "[Y/n]" in seen else "", NO_COLOR="1")
    # The end of each path is enough. A mapping would be more reliable, but doctor finds no problem without one.
    assert "no problems found; 1 mapping proposed" in " ".join(seen.split())
    assert server.get("stats")["requests"]["listing"] == 3
    # Without a terminal, doctor fetches.
    cli.good("clear", "--yes")
    assert cli.json("doctor", tree)["proposals"]


def test_a_sample_is_from_all_over_the_tree(
    cli: Cli, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, server, 1, "/data", "media")
    (tmp_path / "media" / "loop").symlink_to(tmp_path / "media")
    make(tmp_path / "media" / ".hidden" / "x.mkv")
    cli.good("refresh")
    assert "\n  300 files in " in cli.run("doctor", "--offline", tmp_path).stdout
    assert "a sample of 30 of 300 files" in cli.run("doctor", "--offline", "--sample", "30", tmp_path).stdout
    monkeypatch.setattr(doctor, "_MAX_SECONDS", 0.0)
    assert " is large: " in cli.run("doctor", "--offline", tmp_path).stdout
    paths = [b"%d" % number for number in range(1000)]
    assert doctor._sample(paths, 10) == paths[::100]
    assert doctor._sample(paths[:3], 10) == paths[:3]


def test_a_mapping_that_fits_no_folder_of_plex(cli: Cli, server: Server, tmp_path: Path) -> None:
    tree = tmp_path / "media"
    plant(tree, server, 1)
    cli.good("refresh")
    for mapping, text in (
        (f"/data -> {tree}", f"is swapped: /data is Plex's folder; try {tree} -> /data"),
        (f"{tree} -> /elsewhere", "matches no folder in Plex's libraries: "),
    ):
        cli.fails(1, f"the mapping {mapping} {text}", "doctor", "--offline", "--mapping", mapping, tree)
    mapping = f"{tree}/movies/A -> /data/movies/A"
    assert "matches no folder" not in cli.run("doctor", "--offline", "--mapping", mapping, tree).stdout


def test_a_mapping_that_leads_to_the_wrong_folder(cli: Cli, server: Server, tmp_path: Path) -> None:
    tree = tmp_path / "media"
    movies = plant(tree, server, 1)
    total = movies + plant(tree, server, 2)
    cli.good("refresh")
    none, put = (
        "BAD Plex lists none of {} files under the mapping {}, which applies first: put ",
        f"{tree} -> /data before",
    )
    text = none.format(total, f"{tree} -> /data/movies") + put
    assert "; 1 mapping proposed" in cli.fails(
        1, text, "doctor", "--offline", "--mapping", f"{tree}=/data/movies", tree
    )
    # Movies and shows swapped.
    crossed = ("--offline", "--mapping", f"{tree}/movies=/data/tv", "--mapping", f"{tree}/tv=/data/movies", tree)
    assert cli.fails(1, none.format(movies, f"{tree}/movies -> /data/tv") + put, "doctor", *crossed).count(put) == 2
    # A mapping under which some files are listed stays, and one whose files Plex does not list anywhere.
    backup = make(tree / "backup" / "x.mkv").parent
    for mapping in (f"{tree}=/data", f"{backup}=/data/backup"):
        kept = cli.run("doctor", "--offline", "--mapping", mapping, backup, tree)
        assert "applies first" not in kept.stdout


def test_files_that_plex_does_not_list(cli: Cli, server: Server, tmp_path: Path) -> None:
    movies = plant(tmp_path, server, 1)
    folder = tmp_path / "movies"
    for name in ("New Film (2024).mkv", "New Film (2024).srt", "poster.jpg", "sample.mkv"):
        (folder / name).write_text("new")
    cli.good("refresh")
    words = ("--offline", "--mapping", f"{folder} -> /data/movies", folder)
    assert "left out 1 " in cli.fails(0, "note 1 file is not listed by Plex yet", "doctor", *words)
    for number in range(movies):
        (folder / f"Newer {number} (2024).mkv").write_text("new")
    cli.fails(1, "match no item, or several", "doctor", *words)
    listed = "".join(f"{folder}/{name}\n" for name in ("New Film (2024).srt", "poster.jpg"))
    text = cli.run("doctor", *words[:-1], "-", given=listed.encode()).stdout
    assert re.search(r"\n  never listed +2 +100 %  files such as subtitles", text)


def jwt(expires: float, **claims: object) -> str:
    """A token as plex.tv issues it, except for the signature."""
    payload = {"aud": ["plex.tv"], "exp": expires, "thumbprint": "of a key pair", **claims}
    parts: list[Any] = [{"alg": "EdDSA"}, payload, "signature"]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)


def test_the_expiry_and_the_owner_of_a_token(cli: Cli, server: Server) -> None:
    asked = urllib.request.Request(f"{server.url}/identity", headers={"Accept": "application/json"})
    with urllib.request.urlopen(asked) as answer:
        identity = json.load(answer)["MediaContainer"]["machineIdentifier"]
    week, now = 7 * 24 * 3600, int(time.time())
    for text, token in {
        "ok the token expires in 7 days, on ": jwt(now + week, username="ann"),
        "note the token expires in 2 h": jwt(now + 7200, username="ann"),
        "note the token does not contain its user's name": jwt(now + week),
        "note this is the server's own token": jwt(now + week, username="ann", aud=["plex.tv", identity]),
    }.items():
        server.post("tokens", {"tokens": [{"token": token}]})
        printed = cli.fails(0, text, "doctor", PLEXINDEX_TOKEN=token)
        assert printed.count("note") == text.count("note")
        assert token not in printed
    server.post("tokens", {"tokens": [{"token": TOKEN}, {"token": token, "expired": True}]})
    assert "the token expire" not in cli.good("doctor")
    cli.fails(4, "498", "doctor", PLEXINDEX_TOKEN=token)


def test_the_servers_own_token_is_in_its_preferences(tmp_path: Path) -> None:
    media = tmp_path / "Plex Media Server"
    databases = media / "Plug-in Support" / "Databases"
    databases.mkdir(parents=True)
    (media / "Preferences.xml").write_text('<?xml version="1.0"?>\n<Preferences PlexOnlineToken="its-own" Other="x"/>')
    for place in (media, databases, databases / "com.plexapp.plugins.library.db"):
        assert doctor.is_in_preferences("its-own", str(place))
        assert not doctor.is_in_preferences("another", str(place))
    assert not doctor.is_in_preferences("its-own", str(tmp_path))
    assert not doctor.is_in_preferences("its-own", None)


@pytest.mark.parametrize("token", ["", "a.b.c", "a.bnVsbA.c", "one", "....", "a.!!!!.c"])
def test_odd_tokens_have_no_claims(token: str) -> None:
    assert doctor.claims_of(token) == {}
