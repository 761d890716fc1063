"""`plexindex changes`: lists what was added, removed, changed and moved since a cursor."""

from __future__ import annotations

import sys

from .._core import TYPE_CHECKING
from ..errors import Error, InvalidArgumentError
from . import check, codes, commands, output
from .bar import Bar
from .changes_state import StateFile
from .codes import UsageError
from .config import Settings
from .match import item_text
from .output import say

if TYPE_CHECKING:
    import argparse

    from ..changes import Change, Changes
    from ..index import Index
    from ..library import Library

_STYLES = {"added": "good", "removed": "bad", "changed": "hint", "moved": "hint", "list_again": "warn"}


def changes(options: argparse.Namespace) -> int:
    """Lists the changes."""
    for is_wrong, text in (
        (options.full and options.since, "--full starts from the beginning and takes no cursor: omit --since"),
        (options.state is not None and options.since is not None, "--state already provides the cursor: omit --since"),
        (options.since == "", "argument --since: the value is empty: give a cursor, or omit the option"),
        (options.follow and options.deadline is not None, "--follow runs until Ctrl-C: omit --deadline"),
        (options.disk_every is not None and not options.follow, "--disk-every needs --follow: give both or neither"),
    ):
        if is_wrong:
            raise UsageError(text)
    settings = Settings(options)
    if options.check:
        settings.expect_source()
    state = StateFile(options.state)
    cursor = options.since or (None if options.full else state.read())
    bar, older = Bar(), None
    with settings.open_for_answers(bar) as index:
        library = commands.select_library(index, options.library)
        try:
            if not settings.answers_from_store_only:
                older = check.bring_up_to_date(
                    index, settings, library, always=options.check, progress=bar, whole=options.full
                )
            page = index.changes(cursor, library, full=options.full, offline=True)
        except InvalidArgumentError as error:
            if options.state is None:
                raise
            raise UsageError(f"--state {options.state}: {error}") from None
        finally:
            bar.drop()
        if older is not None:
            page.stale = True
            age = "" if page.age is None else f" of the last {output.span(page.age)}"
            output.complain(f"{older.why}: changes{age} may be missing")
        _print_changes(index, page, options, is_first=cursor is None)
        state.write(page.cursor)
        if options.follow:
            _follow(index, library, page.cursor, options, state, offline=settings.answers_from_store_only)
    return older.code if older is not None and options.check else codes.OK


def _print_changes(index: Index, page: Changes, options: argparse.Namespace, *, is_first: bool) -> None:
    count = 0
    for change in page:
        count += 1
        _print_change(index, change, options)
    if options.json:
        _print_cursor(page)
    else:
        if options.state is None:
            say(f"cursor: {page.cursor}")
        if is_first and not options.full:
            how = "give this cursor with --since" if options.state is None else "repeat the command"
            output.remark(f"to list later changes, {how}; to list all items, add --full")
        elif not count:
            age = "" if page.age is None else f", as of {output.ago(page.age)}"
            hint = "" if options.check or options.follow or options.offline else " (to ask the server now, add --check)"
            output.remark(f"no changes since the cursor{age}{hint}")
    sys.stdout.flush()


def _follow(
    index: Index,
    library: Library | None,
    cursor: str | None,
    options: argparse.Namespace,
    state: StateFile,
    *,
    offline: bool,
) -> None:
    if not offline:
        try:
            index.watch().start()
        except Error as error:
            if error.status_name != "unsupported":
                raise
            # Plex's database sends no events, so plexindex polls it.
        else:
            from . import renames

            seconds = renames.DEFAULT_SECONDS if options.disk_every is None else options.disk_every
            if seconds:
                renames.RenameWatch(index, library, seconds).start()
    for page in index.watch(cursor, library, offline=offline):
        page_changes = list(page)
        for change in page_changes:
            _print_change(index, change, options)
        if options.json and page.cursor != cursor:
            _print_cursor(page)
        elif page_changes and options.state is None:
            say(f"cursor: {page.cursor}")
        sys.stdout.flush()
        if page.cursor != cursor:
            state.write(page.cursor)
        cursor = page.cursor


def _print_cursor(page: Changes) -> None:
    age = None if page.age is None else round(page.age, 3)
    output.say_json({"cursor": page.cursor, "age": age, "stale": page.stale})


def _print_change(index: Index, change: Change, options: argparse.Namespace) -> None:
    if options.json:
        output.say_json(change.to_dict())
        return
    words = output.paint(change.change.replace("_", " "), _STYLES.get(change.change, "bold"))
    if change.item is None:
        exists = any(library.section == change.section for library in index.libraries(offline=True))
        how = f"run `plexindex changes --full --library {change.section}`" if exists else "the library was removed"
        say(f"{words}: library '{output.clean(change.library)}': {how}")
        return
    say(f"{words}: {item_text(change.item)}")
    if change.from_path is not None:
        say(f"  {'from' if change.change == 'moved' else 'without'} {output.one_line(change.from_path)}")
    if change.path is not None:
        say(f"  {output.one_line(change.path)}")
