"""One difference between a disk and Plex's lists."""

from __future__ import annotations

import os
from dataclasses import dataclass

from .._core import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from .._core.types import DifferenceKind
    from ..item import Item
    from ..library import Library


@dataclass(frozen=True, repr=False)
class Difference:
    """A difference between a disk and Plex's lists. :meth:`Index.compare` yields these objects."""

    what: DifferenceKind
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
    """The item for which Plex lists the path."""
    reason: str
    """The reason: ``"not_scanned"``, ``"not_fetched"``, ``"no_library"``, ``"mapping_missing"``, ``"not_utf8"``,
    ``"replaced_characters"``, ``"gone"``, ``"location_empty"``, ``"several_items"``, ``"several_files"``, ``"loop"``,
    ``"linked"`` (compared under another path), ``"unreadable"``, or the name of the rule by which Plex ignores the
    file.
    """
    message: str
    """``reason`` as a sentence."""
    library: str | None
    """Title of the library that lists the path or has a folder above it. None for no library or several libraries."""
    section: str | None
    """Section id of the library."""

    @classmethod
    def _of(
        cls, what: DifferenceKind, path: bytes, item: Item | None, reason: str, message: str,
        owners: Collection[Library] = (), files: int = 0, is_folder: bool = False,
    ) -> Difference:  # fmt: skip
        """Creates a difference. Its library is the item's, or the only owner."""
        (owner,) = owners if len(owners) == 1 and item is None else (None,)
        library, section = (item.library, item.section) if item else (owner.title, owner.section) if owner else ("", "")
        return cls(what, os.fsdecode(path), is_folder, files, item, reason, message, library or None, section or None)

    def to_dict(self) -> dict[str, object]:
        """Returns all fields by name, as JSON values."""
        return {**vars(self), "item": None if self.item is None else self.item.to_dict()}

    def __repr__(self) -> str:
        return f"<plexindex.Difference {self.what} {self.path!r}: {self.reason}>"
