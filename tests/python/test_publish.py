"""What scripts/publish.py uploads, and what it leaves out. No registry is asked."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path

import pytest
from conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "scripts"))
import publish
from install import version

pytestmark = pytest.mark.packaging

NPM = {"linux-x64-gnu": "@plexindex/linux-x64-gnu", "": "plexindex", "win32-x64": "@plexindex/win32-x64"}


class Registry:
    """What a registry says, and the commands that were run."""

    def __init__(self) -> None:
        self.said = ""
        self.commands: list[tuple[str, ...]] = []

    def fetch(self, _registry: str, **_: str) -> str:
        return self.said

    def run(self, _folder: Path, *command: str) -> None:
        self.commands.append(command)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    made = Registry()
    monkeypatch.setattr(publish, "fetch", made.fetch)
    monkeypatch.setattr(publish, "run", made.run)
    return made


def write_package(file: Path, name: str) -> str:
    content = json.dumps({"name": name, "version": version()}).encode()
    entry = tarfile.TarInfo("package/package.json")
    entry.size = len(content)
    with tarfile.open(file, "w:gz") as archive:
        archive.addfile(entry, io.BytesIO(content))
    return "sha512-" + base64.b64encode(hashlib.sha512(file.read_bytes()).digest()).decode()


@pytest.fixture
def packages(tmp_path: Path) -> dict[str, str]:
    found = {}
    for platform, name in NPM.items():
        file = tmp_path / f"plexindex-{platform}{'-' if platform else ''}{version()}.tgz"
        found[name] = write_package(file, name)
    return found


@pytest.mark.usefixtures("packages")
def test_npm_gets_the_platforms_first_and_paths_that_it_takes_for_none_of_github(
    tmp_path: Path, registry: Registry
) -> None:
    for dry_run in (False, True):
        registry.commands.clear()
        publish.npm(tmp_path, dry_run)
        files = [command[-1] for command in registry.commands]
        assert files == [f"./plexindex-{name}{version()}.tgz" for name in ("linux-x64-gnu-", "win32-x64-", "")]
        assert all(("--dry-run" in command) == dry_run for command in registry.commands)


def test_a_second_run_leaves_out_what_npm_has(
    tmp_path: Path, registry: Registry, packages: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "@plexindex/linux-x64-gnu"

    def fetch(_registry: str, **values: str) -> str:
        if values["name"] != name.replace("/", "%2f"):
            return ""
        return json.dumps({"versions": {version(): {"dist": {"integrity": packages[name]}}}})

    monkeypatch.setattr(publish, "fetch", fetch)
    publish.npm(tmp_path, dry_run=False)
    assert [command[-1] for command in registry.commands] == [
        f"./plexindex-{one}{version()}.tgz" for one in ("win32-x64-", "")
    ]


def test_other_content_under_a_name_is_an_error(tmp_path: Path, registry: Registry) -> None:
    gem = tmp_path / f"plexindex-{version()}-x86_64-linux.gem"
    gem.write_bytes(b"gem")
    about = {"number": version(), "platform": "x86_64-linux", "sha": publish.sha256(gem)}
    registry.said = json.dumps([about])
    publish.rubygems(tmp_path)
    assert registry.commands == []
    registry.said = json.dumps([{**about, "sha": "another"}])
    with pytest.raises(publish.PublishError, match="other content"):
        publish.rubygems(tmp_path)
    registry.said = ""
    publish.rubygems(tmp_path)
    assert registry.commands == [("gem", "push", f"./{gem.name}")]


def test_pypi_gets_wheels_and_sources(tmp_path: Path, registry: Registry) -> None:
    folder, target = tmp_path / "all", tmp_path / "dist"
    folder.mkdir()
    names = [f"plexindex-{version()}-py3-none-win_amd64.whl", f"plexindex-{version()}.tar.gz"]
    for name in (*names, f"plexindex-{version()}-x86_64-unknown-linux-gnu.tar.gz", f"plexindex-{version()}.tar.xz"):
        (folder / name).write_text(name)
    publish.pypi(folder, target)
    assert sorted(file.name for file in target.iterdir()) == names
    registry.said = json.dumps({"urls": [{"filename": names[1], "digests": {"sha256": "another"}}]})
    with pytest.raises(publish.PublishError, match="other content"):
        publish.pypi(folder, target)


def test_a_crate_has_to_be_the_drafted_one(tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    drafted = tmp_path / f"plexindex-{version()}.crate"
    made = tmp_path / "package" / drafted.name
    made.parent.mkdir()
    monkeypatch.setattr(publish, "target_folder", lambda: tmp_path)
    for file, content in ((drafted, b"one"), (made, b"one")):
        entry = tarfile.TarInfo("plexindex/src/lib.rs")
        entry.size = len(content)
        with tarfile.open(file, "w") as archive:
            archive.addfile(entry, io.BytesIO(content))
    publish.crates(tmp_path)
    assert [command[1] for command in registry.commands] == ["package", "publish"]
    with tarfile.open(made, "w") as archive:
        archive.addfile(tarfile.TarInfo("plexindex/src/lib.rs"))
    registry.commands.clear()
    with pytest.raises(publish.PublishError, match=r"different: plexindex/src/lib\.rs"):
        publish.crates(tmp_path)
    assert [command[1] for command in registry.commands] == ["package"]
    registry.said = json.dumps({"vers": version(), "cksum": publish.sha256(drafted)})
    registry.commands.clear()
    publish.crates(tmp_path)
    assert registry.commands == []


def test_a_registry_without_an_address_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for address in ("", "file:///x"):
        monkeypatch.setenv(publish.ADDRESS, address)
        with pytest.raises(publish.PublishError, match="set REGISTRY_ADDRESS"):
            publish.fetch("npm", name="plexindex")
