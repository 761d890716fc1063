"""Helpers: a disk, a server that lists it, and their differences."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conftest import Server, ServerFactory
    from plexindex.queries import Queries

FILMS = ("Alpha (2001)", "Beta (2002)", "Gamma (2003)")


def make(path: Path, content: bytes = b"x") -> Path:
    """Creates a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def set_size(path: Path, size: int | None) -> Path:
    """Gives a file a size, without using so much of the disk."""
    os.truncate(path, size or 0)
    return path


class Tree:
    """A disk and a server that lists it: three films and two episodes."""

    def __init__(self, folder: Path, start_server: ServerFactory) -> None:
        self.media = folder / "media"
        self.films, self.shows = self.media / "films", self.media / "shows"
        self.listed = [make(self.films / name / f"{name}.mkv") for name in FILMS]
        season = self.shows / "Delta" / "Season 01"
        self.listed += [make(season / f"Delta - S01E0{number}.mkv") for number in (1, 2)]
        items = [film(path) for path in self.listed[:3]]
        episodes = [{"title": f"Part {number}", "show": "Delta", "season": 1, "index": number, "files": [str(path)]}
                    for number, path in zip((1, 2), self.listed[3:])]  # fmt: skip
        libraries = [library("Films", self.films), {**library("Shows", self.shows), "kind": "show"}]
        file = folder / "spec.json"
        file.write_text(json.dumps({"libraries": libraries, "items": {"1": items, "2": episodes}}))
        self.server = start_server("--spec", str(file))

    def add(self, *items: dict[str, Any]) -> None:
        """Adds films in Plex."""
        self.server.post("items/add", {"library": 1, "items": items})

    def key(self, path: Path) -> str:
        """The rating key of a film."""
        return next(str(row["ratingKey"]) for row in self.server.paths(1) if row["path"] == str(path))

    def rename(self, old: Path, new: Path, key: str | None = None) -> None:
        """Renames a film on the disk and in Plex, which then reports no change."""
        key = key or self.key(old)
        new.parent.mkdir(parents=True, exist_ok=True)
        old.rename(new)
        self.server.post("items/rename", {"ratingKey": int(key), "from": str(old), "to": str(new)})


def library(title: str, *locations: Path) -> dict[str, Any]:
    return {"kind": "movie", "items": 0, "title": title, "plain": True, "locations": [*map(str, locations)]}


def film(path: Path, **fields: object) -> dict[str, Any]:
    """A film whose title and year are the name of its file."""
    return {"title": path.stem[:-7], "year": int(path.stem[-5:-1]), "files": [str(path)], **fields}


def serve(folder: Path, start_server: ServerFactory, *libraries: tuple[list[Path], list[Path]]) -> Server:
    """A server with libraries of films: their locations, and their files."""
    spec = {
        "libraries": [library(f"Films {number}", *one[0]) for number, one in enumerate(libraries, 1)],
        "items": {str(number): [*map(film, one[1])] for number, one in enumerate(libraries, 1)},
    }
    (folder / "libraries.json").write_text(json.dumps(spec))
    return start_server("--spec", str(folder / "libraries.json"))


Line = tuple[str, str, str]


def lines_of(index: Queries, *folders: Path, **options: object) -> list[Line]:
    """The differences in these folders: what, path and reason code, in order."""
    found = index.compare(folders, **options)  # type: ignore[arg-type]
    return sorted((one.what, one.path, one.reason) for one in found)


def not_in_plex(path: Path) -> Line:
    return ("not_in_plex", str(path), "not_scanned")


def not_on_disk(path: Path) -> Line:
    return ("not_on_disk", str(path), "gone")


def check_sums(summary: Mapping[str, Any]) -> None:
    """The parts of a summary add up to its sums."""
    for prefix, names in (
        ("files", "in_plex not_in_plex ambiguous left_out"),
        ("listed", "on_disk not_on_disk unknown"),
    ):
        assert summary[prefix] == sum(summary[f"{prefix}_{name}"] for name in names.split()), summary
    assert 0 <= summary["listed_location_empty"] <= summary["listed_not_on_disk"]
