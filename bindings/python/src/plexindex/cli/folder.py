"""`plexindex folder`: finds the show, season, artist, album or item for each folder."""

from __future__ import annotations

import os

import click

from .._core import TYPE_CHECKING
from . import codes, output
from .config import Settings
from .match import item_lines, item_text, missing_lines, read_paths
from .options import FOLDER, command, given, library, null
from .output import say
from .progress import Bar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..index import Index
    from ..item import Item
    from ..library import Library
    from ..match import FolderMatch


@command()
@library
@null
@click.option("--items", is_flag=True, help="Also print the items that have files below each folder.")
@click.argument("folder", nargs=-1, required=True, type=FOLDER)
def folder(library: str | None, null: bool, items: bool, folder: tuple[str, ...]) -> int:
    """Find each folder's show, season, artist, album or film.

    The answer is the deepest show, season, artist or album that contains all listed files below the folder; - reads
    folders from standard input. The command uses the server's listing, not the files on the disk. If a library was
    never fetched, the command fetches it first. The exit code is 0 if every folder has exactly one answer.

    JSON: one object for each folder, with asked (the path), status, match_kind, confidence, stale, kind, item, items,
    files, candidates, candidates_total, reason, message, age, and below (with --items, the items below the folder).
    """
    bar, settings = Bar(), Settings()
    offline = settings.answers_from_store_only
    misses = codes.Misses(offline=offline)
    with settings.open_for_answers(bar) as index:
        chosen = index.library(library)
        for path in read_paths(folder, null):
            answer = chosen.folder(path)
            bar.done()
            misses.count(answer)
            below = list(_items_below(index, chosen, path, answer, offline=offline)) if items else None
            if given.get("json"):
                output.say_json({**answer.to_dict(), "below": None if below is None else [i.to_dict() for i in below]})
                continue
            say(folder_text(os.fsdecode(path), answer))
            for item in below or ():
                say(f"    {item_text(item)}\n      {output.one_line(item.path or '')}")
    return misses.code()


def _items_below(index: Index, library: Library, path: bytes, answer: FolderMatch, *, offline: bool) -> Iterable[Item]:
    """Yields the items below a folder. If the folder is a single item, fetches its library first, if necessary."""
    if answer.item is not None:
        return index.library(section=answer.item.section).items_below(path, offline=offline)
    return library.items_below(path, offline=True) if answer.files else ()


def folder_text(path: str, answer: FolderMatch) -> str:
    """Formats an answer for people: the path, followed by the item or the reason."""
    counts = f"{output.count(answer.items, 'item')} in {output.count(answer.files, 'file')}"
    if answer.item is None:
        end = f" ({counts})" if answer.files else ""
        return "\n".join(missing_lines(path, answer, answer.message, (), shown=10, end=end))
    counts = counts if answer.files else "items not counted"
    return "\n".join(item_lines(path, answer, f"{answer.kind}: {item_text(answer.item)} · {counts}"))
