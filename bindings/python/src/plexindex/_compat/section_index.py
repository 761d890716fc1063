"""The drop-in's index for a real plexapi section. The index's folder is beside the host's caches."""

from __future__ import annotations

import os
import sys

from .. import plexapi as _plexapi
from .._core.accelerator import closing_lock
from ..errors import Error, TlsError
from .host_log import host_log, titles
from .match_cache import MatchCache
from .plex_cache import PlexCache
from .tables import plain_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..plexapi import SectionIndex

# Open indexes by folder, server and connection options. The indexes stay open until the process exits, because the host
# does not know about them.
_indexes: dict[tuple[Any, ...], _plexapi.ServerIndex] = {}
_opening = closing_lock()
# Folders that plexindex cannot use, each of which is logged only once.
_unusable: set[str] = set()
# Recent results by the IDs of plexapi's server and of the cache, so that not every lookup examines the objects. The
# number of results is small, because each result keeps its objects alive.
_recent: dict[tuple[int, int], tuple[Any, Any, str, dict[Any, SectionIndex]]] = {}
_MAX_RECENT = 16


def section_index(section: Any, *caches: object) -> SectionIndex | None:
    """Returns the index of a section, in the folder ``index`` beside the first cache of the drop-in.

    Returns None without one of the drop-in's caches, for an object that only imitates a section, and if an index cannot
    connect in the same way as the section's session, for example through a proxy.
    """
    cache = next((one for one in caches if isinstance(one, (PlexCache, MatchCache))), None)
    server: Any = getattr(section, "_server", None)
    if cache is None or not _is_real(section, "plexapi.library", "LibrarySection"):
        return None
    recent = _recent.get((id(server), id(cache)))
    if recent is not None and recent[0] is server and recent[1] is cache and recent[2] == server._token:
        found = recent[3].get(section.key)
        if found is not None and found.index.is_open:
            return found
    index = _index_of(server, cache)
    if index is None:
        return None
    if len(_recent) >= _MAX_RECENT:
        _recent.clear()
    sections = _recent.setdefault((id(server), id(cache)), (server, cache, server._token, {}))[3]
    if section.uuid:
        titles[section.uuid] = section.title
    found = sections[section.key] = index.section(section)
    return found


def _index_of(server: Any, cache: PlexCache | MatchCache) -> _plexapi.ServerIndex | None:
    if not _is_real(server, "plexapi.server", "PlexServer") or not server._token:
        return None
    verify = _verification(server)
    if verify is None:
        return None
    rules = cache._store.mappings
    folder = os.path.join(os.path.abspath(os.fspath(cache._data_dir)), "index")
    name = (os.getpid(), folder, server._baseurl, server._token, verify, rules)
    with _opening:
        index = _indexes.get(name)
        if index is None or not index.index.is_open:
            options = _plexapi.certificate_options(verify)
            try:
                os.makedirs(folder, mode=0o700, exist_ok=True)
                _share_client_identifier(server, folder)
                index = _indexes[name] = _plexapi.from_server(server, folder, mappings=rules, **options)
            except (Error, OSError) as error:
                # The caches also work without an index.
                if folder not in _unusable:
                    _unusable.add(folder)
                    why = plain_text(error)
                    host_log("Cache").warn(f"Cannot use the index, so every file costs requests to Plex: {why}")
                return None
    return index


def _share_client_identifier(server: Any, folder: str) -> None:
    """Makes a new index use the host's client identifier, so that Plex does not list an additional device."""
    file = os.path.join(folder, "plexindex-client-id")
    identifier = server._headers().get("X-Plex-Client-Identifier")
    if os.path.exists(file) or not isinstance(identifier, str):
        return
    temporary = f"{file}.{os.getpid()}"
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as written:
        written.write(identifier)
    os.replace(temporary, file)


def warn_of_tls(section: SectionIndex, error: Error) -> None:
    """Warns once that the index rejects a certificate that the host accepts, so every file costs requests."""
    name = str(section.index)
    if isinstance(error, TlsError) and name not in _unusable:
        _unusable.add(name)
        # The error's remedy is an index option, which the host's users cannot set.
        host_log("Cache").warn(
            "Cannot use the index, so every file costs requests to Plex: the server's certificate is invalid, for "
            "example because it is self-signed. Set plex_url to the server's https://….plex.direct address, or to http "
            "on a network you control; or give Plex a certificate from an authority in REQUESTS_CA_BUNDLE"
        )


def _is_real(thing: object, module: str, name: str) -> bool:
    """Returns whether an object really has plexapi's class, which a mock can only claim to have."""
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and issubclass(type(thing), kind)


def _verification(server: Any) -> bool | str | None:
    """Returns the server's ``verify`` option of ``requests``, or None if an index cannot connect like the session."""
    requests: Any = sys.modules.get("requests")
    session: Any = getattr(server, "_session", None)
    if requests is None or type(session) is not requests.Session:
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
