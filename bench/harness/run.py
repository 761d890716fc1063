"""A run: where things are, how much is measured, and how other programs are started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

from .results import Results
from .timing import WrongAnswerError
from .world import HOST, SERVER, Standin

BENCH = Path(__file__).resolve().parent.parent


class Served(Protocol):
    """What has a server: a world, or less."""

    @property
    def server(self) -> Standin:
        """The server."""


@dataclass
class Run:
    """What all measurements share."""

    results: Results
    folder: Path
    """For what is made and thrown away."""
    standin: Path
    native: Path
    """The C program of ``native/``."""
    library: Path
    """The shared library that was installed."""
    rounds: int
    day: str = ""
    """The command that counts the requests of a day of ten hosts."""

    @property
    def quick(self) -> bool:
        """Few rounds."""
        return self.results.quick

    def say(self, text: str) -> None:
        """Progress of a long run."""
        print(f"bench: {text}", flush=True)

    def python(self, script: str, *arguments: object, world: Served) -> tuple[float, Any]:
        """Runs a script of ``children/`` in a new interpreter: seconds of the whole process, and what it printed."""
        command = [sys.executable, "-I", str(BENCH / "children" / script)]
        return self._child(command, arguments, world)

    def c(self, *arguments: object, world: Served) -> tuple[float, Any]:
        """Runs the C program."""
        return self._child([str(self.native)], arguments, world)

    def c_arguments(self, what: str, store: Path, pairs: Path, *rest: object) -> list[object]:
        """Its arguments."""
        return [what, self.library, store, HOST, SERVER, pairs, *rest]

    def program(self, command: list[str], *arguments: object, variables: dict[str, str]) -> tuple[float, Any]:
        """Runs a program of another language."""
        return self._run([*command], arguments, variables)

    def _child(self, command: list[str], arguments: tuple[object, ...], world: Served) -> tuple[float, Any]:
        return self._run(command, arguments, environment(world))

    def _run(self, command: list[str], arguments: tuple[object, ...], variables: dict[str, str]) -> tuple[float, Any]:
        command += map(str, arguments)
        begun = perf_counter()
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        seconds = perf_counter() - begun
        if done.returncode:
            raise WrongAnswerError(f"{Path(command[-len(arguments) - 1]).name}: {done.stderr.strip()}")
        return seconds, json.loads(done.stdout)


def environment(world: Served) -> dict[str, str]:
    """Of children: which server, and its token."""
    return {**os.environ, "PLEX_URL": world.server.url, "PLEX_TOKEN": world.server.token}
