"""The rules by which Plex ignores files and folders in a scan, with their sources, and `.plexignore` files.

``Filter.py`` and the other scripts are scanners that Plex has published in its ``Scanners.bundle``.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from . import disk

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
EVERYWHERE = frozenset(("extension", "hidden", "system", "empty"))
"""The rules that also apply outside all libraries."""


def _extensions(names: bytes) -> frozenset[bytes]:
    return frozenset(b"." + name for name in names.split())


# The extensions by which Plex's scanners choose files.
VIDEO = _extensions(
    b"3g2 3gp asf asx avc avi avs bivx bup divx dv dvr-ms evo fli flv m2t m2ts m2v m4v mkv mov mp4 mpeg mpg mts nsv "
    b"nuv ogm ogv pva qt rm rmvb sdp strm svq3 tp ts ty vdr viv vob vp3 webm wmv wpl wtv xsp xvid"
)
AUDIO = _extensions(
    b"aac ac3 aif aiff alac ape dsd dsf dts flac m4a m4b mka mp+ mp2 mp3 mpa mpc mpp oga ogg opus rm rma shn wav wma wv"
)
PHOTO = _extensions(
    b"3fr arw bmp cr2 crw dcr dng erf gif heic heif ico j2k jp2 jpeg jpg jps mef mpo mrw nef orf pcx pef png raf rw2 "
    b"sr2 tga tif tiff webp x3f"
)
_MEDIA = VIDEO | AUDIO | PHOTO
_BY_KIND = {"movie": VIDEO, "show": VIDEO, "artist": AUDIO, "photo": PHOTO | VIDEO}


def is_media(path: str | bytes, extensions: Collection[bytes] = _MEDIA) -> bool:
    """Returns whether a file's name ends with one of these extensions."""
    name = os.fsencode(path)
    return name[name.rfind(b".") :].lower() in extensions


@dataclass(frozen=True)
class MediaTypes:
    """The files that Plex's scanners read in a folder."""

    extensions: Collection[bytes]
    """The extensions of media files, in lower case and with the dot."""
    has_video_rules: bool
    """Whether the rules ``samples``, ``extras`` and ``discs`` apply."""

    @classmethod
    def of(cls, kinds: Iterable[str]) -> MediaTypes:
        """Returns the media types of libraries of these kinds; all media types if there is none, because the folder is
        outside all libraries.
        """
        kinds = set(kinds)
        # In a library of an unknown kind, any file can be media, but no rule for videos applies.
        extensions = frozenset().union(*(_BY_KIND.get(kind, _MEDIA) for kind in kinds)) or _MEDIA
        return cls(extensions, not kinds or bool(kinds & {"movie", "show", "photo"}))


# Plex allows one more character at the end of some names, such as an `s`. Here, it is a character in UTF-8, or a byte.
_ONE = rb"(?:[\xc0-\xf7][\x80-\xbf]{1,3}|.)?"
_ROOT, _BELOW, _ANYWHERE = (True,), (False,), (True, False)
# The rules for folders, in order: where they apply, and what a name in lower case begins with.
# 'Extra' counts only as a whole word, not in 'Extraction'.
_FOLDERS = [
    (rule, where, re.compile(expression, re.DOTALL))
    for rule, where, expression in (
        ("system", _ANYWHERE, rb"@eadir|lost\+found|\.appledouble|@recycle|#recycle|@recently-snapshot"),
        ("system", _ANYWHERE, rb".*\.itlp\Z|.*\.photoslibrary"),
        ("system", _ROOT, rb"\$recycle\.bin|system volume information|temporary items|network trash folder"),
        ("hidden", _ANYWHERE, rb"\."),
        ("unpacking", _ANYWHERE, rb".*_(?:unpack|failed)_"),
        ("discs", _ANYWHERE, rb"(?:bdmv|video_ts)\Z"),
        ("samples", _ANYWHERE, rb"!?sample"),
        ("extras", _BELOW, rb"extras?(?:\Z|[^0-9a-z_\x80-\xff])|bonus|.*bonus disc|behind.?the.?scenes\Z"),
        ("extras", _BELOW, rb"(?:interview|scene|trailer|featurette|short|other|deleted(?:.?scene)?)" + _ONE + rb"\Z"),
    )
]
_OF_VIDEOS = frozenset(("discs", "samples", "extras"))
_EXTRA = re.compile(
    rb"trailer" + _ONE + rb"\Z|movie-trailer"
    rb"|.*-(?:trailer|deleted|behindthescenes|interview|scene|featurette|short|other)\.", re.DOTALL
)  # fmt: skip
_SAMPLE = re.compile(rb"[-._ ]sample|sample[-._ ]")
# A larger video is never a sample, whatever its name.
_MAX_SAMPLE_BYTES = 300 << 20


_PLEXIGNORE = b".plexignore"
# Number of bytes to read from a `.plexignore` file.
_MAX_BYTES = 1 << 20


def rule_for_folder(name: bytes, rules: Collection[str], media: MediaTypes, at_root: bool) -> str | None:
    """Returns the rule by which Plex ignores a folder with this name; None if Plex reads the folder.

    ``rules`` and ``media`` are those of the folder's location. ``at_root``: whether the folder is directly in it.
    """
    name = name.lower()
    for rule, where, expression in _FOLDERS:
        applies = rule in rules and at_root in where and (media.has_video_rules or rule not in _OF_VIDEOS)
        if applies and expression.match(name):
            return rule
    return None


def rule_for_file(path: bytes, rules: Collection[str], media: MediaTypes) -> str | None:
    """Returns the rule by which Plex ignores an unlisted media file; None if Plex does not ignore the file.

    ``rules`` and ``media`` are those of the file's location. Reads the file's size, which is slow.
    """
    name = os.path.basename(path).lower()
    if "hidden" in rules and name.startswith(b"."):
        return "hidden"
    # A file without metadata, such as a dangling link, counts as empty.
    size = disk.size_of(path) or 0
    if "empty" in rules and (size == 0 or not disk.may_read(path)):
        return "empty"
    if not media.has_video_rules:
        return None
    if "samples" in rules and size < _MAX_SAMPLE_BYTES and _SAMPLE.search(name):
        return "samples"
    return "extras" if "extras" in rules and _EXTRA.match(name) else None


class Ignored:
    """The patterns of one folder's `.plexignore` file, whose format differs from `.gitignore`.

    A pattern without a slash matches file names, and ignores case. It applies in the folder of the `.plexignore` file;
    if this folder is a library's own, also in all subfolders. A pattern with a slash matches the paths of files and
    folders relative to the folder of the `.plexignore` file. The part of the pattern before its last slash also matches
    the path of a folder. A pattern that starts with a slash matches nothing. No pattern negates, and `*` does not match
    a slash.
    """

    def __init__(self, folder: bytes, text: bytes) -> None:
        """``text``: the file's content, a pattern on each line. A line that starts with ``#`` is a comment."""
        self._folder = folder.rstrip(disk.SEPARATOR)
        self._names, self._paths = _Patterns(), _Patterns()
        for raw in text.split(b"\n"):
            line = raw.decode("utf-8", "surrogateescape").strip()
            # A backslash stands before a pattern that starts with `#`, because `#` starts a comment.
            pattern = line[1:] if line.startswith("\\#") else line
            if not pattern or line.startswith(("#", "/")):
                continue
            if "/" in pattern:
                # The part before the last slash also matches, so that `extras/*` ignores the folder `extras`.
                self._paths.add(line, pattern.rstrip("/"), pattern.rpartition("/")[0])
            else:
                self._names.add(line, _folded(pattern))

    @classmethod
    def read(cls, folder: bytes) -> Ignored | None:
        """Reads the file in a folder. Returns None if there is no regular file that can be read."""
        path = disk.native(os.path.join(folder, _PLEXIGNORE))
        try:
            # Opening a pipe could block forever.
            if not os.path.isfile(path):
                return None
            with open(path, "rb") as file:
                return cls(folder, file.read(_MAX_BYTES))
        except OSError:
            return None

    def line_for_file(self, path: bytes) -> bytes | None:
        """Returns the first line that ignores a file in or below the folder, with the path of the `.plexignore` file.
        None if no line does.
        """
        relative = self._relative(path)
        if relative is None:
            return None
        # A file name has precedence over a path.
        line = self._names.first(_folded(relative.rpartition("/")[2]))
        return self._shown(self._paths.first(relative) if line is None else line)

    def line_for_folder(self, path: bytes) -> bytes | None:
        """Returns the first line that ignores a folder below this one, likewise. Only patterns with a slash do."""
        relative = self._relative(path)
        return None if relative is None else self._shown(self._paths.first(relative))

    def _relative(self, path: bytes) -> str | None:
        """Returns a path relative to the folder, with slashes; None for a path that is not below the folder."""
        above, below = path[: len(self._folder)], path[len(self._folder) :]
        if above != self._folder or not below.startswith(disk.SEPARATOR):
            return None
        return below[1:].replace(disk.SEPARATOR, b"/").decode("utf-8", "surrogateescape")

    def _shown(self, line: str | None) -> bytes | None:
        if line is None:
            return None
        return b"'%s' in %s" % (line.encode("utf-8", "surrogateescape"), self._folder + disk.SEPARATOR + _PLEXIGNORE)


class _Patterns:
    """Either the patterns with a slash or those without. A table has the plain names, because there can be many."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        # Each plain name with the number of its first line; and each glob's number with an expression for each part
        # between slashes, so that no wildcard matches a slash.
        self._plain: dict[str, int] = {}
        self._globs: list[tuple[int, list[re.Pattern[str]]]] = []

    def add(self, line: str, *patterns: str) -> None:
        """Adds the next line of the file, which matches a name if one of its patterns does."""
        for pattern in patterns:
            if any(mark in pattern for mark in "*?["):
                with contextlib.suppress(re.error):  # an empty range, such as [z-a], matches nothing
                    parts = [re.compile(fnmatch.translate(part)) for part in pattern.split("/")]
                    self._globs.append((len(self._lines), parts))
            else:
                self._plain.setdefault(pattern, len(self._lines))
        self._lines.append(line)

    def first(self, name: str) -> str | None:
        """Returns the first line that matches a whole file name or relative path."""
        plain, parts = self._plain.get(name, len(self._lines)), name.split("/")
        for number, globs in self._globs:
            if number < plain and len(globs) == len(parts) and all(map(re.Pattern.match, globs, parts)):
                return self._lines[number]
        return self._lines[plain] if plain < len(self._lines) else None


def _folded(text: str) -> str:
    """Returns a text in lower case. A character whose lower case is longer stays."""
    return text.lower() if text.isascii() else "".join(low if len(low := one.lower()) == 1 else one for one in text)
