"""The server that the demo asks: the stand-in, as a process of its own, or a real one. Both know paths to ask for."""

from __future__ import annotations

import json
import subprocess
import urllib.parse
import urllib.request
from typing import Any

# Plex's number of the type that owns files, by the type of the library.
LEAVES = {"movie": 1, "show": 4, "artist": 10, "photo": 13}


class Item:
    """An item that the server has, as the demo knows it: to tell a right answer from a wrong one."""

    def __init__(self, rating_key: str, path: str) -> None:
        self.rating_key = rating_key
        self.path = path


class Server:
    """What the demo wants to know of a server."""

    url: str
    token: str
    name: str
    libraries: tuple[str, ...]

    def items(self, library: str) -> list[Item]:
        """Items of a library that have a file. Not counted as requests."""
        raise NotImplementedError

    def requests(self, counted: dict[str, int]) -> dict[str, int]:
        """Requests so far, by kind; `counted` are those that plexindex counted."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ends what was started."""


class StandIn(Server):
    """The stand-in server. Its own counters say how many requests came."""

    libraries = ("Movies", "TV Shows")

    def __init__(self, binary: str) -> None:
        command = [binary, "--movies", "20000", "--episodes", "5000", "--seed", "1", "--exit-with-stdin"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("standin: http"):
            raise SystemExit(f"the stand-in server {binary} did not start: {line.strip() or 'it said nothing'}")
        self.url, self.token = line.split()[1], line.split("token=")[1].strip()
        self.name = f"the stand-in at {self.url}"

    def _get(self, name: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/_standin/{name}") as answer:
            return json.load(answer)

    def items(self, library: str) -> list[Item]:
        """All of them; its side door tells."""
        number = self.libraries.index(library) + 1
        return [Item(row["ratingKey"], row["path"]) for row in self._get(f"paths?library={number}") if row["path"]]

    def requests(self, counted: dict[str, int]) -> dict[str, int]:  # noqa: ARG002
        """As it counted them itself."""
        return {kind: number for kind, number in self._get("stats")["requests"].items() if number}

    def stop(self) -> None:
        """Ends the process."""
        self._process.communicate()


class RealServer(Server):
    """A Plex Media Server. The requests are those that plexindex counted."""

    def __init__(self, url: str, token: str, library: str, file: str) -> None:
        self.url, self.token = url, token
        self.libraries = (library,)
        self.name = url
        self._file = file

    def _get(self, path: str, **headers: str) -> Any:
        headers = {"Accept": "application/json", "X-Plex-Token": self.token, **headers}
        request = urllib.request.Request(self.url.rstrip("/") + path, headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["MediaContainer"]

    def items(self, library: str) -> list[Item]:
        """The file that was named, then up to 10,000 of the library, so that there is something to ask for.

        These requests are the demo's, not plexindex's, and are not counted.
        """
        found = [Item("", self._file)] if self._file else []
        sections = self._get("/library/sections").get("Directory", [])
        section = next((entry for entry in sections if entry["title"] == library), None)
        if section is None:
            raise SystemExit(f"no library is called {library!r}; there are {', '.join(s['title'] for s in sections)}")
        query = urllib.parse.urlencode({"type": LEAVES.get(section["type"], 1), "sort": "id"})
        for start in range(0, 10_000, 1000):
            window = {"X-Plex-Container-Start": str(start), "X-Plex-Container-Size": "1000"}
            rows = self._get(f"/library/sections/{section['key']}/all?{query}", **window).get("Metadata", [])
            for row in rows:
                parts = [part for media in row.get("Media", []) for part in media.get("Part", [])]
                found += [Item(str(row["ratingKey"]), part["file"]) for part in parts[:1] if part.get("file")]
            if len(rows) < 1000:
                break
        return found

    def requests(self, counted: dict[str, int]) -> dict[str, int]:
        """As plexindex counted them: a real server does not tell."""
        return {kind: number for kind, number in counted.items() if number}
