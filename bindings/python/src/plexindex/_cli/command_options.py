"""The options of each command, with their help texts."""

from __future__ import annotations

import argparse

from . import values
from .parsers import make_parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

# The names in `_left_out.RULES`, repeated here so that the help does not import that module.
RULES = ("extension", "hidden", "system", "unpacking", "empty", "samples", "extras", "discs", "plexignore")


def add_all(commands: Commands) -> None:
    """Adds each command, in the order of the help."""
    for add_command in (_libraries, _warm, _match, _folder, _diff, _changes, _stats, _clear, _shared, _doctor):
        add_command(commands)
    _completion(commands)


def _libraries(commands: Commands) -> None:
    command = _command(
        commands,
        "libraries",
        "list the server's libraries, and how fresh the index of each is",
        "Asks the server only if no library is known yet. Always reads Plex's database.",
        "  plexindex libraries\n  plexindex libraries --json | jq -r '.[].title'",
    )
    _json(command, "an array of objects")


def _warm(commands: Commands) -> None:
    command = _command(
        commands,
        "warm",
        "fetch what is missing or has expired",
        "Shows a progress bar on a terminal. Prints nothing elsewhere, so it suits cron. "
        "The next run resumes an interrupted fetch.",
        '  plexindex warm\n  plexindex warm Movies "TV Shows"\n  plexindex warm --full Movies',
    )
    add = command.add_argument
    add("library", nargs="*", metavar="LIBRARY", help="title, section id or uuid; default: all libraries")
    add("--full", action="store_true", help="list all items again, even if the server reports no change")


def _match(commands: Commands) -> None:
    command = _command(
        commands,
        "match",
        "find the Plex item for each file, or say why there is none",
        "If a library that may contain the file was never fetched, match fetches it. A relative path of an existing "
        "file counts from the current folder. The exit code is 0 if each path is a single item. For several paths, "
        "match prints a summary on standard error.",
        '  plexindex match "/mnt/media/movies/Big Buck Bunny (2008).mkv"\n'
        "  plexindex match --library Movies *.mkv\n"
        "  find /mnt/media -name '*.mkv' -print0 | plexindex match --null --json -\n"
        "  find /mnt/media -name '*.mkv' | plexindex match --missing --format paths -\n\n"
        "formats:\n"
        "  text   the path, and below it the item or the reason\n"
        "  keys   the item's key, or an empty line\n"
        "  paths  the path\n"
        "  tsv    path, key, status, confidence, match kind, item, library and reason, separated by tabs; \\t, \\n and "
        "\\\\ stand for a tab, a line end and a backslash\n"
        "  json   an object a line, also called jsonl: asked (the path), status (ok, not_found, ambiguous, not_yet or "
        "needs_warm), match_kind (confirmed, exact, mapped, suffix, file_name or none), confidence (high, low or "
        "none), stale, item, candidates, candidates_total, reason_code, reason and age",
    )
    add = command.add_argument
    _paths(command, "PATH", "files")
    _library(command)
    add(
        "-0",
        "--null",
        action="store_true",
        help="paths of the list and of --format paths end with NUL (find -print0, xargs -0)",
    )
    add("-f", "--format", metavar="FORMAT", type=values.output_format, choices=values.FORMATS,
        help="the output format: text, keys, paths, tsv or json (see below)")  # fmt: skip
    add(
        "--check",
        action="store_true",
        help="first ask the server for changes: use it for files that Plex has just scanned",
    )
    add("--missing", action="store_true", help="print only files without a match")
    add("-q", "--quiet", action="store_true", help="omit the summary line")
    _json(command, "one object a line")


def _folder(commands: Commands) -> None:
    command = _command(
        commands,
        "folder",
        "find the show, season, artist, album or item for each folder, and list what is below it",
        "The answer is the deepest show, season, artist or album that contains all files below the folder. Only files "
        "that the server lists count. If a library was never fetched, folder fetches it. The exit code is 0 if there "
        "is exactly one answer for each folder.",
        '  plexindex folder "/mnt/media/tv/Cosmos Laundromat"\n'
        '  plexindex folder --items --json "/mnt/media/tv/Cosmos Laundromat"\n'
        "  find /mnt/media/tv -mindepth 1 -maxdepth 1 -print0 | plexindex folder --null --json -\n\n"
        "JSON: an object for each folder, with asked (the path), status, match_kind, confidence, stale, kind, item, "
        "items, "
        "files, candidates, candidates_total, reason_code, reason and age (null if no listing gave the answer). "
        "With --items, an object with folder (the path) and item follows for each file below the folder.",
    )
    add = command.add_argument
    _paths(command, "FOLDER", "folders")
    _library(command)
    add("-0", "--null", action="store_true", help="paths on standard input end with NUL, as from find -print0")
    add("--items", action="store_true", help="also print the items with files below each folder")
    _json(command, "one object a line")


def _diff(commands: Commands) -> None:
    command = _command(
        commands,
        "diff",
        "list files that Plex lacks, and listed files that are gone",
        "diff changes nothing. It asks the server for changes, and then walks the folders. If some files are gone and "
        "others are new, it also asks for the items of the missing files, because they may have been renamed. "
        "It counts files that Plex ignores as left out; --rules lists the rules. With --library, it skips the folders "
        "of other libraries. The exit code is 1 if something differs or if diff cannot read a folder.",
        "  plexindex diff /mnt/media\n"
        "  plexindex diff --without samples --without extras /mnt/media\n"
        "  plexindex diff --json /mnt/media | jq -r 'select(.what == \"not_in_plex\") | .path'\n\n"
        "JSON: an object for each difference, with what (not_in_plex, not_on_disk or ambiguous), path, item, "
        "reason_code, reason, library and section. An object whose what is left_out or several_paths is not a "
        "difference. The last object is the summary. Its age is the number of seconds since the listing was last known "
        "to be current. Its files is the sum of files_in_plex, files_not_in_plex, files_ambiguous and files_left_out. "
        "Its listed is the sum of listed_on_disk, listed_not_on_disk and listed_unknown. Its listed_location_empty is "
        "the part of listed_not_on_disk in empty or missing locations; diff prints one object for each such location.",
    )
    add = command.add_argument
    add("path", nargs="*", metavar="FOLDER", help="folders to walk")
    _library(command)
    add("--without", action="append", default=[], metavar="RULE", choices=RULES,
        help="count the files that this rule ignores as media; may be repeated")  # fmt: skip
    add("--rules", action="store_true", help="list the rules with their sources, and exit")
    add("--left-out", action="store_true",
        help="also print ignored files, and further files of an item; JSON always contains both. To print the files "
        "that the rule 'extension' ignores, add --without extension")  # fmt: skip
    _json(command, "one object a line")


def _changes(commands: Commands) -> None:
    command = _command(
        commands,
        "changes",
        "list what was added, removed, changed and moved since a cursor",
        "The first call prints a cursor, which outlives the process. Later calls take a cursor, print the changes "
        "since then, and print a new cursor as their last line. Checks listings older than an hour first; --check "
        "checks now. With --library, a cursor of all libraries becomes one of that library. If more than 20 items and "
        "more than a fifth of a library changed at once, list it again with --full.",
        "  plexindex changes\n"
        "  plexindex changes --since c1.…\n"
        "  plexindex changes --since c1.… --follow --json\n"
        "  plexindex changes --state ~/.plex-changes --json    (from cron: what changed since the last run)\n"
        "  plexindex changes --full --json --library Movies\n\n"
        "JSON: an object for each change, with change (added, removed, changed, moved or list_again), item, path, from "
        "(the "
        "old path of a moved file), from_key (the old rating key, if it differs), library and section. The last "
        "object (with --follow, one after each change) has cursor, age (seconds since the listing was last known to "
        "be current) and stale (the server did not answer, or rejected the token).",
    )
    add = command.add_argument
    add("--since", metavar="CURSOR", help="list what changed since this cursor was printed")
    add("--state", metavar="FILE", help="keep the cursor in this file: each run lists what changed since the last run")
    add("--full", action="store_true", help="start with all items, as added")
    add("--check", action="store_true",
        help="ask the server for changes now, with one request. A server that is silent for 15 seconds counts as "
        "unreachable (exit code 3)")  # fmt: skip
    add("--follow", action="store_true",
        help="run until Ctrl-C, and listen to the server's events; check Plex's database once a second")  # fmt: skip
    add("--disk-every", metavar="SECONDS", type=values.seconds_or_never,
        help="how often --follow looks for renamed files on this disk (600); 0: never")  # fmt: skip
    _library(command)
    _json(command, "one object a line")


def _stats(commands: Commands) -> None:
    command = _command(
        commands,
        "stats",
        "show what the index contains, and how often it was used",
        "Sends no request. Counts the answers and requests of all processes since the store was created.",
        "  plexindex stats\n  plexindex stats --watch 5\n\n"
        "JSON: an object with folder, libraries, items, matches, store_answers and store_requests (since the store was "
        "created), "
        "disk_bytes, size_limit and over_limit (bytes; 0: none), evictions (libraries removed for a limit), and "
        "sequence, which grows with each write.",
    )
    command.add_argument("--watch", nargs="?", type=values.seconds, const=2.0, metavar="SECONDS",
                         help="repeat every SECONDS (2), with the change since, until Ctrl-C")  # fmt: skip
    _json(command, "an object; with --watch, one a line")


def _clear(commands: Commands) -> None:
    command = _command(
        commands,
        "clear",
        "empty the index of this server and user: listings and confirmed matches",
        "Asks for confirmation first. plexindex fetches listings again when needed; confirmed matches are lost.",
        "  plexindex clear\n  plexindex clear --yes",
    )
    _yes(command, "do not ask for confirmation")


def _shared(commands: Commands) -> None:
    command = _command(
        commands,
        "shared",
        "prepare, show, follow or empty the log in PostgreSQL that several hosts share",
        "init creates or upgrades the tables. status shows what the log holds, and how far this host is behind. clear "
        "removes all entries of all servers and users, after confirmation: each host keeps its folder, but entries "
        "that no other host has read are lost to the others. These three need only PostgreSQL. follow runs until "
        "Ctrl-C: it reads the entries of other hosts as they arrive, and delivers those of this host. Use follow where "
        "your tools run only briefly.",
        "  plexindex shared init\n  plexindex shared status --json\n  plexindex shared follow\n"
        "  plexindex shared clear --yes\n\n"
        "JSON: an object with address, reachable, error, server (the machine identifier), taken (the number of the "
        "last entry that "
        "this folder has read), undelivered (entries that wait on this host), behind (an upper limit of the entries "
        "that this host has not read), and views: an object for each server and user with server, last, age (seconds), "
        "entries (by kind), hosts and bytes. follow prints an object with address, taken and undelivered at the start "
        "and after each change.",
    )
    command.add_argument("action", choices=("init", "status", "follow", "clear"), help="what to do")
    _yes(command, "clear without confirmation")
    _json(command, "an object")


def _doctor(commands: Commands) -> None:
    command = _command(
        commands,
        "doctor",
        "check the setup, and find missing path mappings",
        "Checks the server, the token, the libraries, the store and the shared log. With a folder, or a file that "
        "lists paths, doctor matches a sample of the files, and proposes mappings for those without a match. "
        "doctor counts files that Plex ignores (`plexindex diff --rules`) separately.",
        "  plexindex doctor\n  plexindex doctor /mnt/media\n  plexindex doctor --offline paths.txt\n\n"
        "JSON: an object with a field for each part, problems (sentences) and exit_code. In the field server, answered "
        "is the response time in seconds.",
    )
    command.add_argument("path", nargs="*", metavar="PATH",
                         help="folders to sample, or files that list paths; - is standard input")  # fmt: skip
    command.add_argument("--sample", type=values.positive, default=500, metavar="N",
                         help="the number of files to check (500), spread over the tree")  # fmt: skip
    _yes(command, "fetch missing libraries without confirmation")
    _json(command, "one object")


def _completion(commands: Commands) -> None:
    command: argparse.ArgumentParser = make_parser(
        commands.add_parser,
        "completion",
        help="print or install completion for a shell",
        description="Print the script that makes a shell complete commands, options and their values.",
        epilog="examples:\n  plexindex completion --install bash\n  plexindex completion zsh > ~/.zfunc/_plexindex",
    )
    command.add_argument("--install", action="store_true",
                         help="write the script where the shell looks for it, and print the file's name")  # fmt: skip
    command.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell")
    command.set_defaults(run=DeferredCommand("completion"), verbose=0, color="auto")


def _command(commands: Commands, name: str, summary: str, description: str, examples: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = make_parser(
        commands.add_parser,
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}. {description}",
        epilog=f"examples:\n{examples}\n\nSee `plexindex --help` for configuration and exit codes.",
    )
    command.set_defaults(run=DeferredCommand(name))
    _add_common_options(command)
    return command


class DeferredCommand:
    """The function of a command, imported when the command runs: the help does not need it."""

    def __init__(self, command: str) -> None:
        self._command = command

    def __call__(self, options: argparse.Namespace) -> int:
        from importlib import import_module

        module = "commands" if self._command in ("libraries", "warm", "stats", "clear") else self._command
        exit_code: int = getattr(import_module(f"{__package__}.{module}"), self._command)(options)
        return exit_code


# Options that take a text: flag, metavar and help. An empty value is an error.
_TEXT_OPTIONS = (
    ("--url", "URL", "the server, such as http://127.0.0.1:32400"),
    ("--token-file", "FILE", "a file that contains only the token"),
    (
        "--token-command",
        "COMMAND",
        (
            "a command that prints the token. plexindex runs it without a shell, at most 60 seconds: at each start, "
            "and when the token expires or the server rejects it"
        ),
    ),
    (
        "--token",
        "TOKEN",
        (
            "the token. Other users of this machine can see it in the list of processes: prefer --token-file, or "
            "PLEXINDEX_TOKEN in the environment"
        ),
    ),
    ("--user", "NAME", "a name for the token's user. With the same name, a new token keeps the contents of the store"),
    (
        "--database",
        "FILE",
        (
            "Plex's own database on this machine, its folder, or the folder 'Plex Media Server'. plexindex only reads "
            "it. With --no-server it needs neither --url nor a token"
        ),
    ),
    ("--dir", "FOLDER", "the folder of the store (~/.cache/plexindex)"),
    (
        "--shared",
        "ADDRESS",
        (
            "a PostgreSQL database that several hosts share, such as postgresql://user@host/database. Set the "
            "password in PGPASSWORD or a passfile"
        ),
    ),
    ("--ca-file", "FILE", "a PEM file with certificate authorities to trust instead of the system's"),
)


def _add_common_options(command: argparse.ArgumentParser) -> None:
    add = command.add_argument_group("server and store").add_argument
    for flag, metavar, text in _TEXT_OPTIONS:
        add(flag, type=values.not_empty, metavar=metavar, help=text)
    add("--no-server", action="store_true", help="use only --database, even if the configuration names a server")
    add("--size-limit", type=values.size, metavar="BYTES",
        help="the maximum size of the folder, such as 500M or 2G. plexindex first removes the libraries that were "
        "refreshed longest ago")  # fmt: skip
    add("--mapping", type=values.mapping, action="append", metavar="HOST=SERVER",
        help="map the folder HOST on this machine to the folder SERVER on the server; also written HOST:SERVER or "
        "'HOST -> SERVER'; may be repeated")  # fmt: skip
    add("--offline", action="store_true", help="send no request: answer from the store")
    add("--deadline", type=values.seconds, metavar="SECONDS",
        help="the time limit for each question; default: none. plexindex retries an unreachable server for 3 seconds, "
        "warm for 30 seconds, doctor not at all")  # fmt: skip
    add(
        "--insecure",
        action="store_true",
        help="accept any certificate. An attacker on the network can then read the token",
    )
    command.add_argument("-v", "--verbose", action="count", default=0,
                         help="log each step; -vv logs everything, with full paths")  # fmt: skip
    command.add_argument("--color", metavar="WHEN", choices=("auto", "always", "never"), default="auto",
                         help="colors: always, never, or auto: on a terminal unless NO_COLOR is set")  # fmt: skip


def _paths(command: argparse.ArgumentParser, metavar: str, what: str) -> None:
    text = f"paths of {what}; - reads them from standard input, one a line"
    command.add_argument("path", nargs="+", metavar=metavar, help=text)


def _library(command: argparse.ArgumentParser) -> None:
    text = "title, section id or uuid; default: all libraries"
    command.add_argument("-l", "--library", metavar="LIBRARY", help=text)


def _json(command: argparse.ArgumentParser, what: str) -> None:
    command.add_argument("--json", action="store_true", help=f"print JSON: {what}")


def _yes(command: argparse.ArgumentParser, what: str) -> None:
    command.add_argument("-y", "--yes", action="store_true", help=what)
