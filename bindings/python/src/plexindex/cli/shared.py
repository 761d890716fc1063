"""`plexindex shared`: creates, shows, follows and empties the log that several hosts share."""

from __future__ import annotations

import time
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from . import codes, output
from .options import Command, given, yes
from .output import count, say
from .settings import Settings

if TYPE_CHECKING:
    from .._core.methods import SharedStatus, SharedView

# Seconds after which `shared follow` checks again whether the library has read more entries.
_POLL_SECONDS = 0.5


@click.group("shared", no_args_is_help=False)
def shared_command() -> None:
    """Manage the log in PostgreSQL that several hosts share."""


def _settings() -> Settings:
    settings = Settings()
    if settings.shared is None:
        raise click.UsageError("no shared log is specified: give --shared, or set PLEXINDEX_SHARED")
    if settings.offline:
        raise click.UsageError("`plexindex shared` needs PostgreSQL: omit --offline")
    return settings


@shared_command.command("init", cls=Command)
def init_command() -> int:
    """Create or upgrade the tables. This needs only PostgreSQL."""
    return _run("init")


@shared_command.command("status", cls=Command)
def status_command() -> int:
    """Show the log's contents, and what this host has not read.

    JSON: one object with address, reachable, error, server (the machine identifier), taken (the last entry that this
    folder has read), undelivered (the entries that this host has yet to deliver), behind (the most entries that this
    host has not read), and views (for each server and user: server, last, age in seconds, entries by kind, hosts,
    bytes).
    """
    return _run("status")


@shared_command.command("clear", cls=Command)
@yes
def clear_command(yes: bool) -> int:
    """Remove all entries of every server and user, after confirmation.

    Each host keeps its folder, but the other hosts lose the entries that they have not read yet.
    """
    return _run("clear", is_confirmed=yes)


@shared_command.command("follow", cls=Command)
def follow_command() -> int:
    """Read other hosts' entries, and deliver this host's, until Ctrl-C.

    Use it on a host where your tools run only briefly.

    JSON: one object with address, taken and undelivered at the start and after each change.
    """
    settings = _settings()
    if settings.url is None:
        raise click.UsageError("`plexindex shared follow` reads only one server's entries: give --server-url")
    if settings.timeout is not None:
        raise click.UsageError("`plexindex shared follow` runs until Ctrl-C: omit --timeout")
    with settings.open() as index:
        if not index.libraries(offline=True):
            # The index reads no entries until the server has accepted the token.
            index.libraries()
        with index.follow_shared() as following:
            before, progress = None, following.progress()
            if not given.get("json"):
                say(f"following {progress['address']}; press Ctrl-C to stop")
            while True:
                if given.get("json") and progress != before:
                    output.say_json(progress)
                time.sleep(_POLL_SECONDS)
                before, progress = progress, following.progress()


def hide_warnings() -> None:
    """Hides the library's warnings about the log unless -v was given, because the command reports the same problems."""
    import logging

    for handler in logging.getLogger("plexindex").handlers if not given.get("verbose") else ():
        handler.addFilter(lambda record: "shared log" not in record.getMessage())


def _run(action: str, *, is_confirmed: bool = False) -> int:
    settings = _settings()
    hide_warnings()
    given.pop("settings")  # errors come from PostgreSQL, so the Plex token is not the cause
    if action == "status" and settings.has_store():
        with settings.open() as index:
            return _print_status(index.shared_status())
    # These actions need only the log, and neither create nor change this host's folder.
    with TemporaryDirectory() as folder, settings.open(cache_dir=folder) as index:
        if action != "clear":
            tables = index.shared_init() if action == "init" else None
            no_store = f"this host has no index yet in {settings.folder}"
            return _print_status(index.shared_status(), tables=tables, no_store=no_store)
        status = index.shared_status()
        assert status is not None, "the option is set"
        question = (
            f"Empty the shared log {status['address']} ({contents(status)}), for all servers and users? Each host "
            "keeps its folder, but the other hosts lose the entries that they have not read yet."
        )
        if status["reachable"] and not output.is_confirmed(is_confirmed, question):
            return codes.NOT_ALL
        if status["reachable"]:
            index.shared_clear()
        return _print_status(index.shared_status(), no_store="each host keeps its folder")


def _print_status(status: SharedStatus | None, *, tables: str | None = None, no_store: str | None = None) -> int:
    assert status is not None, "the option is set"
    if given.get("json"):
        output.say_json({**status, "tables": tables})
    elif not status["reachable"]:
        output.complain(status.get("error") or "the shared log does not respond")
    else:
        if tables is None:
            say(f"{status['address']}: {contents(status)}")
            if status["views"]:
                header = ("server", "user", "hosts", "entries", "matches", "size", "last entry")
                output.print_table([header, *map(_view_row, status["views"])], right=(2, 3, 4), header=True)
            say(no_store or f"this host {'; '.join(behind(status))}")
        elif "error" not in status:
            what = "created the tables" if tables == "made" else "the tables exist"
            say(f"{status['address']} is ready: {what}, {contents(status)}")
        if "error" in status:
            output.complain(status["error"])
    return exit_code_of(status)


def exit_code_of(status: SharedStatus) -> int:
    if status.get("error_kind") is None:
        return codes.OK
    return codes.TOKEN if status.get("error_kind") in ("unauthorized", "forbidden") else codes.SERVER


def _view_row(view: SharedView) -> tuple[str, ...]:
    age = output.ago(view["age_ms"] / 1000) if "age_ms" in view else "–"
    entries, matches = sum(view["entries"].values()), view["entries"].get("match", 0)
    user = f"{view['user']} (this host's)" if view["own"] else view["user"]
    return (view["server"], user, str(view["hosts"]), f"{entries:,}", f"{matches:,}", output.size(view["bytes"]), age)


def behind(status: SharedStatus) -> list[str]:
    """Returns what this host has read, and how many entries wait on this host for delivery, if any."""
    if status.get("behind") is None:
        texts = [f"has read entry {status['taken']}" if "taken" in status else "has not read any entries yet"]
    elif status["behind"]:
        texts = [f"is {count(status['behind'], 'entry', 'entries')} behind"]
    else:
        texts = ["has read all entries"]
    waiting = status.get("undelivered")
    return [*texts, f"{count(waiting, 'entry waits', 'entries wait')} here for delivery"] if waiting else texts


def contents(status: SharedStatus) -> str:
    if not status["views"]:
        return "the log is empty"
    entries = sum(sum(view["entries"].values()) for view in status["views"])
    servers = len({view["server"] for view in status["views"]})
    hosts = max(view["hosts"] for view in status["views"])
    size = output.size(sum(view["bytes"] for view in status["views"]))
    return f"{count(entries, 'entry', 'entries')} of {count(servers, 'server')}, from {count(hosts, 'host')}, {size}"
