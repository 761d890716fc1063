"""Collects and prints the findings of `plexindex doctor`."""

from __future__ import annotations

import sys

from .._core import TYPE_CHECKING
from . import codes, output
from .options import given
from .output import count, say

if TYPE_CHECKING:
    from collections.abc import Sequence

_STYLES = {"ok": "good", "note": "warn", "BAD": "bad", "try": "hint"}


class Report:
    """doctor's findings, as lines of text or as JSON values, and the exit code."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}
        self._problems: list[str] = []
        self._code = codes.OK
        self._proposed = 0
        self.is_json = bool(given.get("json"))

    def title(self, text: str) -> None:
        """Starts a section of the report."""
        self.line(f"\n{output.paint(text, 'bold')}")

    def line(self, text: str) -> None:
        """Prints a line."""
        if not self.is_json:
            say(text)
            sys.stdout.flush()

    def table(self, rows: Sequence[Sequence[str]], right: tuple[int, ...] = ()) -> None:
        """Prints a table."""
        if not self.is_json:
            output.print_table(rows, right, indent=2)

    def good(self, text: str) -> None:
        """Reports something that works."""
        self._mark("ok", text)

    def note(self, text: str) -> None:
        """Reports a note."""
        self._mark("note", text)

    def bad(self, text: str, code: int = codes.NOT_ALL) -> None:
        """Reports a problem. The report's first problem determines the exit code."""
        self._problems.append(text)
        self._code = self._code or code
        self._mark("BAD", text)

    def propose(self, text: str) -> None:
        """Reports a proposed mapping."""
        self._proposed += 1
        self._mark("try", text)

    def _mark(self, mark: str, text: str) -> None:
        first_line, *lines = output.clean(text).split("\n")
        fitted = output.fitted("\n".join([f"  {mark:<5}{first_line}", *(f"       {line}" for line in lines)]))
        self.line(f"  {output.paint(mark, _STYLES[mark])}{fitted[2 + len(mark) :]}")

    def end(self) -> int:
        """Prints the summary and returns the exit code."""
        problems = self._problems
        if self.is_json:
            output.say_json({**self.values, "problems": problems, "exit_code": self._code})
        else:
            summary = f"{count(len(problems), 'problem')} found" if problems else "no problems found"
            proposed = f"; {count(self._proposed, 'mapping')} proposed" if self._proposed else ""
            say(f"\n{output.paint(summary, 'bad' if problems else 'good')}{proposed}")
        return self._code
