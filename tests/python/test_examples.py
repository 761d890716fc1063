"""The Python examples of the READMEs and of the package's own text, run as they stand."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import plexindex
import pytest
from cli import Cli
from conftest import REPOSITORY, Server, ServerFactory, run_python
from plexindex.testing import FakePlex

from disk import Tree

README = [path for path in (REPOSITORY / "README.md", REPOSITORY / "bindings/python/README.md") if path.exists()]


TROUBLESHOOTING = (REPOSITORY / "docs/troubleshooting.md").read_text("utf-8")
ROW = re.compile(r"^\|[^`|]*`([^`]+)` \|[^`|]*`([^`]+)` \| `([^`]+)=([^`]+)` \|$", re.MULTILINE)


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


def test_the_answers_that_the_readme_shows(server: Server, tmp_path: Path) -> None:
    ((command, shown),) = re.findall(r"^\$ plexindex (.*)\n([^`]*)```", README[0].read_text("utf-8"), re.MULTILINE)
    printed = Cli(tmp_path, server).run(*shlex.split(command)).stdout
    # `make standin` serves more films, so the keys differ.
    assert re.sub(r"metadata/\d+", "", printed) == re.sub(r"metadata/\d+", "", shown)


def test_the_example_of_the_package(server: Server) -> None:
    assert plexindex.__doc__
    (code,) = examples(plexindex.__doc__)
    printed = run_example(code, server)
    assert printed.split()[1:] == ["Big", "Buck", "Bunny"]


@pytest.mark.parametrize(("host", "listed", "left", "right"), ROW.findall(TROUBLESHOOTING))
def test_a_mapping_of_the_page_leads_to_the_file(host: str, listed: str, left: str, right: str, tmp_path: Path) -> None:
    with (
        FakePlex({"Films": [listed]}) as plex,
        plexindex.open(tmp_path, server_url=plex.url, token=plex.token, mappings=[(left, right)]) as index,
    ):
        match = index.match(host)
        assert match.match_kind == "mapped"
        assert match.item
        assert match.item.path == listed


def test_the_commands_of_the_page_run(start_server: ServerFactory, tmp_path: Path) -> None:
    tree = Tree(tmp_path, start_server)
    words = {"FILE": str(tree.listed[0]), "FOLDER": str(tree.media), "FOLDER…": str(tree.media)}
    cli = Cli(tmp_path, tree.server)
    cli.good("refresh")
    commands = set(re.findall(r"`plexindex ([^`]+)`", TROUBLESHOOTING))
    assert len(commands) > 8
    for command in commands:
        assert cli.run(*(words.get(word, word) for word in command.split())).returncode == 0, command
