"""Archives that have the same bytes each time: files in order, of one time and one owner."""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# By the path: content, and whether it is a program. A link has its target, a text, for content.
Files = dict[str, "tuple[bytes | str, bool]"]
# The oldest time that a zip file can tell.
EPOCH = (1980, 1, 1, 0, 0, 0)


def pack(files: Mapping[str, tuple[bytes | str, bool]], name: str, seconds: int, target: Path) -> None:
    """Writes a tar archive, all files below one folder. Its name says how it is compressed: .xz or .gz."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for path, (content, is_program) in sorted(files.items()):
            member = tarfile.TarInfo(f"{name}/{path}")
            member.mtime, member.mode = seconds, 0o755 if is_program else 0o644
            if isinstance(content, str):
                member.type, member.linkname, member.mode = tarfile.SYMTYPE, content, 0o777
                archive.addfile(member)
            else:
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    data = plain.getvalue()
    target.write_bytes(gzip.compress(data, mtime=0) if target.suffix == ".gz" else lzma.compress(data))


def pack_zip(files: Mapping[str, bytes], target: Path) -> None:
    """Writes a zip file with the files in this order."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            member = zipfile.ZipInfo(path, EPOCH)
            member.external_attr = 0o644 << 16
            archive.writestr(member, content, zipfile.ZIP_DEFLATED)


def tree(folder: Path) -> Files:
    """The files below a folder."""
    found: Files = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = str(path.readlink()), False
        elif path.is_file():
            found[name] = path.read_bytes(), bool(path.stat().st_mode & 0o100)
    return found


def repack(file: Path) -> None:
    """Writes a zip file of another tool again, in order and without times."""
    with zipfile.ZipFile(file) as archive:
        files = {name: archive.read(name) for name in sorted(archive.namelist()) if not name.endswith("/")}
    pack_zip(files, file)
