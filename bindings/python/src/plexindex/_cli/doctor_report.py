"""Collects and prints the findings of `plexindex doctor`."""

from __future__ import annotations

import sys

from . import codes, output
from .output import count, say

_STYLES = {"ok": "good", "note": "warn", "BAD": "bad", "try": "hint"}


class Report:
    """The findings: lines for people, values for JSON, and an exit code."""

    def __init__(self, json: bool) -> None:
        self.values: dict[str, object] = {}
        self.problems: list[str] = []
        self.code = codes.OK
        self.proposed = 0
        # Plex's database was named, but is not used.
        self._json = json

    def title(self, text: str) -> None:
        """Begins a part."""
        self.line(f"\n{output.paint(text, 'bold')}")

    def line(self, text: str) -> None:
        """Adds a line."""
        if not self._json:
            say(text)
            sys.stdout.flush()

    def good(self, text: str) -> None:
        """Reports something that works."""
        self._mark("ok", text)

    def note(self, text: str) -> None:
        """Reports a note."""
        self._mark("note", text)

    def bad(self, text: str, code: int = codes.NOT_ALL) -> None:
        """Reports a problem. The first one decides the exit code."""
        self.problems.append(text)
        self.code = self.code or code
        self._mark("BAD", text)

    def propose(self, text: str) -> None:
        """Reports advice."""
        self.proposed += 1
        self._mark("try", text)

    def _mark(self, mark: str, text: str) -> None:
        first, *rest = output.clean(output.in_flags(text)).split("\n")
        lines = output.fitted("\n".join([f"  {mark:<5}{first}", *(f"       {line}" for line in rest)]))
        self.line(f"  {output.paint(mark, _STYLES[mark])}{lines[2 + len(mark) :]}")

    def end(self) -> int:
        """Prints the summary."""
        if self._json:
            output.say_json({**self.values, "problems": self.problems, "exit_code": self.code})
        else:
            wrong = f"{count(len(self.problems), 'problem')} found" if self.problems else "nothing is wrong"
            proposed = f"; {count(self.proposed, 'mapping')} proposed" if self.proposed else ""
            say(f"\n{output.paint(wrong, 'bad' if self.problems else 'good')}{proposed}")
        return self.code
