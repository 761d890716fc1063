"""Finds the media files on the disk that are not listed as a single item, and says why."""

from __future__ import annotations

import os
from itertools import takewhile
from typing import NamedTuple

from .._core import TYPE_CHECKING
from .._core.callbacks import Stoppable
from .._core.paths import components, folder_of
from ..errors import AbortedError, NotFetchedError
from ..match import LISTED
from . import on_disk
from .difference import Difference
from .places import host_path, is_in
from .rules import RULES
from .scope import Scope
from .walk import FolderWalk, MediaFile, Unread

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from ..library import Library
    from ..match import Match
    from .places import Places

# Number of files to ask about at once.
_FILES_AT_ONCE = 1024
# An unmounted folder can contain a few leftover names, which these rules ignore.
_FEW, _LEFTOVERS = 64, ("hidden", "system", "empty")
# Maximum number of items that a reason lists.
_NAMED = 3
_TEXTS = {
    "not_scanned": "it is in a folder of library '{}', which does not list it (yet)",
    "not_fetched": "it is in a folder of a library that was never fetched: refresh the library",
    "no_library": "no library has a folder above it",
    "mapping_missing": "Plex lists it below a different root: a mapping is missing",
    "not_utf8": "its name is not UTF-8, and Plex probably lists it as {}: give the file a name in UTF-8",
    "replaced_characters": "Plex probably lists it as {}, with characters that SMB, rclone and Windows replace",
    "loop": "the link leads to one of its parent folders",
    "linked": "it leads to {}, which is compared under another path",
}
# Characters that Windows forbids in names, and those that replace them: the private characters of Macs, Samba, Cygwin
# and WSL, then those that rclone and people use because they look alike. Some programs replace all of them with `_`.
_FORBIDDEN = (
    '"*:<>?\\|\uf020\uf021\uf022\uf023\uf024\uf025\uf026\uf027\uf028\uf029\uf02a\uf03a\uf03c\uf03e\uf03f\uf05c\uf07c'
    "\uff02\uff0a\uff1a\uff1c\uff1e\uff1f\uff3c\uff5c\uff0f\ua789\u2236\u29f8\u2044"
)
_REPLACED = dict.fromkeys(map(ord, _FORBIDDEN), "_")


class Finding(NamedTuple):
    """A media file that is not listed as a single item, or a folder or link that the walk did not read."""

    path: bytes
    cause: str
    """For a file: ``"several_items"``; ``"not_scanned"`` (in a library's folder, but not listed); ``"not_fetched"``
    (the library has no listing); ``"mapping_missing"`` (the path differs only in its root from a listed path);
    ``"not_utf8"`` or ``"replaced_characters"`` (probably the listed path in ``detail``); ``"no_library"``; or a rule
    of Plex. For a folder: see :attr:`Unread.cause`.
    """
    is_file: bool
    detail: bytes = b""
    """A line of a `.plexignore` file, or a path."""
    error: int = 0
    """The system's error number, for ``"unreadable"``."""
    answer: Match | None = None
    """The library's answer for a file."""


class Walk:
    """Compares files and folders on the disk with the listings."""

    def __init__(self, places: Places, without: Collection[str], progress: Callable[[int], object] | None) -> None:
        self._places, self._progress = places, progress
        self._rules = [rule for rule in RULES if rule not in without]
        self.files = 0
        """Number of media files found so far, except those that only other libraries list."""
        self.unreadable: set[bytes] = set()
        """Folders and links that could not be read."""
        self.paired: set[bytes] = set()
        """Listed files, as paths on this machine, that exist under names with other characters."""
        self.stop = Stoppable(places.index._session.progress)
        """The callback that ends the walk and its requests if the task is cancelled."""

    def findings(self, top: bytes, rules: Collection[str] | None = None) -> Iterator[Finding]:
        """Walks a folder. Yields files that are not listed as a single item, and folders and links that are not read.
        Outside of all libraries, ``rules`` are other rules than the comparison's.
        """
        scope = Scope(self._places, self._rules if rules is None else rules)
        files: list[MediaFile] = []
        for found in FolderWalk(scope, top).all():
            if self.stop.stopped:
                raise AbortedError("the comparison was stopped")
            yield from (_not_read(one) for one in found if isinstance(one, Unread))
            files += (one for one in found if isinstance(one, MediaFile))
            if len(files) >= _FILES_AT_ONCE:
                yield from self._unlisted(scope, files)
                files = []
        yield from self._unlisted(scope, files)

    def check(self, paths: Iterable[bytes]) -> Iterator[Finding]:
        """Yields those of some files that are not listed as a single item."""
        scope = Scope(self._places, self._rules)
        yield from self._unlisted(scope, [MediaFile(path, scope.innermost(path)) for path in paths])

    def has_leftovers_only(self, place: bytes) -> bool:
        """Returns whether a location contains no media and no folder that could contain media."""
        inner = {*self._places.locations, *self._places.others} - {place}
        try:
            is_small = on_disk.names_in(place, _FEW) < _FEW
        except OSError:
            return False
        if not is_small or any(is_in(one, place) and os.path.exists(on_disk.native(one)) for one in inner):
            return False
        scope, counted = Scope(self._places, RULES), self.files
        walk = FolderWalk(scope, place)
        found = walk.first()
        files = [one for one in found if isinstance(one, MediaFile)]
        unlisted = [*self._unlisted(scope, files)]
        is_all, self.files = len(unlisted) == self.files - counted, counted
        causes = {one.cause for one in (*unlisted, *found) if not isinstance(one, MediaFile)}
        return walk.is_over and is_all and causes <= set(_LEFTOVERS)

    def _unlisted(self, scope: Scope, files: Sequence[MediaFile]) -> Iterator[Finding]:
        """Yields the files that are not listed as a single item. Counts the files."""
        for begin in range(0, len(files), _FILES_AT_ONCE):
            some = files[begin : begin + _FILES_AT_ONCE]
            keys = self._places.asked.lookup_keys([file.path for file in some])
            # A listed file outside all locations can be a different file with the same end of its path, and the item of
            # a twin can belong to the other name.
            unsure = [file for file, key in zip(some, keys) if key is None or file.location is None or file.twin]
            self.files += len(some)
            if unsure:
                yield from self._causes(scope, unsure)
            if self._progress is not None:
                self._progress(self.files)

    def _causes(self, scope: Scope, files: Sequence[MediaFile]) -> Iterator[Finding]:
        places = self._places
        answers = places.asked.match_paths([file.path for file in files], offline=True)
        unlisted = []
        for file, answer in zip(files, answers):
            if answer.error is not None and not isinstance(answer.error, NotFetchedError):
                raise answer.error
            if not self._is_listed(file, answer):
                unlisted.append((file, answer))
            elif answer.status == "ambiguous":
                yield Finding(file.path, "several_items", True, answer=answer)
        # Several libraries may share a folder, so another library may list the file.
        elsewhere = {file.path for file, _ in unlisted} & self._listed_elsewhere([file for file, _ in unlisted])
        self.files -= len(elsewhere)
        for file, answer in unlisted:
            if file.path not in elsewhere:
                cause, detail = self._cause(scope, file, answer)
                yield Finding(file.path, cause, True, detail, answer=answer)
        if unlisted:
            places.expect_listings()

    def _listed_elsewhere(self, files: Sequence[MediaFile]) -> set[bytes]:
        """Returns the files that only libraries list that are not compared. There, an item of a twin does not count."""
        places = self._places
        if places.compares_all or not files:
            return set()
        answers = places.index.match_paths([file.path for file in files], offline=True)
        twins = (file._replace(twin=True) for file in files)
        return {file.path for file, answer in zip(twins, answers) if self._is_listed(file, answer)}

    def _is_listed(self, file: MediaFile, answer: Match) -> bool:
        """Returns whether the answer's item, or one of several, has the file. An item of a twin has one of its files on
        the disk, but none with this path.
        """
        if answer.match_kind not in LISTED:
            return False
        if not (file.twin and self._places.knows_host_paths):
            return True
        paths = [os.path.normpath(host_path(item)) for item in answer.candidates]
        is_own = os.path.normcase(file.path) in map(os.path.normcase, paths)
        return is_own or not any(os.path.lexists(on_disk.native(path)) for path in paths)

    def _cause(self, scope: Scope, file: MediaFile, answer: Match) -> tuple[str, bytes]:
        """Returns the cause and the detail of a :class:`Finding` for a file that no compared library lists."""
        # If Plex ignores the file, the rule is the cause.
        ruling = scope.ruling_for_file(file.path, file.location)
        if ruling is not None:
            return ruling
        item = answer.item
        differs_in_root = item is not None and answer.reason in ("same_file", "only_root_differs")
        listed = "" if differs_in_root else _lookalike(file.path, answer)
        if listed:
            return ("replaced_characters" if _is_utf8(file.path) else "not_utf8"), os.fsencode(listed)
        if file.location and not file.location.is_out_of_scope:
            return ("not_scanned" if file.location.is_fetched else "not_fetched"), b""
        if item is not None and differs_in_root:
            return "mapping_missing", os.fsencode(item.path or "")
        return "no_library", b""

    def difference(self, one: Finding) -> Difference | None:
        """Returns the difference for a finding."""
        path, cause, owners = one.path, one.cause, self._places.owners(one.path)
        if cause == "unreadable":
            # A missing folder is not a difference, but listed files below a missing folder are.
            return None if one.error in on_disk.NOT_THERE else self.not_read(path, one.error, owners)
        if one.answer is not None and cause == "several_items":
            return _several_items(path, one.answer)
        listed, item = os.fsdecode(one.detail), None
        text = _TEXTS.get(cause) or listed or RULES[cause][0]
        if not one.is_file or cause in RULES:
            if cause == "linked":
                text = text.format(listed) if one.detail not in (path, b"") else "it is compared under another path"
            files, is_folder = int(one.is_file), not one.is_file
            return Difference._of("left_out", path, None, cause, text, owners, files=files, is_folder=is_folder)
        candidates = [] if one.answer is None else one.answer.candidates
        if cause == "not_scanned":
            text = text.format("' or '".join(owner.title for owner in owners))
        elif cause in ("not_utf8", "replaced_characters"):
            item = next((candidate for candidate in candidates if candidate.path == listed), None)
            text = text.format(listed)
            self.paired.add(os.fsencode(self._places.index._host_path_of(listed) or ""))
        elif cause == "mapping_missing":
            text, item = _mapping_missing(path, one.detail), candidates[0]
        return Difference._of("not_in_plex", path, item, cause, text, owners, files=1)

    def not_read(self, path: bytes, number: int, owners: Collection[Library]) -> Difference:
        """Returns the difference for an unreadable folder or link, and remembers the path."""
        self.unreadable.add(path)
        text = f"plexindex cannot read the folder: {on_disk.text_of(number)}"
        return Difference._of("left_out", path, None, "unreadable", text, owners, is_folder=True)


def _not_read(one: Unread) -> Finding:
    return Finding(one.path, one.cause, False, detail=one.detail, error=one.error)


def _is_utf8(path: bytes) -> bool:
    try:
        path.decode()
    except UnicodeDecodeError:
        return False
    return True


def _lookalike(path: bytes, answer: Match) -> str:
    """Returns the only listed path among the candidates that differs from a file's path in nothing but characters that
    other systems replace, and under which there is no file. An empty string if there is not exactly one.
    """
    own, listed = _without_replaced(path), set()
    for item in answer.candidates:
        other = os.path.normpath(host_path(item))
        if _without_replaced(other) == own and not os.path.lexists(on_disk.native(other)):
            listed.add(item.path or "")
    return listed.pop() if len(listed) == 1 else ""


def _without_replaced(path: bytes) -> str:
    """Returns a path's form without the differences that other systems make: see ``_FORBIDDEN``. One U+FFFD stands for
    any number of bytes that are not UTF-8.
    """
    form = on_disk.form_of(path.decode("utf-8", "replace").encode()).decode()
    text = form.translate(_REPLACED)
    while "\ufffd\ufffd" in text:
        text = text.replace("\ufffd\ufffd", "\ufffd")
    return text


def _several_items(path: bytes, answer: Match) -> Difference:
    named = [item.describe() for item in answer.candidates[:_NAMED]]
    more = answer.candidates_total - len(named)
    if more:
        named.append(f"and {more:,} more")
    text = f"{answer.candidates_total:,} items have this file: {', '.join(named)}"
    return Difference._of("ambiguous", path, next(iter(answer.candidates), None), "several_items", text, files=1)


def _mapping_missing(path: bytes, listed: bytes) -> str:
    """Proposes a mapping between the folders that remain after removing the two paths' common end."""
    text, host, server = _TEXTS["mapping_missing"], os.fsdecode(path), os.fsdecode(listed)
    pairs = zip(reversed(components(host)), reversed(components(server)))
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    # If the file names differ in case, the mapping would match only a single file.
    if common == 0:
        return text
    return f"{text}: map {folder_of(host, common)} to the server's {folder_of(server, common)}"
