"""Defines each command's options and help texts."""

from __future__ import annotations

import argparse

from .._core import TYPE_CHECKING
from . import values
from .parsers import make_parser

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

# The rule names in `_left_out.RULES`, repeated here so that printing the help does not import that module.
RULES = ("extension", "hidden", "system", "unpacking", "empty", "samples", "extras", "discs", "plexignore")


def add_all(commands: Commands) -> None:
    """Adds the commands in the order in which the help lists them."""
    queries = (_libraries, _warm, _match, _folder, _diff, _changes)
    for add_command in (*queries, _stats, _clear, _matches, _shared, _doctor):
        add_command(commands)
    _completion(commands)


def _libraries(commands: Commands) -> None:
    command = _command(
        commands,
        "libraries",
        "list the server's libraries and the age of each listing",
        "The command asks the server only if the store contains no libraries yet. If Plex's database is the only "
        "source, the command always reads the database.",
        "  plexindex libraries\n  plexindex libraries --json | jq -r '.[].title'",
    )
    _json(command, "an array of objects")


def _warm(commands: Commands) -> None:
    command = _command(
        commands,
        "warm",
        "fetch missing and expired listings",
        "The command shows a progress bar on a terminal, and otherwise prints nothing, so you can run it from cron. If "
        "a fetch is interrupted, the next run resumes it.",
        '  plexindex warm\n  plexindex warm Movies "TV Shows"\n  plexindex warm --full Movies',
    )
    add = command.add_argument
    add("library", nargs="*", metavar="LIBRARY", help="title, section id or uuid of a library; default: all libraries")
    add("--full", action="store_true", help="fetch the whole listing, even if the server reports no change")


def _match(commands: Commands) -> None:
    command = _command(
        commands,
        "match",
        "find the Plex item for each file, or explain why there is none",
        "If a library that may contain the file was never fetched, the command fetches it first. The relative path of "
        "an existing file is resolved against the current folder. The exit code is 0 if every path matches a single "
        "item. For several paths, the command prints a summary to standard error.",
        '  plexindex match "/mnt/media/movies/Big Buck Bunny (2008).mkv"\n'
        "  plexindex match --library Movies *.mkv\n"
        "  find /mnt/media -name '*.mkv' -print0 | plexindex match --null --json -\n"
        "  find /mnt/media -name '*.mkv' | plexindex match --missing --format paths -\n\n"
        "formats:\n"
        "  text   the path, with the item or the reason below it\n"
        "  keys   the item's key, or an empty line\n"
        "  paths  the path\n"
        "  tsv    path, key, status, confidence, match kind, item, library and reason, separated by tabs; \\t, \\n and "
        "\\\\ stand for a tab, a newline and a backslash\n"
        "  json   one object per line (also called jsonl): asked (the path), status (ok, not_found, ambiguous, not_yet "
        "or needs_warm), match_kind (confirmed, exact, mapped, suffix, file_name or none), confidence (high, low or "
        "none), stale, item, candidates, candidates_total, reason, message and age",
    )
    add = command.add_argument
    _paths(command, "PATH", "files")
    _library(command)
    add(
        "-0",
        "--null",
        action="store_true",
        help="read NUL-terminated paths from standard input (find -print0); with --format paths, also print a NUL "
        "after each path (xargs -0)",
    )
    add("-f", "--format", metavar="FORMAT", type=values.output_format, choices=values.FORMATS,
        help="the output format: text, keys, paths, tsv or json (see below)")  # fmt: skip
    add(
        "--check",
        action="store_true",
        help="first ask the server for changes, to find files that Plex has just scanned",
    )
    add("--missing", action="store_true", help="print only files without a match")
    add("-q", "--quiet", action="store_true", help="omit the summary line")
    _json(command, "one object per line")


def _folder(commands: Commands) -> None:
    command = _command(
        commands,
        "folder",
        "find the show, season, artist, album or item for each folder",
        "The answer is the deepest show, season, artist or album that contains all listed files below the folder. The "
        "command uses the server's listing, not the files on the disk. If a library was never fetched, the command "
        "fetches it first. The exit code is 0 if every folder has exactly one answer.",
        '  plexindex folder "/mnt/media/tv/Cosmos Laundromat"\n'
        '  plexindex folder --items --json "/mnt/media/tv/Cosmos Laundromat"\n'
        "  find /mnt/media/tv -mindepth 1 -maxdepth 1 -print0 | plexindex folder --null --json -\n\n"
        "JSON: one object for each folder, with asked (the path), status, match_kind, confidence, stale, kind, item, "
        "items, files, candidates, candidates_total, reason, message and age (null if the answer is not from a "
        "listing). With --items, one object with folder (the path) and item follows for each file below the folder.",
    )
    add = command.add_argument
    _paths(command, "FOLDER", "folders")
    _library(command)
    add("-0", "--null", action="store_true", help="read NUL-terminated paths from standard input (find -print0)")
    add("--items", action="store_true", help="also print the items that have files below each folder")
    _json(command, "one object per line")


def _diff(commands: Commands) -> None:
    command = _command(
        commands,
        "diff",
        "list files that are missing from Plex, and listed files that are missing from the disk",
        "The command changes nothing. It asks the server for changes, and then walks the folders. If some files are "
        "missing and others are new, the command also requests the items of the missing files, because the files may "
        "have been renamed. The summary counts files that Plex ignores as left out; --rules lists the rules. With "
        "--library, the command skips other libraries' folders. The exit code is 1 if there is a difference, or if a "
        "folder is unreadable.",
        "  plexindex diff /mnt/media\n"
        "  plexindex diff --without samples --without extras /mnt/media\n"
        "  plexindex diff --json /mnt/media | jq -r 'select(.what == \"not_in_plex\") | .path'\n\n"
        "JSON: one object for each difference, with what (not_in_plex, not_on_disk or ambiguous), path, item, "
        "reason, message, library and section. If 'what' is left_out or several_paths, the object is not a "
        "difference. The last object is the summary. In the summary, 'age' is the number of seconds since the listing "
        "was last known to be current. 'files' is the sum of files_in_plex, files_not_in_plex, files_ambiguous and "
        "files_left_out. 'listed' is the sum of listed_on_disk, listed_not_on_disk and listed_unknown. "
        "'listed_location_empty' counts the files in listed_not_on_disk whose location is empty or missing; the output "
        "has one object for each such location.",
    )
    add = command.add_argument
    add("path", nargs="*", metavar="FOLDER", help="folders to walk")
    _library(command)
    add("--without", action="append", default=[], metavar="RULE", choices=RULES,
        help="treat files that RULE ignores as media files; you can repeat this option")  # fmt: skip
    add("--rules", action="store_true", help="list the rules with their sources, and exit")
    add("--left-out", action="store_true",
        help="also print ignored files and items' additional files; the JSON output always contains both. To print the "
        "files that the rule 'extension' ignores, add --without extension")  # fmt: skip
    _json(command, "one object per line")


def _changes(commands: Commands) -> None:
    command = _command(
        commands,
        "changes",
        "list items that were added, removed, changed or moved since a cursor",
        "The first run prints a cursor, which remains valid after the process exits. With a cursor, the command prints "
        "the changes since then, and a new cursor on the last line. If a listing is older than an hour, the command "
        "first asks the server for changes; with --check, it always asks. If you combine --library with a cursor for "
        "all libraries, the new cursor is only for that library. If more than 20 items and more than a fifth of a "
        "library changed at once, the command prints 'list again': in this case, list that library with --full.",
        "  plexindex changes\n"
        "  plexindex changes --since c1.…\n"
        "  plexindex changes --since c1.… --follow --json\n"
        "  plexindex changes --state ~/.plex-changes --json    (from cron: lists the changes since the last run)\n"
        "  plexindex changes --full --json --library Movies\n\n"
        "JSON: one object for each change, with change (added, removed, changed, moved or list_again), item, path, "
        "from (the old path of a moved file), from_key (the old rating key, if it differs), library and section. The "
        "last object (with --follow, an object after each change) has cursor, age (seconds since the listing was last "
        "known to be current) and stale (true if the server did not respond or rejected the token).",
    )
    add = command.add_argument
    add("--since", metavar="CURSOR", help="list the changes since this cursor was printed")
    add("--state", metavar="FILE", help="store the cursor in this file, to list the changes since the last run")
    add("--full", action="store_true", help="first list all items as added")
    add("--check", action="store_true",
        help="ask the server for changes now, in one request. If the server sends nothing for 15 seconds, the exit "
        "code is 3")  # fmt: skip
    add("--follow", action="store_true",
        help="run until Ctrl-C, and print changes as they occur. plexindex listens to the server's events, or checks "
        "Plex's database once a second")  # fmt: skip
    add("--disk-every", metavar="SECONDS", type=values.seconds_or_never,
        help="with --follow, seconds between searches for renamed files on this machine (default: 600); 0 disables the "
        "searches")  # fmt: skip
    _library(command)
    _json(command, "one object per line")


def _stats(commands: Commands) -> None:
    command = _command(
        commands,
        "stats",
        "show the contents and usage of the index",
        "The command sends no request. The counts include the answers and requests of all processes since the store "
        "was created.",
        "  plexindex stats\n  plexindex stats --watch 5\n\n"
        "JSON: one object with folder, libraries, items, matches, store_answers and store_requests (since the store "
        "was created), disk_bytes, size_limit and over_limit (in bytes; 0 means none), evictions (the number of "
        "libraries removed because of the size limit), and sequence, which increases with each write.",
    )
    command.add_argument("--watch", nargs="?", type=values.seconds, const=2.0, metavar="SECONDS",
                         help="repeat every SECONDS (default: 2) until Ctrl-C, and show how much each count has "
                         "grown")  # fmt: skip
    _json(command, "one object; with --watch, one object per line")


def _clear(commands: Commands) -> None:
    command = _command(
        commands,
        "clear",
        "delete the listings and confirmed matches of this server and user",
        "The command first asks for confirmation. plexindex fetches the listings again when it needs them, but the "
        "confirmed matches are lost.",
        "  plexindex clear\n  plexindex clear --yes",
    )
    _yes(command, "do not ask for confirmation")


def _matches(commands: Commands) -> None:
    command = _command(
        commands,
        "matches",
        "export recorded matches, or import them into another index",
        "'export' prints the matches that hosts recorded for this server and user, one JSON object per line. 'import' "
        "reads such lines from standard input, and records the matches. A path that already has a match keeps it.",
        "  plexindex matches export > matches.jsonl\n  plexindex --dir /new/folder matches import < matches.jsonl\n"
        "  plexindex matches export --broken plexindex-1.db.broken | plexindex matches import\n\n"
        "JSON: path, key, library_uuid, library_title and server (the machine identifier). 'import' prints an object "
        "with recorded, kept (paths that already had a match) and skipped (matches in libraries that the server does "
        "not have).",
    )
    command.add_argument("action", choices=("export", "import"), help="the action to perform")
    command.add_argument("--broken", metavar="FILE",
                         help="export the matches of all servers and users from this damaged database, which plexindex "
                         "renamed to .broken")  # fmt: skip


def _shared(commands: Commands) -> None:
    command = _command(
        commands,
        "shared",
        "manage the log in PostgreSQL that several hosts share",
        "'init' creates or upgrades the tables. 'status' shows the log's contents, and how many entries this host has "
        "not read yet. 'clear' asks for confirmation, then removes all entries for every server and user. After "
        "'clear', each host keeps its folder, but other hosts lose the entries that they have not read yet. 'init', "
        "'status' and 'clear' need only PostgreSQL. 'follow' runs until Ctrl-C: it reads other hosts' entries as they "
        "arrive, and delivers this host's entries. Use 'follow' on a host where your tools run only briefly.",
        "  plexindex shared init\n  plexindex shared status --json\n  plexindex shared follow\n"
        "  plexindex shared clear --yes\n\n"
        "JSON: one object with address, reachable, error, server (the machine identifier), taken (the number of the "
        "last entry that this folder has read), undelivered (the number of entries that this host has yet to deliver), "
        "behind (the maximum number of entries that this host has not read), and views (one object for each server and "
        "user, with server, last, age in seconds, entries by kind, hosts and bytes). follow prints an object with "
        "address, taken and undelivered at the start and after each change.",
    )
    command.add_argument("action", choices=("init", "status", "follow", "clear"), help="the action to perform")
    _yes(command, "clear without asking for confirmation")
    _json(command, "one object")


def _doctor(commands: Commands) -> None:
    command = _command(
        commands,
        "doctor",
        "check the setup and find missing path mappings",
        "The command checks the server, the token, the libraries, the store and the shared log. If you give a folder, "
        "or a file that lists paths, the command matches a sample of the files, and proposes mappings for files "
        "without a match. The report counts files that Plex ignores (`plexindex diff --rules`) separately.",
        "  plexindex doctor\n  plexindex doctor /mnt/media\n  plexindex doctor --offline paths.txt\n\n"
        "JSON: one object with a field for each part of the report, problems (a list of sentences) and exit_code. In "
        "the field 'server', 'answered' is the response time in seconds.",
    )
    command.add_argument("path", nargs="*", metavar="PATH",
                         help="folders to sample, or files that list paths; - reads standard input")  # fmt: skip
    command.add_argument("--sample", type=values.positive, default=500, metavar="N",
                         help="the number of files to check, spread over the whole tree (default: 500)")  # fmt: skip
    _yes(command, "fetch missing libraries without asking for confirmation")
    _json(command, "one object")


def _completion(commands: Commands) -> None:
    command: argparse.ArgumentParser = make_parser(
        commands.add_parser,
        "completion",
        help="print or install a shell completion script",
        description="Print a script that lets a shell complete commands, options and option values.",
        epilog="examples:\n  plexindex completion --install bash\n  plexindex completion zsh > ~/.zfunc/_plexindex",
    )
    command.add_argument("--install", action="store_true",
                         help="install the script where the shell looks for it, and print the file's path")  # fmt: skip
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
    """Imports and calls the function that runs a command, so that printing the help does not import the function."""

    def __init__(self, command: str) -> None:
        self._command = command

    def __call__(self, options: argparse.Namespace) -> int:
        """Runs the command."""
        from importlib import import_module

        module = "commands" if self._command in ("libraries", "warm", "stats", "clear") else self._command
        exit_code: int = getattr(import_module(f"{__package__}.{module}"), self._command)(options)
        return exit_code


# Options that take a string: flag, metavar and help. An empty string is an error.
_TEXT_OPTIONS = (
    ("--url", "URL", "the server's URL, such as http://127.0.0.1:32400"),
    ("--token-file", "FILE", "a file that contains only the token"),
    (
        "--token-command",
        "COMMAND",
        (
            "a command that prints the token. plexindex runs the command without a shell at each start, and when the "
            "token expires or the server rejects the token. The command must finish within 60 seconds"
        ),
    ),
    (
        "--token",
        "TOKEN",
        (
            "the token. Other users of this machine can see the token in the process list, so prefer --token-file or "
            "the environment variable PLEXINDEX_TOKEN"
        ),
    ),
    (
        "--user",
        "NAME",
        "a name for the token's user. If you keep the name when the token changes, plexindex keeps the listings",
    ),
    (
        "--database",
        "FILE",
        (
            "Plex's own database on this machine, its folder, or the folder 'Plex Media Server'. plexindex never "
            "writes to the database. With --no-server, you need neither --url nor a token"
        ),
    ),
    ("--dir", "FOLDER", "the store's folder (default: ~/.local/share/plexindex)"),
    (
        "--shared",
        "ADDRESS",
        (
            "a PostgreSQL database that several hosts share, such as postgresql://user@host/database. Put the password "
            "into PGPASSWORD or a password file"
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
        help="the maximum size of the folder, such as 500M or 2G. If the folder is larger, plexindex removes the least "
        "recently refreshed libraries")  # fmt: skip
    add("--mapping", type=values.mapping, action="append", metavar="HOST=SERVER",
        help="map the folder HOST on this machine to the folder SERVER on the server. You can also write HOST:SERVER "
        "or 'HOST -> SERVER', and repeat this option")  # fmt: skip
    add("--offline", action="store_true", help="send no requests, and answer only from the store")
    add("--deadline", type=values.seconds, metavar="SECONDS",
        help="the time limit for each answer or fetch; default: none. If the server is unreachable, plexindex retries "
        "for 3 seconds, warm retries for 30 seconds, and doctor does not retry")  # fmt: skip
    add(
        "--insecure",
        action="store_true",
        help="accept any certificate. An attacker on the network can then read the token",
    )
    command.add_argument("-v", "--verbose", action="count", default=0,
                         help="log each step; -vv logs everything, with full paths")  # fmt: skip
    command.add_argument("--color", metavar="WHEN", choices=("auto", "always", "never"), default="auto",
                         help="when to use colors: always, never or auto (on a terminal, unless NO_COLOR is "
                         "set)")  # fmt: skip


def _paths(command: argparse.ArgumentParser, metavar: str, what: str) -> None:
    text = f"paths of {what}; - reads the paths from standard input, one per line"
    command.add_argument("path", nargs="+", metavar=metavar, help=text)


def _library(command: argparse.ArgumentParser) -> None:
    text = "title, section id or uuid of a library; default: all libraries"
    command.add_argument("-l", "--library", metavar="LIBRARY", help=text)


def _json(command: argparse.ArgumentParser, what: str) -> None:
    command.add_argument("--json", action="store_true", help=f"print JSON: {what}")


def _yes(command: argparse.ArgumentParser, what: str) -> None:
    command.add_argument("-y", "--yes", action="store_true", help=what)
