"""The rules by which Plex ignores files and folders in a scan, by name, each with its source.

``Filter.py`` and the other scripts are scanners that Plex has published in its ``Scanners.bundle``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from . import on_disk

# The extensions of the files that `plexindex doctor` and FakePlex count as media, with disc images.
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


# The extensions by which Plex's scanners choose files.
_SCANNED = {
    "video": (
        b"3g2 3gp asf asx avc avi avs bivx bup divx dv dvr-ms evo fli flv m2t m2ts m2v m4v mkv mov mp4 mpeg mpg mts "
        b"nsv nuv ogm ogv pva qt rm rmvb sdp strm svq3 tp ts ty vdr viv vob vp3 webm wmv wpl wtv xsp xvid"
    ),
    "audio": (
        b"aac ac3 aif aiff alac ape dsd dsf dts flac m4a m4b mka mp+ mp2 mp3 mpa mpc mpp oga ogg opus rm rma shn wav "
        b"wma wv"
    ),
    "photo": (
        b"3fr arw bmp cr2 crw dcr dng erf gif heic heif ico j2k jp2 jpeg jpg jps mef mpo mrw nef orf pcx pef png raf "
        b"rw2 sr2 tga tif tiff webp x3f"
    ),
}
_KINDS = {"movie": ("video",), "show": ("video",), "artist": ("audio",), "photo": ("photo", "video")}


@dataclass(frozen=True)
class MediaTypes:
    """The files that Plex's scanners read in a folder."""

    extensions: frozenset[bytes]
    """The extensions of media files, in lower case and without a dot."""
    has_video_rules: bool
    """Whether the rules ``samples``, ``extras`` and ``discs`` apply."""

    @classmethod
    def of(cls, kinds: Iterable[str]) -> MediaTypes:
        """Returns the media types of libraries of these kinds; all media types if there is none, because the folder is
        outside all libraries.
        """
        kinds = set(kinds)
        # In a library of an unknown kind, any file can be media, but no rule for videos applies.
        types = [kind for one in kinds for kind in _KINDS.get(one, _SCANNED)] if kinds else list(_SCANNED)
        extensions = frozenset(extension for kind in types for extension in _SCANNED[kind].split())
        return cls(extensions, not kinds or bool(kinds & {"movie", "show", "photo"}))

    def has_extension(self, name: bytes) -> bool:
        """Returns whether a file's name has the extension of one of these media types."""
        _, dot, extension = name.rpartition(b".")
        return bool(dot) and extension.lower() in self.extensions


EVERYWHERE = frozenset(("extension", "hidden", "system", "empty"))
"""The rules that also apply outside all libraries."""
_SYSTEM = (b"@eadir", b"lost+found", b".appledouble", b"@recycle", b"#recycle", b"@recently-snapshot")
_SYSTEM_AT_ROOT = (b"$recycle.bin", b"system volume information", b"temporary items", b"network trash folder")
# Plex allows one more character at the end of some names, such as an `s`. Here, it is a character in UTF-8, or a byte.
_ONE = rb"(?:[\xc0-\xf7][\x80-\xbf]{1,3}|.)?"
# 'Extra' counts only as a whole word, not in 'Extraction'.
_EXTRAS_FOLDER = re.compile(
    rb"extras?(?:\Z|[^0-9a-z_\x80-\xff])|bonus|.*bonus disc|(?:interview|scene|trailer|featurette|short|other)" + _ONE
    + rb"\Z|deleted(?:.?scene)?" + _ONE + rb"\Z|behind.?the.?scenes\Z", re.DOTALL
)  # fmt: skip
_EXTRA = re.compile(
    rb"trailer" + _ONE + rb"\Z|movie-trailer"
    rb"|.*-(?:trailer|deleted|behindthescenes|interview|scene|featurette|short|other)\.", re.DOTALL
)  # fmt: skip
_SAMPLE = re.compile(rb"[-._ ]sample|sample[-._ ]")
# A larger video is never a sample, whatever its name.
_MAX_SAMPLE_BYTES = 300 << 20


def rule_for_folder(name: bytes, rules: Collection[str], media: MediaTypes, at_root: bool) -> str | None:
    """Returns the rule by which Plex ignores a folder with this name; None if Plex reads the folder.

    ``rules`` and ``media`` are those of the folder's location. ``at_root``: whether the folder is directly in it.
    """
    name = name.lower()
    starts = _SYSTEM + _SYSTEM_AT_ROOT if at_root else _SYSTEM
    is_video = media.has_video_rules
    if "system" in rules and (name.startswith(starts) or name.endswith(b".itlp") or b".photoslibrary" in name):
        return "system"
    if "hidden" in rules and name.startswith(b"."):
        return "hidden"
    if "unpacking" in rules and (b"_unpack_" in name or b"_failed_" in name):
        return "unpacking"
    if is_video and "discs" in rules and name in (b"bdmv", b"video_ts"):
        return "discs"
    if is_video and "samples" in rules and name.removeprefix(b"!").startswith(b"sample"):
        return "samples"
    return "extras" if is_video and "extras" in rules and not at_root and _EXTRAS_FOLDER.match(name) else None


def rule_for_file(path: bytes, rules: Collection[str], media: MediaTypes) -> str | None:
    """Returns the rule by which Plex ignores an unlisted media file; None if Plex does not ignore the file.

    ``rules`` and ``media`` are those of the file's location. Reads the file's size, which is slow.
    """
    name = os.path.basename(path).lower()
    if "hidden" in rules and name.startswith(b"."):
        return "hidden"
    # A file without metadata, such as a dangling link, counts as empty.
    size = on_disk.size_of(path) or 0
    if "empty" in rules and (size == 0 or not on_disk.may_read(path)):
        return "empty"
    if not media.has_video_rules:
        return None
    if "samples" in rules and size < _MAX_SAMPLE_BYTES and _SAMPLE.search(name):
        return "samples"
    return "extras" if "extras" in rules and _EXTRA.match(name) else None
