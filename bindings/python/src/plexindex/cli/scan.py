"""`plexindex scan`: tells Plex to scan the folders of files."""

from __future__ import annotations

import os
import time

import click

from . import codes, output
from .config import Settings
from .match import match_text, read_paths
from .options import SECONDS, Place, command, given, null
from .output import say
from .progress import Bar


@command()
@null
@click.option("--wait", type=SECONDS, metavar="SECONDS",
              help="Wait at most this long until Plex lists the files, and print their items.")  # fmt: skip
@click.argument("path", nargs=-1, required=True, type=Place("file"))
def scan(null: bool, wait: float | None, path: tuple[str, ...]) -> int:
    """Tell Plex to scan the folder of each path.

    The command sends one request for each folder. PATH is a file, or a folder of this machine; - reads paths from
    standard input. The mappings translate the paths. The command refuses paths that lie in no library's folder.

    \b
    Example:
      plexindex scan --wait 60 "/mnt/media/movies/Spring (2019)/Spring.mkv"

    JSON: one object for each path, with path, folder (on the server, null if refused), library, section, message (why
    the path was refused), and match (with --wait, the object of match --json).
    """
    settings = Settings()
    given_paths, bar = list(read_paths(path, null)), Bar()
    misses = codes.Misses(offline=False)
    with settings.open(progress=bar) as index:
        # A folder's parent is not what the user means.
        paths = [one + b"/" if os.path.isdir(one) and not one.endswith(b"/") else one for one in given_paths]
        answers = index.call("server.scan", {"paths": paths})["paths"]
        bar.drop()
        end = time.monotonic() + (wait or 0)
        for one, answer in zip(given_paths, answers):
            match = None
            if wait is not None and "folder" in answer and not (os.path.isdir(one) or one.endswith(b"/")):
                left = max(end - time.monotonic(), 0)
                match = index.library(section=answer["section"]).wait_for(one, timeout=left)
                misses.count(match)
            if given.get("json"):
                names = ("folder", "library", "section", "message")
                fields = {name: answer.get(name) for name in names}
                output.say_json(
                    {"path": os.fsdecode(one), **fields, "match": None if match is None else match.to_dict()}
                )
            elif "folder" not in answer:
                output.complain(f"{os.fsdecode(one)}: {answer['message']}")
            elif match is not None:
                say(match_text(os.fsdecode(one), match))
            else:
                say(f"{output.one_line(os.fsdecode(one))}\n  Plex scans {output.one_line(answer['folder'])}")
    return codes.NOT_ALL if any("folder" not in answer for answer in answers) else misses.code()
