"""Asks the server for changes before a command answers from stored listings."""

from __future__ import annotations

import time
from typing import NamedTuple

from ..changes import REFRESH_ERRORS, expect_listed, is_listed, why_older
from ..errors import TimeoutError
from ..index import Index
from ..library import Library
from . import codes, output
from .settings import Settings

# Without --timeout, a server that sends nothing for this many seconds counts as unreachable.
PATIENCE = 15.0


class NoAnswer(NamedTuple):
    """The reason why a command must answer from older listings."""

    kind: str
    why: str
    code: int


def bring_up_to_date(
    index: Index, settings: Settings, library: Library, *, always: bool, progress: output.Bar | None = None,
    whole: bool = False,
) -> NoAnswer | None:  # fmt: skip
    """Fetches changes if a listing has expired or ``always`` is true. Returns None if all listings are then current.

    Raises an error if no library was ever fetched or, with ``whole``, if at least one library was never fetched.
    """
    begun, received, is_slow = time.monotonic(), index.stats()["bytes_received"], True
    failure: Exception | None = None
    while is_slow:
        failure = None
        try:
            if library.refresh(check=always, timeout=settings.timeout or PATIENCE, progress=progress):
                return None
        except REFRESH_ERRORS as error:
            failure = error
        is_late = failure is None or isinstance(failure, TimeoutError)
        # Without a time limit, wait while the server is still sending data: the fetch is only slow.
        before, received = received, index.stats()["bytes_received"]
        is_slow, always = is_late and settings.timeout is None and received > before, False
    libraries = library._current()
    waited = output.span(time.monotonic() - begun)
    if failure is not None and not is_late:
        if not is_listed(libraries, whole=whole):
            raise failure
        why = why_older(failure, fresh=all(facts["fresh"] for facts in libraries))
        if why == "refused":
            return NoAnswer(why, f"{settings.source_name} rejected the token", codes.TOKEN)
        return None if why is None else NoAnswer(why, str(failure), codes.of(failure))
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
