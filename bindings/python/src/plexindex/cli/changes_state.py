"""The file in which `plexindex changes --state` stores its cursor."""

from __future__ import annotations

import os
from pathlib import Path

from .codes import UsageError


class StateFile:
    """The file that stores the cursor between two runs. If no path is given, the methods do nothing."""

    def __init__(self, path: str | None) -> None:
        self._path = None if path is None else Path(path)

    def read(self) -> str | None:
        """Returns the stored cursor, or None if no path was given or no run has stored a cursor yet."""
        if self._path is None:
            return None
        try:
            cursor = self._path.read_text("utf-8").strip()
        except FileNotFoundError:
            if self._path.parent.is_dir():
                return None
            raise UsageError(f"cannot create --state {self._path}: there is no folder {self._path.parent}") from None
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "the file is not text"
            raise UsageError(f"cannot read --state {self._path}: {why}") from None
        if not cursor:
            raise UsageError(
                f"--state {self._path} is empty: delete the file to start from now, or add --full to start from the "
                "beginning"
            )
        return cursor

    def write(self, cursor: str | None) -> None:
        """Replaces the stored cursor atomically. Print the changes first, so that no change gets lost."""
        if self._path is None or cursor is None:
            return
        new = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        try:
            new.write_text(f"{cursor}\n", "utf-8")
            new.replace(self._path)
        except OSError as error:
            raise UsageError(f"cannot write --state {self._path}: {error.strerror}") from None
