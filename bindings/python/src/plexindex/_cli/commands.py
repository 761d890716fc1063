"""Small commands: each is a function from its options to an exit code."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time

from .. import _constants as c
from .._errors import LibraryError, ServerError
from .._index import Library
from . import codes, output
from .bar import Bar
from .codes import UsageError
from .config import Settings
from .output import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._index import Index
    from .._library import LibraryInfo
    from .._stats import Stats

# A server that is down may be starting. `warm` waits for it, since it may run at night; other commands do not.
_PATIENCE = 30.0
# The advice without a server and a database.
HOW_TO_NAME = "give --url or --database, set PLEXINDEX_URL, or see `plexindex --help`"


def libraries(options: argparse.Namespace) -> int:
    """Lists the libraries."""
    settings = Settings(options)
    if settings.silent:
        settings.expect_folder()
        if not settings.has_store():
            raise nothing_to_ask(settings)
    with settings.open() as index:
        if settings.local:
            try:
                index.server()
            except ServerError as error:
                if not index.libraries(offline=True):
                    raise
                output.complain(f"listing what is known: {error}")
        found = index.libraries()
    if not found and settings.silent:
        raise nothing_to_ask(settings)
    if options.json:
        output.say_json([library_dict(library) for library in found])
    elif found:
        rows = [("id", "title", "kind", "items", "state", "folders")]
        head, *lines = output.table(rows + [library_row(library) for library in found], right=(3,)).split("\n")
        say("\n".join([output.paint(head, "bold"), *lines]))
    else:
        shows = (
            "Plex's database has no library" if settings.local else "the server shows no library to this token's user"
        )
        output.complain(f"{shows}; `plexindex doctor` says more")
        return codes.NOT_ALL
    return codes.OK


def nothing_to_ask(settings: Settings) -> LibraryError:
    """Creates the error for an empty store while no server is available."""
    named = settings.url or settings.database
    remedy = "omit --offline" if named is not None else HOW_TO_NAME
    return LibraryError(f"nothing was fetched into {settings.folder} yet, and no server is available: {remedy}")


def expect_source(settings: Settings) -> None:
    """Refuses --check if nothing may be asked."""
    if settings.silent:
        how = "omit --offline" if settings.offline else f"no server is known: {HOW_TO_NAME}"
        raise UsageError(f"--check asks {settings.asked}: {how}")


def library_row(library: LibraryInfo) -> tuple[str, ...]:
    """Returns a library as cells of a table."""
    items = "–" if library.age is None else output.number(library.items)
    return (library.section, library.title, library.kind, items, library_state(library), ", ".join(library.locations))


def library_state(library: LibraryInfo) -> str:
    """Describes the freshness of a library."""
    if library.age is None:
        return "never fetched"
    return f"{'fresh' if library.fresh else 'expired'}, checked {output.ago(library.age)}"


def library_dict(library: LibraryInfo) -> dict[str, object]:
    """Returns a library for JSON."""
    values = {name: getattr(library, name) for name in library.__slots__}
    return {**values, "locations": list(library.locations)}


def warm(options: argparse.Namespace) -> int:
    """Fetches what is missing or has expired."""
    settings = Settings(options)
    if settings.offline:
        raise UsageError(f"warm needs {settings.asked}: omit --offline")
    asked = settings.url or settings.database
    if asked is None:
        raise UsageError(f"no server is known: {HOW_TO_NAME}")
    with settings.open(retry_for=_PATIENCE) as index:
        if options.library:
            chosen = [(name, selected(index, name)) for name in options.library]
        else:
            # Asked even if libraries are known: there may be new ones.
            bar = Bar()
            bar.begin(asked)
            try:
                index.server()
            finally:
                bar.drop()
            chosen = [(library.title, selected(index, library.section)) for library in index.libraries()]
        late = [title for title, library in chosen if not fetch(index, title, library, full=options.full)]
    if late:
        were = "was" if len(late) == 1 else "were"
        output.complain(
            f"the deadline passed before {', '.join(late)} {were} fetched: run the same command again to resume"
        )
    return codes.NOT_YET if late else codes.OK


def fetch(index: Index, title: str, library: Library | None, *, full: bool = False) -> bool:
    """Refreshes a library, with a progress bar on a terminal. Returns False if the deadline came first."""
    bar = Bar()
    listings = index.stats().listings
    bar.begin(title)
    try:
        done = index.refresh(library, full, progress=bar)
    except BaseException:
        bar.drop()
        raise
    if index.stats().listings > listings:
        bar.done()
    elif done and bar.shows:
        bar.drop()
        output.note(f"{title}  is up to date")
    else:
        bar.drop()
    return done


def selected(index: Index, name: str | None) -> Library | None:
    """Returns a library by title, section id or uuid; None for all."""
    return (
        None if name is None else Library(index, index._select(c.SELECT_ANY, name), None, repr(name), {"title": name})
    )


def read_stdin() -> bytes:
    """Reads standard input to its end. An error names it."""
    try:
        return sys.stdin.buffer.read()
    except OSError as error:
        error.filename = "standard input"
        raise


def read_list(text: bytes, null: bool = False) -> list[bytes]:
    """Reads paths, one a line, or each followed by a NUL. Empty lines are skipped."""
    if null:
        return [path for path in text.split(b"\0") if path]
    if b"\0" in text:
        raise UsageError("the list of paths contains NUL bytes: add --null for the output of `find -print0`")
    lines = [line for line in (line.rstrip(b"\r") for line in text.split(b"\n")) if line]
    return lines if os.name != "nt" else [_in_utf8(line) for line in lines]


def _in_utf8(line: bytes) -> bytes:
    """Returns a line of Windows, where `dir` and others write to pipes in the console's code page."""
    try:
        line.decode()
        return line
    except UnicodeDecodeError:
        return line.decode("oem", "replace").encode()


def stats(options: argparse.Namespace) -> int:
    """Shows what is in the index."""
    settings = Settings(options)
    settings.expect_folder()
    if not settings.has_store():
        raise LibraryError(f"nothing was fetched into {settings.folder} yet: `plexindex warm` does that")
    with settings.open(offline=True) as index:
        if options.watch is None:
            _show_stats(index, options, None)
            return codes.OK
        before = None
        while True:
            before = _show_stats(index, options, before)
            time.sleep(options.watch)


def _show_stats(index: Index, options: argparse.Namespace, before: Stats | None) -> Stats:
    now = index.stats()
    if options.json:
        output.say_json({"folder": index.cache_dir, **{name: getattr(now, name) for name in _OF_THE_STORE}})
        return now
    lines = output.table(_stats_rows(index, now, before, options.watch))
    if options.watch is not None and output.is_terminal(sys.stdout):
        # A wrapped line would take two rows and shift the next table.
        columns = shutil.get_terminal_size().columns - 1
        lines = "\n".join(output.cut(line, columns) for line in lines.splitlines())
        # Move up over the previous table.
        lines = lines if before is None else f"\x1b[{len(_STATS_ROWS)}A\x1b[J{lines}"
    elif before is not None:
        say()
    say(lines)
    sys.stdout.flush()
    return now


# The statistics of the store. Those of this process would all be 0.
_OF_THE_STORE = ("libraries", "items", "matches", "store_answers", "store_requests", "disk_bytes", "size_limit",
                 "over_limit", "evictions", "sequence")  # fmt: skip
_STATS_ROWS = ("store", "libraries", "items", "matches", "answers", "requests", "writes")


def _stats_rows(index: Index, now: Stats, before: Stats | None, every: float | None) -> list[tuple[str, ...]]:
    def since(name: str) -> str:
        if before is None or every is None:
            return ""
        growth = getattr(now, name) - getattr(before, name)
        return f"   +{output.number(growth)}, {output.number(growth / every)}/s" if growth > 0 else ""

    facts = (
        f"{index.cache_dir}, {output.size(now.disk_bytes)} on disk{limit_of(now)}",
        output.number(now.libraries),
        output.number(now.items) + since("items"),
        f"{output.number(now.matches)} confirmed{since('matches')}",
        f"{output.number(now.store_answers)} since the store was made{since('store_answers')}",
        f"{output.number(now.store_requests)} since the store was made{since('store_requests')}",
        # It begins at a random multiple of 2^32.
        f"{output.number(now.sequence & 0xFFFF_FFFF)} since the store was made{since('sequence')}",
    )
    return list(zip(_STATS_ROWS, facts))


def limit_of(now: Stats) -> str:
    """Describes the size limit of the folder, for the end of a line."""
    went = f", {output.count(now.evictions, 'library', 'libraries')} removed for a limit" if now.evictions else ""
    if not now.size_limit:
        return went
    over = f", too small by {output.size(now.over_limit)}" if now.over_limit else ""
    return f" of {output.size(now.size_limit)} allowed{over}{went}"


def clear(options: argparse.Namespace) -> int:
    """Empties the index of this server and user."""
    settings = Settings(options)
    settings.expect_folder()
    nothing = f"there is nothing in {settings.folder} for this server and user"
    if not settings.has_store():
        say(nothing)
        return codes.OK
    with settings.open(offline=True) as index:
        now = index.stats()
        if not (now.libraries or now.matches):
            index.clear()  # fails where the server has not accepted the token: then nobody knows what there is
            say(nothing)
            return codes.OK
        if not options.yes:
            matches = f" and {output.count(now.matches, 'confirmed match', 'confirmed matches')}" if now.matches else ""
            answer = output.confirm(
                f"Empty the index in {index.cache_dir}: {output.count(now.items, 'item')} of "
                f"{output.count(now.libraries, 'library', 'libraries')}{matches}?",
                default=False,
            )
            if answer is None:
                raise UsageError("clear asks for confirmation, and there is no terminal: add --yes")
            if not answer:
                output.note("nothing was changed")
                return codes.NOT_ALL
        index.clear()
        what = f"{output.count(now.items, 'item')} of {output.count(now.libraries, 'library', 'libraries')}"
        left = index.stats().disk_bytes
        say(f"emptied {index.cache_dir}: {what}; it takes {output.size(left)}, {output.size(now.disk_bytes)} before")
    return codes.OK
