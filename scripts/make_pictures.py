"""Makes the pictures of `doctor` and `warm` in README from what the command prints at a terminal.

Each picture is a run against the stand-in server. Its address, the folders and what names this machine are replaced, so
that a picture tells no more than what it is about. `tests/python/test_pictures.py` fails when the words are not the
command's any more.
"""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import tempfile
import urllib.request
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = 96
TOKEN = "YOUR-TOKEN"  # noqa: S105
COLOURS = {"32": "#4fb06d", "33": "#c9a227", "1;31": "#e0585b", "36": "#4aa3c7", "1": "#f2f2f2", "2": "#8a8f98"}
PART = re.compile(r"\x1b\[([\d;]*)([mK])|([^\x1b]+)")


def main() -> int:
    """Makes an environment with the package in it and runs this file there; or makes the pictures."""
    if len(sys.argv) == 3:
        for name, text in pictures(sys.argv[1]).items():
            (Path(sys.argv[2]) / f"{name}.svg").write_text(svg(text), encoding="utf-8")
        return 0
    from environment import Environment, build_folder, check_python, target_folder

    check_python()
    release = target_folder() / "release"
    environment = Environment(build_folder() / "demo")
    environment.make(None)
    environment.install(release / f"libplexindex.{'dylib' if sys.platform == 'darwin' else 'so'}")
    command = [str(environment.python), __file__, str(release / "standin"), str(ROOT / "docs" / "pictures")]
    return subprocess.run(command, check=False).returncode


def pictures(standin: str) -> dict[str, str]:
    """The final content of the terminal, by the name of the picture."""
    arguments = ["--movies", "20000", "--episodes", "5000", "--plain", "--token", TOKEN, "--exit-with-stdin"]
    with (
        tempfile.TemporaryDirectory() as home,
        subprocess.Popen([standin, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server,
    ):
        assert server.stdout is not None
        url = server.stdout.readline().split()[1]
        fault = json.dumps({"kind": "listing", "action": "delay", "ms": 60, "count": 0}).encode()
        urllib.request.urlopen(urllib.request.Request(f"{url}/_standin/faults", data=fault)).close()  # noqa: S310
        media = plant(Path(home), url)
        variables = {**os.environ, "HOME": home, "PLEXINDEX_URL": url, "PLEXINDEX_TOKEN": TOKEN,
                     "PLEXINDEX_DIR": f"{home}/cache"}  # fmt: skip
        shown = {"warm": until_half(run(["warm"], variables)), "doctor": run(["doctor", media], variables)}
        server.communicate()
    made = {}
    for name, text in shown.items():
        for is_so, be in (
            (url, "http://127.0.0.1:32400"),
            (media, "/mnt/media"),
            (f"{home}/cache", "~/.cache/plexindex"),
        ):
            text = text.replace(is_so, be)
        lines = "".join(screen(text)).split("\n")
        # The first lines of the doctor name this machine.
        begin = next((at for at, line in enumerate(lines) if "Server" in line), 0) if name == "doctor" else 0
        given = "plexindex warm" if name == "warm" else "plexindex doctor /mnt/media"
        made[name] = "\n".join([f"\x1b[2m$\x1b[0m \x1b[1m{given}\x1b[0m", *lines[begin:]]).rstrip()
    return made


def plant(home: Path, url: str) -> str:
    """A folder of empty files with the names of the server's files, and one that the server does not have."""
    media = home / "media"
    with urllib.request.urlopen(f"{url}/_standin/paths?library=1&count=200") as answer:  # noqa: S310
        paths = [row["path"] for row in json.load(answer) if row["path"]]
    for path in [*paths[:200], "/data/movies/Holiday/beach.mkv"]:
        file = media / path.removeprefix("/data/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return str(media)


def run(arguments: list[str], variables: dict[str, str]) -> str:
    """The bytes that the command writes to a terminal."""
    command = [sys.executable, "-m", "plexindex", *arguments]
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(command[0], command, {**variables, "TERM": "xterm", "COLUMNS": str(COLUMNS), "NO_COLOR": ""})  # noqa: S606
    seen = b""
    try:
        while more := os.read(terminal, 65536):
            seen += more
    except OSError:
        pass
    os.close(terminal)
    os.waitpid(pid, 0)
    return seen.decode().replace("\r\n", "\n")


def until_half(text: str) -> str:
    """Waits until the bar of the last library is in the middle."""
    frames = text.split("\r")
    for at, frame in enumerate(frames):
        percent = re.search(r"TV Shows .* (\d+) %", frame)
        if percent and int(percent[1]) >= 50:
            return "\r".join(frames[: at + 1])
    return text


def screen(text: str) -> list[str]:
    """The visible text at the end, without what was overwritten."""
    shown: list[str] = []
    for line in text.split("\n"):
        shown += [line.rsplit("\r", 1)[-1].replace("\x1b[K", ""), "\n"]
    return shown


def svg(text: str) -> str:
    """The picture: a line of text each, in the colours of the terminal."""
    lines = text.split("\n")
    width, height = COLUMNS * 8 + 40, len(lines) * 19 + 36
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f'<rect width="{width}" height="{height}" rx="8" fill="#1e2127"/>',
        '<g font-family="ui-monospace, Menlo, Consolas, monospace" font-size="13" fill="#d5d8dd">',
    ]
    for number, line in enumerate(lines):
        colour, spans = "", []
        for code, kind, words in PART.findall(line):
            if kind == "m":
                colour = COLOURS.get(code, "")
            elif words:
                fill = f' fill="{colour}"' if colour else ""
                spans.append(f"<tspan{fill}>{escape(words)}</tspan>")
        if spans:
            y = 30 + number * 19
            parts.append(f'<text x="20" y="{y}" xml:space="preserve">{"".join(spans)}</text>')
    return "\n".join([*parts, "</g>", "</svg>"]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
