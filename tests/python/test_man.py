"""The man page says what the command says: each command, option, variable and exit code, and no other."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess

import pytest
from conftest import REPOSITORY
from plexindex._cli import arguments, codes, config

PAGE = REPOSITORY / "docs/plexindex.1"


def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def section(name: str) -> str:
    found = re.search(rf"^\.Sh {name}\n(.*?)(?=^\.Sh |\Z)", page(), re.MULTILINE | re.DOTALL)
    assert found is not None, name
    return found[1]


def commands() -> dict[str, argparse.ArgumentParser]:
    actions = arguments.parser()._actions
    (found,) = [action for action in actions if isinstance(action, argparse._SubParsersAction)]
    return dict(found.choices)


def options(parser: argparse.ArgumentParser) -> set[str]:
    return {option for action in parser._actions for option in action.option_strings}


def test_it_lists_each_command() -> None:
    listed = re.search(r"^The commands are:\n(.*?)^\.El", section("DESCRIPTION"), re.MULTILINE | re.DOTALL)
    assert listed is not None
    assert re.findall(r"^\.It Cm (\w+)$", listed[1], re.MULTILINE) == list(commands())
    assert re.findall(r"^\.Nm plexindex\n\.Cm (\w+)$", section("SYNOPSIS"), re.MULTILINE) == list(commands())


def test_it_lists_each_option_and_no_other() -> None:
    described = section("DESCRIPTION")
    items = "\n".join(re.findall(r"^\.It (Fl .*)$", described, re.MULTILINE))
    told = {f"-{name}" for name in re.findall(r"Fl ([\w-]+)", items)}
    assert told == set().union(*map(options, commands().values()))
    assert {f"-{name}" for name in re.findall(r"Fl ([\w-]+)", described)} - told == {"-V", "--version"}
    assert options(arguments.parser()) - told == {"-V", "--version"}


def test_options_of_single_commands_name_them() -> None:
    # `completion` needs neither server nor store.
    common = set.intersection(*(options(parser) for name, parser in commands().items() if name != "completion"))
    single = {
        option: [name for name, parser in commands().items() if option in options(parser)]
        for option in set().union(*map(options, commands().values())) - common
    }
    told: dict[str, list[str]] = {}
    for names, where in re.findall(r"^\.It (Fl .*)\n\.Pq (.*)$", section("DESCRIPTION"), re.MULTILINE):
        for name in re.findall(r"Fl ([\w-]+)", names):
            told[f"-{name}"] = re.findall(r"Cm (\w+)", where)
    assert {option: sorted(names) for option, names in told.items()} == {
        option: sorted(names) for option, names in single.items()
    }


def test_it_lists_variables_and_exit_codes() -> None:
    assert set(re.findall(r"PLEX\w+_\w+", section("ENVIRONMENT"))) == set(re.findall(r"PLEX\w+_\w+", config.HELP))
    told = re.findall(r"^\.It (\d+)\n(.*)$", section("EXIT STATUS"), re.MULTILINE)
    shown = re.findall(r"^  (\d+) +(.*)$", codes.HELP, re.MULTILINE)
    assert [(code, text.rstrip(".").lower()) for code, text in told] == [(code, text.lower()) for code, text in shown]


def test_it_is_well_formed() -> None:
    if shutil.which("mandoc") is None:
        pytest.skip("mandoc is not installed")
    done = subprocess.run(["mandoc", "-Tlint", "-Wstyle", str(PAGE)], capture_output=True, text=True, check=False)
    # It looks for the pages that are referred to on this machine.
    said = [line for line in done.stdout.splitlines() if "referenced manual not found" not in line]
    assert said == []
