"""A faster drop-in replacement for Stash2Plex's caches and matcher, with the same names and behaviour.

Import this module after the host's own classes, which stay in use if the package is missing or cannot be loaded::

    try:
        from plexindex.compat import MatchCache, PlexCache
    except (ImportError, OSError) as error:
        log_info(f"plexindex is not used: {error}")

Importing this module loads the shared library, so that an invalid library fails here. See also ``docs/hosts.md``.
"""

from __future__ import annotations

import plexindex

from ._compat.caches import MatchCache, PlexCache
from ._compat.caches import chosen as _chosen
from ._compat.caches import extract as _extract_item_data
from ._core import TYPE_CHECKING, Any, Callable, importing
from ._core.native import load as _load

if TYPE_CHECKING:
    from ._compat.failures import NotFoundError
    from ._compat.find import MatchConfidence

__all__ = [
    "MatchCache",
    "MatchConfidence",
    "NotFoundError",
    "PlexCache",
    "_extract_item_data",
    "configure",
    "find_plex_items_with_confidence",
]


_load()


def __getattr__(name: str) -> Any:
    # Processes that only use the caches need neither class, and `enum` takes a third of a new process.
    module = {"NotFoundError": "failures", "MatchConfidence": "find"}.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with importing():
        return getattr(__import__(f"plexindex._compat.{module}", fromlist=[name]), name)


def configure(*, matcher: Callable[..., object] | None = None) -> None:
    """Sets the host's own function, for the whole process. It answers if the index cannot."""
    _chosen["matcher"] = matcher


def find_plex_items_with_confidence(
    library: plexindex.types.Untyped,
    stash_path: str,
    plex_path_prefix: str | None = None,
    stash_path_prefix: str | None = None,
    library_cache: plexindex.types.Untyped = None,
    match_cache: plexindex.types.Untyped = None,
    debug_logging: bool = False,
    file_size: int | None = None,
) -> tuple[plexindex.types.Untyped, plexindex.types.Untyped, list[plexindex.types.Untyped]]:
    """Finds the item for a file in a plexapi library. Returns ``(confidence, item, candidates)``.

    The answer comes from an index of the section's server, beside the caches: the recorded item if the index still has
    it; otherwise the item that has this file, with high confidence; otherwise the films with a file of this name. A
    single film has high confidence; with several, confidence is low, and there is no item. If another library lists the
    path, the path is in a library's folder that does not list it, or the film's file has another size, no film of this
    name is the answer.

    The function from :func:`configure` answers if the index cannot, or if ``library`` only imitates a plexapi section.

    Raises :class:`NotFoundError` if there is no candidate, and a ``ConnectionError`` that is also Stash2Plex's
    ``PlexServerDown`` if the server is unreachable, busy or starting, or rejects the token. So do the items when they
    request data that the index lacks.

    ``library_cache`` is a :class:`PlexCache`, and ``match_cache`` a :class:`MatchCache` with the host's records, to
    which the function adds none. The prefixes are the server's and the host's path of the same folder. With
    ``debug_logging``, each later lookup in a match cache of this process also writes a line to the host's log.
    ``file_size`` is the file's size as the host knows it; by default, the function reads it where it can decide.
    """
    # A process that only uses the caches needs neither an index of the server nor plexapi.
    with importing():
        from ._compat.find import CannotAnswerError, MatchConfidence, find, section_index
        from ._core.convert import text_of
        from ._core.json_call import ask_without_index

    _chosen["debug_logging"] = debug_logging
    failure, matcher = None, _chosen["matcher"]
    index = section_index(library, library_cache, match_cache)
    if index is not None:
        try:
            path = stash_path
            if stash_path_prefix and plex_path_prefix:
                rule = {"from": stash_path_prefix, "to": plex_path_prefix}
                request = {"paths": [path.encode("utf-8", "surrogateescape")], "mappings": [rule]}
                for mapped in ask_without_index("mappings.to_server", request)["paths"][0]:
                    path = text_of(mapped) or path
            found = find(index, path, stash_path, match_cache, file_size, debug=debug_logging)
        except CannotAnswerError as error:
            failure = error
        else:
            sure = found[0] if len(found) == 1 else None
            return MatchConfidence("low" if sure is None else "high"), sure, found
    if matcher is None:
        raise failure or TypeError(
            f"library must be a plexapi section, and needs one of plexindex's caches, not {type(library).__name__}; "
            "configure(matcher=…) sets a function for other objects"
        )
    prefixes = plex_path_prefix, stash_path_prefix
    level, item, candidates = matcher(library, stash_path, *prefixes, library_cache, match_cache, debug_logging)
    return MatchConfidence(level.value), item, candidates
