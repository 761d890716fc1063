"""A faster drop-in replacement for Stash2Plex's caches and matcher, with the same names and behaviour.

Import this module after the host's own classes, which stay in use if the package is missing or cannot be loaded::

    try:
        from plexindex.compat import MatchCache, PlexCache
    except (ImportError, OSError) as error:
        log_info(f"plexindex is not used: {error}")

Importing this module loads the shared library, so that an invalid library fails here, not on the first use.
``docs/hosts.md`` describes the installation script, the changes for users, and how to return to the old code.
"""

from ._compat.match_cache import MatchCache
from ._core import accelerator as _accelerator
from ._core import lazy_index as _lazy_index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from ._compat.confidence import MatchConfidence
    from ._compat.host_errors import NotFoundError
    from ._compat.plex_cache import PlexCache
    from ._compat.rows import extract as _extract_item_data

__all__ = [
    "MatchCache",
    "MatchConfidence",
    "NotFoundError",
    "PlexCache",
    "_extract_item_data",
    "configure",
    "find_plex_items_with_confidence",
]


if _lazy_index.load_fast(_accelerator.library_path()) is None:
    from ._core import native as _native

    _native.load()


# The first answer loads these modules, because importing ``compat`` must be fast.
_find: "Any" = None
_host_errors: "Any" = None


def _load_rest() -> None:
    global _find, _host_errors
    from ._compat import find
    from ._compat import host_errors as errors

    _host_errors, _find = errors, find


def configure(*, not_found: "Callable[[str], BaseException] | None" = None, confidence: "Any" = None) -> None:
    """Sets the host's own types for the whole process. None selects the default. Stash2Plex need not call this
    function.

    ``not_found`` creates the exception for a path without an item; the default is :class:`NotFoundError`.
    ``confidence`` is an enum with the values ``"high"`` and ``"low"``; the default is :class:`MatchConfidence`.
    """
    from ._compat.host_errors import chosen

    chosen["not_found"], chosen["confidence"] = not_found, confidence


def find_plex_items_with_confidence(
    library: "Any",
    stash_path: str,
    plex_path_prefix: "str | None" = None,
    stash_path_prefix: "str | None" = None,
    library_cache: "Any" = None,
    match_cache: "Any" = None,
    debug_logging: bool = False,
) -> "tuple[Any, Any, list[Any]]":
    """Finds the item for a file in a plexapi library. Returns ``(confidence, item, candidates)``.

    A single candidate has high confidence. With several candidates, confidence is low, and there is no item. A single
    candidate also has low confidence if the path contradicts it: another library lists the path; or the path is in a
    folder of a library that does not list the path, and more than the root differs; or the path contains a different
    year, title, show, season, number or album. The recorded item has low confidence if it now has other files and no
    other item has the file.

    Raises :class:`NotFoundError` if there is no candidate, the exception of the server's client if the server is
    unreachable or rejects the token, and ``ConnectionError`` for 5xx and 429. If Plex is busy or starting (429, 502,
    503, 504), the exception is also Stash2Plex's ``PlexServerDown``. A rejected token also raises ``PlexServerDown`` if
    Stash2Plex is loaded. The items raise the same exceptions when they request data from Plex that the index lacks.

    Args:
        library: A plexapi section, an object that imitates a section, or the result of :func:`plexindex.from_section`,
            whose answers come from an index and whose items need no request.
        stash_path: The host's path of the file.
        plex_path_prefix: The server's path of a folder.
        stash_path_prefix: The host's path of the same folder.
        library_cache: A :class:`PlexCache`. The function searches its listings first, and stores search results and
            listings in it.
        match_cache: A :class:`MatchCache`. A match that the host recorded is the answer as long as the server has the
            item. The function itself records no match.
        debug_logging: Log each step with full paths at level debug to the logger ``plexindex``.

    """
    if _find is None:
        _load_rest()
    known = globals()
    confidence = _host_errors.chosen["confidence"] or known.get("MatchConfidence") or __getattr__("MatchConfidence")
    prefixes = (stash_path_prefix, plex_path_prefix)
    finder = _find.Finder(library, stash_path, prefixes, library_cache, match_cache, debug=debug_logging)
    try:
        found = finder.found()
    except Exception as error:
        from ._compat.plexapi_errors import reraise

        reraise(error, library)
    if not found:
        why = "" if finder.is_listed else "; the library is not fully listed yet: retry, and the next call resumes"
        raise _host_errors.not_found(f"no item of library '{library.title}' has the file '{finder.name}'{why}")
    if len(found) == 1 and finder.sure:
        return confidence("high"), found[0], found
    return confidence("low"), None, found


# For each name, the module to load on first use, because importing ``compat`` must be fast.
_LATER = {
    "MatchConfidence": ("_compat.confidence", "MatchConfidence"),
    "NotFoundError": ("_compat.host_errors", "NotFoundError"),
    "PlexCache": ("_compat.plex_cache", "PlexCache"),
    "_extract_item_data": ("_compat.rows", "extract"),
}


def __getattr__(name: str) -> "Any":
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LATER[name]
    found = __import__(f"{__package__}.{module}", fromlist=[attribute])
    value = globals()[name] = getattr(found, attribute)
    return value
