"""Batch edits of items on the server, by plexapi, and their report."""

from __future__ import annotations

import sys
import time
from types import SimpleNamespace

import plexindex

from . import errors
from ._core import Any, Iterable, Iterator, Mapping, importing
from ._core import convert as _convert
from ._core.callbacks import Stoppable
from ._core.selection import Selection, key_list
from ._core.session import Session
from .errors import Error

# Servers reject requests with thousands of items, because the URL is too long.
_ITEMS_PER_REQUEST = 100

# Plex's fields that contain tags, and numbers, and text.
TAGS = ("collection", "country", "director", "genre", "label", "mood", "producer", "similar", "style", "tag", "writer")
NUMBERS = ("addedAt", "audienceRating", "index", "parentIndex", "rating", "userRating", "year")
TEXTS = ("art", "contentRating", "editionTitle", "originallyAvailableAt", "originalTitle", "studio", "summary",
         "tagline", "thumb", "title", "titleSort")  # fmt: skip


class EditReport:
    """An edit's outcome for each item, by the caller's keys."""

    def __init__(self, keys: list[str]) -> None:
        self.left = keys
        """Keys for which plexindex sent no request."""
        self.done: list[str] = []
        """Keys of edited items."""
        self.failed: list[str] = []
        """Keys of the failed request. The server may have edited these items."""
        self.missing: list[str] = []
        """Keys that do not exist in the library. If any key is missing, plexindex has edited nothing."""
        self.requests = 0
        """Number of edit requests, including a failed request."""

    def __repr__(self) -> str:
        counts = ((len(getattr(self, name)), name) for name in ("failed", "left", "missing"))
        more = "".join(f", {count} {name}" for count, name in counts if count)
        requests = "1 request" if self.requests == 1 else f"{self.requests} requests"
        return f"<plexindex.EditReport: {len(self.done)} done{more}, {requests}>"


def edit(
    selection: Selection,
    keys: Iterable[plexindex.types.KeyArg],
    fields: Mapping[str, plexindex.types.FieldArg] | None,
    remove: Mapping[str, str | Iterable[str]] | None,
    locked: bool | None,
    timeout: float | None,
    ends: Stoppable,
) -> EditReport:
    """Edits items of a library: see :meth:`plexindex.Library.edit_items`. ``ends`` can end the call."""
    session = selection.session
    report, arguments = EditReport(key_list(keys, session)), edit_arguments(fields, remove, locked)
    if not report.left:
        raise errors.InvalidArgumentError("the list of items is empty: specify at least one item")
    _convert.timeout_ms(timeout)
    timeout = session.timeout if timeout is None else timeout
    until = float("inf") if timeout is None else time.monotonic() + timeout
    try:
        if ends.stopped:
            raise errors.AbortedError("the task was cancelled")
        facts = selection.request("libraries.list", timeout, ends)["libraries"]
        section = _section(session, facts[0]["section"])
        for kind, batch in _batches(selection, section, report):
            if time.monotonic() >= until:
                raise errors.TimeoutError("the timeout passed")
            if ends.stopped:
                raise errors.AbortedError("the task was cancelled")
            # First the doubt, so that no edit is without one; then once more, because a lookup may have settled it
            # before the server had changed the items.
            selection.note_items(str(section.key), batch)
            report.failed = [key for asked in batch.values() for key in asked]
            report.left, report.requests = _without(report.left, report.failed), report.requests + 1
            # The attributes of plexapi's items that an edit needs.
            items = [SimpleNamespace(ratingKey=key, type=kind, librarySectionID=section.key) for key in batch]
            try:
                section.multiEdit(items, **arguments)
                report.done, report.failed = report.done + report.failed, []
            finally:
                selection.note_items(str(section.key), batch)
    except BaseException as error:
        is_theirs = type(error).__module__.partition(".")[0] in ("plexapi", "requests", "xml")
        failed: Any = _failure(error, report, session.recipe.server_url) if is_theirs else error
        failed.report = report
        if isinstance(failed, errors.UnauthorizedError):
            session.plexapi.made = None  # the next edit asks for a token
        if is_theirs:
            raise failed from error
        raise
    return report


def _section(session: Session, section: str) -> Any:
    """Returns plexapi's object for a library. The first call for an index sends one request, unless the index came from
    :func:`plexindex.from_server`.
    """
    try:
        with importing():
            from xml.etree.ElementTree import Element

            import plexapi.library
            import plexapi.server
    except ImportError as error:
        raise ImportError("edit_items needs plexapi: install it, with pip install plexapi") from error
    theirs: Any = plexapi
    recipe, known = session.recipe, session.plexapi
    renewals = session.renewal.count if session.renewal else 0
    plex = known.given or (known.made if known.renewals == renewals else None)
    if plex is None:
        if recipe.server_url is None or recipe.options["offline"]:
            raise errors.OfflineError("cannot edit items: the index is offline, or has no server_url")
        # plexindex sends the token only to the server: by no proxy, and to where no redirect leads.
        connection = theirs.server.requests.Session()
        connection.trust_env, connection.max_redirects = False, 0
        connection.verify = not recipe.options["accept_invalid_certs"] and (recipe.options["ca_file"] or True)
        known.renewals = renewals
        token = known.token() if callable(known.token) else known.token
        limits = recipe.options["connect_timeout"], recipe.options["read_timeout"]
        plex = known.made = theirs.server.PlexServer(recipe.server_url, token, connection, limits)
    # plexapi needs only the id, so that it sends no request for the section.
    return theirs.library.LibrarySection(plex, Element("Directory", key=section))


def _batches(selection: Selection, section: Any, report: EditReport) -> list[tuple[str, dict[str, list[str]]]]:
    """Returns the items in groups of one type, because a request can contain only one: the caller's keys by rating key.
    Asks the server for items that the index does not list, such as shows. Raises NotOnServerError if one is missing.
    """
    asked: dict[str, list[str]] = {}  # "7" and "/library/metadata/7" are one item
    for key in report.left:
        asked.setdefault(key.rpartition("/")[2], []).append(key)
    listed = {rating_key: selection.listed_facts(rating_key) for rating_key in asked}
    kinds = {rating_key: facts["kind"] for rating_key, facts in listed.items() if facts}
    for some in _parts([rating_key for rating_key in asked if rating_key not in kinds]):
        try:
            items = section._server.fetchItems(f"/library/metadata/{','.join(some)}")
            kinds.update((str(item.ratingKey), item.type) for item in items if item.librarySectionID == section.key)
        except sys.modules["plexapi.exceptions"].NotFound:
            pass
    report.missing += [key for rating_key, keys in asked.items() if rating_key not in kinds for key in keys]
    if report.missing:
        report.left = _without(report.left, report.missing)
        more = f" and {len(report.missing) - 5} more" if len(report.missing) > 5 else ""
        named = f"{', '.join(report.missing[:5])}{more}"
        raise errors.NotOnServerError(f"edited nothing: the library has no item {named}; omit missing items")
    by_kind: dict[str, list[str]] = {}
    for rating_key, kind in kinds.items():
        by_kind.setdefault(kind, []).append(rating_key)
    batches = ((kind, some) for kind, found in by_kind.items() for some in _parts(found))
    return [(kind, {rating_key: asked[rating_key] for rating_key in some}) for kind, some in batches]


def _parts(keys: list[str]) -> Iterator[list[str]]:
    return (keys[start : start + _ITEMS_PER_REQUEST] for start in range(0, len(keys), _ITEMS_PER_REQUEST))


def _without(keys: list[str], others: list[str]) -> list[str]:
    gone = set(others)
    return [key for key in keys if key not in gone]


def _failure(error: BaseException, report: EditReport, server_url: str | None) -> Error:
    """Returns the package's exception for an error of plexapi or of its connection."""
    theirs, connection = sys.modules["plexapi.exceptions"], sys.modules["requests.exceptions"]
    text, name = str(error).partition(";")[0], type(error).__name__
    kind: type[Error] = errors.ServerUnavailableError
    if isinstance(error, connection.SSLError):
        kind, text = errors.NotPlexError, f"the certificate of {server_url} is invalid ({name}): set ca_file"
    elif isinstance(error, connection.TooManyRedirects):
        kind, text = errors.NotPlexError, f"{server_url} redirects the request, which plexindex does not follow"
    elif isinstance(error, connection.RequestException):
        # The original text names objects of Python, and can be long.
        kind = errors.TimeoutError if isinstance(error, connection.Timeout) else kind
        text = f"{server_url} does not answer ({name}): check that the server runs, and retry later"
    elif isinstance(error, theirs.NotFound):
        kind = errors.NotOnServerError
    elif isinstance(error, theirs.Unauthorized) or text.startswith("(403)"):
        kind = errors.UnauthorizedError
    done, count = len(report.done), len(report.done) + len(report.failed) + len(report.left)
    return kind(f"edited {done} of {count} items, then stopped: {text or name}")


def edit_arguments(
    fields: Mapping[str, Any] | None,
    remove: Mapping[str, str | Iterable[str]] | None,
    locked: bool | None,
) -> dict[str, Any]:
    """Returns the arguments of a request that sets ``fields``, and removes the tags in ``remove``. Rejects what Plex
    would ignore.
    """
    if locked is not None:
        _convert.flag("locked", locked)
    for argument, given in (("fields", fields), ("remove", remove)):
        if given is not None and not hasattr(given, "keys"):
            raise TypeError(f"{argument} must be a dict of field names and values, not {type(given).__name__}")
    fields, remove = dict(fields or {}), dict(remove or {})
    arguments: dict[str, Any] = {}
    for name in (*fields, *remove):
        if name not in (*TAGS, *NUMBERS, *TEXTS):
            raise errors.InvalidArgumentError(
                f"{name!r} is not a field of Plex: use {', '.join((*TAGS, *NUMBERS, *TEXTS))}"
            )
    for name, value in fields.items():
        if name in TAGS and value is not None:
            arguments.update({f"{name}[{at}].tag.tag": tag for at, tag in enumerate(_tags(name, value))})
        elif value is not None:
            arguments[f"{name}.value"] = _value(name, value)
    with importing():
        from urllib.parse import quote
    for name, tags in remove.items():
        # Commas separate the tags, so each is encoded, and plexapi encodes the list again.
        arguments[f"{name}[].tag.tag-"] = ",".join(map(quote, _tags(name, [tags] if isinstance(tags, str) else tags)))
    if locked is not None:
        arguments.update({f"{name}.locked": int(locked) for name in (*fields, *remove)})
    if not arguments:
        raise errors.InvalidArgumentError("the list of fields is empty: give the fields to change, such as title")
    return arguments


def _value(name: str, value: object) -> str:
    """Returns the value of a field without tags."""
    if not isinstance(value, (str, int, float)) or isinstance(value, bool):
        raise errors.InvalidArgumentError(f"{name} does not contain tags: pass a string or a number, not {value!r}")
    try:
        is_finite = name not in NUMBERS or abs(float(value)) < float("inf")
    except ValueError:
        is_finite = False
    if not is_finite:
        raise errors.InvalidArgumentError(f"{name} must be a number, not {value!r}")
    return _convert.only_text("value", str(value)).decode()


def _tags(name: str, tags: Any) -> list[str]:
    """Returns the tags of a field."""
    if name not in TAGS:
        raise errors.InvalidArgumentError(f"{name} does not contain tags: give its new value in fields")
    found: list[Any] = list(tags) if hasattr(tags, "__iter__") and not isinstance(tags, (str, bytes)) else []
    if not found or not all(isinstance(tag, str) and tag.strip() for tag in found):
        raise errors.InvalidArgumentError(f"{name} must be a list of tags that are not empty, not {tags!r}")
    return found
