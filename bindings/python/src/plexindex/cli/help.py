"""`plexindex help` and `completion`: the help of commands and topics, versions, and completion scripts of shells."""

from __future__ import annotations

import os
import platform
import shlex

import click

from .. import __version__
from .._core import native as _native
from .._core.json_call import ask_without_index
from . import codes, options
from .output import remark, say

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
  4. for the URL and the token only, plexapi's settings:
     PLEXAPI_AUTH_SERVER_BASEURL and PLEXAPI_AUTH_SERVER_TOKEN, or
     ~/.config/plexapi/config.ini, or the file in PLEXAPI_CONFIG_PATH
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

# The file where each shell looks for a completion script, relative to a data folder such as /usr/share.
PLACES = {
    "bash": "bash-completion/completions/plexindex",
    "zsh": "zsh/site-functions/_plexindex",
    "fish": "fish/vendor_completions.d/plexindex.fish",
}


def versions() -> dict[str, str]:
    """Returns the versions of the package, the library, SQLite and Python, and where they are."""
    library = ask_without_index("versions", {})
    return {
        "plexindex": __version__,
        "library": library["library"],
        "library_path": _native.load().path,
        "sqlite": library["sqlite"],
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def version_lines() -> list[str]:
    found = versions()
    return [
        f"plexindex {found['plexindex']}",
        f"library {found['library']}, {found['library_path']}",
        f"SQLite {found['sqlite']}, built into the library",
        f"Python {found['python']}, {found['platform']}",
    ]


@options.command("help")
@click.argument("topic", required=False, metavar="[COMMAND|config|exit-codes|options]")
@click.pass_context
def help_command(context: click.Context, topic: str | None) -> int:
    """Show the help of a command or a topic.

    The topics are config, exit-codes and options.
    """
    group = context.find_root()
    if topic is None:
        say(group.get_help())
    elif topic == "options":
        text = "All commands accept these options, before or after the command."
        say(click.Command(None, params=[*options.shared_options()], help=text, add_help_option=False).get_help(group))
    elif topic in ("config", "exit-codes"):
        say(CONFIG if topic == "config" else EXIT_CODES)
    else:
        _, command, _ = group.command.resolve_command(group, [topic])  # type: ignore[attr-defined]
        say(command.get_help(click.Context(command, parent=group, info_name=topic)))
    return codes.OK


def completion_script(command: click.Command, shell: str) -> str:
    """Returns the script with which a shell completes the command."""
    from click.shell_completion import get_completion_class

    make = get_completion_class(shell)
    assert make is not None
    return make(command, {}, "plexindex", "_PLEXINDEX_COMPLETE").source().strip()


@click.command("completion")
@click.option("--install", is_flag=True, help="Install the script where the shell looks for it, and print its path.")
@click.argument("shell", type=click.Choice(list(PLACES)))
@click.pass_context
def completion_command(context: click.Context, install: bool, shell: str) -> int:
    """Print or install a script for shell completion.

    The shell then completes commands, options and option values. bash must be 4.4 or newer; PowerShell is not
    supported.
    """
    text = completion_script(context.find_root().command, shell)
    if not install:
        say(text)
        return codes.OK
    path = os.path.join(os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share"), PLACES[shell])
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"{text}\n")
    except OSError as error:
        raise click.UsageError(f"cannot write {path}: {error.strerror}") from None
    say(path)
    if shell == "zsh":
        remark(f"add this line to ~/.zshrc, before compinit: fpath+=({shlex.quote(os.path.dirname(path))})")
    remark("start a new shell to use the completion", terminal_only=True)
    return codes.OK
