"""README's figures: each is copied from a cell of the page, so that nobody has to."""

from __future__ import annotations

import re

QUOTES = (
    (r"(?<=sends )\S+(?= a day)", "requests of a day", "600"),
    (r"(?<=items in )\S+ \S+(?= from)", "a library, fetched for the first time", "100,000"),
    (r"(?<=`match` takes )\S+ \S+(?= in Python)", "full answer, Python", "100,000"),
    (r"(?<=`lookup_key` )\S+ \S+(?=, and)", "a listed path, Python", "100,000"),
    (r"(?<=and )\S+ \S+(?= in C)", "a listed path, C", "100,000"),
    (r"(?<=items take )\S+ \S+(?= to fetch)", "fetching: peak of memory", "1,000,000"),
    (r"(?<=wrong: )\S+(?= of)", "wrong items with high confidence: other files with a listed file's path", ""),
    (r"(?<=to fetch, and )\S+ \S+(?= to look up)", "memory of a process that looked up 1,000 files", "1,000,000"),
)
"""Where a figure of plexindex stands in README, the row of the page, and its entries ("": any)."""


def quoted(page: str, text: str) -> str:
    """The text with the figures of the page. Raises ValueError if the text or the page lacks one."""
    for pattern, what, entries in QUOTES:
        figure = _figure(page, what, entries)
        text, count = re.subn(pattern, figure.removesuffix(" requests").removesuffix(" files"), text)
        if count != 1:
            raise ValueError(f"README has {count} figures of '{what}', and there should be one")
    return text


def _figure(page: str, what: str, entries: str) -> str:
    for line in page.splitlines():
        cells = line.removeprefix("| ").split(" | ")
        if cells[0].split(" (")[0] == what and entries in ("", *cells[1:2]):
            return cells[2].strip("*").split(" (")[0]
    raise ValueError(f"the page has no '{what}' of {entries} entries")
