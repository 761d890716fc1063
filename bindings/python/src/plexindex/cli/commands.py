"""The small commands, and helpers for several commands. A command accepts its options and returns an exit code."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time

from .._core import TYPE_CHECKING
from ..changes import REFRESH_ERRORS
from ..errors import NotFetchedError
from ..library import Library
from . import codes, output
from .bar import Bar
from .codes import UsageError
from .config import HOW_TO_NAME_A_SERVER, Settings
from .output import count, number, say

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ..index import Index

# `warm` can run at night while the server restarts. Other commands give up after a few seconds.
_WARM_RETRY_SECONDS = 30.0


def libraries(options: argparse.Namespace) -> int:
    """Lists the libraries."""
    settings = Settings(options)
    with settings.open_for_answers() as index:
        if settings.reads_database_only:
            try:
                index.server()
            except REFRESH_ERRORS as error:
                if not index.libraries(offline=True):
                    raise
                output.complain(f"{error}; listing the libraries in the store")
        library_list = index.libraries()
    if options.json:
        output.say_json([library_dict(library) for library in library_list])
    elif library_list:
        header = ("id", "title", "kind", "items", "state", "folders")
        print_table([header, *map(library_row, library_list)], right=(3,))
    else:
        shows = (
            "Plex's database contains no libraries"
            if settings.reads_database_only
            else "the server shows no libraries to this token's user"
        )
        output.complain(f"{shows}; run `plexindex doctor` to find out why")
        return codes.NOT_ALL
    return codes.OK


def print_table(rows: list[tuple[str, ...]], right: tuple[int, ...]) -> None:
    """Prints a table whose first row is the header."""
    header, *lines = output.table(rows, right).split("\n")
    say("\n".join([output.paint(header, "bold"), *lines]))


def library_row(library: Library) -> tuple[str, ...]:
    """Returns the cells of a table row that describes a library."""
    state = "never fetched"
    if library.age is not None:
        state = f"{'fresh' if library.fresh else 'expired'}, checked {output.ago(library.age)}"
    items = "–" if library.age is None else number(library.item_count)
    return (library.section, library.title, library.kind, items, state, ", ".join(library.locations))


def library_dict(library: Library) -> dict[str, object]:
    """Returns a library as a dict that can be written as JSON."""
    facts = {
        name: getattr(library, name) for name in ("age", "fresh", "generation", "kind", "section", "title", "uuid")
    }
    return {**facts, "items": library.item_count, "locations": list(library.locations)}


def warm(options: argparse.Namespace) -> int:
    """Fetches missing and expired listings."""
    settings = Settings(options)
    if settings.offline:
        raise UsageError(f"warm needs {settings.source_name}: omit --offline")
    source = settings.url or settings.database
    if source is None:
        raise UsageError(f"no server is specified: {HOW_TO_NAME_A_SERVER}")
    with settings.open(retry_for=_WARM_RETRY_SECONDS) as index:
        if options.library:
            chosen = [(name, select_library(index, name)) for name in options.library]
        else:
            # The server may have new libraries, so first request its list of libraries.
            bar = Bar()
            bar.begin(source)
            try:
                index.server()
            finally:
                bar.drop()
            chosen = [(library.title, select_library(index, library.section)) for library in index.libraries()]
        late = [title for title, library in chosen if not fetch(index, title, library, full=options.full)]
    if late:
        verb = "was" if len(late) == 1 else "were"
        output.complain(f"the deadline passed before {', '.join(late)} {verb} fetched: run the command again to resume")
    return codes.NOT_YET if late else codes.OK


def fetch(index: Index, title: str, library: Library | None, *, full: bool = False) -> bool:
    """Refreshes a library, with a progress bar on a terminal. Returns False if the deadline passes first."""
    bar = Bar()
    listings = index.stats()["listings"]
    bar.begin(title)
    try:
        is_done = index.refresh(library, full, progress=bar)
    except BaseException:
        bar.drop()
        raise
    if index.stats()["listings"] > listings:
        bar.done()
        return is_done
    bar.drop()
    if is_done:
        output.remark(f"{title}  is up to date", terminal_only=True)
    return is_done


def select_library(index: Index, name: str | None) -> Library | None:
    """Returns the library whose title, section id or uuid is ``name``. None means all libraries."""
    if name is None:
        return None
    return index.library(name)


def read_stdin() -> bytes:
    """Reads all of standard input. If reading fails, the error message says 'standard input'."""
    try:
        return sys.stdin.buffer.read()
    except OSError as error:
        error.filename = "standard input"
        raise


def parse_paths(text: bytes, *, null: bool = False) -> list[bytes]:
    """Splits a list of paths at line ends or, with ``null``, at NULs. Skips empty paths."""
    if null:
        return [path for path in text.split(b"\0") if path]
    if b"\0" in text:
        raise UsageError("the list of paths contains NUL bytes: add --null for the output of `find -print0`")
    lines = [line for line in (line.rstrip(b"\r") for line in text.split(b"\n")) if line]
    return lines if os.name != "nt" else [_to_utf8(line) for line in lines]


def _to_utf8(line: bytes) -> bytes:
    """On Windows, converts a line of input to UTF-8, because `dir` writes to pipes in the console's code page."""
    try:
        line.decode()
        return line
    except UnicodeDecodeError:
        return line.decode("oem", "replace").encode()


def stats(options: argparse.Namespace) -> int:
    """Shows the contents of the index. With --watch, repeats this until Ctrl-C."""
    settings = Settings(options)
    settings.expect_folder()
    if not settings.has_store():
        raise NotFetchedError(f"nothing was fetched into {settings.folder} yet: run `plexindex warm`")
    with settings.open(offline=True) as index:
        before = None
        while True:
            before = _show_stats(index, options, before)
            if options.watch is None:
                return codes.OK
            time.sleep(options.watch)


def _show_stats(index: Index, options: argparse.Namespace, before: dict[str, Any] | None) -> dict[str, Any]:
    now: dict[str, Any] = {**index.stats()}
    if options.json:
        output.say_json({"folder": index.cache_dir, **{name: now[name] for name in _STORE_FIELDS}})
        return now
    rows = _stats_rows(index, now, before, options.watch)
    lines = output.table(rows)
    if options.watch is not None and output.is_terminal(sys.stdout):
        # A wrapped line would occupy two rows, and the next table would not cover it.
        columns = shutil.get_terminal_size().columns - 1
        lines = "\n".join(output.cut(line, columns) for line in lines.splitlines())
        # Move up over the previous table.
        lines = lines if before is None else f"\x1b[{len(rows)}A\x1b[J{lines}"
    elif before is not None:
        say()
    say(lines)
    sys.stdout.flush()
    return now


# The store's statistics. This process's own statistics would all be 0.
_STORE_FIELDS = ("libraries", "items", "matches", "store_answers", "store_requests", "disk_bytes", "size_limit",
                 "over_limit", "evictions", "sequence")  # fmt: skip


def _stats_rows(
    index: Index, now: dict[str, Any], before: dict[str, Any] | None, seconds: float | None
) -> list[tuple[str, str]]:
    def growth_of(field: str) -> str:
        if before is None or seconds is None:
            return ""
        growth = now[field] - before[field]
        return f"   +{number(growth)}, {number(growth / seconds)}/s" if growth > 0 else ""

    def since_creation(value: int, field: str) -> str:
        return f"{number(value)} since the store was created{growth_of(field)}"

    return [
        ("store", f"{index.cache_dir}, {output.size(now['disk_bytes'])} on disk{limit_text(now)}"),
        ("libraries", number(now["libraries"])),
        ("items", number(now["items"]) + growth_of("items")),
        ("matches", f"{number(now['matches'])} confirmed{growth_of('matches')}"),
        ("answers", since_creation(now["store_answers"], "store_answers")),
        ("requests", since_creation(now["store_requests"], "store_requests")),
        # The sequence starts at a random multiple of 2^32.
        ("writes", since_creation(now["sequence"] & 0xFFFF_FFFF, "sequence")),
    ]


def limit_text(now: Mapping[str, Any]) -> str:
    """Returns a description of the folder's size limit, to append to a line."""
    evicted = (
        f", {count(now['evictions'], 'library', 'libraries')} removed because of the limit" if now["evictions"] else ""
    )
    if not now["size_limit"]:
        return evicted
    over = f", too small by {output.size(now['over_limit'])}" if now["over_limit"] else ""
    return f" of {output.size(now['size_limit'])} allowed{over}{evicted}"


def clear(options: argparse.Namespace) -> int:
    """Empties the index of this server and user."""
    settings = Settings(options)
    settings.expect_folder()
    if not settings.has_store():
        say(f"{settings.folder} contains nothing for this server and user")
        return codes.OK
    with settings.open(offline=True) as index:
        now = index.stats()
        if not (now["libraries"] or now["matches"]):
            # Fails if the server has not accepted the token yet, because the index then does not know which data is the
            # user's.
            index.clear()
            say(f"{settings.folder} contains nothing for this server and user")
            return codes.OK
        contents = f"{count(now['items'], 'item')} of {count(now['libraries'], 'library', 'libraries')}"
        matches = f" and {count(now['matches'], 'confirmed match', 'confirmed matches')}" if now["matches"] else ""
        question = f"Empty the index in {index.cache_dir}: {contents}{matches}?"
        if not is_confirmed(options, "clear", question):
            return codes.NOT_ALL
        index.clear()
        size = index.stats()["disk_bytes"]
        sizes = f"{output.size(now['disk_bytes'])} on disk before, {output.size(size)} now"
        say(f"emptied {index.cache_dir}: {contents}; {sizes}")
    return codes.OK


def is_confirmed(options: argparse.Namespace, command: str, question: str) -> bool:
    """Returns whether the user agrees. Raises an error if there is neither a terminal nor --yes."""
    if options.yes:
        return True
    answer = output.confirm(question, default=False)
    if answer is None:
        raise UsageError(f"{command} asks for confirmation, but there is no terminal: add --yes")
    if not answer:
        output.remark("nothing was changed", terminal_only=True)
    return answer
