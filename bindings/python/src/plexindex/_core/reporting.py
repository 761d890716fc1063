"""An open index's methods that report on the index, its server and its store."""

from __future__ import annotations

import ctypes

from .. import aio as _aio
from ..library import LibraryInfo
from . import convert as _convert
from .native import CStats
from .session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from .callbacks import ProgressArg
    from .facts import Proposal, ServerInfo, StoreInfo
    from .shared import Following, SharedStatus
    from .stats import Profile, Stats
    from .types import PathArg


class ReportMethods(Session):
    """An index's methods that report on the index, its server and its store."""

    def libraries(
        self, *, deadline: float | None = None, offline: bool = False, progress: ProgressArg = None
    ) -> list[LibraryInfo]:
        """Returns the server's libraries. Sends a request only if the store contains no libraries yet."""
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
        """Returns this index's counts and times."""
        from .stats import Stats

        raw = CStats(size=ctypes.sizeof(CStats))
        self._do(self._native.get_stats, ctypes.byref(raw), library=self)
        return Stats(raw)

    def profile(self) -> Profile:
        """Returns a breakdown of the time spent in this index's calls."""
        from .stats import Profile

        return Profile(self.stats())

    def proposals(self, paths: Iterable[PathArg] = ()) -> list[Proposal]:
        """Returns at most five mappings that seem to be missing, best first. Sends no request.

        The proposals are based on this index's first 500 answers that matched a path by its end or its file name. With
        ``paths``, the proposals are based only on these paths, and ``gain`` is the number of paths that a mapping
        matches and no earlier mapping does.
        """
        from .facts import Proposal

        given = [_convert.path_bytes(path, self._hides_paths) for path in paths]
        _, found = self._request("mappings.propose", paths=given)
        return [Proposal.from_json(entry) for entry in found["proposals"]]

    def server(self, *, deadline: float | None = None, progress: ProgressArg = None) -> ServerInfo:
        """Requests the server's name and libraries, even if they are known. Use this method to diagnose problems.

        Sends two requests (three at the first contact), and stores the answers. The first request needs no token, so an
        UnauthorizedError proves that the server is reachable.
        """
        from .facts import ServerInfo

        return ServerInfo.from_json(self._request("server.check", deadline, progress)[1])

    def store(self) -> StoreInfo:
        """Returns the store's folder, file system and size. Also tests whether file locks work in the folder."""
        from .facts import StoreInfo

        return StoreInfo.from_json(self._request("store.get")[1])

    def shared_status(self) -> SharedStatus | None:
        """Returns the contents of the shared log, and how many entries this folder has not read. None without
        ``shared``.

        Waits for a connection for 0.3 s, or for the ``connect_timeout`` of the address. Then waits at most for the
        ``deadline`` from ``open``, or for some seconds without a deadline. If the log does not respond, the call raises
        no error: :attr:`SharedStatus.error` contains the reason.
        """
        from .shared import SharedStatus

        found = self._share("status").get("log")
        return None if found is None else SharedStatus.from_json(found)

    def shared_init(self) -> str:
        """Creates or upgrades the tables of the shared log. Returns ``"made"``, or ``"present"`` if the tables existed.

        The first host that uses the log also creates the tables. If the hosts' roles are not allowed to create tables,
        call this method with a role that is.

        Raises InvalidArgumentError without ``shared``, and OfflineError if the index is offline. Errors of PostgreSQL
        are ConnectError, TimeoutError, ForbiddenError or ServerError.
        """
        return self._share("init")["tables"]  # type: ignore[no-any-return]

    def shared_deliver(self) -> None:
        """Waits until the shared log contains all of this host's recorded matches and invalidations.

        Without this call, the index delivers the entries a moment later. The call waits as long as
        :meth:`shared_status` does.

        Raises TimeoutError if the log does not receive all entries in time. The index keeps the remaining entries in
        its folder, and delivers them later. Raises InvalidArgumentError without ``shared``.
        """
        self._share("deliver")

    def follow_shared(self) -> Following:
        """Reads other hosts' entries as they arrive, until the block ends: ``with index.follow_shared(): …``.

        Following also delivers this folder's entries, even from processes that have ended. Follow the log on a host
        whose tools run only briefly (``plexindex shared follow``). :meth:`watch` also follows the log. Following sends
        no request to Plex, so a new folder reads nothing until the server has accepted the token for the first lookup.
        A forked child must call this method again. Raises InvalidArgumentError without ``shared``.
        """
        from .shared import Following

        return Following(self)  # type: ignore[arg-type] # an index has all methods

    def shared_clear(self) -> None:
        """Removes all servers' and users' entries from the shared log, and keeps the tables.

        Each host keeps its folder, and answers from the folder. Other hosts lose the entries that they have not read
        yet.

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
