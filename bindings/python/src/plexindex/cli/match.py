"""`plexindex match`: finds the items for files."""

from __future__ import annotations

import os
import sys
from itertools import islice

import click

from .._core import TYPE_CHECKING
from . import codes, output
from .codes import UsageError
from .config import Settings
from .mappings import SURE, arrow, first_applying
from .options import Place, Value, command, given, library, null
from .output import number, say
from .progress import Bar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from ..item import Item
    from ..mapping import Mapping
    from ..match import FolderMatch, Match

_BATCH = 500
_STATUSES = {"not_yet": "not yet", "needs_warm": "not yet", "not_found": "not found"}
FORMATS = ("text", "keys", "paths", "tsv", "json")


def _format(text: str) -> str:
    if text not in FORMATS:
        raise ValueError(f"{text!r} is not one of {', '.join(FORMATS)}")
    return text


class _Format(Value):
    def shell_complete(self, _: object, __: object, start: str) -> Any:
        from click.shell_completion import CompletionItem

        return [CompletionItem(name) for name in FORMATS if name.startswith(start)]


@command()
@library
@null
@click.option("-f", "--format", "form", type=_Format("format", _format), metavar="FORMAT",
              help="The output format: text, keys, paths, tsv or json.")  # fmt: skip
@click.option("--check", "is_check", is_flag=True,
              help="First ask the server for changes, to find files that Plex has just scanned.")  # fmt: skip
@click.option("--missing", is_flag=True, help="Print only files without a match.")
@click.argument("path", nargs=-1, required=True, type=Place("file"))
def match(
    library: str | None, null: bool, form: str | None, is_check: bool, missing: bool, path: tuple[str, ...]
) -> int:
    """Find each file's Plex item, or say why there is none.

    PATH is a file; - reads paths from standard input, one per line. If a library that may contain the file was never
    fetched, the command fetches it first. The exit code is 0 if every path matches a single item. For several paths,
    the command prints a summary to standard error.

    \b
    Formats:
      keys   the item's key, or an empty line
      paths  the path; with --null, a NUL follows instead of a line break
      tsv    path, key, status, confidence, match kind, item, library, message
      json   one object per line: asked (the path), status, match_kind,
             confidence, stale, item, candidates, candidates_total, reason,
             message and age

    \b
    Examples:
      plexindex match --library Movies *.mkv
      find /mnt/media -name '*.mkv' -print0 | plexindex match --null --json -
      find /mnt/media -name '*.mkv' | plexindex match --missing -f paths -
    """
    if given.get("json") and form not in (None, "json"):
        raise UsageError(f"--format {form} and --json both specify a format: give only one of them")
    form = "json" if given.get("json") else form or "text"
    if missing and form == "keys":
        raise UsageError("--missing prints only paths without a key: use --format paths instead of --format keys")
    settings = Settings()
    if is_check:
        settings.expect_source()
    misses, summary, bar, older = codes.Misses(offline=settings.answers_from_store_only), _Summary(), Bar(), None
    with settings.open_for_answers(bar) as index:
        chosen = index.library(library)
        if is_check:
            from . import check

            older = check.bring_up_to_date(index, settings, chosen, always=True, progress=bar)
            bar.drop()
        if older is not None:
            output.complain(f"{older.why}: searching the stored listing")
        # With -vv, each path causes a log line, and the library's log buffer stores only a limited number of lines.
        batch_size = _BATCH if given.get("verbose", 0) < 2 else _BATCH // 4
        remaining = read_paths(path, null)
        while paths := list(islice(remaining, batch_size)):
            answers = chosen.match_paths(paths)
            bar.done()
            reasons: dict[bytes, str] = {}
            if form == "text" and any(answer.item is None for answer in answers):
                from . import ignored  # imports the comparison, which an answer does not need

                reasons = ignored.reasons(index, paths, answers)
            for one, answer in zip(paths, answers):
                if answer.error is not None and summary.total == 0:
                    raise answer.error
                misses.count(answer)
                summary.add(answer)
                if missing and answer.item is not None:
                    continue
                if form == "text":
                    say(match_text(os.fsdecode(one), answer, reasons.get(one), settings.mappings))
                elif form == "json":
                    output.say_json(answer.to_dict())
                else:
                    sys.stdout.buffer.write(_line(form, one, answer) + (b"\0" if null and form == "paths" else b"\n"))
    summary.print()
    return misses.code() or (older.code if older is not None else codes.OK)


class _Summary:
    """Counts the answers for the summary line."""

    def __init__(self) -> None:
        self.total = self._low = 0
        self._kinds: dict[str, int] = {}
        self._statuses: dict[str, int] = {}

    def add(self, answer: Match) -> None:
        self.total += 1
        self._low += answer.item is not None and not answer
        counts = self._kinds if answer.item else self._statuses
        status: str = answer.match_kind if answer.item else answer.status
        name = _STATUSES.get(status, status.replace("_", " "))
        counts[name] = counts.get(name, 0) + 1

    def print(self) -> None:
        """Prints the summary line if there are at least two paths."""
        if self.total == 0:
            output.remark("no path was given: the list is empty", terminal_only=True)
        if self.total < 2:
            return
        kinds = ", ".join(f"{number(count)} {name}" for name, count in self._kinds.items())
        found = f"{number(sum(self._kinds.values()))} of {output.count(self.total, 'path')} found"
        low = f" ({number(self._low)} of low confidence)" if self._low else ""
        rest = [f"{number(count)} {name}" for name, count in self._statuses.items()]
        output.remark("; ".join([f"{found}{kinds and f': {kinds}'}{low}", *rest]))


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


def _line(form: str, path: bytes, answer: Match) -> bytes:
    """Formats an answer as keys, paths or tsv. A path keeps its bytes, so that xargs finds the file."""
    if form == "paths":
        return path
    if form == "keys":
        return (answer.key or "").encode()
    title = None if answer.item is None else _describe(answer, answer.item)
    cells = (os.fsdecode(path), answer.key, answer.status, answer.confidence, answer.match_kind, title, answer.library,
             answer.message)  # fmt: skip
    escapes = {ord("\\"): "\\\\", ord("\t"): "\\t", ord("\n"): "\\n", ord("\r"): "\\r"}
    return os.fsencode("\t".join((cell or "").translate(escapes) for cell in cells))


def match_text(path: str, answer: Match, reason: str | None = None, mappings: Iterable[Mapping] = ()) -> str:
    """Formats an answer for people: the path, followed by the item or the reason.

    ``reason`` replaces the answer's reason. If a mapping applies, but Plex does not list the resulting path, the text
    includes the mapping.
    """
    applied = None if reason or answer.match_kind in SURE else first_applying(mappings, path)
    extra = [] if applied is None else [f"  the mapping {arrow(applied[0])} gives {applied[1]}"]
    extra = [output.fitted(output.one_line(line)) for line in extra]
    if answer.item is not None:
        return "\n".join(item_lines(path, answer, item_text(answer.item, _describe(answer, answer.item))) + extra)
    return "\n".join(missing_lines(path, answer, reason or answer.message, extra, shown=5))


def item_lines(path: str, answer: Match | FolderMatch, text: str) -> list[str]:
    """Formats an answer that has an item, as a list of lines."""
    how = f"{answer.match_kind.replace('_', ' ')}, {answer.confidence}"
    if answer.confidence == "low":
        how += ": verify it"
    if answer.stale:
        how += f", {'of unknown age' if answer.age is None else f'{output.span(answer.age)} old'}"
    style = "good" if answer.confidence == "high" else "warn"
    lines = [output.one_line(path), output.paint(output.fitted(f"  {text} · {how}"), style)]
    if answer.reason not in ("none", "only_root_differs"):
        lines.append(output.fitted(f"  {output.reason_line(answer.message, path)}"))
    return lines


def missing_lines(
    path: str, answer: Match | FolderMatch, reason: str | None, extra_lines: Sequence[str], shown: int, end: str = ""
) -> list[str]:
    """Formats an answer without an item as a list of lines: the reason and at most ``shown`` candidates."""
    status = _STATUSES.get(answer.status, answer.status.replace("_", " "))
    why = output.fitted(f"  {status}: {output.reason_line(reason, path)}{end}")
    style = "bad" if answer.status == "not_found" else "warn"
    lines = [output.one_line(path), output.paint(why, style), *extra_lines]
    candidates = answer.candidates[:shown]
    for item in candidates:
        lines += [f"    {item_text(item)}", f"      {output.one_line(item.path or '')}"]
    if answer.candidates_total > len(candidates) > 0:
        lines.append(f"    and {number(answer.candidates_total - len(candidates))} more")
    return lines


def item_text(item: Item, description: str | None = None) -> str:
    """Formats an item, its library and its key in one line."""
    parts = description or item.describe(), item.library, item.key
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
