"""The library's log lines arrive at the logger `plexindex`."""

from __future__ import annotations

import logging

import plexindex
from conftest import OpenIndex, Server


def test_a_handler_may_use_the_index(open_index: OpenIndex, server: Server) -> None:
    path = server.paths(1)[0]["path"]
    found: list[plexindex.Match] = []

    class Handler(logging.Handler):
        def emit(self, _: logging.LogRecord) -> None:
            found.append(index.match(path, "Movies", offline=True))

    logger, handler = logging.getLogger("plexindex"), Handler()
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    index = open_index()
    try:
        index.refresh("Movies")
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
    assert found
    assert all(found)


def test_the_level_is_the_logger_s_at_the_time_of_the_message(open_index: OpenIndex) -> None:
    index = open_index()
    found: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())

    logger, handler = logging.getLogger("plexindex"), Handler()
    logger.addHandler(handler)
    level = logger.level
    try:
        logger.setLevel(logging.WARNING)
        index.refresh("Movies")
        assert found == []
        logger.setLevel(logging.INFO)  # after the index was opened
        index.refresh("TV Shows")
        assert any("listed" in text for text in found)
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
