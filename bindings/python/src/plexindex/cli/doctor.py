"""`plexindex doctor`: checks the setup, and proposes missing mappings."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import sys
import time
from tempfile import TemporaryDirectory
from typing import Any

from .._core.config import former_folder
from .._core.convert import text_of
from ..changes import REFRESH_ERRORS
from ..errors import StoreError, UnauthorizedError
from ..index import Index
from ..library import Library
from ..opening import open as open_index
from . import codes, output, shared
from .doctor_files import check_files, check_mappings
from .help import version_lines
from .libraries import fetch, library_row, limit_text
from .options import command
from .output import Report, count
from .settings import HOW_TO_NAME_A_SERVER, Settings


@command("""doctor [PATH]...

    Check the setup, and find missing path mappings.

    The command checks the server, the token, the libraries, the store and the shared database. Each PATH is a folder
    or a file; - reads paths from standard input. The command matches a sample of these files, and proposes mappings
    for files without a match. It first fetches missing libraries, and on a terminal asks before. Files that
    Plex ignores (`plexindex diff --rules`) count separately.

    Examples:
      plexindex doctor
      plexindex doctor /mnt/media

    JSON: one object with findings (each with mark and text), proposals (mappings, each with host and server), problems
    (a list of sentences) and exit_code.

    Options:
      --sample COUNT  The number of files to check, spread over the whole tree (default: 500).
      -y, --yes
    """)
def doctor_command(paths: list[str], sample: int | None, yes: bool) -> int:
    settings, report = Settings(), Report()
    shared.hide_warnings()
    report.line("\n".join(version_lines()))
    is_database_usable = _check_database(report, settings)
    # A server can be checked even if Plex's database cannot be read.
    alone = {} if is_database_usable or settings.url is None else {"database": None}
    try:
        settings.expect_folder()
        index = settings.open(retry_for=0, **alone)
    except StoreError as error:
        report.title("Store")
        report.bad(str(error), codes.STORE)
        report.line("\nWithout a store, doctor cannot check the server or its libraries.")
        return report.end()
    with index:
        is_reached = _check_server(report, settings, index, is_database_usable=is_database_usable)
        # Reading the database needs no request, so doctor can check even libraries that were never fetched.
        reads_database = settings.database is not None and is_database_usable and is_reached
        libraries = _check_libraries(report, index, offline=not reads_database)
        check_mappings(report, settings.mappings, [one for library in libraries for one in library.locations])
        _check_store(report, settings, index)
        _check_shared(report, settings, index)
        if not paths:
            report.line("\nTo also check the files in a folder, run `plexindex doctor FOLDER`.")
            return report.end()
        if is_reached and not reads_database:
            _fetch(report, index, [library for library in libraries if library.age is None], yes)
        check_files(report, settings, index, paths, sample or 500, is_listed=reads_database, is_reached=is_reached)
    return report.end()


def _check_database(report: Report, settings: Settings) -> bool:
    """Reports and returns whether this machine can read Plex's database. Returns True if no database is specified."""
    if settings.database is None:
        return True
    report.title("Plex's database")
    if settings.offline:
        report.note(f"{settings.database}: not checked, because --offline was given")
        return False
    # Use a temporary store, because this check concerns only the database.
    with TemporaryDirectory() as folder, open_index(folder, database=settings.database) as index:
        try:
            server = index.server(timeout=settings.timeout)
        except REFRESH_ERRORS as error:
            report.bad(f"cannot read the database: {error}", codes.of(error, database=True))
            return False
    report.ok(f"can read {settings.database}: {count(server['libraries'], 'library', 'libraries')}")
    if server["machine_identifier"].startswith("database:"):
        report.note("cannot read Preferences.xml, so the path of the database identifies the server")
    return True


def _check_server(report: Report, settings: Settings, index: Index, *, is_database_usable: bool) -> bool:
    """Checks whether the server responds and accepts the token. Returns whether doctor can use the server."""
    report.title("Server")
    if settings.url is None and settings.database is not None:
        report.note("no server is specified: plexindex uses only Plex's database")
        return is_database_usable
    if settings.url is None:
        report.bad(f"no server is specified: {HOW_TO_NAME_A_SERVER}", codes.USAGE)
        return False
    server_text = f"{settings.url} (from {settings.url_from})"
    if settings.offline:
        report.note(f"{server_text}: not checked, because --offline was given")
        return False
    try:
        server = index.server(timeout=settings.timeout)
    except UnauthorizedError as error:
        report.ok(f"{server_text} responds")
        if settings.token is None:
            report.bad(f"the server needs a token: {settings.how_to_give_a_token}", codes.TOKEN)
        else:
            report.bad(f"the server rejected the token (from {settings.token_from}): {error}", codes.TOKEN)
        _check_token(report, settings, "")
        return False
    except REFRESH_ERRORS as error:
        report.bad(f"cannot reach {server_text}: {error}", codes.SERVER)
        return False
    answered, version = server["answered_us"] / 1_000_000, server.get("version", "")
    report.ok(f"{server_text} responds in {output.span(answered)}: Plex {version or 'of unknown version'}")
    libraries = count(server["libraries"], "library", "libraries")
    if settings.token is None:
        report.note(f"no token was given, and the server needs none: the server shows {libraries}")
    else:
        report.ok(f"the token (from {settings.token_from}) is valid: the server shows {libraries}")
        _check_token(report, settings, server["machine_identifier"])
    if not server["libraries"]:
        report.bad("the server shows no libraries to this token's user")
    if settings.database is not None and is_database_usable:
        # If the database belonged to a different server, `index.server` would have failed.
        report.ok(f"Plex's database {settings.database} belongs to this server")
    return True


def _check_token(report: Report, settings: Settings, server: str) -> None:
    """Checks when the token expires, and whether it is the server's own. ``server``: its machine identifier."""
    if settings.token is None:
        return
    claims = claims_of(settings.token)
    expires = claims.get("exp")
    if isinstance(expires, (int, float)) and not isinstance(expires, bool) and 0 < expires < 1e11:
        remedy = "plexindex renews it" if settings.renew else "renew it, or give a command with --token-command"
        left, date = expires - time.time(), time.strftime("%Y-%m-%d %H:%M", time.localtime(expires))
        when = f"expires in {output.span(left)}, on" if left > 0 else "expired on"
        is_late = left <= 0 or (left < 24 * 3600 and settings.renew is None)
        report.add("note" if is_late else "ok", f"the token {when} {date}: {remedy}")
        if not (claims.get("thumbprint") and claims.get("username")):
            report.note(
                "the token does not contain its user's name, so plexindex treats each new token as a new user's, and "
                "lists all libraries again: give --user, or request the token with the scope 'username'",
            )
    audience = claims.get("aud")
    is_audience = bool(server) and server in (audience if isinstance(audience, list) else [audience])
    if is_audience or is_in_preferences(settings.token, settings.database):
        report.note(
            "this is the server's own token: a client that uses it can break the server's registration at plex.tv and "
            "its remote access; give plexindex a token of its own",
        )


def claims_of(token: str) -> dict[str, Any]:
    """Returns a JSON Web Token's claims without verifying them. Other tokens have no claims."""
    try:
        _, claims, _ = token.split(".")
        found = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def is_in_preferences(token: str, database: str | None) -> bool:
    """Returns whether Preferences.xml in a folder above the database contains this token as the server's own."""
    folder, above = None, os.path.abspath(database) if database else None
    while above != folder:
        folder, above = above, os.path.dirname(above or "")
        try:
            with open(os.path.join(folder or "", "Preferences.xml"), encoding="utf-8", errors="replace") as file:
                server_token = re.search(r'\bPlexOnlineToken="([^"]+)"', file.read(1 << 20))
        except OSError:
            continue
        return server_token is not None and server_token[1] == token
    return False


def _check_libraries(report: Report, index: Index, *, offline: bool) -> list[Library]:
    report.title("Libraries")
    libraries = index.libraries(offline=offline)
    if libraries:
        report.table([library_row(library) for library in libraries], right=(3,))
    else:
        report.note("the store contains no libraries of this server and user yet")
    return libraries


def _check_store(report: Report, settings: Settings, index: Index) -> None:
    report.title("Store")
    try:
        store, now = index.store(), index.stats()
    except StoreError as error:
        report.bad(str(error), codes.STORE)
        return
    folder = text_of(store["folder"]) or ""
    free = "" if "free_bytes" not in store else f", {output.size(store['free_bytes'])} free"
    size = f"{folder}: {output.size(store['disk_bytes'])}{limit_text(now)}{free}"
    if now["over_limit"]:
        kept = "confirmed matches, tables, or the library listed last"
        report.note(f"{size}\nplexindex cannot evict {kept}: increase size_limit")
    else:
        report.ok(size)
    former = former_folder() if settings.found.cache_dir.source == "the default" else folder
    if former != folder and os.path.isdir(former):
        command = f"plexindex --cache-dir {shlex.quote(former)} matches export | plexindex matches import"
        report.note(f"{former}, the former default folder, contains an index too: run `{command}`, then remove it")
    for name in store["broken"]:
        path = shlex.quote(os.path.join(folder, name))
        report.note(
            f"{name} is a damaged database; its tables are lost, but its confirmed matches may be readable: run "
            f"`plexindex matches export --broken {path} | plexindex matches import`, then remove the file",
        )
    file_system = store.get("file_system") or "unknown"
    if store["shares_memory"] and store["journal"] == "wal":
        report.ok(f"file system: {file_system}; processes can share memory")
    else:
        report.note(
            f"file system: {file_system}; processes cannot share memory, so plexindex is slower\n"
            "choose a folder on a local disk with --cache-dir or PLEXINDEX_CACHE_DIR",
        )
    if store["locks"]:
        report.ok("locks work (tested)")
    else:
        effect = "several processes may fetch the same library"
        report.bad(f"file locks do not work in the folder, so {effect}: {store.get('locks_error')}", codes.STORE)
    # Windows does not use Unix permission bits.
    if os.name != "nt" and os.path.exists(folder) and os.stat(folder).st_mode & 0o077:
        report.note(f"other users can read the folder: run `chmod 700 {shlex.quote(folder)}`")


def _check_shared(report: Report, settings: Settings, index: Index) -> None:
    """Reports the shared database's state and contents, and what this host has not read."""
    if settings.shared is None:
        return
    report.title("Shared database")
    status = None if settings.offline else index.shared_status()
    if status is None:
        report.note("not checked, because --offline was given")
        return
    if not status["reachable"]:
        effect = "until the database responds, this host uses only its own folder and Plex"
        report.bad(f"{status.get('error')}\n{effect}\nsee docs/several-hosts.md", shared.exit_code_of(status))
        return
    if status.get("error") is None:
        report.ok(f"{status['address']} responds: {shared.contents(status)}")
    else:
        effect = "this host gets what other hosts record, but they do not get what it records"
        report.bad(f"{status.get('error')}\n{effect}; {shared.contents(status)}", shared.exit_code_of(status))
    has_all = status.get("behind") == 0 and not status.get("undelivered")
    report.add("ok" if has_all else "note", f"this host {'; '.join(shared.behind(status))}")


def _fetch(report: Report, index: Index, unfetched: list[Library], yes: bool) -> None:
    """Fetches libraries that were never fetched, because otherwise their files cannot match. The user can decline."""
    names = ", ".join(f"'{library.title}'" for library in unfetched)
    verb = "was" if len(unfetched) == 1 else "were"
    # Without a terminal, doctor fetches without asking, like the other commands.
    is_asked = unfetched and not yes and sys.stdin.isatty() and sys.stderr.isatty()
    if is_asked and not output.is_confirmed(False, f"{names} {verb} never fetched: fetch now?", default=True):
        return
    for library in unfetched:
        try:
            fetch(index, library)
        except REFRESH_ERRORS as error:
            report.bad(f"cannot fetch '{library.title}': {error}", codes.SERVER)
