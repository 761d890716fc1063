"""The drop-in's index for a real plexapi section. The index's folder is beside the host's caches."""

from __future__ import annotations

import os
import sys

from .._core import Any
from .._core.session import ForkLock
from ..errors import Error
from ..plexapi import SectionIndex, ServerIndex, certificate_options, from_server
from .caches import HostLog, MatchCache, PlexCache

# Open indexes by folder, server and connection options. The host does not know them, so they stay open.
_indexes: dict[tuple[Any, ...], ServerIndex] = {}
_RETRY_FOR = 3.0  # seconds; the host repeats its jobs itself
_opening = ForkLock()
_warned: set[str] = set()


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
