"""A small Plex Media Server for tests."""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, Union
from urllib.parse import quote

from ..compare.rules import extensions_of, is_media
from . import _filters
from ._content import LEVELS, NUMBERS, Item, Library, Row, directory, full_row, history_row, row
from ._http import Connections, Reply, Request
from ._names import files_below, kind_of, lies_in, location_of

PathArg = Union[str, "os.PathLike[str]"]
#: The files of a library: paths, or a folder on this machine.
Files = Union[Iterable[PathArg], PathArg]
#: The rating key of an item, as a number or a string, its key, or the path of one of its files.
ItemArg = Union[int, PathArg]

#: The beginnings of names that the server sets itself.
_DERIVED = ("ratingKey", "key", "type", "parent", "grandparent", "library")
_AGENT = "tv.plex.agents.movie"
#: Pages that are always the same. Plex always has this activity.
_PAGES: dict[str, Row] = {
    "/library": {"identifier": "com.plexapp.plugins.library", "title1": "Plex Library", "title2": ""},
    "/activities": {"size": 1, "Activity": [
        {"uuid": "1", "type": "butler", "cancellable": False, "title": "Butler", "progress": -1}
    ]},
    "/system/agents": {"size": 1, "Agent": [{"identifier": _AGENT, "name": "Plex", "shortIdentifier": _AGENT}]},
}  # fmt: skip
_TYPES = {number: type for type, number in NUMBERS.items()}
T = TypeVar("T")


class FakePlex:
    """A small Plex Media Server in this process, for tests. The server answers real HTTP requests, and needs no
    installation.

    The server answers in JSON and XML, so it works with plexindex and plexapi. It supports libraries and their listings
    with paging, filters and orders; single items; collections; watched states, the history of plays that clients
    reported, ratings and edits; scans; and events. The server runs until the ``with`` block ends. Any thread can call
    its methods.

    ``libraries`` maps each name to a list of file paths, or to a folder on this machine. The first file that is no
    picture determines whether a library has movies, shows or music; without one, it has photos. Of a folder, the server
    lists what Plex would list, such as no trailers and no subtitles, but also empty files. Titles, years and episode
    numbers come from the paths: ``Big Buck Bunny (2008).mkv``, ``Show/Season 01/Show - S01E02 - Title.mkv``,
    ``Artist/Album (2001)/01 - Title.flac``.

    ``sizes`` maps paths to sizes in bytes. Another file in a folder on this machine has the size that it had when it
    was added or scanned. Any other file has a size of its own, which depends only on its first path.

    Like Plex, the server capitalizes the words of a label, so ``watched`` becomes ``Watched``, and ignores an edit of a
    field that Plex does not have.

    Requests must contain ``token``. ``machine_identifier`` is random by default, so that a cache can distinguish
    servers.
    """

    token: str
    """The token that requests must contain. After a change, the server rejects the old token."""
    machine_identifier: str
    """40 hexadecimal digits. A change simulates a different server at the same address."""
    requests: list[Request]
    """The requests since the start, or since ``requests.clear()``."""

    def __init__(
        self,
        libraries: Mapping[str, Files] | None = None,
        *,
        token: str = "test-token",  # noqa: S107
        machine_identifier: str | None = None,
        sizes: Mapping[Any, int] | None = None,
    ) -> None:
        if libraries is not None and not isinstance(libraries, Mapping):
            raise TypeError(f"libraries must be a mapping of names to files, not {type(libraries).__name__}")
        self.token, self.machine_identifier = token, machine_identifier or secrets.token_hex(20)
        self.requests = []
        self._libraries: dict[int, Library] = {}
        self._sizes = {os.fspath(path): size for path, size in (sizes or {}).items()}
        self._keys = itertools.count(101)
        self._collection_keys: dict[tuple[int, str], int] = {}
        self._plays: list[tuple[Item, int]] = []
        self._now = int(time.time())
        self._lock = threading.RLock()
        self._failures: list[tuple[int, str]] = []
        self._answers = threading.Event()
        self._answers.set()
        self._listeners: list[queue.Queue[tuple[str, Row] | None]] = []
        self._connections: Connections | None = None
        self._port = 0
        for title, files in (libraries or {}).items():
            self.add_library(title, files)
        self.start()

    def __repr__(self) -> str:
        titles = [library.title for library in self._libraries.values()]
        return f"<plexindex.testing.FakePlex at {self.url}: {', '.join(titles) or 'no libraries'}>"

    def __enter__(self) -> FakePlex:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The server's address, which :meth:`stop` and :meth:`start` do not change."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Makes the server reachable again after :meth:`stop`."""
        if self._connections is None:
            self._connections = Connections(self._port, self._reply, self._listening)
            self._port = self._connections.server_address[1]
            threading.Thread(target=self._connections.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Makes the server unreachable, and closes its connections. Keeps the libraries."""
        if self._connections is not None:
            self._connections.end()
            self._connections = None
        self.resume()
        with self._lock:
            for listener in self._listeners:
                listener.put(None)

    def pause(self) -> None:
        """Makes the server silent: requests get no response until :meth:`resume`."""
        self._answers.clear()

    def resume(self) -> None:
        """Ends :meth:`pause`: the server answers the waiting requests."""
        self._answers.set()

    def fail(self, status: int = 500, times: int = 1, *, path: str = "") -> None:
        """Answers the next requests with ``status`` and no content. ``path``: only requests whose path contains it."""
        with self._lock:
            self._failures += [(status, path)] * times

    def add_library(self, title: str, files: Files = (), *, kind: str | None = None) -> int:
        """Adds a library, and returns its section ID.

        ``kind`` is ``movie``, ``show``, ``artist`` or ``photo``. By default, the files determine the kind. If ``files``
        is a folder, a scan requested by a client reads the folder again.
        """
        folder = Path(files) if isinstance(files, (str, os.PathLike)) else None
        if folder is not None and not folder.is_dir():
            raise NotADirectoryError(f"{str(folder)!r} is not a folder on this machine: give a folder or list of paths")
        paths = files_below(folder) if folder is not None else [os.fspath(path) for path in files]  # type: ignore[union-attr]
        kind = kind or kind_of(paths)
        if kind not in LEVELS:
            raise ValueError(f"{kind!r} is not a library type: give one of {', '.join(LEVELS)}")
        with self._lock:
            section = len(self._libraries) + 1
            location = str(folder or location_of(kind, paths) or f"/media/{title.lower()}")
            library = Library(section, title, kind, location, folder, self._tick(), self._sizes)
            for path in paths if folder is None else files_below(folder, library):
                _check_media(library, path)
                library.add(path, self._keys, self._now)
            self._libraries[section] = library
        return section

    def add(self, library: str, path: PathArg, **fields: object) -> int:
        """Adds a file to the library with this title, like a scan, and returns its item's rating key. Widens the
        library's folder if the path is outside. Raises ValueError if Plex would not list a file with this name.

        For ``fields``, see :meth:`set`.
        """
        with self._lock:
            section = next((one for one in self._libraries.values() if one.title == library), None)
            if section is None:
                titles = ", ".join(repr(one.title) for one in self._libraries.values())
                raise LookupError(f"there is no library {library!r}: there are {titles or 'none'}")
            _check(fields)
            self._place(section, os.fspath(path))
            return self._add(section, os.fspath(path), fields)

    def _place(self, library: Library, file: str) -> None:
        """Widens a library's folder for a new file. Raises ValueError if Plex would not list the file."""
        _check_media(library, file)
        if any(one.find(file) for one in self._libraries.values()):
            raise ValueError(f"a library already lists {file!r}: give another path, or use set()")
        if not lies_in(file, library.location):
            wider = None if library.folder else location_of(library.kind, [file], [library.location])
            if wider is None:
                raise ValueError(f"{file!r} is not in the folder of {library.title!r}, {library.location!r}")
            library.location = wider

    def _add(self, library: Library, file: str, fields: Mapping[str, Any]) -> int:
        title = fields.get("title")
        item = library.add(file, self._keys, self._tick(), None if title is None else str(title))
        library.scanned_at = self._now
        self._set(item, fields, "created")
        return item.key

    def remove(self, item: ItemArg) -> None:
        """Removes an item, the items below it, and the items above it that have no other children."""
        with self._lock:
            target = self._item(item)
            target.library.scanned_at = self._tick()
            target.library.remove(target)
            self._timeline(target, "deleted", 9)

    def move(self, path: PathArg, to: PathArg) -> None:
        """Changes a file's path, like a rename followed by a scan. The item keeps its rating key."""
        with self._lock:
            library, file, new = self._item(path).library, os.fspath(path), os.fspath(to)
            self._place(library, new)
            self._sizes[new] = library.size_of(file)
            library.scanned_at = self._tick()
            for item in library.find(file):
                item.files[item.files.index(file)] = new
                self._timeline(item)
            library.changed()

    def set(self, item: ItemArg, **fields: object) -> None:
        """Sets fields of an item.

        ``fields`` are Plex's names and values, such as ``title``, ``year``, ``viewCount`` (0 means not watched) and
        ``summary``. ``guids`` is a list such as ``["imdb://tt1254207"]``, and ``tags`` is a list for each of ``genre``,
        ``label`` and so on. Raises ValueError for what the server makes itself, such as ``Media``.
        """
        with self._lock:
            _check(fields)
            self._tick()
            self._set(self._item(item), fields)

    def item(self, item: ItemArg) -> Row:
        """Returns the fields that a request for the item returns: ``ratingKey``, ``title``, ``Media`` and so on."""
        with self._lock:
            return full_row(self._item(item), check_files=False)

    def send_event(self, name: str, data: Row) -> None:
        """Sends an event, such as ``"activity", {"ActivityNotification": {…}}``, to all listeners.

        The methods that change items send their own events.
        """
        with self._lock:
            for listener in self._listeners:
                listener.put((name, data))

    def _tick(self) -> int:
        """Returns the time of a change, later than that of the previous change."""
        self._now = max(self._now + 1, int(time.time()))
        return self._now

    def _set(self, item: Item, fields: Mapping[str, Any], metadata_state: str = "") -> None:
        item.guids = list(fields.get("guids", item.guids))
        item.tags = {tag: list(values) for tag, values in fields.get("tags", item.tags).items()}
        item.fields.update({name: value for name, value in fields.items() if name not in ("guids", "tags")})
        item.fields["updatedAt"] = fields.get("updatedAt", self._now)
        if not fields.keys().isdisjoint(("title", "index")):
            item.library.changed(0)
        self._timeline(item, metadata_state)

    def _item(self, item: ItemArg) -> Item:
        text = str(item) if isinstance(item, int) else os.fspath(item)
        number = re.fullmatch(r"(?:/library/metadata/)?(\d+)", text)
        for library in self._libraries.values():
            match = library.items.get(int(number[1])) if number else next(iter(library.find(text)), None)
            if match is not None:
                return match
        raise LookupError(f"no item has the {'rating key' if number else 'file'} {item!r}")

    def _scan(self, library: Library) -> None:
        """Adds and removes items after changes in a library's folder."""
        library.scanned_at = self._tick()
        if library.folder is None:
            return
        on_disk = set(files_below(library.folder, library))
        listed = {file for item in library.items.values() for file in item.files}
        for file in sorted(on_disk - listed):
            self._add(library, file, {})
        for file in listed & on_disk:
            if library.scan(file):
                library.changed()
                for item in library.find(file):
                    item.fields["updatedAt"] = self._now
        for file in listed - on_disk:
            for item in library.find(file):
                item.files.remove(file)
                library.changed()
                if not item.files:
                    self.remove(item.key)

    def _timeline(self, item: Item, metadata_state: str = "", state: int = 5) -> None:
        entry: Row = {
            "identifier": "com.plexapp.plugins.library",
            "sectionID": str(item.library.section),
            "itemID": str(item.key),
            "type": NUMBERS[item.type],
            "title": item.title,
            "state": state,
            "updatedAt": self._now,
        }
        if metadata_state:
            entry["metadataState"] = metadata_state
        self.send_event("timeline", {"TimelineEntry": entry})

    @contextlib.contextmanager
    def _listening(self) -> Iterator[queue.Queue[tuple[str, Row] | None]]:
        """Yields a queue that receives the events while the block runs."""
        events: queue.Queue[tuple[str, Row] | None] = queue.Queue()
        with self._lock:
            self._listeners.append(events)
        try:
            yield events
        finally:
            with self._lock:
                self._listeners.remove(events)

    def _reply(self, request: Request, headers: Mapping[str, str]) -> Reply:
        """Returns the reply to a request. ``headers`` have lower-case names, and include headers sent as arguments."""
        with self._lock:
            self.requests.append(request)
        self._answers.wait()
        with self._lock:
            failure = next((failure for failure in self._failures if failure[1] in request.path), None)
            if failure is not None:
                self._failures.remove(failure)
                return Reply(failure[0])
            if request.path == "/identity":
                return Reply(200, {"claimed": True, **self._identity()})
            if headers.get("x-plex-token") != self.token:
                return Reply(401)
            try:
                return self._route(request)
            except ValueError:  # a number that is none
                return Reply(400)

    def _identity(self) -> Row:
        return {"machineIdentifier": self.machine_identifier, "version": "1.43.4.10903-e5521bd8c"}

    def _route(self, request: Request) -> Reply:
        parts = request.path.strip("/").split("/")
        if request.path in _PAGES:
            return Reply(200, _PAGES[request.path])
        if request.path == "/":
            return Reply(200, {"friendlyName": "FakePlex", "platform": "Linux", **self._identity()})
        if parts[:2] == ["library", "sections"]:
            return self._sections(request, parts[2:])
        if request.path == "/library/all":
            items = [item for library in self._libraries.values() for item in library.items.values()]
            return self._listing(request, items, {})
        if parts[:2] == ["library", "metadata"] and len(parts) > 2:
            return self._metadata(request, parts[2:])
        if parts[:2] == ["library", "collections"]:
            return self._collection(request, parts[2:])
        if request.path == "/status/sessions/history/all":
            return self._history(request)
        if parts[0] == ":":
            return self._action(request, parts[1:])
        return Reply(404)

    def _sections(self, request: Request, parts: list[str]) -> Reply:
        if not parts or parts == ["all"]:
            rows = [directory(library) for library in self._libraries.values()]
            return Reply(200, {"size": len(rows), "title1": "Plex Library", "Directory": rows})
        library = self._libraries.get(int(parts[0])) if parts[0].isdigit() else None
        if library is None:
            return Reply(404)
        what = parts[1] if len(parts) > 1 else ""
        if what == "refresh":
            self._scan(library)
            return Reply(200)
        if what == "emptyTrash":
            return Reply(200)
        type = _TYPES.get(int(request.argument("type", "0") or 0), LEVELS[library.kind][0])
        if what in ("albums", "collections"):
            what, type = "all", what[:-1]
        if what == "all" and request.method == "PUT":
            ids = request.argument("id").split(",")
            return self._edit([item for item in library.of_type(type) if str(item.key) in ids], request.arguments)
        head: Row = {"librarySectionID": library.section, "librarySectionTitle": library.title}
        if request.argument("includeMeta") == "1":
            head["Meta"] = _filters.meta(library, ["collection"] if type == "collection" else LEVELS[library.kind])
        if what == "all":
            # As in Plex, a listing of photos is empty without a zoom level.
            hides = type == "photo" and not request.argument("clusterZoomLevel")
            items = self._collections(library) if type == "collection" else library.of_type(type)
            return self._listing(request, [] if hides else items, head)
        if what in _filters.TAGS:
            rows = _filters.choices(library.of_type(type), what)
            return Reply(200, {"size": len(rows), **head, "Directory": rows})
        return Reply(404)

    def _listing(self, request: Request, items: list[Item], head: Row) -> Reply:
        matches = _filters.sort(_filters.matching(items, request.arguments), request.argument("sort"))
        with_guids = request.argument("includeGuids") == "1"
        matches = matches[: int(request.argument("limit", "0")) or None]
        return _page(request, matches, head, lambda item: row(item, with_guids=with_guids))

    def _metadata(self, request: Request, parts: list[str]) -> Reply:
        keys = [int(key) for key in parts[0].split(",") if key.isdigit()]
        items = [lib.items[key] for key in keys for lib in self._libraries.values() if key in lib.items]
        if not items:
            return Reply(404)
        if len(parts) == 1 and request.method == "PUT":
            return self._edit(items, request.arguments)
        if len(parts) == 1 and request.method == "DELETE":
            for item in items:
                self.remove(item.key)
            return Reply(200)
        library = items[0].library
        head: Row = {"librarySectionID": library.section, "librarySectionTitle": library.title}
        if len(parts) == 1:
            checks = request.argument("checkFiles") == "1"
            return _page(request, items, head, lambda item: full_row(item, check_files=checks))
        if parts[1] in ("children", "allLeaves"):
            below = items[0].children if parts[1] == "children" else items[0].leaves
            return _page(request, below, head, row)
        if parts[1] == "matches":  # plexapi asks for the item with an external ID: `imdb-tt1254207`
            wanted = request.argument("title").replace("-", "://", 1)
            found = [one for one in library.items.values() if wanted in one.guids]
            return Reply(200, {"SearchResult": [{"guid": one.guid, "name": one.title, "score": 100} for one in found]})
        return Reply(200 if parts[1] in ("refresh", "analyze") else 404)

    def _collections(self, library: Library) -> list[Item]:
        """Returns the collections of a library, which its items have as tags."""
        members: dict[str, list[Item]] = {}
        for item in library.items.values():
            for title in item.tags.get("collection", ()):
                members.setdefault(title, []).append(item)
        found = []
        for title, items in members.items():
            name = (library.section, title)
            self._collection_keys[name] = self._collection_keys.get(name) or next(self._keys)
            found.append(Item(library, self._collection_keys[name], "collection", None, self._now))
            found[-1].fields["title"], found[-1].children = title, items
        return found

    def _collection(self, request: Request, parts: list[str]) -> Reply:
        libraries = self._libraries.values()
        title, keys = request.argument("title"), request.argument("uri").rpartition("/")[2].split(",") + parts[2:]
        items = [item for library in libraries for item in library.items.values() if str(item.key) in keys]
        if request.method == "POST":
            self._edit(items, [("collection[0].tag.tag", title)])
        every = [one for library in libraries for one in self._collections(library)]
        found = [one for one in every if (str(one.key) == parts[0] if parts else one.title == title)]
        if not found:
            return Reply(404)
        if request.method == "PUT":
            return self._edit(items, [("collection[0].tag.tag", found[0].title)])
        if request.method == "DELETE":
            return self._edit(items or found[0].children, [("collection[].tag.tag-", quote(found[0].title))])
        return _page(request, found[0].children if parts[1:] else found, {}, row)

    def _history(self, request: Request) -> Reply:
        section, key = request.argument("librarySectionID"), request.argument("metadataItemID")
        since = int(request.argument("viewedAt>", "0"))
        rows = [
            history_row(item, number, at)
            for number, (item, at) in enumerate(self._plays, 1)
            if at > since and section in ("", str(item.library.section))
            and (not key or key in (str(one.key) for one in item.line))
        ]  # fmt: skip
        return _page(request, rows[::-1], {}, lambda row: row)

    def _edit(self, items: list[Item], arguments: list[tuple[str, str]]) -> Reply:
        if not items:
            return Reply(404)
        _filters.edit(items, arguments, self._tick())
        for item in items:
            item.library.changed(0)
            self._timeline(item)
        return Reply(200)

    def _action(self, request: Request, parts: list[str]) -> Reply:
        """Answers a change of a watched state, a play position or a rating."""
        if parts[1:] == ["notifications"]:
            return Reply(200)
        key = request.argument("key") or request.argument("ratingKey")
        try:
            items = self._item(int(key)).leaves
        except (LookupError, ValueError):
            return Reply(404)
        self._tick()
        for item in items:
            if parts == ["scrobble"]:
                item.fields["viewCount"] = int(str(item.fields.get("viewCount", 0))) + 1
                item.fields["lastViewedAt"] = self._now
                self._plays.append((item, self._now))
                item.fields.pop("viewOffset", None)
            elif parts == ["unscrobble"]:
                for name in ("viewCount", "lastViewedAt", "viewOffset"):
                    item.fields.pop(name, None)
            elif parts in (["progress"], ["timeline"]):
                item.fields["viewOffset"] = int(request.argument("time", "0"))
            elif parts == ["rate"]:
                item.fields["userRating"] = float(request.argument("rating", "0"))
            else:
                return Reply(404)
        return Reply(200)


def _check_media(library: Library, file: str) -> None:
    """Refuses a file that Plex would ignore in a library of this kind."""
    if not is_media(file, extensions_of([library.kind])):
        raise ValueError(f"{file!r} is not a media file for {library.title!r}, a library of the kind {library.kind!r}")


def _check(fields: Mapping[str, object]) -> None:
    """Refuses what the server would not answer as it was set."""
    for name, value in fields.items():
        is_text_or_number = isinstance(value, (str, int, float)) and not name[:1].isupper()
        if name not in ("guids", "tags") and (not is_text_or_number or name.startswith(_DERIVED)):
            raise ValueError(
                f"cannot set {name!r} to {value!r}: set texts and numbers, such as title, year or viewCount, guids and "
                "tags; add(), move() and remove() change files"
            )


def _page(request: Request, found: Sequence[T], head: Row, as_row: Callable[[T], Row]) -> Reply:
    """Returns the page of rows that a request specifies."""
    start, size = request.window or (0, len(found))
    rows = [as_row(one) for one in found[start : start + size]]
    whole = {} if request.window is None else {"totalSize": len(found), "offset": start}
    return Reply(200, {"size": len(rows), **whole, **head, "Metadata": rows})
