"""The packages for other languages: what is in them, and that the same sources give the same bytes."""

from __future__ import annotations

import json
import re
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "scripts"))
import licences
import make_packages
import make_release
import pack
from install import version
from make_packages import ADDRESS

pytestmark = pytest.mark.packaging

TEXTS = {"LICENSE-MIT", "LICENSE-APACHE"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(licences, "text", lambda triple, libraries: f"the crates of {libraries} for {triple}\n")


def libraries(folder: Path) -> dict[str, Path]:
    made = {}
    for name in make_packages.PLATFORMS:
        made[name] = folder / f"{name}.so"
        made[name].write_text(name)
    return made


def manifest(folder: Path) -> dict[str, object]:
    read: dict[str, object] = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    return read


def test_npm(tmp_path: Path) -> None:
    main, *others = make_packages.npm(libraries(tmp_path), make_packages.fresh(tmp_path / "npm"))
    about = manifest(main)
    assert about["platforms"] == list(make_packages.PLATFORMS)
    assert about["version"] == version()
    # Nobody may be made to install what is not published.
    assert "optionalDependencies" not in about
    assert "devDependencies" not in about
    assert not (main / "test").exists()
    assert {file.name for file in main.iterdir()} >= TEXTS
    assert [manifest(one)["name"] for one in others] == [f"@plexindex/{name}" for name in make_packages.PLATFORMS]
    for name, one in zip(make_packages.PLATFORMS, others):
        about = manifest(one)
        assert (one / str(about["main"])).read_text() == name
        assert make_packages.PLATFORMS[name].triple in (one / "THIRD-PARTY").read_text()
        assert {file.name for file in one.iterdir()} >= TEXTS
        system, processor, *libc = name.split("-")
        assert (about["os"], about["cpu"]) == ([system], [processor])
        assert about.get("libc", []) == [{"gnu": "glibc", "musl": "musl"}[one] for one in libc]


def test_npm_when_it_is_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBLISHED", "1")
    main, *others = make_packages.npm(libraries(tmp_path), make_packages.fresh(tmp_path / "npm"))
    assert manifest(main)["optionalDependencies"] == {
        str(manifest(one)["name"]): manifest(one)["version"] for one in others
    }


def test_all_packages_name_one_address(tmp_path: Path) -> None:
    for package in make_packages.npm(libraries(tmp_path), make_packages.fresh(tmp_path / "npm")):
        about = manifest(package)
        repository = about["repository"]
        assert isinstance(repository, dict)
        assert (about["homepage"], repository["url"]) == (ADDRESS, f"git+{ADDRESS}.git")
    texts = {
        "bindings/ruby/plexindex.gemspec": f'spec.homepage = "{ADDRESS}"\n',
        "bindings/go/go.mod": f"module {make_release.MODULE}\n",
    }
    for name, text in texts.items():
        assert text in (REPOSITORY / name).read_text(encoding="utf-8"), name
    # Each other file that names a repository of this organisation names this one.
    for pattern in (
        "Cargo.toml",
        "bindings/*/pyproject.toml",
        "bindings/*/*.csproj",
        "bindings/*/pom.xml",
        "bindings/lua/**/*.rockspec",
    ):
        for file in REPOSITORY.glob(pattern):
            found = re.findall(r"https://github\.com/[\w./-]+", file.read_text(encoding="utf-8"))
            assert [url for url in found if not url.startswith(ADDRESS)] == [], file


def test_csharp(tmp_path: Path) -> None:
    (folder,) = make_packages.csharp(libraries(tmp_path), make_packages.fresh(tmp_path / "csharp"))
    sources = {file.name for file in (REPOSITORY / "bindings" / "csharp").glob("*.cs")}
    assert {file.name for file in folder.glob("*.cs")} == sources > {"PlexIndex.cs"}
    rids = {file.parent.parent.name: file.read_text() for file in folder.glob("runtimes/*/native/libplexindex.so")}
    assert rids == {one.rid: name for name, one in make_packages.PLATFORMS.items() if one.rid}
    assert len([*folder.glob("runtimes/*/native/THIRD-PARTY")]) == len(rids)
    assert {file.name for file in folder.iterdir()} >= {*TEXTS, "Plexindex.csproj", "README.md"}


def test_a_go_module_has_the_licences_of_all_its_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The first two have the same crates.
    texts = {"x86_64-unknown-linux-gnu": "a", "aarch64-unknown-linux-gnu": "a", "armv7-unknown-linux-gnueabihf": "b"}
    monkeypatch.setattr(licences, "text", lambda triple, _: f"crates {texts[triple]}\n")
    archive = tmp_path / "libplexindex.a"
    archive.write_bytes(b"!<arch>\n")
    made = []
    for order in (list(texts), list(reversed(texts))):
        folder = make_packages.fresh(tmp_path / "-".join(order))
        for triple in order:
            module = pack.go(folder, archive, triple, folder)
        made.append((module / "THIRD-PARTY").read_text())
        assert len([*module.glob("lib/*/libplexindex.a")]) == len(texts)
    aarch64, armv7, x86_64 = sorted(texts)
    assert made[0] == (
        f"Platforms: {aarch64}, {armv7}, {x86_64}\n\n#### {aarch64}, {x86_64}\n\ncrates a\n\n#### {armv7}\n\ncrates b\n"
    )
    assert made[0] == made[1]


@pytest.mark.skipif(not make_packages.JNA.exists() or not shutil.which("javac"), reason="needs javac and JNA")
def test_jar(tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        (jar,) = make_packages.jar(libraries(tmp_path), make_packages.fresh(tmp_path / name))
        made.append(jar.read_bytes())
        assert [file.name for file in jar.parent.iterdir()] == [jar.name]
    assert made[0] == made[1]
    with zipfile.ZipFile(jar) as archive:
        names = archive.namelist()
        assert names[0] == "META-INF/MANIFEST.MF"
        assert {"META-INF/LICENSE-MIT", "META-INF/LICENSE-APACHE", "plexindex/Plexindex.class"} <= set(names)
        assert b"<artifactId>plexindex</artifactId>" in archive.read("META-INF/maven/plexindex/plexindex/pom.xml")
        for name, one in make_packages.PLATFORMS.items():
            if not one.jar:
                continue
            assert archive.read(f"native/{one.jar}/libplexindex.so").decode() == name
            assert f"native/{one.jar}/THIRD-PARTY" in names
