"""Which episodes of a Plex server are new, and which have other files than the last time.

For Plex-Auto-Languages: `use_episode_files.py` puts this file into its folder `plex_auto_languages` under the name
`episode_files.py`, and calls it there. `docs/hosts.md` of plexindex describes it. It imports nothing of that program.
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
    """The files that episodes had when the program last looked, in two tables of its own database.

    An index beside the database says which episodes may have changed since. The tables say which of them did: one that
    has no row is new, one with other files was updated. One transaction writes the rows and the index's cursor.

    Any thread may call any method.
    """

    def __init__(self, plex: Any, database: str, **options: Any) -> None:
        """`plex`: plexapi's `PlexServer`. `database`: an SQLite file. `options`: those of `plexindex.open()`."""
        self._database = database
        self._index = plexindex.from_server(plex, Path(database).with_suffix(".plexindex"), **options)

    def count(self) -> int:
        """The episodes that were seen."""
        with self._open() as database:
            found: int = database.execute("SELECT count(*) FROM episode_files").fetchone()[0]
        return found

    def refresh(self, sections: Iterable[Any], *, full: bool = True) -> tuple[list[Any], list[Any]]:
        """The episodes that were added, and those with other files, since the last call; the first call gives none.

        `sections`: plexapi's show libraries. The others are forgotten: one that comes back is new.
        `full` lists the libraries again. Without it a few requests fetch what the server's clocks show: new episodes,
        and other files of those to which the server gave another date.

        Episodes have plexapi's names: each is fetched when a value is read that the index does not have.
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
        except plexindex.ServerError as error:
            # The program knows this one. Nothing was written, so the next call gives the same changes.
            raise requests.ConnectionError(str(error)) from error
        return added, updated

    def _refresh(
        self, database: sqlite3.Connection, library: Any, name: str, cursor: str | None, full: bool
    ) -> tuple[list[str], list[str]]:
        """Brings the rows of a library up to date. Returns the keys of new episodes, and of those with other files."""
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

        Returns their files by key, None for one that is gone; the next cursor; whether these are all episodes.
        """
        if full and cursor:
            library.library.refresh(full=True)
        try:
            changes = library.changes(cursor, full=cursor is None, check=not full)
        except plexindex.ListAgainError:  # away for long, or the index's folder was deleted
            return self._find(library, None, full)
        found: dict[str, list[str] | None] = {}
        for change in changes:
            if change.item is None:  # so much changed that all of it is read
                return self._find(library, None, full)
            if cursor is None:  # each file of an episode has a line
                found[change.item.key] = [*(found.get(change.item.key) or ()), *filter(None, [change.path])]
                continue
            old = [f"/library/metadata/{change.from_key}"] if change.from_key else []
            for key in (change.item.key, *old):
                item = library.light(key)
                found[key] = None if item is None else item.locations
        return found, changes.cursor, cursor is None

    def did_change(self, episode: Any) -> bool:
        """Whether this episode of plexapi has other files than when it was last seen. It counts as seen from now on."""
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
        """A connection whose transaction is committed if the block ends well."""
        with contextlib.closing(sqlite3.connect(self._database, timeout=30)) as database:
            database.executescript(TABLES)
            with database:
                yield database


def _as_text(files: Iterable[str]) -> str:
    return json.dumps(sorted(set(files)))
