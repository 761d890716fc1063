"""The progress bar of a fetch, on standard error. It shows on a terminal only."""

from __future__ import annotations

import shutil
import sys
import time

from .output import clean, clock, count, cut, is_terminal, number, short, width

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._callbacks import Progress

_TITLE_COLUMNS = 24
_MAX_BAR_COLUMNS = 30
_MIN_BAR_COLUMNS = 8
# The rate covers the last few seconds, because servers slow down and speed up.
_RATE_SECONDS = 5.0


class Bar:
    """Shows the progress of a fetch. Pass it as ``progress``; afterwards call :meth:`done`."""

    def __init__(self) -> None:
        self._is_visible = is_terminal(sys.stderr)
        self._full_sign, self._empty_sign = ("█", "░") if _can_write("█░") else ("#", ".")
        self._title = ""
        self._begin_time = 0.0
        self._first_items = self._items = 0
        self._reports: list[tuple[float, int]] = []

    def __call__(self, progress: Progress) -> None:
        """Takes a report of the library, at most ten times a second."""
        now = time.monotonic()
        if progress.library != self._title or progress.items < self._items:
            self.done()
        if not self._reports:
            self._title, self._begin_time, self._first_items = progress.library, now - progress.elapsed, progress.items
        self._items = progress.items
        self._reports.append((now, progress.items))
        while len(self._reports) > 2 and now - self._reports[0][0] > _RATE_SECONDS:
            self._reports.pop(0)
        if self._is_visible:
            self._draw(progress)

    def begin(self, title: str) -> None:
        """Shows that a request for a library is under way."""
        self._title, self._begin_time, self._first_items = title, time.monotonic(), 0
        if self._is_visible:
            self._write(f"\r{self._name()}  waiting\x1b[K")

    def done(self) -> None:
        """Ends the bar with a line that sums up the fetch."""
        if not self._reports:
            self.drop()
        elif self._is_visible:
            took = time.monotonic() - self._begin_time
            # An earlier call may have fetched the items of the first report.
            rate = f" ({number(self._items / took)}/s)" if self._items and not self._first_items and took > 0 else ""
            text = f"{self._name()}  {count(self._items, 'item')} in {short(took)}{rate}"
            self._write(f"\r{text}\x1b[K\n")
        self._title, self._items, self._reports = "", 0, []

    def drop(self) -> None:
        """Clears the line, for a fetch that failed or did not happen."""
        if self._title and self._is_visible:
            self._write("\r\x1b[K")
        self._title, self._items, self._reports = "", 0, []

    def _rate(self) -> float:
        (start, items_before), (now, items) = self._reports[0], self._reports[-1]
        if now - start < 0.5 and not self._first_items:
            start, items_before = self._begin_time, 0
        return (items - items_before) / (now - start) if now > start else 0.0

    def _draw(self, progress: Progress) -> None:
        columns = shutil.get_terminal_size().columns - 1
        words = self._words(progress)
        # A narrow terminal has no room for the percentage, then for the rate.
        while len(words) > 1 and width("  ".join([self._name(), *words])) > columns:
            words.pop(1)
        text = "  ".join(words)
        room = min(columns - width(self._name()) - width(text) - 4, _MAX_BAR_COLUMNS)
        bar = ""
        if progress.total and room >= _MIN_BAR_COLUMNS:
            filled = int(room * min(progress.items / progress.total, 1.0))
            bar = f"{self._full_sign * filled}{self._empty_sign * (room - filled)}  "
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
            return [*words, "building the index"]
        rate = self._rate()
        if rate > 0:
            words.append(f"{number(rate)}/s")
            if progress.total:
                words.append(f"{clock(max(progress.total - progress.items, 0) / rate)} left")
        return words

    def _name(self) -> str:
        return cut(clean(self._title), _TITLE_COLUMNS)

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
