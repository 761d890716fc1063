"""The library's log lines arrive at the logger `plexindex`."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import plexindex
import pytest
from conftest import TOKEN, OpenIndex, Server, run_python


def test_what_is_done_is_logged(open_index: OpenIndex, caplog: pytest.LogCaptureFixture, server: Server) -> None:
    with caplog.at_level(logging.INFO, "plexindex"):
        index = open_index()
        index.match(server.paths(1)[0]["path"], "Movies")
        lines = [record for record in caplog.records if record.name == "plexindex"]
        assert lines
        assert {record.levelno for record in lines} <= {logging.INFO, logging.WARNING}
        assert any("Movies" in record.getMessage() for record in lines)
        assert TOKEN not in caplog.text
        assert server.paths(1)[0]["path"] not in caplog.text


def test_a_short_ttl_warns(open_index: OpenIndex, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "plexindex"):
        open_index(library_ttl=60)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "60" in caplog.text


def test_accepting_invalid_certificates_warns(open_index: OpenIndex, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "plexindex"):
        open_index(accept_invalid_certs=True)
    assert "accept_invalid_certs" in caplog.text


def test_the_level_is_the_logger_s_unless_it_is_given(open_index: OpenIndex, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "plexindex"):
        open_index(log_level="off", library_ttl=60).refresh("Movies")
        assert caplog.records == []
        open_index(log_level=logging.DEBUG).refresh("TV Shows")
        assert caplog.records
    with caplog.at_level(logging.ERROR, "plexindex"):
        caplog.clear()
        open_index(library_ttl=60).refresh("Movies")
        assert caplog.records == []


@pytest.mark.both
def test_lines_are_delivered_on_the_caller_s_thread(open_index: OpenIndex, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "plexindex"):
        open_index().refresh("Movies")
    assert {record.thread for record in caplog.records} == {threading.get_ident()}


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


def test_logging_is_imported_with_the_first_line(cache: Path) -> None:
    code = (
        "import sys, plexindex\n"
        "def quiet(): return 'logging' not in sys.modules\n"
        "started = quiet()\n"
        "with plexindex.open(sys.argv[1]) as index:\n"
        "    index.library('Movies').lookup_key('/x')\n"
        "    index.stats()\n"
        "print(started, quiet())\n"
    )
    printed = run_python(code, cache).split()
    # Where the environment imports logging at its start there is nothing to see.
    assert printed in (["True", "True"], ["False", "False"])
