"""The file in which `plexindex changes --state` keeps its cursor."""

from __future__ import annotations

import os
from pathlib import Path

from .codes import UsageError


class StateFile:
    """A file with a cursor. Without a path its methods do nothing."""

    def __init__(self, path: str | None) -> None:
        self._path = None if path is None else Path(path)

    def read(self) -> str | None:
        """Returns the cursor; None without a path, or before the first run."""
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
                f"--state {self._path} is empty: delete it to start from now, or add --full to start from the beginning"
            )
        return cursor

    def write(self, cursor: str | None) -> None:
        """Replaces the cursor atomically. Call it after printing the changes before the cursor."""
        if self._path is None or cursor is None:
            return
        new = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        try:
            new.write_text(f"{cursor}\n", "utf-8")
            new.replace(self._path)
        except OSError as error:
            raise UsageError(f"cannot write --state {self._path}: {error.strerror}") from None
