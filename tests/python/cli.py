"""Helpers: runs the command without the tester's environment."""

from __future__ import annotations

import io
import json
import logging
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from plexindex import _cli as command_line
from plexindex._cli.settings import Settings

if TYPE_CHECKING:
    from conftest import Server
    from plexindex.testing import FakePlex

TOKEN = "test-token-never-stored"


# Python reads these when it starts.
AT_START = ("PYTHON", "LC_", "LANG", "PLEXINDEX_LIBRARY")


open_patiently = Settings.open


def open_impatiently(settings: Settings, **options: object) -> Any:
    """Opens an index as the command does, but tries no request again: a server that fails would cost seconds."""
    return open_patiently(settings, **{**options, "retry_for": 0})


class Cli:
    """Runs the command with its own home: in this process, or as ``python -m plexindex``."""

    def __init__(self, home: Path, server: Server | FakePlex | None = None) -> None:
        self.home = home
        self.store = home / "store"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PLEX", "XDG_"))}
        self.environment = {**kept, "HOME": str(home), "PLEXINDEX_CACHE_DIR": str(self.store), "COLUMNS": "100"}
        if os.name == "nt":
            self.environment.update(USERPROFILE=str(home), LOCALAPPDATA=str(home / "local"))
        self.environment.pop("NO_COLOR", None)
        if server is not None:
            self.environment.update(PLEXINDEX_SERVER_URL=server.url, PLEXINDEX_TOKEN=server.token)

    def start(self, *arguments: object, **variables: str | None) -> list[Any]:
        """Returns the command line and the environment."""
        environment = {**self.environment, **variables}
        command = [sys.executable, "-m", "plexindex", *map(str, arguments)]
        return [command, {name: value for name, value in environment.items() if value is not None}]

    def run(self, *arguments: object, given: bytes = b"", **variables: str | None) -> subprocess.CompletedProcess[str]:
        """Runs the command to its end. ``given``: its standard input."""
        command, environment = self.start(*arguments, **variables)
        if any(name.startswith(AT_START) for name in variables):
            done = subprocess.run(command, env=environment, input=given, capture_output=True, check=False, timeout=60)
            return self.result(command, done.returncode, done.stdout, done.stderr)
        logger = logging.getLogger("plexindex")
        kept = logger.handlers, logger.propagate, logger.level
        inputs = {"stdin": given, "stdout": b"", "stderr": b""}
        streams: Any = {name: io.TextIOWrapper(io.BytesIO(text), "utf-8") for name, text in inputs.items()}
        surroundings = mock.patch.multiple(sys, **streams), mock.patch.dict(os.environ, environment, clear=True)
        try:
            with surroundings[0], surroundings[1], mock.patch.object(Settings, "open", open_impatiently):
                code = command_line.main(command[3:])
        finally:
            logger.handlers, logger.propagate = kept[:2]
            logger.setLevel(kept[2])
        out, errors = (streams[name].detach().getvalue() for name in ("stdout", "stderr"))
        return self.result(command, code, out, errors)

    def result(self, command: list[str], code: int, out: bytes, errors: bytes) -> subprocess.CompletedProcess[str]:
        assert b"Traceback" not in errors, errors
        return subprocess.CompletedProcess(command, code, out.decode("utf-8", "surrogateescape"), errors.decode())

    def good(self, *arguments: object, given: bytes = b"", **variables: str | None) -> str:
        """Returns the output. The exit code must be 0, and standard error empty."""
        done = self.run(*arguments, given=given, **variables)
        assert done.returncode == 0, done
        assert done.stderr == ""
        return done.stdout

    def fails(self, code: int, text: str, *arguments: object, given: bytes = b"", **variables: str | None) -> str:
        """Returns all output, without the breaks of lines. It must contain the text, and no token."""
        done = self.run(*arguments, given=given, **variables)
        assert done.returncode == code, done
        printed = " ".join((done.stdout + done.stderr).split())
        assert text in printed
        assert TOKEN not in printed
        return printed

    def json(self, *arguments: object, given: bytes = b"", **variables: str | None) -> Any:
        """Returns the output, one JSON value."""
        (value,) = self.lines(*arguments, given=given, **variables)
        return value

    def lines(self, *arguments: object, given: bytes = b"", **variables: str | None) -> list[Any]:
        """Returns the output, one JSON value on each line."""
        printed = self.run(*arguments, "--json", given=given, **variables).stdout
        return [json.loads(line) for line in printed.splitlines()]

    def at_terminal(
        self, *arguments: object, react: Callable[[str], str] = lambda _: "", **variables: str | None
    ) -> tuple[int, str]:
        """Runs the command at a terminal. Returns the exit code and all output. Types what ``react`` returns, once."""
        import pty  # not on Windows

        command, environment = self.start(*arguments, **variables)
        environment["TERM"] = "xterm"
        pid, terminal = pty.fork()
        if pid == 0:
            os.execvpe(command[0], command, environment)  # noqa: S606
        seen, typed, until = b"", False, time.monotonic() + 60
        while time.monotonic() < until:
            if not select.select([terminal], [], [], 0.05)[0]:
                continue
            try:
                more = os.read(terminal, 65536)
            except OSError:
                break
            if not more:
                break
            seen += more
            answer = "" if typed else react(seen.decode(errors="replace"))
            if answer:
                typed = True
                os.write(terminal, answer.encode())
        os.close(terminal)
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status), seen.decode().replace("\r\n", "\n")
