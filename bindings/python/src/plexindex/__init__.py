"""plexindex finds the Plex item for a file without asking the server.

plexindex stores an index of a Plex server's libraries in a folder. The first lookup fills the index, and a few requests
keep the index up to date:

```python
import plexindex

with plexindex.open(cache_dir, server_url="http://127.0.0.1:32400", token=token) as index:
    movies = index.library("Movies")
    match = movies.match("/data/movies/Big Buck Bunny (2008).mkv")
    if match:
        print(match.rating_key, match.title, match.confidence)
    else:
        print(match.reason, match.candidates)
```

Start with :func:`open` and :class:`Index`. If you use plexapi, start with :func:`from_server` and :func:`from_section`;
for ``asyncio``, start with :meth:`Index.amatch`. ``open()`` without arguments uses the folder and the configuration of
the command ``plexindex``. Every failure is an :class:`Error`. *Not found*, *ambiguous* and *not yet* are answers
(:class:`Match`). Log lines go to the logger ``plexindex``. All times are in seconds.

Paths can be ``str``, ``bytes`` or ``os.PathLike``. plexindex encodes a ``str`` with ``os.fsencode``, which reverses
``os.fsdecode``. Empty paths and paths that contain a NUL are invalid.

The environment variable ``PLEXINDEX_LIBRARY`` is the path of a different shared library to load. In CPython 3.10 and
newer, an accelerator performs fast lookups without ctypes. ``PLEXINDEX_NO_ACCELERATOR=1`` disables the accelerator,
which does not change the answers.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._core.callbacks import Progress
    from ._core.facts import Proposal, ServerInfo, StoreInfo
    from ._core.light import LightItem
    from ._core.many import Folder, Matches
    from ._core.open import open
    from ._core.shared import SharedStatus, SharedView
    from ._core.stats import Profile, Stats
    from .changes import Change, Changes
    from .compare.comparison import Comparison, Difference
    from .errors import (
        AbortedError,
        BadAnswerError,
        BufferTooSmallError,
        ClosedError,
        ConnectError,
        EditReport,
        Error,
        ForbiddenError,
        InvalidArgumentError,
        LibraryAmbiguousError,
        LibraryError,
        LibraryNotFoundError,
        ListAgainError,
        LoadError,
        NotFetchedError,
        NotOnServerError,
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
    from .index import Index, Library
    from .item import Item
    from .library import LibraryInfo
    from .mapping import Mapping
    from .match import Match
    from .plexapi import SectionIndex, ServerIndex, from_section, from_server

__version__ = "0.1.0"

__all__ = [
    "AbortedError",
    "BadAnswerError",
    "BufferTooSmallError",
    "Change",
    "Changes",
    "ClosedError",
    "Comparison",
    "ConnectError",
    "Difference",
    "EditReport",
    "Error",
    "Folder",
    "ForbiddenError",
    "Index",
    "InvalidArgumentError",
    "Item",
    "Library",
    "LibraryAmbiguousError",
    "LibraryError",
    "LibraryInfo",
    "LibraryNotFoundError",
    "LightItem",
    "ListAgainError",
    "LoadError",
    "Mapping",
    "Match",
    "Matches",
    "NotFetchedError",
    "NotOnServerError",
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
    "SharedStatus",
    "SharedView",
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

# The package loads each module on the first use of one of its names, because a short-lived process needs few modules.
_LATER = {
    "match": ("Match",),
    "_core.callbacks": ("Progress",),
    "errors": ("EditReport", *(name for name in __all__ if name.endswith("Error"))),
    "compare.comparison": ("Comparison", "Difference"),
    "changes": ("Change", "Changes"),
    "_core.facts": ("Proposal", "ServerInfo", "StoreInfo"),
    "index": ("Index", "Library"),
    "item": ("Item",),
    "library": ("LibraryInfo",),
    "_core.many": ("Folder", "Matches"),
    "mapping": ("Mapping",),
    "_core.light": ("LightItem",),
    "_core.open": ("open",),
    "plexapi": ("SectionIndex", "ServerIndex", "from_section", "from_server"),
    "_core.shared": ("SharedStatus", "SharedView"),
    "_core.stats": ("Profile", "Stats"),
}
# Modules that an index needs. Loading them gives the types that an index returns and raises their public names.
_WITH_INDEX = ("match", "item", "_core.many", "_core.callbacks", "errors", "library")


def _load(module: str) -> None:
    names = _LATER[module]
    loaded = __import__(f"{__name__}.{module}", fromlist=names)
    for name in names:
        value = globals()[name] = getattr(loaded, name)
        value.__module__ = __name__


def __getattr__(name: str) -> "Any":
    for module, names in _LATER.items():
        if name in names:
            for used in _WITH_INDEX if module == "index" else ():
                _load(used)
            _load(module)
            return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> "list[str]":
    return sorted({*globals(), *__all__})
