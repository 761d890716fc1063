"""The files that Plex leaves out of a scan: rules by name, each with its source.

``Filter.py`` and the other scripts are the scanners that Plex has published in its ``Scanners.bundle``. The library
applies the rules while it walks a disk.
"""

from __future__ import annotations

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
"""By rule, the files that it leaves out, and the source."""
