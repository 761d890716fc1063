"""One difference between a disk and what Plex lists."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from ._items import Item
    from ._library import LibraryInfo


class Difference:
    """One difference between a disk and what Plex lists. Made by :meth:`Index.compare`."""

    __slots__ = ("_files", "item", "library", "path", "reason", "reason_code", "section", "what")

    what: str
    """``"not_in_plex"``, ``"not_on_disk"``, ``"ambiguous"``; or a remark that is no difference:
    ``"left_out"`` (Plex leaves it out) and ``"several_paths"`` (a further file of an item).
    """
    path: str
    """The file or folder, as the host sees it. Bytes that are not UTF-8 are decoded by ``surrogateescape``."""
    item: Item | None
    """The item that Plex lists with it."""
    reason_code: str
    """Why: ``"not_scanned"``, ``"not_fetched"``, ``"no_library"``, ``"mapping_missing"``; ``"gone"``,
    ``"location_empty"``; ``"several_items"``, ``"several_files"``; the name of a rule that leaves it out; ``"loop"``,
    ``"linked"`` (compared already, by another path), ``"unreadable"``.
    """
    reason: str
    """The same as a sentence."""
    library: str | None
    """Title of the library that lists it, or has a folder above it; None if there is none, or several."""
    section: str | None
    """Its section id."""

    def __init__(
        self,
        what: str,
        path: bytes,
        item: Item | None,
        reason_code: str,
        reason: str,
        owners: Collection[LibraryInfo] = (),
        files: int = 0,
    ) -> None:
        """``files``: the number of media files on the disk that it covers."""
        self._files = files
        self.what, self.path, self.item = what, os.fsdecode(path), item
        self.reason_code, self.reason = reason_code, reason
        if item is not None:
            self.library, self.section = item.library, item.section
        else:
            (owner,) = owners if len(owners) == 1 else (None,)
            self.library, self.section = (owner.title, owner.section) if owner else (None, None)

    def to_dict(self) -> dict[str, object]:
        """All fields by name, as JSON values."""
        item = None if self.item is None else self.item.to_dict()
        return {
            "what": self.what,
            "path": self.path,
            "item": item,
            "reason_code": self.reason_code,
            "reason": self.reason,
            "library": self.library,
            "section": self.section,
        }

    def __repr__(self) -> str:
        return f"<plexindex.Difference {self.what} {self.path!r}: {self.reason_code}>"


def not_read(path: bytes, number: int, owners: Collection[LibraryInfo]) -> Difference:
    """The difference for a folder or link that cannot be read. ``number``: the system's error."""
    return Difference("left_out", path, None, "unreadable", f"it cannot be read: {os.strerror(number)}", owners)
