"""What only Windows has: drives and its encodings. Run under wine: `make test-windows`."""

from __future__ import annotations

import os
from pathlib import Path

import plexindex
import pytest
from cli import Cli
from conftest import Server, ServerFactory
from disk import serve

pytestmark = pytest.mark.skipif(os.name != "nt", reason="for Windows")


def test_output_to_a_pipe_is_utf_8_in_any_code_page(server: Server, cli: Cli) -> None:
    server.post("items/add", {"library": 1, "items": [{"title": "\u4e03\u4eba", "files": ["/data/movies/\u4e03.mkv"]}]})
    for encoding in ("cp1252", "cp850", "ascii"):
        said = cli.good("match", "/data/movies/\u4e03.mkv", PYTHONIOENCODING=encoding, PYTHONUTF8="0")
        assert said.startswith("/data/movies/\u4e03.mkv\n  \u4e03\u4eba · Movies")


def test_a_path_object_may_name_a_file_of_another_system(index: plexindex.Index, server: Server) -> None:
    path = Path(server.paths()[0]["path"])
    assert str(path).startswith("\\data")
    assert index.library("Movies").match(path).match_kind == "exact"
    assert {answer.match_kind for answer in index.library("Movies").match_paths([path, path.as_posix()])} == {"exact"}


@pytest.mark.parametrize("root", [r"D:\Media\Films", r"\\nas\share\Films"])
def test_drives_and_shares_as_arguments(start_server: ServerFactory, tmp_path: Path, root: str) -> None:
    path = rf"{root}\Alpha (2001)\Alpha (2001).mkv"
    cli = Cli(tmp_path, serve(tmp_path, start_server, ([Path(root)], [Path(path)])))
    for one in (path, path.lower(), path.replace("\\", "/")):
        assert "exact, high" in cli.good("match", one)
    assert "mapped, high" in cli.good("match", "--mapping", f"M:\\={root}", r"m:\Alpha (2001)\Alpha (2001).mkv")


def test_names_that_utf_16_has_and_utf_8_lacks(index: plexindex.Index) -> None:
    # Windows allows half a character in a name.
    assert index.library("Movies").match("/data/movies/\ud800.mkv").asked == "/data/movies/\ud800.mkv"
    assert index.library("Movies").match(b"/data/movies/\xff.mkv").asked == "/data/movies/\udcff.mkv"


def test_a_long_form_of_a_folder_is_that_folder(cli: Cli, tmp_path: Path) -> None:
    media = tmp_path / "media"
    media.mkdir()
    rule = ("--mapping", f"{media} -> /data/movies")
    said = cli.run("diff", *rule, media).stdout
    assert said == cli.run("diff", *rule, rf"\\?\{media}").stdout
    assert "no library" not in said


def test_the_reason_of_an_unreadable_folder_is_windows_own(cli: Cli, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    assert "No such process" not in cli.run("diff", "--mapping", f"{gone} -> /data/movies", gone).stdout
