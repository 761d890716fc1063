"""The library's log lines arrive at the logger `plexindex`."""

from __future__ import annotations

import logging

import plexindex
from conftest import OpenIndex, Server


def test_a_handler_may_use_the_index(open_index: OpenIndex, server: Server) -> None:
    index = open_index(log_level="info")
    path = server.paths(1)[0]["path"]
    found: list[plexindex.Match] = []

    class Handler(logging.Handler):
        def emit(self, _: logging.LogRecord) -> None:
            found.append(index.match(path, "Movies", offline=True))

    logger, handler = logging.getLogger("plexindex"), Handler()
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        index.refresh("Movies")
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
    assert found
    assert all(found)
