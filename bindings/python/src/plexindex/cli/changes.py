"""`plexindex changes`: lists what was added, removed, changed and moved since a cursor."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import click

from ..changes import REFRESH_ERRORS, Change, Changes, expect_listed, is_listed, why_older
from ..compare.places import Places
from ..errors import ClosedError, Error, InvalidArgumentError, TimeoutError
from ..index import Index
from ..item import Item
from ..library import Library
from . import codes, output
from .match import item_text
from .options import FILE, SECONDS_OR_NEVER, TEXT, command, given, library
from .output import say
from .settings import Settings

_STYLES = {"added": "good", "removed": "bad", "changed": "hint", "moved": "hint", "list_again": "warn"}


@command("changes")
@click.option("--since", type=TEXT, metavar="CURSOR", help="List the changes since this cursor was printed.")
@click.option("--state", type=FILE, metavar="FILE",
              help="Keep the cursor in this file, to list the changes since the last run.")  # fmt: skip
@click.option("--full", is_flag=True, help="First list all items as added.")
@click.option("--check", "is_check", is_flag=True, help="Ask the server for changes now, in one request. If the server "
              "sends nothing for 15 seconds, the exit code is 3.")  # fmt: skip
@click.option("--watch", is_flag=True, help="Run until Ctrl-C, and print changes as they occur. plexindex listens to "
              "the server's events, or checks Plex's database once a second.")  # fmt: skip
@click.option("--disk-every", type=SECONDS_OR_NEVER, metavar="SECONDS", help="With --watch, seconds between "
              "searches for renamed files on this machine (default: 600); 0 disables the searches.")  # fmt: skip
@library
def changes_command(
    since: str | None, state: str | None, full: bool, is_check: bool, watch: bool, disk_every: float | None,
    library: str | None,
) -> int:  # fmt: skip
    """List items that were added, removed, changed or moved.

    The first run prints a cursor. With the cursor, the command prints the changes since then, and a new cursor on the
    last line. If a listing is older than an hour, the command first asks the server for changes; with --check, it
    always asks. If you combine --library with a cursor for all libraries, the new cursor is only for that library. If
    more than 20 items and more than a fifth of a library changed at once, the command prints 'list again': in this
    case, list that library with --full.

    \b
    From cron, this lists the changes since the last run:
      plexindex changes --state ~/.plex-changes

    JSON: one object for each change, with change (added, removed, changed, moved or list_again), item, path, from (the
    old path of a moved file), from_key (the old rating key, if it differs), library, section, cursor, age and stale. In
    the last object, and with --watch after each change, change is 'cursor', and cursor, age (seconds since the listing
    was last known to be current) and stale are set.
    """
    for is_wrong, text in (
        (full and since, "--full starts from the beginning and takes no cursor: omit --since"),
        (state and since, "--state already provides the cursor: omit --since"),
        (watch and "timeout" in given, "--watch runs until Ctrl-C: omit --timeout"),
        (disk_every is not None and not watch, "--disk-every needs --watch: give both or neither"),
    ):
        if is_wrong:
            raise click.UsageError(text)
    settings, older, bar = Settings(), None, output.Bar()
    offline, has_state = settings.answers_from_store_only, state is not None
    if is_check:
        settings.expect_source()
    cursor = since or (None if full or state is None else _read_state(state))
    with settings.open_for_answers(progress=bar) as index:
        chosen = index.library(library)
        try:
            if not offline:
                older = bring_up_to_date(index, settings, chosen, always=is_check, progress=bar, whole=full)
            page = chosen.changes(cursor, full=full, offline=True)
        except InvalidArgumentError as error:
            if state is None:
                raise
            raise click.UsageError(f"--state {state}: {error}") from None
        bar.drop()
        if older is not None:
            page.stale = True
            age = "" if page.age is None else f" of the last {output.span(page.age)}"
            output.complain(f"{older.why}: changes{age} may be missing")
        is_any = _print_page(index, page, has_state=has_state, always=True)
        if cursor is None and not full:
            how = "give this cursor with --since" if state is None else "repeat the command"
            output.remark(f"to list later changes, {how}; to list all items, add --full", terminal_only=True)
        elif not is_any:
            hint = "" if is_check or watch or offline else "; to ask the server now, add --check"
            output.remark(f"no changes since the cursor{hint}", terminal_only=True)
        _write_state(state, page.cursor)
        if watch:
            has_events = not offline
            try:
                if has_events:
                    index.watch().start()
            except Error as error:
                if error.status_name != "unsupported":
                    raise
                has_events = False  # Plex's database sends no events, so plexindex polls it
            if has_events and disk_every != 0:
                RenameWatch(index, chosen, disk_every or DEFAULT_SECONDS).start()
            before = page.cursor
            for page in chosen.watch(before, offline=offline):
                _print_page(index, page, has_state=has_state, always=page.cursor != before)
                before = page.cursor
                _write_state(state, before)
    return older.code if older is not None and is_check else codes.OK


_FIELDS = ("change", "item", "path", "from", "from_key", "library", "section")


def _print_page(index: Index, page: Changes, *, has_state: bool, always: bool) -> bool:
    """Prints the changes of a page and its cursor. Returns whether there is a change."""
    is_any, is_json = False, given.get("json")
    for change in page:
        is_any = True
        if is_json:
            output.say_json({**change.to_dict(), "cursor": None, "age": None, "stale": None})
        else:
            _print_change(index, change)
    if is_json and always and (is_any or page.stale or not has_state):  # cron mails each line
        age = None if page.age is None else round(page.age, 3)
        cursor = {"change": "cursor", "cursor": page.cursor, "age": age, "stale": page.stale}
        output.say_json({**dict.fromkeys(_FIELDS), **cursor})
    elif not is_json and not has_state and (always or is_any):
        say(f"cursor: {page.cursor}")
    return is_any


def _print_change(index: Index, change: Change) -> None:
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


def _read_state(state: str) -> str | None:
    """Returns the cursor in the file, or None if no run has stored a cursor yet."""
    path = Path(state)
    if not path.exists() and path.absolute().parent.is_dir():
        return None
    try:
        cursor = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "the file is not text"
        raise click.UsageError(f"cannot read --state {path}: {why}") from None
    if not cursor:
        remedy = "delete the file to start from now, or add --full to list all items"
        raise click.UsageError(f"--state {path} is empty: {remedy}")
    return cursor


def _write_state(state: str | None, cursor: str | None) -> None:
    """Replaces the stored cursor atomically. Print the changes first, so that no change gets lost."""
    if state is None or cursor is None:
        return
    try:
        with click.open_file(os.path.abspath(state), "w", "utf-8", atomic=True) as file:
            file.write(f"{cursor}\n")
    except OSError as error:
        raise click.UsageError(f"cannot write --state {state}: {error.strerror}") from None


# Without --timeout, a server that sends nothing for this many seconds counts as unreachable.
PATIENCE = 15.0


class NoAnswer(NamedTuple):
    """The reason why a command must answer from older listings."""

    kind: str
    why: str
    code: int


def bring_up_to_date(
    index: Index, settings: Settings, library: Library, *, always: bool, progress: output.Bar | None = None,
    whole: bool = False,
) -> NoAnswer | None:  # fmt: skip
    """Fetches changes if a listing has expired or ``always`` is true. Returns None if all listings are then current.

    Raises an error if no library was ever fetched or, with ``whole``, if at least one library was never fetched.
    """
    begun, received, is_slow = time.monotonic(), index.stats()["bytes_received"], True
    failure: Exception | None = None
    while is_slow:
        failure = None
        try:
            if library.refresh(check=always, timeout=settings.timeout or PATIENCE, progress=progress):
                return None
        except REFRESH_ERRORS as error:
            failure = error
        is_late = failure is None or isinstance(failure, TimeoutError)
        # Without a time limit, wait while the server is still sending data: the fetch is only slow.
        before, received = received, index.stats()["bytes_received"]
        is_slow, always = is_late and settings.timeout is None and received > before, False
    libraries = library._current()
    waited = output.span(time.monotonic() - begun)
    if failure is not None and not is_late:
        if not is_listed(libraries, whole=whole):
            raise failure
        why = why_older(failure, fresh=all(facts["fresh"] for facts in libraries))
        if why == "refused":
            return NoAnswer(why, f"{settings.source_name} rejected the token", codes.TOKEN)
        return None if why is None else NoAnswer(why, str(failure), codes.of(failure))
    if settings.timeout is None:
        text = f"{settings.source_name} did not respond within {waited}"
        if not is_listed(libraries, whole=whole):
            raise TimeoutError(text)
        return NoAnswer("away", text, codes.SERVER)
    if failure is not None:
        raise failure
    expect_listed(library, late=True, whole=whole)
    text = f"the time limit passed after {waited}, before {settings.source_name} reported all changes"
    return NoAnswer("late", text, codes.SERVER)


# Seconds between two walks of the disk by default, and at most between two requests for the same items.
DEFAULT_SECONDS, _LONGEST_PAUSE = 600.0, 3600.0


class RenameWatch:
    """Periodically compares the libraries' folders with the disk, on a separate thread.

    The server does not always report a rename, but each rename leaves a missing file and a new file. If a library has
    both, the thread requests the items of the missing files, as `plexindex diff` does, so that the feed reports them.
    """

    def __init__(self, index: Index, library: Library, seconds: float) -> None:
        self._index, self._library, self._seconds = index, library, seconds
        # The items in the last request, the pause after it, and the earliest time to request the same items again.
        self._asked_items: frozenset[tuple[str, str, str | None]] = frozenset()
        self._pause = self._next_time = 0.0

    def start(self) -> None:
        threading.Thread(target=self._run, name="plexindex-renames", daemon=True).start()

    def walk(self) -> None:
        places = Places(self._library)
        if not places.names.known:
            return
        places.reload(self._index.libraries(offline=True))
        folders = [folder for folder in sorted(places.locations) if os.path.isdir(folder)]
        if not folders:
            return
        comparison = self._index.compare(folders, self._library)
        comparison._ask_only_if(self._is_due)
        for _ in comparison:
            pass

    def _run(self) -> None:
        while self._index.is_open:
            try:
                self.walk()
            except ClosedError:
                return
            except Error:
                pass  # the server is unreachable, or a folder was removed; the feed reports lasting failures
            time.sleep(self._seconds)

    def _is_due(self, unsure: Collection[tuple[Library, Item]]) -> bool:
        """Returns whether to request the ``unsure`` items now. The pause doubles each time the items are the same."""
        items = frozenset((library.uuid, item.rating_key, item.path) for library, item in unsure)
        now = time.monotonic()
        is_new = items != self._asked_items
        if not items or (not is_new and now < self._next_time):
            return False
        self._pause = self._seconds if is_new else min(self._pause * 2, max(_LONGEST_PAUSE, self._seconds))
        self._asked_items, self._next_time = items, now + self._pause
        return True
