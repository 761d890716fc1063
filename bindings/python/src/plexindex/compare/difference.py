"""One difference between a disk and Plex's lists, and the reason for it."""

from __future__ import annotations

import os
import re

import plexindex

from .._core import Record, Sequence
from ..item import Item
from ..library import Library
from . import disk
from .rules import RULES

# The reasons' texts, unless the reason is a rule or the text is made of what was found.
_TEXTS = {
    "not_scanned": "it is in a folder of library '{}', which does not list it (yet)",
    "no_library": "no library has a folder above it",
    "mapping_missing": "Plex lists it below a different root: a mapping is missing that leads to {}",
    "not_utf8": "its name is not UTF-8, and Plex probably lists it as {}: give the file a name in UTF-8",
    "replaced_characters": "Plex probably lists it as {}, with characters that SMB, rclone and Windows replace",
    "gone": "the file is not on the disk",
    "several_files": "the item has {}",
    "loop": "the link leads to one of its parent folders",
    "linked": "it leads to {}, which is compared under another path",
    "unreadable": "plexindex cannot read the folder: {}",
}
# Characters that Windows forbids in names, and those that replace them: the private characters of Macs, Samba, Cygwin
# and WSL, then those that rclone and people use because they look alike. Some programs replace all of them with `_`.
_FORBIDDEN = (
    '"*:<>?\\|\uf020\uf021\uf022\uf023\uf024\uf025\uf026\uf027\uf028\uf029\uf02a\uf03a\uf03c\uf03e\uf03f\uf05c\uf07c'
    "\uff02\uff0a\uff1a\uff1c\uff1e\uff1f\uff3c\uff5c\uff0f\ua789\u2236\u29f8\u2044"
)
_REPLACED = dict.fromkeys(map(ord, _FORBIDDEN), "_")


class Difference(Record):
    """A difference between a disk and Plex's lists. :meth:`Queries.compare` yields these objects."""

    what: plexindex.types.DifferenceKind
    """``"not_in_plex"``, ``"not_on_disk"`` or ``"ambiguous"``. Two values are not differences: ``"left_out"`` (Plex
    ignores the file) and ``"several_paths"`` (an additional file of an item).
    """
    path: str
    """The host's path of the file or folder. ``surrogateescape`` decodes bytes that are not UTF-8."""
    is_folder: bool
    """Whether the difference concerns a whole folder, such as a folder outside of all libraries."""
    files: int
    """Number of media files on the disk, or 0 if plexindex did not count them."""
    item: Item | None
    """The item for which Plex lists the path, or for ``"renamed"`` the old path."""
    reason: str
    """The reason: ``"not_scanned"``, ``"renamed"`` (the new name of a missing file, by its size), ``"no_library"``,
    ``"mapping_missing"``, ``"not_utf8"``, ``"replaced_characters"``, ``"gone"``, ``"location_empty"``,
    ``"several_items"``, ``"several_files"``, ``"loop"``, ``"linked"`` (compared under another path), ``"unreadable"``,
    or the name of the rule by which Plex ignores the file.
    """
    message: str
    """``reason`` as a sentence."""
    library: str | None
    """Title of the library that lists the path or has a folder above it. None for no library or several libraries."""
    section: str | None
    """Section id of the library."""

    def to_dict(self) -> dict[str, object]:
        """Returns all fields by name, as JSON values.

        >>> [difference.to_dict()["reason"] for difference in index.compare(folder)]
        ['no_library']
        """
        return {**vars(self), "item": None if self.item is None else self.item.to_dict()}

    def __repr__(self) -> str:
        return f"<plexindex.Difference {self.what} {self.path!r}: {self.reason}>"


def difference(
    what: plexindex.types.DifferenceKind, path: bytes, reason: str, detail: str = "", item: Item | None = None,
    owners: Sequence[Library] = (), files: int = 0, is_folder: bool = False, text: str = "",
) -> Difference:  # fmt: skip
    """Creates a difference. Its library is the item's, or the only owner. ``detail``: what the reason's text names.
    ``text``: another text.
    """
    owner = owners[0] if len(owners) == 1 and item is None else None
    library, section = (
        (item.library_title, item.section) if item else (owner.title, owner.section) if owner else ("", "")
    )
    text = text or _TEXTS.get(reason, "{}").format(detail) or RULES[reason][0]
    return Difference(what, os.fsdecode(path), is_folder, files, item, reason, text, library or None, section or None)


def without_replaced(path: bytes) -> str:
    """Returns a path's form without the differences that other systems make: see ``_FORBIDDEN``. One U+FFFD stands for
    any number of bytes that are not UTF-8.
    """
    form = disk.form_of(path.decode("utf-8", "replace").encode()).decode()
    return re.sub("\ufffd+", "\ufffd", form.translate(_REPLACED))
