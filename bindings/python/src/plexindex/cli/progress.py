"""The progress bar for a fetch, on standard error. The bar is visible only on a terminal."""

from __future__ import annotations

import sys
import time

from .._core import TYPE_CHECKING
from . import output
from .options import given

if TYPE_CHECKING:
    from typing import Any

    from ..progress import Progress

_fetching: set[Bar] = set()


def is_fetching() -> bool:
    """Returns whether a fetch has begun and not ended."""
    return bool(_fetching)


class Bar:
    """Shows the progress of a fetch. Pass a bar as ``progress``. After the call, use :meth:`done` or :meth:`drop`."""

    def __init__(self, title: str = "") -> None:
        self._title, self._begun, self._items, self._task = title, time.monotonic(), 0, 0
        self._display: Any = None
        if title:
            self._show(title, "waiting")

    def __call__(self, progress: Progress) -> None:
        """Shows a progress report. plexindex sends at most ten reports per second."""
        if progress.library != self._title or progress.items < self._items:
            self.done()
            self._begun = time.monotonic() - progress.elapsed
        _fetching.add(self)
        self._title, self._items = progress.library, progress.items
        is_listed = progress.total and progress.items >= progress.total
        words = f"{output.number(progress.items)} of {output.number(progress.total)}" if progress.total else "waiting"
        self._show(self._title, "building the index" if is_listed else words, progress.items, progress.total or None)

    def _show(self, title: str, words: str, items: int = 0, total: int | None = None) -> None:
        if not output.is_terminal(sys.stderr) or given.get("quiet"):
            return
        if self._display is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            columns = TextColumn("{task.description}", markup=False), BarColumn(30), TextColumn("{task.fields[words]}")
            self._display = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True,
                                     auto_refresh=False)  # fmt: skip
            self._task = self._display.add_task("", words="")
            self._display.start()
        name = output.clean(title)[:24]
        self._display.update(self._task, description=name, completed=items, total=total, words=words, refresh=True)

    def done(self) -> None:
        """Replaces the bar with a line that summarizes the fetch, if there was one."""
        has_fetched, seconds = self in _fetching, time.monotonic() - self._begun
        text = f"{self._title}  {output.count(self._items, 'item')} in {output.short(seconds)}"
        self.drop()
        if has_fetched:
            output.remark(text, terminal_only=True)

    def drop(self) -> None:
        """Clears the bar after a failed fetch, or if no fetch was needed."""
        if self._display is not None:
            self._display.stop()
            self._display = None
        if not isinstance(sys.exc_info()[1], KeyboardInterrupt):  # otherwise the message says that the fetch resumes
            _fetching.discard(self)
        self._title, self._items = "", 0
