"""The Python examples of the READMEs and of the package's own text, run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import plexindex
import pytest
from conftest import REPOSITORY, Server, ServerFactory, run_python

README = [path for path in (REPOSITORY / "README.md", REPOSITORY / "bindings/python/README.md") if path.exists()]


def examples(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def run_example(code: str, server: Server) -> str:
    """Word for word, but for the address: `make standin` has the one that they name."""
    code = code.replace("http://127.0.0.1:32400", server.url)
    return run_python(f"token = {server.token!r}\ncache_dir = 'cache'\n{code}")


@pytest.fixture
def server(start_server: ServerFactory) -> Server:
    """What `make standin` starts, with fewer items."""
    return start_server("--spec", str(REPOSITORY / "tests/standin/readme.json"), "--movies", "30", "--episodes", "10")


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
    assert printed.split()[1:] == ["Big", "Buck", "Bunny"]
