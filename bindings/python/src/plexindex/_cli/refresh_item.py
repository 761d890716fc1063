"""`plexindex refresh-item`: tells Plex to refresh what it shows of items."""

from __future__ import annotations

import os

from . import codes, output
from .match import answer_text, read_paths
from .options import command
from .settings import Settings


@command("""refresh-item ITEM...

    Tell Plex to refresh what it shows of items.

    It is useful after a new subtitle or poster. ITEM is a file, or an item's key or rating key, also of a show, season,
    artist or album; - reads items from standard input. The command sends one request for each item; Plex refreshes it
    later. It refuses files without a certain match, and then exits with 1.

    Example:
      plexindex refresh-item "/mnt/media/movies/Spring (2019)/Spring.mkv"

    JSON: one object for each ITEM, with asked, key (null if refused), and message (why it was refused).

    Options:
      -0, --null
      --analyze  Analyze the items' files instead, such as after an edit of a file.
    """)
def refresh_item_command(items: list[str], null: bool, analyze: bool) -> int:
    settings, bar, is_refused = Settings(), output.Bar(), False
    with settings.open(progress=bar) as index:
        for one in map(os.fsdecode, read_paths(items, null)):
            is_key = one.isdecimal() or one.startswith("/library/metadata/")
            match = None if is_key else index.match(one)
            bar.done()
            key = one if match is None else match.sure and match.sure.key
            text = output.one_line(one) if match is None else answer_text(one, match)
            if key is None:
                is_refused = True
            else:
                index.refresh_items([key], analyze=analyze)
            message = match.message if match is not None and key is None else None
            output.show({"asked": one, "key": key, "message": message}, text, is_problem=key is None)
    return codes.NOT_ALL if is_refused else codes.OK
