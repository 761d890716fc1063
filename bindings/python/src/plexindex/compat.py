"""A drop-in for the caches and the matcher of Stash2Plex: the same names and behaviour, without the waiting.

Import it after the host's own classes, which stay in use where the package is missing or cannot be loaded::

    try:
        from plexindex.compat import MatchCache, PlexCache
    except (ImportError, OSError) as error:
        log_info(f"plexindex is not used: {error}")

Importing this module loads the shared library, so a library that cannot be loaded fails here and not at the first use.
``docs/hosts.md`` has a script for that, what changes for the user, and how to go back.
"""

from __future__ import annotations

from . import _accelerator, _lazy_index
from ._match_cache import MatchCache
from ._plex_cache import PlexCache
from ._rows import extract as _extract_item_data

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from ._confidence import MatchConfidence
    from ._host_errors import NotFoundError

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
    from . import _native

    _native.load()


# Loaded at the first answer: importing this module has to be fast.
_find: Any = None
_host_errors: Any = None


def _load_rest() -> None:
    global _find, _host_errors
    from . import _find as find
    from . import _host_errors as errors

    _host_errors, _find = errors, find


def configure(*, not_found: Callable[[str], BaseException] | None = None, confidence: Any = None) -> None:
    """Names the host's own types, for the whole process; None is the default. Stash2Plex needs no call of it.

    ``not_found``: makes the exception for a path without an item; by default :class:`NotFoundError`. ``confidence``: an
    enum that has the values ``"high"`` and ``"low"``; by default :class:`MatchConfidence`.
    """
    from ._host_errors import chosen

    chosen["not_found"], chosen["confidence"] = not_found, confidence


def find_plex_items_with_confidence(
    library: Any,
    stash_path: str,
    plex_path_prefix: str | None = None,
    stash_path_prefix: str | None = None,
    library_cache: Any = None,
    match_cache: Any = None,
    debug_logging: bool = False,
) -> tuple[Any, Any, list[Any]]:
    """The item of a plexapi library that a file is: ``(confidence, item, candidates)``.

    One candidate gives high confidence. Several give low confidence and no item, and so does one that the path speaks
    against: another library lists the path; it lies in a folder of a library that does not list it, unless only the
    root differs; or it tells of another year, title, show, season, number or album. So does the recorded item if it has
    other files by now and no other item has the file.

    Raises a :class:`NotFoundError` when there is no candidate; the exception of the server's client when the server
    cannot be reached, or refuses the token; and a ``ConnectionError`` for 5xx and 429, which is Stash2Plex's
    ``PlexServerDown`` too when Plex is busy or starts (429, 502, 503, 504). If Stash2Plex is loaded, a refused token is
    ``PlexServerDown``, too. The items raise the same when they ask Plex for more than the index knows.

    Args:
        library: A plexapi section, a stand-in for one, or the result of :func:`plexindex.from_section`, which answers
            from an index, with items that need no request.
        stash_path: The file, as the host sees it.
        plex_path_prefix: A folder as the server sees it, and ...
        stash_path_prefix: ... the same folder as the host sees it.
        library_cache: A :class:`PlexCache`. Its listings are matched first, and new search results and listings are
            stored there.
        match_cache: A :class:`MatchCache`. A match that the host recorded there is the answer while the server has the
            item. This function records nothing: the host does so when it is sure.
        debug_logging: Tell the logger ``plexindex`` of each step, with full paths, at level debug.

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
        from ._plexapi_errors import reraise

        reraise(error, library)
    if not found:
        why = "" if finder.is_listed else "; the library is not fully listed yet, and the next call goes on with that"
        raise _host_errors.not_found(f"no item of library '{library.title}' has the file '{finder.name}'{why}")
    if len(found) == 1 and finder.sure:
        return confidence("high"), found[0], found
    return confidence("low"), None, found


def __getattr__(name: str) -> Any:
    # Slow to import, so loaded at first use.
    module: Any
    if name == "MatchConfidence":
        from . import _confidence as module
    elif name == "NotFoundError":
        from . import _host_errors as module
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(module, name)
    return value
