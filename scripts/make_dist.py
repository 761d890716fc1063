"""Packs the sources of the last commit with all crates, so that a packager builds without a network: `make dist`.

    scripts/make_dist.py

The archive is build/dist/plexindex-VERSION.tar.xz, with its SHA-256 beside it. The same commit gives the same bytes on
every machine whose xz is of the same version. cargo fetches crates that this machine lacks.

In the unpacked folder, `make install DESTDIR=…` and `cargo build --release` work as in a checkout, offline.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from archives import pack
from build_dist import ROOT, BuildError, find_cargo
from install import version

CONFIG = ".cargo/config.toml"
# Appended to it: cargo takes all crates from the folder.
SOURCES = """\

[source.crates-io]
replace-with = "vendored-sources"

[source.vendored-sources]
directory = "vendor"
"""

# A source archive has no binaries.
BINARIES = (".a", ".lib", ".dll")


def output(*command: str) -> bytes:
    """What a command prints. Its messages are shown, and this program ends when it fails."""
    try:
        return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    except FileNotFoundError:
        sys.exit(f"{command[0]} is not installed")
    except subprocess.CalledProcessError as error:
        sys.exit(f"failed with exit code {error.returncode}: {' '.join(command)}")


def committed() -> dict[str, tuple[bytes, bool]]:
    """The files of the last commit by their path: content, and whether it is a program."""
    found: dict[str, tuple[bytes, bool]] = {}
    with tarfile.open(fileobj=io.BytesIO(output("git", "archive", "--format=tar", "HEAD"))) as archive:
        for member in archive:
            if member.isdir():
                continue
            file = archive.extractfile(member)
            if file is None:
                sys.exit(f"{member.name} is no file: an archive of sources holds files only")
            found[member.name] = file.read(), bool(member.mode & 0o100)
    return found


def vendored() -> dict[str, tuple[bytes, bool]]:
    """The files of all crates that Cargo.lock names, without the libraries that a few of them bring for Windows."""
    with tempfile.TemporaryDirectory() as folder:
        output(find_cargo(), "vendor", "--quiet", "--locked", "--versioned-dirs", folder)
        for sums in Path(folder).glob("*/.cargo-checksum.json"):
            said = json.loads(sums.read_bytes())
            kept = {name: digest for name, digest in said["files"].items() if not name.endswith(BINARIES)}
            for name in said["files"].keys() - kept.keys():
                (sums.parent / name).unlink()
            sums.write_text(json.dumps({**said, "files": kept}, sort_keys=True), encoding="utf-8")
        return {
            f"vendor/{file.relative_to(folder)}": (file.read_bytes(), bool(file.stat().st_mode & 0o100))
            for file in Path(folder).rglob("*")
            if file.is_file()
        }


def contents() -> dict[str, tuple[bytes, bool]]:
    """All files of the archive."""
    files = committed() | vendored()
    files[CONFIG] = files[CONFIG][0] + SOURCES.encode(), False
    return files


def make(folder: Path) -> Path:
    """Writes the archive of the last commit."""
    name = f"plexindex-{version()}"
    try:
        files = contents()
    except BuildError as error:
        sys.exit(str(error))
    target = folder / f"{name}.tar.xz"
    pack(files, name, commit_time(), target)
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB, {len(files):,} files")
    return target


def commit_time() -> int:
    """When the last commit was made: the time of all files of a release."""
    return int(output("git", "log", "-1", "--format=%ct"))


def check_commit() -> None:
    """Ends this program where there is no commit to pack."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        sys.exit("a commit is packed: call this in a checkout, with git installed")
    if output("git", "status", "--porcelain"):
        print("what is not committed is left out", file=sys.stderr)


def main() -> int:
    """Packs."""
    if sys.argv[1:]:
        sys.exit(__doc__)
    check_commit()
    folder = ROOT / "build" / "dist"
    folder.mkdir(parents=True, exist_ok=True)
    target = make(folder)
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    target.with_name(f"{target.name}.sha256").write_text(f"{digest}  {target.name}\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
