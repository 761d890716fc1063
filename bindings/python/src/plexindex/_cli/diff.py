"""`plexindex diff`: what is on the disk and not in Plex, and the other way round, for people and for scripts."""

from __future__ import annotations

import os
import sys
import time

from .. import _left_out
from . import check, codes, commands, mappings, output
from .codes import UsageError
from .config import Settings
from .match import item_text
from .output import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from .._compare import Comparison, Difference
    from .._index import Index

_WORDS = {
    "not_in_plex": ("not in Plex", "bad"),
    "not_on_disk": ("not on the disk", "bad"),
    "ambiguous": ("ambiguous", "warn"),
    "left_out": ("left out", "faint"),
    "several_paths": ("several files", "faint"),
}

# Differences that are none: printed with --left-out only.
_REMARKS = ("left_out", "several_paths")
# Number of files to check the given mappings with.
_SAMPLE = 200

# The parts of the sums in the summary, by their names there.
_SUMMED = {
    "in_plex": "in Plex",
    "not_in_plex": "not in Plex",
    "ambiguous": "ambiguous",
    "left_out": "left out",
    "on_disk": "on the disk",
    "not_on_disk": "not on the disk",
    "unknown": "not looked for",
}


def diff(options: argparse.Namespace) -> int:
    """Lists the differences."""
    if options.rules:
        for name, (what, source) in _left_out.RULES.items():
            if options.json:
                output.say_json({"rule": name, "leaves_out": what, "source": source})
                continue
            say(output.fitted(f"{name:11} {what}\n{'':11} Source: {source}"))
        return codes.OK
    if not options.path:
        raise UsageError("no folder given: give the folders to walk")
    if not all(options.path):
        raise UsageError("empty path: give the path of a folder")
    settings = Settings(options)
    if settings.silent:
        settings.expect_folder()
        if not settings.has_store():
            raise commands.nothing_to_ask(settings)
    counter = _FileCounter()
    with settings.open() as index:
        if settings.silent and not index.libraries(offline=True):
            raise commands.nothing_to_ask(settings)
        library = commands.selected(index, options.library)
        found = index.compare(
            map(os.fsencode, options.path),
            library,
            without=options.without,
            offline=settings.silent,
            progress=counter,
        )
        missed = None if settings.silent else check.bring_up_to_date(index, settings, library, always=True)
        # The server was asked already.
        kind = None if missed is None else missed.kind
        found._check = lambda: kind  # type: ignore[method-assign]
        unlisted: list[bytes] = []
        try:
            for difference in found:
                counter.drop()
                if difference.what == "not_in_plex" and not difference.is_folder and len(unlisted) < _SAMPLE:
                    unlisted.append(os.fsencode(difference.path))
                if options.json:
                    output.say_json(difference.to_dict())
                elif options.left_out or difference.what not in _REMARKS or difference.reason_code == "unreadable":
                    say(_text(difference))
        finally:
            counter.drop()
        hints = _wrong_mappings(settings, index, found, unlisted)
    if options.json:
        output.say_json(found.summary)
    else:
        _sum_up(found, settings.asked, missed.why if missed else "")
    for hint in hints:
        output.remark(hint)
    return codes.NOT_ALL if found.differs or found.unreadable else codes.OK


def _wrong_mappings(settings: Settings, index: Index, found: Comparison, unlisted: list[bytes]) -> list[str]:
    """Returns a sentence for each given mapping that leads to the wrong folder, if most files are not listed."""
    summary = found.summary
    if not (settings.mappings and unlisted) or summary["files_in_plex"] > summary["files_not_in_plex"]:
        return []
    answers = index.match_paths(unlisted, offline=True)
    return [text for _, text in mappings.judge(settings, index, unlisted, answers).wrong]


def _text(difference: Difference) -> str:
    words, style = _WORDS[difference.what]
    lines = [f"{output.paint(words, style)}: {output.one_line(difference.path)}"]
    if difference.item is not None:
        lines.append(f"  {item_text(difference.item)}")
    if difference.reason_code != "gone":
        lines.append(output.fitted(f"  {output.reason(difference.reason, difference.path)}"))
    return "\n".join(lines)


def _sum_up(found: Comparison, asked: str, why: str) -> None:
    summary: Any = found.summary
    parts = [
        _sum(f"{output.count(found.files, 'media file')} on the disk", summary, "files_"),
        _sum(f"Plex lists {output.count(found.listed, 'file')} there", summary, "listed_"),
    ]
    if summary["listed_location_empty"]:
        parts.append(f"{output.number(summary['listed_location_empty'])} of them where a mount may be missing")
    if found.counts.get("several_paths"):
        parts.append(f"{output.count(found.counts['several_paths'], 'further file')} of an item")
    others = found.counts.get("left_out", 0) - summary["files_left_out"] - found.unreadable
    if others > 0:
        parts.append(f"{output.count(others, 'folder')} left out")
    if found.unreadable:
        parts.append(f"{output.count(found.unreadable, 'folder')} not read")
    if found.unasked:
        parts.append(
            f"{output.count(found.unasked, 'file')} may have been renamed, which {asked} was not asked: "
            "`plexindex warm --full` asks for all"
        )
    if not (found.files or found.listed or found.unreadable):
        parts.append("nothing was compared: no library has files there")
    elif not (found.differs or found.unreadable):
        parts.append("nothing differs")
    if found.age is not None:
        parts.append(_how_old(found, found.age, asked, why))
    output.remark(f"{'; '.join(parts)} ({output.short(found.seconds)})")


def _how_old(found: Comparison, age: float, asked: str, why: str) -> str:
    """Describes the age of the compared listing, and why it may be old."""
    if found.stale and why:
        return f"{why}: compared with the listing from {'a moment ago' if age < 2 else output.ago(age)}"
    text = f"the listing was current {output.ago(age)}"
    if found.renames_unknown:
        text += f", but {asked} did not say what was renamed since: renamed files count as gone and as new"
    return text


def _sum(whole: str, summary: dict[str, Any], prefix: str) -> str:
    """Formats a number with its parts, such as ``5 files: 3 in Plex, 2 not in Plex``."""
    counts = [(summary.get(prefix + part, 0), _SUMMED[part]) for part in _SUMMED]
    parts = [f"{output.number(count)} {words}" for count, words in counts if count]
    return f"{whole}: {', '.join(parts)}" if parts else whole


class _FileCounter:
    """Shows the number of files found so far, on a terminal."""

    def __init__(self) -> None:
        self._shows, self._last, self._shown = output.is_terminal(sys.stderr), 0.0, False

    def __call__(self, files: int) -> None:
        now = time.monotonic()
        if self._shows and now - self._last > 0.1:
            self._last, self._shown = now, True
            sys.stdout.flush()
            sys.stderr.write(f"\r{output.count(files, 'file')} found\x1b[K")
            sys.stderr.flush()

    def drop(self) -> None:
        """Clears the line before other output."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._shown = False
