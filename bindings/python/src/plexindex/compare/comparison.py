"""Compares a disk with the files that Plex lists. Changes neither the disk nor Plex.

1. plexindex looks for the files that Plex lists below the folders, in bulk.
2. It asks the server about the items of missing files, because the server does not always report a rename. If one of
   them has changed, step 1 starts again.
3. It walks the folders by Plex's rules, and looks up the files on the disk, in bulk.
4. A new file is probably a missing file under a new name if it has its size, and no other new or missing file has.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import replace
from itertools import chain, islice

import plexindex

from .._core import TYPE_CHECKING, convert
from .._core import abi as c
from .._core.callbacks import Stoppable
from .._core.paths import full_path
from .._core.selection import oldest, selection_of
from ..changes import REFRESH_ERRORS, LateError, bring_up_to_date
from ..errors import AbortedError, Error, InvalidArgumentError, NotFetchedError, TimeoutError
from ..item import Item
from ..library import Library
from ..mapping import as_mapping
from ..match import LISTED
from ..media import file_of
from . import disk
from .difference import Difference, of_ignored, of_several_items, of_unlisted
from .rules import RULES
from .walk import Location, Scope, Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ..index import Index
    from ..match import Match
    from ..queries import Queries
    from ..types import PathArg
    from .walk import MediaFile

# Number of files to look up at once, and maximum number of listed files in one call.
_FILES_AT_ONCE, _LISTED_AT_ONCE = 1024, 4096
# Maximum number of items that a comparison requests, 64 at a time.
_ASKED = 256
# Maximum numbers of listed and of new files that wait until the end, because they may have been renamed.
_HELD = 65_536
# Smaller files can have the same size by chance.
_MIN_RENAMED = 100 << 20
# Maximum number of listed files to look for in a location, to see whether it is empty.
_PROBED = 1000
# Maximum number of files with which to try mappings, if a folder is outside of all libraries.
_SAMPLE = 200


def scope_of(compared: Queries, rules: Iterable[str] = RULES) -> Scope:
    """Returns all libraries' folders on this machine, by the mappings. ``compared``: the index or a library."""
    selection, index = selection_of(compared), _index_of(compared)
    uuids = {facts["uuid"] for facts in selection.facts()}
    found: dict[bytes, Location] = {}
    for one in index.libraries(offline=True):
        for listed in filter(None, one.locations):
            # The mappings apply to paths below a folder, not to the folder itself.
            below = os.fsencode(selection.host_path_of(listed.rstrip("/") + "/x") or "")
            folder = os.path.normpath(os.path.dirname(below))
            location = found.setdefault(folder, Location(folder))
            (location.compared if one.uuid in uuids else location.others).append(one)
    return Scope(found.values(), frozenset(rules))


def _index_of(compared: Queries) -> Index:
    return compared.index if isinstance(compared, Library) else compared  # type: ignore[return-value]


class Comparison:
    """The differences between folders and Plex, from :meth:`Queries.compare`. Iterate over it only once.

    plexindex yields the differences while it walks the disk, and does not store them. Missing files come at the end,
    and new files, too, if any file is missing, because a new file may be a missing file under a new name.
    """

    def __init__(
        self,
        compared: Queries,
        folders: PathArg | Iterable[PathArg],
        without: Iterable[str],
        timeout: float | None,
        offline: bool,
        progress: Callable[[int], object] | None,
    ) -> None:
        folders = [folders] if isinstance(folders, (str, bytes, os.PathLike)) else folders
        for name, given in (("folders", folders), ("without", without)):
            if isinstance(given, (str, bytes)) or not hasattr(given, "__iter__"):
                raise TypeError(f"{name} must be a list, not {type(given).__name__}")
        folders, without = list(folders), list(without)
        unknown = [rule for rule in without if rule not in RULES]
        if unknown:
            raise InvalidArgumentError(f"without: {unknown[0]!r} is not one of {', '.join(RULES)}")
        convert.timeout_ms(timeout)
        convert.flag("offline", offline)
        if not folders:
            raise InvalidArgumentError("no folder was given: give the folders to walk")
        self._index, self._library, self._selection = _index_of(compared), compared, selection_of(compared)
        for folder in folders:
            convert.path_bytes(folder, self._selection.session.hides_paths, "folder")
        self._folders = [full_path(os.fsencode(folder)) for folder in folders]
        self._rules = [rule for rule in RULES if rule not in without]
        self._offline, self._timeout, self._until = offline, timeout, float("inf")
        self._progress = convert.callback("progress", progress)
        self._stop = Stoppable(self._selection.session.progress)
        self._spellings = disk.Spellings()
        # The locations that are empty; the folders and links that could not be read; listed files that exist under
        # names with other characters; and the listed paths of the items that a new file may be.
        self._empty: set[bytes] = set()
        self._unreadable: set[bytes] = set()
        self._paired: set[str] = set()
        self._candidates: dict[str, set[str | None]] = {}
        # Numbers of listed files below empty locations and of listed files that could not be looked for; numbers of
        # differences by reason, and of media files on the disk by ``what``.
        self._below_empty = self._unknown = self._not_asked = 0
        self._reasons: Counter[str] = Counter()
        self._media_files: Counter[str] = Counter()
        self.files = 0
        """Number of media files on the disk: in Plex, not in Plex, ambiguous, or left out by a rule."""
        self.listed = 0
        """Number of files that Plex lists below the folders: on the disk, missing, or not searched for."""
        self.counts: dict[str, int] = {}
        """Number of differences by ``what``."""
        self.error: Error | None = None
        """Why plexindex compared an older listing: the server did not answer, or not within the timeout. None if the
        listing was current.
        """
        self.renames_unknown = False
        """Whether the server did not answer, so that each renamed file counts as both a missing and a new file."""
        self.age: float | None = None
        """Seconds between the last check of the listing and the comparison; with several listings, the maximum."""
        self.seconds = 0.0
        """Duration of the comparison in seconds."""

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {what}" for what, count in self.counts.items())
        return f"<plexindex.Comparison of {', '.join(map(repr, self._folders))}: {counts or 'no differences yet'}>"

    @property
    def stale(self) -> bool:
        """Whether plexindex compared an older listing, or the server did not say whether files were renamed."""
        return self.error is not None or self.renames_unknown

    @property
    def unasked(self) -> int:
        """Number of new files that may be missing files under new names, but for whose items plexindex did not ask the
        server, because too many files are missing.
        """
        return min(self._not_asked, self._reasons["not_scanned"] + self._reasons["renamed"])

    @property
    def unreadable(self) -> int:
        """Number of folders and links that could not be read."""
        return len(self._unreadable)

    @property
    def differs(self) -> bool:
        """Whether there is any difference so far."""
        return any(self.counts.get(what) for what in ("not_in_plex", "not_on_disk", "ambiguous"))

    @property
    def summary(self) -> plexindex.types.Summary:
        """The counts so far, by name, as JSON values."""
        media, gone, counts = self._media_files, self._reasons["gone"], Counter(self.counts)
        return {
            "what": "summary",
            "folders": [os.fsdecode(folder) for folder in self._folders],
            "files": self.files,
            "files_in_plex": self.files - sum(media.values()),
            "files_not_in_plex": media["not_in_plex"],
            "files_ambiguous": media["ambiguous"],
            "files_left_out": media["left_out"],
            "listed": self.listed,
            "listed_on_disk": self.listed - gone - self._below_empty - self._unknown,
            "listed_not_on_disk": gone + self._below_empty,
            "listed_location_empty": self._below_empty,
            "listed_unknown": self._unknown,
            "not_in_plex": counts["not_in_plex"],
            "not_on_disk": counts["not_on_disk"],
            "ambiguous": counts["ambiguous"],
            "left_out": counts["left_out"],
            "several_paths": counts["several_paths"],
            "unasked": self.unasked,
            "unreadable": self.unreadable,
            "stale": self.stale,
            "age": None if self.age is None else round(self.age, 3),
            "seconds": round(self.seconds, 3),
        }

    def stop(self) -> None:
        """Ends the walk and the requests, from another thread.

        >>> comparison = index.compare(folder)
        >>> comparison.stop()  # a loop over it, on any thread, ends
        """
        self._stop.stopped = True

    def __iter__(self) -> Iterator[Difference]:
        begun = time.monotonic()
        may_ask = self._prepare(begun, always=True)
        folders = disk.outermost(self._folders)
        # Check all folders before the first difference, because scripts expect a summary after the differences.
        for folder in folders:
            self._check_folder(folder)
        for one in self._differences(folders, may_ask=may_ask):
            self.counts[one.what] = self.counts.get(one.what, 0) + 1
            self._reasons[one.reason] += 1
            self._media_files[one.what] += one.files
            yield one
        self.seconds = time.monotonic() - begun

    def _differences(self, folders: list[bytes], *, may_ask: bool) -> Iterator[Difference]:
        for folder in folders:
            yield from self._empty_locations(folder)
        listed, held = self._missing(folders)
        if may_ask and self._ask_about(held, set()):
            listed, held = self._missing(folders)
        gone = [one for one in held if one.reason == "gone"]
        new: list[Difference] = []
        for one in chain.from_iterable(map(self._walked, folders)):
            if gone and one.reason == "not_scanned" and len(new) < _HELD:
                new.append(one)
            elif one.reason != "unreadable" or self._is_newly_unreadable(one):
                yield one
        yield from self._renamed(new, gone) if new else ()
        for one in chain(held, listed):
            is_paired = one.reason == "gone" and one.path in self._paired
            if not is_paired and (one.reason != "unreadable" or self._is_newly_unreadable(one)):
                yield one

    def _is_newly_unreadable(self, one: Difference) -> bool:
        """Remembers an unreadable folder. Returns whether no folder above it is known to be unreadable."""
        path = os.fsencode(one.path)
        is_new = not any(disk.is_in(path, known) for known in self._unreadable)
        if is_new:
            self._unreadable.add(path)
        return is_new

    # The folders and the listings

    def _prepare(self, begun: float, *, always: bool) -> bool:
        """Brings the listings up to date. Returns whether the server may be asked about renamed files."""
        missed = None
        if self._timeout is not None:
            self._until = begun + self._timeout
        if not self._offline:
            missed = bring_up_to_date(self._selection, (self._timeout, self._stop), always=always)
        self.error = missed
        current = self._selection.facts()
        self.age = oldest(current)
        if self.age is None:
            raise NotFetchedError("no library was fetched yet: fetch the libraries once (refresh)")
        self._listings = sum("age_ms" in facts for facts in current)
        self._scope = scope_of(self._library, self._rules)
        recipe = self._selection.session.recipe
        rules = [as_mapping(rule) for rule in recipe.options["mappings"]]
        # A pattern for host paths cannot be inverted, so the listed files cannot be looked for.
        self._knows_host_paths = all(rule.kind != c.MAPPING_HOST_PATTERN for rule in rules)
        return not (self._offline or missed or recipe.server_url is None or recipe.options["offline"])

    def _check_folder(self, folder: bytes) -> None:
        """Raises an error if a folder cannot be compared."""
        scope, location, around = self._scope, self._scope.innermost(folder), self._scope.around(folder)
        for library in (library for one in around for library in one.compared if library.age is None):
            if isinstance(self.error, LateError):
                raise TimeoutError(f"the timeout passed before '{library.title}' was fetched: retry to resume")
            raise NotFetchedError(f"library '{library.title}' was never fetched: fetch the library once (refresh)")
        if any(disk.is_in(one.folder, folder) for one in around):
            return
        if not location.is_reported:
            text = f"{os.fsdecode(folder)} belongs to library '{location.others[0].title}'"
            raise InvalidArgumentError(f"{text}: compare that library, or all")
        if disk.is_missing(folder) or os.path.isfile(folder):
            if any(self._listed_below(folder, library) for one in around for library in one.compared):
                return
            why = "does not exist" if disk.is_missing(folder) else "is a file"
        elif around or self._has_media(folder):
            return
        else:
            why = "contains no media files"
        there = "', '".join(os.fsdecode(one.folder) for one in scope.compared[:6])
        raise InvalidArgumentError(
            f"{os.fsdecode(folder)} {why}, and Plex lists nothing below it: give a folder on this disk, or one of "
            f"Plex's folders: '{there}'"
        )

    def _listed_below(self, folder: bytes, library: Library) -> int:
        """Returns the number of files that a library lists below a folder in exactly this spelling."""
        found = library.folder(folder, offline=True)
        return found.files if found.match_kind in ("exact", "mapped") else 0

    def _empty_locations(self, folder: bytes) -> Iterator[Difference]:
        """Yields a difference for each library that lists files in a location without media: a mount may be missing."""
        for location in self._scope.around(folder):
            why = None if location.folder in self._empty else self._why_empty(location)
            if why is None:
                continue
            for library in location.compared:
                if files := self._listed_below(location.folder, library):
                    self._empty.add(location.folder)
                    are = "1 file of library '{}' is" if files == 1 else f"{files:,} files of library '{{}}' are"
                    text = f"{are.format(library.title)} listed below this folder, which {why}: a mount may be missing"
                    empty = location.folder, None, "location_empty", text, [library]
                    yield Difference._of("not_on_disk", *empty, is_folder=True)

    def _why_empty(self, location: Location) -> str | None:
        """Says why a location is empty: none of its first listed files is on the disk, and no media file is in it."""
        for library in location.compared:
            listed = library.items_below(location.folder, offline=True)
            if not all(disk.is_missing(os.fsencode(item.host_path or "")) for item in islice(listed, _PROBED)):
                return None
        if disk.is_missing(location.folder):
            return "does not exist"
        return None if self._has_media(location.folder) else "contains no media"

    def _has_media(self, folder: bytes) -> bool:
        """Returns whether a folder contains a media file, or a folder that cannot be read."""
        return any(
            any(one.reason == "unreadable" for one in unread)
            or any(not self._scope.ruling_for_file(file.path, file.location) for file in files)
            for files, unread in Walk(self._scope, folder)
        )

    # The listed files

    def _missing(self, folders: list[bytes]) -> tuple[Iterator[Difference], list[Difference]]:
        """Looks for the listed files on the disk. Returns the differences, with the first ones in a list."""
        self.listed = self._below_empty = self._unknown = 0
        roots: dict[str, tuple[Library, list[bytes]]] = {}
        for folder in folders:
            for location in self._scope.around(folder):
                for library in location.compared:
                    _, known = roots.setdefault(library.uuid, (library, []))
                    known.append(max(folder, location.folder, key=len))
        # The keys of the items on the disk, whose further files are additional files.
        seen: set[str] = set()
        pairs = ((library, root) for library, known in roots.values() for root in disk.outermost(known))
        found = chain.from_iterable(self._missing_in(library, root, seen) for library, root in pairs)
        return found, list(islice(found, _HELD))

    def _missing_in(self, library: Library, root: bytes, seen: set[str]) -> Iterator[Difference]:
        """Yields the differences for the files that a library lists below a folder."""
        is_empty = any(disk.is_in(root, place) for place in self._empty)
        if is_empty or not self._knows_host_paths:
            files = self._listed_below(root, library)
            self.listed += files
            self._below_empty += files if is_empty else 0
            self._unknown += 0 if is_empty else files
            return
        for item, is_there in self._looked_for(library, root):
            path = b"" if is_there else os.fsencode(item.host_path or "")
            error = None if is_there else disk.error_of(path)
            if error is None or self._is_there_otherwise(path):
                if item.rating_key not in seen:
                    seen.add(item.rating_key)
                    continue
                text = f"the item has {len(item.paths)} files: {', '.join(item.paths)}"
                path = os.fsencode(item.host_path or "")
                yield Difference._of("several_paths", path, item, "several_files", text)
            elif disk.is_gone(error):
                yield Difference._of("not_on_disk", path, item, "gone", "the file is not on the disk")
            else:
                self._unknown += 1
                folder, text = os.path.dirname(path), f"plexindex cannot read the folder: {disk.text_of(error)}"
                yield Difference._of("left_out", folder, None, "unreadable", text, [library], is_folder=True)

    def _looked_for(self, library: Library, root: bytes) -> Iterator[tuple[Item, bool]]:
        """Yields items whose file is missing, items with several files, and the last item on each page. The flag says
        whether the file is on the disk.
        """
        request = {"library": library, "path": root, "limit": _LISTED_AT_ONCE}
        while True:
            page = self._index.call("items.missing", request)
            self.listed += page["looked_for"]
            yield from ((Item(one["item"], self._selection), one["on_disk"] == "there") for one in page["files"])
            if "cursor" not in page:
                return
            request["cursor"] = page["cursor"]

    def _is_there_otherwise(self, path: bytes) -> bool:
        """Returns whether a listed file is on the disk in another spelling, which no item has."""
        other = self._spellings.other(path)
        if other is None:
            return False
        candidates = self._library.match(other, offline=True).candidates
        return not any(os.fsencode(one.host_path or "") == other for one in candidates)

    # Renames

    def _ask_about(self, differences: Iterable[Difference], unchanged: set[tuple[str, str]]) -> bool:
        """Requests items whose files are missing. Returns whether anything has changed, so that plexindex must look for
        the listed files again. ``unchanged``: the items (section and rating key) not to ask about, to which this call
        adds. If an item now has another item's file, the index also requests that other item.
        """
        by_section = {library.section: library for one in self._scope.compared for library in one.compared}
        missing = {(one.section or "", one.item.rating_key): one.item
                   for one in differences if one.reason == "gone" and one.item}  # fmt: skip
        keys = [key for key in missing if key not in unchanged]
        self._not_asked = len(keys[_ASKED:])
        libraries = {section: by_section[section] for section, _ in keys[:_ASKED]}
        if not keys:
            return False
        cursor = self._index.changes(offline=True).cursor
        for section, key in keys[:_ASKED]:
            libraries[section].invalidate_path(missing[section, key].path or "")
        try:
            for library in libraries.values():
                left = None if self._timeout is None else max(self._until - time.monotonic(), 0)
                self.renames_unknown |= not library.refresh(timeout=left, progress=self._stop)
        except REFRESH_ERRORS:
            self.renames_unknown = True
        has_changed = any(True for _ in self._index.changes(cursor, offline=True))
        if not (has_changed or self.renames_unknown):
            unchanged.update(keys[:_ASKED])
        return has_changed

    def _renamed(self, new: list[Difference], gone: list[Difference]) -> Iterator[Difference]:
        """Yields the new files. One that has the size of a missing file is probably that file, if no other file has the
        size, or if the library names the missing file for it.
        """
        missing: dict[int, list[Difference]] = {}
        for one in gone:
            missing.setdefault(_listed_size(one.item), []).append(one)
        sizes = {one.path: disk.size_of(os.fsencode(one.path)) or 0 for one in new}
        counts = Counter(sizes.values())
        for one in new:
            size = sizes[one.path]
            old = missing.get(size, []) if size else []
            if size < _MIN_RENAMED or counts[size] > 1 or len(old) > 1:
                old = [other for other in old if other.item and other.item.path in self._candidates.get(one.path, ())]
            if len(old) == 1:
                text = f"it is probably '{old[0].path}', which is gone and had the same size, under a new name"
                one = replace(one, item=old[0].item, reason="renamed", message=text)
            yield one

    # The files on the disk

    def _walked(self, folder: bytes) -> Iterator[Difference]:
        """Yields the differences for the files and folders on the disk."""
        if any(disk.is_in(folder, place) for place in self._empty):
            return
        is_outside = not self._scope.around(folder)
        files: list[MediaFile] = []
        for found, unread in Walk(self._scope, folder):
            if self._stop.stopped:
                raise AbortedError("the comparison was stopped")
            yield from (one for one in unread if one.reason == "unreadable" or not is_outside)
            files += found
            if len(files) >= _FILES_AT_ONCE and not is_outside:
                yield from self._looked_up(files)
                files = []
        if is_outside:
            yield from self._nothing_fits(folder, files)
        else:
            yield from self._looked_up(files)

    def _looked_up(self, files: list[MediaFile]) -> Iterator[Difference]:
        """Yields the differences for files on the disk that are not listed as a single item. Counts the files."""
        keys = self._library.lookup_keys([file.path for file in files])
        # A listed file outside all locations can be a different file with the same end of its path, and the item of a
        # twin can belong to the other name.
        unsure = [
            file for file, key in zip(files, keys) if key is None or file.location is self._scope.outside or file.twin
        ]
        self.files += len(files)
        unlisted: list[tuple[MediaFile, Match]] = []
        for file, answer in zip(unsure, self._library.match_paths([file.path for file in unsure], offline=True)):
            if answer.error is not None and not isinstance(answer.error, NotFetchedError):
                raise answer.error
            if not self._is_listed(file, answer):
                unlisted.append((file, answer))
            elif answer.status == "ambiguous":
                yield of_several_items(file.path, answer)
        elsewhere = self._listed_elsewhere([file for file, _ in unlisted])
        self.files -= len(elsewhere)
        for file, answer in unlisted:
            if file.path not in elsewhere:
                yield self._unlisted(file, answer)
        if unlisted and sum("age_ms" in facts for facts in self._selection.facts()) < self._listings:
            # The files look unlisted because the store has lost a listing.
            raise NotFetchedError("a listing was lost during the comparison: fetch the libraries again (refresh)")
        if self._progress is not None:
            self._progress(self.files)

    def _unlisted(self, file: MediaFile, answer: Match) -> Difference:
        """Returns the difference for a file that no library lists. If Plex ignores the file, this is the reason."""
        ruling = self._scope.ruling_for_file(file.path, file.location)
        if ruling is not None:
            return of_ignored(file.path, file.location, ruling)
        found = of_unlisted(file, answer)
        if found.reason == "not_scanned":
            self._candidates[found.path] = {item.path for item in answer.candidates}
        elif found.reason in ("not_utf8", "replaced_characters") and found.item:
            self._paired.add(found.item.host_path or "")
        return found

    def _is_listed(self, file: MediaFile, answer: Match) -> bool:
        """Returns whether the answer's item, or one of several, has the file. An item of a twin has one of its files on
        the disk, but none with this path.
        """
        if answer.match_kind not in LISTED:
            return False
        if not file.twin:
            return True
        paths = [os.path.normpath(os.fsencode(item.host_path or "")) for item in answer.candidates]
        is_own = os.path.normcase(file.path) in map(os.path.normcase, paths)
        return is_own or not any(os.path.lexists(disk.native(path)) for path in paths)

    def _listed_elsewhere(self, files: list[MediaFile]) -> set[bytes]:
        """Returns the files that only libraries list that are not compared, because several may share a folder."""
        if not files or not any(one.others for one in self._scope.locations):
            return set()
        answers = self._index.match_paths([file.path for file in files], offline=True)
        return {file.path for file, answer in zip(files, answers) if self._is_listed(file, answer)}

    def _nothing_fits(self, folder: bytes, files: list[MediaFile]) -> Iterator[Difference]:
        """Yields the difference for a folder outside of all libraries, with a proposed mapping if there is one."""
        files = [file for file in files if not self._scope.ruling_for_file(file.path, file.location)]
        found, paths = len(files), [file.path for file in files[:_SAMPLE]]
        self.files += found
        if not found:
            return
        has = f"{found:,} media file{'s are' if found > 1 else ' is'} in it"
        proposals = self._index.proposals(paths)  # each begins with a folder of the paths
        if not proposals:
            text = f"no library has this folder, or a folder above or below it: {has}"
            yield Difference._of("not_in_plex", folder, None, "no_library", text, (), found, is_folder=True)
            return
        best = proposals[0]
        sampled = "sampled files" if found > len(paths) else "files"
        text = (
            f"no library has this folder, but {best.matched} of {best.of} {sampled} would be listed if {best.host} "
            f"were the server's {best.server}: give that mapping ({has})"
        )
        yield Difference._of("not_in_plex", folder, None, "mapping_missing", text, (), found, is_folder=True)


def _listed_size(item: Item | None) -> int:
    """Returns the size that Plex lists of an item's file; 0 if it is unknown."""
    file = file_of(item.media, item.path) if item else None
    return (file.size if file else None) or 0


def find_renames(library: Library, unchanged: set[tuple[str, str]]) -> None:
    """Asks the server about the items of missing files in a library's folders, because the server does not always
    report a rename. Then the feed does. ``unchanged``: the items (section and rating key) not to ask about, to which
    this call adds those that the server called unchanged.
    """
    folders = [one.folder for one in scope_of(library).compared if os.path.isdir(disk.native(one.folder))]
    if not folders:
        return
    comparison = Comparison(library, folders, (), None, False, None)
    may_ask = comparison._prepare(time.monotonic(), always=False)
    folders = disk.outermost(folders)
    for folder in folders:
        for _ in comparison._empty_locations(folder):
            pass
    if may_ask:
        comparison._ask_about(comparison._missing(folders)[1], unchanged)
