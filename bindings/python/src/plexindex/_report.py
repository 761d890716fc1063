"""The report of a batch edit."""

from __future__ import annotations

from . import _constants as c


class EditReport:
    """The outcome for the items of an edit, by the given keys."""

    __slots__ = ("done", "failed", "left", "missing", "requests")

    done: list[str]
    """The server edited these."""
    failed: list[str]
    """These were in the failed request. They may or may not be edited."""
    left: list[str]
    """No request was sent for these."""
    missing: list[str]
    """The server does not have these; then nothing was edited."""
    requests: int
    """Edit requests, including the failed one, without retries."""

    def __init__(self, keys: list[str], states: bytes, requests: int) -> None:
        def of(state: int) -> list[str]:
            return [key for key, one in zip(keys, states) if one == state]

        self.done, self.failed = of(c.EDITED_DONE), of(c.EDITED_FAILED)
        self.left, self.missing = of(c.EDITED_NO), of(c.EDITED_MISSING)
        self.requests = requests

    def __repr__(self) -> str:
        more = "".join(
            f", {len(keys)} {name}"
            for name, keys in (("failed", self.failed), ("left", self.left), ("missing", self.missing))
            if keys
        )
        return f"<plexindex.EditReport: {len(self.done)} done{more}, {self.requests} requests>"
