"""The version is one number in all packages: that of Cargo.toml."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import REPOSITORY as ROOT

pytestmark = pytest.mark.packaging

# Each file that says which version its package has, and how.
SAID = {
    "CHANGELOG.md": r"^## (\S+)",
    "Cargo.toml": r'^plexindex-matching = .* version = "([\d.]+)"',
    "crates/sharing/Cargo.toml": r'^plexindex = .* version = "([\d.]+)"',
    "bindings/node/package.json": r'^  "version": "(.+)"',
    "bindings/python/src/plexindex/__init__.py": r'^__version__ = "(.+)"',
    "packaging/plexindex-config-version.cmake": r'PACKAGE_VERSION "(.+)"\)',
    "packaging/debian/changelog": r"^plexindex \((.+)-1\)",
}


def said(file: Path, pattern: str) -> str:
    found = re.search(pattern, file.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None, f"{file.name} says no version"
    return found[1]


def version() -> str:
    return said(ROOT / "Cargo.toml", r'^\[workspace\.package\]\nversion = "(.+)"')


@pytest.mark.parametrize("name", SAID)
def test_each_package_has_the_version_of_the_crate(name: str) -> None:
    assert said(ROOT / name, SAID[name]) == version()


def test_the_header_has_it_as_a_number() -> None:
    major, minor, patch = map(int, version().split("."))
    number = said(ROOT / "include/plexindex.h", r"^#define PLEXINDEX_VERSION_NUMBER (\d+)")
    assert int(number) == major * 1_000_000 + minor * 1000 + patch
