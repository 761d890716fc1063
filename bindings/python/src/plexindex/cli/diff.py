"""`plexindex diff`: compares the disk with what Plex lists."""

from __future__ import annotations

import os
import sys
import time

import click

from .._core import TYPE_CHECKING
from ..compare import left_out as _left_out
from . import check, codes, mappings, output
from .codes import UsageError
from .config import Settings
from .match import item_text
from .options import FOLDER, command, given, library
from .output import count, number, say

if TYPE_CHECKING:
    from typing import Any

    from ..compare import Comparison, Difference
    from ..index import Index

_WORDS = {
    "not_in_plex": ("not in Plex", "bad"),
    "not_on_disk": ("not on the disk", "bad"),
    "ambiguous": ("ambiguous", "warn"),
    "left_out": ("left out", "faint"),
    "several_paths": ("several files", "faint"),
}
# Kinds of lines that are not differences. diff prints these lines only with --left-out.
_REMARKS = ("left_out", "several_paths")
_FIELDS = ("what", "path", "is_folder", "files", "item", "reason", "message", "library", "section")
# Maximum number of files for checking the user's mappings.
_SAMPLE = 200
# Words in the summary line for each part of a sum, by the part's name in the JSON summary.
_SUMMED = {
    "in_plex": "in Plex",
    "not_in_plex": "not in Plex",
    "ambiguous": "ambiguous",
    "left_out": "left out",
    "on_disk": "on the disk",
    "not_on_disk": "not on the disk",
    "unknown": "not checked",
}


@command()
@library
@click.option("--without", type=click.Choice(list(_left_out.RULES)), multiple=True, metavar="RULE",
              help="Treat files that RULE ignores as media files; you can repeat this option.")  # fmt: skip
@click.option("--rules", is_flag=True, help="List the rules with their sources, and exit.")
@click.option("--left-out", is_flag=True, help="Also print ignored files and items' additional files, as JSON always "
              "does, except for the files that the rule 'extension' ignores.")  # fmt: skip
@click.argument("folder", nargs=-1, type=FOLDER)
def diff(library: str | None, without: tuple[str, ...], rules: bool, left_out: bool, folder: tuple[str, ...]) -> int:
    """Compare the disk with what Plex lists.

    The command first asks the server whether anything changed, and then walks each FOLDER. It lists files that Plex
    does not list, and listed files that are not on the disk. It skips files that Plex ignores, and changes nothing. The
    exit code is 0 if nothing differs.

    \b
    Example:
      plexindex diff --json /mnt/media |
        jq -r 'select(.what == "not_in_plex") | .path'

    JSON: one object for each difference, with what (not_in_plex, not_on_disk or ambiguous), path, item, reason,
    message, library, section and counts. If 'what' is left_out or several_paths, the object is not a difference. In the
    last object, 'what' is summary and counts is set: files is the sum of files_in_plex, files_not_in_plex,
    files_ambiguous and files_left_out; listed is the sum of listed_on_disk, listed_not_on_disk and listed_unknown;
    listed_location_empty counts the files in listed_not_on_disk whose location is empty or missing.
    """
    if rules:
        for name, (what, source) in _left_out.RULES.items():
            if given.get("json"):
                output.say_json({"rule": name, "leaves_out": what, "source": source})
            else:
                say(output.fitted(f"{name:11} {what}\n{'':11} Source: {source}"))
        return codes.OK
    if not folder:
        raise UsageError("no folder was given: give the folders to walk")
    settings, counter = Settings(), _FileCounter()
    with settings.open_for_answers() as index:
        chosen, offline = index.library(library), settings.answers_from_store_only
        folders = map(os.fsencode, folder)
        comparison = index.compare(folders, chosen, without=without, offline=offline, progress=counter)
        older = None if offline else check.bring_up_to_date(index, settings, chosen, always=True)
        # `bring_up_to_date` has asked the server, so the comparison need not ask again.
        comparison.use_outcome(None if older is None else older.kind)
        unlisted: list[bytes] = []
        try:
            for difference in comparison:
                counter.drop()
                if difference.what == "not_in_plex" and not difference.is_folder and len(unlisted) < _SAMPLE:
                    unlisted.append(os.fsencode(difference.path))
                if given.get("json"):
                    output.say_json({**difference.to_dict(), "counts": None})
                elif left_out or difference.what not in _REMARKS or difference.reason == "unreadable":
                    say(_difference_text(difference))
        finally:
            counter.drop()
        hints = _wrong_mappings(settings, index, comparison, unlisted)
    if given.get("json"):
        output.say_json({**dict.fromkeys(_FIELDS), "what": "summary", "counts": comparison.summary})
    else:
        _print_summary(comparison, settings.source_name, older.why if older else "")
    for hint in hints:
        output.remark(hint)
    return codes.NOT_ALL if comparison.differs or comparison.unreadable else codes.OK


def _wrong_mappings(settings: Settings, index: Index, comparison: Comparison, unlisted: list[bytes]) -> list[str]:
    """Returns a sentence for each of the user's wrong mappings. Empty if Plex lists most of the files."""
    summary = comparison.summary
    if not (settings.mappings and unlisted) or summary["files_in_plex"] > summary["files_not_in_plex"]:
        return []
    answers = index.match_paths(unlisted, offline=True)
    return [text for _, text in mappings.judge(settings, index, unlisted, answers).wrong]


def _difference_text(difference: Difference) -> str:
    words, style = _WORDS[difference.what]
    lines = [f"{output.paint(words, style)}: {output.one_line(difference.path)}"]
    if difference.item is not None:
        lines.append(f"  {item_text(difference.item)}")
    if difference.reason != "gone":
        lines.append(output.fitted(f"  {output.reason_line(difference.message, difference.path)}"))
    return "\n".join(lines)


def _print_summary(comparison: Comparison, source_name: str, why_old: str) -> None:
    summary: Any = comparison.summary
    parts = [
        _sum_text(f"{count(comparison.files, 'media file')} on the disk", summary, "files_"),
        _sum_text(f"Plex lists {count(comparison.listed, 'file')} there", summary, "listed_"),
    ]
    if summary["listed_location_empty"]:
        parts.append(
            f"{number(summary['listed_location_empty'])} of these are in empty or missing locations: check the mounts"
        )
    if comparison.counts.get("several_paths"):
        parts.append(f"{count(comparison.counts['several_paths'], 'further file')} of an item")
    folders = comparison.counts.get("left_out", 0) - summary["files_left_out"] - comparison.unreadable
    if folders > 0:
        parts.append(f"{count(folders, 'folder')} left out")
    if comparison.unreadable:
        parts.append(f"{count(comparison.unreadable, 'folder')} not read")
    if comparison.unasked:
        parts.append(
            f"{count(comparison.unasked, 'file')} may have been renamed: run `plexindex refresh --full` to check"
        )
    if not (comparison.files or comparison.listed or comparison.unreadable):
        parts.append("nothing was compared: no library has files there")
    elif not (comparison.differs or comparison.unreadable):
        parts.append("nothing differs")
    if comparison.age is not None and comparison.stale and why_old:
        parts.append(f"{why_old}: compared with a listing that was current {output.ago(comparison.age)}")
    elif comparison.age is not None:
        parts.append(f"the listing was current {output.ago(comparison.age)}")
        if comparison.renames_unknown:
            parts.append(
                f"{source_name} did not report whether files were renamed, so each renamed file counts as both a "
                "missing and a new file"
            )
    output.remark(f"{'; '.join(parts)} ({output.short(comparison.seconds)})")


def _sum_text(whole: str, summary: dict[str, Any], prefix: str) -> str:
    """Formats a total and its parts, such as ``5 files: 3 in Plex, 2 not in Plex``."""
    counts = [(summary.get(prefix + part, 0), words) for part, words in _SUMMED.items()]
    parts = [f"{number(value)} {words}" for value, words in counts if value]
    return f"{whole}: {', '.join(parts)}" if parts else whole


class _FileCounter:
    """Shows the number of files found so far, if standard error is a terminal."""

    def __init__(self) -> None:
        self._is_visible, self._last_time, self._is_drawn = output.is_terminal(sys.stderr), 0.0, False

    def __call__(self, files: int) -> None:
        now = time.monotonic()
        if self._is_visible and now - self._last_time > 0.1:
            self._last_time, self._is_drawn = now, True
            sys.stdout.flush()
            sys.stderr.write(f"\r{count(files, 'file')} found\x1b[K")
            sys.stderr.flush()

    def drop(self) -> None:
        """Clears the displayed number before other output."""
        if self._is_drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._is_drawn = False
