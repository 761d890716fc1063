"""A small Plex Media Server in pure Python, for tests of tools that use plexindex or plexapi.

    from plexindex.testing import FakePlex

    def test_my_tool(tmp_path):
        with FakePlex({"Movies": ["/media/movies/Big Buck Bunny (2008).mkv"]}) as plex:
            with plexindex.open(tmp_path, server_url=plex.url, token=plex.token) as index:
                assert index.match("/media/movies/Big Buck Bunny (2008).mkv").require().title == "Big Buck Bunny"

To use the server as a pytest fixture, add ``from plexindex.testing import fake_plex`` to ``conftest.py``. The fixture
is a server without libraries. Add libraries with :meth:`FakePlex.add_library`.
"""

from __future__ import annotations

from collections.abc import Iterator

from ._http import Request
from ._server import FakePlex

__all__ = ["FakePlex", "Request"]

try:
    import pytest
except ImportError:
    # The server does not need pytest.
    pass
else:
    __all__ += ["fake_plex"]

    @pytest.fixture
    def fake_plex() -> Iterator[FakePlex]:
        """A server without libraries, which stops when the test ends."""
        with FakePlex() as plex:
            yield plex
