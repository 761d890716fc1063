"""The rules by which Plex ignores files in a scan, by name, each with its source.

``Filter.py`` and the other scripts are scanners that Plex has published in its ``Scanners.bundle``. The library applies
the rules while it walks a disk.
"""

from __future__ import annotations

import os
from collections.abc import Collection

VIDEO = frozenset(
    "3gp asf avi divx flv iso m2ts m4v mkv mov mp4 mpeg mpg mts ogm ogv rm rmvb ts vob webm wmv".split()  # noqa: SIM905
)
AUDIO = frozenset("aac aif aiff alac ape dsf flac m4a m4b mp3 mpc oga ogg opus wav wma wv".split())  # noqa: SIM905
PHOTO = frozenset("bmp gif heic jpeg jpg png raw tif tiff webp".split())  # noqa: SIM905


def is_media(path: str | bytes, suffixes: Collection[str] = VIDEO | AUDIO | PHOTO) -> bool:
    """Returns whether a file's name ends with one of these extensions."""
    return os.fsdecode(path).rpartition(".")[2].lower() in suffixes


_SUPPORT = "support: 'Special Keyword File/Folder Exclusion'"
RULES: dict[str, tuple[str, str]] = {
    "extension": (
        "files that do not have a media extension of the library's kind: subtitles, posters, partial downloads, images",
        "Filter.py; VideoFiles.py, AudioFiles.py, PhotoFiles.py; support: 'What Media Formats Are Supported?'",
    ),
    "hidden": ("files and folders whose names begin with a dot", "Filter.py"),
    "system": (
        (
            "folders that systems and programs create: @eaDir, @Recycle, #recycle, lost+found, .AppleDouble, *.itlp, "
            "*.photoslibrary; in a library's own folder also $Recycle.Bin, System Volume Information, Temporary Items, "
            "Network Trash Folder"
        ),
        "Filter.py",
    ),
    "unpacking": ("folders with running or failed unpacking: _UNPACK_ or _FAILED_ in the name", "Filter.py"),
    "empty": ("empty files, dangling links, files that Plex cannot read", "Filter.py"),
    "samples": (
        "videos below 300 MB whose names contain the word 'sample'; folders whose names begin with 'sample'",
        f"VideoFiles.py; {_SUPPORT}",
    ),
    "extras": (
        "trailers, deleted scenes, interviews and an item's other extras, by the end of the name or by the folder",
        "VideoFiles.py; support: 'Local Files for Trailers and Extras'",
    ),
    "discs": (
        "disc folders: BDMV and VIDEO_TS",
        "VideoFiles.py; support: 'Why Are ISO, VIDEO_TS, and Other Disk Image Formats Not Supported?'",
    ),
    "plexignore": (
        (
            "files that match a pattern in .plexignore: the syntax differs from .gitignore. A pattern without a slash "
            "applies to file names in the folder of the .plexignore file, and in a library's own folder also to all "
            "folders below. A pattern with a slash applies to files and folders, relative to the folder of the "
            ".plexignore file, and also leaves out the folder before the last slash. No pattern negates, and * does "
            "not match a slash"
        ),
        f"Filter.py; {_SUPPORT}",
    ),
}
"""For each rule, the files that Plex ignores, and the source of the rule."""
