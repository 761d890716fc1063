"""`plexindex doctor`: checks what works, and finds missing mappings with evidence."""

from __future__ import annotations

import os
import platform
import shlex
import sys

from .. import __version__, _native
from .._errors import ForbiddenError, ServerError, StoreError, UnauthorizedError
from .._left_out import RULES
from .._open import open as open_index
from .._places import Places
from .._walked import Walk
from . import codes, commands, output, sample, token
from .codes import UsageError
from .config import Settings
from .output import count, say, share

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from .._facts import ServerInfo
    from .._index import Index
    from .._library import LibraryInfo
    from .._many import Matches
    from .._mapping import Mapping

# Seconds of silence after which a server is reported as failing.
_PATIENCE = 15.0
_EXAMPLES = 3

_MATCH_KINDS = (
    ("confirmed", "recorded as true"),
    ("exact", "listed under this very path"),
    ("mapped", "listed, by way of a mapping"),
    ("suffix", "found by the end of the path; a mapping would be surer"),
    ("file_name", "found by the file name alone"),
)
_WHY = {
    "not found: no_location": "in no folder of a library; a mapping may be missing",
    "not found: not_listed": "in a folder of a library, but the server does not list them (yet)",
    "not found: unavailable": "the server could not be asked whether it lists them",
    "not found: not_fetched": "their library was never fetched: run `plexindex warm`",
    "ambiguous": "several items fit equally well",
}
_LEFT_OUT = "trailers, samples and the like: Plex leaves them out; `plexindex diff --left-out` lists them"
_SURE = ("confirmed", "exact", "mapped")
_STYLES = {"ok": "good", "note": "warn", "BAD": "bad", "try": "hint"}


class Report:
    """The findings: lines for people, values for JSON, and an exit code."""

    def __init__(self, json: bool) -> None:
        self.values: dict[str, object] = {}
        self.problems: list[str] = []
        self.code = codes.OK
        self.proposed = 0
        # Plex's database was named, but is not used.
        self.unavailable = False
        self._json = json

    def title(self, text: str) -> None:
        """Begins a part."""
        self.line(f"\n{output.paint(text, 'bold')}")

    def line(self, text: str) -> None:
        """Adds a line."""
        if not self._json:
            say(text)
            sys.stdout.flush()

    def good(self, text: str) -> None:
        """Reports something that works."""
        self._mark("ok", text)

    def note(self, text: str) -> None:
        """Reports a note."""
        self._mark("note", text)

    def bad(self, text: str, code: int = codes.NOT_ALL) -> None:
        """Reports a problem. The first one decides the exit code."""
        self.problems.append(text)
        self.code = self.code or code
        self._mark("BAD", text)

    def propose(self, text: str) -> None:
        """Reports advice."""
        self.proposed += 1
        self._mark("try", text)

    def _mark(self, mark: str, text: str) -> None:
        first, *rest = output.clean(output.in_flags(text)).split("\n")
        lines = output.fitted("\n".join([f"  {mark:<5}{first}", *(f"       {line}" for line in rest)]))
        self.line(f"  {output.paint(mark, _STYLES[mark])}{lines[2 + len(mark) :]}")

    def end(self) -> int:
        """Prints the summary."""
        if self._json:
            output.say_json({**self.values, "problems": self.problems, "exit_code": self.code})
        else:
            wrong = f"{count(len(self.problems), 'problem')} found" if self.problems else "nothing is wrong"
            proposed = f"; {count(self.proposed, 'mapping')} proposed" if self.proposed else ""
            say(f"\n{output.paint(wrong, 'bad' if self.problems else 'good')}{proposed}")
        return self.code


def doctor(options: argparse.Namespace) -> int:
    """Runs all checks. Returns the exit code."""
    settings = Settings(options)
    lists = _lists(options.path)
    report = Report(options.json)
    _installation(report)
    try:
        settings.expect_folder()
        index = settings.open(retry_for=0)
    except StoreError as error:
        _database(report, settings)
        report.title("Store")
        report.bad(str(error), codes.STORE)
        report.line("\nThe server and its libraries are looked at when there is a store.")
        return report.end()
    with index:
        usable = _database(report, settings)
        reached = _server(report, settings, index) and (usable or settings.url is not None)
        # No request is needed, so libraries that were never fetched are included.
        local = settings.database is not None and usable and reached and not report.unavailable
        libraries = _libraries(report, index, offline=not local)
        _store(report, index)
        if options.path:
            if reached and not local:
                libraries = _fetch(report, index, libraries, options.yes)
            _files(report, settings, index, libraries, options, lists, local=local)
        elif not options.json:
            say("\n`plexindex doctor FOLDER` also tells which files of a folder match.")
    return report.end()


def _installation(report: Report) -> None:
    native = _native.load()
    report.values["versions"] = {
        "plexindex": __version__,
        "library": native.get_version().decode(),
        "library_path": native.path,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    report.line(f"plexindex {__version__}, Python {platform.python_version()}, {platform.platform()}")
    report.line(f"library {native.path}")


def _database(report: Report, settings: Settings) -> bool:
    """Checks whether Plex's database can be used here. True without one."""
    if settings.database is None:
        return True
    from tempfile import TemporaryDirectory

    report.title("Plex's database")
    facts: dict[str, object] = {"file": settings.database, "usable": None, "why_not": None}
    report.values["database"] = facts
    if settings.offline:
        report.note(f"{settings.database}: not looked at, as --offline was given")
        return False
    # In a temporary store: only the database is checked.
    with TemporaryDirectory() as folder, open_index(folder, database=settings.database) as index:
        try:
            server = index.server(deadline=settings.deadline or _PATIENCE)
        except ServerError as error:
            facts.update(usable=False, why_not=str(error))
            report.bad(f"it cannot be used here: {error}", codes.of(error, database=True))
            return False
    facts.update(usable=True, libraries=server.libraries, machine_identifier=server.machine_identifier)
    report.good(f"{settings.database} can be read: it has {count(server.libraries, 'library', 'libraries')}")
    if server.machine_identifier.startswith("database:"):
        report.note("Preferences.xml is not there, or cannot be read: the server is known by where its database lies")
    return True


def _server(report: Report, settings: Settings, index: Index) -> bool:
    """Checks whether the server answers and accepts the token."""
    report.title("Server")
    facts: dict[str, object] = {"url": settings.url, "reached": False, "token_good": None}
    facts.update(url_from=settings.url_from or None, token_from=settings.token_from or None)
    report.values["server"] = facts
    if settings.url is None and settings.database is not None:
        report.note("no server is named: nothing but Plex's database is asked")
        return not settings.offline
    if settings.url is None:
        report.bad(f"no server is named: {commands.HOW_TO_NAME}", codes.USAGE)
        return False
    named = f"{settings.url} (from {settings.url_from})"
    if settings.offline:
        report.note(f"{named}: not asked, as --offline was given")
        return False
    try:
        server = index.server(deadline=settings.deadline or _PATIENCE)
    except (UnauthorizedError, ForbiddenError) as error:
        facts.update(reached=True, token_good=False)
        report.good(f"{named} answers")
        what = f"the token (from {settings.token_from}) is refused" if settings.token else "it wants a token"
        report.bad(f"{what}: {error}", codes.TOKEN)
        _token(report, settings, facts, "")
        return False
    except ServerError as error:
        report.bad(f"{named} cannot be asked: {error}", codes.SERVER)
        return False
    facts.update(reached=True, token_good=settings.token is not None, version=server.version,
                 machine_identifier=server.machine_identifier, answered=server.answered)  # fmt: skip
    report.good(f"{named} answers, in {output.short(server.answered)}: Plex {server.version or 'of unknown version'}")
    shown = count(server.libraries, "library", "libraries")
    if settings.token is None:
        report.note(f"no token is given, and the server wants none: it shows {shown}")
    else:
        report.good(f"the token (from {settings.token_from}) is good: it shows {shown}")
        _token(report, settings, facts, server.machine_identifier)
    if not server.libraries:
        report.bad("the server shows no library to this token's user")
    _are_one(report, settings, server)
    return True


def _token(report: Report, settings: Settings, facts: dict[str, object], server: str) -> None:
    if settings.token is not None:
        renews = settings.renew is not None
        token.tell(report, facts, settings.token, server=server, renews=renews, database=settings.database)


def _are_one(report: Report, settings: Settings, server: ServerInfo) -> None:
    """Checks that Plex's database is this server's, if both are named and it can be used."""
    facts = report.values.get("database")
    if not isinstance(facts, dict) or not facts["usable"]:
        return
    why_not = server.database_unavailable
    report.unavailable = why_not is not None
    # An unavailable database answers nothing, even if it can be read.
    facts.update(is_this_servers=not report.unavailable, usable=not report.unavailable, why_not=why_not)
    if why_not is None:
        report.good(f"Plex's database {settings.database} is this server's")
    else:
        report.bad(
            f"{why_not}, so the server is asked in its place: it is another server's, an old copy, or "
            "not what this server uses; name this server's with --database, or leave --url or --database out"
        )


def _libraries(report: Report, index: Index, *, offline: bool) -> list[LibraryInfo]:
    report.title("Libraries")
    known = index.libraries(offline=offline)
    report.values["libraries"] = [commands.library_dict(library) for library in known]
    if not known:
        report.note("none is known yet")
        return known
    rows = [("", *commands.library_row(library)) for library in known]
    report.line(output.table(rows, right=(4,), indent="  "))
    return known


def _store(report: Report, index: Index) -> None:
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
            f"{taken}\nwhat has to stay is more: confirmed matches, what hosts keep, and the library asked for last; "
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
        report.good("locks work: one was tried")
    else:
        report.bad(f"locks do not work there ({store.locks_error}): several processes may fetch the same", codes.STORE)
    try:
        mode = os.stat(store.folder).st_mode
    except OSError:
        return
    if mode & 0o077:
        report.note(f"other users may look into the folder: chmod 700 {shlex.quote(store.folder)}")


def _fetch(report: Report, index: Index, libraries: list[LibraryInfo], yes: bool) -> list[LibraryInfo]:
    """Fetches libraries that were never fetched, if the user agrees: nothing matches before."""
    unfetched = [library for library in libraries if library.age is None]
    if not unfetched:
        return libraries
    names = ", ".join(f"'{library.title}'" for library in unfetched)
    if not yes:
        verb = "was" if len(unfetched) == 1 else "were"
        yes = output.confirm(f"{names} {verb} never fetched: fetch now?", default=True) or False
    if yes:
        for library in unfetched:
            try:
                commands.fetch(index, library.title, index.library(section=library.section))
            except ServerError as error:
                report.bad(f"'{library.title}' cannot be fetched: {error}", codes.SERVER)
        return index.libraries(offline=True)
    return libraries


def _lists(given: Sequence[str]) -> list[bytes]:
    """Reads paths from standard input and from files that list them. Other arguments are refused."""
    paths: list[bytes] = []
    for path in given:
        if path == "-":
            paths += commands.read_list(sys.stdin.buffer.read())
        elif os.path.isdir(path):
            continue
        elif sample.is_media(path):
            paths.append(os.fsencode(os.path.abspath(path)))
        else:
            try:
                with open(path, "rb") as lines:
                    paths += commands.read_list(lines.read())
            except OSError as error:
                raise UsageError(f"{path}: {error.strerror}; give a folder, or a file that lists paths") from None
    return paths


def _files(
    report: Report,
    settings: Settings,
    index: Index,
    libraries: list[LibraryInfo],
    options: argparse.Namespace,
    listed: list[bytes],
    *,
    local: bool,
) -> None:
    """Counts the files that match, by match kind, and proposes mappings. ``local``: no request is needed."""
    report.title("Files")
    if not local and not any(library.age is not None for library in libraries):
        report.bad(
            "no library was fetched yet, so nothing can match: run `plexindex warm`, or add --yes",
            codes.LIBRARY,
        )
        return
    folders = [path for path in options.path if path != "-" and os.path.isdir(path)]
    ends = sample.extensions({library.kind for library in libraries})
    each = max(options.sample // max(len(folders) + bool(listed), 1), 1)
    samples = [sample.of_folder(folder, each, ends) for folder in folders]
    samples += [sample.of_list(listed, each)] if listed else []
    paths = [path for one in samples for path in one.paths]
    found = sum(one.found for one in samples)
    places = ", ".join("the list on standard input" if path == "-" else path for path in options.path)
    if not paths:
        report.bad(f"there are no media files in {places}")
        return
    answers = index.match_paths(None, paths, offline=not local)
    whole = all(one.whole for one in samples)
    if len(paths) < found or not whole:
        of = f"{output.number(len(paths))} of {'' if whole else 'more than '}{count(found, 'file')}, from all over"
    else:
        of = f"{count(found, 'file')} in"
    report.line(f"  {of} {places}")
    for rule in settings.mappings:
        report.line(f"  with the mapping {output.clean(arrow(rule))}")
    left_out = _left_out(index, libraries, answers, paths)
    _count_kinds(report, answers, paths, left_out)
    sure = sum(bool(answer) and answer.match_kind in _SURE for answer in answers)
    _proposals(report, index, paths, len(paths) - sure - len(left_out))


def _left_out(index: Index, libraries: list[LibraryInfo], answers: Matches, paths: list[bytes]) -> set[bytes]:
    """The unmatched files in libraries' folders that Plex leaves out by the rules of `plexindex diff`."""
    places = Places(index, index.library(None))
    places.reload(libraries)
    unmatched = [(path, False, "", b"") for path, answer in zip(paths, answers) if not answer and places.owners(path)]
    return {path for path, _, why, _ in Walk(places, (), None).again(unmatched) if why in RULES}


def _count_kinds(report: Report, answers: Matches, paths: list[bytes], left_out: set[bytes]) -> None:
    by_kind = {kind: 0 for kind, _ in _MATCH_KINDS}
    by_status: dict[str, list[bytes]] = {}
    low = 0
    for path, answer in zip(paths, answers):
        if answer:
            by_kind[answer.match_kind] = by_kind.get(answer.match_kind, 0) + 1
            low += answer.confidence == "low"
        elif path not in left_out:
            name = "ambiguous" if answer.status == "ambiguous" else f"not found: {answer.reason_code}"
            by_status.setdefault(name, []).append(path)
    total = len(paths)
    rows = [(kind.replace("_", " "), output.number(by_kind[kind]), share(by_kind[kind], total), words)
            for kind, words in _MATCH_KINDS if by_kind[kind]]  # fmt: skip
    rows += [(name.replace("_", " "), output.number(len(few)), share(len(few), total), _WHY.get(name, ""))
             for name, few in sorted(by_status.items())]  # fmt: skip
    if left_out:
        rows.append(("left out", output.number(len(left_out)), share(len(left_out), total), _LEFT_OUT))
    report.line(output.table(rows, right=(1, 2), indent="  "))
    for name, few in sorted(by_status.items()):
        report.line(f"\n  {name.replace('_', ' ')}, for example:")
        for path in few[:_EXAMPLES]:
            report.line(f"    {output.one_line(os.fsdecode(path))}")
    if low:
        report.note(
            f"{count(low, 'answer')} of low confidence: these files lie in a library's folder, but under another name"
        )
    unmatched = sum(map(len, by_status.values()))
    report.values["files"] = {
        "looked_at": total,
        "match_kinds": by_kind,
        "low_confidence": low,
        "left_out": len(left_out),
        "unmatched": {name.replace("_", " "): len(few) for name, few in by_status.items()},
    }
    if unmatched:
        report.bad(
            f"{output.number(unmatched)} of {count(total, 'file')} {'is' if unmatched == 1 else 'are'} no single item",
            codes.LIBRARY if "not found: not_fetched" in by_status else codes.NOT_ALL,
        )
    else:
        report.good(f"each of {'the others' if left_out else 'them'} is a single item")


def arrow(rule: Mapping) -> str:
    """A mapping as it was understood."""
    host, server = (os.fsdecode(part) for part in (rule.find, rule.replace))
    return f"{host} -> {server}"


def _proposals(report: Report, index: Index, paths: list[bytes], unsure: int) -> None:
    """Missing mappings. ``unsure``: the number of files that are not listed under their path."""
    tried = [(proposal, proposal.gain or 0) for proposal in index.proposals(paths)]
    report.values["proposals"] = [
        {"host": one.host, "server": one.server, "matched": gain, "of": len(paths)} for one, gain in tried
    ]
    if not tried:
        return
    report.title("Proposed mappings")
    for proposal, gain in tried:
        report.propose(
            f"{output.number(gain)} of {count(len(paths), 'file')} match if {proposal.host} becomes {proposal.server}"
        )
    left = unsure - sum(gain for _, gain in tried)
    if left > 0:
        report.line(f"       {count(left, 'file')} would still not be listed under that path")
    pairs = ", ".join(f"({one.host!r}, {one.server!r})" for one, _ in tried)
    flags = " ".join(f"--mapping {shlex.quote(f'{one.host} -> {one.server}')}" for one, _ in tried)
    lines = "\n".join(f"      {output.clean(one.host)} -> {output.clean(one.server)}" for one, _ in tried)
    report.line(f"\n  for plexindex.open() in Python:\n    mappings=[{pairs}]")
    report.line(f"\n  for this command:\n    {output.clean(flags)}")
    report.line(f"\n  for config.ini of plexapi, which this command reads:\n    [plexindex]\n    mappings =\n{lines}")
