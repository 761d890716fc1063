"""Edits of the server's items, and events about them."""

from __future__ import annotations

from . import _convert
from ._errors import Error
from ._reporting import ReportMethods

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType
    from typing import Any

    from ._library import Chosen
    from ._report import EditReport
    from ._types import FieldArg, KeyArg


class EditMethods(ReportMethods):
    """The methods of an index that edit, watch and are notified."""

    @property
    def is_open(self) -> bool:
        """Whether the index is open: ``close`` was not called."""
        return self._open

    def set_token(self, token: str | None) -> None:
        """Replaces the token, as ``index.token = …`` does. Sends no request; calls under way go on as they began.

        With ``user`` all that the index holds stays, and answers at once. Without it the index answers nothing until
        the server has accepted the new token, which the next question finds out. Then everything is back if the token
        is the same, or a JSON Web Token of the same key pair and user. For any other token the index begins anew.

        Raises InvalidArgumentError if the text cannot be a token. To have the index ask for a new token by itself, give
        :func:`plexindex.open` a callable.
        """
        raw = b"" if token is None else _convert.text_bytes("token", token)
        self._run_command(self._native.set_token, raw or None, len(raw), library=self)

    token = property(None, set_token, doc="The token, which can be set and not read: see :meth:`set_token`.")

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
        """Gives items of one library the same values, in one request for each hundred items of a type.

        ``fields`` are Plex's names of fields with their values: a text or a number replaces, a list adds tags
        (``{"title": "A", "genre": ["Drama"]}``), None changes only the lock. ``remove`` names tags to take away.
        The fields named are ``locked``, so that Plex's agents leave them alone; False unlocks, None keeps the locks.

        Nothing is sent without keys (Plex would edit the whole library) nor when an item does not exist
        (NotOnServerError). After a request that failed no other is sent; the error's ``report`` says what was done
        until then. The first lookup of an edited item asks the server for it once.
        """
        if library is None:
            raise TypeError("can edit items of one library at a time only: name the library")
        from ._edits import edit_request
        from ._report import EditReport

        edit = edit_request(keys, fields, remove, locked)
        try:
            _, answer = self._request("edit", deadline, library=library, **edit)
        except Error as error:
            error.report = EditReport(edit["keys"], **(error._answer or {"states": ["no"] * len(edit["keys"])}))
            raise
        return EditReport(edit["keys"], **answer)

    def watch_start(self) -> None:
        """Listens to the server's events on a thread of the library's own, until :meth:`watch_stop` or :meth:`close`.

        An event makes the next question about what changed ask the server; the watch itself asks nothing. It connects
        again for as long as it takes; the log says whether the server can be reached. A second call changes nothing. A
        forked child does not watch until it calls this. Raises OfflineError without a server.
        """
        self._request("watch.start")

    def watch_stop(self) -> None:
        """Stops listening, within a second. No error if it was not listening."""
        self._request("watch.stop")

    def watch(self) -> Watching:
        """Listens to the server's events for the length of a block: ``with index.watch(): …``."""
        return Watching(self)

    def notify(self, body: bytes | bytearray | memoryview | str | Mapping[str, Any]) -> None:
        """Tells the index of an event that the host received itself. The next question about what changed asks the
        server. The call itself sends no request.

        ``body`` is a webhook (the JSON of its field ``payload``, as text or parsed, or the whole multipart body) or a
        notification of the server. An event without a change, or of another server, is no error. Anything else is an
        InvalidArgumentError. LibraryNotFoundError until the server has accepted a new token: nothing is stored, so ask
        a question, and notify again.
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
    """Watches from the beginning of a ``with`` block to its end. Made by :meth:`Index.watch`."""

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
