"""`plexindex libraries`, `stats` and `clear`: what the index contains."""

from __future__ import annotations

import sys
import time

import click

from .._core import TYPE_CHECKING
from ..changes import REFRESH_ERRORS
from ..errors import NotFetchedError
from . import codes, output
from .config import Settings
from .options import SECONDS, command, given, yes
from .output import count, number, say

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ..index import Index
    from ..library import Library


@command()
def libraries() -> int:
    """List the libraries and the age of each listing.

    The command asks the server only if the store contains no libraries yet. It always reads Plex's database if that is
    the only source.

    JSON: one object for each library.
    """
    settings = Settings()
    with settings.open_for_answers() as index:
        if settings.reads_database_only:
            try:
                index.server()
            except REFRESH_ERRORS as error:
                if not index.libraries(offline=True):
                    raise
                output.complain(f"{error}; listing the libraries in the store")
        listed = index.libraries()
    if given.get("json"):
        for library in listed:
            output.say_json(library_dict(library))
    elif listed:
        header = ("id", "title", "kind", "items", "state", "folders")
        output.print_table([header, *map(library_row, listed)], right=(3,), header=True)
    if not listed:
        output.complain(f"{settings.source_name} shows no libraries; run `plexindex doctor` to find out why")
    return codes.OK if listed else codes.NOT_ALL


def library_row(library: Library) -> tuple[str, ...]:
    """Returns the cells of a table row that describes a library."""
    state = "never fetched"
    if library.age is not None:
        state = f"{'fresh' if library.fresh else 'expired'}, checked {output.ago(library.age)}"
    items = "–" if library.age is None else number(library.item_count)
    return (library.section, library.title, library.kind, items, state, ", ".join(library.locations))


def library_dict(library: Library) -> dict[str, object]:
    """Returns a library as a dict that can be written as JSON."""
    names = ("age", "fresh", "generation", "kind", "section", "title", "uuid")
    facts = {name: getattr(library, name) for name in names}
    return {**facts, "items": library.item_count, "locations": list(library.locations)}


@command()
@click.option("--every", type=SECONDS, metavar="SECONDS",
              help="Repeat at this interval until Ctrl-C, and show how much each count has grown.")  # fmt: skip
def stats(every: float | None) -> int:
    """Show the contents and usage of the index.

    The command sends no request. The counts include the answers and requests of all processes since the store was
    created.

    JSON: one object with folder, libraries, items, matches, store_answers, store_requests, disk_bytes, size_limit and
    over_limit (in bytes; 0 means none), evictions (libraries removed because of the limit), and sequence, which
    increases with each write.
    """
    settings = Settings()
    settings.expect_folder()
    if not settings.has_store():
        raise NotFetchedError(f"nothing was fetched into {settings.folder} yet: run `plexindex refresh`")
    with settings.open(offline=True) as index:
        before = None
        while True:
            before = _show_stats(index, before, every)
            if every is None:
                return codes.OK
            sys.stdout.flush()
            time.sleep(every)


# The store's statistics. This process's own statistics would all be 0.
_STORE_FIELDS = ("libraries", "items", "matches", "store_answers", "store_requests", "disk_bytes", "size_limit",
                 "over_limit", "evictions", "sequence")  # fmt: skip


def _show_stats(index: Index, before: dict[str, Any] | None, every: float | None) -> dict[str, Any]:
    now: dict[str, Any] = {**index.stats()}
    if given.get("json"):
        output.say_json({"folder": index.cache_dir, **{name: now[name] for name in _STORE_FIELDS}})
        return now
    if before is not None:
        # On a terminal, the table covers the previous one.
        say("\x1b[H\x1b[J" if output.is_terminal(sys.stdout) else "")

    def line(name: str, field: str, unit: str = "") -> tuple[str, str]:
        growth = now[field] - before[field] if before else 0
        rate = f"   +{number(growth)}, {number(growth / every)}/s" if every and growth > 0 else ""
        # The sequence starts at a random multiple of 2^32.
        return name, f"{number(now[field] & 0xFFFF_FFFF if field == 'sequence' else now[field])}{unit}{rate}"

    since = " since the store was created"
    output.print_table([
        ("store", f"{index.cache_dir}, {output.size(now['disk_bytes'])} on disk{limit_text(now)}"),
        line("libraries", "libraries"),
        line("items", "items"),
        line("matches", "matches", " confirmed"),
        line("answers", "store_answers", since),
        line("requests", "store_requests", since),
        line("writes", "sequence", since),
    ])  # fmt: skip
    return now


def limit_text(now: Mapping[str, Any]) -> str:
    """Returns a description of the folder's size limit, to append to a line."""
    removed = count(now["evictions"], "library", "libraries")
    evicted = f", {removed} removed because of the limit" if now["evictions"] else ""
    over = f", too small by {output.size(now['over_limit'])}" if now["over_limit"] else ""
    return f" of {output.size(now['size_limit'])} allowed{over}{evicted}" if now["size_limit"] else evicted


@command()
@yes("Do not ask for confirmation.")
def clear(yes: bool) -> int:
    """Delete the listings and confirmed matches.

    This concerns only the configured server and user. The command first asks for confirmation. plexindex fetches
    the listings again when it needs them, but the confirmed matches are lost; `plexindex matches export` saves
    them.

    JSON: one object with libraries, items, matches (the numbers that were deleted) and disk_bytes.
    """
    settings = Settings()
    settings.expect_folder()
    now: Any = {"libraries": 0, "items": 0, "matches": 0, "disk_bytes": 0}
    size = 0
    if settings.has_store():
        with settings.open(offline=True) as index:
            now = index.stats()
            question = f"Empty the index in {index.cache_dir}: {_contents(now)}?"
            if (now["libraries"] or now["matches"]) and not output.is_confirmed(yes, question):
                return codes.NOT_ALL
            # Fails if the server has not accepted the token yet, because it is then unknown which data is the user's.
            index.clear()
            size = index.stats()["disk_bytes"]
    if given.get("json"):
        output.say_json({**{name: now[name] for name in ("libraries", "items", "matches")}, "disk_bytes": size})
    elif now["libraries"] or now["matches"]:
        before = output.size(now["disk_bytes"])
        say(f"emptied {settings.folder}: {_contents(now)}; {before} on disk before, {output.size(size)} now")
    else:
        say(f"{settings.folder} contains nothing for this server and user")
    return codes.OK


def _contents(now: Mapping[str, Any]) -> str:
    matches = f" and {count(now['matches'], 'confirmed match', 'confirmed matches')}" if now["matches"] else ""
    return f"{count(now['items'], 'item')} of {count(now['libraries'], 'library', 'libraries')}{matches}"
