"""Questions and their answers, on the real library over the stand-in server."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import plexindex
import pytest
from conftest import Server

pytestmark = pytest.mark.both

MISSING = "/data/movies/Not There (1950)/Not There (1950).mkv"


def test_paths_as_str_bytes_and_path_objects(index: plexindex.Index, server: Server) -> None:
    movies = index.library("Movies")
    row = server.paths(1)[11]
    key = f"/library/metadata/{row['ratingKey']}"
    for path in (row["path"], os.fsencode(row["path"]), PurePosixPath(row["path"]), Path(row["path"])):
        assert movies.match(path).key == key
        assert movies.lookup_key(path) == key
        assert movies.lookup_keys([path, MISSING]) == [key, None]
        assert [match.key for match in movies.match_paths([path, MISSING])] == [key, None]
