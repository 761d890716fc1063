"""`plexindex shared`: creates, shows and clears the database that several hosts share."""

from __future__ import annotations

from tempfile import TemporaryDirectory

from .._core import log
from .._core.methods import SharedStatus, SharedView
from . import codes, output
from .options import UsageError, command, given
from .output import count, say
from .settings import Settings


def _settings() -> Settings:
    settings = Settings()
    if settings.shared is None:
        raise UsageError("no shared database is specified: give --shared, or set PLEXINDEX_SHARED")
    if settings.offline:
        raise UsageError("`plexindex shared` needs PostgreSQL: omit --offline")
    return settings


@command("""shared init

    Create the tables. This needs only PostgreSQL.
    """)
def shared_init_command() -> int:
    return _run("init")


@command("""shared status

    Show what the database has, and what this host has not read.

    JSON: one object with address, reachable, error, failing_since_ms, taken (the last row that this folder has read),
    undelivered (what the database may not have yet), lost (what went before it was delivered), behind (the rows that
    this host has not read), and views (for each server and user: server, user, own, last, age_ms, matches, taken_back,
    bytes).
    """)
def shared_status_command() -> int:
    output.expect_tables()
    return _run("status")


@command("""shared clear

    Take back all confirmed matches of this server and user, on all hosts, after confirmation.

    Options:
      -y, --yes
    """)
def shared_clear_command(yes: bool) -> int:
    settings = _settings()
    if settings.url is None:
        raise UsageError("`plexindex shared clear` takes back one server's matches: give --server-url")
    hide_warnings()
    with settings.open() as index:
        status = index.shared.status()
        assert status is not None, "the option is set"
        if status["reachable"]:
            index.libraries()  # identifies the server
            question = (
                f"Take back all confirmed matches of this server and user in {status['address']} "
                f"({contents(status)}), on all hosts?"
            )
            if not output.is_confirmed(yes, question):
                return codes.NOT_ALL
            given.pop("settings")  # errors come from PostgreSQL, so the Plex token is not the cause
            index.shared.clear()
        return _print_status(index.shared.status())


@command("""shared drop-old

    Remove the tables of versions that shared a log, after confirmation. Their matches stay.

    Options:
      -y, --yes
    """)
def shared_drop_old_command(yes: bool) -> int:
    return _run("drop-old", is_confirmed=yes)


def hide_warnings() -> None:
    """Hides the library's warnings about the database unless -v was given: the command reports the same problems."""
    for handler in () if given.get("verbose") else log.logger().handlers:
        handler.addFilter(lambda record: "shared database" not in record.getMessage())


def _run(action: str, *, is_confirmed: bool = False) -> int:
    settings = _settings()
    hide_warnings()
    given.pop("settings")  # errors come from PostgreSQL, so the Plex token is not the cause
    if action == "status" and settings.has_store():
        with settings.open() as index:
            return _print_status(index.shared.status())
    # These actions need only the database, and neither create nor change this host's folder.
    with TemporaryDirectory() as folder, settings.open(cache_dir=folder) as index:
        tables = None
        if action == "drop-old":
            question = f"Remove the schema plexindex of earlier versions from {settings.shared}?"
            if not output.is_confirmed(is_confirmed, question):
                return codes.NOT_ALL
            index.shared.drop_old()
        elif action == "init":
            tables = index.shared.init()
        no_store = f"this host has no index yet in {settings.folder}"
        return _print_status(index.shared.status(), tables=tables, no_store=no_store)


def _print_status(status: SharedStatus | None, *, tables: str | None = None, no_store: str | None = None) -> int:
    assert status is not None, "the option is set"
    if given.get("json"):
        output.say_json({**status, "tables": tables})
    elif not status["reachable"]:
        output.complain(status.get("error") or "the shared database does not respond")
    else:
        if tables is None:
            say(f"{status['address']}: {contents(status)}")
            if status["views"]:
                header = ("server", "user", "matches", "taken back", "size", "last write")
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
    user = f"{view['user']} (this host's)" if view["own"] else view["user"]
    return (view["server"], user, f"{view['matches']:,}", f"{view['taken_back']:,}", output.size(view["bytes"]), age)


def behind(status: SharedStatus) -> list[str]:
    """Returns what this host has read, and how much waits on this host for delivery, if anything."""
    if status.get("behind") is None:
        texts = [f"has read row {status['taken']}" if "taken" in status else "has not read anything yet"]
    elif status["behind"]:
        texts = [f"is {count(status['behind'], 'row')} behind"]
    else:
        texts = ["has read everything"]
    if waiting := status.get("undelivered"):
        texts.append(f"{count(waiting, 'row waits', 'rows wait')} here for delivery")
    if lost := status.get("lost"):
        texts.append(f"{count(lost, 'match', 'matches')} went before they were delivered: raise matches_limit")
    return texts


def contents(status: SharedStatus) -> str:
    if not status["views"]:
        return "the database is empty"
    matches = sum(view["matches"] for view in status["views"])
    servers = len({view["server"] for view in status["views"]})
    size = output.size(sum(view["bytes"] for view in status["views"]))
    return f"{count(matches, 'match', 'matches')} of {count(servers, 'server')}, {size}"
