"""`plexindex match`: finds the items of files."""

from __future__ import annotations

import os
import sys
import time

from . import check, codes, commands, ignored, output
from .bar import Bar
from .codes import UsageError
from .config import Settings
from .mappings import SURE, applied, arrow
from .output import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator

    from .._answers import Match
    from .._items import Item
    from .._mapping import Mapping

_AT_ONCE = 500
_CANDIDATES = 5
_STATUSES = {"not_yet": "not yet", "needs_warm": "not yet", "not_found": "not found", "ambiguous": "ambiguous"}


def match(options: argparse.Namespace) -> int:
    """Finds the items of the paths."""
    if options.json and options.format not in (None, "json"):
        raise UsageError(f"--format {options.format} and --json are both formats: give one")
    shape = "json" if options.json else options.format or "text"
    if options.missing and shape == "keys":
        raise UsageError("a path without a single item has no key: with --missing give --format paths")
    show = _SHOWN.get(shape)
    counts: dict[str, int] = {}
    low = total = 0
    bar = Bar()
    settings = Settings(options)
    misses = codes.Misses(offline=settings.silent)
    if options.check:
        commands.expect_source(settings)
    if settings.silent:
        settings.expect_folder()
        if not settings.has_store():
            raise commands.nothing_to_ask(settings)
    with settings.open(progress=bar) as index:
        if settings.silent and not index.libraries(offline=True):
            raise commands.nothing_to_ask(settings)
        library = commands.selected(index, options.library)
        missed = None
        if options.check:
            missed = check.bring_up_to_date(index, settings, library, always=True, progress=bar)
            bar.drop()
        if missed is not None:
            output.complain(f"{missed.why}: searching its last listing")
        # At -vv each path logs a line, and the library's log holds a limited number of lines.
        at_once = _AT_ONCE if options.verbose < 2 else _AT_ONCE // 4
        for paths in _batches(paths_of(options.path, options.null, "file"), at_once):
            begun = time.monotonic()
            try:
                answers = index.match_paths(paths, library)
            except BaseException:
                bar.drop()
                raise
            bar.done()
            in_time = time.monotonic() - begun < (settings.deadline or 0) * 0.9
            reasons = ignored.reasons(index, paths, answers) if show is None else {}
            for path, answer in zip(paths, answers):
                error = answer.error
                if error is not None and total == 0:
                    raise error
                total += 1
                misses.count(answer, in_time=in_time)
                low += answer.confidence == "low" and bool(answer)
                found = answer.match_kind if answer else _STATUSES.get(answer.status, answer.status)
                counts[found] = counts.get(found, 0) + 1
                if options.missing and answer:
                    continue
                if show is None:
                    say(match_text(os.fsdecode(path), answer, reasons.get(path), settings.mappings))
                else:
                    show(path, answer, options.null)
    if total == 0 and not options.quiet:
        output.note("no path given: the list is empty")
    if total > 1 and not options.quiet:
        _sum_up(total, misses.missing, low, counts)
    return misses.code() or (missed.code if missed is not None else codes.OK)


def _sum_up(total: int, missing: int, low: int, counts: dict[str, int]) -> None:
    known = _STATUSES.values()
    found = [
        f"{output.number(number)} {name.replace('_', ' ')}" for name, number in counts.items() if name not in known
    ]
    others = [f"{output.number(number)} {name}" for name, number in counts.items() if name in known]
    text = f"{output.number(total - missing)} of {output.count(total, 'path')} found"
    text += f": {', '.join(found)}" if found else ""
    text += f" ({output.number(low)} of low confidence)" if low else ""
    output.remark("; ".join([text, *others]))


def paths_of(given: Iterable[str], null: bool, what: str) -> Iterator[bytes]:
    """Reads the paths of the arguments and of the lists that they name. Names below the current folder become full."""
    for path in given:
        if path == "-":
            for line in commands.read_list(commands.read_stdin(), null):
                yield line if os.path.isabs(line) else _full_if_there(os.fsdecode(line))
        elif not path:
            raise UsageError(f"empty path: give the path of a {what}")
        else:
            yield _full_if_there(path)


def _full_if_there(path: str) -> bytes:
    return os.fsencode(full_path(path) if os.path.exists(path) else path)


def full_path(path: str) -> str:
    """Returns the absolute path. `..` depends on links, so the part up to the last `..` is resolved."""
    path = path if os.path.isabs(path) else os.path.join(os.getcwd(), path)
    at = path.rfind("/../") + len("/../")
    if at >= len("/../") and os.name != "nt":  # Windows takes the name before it away, whatever it is
        path = os.path.join(os.path.realpath(path[:at]), path[at:])
    return os.path.abspath(path)


def _batches(paths: Iterable[bytes], at_once: int) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for path in paths:
        batch.append(path)
        if len(batch) == at_once:
            yield batch
            batch = []
    if batch:
        yield batch


def _show_key(_: bytes, answer: Match, __: bool) -> None:
    say(answer.key or "")


def _show_path(path: bytes, _: Match, null: bool) -> None:
    # The same bytes, for xargs.
    sys.stdout.buffer.write(path + (b"\0" if null else b"\n"))


def _show_columns(path: bytes, answer: Match, _: bool) -> None:
    item = answer.item
    title = None if item is None else _described(answer, item)
    cells = (os.fsdecode(path), answer.key, answer.status, answer.confidence, answer.match_kind, title, answer.library,
             answer.reason)  # fmt: skip
    line = "\t".join(_escaped(cell or "") for cell in cells)
    sys.stdout.buffer.write(os.fsencode(line) + b"\n")


def _escaped(cell: str) -> str:
    return cell.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _show_json(_: bytes, answer: Match, __: bool) -> None:
    output.say_json(answer.to_dict())


_SHOWN: dict[str, Callable[[bytes, Match, bool], None]] = {
    "keys": _show_key,
    "paths": _show_path,
    "tsv": _show_columns,
    "json": _show_json,
}


def match_text(path: str, answer: Match, reason: str | None = None, mappings: Iterable[Mapping] = ()) -> str:
    """Formats an answer for people: the path, and below it the item or the reason.

    ``reason`` takes the place of the answer's. A mapping that applies is named if Plex does not list what it gives.
    """
    lines = [output.one_line(path)]
    if answer.item is not None:
        how = f"{answer.match_kind.replace('_', ' ')}, {answer.confidence}"
        if answer.confidence == "low":
            how += ": verify it"
        if answer.stale:
            how += f", {output.span(answer.age or 0)} old"
        text = output.fitted(f"  {item_text(answer.item, _described(answer, answer.item))} · {how}")
        lines.append(output.paint(text, "good" if answer.confidence == "high" else "warn"))
        if answer.reason_code not in ("none", "only_root_differs", "path_tells"):
            lines.append(output.fitted(f"  {output.reason(answer.reason, path)}"))
        lines += _mapping_line(path, answer, mappings)
        return "\n".join(lines)
    why = f"  {status_text(answer)}: {output.reason(reason or answer.reason, path)}"
    lines.append(output.paint(output.fitted(why), "bad" if answer.status == "not_found" else "warn"))
    lines += _mapping_line(path, answer, () if reason else mappings)
    shown = answer.candidates[:_CANDIDATES]
    for item in shown:
        lines.append(f"    {item_text(item)}")
        lines.append(f"      {output.one_line(item.path or '')}")
    if answer.candidates_total > len(shown) > 0:
        lines.append(f"    and {output.number(answer.candidates_total - len(shown))} more")
    return "\n".join(lines)


def _mapping_line(path: str, answer: Match, mappings: Iterable[Mapping]) -> list[str]:
    use = None if answer.match_kind in SURE else applied(mappings, path)
    if use is None:
        return []
    return [output.fitted(f"  the mapping {output.one_line(arrow(use[0]))} gives {output.one_line(use[1])}")]


def status_text(answer: Match) -> str:
    """Returns the status of an answer in words."""
    return _STATUSES.get(answer.status, answer.status.replace("_", " "))


def item_text(item: Item, described: str | None = None) -> str:
    """Formats an item, its library and its key in one line."""
    parts = described or item.describe(), item.library, item.key
    return output.one_line(" · ".join(part for part in parts if part))


def _described(answer: Match, item: Item) -> str:
    """Describes an item, with the numbers of all episodes that its file has."""
    text = item.describe()
    if answer.candidates_total < 2 or item.season is None or item.episode is None:
        return text
    season = (item.show_rating_key, item.season)
    numbers = {one.episode for one in answer.candidates if (one.show_rating_key, one.season) == season}
    first, *others = (f"E{number:02d}" for number in sorted(number for number in numbers if number is not None))
    return text.replace(f" S{item.season:02d}{first} ", f" S{item.season:02d}{'-'.join([first, *others])} ", 1)
