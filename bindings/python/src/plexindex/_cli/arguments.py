"""What can be given on the command line, with help texts for people who have never seen it."""

from __future__ import annotations

import argparse
import os
import sys

from .. import _config
from . import codes, config, output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    Run = Callable[[argparse.Namespace], int]

DESCRIPTION = """\
Tells which item of a Plex server a file is, from a small index in a folder, without asking the server each time."""

EXAMPLES = """\
examples:
  plexindex doctor /mnt/media              check what works, and find the mapping that is missing
  plexindex warm                           fetch all libraries now
  plexindex match "/mnt/media/movies/Big Buck Bunny (2008).mkv"
  find /mnt/media -name '*.mkv' | plexindex match --json -

Options may stand before or behind the command; plexindex COMMAND --help lists them."""

# Rules of what Plex leaves out: those of `_left_out`, which help need not load.
RULES = ("extension", "hidden", "system", "unpacking", "empty", "samples", "extras", "discs", "plexignore")

# What ends the command line by itself.
_ALONE = ("-h", "--help", "-V", "--version")


def parse(given: Sequence[str] | None = None) -> argparse.Namespace:
    """What is given on the command line, by default the process's. Without anything the help is shown."""
    given = sys.argv[1:] if given is None else list(given)
    top = parser()
    if not given:
        top.print_help(sys.stderr)
        raise SystemExit(codes.USAGE)
    found, unknown = top.parse_known_args(_values_joined(top, _in_order(top, given)))
    if unknown:
        commands_of(top)[found.command].error(f"unrecognized arguments: {' '.join(unknown)}")
    return found


def commands_of(top: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parser of each command."""
    (found,) = (action for action in top._actions if isinstance(action, argparse._SubParsersAction))
    return found.choices


def _in_order(top: argparse.ArgumentParser, given: list[str]) -> list[str]:
    """The command first, then its options: its own parser knows them. A mapping of two words becomes one."""
    commands = commands_of(top)
    known = {
        flag: action for command in commands.values() for action in command._actions for flag in action.option_strings
    }
    before, rest = [], _mappings_joined(given)
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


def _values_joined(top: argparse.ArgumentParser, given: list[str]) -> list[str]:
    """``--deadline -1`` as ``--deadline=-1``: a value that looks like an option is still what was given."""
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


def _mappings_joined(given: list[str]) -> list[str]:
    """``--mapping HOST SERVER`` as ``--mapping 'HOST -> SERVER'``."""
    rest, joined = list(given), []
    while rest:
        joined.append(rest.pop(0))
        if joined[-1] == "--":
            break
        if joined[-1] != "--mapping" or len(rest) < 2 or not rest[1]:
            continue
        is_folder = any(sign in rest[0] for sign in "/\\.~")
        if is_folder and not any(sign in rest[0] for sign in ("=", "->", ":")) and rest[1][0] in "/\\":
            joined.append(f"{rest.pop(0)} -> {rest.pop(0)}")
    return joined + rest


def parser() -> argparse.ArgumentParser:
    """The command's arguments; ``run`` of what is parsed is the function to call."""
    top = _parser(
        _Parser,
        prog="plexindex",
        description=DESCRIPTION,
        epilog="\n\n".join([EXAMPLES, config.HELP, codes.HELP]),
    )
    top.add_argument("-V", "--version", action=_Version, nargs=0, help="say which versions are installed, and end")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True, dest="command")
    _libraries(commands)
    _warm(commands)
    _match(commands)
    _folder(commands)
    _diff(commands)
    _changes(commands)
    _stats(commands)
    _clear(commands)
    _doctor(commands)
    _completion(commands)
    return top


def _libraries(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _command(
        commands,
        "libraries",
        "list the server's libraries, and how fresh the index of each is",
        "Known libraries are listed without asking the server; when none is known it is asked once. Plex's database is "
        "always looked at.",
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
        "--full", action="store_true", help="list again in full, even if the server's clocks show no change"
    )


def _match(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _command(
        commands,
        "match",
        "tell which items files are, or why they are none",
        "Fetches libraries that were never fetched, where they may have the path. A relative path that exists is "
        "taken from the current folder; paths on standard input are taken as they are. "
        "A standard input that is closed is an empty list. "
        "The exit code is 0 when each path is a single item. Of several paths a line on standard error says how many "
        "are.",
        '  plexindex match "/mnt/media/movies/Big Buck Bunny (2008).mkv"\n'
        "  plexindex match --library Movies *.mkv\n"
        "  find /mnt/media -name '*.mkv' -print0 | plexindex match --null --json -\n"
        "  find /mnt/media -name '*.mkv' | plexindex match --missing --format paths -\n\n"
        "formats:\n"
        "  text   the path, and below it what it is or why it is none\n"
        "  keys   the item's key, or an empty line\n"
        "  paths  the path\n"
        "  tsv    path, key, status, confidence, rung, item, library, reason; between them tabs, within them \\t, "
        "\\n and \\\\ for a tab, a line end and a backslash\n"
        "  json   an object; so do jsonl and --json",
        "match",
    )
    command.add_argument(
        "path",
        nargs="+",
        metavar="PATH",
        help="paths of files; - reads them from standard input, one a line, where empty lines are no paths",
    )
    command.add_argument("-l", "--library", metavar="LIBRARY", help="title, section id or uuid; default: all libraries")
    command.add_argument(
        "-0",
        "--null",
        action="store_true",
        help="paths on standard input end in a NUL, as of find -print0; so do those of --format paths, for xargs -0",
    )
    command.add_argument(
        "-f",
        "--format",
        metavar="FORMAT",
        type=_format,
        choices=("text", "keys", "paths", "tsv", "json"),
        help="how answers are printed, in the order of the paths: text for people; keys, paths, tsv or json, one line "
        "for each (see below)",
    )
    command.add_argument("--missing", action="store_true", help="print only the paths that are no single item")
    command.add_argument("-q", "--quiet", action="store_true", help="leave out the line that says how many were found")
    _json(command, "one object a line")


def _folder(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _command(
        commands,
        "folder",
        "tell which shows, seasons, artists, albums or items folders are, and what is below them",
        "A folder is the deepest show, season, artist or album that all files below it share. What the server lists "
        "counts, not what is on the disk. Libraries that were never fetched are fetched. The exit code is 0 when each "
        "folder is a single one.",
        '  plexindex folder "/mnt/media/tv/Cosmos Laundromat"\n'
        '  plexindex folder --items --json "/mnt/media/tv/Cosmos Laundromat"\n'
        "  find /mnt/media/tv -mindepth 1 -maxdepth 1 -print0 | plexindex folder --null --json -\n\n"
        "JSON: an object a folder, with path, status, rung, confidence, stale, kind, item, items, files, candidates, "
        "candidates_total, reason_code, reason and age; with --items then one for each file below it, with "
        "folder, the path that was given, and item. age is null where the answer is of no listing.",
        "folder",
    )
    command.add_argument(
        "path",
        nargs="+",
        metavar="FOLDER",
        help="paths of folders; - reads them from standard input, one a line, where empty lines are no paths",
    )
    command.add_argument("-l", "--library", metavar="LIBRARY", help="title, section id or uuid; default: all libraries")
    command.add_argument(
        "-0", "--null", action="store_true", help="paths on standard input end in a NUL, as of find -print0"
    )
    command.add_argument("--items", action="store_true", help="print the items with files below each folder, too")
    _json(command, "one object a line")


def _diff(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _command(
        commands,
        "diff",
        "tell what is on the disk and not in Plex, and what Plex lists and is gone",
        "Walks the folders. The server is asked first whether anything changed, and then for items whose files are "
        "gone where files are new, too: they may have been renamed. What Plex leaves out by itself counts as left out: "
        "--rules lists why. With --library, what lies in the folders of other libraries is not told. Nothing "
        "is changed, on the disk or on the server. The exit code is 0 when nothing differs, and 1 when something does "
        "or cannot be read.",
        "  plexindex diff /mnt/media\n"
        "  plexindex diff --without samples --without extras /mnt/media\n"
        "  plexindex diff --json /mnt/media | jq -r 'select(.what == \"not_in_plex\") | .path'\n\n"
        "JSON: an object a difference, with what (not_in_plex, not_on_disk, ambiguous; besides left_out and "
        "several_paths), path, item, reason_code, reason, library and section; at last what is summary, with the "
        "counts, and age: for how many seconds the listing has not been seen to be current. files is the sum of "
        "files_in_plex, files_not_in_plex, files_ambiguous and files_left_out; listed that of listed_on_disk, "
        "listed_not_on_disk and listed_unknown; listed_location_empty is how many of listed_not_on_disk lie in a "
        "location that is empty or missing, which one line tells of.",
        "diff",
    )
    command.add_argument("path", nargs="*", metavar="FOLDER", help="folders to walk")
    command.add_argument("-l", "--library", metavar="LIBRARY", help="title, section id or uuid; default: all libraries")
    command.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="RULE",
        choices=RULES,
        help="count as media what this rule leaves out; may be repeated",
    )
    command.add_argument("--rules", action="store_true", help="list the rules and where Plex says so, and end")
    command.add_argument(
        "--left-out",
        action="store_true",
        help="print what Plex leaves out, too; JSON always has it. Files that "
        "the rule 'extension' leaves out are told nowhere: --without extension counts them as media",
    )
    _json(command, "one object a line")


def _changes(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _command(
        commands,
        "changes",
        "tell what was added, removed, changed and moved since a cursor",
        "The first call gives a cursor, which outlives processes; the next one, with that cursor, what changed since, "
        "and a new cursor, as its last line: scripts read --json. The server is asked where a listing has expired, "
        "which is after an hour, or with --check: until then what the server changed is not told, unless another "
        "process asked, or --follow heard of it. A cursor of all libraries becomes one of the library that --library "
        "names. A library of which more than 20 items, and more than a fifth, changed at once is to be listed again, "
        "with --full.",
        "  plexindex changes\n"
        "  plexindex changes --since c1.…\n"
        "  plexindex changes --since c1.… --follow --json\n"
        "  plexindex changes --full --json --library Movies\n\n"
        "JSON: an object a change, with change (added, removed, changed, moved, list_again), item, path, from (where a "
        "file was that moved), from_key (the rating key before, where it is another one), library and section; at "
        "last, with --follow after each time that something changed, an object with token (the cursor), age (for how "
        "many seconds the listing has not been seen to be current) and stale (the server was to be asked, and did not "
        "answer, or refused the token).",
        "changes",
    )
    command.add_argument("--since", metavar="CURSOR", help="tell what changed since this cursor was given")
    command.add_argument("--full", action="store_true", help="begin with all items, as added")
    command.add_argument(
        "--check", action="store_true", help="ask the server now whether anything changed, by one request, as diff does"
    )
    command.add_argument(
        "--follow",
        action="store_true",
        help="go on until Ctrl-C, and listen to the server's events; Plex's database is looked at once a second; "
        "without --deadline",
    )
    command.add_argument("-l", "--library", metavar="LIBRARY", help="title, section id or uuid; default: all libraries")
    _json(command, "one object a line")


def _stats(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _command(
        commands,
        "stats",
        "tell what is in the index, and how often it was asked",
        "Sends no request. Answers and requests are counted over the store's life and all processes that use it.",
        "  plexindex stats\n  plexindex stats --watch 5\n\n"
        "JSON: folder, libraries, items, matches, store_answers and store_requests (over the store's life), "
        "disk_bytes, size_limit and over_limit (bytes; 0: none), evictions (libraries removed for a limit), and "
        "sequence, which grows with each write.",
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
        "matches a sample of the files, and proposes mappings for those that are not found, ready to paste. What Plex "
        "leaves out in a library's folder, as `plexindex diff --rules` lists it, is counted apart.",
        "  plexindex doctor\n  plexindex doctor /mnt/media\n  plexindex doctor --offline paths.txt\n\n"
        "JSON: what was found, by part; problems, as sentences, and exit_code. Of the server, answered is how many "
        "seconds it took to answer.",
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


def _completion(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command: argparse.ArgumentParser = _parser(
        commands.add_parser,
        "completion",
        help="print what makes a shell complete this command",
        description="Print what makes a shell complete commands, options and their values.",
        epilog="examples:\n"
        "  bash: plexindex completion bash > ~/.local/share/bash-completion/completions/plexindex\n"
        "  zsh:  plexindex completion zsh > ~/.zfunc/_plexindex, with fpath+=~/.zfunc before compinit in ~/.zshrc\n"
        "  fish: plexindex completion fish > ~/.config/fish/completions/plexindex.fish",
    )
    command.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell")
    command.set_defaults(run=_Later("completion", "completion"), verbose=0, color="auto")


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
        self._module = (
            command if command in ("doctor", "match", "folder", "diff", "changes", "completion") else "commands"
        )
        self._function = function

    def __call__(self, options: argparse.Namespace) -> int:
        from importlib import import_module

        run: Run = getattr(import_module(f"{__package__}.{self._module}"), self._function)
        return run(options)


def _common(command: argparse.ArgumentParser) -> None:
    server = command.add_argument_group("server and store")
    server.add_argument("--url", type=_given, metavar="URL", help="the server, such as http://127.0.0.1:32400")
    server.add_argument(
        "--token-file", type=_given, metavar="FILE", help="a file that holds the token and nothing else"
    )
    server.add_argument(
        "--token-command",
        type=_given,
        metavar="COMMAND",
        help="a command that prints the token, run at each start, without a shell, for 60 seconds at most; run "
        "again for a new one when the server refuses it, or it expired",
    )
    server.add_argument(
        "--token",
        type=_given,
        metavar="TOKEN",
        help="the token. Other users of this machine can see it in the list of processes: prefer --token-file, or "
        "PLEXINDEX_TOKEN in the environment",
    )
    server.add_argument(
        "--user",
        type=_given,
        metavar="NAME",
        help="a name for the token's user: a new token of the same name keeps what the store holds",
    )
    server.add_argument(
        "--database",
        type=_given,
        metavar="FILE",
        help="Plex's own database on this machine, the folder that holds it, or the folder 'Plex Media Server': read, "
        "never written; alone (--no-server) it needs neither --url nor a token",
    )
    server.add_argument(
        "--no-server",
        action="store_true",
        help="ask no server, whatever the environment and plexapi's file name: --database alone",
    )
    server.add_argument("--dir", type=_given, metavar="FOLDER", help="the folder of the store (~/.cache/plexindex)")
    server.add_argument(
        "--size-limit",
        type=_bytes,
        metavar="BYTES",
        help="how much the folder may take, such as 500M or 2G; libraries asked for longest ago go first",
    )
    server.add_argument(
        "--mapping",
        type=_mapping,
        action="append",
        metavar="HOST=SERVER",
        help="the folder HOST of this machine is the folder SERVER of the server; 'HOST -> SERVER', HOST:SERVER and "
        "HOST SERVER, as two words, say the same; may be repeated",
    )
    server.add_argument("--offline", action="store_true", help="send no request: answer from the store")
    server.add_argument(
        "--deadline",
        type=_seconds,
        metavar="SECONDS",
        help="how long a question may take; default: no limit, but a server that cannot be reached is tried again for "
        "no more than 3 seconds, by warm for 30, by doctor not at all",
    )
    server.add_argument(
        "--ca-file",
        type=_given,
        metavar="FILE",
        help="PEM file with certificate authorities to trust besides the system's",
    )
    server.add_argument(
        "--insecure", action="store_true", help="accept any certificate: others may then read the token"
    )
    command.add_argument(
        "-v", "--verbose", action="count", default=0, help="say what is done; twice: everything, with full paths"
    )
    command.add_argument(
        "--color",
        metavar="WHEN",
        choices=("auto", "always", "never"),
        default="auto",
        help="colours: always, never, or auto, on a terminal where NO_COLOR is not set",
    )


def _json(command: argparse.ArgumentParser, what: str) -> None:
    command.add_argument("--json", action="store_true", help=f"print JSON: {what}")


def _yes(command: argparse.ArgumentParser, what: str) -> None:
    command.add_argument("-y", "--yes", action="store_true", help=what)


def _given(text: str) -> str:
    # As of a shell's variable that is not set: the default in its place would be another server, or another store.
    if not text:
        raise argparse.ArgumentTypeError("it is empty: give a value, or leave the option out")
    return text


def _format(text: str) -> str:
    # What tools for JSON call it when each line is an object.
    return "json" if text in ("jsonl", "ndjson") else text


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
        return _config.size_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _mapping(text: str) -> tuple[str, str]:
    try:
        pair = _config.pair_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    from .sample import is_media

    for folder in pair:
        if os.path.isfile(folder) or is_media(folder):
            raise argparse.ArgumentTypeError(f"{folder} is a file: a mapping is between folders, HOST=SERVER")
    return pair


class _Version(argparse.Action):
    """Says which package and which library this is."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from .. import __version__, _native
        from .output import say

        native = _native.load()
        say(f"plexindex {__version__}, with the library {native.version().decode()} at {native.path}")
        parser.exit()


class _Parser(argparse.ArgumentParser):
    """Names the word that was meant, and where there is more to read."""

    def error(self, message: str) -> NoReturn:
        import difflib
        import re

        wrong = re.search(r"(?:unrecognized arguments: |invalid choice: ')(-?[\w-]+)", message)
        if choices := re.search(r"\(choose from (.*)\)", message):
            known = re.findall(r"[\w-]+", choices[1])
        else:
            known = list(self._option_string_actions)
        owners = [
            name
            for name, command in commands_of(parser()).items()
            if wrong and wrong[1] in command._option_string_actions
        ]
        missing = re.search(r"argument (?:.*/)?(-[\w-]+): expected one argument|are required: (.*)", message)
        if missing and missing[1]:
            action = self._option_string_actions[missing[1]]
            message = f"argument {missing[1]} has no value: give one, {missing[1]} {action.metavar}"
        elif missing:
            words = [action for action in self._actions if action.choices and action.dest in missing[2].split(", ")]
            message += "".join(f": give {' or '.join(map(str, action.choices or ()))}" for action in words)
        meant = difflib.get_close_matches(wrong[1], known, 1, 0.7) if wrong else []
        said = message
        if owners:
            said += f"; it is an option of {', '.join(owners)}"
        elif meant:
            said += f"; did you mean {meant[0]}?"
        # Without the usage, which is longer than a terminal may be high.
        self.exit(codes.USAGE, f"{self.prog}: error: {said}\n`{self.prog} --help` says more\n")


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Breaks lines between words only: a flag or an address that is cut is none."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return output.wrapped(" ".join(text.split()), width).splitlines()

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(output.wrapped(indent + line, width) for line in text.splitlines())


def _parser(
    make: Callable[..., argparse.ArgumentParser], *names: str, description: str, **options: object
) -> argparse.ArgumentParser:
    columns = max(min(output.columns(), 110), 50)
    return make(
        *names,
        description=description,
        formatter_class=lambda prog: _Formatter(prog, max_help_position=28 if columns > 75 else 14, width=columns),
        allow_abbrev=False,
        **options,
    )
