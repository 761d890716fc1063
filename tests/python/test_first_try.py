"""The tasks of newcomers, as scripts that use only what README and ``--help`` say, with the package as it is installed.

The fourth, the guide for Stash2Plex, is run by ``test_stash2plex.py``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Server

SCRIPTS = Path(__file__).parent / "first_try"


def run(command: list[str], server: Server, folder: Path, **more: str) -> str:
    """What a script prints, in a folder and an environment of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PLEX", "XDG_"))}
    variables = {**kept, "HOME": str(folder), "PLEXINDEX_URL": server.url, "PLEXINDEX_TOKEN": server.token, **more}
    variables["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{variables['PATH']}"
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done
    assert "Traceback" not in done.stderr
    return done.stdout


def test_a_script_of_a_plexapi_user(server: Server, tmp_path: Path) -> None:
    row = server.paths(1)[0]
    arguments = [server.url, server.token, row["path"], "/nowhere/x.mkv"]
    first, second, third = run(
        [sys.executable, str(SCRIPTS / "plexapi_user.py"), *arguments], server, tmp_path
    ).splitlines()
    assert first.startswith(f"{row['title']} {row['ratingKey']} ['")
    assert second.startswith("not_found no library has a folder above '/nowhere/x.mkv'")
    assert third == "300 films; True True"


@pytest.mark.skipif(shutil.which("plexindex", path=str(Path(sys.executable).parent)) is None, reason="not installed")
def test_at_a_terminal(server: Server, tmp_path: Path) -> None:
    media, rows = tmp_path / "media", server.paths(1)[:20]
    for path in [*(row["path"] for row in rows), "/data/movies/Holiday/beach.mkv"]:
        file = media / path.removeprefix("/data/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    printed = run(["sh", str(SCRIPTS / "terminal.sh")], server, tmp_path, MEDIA=str(media))
    keys = {line for line in (tmp_path / "keys").read_text().splitlines() if line}
    assert keys == {f"/library/metadata/{row['ratingKey']}" for row in rows}
    assert (tmp_path / "missing").read_text() == f"{media}/movies/Holiday/beach.mkv\0"
    assert "\nmissing: 1\n" in printed
    assert f"20 of 21 files match if {media} becomes /data" in printed
    assert "\n1 problem found; 1 mapping proposed\ndoctor: 1\n" in printed
    assert f"emptied {tmp_path}/.cache/plexindex: 420 items of 2 libraries" in printed


def test_a_daemon(server: Server, tmp_path: Path) -> None:
    rows = server.paths(1)[:2]
    files = [*(row["path"] for row in rows), "/nowhere/x.mkv"]
    lines = run([sys.executable, str(SCRIPTS / "daemon.py"), *files], server, tmp_path).splitlines()
    assert lines == [
        "fetched: True and the loop went on: True",
        "{'ok': 2, 'not_found': 1}",
        f"{rows[0]['title']} high exact",
        f"{rows[1]['title']} high exact",
        "None none none",
        "cancelled: CancelledError",
    ]
