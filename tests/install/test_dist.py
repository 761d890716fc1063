"""What `make dist` makes: an archive that gives the same bytes again, and builds without a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
import archives
import build_dist
import make_dist

pytestmark = pytest.mark.packaging

FILES = {"b": (b"text\n", False), "a/run": (b"#!/bin/sh\n", True)}


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    for name, files in (("one", FILES), ("two", dict(reversed(FILES.items())))):
        archives.pack(files, "plexindex-0", 1_700_000_000, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    with tarfile.open(tmp_path / "one") as archive:
        found = [(file.name, file.mode, file.mtime, file.uid) for file in archive]
    assert found == [
        ("plexindex-0/a/run", 0o755, 1_700_000_000, 0),
        ("plexindex-0/b", 0o644, 1_700_000_000, 0),
    ]


def test_cargo_needs_no_network(tmp_path: Path) -> None:
    if shutil.which("git") is None or not (build_dist.ROOT / ".git").exists():
        pytest.skip("it packs a commit of a checkout")
    for path, (content, _) in make_dist.contents().items():
        assert not path.endswith(make_dist.BINARIES)
        file = tmp_path / "sources" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    # A home without crates, and without another source for them.
    cargo = {**os.environ, "CARGO_HOME": str(tmp_path / "home")}
    command = [build_dist.find_cargo(), "metadata", "--frozen", "--format-version=1"]
    done = subprocess.run(command, cwd=tmp_path / "sources", env=cargo, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "sources/vendor/rusqlite-") in done.stdout
