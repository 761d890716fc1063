"""What became of a batch edit."""

from __future__ import annotations

from . import _constants as c


class EditReport:
    """What became of the items of an edit, by the keys as they were given."""

    __slots__ = ("done", "failed", "left", "missing", "requests")

    done: list[str]
    """The server edited these."""
    failed: list[str]
    """These were in the request that failed: whether they were edited is not known."""
    left: list[str]
    """For these no request was sent."""
    missing: list[str]
    """The server does not have these; then nothing was edited."""
    requests: int
    """Edits that were asked for, the failed one included; retries are not counted."""

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
