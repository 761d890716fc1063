"""The progress bar for a fetch, on standard error. The bar is visible only on a terminal."""

from __future__ import annotations

import shutil
import sys
import time

from .._core import TYPE_CHECKING
from .output import clean, clock, count, cut, is_terminal, number, short, width

if TYPE_CHECKING:
    from ..progress import Progress

_TITLE_COLUMNS = 24
_MAX_BAR_COLUMNS = 30
_MIN_BAR_COLUMNS = 8


class Bar:
    """Shows the progress of a fetch. Pass a bar as ``progress``. After the call, use :meth:`done` or :meth:`drop`."""

    def __init__(self) -> None:
        self._is_visible = is_terminal(sys.stderr)
        self._signs = ("█", "░") if _can_write("█░") else ("#", ".")
        self._reset()

    def _reset(self) -> None:
        self._title, self._begin_time = "", 0.0
        # The item count in the first report. An earlier, interrupted fetch may have fetched these items.
        self._first_items: int | None = None
        self._items = 0

    def __call__(self, progress: Progress) -> None:
        """Shows a progress report. plexindex sends at most ten reports per second."""
        if progress.library != self._title or progress.items < self._items:
            self.done()
        if self._first_items is None:
            self._title, self._begin_time = progress.library, time.monotonic() - progress.elapsed
            self._first_items = progress.items
        self._items = progress.items
        if self._is_visible:
            self._draw(progress)

    def begin(self, title: str) -> None:
        """Shows ``title``, with a note that plexindex is waiting for the server."""
        self._reset()
        self._title = title
        if self._is_visible:
            self._write(f"{self._name()}  waiting")

    def done(self) -> None:
        """Replaces the bar with a line that summarizes the fetch."""
        if self._first_items is None:
            self.drop()
        elif self._is_visible:
            rate = f" ({number(self._rate())}/s)" if self._items and not self._first_items else ""
            seconds = time.monotonic() - self._begin_time
            self._write(f"{self._name()}  {count(self._items, 'item')} in {short(seconds)}{rate}", end="\n")
        self._reset()

    def drop(self) -> None:
        """Clears the bar after a failed fetch, or if no fetch was needed."""
        if self._title and self._is_visible:
            self._write("")
        self._reset()

    def _rate(self) -> float:
        return (self._items - (self._first_items or 0)) / max(time.monotonic() - self._begin_time, 1e-9)

    def _draw(self, progress: Progress) -> None:
        columns = shutil.get_terminal_size().columns - 1
        words = self._words(progress)
        # If the terminal is narrow, omit the percentage first, and then the rate.
        while len(words) > 1 and width("  ".join([self._name(), *words])) > columns:
            words.pop(1)
        text = "  ".join(words)
        room = min(columns - width(self._name()) - width(text) - 4, _MAX_BAR_COLUMNS)
        if progress.total and room >= _MIN_BAR_COLUMNS:
            filled = int(room * min(progress.items / progress.total, 1.0))
            full_sign, empty_sign = self._signs
            text = f"{full_sign * filled}{empty_sign * (room - filled)}  {text}"
        self._write(cut(f"{self._name()}  {text}", columns))

    def _words(self, progress: Progress) -> list[str]:
        if not progress.items:
            return ["waiting"]
        words, rate = [count(progress.items, "item")], self._rate()
        if progress.total:
            percent = min(int(100 * progress.items / progress.total), 100)
            words = [f"{number(progress.items)} of {number(progress.total)}", f"{percent:3d} %"]
            if progress.items >= progress.total:
                return [*words, "building the index"]
        if rate > 0:
            words.append(f"{number(rate)}/s")
            if progress.total:
                words.append(f"{clock((progress.total - progress.items) / rate)} left")
        return words

    def _name(self) -> str:
        return cut(clean(self._title), _TITLE_COLUMNS)

    @staticmethod
    def _write(text: str, end: str = "") -> None:
        sys.stderr.write(f"\r{text}\x1b[K{end}")
        sys.stderr.flush()


def _can_write(text: str) -> bool:
    try:
        text.encode(sys.stderr.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
