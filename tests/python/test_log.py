"""The library's log lines arrive at the logger `plexindex`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import plexindex
import pytest
from conftest import OpenIndex, Server


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """The package's logger, which is as it was afterwards."""
    found = logging.getLogger("plexindex")
    level, handlers = found.level, [*found.handlers]
    yield found
    found.setLevel(level)
    found.handlers = handlers


def test_a_handler_may_use_the_index(open_index: OpenIndex, server: Server, logger: logging.Logger) -> None:
    path = server.paths(1)[0]["path"]
    found: list[plexindex.Match] = []

    class Handler(logging.Handler):
        def emit(self, _: logging.LogRecord) -> None:
            found.append(index.match(path, "Movies", offline=True))

    logger.addHandler(Handler())
    logger.setLevel(logging.INFO)
    index = open_index()
    index.refresh("Movies")
    assert found
    assert all(found)


@pytest.mark.both
def test_the_level_is_the_logger_s_at_the_time_of_the_message(
    index: plexindex.Index, server: Server, logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    path = server.paths(1)[0]["path"]

    def levels(call: Callable[[], object]) -> set[int]:
        caplog.clear()
        call()
        return {record.levelno for record in caplog.records if record.name == "plexindex"}

    logger.setLevel(logging.WARNING)
    assert levels(lambda: index.refresh("Movies")) == set()
    logger.setLevel(logging.INFO)
    assert levels(lambda: index.refresh("TV Shows")) == {logging.INFO}
    assert levels(lambda: index.match(path, "Movies")) == set()
    for lookup in (index.match, index.folder, lambda path: index.match_paths([path])):
        logger.setLevel(logging.DEBUG)
        assert levels(lambda: lookup(path)) == {logging.DEBUG}  # noqa: B023
        logger.setLevel(logging.INFO)
        assert levels(lambda: lookup(path)) == set()  # noqa: B023
