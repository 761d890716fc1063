"""The library is installed, packed and measured with link-time optimisation, and a build without it is refused."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "scripts"))
import build_dist

pytestmark = pytest.mark.packaging


def small(folder: Path, manifest: str, more: str = "") -> Path:
    """A crate of the library's name, kinds, `more` of them, and profiles, and of nothing else: it builds at once."""
    library = (REPOSITORY / "bindings/c/Cargo.toml").read_text(encoding="utf-8")
    kinds = re.search(r"^\[lib\]\nname = .*\ncrate-type = .*(?=\]\n)", library, re.MULTILINE)
    profiles = re.findall(r"^\[profile\.(?:release|dist)\]\n(?:[^\[\n].*\n|\n)*", manifest, re.MULTILINE)
    assert kinds is not None
    assert len(profiles) == 2
    head = '[package]\nname = "plexindex-capi"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n'
    (folder / "src").mkdir(parents=True)
    (folder / "src/lib.rs").write_text("")
    (folder / "Cargo.toml").write_text(f"{head}{kinds[0]}{more}]\n{''.join(profiles)}")
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


def test_a_dependent_builds_no_library_for_c_and_no_header() -> None:
    command = ["cargo", "metadata", "--offline", "--no-deps", "--format-version=1"]
    said = json.loads(subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE).stdout)
    packages = {package["name"]: package for package in said["packages"]}
    kinds = {name: {kind for one in packages[name]["targets"] for kind in one["kind"]} for name in packages}
    assert kinds["plexindex"].isdisjoint({"cdylib", "staticlib", "custom-build"})
    assert "build" not in {dependency["kind"] for dependency in packages["plexindex"]["dependencies"]}
    # `cargo build` makes the library all the same.
    assert {"cdylib", "staticlib"} <= kinds["plexindex-capi"]
    assert packages["plexindex-capi"]["id"] in said["workspace_default_members"]


def test_a_build_without_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUSTFLAGS", raising=False)
    monkeypatch.setenv("CARGO_TARGET_DIR", str(tmp_path / "target"))
    manifest = (REPOSITORY / "Cargo.toml").read_text(encoding="utf-8")
    crate = small(tmp_path / "crate", manifest.replace('lto = "fat"', ""))
    with pytest.raises(build_dist.BuildError, match="without link-time optimisation"):
        build_dist.build(root=crate)
    # What cargo does by itself for a crate that is an rlib too.
    whole = small(tmp_path / "whole", manifest, ', "rlib"')
    line = build_dist.command
    monkeypatch.setattr(build_dist, "command", lambda *_, **__: [word for word in line() if "crate-type" not in word])
    with pytest.raises(build_dist.BuildError, match="without link-time optimisation"):
        build_dist.build(root=whole)


def test_what_is_installed_names_no_folder_of_the_builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"):
        monkeypatch.delenv(name, raising=False)
    # The builder has flags too, which hold besides.
    monkeypatch.setenv("CARGO_BUILD_RUSTFLAGS", "--cfg=builders")
    monkeypatch.setenv("CARGO_TARGET_DIR", str(tmp_path / "target"))
    home = tmp_path / "Ann's home" / ".cargo"
    monkeypatch.setenv("RUSTUP_HOME", os.environ.get("RUSTUP_HOME") or str(Path.home() / ".rustup"))
    monkeypatch.setenv("CARGO_HOME", str(home))
    manifest = (REPOSITORY / "Cargo.toml").read_text(encoding="utf-8")
    crate = small(tmp_path / "crate", manifest)
    # As crates of the registry lie there, and with what the text of a panic names.
    for folder, name in ((home / "registry/src", "far"), (crate / "vendored", "near")):
        (folder / name / "src").mkdir(parents=True)
        (folder / name / "src/lib.rs").write_text('#[inline(never)]\npub fn at(n: usize) -> u8 { b"abc"[n] }\n')
        (folder / name / "Cargo.toml").write_text(f'[package]\nname = "{name}"\nversion = "0.0.0"\nedition = "2024"\n')
    with (crate / "Cargo.toml").open("a") as more:
        more.write(f'[dependencies]\nfar.path = "{home}/registry/src/far"\nnear.path = "vendored/near"\n')
    (crate / "src/lib.rs").write_text(
        '#[cfg(builders)] #[unsafe(no_mangle)] pub extern "C" fn at(n: usize) -> u8 { far::at(n) + near::at(n) }'
    )
    for kind, file in build_dist.build(root=crate).items():
        held = file.read_bytes()
        assert b"cargo/registry/src/far/src/lib.rs" in held, kind
        assert b"vendored/near/src/lib.rs" in held, kind
        assert os.fsencode(tmp_path) not in held, kind
        assert os.fsencode(Path.home()) not in held, kind


def test_a_build_that_fails_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARGO_TARGET_DIR", str(tmp_path / "target"))
    crate = small(tmp_path / "crate", (REPOSITORY / "Cargo.toml").read_text(encoding="utf-8"))
    (crate / "src/lib.rs").write_text("no Rust")
    with pytest.raises(build_dist.BuildError, match="could not build plexindex"):
        build_dist.build(root=crate)
