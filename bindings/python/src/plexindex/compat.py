"""A drop-in for the caches and the matcher of Stash2Plex: the same names and behaviour, without the waiting.

Change the import, and nothing else::

    from plexindex.compat import MatchCache, PlexCache, find_plex_items_with_confidence

``docs/stash2plex.md`` tells what changes for the user, and how to go back. A host that has exception and confidence
types of its own names them once: :func:`configure`.
"""

from __future__ import annotations

from ._errors import Error
from ._match_cache import MatchCache
from ._plex_cache import PlexCache
from ._rows import extract as _extract_item_data

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from ._confidence import MatchConfidence

__all__ = [
    "MatchCache",
    "MatchConfidence",
    "NotFoundError",
    "PlexCache",
    "_extract_item_data",
    "configure",
    "find_plex_items_with_confidence",
]


class NotFoundError(Error, LookupError):
    """No item has this path. Raised where neither the host nor plexapi supplies a class for that."""


_chosen: dict[str, Any] = {"not_found": None, "confidence": None}


def configure(*, not_found: Callable[[str], BaseException] | None = None, confidence: Any = None) -> None:
    """Names the host's own types, for the whole process; None is the default.

    ``not_found``: what is raised when there is no item; by default ``plexapi.exceptions.NotFound``, and
    :class:`NotFoundError` where plexapi is not installed. ``confidence``: an enum that has the values ``"high"`` and
    ``"low"``; by default :class:`MatchConfidence`.
    """
    _chosen["not_found"], _chosen["confidence"] = not_found, confidence


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

    High confidence with one candidate; low, and item None, with several, and with one that the path speaks against: it
    lies in a folder of the library where another file is listed, or tells of another year, show, season or number.

    Raises the not-found exception (see :func:`configure`) when there is none, and what the server's client raises when
    the server cannot be asked.

    Args:
        library: A plexapi section, a stand-in for one, or what :func:`plexindex.from_section` made: that answers from
            an index, with items that need no request.
        stash_path: The file, as the host sees it.
        plex_path_prefix: A folder as the server sees it, and ...
        stash_path_prefix: ... the same folder as the host sees it.
        library_cache: A :class:`PlexCache`. What it holds is matched first; what is found or listed goes there.
        match_cache: A :class:`MatchCache`. What the host recorded there is the answer while the server has the item.
            Nothing is recorded here: the host does so when it is sure.
        debug_logging: Tell the logger ``plexindex`` of each step, with full paths, at level debug.

    """
    from ._find import Finder, describe

    confidence = _chosen["confidence"] or __getattr__("MatchConfidence")
    prefixes = (stash_path_prefix, plex_path_prefix)
    finder = Finder(library, stash_path, prefixes, library_cache, match_cache, debug=debug_logging)
    found = finder.found()
    if not found:
        raise _not_found()(f"no item of library '{library.title}' has the file '{describe(stash_path)}'")
    if len(found) == 1 and finder.sure:
        return confidence("high"), found[0], found
    return confidence("low"), None, found


def _not_found() -> Any:
    if _chosen["not_found"] is not None:
        return _chosen["not_found"]
    try:
        from plexapi.exceptions import NotFound
    except ImportError:
        return NotFoundError
    return NotFound


def __getattr__(name: str) -> Any:
    # What takes long to import comes when it is asked for.
    if name == "MatchConfidence":
        from . import _confidence as module

        value = globals()[name] = module.MatchConfidence
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
