"""`plexindex doctor`: checks the setup and how files match, and proposes missing mappings."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice, takewhile
from tempfile import TemporaryDirectory
from typing import Any

from .._core import config
from .._core.convert import full_path, lies_under, same_file, text_of
from ..changes import REFRESH_ERRORS
from ..compare import missing_mounts, scope_of
from ..compare.rules import extensions_of, is_media
from ..compare.walk import Place, Scope, walk
from ..errors import StoreError
from ..index import Index
from ..index import open as open_index
from ..library import Library
from ..mapping import Mapping, Proposal
from ..match import LISTED, Match
from . import codes, output, shared
from .explain import arrow, first_applying, host_and_server, ignored_by_plex, to_server
from .help import version_lines
from .libraries import fetch, library_row, limit_text
from .match import read_paths
from .options import command
from .output import Report, count
from .settings import HOW_TO_NAME_A_SERVER, Settings

_EXAMPLES = 3
# What doctor calls the answers of each match kind, and the reasons of files without a match.
_WORDS = {
    "confirmed": "recorded by you",
    "exact": "listed under this path",
    "mapped": "listed under the path that a mapping produces",
    "suffix": "found by the end of the path",
    "file_name": "found by the file name",
    "ambiguous": "several items match equally well",
    "not found: no location": "not in any library's folder; a mapping may be missing",
    "not found: not fetched": "the library was never fetched: run `plexindex refresh`",
    "not found: not listed": "in a library's folder, but not listed by Plex yet",
    "not found: unavailable": "unknown, because the server did not respond",
    "left out": "files that Plex ignores, such as trailers and samples; `plexindex diff --left-out` lists them",
    "never listed": "files such as subtitles, pictures and disc images",
}
# Plex does not scan new files immediately, so doctor reports no problem if at most this share of the files is unlisted.
_FEW = 0.1
# A walk of a network drive can take long, and a part of it is enough for a sample.
_MAX_SECONDS = 20.0


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
    output.expect_tables()
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
        report.title("Libraries")
        libraries = index.libraries(offline=not reads_database)
        if libraries:
            report.table([library_row(library) for library in libraries], right=(3,))
        else:
            report.note("the store contains no libraries of this server and user yet")
        _check_mappings(report, settings.mappings, [one for library in libraries for one in library.locations])
        _check_store(report, settings, index)
        _check_shared(report, settings, index)
        if not paths:
            report.line("\nTo also check the files in a folder, run `plexindex doctor FOLDER`.")
            return report.end()
        if is_reached and not reads_database:
            _fetch(report, index, [library for library in libraries if library.age is None], yes)
        _check_files(report, settings, index, paths, sample or 500, is_listed=reads_database, is_reached=is_reached)
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
    server_text = f"{settings.url} (from {settings.found.server_url.source})"
    if settings.offline:
        report.note(f"{server_text}: not checked, because --offline was given")
        return False
    try:
        server = index.server(timeout=settings.timeout)
    except REFRESH_ERRORS as error:
        report.bad(f"cannot use {server_text}: {error}{settings.advice(error)}", codes.of(error))
        _check_token(report, settings, "")
        return False
    answered, version = server["answered_us"] / 1_000_000, server.get("version", "")
    report.ok(f"{server_text} responds in {output.span(answered)}: Plex {version or 'of unknown version'}")
    libraries = count(server["libraries"], "library", "libraries")
    if settings.token is None:
        report.note(f"no token was given, and the server needs none: the server shows {libraries}")
    else:
        report.ok(f"the token (from {settings.found.token.source}) is valid: the server shows {libraries}")
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
    former = config.folder("cache") if settings.found.cache_dir.source == "the default" else folder
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
    status = None if settings.offline else index.shared.status()
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
            report.bad(f"cannot fetch '{library.title}': {error}", codes.of(error))


def _check_files(
    report: Report, settings: Settings, index: Index, arguments: Sequence[str], wanted: int, *,
    is_listed: bool, is_reached: bool,
) -> None:  # fmt: skip
    """Counts the files that match, by match kind, and proposes mappings. Sends no request.

    ``wanted``: the size of the sample. ``is_listed``: whether even libraries that were never fetched can match.
    """
    report.title("Files")
    if not is_listed and not any(library.age is not None for library in index.libraries(offline=True)):
        text = "no library was fetched yet, so nothing can match"
        if is_reached or settings.offline:
            report.bad(f"{text}: run `plexindex refresh`, or add --yes", codes.NOT_FETCHED)
        else:
            report.note(text)  # doctor has already reported the cause, which is the server
        return
    for path in arguments:
        if path != "-" and not os.path.lexists(path):
            report.bad(f"there is no file or folder {path}", codes.USAGE)
            return
    folders = [full_path(os.fsencode(path)) for path in arguments if path != "-" and os.path.isdir(path)]
    listed = list(read_paths((path for path in arguments if path == "-" or not os.path.isdir(path)), null=False))
    scope = scope_of(index)
    for one in missing_mounts(scope, folders):
        report.bad(f"{one.path}: {one.message}")
    found = [files for files in [*(_media_below(report, folder, scope) for folder in folders), listed] if files]
    paths = [path for files in found for path in _sample(files, max(wanted // len(found), 1))]
    file_count = sum(map(len, found))
    origins = ", ".join("the list on standard input" if path == "-" else path for path in arguments)
    if not paths:
        report.bad(f"there are no media files in {origins}")
        return
    answers = index.match_paths(paths, offline=not is_listed)
    of = "" if len(paths) == file_count else f"a sample of {len(paths):,} of "
    report.line(f"  {of}{count(file_count, 'file')} in {origins}")
    for rule in settings.mappings:
        report.line(f"  with the mapping {output.clean(arrow(rule))}")
    ignored = ignored_by_plex(index, answers, paths)
    _report_counts(report, answers, paths, ignored)
    proposals = _propose(report, settings, index, paths, answers)
    if proposals:
        checked = len(paths) - len(ignored)
        _report_proposals(report, settings, proposals, checked, checked - sum(map(_is_sure, answers)))


def _check_mappings(report: Report, mappings: Iterable[Mapping], locations: list[str]) -> None:
    """Reports mappings that do not lead to any library's folder."""
    for rule in mappings if locations else ():
        host, server = host_and_server(rule)
        if _fits(server, locations):
            if os.path.isabs(host) and not os.path.isdir(host):
                report.note(f"the mapping {arrow(rule)}: there is no folder {host} on this machine")
        elif _fits(host, locations):
            report.bad(f"the mapping {arrow(rule)} is swapped: {host} is Plex's folder; try {server} -> {host}")
        else:
            shown = ", ".join(locations[:_EXAMPLES]) + (", …" if len(locations) > _EXAMPLES else "")
            report.note(f"the mapping {arrow(rule)} matches no folder in Plex's libraries: {shown}")


def _fits(folder: str, locations: list[str]) -> bool:
    """Returns whether a folder is a location of a library, is in a location, or contains a location."""
    contains_one = any(lies_under(location, [folder]) for location in locations)
    return contains_one or lies_under(folder, locations) or same_file(folder, locations)


def _report_counts(report: Report, answers: Sequence[Match], paths: list[bytes], ignored: dict[bytes, str]) -> None:
    names = []
    for path, answer in zip(paths, answers):
        if path in ignored:
            names.append("never listed" if ignored[path] == "extension" else "left out")
        elif answer.status == "found":
            names.append(answer.match_kind or "none")
        else:
            reason = f"not found: {answer.reason or 'none'}".replace("_", " ")
            names.append("ambiguous" if answer.status == "ambiguous" else reason)
    counts = Counter(names)
    order = [*_WORDS, *sorted(counts.keys() - _WORDS.keys())]
    rows = [(name, counts[name], _WORDS.get(name, "")) for name in order if counts[name]]
    report.table([(name.replace("_", " "), f"{files:,}", output.share(files, len(paths)), words)
                  for name, files, words in rows], right=(1, 2))  # fmt: skip
    missing = [name for name, *_ in rows if name.startswith(("ambiguous", "not found"))]
    for name in missing:
        report.line(f"\n  {name}, for example:")
        for path in islice((path for path, one in zip(paths, names) if one == name), _EXAMPLES):
            report.line(f"    {output.one_line(os.fsdecode(path))}")
    certain = sum(bool(answer) and answer.match_kind != "mapped" for answer in answers)
    report.line(f"\n  {certain:,} of {count(len(paths), 'file')} certain without a mapping")
    if low := sum(answer.status == "found" and answer.confidence == "low" for answer in answers):
        has = count(low, "answer has", "answers have")
        report.note(f"{has} low confidence: use `plexindex match` to see why")
    total, checked = sum(counts[name] for name in missing), len(paths) - len(ignored)
    if missing == ["not found: not listed"] and total <= max(1, checked * _FEW) < checked:
        verb = "is" if total == 1 else "are"
        report.note(f"{count(total, 'file')} {verb} not listed by Plex yet: `plexindex diff` explains why")
    elif total:
        verb = "matches" if total == 1 else "match"
        code = codes.NOT_FETCHED if "not found: not fetched" in missing else codes.NOT_ALL
        report.bad(f"{total:,} of {count(checked, 'file')} {verb} no item, or several items", code)
    elif checked:
        report.ok(f"each of {'the other files' if ignored else 'the files'} matches a single item")


def _report_proposals(
    report: Report, settings: Settings, proposals: Sequence[Proposal], total: int, unsure: int
) -> None:
    """Reports missing mappings. ``unsure``: how many of the ``total`` files Plex does not list under their path."""
    report.title("Proposed mappings")
    for one in proposals:
        gain = one.gain or 0
        unsure -= gain
        report.proposals.append({"host": one.host, "server": one.server, "matched": gain, "of": total,
                                 "contradicted": one.contradicted, "certain": one.certain})  # fmt: skip
        certain = "certain: " if one.certain else ""
        evidence = f"{certain}{count(one.matched, 'file has', 'files have')} the size that Plex lists"
        if one.contradicted:
            against = count(one.contradicted, "file speaks", "files speak")
            evidence = f"{against} against it: of another size, or in another folder, too"
        text = f"{gain:,} of {count(total, 'file')} match if {one.host} becomes {one.server}"
        report.add("try", f"{text}; {evidence}")
    if unsure > 0:
        report.line(f"       {count(unsure, 'file')} would still not be listed under the mapped path")
    pairs = [(one.host, one.server) for one in proposals]
    quoted = '"{}"'.format if os.name == "nt" else shlex.quote
    options = " ".join(f"--mapping {quoted(arrow(one.mapping))}" for one in proposals)
    report.line(f"\n  for this command:\n    {options}")
    lines = "\n".join(f"    {_toml(host)} = {_toml(server)}" for host, server in pairs)
    report.line(f"\n  for plexindex.open() in Python:\n    mappings=[{', '.join(map(repr, pairs))}]")
    report.line(f"\n  for {settings.found.file}:\n    [mappings]\n{lines}")


def _toml(text: str) -> str:
    return f"'{text}'" if "'" not in text and text.isprintable() else json.dumps(text)


def _media_below(report: Report, folder: bytes, scope: Scope) -> list[bytes]:
    """Returns the media files below a folder, in folders that Plex does not ignore."""
    paths: list[bytes] = []
    suffixes = extensions_of(library.kind for one in scope.compared for library in one.compared)
    end = time.monotonic() + _MAX_SECONDS
    for one in walk(scope, folder):
        paths += [one.path] if isinstance(one, Place) and is_media(one.path, suffixes) else []
        if time.monotonic() > end:
            text = f"is large: these are the files that were found in {_MAX_SECONDS:.0f} s"
            report.note(f"{os.fsdecode(folder)} {text}")
            break
    return paths


def _sample(paths: Sequence[bytes], size: int) -> list[bytes]:
    """Returns paths from all over a list."""
    step = max(len(paths) / size, 1.0)
    return [paths[int(number * step)] for number in range(min(size, len(paths)))]


def _is_sure(answer: Match) -> bool:
    """Returns whether the user confirmed the match, or Plex lists the path, directly or through a mapping."""
    return answer.status == "found" and answer.match_kind in LISTED


def _propose(
    report: Report, settings: Settings, index: Index, paths: Sequence[bytes], answers: Iterable[Match]
) -> list[Proposal]:
    """Returns the mappings that the files suggest. Reports the user's mappings under which Plex lists none of the
    files, if it lists some of these files under a suggested one. Sends no request.
    """
    under: dict[Mapping, list[bytes]] = {}
    for path, applied in zip(paths, first_applying(settings.mappings, paths)):
        if applied:
            under.setdefault(applied[0], []).append(path)
    listed = {path for path, answer in zip(paths, answers) if _is_sure(answer)}
    useless = {rule: files for rule, files in under.items() if listed.isdisjoint(files)}
    if useless:  # because these mappings apply, the index lacks some proposals
        others = [rule for rule in settings.mappings if rule not in useless]
        with settings.open(offline=True, mappings=others) as other:
            found = other.proposals(paths)
    else:
        found = index.proposals(paths)
    locations = [location for library in index.libraries(offline=True) for location in library.locations]
    proposals = [_narrowed(proposal, paths, locations) for proposal in found]
    for rule, files in useless.items():
        better = []
        for one in proposals:
            moved = filter(None, to_server(one.mapping, files))
            if any(map(_is_sure, index.match_paths(moved, size=False, offline=True))):
                better.append(arrow(one.mapping))
        if better:
            none = f"Plex lists none of {count(len(files), 'file')} under the mapping {arrow(rule)}"
            report.bad(f"{none}, which applies first: put {' and '.join(better)} before it")
    return proposals


def _narrowed(proposal: Proposal, paths: Sequence[bytes], locations: Iterable[str]) -> Proposal:
    """Restricts a proposal to the libraries' folders that contain tested files."""
    tested = list(filter(None, to_server(proposal.mapping, paths)))
    used = [folder for folder in locations if any(lies_under(path, [folder]) for path in tested)]
    separator = "\\" if "\\" in proposal.server else "/"
    levels = zip(*(folder.rstrip("/\\").split(separator) for folder in used))
    common = [level[0] for level in takewhile(lambda level: len(set(level)) == 1, levels)]
    below = common[len(proposal.server.rstrip("/\\").split(separator)) :]
    if not below:
        return proposal
    host, server = os.sep.join([proposal.host.rstrip(os.sep), *below]), separator.join(common)
    return Proposal(**{**vars(proposal), "host": host, "server": server})
