"""plexindex finds the Plex item for a file without asking the server.

plexindex stores an index of a Plex server's libraries in a folder. The first lookup fills the index, and a few requests
keep the index up to date:

```python
import plexindex

with plexindex.open(cache_dir, server_url="http://127.0.0.1:32400", token=token) as index:
    movies = index.library("Movies")
    match = movies.match("/data/movies/Big Buck Bunny (2008).mkv")
    if match.sure:
        print(match.sure.rating_key, match.sure.title)
    else:
        print(match.message, match.likely, match.candidates)
```

Start with :func:`open`, :class:`Index` and :class:`Queries`. If you use plexapi, start with :func:`from_server` and
:func:`from_section`; for ``asyncio``, start with :func:`plexindex.aio.open`. ``open()`` without arguments uses the
folder and the configuration of the command ``plexindex``. Every failure is an :class:`Error`, except that a library
that cannot be loaded raises ``ImportError``. *Not found*, *ambiguous* and *not yet* are answers (:class:`Match`). Log
lines go to the logger ``plexindex``. All times are in seconds.

Paths can be ``str``, ``bytes`` or ``os.PathLike``. plexindex encodes a ``str`` with ``os.fsencode``, which reverses
``os.fsdecode``. Empty paths and paths that contain a NUL are invalid.

The environment variable ``PLEXINDEX_LIBRARY`` is the path of a different shared library to load.
"""

from __future__ import annotations

from ._core import TYPE_CHECKING, importing

if TYPE_CHECKING:
    from . import aio as aio
    from . import changes as changes
    from . import edits as edits
    from . import errors as errors
    from . import mapping as mapping
    from . import media as media
    from . import testing as testing
    from . import types as types
    from .changes import Change, Changes, Watch
    from .compare import Comparison, Difference
    from .edits import EditReport
    from .errors import *
    from .index import Index, open
    from .item import Item, Season, Show
    from .library import Library
    from .light import LightItem
    from .mapping import Mapping, Proposal
    from .match import FolderMatch, Match, Matches
    from .media import MatchedFile, Media, MediaPart
    from .plexapi import SectionIndex, ServerIndex, from_section, from_server
    from .progress import Progress
    from .queries import Queries
    from .shared import Shared
    from .table import Table

__version__ = "0.1.0"

__all__ = [
    "AbortedError", "Change", "Changes", "ClosedError", "Comparison", "Difference", "EditReport", "Error",
    "FolderMatch", "Index", "InvalidArgumentError", "Item", "Library", "LibraryNotFoundError", "LightItem",
    "ListAgainError", "Mapping", "Match", "MatchedFile", "Matches", "Media", "MediaPart", "NoMatchError",
    "NotFetchedError", "NotOnServerError", "NotPlexError", "OfflineError", "Progress", "Proposal", "Queries",
    "Season", "SectionIndex", "ServerIndex", "ServerUnavailableError", "Shared", "Show", "StoreError", "Table",
    "TimeoutError", "UnauthorizedError", "Watch", "from_section", "from_server", "open",
]  # fmt: skip

# The module of each name. A short-lived process needs few of them, so each is imported on the first use of a name.
_MODULES = {
    "changes": ("Change", "Changes", "Watch"),
    "compare": ("Comparison", "Difference"),
    "edits": ("EditReport",),
    "errors": tuple(name for name in __all__ if name.endswith("Error")),
    "index": ("Index", "open"),
    "item": ("Item", "Season", "Show"),
    "library": ("Library",),
    "light": ("LightItem",),
    "mapping": ("Mapping", "Proposal"),
    "match": ("FolderMatch", "Match", "Matches"),
    "media": ("MatchedFile", "Media", "MediaPart"),
    "progress": ("Progress",),
    "queries": ("Queries",),
    "plexapi": ("SectionIndex", "ServerIndex", "from_section", "from_server"),
    "shared": ("Shared",),
    "table": ("Table",),
    "aio": (),
    "testing": (),
    "types": (),
}  # fmt: skip


if not TYPE_CHECKING:  # otherwise a type checker would believe in any name

    def __getattr__(name):
        for module, names in _MODULES.items():
            if name in (module, *names):
                # Without `importlib`, which takes 1 ms of each process.
                with importing():
                    found = __import__(f"{__name__}.{module}", fromlist=[name])
                    value = globals()[name] = found if name == module else getattr(found, name)
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*_MODULES, *__all__, *(name for name in globals() if name.startswith("__"))})
