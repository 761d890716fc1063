"""`plexindex match`, `folder`, `scan` and `refresh-item`: finds items; tells Plex to scan and to refresh."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice

from .._core import TYPE_CHECKING
from .._core.abi import QUERY_FILE
from .._core.selection import query_flags, selection_of
from ..errors import Error, LibraryNotFoundError
from ..match import LISTED, FolderMatch, Match
from . import codes, output
from .options import UsageError, command, given
from .output import count, say
from .settings import Settings, chosen, of_all_servers

if TYPE_CHECKING:
    from ..index import Index
    from ..item import Item
    from ..mapping import Mapping
    from ..media import MatchedFile
    from ..queries import Queries

_BATCH = 500


@command("""match PATH...

    Find each file's Plex item, or say why there is none.

    PATH is a file; - reads paths from standard input, one per line. If Plex does not list the path, the command reads
    the file's size, because the listed file with the same name and size is this file. If a library that may contain
    the file was never fetched, the command fetches it first. The exit code is 0 if every path matches a single item.
    For several paths, the command prints a summary to standard error. If the configuration file has several servers,
    the command asks each, and prints the surest answers.

    Formats:
      paths  the path; with --null, a NUL follows instead of a line break
      json   one object per line: asked (the path), status, match_kind,
             confidence, stale, item, candidates (if several items match),
             candidates_total, reason, message, file (as Plex lists it), age
             and server (its name in the configuration file)

    Examples:
      plexindex match --library Movies *.mkv
      find /mnt/media -name '*.mkv' -print0 | plexindex match --null --json -
      find /mnt/media -name '*.mkv' | plexindex match --missing -f paths -

    Options:
      -l, --library LIBRARY
      -0, --null
      -f, --format {text|paths|json}  The output format.
      --check  First ask the server for changes, to find files that Plex has just scanned.
      --size BYTES  The size of the file, for a single PATH.
      --no-size  Do not read the sizes of files.
      --missing  Print only files without a match.
    """)
def match_command(
    arguments: list[str], library: str | None, null: bool, format: str | None, check: bool, size: int | None,  # noqa: A002
    no_size: bool, missing: bool,
) -> int:  # fmt: skip
    if given.get("json") and format not in (None, "json"):
        raise UsageError(f"--format {format} and --json both specify a format: give only one of them")
    form = "json" if given.get("json") else format or "text"
    if size is not None and (len(arguments) > 1 or arguments[0] == "-"):
        raise UsageError("--size is the size of one file: give a single path")
    if size is not None and no_size:
        raise UsageError("--size and --no-size contradict each other: give only one of them")
    every = [_Server(settings, library, check) for settings in of_all_servers()]
    servers, tally, errors = list(every), Tally(offline=all(one.settings.answers_from_store_only for one in every)), []
    # With -vv, each path causes a log line, and the library's log buffer stores only a limited number of lines.
    batch_size = _BATCH if given.get("verbose", 0) < 2 else _BATCH // 4
    remaining = read_paths(arguments, null)
    with ExitStack() as opened:
        while paths := list(islice(remaining, batch_size)):
            found: list[list[tuple[_Server, Match]]] = [[] for _ in paths]
            for server in list(servers):
                try:
                    answers = server.answers(opened, paths, size, with_size=not no_size, is_first=tally.total == 0)
                except Error as error:
                    servers.remove(server)
                    if not servers:
                        raise
                    if not isinstance(error, LibraryNotFoundError):
                        output.complain(f"server {server.settings.server}: {error}{server.settings.advice(error)}")
                        errors.append(error)
                    continue
                server.reasons = {}
                if form == "text" and any(answer.status != "found" for answer in answers):
                    from .explain import reasons  # imports the comparison, which an answer does not need

                    server.reasons = reasons(server.index, paths, answers)
                for answer, of_path in zip(answers, found):
                    of_path.append((server, answer))
            for one, of_path in zip(paths, found):
                best = max(_rank(answer) for _, answer in of_path)
                shown = [(server, answer) for server, answer in of_path if _rank(answer) == best]
                tally.add(*(answer for _, answer in shown))
                # As text, one line says that no server has the file.
                is_nowhere = form == "text" and all(answer.status == "not_found" for _, answer in shown)
                names = ", ".join(server.settings.server or "" for server, _ in shown) if is_nowhere else None
                for server, answer in () if missing and best else shown[:1] if is_nowhere else shown:
                    server.print(form, one, answer, b"\0" if null else b"\n", names)
    tally.print()
    errors += [server.older for server in servers if server.older is not None]
    return codes.of(errors[0]) if errors else tally.code()


def _rank(answer: Match) -> int:
    return (answer.status == "found") + bool(answer)


class _Server:
    """One of the servers that `plexindex match` asks."""

    index: Index
    reasons: dict[bytes, str]
    """Why paths of this batch have no item."""

    def __init__(self, settings: Settings, library: str | None, is_check: bool) -> None:
        self.settings, self._library, self._is_check = settings, library, is_check
        self._bar = output.Bar()
        self._asked: Queries | None = None
        self.older: Error | None = None
        """Why the check failed, so that the answers are those of the stored listing."""

    def _open(self, opened: ExitStack) -> Queries:
        given["settings"] = self.settings  # for the report of an error
        if self._is_check:
            self.settings.expect_source()
        self.index = opened.enter_context(self.settings.open_for_answers(progress=self._bar))
        asked = chosen(self.index, self._library)
        if self._is_check:
            self.older = asked.changes(check=True).error
            self._bar.drop()
            if self.older is not None:
                output.complain(f"{self.older}: searching the stored listing")
        return asked

    def answers(
        self, opened: ExitStack, paths: list[bytes], size: int | None, *, with_size: bool, is_first: bool
    ) -> Sequence[Match]:
        """Answers a batch. Opens the index for the first."""
        asked = self._asked = self._asked or self._open(opened)
        # After a failed check, the answers are those of a check too, so that they are stale.
        check = self.older is not None
        if size is not None:
            return [asked.match(paths[0], size=size, check=check)]
        # With the files, because reading each takes longer than all answers.
        flags = QUERY_FILE | query_flags(check=check)
        found = selection_of(asked).match_paths(paths, None if with_size else False, flags)
        self._bar.done()
        if is_first and found[0].error is not None:
            raise found[0].error
        return found

    def print(self, form: str, path: bytes, answer: Match, end: bytes, names: str | None) -> None:
        name = names or self.settings.server
        if form == "text":
            note = f"server {name}" if name else ""
            say(answer_text(path, answer, note, self.reasons.get(path), self.settings.mappings))
        elif form == "json":
            facts = answer_dict(answer)
            output.say_json({**facts, "message": facts["message"] or str(self.older or ""), "server": name})
        else:
            sys.stdout.buffer.write(path + end)  # its bytes, so that xargs finds the file


@command("""folder FOLDER...

    Find each folder's show, season, artist, album or film.

    The answer is the outermost show, season, artist or album whose files are all below the folder; - reads folders
    from standard input. The command uses the server's listing, not the files on the disk. If a library was
    never fetched, the command fetches it first. The exit code is 0 if every folder has exactly one answer.

    JSON: one object for each folder, with asked (the path), status, match_kind, confidence, stale, kind, item, items,
    files, candidates, candidates_total, reason, message and age.

    Options:
      -l, --library LIBRARY
      -0, --null
    """)
def folder_command(folders: list[str], library: str | None, null: bool) -> int:
    settings, bar = Settings(), output.Bar()
    tally = Tally(offline=settings.answers_from_store_only)
    with settings.open_for_answers(progress=bar) as index:
        asked = chosen(index, library)
        for path in read_paths(folders, null):
            answer = asked.folder(path)
            bar.done()
            tally.add(answer)
            counts = f"{count(answer.items, 'item')} in {count(answer.files, 'file')}" if answer.files else ""
            text = answer_text(path, answer, counts, of_folder=True)
            output.show(answer_dict(answer), text)
    return tally.code()


@command("""scan PATH...

    Tell Plex to scan the folder of each path.

    The command sends one request for each folder. PATH is a file, or a folder of this machine; - reads paths from
    standard input. The mappings translate the paths. The command refuses paths that lie in no library's folder.

    Example:
      plexindex scan --wait 60 "/mnt/media/movies/Spring (2019)/Spring.mkv"

    JSON: one object for each path, with path, folder (on the server, null if refused), library, section, message (why
    the path was refused), and match (with --wait, the object of match --json).

    Options:
      -0, --null
      --wait SECONDS  Wait at most this long until Plex lists the files, and print their items.
    """)
def scan_command(arguments: list[str], null: bool, wait: float | None) -> int:
    settings, bar, tally = Settings(), output.Bar(), Tally(offline=False)
    given_paths, is_refused = list(read_paths(arguments, null)), False
    with settings.open(progress=bar) as index:
        # A folder's parent is not what the user means.
        paths = [one + b"/" if os.path.isdir(one) and not one.endswith(b"/") else one for one in given_paths]
        answers = index.call("server.scan", {"paths": paths})["paths"]
        bar.drop()
        end = time.monotonic() + (wait or 0)
        for one, full, answer in zip(map(os.fsdecode, given_paths), paths, answers):
            match = None
            if wait is not None and "folder" in answer and not full.endswith(b"/"):
                left = max(end - time.monotonic(), 0)
                match = index.library(section=answer["section"]).wait_for(full, timeout=left)
                tally.add(match)
            is_refused = is_refused or "folder" not in answer
            fields = {name: answer.get(name) for name in ("folder", "library", "section", "message")}
            record = {"path": one, **fields, "match": None if match is None else answer_dict(match)}
            if "folder" not in answer:
                output.show(record, f"{one}: {answer['message']}", is_problem=True)
            elif match is None:
                output.show(record, f"{output.one_line(one)}\n  Plex scans {output.one_line(answer['folder'])}")
            else:
                output.show(record, answer_text(one, match))
    return codes.NOT_ALL if is_refused else tally.code()


@command("""refresh-item ITEM...

    Tell Plex to refresh what it shows of items.

    It is useful after a new subtitle or poster. ITEM is a file, or an item's key or rating key, also of a show, season,
    artist or album; - reads items from standard input. The command sends one request for each item; Plex refreshes it
    later. It refuses files without a certain match, and then exits with 1.

    Example:
      plexindex refresh-item "/mnt/media/movies/Spring (2019)/Spring.mkv"

    JSON: one object for each ITEM, with asked, key (null if refused), and message (why it was refused).

    Options:
      -0, --null
      --analyze  Analyze the items' files instead, such as after an edit of a file.
    """)
def refresh_item_command(items: list[str], null: bool, analyze: bool) -> int:
    settings, bar, is_refused = Settings(), output.Bar(), False
    with settings.open(progress=bar) as index:
        for one in map(os.fsdecode, read_paths(items, null)):
            is_key = one.isdecimal() or one.startswith("/library/metadata/")
            match = None if is_key else index.match(one)
            bar.done()
            key = one if match is None else match.sure and match.sure.key
            text = output.one_line(one) if match is None else answer_text(one, match)
            if key is None:
                is_refused = True
            else:
                index.refresh_items([key], analyze=analyze)
            message = match.message if match is not None and key is None else None
            output.show({"asked": one, "key": key, "message": message}, text, is_problem=key is None)
    return codes.NOT_ALL if is_refused else codes.OK


class Tally:
    """Counts answers, for the exit code and for the summary line."""

    def __init__(self, *, offline: bool) -> None:
        self.total = self._low = 0
        self._kinds: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self._codes: set[int] = set()
        self._offline = offline

    def add(self, answer: Match | FolderMatch, *others: Match) -> None:
        """Counts a path's answer. ``others``: those of other servers, which also lack the path, or also have it."""
        self.total += 1
        if answer.status != "found":
            self._statuses[_status(answer)] += 1
            self._codes.add(codes.NOT_ALL)
        else:
            self._kinds[(answer.match_kind or "none").replace("_", " ")] += 1
            self._low += not answer
        for one in (answer, *others):
            if one.reason == "not_fetched":
                self._codes.add(codes.NOT_FETCHED)
            # Only the server could have confirmed these misses. With --offline, the user chose not to ask the server.
            is_unconfirmed = one.reason in ("unavailable", "unconfirmed") and not self._offline
            if is_unconfirmed or one.status in ("not_yet", "needs_warm"):
                self._codes.add(codes.SERVER)

    def code(self) -> int:
        return next((code for code in (codes.SERVER, codes.NOT_FETCHED, codes.NOT_ALL) if code in self._codes), 0)

    def print(self) -> None:
        """Prints the summary line if there are at least two paths."""
        if self.total == 0:
            output.remark("no path was given: the list is empty", terminal_only=True)
        if self.total < 2:
            return
        kinds, *rest = (", ".join(f"{number:,} {name}" for name, number in counts.items())
                        for counts in (self._kinds, self._statuses))  # fmt: skip
        found = f"{sum(self._kinds.values()):,} of {count(self.total, 'path')} found"
        low = f" ({self._low:,} of low confidence)" if self._low else ""
        output.remark("; ".join(filter(None, [f"{found}{kinds and f': {kinds}'}{low}", *rest])))


def read_paths(arguments: Iterable[str], null: bool) -> Iterator[bytes]:
    """Yields paths from the arguments and from standard input. Makes relative paths of existing files absolute."""
    for path in arguments:
        if path == "-":
            for line in parse_paths(read_stdin(), null=null):
                yield line if os.path.isabs(line) else _full_if_existing(os.fsdecode(line))
        else:
            yield _full_if_existing(path)


def _full_if_existing(path: str) -> bytes:
    if not os.path.exists(path):
        return os.fsencode(path)
    path = os.path.join(os.getcwd(), path)
    # `..` after a symbolic link leads to the parent of the link's target, except on Windows.
    last_dots = path.rfind("/../")
    if last_dots >= 0 and os.name != "nt":
        path = os.path.join(os.path.realpath(path[: last_dots + 4]), path[last_dots + 4 :])
    return os.fsencode(os.path.abspath(path))


def read_stdin() -> bytes:
    """Reads all of standard input. If reading fails, the error message says 'standard input'."""
    try:
        return sys.stdin.buffer.read()
    except OSError as error:
        error.filename = "standard input"
        raise


def parse_paths(text: bytes, *, null: bool = False) -> list[bytes]:
    """Splits a list of paths at line ends or, with ``null``, at NULs. Skips empty paths."""
    if null:
        return [path for path in text.split(b"\0") if path]
    if b"\0" in text:
        raise UsageError("the list of paths contains NUL bytes: add --null for the output of `find -print0`")
    lines = [line for line in (line.rstrip(b"\r") for line in text.split(b"\n")) if line]
    return lines if os.name != "nt" else [_to_utf8(line) for line in lines]


def _to_utf8(line: bytes) -> bytes:
    """On Windows, converts a line of input to UTF-8, because `dir` writes to pipes in the console's code page."""
    try:
        line.decode()
        return line
    except UnicodeDecodeError:
        return line.decode("oem", "replace").encode()


def answer_text(
    path: bytes | str, answer: Match, note: str = "", reason: str | None = None, mappings: Sequence[Mapping] = (), *,
    of_folder: bool = False,
) -> str:  # fmt: skip
    """Formats an answer for people: the path, followed by the item, or by the reason and a few candidates.

    ``reason`` replaces the answer's reason. ``note``: what else to say, such as the name of the server that answered.
    If a mapping applies, but Plex does not list the resulting path, the text includes the mapping.
    """
    path, item = os.fsdecode(path), answer.sure or answer.likely
    lines, why = [output.one_line(path)], output.reason_line(reason or answer.message, path)
    if item is None:
        text, style = f"{_status(answer)}: {why}{note and f' ({note})'}", "warn"
        style = "bad" if answer.status == "not_found" else style
    else:
        how = [(answer.match_kind or "none").replace("_", " "), answer.confidence or ""]
        how[-1] += ": verify it" if answer.confidence == "low" else ""
        age = "of unknown age" if answer.age is None else f"{output.span(answer.age)} old"
        how += filter(None, [note, age if answer.stale else ""])
        prefix = f"{item.kind}: " if of_folder else ""
        text = f"{prefix}{item_text(item, _describe(answer, item))} · {', '.join(how)}"
        style = "good" if answer.confidence == "high" else "warn"
    lines.append(output.paint(output.fitted(f"  {text}"), style))
    if item is not None and (file := answer.file) is not None and (file.parts > 1 or file.versions > 1):
        lines.append(output.fitted(f"  {file_text(file)}"))
    if item is not None and answer.reason not in (None, "same_file"):
        lines.append(output.fitted(f"  {why}"))
    if mappings and not reason and answer.match_kind not in LISTED:
        from .explain import arrow, first_applying

        for rule, server_path in filter(None, first_applying(mappings, [os.fsencode(path)])):
            lines.append(output.one_line(f"  the mapping {arrow(rule)} gives {server_path}"))
    candidates = answer.candidates[: 10 if of_folder else 5] if item is None else []
    for one in candidates:
        lines += [f"    {item_text(one)}", f"      {output.one_line(one.path or '')}"]
    if answer.candidates_total > len(candidates) > 0:
        lines.append(f"    and {answer.candidates_total - len(candidates):,} more")
    return "\n".join(lines)


def answer_dict(answer: Match) -> dict[str, object]:
    """Returns the JSON of an answer. A single item is no candidate, too."""
    item = answer.sure or answer.likely
    candidates = answer.candidates if item is None or answer.candidates_total > 1 else []
    items = {"item": item and item_dict(item), "candidates": [*map(item_dict, candidates)]}
    return {**answer.to_dict(), **items}


def item_dict(item: Item) -> dict[str, object]:
    facts = {"host_path": item.host_path, "season_key": item.season_key, "guids": list(item.guids)}
    return {**item.to_dict(), **facts}


def _status(answer: Match) -> str:
    return "not yet" if answer.status == "needs_warm" else answer.status.replace("_", " ")


def file_text(file: MatchedFile) -> str:
    """Describes one of an item's files."""
    version = f"version {file.version} of {file.versions}" if file.versions > 1 else ""
    part = f"part {file.part} of {file.parts}" if file.parts > 1 else ""
    resolution = f"{file.resolution}p" if file.resolution and file.resolution.isdigit() else file.resolution
    size = output.size(file.size) if file.size else ""
    return ", ".join(filter(None, [version, part, resolution, size, "optimized by Plex" if file.optimized else ""]))


def item_text(item: Item, description: str | None = None) -> str:
    parts = description or item.describe(), item.library_title, item.key
    return output.one_line(" · ".join(part for part in parts if part))


def _describe(answer: Match, item: Item) -> str:
    """Describes an item. If its file contains several episodes, the description includes all their numbers."""
    text = item.describe()
    if answer.candidates_total < 2 or item.season is None or item.episode is None:
        return text
    season = (item.show_rating_key, item.season)
    numbers = {part.episode for part in answer.candidates if (part.show_rating_key, part.season) == season}
    episodes = [f"E{episode:02d}" for episode in sorted(episode for episode in numbers if episode is not None)]
    return text.replace(f" S{item.season:02d}{episodes[0]} ", f" S{item.season:02d}{'-'.join(episodes)} ", 1)
