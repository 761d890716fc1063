"""A small Plex Media Server in pure Python, for tests of tools that use plexindex or plexapi.

```python
from plexindex.testing import FakePlex


def test_my_tool(tmp_path):
    with FakePlex({"Movies": ["/media/movies/Big Buck Bunny (2008).mkv"]}) as plex:
        with plexindex.open(tmp_path, server_url=plex.url, token=plex.token) as index:
            assert index.match("/media/movies/Big Buck Bunny (2008).mkv").require().title == "Big Buck Bunny"
```
"""

from ._http import Request
from ._server import FakePlex

__all__ = ["FakePlex", "Request"]
