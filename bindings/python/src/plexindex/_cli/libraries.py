"""`plexindex libraries`, `refresh`, `stats`, `clear` and `matches`: what the index contains."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ..changes import REFRESH_ERRORS
from ..errors import NotFetchedError
from ..index import Index
from ..library import Library
from . import codes, output
from .match import read_stdin
from .options import UsageError, command, given
from .output import count
from .settings import Settings

# `refresh` can run at night while the server restarts or is busy. Other commands give up earlier.
_PATIENT = {"retry_for": 30.0, "read_timeout": 60.0}


@command("""libraries

    List the libraries and the age of each listing.

    The command asks the server only if the store contains no libraries yet. It always reads Plex's database if that is
    the only source.

    JSON: one object for each library.
    """)
def libraries_command() -> int:
    output.expect_tables()
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
        names = ("age", "fresh", "generation", "kind", "section", "title", "uuid", "locations")
        for library in listed:
            output.say_json({**{name: getattr(library, name) for name in names}, "items": library.item_count})
    elif listed:
        header = ("id", "title", "kind", "items", "state", "folders")
        output.print_table([header, *map(library_row, listed)], right=(3,), header=True)
    if not listed:
        output.complain(f"{settings.source_name} shows no libraries; run `plexindex doctor` to find out why")
    return codes.OK if listed else codes.NOT_ALL


def library_row(library: Library) -> tuple[str, ...]:
    state, items = "never fetched", "–"
    if library.age is not None:
        state = f"{'fresh' if library.fresh else 'expired'}, checked {output.ago(library.age)}"
        items = f"{library.item_count:,}"
    return (library.section, library.title, library.kind, items, state, ", ".join(library.locations))


@command("""refresh [LIBRARY]...

    Fetch missing and expired listings.

    LIBRARY is a title, section id or uuid; default: all libraries. The command shows a progress bar on a terminal,
    and otherwise prints nothing, so you can run it from cron. If a fetch is interrupted, the next run resumes it.

    JSON: one object for each library, with library, section and complete.

    Options:
      --full  Fetch the whole listing, even if the server reports no change.
    """)
def refresh_command(names: list[str], full: bool) -> int:
    settings = Settings()
    settings.expect_source("refresh")
    late = []
    with settings.open(**_PATIENT) as index:
        chosen = [index.library(name) for name in names]
        if not chosen:
            index.server()  # it may have new libraries
            chosen = index.libraries()
        for one in chosen:
            is_complete = fetch(index, one, full=full)
            late += [] if is_complete else [one.title]
            output.show({"library": one.title, "section": one.section, "complete": is_complete})
    if late:
        output.complain(
            f"not up to date yet: {', '.join(late)}; the time limit passed, or a second listing must confirm this one: "
            "run the command again in a minute"
        )
    return codes.SERVER if late else codes.OK


def fetch(index: Index, library: Library, *, full: bool = False) -> bool:
    """Refreshes a library, with a progress bar on a terminal. Returns whether it is then up to date."""
    listings, bar = index.stats()["listings"], output.Bar()
    try:
        is_done = library.refresh(full, progress=bar)
        if index.stats()["listings"] > listings:
            bar.done()
        elif is_done:
            bar.drop()
            output.remark(f"{library.title}  is up to date", terminal_only=True)
    finally:
        bar.drop()
    return is_done


# The store's statistics. This process's own statistics would all be 0.
_STORE_FIELDS = ("libraries", "items", "matches", "store_answers", "store_requests", "disk_bytes", "size_limit",
                 "over_limit", "evictions", "sequence")  # fmt: skip


@command("""stats

    Show the contents and usage of the index.

    The command sends no request. The counts include the answers and requests of all processes since the store was
    created.

    JSON: one object with folder, libraries, items, matches, store_answers, store_requests, disk_bytes, size_limit and
    over_limit (in bytes; 0 means none), evictions (libraries removed because of the limit), and sequence, which
    increases with each write.
    """)
def stats_command() -> int:
    output.expect_tables()
    settings = Settings()
    settings.expect_folder()
    if not settings.has_store():
        raise NotFetchedError(f"nothing was fetched into {settings.folder} yet: run `plexindex refresh`")
    with settings.open(offline=True) as index:
        now: dict[str, Any] = {**index.stats()}
        if given.get("json"):
            output.say_json({"folder": index.cache_dir, **{name: now[name] for name in _STORE_FIELDS}})
            return codes.OK
        since = " since the store was created"
        # The sequence starts at a random multiple of 2^36.
        counts = [
            *((name, now[name], "") for name in ("libraries", "items")), ("matches", now["matches"], " confirmed"),
            ("answers", now["store_answers"], since), ("requests", now["store_requests"], since),
            ("writes", now["sequence"] & 0xFFFF_FFFF, since),
        ]  # fmt: skip
        rows = [("store", f"{index.cache_dir}, {output.size(now['disk_bytes'])} on disk{limit_text(now)}")]
        output.print_table(rows + [(name, f"{value:,}{unit}") for name, value, unit in counts])
    return codes.OK


def limit_text(now: Mapping[str, Any]) -> str:
    removed = count(now["evictions"], "library", "libraries")
    evicted = f", {removed} removed because of the limit" if now["evictions"] else ""
    over = f", too small by {output.size(now['over_limit'])}" if now["over_limit"] else ""
    return f" of {output.size(now['size_limit'])} allowed{over}{evicted}" if now["size_limit"] else evicted


@command("""clear

    Delete the listings and confirmed matches.

    This concerns only the configured server and user. The command first asks for confirmation. plexindex fetches
    the listings again when it needs them, but the confirmed matches are lost; `plexindex matches export` saves
    them.

    JSON: one object with libraries, items, matches (the numbers that were deleted) and disk_bytes.

    Options:
      -y, --yes
    """)
def clear_command(yes: bool) -> int:
    settings, size = Settings(), 0
    settings.expect_folder()
    now: Any = {"libraries": 0, "items": 0, "matches": 0, "disk_bytes": 0}
    if settings.has_store():
        with settings.open(offline=True) as index:
            now = index.stats()
            question = f"Empty the index in {index.cache_dir}: {_contents(now)}?"
            if (now["libraries"] or now["matches"]) and not output.is_confirmed(yes, question):
                return codes.NOT_ALL
            # Fails if the server has not accepted the token yet, because it is then unknown which data is the user's.
            index.clear()
            size = index.stats()["disk_bytes"]
    text = f"{settings.folder} contains nothing for this server and user"
    if now["libraries"] or now["matches"]:
        before = output.size(now["disk_bytes"])
        text = f"emptied {settings.folder}: {_contents(now)}; {before} on disk before, {output.size(size)} now"
    output.show({**{name: now[name] for name in ("libraries", "items", "matches")}, "disk_bytes": size}, text)
    return codes.OK


def _contents(now: Mapping[str, Any]) -> str:
    matches = f" and {count(now['matches'], 'confirmed match', 'confirmed matches')}" if now["matches"] else ""
    return f"{count(now['items'], 'item')} of {count(now['libraries'], 'library', 'libraries')}{matches}"


_PER_CALL = 10_000


@command("""matches export

    Print the matches that tools recorded for this server and user.

    JSON: path, key, library_uuid, library_title and server (the machine identifier).

    Options:
      --broken FILE  Export the matches of all servers and users from this damaged database, which plexindex renamed to
        .broken.
    """)
def matches_export_command(broken: str | None) -> int:
    settings, file = Settings(), None if broken is None else os.fsencode(os.path.abspath(broken))
    settings.expect_folder()
    with settings.open() as index:
        page = index.call("matches.export", {"broken": file, "limit": _PER_CALL})
        if not page["matches"]:
            output.remark("no matches were recorded", terminal_only=True)
        while True:
            for match in page["matches"]:
                output.say_json(match)
            if page.get("cursor") is None:
                return codes.OK
            page = index.call("matches.export", {"broken": file, "limit": _PER_CALL, "cursor": page["cursor"]})


@command("""matches import

    Record matches from lines of `matches export` on standard input.

    A path that already has a match keeps it.

    JSON: one object with recorded, kept (paths that already had a match) and skipped (matches in libraries that the
    server does not have).
    """)
def matches_import_command() -> int:
    settings, total, lines = Settings(), Counter(recorded=0, kept=0, skipped=0), []
    for number, line in enumerate(read_stdin().split(b"\n"), 1):
        try:
            lines += [json.loads(line)] if line.strip() else []
        except (ValueError, RecursionError) as error:
            hint = "give the output of `matches export`"
            raise UsageError(f"line {number} is not JSON: {error}; {hint}") from error
    with settings.open() as index:
        for start in range(0, len(lines), _PER_CALL):
            some = lines[start : start + _PER_CALL]
            total.update(index.call("matches.import", {"matches": some, "offline": settings.offline}))
    output.say_json(total)
    return codes.NOT_ALL if total["skipped"] else codes.OK
