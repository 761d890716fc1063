"""Reads names and facts of files on the disk."""

from __future__ import annotations

import errno
import os
import sys
import unicodedata
from functools import lru_cache
from itertools import islice

# Errors that prove that a file is missing, unlike, for example, a missing permission or a dead mount.
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
# Windows' errors for an unreachable share. Python converts these errors to the error number for a missing file.
_AWAY = (53, 64, 67, 1203, 1222, 1231)
# The system's error numbers for a missing file and, on Windows, for a missing folder.
NOT_THERE = (2, 3) if os.name == "nt" else (errno.ENOENT,)
# Windows' error for an invalid name.
_INVALID_NAME = 123
SEPARATOR = os.sep.encode()
# Number of characters from which Windows' calls need the long spelling of a path. Their limit is 260.
_LONG = 200


def is_gone(error: OSError) -> bool:
    """Returns whether an error proves that a file does not exist."""
    code = getattr(error, "winerror", None)
    return code == _INVALID_NAME or (error.errno in _GONE and code not in _AWAY)


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


def size_of(path: bytes) -> int | None:
    """Returns a file's size in bytes, or None if the file has no metadata."""
    try:
        return os.stat(native(path)).st_size
    except (OSError, ValueError):
        return None


def may_read(path: bytes) -> bool:
    """Returns whether this user may read a file."""
    if os.name != "nt":
        return os.access(path, os.R_OK)
    try:
        with open(native(path), "rb"):
            return True
    except OSError:
        return False


def text_of(number: int) -> str:
    """Returns the system's description of an error number."""
    if sys.platform == "win32":
        import ctypes

        return ctypes.FormatError(number).rstrip(" .")
    return os.strerror(number)


def error_of(path: bytes) -> OSError | None:
    """Returns the error because of which a file cannot be found. None if the file exists."""
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


def is_empty(folder: bytes) -> str | None:
    """Describes an empty or missing folder. Returns None if the folder is not empty or cannot be read."""
    try:
        return None if names_in(folder, 1) else "is empty"
    except OSError as error:
        return "does not exist" if is_gone(error) else None


def names_in(folder: bytes, most: int) -> int:
    """Returns the number of names in a folder; stops counting at ``most``."""
    with os.scandir(native(folder)) as entries:
        return sum(1 for _ in islice(entries, most))


def forget() -> None:
    """Clears the folder caches, so that the next call reads folders again."""
    _existing_folder.cache_clear()
    _names_in.cache_clear()


def spelt_otherwise(path: bytes) -> bytes | None:
    """Returns an existing file whose different spelling (case, composition) the index treats as equal, or None."""
    folder, name = os.path.split(path)
    there = _existing_folder(folder)
    found = None if there is None else _names_in(there).get(form_of(name))
    if there is None or not found:
        return None
    other = os.path.join(there, found)
    # A dangling link is not a file.
    return None if is_missing(other) else other


@lru_cache(maxsize=256)
def _existing_folder(folder: bytes) -> bytes | None:
    """Returns a folder in the disk's spelling, or None if the folder is missing."""
    if not folder or os.path.isdir(native(folder)):
        return folder
    above, name = os.path.split(folder)
    there = _existing_folder(above) if name else None
    own = None if there is None else _names_in(there).get(form_of(name))
    return None if there is None or not own else os.path.join(there, own)


@lru_cache(maxsize=64)
def _names_in(folder: bytes) -> dict[bytes, bytes]:
    try:
        names = [os.fsencode(name) for name in os.listdir(native(folder or b"/"))]
    except OSError:
        return {}
    # Start with a fast pass over ASCII names, because a single folder can contain all films.
    found = dict(zip(map(bytes.lower, names), names))
    found.update((form_of(name), name) for name in names if not name.isascii())
    return found


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
