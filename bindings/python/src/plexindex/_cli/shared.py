"""`plexindex shared`: prepares, shows, follows and empties the log that several hosts share."""

from __future__ import annotations

import sys
import time

from . import codes, output
from .codes import UsageError
from .config import Settings
from .output import count, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from .._index import Index
    from .._shared import SharedStatus, SharedView

# Seconds between two looks at what the library has taken. It takes it by itself.
_LOOK = 0.5
_HOW_TO_NAME = "give --shared, set PLEXINDEX_SHARED, or write 'shared' into plexapi's file (`plexindex --help`)"


def shared(options: argparse.Namespace) -> int:
    """Prepares, shows, follows or empties the shared log. Returns the exit code."""
    settings = Settings(options)
    if settings.shared is None:
        raise UsageError(f"no shared log is named: {_HOW_TO_NAME}")
    if settings.offline:
        raise UsageError("shared needs PostgreSQL: omit --offline")
    if options.action == "follow":
        return _follow(settings, options)
    # Errors are PostgreSQL's: Plex is not asked, so its token is not the cause.
    options.token_from = ""
    say_once(options)
    if options.action == "status" and settings.has_store():
        with settings.open() as index:
            return _show(_status(index), options)
    from tempfile import TemporaryDirectory

    # These are about the log alone: this host's folder is neither made nor changed.
    with TemporaryDirectory() as folder, settings.open(folder=folder) as index:
        if options.action == "clear":
            return _clear(index, options)
        tables = index.shared_init() if options.action == "init" else None
        status = _status(index)
        no_store = f"this host has no index yet in {settings.folder}" if tables is None else None
        return _show(status, options, tables=tables, no_store=no_store)


def say_once(options: argparse.Namespace) -> None:
    """Leaves the library's warning out that the log does not answer, unless -v is given: the command says it itself."""
    if not options.verbose:
        output.leave_out("; answering from this host's folder, and keeping its entries there")
        output.leave_out("the shared log rejects this host's entries")


def _status(index: Index) -> SharedStatus:
    status = index.shared_status()
    assert status is not None, "the option is set"
    return status


def _show(
    status: SharedStatus, options: argparse.Namespace, *, tables: str | None = None, no_store: str | None = None
) -> int:
    if options.json:
        output.say_json(status.as_dict() if tables is None else {**status.as_dict(), "tables": tables})
    elif not status.reachable:
        output.complain(status.error or "the shared log does not answer")
    elif options.action == "init":
        if status.error is None:
            done = "the tables were made" if tables == "made" else "the tables were there"
            say(f"{status.address} is ready: {done}, {holdings(status)}")
    else:
        say(f"{status.address}: {holdings(status)}")
        if status.views:
            rows = [("server", "user", "hosts", "entries", "matches", "size", "last entry")]
            head, *lines = output.table(rows + [_row(view) for view in status.views], right=(2, 3, 4)).split("\n")
            say("\n".join([output.paint(head, "bold"), *lines]))
        say(no_store or _of_this_host(status))
    if status.reachable and status.error is not None and not options.json:
        output.complain(status.error)
    return code_of(status)


def code_of(status: SharedStatus) -> int:
    """Returns the exit code for what the shared log says."""
    if status.error_kind is None:
        return codes.OK
    return codes.TOKEN if status.error_kind in ("unauthorized", "forbidden") else codes.SERVER


def _row(view: SharedView) -> tuple[str, ...]:
    age = "–" if view.age is None else output.ago(view.age)
    entries, matches = sum(view.entries.values()), view.entries.get("match", 0)
    user = f"{view.user} (this host's)" if view.own else view.user
    counts = (str(view.hosts), output.number(entries), output.number(matches), output.size(view.bytes))
    return (view.server, user, *counts, age)


def _of_this_host(status: SharedStatus) -> str:
    if status.behind is None:
        behind = "has taken nothing from it yet" if status.taken is None else f"has taken entry {status.taken}"
    elif status.behind:
        behind = f"has not taken {count(status.behind, 'entry', 'entries')} of other hosts yet"
    else:
        behind = "has all of it"
    waits = count(status.undelivered or 0, "entry waits", "entries wait")
    return f"this host {behind}" + (f"; {waits} to be delivered" if status.undelivered else "")


def holdings(status: SharedStatus) -> str:
    """Describes what the log holds, in a few words."""
    if not status.views:
        return "it is empty"
    entries = sum(sum(view.entries.values()) for view in status.views)
    servers = len({view.server for view in status.views})
    hosts = max(view.hosts for view in status.views)
    size = output.size(sum(view.bytes for view in status.views))
    return f"{count(entries, 'entry', 'entries')} of {count(servers, 'server')}, from {count(hosts, 'host')}, {size}"


def _follow(settings: Settings, options: argparse.Namespace) -> int:
    if settings.url is None:
        raise UsageError("shared follow reads entries of one server: give --url, or set PLEXINDEX_URL")
    if options.deadline is not None:
        raise UsageError("shared follow runs until Ctrl-C: omit --deadline")
    with settings.open() as index:
        if not index.libraries(offline=True):
            # Nothing is taken before the server has accepted the token.
            index.libraries()
        with index.follow_shared() as following:
            place = following.progress()
            if options.json:
                output.say_json(place)
            else:
                say(f"following {place['address']}; Ctrl-C ends it")
            while True:
                sys.stdout.flush()
                time.sleep(_LOOK)
                known, place = place, following.progress()
                if options.json and place != known:
                    output.say_json(place)


def _clear(index: Index, options: argparse.Namespace) -> int:
    status = _status(index)
    if not status.reachable:
        return _show(status, options)
    if not options.yes:
        answer = output.confirm(
            f"Empty the shared log {status.address} ({holdings(status)}), for all servers and users? Each host keeps "
            "its folder; what no other host has taken yet is lost to the others.",
            default=False,
        )
        if answer is None:
            raise UsageError("shared clear asks for confirmation, and there is no terminal: add --yes")
        if not answer:
            output.note("nothing was changed")
            return codes.NOT_ALL
    index.shared_clear()
    if options.json:
        output.say_json(_status(index).as_dict())
    else:
        say(f"emptied {status.address}: it had {holdings(status)}; each host keeps its folder")
    return codes.OK
