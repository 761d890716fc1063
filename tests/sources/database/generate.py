"""Makes a large Plex library database: the real schema, without what stock SQLite cannot make.

usage: generate.py FILE [PARTS]

A fifth are films, the rest episodes: ten to a season, four seasons to a show. Each has one version with one file, a
summary, an external id and two tags that it shares with others. The file is left as its server leaves it when it stops.
"""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

SUMMARY = "What happens in it, told at some length, since the server keeps such a text with each of its rows. " * 3
SHARED = 500


def rows(parts: int):
    """The rows of metadata_items, of their files, and which of them are leaves."""
    number = 0

    def row(section, kind, title, parent, index):
        nonlocal number
        number += 1
        guid = f"plex://{kind}/{number:024x}"
        return (
            number,
            section,
            parent,
            kind,
            guid,
            title,
            title,
            index,
            SUMMARY,
            1960 + number % 60,
            number,
            1_700_000_000,
        )

    films = parts // 5
    for film in range(films):
        item = row(1, 1, f"Film {film}", None, 1)
        yield item, f"/data/films/{film % 1000:03}/Film {film} ({item[9]})/Film {film} ({item[9]}).mkv"
    episode = 0
    while episode < parts - films:
        show = row(2, 2, f"Show {episode // 40}", None, 1)
        yield show, None
        for season in range(1, 5):
            above = row(2, 3, "", show[0], season)
            yield above, None
            for place in range(1, 11):
                if episode == parts - films:
                    return
                folder = f"/data/shows/{show[5]}/Season {season:02}"
                file = f"{show[5]} - s{season:02}e{place:02} - Episode {episode}.mkv"
                yield row(2, 4, f"Episode {episode}", above[0], place), f"{folder}/{file}"
                episode += 1


def generate(file: Path, parts: int) -> None:
    schema = (Path(__file__).parent / "schema.sql").read_text(encoding="utf-8")
    tables = [statement for statement in schema.split(";\n") if statement.lstrip("-").strip()]
    indexes = [statement for statement in tables if "CREATE INDEX" in statement or "CREATE UNIQUE" in statement]
    database = sqlite3.connect(file, isolation_level=None)
    for statement in ("PRAGMA page_size = 1024", "PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "BEGIN"):
        database.execute(statement)
    for statement in tables:
        if statement not in indexes:
            database.execute(statement)
    for id, name, kind, folder in ((1, "Films", 1, "/data/films"), (2, "Shows", 2, "/data/shows")):
        database.execute(
            "INSERT INTO library_sections (id, name, section_type, uuid, scanned_at) VALUES (?, ?, ?, ?, 1700000000)",
            (id, name, kind, f"00000000-0000-4000-8000-00000000000{id}"),
        )
        database.execute("INSERT INTO section_locations (library_section_id, root_path) VALUES (?, ?)", (id, folder))
    database.executemany(
        "INSERT INTO tags (id, tag, tag_type) VALUES (?, ?, 1)", ((n, f"Genre {n}") for n in range(1, SHARED + 1))
    )
    items, files, tags, taggings = [], [], [], []

    def flush() -> None:
        database.executemany(
            "INSERT INTO metadata_items (id, library_section_id, parent_id, metadata_type, guid, title, title_sort, "
            "[index], summary, year, changed_at, added_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            items,
        )
        database.executemany(
            "INSERT INTO media_items (id, library_section_id, metadata_item_id) VALUES (?, ?, ?)",
            ((id, section, id) for id, section, _ in files),
        )
        database.executemany(
            "INSERT INTO media_parts (id, media_item_id, file) VALUES (?, ?, ?)",
            ((id, id, path) for id, _, path in files),
        )
        database.executemany("INSERT INTO tags (id, tag, tag_type) VALUES (?, ?, 314)", tags)
        database.executemany("INSERT INTO taggings (metadata_item_id, tag_id) VALUES (?, ?)", taggings)
        for rows in (items, files, tags, taggings):
            rows.clear()

    for item, path in rows(parts):
        items.append(item)
        if path is not None:
            id = item[0]
            files.append((id, item[1], path))
            tags.append((SHARED + id, f"imdb://tt{id:08}"))
            taggings.extend(((id, 1 + id % SHARED), (id, SHARED + id), (id, 1 + id * 7 % SHARED)))
        if len(items) == 50_000:
            flush()
    flush()
    for statement in indexes:
        database.execute(statement)
    for statement in ("COMMIT", "ANALYZE", "PRAGMA journal_mode = WAL"):
        database.execute(statement)
    database.close()


if __name__ == "__main__":
    file, parts = [*sys.argv[1:], "1000000"][:2] if len(sys.argv) in (2, 3) else ("-", "")
    if file.startswith("-") or not parts.isdigit():
        sys.exit(__doc__)
    generate(Path(file), int(parts))
