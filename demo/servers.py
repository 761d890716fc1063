"""The demo's server: a stand-in process, or a real server."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections import Counter
from typing import Any

import plexindex


class Item:
    """The item that the demo expects for a path. Without a rating key, any item is right."""

    def __init__(self, rating_key: str, path: str) -> None:
        self.rating_key = rating_key
        self.path = path


class Server:
    """The server interface that the demo uses."""

    url: str
    token: str
    name: str
    libraries: tuple[str, ...]
    counted_by: str

    def first(self, library: str) -> Item:
        """Returns the first item to match."""
        raise NotImplementedError

    def items(self, library: plexindex.Library) -> list[Item]:
        """Returns the items of a fetched library whose paths are unique."""
        raise NotImplementedError

    def requests(self, counted: dict[str, int]) -> dict[str, int]:
        """Returns the number of requests of each kind. `counted` contains the requests that plexindex counted."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ends the server if the demo started it."""


class StandIn(Server):
    """The stand-in server, which counts the requests. Its list of paths determines which answers are right."""

    libraries = ("Movies", "TV Shows")
    counted_by = "the stand-in"

    def __init__(self, binary: str) -> None:
        command = [binary, "--movies", "20000", "--episodes", "5000", "--seed", "1", "--exit-with-stdin"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("standin: http"):
            raise SystemExit(f"the stand-in server {binary} did not start: {line.strip() or 'it printed nothing'}")
        self.url, self.token = line.split()[1], line.split("token=")[1].strip()
        self.name = f"a stand-in at {self.url}, with 20,000 movies and 5,000 episodes"

    def _get(self, name: str) -> Any:
        # The stand-in does not count requests to this address.
        with urllib.request.urlopen(f"{self.url}/_standin/{name}") as answer:
            return json.load(answer)

    def _paths(self, library: str, window: str = "") -> list[Item]:
        rows = self._get(f"paths?library={self.libraries.index(library) + 1}{window}")
        return [Item(row["ratingKey"], row["path"]) for row in rows if row["path"]]

    def first(self, library: str) -> Item:
        """Returns the first item with a file."""
        return self._paths(library, "&count=100")[0]

    def items(self, library: plexindex.Library) -> list[Item]:
        """Returns the stand-in's items, except files with two episodes, which are ambiguous."""
        return unique(self._paths(library.title or ""))

    def requests(self, counted: dict[str, int]) -> dict[str, int]:  # noqa: ARG002
        """Returns the stand-in's counts."""
        return {kind: number for kind, number in self._get("stats")["requests"].items() if number}

    def stop(self) -> None:
        """Ends the process."""
        self._process.communicate()


class RealServer(Server):
    """A Plex Media Server. plexindex counts the requests, and its store determines which answers are right."""

    counted_by = "plexindex"

    def __init__(self, url: str, token: str, library: str, file: str) -> None:
        self.url, self.token, self.name = url, token, url
        self.libraries = (library,)
        self._file = file

    def first(self, library: str) -> Item:  # noqa: ARG002
        """Returns the file from the command line."""
        return Item("", self._file)

    def items(self, library: plexindex.Library) -> list[Item]:
        """Returns the items in the store."""
        return unique([Item(item.rating_key, item.path) for item in library.items() if item.path])

    def requests(self, counted: dict[str, int]) -> dict[str, int]:
        """Returns plexindex's counts."""
        return {kind: number for kind, number in counted.items() if number}


def unique(items: list[Item]) -> list[Item]:
    """Returns the items whose path belongs to no other item."""
    seen = Counter(item.path for item in items)
    return [item for item in items if seen[item.path] == 1]
