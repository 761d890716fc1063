"""`plexindex help` and `completion`: the help of commands and topics, and what shells complete."""

from __future__ import annotations

import inspect
import os
import platform
import shlex
import textwrap
from collections.abc import Iterable, Sequence

from .. import __version__
from .._core import native as _native
from .._core.json_call import ask_without_index
from . import COMMANDS, GROUPS, codes, find
from .options import SHARED, Option, UsageError, command
from .output import columns, remark, say

CONFIG = """\
plexindex reads each setting from the first of these sources that has it:
  1. options, such as --server-url; `plexindex help options` lists them
  2. the environment: PLEXINDEX_SERVER_URL, PLEXINDEX_TOKEN,
     PLEXINDEX_TOKEN_FILE, PLEXINDEX_TOKEN_COMMAND, PLEXINDEX_USER,
     PLEXINDEX_DATABASE, PLEXINDEX_CACHE_DIR, PLEXINDEX_SIZE_LIMIT,
     PLEXINDEX_SHARED, PLEXINDEX_SHARED_DURABLE (1 or 0) and
     PLEXINDEX_MAPPINGS, such as '/mnt/media=/data/media;/mnt/tv=/data/tv'
  3. plexindex/config.toml in the system's folder for configurations, such as
     ~/.config, or the file in --config or PLEXINDEX_CONFIG:
         server_url = "http://127.0.0.1:32400"
         token_file = "/run/secrets/plex-token"    # or token, or token_command
         user = "ann"
         cache_dir = "/var/lib/plexindex"
         size_limit = "2G"
         database = "/config/Library/Application Support/Plex Media Server"
         shared = "postgresql://plexindex@nas/plexindex"
         shared_durable = false
         [mappings]
         "/mnt/media" = "/data/media"
     or, for several servers, such settings in a table [servers.NAME] for each;
     --server or PLEXINDEX_SERVER chooses one, and what is above the tables is
     for all
Mappings from all sources apply, in this order. `plexindex config` shows each
setting and its source. plexindex sends a token only to the server whose URL is
from the same source or a later one. A user's name applies only to a token from
the same source or a later one."""

EXIT_CODES = """\
  0    success: every path matches a single item, or nothing differs
  1    a path does not match a single item; diff or doctor found something; or
       you declined
  2    the command line, environment, configuration file or Plex's database is
       invalid
  3    the server or the shared database failed or is away, or the time limit
       passed: try again later
  4    the server rejects the token or its user (401, 403, 498), or PostgreSQL
       rejects the role
  5    plexindex cannot use the store or a standard stream, or has a bug
  6    a library does not exist or was never fetched, or the changes since a
       cursor are gone: refresh, or list again
  130  you interrupted the command with Ctrl-C
For several paths, the exit code is the first of 3, 6 and 1 that applies to any
path. If the server is unreachable or rejects the token, plexindex answers from
older listings, and marks these answers as 'stale' in JSON; with --check, the
exit code is then 3 or 4. refresh and doctor fail in this case."""


def version_lines() -> list[str]:
    """Returns the versions of the package, the library, SQLite and Python, and where they are."""
    library = ask_without_index("versions", {})
    return [
        f"plexindex {__version__}",
        f"library {library['library']}, {_native.load().path}",
        f"SQLite {library['sqlite']}, built into the library",
        f"Python {platform.python_version()}, {platform.platform()}",
    ]


def paragraphs(text: str) -> list[tuple[str, bool]]:
    """Returns the paragraphs of a help before its options, each with whether it keeps its lines."""
    parts = inspect.cleandoc(text).partition("\n\nOptions:")[0].split("\n\n")
    return [(part, "\n " in part) for part in parts]


def usage_of(name: str) -> str:
    """Returns how to write a command."""
    if not name:
        return "plexindex [-h | -V] COMMAND [OPTION]... [ARGUMENT]..."
    found = find(name)
    words = "COMMAND [ARGUMENT]..." if found is None else found.argument.forms if found.argument else ""
    return f"plexindex {name} [OPTION]... {words}"


def names_below(name: str) -> list[str]:
    """Returns the next words of the commands whose names begin with these words."""
    above = f"{name} " if name else ""
    return list(dict.fromkeys(one[len(above) :].split()[0] for one in COMMANDS if one.startswith(above)))


def help_of(name: str) -> str:
    """Returns the help of a command, or of several with this first word, as wide as the terminal."""
    found, lines = find(name), [f"Usage: {usage_of(name)}"]
    for text, keeps_lines in paragraphs(GROUPS[name] if found is None else found.help):
        lines += ["", *(textwrap.indent(text, "  ").split("\n") if keeps_lines else _wrapped(text))]
    if found is None:
        below = {word: f"{name} {word}".strip() for word in names_below(name)}
        texts = {word: getattr(find(one), "help", GROUPS.get(one, "")) for word, one in below.items()}
        firsts = [(word, " ".join(paragraphs(text)[0][0].split())) for word, text in texts.items()]
        lines += ["", "Commands:", *_definitions(firsts)]
        return "\n".join([*lines, "", "  See also `plexindex help options`, `help config` and `help exit-codes`."])
    lines += ["", "Options:", *_definitions(records(found.options))] if found.options else []
    return "\n".join([*lines, "", *_wrapped(_ALSO, "")])


_ALSO = "All commands also accept --json, -q, -v and the others in `plexindex help options`."


def records(options: Iterable[Option]) -> list[tuple[str, str]]:
    """Returns the forms and the help of each option."""
    return [(one.forms.replace("...", ""), one.help) for one in options]


def _width() -> int:
    return max(min(columns(), 110) - 2, 50)


def _wrapped(text: str, indent: str = "  ") -> list[str]:
    return textwrap.wrap(text, _width(), initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def _definitions(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Returns the lines of a list of names with their help, in two columns."""
    width, lines = min(max(len(name) for name, _ in rows), 28) + 4, []
    for name, text in rows:
        below = textwrap.wrap(text, max(_width() - width, 10), break_on_hyphens=False)
        first = [below.pop(0)] if len(name) <= width - 4 and below else []
        lines += [f"  {name:<{width - 2}}{''.join(first)}".rstrip(), *(f"{'':{width}}{line}" for line in below)]
    return lines


@command("""help [COMMAND|config|exit-codes|options]...

    Show the help of a command or a topic.

    The topics are config, exit-codes and options.
    """)
def help_command(topic: list[str]) -> int:
    if topic == ["options"]:
        text = "All commands accept these options, before or after the command."
        say("\n".join(["", *_wrapped(text), "", "Options:", *_definitions(records(SHARED))]))
    elif topic in (["config"], ["exit-codes"]):
        say(CONFIG if topic == ["config"] else EXIT_CODES)
    else:
        say(help_of(" ".join(topic)))
    return codes.OK


# The file where each shell looks for a completion script, relative to a data folder such as /usr/share.
PLACES = {
    "bash": "bash-completion/completions/plexindex",
    "zsh": "zsh/site-functions/_plexindex",
    "fish": "fish/vendor_completions.d/plexindex.fish",
}
# If there is no completion, a shell completes the names of files.
SCRIPTS = {
    "bash": """\
_plexindex_completion() {
    local IFS=$'\\n'
    COMPREPLY=($(_PLEXINDEX_COMPLETE=1 "$1" "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _plexindex_completion plexindex""",
    "zsh": """\
#compdef plexindex
local -a found
found=(${(f)"$(_PLEXINDEX_COMPLETE=1 plexindex "${(@)words[2,CURRENT]}" 2>/dev/null)"})
if (( $#found )); then compadd -- $found; else _files; fi""",
    "fish": """\
complete -c plexindex -a '(_PLEXINDEX_COMPLETE=1 plexindex (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'""",
}


@command(f"""completion {{{"|".join(PLACES)}}}...

    Print or install a script for shell completion.

    The shell then completes commands, options and option values. bash must be 4.4 or newer; PowerShell is not
    supported.

    Options:
      --install  Install the script where the shell looks for it, and print its path.
    """)
def completion_command(shells: list[str], install: bool) -> int:
    for one in shells:
        if not install:
            say(SCRIPTS[one])
            continue
        path = os.path.join(os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share"), PLACES[one])
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(f"{SCRIPTS[one]}\n")
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}") from None
        say(path)
        if one == "zsh":
            remark(f"add this line to ~/.zshrc, before compinit: fpath+=({shlex.quote(os.path.dirname(path))})")
        remark("start a new shell to use the completion", terminal_only=True)
    return codes.OK


def completions(words: Sequence[str]) -> list[str]:
    """Returns what can stand for the last word of a command line, which may be empty."""
    name, waiting = "", None
    for word in words[:-1]:
        if waiting is not None:
            waiting = None
        elif word.startswith("-"):
            waiting = next((one for one in _options_of(name) if one.word and word in one.flags), None)
        elif name not in COMMANDS:
            name = f"{name} {word}".strip()
    start, found = words[-1] if words else "", find(name)
    if waiting is not None:
        possible = waiting.choices
    elif start.startswith("-"):
        possible = [flag for one in _options_of(name) for flag in one.flags]
    else:
        possible = names_below(name) if found is None else found.argument.choices if found.argument else []
    return [one for one in possible if one.startswith(start)]


def _options_of(name: str) -> list[Option]:
    found = find(name)
    return SHARED if found is None else [*SHARED, *found.options]
