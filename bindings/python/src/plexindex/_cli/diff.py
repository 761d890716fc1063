"""`plexindex diff`: compares the disk with what Plex lists."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import groupby
from typing import Any

from ..compare import RULES, Comparison, Difference
from . import codes, output
from .match import item_text
from .options import VALUES, UsageError, command, given
from .output import count, say
from .settings import Settings, chosen

_WORDS = {
    "not_in_plex": ("not in Plex", "bad"),
    "not_on_disk": ("not on the disk", "bad"),
    "ambiguous": ("ambiguous", "warn"),
    "left_out": ("left out", "faint"),
    "several_paths": ("several files", "faint"),
}
# Kinds of lines that are not differences. diff prints these lines only with --left-out.
_REMARKS = ("left_out", "several_paths")
VALUES["RULE"] = list(RULES)
# The kinds of differences that --only chooses.
_KINDS: dict[str, Callable[[Difference], bool]] = {
    "not-in-plex": lambda one: one.what == "not_in_plex",
    "not-on-disk": lambda one: one.what == "not_on_disk",
    "renamed": lambda one: one.reason == "renamed",
}
# Words in the summary line for each part of a sum, by the part's name in the JSON summary.
_SUMMED = {"in_plex": "in Plex", "not_in_plex": "not in Plex", "ambiguous": "ambiguous", "left_out": "left out",
           "on_disk": "on the disk", "not_on_disk": "not on the disk", "unknown": "not checked"}  # fmt: skip


@command("""diff [FOLDER]...

    Compare the disk with what Plex lists.

    The command first asks the server whether anything changed, and then walks each FOLDER. It lists files that Plex
    does not list, and listed files that are not on the disk; a missing folder is one line with its number of files. It
    skips files that Plex ignores, and changes nothing. The exit code is 0 if nothing differs.

    Example:
      plexindex diff --json /mnt/media |
        jq -r 'select(.what == "not_in_plex") | .path'

    JSON: one object for each difference, also for each file of a missing folder, with what (not_in_plex, not_on_disk or
    ambiguous), path, item, reason, message, library, section and counts. If 'what' is left_out or several_paths, the
    object is not a difference. In the last object, 'what' is summary and counts is set: files is the sum of
    files_in_plex, files_not_in_plex, files_ambiguous and files_left_out; listed is the sum of listed_on_disk,
    listed_not_on_disk and listed_unknown; listed_location_empty counts the files in listed_not_on_disk whose location
    is empty or missing.

    Options:
      -l, --library LIBRARY
      --without RULE...  Treat files that RULE ignores as media files; you can repeat this option.
      --rules  List the rules with their sources, and exit.
      --left-out  Also print ignored files and items' additional files, as JSON always does, except for the files that
        the rule 'extension' ignores.
      --only {not-in-plex|not-on-disk|renamed}...  Print only differences of this kind; you can repeat this option.
      --limit N  Print at most N differences. The summary and the exit code are those of all.
    """)
def diff_command(
    folders: list[str], library: str | None, without: tuple[str, ...], rules: bool, left_out: bool,
    only: tuple[str, ...], limit: int | None,
) -> int:  # fmt: skip
    if rules:
        for name, (what, source) in RULES.items():
            text = output.fitted(f"{name:11} {what}\n{'':11} Source: {source}")
            output.show({"rule": name, "leaves_out": what, "source": source}, text)
        return codes.OK
    if not folders:
        raise UsageError("no folder was given: give the folders to walk")
    settings, counter = Settings(), output.Bar()
    with settings.open_for_answers() as index:
        comparison = chosen(index, library).compare(
            map(os.fsencode, folders),
            without=without,
            timeout=settings.timeout,
            offline=settings.answers_from_store_only,
            progress=lambda files: counter.show(f"{count(files, 'file')} found"),
        )
        printed = hidden = 0
        wanted = (one for one in comparison if not only or any(_KINDS[kind](one) for kind in only))
        try:
            for (missing, is_remark), group in groupby(
                wanted, lambda one: (_missing_folder(one), one.what in _REMARKS)
            ):
                for text in _lines(group, missing, with_remarks=left_out and not only):
                    counter.drop()
                    if limit is None or is_remark or printed < limit:
                        printed += not is_remark
                        say(text)
                    else:
                        hidden += 1
        finally:
            counter.drop()
    if given.get("json"):
        fields = dict.fromkeys(Difference.__annotations__)
        output.say_json({**fields, "what": "summary", "counts": comparison.summary})
    else:
        summary = "; ".join(_summary(comparison, settings.source_name))
        output.remark(f"{summary} ({output.span(comparison.summary['seconds'])})")
    if hidden:
        output.remark(f"{count(hidden, 'further line')} not printed because of --limit")
    return codes.NOT_ALL if comparison.differs or comparison.summary["unreadable"] else codes.OK


def _missing_folder(one: Difference) -> str | None:
    """Returns the outermost folder above a missing file that is missing, too. In JSON, each file is a line."""
    if one.reason != "gone" or given.get("json"):
        return None
    missing, folder = None, os.path.dirname(one.path)
    while not _exists(folder) and folder != os.path.dirname(folder):
        missing, folder = folder, os.path.dirname(folder)
    return missing


_exists = lru_cache(4096)(os.path.exists)


def _lines(group: Iterable[Difference], missing: str | None, *, with_remarks: bool) -> Iterator[str]:
    """Yields the lines for differences, which are all below a missing folder or all below none."""
    if missing is not None:
        words, style = _WORDS["not_on_disk"]
        files = count(sum(1 for _ in group), "file")
        yield f"{output.paint(words, style)}: {output.one_line(missing)}{os.sep} ({files})"
    for one in group:
        if given.get("json"):
            yield output.json_line({**one.to_dict(), "counts": None})
        elif with_remarks or one.what not in _REMARKS or one.reason == "unreadable":
            yield _difference_text(one)


def _difference_text(difference: Difference) -> str:
    words, style = _WORDS[difference.what]
    lines = [f"{output.paint(words, style)}: {output.one_line(difference.path)}"]
    if difference.item is not None:
        lines.append(f"  {item_text(difference.item)}")
    if difference.reason != "gone":
        lines.append(output.fitted(f"  {output.reason_line(difference.message, difference.path)}"))
    return "\n".join(lines)


def _summary(comparison: Comparison, source_name: str) -> Iterator[str]:
    summary: Any = comparison.summary
    yield _sum_text(f"{count(summary['files'], 'media file')} on the disk", summary, "files_")
    yield _sum_text(f"Plex lists {count(summary['listed'], 'file')} there", summary, "listed_")
    if empty := summary["listed_location_empty"]:
        yield f"{empty:,} of these are in empty or missing locations: check the mounts"
    if further := summary["several_paths"]:
        yield f"{count(further, 'further file')} of an item"
    unreadable = summary["unreadable"]
    if (folders := summary["left_out"] - summary["files_left_out"] - unreadable) > 0:
        yield f"{count(folders, 'folder')} left out"
    if unreadable:
        yield f"{count(unreadable, 'folder')} not read"
    if unasked := summary["unasked"]:
        yield f"{count(unasked, 'file')} may have been renamed: run `plexindex refresh --full` to check"
    if not (summary["files"] or summary["listed"] or unreadable):
        yield "nothing was compared: no library has files there"
    elif not (comparison.differs or unreadable):
        yield "nothing differs"
    ago = output.ago(summary["age"])
    if comparison.error is not None:
        yield f"{comparison.error}: compared with a listing that was current {ago}"
        return
    yield f"the listing was current {ago}"
    if comparison.renames_unknown:
        yield (
            f"{source_name} did not report whether files were renamed, so each renamed file counts as both a missing "
            "and a new file"
        )


def _sum_text(whole: str, summary: dict[str, Any], prefix: str) -> str:
    """Formats a total and its parts, such as ``5 files: 3 in Plex, 2 not in Plex``."""
    counts = [(summary.get(prefix + part, 0), words) for part, words in _SUMMED.items()]
    parts = [f"{value:,} {words}" for value, words in counts if value]
    return f"{whole}: {', '.join(parts)}" if parts else whole
