"""The parts of `make release` that take no build: archives, the bill of materials, the comparison."""

from __future__ import annotations

import json
import os
import shlex
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "scripts"))
import archives
import make_release
import roots
import sbom
from install import version

pytestmark = pytest.mark.packaging


def test_an_archive_has_links_and_no_times(tmp_path: Path) -> None:
    made = []
    for name, seconds in (("one", 1), ("two", 2)):
        folder = tmp_path / name
        (folder / "lib").mkdir(parents=True)
        (folder / "lib" / "a.so.0").write_bytes(b"library")
        os.utime(folder / "lib" / "a.so.0", (seconds, seconds))
        (folder / "lib" / "a.so").symlink_to("a.so.0")
        file = tmp_path / f"{name}.tar.gz"
        archives.pack(archives.tree(folder), "a-1", 1_700_000_000, file)
        made.append(file.read_bytes())
    assert made[0] == made[1]
    with tarfile.open(file) as archive:
        found = [(one.name, one.linkname, one.mtime, one.uid) for one in archive]
    assert found == [("a-1/lib/a.so", "a.so.0", 1_700_000_000, 0), ("a-1/lib/a.so.0", "", 1_700_000_000, 0)]


def test_a_zip_file_of_another_tool_loses_its_times(tmp_path: Path) -> None:
    made = []
    for names, year in (("ab", 1990), ("ba", 2000)):
        file = tmp_path / f"{names}.zip"
        with zipfile.ZipFile(file, "w") as archive:
            for name in names:
                archive.writestr(zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0)), name)
        archives.repack(file)
        made.append(file.read_bytes())
    assert made[0] == made[1]


def test_the_bill_of_materials_names_what_is_linked() -> None:
    document = json.loads(sbom.text(["x86_64-unknown-linux-gnu"]))
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.5")
    assert document["metadata"]["component"]["version"] == version()
    parts = {part["name"]: part for part in document["components"]}
    assert parts["sqlite"]["version"].startswith("3.")
    assert parts["rustls"]["hashes"][0]["alg"] == "SHA-256"
    # Of tests, and of other platforms.
    assert not {"proptest", "windows-sys", "loom"} & set(parts)


def test_two_releases_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, content in (("one", "a"), ("two", "b")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "same").write_text("same")
        (tmp_path / name / "file").write_text(content)
    monkeypatch.setattr(make_release, "FOLDER", tmp_path / "one")
    assert make_release.compare(tmp_path / "one") == 0
    assert make_release.compare(tmp_path / "two") == 1
    said = capsys.readouterr().out
    assert "differs: file" in said
    assert said.endswith("1 files are the same, 1 differ\n")


def test_a_root_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def run(command: list[str], **_: object) -> None:
        made.append(command[0])
        Path(command[-1]).mkdir(parents=True)

    monkeypatch.setattr(roots, "build_folder", lambda: tmp_path)
    monkeypatch.setattr("subprocess.run", run)
    for packages in (("one",), ("one",), ("one", "two")):
        roots.Root("armv7l", packages).make()
    assert made == ["debootstrap", "debootstrap"]


def test_a_root_of_another_processor_has_an_emulator() -> None:
    others = [one for one in roots.DEBIANS.values() if one.emulator]
    assert "arm" in [one.emulator for one in others]
    for one in others:
        script, folder, emulator, *_ = shlex.split(one.enter())
        assert (Path(script).is_file(), folder, emulator) == (True, str(one.folder), one.emulator)


def test_an_older_linux_has_no_emulators_in_a_namespace() -> None:
    assert [roots.is_new_enough(one) for one in ("6.18.44-fc", "6.7.0", "6.1.0-44-amd64")] == [True, True, False]
