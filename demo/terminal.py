"""Prints headings, rows and a progress bar, with or without colours or a terminal."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import time

import plexindex


def width() -> int:
    """Returns the number of columns."""
    return max(60, min(100, shutil.get_terminal_size((88, 24)).columns))


def is_live() -> bool:
    """Returns whether the output can overwrite lines."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def styled(text: str, code: str) -> str:
    """Returns a styled string if the terminal shows styles."""
    return f"\033[{code}m{text}\033[0m" if is_live() and "NO_COLOR" not in os.environ else text


def bold(text: str) -> str:
    """Makes a string bold."""
    return styled(text, "1")


def dim(text: str) -> str:
    """Dims a string."""
    return styled(text, "2")


def say(text: str = "") -> None:
    """Prints a line immediately."""
    print(text, flush=True)


def heading(text: str) -> None:
    """Prints the heading of a step."""
    say(f"\n{bold(text)}")


def row(label: str, text: str, note: str = "") -> None:
    """Prints a label and a string, and a note on the following lines."""
    say(f"   {dim(f'{label:<13}')} {text}")
    for line in textwrap.wrap(note, width() - 17, break_long_words=False, break_on_hyphens=False):
        say(f"   {'':<13} {dim(line)}")


def shortened(path: str, columns: int = 0) -> str:
    """Shortens a path at the beginning, so that the path fits into a row."""
    columns = columns or width() - 17
    return path if len(path) <= columns else "…" + path[len(path) - columns + 1 :]


def count(number: int, what: str) -> str:
    """Formats a number with its noun: `1 request`, `20,000 requests`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Formats a time with two or three digits."""
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        value = seconds * scale
        if value >= 1 or unit == "µs":
            return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f} {unit}"
    raise AssertionError


def size(number: int) -> str:
    """Formats a number of bytes."""
    for unit, scale in (("MB", 1e6), ("kB", 1e3)):
        if number >= scale:
            return f"{number / scale:.1f} {unit}"
    return f"{number} bytes"


class Bar:
    """A progress bar for plexindex. Without a terminal, only `done` prints a line."""

    def __init__(self) -> None:
        self.library = ""
        self.items = 0
        self.total = 0
        self._shown = 0.0
        self._calls = 0

    def __call__(self, progress: plexindex.Progress) -> None:
        """Draws the bar. plexindex calls this method on the same thread during a fetch."""
        self.library = progress.library or self.library
        self.items, self.total = progress.items, progress.total or self.total
        self._calls += 1
        now = time.monotonic()
        if is_live() and now - self._shown >= 0.05:
            self._shown = now
            self._draw(progress.elapsed)

    def _draw(self, elapsed: float) -> None:
        columns = width() - 58
        filled = columns * self.items // max(self.total, 1)
        bar = "█" * filled + dim("░" * (columns - filled))
        rate = f"{self.items / elapsed:,.0f}/s" if elapsed > 0 else ""
        end = f"{self.items:>7,} of {self.total:,}  {rate}"
        sys.stdout.write(f"\r   {dim(f'{self.library[:13]:<13}')} {bar} {end}\033[K")
        sys.stdout.flush()

    def done(self, seconds: float) -> None:
        """Replaces the bar with a permanent line."""
        if is_live():
            sys.stdout.write("\r\033[K")
        if self._calls:
            rate = f", {self.items / seconds:,.0f} a second" if seconds > 0 else ""
            row("fetched", f"{count(self.items, 'item')} of {self.library} in {duration(seconds)}{rate}")
