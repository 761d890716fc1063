"""The options of each command, with their help texts."""

from __future__ import annotations

import argparse

from . import values
from .parsers import make_parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[[argparse.Namespace], int]

# The rules of `_left_out`, repeated here so that the help does not load that module.
RULES = ("extension", "hidden", "system", "unpacking", "empty", "samples", "extras", "discs", "plexignore")


def add_all(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds each command, in the order of the help."""
    _libraries(commands)
    _warm(commands)
    _match(commands)
    _folder(commands)
    _diff(commands)
    _changes(commands)
    _stats(commands)
    _clear(commands)
    _shared(commands)
    _doctor(commands)
    _completion(commands)


def _libraries(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _command(
        commands,
        "libraries",
        "list the server's libraries, and how fresh the index of each is",
        "The server is asked only if no library is known yet. Plex's database is always read.",
        "  plexindex libraries\n  plexindex libraries --json | jq -r '.[].title'",
        "libraries",
    )
    _json(command, "an array of objects")


def _warm(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _command(
        commands,
        "warm",
        "fetch what is missing or has expired",
        "Shows a progress bar on a terminal, and prints nothing elsewhere, so it suits cron. The next run resumes "
        "an interrupted fetch.",
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
        "find the Plex item for each file, or say why there is none",
        "A library that may have the path and was never fetched is fetched. A relative path that exists is taken from "
        "the current folder, also on standard input. A closed standard input is an empty list. "
        "The exit code is 0 if each path is a single item. For several paths, a line on standard error says how many "
        "are a single item.",
        '  plexindex match "/mnt/media/movies/Big Buck Bunny (2008).mkv"\n'
        "  plexindex match --library Movies *.mkv\n"
        "  find /mnt/media -name '*.mkv' -print0 | plexindex match --null --json -\n"
        "  find /mnt/media -name '*.mkv' | plexindex match --missing --format paths -\n\n"
        "formats:\n"
        "  text   the path, and below it the item or why there is none\n"
        "  keys   the item's key, or an empty line\n"
        "  paths  the path\n"
        "  tsv    path, key, status, confidence, match kind, item, library, reason; between them tabs, within them "
        "\\t, \\n and \\\\ for a tab, a line end and a backslash\n"
        "  json   an object, also called jsonl: asked (the path), status (ok, not_found, ambiguous, not_yet "
        "or needs_warm), match_kind (confirmed, exact, mapped, suffix, file_name or none), confidence (high, low or "
        "none), stale, item, candidates, candidates_total, reason_code, reason and age",
        "match",
    )
    command.add_argument(
        "path",
        nargs="+",
        metavar="PATH",
        help="paths of files; - reads them from standard input, one a line; empty lines are skipped",
    )
    command.add_argument("-l", "--library", metavar="LIBRARY", help="title, section id or uuid; default: all libraries")
    command.add_argument(
        "-0",
        "--null",
        action="store_true",
        help="paths on standard input end in a NUL, as from find -print0; --format paths prints them so, too, for "
        "xargs -0",
    )
    command.add_argument(
        "-f",
        "--format",
        metavar="FORMAT",
        type=values.output_format,
        choices=("text", "keys", "paths", "tsv", "json"),
        help="how answers are printed, in the order of the paths: text for people; keys, paths, tsv or json, one line "
        "for each (see below)",
    )
    command.add_argument(
        "--check",
        action="store_true",
        help="first ask the server, by one request, whether anything changed: for files that were just scanned",
    )
    command.add_argument("--missing", action="store_true", help="print only files without a match")
    command.add_argument("-q", "--quiet", action="store_true", help="omit the summary line")
    _json(command, "one object a line")


def _folder(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _command(
        commands,
        "folder",
        "find the show, season, artist, album or item for each folder, and list what is below it",
        "A folder is the deepest show, season, artist or album that all files below it share. What the server lists "
        "counts, not what is on the disk. Libraries that were never fetched are fetched. The exit code is 0 if each "
        "folder is exactly one of these.",
        '  plexindex folder "/mnt/media/tv/Cosmos Laundromat"\n'
        '  plexindex folder --items --json "/mnt/media/tv/Cosmos Laundromat"\n'
        "  find /mnt/media/tv -mindepth 1 -maxdepth 1 -print0 | plexindex folder --null --json -\n\n"
        "JSON: an object for each folder: asked (the path), status, match_kind, confidence, stale, kind, item, items, "
        "files, candidates, candidates_total, reason_code, reason and age. age is null if no listing gave the answer. "
        "With --items, an object for each file below the folder follows: folder (the path) and item.",
        "folder",
    )
    command.add_argument(
        "path",
        nargs="+",
        metavar="FOLDER",
        help="paths of folders; - reads them from standard input, one a line; empty lines are skipped",
    )
    command.add_argument("-l", "--library", metavar="LIBRARY", help="title, section id or uuid; default: all libraries")
    command.add_argument(
        "-0", "--null", action="store_true", help="paths on standard input end in a NUL, as from find -print0"
    )
    command.add_argument("--items", action="store_true", help="print the items with files below each folder, too")
    _json(command, "one object a line")


def _diff(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _command(
        commands,
        "diff",
        "list files that Plex lacks, and listed files that are gone",
        "Walks the folders. The server is asked first whether anything changed. If some files are gone and others are "
        "new, it is asked for the items of those that are gone: they may have been renamed. Files that Plex "
        "ignores are counted as left out; --rules lists the rules. With --library, the folders of other libraries are "
        "skipped. Nothing is changed, on the disk or on the server. The exit code is 0 if nothing differs, and 1 if "
        "something differs or cannot be read.",
        "  plexindex diff /mnt/media\n"
        "  plexindex diff --without samples --without extras /mnt/media\n"
        "  plexindex diff --json /mnt/media | jq -r 'select(.what == \"not_in_plex\") | .path'\n\n"
        "JSON: an object for each difference: what (not_in_plex, not_on_disk or ambiguous), path, item, reason_code, "
        "reason, library and section. Objects with left_out or several_paths as what are no differences. The last "
        "object is the summary. Its age is how many seconds ago the listing was last known to be current. files is the "
        "sum of files_in_plex, files_not_in_plex, files_ambiguous and files_left_out. listed is the sum of "
        "listed_on_disk, listed_not_on_disk and listed_unknown. listed_location_empty counts those of "
        "listed_not_on_disk in locations that are empty or missing; a location has one object for all its files.",
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
        help="count files that this rule ignores as media; may be repeated",
    )
    command.add_argument("--rules", action="store_true", help="list the rules with their sources, and exit")
    command.add_argument(
        "--left-out",
        action="store_true",
        help="also print what Plex ignores, and further files of an item; JSON always has both. Files that "
        "the rule 'extension' leaves out are never printed: --without extension counts them as media",
    )
    _json(command, "one object a line")


def _changes(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _command(
        commands,
        "changes",
        "list what was added, removed, changed and moved since a cursor",
        "The first call prints a cursor, which outlives processes. The next one, with that cursor, prints what changed "
        "since, and a new cursor as its last line; scripts use --json. Listings older than an hour are checked first; "
        "--check checks now. A newer listing shows only changes that some process or --follow has already learned of. "
        "With --library, a cursor of all libraries becomes one of that library. If more than 20 items "
        "and more than a fifth of a library changed at once, it has to be listed again, with --full.",
        "  plexindex changes\n"
        "  plexindex changes --since c1.…\n"
        "  plexindex changes --since c1.… --follow --json\n"
        "  plexindex changes --state ~/.plex-changes --json    (from cron: what changed since the last run)\n"
        "  plexindex changes --full --json --library Movies\n\n"
        "JSON: an object for each change: change (added, removed, changed, moved or list_again), item, path, from (the "
        "old path of a moved file), from_key (the old rating key, if it is another one), library and section. The last "
        "object, with --follow one after each change, has cursor, age (how many seconds ago the listing was last known "
        "to be current) and stale (the server did not answer, or refused the token).",
        "changes",
    )
    command.add_argument("--since", metavar="CURSOR", help="list what changed since this cursor was printed")
    command.add_argument(
        "--state",
        metavar="FILE",
        help="keep the cursor in this file: each run lists what changed since the last one; the first one makes it",
    )
    command.add_argument("--full", action="store_true", help="start with all items, as added")
    command.add_argument(
        "--check",
        action="store_true",
        help="ask the server now whether anything changed, by one request, as diff does. A server that is silent for "
        "15 seconds counts as away (exit code 3)",
    )
    command.add_argument(
        "--follow",
        action="store_true",
        help="run until Ctrl-C, and listen to the server's events; Plex's database is checked once a second; "
        "not with --deadline",
    )
    command.add_argument(
        "--disk-every",
        metavar="SECONDS",
        type=values.seconds_or_never,
        help="how often --follow walks the libraries' folders on this machine, to find renamed files that the server "
        "does not report (600); 0: never. The server is asked only if files are gone and others are new",
    )
    command.add_argument("-l", "--library", metavar="LIBRARY", help="title, section id or uuid; default: all libraries")
    _json(command, "one object a line")


def _stats(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _command(
        commands,
        "stats",
        "show what the index contains, and how often it was used",
        "Sends no request. Counts the answers and requests of all processes since the store was made.",
        "  plexindex stats\n  plexindex stats --watch 5\n\n"
        "JSON: folder, libraries, items, matches, store_answers and store_requests (since the store was made), "
        "disk_bytes, size_limit and over_limit (bytes; 0: none), evictions (libraries removed for a limit), and "
        "sequence, which grows with each write.",
        "stats",
    )
    command.add_argument(
        "--watch",
        nargs="?",
        type=values.seconds,
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
        "Asks for confirmation first. Listings are fetched again when needed; confirmed matches are lost.",
        "  plexindex clear\n  plexindex clear --yes",
        "clear",
    )
    _yes(command, "do not ask")


def _shared(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _command(
        commands,
        "shared",
        "prepare, show, follow or empty the log in PostgreSQL that several hosts share",
        "init creates its tables, or upgrades them; the first host does that too, if its role may. status shows what "
        "it holds, and how far this host is behind. clear removes everything from it, of all servers and users, and "
        "asks first: each host keeps its folder with listings, confirmed matches and tables, but what no other host "
        "has taken yet is lost to the others. These three ask only PostgreSQL, and need no --url. follow stays until "
        "Ctrl-C: it takes what other hosts tell as it comes, and delivers what tools on this host have recorded. It is "
        "for hosts whose tools run for moments only, and asks Plex only if the folder is new. With -v it says how many "
        "entries it took.",
        "  plexindex shared init\n  plexindex shared status --json\n  plexindex shared follow\n"
        "  plexindex shared clear --yes\n\n"
        "JSON: address, reachable, error (why it is not), server (the machine identifier), taken (the number of the "
        "last entry that this folder has), undelivered (entries that wait here), behind (entries that are missing "
        "here, at most), and views: for each server and user an object with server, last, age (seconds), entries (by "
        "kind), hosts and bytes. follow prints an object a line with address, taken and undelivered: at the start, and "
        "whenever they changed.",
        "shared",
    )
    command.add_argument("action", choices=("init", "status", "follow", "clear"), help="what to do")
    _yes(command, "clear without asking")
    _json(command, "an object")


def _doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _command(
        commands,
        "doctor",
        "check the setup, and find missing path mappings",
        "Looks at the server, the token, the libraries, the store and the shared log. With a folder, or a file that "
        "lists paths, it matches a sample of the files, and proposes mappings for those that are not found, ready to "
        "paste. Files that Plex ignores (`plexindex diff --rules`) are counted separately.",
        "  plexindex doctor\n  plexindex doctor /mnt/media\n  plexindex doctor --offline paths.txt\n\n"
        "JSON: an entry for each part, problems (sentences) and exit_code. The server's answered is how many seconds "
        "its answer took.",
        "doctor",
    )
    command.add_argument(
        "path", nargs="*", metavar="PATH", help="folders to look through, or files that list paths; - is standard input"
    )
    command.add_argument(
        "--sample",
        type=values.positive,
        default=500,
        metavar="N",
        help="how many files to look at (500), spread over the tree",
    )
    _yes(command, "fetch libraries that were never fetched without asking")
    _json(command, "one object")


def _completion(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command: argparse.ArgumentParser = make_parser(
        commands.add_parser,
        "completion",
        help="print or install completion for a shell",
        description="Print the script that makes a shell complete commands, options and their values.",
        epilog="examples:\n  plexindex completion --install bash\n  plexindex completion zsh > ~/.zfunc/_plexindex",
    )
    command.add_argument(
        "--install",
        action="store_true",
        help="write it to the folder in your home where the shell looks for it, and print the file's name",
    )
    command.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell")
    command.set_defaults(run=DeferredCommand("completion", "completion"), verbose=0, color="auto")


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    summary: str,
    description: str,
    examples: str,
    function: str,
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = make_parser(
        commands.add_parser,
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}. {description}",
        epilog=f"examples:\n{examples}\n\nSee `plexindex --help` for configuration and exit codes.",
    )
    command.set_defaults(run=DeferredCommand(name, function))
    _common(command)
    return command


class DeferredCommand:
    """The function of a command, imported when the command runs: the help does not need it."""

    def __init__(self, command: str, function: str) -> None:
        own = ("doctor", "match", "folder", "diff", "changes", "shared", "completion")
        self._module = command if command in own else "commands"
        self._function = function

    def __call__(self, options: argparse.Namespace) -> int:
        from importlib import import_module

        run: Run = getattr(import_module(f"{__package__}.{self._module}"), self._function)
        return run(options)


def _common(command: argparse.ArgumentParser) -> None:
    server = command.add_argument_group("server and store")
    server.add_argument("--url", type=values.given, metavar="URL", help="the server, such as http://127.0.0.1:32400")
    server.add_argument("--token-file", type=values.given, metavar="FILE", help="a file that contains only the token")
    server.add_argument(
        "--token-command",
        type=values.given,
        metavar="COMMAND",
        help="a command that prints the token. It runs at each start, without a shell, for 60 seconds at most, and "
        "again when the token expired or the server refuses it",
    )
    server.add_argument(
        "--token",
        type=values.given,
        metavar="TOKEN",
        help="the token. Other users of this machine can see it in the list of processes: prefer --token-file, or "
        "PLEXINDEX_TOKEN in the environment",
    )
    server.add_argument(
        "--user",
        type=values.given,
        metavar="NAME",
        help="a name for the token's user. A new token of the same user keeps the content of the store",
    )
    server.add_argument(
        "--database",
        type=values.given,
        metavar="FILE",
        help="Plex's own database on this machine, the folder that holds it, or the folder 'Plex Media Server'. It is "
        "read and never written. Alone (--no-server) it needs neither --url nor a token",
    )
    server.add_argument(
        "--no-server",
        action="store_true",
        help="use only --database, even if the environment or plexapi's file names a server",
    )
    server.add_argument(
        "--dir", type=values.given, metavar="FOLDER", help="the folder of the store (~/.cache/plexindex)"
    )
    server.add_argument(
        "--size-limit",
        type=values.size,
        metavar="BYTES",
        help="the maximum size of that folder, such as 500M or 2G; libraries refreshed longest ago are removed first",
    )
    server.add_argument(
        "--shared",
        type=values.given,
        metavar="ADDRESS",
        help="a database in PostgreSQL that several hosts of this server share, such as "
        "postgresql://user@host/database; the password is taken from PGPASSWORD or a passfile",
    )
    server.add_argument(
        "--mapping",
        type=values.mapping,
        action="append",
        metavar="HOST=SERVER",
        help="the folder HOST of this machine is the folder SERVER of the server; also written 'HOST -> SERVER', "
        "HOST:SERVER, or HOST SERVER as two words; may be repeated",
    )
    server.add_argument("--offline", action="store_true", help="send no request: answer from the store")
    server.add_argument(
        "--deadline",
        type=values.seconds,
        metavar="SECONDS",
        help="how long a question may take; default: no limit. A server that cannot be reached is retried for 3 "
        "seconds at most, by warm for 30, by doctor not at all",
    )
    server.add_argument(
        "--ca-file",
        type=values.given,
        metavar="FILE",
        help="PEM file with certificate authorities to trust instead of the system's",
    )
    server.add_argument(
        "--insecure", action="store_true", help="accept any certificate: others may then read the token"
    )
    command.add_argument(
        "-v", "--verbose", action="count", default=0, help="log each step; twice: everything, with full paths"
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
