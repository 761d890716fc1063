"""`plexindex changes`: lists what was added, removed, changed and moved since a cursor."""

from __future__ import annotations

import sys

from .._errors import InvalidArgumentError, UnsupportedError
from . import check, codes, commands, output
from .bar import Bar
from .changes_state import StateFile
from .codes import UsageError
from .config import Settings
from .match import item_text
from .output import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from .._feed import Change, Changes
    from .._index import Index, Library

_STYLES = {"added": "good", "removed": "bad", "changed": "hint", "moved": "hint", "list_again": "warn"}


def changes(options: argparse.Namespace) -> int:
    """Lists the changes."""
    if options.full and options.since:
        raise UsageError("--full starts from the beginning: omit --since")
    if options.state is not None and options.since is not None:
        raise UsageError("--state has the cursor: omit --since")
    if options.since == "":
        raise UsageError("argument --since: it is empty: give a cursor, or omit the option")
    if options.follow and options.deadline is not None:
        raise UsageError("--follow runs until Ctrl-C: omit --deadline")
    if options.disk_every is not None and not options.follow:
        raise UsageError("--disk-every needs --follow: give both or neither")
    settings = Settings(options)
    if options.check:
        commands.expect_source(settings)
    if settings.silent:
        settings.expect_folder()
        if not settings.has_store():
            raise commands.nothing_to_ask(settings)
    state = StateFile(options.state)
    since = options.since or (None if options.full else state.read())
    bar = Bar()
    with settings.open(progress=bar) as index:
        if settings.silent and not index.libraries(offline=True):
            raise commands.nothing_to_ask(settings)
        library = commands.selected(index, options.library)
        try:
            missed = None
            if not settings.silent:
                whole = options.full
                missed = check.bring_up_to_date(
                    index, settings, library, always=options.check, progress=bar, whole=whole
                )
            found = index.changes(since, library, full=options.full, offline=True)
        except InvalidArgumentError as error:
            if options.state is None:
                raise
            raise UsageError(f"--state {options.state}: {error}") from None
        finally:
            bar.drop()
        if missed is not None:
            found.stale = True
            age = "" if found.age is None else f" of the last {output.span(found.age)}"
            output.complain(f"{missed.why}: changes{age} may be missing")
        _print_changes(index, found, options, begins=since is None)
        state.write(found.cursor)
        if options.follow:
            _follow(index, library, found.cursor, options, state, silent=settings.silent)
    return missed.code if missed is not None and options.check else codes.OK


def _print_changes(index: Index, found: Changes, options: argparse.Namespace, *, begins: bool) -> None:
    count = 0
    for change in found:
        count += 1
        _show(index, change, options)
    if options.json:
        _say_cursor(found)
    else:
        if options.state is None:
            say(f"cursor: {found.cursor}")
        if begins and not options.full:
            how = "give this cursor with --since" if options.state is None else "repeat the command"
            output.remark(f"from now on: {how} to list what changed; --full lists all items")
        elif not count:
            asked = "" if found.age is None else f", as of {output.ago(found.age)}"
            hint = "" if options.check or options.follow or options.offline else " (--check asks now)"
            output.remark(f"no changes since the cursor{asked}{hint}")
    sys.stdout.flush()


def _follow(
    index: Index,
    library: Library | None,
    cursor: str | None,
    options: argparse.Namespace,
    state: StateFile,
    *,
    silent: bool,
) -> None:
    if not silent:
        try:
            index.watch_start()
        except UnsupportedError:
            pass  # Plex's database has no events: it is looked at
        else:
            _watch_disk(index, library, options.disk_every)
    for found in index.watch_pages(cursor, library, offline=silent):
        any_change = False
        for change in found:
            any_change = True
            _show(index, change, options)
        if options.json and found.cursor != cursor:
            _say_cursor(found)
        elif any_change and options.state is None:
            say(f"cursor: {found.cursor}")
        sys.stdout.flush()
        if found.cursor != cursor:
            state.write(found.cursor)
        cursor = found.cursor


def _watch_disk(index: Index, library: Library | None, every: float | None) -> None:
    from . import renames

    every = renames.EVERY if every is None else every
    if every:
        renames.RenameWatch(index, library, every).start()


def _say_cursor(found: Changes) -> None:
    age = None if found.age is None else round(found.age, 3)
    output.say_json({"cursor": found.cursor, "age": age, "stale": found.stale})


def _show(index: Index, change: Change, options: argparse.Namespace) -> None:
    if options.json:
        output.say_json(change.to_dict())
        return
    words = output.paint(change.change.replace("_", " "), _STYLES.get(change.change, "bold"))
    if change.item is None:
        known = any(library.section == change.section for library in index.libraries(offline=True))
        how = f"plexindex changes --full --library {change.section}" if known else "it was removed, with its items"
        say(f"{words}: library '{output.clean(change.library)}': {how}")
        return
    lines = [f"{words}: {item_text(change.item)}"]
    if change.from_path is not None:
        word = "from " if change.change == "moved" else "without "
        lines.append(_path_line(word, change.from_path))
    if change.path is not None:
        lines.append(_path_line("", change.path))
    say("\n".join(lines))


def _path_line(word: str, path: str) -> str:
    """Formats a path below its change, in one line."""
    return f"  {word}{output.one_line(path)}"
