"""The drop-in's index for a real plexapi section, in a folder beside the host's caches, and its answers, with the
original function's lines in the host's log.
"""

from __future__ import annotations

import os
import sys
from enum import Enum

from .._core import Any
from .._core.convert import last_component, lies_under
from .._core.session import ForkLock
from ..errors import Error
from ..light import LightItem
from ..match import LISTED, Match
from ..plexapi import SectionIndex, ServerIndex, certificate_options, from_server
from .caches import HostLog, MatchCache, PlexCache
from .failures import NotFoundError, ServerAwayError, made, reraise, warn_of_token

# Open indexes by folder, server and connection options. The host does not know them, so they stay open.
_indexes: dict[tuple[Any, ...], ServerIndex] = {}
_RETRY_FOR = 3.0  # seconds; the host repeats its jobs itself
_opening = ForkLock()
_warned: set[str] = set()
# With these errors, plexapi could not ask the server either.
_AWAY = ("connect", "timeout", "starting", "unauthorized", "server_error")


# With these reasons, a listed file of the name can be this one. With others, the size or the name shows that it is not.
_SAME_NAME = (
    None, "same_name", "only_root_differs", "several_items", "several_libraries", "several_episodes", "not_listed",
    "not_fetched", "not_asked", "unconfirmed", "unavailable",
)  # fmt: skip


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
    if elsewhere or not match.candidates or match.reason not in _SAME_NAME:
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


def section_index(section: Any, *caches: object) -> SectionIndex | None:
    """Returns the index of a section, in the folder ``index`` beside the first cache of the drop-in.

    Returns None without one of the drop-in's caches, for an object that only imitates a section, and if an index cannot
    connect in the same way as the section's session, for example through a proxy.
    """
    if isinstance(section, SectionIndex):
        return section
    cache = next((one for one in caches if isinstance(one, (PlexCache, MatchCache))), None)
    if cache is None or not _is_real(section, "plexapi.library", "LibrarySection"):
        return None
    index = _index_of(section._server, cache)
    return None if index is None else index.section(section)


def _index_of(server: Any, cache: PlexCache | MatchCache) -> ServerIndex | None:
    verify = _verification(server)
    if verify is None:
        return None
    folder = os.path.join(os.path.abspath(cache._data_dir), "index")
    name = (os.getpid(), folder, server._baseurl, server._token, verify)
    with _opening():
        index = _indexes.get(name)
        if index is None or not index.is_open:
            options = certificate_options(verify)
            try:
                os.makedirs(folder, mode=0o700, exist_ok=True)
                # The host's users cannot speed up a slow server, so its calls are not logged.
                index = _indexes[name] = from_server(server, folder, retry_for=_RETRY_FOR, slow=None, **options)
            except (Error, OSError) as error:
                note_failure(error)
                return None
    return index


def note_failure(error: Exception) -> None:
    """Notes that the index cannot answer. Warns once in the host's log if it cannot use its folder or the server."""
    # Other errors are about a single path.
    if isinstance(error, Error) and (error.status or 0) // 100 not in (2, 3):
        HostLog("Matcher").debug(f"The index cannot answer: {type(error).__name__}")
    elif str(error) not in _warned:
        _warned.add(str(error))
        HostLog("Cache").warn(f"Cannot use the index, so every file costs requests to Plex: {error}")


def _is_real(thing: object, module: str, name: str) -> bool:
    """Returns whether an object really has plexapi's class, which a mock can only claim to have."""
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and issubclass(type(thing), kind)


def _verification(server: Any) -> bool | str | None:
    """Returns the server's ``verify`` option of ``requests``, or None if an index cannot connect like the session."""
    requests: Any = sys.modules.get("requests")
    session: Any = getattr(server, "_session", None)
    is_server = _is_real(server, "plexapi.server", "PlexServer") and server._token
    if not is_server or type(session) is not requests.Session:
        return None
    if session.auth or session.cert or session.params or session.cookies:
        return None
    if any(type(adapter) is not requests.adapters.HTTPAdapter for adapter in session.adapters.values()):
        return None
    settings = session.merge_environment_settings(server._baseurl, {}, None, None, None)
    verify = settings["verify"]
    if settings["proxies"] or (isinstance(verify, str) and not os.path.isfile(verify)):
        return None
    return verify if isinstance(verify, (bool, str)) else None
