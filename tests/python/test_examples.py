"""The Python examples of the READMEs and of the package's own text, run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import plexindex
import pytest
from conftest import REPOSITORY, Server, run_python

FILM = "/media/movies/Big Buck Bunny (2008).mkv"
README = [path for path in (REPOSITORY / "README.md", REPOSITORY / "bindings/python/README.md") if path.exists()]


def examples(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def run_example(code: str, server: Server) -> str:
    """With the stand-in's address and token in the place of the reader's."""
    server.post("library/set", {"library": 1, "locations": ["/media/movies"]})
    if all(row["path"] != FILM for row in server.paths()):
        server.post("items/add", {"library": 1, "items": [{"title": "Big Buck Bunny", "year": 2008, "files": [FILM]}]})
    code = code.replace("http://127.0.0.1:32400", server.url).replace("YOUR-TOKEN", server.token)
    return run_python(f"token = {server.token!r}\ncache_dir = 'cache'\n{code}")


@pytest.mark.parametrize("readme", README, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_the_examples_of_a_readme(readme: Path, server: Server) -> None:
    found = examples(readme.read_text())
    assert found
    # A test is run as one, in test_testing.
    for code in found:
        assert "plexindex.testing" in code or "Big Buck Bunny" in run_example(code, server)


def test_the_example_of_the_package(server: Server) -> None:
    assert plexindex.__doc__
    (code,) = examples(plexindex.__doc__)
    printed = run_example(code, server)
    assert printed.split()[1:] == ["Big", "Buck", "Bunny", "high"]
