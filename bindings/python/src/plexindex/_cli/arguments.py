"""What can be given on the command line, with help texts for people who have never seen it."""

from __future__ import annotations

import argparse
import shutil
import textwrap

from . import codes, config

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[[argparse.Namespace], int]

DESCRIPTION = """\
Tells which item of a Plex server a file is, from a small index in a folder, without asking the server each time."""

EXAMPLES = """\
examples:
  plexindex doctor /mnt/media              check what works, and find the mapping that is missing
  plexindex warm                           fetch all libraries now
  plexindex match "/mnt/media/movies/Big Buck Bunny (2008).mkv"
  find /mnt/media -name '*.mkv' | plexindex match --json -

Flags stand behind the command: plexindex stats --dir FOLDER; plexindex COMMAND --help lists them."""


def parser() -> argparse.ArgumentParser:
    """The command's arguments; ``run`` of what is parsed is the function to call."""
    top = _parser(
        argparse.ArgumentParser,
        prog="plexindex",
        description=DESCRIPTION,
        epilog="\n\n".join([EXAMPLES, config.HELP, codes.HELP]),
    )
    top.add_argument("-V", "--version", action=_Version, nargs=0, help="say which versions are installed, and end")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True, dest="command")
    _libraries(commands)
    _warm(commands)
    _match(commands)
    _stats(commands)
    _clear(commands)
    _doctor(commands)
    return top


def _libraries(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _command(
        commands,
        "libraries",
        "list the server's libraries, and how fresh the index of each is",
        "Known libraries are listed without asking the server; when none is known it is asked once.",
        "  plexindex libraries\n  plexindex libraries --json | jq -r '.[].title'",
        "libraries",
    )
    _json(command, "an array of objects")


def _warm(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _command(
        commands,
        "warm",
        "fetch what is missing or has expired",
        "Shows a progress bar on a terminal, and prints nothing elsewhere, so it suits cron. The next run goes on "
        "where an interrupted fetch stopped.",
        '  plexindex warm\n  plexindex warm Movies "TV Shows"\n  plexindex warm --full Movies',
        "warm",
    )
    command.add_argument(
        "library", nargs="*", metavar="LIBRARY", help="title, section id or uuid; all when none is named"
    )
    command.add_argument(
        "--full", action="store_true", help="list everything again, even if the server's clocks show no change"
    )


def _match(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _command(
        commands,
        "match",
        "tell which items files are, or why they are none",
        "Fetches a library whose folders can hold the path. A relative path that exists is taken from the current "
        "folder; paths on standard input are taken as they are. "
        "The exit code is 0 when each path is a single item.",
        '  plexindex match "/mnt/media/movies/Big Buck Bunny (2008).mkv"\n'
        "  plexindex match --library Movies *.mkv\n"
        "  find /mnt/media -name '*.mkv' -print0 | plexindex match --null --json -",
        "match",
    )
    command.add_argument(
        "path", nargs="+", metavar="PATH", help="paths of files; - reads them from standard input, one a line"
    )
    command.add_argument("-l", "--library", metavar="LIBRARY", help="title, section id or uuid; default: all libraries")
    command.add_argument(
        "-0", "--null", action="store_true", help="paths on standard input end in a NUL, as of find -print0"
    )
    _json(command, "one object a line, in the order of the paths")


def _stats(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _command(
        commands,
        "stats",
        "tell what is in the index, and how often it was asked",
        "Sends no request. Answers and requests are counted over the store's life and all processes that use it.",
        "  plexindex stats\n  plexindex stats --watch 5",
        "stats",
    )
    command.add_argument(
        "--watch",
        nargs="?",
        type=_seconds,
        const=2.0,
        metavar="SECONDS",
        help="repeat every so many seconds (2), with the change since, until Ctrl-C",
    )
    _json(command, "an object; with --watch one a line")


def _clear(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _command(
        commands,
        "clear",
        "empty the index of this server and user: listings and confirmed matches",
        "Asks first. What was fetched is fetched again when it is needed; confirmed matches are gone.",
        "  plexindex clear\n  plexindex clear --yes",
        "clear",
    )
    _yes(command, "do not ask")


def _doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _command(
        commands,
        "doctor",
        "check what works and what does not, and which path mappings are missing",
        "Looks at the server, the token, the libraries and the store. With a folder, or a file that lists paths, it "
        "matches a sample of the files, and proposes mappings for those that are not found, ready to paste.",
        "  plexindex doctor\n  plexindex doctor /mnt/media\n  plexindex doctor --offline paths.txt",
        "doctor",
    )
    command.add_argument(
        "path", nargs="*", metavar="PATH", help="folders to look through, or files that list paths; - is standard input"
    )
    command.add_argument(
        "--sample",
        type=_positive,
        default=500,
        metavar="N",
        help="how many files to look at (500), spread over the tree",
    )
    _yes(command, "fetch libraries that were never fetched without asking")
    _json(command, "one object")


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    summary: str,
    description: str,
    examples: str,
    function: str,
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = _parser(
        commands.add_parser,
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}. {description}",
        epilog=f"examples:\n{examples}\n\nSee `plexindex --help` for configuration and exit codes.",
    )
    command.set_defaults(run=_Later(name, function))
    _common(command)
    return command


class _Later:
    """A command's function, imported when it is run: help needs none of it."""

    def __init__(self, command: str, function: str) -> None:
        self._module = "doctor" if command == "doctor" else "commands"
        self._function = function

    def __call__(self, options: argparse.Namespace) -> int:
        from importlib import import_module

        run: Run = getattr(import_module(f"{__package__}.{self._module}"), self._function)
        return run(options)


def _common(command: argparse.ArgumentParser) -> None:
    server = command.add_argument_group("server and store")
    server.add_argument("--url", metavar="URL", help="the server, such as http://127.0.0.1:32400")
    server.add_argument("--token-file", metavar="FILE", help="a file that holds the token and nothing else")
    server.add_argument(
        "--token",
        metavar="TOKEN",
        help="the token. Other users of this machine can see it in the list of processes: prefer --token-file, or "
        "PLEXINDEX_TOKEN in the environment",
    )
    server.add_argument("--user", metavar="NAME", help="whose view of the server it is, where tokens change")
    server.add_argument("--dir", metavar="FOLDER", help="the folder of the store (~/.cache/plexindex)")
    server.add_argument(
        "--size-limit",
        type=_bytes,
        metavar="BYTES",
        help="how much the folder may take, such as 500M or 2G; libraries asked for longest ago go first",
    )
    server.add_argument(
        "--mapping",
        nargs=2,
        action="append",
        metavar=("HOST", "SERVER"),
        help="the folder HOST of this machine is the folder SERVER of the server; may be repeated",
    )
    server.add_argument("--offline", action="store_true", help="send no request: answer from the store")
    server.add_argument(
        "--deadline", type=_seconds, metavar="SECONDS", help="how long a question may take; default: no limit"
    )
    server.add_argument(
        "--ca-file", metavar="FILE", help="PEM file with certificate authorities to trust besides the system's"
    )
    server.add_argument(
        "--insecure", action="store_true", help="accept any certificate: others may then read the token"
    )
    command.add_argument(
        "-v", "--verbose", action="count", default=0, help="say what is done; twice: everything, with full paths"
    )


def _json(command: argparse.ArgumentParser, what: str) -> None:
    command.add_argument("--json", action="store_true", help=f"print JSON: {what}")


def _yes(command: argparse.ArgumentParser, what: str) -> None:
    command.add_argument("-y", "--yes", action="store_true", help=what)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return seconds


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 1000000")
    return int(text)


def _bytes(text: str) -> int:
    try:
        return config.size_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


class _Version(argparse.Action):
    """Says which package and which library this is."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from .. import __version__, _native
        from .output import say

        native = _native.load()
        say(f"plexindex {__version__}, with the library {native.version().decode()} at {native.path}")
        parser.exit()


def _parser(
    make: Callable[..., argparse.ArgumentParser], *names: str, description: str, **options: object
) -> argparse.ArgumentParser:
    # Examples keep their lines; the description is wrapped here, as the formatter then leaves it alone.
    columns = max(min(shutil.get_terminal_size().columns, 110), 50)
    return make(
        *names,
        description=textwrap.fill(description, columns - 2),
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=28, width=columns),
        allow_abbrev=False,
        **options,
    )
