"""A sample of a few hundred files from all over a large tree, without walking all of it."""

from __future__ import annotations

import os
import random
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

VIDEO = frozenset(
    (
        "3gp",
        "asf",
        "avi",
        "divx",
        "flv",
        "iso",
        "m2ts",
        "m4v",
        "mkv",
        "mov",
        "mp4",
        "mpeg",
        "mpg",
        "mts",
        "ogm",
        "ogv",
        "rm",
        "rmvb",
        "ts",
        "vob",
        "webm",
        "wmv",
    )
)
AUDIO = frozenset(
    (
        "aac",
        "aif",
        "aiff",
        "alac",
        "ape",
        "dsf",
        "flac",
        "m4a",
        "m4b",
        "mp3",
        "mpc",
        "oga",
        "ogg",
        "opus",
        "wav",
        "wma",
        "wv",
    )
)
PHOTO = frozenset(("bmp", "gif", "heic", "jpeg", "jpg", "png", "raw", "tif", "tiff", "webp"))
_BY_KIND = {"movie": VIDEO, "show": VIDEO, "artist": AUDIO, "photo": PHOTO | VIDEO}
# Folders of systems and of Plex itself.
_LEFT_OUT = frozenset(("@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"))
_SECONDS = 20.0
_ENTRIES = 500_000


class Sample:
    """Paths of media files, and facts about their tree."""

    __slots__ = ("entries", "found", "paths", "whole")

    def __init__(self) -> None:
        self.paths: list[bytes] = []
        """The sample, in alphabetical order."""
        self.found = 0
        """Media files seen."""
        self.entries = 0
        """Files and folders seen."""
        self.whole = True
        """Whether all of the tree was seen. False: only a part of each branch."""


def extensions(kinds: Collection[str]) -> frozenset[str]:
    """Extensions of media files in libraries of these kinds; of video and audio if no library is known."""
    known = [_BY_KIND[kind] for kind in kinds if kind in _BY_KIND]
    return frozenset().union(*known) if known else VIDEO | AUDIO


def is_media(path: str | bytes, ends: Collection[str] = VIDEO | AUDIO | PHOTO) -> bool:
    """Returns whether a path has the extension of a media file."""
    return os.fsdecode(path).rpartition(".")[2].lower() in ends


def of_folder(folder: str, size: int, ends: Collection[str], seconds: float = _SECONDS) -> Sample:
    """Returns a sample of the media files below a folder; the same for the same tree.

    Reads the branches in turn, each in random order. So every branch was visited when time is up, and each file that
    was seen has the same chance.
    """
    sample, dice, until = Sample(), random.Random(0), time.monotonic() + seconds  # noqa: S311
    branches: list[list[str]] = [[os.path.abspath(folder)]]
    seen: set[tuple[int, int]] = set()
    turn = 0
    while branches:
        if time.monotonic() > until or sample.entries > _ENTRIES:
            sample.whole = False
            break
        branch = branches[turn % len(branches)]
        # Swaps a random folder to the end, where it is removed fast.
        pick = dice.randrange(len(branch))
        branch[pick], branch[-1] = branch[-1], branch[pick]
        below = _look(branch.pop(), sample, size, ends, dice, seen)
        if len(branches) == 1 and not branch:
            # Until the tree forks, there is one branch. Then each folder becomes a branch.
            branches = [[child] for child in below]
            continue
        branch.extend(below)
        if not branch:
            branches.remove(branch)
        else:
            turn += 1
    sample.paths.sort()
    return sample


def _look(
    folder: str,
    sample: Sample,
    size: int,
    ends: Collection[str],
    dice: random.Random,
    seen: set[tuple[int, int]],
) -> list[str]:
    """Adds the files of one folder. Returns its folders."""
    below = []
    try:
        # A link may lead back up.
        facts = os.stat(folder)
        if (facts.st_dev, facts.st_ino) in seen:
            return []
        seen.add((facts.st_dev, facts.st_ino))
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return []
    for entry in entries:
        sample.entries += 1
        if entry.name.startswith(".") or entry.name in _LEFT_OUT:
            continue
        try:
            is_folder = entry.is_dir()
        except OSError:
            continue
        if is_folder:
            below.append(entry.path)
        elif is_media(entry.name, ends):
            sample.found += 1
            if len(sample.paths) < size:
                sample.paths.append(os.fsencode(entry.path))
            else:
                place = dice.randrange(sample.found)
                if place < size:
                    sample.paths[place] = os.fsencode(entry.path)
    return below


def of_list(paths: list[bytes], size: int) -> Sample:
    """Returns a sample of listed paths, spread over the list."""
    sample = Sample()
    sample.found = sample.entries = len(paths)
    step = max(len(paths) / size, 1.0)
    sample.paths = [paths[int(number * step)] for number in range(min(size, len(paths)))]
    return sample
