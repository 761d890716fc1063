"""The selected libraries of an open index, and calls about them."""

from __future__ import annotations

from time import monotonic

from ..errors import InvalidArgumentError, LibraryNotFoundError, NotFetchedError, OfflineError
from ..item import Item
from ..light import LightItem
from ..match import Match, Matches
from . import TYPE_CHECKING, Any, Iterable, convert
from . import abi as c
from .callbacks import take
from .convert import two_numbers

if TYPE_CHECKING:
    from ..queries import Queries
    from ..types import KeyArg, NoSizeArg, PathArg, ProgressArg, SizeArg
    from .session import Handle, Session

    Limits = tuple[float | None, ProgressArg]
    """A call's timeout and callback."""


# The place in a block of two numbers: the offset of the first answer, and the number of unread log lines.
_FIRST = c.ANSWERS["first"]
# The state of an item in Plex's timeline entry about a deletion.
_DELETED = 9
# Estimated size of an answer without the path, in bytes. A buffer that is too small costs a second call.
_BYTES_PER_ANSWER = 400


def query_flags(offline: bool = False, check: bool = False, full: bool = False) -> int:
    """Checks options of a call, and returns the flags of its query."""
    if offline is check is full is False:
        return 0
    flags = c.QUERY_OFFLINE if convert.flag("offline", offline) else 0
    flags |= c.QUERY_PROBE if convert.flag("check", check) else 0
    return flags | (c.QUERY_FULL if convert.flag("full", full) else 0)


def check_limits(timeout: float | None, progress: ProgressArg) -> None:
    """Checks options of a call that begins later."""
    convert.timeout_ms(timeout)
    convert.callback("progress", progress)


def time_left(timeout: float | None, begun: float) -> float | None:
    """Returns what is left of a timeout that began at this time; None without a timeout."""
    return None if timeout is None else max(begun + timeout - monotonic(), 0)


class Selection:
    """One library or all libraries of a session. Answers, items and lists keep this object, and thus the session."""

    __slots__ = ("handle", "session")

    def __init__(self, session: Session, handle: Handle) -> None:
        self.session: Session = session
        self.handle: Handle = handle

    def select(self, kind: int = c.SELECT_ALL, selector: str = "") -> Selection:
        """Returns a library of the same session; by default, all libraries."""
        return Selection(self.session, self.session.library(kind, selector))

    def request(
        self, method: str, timeout: float | None = None, progress: ProgressArg = None, /, **request: Any
    ) -> Any:
        """Calls a method about these libraries."""
        return self.session.request(method, timeout, progress, library=self.handle, **request)

    def each(
        self, timeout: float | None = None, progress: ProgressArg = None, *, offline: bool = True
    ) -> list[Selection]:
        """Returns each library by itself."""
        if self.handle.named is not None:
            return [self]
        found = self.request("libraries.list", timeout, progress, offline=offline)["libraries"]
        recipe = self.session.recipe
        has_source = recipe.server_url is not None or recipe.options.get("database") is not None
        if not found and (offline or recipe.options["offline"] or not has_source):
            self.request("items.below", path=b"/", limit=1)  # raises NotFetchedError with what to do
        return [self.select(c.SELECT_UUID, facts["uuid"]) for facts in found]

    def facts(self, *, must_exist: bool = False) -> list[dict[str, Any]]:
        """Returns the facts about the libraries that the store contains now. Raises LibraryNotFoundError if the server
        is known not to have a library that ``must_exist``.
        """
        try:
            return self.request("libraries.list", offline=True)["libraries"]  # type: ignore[no-any-return]
        except LibraryNotFoundError:
            if must_exist:
                raise
            return []
        except (NotFetchedError, OfflineError):
            return []

    def match(
        self, path: PathArg, size: SizeArg, flags: int, timeout: float | None = None, progress: ProgressArg = None
    ) -> Match:
        """Returns the item for a file."""
        session, file_size = self.session, 0
        raw, match_path = convert.path_bytes(path, session.hides_paths), session.native.match_path
        if size is not None:
            size_flag, file_size = convert.file_size(size)
            flags |= size_flag
        timeout_ms = 0 if timeout is None else convert.timeout_ms(timeout)
        with take() as call, call.lock:
            session.query(call, raw, (self.handle, flags, timeout_ms, file_size), progress)
            status = match_path(session.handle, call.query_ref, call.buffer_ref, call.error_ref)
            if status >= c.FIRST_ERROR or call.error is not None:
                call.finish(status, match_path, session.handle, call.query_ref, call.buffer_ref)
            block: bytes = call.view[: call.buffer.length]
        first, log_lines = two_numbers(block, _FIRST)
        if log_lines:
            session.drain_log()
        return Match(self, path, None, block, first)

    def match_paths(
        self,
        paths: Iterable[PathArg],
        size: NoSizeArg,
        flags: int,
        timeout: float | None = None,
        progress: ProgressArg = None,
    ) -> Matches:
        """Returns the items for files."""
        if size is not None and size is not False:
            raise TypeError("size must be None or False: the files of a batch have no common size")
        session, paths = self.session, convert.listed("paths", paths)
        text = convert.join_paths(paths, session.hides_paths)
        asked = self.handle, flags | convert.file_size(size)[0], convert.timeout_ms(timeout), 0
        try:
            with take() as call, call.lock:
                session.query(call, text, asked, progress)
                call.reserve(4096 + len(text) + len(paths) * _BYTES_PER_ANSWER)
                given = session.handle, call.query_ref, len(paths), call.buffer_ref
                call.run(session.native.match_paths, *given)
                block = call.detach()
                call.query.text_data = None
            session.drain_log()
        except InvalidArgumentError:
            convert.check_paths(paths, session.hides_paths)
            raise
        return Matches(block, self, paths)

    def refresh(self, flags: int = 0, timeout: float | None = None, progress: ProgressArg = None) -> bool:
        """Refreshes the libraries. Returns whether they are up to date."""
        session = self.session
        with take() as call, call.lock:
            session.query(call, b"", (self.handle, flags, convert.timeout_ms(timeout), 0), progress)
            status = call.run(session.native.refresh, session.handle, call.query_ref)
        session.drain_log()
        return status == c.OK

    def note_items(self, section: str | None, rating_keys: Iterable[str]) -> None:
        """Makes the next lookup of each item request it, as after a server's event about its deletion.

        In contrast to an invalidation, one write is enough for all items, and their confirmed matches stay.
        """
        entries = [{"sectionID": section, "itemID": key, "state": _DELETED} for key in rating_keys]
        body = convert.event_bytes({"NotificationContainer": {"type": "timeline", "TimelineEntry": entries}})
        self.session.ask(self.session.native.notify, body, len(body))

    def item_facts(self, key: KeyArg) -> dict[str, Any] | None:
        """Returns all stored fields of an item; None if it is not listed."""
        return self.request("items.get", key=key_bytes(key, self.session)).get("item")  # type: ignore[no-any-return]

    def listed_facts(self, key: KeyArg) -> dict[str, Any] | None:
        """As :meth:`item_facts`, but returns None if a library has no listing, or vanished."""
        try:
            return self.item_facts(key)
        except (LibraryNotFoundError, NotFetchedError):
            return None

    # What an item asks for more than an answer contains.

    def facts_of(self, item: Item) -> dict[str, Any] | None:
        """Returns the stored fields of an item."""
        return self._of(item).listed_facts(item.rating_key)

    def light_of(self, item: Item) -> LightItem | None:
        """Returns an item with plexapi's attributes, if the index is for a plexapi server."""
        plex = self.session.plexapi.given
        return None if plex is None else LightItem(plex, self._of(item), item)

    def host_path_of(self, path: str) -> str | None:
        """Returns the host's path for a server's path."""
        if not self.session.recipe.options["mappings"]:
            return path
        raw = path.encode("utf-8", "surrogateescape")
        return convert.text_of(self.session.request("mappings.to_host", path=raw)["path"])

    def _of(self, item: Item) -> Selection:
        return self.select(c.SELECT_SECTION, item.section) if item.section else self.select()


def selection_of(queries: Queries) -> Selection:
    """Returns the selection of an index or a library, for the package's other modules."""
    return queries._selection


def oldest(known: list[dict[str, Any]]) -> float | None:
    """Returns the maximum age of libraries' listings in seconds, by their facts."""
    ages: list[int] = [facts["age_ms"] for facts in known if "age_ms" in facts]
    return max(ages) / 1000 if ages else None


def key_bytes(key: object, session: Session | None = None) -> bytes:
    """Encodes a key: ``/library/metadata/7``, ``"7"``, 7, a show, a season, or a plexindex or plexapi item. Rejects a
    match that is not sure, and an item of another server than the session's.
    """
    if not isinstance(key, (str, int)):
        if isinstance(key, Match):
            key = key.require()
        if session is not None and not _is_of_server(session, key):
            raise InvalidArgumentError(f"{key!r} is an item of another server: give an item of this index")
        key = getattr(key, "ratingKey", getattr(key, "rating_key", key))
    if isinstance(key, int) and not isinstance(key, bool):
        key = str(key)
    if not isinstance(key, str):
        raise TypeError(f"a key must be str, int or an item, not {type(key).__name__}")
    if not key or "\0" in key:
        raise InvalidArgumentError(
            f"{convert.display_path(key)} is not a key: give an item's key or rating key, such as '7'"
        )
    return convert.only_text("key", key)


def _is_of_server(session: Session, item: Any) -> bool:
    """Returns whether an item is of this index's server, or does not know its server, such as a pickled one. A server
    can have several URLs, so a plexapi item with another one costs a request, once.
    """
    known = getattr(item, "_source", None) if isinstance(item, Item) else None
    if known is not None and known.session.recipe.server_url != session.recipe.server_url:
        return False
    plex: Any = getattr(item, "_server", None)
    own, theirs = session.plexapi, getattr(plex, "machineIdentifier", None)
    if not theirs or plex in (own.made, own.given) or plex._baseurl == session.recipe.server_url:
        return True
    own.server_id = own.server_id or session.request("server.check", session.timeout)["machine_identifier"]
    return bool(theirs == own.server_id)


def key_list(keys: Iterable[object], session: Session) -> list[str]:
    """Returns keys as strings, each once. Accepts the same keys as :func:`key_bytes`."""
    return list(dict.fromkeys(key_bytes(key, session).decode() for key in convert.listed("keys", keys)))
