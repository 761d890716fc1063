"""What Plex leaves out when it scans a folder: rules by name, each with the place where Plex says so.

``Filter.py`` and its neighbours are the scanners that Plex has published in its ``Scanners.bundle``.
"""

from __future__ import annotations

import os
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    Pattern = re.Pattern[str]

_SUPPORT = "support: 'Special Keyword File/Folder Exclusion'"
RULES: dict[str, tuple[str, str]] = {
    "extension": (
        "files that do not end as media of the library's kind do: subtitles, posters, partial downloads, disk images",
        "Filter.py; VideoFiles.py, AudioFiles.py, PhotoFiles.py; support: 'What Media Formats Are Supported?'",
    ),
    "hidden": ("files and folders whose names begin with a dot", "Filter.py"),
    "system": (
        (
            "folders of systems and programs: @eaDir, @Recycle, #recycle, lost+found, .AppleDouble, *.itlp, "
            "*.photoslibrary; in a library's own folder also $Recycle.Bin, System Volume Information, Temporary Items, "
            "Network Trash Folder"
        ),
        "Filter.py",
    ),
    "unpacking": ("folders that are being unpacked, or could not be: _UNPACK_ or _FAILED_ in the name", "Filter.py"),
    "empty": ("files without a byte, links that lead nowhere, files that cannot be read", "Filter.py"),
    "samples": (
        "videos with 'sample' as a word of the name and below 300 MB; folders whose names begin with 'sample'",
        f"VideoFiles.py; {_SUPPORT}",
    ),
    "extras": (
        "trailers, deleted scenes, interviews and the like, by the end of the name or the folder: they are of an item",
        "VideoFiles.py; support: 'Local Files for Trailers and Extras'",
    ),
    "discs": (
        "folders of discs: BDMV and VIDEO_TS",
        "VideoFiles.py; support: 'Why Are ISO, VIDEO_TS, and Other Disk Image Formats Not Supported?'",
    ),
    "plexignore": (
        (
            "what a file .plexignore names: no gitignore. A pattern without a slash is of file names: in the folder of "
            "a .plexignore, and in all below that of a library's own folder. One with a slash is of files and folders, "
            "from the file's folder on, and leaves out the folder before its last slash, too. Nothing negates, and * "
            "matches no slash"
        ),
        f"Filter.py; {_SUPPORT}",
    ),
}
"""Each rule: what it leaves out, and where that is said."""

VIDEO = frozenset(
    b"3g2 3gp asf asx avc avi avs bivx bup divx dv dvr-ms evo fli flv m2t m2ts m2v m4v mkv mov mp4 mpeg mpg mts nsv "
    b"nuv ogm ogv tp pva qt rm rmvb sdp svq3 strm ts ty vdr viv vob vp3 wmv wpl wtv xsp xvid webm".split()
)
AUDIO = frozenset(
    b"mp3 m4a m4b flac aac rm rma mpa wav wma ogg mp2 mka ac3 dts ape mpc mp+ mpp shn oga aiff aif wv dsf dsd opus "
    b"alac".split()
)
PHOTO = frozenset(
    b"png jpg jpeg bmp gif ico tif tiff tga pcx dng nef cr2 crw orf arw erf 3fr dcr x3f mef raf mrw pef sr2 mpo jps "
    b"rw2 jp2 j2k heic heif webp".split()
)
_BY_KIND = {"movie": VIDEO, "show": VIDEO, "artist": AUDIO, "photo": PHOTO | VIDEO}

_SYSTEM = re.compile(
    r"@eaDir|lost\+found|\.AppleDouble|.*\.itlp$|@Recycle|.*\.photoslibrary|#recycle|@Recently-Snapshot", re.IGNORECASE
)
_SYSTEM_AT_ROOT = re.compile(
    r"\$Recycle.Bin|System Volume Information|Temporary Items|Network Trash Folder", re.IGNORECASE
)
_UNPACKING = re.compile(r".*_(UNPACK|FAILED)_", re.IGNORECASE)
_SAMPLE = re.compile(r"[-._ ]sample|sample[-._ ]", re.IGNORECASE)
_SAMPLES = re.compile(r"!?samples?", re.IGNORECASE)
_SAMPLE_BYTES = 300 * 1024 * 1024
_EXTRA = re.compile(
    r"^trailer.?$|^movie-trailer|-(trailer|deleted|behindthescenes|interview|scene|featurette|short|other)\.",
    re.IGNORECASE,
)
_EXTRAS = re.compile(
    r"\bextras?\b|bonus|.*bonus disc|^interview.?$|^scene.?$|^trailer.?$|^deleted.?(scene.?)?$|^behind.?the.?scenes$"
    r"|^featurette.?$|^short.?$|^other.?$",
    re.IGNORECASE,
)
_DISCS = re.compile(r"bdmv$|video_ts$", re.IGNORECASE)


def extensions(kinds: Iterable[str]) -> frozenset[bytes]:
    """What media files of libraries of these kinds end in."""
    known = [_BY_KIND.get(kind, VIDEO | AUDIO | PHOTO) for kind in kinds]
    return frozenset().union(*known)


def folder_rule(name: str, rules: Collection[str], *, at_root: bool, video: bool) -> str | None:
    """The rule that leaves out a folder of this name, if one does. ``at_root``: in a library's own folder."""
    if "system" in rules and (_SYSTEM.match(name) or (at_root and _SYSTEM_AT_ROOT.match(name))):
        return "system"
    if "hidden" in rules and name.startswith("."):
        return "hidden"
    if "unpacking" in rules and _UNPACKING.match(name):
        return "unpacking"
    if not video:
        return None
    if "discs" in rules and _DISCS.match(name):
        return "discs"
    if "samples" in rules and _SAMPLES.match(name):
        return "samples"
    if "extras" in rules and not at_root and _EXTRAS.match(name):
        return "extras"
    return None


def file_rule(path: bytes, name: str, rules: Collection[str], *, video: bool) -> str | None:
    """The rule that leaves out a file that no library lists, if one does."""
    if "hidden" in rules and name.startswith("."):
        return "hidden"
    try:
        size = os.stat(path).st_size
    except OSError:
        size = 0
    if "empty" in rules and (size == 0 or not os.access(path, os.R_OK)):
        return "empty"
    if video and "samples" in rules and size < _SAMPLE_BYTES and _SAMPLE.search(name):
        return "samples"
    if video and "extras" in rules and _EXTRA.search(name):
        return "extras"
    return None


class Ignored:
    """What the file .plexignore of one folder names."""

    __slots__ = ("_files", "_folder", "_inherited", "_paths", "_patterns")

    def __init__(self, folder: bytes, text: str, *, inherited: bool) -> None:
        """``inherited``: it is a library's own folder, whose patterns hold below it, too."""
        self._folder = os.fsdecode(folder).rstrip("/")
        self._inherited = inherited
        files, paths = [], []
        # Each line with what it became.
        self._patterns: list[tuple[str, list[str]]] = []
        for line in text.splitlines():
            pattern = line.strip()
            if not pattern or pattern[0] == "#":
                continue
            given, pattern = pattern, pattern[1:] if pattern.startswith("\\#") else pattern
            if "/" not in pattern:
                files.append(_glob(pattern))
                self._patterns.append((given, files[-1:]))
            elif not pattern.startswith("/"):
                paths += [_glob(pattern.rstrip("/")), _glob(pattern.rpartition("/")[0])]
                self._patterns.append((given, paths[-2:]))
        self._files = re.compile("|".join(files), re.IGNORECASE) if files else None
        self._paths = re.compile("|".join(paths)) if paths else None

    @classmethod
    def of(cls, folder: bytes, *, inherited: bool) -> Ignored | None:
        """That of this folder; None where there is none that can be read."""
        try:
            with open(folder + b"/.plexignore", encoding="utf-8", errors="surrogateescape") as file:
                return cls(folder, file.read(1 << 20), inherited=inherited)
        except OSError:
            return None

    def names_file(self, folder: str, name: str) -> str | None:
        """What is said of a file of this folder, if it names it: which line does."""
        own = folder == self._folder
        if not (own or self._inherited):
            return None
        if self._files and self._files.fullmatch(name):
            return self._line(name, re.IGNORECASE)
        return self._names(folder, name)

    def names_folder(self, folder: str, name: str) -> str | None:
        """The same of a folder in this one."""
        return self._names(folder, name) if self._inherited or folder == self._folder else None

    def _names(self, folder: str, name: str) -> str | None:
        inside = folder[len(self._folder) + 1 :]
        path = f"{inside}/{name}" if inside else name
        return self._line(path, 0) if self._paths and self._paths.fullmatch(path) else None

    def _line(self, named: str, flags: int) -> str:
        line = next(line for line, forms in self._patterns if any(re.fullmatch(form, named, flags) for form in forms))
        return f"'{line}' in {self._folder}/.plexignore"


def _glob(pattern: str) -> str:
    """A pattern of file names as a regular expression: ``*`` and ``?`` match no slash."""
    made, at = [], 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "[":
            end = pattern.find("]", at + 1)
            if end > 0:
                inside = pattern[at:end].replace("\\", "\\\\")
                inside = f"^{inside[1:]}" if inside[0] == "!" else inside.replace("^", "\\^", 1)
                made.append(f"[{inside}]")
                at = end + 1
                continue
        made.append({"*": "[^/]*", "?": "[^/]"}.get(char) or re.escape(char))
    return f"(?:{''.join(made)})"
