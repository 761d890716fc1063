"""Compares a disk with the files that Plex lists. Changes neither the disk nor Plex.

1. plexindex looks for the files that Plex lists below the folders, in bulk.
2. It walks the folders by Plex's rules, and looks up the files on the disk, in bulk.
3. It asks the server about the items of missing files, because the server does not always report a rename. If one of
   them has changed, it looks again for the listed files and for the new ones.
4. A new file is probably a missing file under a new name if it has its size, and no other new or listed file has.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from itertools import chain, islice

import plexindex

from .._core import Any, Callable, Iterable, Iterator, convert
from .._core import abi as c
from .._core.callbacks import Stoppable
from .._core.convert import full_path
from .._core.selection import oldest, selection_of, time_left
from ..changes import REFRESH_ERRORS, LateError, bring_up_to_date, expired
from ..errors import AbortedError, Error, InvalidArgumentError, NotFetchedError, TimeoutError
from ..item import Item
from ..library import Library
from ..mapping import as_mapping
from ..match import LISTED, Match
from ..media import file_of
from ..queries import Queries
from . import disk
from .difference import Difference, difference, without_replaced
from .rules import RULES
from .walk import Location, Place, Scope, walk

# Number of files to look up at once, and maximum number of listed files in one call.
_FILES_AT_ONCE, _LISTED_AT_ONCE = 1024, 4096
# Maximum number of items that a comparison requests, 100 at a time.
_ASKED = 256
# Smaller files can have the same size by chance.
_MIN_RENAMED = 100 << 20
# Maximum number of listed files to look for in a location, to see whether it is empty.
_PROBED = 1000
# Maximum number of files with which to try mappings, if a folder is outside of all libraries.
_SAMPLE = 200
# Maximum number of items that a reason lists.
_NAMED = 3
# The kinds of lines, of which only the first three are differences.
_KINDS = ("not_in_plex", "not_on_disk", "ambiguous", "left_out", "several_paths")


def scope_of(compared: Queries, rules: Iterable[str] = RULES) -> Scope:
    """Returns all libraries' folders on this machine, by the mappings. ``compared``: the index or a library."""
    selection = selection_of(compared)
    uuids = {facts["uuid"] for facts in selection.facts()}
    found: dict[bytes, tuple[list[Library], list[Library]]] = {}
    for one in _index_of(compared).libraries(offline=True):
        for listed in filter(None, one.locations):
            # The mappings apply to paths below a folder, not to the folder itself.
            below = os.fsencode(selection.host_path_of(listed.rstrip("/") + "/x") or "")
            libraries = found.setdefault(os.path.normpath(os.path.dirname(below)), ([], []))
            libraries[one.uuid not in uuids].append(one)
    rules = frozenset(rules)
    return Scope([Location(folder, rules, *libraries) for folder, libraries in found.items()], rules)


def _index_of(compared: Queries) -> plexindex.Index:
    index: Any = compared
    return getattr(index, "index", index)  # type: ignore[no-any-return]


class Comparison:
    """The differences between folders and Plex, from :meth:`Queries.compare`. Iterate over it only once.

    plexindex yields the differences while it walks the disk. Missing files come at the end, and new files, too, if any
    file is missing, because a new file may be a missing file under a new name.
    """

    def __init__(
        self,
        compared: Queries,
        folders: plexindex.types.PathArg | Iterable[plexindex.types.PathArg],
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
        self._folders = disk.outermost(full_path(os.fsencode(folder)) for folder in folders)
        self._rules = [rule for rule in RULES if rule not in without]
        self._offline, self._timeout = offline, timeout
        self._progress = convert.callback("progress", progress)
        self._stop = Stoppable(self._selection.session.progress)
        # The empty locations; the folders and links that could not be read; the keys of missing files' items, and the
        # items by the forms and by the paths; and the missing files that exist after all, mostly under another name,
        # with this file.
        self._empty: list[Difference] = []
        self._unreadable: set[bytes] = set()
        self._gone_keys: set[str] = set()
        self._gone: dict[str, dict[str, Item]] = {}
        self._paired: dict[str, bytes] = {}
        # The counts by their names in the summary, and by reason.
        self._counts: Counter[str] = Counter()
        self.error: Error | None = None
        """Why plexindex compared an older listing: the server did not answer, or not within the timeout. None if the
        listing was current.
        """
        self.renames_unknown: bool = False
        """Whether the server did not answer, so that each renamed file counts as both a missing and a new file."""
        self._age: float | None = None
        self._begun = self._seconds = 0.0

    def __repr__(self) -> str:
        counts = ", ".join(f"{self._counts[what]} {what}" for what in _KINDS if self._counts[what])
        return f"<plexindex.Comparison of {', '.join(map(repr, self._folders))}: {counts or 'no differences yet'}>"

    @property
    def differs(self) -> bool:
        """Whether there is any difference so far."""
        return any(self._counts[what] for what in _KINDS[:3])

    @property
    def summary(self) -> plexindex.types.Summary:
        """The counts so far, by name, as JSON values."""
        counts = self._counts
        media = {f"files_{what}": counts[f"files_{what}"] for what in ("not_in_plex", "ambiguous", "left_out")}
        missing = counts["gone"] + counts["listed_location_empty"]
        summary: Any = {
            "what": "summary",
            "folders": [os.fsdecode(folder) for folder in self._folders],
            "files": counts["files"],
            "files_in_plex": counts["files"] - sum(media.values()),
            **media,
            "listed": counts["listed"],
            "listed_on_disk": counts["listed"] - missing - counts["listed_unknown"],
            "listed_not_on_disk": missing,
            **{name: counts[name] for name in ("listed_location_empty", "listed_unknown", *_KINDS)},
            "unasked": min(counts["unasked"], counts["not_scanned"] + counts["renamed"]),
            "unreadable": len(self._unreadable),
            "stale": self.error is not None or self.renames_unknown,
            "age": None if self._age is None else round(self._age, 3),
            "seconds": round(self._seconds, 3),
        }
        return summary  # type: ignore[no-any-return]

    def stop(self) -> None:
        """Ends the walk and the requests, from another thread.

        >>> comparison = index.compare(folder)
        >>> comparison.stop()  # a loop over it, on any thread, ends
        """
        self._stop.stopped = True

    def __iter__(self) -> Iterator[Difference]:
        if self._begun:
            raise InvalidArgumentError("a comparison yields its differences only once: call compare() again")
        self._begun = time.monotonic()
        may_ask = self._prepare()
        # Check all folders before the first difference, because scripts expect a summary after the differences.
        for folder in self._folders:
            self._check_folder(folder)
        for one in self._differences(may_ask=may_ask):
            if one.reason == "unreadable":
                path = os.fsencode(one.path)
                if any(disk.is_in(path, known) for known in self._unreadable):
                    continue
                self._unreadable.add(path)
            self._counts.update({one.what: 1, one.reason: 1, f"files_{one.what}": one.files})
            yield one
        self._seconds = time.monotonic() - self._begun

    def _differences(self, *, may_ask: bool) -> Iterator[Difference]:
        yield from self._empty
        # Before the first look, because another process can learn of a rename meanwhile.
        cursor = self._index.changes(offline=True).cursor if may_ask else None
        listed = list(self._missing())
        self._know_missing(listed)
        new: list[Difference] = []
        for one in chain.from_iterable(map(self._walked, self._folders)):
            if self._gone and one.reason in ("not_scanned", "not_utf8", "replaced_characters", "several_items"):
                new.append(one)
            else:
                yield one
        if may_ask and self._ask_about((one for one in listed if one.path not in self._paired), cursor):
            listed, again = list(self._missing()), {*self._paired.values(), *(os.fsencode(one.path) for one in new)}
            self._paired.clear()
            self._know_missing(listed)
            self._counts["files"] -= len(again)
            places = [Place(path, self._scope.innermost(path), is_twin=True) for path in sorted(again)]
            new = list(self._looked_up(places))
        listed = [one for one in listed if one.reason != "gone" or one.path not in self._paired]
        yield from self._renamed(new, [one for one in listed if one.reason == "gone"])
        yield from listed

    def _know_missing(self, listed: Iterable[Difference]) -> None:
        """Keeps the items of missing files."""
        self._gone, self._gone_keys = {}, set()
        for one in listed:
            if one.reason == "gone" and one.item:
                self._gone_keys.add(one.item.key)
                self._gone.setdefault(without_replaced(os.fsencode(one.path)), {})[one.path] = one.item

    # The folders and the listings

    def _prepare(self) -> bool:
        """Brings the listings up to date. Returns whether the server may be asked about renamed files."""
        if not self._offline:
            self.error = bring_up_to_date(self._selection, (self._timeout, self._stop), always=True)
        else:
            self.error = expired(self._selection)
        current = self._selection.facts()
        self._age = oldest(current)
        if self._age is None:
            raise NotFetchedError("no library was fetched yet: fetch the libraries once (refresh)")
        self._listings = sum("age_ms" in facts for facts in current)
        self._scope = scope_of(self._library, self._rules)
        self._empty = list(missing_mounts(self._scope, self._folders))
        recipe = self._selection.session.recipe
        rules = [as_mapping(rule) for rule in recipe.options["mappings"]]
        # A pattern for host paths cannot be inverted, so the listed files cannot be looked for.
        self._knows_host_paths = all(rule.kind != c.MAPPING_HOST_PATTERN for rule in rules)
        return not (self._offline or self.error or recipe.server_url is None or recipe.options["offline"])

    def _check_folder(self, folder: bytes) -> None:
        """Raises an error if a folder cannot be compared."""
        around, location = self._scope.around(folder), self._scope.innermost(folder)
        for library in (library for one in around for library in one.compared if library.age is None):
            if isinstance(self.error, LateError):
                raise TimeoutError(f"the timeout passed before '{library.title}' was fetched: retry to resume")
            raise NotFetchedError(f"library '{library.title}' was never fetched: fetch the library once (refresh)")
        if any(disk.is_in(one.folder, folder) for one in around):
            return
        if location.others and not location.compared:
            text = f"{self._shown(folder)} belongs to library '{location.others[0].title}'"
            raise InvalidArgumentError(f"{text}: compare that library, or all")
        why = "does not exist" if disk.is_missing(folder) else "is a file" if os.path.isfile(folder) else ""
        if not (why or around or _has_media(self._scope, folder)):
            why = "contains no media files"
        if why and not any(_listed_below(folder, library) for one in around for library in one.compared):
            there = "', '".join(self._shown(one.folder) for one in self._scope.compared[:6])
            raise InvalidArgumentError(
                f"{self._shown(folder)} {why}, and Plex lists nothing below it: give a folder on this disk, or one of "
                f"Plex's folders: '{there}'"
            )

    def _shown(self, folder: bytes) -> str:
        """Returns a folder's path for an error, which hides it if the index does."""
        path = os.fsdecode(folder)
        return convert.display_path(path, hidden=True) if self._selection.session.hides_paths else path

    def _is_in_empty(self, path: bytes) -> bool:
        """Returns whether a path is in a location without media."""
        return any(disk.is_in(path, os.fsencode(one.path)) for one in self._empty)

    # The listed files

    def _missing(self) -> Iterator[Difference]:
        """Looks for the listed files on the disk, and yields the differences."""
        for name in ("listed", "listed_location_empty", "listed_unknown"):
            self._counts[name] = 0
        roots: dict[Library, list[bytes]] = {}
        for folder in self._folders:
            for location in self._scope.around(folder):
                for library in location.compared:
                    roots.setdefault(library, []).append(max(folder, location.folder, key=len))
        # The keys of the items on the disk, whose further files are additional files.
        seen: set[str] = set()
        for library, known in roots.items():
            for root in disk.outermost(known):
                is_empty = self._is_in_empty(root)
                if is_empty or not self._knows_host_paths:
                    files = _listed_below(root, library)
                    self._counts["listed"] += files
                    self._counts["listed_location_empty" if is_empty else "listed_unknown"] += files
                else:
                    yield from self._missing_in(library, root, seen)

    def _missing_in(self, library: Library, root: bytes, seen: set[str]) -> Iterator[Difference]:
        """Yields the differences for the files that a library lists below a folder."""
        request: Any = {"library": library, "path": root, "limit": _LISTED_AT_ONCE}
        while request:
            page = self._index.call("items.missing", request)
            self._counts["listed"] += page["looked_for"]
            # Items whose file is missing, items with several files, and the last item on the page.
            for one in page["files"]:
                item = Item(one["item"], self._selection)
                path = os.fsencode(item.host_path or "")
                error = None if one["on_disk"] == "there" else disk.error_of(path)
                if error is None:
                    if item.rating_key in seen:
                        detail = f"{len(item.paths)} files: {', '.join(item.paths)}"
                        yield difference("several_paths", path, "several_files", detail, item)
                    seen.add(item.rating_key)
                elif disk.is_gone(error):
                    yield difference("not_on_disk", path, "gone", item=item)
                else:
                    self._counts["listed_unknown"] += 1
                    folder, detail = os.path.dirname(path), error.strerror or ""
                    yield difference("left_out", folder, "unreadable", detail, owners=[library], is_folder=True)
            request = {**request, "cursor": page["cursor"]} if "cursor" in page else None

    # Renames

    def _ask_about(self, differences: Iterable[Difference], cursor: str | None) -> bool:
        """Requests items whose files are missing. Returns whether anything has changed since the cursor, so that
        plexindex must look for the listed files again. If an item now has another item's file, the index also requests
        that other item.
        """
        missing = {one.item.rating_key: one.item for one in differences if one.reason == "gone" and one.item}
        items = list(missing.values())[:_ASKED]
        self._counts["unasked"] = len(missing) - len(items)
        if not items:
            return False
        # As if the server had said that they are gone. Invalidating their paths would remove recorded matches.
        entries = [{"sectionID": one.section, "itemID": one.rating_key, "metadataState": "deleted"} for one in items]
        self._index.notify({"TimelineEntry": entries})
        left = time_left(self._timeout, self._begun)
        try:
            self.renames_unknown |= not self._library.refresh(timeout=left, progress=self._stop)
        except REFRESH_ERRORS:
            self.renames_unknown = True
        return any(True for _ in self._index.changes(cursor, offline=True))

    def _renamed(self, new: list[Difference], gone: list[Difference]) -> Iterator[Difference]:
        """Yields the new files. One that has the size of a missing file is probably that file, if no other new or
        listed file has the size, or if the missing file has its name, and no other new file has both.
        """
        missing: dict[int, list[Difference]] = {}
        for one in gone:
            file = file_of(one.item.media, one.item.path) if one.item else None
            missing.setdefault((file and file.size) or 0, []).append(one)
        sizes = [disk.size_of(os.fsencode(one.path)) for one in new]
        names = [os.path.basename(one.path).lower() for one in new]
        counts, named = Counter(sizes), Counter(zip(sizes, names))
        for one, size, name in zip(new, sizes, names):
            old = missing.get(size, []) if size and one.reason == "not_scanned" else []
            if old and (size < _MIN_RENAMED or counts[size] > 1 or not self._has_one_file(size)):
                old = [other for other in old if os.path.basename(other.path).lower() == name]
                old = old if named[size, name] == 1 else []
            if len(old) == 1:
                text = f"it is probably '{old[0].path}', which is gone and had the same size, under a new name"
                one = Difference(**{**vars(one), "item": old[0].item, "reason": "renamed", "message": text})
            yield one

    def _has_one_file(self, size: int) -> bool:
        """Returns whether Plex lists a single file of this size, of at least 100 MiB."""
        return self._library.match(f"/{size}", size=size, offline=True).reason == "same_size"

    # The files on the disk

    def _walked(self, folder: bytes) -> Iterator[Difference]:
        """Yields the differences for the files and folders on the disk."""
        if self._is_in_empty(folder):
            return
        is_outside = not self._scope.around(folder)
        files: list[Place] = []
        for one in walk(self._scope, folder):
            if self._stop.stopped:
                raise AbortedError("the comparison was stopped")
            if isinstance(one, Place):
                files.append(one)
            elif one.reason == "unreadable" or not is_outside:
                yield one
            if len(files) >= _FILES_AT_ONCE and not is_outside:
                yield from self._looked_up(files)
                files = []
        yield from self._nothing_fits(folder, files) if is_outside else self._looked_up(files)

    def _looked_up(self, files: list[Place]) -> Iterator[Difference]:
        """Yields the differences for files on the disk that are not listed as a single item. Counts the files."""
        keys = self._library.lookup_keys([file.path for file in files])
        # A missing file can be on the disk in another spelling: of case, or as a Mac's disk composes characters.
        unsure = [file for file, key in zip(files, keys) if key is None or file.is_twin or key in self._gone_keys]
        self._counts["files"] += len(files)
        unlisted: list[tuple[Place, Match]] = []
        for file, answer in zip(unsure, self._library.match_paths([file.path for file in unsure], offline=True)):
            if answer.error is not None and not isinstance(answer.error, NotFetchedError):
                raise answer.error
            if not _is_listed(file.path, answer):
                unlisted.append((file, answer))
                continue
            # The file itself, if it was missing before the walk, and has come back.
            own, paths = os.fsdecode(file.path), [item.host_path or "" for item in answer.candidates]
            self._paired.update(dict.fromkeys([own] if own in paths else paths, file.path))
            if answer.status == "ambiguous":
                named, total = [item.describe() for item in answer.candidates[:_NAMED]], answer.candidates_total
                named += [f"and {total - _NAMED:,} more"] if total > _NAMED else []
                item = next(iter(answer.candidates), None)
                yield difference("ambiguous", file.path, "several_items", f"{total:,} items have this file: "
                                 f"{', '.join(named)}", item, files=1)  # fmt: skip
        # A file that only libraries list that are not compared, because several may share a folder.
        shared = [file for file, _ in unlisted if file.location.others]
        answers = self._index.match_paths([file.path for file in shared], offline=True)
        elsewhere = {file for file, answer in zip(shared, answers) if _is_listed(file.path, answer)}
        self._counts["files"] -= len(elsewhere)
        yield from (self._unlisted(file, answer) for file, answer in unlisted if file not in elsewhere)
        if unlisted and sum("age_ms" in facts for facts in self._selection.facts()) < self._listings:
            # The files look unlisted because the store has lost a listing.
            raise NotFetchedError("a listing was lost during the comparison: fetch the libraries again (refresh)")
        if self._progress is not None:
            self._progress(self._counts["files"])

    def _unlisted(self, file: Place, answer: Match) -> Difference:
        """Returns the difference for a file that no library lists. If Plex ignores the file, this is the reason."""
        ruling = self._scope.ruling_for_file(file.path, file.location)
        if ruling is not None:
            return difference("left_out", file.path, *ruling, owners=file.location.compared, files=1)
        path, owners = file.path, file.location.compared
        item = (answer.sure or answer.likely) if answer.reason in ("same_file", "only_root_differs") else None
        reason, alike = "mapping_missing" if item else "no_library", self._gone.get(without_replaced(path), {})
        if len(alike) == 1 and not item:
            ((listed, item),) = alike.items()
            reason = "replaced_characters" if path.decode("utf-8", "ignore").encode() == path else "not_utf8"
            self._paired[listed] = path
        elif owners:
            item, reason = None, "not_scanned"
        detail = (item.path or "") if item else "' or '".join(owner.title for owner in owners)
        return difference("not_in_plex", path, reason, detail, item, owners, files=1)

    def _nothing_fits(self, folder: bytes, files: list[Place]) -> Iterator[Difference]:
        """Yields the difference for a folder outside of all libraries, with a proposed mapping if there is one."""
        paths = [file.path for file in files if not self._scope.ruling_for_file(file.path, file.location)]
        self._counts["files"] += len(paths)
        if not paths:
            return
        has = f"{len(paths):,} media file{'s are' if len(paths) > 1 else ' is'} in it"
        proposals = self._index.proposals(paths[:_SAMPLE])  # each begins with a folder of the paths
        reason, text = "no_library", f"no library has this folder, or a folder above or below it: {has}"
        if proposals:
            best, sampled = proposals[0], "sampled files" if len(paths) > _SAMPLE else "files"
            reason = "mapping_missing"
            text = (
                f"no library has this folder, but {best.matched} of {best.of} {sampled} would be listed if {best.host} "
                f"were the server's {best.server}: give that mapping ({has})"
            )
        yield difference("not_in_plex", folder, reason, files=len(paths), is_folder=True, text=text)


def _is_listed(path: bytes, answer: Match) -> bool:
    """Returns whether the answer's item, or one of several, has the file. An item whose own file, in another spelling,
    is also on the disk does not have this one.
    """
    if answer.match_kind not in LISTED:
        return False
    listed = [os.path.normpath(os.fsencode(item.host_path or "")) for item in answer.candidates]
    return path in listed or not any(disk.are_two_files(path, one) for one in listed)


def missing_mounts(scope: Scope, folders: Iterable[bytes]) -> Iterator[Difference]:
    """Yields a difference for each library that lists files in a location in or around ``folders`` without media: none
    of the first listed files is on the disk, and no media file is in the location. A mount may be missing.
    """
    for location in dict.fromkeys(one for folder in folders for one in scope.around(folder)):
        fetched = [library for library in location.compared if library.age is not None]
        probed = (islice(library.items_below(location.folder, offline=True), _PROBED) for library in fetched)
        if not all(disk.is_missing(os.fsencode(item.host_path or "")) for items in probed for item in items):
            continue
        if _has_media(scope, location.folder):
            continue
        why = "does not exist" if disk.is_missing(location.folder) else "contains no media"
        for library in fetched:
            if files := _listed_below(location.folder, library):
                noun = "1 file" if files == 1 else f"{files:,} files"
                are = f"{noun} of library '{library.title}' {'is' if files == 1 else 'are'}"
                text = f"{are} listed below this folder, which {why}: a mount may be missing"
                empty = location.folder, "location_empty", text
                yield difference("not_on_disk", *empty, owners=[library], is_folder=True)


def _has_media(scope: Scope, folder: bytes) -> bool:
    """Returns whether a folder contains a media file, or a folder that cannot be read."""
    return any(
        not scope.ruling_for_file(one.path, one.location) if isinstance(one, Place) else one.reason == "unreadable"
        for one in walk(scope, folder)
    )


def _listed_below(folder: bytes, library: Library) -> int:
    """Returns the number of files that a library lists below a folder in exactly this spelling."""
    found = library.folder(folder, offline=True)
    return found.files if found.match_kind in ("exact", "mapped") else 0
