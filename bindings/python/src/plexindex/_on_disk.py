"""Whether a file exists on the disk."""

from __future__ import annotations

import errno
import os
import stat
import unicodedata
from functools import lru_cache
from itertools import islice

# Other errors, such as a missing permission or a dead mount, do not show that a file is gone.
GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


def is_missing(path: bytes, *, folder: bool = False) -> bool:
    """Returns whether a file or folder certainly does not exist."""
    try:
        found = os.stat(path)
    except ValueError:
        return True
    except OSError as error:
        return error.errno in GONE
    return folder and not stat.S_ISDIR(found.st_mode)


def is_empty(folder: bytes) -> str | None:
    """Describes an empty folder; None if it is not empty, or cannot be read."""
    try:
        return None if names_in(folder, 1) else "is empty"
    except OSError as error:
        return "does not exist" if error.errno in GONE else None


def names_in(folder: bytes, most: int) -> int:
    """Returns the number of names in a folder, at most ``most``."""
    with os.scandir(folder) as entries:
        return sum(1 for _ in islice(entries, most))


def forget() -> None:
    """Forgets the folders that were read."""
    _existing_folder.cache_clear()
    _names_in.cache_clear()


def spelt_otherwise(path: bytes) -> bytes | None:
    """Returns the file in another spelling that the index treats as equal: case, composition. None if it is missing."""
    folder, _, name = path.rpartition(b"/")
    there = _existing_folder(folder)
    found = None if there is None else _names_in(there).get(_form(name))
    if there is None or found is None:
        return None
    other = there + b"/" + found
    # A dangling link is not a file.
    return None if is_missing(other) else other


@lru_cache(maxsize=256)
def _existing_folder(folder: bytes) -> bytes | None:
    """Returns a folder as the disk spells it; None if it is missing."""
    if os.path.isdir(folder) or not folder:
        return folder
    above, _, name = folder.rpartition(b"/")
    there = _existing_folder(above)
    own = None if there is None else _names_in(there).get(_form(name))
    return None if own is None else (there or b"") + b"/" + own


@lru_cache(maxsize=64)
def _names_in(folder: bytes) -> dict[bytes, bytes]:
    try:
        names = os.listdir(folder or b"/")
    except OSError:
        return {}
    # A quick pass over all names, which are ASCII mostly: a folder may have all films.
    found = dict(zip(map(bytes.lower, names), names))
    found.update([(_form(name), name) for name in names if not name.isascii()])
    return found


def _form(name: bytes) -> bytes:
    if name.isascii():
        return name.lower()
    text = unicodedata.normalize("NFC", os.fsdecode(name))
    return os.fsencode(unicodedata.normalize("NFC", text.lower()))
