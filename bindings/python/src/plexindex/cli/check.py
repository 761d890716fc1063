"""Asks the server for changes before a command answers from stored listings."""

from __future__ import annotations

import time

from .._core import TYPE_CHECKING
from ..changes import REFRESH_ERRORS, expect_listed, is_listed, why_older
from ..errors import TimeoutError
from . import codes, output

if TYPE_CHECKING:
    from ..index import Index
    from ..library import Library
    from ..progress import ProgressArg
    from .config import Settings

# Without --timeout, a server that sends nothing for this many seconds counts as unreachable.
PATIENCE = 15.0


class NoAnswer:
    """The reason why a command must answer from older listings."""

    __slots__ = ("code", "kind", "why")

    def __init__(self, kind: str, why: str, code: int) -> None:
        self.kind, self.why, self.code = kind, why, code


def bring_up_to_date(
    index: Index,
    settings: Settings,
    library: Library,
    *,
    always: bool,
    progress: ProgressArg = None,
    whole: bool = False,
) -> NoAnswer | None:
    """Fetches changes if a listing has expired or ``always`` is true. Returns None if all listings are then current.

    Raises an error if no library was ever fetched or, with ``whole``, if at least one library was never fetched.
    """
    begun, received = time.monotonic(), index.stats()["bytes_received"]
    timeout = settings.timeout or PATIENCE
    failure: Exception | None = None
    while True:
        try:
            if library.refresh(check=always, timeout=timeout, progress=progress):
                return None
        except REFRESH_ERRORS as error:
            failure = error
        is_late = failure is None or isinstance(failure, TimeoutError)
        if not is_late or settings.timeout is not None or index.stats()["bytes_received"] == received:
            break
        # The server is still sending data, so keep waiting: the fetch is only slow.
        received, failure, always = index.stats()["bytes_received"], None, False
    libraries = library._current()
    if failure is not None and not is_late:
        if not is_listed(libraries, whole=whole):
            raise failure
        why = why_older(failure, fresh=all(facts["fresh"] for facts in libraries))
        if why == "refused":
            return NoAnswer(why, f"{settings.source_name} rejected the token", codes.TOKEN)
        return None if why is None else NoAnswer(why, str(failure), codes.of(failure))
    waited = output.span(time.monotonic() - begun)
    if settings.timeout is None:
        text = f"{settings.source_name} did not respond within {waited}"
        if not is_listed(libraries, whole=whole):
            raise TimeoutError(text)
        return NoAnswer("away", text, codes.SERVER)
    if failure is not None:
        raise failure
    expect_listed(library, late=True, whole=whole)
    text = f"the time limit passed after {waited}, before {settings.source_name} reported all changes"
    return NoAnswer("late", text, codes.SERVER)
