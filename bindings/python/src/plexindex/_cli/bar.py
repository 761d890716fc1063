"""The progress bar of a fetch, on standard error. It shows on a terminal only."""

from __future__ import annotations

import shutil
import sys
import time

from .output import clean, clock, count, cut, is_terminal, number, short, width

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._callbacks import Progress

_TITLE = 24
_LONGEST = 30
_SHORTEST = 8
# The rate is that of the last so many seconds: servers slow down and speed up.
_WINDOW = 5.0


class Bar:
    """Shows the progress of a fetch. Pass it as ``progress``; afterwards call :meth:`done`."""

    def __init__(self) -> None:
        self.shows = is_terminal(sys.stderr)
        self._full, self._empty = ("█", "░") if _can_write("█░") else ("#", ".")
        self._title = ""
        self._begun = 0.0
        self._first = self._items = 0
        self._reports: list[tuple[float, int]] = []

    def __call__(self, progress: Progress) -> None:
        """Called by the library, ten times a second at most."""
        now = time.monotonic()
        if progress.library != self._title or progress.items < self._items:
            self.done()
        if not self._reports:
            self._title, self._begun, self._first = progress.library, now - progress.elapsed, progress.items
        self._items = progress.items
        self._reports.append((now, progress.items))
        while len(self._reports) > 2 and now - self._reports[0][0] > _WINDOW:
            self._reports.pop(0)
        if self.shows:
            self._draw(progress)

    def begin(self, title: str) -> None:
        """Shows that the server was asked about a library; a fetch may follow."""
        self._title, self._begun, self._first = title, time.monotonic(), 0
        if self.shows:
            self._write(f"\r{self._name()}  waiting\x1b[K")

    def done(self) -> None:
        """Ends the bar with a line about what was fetched."""
        if not self._reports:
            self.drop()
        elif self.shows:
            took = time.monotonic() - self._begun
            # No rate if the first report already had items: an earlier call may have fetched them.
            rate = f" ({number(self._items / took)}/s)" if self._items and not self._first and took > 0 else ""
            text = f"{self._name()}  {count(self._items, 'item')} in {short(took)}{rate}"
            self._write(f"\r{text}\x1b[K\n")
        self._title, self._items, self._reports = "", 0, []

    def drop(self) -> None:
        """Clears the line, after a failed fetch or without one."""
        if self._title and self.shows:
            self._write("\r\x1b[K")
        self._title, self._items, self._reports = "", 0, []

    def _rate(self) -> float:
        (since, before), (now, items) = self._reports[0], self._reports[-1]
        if now - since < 0.5 and not self._first:
            since, before = self._begun, 0
        return (items - before) / (now - since) if now > since else 0.0

    def _draw(self, progress: Progress) -> None:
        columns = shutil.get_terminal_size().columns - 1
        words = self._words(progress)
        # In a narrow terminal the percentage is dropped first, then the rate.
        while len(words) > 1 and width("  ".join([self._name(), *words])) > columns:
            words.pop(1)
        text = "  ".join(words)
        room = min(columns - width(self._name()) - width(text) - 4, _LONGEST)
        bar = ""
        if progress.total and room >= _SHORTEST:
            filled = int(room * min(progress.items / progress.total, 1.0))
            bar = f"{self._full * filled}{self._empty * (room - filled)}  "
        self._write(f"\r{cut(f'{self._name()}  {bar}{text}', columns)}\x1b[K")

    def _words(self, progress: Progress) -> list[str]:
        if not progress.items:
            return ["waiting"]
        if not progress.total:
            words = [count(progress.items, "item")]
        else:
            percent = min(int(100 * progress.items / progress.total), 100)
            words = [f"{number(progress.items)} of {number(progress.total)}", f"{percent:3d} %"]
        if progress.total and progress.items >= progress.total:
            return [*words, "putting it in order"]
        rate = self._rate()
        if rate > 0:
            words.append(f"{number(rate)}/s")
            if progress.total:
                words.append(f"{clock(max(progress.total - progress.items, 0) / rate)} left")
        return words

    def _name(self) -> str:
        return cut(clean(self._title), _TITLE)

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


def _can_write(text: str) -> bool:
    try:
        text.encode(sys.stderr.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
