"""A limit on the folder, by all the ways to set one; what it does to libraries is tested with the library itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cli import Cli
from plexindex._config import size_of

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Server


@pytest.fixture
def cli(tmp_path: Path, server: Server) -> Cli:
    """The command, with the server and an empty store."""
    return Cli(tmp_path, server)


def test_the_command_takes_a_limit_by_flag_environment_and_file(tmp_path: Path, cli: Cli) -> None:
    cli.good("warm", "Movies")
    assert cli.json("stats")["size_limit"] == 0
    assert cli.json("stats", "--size-limit", "2G")["size_limit"] == 2_000_000_000
    assert cli.json("stats", PLEXINDEX_SIZE_LIMIT="500M")["size_limit"] == 500_000_000
    file = tmp_path / "plexapi.ini"
    file.write_text("[plexindex]\nsize_limit = 70k\n")
    assert cli.json("stats", PLEXAPI_CONFIG_PATH=str(file))["size_limit"] == 70_000
    assert cli.json("stats", "--size-limit", "90k", PLEXAPI_CONFIG_PATH=str(file))["size_limit"] == 90_000
    assert " of 70.0 kB allowed, too small by " in cli.run("stats", PLEXAPI_CONFIG_PATH=str(file)).stdout
    done = cli.run("doctor", PLEXAPI_CONFIG_PATH=str(file))
    assert "raise --size-limit" in done.stdout
    assert cli.json("doctor", PLEXAPI_CONFIG_PATH=str(file))["store"]["over_limit"] > 0
    done = cli.run("stats", PLEXINDEX_SIZE_LIMIT="much")
    assert done.returncode == 2
    assert "PLEXINDEX_SIZE_LIMIT: 'much' is no size" in done.stderr


@pytest.mark.parametrize("text", ["", "0", "-1", "G", "1.5G", "1GB", "9999999999T", "٣"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no size"):
        size_of(text)
