"""Reports of an open index about itself, its server and its store, for people."""

from __future__ import annotations

import ctypes

from . import _aio, _convert
from ._library import LibraryInfo
from ._native import CStats
from ._session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from ._callbacks import ProgressArg
    from ._facts import Proposal, ServerInfo, StoreInfo
    from ._shared import Following, SharedStatus
    from ._stats import Profile, Stats
    from ._types import PathArg


class ReportMethods(Session):
    """The methods of an index that report about it, its server and its store."""

    def libraries(
        self, *, deadline: float | None = None, offline: bool = False, progress: ProgressArg = None
    ) -> list[LibraryInfo]:
        """The server's libraries. Sends a request only if none is known."""
        _, found = self._request("libraries.list", deadline, progress, offline=offline)
        return [LibraryInfo.from_json(entry) for entry in found["libraries"]]

    def call(
        self,
        method: str,
        request: Mapping[str, Any] | None = None,
        *,
        deadline: float | None = None,
        progress: ProgressArg = None,
    ) -> dict[str, Any]:
        """Calls a method of the library by its name, such as ``"items.list"``: ``docs/methods.md`` lists all of them.

        The request and the answer are dicts of JSON; in the request paths may also be bytes, and the library a
        :class:`Library`. What is not known is absent in the answer. Raises what other calls raise.
        """
        answer: dict[str, Any] = self._request(method, deadline, progress, **(request or {}))[1]
        return answer

    def stats(self) -> Stats:
        """Counts and times of this index so far."""
        from ._stats import Stats

        raw = CStats(size=ctypes.sizeof(CStats))
        self._do(self._native.get_stats, ctypes.byref(raw), library=self)
        return Stats(raw)

    def profile(self) -> Profile:
        """How this index spent its time so far."""
        from ._stats import Profile

        return Profile(self.stats())

    def proposals(self, paths: Iterable[PathArg] = ()) -> list[Proposal]:
        """Mappings that seem to be missing, the best first. They follow from the first 500 answers of this index that
        found a path by its end or its file name. ``plexindex doctor`` proposes them for a folder of files.

        With ``paths`` they follow from these alone: each is tried on the paths that those before it leave unlisted, and
        its ``gain`` says how many of them it has listed. At most five are given. Sends no request.
        """
        from ._facts import Proposal

        given = [_convert.path_bytes(path, self._hides_paths) for path in paths]
        _, found = self._request("mappings.propose", paths=given)
        return [Proposal.from_json(entry) for entry in found["proposals"]]

    def server(self, *, deadline: float | None = None, progress: ProgressArg = None) -> ServerInfo:
        """Asks the server for its name and its libraries, even if both are known: for finding a fault.

        Sends two requests, three at the first contact, and stores the answers. The first needs no token, so an
        UnauthorizedError means that the server was reached.
        """
        from ._facts import ServerInfo

        return ServerInfo.from_json(self._request("server.check", deadline, progress)[1])

    def store(self) -> StoreInfo:
        """The place of the store: its file system, its size, and whether locks work there (tested now)."""
        from ._facts import StoreInfo

        return StoreInfo.from_json(self._request("store.get")[1])

    def shared_status(self) -> SharedStatus | None:
        """What the shared log holds, and how far this folder is behind; None without ``shared``. Waits 0.3 s for the
        log to say something, or ``connect_timeout`` of its address, and then for ``deadline`` of ``open`` at most, or
        some seconds without one. A log that does not answer is no error: :attr:`SharedStatus.error` says why.
        """
        from ._shared import SharedStatus

        found = self._share("status").get("log")
        return None if found is None else SharedStatus.from_json(found)

    def shared_init(self) -> str:
        """Creates the tables of the shared log, or upgrades them. The first host that uses the log does the same; this
        is for a role that may create tables, where the hosts' roles may not. Returns ``"made"``, or ``"present"`` if
        they were there.

        Raises InvalidArgumentError without ``shared``; OfflineError for an offline index; ConnectError, TimeoutError,
        ForbiddenError and ServerError of PostgreSQL.
        """
        return self._share("init")["tables"]  # type: ignore[no-any-return]

    def shared_deliver(self) -> None:
        """Returns once the shared log has all that this host has to tell: matches that were recorded, and
        invalidations. They are delivered a moment later without this call. It waits as :meth:`shared_status` does.

        Raises TimeoutError if the log does not have all in time: it is stored in this folder, and delivered later;
        InvalidArgumentError of an index that shares nothing.
        """
        self._share("deliver")

    def follow_shared(self) -> Following:
        """Takes what other hosts tell as it comes for the length of a block: ``with index.follow_shared(): …``.

        What this folder has to tell is delivered, too, also if the process that wrote it ended before it could. It is
        for a host whose tools run for moments only (``plexindex shared follow``); :meth:`watch` does it besides. Plex
        is asked for nothing, so in a new folder nothing is taken before the first question, by which the server accepts
        the token. A forked child does not follow until it calls this. Raises InvalidArgumentError of an
        index that shares nothing.
        """
        from ._shared import Following

        return Following(self)  # type: ignore[arg-type] # an index has all methods

    def shared_clear(self) -> None:
        """Removes everything from the shared log, of all servers and users, and keeps its tables. Each host keeps its
        folder, and answers from it. What no other host has taken yet, the others learn from the server.

        Raises what :meth:`shared_init` raises.
        """
        self._share("clear")

    def _share(self, action: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._request("sharing", action=action)[1]
        return answer

    alibraries = _aio.cancellable(libraries)
    acall = _aio.cancellable(call)
    astats = _aio.uncancellable(stats)
    ashared_status = _aio.uncancellable(shared_status)
    ashared_init = _aio.uncancellable(shared_init)
    ashared_deliver = _aio.uncancellable(shared_deliver)
    ashared_clear = _aio.uncancellable(shared_clear)
