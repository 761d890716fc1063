"""Names and facts of files on this machine's disk, the same on every system."""

from __future__ import annotations

import errno
import os
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

# Errors that prove that a file is missing, unlike, for example, a missing permission or a dead mount.
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
# Windows' errors for an unreachable share. Python converts these errors to the error number for a missing file.
_AWAY = (53, 64, 67, 1203, 1222, 1231)
# Windows' error for an invalid name.
_INVALID_NAME = 123
SEPARATOR = os.sep.encode()
# Number of characters from which Windows' calls need the long spelling of a path. Their limit is 260.
_LONG = 200


def native(path: bytes) -> bytes | str:
    """Returns a path as the system's calls take it: on Windows as text, and a long path in the spelling to which the
    limit of 260 characters does not apply.
    """
    if os.name != "nt":
        return path
    text = os.fsdecode(path)
    if len(text) < _LONG or text.startswith("\\\\?\\"):
        return text
    return f"\\\\?\\UNC{text[1:]}" if text.startswith("\\\\") else f"\\\\?\\{text}"


def entries(folder: bytes) -> dict[bytes, os.DirEntry[Any]]:
    """Returns what a folder contains, by name."""
    found: Any = os.scandir(native(folder))
    with found:
        return {os.fsencode(one.name): one for one in found} if os.name == "nt" else {one.name: one for one in found}


def is_in(path: bytes, folder: bytes) -> bool:
    """Returns whether a path is ``folder`` or is below it."""
    # On Windows, neither case nor the kind of separator matters.
    path, folder = os.path.normcase(path), os.path.normcase(folder)
    return path == folder or path.startswith(folder.rstrip(SEPARATOR) + SEPARATOR)


def outermost(folders: Iterable[bytes]) -> list[bytes]:
    """Returns the outermost of ``folders``, without duplicates."""
    once = list(dict.fromkeys(folders))
    return [one for one in once if not any(one != other and is_in(one, other) for other in once)]


def is_gone(error: OSError) -> bool:
    """Returns whether an error proves that a file does not exist."""
    code = getattr(error, "winerror", None)
    return code == _INVALID_NAME or (error.errno in _GONE and code not in _AWAY)


def error_of(path: bytes) -> OSError | None:
    """Returns the error of looking for a file or folder, or None if it exists."""
    try:
        os.stat(native(path))
    except ValueError as error:  # no file can have this path
        return OSError(errno.ENOENT, str(error))
    except OSError as error:
        return error
    return None


def is_missing(path: bytes) -> bool:
    """Returns whether a file or folder certainly does not exist."""
    error = error_of(path)
    return error is not None and is_gone(error)


def size_of(path: bytes) -> int:
    """Returns a file's size in bytes; 0 for a file without metadata, such as a dangling link."""
    try:
        return os.stat(native(path)).st_size
    except (OSError, ValueError):
        return 0


def are_two_files(one: bytes, other: bytes) -> bool:
    """Returns whether both paths exist, and lead to two files."""
    try:
        return not os.path.samestat(os.lstat(native(one)), os.lstat(native(other)))
    except (OSError, ValueError):
        return False


def twins(names: Collection[bytes]) -> Collection[bytes]:
    """Returns those of a folder's names that the index treats as one."""
    if b"".join(names).isascii() and len({*map(bytes.lower, names)}) == len(names):
        return ()  # in nearly all folders, without the forms
    forms = Counter(map(form_of, names))
    return {name for name in names if forms[form_of(name)] > 1}


def form_of(name: bytes) -> bytes:
    """Returns the form in which the index compares a name: in lower case, and composed. Equal forms are one name."""
    if name.isascii():
        return name.lower()
    try:
        text = unicodedata.normalize("NFC", name.decode())
    except UnicodeDecodeError:
        return name
    # Each character by itself, because Python's lower case of a sigma depends on its neighbours.
    return unicodedata.normalize("NFC", "".join(map(str.lower, text))).encode()
