"""Edits of items on the server, and events about items."""

from __future__ import annotations

from ..errors import EditReport, Error
from . import convert as _convert
from .reporting import ReportMethods

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType
    from typing import Any

    from ..library import Chosen
    from .types import FieldArg, KeyArg


class EditMethods(ReportMethods):
    """An index's methods that edit items, watch the server, and accept events."""

    @property
    def is_open(self) -> bool:
        """Whether the index is open."""
        return self._open

    def set_token(self, token: str | None) -> None:
        """Replaces the token, like ``index.token = …``. Sends no request. Running calls keep their token.

        With the option ``user``, the index keeps its content and answers immediately. Without ``user``, the next lookup
        asks the server, and the index answers only if the server accepts the new token. The index keeps its content if
        the token is the same, or is a JSON Web Token with the same key pair and user. With any other token, the index
        starts empty.

        Raises InvalidArgumentError if the string cannot be a token. To renew tokens automatically, pass a callable to
        :func:`plexindex.open`.
        """
        raw = b"" if token is None else _convert.text_bytes("token", token)
        self._run_command(self._native.set_token, raw or None, len(raw), library=self)

    token = property(None, set_token, doc="The token, write-only: see :meth:`set_token`.")

    def edit_items(
        self,
        keys: Iterable[KeyArg],
        fields: Mapping[str, FieldArg] | None = None,
        library: str | int | Chosen | None = None,
        *,
        remove: Mapping[str, str | Iterable[str]] | None = None,
        locked: bool | None = True,
        deadline: float | None = None,
    ) -> EditReport:
        """Sets the same values for items in one library, with one request for each hundred items of a type.

        ``fields`` maps Plex's field names to values: a string or a number replaces the value, a list adds tags
        (``{"title": "A", "genre": ["Drama"]}``), and None changes only the lock. ``remove`` contains the tags to
        remove. ``locked`` protects the fields from Plex's agents; False unlocks the fields, None keeps the locks.

        Without keys, the call sends nothing, because otherwise Plex would edit the whole library. If an item does not
        exist, the call sends no edit and raises NotOnServerError. After a failed request, the call sends no further
        requests, and the error's ``report`` lists the edited items. The first lookup of an edited item requests the
        item from the server once.
        """
        if library is None:
            raise TypeError("a call can edit items in only one library: specify the library")
        from .edits import edit_request

        edit = edit_request(keys, fields, remove, locked)
        try:
            _, answer = self._request("edit", deadline, library=library, **edit)
        except Error as error:
            error.report = EditReport(edit["keys"], **(error._answer or {"states": ["no"] * len(edit["keys"])}))
            raise
        return EditReport(edit["keys"], **answer)

    def watch_start(self) -> None:
        """Listens to the server's events on a background thread, until :meth:`watch_stop` or :meth:`close`.

        After an event, the next lookup of a changed item asks the server. The watch itself sends no requests. After a
        failure, the watch keeps trying to reconnect, and logs whether the server is reachable. A second call changes
        nothing. A forked child must call this method again. Raises OfflineError if the index has no server.
        """
        self._request("watch.start")

    def watch_stop(self) -> None:
        """Stops listening within a second. If no watch is running, does nothing."""
        self._request("watch.stop")

    def watch(self) -> Watching:
        """Listens to the server's events within a block: ``with index.watch(): …``."""
        return Watching(self)

    def notify(self, body: bytes | bytearray | memoryview | str | Mapping[str, Any]) -> None:
        """Passes an event that the host received to plexindex. The next lookup of a changed item asks the server. The
        call itself sends no request.

        ``body`` is a webhook (the JSON in its field ``payload``, as a string or parsed, or the whole multipart body) or
        a server notification. The call ignores events without a change and events from other servers. Any other body
        raises InvalidArgumentError. Until the server has accepted a new token, the call stores nothing and raises
        LibraryNotFoundError: look up a file, and then call this method again.
        """
        if isinstance(body, str):
            raw = _convert.text_bytes("body", body)
        elif isinstance(body, (bytes, bytearray, memoryview)):
            raw = bytes(body)
        elif hasattr(body, "keys"):
            import json

            raw = json.dumps(dict(body)).encode()
        else:
            raise TypeError(f"body must be bytes, str or a dict, not {type(body).__name__}")
        self._run_command(self._native.notify, raw, len(raw), library=self)


class Watching:
    """Listens to events within a ``with`` block. :meth:`Index.watch` creates the object."""

    def __init__(self, index: EditMethods) -> None:
        self._index = index

    def __enter__(self) -> Any:
        self._index.watch_start()
        return self._index

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._index.is_open:
            self._index.watch_stop()
