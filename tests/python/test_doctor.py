"""`plexindex doctor`: what it finds, what it proposes, and how it ends."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cli import Cli, words_of
from conftest import TOKEN, Server, ServerFactory
from plexindex._cli import check, sample
from plexindex._cli.output import as_argument
from plexindex.testing import FakePlex


@pytest.fixture
def cli(tmp_path: Path, server: Server) -> Cli:
    """The command, with the server and an empty store."""
    return Cli(tmp_path, server)


def plant(tree: Path, server: Server, library: int, folder: str, below: str) -> int:
    """Makes an empty file for each listed path, with another folder in the place of the server's."""
    rows = server.paths(library)
    for row in rows:
        file = tree / below / row["path"][len(folder) :].lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return len(rows)


def test_all_is_well(cli: Cli, server: Server) -> None:
    text = cli.good("doctor")
    for line in (
        f"  ok   {server.url} (from PLEXINDEX_URL) answers, in ",
        "  ok   the token (from PLEXINDEX_TOKEN) is valid: it shows 2 libraries",
        "    1  Movies    movie  –  never fetched  /data/movies",
        f"  ok   {cli.store}: ",
        "  ok   locks work (tested)",
        "nothing is wrong",
    ):
        assert f"\n{line}" in text, line
    assert TOKEN not in text
    assert server.get("stats")["requests"]["listing"] == 0
    values = cli.json("doctor")
    assert (values["exit_code"], values["problems"], values["store"]["locks"]) == (0, [], True)
    assert values["server"]["token_good"] is True
    assert [library["title"] for library in values["libraries"]] == ["Movies", "TV Shows"]


def test_what_is_wrong_with_a_server(cli: Cli, start_server: ServerFactory, tmp_path: Path) -> None:
    done = cli.run("doctor", PLEXINDEX_URL=None, PLEXINDEX_TOKEN=None)
    assert (done.returncode, "BAD  no server is named" in done.stdout) == (2, True)
    done = cli.run("doctor", PLEXINDEX_URL="http://127.0.0.1:1")
    assert (done.returncode, "BAD  http://127.0.0.1:1 (from PLEXINDEX_URL) cannot be asked" in done.stdout) == (3, True)
    assert "1 problem found" in done.stdout
    done = cli.run("doctor", PLEXINDEX_TOKEN="not-this-one")
    assert (done.returncode, "BAD  the token (from PLEXINDEX_TOKEN) is refused" in done.stdout) == (4, True)
    assert "(from PLEXINDEX_URL) answers" in done.stdout
    assert "not-this-one" not in done.stdout
    done = cli.run("doctor", PLEXINDEX_TOKEN=None)
    assert (done.returncode, "BAD  it needs a token" in done.stdout) == (4, True)
    opened = start_server("--movies", "3", "--open")
    text = cli.good("doctor", PLEXINDEX_URL=opened.url, PLEXINDEX_TOKEN=None)
    assert "note no token given, and the server needs none: it shows 1 library" in text
    file = tmp_path / "file"
    file.touch()
    done = cli.run("doctor", "--dir", file)
    assert (done.returncode, "BAD  the folder " in done.stdout) == (5, True)


def test_a_mapping_that_is_missing_is_proposed(cli: Cli, server: Server, tmp_path: Path) -> None:
    tree = tmp_path / "my media"
    movies = plant(tree, server, 1, "/data", "")
    (tree / "movies" / "poster.jpg").touch()
    (tree / "movies" / "Not There (1901).mkv").touch()
    cli.good("warm")
    server.reset()
    done = cli.run("doctor", "--offline", tree)
    assert done.returncode == 1
    assert server.requests() == 0
    assert f"\n  {movies + 1} files in {tree}\n" in done.stdout
    assert f"\n  suffix                  {movies}  99 %  found by the end" in done.stdout
    assert re.search(
        r"\n  not found: no location +1   1 %  in no folder of a library; a mapping may be missing\n", done.stdout
    )
    assert f"not found: no location, for example:\n    {tree / 'movies' / 'Not There (1901).mkv'}" in done.stdout
    assert f"\n  BAD  1 of {movies + 1} files matches no item, or several" in done.stdout
    assert f"\n  try  {movies} of {movies + 1} files match if {tree} becomes /data\n" in done.stdout
    assert "\n       1 file would still not be listed under that path\n" in done.stdout
    assert "\n1 problem found; 1 mapping proposed\n" in done.stdout
    # What it says can be pasted: on the command line, …
    (flags,) = [line for line in done.stdout.splitlines() if line.startswith("    --mapping ")]
    (tree / "movies" / "Not There (1901).mkv").unlink()
    text = cli.good("doctor", "--offline", *words_of(flags), tree)
    assert f"\n  mapped  {movies}  100 %  listed, through a mapping" in text
    assert "Proposed" not in text
    # … in Python, …
    (pairs,) = [line for line in done.stdout.splitlines() if line.startswith("    mappings=[")]
    assert eval(pairs.strip().partition("=")[2]) == [(str(tree), "/data")]  # noqa: S307
    # … and in plexapi's file.
    ini = done.stdout[done.stdout.index("    [plexindex]") :].partition("\n\n")[0]
    config = tmp_path / "config.ini"
    config.write_text("\n".join(line[4:] for line in ini.splitlines()))
    assert "nothing is wrong" in cli.good("doctor", "--offline", tree, PLEXAPI_CONFIG_PATH=str(config))


def test_two_mappings_are_two_proposals(cli: Cli, server: Server, tmp_path: Path) -> None:
    movies = plant(tmp_path, server, 1, "/data/movies", "films")
    episodes = plant(tmp_path, server, 2, "/data/tv", "nas/series")
    cli.good("warm")
    values: dict[str, Any] = cli.json("doctor", "--offline", tmp_path / "films", tmp_path / "nas")
    of = movies + episodes
    # Half of the sample for each folder.
    assert values["files"]["looked_at"] == 250 + episodes < of
    assert [(one["host"], one["server"], one["matched"]) for one in values["proposals"]] == [
        (str(tmp_path / "films"), "/data/movies", 250),
        (str(tmp_path / "nas/series"), "/data/tv", episodes),
    ]


@pytest.mark.parametrize("place", ["D:\\Media\\Films", "\\\\nas\\share\\Films"])
def test_a_server_on_windows(tmp_path: Path, place: str) -> None:
    names = [f"Film {number} (2001)" for number in range(12)]
    tree = tmp_path / "films"
    for name in names:
        file = tree / name / f"{name}.mkv"
        file.parent.mkdir(parents=True)
        file.touch()
    with FakePlex({"Films": [f"{place}\\{name}\\{name}.mkv" for name in names]}) as plex:
        cli = Cli(tmp_path)
        given: dict[str, Any] = {"PLEXINDEX_URL": plex.url, "PLEXINDEX_TOKEN": plex.token}
        cli.good("warm", **given)
        values: dict[str, Any] = cli.json("doctor", "--offline", tree, **given)
        (proposal,) = values["proposals"]
        assert (proposal["matched"], proposal["of"]) == (12, 12)
        # What it says can be pasted.
        done = cli.run("doctor", "--offline", tree, **given)
        (flags,) = [line for line in done.stdout.splitlines() if line.startswith("    --mapping ")]
        text = cli.good("doctor", "--offline", *words_of(flags), tree, **given)
    assert "  mapped  12  100 %  listed, through a mapping" in text


def test_listed_paths_and_standard_input(cli: Cli, server: Server, tmp_path: Path) -> None:
    cli.good("warm")
    paths = [row["path"] for row in server.paths(1)]
    file = tmp_path / "paths.txt"
    file.write_text("\n".join(paths))
    for arguments, given in (((file,), b""), (("-",), file.read_bytes())):
        values = cli.json("doctor", *arguments, given=given)
        assert (values["exit_code"], values["files"]["match_kinds"]["exact"]) == (0, len(paths))
    values = cli.json("doctor", "--sample", "10", file)
    assert values["files"]["looked_at"] == 10
    done = cli.run("doctor", tmp_path / "missing")
    assert (done.returncode, "missing: No such file or directory" in " ".join(done.stdout.split())) == (2, True)
    # What was asked first is said nevertheless.
    assert "ok   the token (from PLEXINDEX_TOKEN) is valid" in done.stdout
    assert cli.run("doctor", "--json", tmp_path / "missing").returncode == 2
    empty = tmp_path / "empty"
    empty.mkdir()
    done = cli.run("doctor", empty)
    assert (done.returncode, "there are no media files" in done.stdout) == (1, True)


def test_libraries_are_fetched_unless_that_is_refused(cli: Cli, server: Server, tmp_path: Path) -> None:
    tree = tmp_path / "media"
    plant(tree, server, 1, "/data", "")
    code, seen = cli.at_terminal("doctor", tree, react=lambda seen: "n\n" if "[Y/n]" in seen else "")
    assert (code, "no library was fetched yet" in seen) == (6, True)
    assert server.get("stats")["requests"]["listing"] == 0
    assert "'Movies', 'TV Shows' were never fetched: fetch now? [Y/n]" in seen
    # All are found, by the end of their paths: a mapping would be surer, and nothing is wrong without it.
    code, seen = cli.at_terminal("doctor", tree, react=lambda seen: "\n" if "[Y/n]" in seen else "", COLUMNS="200")
    assert code == 0
    assert "becomes /data" in seen
    assert "nothing is wrong" in seen
    assert "1 mapping proposed" in seen
    assert "Movies  300 items in " in seen
    assert server.get("stats")["requests"]["listing"] == 2
    # Without a terminal nobody can be asked.
    for given in ((), ("--yes",)):
        cli.good("clear", "--yes")
        assert cli.json("doctor", *given, tree)["proposals"]


def test_a_sample_is_from_all_over_the_tree(tmp_path: Path) -> None:
    for branch in range(10):
        for folder in range(5):
            place = tmp_path / "trunk" / f"branch {branch}" / f"folder {folder}"
            place.mkdir(parents=True)
            for number in range(10 if branch else 200):
                (place / f"{number}.mkv").touch()
    (tmp_path / "trunk" / "branch 1" / "loop").symlink_to(tmp_path / "trunk")
    (tmp_path / "trunk" / ".hidden").mkdir()
    (tmp_path / "trunk" / ".hidden" / "x.mkv").touch()
    (tmp_path / "trunk" / "x.nfo").touch()
    found = sample.of_folder(str(tmp_path), 100, sample.VIDEO)
    assert (len(found.paths), found.found, found.whole) == (100, 1450, True)
    assert found.paths == sorted(set(found.paths))
    branches = {path.decode().split(f"{os.sep}branch ")[1][0] for path in found.paths}
    assert len(branches) >= 8
    assert found.paths == sample.of_folder(str(tmp_path), 100, sample.VIDEO).paths
    everything = sample.of_folder(str(tmp_path), 5000, sample.VIDEO)
    assert len(everything.paths) == 1450
    begun = time.monotonic()
    cut = sample.of_folder(str(tmp_path), 100, sample.VIDEO, seconds=0)
    assert (cut.whole, cut.paths) == (False, [])
    assert time.monotonic() - begun < 5


def test_a_sample_of_a_list_is_from_all_over_it() -> None:
    paths = [b"%d" % number for number in range(1000)]
    found = sample.of_list(paths, 10)
    assert found.paths == paths[::100]
    assert sample.of_list(paths[:3], 10).paths == paths[:3]


def test_a_mapping_that_fits_no_folder_of_plex_is_named(cli: Cli, server: Server, tmp_path: Path) -> None:
    tree = tmp_path / "media"
    plant(tree, server, 1, "/data", "")
    cli.good("warm")
    swapped = cli.run("doctor", "--offline", "--mapping", f"/data -> {tree}", tree)
    assert swapped.returncode == 1
    assert f"  BAD  the mapping /data -> {tree} is swapped: /data is a folder of Plex's" in swapped.stdout
    assert f"try --mapping {as_argument(f'{tree} -> /data')}" in " ".join(swapped.stdout.split())
    misspelt = cli.run("doctor", "--offline", "--mapping", f"{tree}s -> /data", tree)
    assert f"note the mapping {tree}s -> /data: there is no folder {tree}s on this machine" in misspelt.stdout
    wrong = cli.run("doctor", "--offline", "--mapping", f"{tree} -> /elsewhere", tree)
    assert f"  note the mapping {tree} -> /elsewhere fits no folder of Plex's libraries, which are " in wrong.stdout
    assert "/data/movies" in wrong.stdout
    for right in (f"{tree} -> /data", f"{tree}/movies -> /data/movies", f"{tree}/movies/A -> /data/movies/A"):
        assert "fits no folder" not in cli.run("doctor", "--offline", "--mapping", right, tree).stdout
    # Its second rule is unknown to Plex as well, and the first fits.
    both = cli.run("doctor", "--offline", "--mapping", f"{tree} -> /data", "--mapping", "/x -> /y", tree)
    assert both.stdout.count("fits no folder") == 1


def test_what_a_refused_token_prevents_is_no_problem_of_its_own(cli: Cli, server: Server, tmp_path: Path) -> None:
    plant(tmp_path, server, 1, "/data", "")
    done = cli.run("doctor", tmp_path / "movies", PLEXINDEX_TOKEN="another")
    assert "1 problem found" in done.stdout
    assert "note no library was fetched yet, so nothing can match\n" in done.stdout


def test_a_few_files_that_plex_does_not_list_yet_are_no_problem(cli: Cli, server: Server, tmp_path: Path) -> None:
    movies = plant(tmp_path, server, 1, "/data", "")
    (tmp_path / "movies" / "New Film (2024).mkv").write_text("new")
    (tmp_path / "movies" / "New Film (2024).srt").write_text("new")
    cli.good("warm")
    mapping = ("--mapping", f"{tmp_path / 'movies'} -> /data/movies")
    text = cli.good("doctor", "--offline", *mapping, tmp_path / "movies")
    assert "  note 1 file is not listed by Plex (yet): `plexindex diff` says why" in text
    assert "nothing is wrong" in text
    # Where most are not, something is wrong.
    for number in range(movies):
        (tmp_path / "movies" / f"Newer {number} (2024).mkv").write_text("new")
    done = cli.run("doctor", "--offline", *mapping, tmp_path / "movies")
    assert (done.returncode, "BAD  " in done.stdout) == (1, True)


def test_what_plex_never_lists_is_explained(cli: Cli, server: Server, tmp_path: Path) -> None:
    plant(tmp_path, server, 1, "/data", "")
    cli.good("warm")
    paths = [tmp_path / "movies" / name for name in ("A (2001)/A (2001).srt", "A (2001)/poster.jpg")]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    listed = "".join(f"{path}\n" for path in paths)
    text = cli.run("doctor", "--offline", "--mapping", f"{tmp_path} -> /data", "-", given=listed.encode()).stdout
    assert re.search(r"\n  never listed +2 +100 %  subtitles, pictures, disc images and the like\n", text), text


def test_a_mapping_that_leads_to_the_wrong_folder_is_a_problem(cli: Cli, server: Server, tmp_path: Path) -> None:
    tree = tmp_path / "media"
    movies, episodes = plant(tree, server, 1, "/data", ""), plant(tree, server, 2, "/data", "")
    for file in [one for one in tree.rglob("*") if one.is_file()]:
        file.write_text("x")
    cli.good("warm")
    right = f"--mapping {as_argument(f'{tree} -> /data')} in its place"
    deep = cli.run("doctor", "--offline", "--mapping", f"{tree}=/data/movies", tree)
    text = " ".join(deep.stdout.split())
    of = movies + episodes
    assert f"BAD the mapping {tree} -> /data/movies is wrong: Plex lists 0 of its {of} files under that path" in text
    assert f"and {of} with {right}" in text
    assert "1 problem found; 1 mapping proposed" in text
    assert deep.returncode == 1
    hint = cli.run("diff", "--offline", "--mapping", f"{tree}=/data/movies", tree)
    assert right in " ".join(hint.stderr.split())
    # Movies and shows in each other's place.
    crossed = ("--mapping", f"{tree}/movies=/data/tv", "--mapping", f"{tree}/tv=/data/movies")
    done = cli.run("doctor", "--offline", *crossed, tree)
    assert (done.returncode, " ".join(done.stdout.split()).count(right)) == (1, 2)
    assert right in " ".join(cli.run("diff", "--offline", *crossed, tree).stderr.split())
    # The server's folder is right, and the host's does not exist.
    misspelt = cli.run("doctor", "--offline", "--mapping", f"{tree}s -> /data", tree)
    wrong = f"BAD the mapping {tree}s -> /data is wrong: there is no folder {tree}s; try --mapping "
    assert f"{wrong}{as_argument(f'{tree} -> /data')}" in " ".join(misspelt.stdout.split())
    assert misspelt.returncode == 1


def test_a_silent_server_is_named_as_silent(cli: Cli, server: Server) -> None:
    cli.good("warm")
    server.fault(action="delay", ms=60000, count=0)
    assert check.PATIENCE == 15
    code = "import sys; from plexindex._cli import check, main; check.PATIENCE = 1; sys.exit(main())"

    def ask(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, *words]
        return subprocess.run(command, env=cli.environment, capture_output=True, text=True, check=False, timeout=20)

    done = ask("doctor")
    assert "gave no answer within 1 s: is it a Plex server, and is it busy?" in " ".join(done.stdout.split())
    assert (done.returncode, "deadline" in done.stdout) == (3, False)
    done = ask("changes", "--check")
    assert (done.returncode, "gave no answer within 1 s: changes of the last" in done.stderr) == (3, True), done


def test_a_mapping_that_serves_other_folders_is_not_called_wrong(cli: Cli, server: Server, tmp_path: Path) -> None:
    tree = tmp_path / "media"
    plant(tree, server, 1, "/data", "")
    copies = [row["path"].replace("/data/tv", "backup", 1) for row in server.paths(2)]
    for file in [tree / one for one in copies] + [one for one in tree.rglob("*") if one.is_file()]:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
    cli.good("warm")
    for command in ("doctor", "diff"):
        done = cli.run(command, "--offline", "--mapping", f"{tree}=/data", tree / "backup")
        assert "-> /data is wrong" not in " ".join((done.stdout + done.stderr).split())


def test_what_plex_leaves_out_is_counted_by_neither_command(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "media/New (2020)"
    folder.mkdir(parents=True)
    for name in ("New.mkv", "sample.mkv"):
        (folder / name).write_text("x")
    cli.good("warm")
    mapping = ("--offline", "--mapping", f"{tmp_path / 'media'} -> /data/movies", tmp_path / "media")
    assert "1 not in Plex, 1 left out" in " ".join(cli.run("diff", *mapping).stderr.split())
    done = cli.run("doctor", *mapping)
    assert "1 of 1 file matches no item, or several" in " ".join(done.stdout.split()), done.stdout
