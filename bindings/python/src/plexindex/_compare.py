"""What is on the disk and not in Plex, and what Plex lists and is not on the disk. Neither side is changed."""

from __future__ import annotations

import errno
import os
import stat
import time
import unicodedata
from array import array
from functools import lru_cache

from . import _constants as c
from . import _convert, _left_out
from ._errors import InvalidArgumentError, LibraryNotFoundError, ServerError, StoreError, TimeoutError
from ._feed import bring_up_to_date, expect_listed, is_chosen, oldest
from ._library import Chosen
from ._mapping import as_mapping
from ._rules import Rules, _moved

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from typing import Any

    from ._answers import Match
    from ._items import Item
    from ._left_out import Ignored
    from ._library import LibraryInfo
    from ._types import PathArg

    # An index makes comparisons, so this module cannot name its class.
    Index = Any
    Library = Any
    LibraryArg = Any

_AT_ONCE = 1024
# Rungs of what is listed with this path.
_LISTED = ("confirmed", "exact", "mapped")
_SAMPLE = 200
# So many items whose files are gone are asked for in a run at most: in requests of 64.
_ASKED = 256
# So many files that are new are held back until then.
_HELD = 8192
# Rules that hold outside every library: what they leave out is no media anywhere. The others are of Plex's libraries.
_EVERYWHERE = frozenset(("extension", "hidden", "system", "empty"))
# What else there may be, such as no right to look or a mount that does not answer, does not tell that a file is gone.
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
_TEXTS = {
    "not_scanned": "it lies in a folder of library '{}', which does not list it (yet)",
    "no_library": "no library has a folder above it",
    "mapping_missing": "Plex lists it below another root: a mapping is missing",
    "gone": "it is not on the disk",
    "several_items": "{} items fit it equally well",
    "loop": "the link leads to a folder above it",
    "unreadable": "it cannot be read: {}",
}


class Difference:
    """One difference between a disk and what Plex lists. Made by :meth:`Index.compare`."""

    __slots__ = ("_files", "item", "library", "path", "reason", "reason_code", "section", "what")

    what: str
    """``"not_in_plex"``, ``"not_on_disk"``, ``"ambiguous"``; or what is told besides and is no difference:
    ``"left_out"`` (Plex leaves it out) and ``"several_paths"`` (a further file of an item).
    """
    path: str
    """The file or folder, as the host sees it. Bytes that are not UTF-8 are decoded by ``surrogateescape``."""
    item: Item | None
    """The item that Plex lists with it."""
    reason_code: str
    """Why: ``"not_scanned"``, ``"no_library"``, ``"mapping_missing"``; ``"gone"``, ``"location_empty"``;
    ``"several_items"``, ``"several_files"``; the name of a rule that leaves it out; ``"loop"``, ``"unreadable"``.
    """
    reason: str
    """The same as a sentence."""
    library: str | None
    """Title of the library that lists it, or has a folder above it; None where that is none, or several."""
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
        """``files``: how many media files on the disk it tells of."""
        self._files = files
        self.what, self.path, self.item = what, os.fsdecode(path), item
        self.reason_code, self.reason = reason_code, reason
        if item is not None:
            self.library, self.section = item.library, item.section
        else:
            (owner,) = owners if len(owners) == 1 else (None,)
            self.library, self.section = (owner.title, owner.section) if owner else (None, None)

    def to_dict(self) -> dict[str, object]:
        """All that it tells, by name, as JSON can hold it."""
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


class Comparison:
    """The differences between folders and what Plex lists: iterate once. Made by :meth:`Index.compare`.

    They come while the disk is walked, and are kept nowhere. Files that are new, gone, or of several items may be items
    that were renamed: some are held back until the server was asked, and come at the end.
    """

    def __init__(
        self,
        index: Index,
        folders: Collection[PathArg],
        library: LibraryArg,
        without: Collection[str],
        offline: bool,
        told: Callable[[int], object] | None,
    ) -> None:
        unknown = sorted(set(without) - set(_left_out.RULES))
        if unknown:
            raise InvalidArgumentError(f"{unknown[0]!r} is no rule: give one of {', '.join(_left_out.RULES)}")
        self._index, self._offline, self._told = index, offline, told
        self._asked: Library = library if isinstance(library, Chosen) else index.library(library)
        self._rules = frozenset(_left_out.RULES) - set(without)
        if not folders:
            raise InvalidArgumentError("no folder was given: give the folders to walk")
        for folder in folders:
            _convert.path_bytes(folder, index._hides_paths, "folder")
        self._folders = [os.path.abspath(os.fsencode(folder)) for folder in folders]
        self._mappings = _Names(index)
        self._locations: dict[bytes, list[LibraryInfo]] = {}
        self._unfetched: dict[bytes, list[LibraryInfo]] = {}
        # Of the libraries that are not asked.
        self._others: dict[bytes, list[LibraryInfo]] = {}
        self._seen = _Seen()
        self._unreadable: set[bytes] = set()
        # What a rename on the server would explain: new files, files that several items have, and by library the items
        # whose files are gone.
        self._may_ask = False
        self._new: list[_OnDisk] = []
        self._shared: list[_OnDisk] = []
        self._gone: dict[str, list[tuple[LibraryInfo, Difference]]] = {}
        # Further files of the items that are asked for, as they were told.
        self._further: set[bytes] = set()
        # Libraries of which more files are new than are held back.
        self._flooded: set[str] = set()
        # What was compared with the disk, and what came of it.
        self._compared: dict[tuple[str, bytes], _Listed] = {}
        # Media files on the disk, by what is told of them.
        self._told_of: dict[str, int] = {}
        self.files = 0
        """Media files that were found on the disk: those in Plex, not in Plex, ambiguous, and left out by a rule."""
        self.unasked = 0
        """Items that may have been renamed, and which the server was not asked for: their files are gone, or are listed
        with another item too.
        """
        self.counts: dict[str, int] = {}
        """How many there were of each ``what``."""
        self.stale = False
        """The server could not be asked, or not within the deadline: an older listing was compared."""
        self.late = False
        """The deadline came before the server had told all."""
        self.age: float | None = None
        """Seconds since the listing was last seen to be current, when the comparison began; of several the oldest."""
        self.seconds = 0.0
        """How long it took."""

    @property
    def unreadable(self) -> int:
        """How many folders and links could not be read: of what lies there nothing is known."""
        return len(self._unreadable)

    @property
    def listed(self) -> int:
        """Files that Plex lists below the folders: those on the disk, not on the disk, and not looked for."""
        return sum(one.files for one in self._compared.values())

    @property
    def differs(self) -> bool:
        """Whether anything differs, as far as it was iterated."""
        return any(self.counts.get(what) for what in ("not_in_plex", "not_on_disk", "ambiguous"))

    def summary(self) -> dict[str, object]:
        """What there was, by name, as JSON can hold it."""
        kinds = ("not_in_plex", "not_on_disk", "ambiguous", "left_out", "several_paths")
        counts = {what: self.counts.get(what, 0) for what in kinds}
        told = {what: self._told_of.get(what, 0) for what in kinds}
        gone = sum(one.gone + one.below_empty for one in self._compared.values())
        unknown = sum(one.unknown for one in self._compared.values())
        return {
            "what": "summary",
            "folders": [os.fsdecode(folder) for folder in self._folders],
            "files": self.files,
            "files_in_plex": self.files - sum(told.values()),
            "files_not_in_plex": told["not_in_plex"],
            "files_ambiguous": told["ambiguous"],
            "files_left_out": told["left_out"],
            "listed": self.listed,
            "listed_on_disk": self.listed - gone - unknown,
            "listed_not_on_disk": gone,
            "listed_unknown": unknown,
            **counts,
            "unasked": self.unasked,
            "unreadable": self.unreadable,
            "stale": self.stale,
            "age": None if self.age is None else round(self.age, 3),
            "seconds": round(self.seconds, 3),
        }

    def __iter__(self) -> Iterator[Difference]:
        begun = time.monotonic()
        # Of an earlier comparison.
        _folder_as_it_is.cache_clear()
        _names_in.cache_clear()
        self._bring_up_to_date()
        folders = _outermost(self._folders)
        # Before anything is told: what stops in the middle has no end that a script could read.
        for folder in folders:
            self._refuse(folder)
        for difference in self._differences(folders):
            what = difference.what
            self.counts[what] = self.counts.get(what, 0) + 1
            self._told_of[what] = self._told_of.get(what, 0) + difference._files
            yield difference
        self.seconds = time.monotonic() - begun

    def _differences(self, folders: Collection[bytes]) -> Iterator[Difference]:
        for folder in folders:
            yield from self._compare(folder)
        yield from self._renamed()

    def _bring_up_to_date(self) -> None:
        index = self._index
        missed = None if self._offline else bring_up_to_date(index, self._asked, None, None, always=True)
        self.stale, self.late = missed is not None, missed == "late"
        recipe = index._recipe[1] if index._recipe else (None, None, None, {})
        self._may_ask = not (self._offline or missed or recipe[1] is None or recipe[3].get("offline"))
        if self.late:
            expect_listed(index, self._asked, late=True, whole=False)
        libraries = index.libraries(offline=True)
        chosen = [library for library in libraries if is_chosen(library, self._asked)]
        if all(library.age is None for library in chosen):
            raise LibraryNotFoundError("no library that is asked was fetched yet: do so once (refresh)")
        self.age = oldest(chosen)
        for library in libraries:
            known = self._unfetched if library.age is None else self._locations
            if library not in chosen:
                known = self._others
            for location in library.locations:
                if location:
                    known.setdefault(self._mappings.host_folder(location), []).append(library)

    def _refuse(self, folder: bytes) -> None:
        """Raises what is wrong with a folder that was given."""
        for place, (library, *_) in self._unfetched.items():
            if _is_in(folder, place) or _is_in(place, folder):
                if self.late:
                    raise TimeoutError(f"the deadline came before '{library.title}' was fetched: ask again, it goes on")
                text = (
                    f"library '{library.title}' was never fetched, so what it lists is not known: do so once (refresh)"
                )
                raise LibraryNotFoundError(text)
        within = [place for place in self._locations if _is_in(folder, place)]
        below = any(_is_in(place, folder) for place in self._locations)
        other = self._other(folder)
        if other is not None and not below:
            text = (
                f"{os.fsdecode(folder)} is of library '{other[0].title}', which was not asked: ask that library, or all"
            )
            raise InvalidArgumentError(text)
        known = below or any(self._files(folder, one) for one in self._among(within))
        if _is_missing(folder) and not known:
            there = "', '".join(os.fsdecode(place) for place in list(self._locations)[:6])
            what = "is a file" if os.path.exists(folder) else "does not exist"
            raise InvalidArgumentError(
                f"{os.fsdecode(folder)} is no folder (it {what}), and Plex lists nothing below it: give a folder of "
                f"this disk, or one that Plex has; those are '{there}'"
            )

    def _other(self, folder: bytes) -> list[LibraryInfo] | None:
        """The libraries that are not asked, where a folder is theirs: the innermost location says whose it is."""
        inside = [place for place in (*self._locations, *self._others) if _is_in(folder, place)]
        place = max(inside, key=len, default=b"")
        return None if place in self._locations else self._others.get(place)

    def _compare(self, folder: bytes) -> Iterator[Difference]:
        within = [place for place in self._locations if _is_in(folder, place)]
        below = [place for place in self._locations if _is_in(place, folder) and place != folder]
        if not (within or below):
            yield from self._nothing_fits(folder)
            return
        # Of folders within each other the inner ones are seen with the outer one.
        roots = [folder] if within else _outermost(below)
        places = sorted({*within, *below})
        empty: set[bytes] = set()
        for place in places:
            for difference in self._missing_mount(place, empty):
                empty.add(place)
                yield difference
        if not any(_is_in(folder, place) for place in empty):
            owners = self._locations[max(within, key=len)] if within else []
            yield from self._walk(folder, owners)
        for root in roots:
            for library in self._among(place for place in places if _is_in(place, root) or _is_in(root, place)):
                yield from self._listed(library, root, empty)

    def _among(self, places: Iterable[bytes]) -> list[LibraryInfo]:
        """The libraries that have these locations, each once."""
        return list({library.uuid: library for place in places for library in self._locations[place]}.values())

    def _missing_mount(self, place: bytes, empty: Collection[bytes]) -> Iterator[Difference]:
        """What is told of a location in which nothing is and below which files are listed."""
        gone = _is_empty(place)
        known = {library.uuid for library in self._among(above for above in empty if _is_in(place, above))}
        for library in self._locations[place] if gone else ():
            files = self._files(place, library)
            if files and library.uuid not in known:
                text = (
                    f"{files} files of library '{library.title}' are listed below it, and it {gone}: "
                    "a mount may be missing"
                )
                yield Difference("not_on_disk", place, None, "location_empty", text, [library])

    def _files(self, folder: bytes, library: LibraryInfo) -> int:
        """How many files a library lists below a folder: this one, and not another that ends alike."""
        found = self._index.folder(folder, self._library(library), offline=True)
        return found.files if found.rung in ("exact", "mapped") else 0

    def _library(self, library: LibraryInfo) -> Any:
        return self._index.library(uuid=library.uuid)

    def _nothing_fits(self, folder: bytes) -> Iterator[Difference]:
        """A folder of which no library knows: for its files another root may be missing a mapping."""
        exts = _left_out.extensions({library.kind for group in self._locations.values() for library in group})
        paths: list[bytes] = []
        found = 0
        errors: list[OSError] = []
        for top, _, names in os.walk(folder, onerror=errors.append):
            media = [name for name in names if os.path.splitext(name)[1][1:].lower() in exts]
            paths += [os.path.join(top, name) for name in media[: _SAMPLE - len(paths)]]
            found += len(media)
            if media and self._told is not None:
                self._told(self.files + found)
        self.files += found
        for error in errors:
            if error.errno not in _GONE:
                yield self._not_read(error.filename, error, ())
        if not found:
            return
        self._index.match_paths(self._asked, paths, offline=True)
        fitting = [rule for rule in self._index.proposals() if _is_in(folder, os.fsencode(rule.host).rstrip(b"/"))
                   or _is_in(os.fsencode(rule.host), folder)]  # fmt: skip
        if not fitting:
            text = f"no library has this folder, nor one above or below it: {_media_files(found)} in it"
            yield Difference("not_in_plex", folder, None, "no_library", text, files=found)
            return
        best = fitting[0]
        text = (
            f"no library has this folder, but {best.matched} of {best.of} files would be listed if {best.host} were "
            f"the server's {best.server}: give that mapping ({_media_files(found)} in it)"
        )
        yield Difference("not_in_plex", folder, None, "mapping_missing", text, files=found)

    # On the disk.

    def _walk(self, top: bytes, owners: list[LibraryInfo]) -> Iterator[Difference]:
        batch: list[_OnDisk] = []
        root = next((place for place in self._locations if self._locations[place] is owners), None)
        inherited = [] if root is None or root == top else self._ignored(root, root)
        stack = [(top, _Place(owners, root, inherited, is_others=self._other(top) is not None))]
        any_extension = "extension" not in self._rules
        while stack:
            folder, place = stack.pop()
            own = self._locations.get(folder)
            if own is not None:
                place = _Place(own, folder, [], twin=place.twin)
            elif folder in self._others:
                if not any(_is_in(inner, folder) for inner in self._locations):
                    continue
                place = _Place([], None, [], twin=place.twin, is_others=True)
            try:
                with os.scandir(folder) as entries:
                    found = list(entries)
            except FileNotFoundError:
                # It went meanwhile: what is listed below it is not on the disk.
                continue
            except OSError as error:
                yield self._not_read(folder, error, place.owners)
                continue
            is_plex = bool(place.owners) or place.is_others
            rules = self._rules if is_plex else self._rules & _EVERYWHERE
            if is_plex and any(entry.name == b".plexignore" for entry in found):
                ignored = place.ignored + self._ignored(folder, place.root)
                place = _Place(place.owners, place.root, ignored, twin=place.twin, is_others=place.is_others)
            ignored = place.ignored
            twins = _twins(entry.name for entry in found)
            folders = []
            start = folder if folder.endswith(b"/") else folder + b"/"
            exts = place.extensions
            for entry in found:
                raw = entry.name
                try:
                    is_folder = entry.is_dir()
                except OSError as error:
                    if error.errno not in _GONE:
                        yield self._not_read(start + raw, error, place.owners)
                        continue
                    # Links in a circle lead nowhere.
                    is_folder = False
                if is_folder:
                    folders.append(entry)
                elif place.is_others:
                    continue
                elif any_extension or raw[raw.rfind(b".") :].lower() in exts:
                    batch.append((start + raw, raw, place, place.twin or raw in twins))
            for entry in sorted(folders, key=lambda entry: entry.name, reverse=True):
                name, path = os.fsdecode(entry.name), start + entry.name
                rule = _left_out.folder_rule(name, rules, at_root=folder == place.root, video=place.video)
                why = "" if rule is None else _left_out.RULES[rule][0]
                if rule is None:
                    why = next(filter(None, (one.names_folder(os.fsdecode(folder), name) for one in ignored)), "")
                    rule = "plexignore" if why else None
                if rule is not None:
                    if path not in self._locations:
                        if not place.is_others:
                            yield Difference("left_out", path, None, rule, why, place.owners)
                        continue
                elif entry.is_symlink() and _leads_up(path):
                    if not place.is_others:
                        yield Difference("left_out", path, None, "loop", _TEXTS["loop"], place.owners)
                    continue
                twin = place.twin or entry.name in twins
                stack.append((path, place if twin == place.twin else place.as_twin()))
            if len(batch) >= _AT_ONCE:
                yield from self._look_up(batch)
                batch = []
        yield from self._look_up(batch)

    def _not_read(self, path: bytes, error: OSError, owners: Collection[LibraryInfo]) -> Difference:
        self._unreadable.add(path)
        text = _TEXTS["unreadable"].format(error.strerror)
        return Difference("left_out", path, None, "unreadable", text, owners)

    def _ignored(self, folder: bytes, root: bytes | None) -> list[Ignored]:
        if "plexignore" not in self._rules:
            return []
        found = _left_out.Ignored.of(folder, inherited=folder == root)
        return [] if found is None else [found]

    def _look_up(self, batch: list[_OnDisk]) -> Iterator[Difference]:
        if not batch:
            return
        self.files += len(batch)
        if self._told is not None:
            self._told(self.files)
        yield from self._differing(batch)

    def _differing(self, batch: list[_OnDisk]) -> Iterator[Difference]:
        index = self._index
        keys = self._asked.lookup_keys([path for path, *_ in batch])
        # Of a path that lies in no library's folder a key may be that of a file below another root; of a file with a
        # twin, the twin's.
        unknown = [one for one, key in zip(batch, keys) if key is None or not one[2].owners or one[3]]
        if not unknown:
            return
        paths = [path for path, *_ in unknown]
        answers = index.match_paths(self._asked, paths, offline=True)
        # Libraries may share a folder: what another one lists there is not this one's to list.
        elsewhere = index.match_paths(None, paths, offline=True) if self._others else answers
        for one, answer, other in zip(unknown, answers, elsewhere):
            path, raw, place, twin = one
            is_listed = answer.rung in _LISTED and not (twin and self._is_twins(path, answer))
            if not is_listed and answer is not other and other.rung in _LISTED and not self._is_twins(path, other):
                self.files -= 1
                continue
            difference = self._unlisted(path, os.fsdecode(raw), place, answer, is_listed=is_listed)
            if difference is not None and not self._is_held(one, difference):
                yield difference

    def _is_held(self, one: _OnDisk, difference: Difference) -> bool:
        """Whether a file that is new, or that several items have, is told later: it may be what an item is called, or
        was called, that was renamed.
        """
        if self._may_ask and difference.what == "ambiguous" and len(self._shared) < _HELD:
            self._shared.append(one)
            return True
        if not self._may_ask or difference.reason_code != "not_scanned":
            return False
        if len(self._new) == _HELD:
            self._flooded |= {owner.uuid for owner in one[2].owners}
            return False
        self._new.append(one)
        return True

    def _renamed(self) -> Iterator[Difference]:
        """What was held back. A rename that moved no clock of the server's looks like a file that is gone and a new
        one: where a library has both, the server is asked for the items whose files are gone before that is told.
        """
        new, self._new = self._new, []
        shared, self._shared = self._shared, []
        of_new = {owner.uuid for _, _, place, _ in new for owner in place.owners}
        asked: list[_Unsure] = []
        for uuid, gone in self._gone.items():
            if uuid in of_new or uuid in self._flooded:
                room = 0 if uuid in self._flooded else _ASKED - len(asked)
                asked += [(library, one.item) for library, one in gone[:room] if one.item]
                count = sum(one.gone for (of, _), one in self._compared.items() if of == uuid)
                self.unasked += count - len(gone[:room])
        # An earlier run may have come to know but a part of what was renamed.
        owners = {owner.uuid: owner for _, _, place, _ in shared for owner in place.owners}
        for uuid, owner in owners.items():
            if uuid in of_new and uuid not in self._flooded:
                asked += self._sharing(owner, [path for path, _, place, _ in shared if owner in place.owners])
        self._may_ask = False
        asked += self._gone_of_others(new)
        keys, changed = self._ask_for(asked)
        # Their files may be others now, so which of them are further ones is seen anew.
        self._seen = _Seen()
        held = new + shared
        for at in range(0, len(held), _AT_ONCE):
            yield from self._differing(held[at : at + _AT_ONCE])
        for uuid, gone in self._gone.items():
            for _, difference in gone:
                if difference.item and (uuid not in changed or (uuid, difference.item.rating_key) not in keys):
                    yield difference
        for (uuid, root), one in list(self._compared.items()):
            for difference in self._listed(one.library, root, one.empty) if uuid in changed else ():
                is_asked = difference.item and (uuid, difference.item.rating_key) in keys
                if is_asked and (difference.what == "not_on_disk" or self._is_further(difference)):
                    yield difference

    def _gone_of_others(self, new: Collection[_OnDisk]) -> list[_Unsure]:
        """The items of libraries that are not asked whose files are gone from a folder that they share, and in which
        files are new: one of those may be theirs.
        """
        found: list[_Unsure] = []
        if not self._mappings.known:
            return found
        for root in {place.root for _, _, place, _ in new if place.root is not None}:
            shared = [library for place, known in self._others.items() if _is_in(root, place) for library in known]
            for library in {one.uuid: one for one in shared if one.age is not None}.values():
                for item in self._index.items_below(self._library(library), root, offline=True):
                    path = self._mappings.host(item.path or "")
                    if _is_missing_file(path) and _spelt_otherwise(path) is None:
                        found.append((library, item))
                        if len(found) == _ASKED:
                            return found
        return found

    def _is_further(self, difference: Difference) -> bool:
        """Whether it tells of a further file of an item, and that was not told before the server was asked."""
        return difference.what == "several_paths" and os.fsencode(difference.path) not in self._further

    def _note_further(self, library: LibraryInfo, item: Item) -> None:
        """Notes which files of an item were told as further ones: those after the first that is there."""
        listed = [self._mappings.host(path) for path in sorted(item.paths, key=os.fsencode)]
        roots = [root for uuid, root in self._compared if uuid == library.uuid]
        below = [path for root in roots for path in listed if _is_in(path, root)]
        self._further.update([path for path in below if os.path.exists(path) or _spelt_otherwise(path)][1:])

    def _ask_for(self, unsure: Collection[_Unsure]) -> tuple[set[tuple[str, str]], set[str]]:
        """Asks the server for items. A file that one of them has now may be what another one was called, so that one is
        asked for next. Which items were asked for, and which libraries have some with other files since, or no more.
        """
        index = self._index
        keys: set[tuple[str, str]] = set()
        changed: set[str] = set()
        while unsure and not self.stale:
            by_key = {(library.uuid, item.rating_key): (library, item) for library, item in unsure}
            unknown = [key for key in by_key if key not in keys]
            now = unknown[: _ASKED - len(keys)]
            self.unasked += len(unknown) - len(now)
            keys.update(now)
            items = [by_key[key] for key in now]
            if not items:
                break
            try:
                for library, item in items:
                    self._note_further(library, item)
                    index.invalidate_path(self._library(library), item.path)
                index.refresh(self._asked)
                compared = {uuid for uuid, _ in self._compared}
                for other in {one.uuid: one for one, _ in items if one.uuid not in compared}.values():
                    index.refresh(self._library(other))
            except (ServerError, StoreError):
                self.stale = True
            unsure = []
            for library, item in items:
                (answer,) = index.match_paths(self._library(library), [item.path], offline=True)
                found = {one.rating_key for one in (*answer.candidates, *([answer.item] if answer.item else []))}
                if answer.reason_code == "unconfirmed":
                    self.stale = True
                elif answer.rung not in _LISTED or item.rating_key not in found:
                    changed.add(library.uuid)
                    unsure += self._sharing(library, item.paths)
        return keys, changed

    def _sharing(self, library: LibraryInfo, paths: Collection[PathArg]) -> list[_Unsure]:
        """The items of a library that have one of these files, where several have it: some may have it no more."""
        answers = self._index.match_paths(self._library(library), paths, offline=True) if paths else ()
        several = [answer for answer in answers if answer.rung in _LISTED and answer.status == "ambiguous"]
        return [(library, item) for answer in several for item in answer.candidates]

    def _is_twins(self, path: bytes, answer: Match) -> bool:
        """Whether what was found is listed as another file, which is there and differs in its case only."""
        found = [*answer.candidates, *([answer.item] if answer.item else [])]
        listed = [self._mappings.host(item.path) for item in found if item.path]
        return self._mappings.known and path not in listed and any(os.path.lexists(one) for one in listed)

    def _unlisted(self, path: bytes, name: str, place: _Place, answer: Match, *, is_listed: bool) -> Difference | None:
        if is_listed:
            if answer.status == "ambiguous":
                text = _TEXTS["several_items"].format(answer.candidates_total)
                return Difference("ambiguous", path, answer.candidates[0], "several_items", text, files=1)
            return None
        rules = self._rules if place.owners else self._rules & _EVERYWHERE
        rule = _left_out.file_rule(path, name, rules, video=place.video)
        why = "" if rule is None else _left_out.RULES[rule][0]
        if rule is None:
            folder = os.fsdecode(os.path.dirname(path))
            why = next(filter(None, (one.names_file(folder, name) for one in place.ignored)), "")
            rule = "plexignore" if why else None
        if rule is not None:
            return Difference("left_out", path, None, rule, why, place.owners, files=1)
        if place.owners:
            text = _TEXTS["not_scanned"].format("' or '".join(owner.title for owner in place.owners))
            return Difference("not_in_plex", path, None, "not_scanned", text, place.owners, files=1)
        if answer.reason_code == "only_root_differs":
            return Difference("not_in_plex", path, answer.item, "mapping_missing", _TEXTS["mapping_missing"], files=1)
        return Difference("not_in_plex", path, None, "no_library", _TEXTS["no_library"], files=1)

    # In Plex.

    def _listed(self, library: LibraryInfo, root: bytes, empty: Collection[bytes]) -> Iterator[Difference]:
        names, seen = self._mappings, self._seen
        one = self._compared[library.uuid, root] = _Listed(library, empty)
        skipped = [place for place in empty if _is_in(place, root)]
        is_empty = any(_is_in(root, place) for place in empty)
        if is_empty or not names.known:
            one.files = self._files(root, library)
            one.below_empty, one.unknown = (one.files, 0) if is_empty else (0, one.files)
            return
        look = os.stat
        for item in self._index.items_below(self._library(library), root, offline=True):
            one.files += 1
            path = names.host(item.path or "")
            if skipped and any(_is_in(path, place) for place in skipped):
                one.below_empty += 1
                continue
            try:
                look(path)
                is_there = True
            except ValueError:
                is_there = False
            except OSError as error:
                other = _spelt_otherwise(path)
                is_there = other is not None and not self._is_listed_itself(other)
                if not is_there and error.errno not in _GONE:
                    one.unknown += 1
                    folder = os.path.dirname(path)
                    if not any(_is_in(folder, known) for known in self._unreadable):
                        yield self._not_read(folder, error, [library])
                    continue
            if not is_there:
                one.gone += 1
                difference = Difference("not_on_disk", path, item, "gone", _TEXTS["gone"])
                held = self._gone.setdefault(library.uuid, [])
                if self._may_ask and len(held) < _ASKED:
                    held.append((library, difference))
                else:
                    yield difference
            elif seen.again(item.rating_key):
                paths = item.paths
                text = f"the item has {len(paths)} files: {', '.join(paths)}"
                yield Difference("several_paths", path, item, "several_files", text)

    def _is_listed_itself(self, path: bytes) -> bool:
        """Whether a file is listed by this very spelling."""
        (answer,) = self._index.match_paths(self._asked, [path], offline=True)
        found = [*answer.candidates, *([answer.item] if answer.item else [])]
        return any(self._mappings.host(item.path or "") == path for item in found)


class _Listed:
    """What a library lists below a folder, in files."""

    __slots__ = ("below_empty", "empty", "files", "gone", "library", "unknown")

    def __init__(self, library: LibraryInfo, empty: Collection[bytes]) -> None:
        """``empty``: locations in which nothing is."""
        self.library, self.empty = library, empty
        self.files = self.gone = self.below_empty = self.unknown = 0


class _Place:
    """Where files lie: in whose folder, and what is ignored there."""

    __slots__ = ("extensions", "ignored", "is_others", "owners", "root", "twin", "video")

    def __init__(
        self,
        owners: list[LibraryInfo],
        root: bytes | None,
        ignored: list[Ignored],
        *,
        twin: bool = False,
        is_others: bool = False,
    ) -> None:
        """``is_others``: it is a library's that is not asked."""
        kinds = {library.kind for library in owners}
        self.owners, self.root, self.ignored, self.twin, self.is_others = owners, root, ignored, twin, is_others
        # With their dots, so that a name without one has none of them.
        self.extensions = frozenset(b"." + ext for ext in _left_out.extensions(kinds or {""}))
        self.video = not kinds or bool(kinds & {"movie", "show", "photo"})

    def as_twin(self) -> _Place:
        """The same below a folder of which another differs in its case only."""
        return _Place(self.owners, self.root, self.ignored, twin=True, is_others=self.is_others)


if TYPE_CHECKING:
    # A file's path and name, where it lies, and whether another one differs in its case only.
    _OnDisk = tuple[bytes, bytes, _Place, bool]
    # An item that may have been renamed.
    _Unsure = tuple[LibraryInfo, Item]


class _Names:
    """What listed paths are called on the host, by the mappings of an index."""

    def __init__(self, index: Index) -> None:
        given = index._recipe[1][3]["mappings"] if index._recipe else ()
        rules = [as_mapping(rule) for rule in given or ()]
        self._rules = Rules(rules) if rules else None
        self._back = [
            (rule.replace.decode("utf-8", "surrogateescape"), rule.find.decode("utf-8", "surrogateescape"))
            for rule in rules
            if rule.kind == c.MAPPING_HOST_PREFIX
        ]
        self.known = all(rule.kind != c.MAPPING_HOST_PATTERN for rule in rules)
        """Whether the host's name of each listed path is known: a pattern over the host's paths leads one way."""

    def host(self, path: str) -> bytes:
        """A listed path, as the host has it."""
        if self._rules is not None:
            found = self._rules._host(path)
            for server, host in () if found else self._back:
                found = _moved(path, server, host) or ""
                if found:
                    break
            path = found or path
        return os.fsencode(path)

    def host_folder(self, folder: str) -> bytes:
        """The same for a folder: rules are written for what lies below it."""
        below = self.host(folder.rstrip("/") + "/x")
        return os.path.normpath(os.path.dirname(below))


class _Seen:
    """Which items were seen, in a bit each: rating keys are small numbers, mostly."""

    _MOST = 1 << 27

    def __init__(self) -> None:
        self._bits = array("B", bytes(1 << 16))
        self._others: set[str] = set()

    def again(self, key: str) -> bool:
        """Whether an item was seen before; it is from now on."""
        if not (key.isascii() and key.isdigit() and len(key) < 10) or int(key) >= self._MOST:
            known = key in self._others
            self._others.add(key)
            return known
        number = int(key)
        at, bit = number >> 3, 1 << (number & 7)
        if at >= len(self._bits):
            self._bits.frombytes(bytes(max(at + 1, 2 * len(self._bits)) - len(self._bits)))
        known = bool(self._bits[at] & bit)
        self._bits[at] |= bit
        return known


def _is_in(path: bytes, folder: bytes) -> bool:
    """Whether a path is this folder, or lies below it."""
    return path == folder or path.startswith(folder.rstrip(b"/") + b"/")


def _outermost(folders: Iterable[bytes]) -> list[bytes]:
    """Those that lie in no other one of them, each once."""
    once = list(dict.fromkeys(folders))
    return [one for one in once if not any(one != other and _is_in(one, other) for other in once)]


def _is_missing(folder: bytes) -> bool:
    """Whether there certainly is no folder of this name."""
    try:
        return not stat.S_ISDIR(os.stat(folder).st_mode)
    except ValueError:
        return True
    except OSError as error:
        return error.errno in _GONE


def _is_missing_file(path: bytes) -> bool:
    """Whether there certainly is no file of this name."""
    try:
        os.stat(path)
    except ValueError:
        return True
    except OSError as error:
        return error.errno in _GONE
    return False


def _is_empty(folder: bytes) -> str | None:
    """What is the matter with a folder in which nothing is; None where something is, or where that cannot be told."""
    try:
        with os.scandir(folder) as entries:
            return None if next(entries, None) is not None else "is empty"
    except OSError as error:
        return "does not exist" if error.errno in _GONE else None


def _media_files(count: int) -> str:
    return f"{count:,} media file{'s are' if count != 1 else ' is'}"


def _leads_up(link: bytes) -> bool:
    """Whether a link leads to a folder above it: as it is reached, through other links perhaps."""
    folder = os.path.dirname(link)
    try:
        while not os.path.samefile(folder, link):
            if folder == os.path.dirname(folder):
                return False
            folder = os.path.dirname(folder)
    except OSError:
        return False  # one of them went meanwhile
    return True


def _form(name: bytes) -> str:
    text = unicodedata.normalize("NFC", os.fsdecode(name))
    return unicodedata.normalize("NFC", text.lower())


def _twins(names: Iterable[bytes]) -> set[bytes]:
    """The names of a folder that the index compares as equal to another one."""
    by_form: dict[object, bytes] = {}
    twins: set[bytes] = set()
    for name in names:
        other = by_form.setdefault(name.lower() if name.isascii() else _form(name), name)
        if other is not name:
            twins |= {name, other}
    return twins


def _spelt_otherwise(path: bytes) -> bytes | None:
    """The file by another spelling, as the index compares: other case, other composition. None where it is gone."""
    folder, _, name = path.rpartition(b"/")
    there = _folder_as_it_is(folder)
    found = None if there is None else _names_in(there).get(_form(name))
    if there is None or found is None:
        return None
    other = there + b"/" + found
    try:
        os.stat(other)
    except OSError as error:
        return None if error.errno in _GONE else other  # a link that leads nowhere is no file
    return other


@lru_cache(maxsize=256)
def _folder_as_it_is(folder: bytes) -> bytes | None:
    if os.path.isdir(folder) or not folder:
        return folder
    above, _, name = folder.rpartition(b"/")
    there = _folder_as_it_is(above)
    own = None if there is None else _names_in(there).get(_form(name))
    return None if own is None else (there or b"") + b"/" + own


@lru_cache(maxsize=64)
def _names_in(folder: bytes) -> dict[str, bytes]:
    try:
        return {_form(name): name for name in os.listdir(folder or b"/")}
    except OSError:
        return {}
