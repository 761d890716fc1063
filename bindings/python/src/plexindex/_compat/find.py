"""The drop-in's answers from an index and their items, with the original function's lines in the host's log."""

from __future__ import annotations

from enum import Enum

from .._core import Any
from .._core.convert import last_component, lies_under
from ..errors import Error
from ..light import LightItem
from ..match import LISTED, Match
from ..plexapi import SectionIndex
from .caches import HostLog
from .failures import NotFoundError, ServerAwayError, made, reraise, warn_of_token
from .section_index import note_failure

# With these errors, plexapi could not ask the server either.
_AWAY = ("connect", "timeout", "starting", "unauthorized", "server_error")


# With these reasons, the size or the name shows that the listed file is a different one.
_OTHER_FILES = ("no_location", "size_differs", "same_size")


class MatchConfidence(str, Enum):
    """Confidence of a match."""

    __module__ = "plexindex.compat"

    HIGH = "high"
    """One item matches."""
    LOW = "low"
    """Several items match."""


class CannotAnswerError(Error):
    """The index has no answer, so the host's own function answers."""


def find(
    section: SectionIndex, path: str, given: str, matches: Any, size: int | None, *, debug: bool
) -> list[SyncItem]:
    """Returns the items for a path, which may differ from the ``given`` one: one that the host may edit, or several."""
    log, name = HostLog("Matcher"), last_component(given)
    shown = log.path(name)
    log.debug(f"Searching '{section.title}' for: {shown}")
    try:
        found = _found(section, path, given, matches, size)
    except Error as error:
        trouble = _trouble(section, error)
        if trouble is not None:
            raise trouble from error
        note_failure(error)
        raise CannotAnswerError(str(error)) from error
    if not found:
        raise made(NotFoundError, f"no item of library '{section.title}' has the file '{shown}'")
    if len(found) > 1:
        files = [log.path(next(iter(item.locations), item.key)) for item in found]
        log.warn(f"LOW confidence match for '{shown}': {len(found)} candidates found - {files}")
    elif debug:
        log.info(f"[DEBUG] HIGH confidence match: {found[0].key}")
    else:
        log.debug(f"HIGH confidence match for {shown}")
    return found


def _found(section: SectionIndex, path: str, given: str, matches: Any, size: int | None) -> list[SyncItem]:
    if section.plex.type == "photo":
        return []  # the host would write a film's fields to a photo
    match = section.match(path, size=size)
    if match.status not in ("found", "ambiguous", "not_found"):
        raise CannotAnswerError(match.message)
    if match.match_kind not in LISTED:
        recorded = _recorded(section, given, matches, is_sure=not match.stale)
        if recorded is not None:
            return [recorded]
    by_name = match.match_kind not in LISTED and match.confidence != "high"
    elsewhere = by_name and _belongs_elsewhere(section, match, path)
    if elsewhere and not match.stale:
        match = section.match(path, size=size, check=True)  # the file may be new
    if match.confidence == "high" or (match.match_kind in LISTED and match.status == "ambiguous"):
        return _items(section, match)
    if match.stale:
        section.index.server()  # raises the error of a server that is away
    if match.match_kind in LISTED:
        raise CannotAnswerError(match.message)  # the server has not confirmed the item
    if elsewhere or not match.candidates or match.reason in _OTHER_FILES:
        return []
    # As in the original, which finds neither episodes nor tracks, only films match by their names alone.
    if section.plex.type != "movie":
        return _items(section, match) if match.reason == "only_root_differs" else []
    if match.match_kind != "file_name":
        # Other items may have a file of this name, in folders that have less in common with the path.
        match = section.match("/" + last_component(path), size=False, offline=True)
    return _items(section, match)


def _trouble(section: SectionIndex, error: Error) -> BaseException | None:
    """Returns the host's error if the server answers nothing else either."""
    if isinstance(error, CannotAnswerError) or error.status_name == "server_error":
        try:
            section.index.server()
        except Error as now:
            error = now
        else:
            return None
    if error.status_name not in _AWAY:
        return None
    if error.status_name == "unauthorized":
        warn_of_token()
    return made(ServerAwayError, f"Plex does not answer ({error.status_name}): retry later")


def _recorded(section: SectionIndex, path: str, matches: Any, *, is_sure: bool) -> SyncItem | None:
    """Returns the item that the host recorded for a path, if the index still has the item. Otherwise removes the
    record, if the index is sure.
    """
    key = None if matches is None else matches.get_match(section.title, path)
    if not key:
        return None
    light = section.light(key)
    # After a 404, this asks the server, because a proxy may have sent it.
    listed = section.match(light.locations[0]) if light is not None and light.locations else None
    if light is not None and (listed is None or light.key in [item.key for item in listed.candidates]):
        return SyncItem(section, light, None)
    if is_sure and (listed is None or not listed.stale):
        matches.invalidate(section.title, path)
    return None


def _belongs_elsewhere(section: SectionIndex, match: Match, path: str) -> bool:
    """Returns whether another library lists the path, or the path is in a library's folder that does not list it."""
    if match.reason == "not_listed" or not match.candidates:
        return match.reason == "not_listed"
    index = section.index
    folders = [folder for library in index.libraries(offline=True) for folder in library.locations]
    return lies_under(path, folders) or index.match(path, offline=True).match_kind in LISTED


def _items(section: SectionIndex, match: Match) -> list[SyncItem]:
    lights = [(item.light or section.light(item.key), item.path) for item in match.candidates]
    found = [SyncItem(section, light, path) for light, path in lights if light is not None]
    if len(found) < len(lights):
        raise CannotAnswerError("the index was opened without plexapi")
    return found


# Attributes of films that hosts read, and that plexapi's episodes and tracks lack.
_OF_FILMS = {"studio": False, "tagline": False, "actors": True, "genres": True, "collections": True}  # whether a list


class SyncItem:
    """An item from the index. Everything but the key and the files comes from plexapi's object, which must still have
    the file that matched, because a listing can be an hour old.
    """

    def __init__(self, section: SectionIndex, light: LightItem, path: str | None) -> None:
        """``path``: the listed path that matched, or None."""
        self._section, self._light, self._path = section, light, path
        self._full: Any = None

    def full(self) -> Any:
        """Returns the plexapi object. The first call sends one request."""
        if self._full is None:
            expected = {self._path} if self._path else set(self.locations)
            try:
                full = self._light.full()
            except Exception as error:
                reraise(error)
            if expected and expected.isdisjoint(full.locations):
                self._section.invalidate_item(self.ratingKey)
                raise made(NotFoundError, "the item's files have changed in Plex: retry")
            self._full = full
        return self._full

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in ("key", "ratingKey", "locations", "media"):
            return getattr(self._light, name)
        full = self.full()
        if name in _OF_FILMS and not hasattr(full, name):
            return [] if _OF_FILMS[name] else None
        return getattr(full, name)

    def __eq__(self, other: object) -> bool:
        return bool(getattr(other, "key", None) == self.key)

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"<plexindex.compat.SyncItem {self.key}>"
