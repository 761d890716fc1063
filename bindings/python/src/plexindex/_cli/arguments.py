"""The command line: how it is read, and the help texts of the whole."""

from __future__ import annotations

import argparse
import re
import sys

from . import codes, command_options, config
from .command_options import RULES
from .parsers import HelpfulParser, VersionAction, make_parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["RULES", "commands_of", "parse", "parser"]

DESCRIPTION = """\
Tells which item of a Plex server a file is, from a small index in a folder, without asking the server each time."""

EXAMPLES = """\
examples:
  plexindex doctor /mnt/media              check what works, and find the mapping that is missing
  plexindex warm                           fetch all libraries now
  plexindex match "/mnt/media/movies/Big Buck Bunny (2008).mkv"
  find /mnt/media -name '*.mkv' | plexindex match --json -

Options may stand before or after the command; `plexindex COMMAND --help` lists them."""

_DRIVE = re.compile(r"^[A-Za-z]:(?=[\\/])")

# Options that end the command by themselves.
_ALONE = ("-h", "--help", "-V", "--version")


def parse(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses a command line, by default the process's. An empty one shows the help."""
    given = sys.argv[1:] if given is None else list(given)
    top = parser()
    if not given:
        top.print_help(sys.stderr)
        raise SystemExit(codes.USAGE)
    found, unknown = top.parse_known_args(_join_values(top, _command_first(top, given)))
    if unknown:
        commands_of(top)[found.command].error(f"unrecognized arguments: {' '.join(unknown)}")
    return found


def commands_of(top: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Returns the parser of each command."""
    (found,) = (action for action in top._actions if isinstance(action, argparse._SubParsersAction))
    return found.choices


def _command_first(top: argparse.ArgumentParser, given: list[str]) -> list[str]:
    """Moves the command before its options, since its parser knows them. Joins mappings of two words."""
    commands = commands_of(top)
    known = {
        flag: action for command in commands.values() for action in command._actions for flag in action.option_strings
    }
    before, rest = [], _join_mappings(given)
    while rest and len(rest[0]) > 1 and rest[0][0] == "-" and rest[0] != "--":
        if rest[0] in _ALONE:
            return rest
        before.append(rest.pop(0))
        action = known.get(before[-1])
        if action is not None and action.nargs is None and rest:
            before.append(rest.pop(0))
    if rest[:1] == ["help"]:
        return [*rest[1:2], "--help"]
    if not rest or rest[0] not in commands:
        return given
    return [rest[0], *before, *rest[1:]]


def _join_values(top: argparse.ArgumentParser, given: list[str]) -> list[str]:
    """Joins ``--deadline -1`` to ``--deadline=-1``. Otherwise the value would be parsed as an option."""
    command = commands_of(top).get(given[0]) if given else None
    known = {} if command is None else command._option_string_actions
    rest, joined = list(given), []
    while rest:
        joined.append(rest.pop(0))
        if joined[-1] == "--":
            break
        action = known.get(joined[-1])
        if action is None or action.nargs is not None or not rest:
            continue
        if joined[-1].startswith("--") and rest[0][:1] == "-" and rest[0][1:2].isdigit():
            joined[-1] += f"={rest.pop(0)}"
    return joined + rest


def _join_mappings(given: list[str]) -> list[str]:
    """Joins ``--mapping HOST SERVER`` to ``--mapping 'HOST -> SERVER'``."""
    rest, joined = list(given), []
    while rest:
        joined.append(rest.pop(0))
        if joined[-1] == "--":
            break
        if joined[-1] != "--mapping" or len(rest) < 2 or not rest[1]:
            continue
        host, server = (_DRIVE.sub("", word) for word in rest[:2])
        is_folder = any(sign in host for sign in "/\\.~")
        if is_folder and not any(sign in host for sign in ("=", "->", ":")) and server[0] in "/\\":
            joined.append(f"{rest.pop(0)} -> {rest.pop(0)}")
    return joined + rest


def parser() -> argparse.ArgumentParser:
    """Creates the parser of the command line. ``run`` in its result is the function to call."""
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
    return top
