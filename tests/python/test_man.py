"""The man page is what `make man` generates from the command."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from conftest import REPOSITORY

PAGE = REPOSITORY / "docs/plexindex.1"


def test_the_page_is_what_the_command_says() -> None:
    done = subprocess.run(
        [sys.executable, REPOSITORY / "scripts/make_man.py"], capture_output=True, text=True, check=True
    )
    assert done.stdout == PAGE.read_text("utf-8"), "run `make man`"


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
def test_the_page_is_well_formed() -> None:
    done = subprocess.run(["mandoc", "-Tlint", "-Werror", str(PAGE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
