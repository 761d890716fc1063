"""Opens an index, matches one file and closes: shows that an installed package works on this system."""

import tempfile

import plexindex
from plexindex.testing import FakePlex

FILE = "/media/Big Buck Bunny (2008).mkv"
with (
    tempfile.TemporaryDirectory() as folder,
    FakePlex({"Movies": [FILE]}) as plex,
    plexindex.open(folder, server_url=plex.url, token=plex.token) as index,
):
    match = index.library("Movies").match(FILE)
    assert match.require().title == "Big Buck Bunny", match
    print(match)
