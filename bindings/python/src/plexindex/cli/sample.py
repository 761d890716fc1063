"""Takes a sample of a few hundred media files from all over a large tree, without walking the whole tree."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Collection
from dataclasses import dataclass, field

VIDEO = frozenset(
    "3gp asf avi divx flv iso m2ts m4v mkv mov mp4 mpeg mpg mts ogm ogv rm rmvb ts vob webm wmv".split()  # noqa: SIM905
)
AUDIO = frozenset("aac aif aiff alac ape dsf flac m4a m4b mp3 mpc oga ogg opus wav wma wv".split())  # noqa: SIM905
PHOTO = frozenset("bmp gif heic jpeg jpg png raw tif tiff webp".split())  # noqa: SIM905
_BY_KIND = {"movie": VIDEO, "show": VIDEO, "artist": AUDIO, "photo": PHOTO | VIDEO}
# Folders that operating systems and storage devices create. These folders contain no media.
_IGNORED = frozenset(("@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"))
_MAX_SECONDS, _MAX_ENTRIES = 20.0, 500_000


@dataclass
class Sample:
    """A sample of media files, the number of media files seen, and whether the walk covered the whole tree."""

    paths: list[bytes] = field(default_factory=list)
    file_count: int = 0
    is_complete: bool = True


def extensions(kinds: Collection[str]) -> frozenset[str]:
    """Returns the media file extensions for library kinds or, without any kind, for video and audio."""
    return frozenset().union(*(_BY_KIND.get(kind, ()) for kind in kinds)) or VIDEO | AUDIO


def is_media(path: str | bytes, suffixes: Collection[str] = VIDEO | AUDIO | PHOTO) -> bool:
    return os.fsdecode(path).rpartition(".")[2].lower() in suffixes


def of_folder(folder: str, size: int, suffixes: Collection[str], seconds: float = _MAX_SECONDS) -> Sample:
    """Returns a sample of the media files below a folder. The same tree always produces the same sample.

    The walk reads one random folder from each branch in turn, so that even a walk that runs out of time has seen each
    branch. Each file that it has seen has the same probability of being in the sample (reservoir sampling).
    """
    sample, chance, entries = Sample(), random.Random(0), 0  # noqa: S311
    visited: set[tuple[int, int]] = set()
    end = time.monotonic() + seconds
    branches = [[os.path.abspath(folder)]]
    while branches:
        if time.monotonic() > end or entries > _MAX_ENTRIES:
            sample.is_complete = False
            break
        branch = branches.pop(0)
        subfolders, files, count = _read(branch.pop(chance.randrange(len(branch))), suffixes, visited)
        entries += count
        for path in files:
            sample.file_count += 1
            if len(sample.paths) < size:
                sample.paths.append(path)
            elif (position := chance.randrange(sample.file_count)) < size:
                sample.paths[position] = path
        # Until the tree forks, there is only one branch. At the fork, each subfolder becomes a branch.
        is_fork = not branches and not branch
        branches += [[one] for one in subfolders] if is_fork else [both] if (both := branch + subfolders) else []
    sample.paths.sort()
    return sample


def _read(folder: str, suffixes: Collection[str], visited: set[tuple[int, int]]) -> tuple[list[str], list[bytes], int]:
    """Returns a folder's subfolders, its media files, and the number of its entries."""
    try:
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in visited:
            return [], [], 0  # a symbolic link can lead back to a parent folder
        visited.add((status.st_dev, status.st_ino))
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return [], [], 0
    shown = [entry for entry in entries if not entry.name.startswith(".") and entry.name not in _IGNORED]
    subfolders = [entry.path for entry in shown if os.path.isdir(entry)]
    files = [os.fsencode(one.path) for one in shown if is_media(one.name, suffixes) and not os.path.isdir(one)]
    return subfolders, files, len(entries)


def of_list(paths: list[bytes], size: int) -> Sample:
    step = max(len(paths) / size, 1.0)
    return Sample([paths[int(number * step)] for number in range(min(size, len(paths)))], len(paths))
