"""`plexindex refresh`: fetches missing and expired listings."""

from __future__ import annotations

import click

from .._core import TYPE_CHECKING
from . import codes, output
from .codes import UsageError
from .config import HOW_TO_NAME_A_SERVER, Settings
from .options import TEXT, command, given
from .progress import Bar

if TYPE_CHECKING:
    from ..index import Index
    from ..library import Library

# `refresh` can run at night while the server restarts. Other commands give up after a few seconds.
_RETRY_SECONDS = 30.0


@command()
@click.option("--full", is_flag=True, help="Fetch the whole listing, even if the server reports no change.")
@click.argument("library", nargs=-1, type=TEXT)
def refresh(full: bool, library: tuple[str, ...]) -> int:
    """Fetch missing and expired listings.

    LIBRARY is a title, section id or uuid; default: all libraries. The command shows a progress bar on a terminal,
    and otherwise prints nothing, so you can run it from cron. If a fetch is interrupted, the next run resumes it.

    JSON: one object for each library, with library, section and complete.
    """
    settings = Settings()
    if settings.offline:
        raise UsageError(f"refresh needs {settings.source_name}: omit --offline")
    source = settings.url or settings.database
    if source is None:
        raise UsageError(f"no server is specified: {HOW_TO_NAME_A_SERVER}")
    with settings.open(retry_for=_RETRY_SECONDS) as index:
        chosen = [index.library(name) for name in library]
        if not chosen:
            # The server may have new libraries, so first request its list of libraries.
            bar = Bar(source)
            try:
                index.server()
            finally:
                bar.drop()
            chosen = index.libraries()
        late = []
        for one in chosen:
            is_complete = fetch(index, one, full=full)
            if not is_complete:
                late.append(one.title)
            if given.get("json"):
                output.say_json({"library": one.title, "section": one.section, "complete": is_complete})
    if late:
        output.complain(f"the time limit passed before {', '.join(late)} could be fetched: run the command again")
    return codes.SERVER if late else codes.OK


def fetch(index: Index, library: Library, *, full: bool = False) -> bool:
    """Refreshes a library, with a progress bar on a terminal. Returns False if the time limit passes first."""
    listings, bar = index.stats()["listings"], Bar(library.title)
    try:
        is_done = library.refresh(full, progress=bar)
        if index.stats()["listings"] > listings:
            bar.done()
        elif is_done:
            bar.drop()
            output.remark(f"{library.title}  is up to date", terminal_only=True)
    finally:
        bar.drop()
    return is_done
