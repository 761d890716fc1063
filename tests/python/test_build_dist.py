"""The library is installed, packed and measured with link-time optimisation, and a build without it is refused."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "scripts"))
import build_dist


def small(folder: Path, manifest: str) -> Path:
    """A crate of the library's name, kinds and profiles, and of nothing else: it builds at once."""
    kinds = re.search(r"^\[lib\]\ncrate-type = .*\n", manifest, re.MULTILINE)
    profiles = re.findall(r"^\[profile\.(?:release|dist)\]\n(?:[^\[\n].*\n|\n)*", manifest, re.MULTILINE)
    assert kinds is not None
    assert len(profiles) == 2
    head = '[package]\nname = "plexindex"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n'
    (folder / "src").mkdir(parents=True)
    (folder / "src/lib.rs").write_text("")
    (folder / "Cargo.toml").write_text(head + kinds[0] + "".join(profiles))
    return folder


def test_what_is_installed_is_optimised_at_link_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUSTFLAGS", raising=False)
    monkeypatch.setenv("CARGO_TARGET_DIR", str(tmp_path / "target"))
    manifest = (REPOSITORY / "Cargo.toml").read_text(encoding="utf-8")
    crate = small(tmp_path / "crate", manifest)
    built = build_dist.build(root=crate)
    assert set(built) == {"cdylib", "staticlib"}
    assert built["staticlib"].name == "libplexindex.a"
    assert all(file.is_file() for file in built.values())
    # Twice: what is fresh is found too.
    assert build_dist.build(root=crate) == built


def test_a_build_without_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUSTFLAGS", raising=False)
    monkeypatch.setenv("CARGO_TARGET_DIR", str(tmp_path / "target"))
    manifest = (REPOSITORY / "Cargo.toml").read_text(encoding="utf-8")
    crate = small(tmp_path / "crate", manifest.replace('lto = "fat"', ""))
    with pytest.raises(build_dist.BuildError, match="without link-time optimisation"):
        build_dist.build(root=crate)
    # What cargo does by itself, since the crate is an rlib too.
    whole = small(tmp_path / "whole", manifest)
    line = build_dist.command
    monkeypatch.setattr(build_dist, "command", lambda *_, **__: [word for word in line() if "crate-type" not in word])
    with pytest.raises(build_dist.BuildError, match="without link-time optimisation"):
        build_dist.build(root=whole)


def test_a_build_that_fails_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARGO_TARGET_DIR", str(tmp_path / "target"))
    crate = small(tmp_path / "crate", (REPOSITORY / "Cargo.toml").read_text(encoding="utf-8"))
    (crate / "src/lib.rs").write_text("no Rust")
    with pytest.raises(build_dist.BuildError, match="could not build plexindex"):
        build_dist.build(root=crate)
