"""`plexindex refresh-item`: tells Plex to refresh what it shows of items."""

from __future__ import annotations

import os

from . import codes, output
from .match import match_text, read_paths
from .options import FILE, argument, command, given, null, option
from .output import say
from .settings import Settings


@command("refresh-item")
@null
@option("--analyze", help="Analyze the items' files instead, such as after an edit of a file.")
@argument("item", required=True, type=FILE)
def refresh_item_command(null: bool, analyze: bool, item: tuple[str, ...]) -> int:
    """Tell Plex to refresh what it shows of items, such as after a new subtitle or poster.

    ITEM is a file, or an item's key or rating key, also of a show, season, artist or album; - reads items from standard
    input. The command sends one request for each item; Plex refreshes it later. It refuses files without a certain
    match, and then exits with 1.

    \b
    Example:
      plexindex refresh-item "/mnt/media/movies/Spring (2019)/Spring.mkv"

    JSON: one object for each ITEM, with asked, key (null if refused), and message (why it was refused).
    """
    settings, bar, is_refused = Settings(), output.Bar(), False
    with settings.open(progress=bar) as index:
        for one in map(os.fsdecode, read_paths(item, null)):
            key: str | None = one
            message = text = None
            if not one.isdecimal() and not one.startswith("/library/metadata/"):
                match = index.match(one)
                key = None if match.sure is None else match.sure.key
                message, text = match.message, match_text(one, match)
            bar.done()
            if key is None:
                is_refused = True
            else:
                index.refresh_items([key], analyze=analyze)
            if given.get("json"):
                output.say_json({"asked": one, "key": key, "message": None if key else message})
            elif key is None:
                output.complain(text or one)
            else:
                say(text or output.one_line(key))
    return codes.NOT_ALL if is_refused else codes.OK
