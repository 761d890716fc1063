"""`plexindex shared`: creates, shows, follows and empties the log that several hosts share."""

from __future__ import annotations

import sys
import time

from .._core import TYPE_CHECKING
from . import codes, commands, output
from .codes import UsageError
from .config import Settings
from .output import count, number, say

if TYPE_CHECKING:
    import argparse

    from .._core.methods import SharedStatus, SharedView
    from ..index import Index

# Seconds after which `shared follow` checks again whether the library has read more entries.
_POLL_SECONDS = 0.5


def shared(options: argparse.Namespace) -> int:
    """Creates, shows, follows or empties the shared log."""
    settings = Settings(options)
    if settings.shared is None:
        raise UsageError("no shared log is specified: give --shared, or set PLEXINDEX_SHARED")
    if settings.offline:
        raise UsageError("`plexindex shared` needs PostgreSQL: omit --offline")
    if options.action == "follow":
        return _follow(settings, options)
    options.token_from = ""  # errors come from PostgreSQL, so the Plex token is not the cause
    hide_warnings(options)
    if options.action == "status" and settings.has_store():
        with settings.open() as index:
            return _print_status(_get_status(index), options)
    from tempfile import TemporaryDirectory

    # These actions need only the log, and neither create nor change this host's folder.
    with TemporaryDirectory() as folder, settings.open(folder=folder) as index:
        if options.action == "clear":
            return _clear(index, options)
        tables = index.shared_init() if options.action == "init" else None
        no_store = f"this host has no index yet in {settings.folder}"
        return _print_status(_get_status(index), options, tables=tables, no_store=no_store)


def hide_warnings(options: argparse.Namespace) -> None:
    """Hides the library's warnings about the log unless -v was given, because the command reports the same problems."""
    if not options.verbose:
        output.hide_log_lines("shared log")


def _get_status(index: Index) -> SharedStatus:
    status = index.shared_status()
    assert status is not None, "the option is set"
    return status


def _print_status(
    status: SharedStatus, options: argparse.Namespace, *, tables: str | None = None, no_store: str | None = None
) -> int:
    if options.json:
        output.say_json({**status, **({} if tables is None else {"tables": tables})})
        return exit_code_of(status)
    if not status["reachable"]:
        output.complain(status.get("error") or "the shared log does not respond")
        return exit_code_of(status)
    if options.action == "init" and status.get("error") is None:
        what = "created the tables" if tables == "made" else "the tables exist"
        say(f"{status['address']} is ready: {what}, {contents(status)}")
    elif options.action != "init":
        say(f"{status['address']}: {contents(status)}")
        if status["views"]:
            header = ("server", "user", "hosts", "entries", "matches", "size", "last entry")
            commands.print_table([header, *map(_view_row, status["views"])], right=(2, 3, 4))
        say(no_store or _host_text(status))
    if "error" in status:
        output.complain(status["error"])
    return exit_code_of(status)


def exit_code_of(status: SharedStatus) -> int:
    """Returns the exit code for a status of the log."""
    if status.get("error_kind") is None:
        return codes.OK
    return codes.TOKEN if status.get("error_kind") in ("unauthorized", "forbidden") else codes.SERVER


def _view_row(view: SharedView) -> tuple[str, ...]:
    age = output.ago(view["age_ms"] / 1000) if "age_ms" in view else "–"
    entries, matches = sum(view["entries"].values()), view["entries"].get("match", 0)
    user = f"{view['user']} (this host's)" if view["own"] else view["user"]
    return (view["server"], user, str(view["hosts"]), number(entries), number(matches), output.size(view["bytes"]), age)


def _host_text(status: SharedStatus) -> str:
    if status.get("behind") is None:
        text = f"has read entry {status['taken']}" if "taken" in status else "has not read any entries yet"
    elif status.get("behind"):
        text = f"is {count(status['behind'], 'entry', 'entries')} behind"
    else:
        text = "has read all entries"
    waiting = (
        f"; {count(status['undelivered'], 'entry waits', 'entries wait')} here" if status.get("undelivered") else ""
    )
    return f"this host {text}{waiting}"


def contents(status: SharedStatus) -> str:
    """Returns a short description of the log's contents."""
    if not status["views"]:
        return "the log is empty"
    entries = sum(sum(view["entries"].values()) for view in status["views"])
    servers = len({view["server"] for view in status["views"]})
    hosts = max(view["hosts"] for view in status["views"])
    size = output.size(sum(view["bytes"] for view in status["views"]))
    return f"{count(entries, 'entry', 'entries')} of {count(servers, 'server')}, from {count(hosts, 'host')}, {size}"


def _follow(settings: Settings, options: argparse.Namespace) -> int:
    if settings.url is None:
        raise UsageError("`plexindex shared follow` reads only one server's entries: give --url, or set PLEXINDEX_URL")
    if options.deadline is not None:
        raise UsageError("`plexindex shared follow` runs until Ctrl-C: omit --deadline")
    with settings.open() as index:
        if not index.libraries(offline=True):
            # The index reads no entries until the server has accepted the token.
            index.libraries()
        with index.follow_shared() as following:
            progress = following.progress()
            if options.json:
                output.say_json(progress)
            else:
                say(f"following {progress['address']}; press Ctrl-C to stop")
            while True:
                sys.stdout.flush()
                time.sleep(_POLL_SECONDS)
                before, progress = progress, following.progress()
                if options.json and progress != before:
                    output.say_json(progress)


def _clear(index: Index, options: argparse.Namespace) -> int:
    status = _get_status(index)
    if not status["reachable"]:
        return _print_status(status, options)
    question = (
        f"Empty the shared log {status['address']} ({contents(status)}), for all servers and users? Each host keeps "
        "its folder, but the other hosts lose the entries that they have not read yet."
    )
    if not commands.is_confirmed(options, "shared clear", question):
        return codes.NOT_ALL
    index.shared_clear()
    if options.json:
        output.say_json(_get_status(index))
    else:
        say(f"emptied {status['address']}: {contents(status)}; each host keeps its folder")
    return codes.OK
