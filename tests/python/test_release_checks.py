"""What stands between a commit and a release: gaps, a tag that is not ready, and the text of the draft."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "scripts"))
import make_release
import release_checks
from install import version

pytestmark = pytest.mark.packaging

PLACES = re.compile(r"^   - `([^`]+)`:", re.MULTILINE)


@pytest.fixture(autouse=True)
def no_workflow(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STRICT", "GITHUB_REF_NAME", "GITHUB_REF_TYPE"):
        monkeypatch.delenv(name, raising=False)


def write(root: Path, *, publish: str = "", readme: str = "Install it.\n") -> None:
    (root / "Cargo.toml").write_text(f"[package]\nname = 'plexindex'\n{publish}")
    (root / "README.md").write_text(readme)


def test_a_gap_is_an_error_in_strict_mode_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    skipped = [("gems of musl", "no registry has a Ruby of musl"), ("rock", "not installed: luarocks")]
    assert release_checks.report(skipped, release_checks.ALLOWED) == 0
    monkeypatch.setenv("STRICT", "1")
    assert release_checks.report(skipped, release_checks.ALLOWED) == 1
    assert capsys.readouterr().out == "may not be skipped: rock: not installed: luarocks\n"
    assert release_checks.report(skipped[:1], release_checks.ALLOWED) == 0
    # Nothing may be left out of the files.
    assert release_checks.report(skipped[:1]) == 1


def test_files_of_windows_may_be_skipped_on_arm_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRICT", "1")
    skipped = [("windows", "not installed: wine wine64 (Debian)"), ("windows_wheel", "not to be had: wine")]
    for machine, code in (("x86_64", 1), ("aarch64", 0)):
        monkeypatch.setattr("platform.machine", lambda machine=machine: machine)
        assert release_checks.report(skipped, release_checks.allowed()) == code


def test_a_tag_has_to_be_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, publish="publish = false\n", readme="# plexindex\nIt is on no package registry yet.\n")
    assert release_checks.find_unready(tmp_path) == []
    monkeypatch.setenv("GITHUB_REF_NAME", "v99.0.0")
    assert release_checks.find_unready(tmp_path) == [
        f"the tag is v99.0.0, and Cargo.toml has version {version()}",
        "Cargo.toml:3: publish = false: cargo would refuse to publish the crate",
        "README.md:2: It is on no package registry yet.",
    ]
    monkeypatch.setenv("GITHUB_REF_TYPE", "branch")
    assert release_checks.find_unready(tmp_path) == []
    monkeypatch.setenv("GITHUB_REF_TYPE", "tag")
    monkeypatch.setenv("GITHUB_REF_NAME", f"v{version()}")
    write(tmp_path)
    assert release_checks.find_unready(tmp_path) == []


def test_make_release_refuses_a_tag_that_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRICT", "1")
    monkeypatch.setenv("GITHUB_REF_NAME", "v99.0.0")
    monkeypatch.setattr("sys.argv", ["make_release.py"])
    with pytest.raises(SystemExit, match="the tag is v99"):
        make_release.main()


def test_the_list_of_what_is_true_before_the_first_release_is_whole() -> None:
    page = (REPOSITORY / "docs" / "releasing.md").read_text(encoding="utf-8")
    found = {line.partition(":")[0] for line in release_checks.find_outdated()}
    assert found == set(PLACES.findall(page))


def test_the_draft_has_a_text() -> None:
    text = release_checks.notes()
    assert text.startswith(("The first release", "### ", "- "))
    assert f"| `plexindex-{version()}.crate` | cargo" in text
    assert not re.search(r"^## (?!Files)", text, re.MULTILINE)
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert links
    assert all(link.startswith(f"https://github.com/plexindex/plexindex/blob/v{version()}/") for link in links)
    # GitHub refuses more.
    assert len(text) < 125_000
