"""Takes a sample of a few hundred media files from all over a large tree, without walking the whole tree."""

from __future__ import annotations

import os
import random
import time

from .._core import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

VIDEO = frozenset(
    "3gp asf avi divx flv iso m2ts m4v mkv mov mp4 mpeg mpg mts ogm ogv rm rmvb ts vob webm wmv".split()  # noqa: SIM905
)
AUDIO = frozenset("aac aif aiff alac ape dsf flac m4a m4b mp3 mpc oga ogg opus wav wma wv".split())  # noqa: SIM905
PHOTO = frozenset("bmp gif heic jpeg jpg png raw tif tiff webp".split())  # noqa: SIM905
_BY_KIND = {"movie": VIDEO, "show": VIDEO, "artist": AUDIO, "photo": PHOTO | VIDEO}
# Folders that operating systems and storage devices create. These folders contain no media.
_IGNORED = frozenset(("@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"))
_MAX_SECONDS = 20.0
_MAX_ENTRIES = 500_000


class Sample:
    """A sample of media files, and facts about the tree that contains them."""

    __slots__ = ("entries", "file_count", "is_complete", "paths")

    def __init__(self) -> None:
        self.paths: list[bytes] = []
        """The sample, in alphabetical order."""
        self.file_count = 0
        """The number of media files seen."""
        self.entries = 0
        """The number of files and folders seen."""
        self.is_complete = True
        """Whether the walk covered the whole tree."""


def extensions(kinds: Collection[str]) -> frozenset[str]:
    """Returns the media file extensions for library kinds or, without any kind, for video and audio."""
    extension_sets = [_BY_KIND[kind] for kind in kinds if kind in _BY_KIND]
    return frozenset().union(*extension_sets) if extension_sets else VIDEO | AUDIO


def is_media(path: str | bytes, suffixes: Collection[str] = VIDEO | AUDIO | PHOTO) -> bool:
    """Returns whether a path has the extension of a media file."""
    return os.fsdecode(path).rpartition(".")[2].lower() in suffixes


def of_folder(folder: str, size: int, suffixes: Collection[str], seconds: float = _MAX_SECONDS) -> Sample:
    """Returns a sample of the media files below a folder. The same tree always produces the same sample.

    The walk reads one folder from each branch in turn, in random order. So even if the walk runs out of time, the
    sample covers each branch, and each file that the walk has seen has the same probability of being in the sample.
    """
    walk = _Walk(size, suffixes)
    end = time.monotonic() + seconds
    branches: list[list[str]] = [[os.path.abspath(folder)]]
    turn = 0
    while branches:
        if time.monotonic() > end or walk.sample.entries > _MAX_ENTRIES:
            walk.sample.is_complete = False
            break
        branch = branches[turn % len(branches)]
        # Swap the random folder with the last folder, because only the last element is fast to remove.
        pick = walk.random.randrange(len(branch))
        branch[pick], branch[-1] = branch[-1], branch[pick]
        subfolders = walk.read(branch.pop())
        if len(branches) == 1 and not branch:
            # Until the tree forks, there is only one branch. At the fork, each subfolder becomes a branch.
            branches = [[subfolder] for subfolder in subfolders]
            continue
        branch.extend(subfolders)
        if branch:
            turn += 1
        else:
            branches.remove(branch)
    walk.sample.paths.sort()
    return walk.sample


class _Walk:
    """A walk that takes a sample by reservoir sampling, so each file has the same probability of being chosen."""

    def __init__(self, size: int, suffixes: Collection[str]) -> None:
        self.sample, self.random = Sample(), random.Random(0)  # noqa: S311
        self._size, self._suffixes = size, suffixes
        self._visited: set[tuple[int, int]] = set()

    def read(self, folder: str) -> list[str]:
        """Samples the files in one folder, and returns the folder's subfolders."""
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in self._visited:
                return []  # a symbolic link can lead back to a parent folder
            self._visited.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            return []
        subfolders = []
        for entry in entries:
            self.sample.entries += 1
            if entry.name.startswith(".") or entry.name in _IGNORED:
                continue
            try:
                is_folder = entry.is_dir()
            except OSError:
                continue
            if is_folder:
                subfolders.append(entry.path)
            elif is_media(entry.name, self._suffixes):
                self._add(os.fsencode(entry.path))
        return subfolders

    def _add(self, path: bytes) -> None:
        self.sample.file_count += 1
        if len(self.sample.paths) < self._size:
            self.sample.paths.append(path)
        elif (position := self.random.randrange(self.sample.file_count)) < self._size:
            self.sample.paths[position] = path


def of_list(paths: list[bytes], size: int) -> Sample:
    """Returns a sample of paths, spread evenly over the list."""
    sample = Sample()
    sample.file_count = sample.entries = len(paths)
    step = max(len(paths) / size, 1.0)
    sample.paths = [paths[int(number * step)] for number in range(min(size, len(paths)))]
    return sample
