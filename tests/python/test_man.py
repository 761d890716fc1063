"""The man page lists each command, option, variable and exit code of the command, and no other."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess

import pytest
from conftest import REPOSITORY
from plexindex.cli import arguments, codes, config

PAGE = REPOSITORY / "docs/plexindex.1"
PARSER = arguments.parser()
COMMANDS = arguments.commands_of(PARSER)


def section(name: str) -> str:
    found = re.search(rf"^\.Sh {name}\n(.*?)(?=^\.Sh |\Z)", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert found is not None, name
    return found[1]


def options(parser: argparse.ArgumentParser) -> set[str]:
    return {option for action in parser._actions for option in action.option_strings}


def test_commands() -> None:
    listed = re.search(r"^The commands are:\n(.*?)^\.El", section("DESCRIPTION"), re.MULTILINE | re.DOTALL)
    assert listed is not None
    assert re.findall(r"^\.It Cm (\w+)$", listed[1], re.MULTILINE) == list(COMMANDS)
    assert re.findall(r"^\.Nm plexindex\n\.Cm (\w+)$", section("SYNOPSIS"), re.MULTILINE) == list(COMMANDS)


def test_options() -> None:
    description = section("DESCRIPTION")
    every = set().union(*map(options, COMMANDS.values()))
    items = "\n".join(re.findall(r"^\.It (Fl .*)$", description, re.MULTILINE))
    listed = {f"-{name}" for name in re.findall(r"Fl ([\w-]+)", items)}
    assert listed == every
    assert options(PARSER) - listed == {"-V", "--version"}
    # The page names the commands of each option that not all commands have.
    common = set.intersection(*(options(parser) for name, parser in COMMANDS.items() if name != "completion"))
    expected = {one: {name for name in COMMANDS if one in options(COMMANDS[name])} for one in every - common}
    found = {
        f"-{name}": set(re.findall(r"Cm (\w+)", commands))
        for names, commands in re.findall(r"^\.It (Fl .*)\n\.Pq (.*)$", description, re.MULTILINE)
        for name in re.findall(r"Fl ([\w-]+)", names)
    }
    assert found == expected


def test_variables_and_exit_codes() -> None:
    assert set(re.findall(r"PLEX\w+_\w+", section("ENVIRONMENT"))) == set(re.findall(r"PLEX\w+_\w+", config.HELP))
    shown = re.findall(r"^  (\d+) ", codes.HELP, re.MULTILINE)
    assert re.findall(r"^\.It (\d+)$", section("EXIT STATUS"), re.MULTILINE) == shown


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
def test_the_page_is_well_formed() -> None:
    done = subprocess.run(["mandoc", "-Tlint", "-Wstyle", str(PAGE)], capture_output=True, text=True, check=False)
    # mandoc looks for the other manual pages on this machine.
    assert [line for line in done.stdout.splitlines() if "referenced manual not found" not in line] == []
