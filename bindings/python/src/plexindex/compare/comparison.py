"""Compares a disk with the files that Plex lists. Changes neither the disk nor Plex."""

from __future__ import annotations

import os
import time
from itertools import chain

from .._core import TYPE_CHECKING, convert
from .._core.paths import full_path
from ..changes import LateError, bring_up_to_date
from ..errors import Error, InvalidArgumentError, NotFetchedError, TimeoutError, UnauthorizedError
from ..library import oldest
from . import on_disk
from .difference import Difference, Listing
from .places import Places, is_in, outermost
from .renamed import Renames
from .rules import RULES
from .unlisted import Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from .._core.types import PathArg, Summary
    from ..library import Library

# Maximum number of files with which to try mappings, if a folder is outside of all libraries.
_SAMPLE = 200


class Comparison:
    """The differences between folders and Plex, from :meth:`Index.compare`. You can iterate over the object only once.

    plexindex yields the differences while it walks the disk, and does not store them. New and missing files, and files
    of several items, that may have been renamed come at the end, because plexindex asks the server about them first.
    """

    def __init__(
        self,
        library: Library,
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
        convert.check_call({"timeout": timeout, "progress": progress, "offline": offline}, "offline")
        self._index, self._offline, self._timeout = library.index, offline, timeout
        self._missed: Error | None = None
        if not folders:
            raise InvalidArgumentError("no folder was given: give the folders to walk")
        for folder in folders:
            convert.path_bytes(folder, self._index._session.hides_paths, "folder")
        self._folders = [full_path(os.fsencode(folder)) for folder in folders]
        self._places = Places(library)
        self._walk = Walk(self._places, without, convert.callback("progress", progress))
        self._listing = Listing(self._places, self._walk)
        self._renames = Renames(self._places, self._walk, self._listing)
        self._checks = True
        # Number of media files on the disk, by the ``what`` of their difference.
        self._media_files: dict[str, int] = {}
        self.counts: dict[str, int] = {}
        """Number of differences by ``what``."""
        self.stale = False
        """Whether plexindex compared an older listing, because the server did not answer, or not within the timeout.
        """
        self.late = False
        """Whether the timeout passed before plexindex had received the server's whole answer."""
        self.refused = False
        """Whether the server rejected the token, or the token's user has no permission."""
        self.age: float | None = None
        """Seconds between the last check of the listing and the comparison; with several listings, the maximum."""
        self.seconds = 0.0
        """Duration of the comparison in seconds."""

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {what}" for what, count in self.counts.items())
        return f"<plexindex.Comparison of {', '.join(map(repr, self._folders))}: {counts or 'no differences yet'}>"

    @property
    def files(self) -> int:
        """Number of media files on the disk: in Plex, not in Plex, ambiguous, or left out by a rule."""
        return self._walk.files

    @property
    def unasked(self) -> int:
        """Number of items whose files may have been renamed, but that plexindex did not request. The files are missing,
        or also belong to another item.
        """
        return self._renames.unasked

    @property
    def renames_unknown(self) -> bool:
        """Whether the server did not answer, so that each renamed file counts as both a missing and a new file."""
        return self._renames.failed

    @property
    def unreadable(self) -> int:
        """Number of folders and links that could not be read."""
        return len(self._walk.unreadable)

    @property
    def listed(self) -> int:
        """Number of files that Plex lists below the folders: on the disk, missing, or not searched for."""
        return sum(one.files for one in self._listing.compared.values())

    @property
    def differs(self) -> bool:
        """Whether there is any difference so far."""
        return any(self.counts.get(what) for what in ("not_in_plex", "not_on_disk", "ambiguous"))

    @property
    def summary(self) -> Summary:
        """The counts so far, by name, as JSON values."""
        compared, files, counts = self._listing.compared.values(), self._media_files, self.counts
        return {
            "what": "summary",
            "folders": [os.fsdecode(folder) for folder in self._folders],
            "files": self.files,
            "files_in_plex": self.files - sum(files.values()),
            "files_not_in_plex": files.get("not_in_plex", 0),
            "files_ambiguous": files.get("ambiguous", 0),
            "files_left_out": files.get("left_out", 0),
            "listed": self.listed,
            "listed_on_disk": sum(one.files - one.gone - one.below_empty - one.unknown for one in compared),
            "listed_not_on_disk": sum(one.gone + one.below_empty for one in compared),
            "listed_location_empty": sum(one.below_empty for one in compared),
            "listed_unknown": sum(one.unknown for one in compared),
            "not_in_plex": counts.get("not_in_plex", 0),
            "not_on_disk": counts.get("not_on_disk", 0),
            "ambiguous": counts.get("ambiguous", 0),
            "left_out": counts.get("left_out", 0),
            "several_paths": counts.get("several_paths", 0),
            "unasked": self.unasked,
            "unreadable": self.unreadable,
            "stale": self.stale,
            "age": None if self.age is None else round(self.age, 3),
            "seconds": round(self.seconds, 3),
        }

    def __iter__(self) -> Iterator[Difference]:
        begun = time.monotonic()
        self._renames.until = None if self._timeout is None else begun + self._timeout
        # Forget the results of an earlier comparison.
        on_disk.forget()
        self._bring_up_to_date()
        folders = outermost(self._folders)
        # Check all folders before the first difference, because scripts expect a summary after the differences.
        for folder in folders:
            self._check_folder(folder)
        for difference in self._differences(folders):
            what = difference.what
            self.counts[what] = self.counts.get(what, 0) + 1
            self._media_files[what] = self._media_files.get(what, 0) + difference.files
            yield difference
        self.seconds = time.monotonic() - begun

    def _differences(self, folders: Collection[bytes]) -> Iterator[Difference]:
        renames = self._renames
        for one in chain.from_iterable(map(self._compare, folders)):
            if not renames.holds(one):
                yield one
        if renames.has_changed():
            self._walk.files = 0
            self._listing.seen.clear()
            for one in chain.from_iterable(map(self._compare, folders)):
                if renames.is_new(one) and not renames.holds(one):
                    yield one
        yield from renames.remaining()
        self.stale |= renames.failed

    def stop(self) -> None:
        """Ends the walk and the requests, from another thread."""
        self._walk.stop.stopped = True

    def spare_server(self, unchanged: set[tuple[str, str]]) -> None:
        """Asks the server only about items that may have been renamed. ``unchanged``: see ``Renames.unchanged``."""
        self._checks, self._renames.unchanged = False, unchanged

    def _bring_up_to_date(self) -> None:
        index, missed = self._index, None
        if not self._offline:
            missed = bring_up_to_date(self._places.asked, self._timeout, self._walk.stop, always=self._checks)
        self._missed, self.stale = missed, missed is not None
        self.late, self.refused = isinstance(missed, LateError), isinstance(missed, UnauthorizedError)
        _, server_url, _, options = index._recipe
        self._renames.may_ask = not (self._offline or missed or server_url is None or options["offline"])
        chosen = self._places.asked._current()
        self.age = oldest(chosen)
        if self.age is None:
            raise NotFetchedError("no library was fetched yet: fetch the libraries once (refresh)")
        self._places.reload(index.libraries(offline=True))

    def _check_folder(self, folder: bytes) -> None:
        """Raises an error if a folder cannot be compared."""
        places = self._places
        for place, (library, *_) in places.unfetched.items():
            if is_in(folder, place) or is_in(place, folder):
                if self.late:
                    raise TimeoutError(f"the timeout passed before '{library.title}' was fetched: retry to resume")
                text = f"library '{library.title}' was never fetched: fetch the library once (refresh)"
                raise NotFetchedError(text)
        within = [place for place in places.locations if is_in(folder, place)]
        below = any(is_in(place, folder) for place in places.locations)
        other = places.owners_elsewhere(folder)
        if other is not None and not below:
            text = f"{os.fsdecode(folder)} belongs to library '{other[0].title}': compare that library, or all"
            raise InvalidArgumentError(text)
        known = below or any(places.files(folder, one) for one in places.at_locations(within))
        if not known and (on_disk.is_missing(folder) or os.path.isfile(folder)):
            there = "', '".join(os.fsdecode(place) for place in list(places.locations)[:6])
            what = "is a file" if os.path.exists(folder) else "does not exist"
            raise InvalidArgumentError(
                f"{os.fsdecode(folder)} is not a folder (it {what}), and Plex lists nothing below it: give a folder on "
                f"this disk, or one of Plex's folders: '{there}'"
            )

    def _compare(self, folder: bytes) -> Iterator[Difference]:
        places = self._places
        within = [place for place in places.locations if is_in(folder, place)]
        below = [place for place in places.locations if is_in(place, folder) and place != folder]
        if not (within or below):
            yield from self._nothing_fits(folder)
            return
        # Walking a location also walks the locations inside it.
        roots = [folder] if within else outermost(below)
        around = sorted({*within, *below})
        empty: set[bytes] = set()
        for place in around:
            for difference in self._missing_mount(place, empty):
                empty.add(place)
                yield difference
        if not any(is_in(folder, place) for place in empty):
            for one in self._walk.findings(folder):
                found = self._walk.difference(one)
                if found is not None:
                    yield found
        for root in roots:
            for library in places.at_locations(place for place in around if is_in(place, root) or is_in(root, place)):
                yield from self._listing.below(library, root, empty)

    def _missing_mount(self, place: bytes, empty: Collection[bytes]) -> Iterator[Difference]:
        """Yields a difference for each library that lists files below a location without media."""
        gone, places = on_disk.is_empty(place), self._places
        if not gone and self._walk.has_leftovers_only(place) and not self._listing.has_any(place):
            gone = "contains no media"
        known = {library.uuid for library in places.at_locations(above for above in empty if is_in(place, above))}
        for library in places.locations[place] if gone else ():
            files = places.files(place, library)
            if files and library.uuid not in known:
                listed = "1 file of library '{}' is" if files == 1 else f"{files:,} files of library '{{}}' are"
                text = f"{listed.format(library.title)} listed below this folder, which {gone}: a mount may be missing"
                yield Difference._of("not_on_disk", place, None, "location_empty", text, [library], is_folder=True)

    def _nothing_fits(self, folder: bytes) -> Iterator[Difference]:
        """Yields the differences for a folder outside of all libraries, with a proposed mapping if there is one."""
        paths: list[bytes] = []
        before = self._walk.files
        for one in self._walk.findings(folder, ["extension"]):
            if one.cause == "unreadable" and (difference := self._walk.difference(one)):
                yield difference
            elif one.is_file and len(paths) < _SAMPLE:
                paths.append(one.path)
        found = self._walk.files - before
        if not found:
            return
        fitting = [rule for rule in self._index.proposals(paths) if is_in(folder, os.fsencode(rule.host).rstrip(b"/"))
                   or is_in(os.fsencode(rule.host), folder)]  # fmt: skip
        if not fitting:
            text = f"no library has this folder, or a folder above or below it: {_media_files(found)} in it"
            yield Difference._of("not_in_plex", folder, None, "no_library", text, files=found, is_folder=True)
            return
        best = fitting[0]
        sampled = "sampled files" if found > len(paths) else "files"
        text = (
            f"no library has this folder, but {best.matched} of {best.of} {sampled} would be listed if {best.host} "
            f"were the server's {best.server}: give that mapping ({_media_files(found)} in it)"
        )
        yield Difference._of("not_in_plex", folder, None, "mapping_missing", text, files=found, is_folder=True)


def _media_files(count: int) -> str:
    return f"{count:,} media file{'s are' if count != 1 else ' is'}"
