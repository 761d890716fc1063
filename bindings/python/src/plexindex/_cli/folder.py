"""`plexindex folder`: finds the show, season, artist, album or item of each folder."""

from __future__ import annotations

import os
import time

from . import codes, commands, output
from .bar import Bar
from .config import Settings
from .match import item_text, paths_of, status_text
from .output import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from .._index import Index, Library
    from .._items import Item
    from .._many import Folder

_CANDIDATES = 10


def folder(options: argparse.Namespace) -> int:
    """Finds what the folders are."""
    bar = Bar()
    settings = Settings(options)
    misses = codes.Misses(offline=settings.silent)
    if settings.silent:
        settings.expect_folder()
        if not settings.has_store():
            raise commands.nothing_to_ask(settings)
    with settings.open(progress=bar) as index:
        if settings.silent and not index.libraries(offline=True):
            raise commands.nothing_to_ask(settings)
        library = commands.selected(index, options.library)
        for path in paths_of(options.path, options.null, "folder"):
            begun = time.monotonic()
            try:
                answer = index.folder(path, library)
            except BaseException:
                bar.drop()
                raise
            bar.done()
            misses.count(answer, in_time=time.monotonic() - begun < (settings.deadline or 0) * 0.9)
            if options.json:
                output.say_json(folder_dict(answer))
            else:
                say(folder_text(os.fsdecode(path), answer))
            if options.items:
                for item in _below(index, library, path, answer, silent=settings.silent):
                    if options.json:
                        output.say_json({"folder": os.fsdecode(path), "item": item.to_dict()})
                    else:
                        say(f"    {item_text(item)}\n      {output.one_line(item.path or '')}")
    return misses.code()


def _below(index: Index, library: Library | None, path: bytes, answer: Folder, *, silent: bool) -> Iterator[Item]:
    """Yields the items below a folder. If it is a single item, its library is fetched first if necessary."""
    if answer.item is not None:
        yield from index.library(section=answer.item.section).items_below(path, offline=silent)
    elif answer.files:
        yield from index.items_below(path, library, offline=True)


def folder_dict(answer: Folder) -> dict[str, object]:
    """Returns an answer for JSON."""
    found = answer.to_dict()
    names = ("asked", "status", "match_kind", "confidence", "stale", "kind", "item", "items", "files", "candidates",
             "candidates_total", "reason_code", "reason", "age")  # fmt: skip
    return {name: found[name] for name in names}


def folder_text(path: str, answer: Folder) -> str:
    """Formats an answer for people: the path, and below it the item or the reason."""
    lines = [output.one_line(path)]
    counts = f"{output.count(answer.items, 'item')} in {output.count(answer.files, 'file')}"
    if answer.item is not None and not answer.files:
        counts = "items not counted"
    if answer.item is not None:
        how = f"{answer.match_kind.replace('_', ' ')}, {answer.confidence}"
        if answer.confidence == "low":
            how += ": verify it"
        if answer.stale:
            how += f", {'of unknown age' if answer.age is None else f'{output.span(answer.age)} old'}"
        text = output.fitted(f"  {answer.kind}: {item_text(answer.item)} · {counts} · {how}")
        lines.append(output.paint(text, "good" if answer.confidence == "high" else "warn"))
        if answer.reason_code not in ("none", "only_root_differs"):
            lines.append(output.fitted(f"  {output.reason(answer.reason, path)}"))
        return "\n".join(lines)
    why = f"  {status_text(answer)}: {output.reason(answer.reason, path)}"
    why += f" ({counts})" if answer.files else ""
    lines.append(output.paint(output.fitted(why), "bad" if answer.status == "not_found" else "warn"))
    shown = answer.candidates[:_CANDIDATES]
    for item in shown:
        lines.append(f"    {item_text(item)}")
        lines.append(f"      {output.one_line(item.path or '')}")
    if answer.candidates_total > len(shown) > 0:
        lines.append(f"    and {output.number(answer.candidates_total - len(shown))} more")
    return "\n".join(lines)
