"""The methods of an open index that report on the index, its server and its store."""

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
    """The methods of an index that report on the index, its server and its store."""

    def libraries(
        self, *, deadline: float | None = None, offline: bool = False, progress: ProgressArg = None
    ) -> list[LibraryInfo]:
        """Returns the server's libraries. Sends a request only if the store contains no library yet."""
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
        """Calls a method by name, such as ``"items.list"``. ``docs/methods.md`` lists all methods.

        The request and the answer are dicts of JSON values. In the request, paths can also be bytes, and the library
        can be a :class:`Library`. The answer omits unknown fields. Raises the same errors as other calls.
        """
        answer: dict[str, Any] = self._request(method, deadline, progress, **(request or {}))[1]
        return answer

    def stats(self) -> Stats:
        """Returns the counts and times of this index."""
        from ._stats import Stats

        raw = CStats(size=ctypes.sizeof(CStats))
        self._do(self._native.get_stats, ctypes.byref(raw), library=self)
        return Stats(raw)

    def profile(self) -> Profile:
        """Returns how this index spent its time."""
        from ._stats import Profile

        return Profile(self.stats())

    def proposals(self, paths: Iterable[PathArg] = ()) -> list[Proposal]:
        """Returns at most five mappings that seem to be missing, the best mapping first. Sends no request.

        The proposals are based on the first 500 answers of this index that found a path by its end or its file name.
        With ``paths``, the proposals are based only on these paths. Then ``gain`` is the number of paths that a mapping
        matches and no earlier mapping does.
        """
        from ._facts import Proposal

        given = [_convert.path_bytes(path, self._hides_paths) for path in paths]
        _, found = self._request("mappings.propose", paths=given)
        return [Proposal.from_json(entry) for entry in found["proposals"]]

    def server(self, *, deadline: float | None = None, progress: ProgressArg = None) -> ServerInfo:
        """Asks the server for its name and its libraries even if both are known. Use this to diagnose problems.

        Sends two requests (three at the first contact), and stores the answers. The first request needs no token, so an
        UnauthorizedError proves that the server is reachable.
        """
        from ._facts import ServerInfo

        return ServerInfo.from_json(self._request("server.check", deadline, progress)[1])

    def store(self) -> StoreInfo:
        """Returns the folder, file system and size of the store. Also tests whether file locks work there."""
        from ._facts import StoreInfo

        return StoreInfo.from_json(self._request("store.get")[1])

    def shared_status(self) -> SharedStatus | None:
        """Returns what the shared log contains, and how far this folder is behind. Returns None without ``shared``.

        Waits for a connection for 0.3 s, or for the ``connect_timeout`` of the address. Then waits at most for the
        ``deadline`` of ``open``, or for some seconds without a deadline. If the log does not answer, this call raises
        no error: :attr:`SharedStatus.error` gives the reason.
        """
        from ._shared import SharedStatus

        found = self._share("status").get("log")
        return None if found is None else SharedStatus.from_json(found)

    def shared_init(self) -> str:
        """Creates or upgrades the tables of the shared log. Returns ``"made"``, or ``"present"`` if the tables existed.

        The first host that uses the log does the same. If the hosts' roles are not allowed to create tables, call this
        with a role that is.

        Raises InvalidArgumentError without ``shared``, and OfflineError if the index is offline. Errors of PostgreSQL
        are ConnectError, TimeoutError, ForbiddenError or ServerError.
        """
        return self._share("init")["tables"]  # type: ignore[no-any-return]

    def shared_deliver(self) -> None:
        """Waits until the shared log has all recorded matches and invalidations of this host.

        Without this call, the index delivers the entries a moment later. The call waits as long as
        :meth:`shared_status` does.

        Raises TimeoutError if the log does not get all entries in time. The index keeps the rest in its folder, and
        delivers the rest later. Raises InvalidArgumentError without ``shared``.
        """
        self._share("deliver")

    def follow_shared(self) -> Following:
        """Reads the entries of other hosts as they arrive, until the block ends: ``with index.follow_shared(): …``.

        This call also delivers the entries of this folder, even those of processes that have ended. Use it on a host
        whose tools run only briefly (``plexindex shared follow``). :meth:`watch` does the same and more. This call
        sends no request to Plex, so a new folder reads nothing until the server has accepted the token for the first
        lookup. A forked child must call this again. Raises InvalidArgumentError without ``shared``.
        """
        from ._shared import Following

        return Following(self)  # type: ignore[arg-type] # an index has all methods

    def shared_clear(self) -> None:
        """Removes the entries of all servers and users from the shared log, and keeps the tables.

        Each host keeps its folder, and answers from it. The other hosts lose the entries that they have not read yet.

        Raises the same errors as :meth:`shared_init`.
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
