"""The report of a batch edit."""

from __future__ import annotations


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

    def __init__(self, keys: list[str], states: list[str], requests: int = 0, **_: int) -> None:
        """From the answer of the method ``edit``."""

        def of(state: str) -> list[str]:
            return [key for key, one in zip(keys, states) if one == state]

        self.done, self.failed, self.left, self.missing = map(of, ("done", "failed", "no", "missing"))
        self.requests = requests

    def __repr__(self) -> str:
        more = "".join(
            f", {len(keys)} {name}"
            for name, keys in (("failed", self.failed), ("left", self.left), ("missing", self.missing))
            if keys
        )
        return f"<plexindex.EditReport: {len(self.done)} done{more}, {self.requests} requests>"
