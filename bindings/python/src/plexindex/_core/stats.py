"""An index's counts and times."""

from __future__ import annotations

import ctypes

from . import TYPE_CHECKING
from . import constants as c
from .native import CStats

if TYPE_CHECKING:
    from typing import Any

    from .session import Session
    from .types import Stats


def read_stats(session: Session) -> Stats:
    """Returns the counts and times of an open index."""
    raw = CStats(size=ctypes.sizeof(CStats))
    session.ask(session.native.get_stats, ctypes.byref(raw))
    found: dict[str, Any] = {
        name.replace("_us", "_seconds"): value / 1_000_000 if name.endswith("_us") else value
        for name, value in ((name, getattr(raw, name)) for name, *_ in CStats._fields_ if name != "size")
    }
    found["answers"] = dict(zip(c.MATCH_KINDS, raw.answers))
    found["requests"] = dict(zip(c.REQUESTS, raw.requests))
    found["last_failure"] = raw.last_failure.decode("utf-8", "replace") or None
    return found  # type: ignore[return-value]
