"""`plexindex doctor`: checks the setup, and proposes missing mappings."""

from __future__ import annotations

import os
import platform
import shlex
import sys

import click

from .. import __version__
from .._core import TYPE_CHECKING
from .._core import native as _native
from .._core.config import former_folder
from .._core.json_call import text_of
from ..changes import REFRESH_ERRORS
from ..errors import StoreError, TimeoutError, UnauthorizedError
from ..opening import open as open_index
from . import codes, output, token
from .check import PATIENCE
from .codes import UsageError
from .config import HOW_TO_NAME_A_SERVER, Settings
from .doctor_files import check_files, check_mappings, read_lists
from .libraries import library_dict, library_row, limit_text
from .options import Place, command, yes
from .output import count
from .refresh import fetch
from .report import Report
from .shared import contents, exit_code_of, hide_warnings
from .versions import version_lines

if TYPE_CHECKING:
    from ..index import Index
    from ..library import Library


@command()
@click.option("--sample", type=click.IntRange(1, 1_000_000), default=500, metavar="N",
              help="The number of files to check, spread over the whole tree (default: 500).")  # fmt: skip
@yes("Fetch missing libraries without asking for confirmation.")
@click.argument("path", nargs=-1, type=Place("file"))
def doctor(sample: int, yes: bool, path: tuple[str, ...]) -> int:
    """Check the setup, and find missing path mappings.

    The command checks the server, the token, the libraries, the store and the shared log. Each PATH is a folder, or a
    file that lists paths; - is standard input. The command matches a sample of these files, and proposes mappings for
    files without a match. Files that Plex ignores (`plexindex diff --rules`) count separately.

    \b
    Examples:
      plexindex doctor
      plexindex doctor /mnt/media

    JSON: one object with a field for each part of the report, problems (a list of sentences) and exit_code.
    """
    settings = Settings()
    hide_warnings()
    report = Report()
    _report_installation(report)
    try:
        settings.expect_folder()
        index = settings.open(retry_for=0)
    except StoreError as error:
        _check_database(report, settings)
        report.title("Store")
        report.bad(str(error), codes.STORE)
        report.line("\nWithout a store, doctor cannot check the server or its libraries.")
        return report.end()
    with index:
        is_database_usable = _check_database(report, settings)
        is_reached = _check_server(report, settings, index) and (is_database_usable or settings.url is not None)
        # Reading the database needs no request, so doctor can check even libraries that were never fetched.
        reads_database = settings.database is not None and is_database_usable and is_reached
        libraries = _report_libraries(report, index, offline=not reads_database)
        check_mappings(report, settings, libraries)
        _check_store(report, settings, index)
        _check_shared(report, settings, index)
        if not path:
            report.line("\nTo also check the files in a folder, run `plexindex doctor FOLDER`.")
            return report.end()
        try:
            lists = read_lists(path)
        except UsageError as error:
            report.title("Files")
            report.bad(error.message, codes.USAGE)
            return report.end()
        if is_reached and not reads_database:
            libraries = _fetch(report, index, libraries, yes)
        check_files(
            report, settings, index, libraries, path, lists, sample, is_listed=reads_database, is_reached=is_reached
        )
    return report.end()


def _report_installation(report: Report) -> None:
    native = _native.load()
    report.values["versions"] = {
        "plexindex": __version__,
        "library": native.get_version().decode(),
        "library_path": native.path,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    report.line("\n".join(version_lines()))


def _check_database(report: Report, settings: Settings) -> bool:
    """Reports and returns whether this machine can read Plex's database. Returns True if no database is specified."""
    if settings.database is None:
        return True
    from tempfile import TemporaryDirectory

    report.title("Plex's database")
    facts: dict[str, object] = {"file": settings.database, "usable": None, "why_not": None}
    report.values["database"] = facts
    if settings.offline:
        report.note(f"{settings.database}: not checked, because --offline was given")
        return False
    # Use a temporary store, because this check concerns only the database.
    with TemporaryDirectory() as folder, open_index(folder, database=settings.database) as index:
        try:
            server = index.server(timeout=settings.timeout or PATIENCE)
        except REFRESH_ERRORS as error:
            facts.update(usable=False, why_not=str(error))
            report.bad(f"cannot read the database: {error}", codes.of(error, database=True))
            return False
    facts.update(usable=True, libraries=server["libraries"], machine_identifier=server["machine_identifier"])
    report.good(f"can read {settings.database}: {count(server['libraries'], 'library', 'libraries')}")
    if server["machine_identifier"].startswith("database:"):
        report.note("cannot read Preferences.xml, so plexindex identifies the server by the path of the database")
    return True


def _check_server(report: Report, settings: Settings, index: Index) -> bool:
    """Checks whether the server responds and accepts the token. Returns whether doctor can use the server."""
    report.title("Server")
    facts: dict[str, object] = {"url": settings.url, "reached": False, "token_good": None}
    facts.update(url_from=settings.url_from or None, token_from=settings.token_from or None)
    report.values["server"] = facts
    if settings.url is None and settings.database is not None:
        report.note("no server is specified: plexindex uses only Plex's database")
        return not settings.offline
    if settings.url is None:
        report.bad(f"no server is specified: {HOW_TO_NAME_A_SERVER}", codes.USAGE)
        return False
    server_text = f"{settings.url} (from {settings.url_from})"
    if settings.offline:
        report.note(f"{server_text}: not checked, because --offline was given")
        return False
    try:
        server = index.server(timeout=settings.timeout or PATIENCE)
    except UnauthorizedError as error:
        facts.update(reached=True, token_good=False)
        report.good(f"{server_text} responds")
        what = f"the server rejected the token (from {settings.token_from})"
        report.bad(f"{what if settings.token else 'the server needs a token'}: {error}", codes.TOKEN)
        _check_token(report, settings, facts, "")
        return False
    except REFRESH_ERRORS as error:
        why = str(error)
        if isinstance(error, TimeoutError) and settings.timeout is None:
            why = (
                f"no response within {output.span(PATIENCE)}; check that this is a Plex server, and that the server is "
                "not busy"
            )
        report.bad(f"cannot reach {server_text}: {why}", codes.SERVER)
        return False
    answered = server["answered_us"] / 1_000_000
    facts.update(reached=True, token_good=settings.token is not None, version=server.get("version", ""),
                 machine_identifier=server["machine_identifier"], answered=answered)  # fmt: skip
    version = f"Plex {server.get('version', '') or 'of unknown version'}"
    report.good(f"{server_text} responds in {output.short(answered)}: {version}")
    libraries = count(server["libraries"], "library", "libraries")
    if settings.token is None:
        report.note(f"no token was given, and the server needs none: the server shows {libraries}")
    else:
        report.good(f"the token (from {settings.token_from}) is valid: the server shows {libraries}")
        _check_token(report, settings, facts, server["machine_identifier"])
    if not server["libraries"]:
        report.bad("the server shows no libraries to this token's user")
    database = report.values.get("database")
    if isinstance(database, dict) and database["usable"]:
        # If the database belonged to a different server, `index.server` would have failed.
        database.update(is_this_servers=True)
        report.good(f"Plex's database {settings.database} belongs to this server")
    return True


def _check_token(report: Report, settings: Settings, facts: dict[str, object], server: str) -> None:
    if settings.token is not None:
        is_renewed = settings.renew is not None
        token.check(report, facts, settings.token, server=server, is_renewed=is_renewed, database=settings.database)


def _report_libraries(report: Report, index: Index, *, offline: bool) -> list[Library]:
    report.title("Libraries")
    libraries = index.libraries(offline=offline)
    report.values["libraries"] = [library_dict(library) for library in libraries]
    if libraries:
        report.table([library_row(library) for library in libraries], right=(3,))
    else:
        report.note("the store contains no libraries yet")
    for library in libraries:
        _check_location(report, library)
    return libraries


def _check_store(report: Report, settings: Settings, index: Index) -> None:
    report.title("Store")
    try:
        store, now = index.store(), index.stats()
    except StoreError as error:
        report.bad(str(error), codes.STORE)
        return
    folder = text_of(store["folder"]) or ""
    limit = {"size_limit": now["size_limit"], "over_limit": now["over_limit"], "evictions": now["evictions"]}
    report.values["store"] = {**store, "folder": folder, **limit}
    free = "" if "free_bytes" not in store else f", {output.size(store['free_bytes'])} free"
    size = f"{folder}: {output.size(store['disk_bytes'])}{limit_text(now)}{free}"
    if now["over_limit"]:
        report.note(
            f"{size}\nplexindex cannot evict confirmed matches, tables, or the library listed last: increase size_limit"
        )
    else:
        report.good(size)
    former = former_folder() if settings.found.cache_dir.source == "the default" else folder
    if former != folder and os.path.isdir(former):
        command = f"plexindex --cache-dir {shlex.quote(former)} matches export | plexindex matches import"
        report.note(f"{former}, the former default folder, contains an index too: run `{command}`, then remove it")
    for name in store["broken"]:
        path = shlex.quote(os.path.join(folder, name))
        report.note(
            f"{name} is a damaged database; its tables are lost, but its confirmed matches may be readable: run "
            f"`plexindex matches export --broken {path} | plexindex matches import`, then remove the file"
        )
    file_system = store.get("file_system") or "unknown"
    if store["shares_memory"] and store["journal"] == "wal":
        report.good(f"file system: {file_system}; processes can share memory")
    else:
        report.note(
            f"file system: {file_system}; processes cannot share memory, so plexindex is slower\n"
            "choose a folder on a local disk with --cache-dir or PLEXINDEX_CACHE_DIR"
        )
    if store["locks"]:
        report.good("locks work (tested)")
    else:
        effect = "several processes may fetch the same library"
        report.bad(f"file locks do not work in the folder, so {effect}: {store.get('locks_error')}", codes.STORE)
    # Windows does not use Unix permission bits.
    if os.name != "nt" and os.path.exists(folder) and os.stat(folder).st_mode & 0o077:
        report.note(f"other users can read the folder: run chmod 700 {shlex.quote(folder)}")


def _check_location(report: Report, library: Library) -> None:
    """Reports that files lie directly in a library's folder, where Plex cannot tell which files belong together."""
    if library.age is None or library.kind == "photo":
        return
    folders = {location.rstrip("/\\") for location in library.locations}
    count_of = sum((item.path or "").rpartition("\\" if "\\" in (item.path or "") else "/")[0] in folders
                   for item in library.items(offline=True))  # fmt: skip
    if count_of:
        report.note(f"'{library.title}': {count(count_of, 'file lies', 'files lie')} directly in the library's folder; "
                    "a file in a folder of its own is matched more reliably")  # fmt: skip


def _check_shared(report: Report, settings: Settings, index: Index) -> None:
    """Reports the shared log's state and contents, and the number of entries that this host has not read."""
    if settings.shared is None:
        return
    report.title("Shared log")
    status = None if settings.offline else index.shared_status()
    if status is None:
        report.note("not checked, because --offline was given")
        return
    report.values["shared"] = status
    if not status["reachable"]:
        effect = "until the log responds, this host uses only its own folder and Plex"
        report.bad(f"{status.get('error')}\n{effect}\nsee docs/several-hosts.md", exit_code_of(status))
        return
    if status.get("error") is None:
        report.good(f"{status['address']} responds: {contents(status)}")
    else:
        effect = "this host can read other hosts' entries, but cannot write its own"
        report.bad(f"{status.get('error')}\n{effect}; {contents(status)}", exit_code_of(status))
    if status.get("behind") is None:
        report.note("this host has not read any entries yet")
    elif status.get("behind"):
        report.note(f"this host is {count(status['behind'], 'entry', 'entries')} behind")
    else:
        report.good("this host has read all entries")
    if status.get("undelivered"):
        report.note(f"{count(status['undelivered'], 'entry waits', 'entries wait')} on this host for delivery")


def _fetch(report: Report, index: Index, libraries: list[Library], yes: bool) -> list[Library]:
    """Fetches libraries that were never fetched, because otherwise their files cannot match. The user can decline."""
    unfetched = [library for library in libraries if library.age is None]
    if not unfetched:
        return libraries
    names = ", ".join(f"'{library.title}'" for library in unfetched)
    verb = "was" if len(unfetched) == 1 else "were"
    # Without a terminal, doctor fetches without asking, like the other commands.
    is_asked = not yes and sys.stdin.isatty() and sys.stderr.isatty()
    if is_asked and not output.is_confirmed(False, f"{names} {verb} never fetched: fetch now?", default=True):
        return libraries
    for library in unfetched:
        try:
            fetch(index, library)
        except REFRESH_ERRORS as error:
            report.bad(f"cannot fetch '{library.title}': {error}", codes.SERVER)
    return index.libraries(offline=True)
