"""Finds the episodes of a Plex server that are new, or whose files have changed since the last call.

`use_episode_files.py` copies this file to `plex_auto_languages/episode_files.py` in Plex-Auto-Languages.
`docs/hosts.md` of plexindex describes the change. This module imports nothing from that program.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import plexindex
import requests

TABLES = """
CREATE TABLE IF NOT EXISTS episode_files (
    episode_key TEXT PRIMARY KEY,
    section TEXT NOT NULL,
    files_json TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS section_cursors (
    section TEXT PRIMARY KEY,
    cursor TEXT NOT NULL
);
"""


class EpisodeFiles:
    """Remembers the files of each episode in two tables of the program's database.

    An index beside the database says which episodes may have changed since the last call. An episode without a row is
    new, and an episode with other files was updated. One transaction writes the rows and the index's cursor.

    Any thread may call any method.
    """

    def __init__(self, plex: Any, database: str, **options: Any) -> None:
        """`plex`: plexapi's `PlexServer`. `database`: an SQLite file. `options`: those of `plexindex.open()`."""
        self._database = database
        self._index = plexindex.from_server(plex, Path(database).with_suffix(".plexindex"), **options)

    def count(self) -> int:
        """Returns the number of known episodes."""
        with self._open() as database:
            found: int = database.execute("SELECT count(*) FROM episode_files").fetchone()[0]
        return found

    def refresh(self, sections: Iterable[Any], *, full: bool = True) -> tuple[list[Any], list[Any]]:
        """Returns the episodes that were added or have other files since the last call. The first call returns none.

        `sections`: plexapi's show libraries. The index forgets all other libraries; one that comes back is new.
        `full`: fetch the libraries again. Otherwise a few requests find new episodes, and those whose date changed.

        Episodes have plexapi's names. Reading a value that the index lacks fetches the episode.
        """
        added: list[Any] = []
        updated: list[Any] = []
        try:
            with self._open() as database:
                cursors = dict(database.execute("SELECT section, cursor FROM section_cursors"))
                is_first = not cursors
                for section in sections:
                    library, name = self._index.section(section), str(section.key)
                    new, other = self._refresh(database, library, name, cursors.pop(name, None), full)
                    if not is_first:
                        added += filter(None, map(library.light, new))
                        updated += filter(None, map(library.light, other))
                for gone in cursors:
                    database.execute("DELETE FROM episode_files WHERE section = ?", (gone,))
                    database.execute("DELETE FROM section_cursors WHERE section = ?", (gone,))
        except plexindex.ServerUnavailableError as error:
            # The program handles this exception. Nothing was written, so the next call returns the same changes.
            raise requests.ConnectionError(str(error)) from error
        return added, updated

    def _refresh(
        self, database: sqlite3.Connection, library: Any, name: str, cursor: str | None, full: bool
    ) -> tuple[list[str], list[str]]:
        """Updates the rows of a library. Returns the keys of new episodes, and of episodes with other files."""
        added, updated = [], []
        found, cursor, is_whole = self._find(library, cursor, full)
        for key, files in found.items():
            row = database.execute("SELECT files_json FROM episode_files WHERE episode_key = ?", (key,)).fetchone()
            if files is None:
                database.execute("DELETE FROM episode_files WHERE episode_key = ?", (key,))
                continue
            text = _as_text(files)
            if row is None:
                added.append(key)
            elif row[0] != text:
                updated.append(key)
            else:
                continue
            database.execute("REPLACE INTO episode_files VALUES (?, ?, ?)", (key, name, text))
        if is_whole:
            rows = database.execute("SELECT episode_key FROM episode_files WHERE section = ?", (name,))
            gone = [row for row in rows if row[0] not in found]
            database.executemany("DELETE FROM episode_files WHERE episode_key = ?", gone)
        database.execute("REPLACE INTO section_cursors VALUES (?, ?)", (name, cursor))
        return added, updated

    def _find(
        self, library: Any, cursor: str | None, full: bool
    ) -> tuple[dict[str, list[str] | None], str | None, bool]:
        """Finds the episodes that may have changed.

        Returns their files by key (None if the episode is gone), the next cursor, and whether these are all episodes.
        """
        if full and cursor:
            library.refresh(full=True)
        try:
            changes = library.changes(cursor, full=cursor is None, check=not full)
        except plexindex.ListAgainError:  # the cursor is too old, or someone deleted the index's folder
            return self._find(library, None, full)
        found: dict[str, list[str] | None] = {}
        for change in changes:
            if change.item is None:  # too much changed: read the whole library
                return self._find(library, None, full)
            if cursor is None:  # each file of an episode has its own change
                found[change.item.key] = [*(found.get(change.item.key) or ()), *filter(None, [change.path])]
                continue
            old = [f"/library/metadata/{change.from_key}"] if change.from_key else []
            for key in (change.item.key, *old):
                item = library.light(key)
                found[key] = None if item is None else item.locations
        return found, changes.cursor, cursor is None

    def did_change(self, episode: Any) -> bool:
        """Returns whether the episode's files have changed since the last call, and remembers the new files."""
        files = _as_text(part.file for part in episode.iterParts() if part.file)
        with self._open() as database:
            find = "SELECT files_json FROM episode_files WHERE episode_key = ?"
            row = database.execute(find, (episode.key,)).fetchone()
            values = episode.key, str(episode.librarySectionID), files
            database.execute("REPLACE INTO episode_files VALUES (?, ?, ?)", values)
        return row is not None and row[0] not in (files, "[]")

    def close(self) -> None:
        """Closes the index."""
        self._index.close()

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Opens a connection. Commits its transaction if the block raises no exception."""
        with contextlib.closing(sqlite3.connect(self._database, timeout=30)) as database:
            database.executescript(TABLES)
            with database:
                yield database


def _as_text(files: Iterable[str]) -> str:
    return json.dumps(sorted(set(files)))
