"""`plexindex match`: finds the items for files."""

from __future__ import annotations

import os
import sys
import time

from .._core import TYPE_CHECKING
from . import check, codes, commands, ignored, output
from .bar import Bar
from .codes import UsageError
from .config import Settings
from .mappings import SURE, arrow, first_applying
from .output import number, say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ..item import Item
    from ..mapping import Mapping
    from ..match import Folder, Match

_BATCH = 500
_STATUSES = {"not_yet": "not yet", "needs_warm": "not yet", "not_found": "not found", "ambiguous": "ambiguous"}


def match(options: argparse.Namespace) -> int:
    """Finds the items for the paths."""
    if options.json and options.format not in (None, "json"):
        raise UsageError(f"--format {options.format} and --json both specify a format: give only one of them")
    output_format = "json" if options.json else options.format or "text"
    if options.missing and output_format == "keys":
        raise UsageError("--missing prints only paths without a key: use --format paths instead of --format keys")
    print_answer = _PRINTERS.get(output_format)
    settings = Settings(options)
    if options.check:
        settings.expect_source()
    misses, summary, bar = codes.Misses(offline=settings.answers_from_store_only), _Summary(), Bar()
    older = None
    with settings.open_for_answers(bar) as index:
        library = commands.select_library(index, options.library)
        if options.check:
            older = check.bring_up_to_date(index, settings, library, always=True, progress=bar)
            bar.drop()
        if older is not None:
            output.complain(f"{older.why}: searching the stored listing")
        # With -vv, each path causes a log line, and the library's log buffer stores only a limited number of lines.
        batch_size = _BATCH if options.verbose < 2 else _BATCH // 4
        for paths in _batches(read_paths(options.path, options.null, "file"), batch_size):
            begun = time.monotonic()
            try:
                answers = index.match_paths(paths, library)
            except BaseException:
                bar.drop()
                raise
            bar.done()
            in_time = is_in_time(begun, settings)
            reasons = ignored.reasons(index, paths, answers) if print_answer is None else {}
            for path, answer in zip(paths, answers):
                if answer.error is not None and summary.total == 0:
                    raise answer.error
                misses.count(answer, in_time=in_time)
                summary.add(answer)
                if options.missing and answer.item is not None:
                    continue
                if print_answer is None:
                    say(match_text(os.fsdecode(path), answer, reasons.get(path), settings.mappings))
                else:
                    print_answer(path, answer, options.null)
    if not options.quiet:
        summary.print()
    return misses.code() or (older.code if older is not None else codes.OK)


def is_in_time(begun: float, settings: Settings) -> bool:
    """Returns whether a lookup that started at ``begun`` has ended well before the deadline."""
    return time.monotonic() - begun < (settings.deadline or 0) * 0.9


class _Summary:
    """Counts the answers for the summary line."""

    def __init__(self) -> None:
        self.total = self._found = self._low = 0
        self._kinds: dict[str, int] = {}
        self._statuses: dict[str, int] = {}

    def add(self, answer: Match) -> None:
        self.total += 1
        is_found = answer.item is not None
        self._found += is_found
        self._low += is_found and not answer
        counts = self._kinds if is_found else self._statuses
        name = answer.match_kind.replace("_", " ") if is_found else _STATUSES.get(answer.status, answer.status)
        counts[name] = counts.get(name, 0) + 1

    def print(self) -> None:
        """Prints the summary line if there are at least two paths."""
        if self.total == 0:
            output.remark("no path was given: the list is empty", terminal_only=True)
        if self.total < 2:
            return
        kinds = ", ".join(f"{number(count)} {name}" for name, count in self._kinds.items())
        text = f"{number(self._found)} of {output.count(self.total, 'path')} found{kinds and f': {kinds}'}"
        text += f" ({number(self._low)} of low confidence)" if self._low else ""
        output.remark("; ".join([text, *(f"{number(count)} {name}" for name, count in self._statuses.items())]))


def read_paths(arguments: Iterable[str], null: bool, what: str) -> Iterator[bytes]:
    """Yields paths from the arguments and from standard input. Makes relative paths of existing files absolute."""
    for path in arguments:
        if path == "-":
            for line in commands.parse_paths(commands.read_stdin(), null=null):
                yield line if os.path.isabs(line) else _full_if_existing(os.fsdecode(line))
        elif not path:
            raise UsageError(f"a path is empty: give the path of a {what}")
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


def _batches(paths: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for path in paths:
        batch.append(path)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _print_key(_: bytes, answer: Match, __: bool) -> None:
    say(answer.key or "")


def _print_path(path: bytes, _: Match, null: bool) -> None:
    # Write the same bytes as in the list, so that xargs finds the file.
    sys.stdout.buffer.write(path + (b"\0" if null else b"\n"))


def _print_columns(path: bytes, answer: Match, _: bool) -> None:
    title = None if answer.item is None else _describe(answer, answer.item)
    cells = (os.fsdecode(path), answer.key, answer.status, answer.confidence, answer.match_kind, title, answer.library,
             answer.message)  # fmt: skip
    escapes = {ord("\\"): "\\\\", ord("\t"): "\\t", ord("\n"): "\\n", ord("\r"): "\\r"}
    line = "\t".join((cell or "").translate(escapes) for cell in cells)
    sys.stdout.buffer.write(os.fsencode(line) + b"\n")


def _print_json(_: bytes, answer: Match, __: bool) -> None:
    output.say_json(answer.to_dict())


_PRINTERS: dict[str, Callable[[bytes, Match, bool], None]] = {
    "keys": _print_key,
    "paths": _print_path,
    "tsv": _print_columns,
    "json": _print_json,
}


def match_text(path: str, answer: Match, reason: str | None = None, mappings: Iterable[Mapping] = ()) -> str:
    """Formats an answer for people: the path, followed by the item or the reason.

    ``reason`` replaces the answer's reason. If a mapping applies, but Plex does not list the resulting path, the text
    includes the mapping.
    """
    if answer.item is not None:
        lines = item_lines(path, answer, item_text(answer.item, _describe(answer, answer.item)))
        return "\n".join(lines + _mapping_line(path, answer, mappings))
    extra_lines = _mapping_line(path, answer, () if reason else mappings)
    return "\n".join(missing_lines(path, answer, reason or answer.message, extra_lines, shown=5))


def item_lines(path: str, answer: Match | Folder, text: str) -> list[str]:
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
    path: str, answer: Match | Folder, reason: str | None, extra_lines: Sequence[str], shown: int, end: str = ""
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


def _mapping_line(path: str, answer: Match, mappings: Iterable[Mapping]) -> list[str]:
    applied = None if answer.match_kind in SURE else first_applying(mappings, path)
    if applied is None:
        return []
    mapping, server_path = applied
    return [output.fitted(f"  the mapping {output.one_line(arrow(mapping))} gives {output.one_line(server_path)}")]


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
