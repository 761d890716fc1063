"""What a refresh of Plex-Auto-Languages' library costs, before and after the swap of docs/hosts.md.

    PLEX_AUTO_LANGUAGES=… python bench/hosts.py --standin target/release/standin [--episodes 65906] [--write]

PLEX_AUTO_LANGUAGES names a checkout of it; this Python has plexindex and what the program requires. A stand-in server
plays Plex. Each contender is a process of its own, and begins without data. Requests are those that the server counted,
memory is the process's peak in that step. Prints a table, and with --write puts it into bench/results/hosts.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from harness import machine
from harness.markdown import put_into
from harness.world import Standin

ROOT = Path(__file__).resolve().parents[1]
SWAP = ROOT / "docs" / "hosts" / "use_episode_files.py"
BEFORE, TODAY = "0cf7103", "d8c3425"
OTHER_FILES, NEW = 20, 5


class Program:
    """A process of the program at a commit, with its folder."""

    def __init__(self, server: Standin, checkout: Path, folder: Path, mode: list[str]) -> None:
        child = str(ROOT / "bench" / "children" / "auto_languages.py")
        self._process = subprocess.Popen(
            [sys.executable, child, str(checkout), str(folder), *mode],
            env={**os.environ, "PLEX_URL": server.url, "PLEX_TOKEN": server.token},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.started = self._read()

    def ask(self, command: str) -> Any:
        """Has it `refresh`, or `handle` what came. Returns what it prints."""
        assert self._process.stdin is not None
        print(command, file=self._process.stdin, flush=True)
        return self._read()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def stop(self) -> None:
        """Ends it."""
        self._process.communicate()


def make_checkout(folder: Path, commit: str, *, swap: bool) -> Path:
    """The program at a commit; with ``swap`` as docs/hosts.md says."""
    subprocess.run(["git", "clone", "-q", "--no-checkout", os.environ["PLEX_AUTO_LANGUAGES"], str(folder)], check=True)
    subprocess.run(["git", "checkout", "-q", commit], cwd=folder, check=True)
    if swap:
        subprocess.run([sys.executable, str(SWAP), str(folder)], check=True)
    return folder


def measure(
    standin: Path, episodes: int, checkout: Path, mode: list[str]
) -> dict[str, tuple[int, dict[str, Any], set[str]]]:
    """For each step the requests, what the process printed, and the keys that are right."""
    folder = Path(tempfile.mkdtemp(prefix="plexindex-hosts-"))
    server = Standin(standin, "--movies", "1000", "--episodes", str(episodes), "--plain")
    steps: dict[str, tuple[int, dict[str, Any], set[str]]] = {}

    def note(name: str, printed: dict[str, Any], right: set[str] | None = None) -> None:
        steps[name] = server.requests(), printed, right or set()
        server.post("reset", {})

    try:
        shows = server.listed(2)[:: max(1, episodes // OTHER_FILES)][:OTHER_FILES]
        program = Program(server, checkout, folder, mode)
        note("start with no data", program.started)
        note("nothing changed", program.ask("refresh"))
        for path, key in shows:
            # An upgrade, as Plex notes it: the episode's own date stays.
            name = path.rsplit(".", 1)[0] + " - 2160p.mkv"
            server.post("items/files", {"ratingKey": int(key.rsplit("/", 1)[1]), "files": [name]})
        # Without a number plexapi would fetch each of them to look for it.
        numbers = {"show": "A New Show", "season": 1}
        new = [
            {"title": f"New {n}", **numbers, "episode": n + 1, "files": [f"/data/tv/new/{n}.mkv"]} for n in range(NEW)
        ]
        keys = server.post("items/add", {"library": 2, "items": new})["ratingKeys"]
        right = {key for _, key in shows} | {f"/library/metadata/{key}" for key in keys}
        server.post("reset", {})
        note("20 with another file, 5 new", program.ask("refresh"), right)
        note("its handlers read each one's library", program.ask("handle"))
        program.stop()
        program = Program(server, checkout, folder, mode)
        note("start again", program.started)
        note("first refresh after it", program.ask("refresh"))
        program.stop()
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return steps


def cell(requests: int, printed: dict[str, Any], right: set[str]) -> str:
    """Requests, memory, time, and how many of the episodes came that should."""
    text = f"{requests:,} request{'' if requests == 1 else 's'}, {printed['peak_kib'] / 1024:,.0f} MiB, "
    seconds = printed["seconds"]
    text += f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1g} s"
    if right:
        found = set(printed["added"] + printed["updated"])
        text += f", {len(found & right)} of {len(right)} found"
        if found - right:
            text += f", and {len(found - right)} that had not changed"
    return text


def main() -> None:
    """All contenders."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--standin", type=Path, required=True)
    parser.add_argument("--episodes", type=int, default=65_906)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="plexindex-hosts-") as temporary:
        folder = Path(temporary)
        swapped = make_checkout(folder / "swapped", BEFORE, swap=True)
        contenders = {
            f"before (`{BEFORE}`)": (make_checkout(folder / "before", BEFORE, swap=False), []),
            "with plexindex": (swapped, []),
            "the same, `full=False`": (swapped, ["scan"]),
            f"its own mend (`{TODAY}`)": (make_checkout(folder / "today", TODAY, swap=False), []),
        }
        found = {}
        for name, (checkout, mode) in contenders.items():
            found[name] = measure(arguments.standin.resolve(), arguments.episodes, checkout, mode)
            for step, numbers in found[name].items():
                print(f"{name}: {step}: {cell(*numbers)}", flush=True)
    lines = ["| step | " + " | ".join(found) + " |", "|---|" + "---|" * len(found)]
    steps = next(iter(found.values()))
    lines += [f"| {step} | " + " | ".join(cell(*one[step]) for one in found.values()) + " |" for step in steps]
    facts = machine.describe("")
    named = "; ".join(facts[name] for name in ("processor", "system", "python"))
    text = f"{arguments.episodes:,} episodes; one run. {named}\n\n" + "\n".join(lines) + "\n"
    print(f"\n{text}")
    if arguments.write:
        put_into(ROOT / "bench" / "results" / "hosts.md", "bench/hosts.py", text)


if __name__ == "__main__":
    main()
