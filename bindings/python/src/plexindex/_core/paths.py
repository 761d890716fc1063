"""Compares paths in the library's normal form."""

from __future__ import annotations

import os

from . import Sequence, importing


def full_path(path: bytes) -> bytes:
    r"""Returns the absolute path of a file on this machine. On Windows, removes the ``\\?\`` prefix of long paths."""
    if os.name == "nt":
        if path[:8].upper() == b"\\\\?\\UNC\\":
            path = b"\\\\" + path[8:]
        elif path[:4] == b"\\\\?\\" and path[5:6] == b":":
            path = path[4:]
    return os.path.abspath(path)


def last_component(path: str) -> str:
    """Returns a path's last component, for messages that can appear in a log. In a Windows path, a backslash is also a
    separator.
    """
    has_drive = path[1:2] == ":" and path[2:3] in ("/", "\\") and path[0].isascii() and path[0].isalpha()
    name = path.replace("\\", "/") if path[:2] == "\\\\" or has_drive else path
    return name.rstrip("/").rpartition("/")[2] or path


def same_file(path: str, others: Sequence[str]) -> bool:
    """Returns whether one of ``others`` is the same path in any spelling."""
    return _compare("equal", path, others)


def lies_under(path: str, folders: Sequence[str]) -> bool:
    """Returns whether a path is below one of the folders."""
    return _compare("under", path, folders)


def _compare(relation: str, path: str, others: Sequence[str]) -> bool:
    # Import the module on first use, because importing the drop-in must be fast.
    with importing():
        from .json_call import ask_without_index

    raw, *given = (text.encode("utf-8", "surrogatepass") for text in (path, *others))
    found = ask_without_index("paths.compare", {"path": raw, "others": given})["relations"]
    return any(one[relation] for one in found)
