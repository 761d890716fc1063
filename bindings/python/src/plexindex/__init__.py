"""plexindex tells which Plex item a file is, without asking the server.

It keeps an index of a Plex server's libraries in a folder, fills it when it is first asked, and keeps it fresh with as
few requests as possible:

```python
import plexindex

with plexindex.open(cache_dir, server_url="http://127.0.0.1:32400", token=token) as index:
    movies = index.library("Movies")
    match = movies.match("/media/movies/Big Buck Bunny (2008).mkv")
    if match:
        print(match.rating_key, match.title, match.confidence)
    else:
        print(match.reason, match.candidates)
```

Start at :func:`open` and :class:`Index`; for ``asyncio`` at :meth:`Index.amatch_path`. Everything that goes wrong is an
:class:`Error`; not found, ambiguous and not yet are answers (:class:`Match`). The library's log lines go to the logger
``plexindex``. All times are in seconds. The command ``plexindex`` is for people and scripts: ``plexindex --help``.

Paths may be ``str``, ``bytes`` or ``os.PathLike``; a ``str`` is taken as UTF-8 with ``surrogateescape``, which is what
``os.fsdecode`` and ``os.listdir`` give. An empty path and a path with a NUL are refused.

``PLEXINDEX_LIBRARY`` in the environment names another shared library to load.
"""

from __future__ import annotations

from ._answers import Item, Match, Matches
from ._callbacks import Progress
from ._errors import (
    AbortedError,
    BadAnswerError,
    BufferTooSmallError,
    ClosedError,
    ConnectError,
    Error,
    ForbiddenError,
    NotOnServerError,
    InvalidArgumentError,
    LibraryAmbiguousError,
    LibraryError,
    LibraryNotFoundError,
    LoadError,
    NotPlexError,
    NullPointerError,
    OfflineError,
    PanicError,
    RedirectedError,
    ServerError,
    StartingError,
    StoreError,
    StoreFullError,
    TimeoutError,
    TlsError,
    UnauthorizedError,
    UnsupportedError,
)
from ._index import Index
from ._library import Library, LibraryInfo
from ._open import open

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._edits import EditReport
    from ._facts import Proposal, ServerInfo, StoreInfo
    from ._mapping import Mapping
    from ._plexapi import LightItem, SectionIndex, ServerIndex, from_section, from_server
    from ._stats import Profile, Stats

__version__ = "0.1.0"

__all__ = [
    "AbortedError",
    "BadAnswerError",
    "BufferTooSmallError",
    "ClosedError",
    "ConnectError",
    "EditReport",
    "Error",
    "ForbiddenError",
    "NotOnServerError",
    "Index",
    "InvalidArgumentError",
    "Item",
    "Library",
    "LibraryAmbiguousError",
    "LibraryError",
    "LibraryInfo",
    "LibraryNotFoundError",
    "LightItem",
    "LoadError",
    "Mapping",
    "Match",
    "Matches",
    "NotPlexError",
    "NullPointerError",
    "OfflineError",
    "PanicError",
    "Profile",
    "Progress",
    "Proposal",
    "RedirectedError",
    "SectionIndex",
    "ServerError",
    "ServerIndex",
    "ServerInfo",
    "StartingError",
    "Stats",
    "StoreError",
    "StoreFullError",
    "StoreInfo",
    "TimeoutError",
    "TlsError",
    "UnauthorizedError",
    "UnsupportedError",
    "from_section",
    "from_server",
    "open",
]


_LATER = {
    "_edits": ("EditReport",),
    "_facts": ("Proposal", "ServerInfo", "StoreInfo"),
    "_mapping": ("Mapping",),
    "_plexapi": ("LightItem", "SectionIndex", "ServerIndex", "from_section", "from_server"),
    "_stats": ("Profile", "Stats"),
}


def __getattr__(name: str) -> Any:
    # What a short-lived process rarely needs is loaded when it is asked for.
    for module, names in _LATER.items():
        if name in names:
            __import__(f"{__name__}.{module}")
            value = globals()[name] = getattr(globals()[module], name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
