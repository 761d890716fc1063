"""Checks what stands between a commit and a release, and writes the text of the release.

release_checks.py           names each line that would be wrong once the packages are published
release_checks.py notes     prints the text: the version's part of CHANGELOG.md, and what each file is for

With STRICT=1, as in .github/workflows/release.yml, `make release` and `make try-release` fail if something was
skipped: `make release` may skip nothing, and `make try-release` what ALLOWED names. On a tag `make release` fails at
once if that is not ready to be published.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from typing import TYPE_CHECKING

from environment import ROOT
from install import version
from make_packages import ADDRESS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# What packages hold, and what people read of the repository. docs/releasing.md lists the places ('Before the first
# release'), and tests/python/test_release_checks.py compares that list with what is found.
TEXTS = ("*.md", "docs/**/*.md", "bindings/**/*.md", "packaging/**/*.md", "bindings/python/pyproject.toml")
# The one way to find a sentence that is true before the first release only. Its author uses one of these phrases.
BEFORE_RELEASE = re.compile(
    r"on no package registry yet|not published yet|not published\*\* on|once it is published|not on nuget\.org yet"
    r"|in no repository yet|no public address yet|No file is published|until the first release"
    r"|No version has been released yet"
)
# What `make try-release` may skip, as `what: why`, and the reason.
ALLOWED = {
    r".*: no registry has .*": "neither PyPI nor npm has such a program: docs/releasing.md says so",
    r".*: the \.NET SDK of npm is for x86-64 with glibc": "the package is tried on that platform",
    r"gem armv7l: the binding for Ruby needs 64 bits": "there is no such gem",
    r"macos: only a Mac loads it": "the job try-macos runs it",
}
# Besides, where the machine is no x86-64: wine, and so the trials of files for Windows.
ALLOWED_ELSEWHERE = {r"windows(_wheel)?: not .*": "files for Windows are tried on x86-64"}
ALLOWED_ON_MACOS = {r"wheel python3\.9: not installed": "there is no Python 3.9 for Macs with arm64"}


def is_strict() -> bool:
    """Whether a gap is an error."""
    return os.environ.get("STRICT", "") not in ("", "0")


def allowed() -> dict[str, str]:
    """What `make try-release` may skip on this machine."""
    found = dict(ALLOWED)
    if platform.machine() not in ("x86_64", "AMD64"):
        found |= ALLOWED_ELSEWHERE
    if sys.platform == "darwin":
        found |= ALLOWED_ON_MACOS
    return found


def report(skipped: Iterable[tuple[str, str]], may_be: Iterable[str] = ()) -> int:
    """Prints what was skipped, as (what, why), and may not be. Returns an exit code: 0 but in strict mode."""
    patterns = list(may_be)
    said = [f"{what}: {why}" for what, why in skipped]
    found = [one for one in said if not any(re.fullmatch(pattern, one) for pattern in patterns)]
    if not found or not is_strict():
        return 0
    print(*(f"may not be skipped: {one}" for one in found), sep="\n")
    return 1


def find_outdated(root: Path = ROOT) -> list[str]:
    """Each line that says that nothing is published, as `file:line: text`."""
    files = {file for pattern in TEXTS for file in root.glob(pattern)}
    return [
        f"{file.relative_to(root)}:{number}: {line.strip()}"
        for file in sorted(files)
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if BEFORE_RELEASE.search(line)
    ]


def tag() -> str:
    """The tag that the workflow runs for. Empty if it is another run."""
    name = os.environ.get("GITHUB_REF_NAME", "")
    return name if name.startswith("v") and os.environ.get("GITHUB_REF_TYPE", "tag") == "tag" else ""


def find_unready(root: Path = ROOT) -> list[str]:
    """Why this tag may not be released."""
    if not tag():
        return []
    found = [] if tag() == f"v{version()}" else [f"the tag is {tag()}, and Cargo.toml has version {version()}"]
    for number, line in enumerate((root / "Cargo.toml").read_text(encoding="utf-8").splitlines(), 1):
        if re.match(r"publish\s*=\s*false", line):
            found.append(f"Cargo.toml:{number}: {line}: cargo would refuse to publish the crate")
    return found + find_outdated(root)


def part(text: str, heading: str, what: str) -> str:
    """What is below a heading of the second level."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if not found:
        sys.exit(f"{what} has no heading '## {heading}'")
    return found[1].strip()


def notes(root: Path = ROOT) -> str:
    """The text of the release. Links of pages in the repository get the tag's address."""
    changes = part((root / "CHANGELOG.md").read_text(encoding="utf-8"), version(), "CHANGELOG.md")
    page = part((root / "docs" / "releasing.md").read_text(encoding="utf-8"), "What is made", "docs/releasing.md")
    table = re.search(r"^\| file \| for \|\n(?:\|.*\n)+", page, re.MULTILINE)
    if not table:
        sys.exit("docs/releasing.md has no table with the columns 'file' and 'for'")
    files = re.sub(r"\d+\.\d+\.\d+", version(), table[0])
    # GitHub shows the text elsewhere than the repository's pages.
    here = f"{ADDRESS}/blob/v{version()}/"
    linked = re.sub(r"\]\((?!https?:|#)([^)]+)\)", rf"]({here}\1)", changes)
    attested = f"`gh attestation verify FILE --repo {ADDRESS.partition('.com/')[2]}`"
    check = f"Check a file: `sha256sum --check --ignore-missing SHA256SUMS`, and {attested}."
    return f"{linked}\n\n## Files\n{files}\n{check}\n"


def main() -> int:
    """Prints the text of the release, or what is wrong after it."""
    if sys.argv[1:] == ["notes"]:
        print(notes(), end="")
        return 0
    if sys.argv[1:]:
        sys.exit(__doc__)
    found = find_outdated()
    print(*found, f"{len(found)} lines are true before the first release only", sep="\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
