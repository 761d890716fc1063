"""Batch edits of items on the server, by plexapi, and their report."""

from __future__ import annotations

import time
from importlib import import_module
from types import SimpleNamespace
from urllib.parse import quote
from xml.etree.ElementTree import Element

from ._core import TYPE_CHECKING
from ._core import convert as _convert
from .errors import (
    Error,
    InvalidArgumentError,
    NotOnServerError,
    OfflineError,
    ServerUnavailableError,
    TimeoutError,
    UnauthorizedError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from ._core.types import FieldArg, KeyArg
    from .index import Index
    from .library import Library

# Servers reject requests with thousands of items, because the URL is too long.
_ITEMS_PER_REQUEST = 100

# Plex's fields that contain tags, and numbers; and other fields, so that a misspelt name can be recognised.
TAGS = ("collection", "country", "director", "genre", "label", "mood", "producer", "similar", "style", "tag", "writer")
NUMBERS = ("addedAt", "audienceRating", "index", "parentIndex", "rating", "userRating", "year")
TEXTS = ("contentRating", "editionTitle", "originallyAvailableAt", "originalTitle", "studio", "summary", "tagline",
         "title", "titleSort")  # fmt: skip
_SPELLINGS = {name.lower(): name for name in (*TAGS, *NUMBERS, *TEXTS)}


class EditReport:
    """An edit's outcome for each item, by the caller's keys."""

    __slots__ = ("done", "failed", "left", "missing", "requests")

    done: list[str]
    """Keys of edited items."""
    failed: list[str]
    """Keys of the failed request. The server may have edited these items."""
    left: list[str]
    """Keys for which plexindex sent no request."""
    missing: list[str]
    """Keys that do not exist in the library. If any key is missing, plexindex has edited nothing."""
    requests: int
    """Number of edit requests, including a failed request."""

    def __init__(self, keys: Iterable[str]) -> None:
        """Creates the report of an edit that has not begun."""
        self.done, self.failed, self.left, self.missing = [], [], list(keys), []
        self.requests = 0

    def _move(self, keys: list[str], to: list[str]) -> None:
        self.left = [key for key in self.left if key not in keys]
        to += keys

    def __repr__(self) -> str:
        more = "".join(
            f", {len(keys)} {name}"
            for name, keys in (("failed", self.failed), ("left", self.left), ("missing", self.missing))
            if keys
        )
        requests = "1 request" if self.requests == 1 else f"{self.requests} requests"
        return f"<plexindex.EditReport: {len(self.done)} done{more}, {requests}>"


def edit(
    library: Library,
    keys: Iterable[KeyArg],
    fields: Mapping[str, FieldArg] | None,
    remove: Mapping[str, str | Iterable[str]] | None,
    locked: bool | None,
    timeout: float | None,
) -> EditReport:
    """Edits items of one library: see :meth:`plexindex.Index.edit_items`."""
    if library._handle.named is None:
        raise TypeError("a call can edit items in only one library: specify the library")
    if isinstance(keys, (str, bytes)) or not hasattr(keys, "__iter__"):
        raise TypeError(f"keys must be a list of keys, not {type(keys).__name__}")
    names = [_convert.key_bytes(key).decode() for key in keys]
    arguments = edit_arguments(fields, remove, locked)
    if not names:
        raise InvalidArgumentError("the list of items is empty: specify at least one item")
    timeout = library.index._session.timeout if timeout is None else timeout
    until = None if timeout is None else time.monotonic() + timeout
    report = EditReport(dict.fromkeys(names))
    try:
        plex = _server(library.index)
        facts = library._request("libraries.list", timeout=timeout)["libraries"]
        # A section of which plexapi needs only the id, so that it sends no request for it.
        section = import_module("plexapi.library").LibrarySection(plex, Element("Directory", key=facts[0]["section"]))
        for batch in _batches(library, plex, section, report):
            if until is not None and time.monotonic() >= until:
                raise TimeoutError("the timeout passed")
            _send(library, section, batch, arguments, report)
    except Error as error:
        error.report = report
        raise
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("plexapi", "requests"):
            raise
        failed = _failure(error, len(report.done), len(names))
        failed.report = report
        raise failed from error
    return report


def _server(index: Index) -> Any:
    """Returns plexapi's object for the index's server. The first call for an index sends one request, unless the index
    came from :func:`plexindex.from_server`.
    """
    session, (_, url, _, options) = index._session, index._recipe
    plex = getattr(index, "plex", None) or session.plex
    if plex is None:
        try:
            server_class = import_module("plexapi.server").PlexServer
        except ImportError as error:
            raise ImportError("edit_items needs plexapi: install it, with pip install plexapi") from error
        if url is None or options["offline"]:
            raise OfflineError("cannot edit items: the index is offline, or has no server_url")
        connection = import_module("requests").Session()
        connection.verify = not options["accept_invalid_certs"] and (options["ca_file"] or True)
        token = session.token() if callable(session.token) else session.token
        plex = session.plex = server_class(url, token, connection)
    return plex


def _batches(library: Library, plex: Any, section: Any, report: EditReport) -> Iterable[list[Any]]:
    """Returns the items in groups of one type, because a request can contain only one. Asks the server for items that
    the index does not list, such as shows, with one request for each hundred. Raises NotOnServerError if one is
    missing.
    """
    found: dict[str, Any] = {}
    asked: dict[str, list[str]] = {}  # "7" and "/library/metadata/7" are one item
    for key in report.left:
        asked.setdefault(key.rpartition("/")[2], []).append(key)
    for rating_key, keys in asked.items():
        facts = library._listed_facts(keys[0])
        if facts is not None:
            found[rating_key] = _item(section, keys, rating_key, facts["kind"])
    ids = [rating_key for rating_key in asked if rating_key not in found]
    for start in range(0, len(ids), _ITEMS_PER_REQUEST):
        some = ids[start : start + _ITEMS_PER_REQUEST]
        try:
            items = plex.fetchItems(f"/library/metadata/{','.join(some)}")
        except Exception as error:
            if type(error).__name__ != "NotFound":
                raise
            items = []
        for item in items:
            if item.librarySectionID == section.key:
                rating_key = str(item.ratingKey)
                found[rating_key] = _item(section, asked[rating_key], rating_key, item.type)
    missing = [key for rating_key, keys in asked.items() if rating_key not in found for key in keys]
    report._move(missing, report.missing)
    if report.missing:
        more = f" and {len(report.missing) - 5} more" if len(report.missing) > 5 else ""
        raise NotOnServerError(
            f"edited nothing: the library has no item {', '.join(report.missing[:5])}{more}; omit missing items"
        )
    by_type: dict[str, list[Any]] = {}
    for item in found.values():
        by_type.setdefault(item.type, []).append(item)
    return [
        items[start : start + _ITEMS_PER_REQUEST]
        for items in by_type.values()
        for start in range(0, len(items), _ITEMS_PER_REQUEST)
    ]


def _item(section: Any, keys: list[str], rating_key: str, kind: str) -> Any:
    """Returns an object with the attributes of plexapi's items that an edit needs."""
    return SimpleNamespace(asked=keys, ratingKey=rating_key, type=kind, librarySectionID=section.key, title=keys[0])


def _send(library: Library, section: Any, batch: list[Any], arguments: dict[str, Any], report: EditReport) -> None:
    """Sends one edit. Invalidates the items before it, so that a locked store refuses the edit, and after it, because a
    reply from before the edit may have ended the first invalidation.
    """
    keys = [key for item in batch for key in item.asked]
    for item in batch:
        library.invalidate_item(item.ratingKey)
    report._move(keys, report.failed)
    report.requests += 1
    try:
        section.multiEdit(batch, **arguments)
        report.failed.clear()
        report.done += keys
    finally:
        for item in batch:
            library.invalidate_item(item.ratingKey)


def _failure(error: Exception, done: int, count: int) -> Error:
    """Returns the package's exception for an error of plexapi or of its connection."""
    names = {kind.__name__ for kind in type(error).__mro__}
    text = str(error).partition(";")[0]
    kind: type[Error] = ServerUnavailableError
    if "Unauthorized" in names or text.startswith("(403)"):
        kind = UnauthorizedError
    elif "NotFound" in names:
        kind = NotOnServerError
    elif "Timeout" in names:
        kind = TimeoutError
    return kind(f"edited {done} of {count} items, then stopped: {text or type(error).__name__}")


def edit_arguments(
    fields: Mapping[str, FieldArg] | None, remove: Mapping[str, str | Iterable[str]] | None, locked: bool | None
) -> dict[str, Any]:
    """Returns the arguments of a request that sets ``fields``, and removes the tags in ``remove``."""
    if locked is not None:
        _convert.flag("locked", locked)
    for argument, given in (("fields", fields), ("remove", remove)):
        if given is not None and not hasattr(given, "keys"):
            raise TypeError(f"{argument} must be a dict of field names and values, not {type(given).__name__}")
    arguments: dict[str, Any] = {}
    for name, value in dict(fields or {}).items():
        _check_field(name, value)
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            arguments[f"{name}.value"] = _convert.only_text("value", str(value)).decode()
        elif value is not None:
            arguments.update({f"{name}[{at}].tag.tag": tag for at, tag in enumerate(_tags(name, value))})
    for name, tags in dict(remove or {}).items():
        _check_field(name, [tags] if isinstance(tags, str) else tags)
        # Commas separate the tags, so each is encoded, and plexapi encodes the list again.
        arguments[f"{name}[].tag.tag-"] = ",".join(quote(tag) for tag in _tags(name, tags))
    if locked is not None:
        arguments.update({f"{name}.locked": int(locked) for name in {**dict(fields or {}), **dict(remove or {})}})
    if not arguments:
        raise InvalidArgumentError("the list of fields is empty: give the fields to change, such as title")
    return arguments


def _check_field(name: str, value: FieldArg) -> None:
    """Rejects what Plex would ignore: a field in the wrong letter case, or with a value of the wrong kind. Plex may
    have more fields.
    """
    if not isinstance(name, str):
        raise TypeError(f"a field's name must be str, not {type(name).__name__}")
    if not name.isascii() or not name.isalnum() or name in ("id", "type"):
        raise InvalidArgumentError(f"{name!r} is not a valid field name: give Plex's name, such as title or genre")
    spelling = _SPELLINGS.get(name.lower(), name)
    if spelling != name:
        raise InvalidArgumentError(f"{name!r} is not a field of Plex: write {spelling!r}")
    if value is None:
        return
    is_list = not isinstance(value, (str, bytes, int, float))
    if name in TAGS and not is_list:
        raise InvalidArgumentError(f"{name} contains tags: pass a list, such as [{value!r}]")
    if name in (*NUMBERS, *TEXTS) and is_list:
        raise InvalidArgumentError(f"{name} does not contain tags: pass a single value, not a list")
    if name in NUMBERS and isinstance(value, str):
        try:
            float(value)
        except ValueError:
            raise InvalidArgumentError(f"{name} must be a number, not {value!r}") from None


def _tags(name: str, tags: float | str | Iterable[str]) -> list[str]:
    if isinstance(tags, (bytes, int, float)) or not hasattr(tags, "__iter__"):
        raise TypeError(f"{name} must be a string, a number, a list of tags or None, not {type(tags).__name__}")
    tags = [tags] if isinstance(tags, str) else list(tags)
    if not tags:
        raise InvalidArgumentError(f"{name}=[] changes nothing: omit the field, or list the tags in remove")
    for tag in tags:
        if not isinstance(tag, str):
            raise TypeError(f"a tag of {name} must be str, not {type(tag).__name__}")
        if not tag.strip():
            raise InvalidArgumentError(f"a tag of {name} is empty: omit the tag")
    return tags
