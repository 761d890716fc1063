"""The rules by which Plex ignores files and folders in a scan, with their sources, and `.plexignore` files.

``Filter.py`` and the other scripts are scanners that Plex has published in its ``Scanners.bundle``.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import re
from collections.abc import Collection, Iterable
from functools import lru_cache

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
# The rules that also apply outside all libraries.
_EVERYWHERE = frozenset(("extension", "hidden", "system", "empty"))


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


def extensions_of(kinds: Iterable[str]) -> Collection[bytes]:
    """Returns the extensions of media files in libraries of these kinds, in lower case and with the dot; those of all
    media if there is no library. In a library of an unknown kind, any file can be media.
    """
    return frozenset().union(*(_BY_KIND.get(kind, _MEDIA) for kind in kinds)) or _MEDIA


def rules_of(kinds: Collection[str], rules: Collection[str]) -> frozenset[str]:
    """Returns those of ``rules`` that apply in a folder of libraries of these kinds. Only some rules apply outside all
    libraries; those for videos do not apply to music.
    """
    if not kinds:
        return _EVERYWHERE.intersection(rules)
    has_videos = any(kind in ("movie", "show", "photo") for kind in kinds)
    return frozenset(rules).difference(() if has_videos else _OF_VIDEOS)


# Plex allows one more character at the end of some names, such as an `s`. Here, it is a character in UTF-8, or a byte.
_ONE = rb"(?:[\xc0-\xf7][\x80-\xbf]{1,3}|.)?"
_ROOT, _BELOW, _ANYWHERE = True, False, None
# The rules for folders, in order: where they apply, and what a name in lower case begins with.
# 'Extra' counts only as a whole word, not in 'Extraction'.
_FOLDERS = (
    ("system", _ANYWHERE, rb"@eadir|lost\+found|\.appledouble|@recycle|#recycle|@recently-snapshot"),
    ("system", _ANYWHERE, rb".*\.itlp\Z|.*\.photoslibrary"),
    ("system", _ROOT, rb"\$recycle\.bin|system volume information|temporary items|network trash folder"),
    ("hidden", _ANYWHERE, rb"\."),
    ("unpacking", _ANYWHERE, rb".*_(?:unpack|failed)_"),
    ("discs", _ANYWHERE, rb"(?:bdmv|video_ts)\Z"),
    ("samples", _ANYWHERE, rb"!?sample"),
    ("extras", _BELOW, rb"extras?(?:\Z|[^0-9a-z_\x80-\xff])|bonus|.*bonus disc|behind.?the.?scenes\Z"),
    ("extras", _BELOW, rb"(?:interview|scene|trailer|featurette|short|other|deleted(?:.?scene)?)" + _ONE + rb"\Z"),
)  # fmt: skip
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


def rule_for_folder(name: bytes, rules: frozenset[str], at_root: bool) -> str | None:
    """Returns the rule by which Plex ignores a folder with this name; None if Plex reads the folder.

    ``rules`` are those of the folder's location. ``at_root``: whether the folder is directly in it.
    """
    names, of_group = _folders(rules, at_root)
    found = names.match(name.lower())
    return of_group[(found.lastindex or 0) - 1] if found else None


@lru_cache
def _folders(rules: frozenset[str], at_root: bool) -> tuple[re.Pattern[bytes], list[str]]:
    """Returns one expression for all ignored folders, which takes a third of the time, and the rule of each group."""
    applying = [(rule, name) for rule, where, name in _FOLDERS if rule in rules and where in (_ANYWHERE, at_root)]
    names = b"|".join(b"(%s)" % name for _, name in applying) or rb"(?!)"
    return re.compile(names, re.DOTALL), [rule for rule, _ in applying]


def rule_for_file(path: bytes, rules: Collection[str]) -> str | None:
    """Returns the rule by which Plex ignores an unlisted media file; None if Plex does not ignore the file.

    ``rules`` are those of the file's location. Reads the file's size, which is slow.
    """
    name, size = os.path.basename(path).lower(), disk.size_of(path)
    found = (
        ("hidden", name.startswith(b".")),
        ("empty", size == 0 or not os.access(disk.native(path), os.R_OK)),
        ("samples", size < _MAX_SAMPLE_BYTES and _SAMPLE.search(name)),
        ("extras", _EXTRA.match(name)),
    )
    return next((rule for rule, is_ignored in found if is_ignored and rule in rules), None)


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
        # A pattern for file names begins with a slash here, unlike one for paths. A table has the lines of patterns
        # without a wildcard, because there can be many; a glob is an expression for each part between slashes, so that
        # no wildcard matches a slash.
        self._plain: dict[str, str] = {}
        self._globs: list[tuple[list[re.Pattern[str]], str]] = []
        for raw in text.split(b"\n"):
            line = raw.decode("utf-8", "surrogateescape").strip()
            # A backslash stands before a pattern that starts with `#`, because `#` starts a comment.
            pattern = line[1:] if line.startswith("\\#") else line
            if not pattern or line.startswith(("#", "/")):
                continue
            # The part before the last slash also matches, so that `extras/*` ignores the folder `extras`.
            patterns = pattern.rstrip("/"), pattern.rpartition("/")[0]
            for one in patterns if "/" in pattern else [f"/{_folded(pattern)}"]:
                if not any(mark in one for mark in "*?["):
                    self._plain.setdefault(one, line)
                    continue
                with contextlib.suppress(re.error):  # an empty range, such as [z-a], matches nothing
                    self._globs.append(([re.compile(fnmatch.translate(part)) for part in one.split("/")], line))

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

    def line_for(self, path: bytes, *, is_folder: bool) -> bytes | None:
        """Returns a line that ignores a file or folder below the folder, with the path of the `.plexignore` file; None
        if no line does. Only patterns with a slash ignore folders.
        """
        above, below = path[: len(self._folder)], path[len(self._folder) :]
        if above != self._folder or not below.startswith(disk.SEPARATOR):
            return None
        relative = below[1:].replace(disk.SEPARATOR, b"/").decode("utf-8", "surrogateescape")
        line = None if is_folder else self._first("/" + _folded(relative.rpartition("/")[2]))
        line = line or self._first(relative)
        place = self._folder + disk.SEPARATOR + _PLEXIGNORE
        return None if line is None else b"'%s' in %s" % (line.encode("utf-8", "surrogateescape"), place)

    def _first(self, name: str) -> str | None:
        """Returns a line that matches a relative path or, after a slash, a file name."""
        if name in self._plain or not self._globs:
            return self._plain.get(name)
        parts = name.split("/")
        of_length = ((glob, line) for glob, line in self._globs if len(glob) == len(parts))
        return next((line for glob, line in of_length if all(map(re.Pattern.match, glob, parts))), None)


def _folded(text: str) -> str:
    """Returns a text in lower case. A character whose lower case is longer stays."""
    return text.lower() if text.isascii() else "".join(low if len(low := one.lower()) == 1 else one for one in text)
