"""`plexindex folder`: finds the show, season, artist, album or item for each folder."""

from __future__ import annotations

import os
import time

from .._core import TYPE_CHECKING
from . import codes, commands, output
from .bar import Bar
from .config import Settings
from .match import is_in_time, item_lines, item_text, missing_lines, read_paths
from .output import say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from ..index import Index
    from ..item import Item
    from ..library import Library
    from ..match import Folder

_FIELDS = ("asked", "status", "match_kind", "confidence", "stale", "kind", "item", "items", "files", "candidates",
           "candidates_total", "reason", "message", "age")  # fmt: skip


def folder(options: argparse.Namespace) -> int:
    """Finds the item for each folder."""
    bar, settings = Bar(), Settings(options)
    offline = settings.answers_from_store_only
    misses = codes.Misses(offline=offline)
    with settings.open_for_answers(bar) as index:
        library = commands.select_library(index, options.library)
        for path in read_paths(options.path, options.null, "folder"):
            begun = time.monotonic()
            try:
                answer = index.folder(path, library)
            except BaseException:
                bar.drop()
                raise
            bar.done()
            misses.count(answer, in_time=is_in_time(begun, settings))
            if options.json:
                fields = answer.to_dict()
                output.say_json({name: fields[name] for name in _FIELDS})
            else:
                say(folder_text(os.fsdecode(path), answer))
            for item in _items_below(index, library, path, answer, offline=offline) if options.items else ():
                if options.json:
                    output.say_json({"folder": os.fsdecode(path), "item": item.to_dict()})
                else:
                    say(f"    {item_text(item)}\n      {output.one_line(item.path or '')}")
    return misses.code()


def _items_below(
    index: Index, library: Library | None, path: bytes, answer: Folder, *, offline: bool
) -> Iterator[Item]:
    """Yields the items below a folder. If the folder is a single item, fetches its library first, if necessary."""
    if answer.item is not None:
        yield from index.library(section=answer.item.section).items_below(path, offline=offline)
    elif answer.files:
        yield from index.items_below(path, library, offline=True)


def folder_text(path: str, answer: Folder) -> str:
    """Formats an answer for people: the path, followed by the item or the reason."""
    counts = f"{output.count(answer.items, 'item')} in {output.count(answer.files, 'file')}"
    if answer.item is None:
        end = f" ({counts})" if answer.files else ""
        return "\n".join(missing_lines(path, answer, answer.message, (), shown=10, end=end))
    counts = counts if answer.files else "items not counted"
    return "\n".join(item_lines(path, answer, f"{answer.kind}: {item_text(answer.item)} · {counts}"))
