"""The server that the demo asks: the stand-in, as a process of its own, or a real one."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from typing import Any

import plexindex


class Item:
    """What the demo expects for a path. No rating key: it has no opinion."""

    def __init__(self, rating_key: str, path: str) -> None:
        self.rating_key = rating_key
        self.path = path


class Server:
    """What the demo wants to know of a server."""

    url: str
    token: str
    name: str
    libraries: tuple[str, ...]
    counted_by: str

    def first(self, library: str) -> Item:
        """The item to begin with."""
        raise NotImplementedError

    def items(self, library: plexindex.Library) -> list[Item]:
        """Items of a library, once it was fetched, that are told by their path; one path each."""
        raise NotImplementedError

    def requests(self, counted: dict[str, int]) -> dict[str, int]:
        """Requests so far, by kind; `counted` are those that plexindex counted."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ends what was started."""


class StandIn(Server):
    """The stand-in server. Its own counters say how many requests came, and its own list says what is right."""

    libraries = ("Movies", "TV Shows")
    counted_by = "the stand-in"

    def __init__(self, binary: str) -> None:
        command = [binary, "--movies", "20000", "--episodes", "5000", "--seed", "1", "--exit-with-stdin"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("standin: http"):
            raise SystemExit(f"the stand-in server {binary} did not start: {line.strip() or 'it said nothing'}")
        self.url, self.token = line.split()[1], line.split("token=")[1].strip()
        self.name = f"a stand-in at {self.url}, with 20,000 movies and 5,000 episodes"

    def _get(self, name: str) -> Any:
        # Its side door: not counted as a request.
        with urllib.request.urlopen(f"{self.url}/_standin/{name}") as answer:
            return json.load(answer)

    def _paths(self, library: str, window: str = "") -> list[Item]:
        rows = self._get(f"paths?library={self.libraries.index(library) + 1}{window}")
        return [Item(row["ratingKey"], row["path"]) for row in rows if row["path"]]

    def first(self, library: str) -> Item:
        """Its first one with a file."""
        return self._paths(library, "&count=100")[0]

    def items(self, library: plexindex.Library) -> list[Item]:
        """As the stand-in lists them. A file of two episodes is left out: no path tells which."""
        return unique(self._paths(library.title or ""))

    def requests(self, counted: dict[str, int]) -> dict[str, int]:  # noqa: ARG002
        """As it counted them itself."""
        return {kind: number for kind, number in self._get("stats")["requests"].items() if number}

    def stop(self) -> None:
        """Ends the process."""
        self._process.communicate()


class RealServer(Server):
    """A Plex Media Server. It tells no counts and no list: plexindex counts its requests, and its store is the list."""

    counted_by = "plexindex"

    def __init__(self, url: str, token: str, library: str, file: str) -> None:
        self.url, self.token, self.name = url, token, url
        self.libraries = (library,)
        self._file = file

    def first(self, library: str) -> Item:  # noqa: ARG002
        """The file that was named."""
        return Item("", self._file)

    def items(self, library: plexindex.Library) -> list[Item]:
        """As the store has them."""
        return unique([Item(item.rating_key, item.path) for item in library.items() if item.path])

    def requests(self, counted: dict[str, int]) -> dict[str, int]:
        """As plexindex counted them."""
        return {kind: number for kind, number in counted.items() if number}


def unique(items: list[Item]) -> list[Item]:
    """Those whose path no other has."""
    seen: dict[str, int] = {}
    for item in items:
        seen[item.path] = seen.get(item.path, 0) + 1
    return [item for item in items if seen[item.path] == 1]
