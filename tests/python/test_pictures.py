"""The pictures in README say what the command says today."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest
from conftest import REPOSITORY

pytestmark = pytest.mark.packaging

PICTURES = REPOSITORY / "docs" / "pictures"


def words(picture: Path) -> str:
    """Without numbers, sizes, times, bars and the name of the file system: they differ from run to run."""
    lines = re.findall(r"<text[^>]*>(.*)</text>", picture.read_text(encoding="utf-8"))
    text = "\n".join(unescape(re.sub(r"<[^>]*>", "", line)) for line in lines)
    text = re.sub(r"[█░]+", "=", re.sub(r"\d[\d,.:]*", "0", text))
    text = re.sub(r"(?m)^  ok +file system: .*$", "", text)
    # A library that is listed at once has no rate.
    text = text.replace(" (0/s)", "")
    text = re.sub(r"0 (?:bytes|[kMGT]B|ms|s)\b|just now|0 (?:min|h|days) ago", "0", text).replace("0 ago", "0")
    # Where lines are broken depends on the numbers, too.
    return " ".join(text.split())


def test_the_pictures_are_current(tmp_path: Path) -> None:
    standin = os.environ.get("PLEXINDEX_STANDIN")
    if not standin:
        pytest.fail("set PLEXINDEX_STANDIN")
    command = [sys.executable, str(REPOSITORY / "scripts" / "make_pictures.py"), standin, str(tmp_path)]
    subprocess.run(command, check=True, timeout=100)
    for made in sorted(tmp_path.glob("*.svg")):
        assert words(made) == words(PICTURES / made.name), f"make {made.name} anew: scripts/make_pictures.py"
    assert {file.name for file in tmp_path.iterdir()} == {"doctor.svg", "warm.svg"}
    for page, picture in (("README.md", "docs/pictures/doctor.svg"), ("docs/command.md", "pictures/warm.svg")):
        assert f"({picture})" in (REPOSITORY / page).read_text(encoding="utf-8")
