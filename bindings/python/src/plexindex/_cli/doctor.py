"""`plexindex doctor`: checks what works, and finds missing mappings with evidence."""

from __future__ import annotations

import os
import platform
import shlex

from .. import __version__, _native
from .._errors import ForbiddenError, ServerError, StoreError, TimeoutError, UnauthorizedError
from .._open import open as open_index
from . import codes, commands, output, token
from .check import PATIENCE
from .codes import UsageError
from .config import Settings
from .doctor_files import check_files, check_mappings, read_lists
from .doctor_report import Report
from .doctor_shared import check_shared
from .output import count, say
from .shared import say_once
from .versions import version_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from .._index import Index
    from .._library import LibraryInfo


def doctor(options: argparse.Namespace) -> int:
    """Runs all checks. Returns the exit code."""
    settings = Settings(options)
    say_once(options)
    report = Report(options.json)
    _report_installation(report)
    try:
        settings.expect_folder()
        index = settings.open(retry_for=0)
    except StoreError as error:
        _check_database(report, settings)
        report.title("Store")
        report.bad(str(error), codes.STORE)
        report.line("\nThe server and its libraries are looked at when there is a store.")
        return report.end()
    with index:
        usable = _check_database(report, settings)
        reached = _check_server(report, settings, index) and (usable or settings.url is not None)
        # Only the database is read: unfetched libraries can be checked without a request.
        local = settings.database is not None and usable and reached
        libraries = _report_libraries(report, index, offline=not local)
        check_mappings(report, settings, libraries)
        _check_store(report, index)
        check_shared(report, settings, index)
        if options.path:
            try:
                lists = read_lists(options.path)
            except UsageError as error:
                report.title("Files")
                report.bad(str(error), codes.USAGE)
                return report.end()
            if reached and not local:
                libraries = _fetch(report, index, libraries, options.yes)
            check_files(report, settings, index, libraries, options, lists, local=local, reached=reached)
        elif not options.json:
            say("\n`plexindex doctor FOLDER` also tells which files of a folder match.")
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
    for line in version_lines():
        report.line(line)


def _check_database(report: Report, settings: Settings) -> bool:
    """Checks whether Plex's database can be used here. True without one."""
    if settings.database is None:
        return True
    from tempfile import TemporaryDirectory

    report.title("Plex's database")
    facts: dict[str, object] = {"file": settings.database, "usable": None, "why_not": None}
    report.values["database"] = facts
    if settings.offline:
        report.note(f"{settings.database}: skipped, because --offline was given")
        return False
    # In a temporary store: only the database is checked.
    with TemporaryDirectory() as folder, open_index(folder, database=settings.database) as index:
        try:
            server = index.server(deadline=settings.deadline or PATIENCE)
        except ServerError as error:
            facts.update(usable=False, why_not=str(error))
            report.bad(f"it cannot be used here: {error}", codes.of(error, database=True))
            return False
    facts.update(usable=True, libraries=server.libraries, machine_identifier=server.machine_identifier)
    report.good(f"{settings.database} can be read: it has {count(server.libraries, 'library', 'libraries')}")
    if server.machine_identifier.startswith("database:"):
        report.note("Preferences.xml is not there, or cannot be read: the server is known by where its database lies")
    return True


def _check_server(report: Report, settings: Settings, index: Index) -> bool:
    """Checks whether the server answers and accepts the token."""
    report.title("Server")
    facts: dict[str, object] = {"url": settings.url, "reached": False, "token_good": None}
    facts.update(url_from=settings.url_from or None, token_from=settings.token_from or None)
    report.values["server"] = facts
    if settings.url is None and settings.database is not None:
        report.note("no server_url is set: only Plex's database is used")
        return not settings.offline
    if settings.url is None:
        report.bad(f"no server is named: {commands.HOW_TO_NAME}", codes.USAGE)
        return False
    named = f"{settings.url} (from {settings.url_from})"
    if settings.offline:
        report.note(f"{named}: skipped, because --offline was given")
        return False
    try:
        server = index.server(deadline=settings.deadline or PATIENCE)
    except (UnauthorizedError, ForbiddenError) as error:
        facts.update(reached=True, token_good=False)
        report.good(f"{named} answers")
        what = f"the token (from {settings.token_from}) is refused" if settings.token else "it needs a token"
        report.bad(f"{what}: {error}", codes.TOKEN)
        _check_token(report, settings, facts, "")
        return False
    except ServerError as error:
        why = f"cannot be asked: {error}"
        if isinstance(error, TimeoutError) and settings.deadline is None:
            why = f"gave no answer within {output.span(PATIENCE)}: is it a Plex server, and is it busy?"
        report.bad(f"{named} {why}", codes.SERVER)
        return False
    facts.update(reached=True, token_good=settings.token is not None, version=server.version,
                 machine_identifier=server.machine_identifier, answered=server.answered)  # fmt: skip
    report.good(f"{named} answers, in {output.short(server.answered)}: Plex {server.version or 'of unknown version'}")
    shown = count(server.libraries, "library", "libraries")
    if settings.token is None:
        report.note(f"no token given, and the server needs none: it shows {shown}")
    else:
        report.good(f"the token (from {settings.token_from}) is valid: it shows {shown}")
        _check_token(report, settings, facts, server.machine_identifier)
    if not server.libraries:
        report.bad("the server shows no library to this token's user")
    _check_same_server(report, settings)
    return True


def _check_token(report: Report, settings: Settings, facts: dict[str, object], server: str) -> None:
    if settings.token is not None:
        renews = settings.renew is not None
        token.check(report, facts, settings.token, server=server, renews=renews, database=settings.database)


def _check_same_server(report: Report, settings: Settings) -> None:
    """Reports that Plex's database belongs to this server, if both are named: another's fails each question."""
    facts = report.values.get("database")
    if isinstance(facts, dict) and facts["usable"]:
        facts.update(is_this_servers=True)
        report.good(f"Plex's database {settings.database} is this server's")


def _report_libraries(report: Report, index: Index, *, offline: bool) -> list[LibraryInfo]:
    report.title("Libraries")
    known = index.libraries(offline=offline)
    report.values["libraries"] = [commands.library_dict(library) for library in known]
    if not known:
        report.note("none is known yet")
        return known
    rows = [("", *commands.library_row(library)) for library in known]
    report.line(output.table(rows, right=(4,), indent="  "))
    return known


def _check_store(report: Report, index: Index) -> None:
    report.title("Store")
    try:
        store, now = index.store(), index.stats()
    except StoreError as error:
        report.bad(str(error), codes.STORE)
        return
    free = "" if store.free_bytes is None else f", {output.size(store.free_bytes)} free"
    limit = {"size_limit": now.size_limit, "over_limit": now.over_limit, "evictions": now.evictions}
    report.values["store"] = {**store.as_dict(), **limit}
    taken = f"{store.folder}: {output.size(store.disk_bytes)}{commands.limit_of(now)}{free}"
    if now.over_limit:
        report.note(
            f"{taken}\nthe rest cannot be evicted: confirmed matches, tables, and the library listed last; "
            "raise --size-limit"
        )
    else:
        report.good(taken)
    kind = store.file_system or "the system does not say which"
    if store.shares_memory and store.journal == "wal":
        report.good(f"file system: {kind}; processes share memory there")
    else:
        report.note(
            f"file system: {kind}; processes cannot share memory there, so that all is slower\n"
            "a folder on a local disk would be better: --dir, PLEXINDEX_DIR"
        )
    if store.locks:
        report.good("locks work (tested)")
    else:
        report.bad(f"locks do not work there ({store.locks_error}): several processes may fetch the same", codes.STORE)
    try:
        mode = os.stat(store.folder).st_mode
    except OSError:
        return
    # Windows has rights of another kind: there the bits say nothing.
    if mode & 0o077 and os.name != "nt":
        report.note(f"other users can read the folder: chmod 700 {shlex.quote(store.folder)}")


def _fetch(report: Report, index: Index, libraries: list[LibraryInfo], yes: bool) -> list[LibraryInfo]:
    """Fetches libraries that were never fetched, unless the user refuses: nothing matches before."""
    unfetched = [library for library in libraries if library.age is None]
    if not unfetched:
        return libraries
    names = ", ".join(f"'{library.title}'" for library in unfetched)
    if not yes:
        verb = "was" if len(unfetched) == 1 else "were"
        # Where nobody can be asked it fetches, as every other command does.
        yes = output.confirm(f"{names} {verb} never fetched: fetch now?", default=True) is not False
    if yes:
        for library in unfetched:
            try:
                commands.fetch(index, library.title, index.library(section=library.section))
            except ServerError as error:
                report.bad(f"'{library.title}' cannot be fetched: {error}", codes.SERVER)
        return index.libraries(offline=True)
    return libraries
