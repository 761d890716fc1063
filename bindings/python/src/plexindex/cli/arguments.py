"""Parses the command line, and defines the command's top-level help."""

from __future__ import annotations

import argparse
import sys

from .._core import TYPE_CHECKING
from . import codes, command_options, config
from .command_options import RULES
from .parsers import HelpfulParser, VersionAction, make_parser

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["RULES", "commands_of", "parse", "parser"]

DESCRIPTION = """\
Finds the Plex item for a file in an index on this machine, without asking the server each time."""

EXAMPLES = """\
examples:
  plexindex doctor /mnt/media              check the setup, and find missing mappings
  plexindex warm                           fetch all libraries now
  plexindex match "/mnt/media/movies/Big Buck Bunny (2008).mkv"
  find /mnt/media -name '*.mkv' | plexindex match --json -

You can write options before or after the command. `plexindex COMMAND --help` lists a command's options."""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses ``arguments``, or the process's arguments. Without any argument, prints the help and exits."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    top = parser()
    if not words:
        top.print_help(sys.stderr)
        raise SystemExit(codes.USAGE)
    options, unknown = top.parse_known_args(_move_command_first(top, words))
    if unknown:
        commands_of(top)[options.command].error(f"unrecognized arguments: {' '.join(unknown)}")
    return options


def commands_of(top: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Returns a dict from each command's name to its parser."""
    (commands,) = (action for action in top._actions if isinstance(action, argparse._SubParsersAction))
    return commands.choices


def _move_command_first(top: argparse.ArgumentParser, words: list[str]) -> list[str]:
    """Moves the command's name in front of its options, because only the command's own parser knows the options."""
    commands = commands_of(top)
    actions = {flag: action for command in commands.values() for flag, action in command._option_string_actions.items()}
    options, rest = [], list(words)
    while rest and len(rest[0]) > 1 and rest[0][0] == "-" and rest[0] != "--":
        if rest[0] in ("-h", "--help", "-V", "--version"):
            return rest
        options.append(rest.pop(0))
        action = actions.get(options[-1])
        if action is not None and action.nargs is None and rest:
            options.append(rest.pop(0))
    if rest[:1] == ["help"]:
        return [*rest[1:2], "--help"]
    if not rest or rest[0] not in commands:
        return words
    return [rest[0], *options, *rest[1:]]


def parser() -> argparse.ArgumentParser:
    """Creates the command-line parser. In the parsed options, ``run`` is the function to call."""
    top = make_parser(
        HelpfulParser,
        prog="plexindex",
        description=DESCRIPTION,
        epilog="\n\n".join([EXAMPLES, config.HELP, codes.HELP]),
    )
    top.add_argument("-V", "--version", action=VersionAction, nargs=0, help="print the installed versions, and exit")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True, dest="command")
    command_options.add_all(commands)
    HelpfulParser.commands = commands.choices
    for command in commands.choices.values():
        # Otherwise argparse would also treat the value in `--deadline -1` as an option, because -0 is an option.
        command._has_negative_number_optionals.clear()
    return top
