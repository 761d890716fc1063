"""`plexindex changes`: lists what was added, removed, changed and moved since a cursor."""

from __future__ import annotations

import os
from pathlib import Path

from ..changes import Change, Changes
from ..errors import InvalidArgumentError
from ..index import Index
from . import codes, output
from .match import item_text
from .options import UsageError, command, given
from .output import say
from .settings import Settings, chosen

_STYLES = {"added": "good", "removed": "bad", "changed": "hint", "moved": "hint", "list_again": "warn"}


@command("""changes

    List items that were added, removed, changed or moved.

    The first run prints a cursor. With the cursor, the command prints the changes since then, and a new cursor on the
    last line. If a listing is older than an hour, the command first asks the server for changes; with --check, it
    always asks. If you combine --library with a cursor for all libraries, the new cursor is only for that library. If
    more than 20 items and more than a fifth of a library changed at once, the command prints 'list again': in this
    case, list that library with --full.

    From cron, this lists the changes since the last run:
      plexindex changes --state ~/.plex-changes

    JSON: one object for each change, with change (added, removed, changed, moved or list_again), item, path, from (the
    old path of a moved file), from_key (the old rating key, if it differs), library, section, cursor, age and stale. In
    the last object, and with --watch after each change, change is 'cursor', and cursor, age (seconds since the listing
    was last known to be current) and stale are set.

    Options:
      --since CURSOR  List the changes since this cursor was printed.
      --state FILE  Keep the cursor in this file, to list the changes since the last run.
      --full  First list all items as added.
      --check  Ask the server for changes now, in one request. If the server sends nothing for 15 seconds, the exit code
        is 3.
      --watch  Run until Ctrl-C, and print changes as they occur. plexindex listens to the server's events, or checks
        Plex's database once a second.
      -l, --library LIBRARY
    """)
def changes_command(
    since: str | None, state: str | None, full: bool, check: bool, watch: bool, library: str | None
) -> int:
    for is_wrong, text in (
        (full and since, "--full starts from the beginning and takes no cursor: omit --since"),
        (state and since, "--state already provides the cursor: omit --since"),
        (watch and "timeout" in given, "--watch runs until Ctrl-C: omit --timeout"),
    ):
        if is_wrong:
            raise UsageError(text)
    settings, bar = Settings(), output.Bar()
    offline, has_state = settings.answers_from_store_only, state is not None
    if check:
        settings.expect_source()
    cursor = since or (None if full or state is None else _read_state(state))
    with settings.open_for_answers(progress=bar) as index:
        asked = chosen(index, library)
        try:
            page = asked.changes(cursor, full=full, offline=offline, check=check)
        except InvalidArgumentError as error:
            if state is None:
                raise
            raise UsageError(f"--state {state}: {error}") from None
        bar.drop()
        older = None if offline else page.error
        if older is not None:
            age = "" if page.age is None else f" of the last {output.span(page.age)}"
            output.complain(f"{older}: changes{age} may be missing")
        is_any = _print_page(index, page, has_state=has_state, always=True)
        if cursor is None and not full:
            how = "give this cursor with --since" if state is None else "repeat the command"
            output.remark(f"to list later changes, {how}; to list all items, add --full", terminal_only=True)
        elif not is_any:
            hint = "" if check or watch or offline else "; to ask the server now, add --check"
            output.remark(f"no changes since the cursor{hint}", terminal_only=True)
        _write_state(state, page.cursor)
        if watch:
            before = page.cursor
            for page in asked.watch(before, offline=offline):
                _print_page(index, page, has_state=has_state, always=page.cursor != before)
                before = page.cursor
                _write_state(state, before)
    return codes.of(older) if older is not None and check else codes.OK


_FIELDS = ("change", "item", "path", "from", "from_key", "library", "section")


def _print_page(index: Index, page: Changes, *, has_state: bool, always: bool) -> bool:
    """Prints the changes of a page and its cursor. Returns whether there is a change."""
    is_any, is_json = False, given.get("json")
    for change in page:
        is_any = True
        output.show({**change.to_dict(), "cursor": None, "age": None, "stale": None}, _text(index, change))
    if is_json and always and (is_any or page.stale or not has_state):  # cron mails each line
        age = None if page.age is None else round(page.age, 3)
        cursor = {"change": "cursor", "cursor": page.cursor, "age": age, "stale": page.stale}
        output.say_json({**dict.fromkeys(_FIELDS), **cursor})
    elif not is_json and not has_state and (always or is_any):
        say(f"cursor: {page.cursor}")
    return is_any


def _text(index: Index, change: Change) -> str:
    words = output.paint(change.kind.replace("_", " "), _STYLES.get(change.kind, "bold"))
    if change.item is None:
        exists = any(library.section == change.section for library in index.libraries(offline=True))
        how = f"run `plexindex changes --full --library {change.section}`" if exists else "the library was removed"
        return f"{words}: library '{output.clean(change.library)}': {how}"
    paths = (("from " if change.kind == "moved" else "without ", change.from_path), ("", change.path))
    lines = [f"  {word}{output.one_line(path)}" for word, path in paths if path is not None]
    return "\n".join([f"{words}: {item_text(change.item)}", *lines])


def _read_state(state: str) -> str | None:
    """Returns the cursor in the file, or None if no run has stored a cursor yet."""
    path = Path(state)
    if not path.exists() and path.absolute().parent.is_dir():
        return None
    try:
        cursor = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "the file is not text"
        raise UsageError(f"cannot read --state {path}: {why}") from None
    if not cursor:
        remedy = "delete the file to start from now, or add --full to list all items"
        raise UsageError(f"--state {path} is empty: {remedy}")
    return cursor


def _write_state(state: str | None, cursor: str | None) -> None:
    """Replaces the stored cursor atomically. Print the changes first, so that no change gets lost."""
    if state is None or cursor is None:
        return
    path = os.path.realpath(state)
    try:
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            file.write(f"{cursor}\n")
        os.replace(f"{path}.new", path)
    except OSError as error:
        raise UsageError(f"cannot write --state {state}: {error.strerror}") from None
