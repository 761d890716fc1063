"""The command at a console of wine, whose window is a terminal of this machine: console.py STANDIN PYTHON...

What a program writes there is drawn anew, so the text is compared without what moves the cursor. Standard library only.
"""

from __future__ import annotations

import json
import os
import pty
import re
import select
import socket
import subprocess
import sys
import tempfile
import termios
import time
import urllib.request
from typing import Callable

STANDIN, *PYTHON = sys.argv[1:]
DRAWN = re.compile(r"\x1b\[[?0-9;]*[a-zA-Z]|\r")
COLOURED = re.compile(r"\x1b\[[0-9;]*[1-9][0-9;]*m")
INTERRUPTED = 130


def at_console(*arguments: str, react: Callable[[str], str] = lambda _: "", **variables: str) -> tuple[int, str]:
    """Runs the command: its exit code, and all that was drawn. What `react` gives is typed, once."""
    command = [*PYTHON, "-m", "plexindex", *arguments]
    given = {**os.environ, "TERM": "xterm", "COLUMNS": "100", **variables}
    pid, terminal = pty.fork()
    if pid == 0:
        keys_go_to_wine()
        os.execvpe(command[0], command, given)  # noqa: S606
    drawn, typed, until = b"", False, time.monotonic() + 120
    while time.monotonic() < until:
        if not select.select([terminal], [], [], 0.05)[0]:
            more = b""
        else:
            try:
                more = os.read(terminal, 65536)
            except OSError:
                break
            if not more:
                break
        drawn += more
        if not typed and (answer := react(DRAWN.sub("", drawn.decode(errors="replace")))):
            typed = True
            os.write(terminal, answer.encode())
    else:
        os.write(terminal, b"\x03")
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), drawn.decode(errors="replace")


def keys_go_to_wine() -> None:
    """Leaves Enter and echo to wine's console. Ctrl-C comes as a signal, of which wine makes Windows' event."""
    mode = termios.tcgetattr(0)
    mode[0] &= ~termios.ICRNL
    mode[3] &= ~(termios.ICANON | termios.ECHO)
    termios.tcsetattr(0, termios.TCSANOW, mode)


def post(name: str, body: object) -> None:
    """Changes what the stand-in has."""
    data = json.dumps(body).encode()
    urllib.request.urlopen(f"{os.environ['PLEXINDEX_URL']}/_standin/{name}", data).close()


def expect(name: str, holds: bool, found: object) -> None:
    """Says whether a test passed."""
    print(f"PASS: {name}" if holds else f"FAIL: {name}: {found!r}", flush=True)


def ctrl_c() -> None:
    """It ends a call that waits for a server which says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(0)
        asked: list[socket.socket] = []

        def react(_: str) -> str:
            try:
                asked.append(silent.accept()[0])
            except BlockingIOError:
                return ""
            return "\x03"

        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        code, drawn = at_console("warm", react=react, PLEXINDEX_URL=url)
        text = DRAWN.sub("", drawn)
        expect("Ctrl-C ends a call", code == INTERRUPTED and "plexindex: interrupted;" in text, (code, drawn))


def question() -> None:
    """It is asked, and answered by a line that is typed."""
    code, drawn = at_console("warm")
    expect("libraries are fetched", code == 0, (code, drawn))
    for answer, ends, said in (("n", 1, "nothing was changed"), ("y", 0, "emptied ")):

        def react(text: str, answer: str = answer) -> str:
            return f"{answer}\r" if "[y/N]" in text else ""

        code, drawn = at_console("clear", react=react)
        expect(f"a question is answered by {answer}", code == ends and said in DRAWN.sub("", drawn), (code, drawn))


def text() -> None:
    """Characters that the console's code page lacks are drawn, and colours unless they are not wanted."""
    title, path = "\u0416\u4e03 Caf\u00e9", "/data/movies/\u0416\u4e03.mkv"
    post("items/add", {"library": 1, "items": [{"title": title, "files": [path]}]})
    code, drawn = at_console("match", path)
    plain = DRAWN.sub("", drawn)
    expect("any character is drawn", code == 0 and title in plain and path in plain, (code, drawn))
    expect("there are colours", bool(COLOURED.search(drawn)), drawn)
    code, drawn = at_console("match", path, NO_COLOR="1")
    expect("NO_COLOR", code == 0 and not COLOURED.search(drawn), (code, drawn))


def main() -> None:
    """Runs all with a stand-in server."""
    command = [STANDIN, "--movies=30", "--exit-with-stdin"]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server,
    ):
        assert server.stdin and server.stdout
        url, token = re.findall(r"(http\S+) token=(\S+)", server.stdout.readline())[0]
        os.environ.update(PLEXINDEX_URL=url, PLEXINDEX_TOKEN=token)
        os.environ.update(PLEXINDEX_DIR=f"Z:{folder}".replace("/", "\\"))
        text()
        question()
        ctrl_c()
        server.stdin.close()


if __name__ == "__main__":
    main()
