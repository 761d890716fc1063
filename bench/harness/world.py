"""The world of one size: a stand-in server with so many movies, a store that was fetched from it, and questions."""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .peers import HOST_FOLDER, LIBRARY, open_index
from .peers import SERVER_FOLDER as SERVER
from .right.words import fold

PREFIX = "/library/metadata/"
FOREIGN = "/mnt/other"
NAMED_OTHERWISE = 40
"""Films of which no file name tells the title."""


class Standin:
    """The stand-in server, a process of its own."""

    def __init__(self, program: Path, *libraries: str) -> None:
        command = [str(program), *libraries, "--seed", "1", "--exit-with-stdin"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("standin: http"):
            raise SystemExit(f"the stand-in server did not start: {line.strip() or 'it said nothing'}")
        self.url, self.token = line.split()[1], line.split("token=")[1].strip()
        parts = urlsplit(self.url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=600)

    def ask(self, target: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> bytes:
        """GET, or POST with a body, on one connection that is kept."""
        for attempt in range(2):
            try:
                self._connection.request("GET" if body is None else "POST", target, body, headers or {})
                return self._connection.getresponse().read()
            except (BrokenPipeError, ConnectionResetError, http.client.RemoteDisconnected):
                # It was idle for so long that the server closed it.
                self._connection.close()
                if attempt:
                    raise
        raise AssertionError

    def get(self, name: str) -> Any:
        """A control endpoint."""
        return json.loads(self.ask(f"/_standin/{name}"))

    def post(self, name: str, body: object) -> Any:
        """Another."""
        answer = json.loads(self.ask(f"/_standin/{name}", body=json.dumps(body).encode()))
        if answer.get("ok") is False:
            raise SystemExit(f"the stand-in refused {name}: {answer.get('error')}")
        return answer

    def requests(self) -> int:
        """How many requests it has answered, its control endpoints not counted."""
        return int(self.get("stats")["total"])

    def listed(self, library: int = 1) -> list[tuple[str, str]]:
        """(path, key) of all that has a file, in the order of rating keys; the first file of each item."""
        found: list[tuple[str, str]] = []
        start, step = 0, 50_000
        while rows := self.get(f"paths?library={library}&start={start}&count={step}"):
            found += [(row["path"], PREFIX + str(row["ratingKey"])) for row in rows if row["path"]]
            start += step
        return found

    def stop(self) -> None:
        """Ends the process."""
        self._connection.close()
        self._process.communicate()


@dataclass
class Questions:
    """Paths of one kind with the right answers. Bytes: each round makes new strings of them, so none has a hash yet."""

    paths: list[bytes]
    answers: list[str | None]

    def fresh(self, seed: int, limit: int | None = None) -> tuple[list[str], list[str | None]]:
        """New string objects in random order, the same for each contender of a round."""
        count = len(self.paths)
        order = random.Random(seed).sample(range(count), min(count, limit or count))  # noqa: S311
        return [self.paths[at].decode() for at in order], [self.answers[at] for at in order]

    def write(self, file: Path, limit: int | None = None) -> Path:
        """As lines for native programs: path, tabulator, key."""
        pairs = zip(self.paths[:limit], self.answers[:limit])
        file.write_bytes(b"".join(path + b"\t" + (key or "").encode() + b"\n" for path, key in pairs))
        return file


class World:
    """A size, its server, its store and its questions. Children and this process find the server by PLEX_URL."""

    def __init__(self, size: int, standin: Path, folder: Path, sample: int) -> None:
        self.size, self.folder = size, folder
        self.server = Standin(standin, "--movies", str(size - NAMED_OTHERWISE))
        self.server.post("items/add", {"library": 1, "items": [_named_otherwise(n) for n in range(NAMED_OTHERWISE)]})
        os.environ["PLEX_URL"], os.environ["PLEX_TOKEN"] = self.server.url, self.server.token
        self.store = folder / "store"
        with open_index(str(self.store)) as index:
            index.library(LIBRARY).refresh()
            self.items = index.stats()["items"]
        self.pairs = self.server.listed()
        self.questions = self._ask(sample)

    def copy(self, name: str) -> Path:
        """A copy of the store, for what writes to it."""
        target = self.folder / name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.store, target)
        return target

    def stop(self) -> None:
        """Ends the server and removes the files."""
        self.server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _ask(self, sample: int) -> dict[str, Questions]:
        paths = Counter(fold(path) for path, _ in self.pairs)
        ends = Counter(fold("/".join(path.rsplit("/", 2)[1:])) for path, _ in self.pairs)
        names = Counter(fold(path.rsplit("/", 1)[1]) for path, _ in self.pairs)
        clear = [
            (path, key)
            for path, key in self.pairs
            # A file name that does not tell its title is no evidence: a lookup gives no key for it.
            if path.startswith(SERVER + "/")
            and "/xq-" not in path
            and paths[fold(path)] == 1
            and ends[fold("/".join(path.rsplit("/", 2)[1:]))] == 1
            and names[fold(path.rsplit("/", 1)[1])] == 1
        ]
        random.Random(2).shuffle(clear)  # noqa: S311
        clear = clear[:sample]
        keys: list[str | None] = [key for _, key in clear]

        hidden = [(path, key) for path, key in self.pairs if "/xq-" in path]
        nothing: list[str | None] = [None] * len(clear)
        return {
            "listed": Questions([path.encode() for path, _ in clear], keys),
            "mapped": Questions([(HOST_FOLDER + path.removeprefix(SERVER)).encode() for path, _ in clear], keys),
            "unknown": Questions([_unknown(n).encode() for n in range(len(clear))], nothing),
            "never seen": Questions(
                [f"{FOREIGN}/unsorted/{path.rsplit('/', 1)[1]}".encode() for path, _ in hidden],
                [key for _, key in hidden],
            ),
        }


def _named_otherwise(number: int) -> dict[str, object]:
    return {"title": f"Untold Story {number}", "year": 2001, "files": [f"{SERVER}/movies/xq-{number}/xq-{number}.mkv"]}


def _unknown(number: int) -> str:
    return f"{SERVER}/movies/No Such Film {number} (1899)/No Such Film {number} (1899) - 1080p.mkv"
