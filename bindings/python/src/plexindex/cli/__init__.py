"""The command ``plexindex``, for people and scripts.

This module defines the group of commands and reports errors. A module for each command does the work. ``options``
defines the options that commands share, ``config`` the settings, and ``codes`` the exit codes; ``output`` prints.
"""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module
from typing import Any

import click

from .._core import TYPE_CHECKING
from ..errors import Error, InvalidArgumentError, TimeoutError, UnauthorizedError
from . import codes, options, output, progress

if TYPE_CHECKING:
    from collections.abc import Sequence

# The commands in the order of the help, each with its module, which is imported only for this command or the help.
_COMMANDS = {
    "doctor": "doctor", "match": "match", "folder": "folder", "diff": "diff", "changes": "changes", "scan": "scan",
    "refresh": "refresh", "libraries": "libraries", "stats": "libraries", "clear": "libraries", "matches": "matches",
    "shared": "shared", "config": "config", "completion": "completion", "help": "topics",
}  # fmt: skip


class Commands(click.Group):
    """The group of all commands."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.commands = dict.fromkeys(_COMMANDS)  # type: ignore[assignment] # click suggests similar names of these
        self.params += options.shared_options()

    def list_commands(self, _: click.Context) -> list[str]:
        """Returns the commands' names."""
        return list(_COMMANDS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        """Imports a command."""
        if name not in _COMMANDS:
            return None
        module = import_module(f"{__package__}.{_COMMANDS[name]}")
        command: click.Command = getattr(module, f"{name}_command", None) or getattr(module, name)
        return command

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the commands; the usage shows the group's own options."""
        self.format_commands(context, formatter)


def _print_versions(context: click.Context, _: click.Parameter, is_wanted: bool) -> None:
    if is_wanted:
        from .versions import version_lines

        output.say("\n".join(version_lines()))
        context.exit()


@click.group(
    cls=Commands,
    invoke_without_command=True,
    options_metavar="[-h | -V]",
    subcommand_metavar="COMMAND [OPTION…] [ARGUMENT…]",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="See also `plexindex help options`, `help config` and `help exit-codes`.",
)
@click.option("-V", "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_versions,
              help="Show the installed versions.")  # fmt: skip
@click.pass_context
def plexindex(context: click.Context) -> int:
    """Find the Plex item for a file without asking the server each time."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(codes.USAGE)
    return codes.OK


@plexindex.result_callback()
def _ready(code: int) -> int:
    sys.stdout.flush()
    return code


def main(words: Sequence[str] | None = None) -> int:
    """Runs the command with ``words``, or with the process's arguments, and returns the exit code."""
    output.prepare()
    options.given.clear()
    words = sys.argv[1:] if words is None else words
    try:
        code: int = plexindex.main(words, prog_name="plexindex", standalone_mode=False)
        sys.stdout.flush()
        return code
    except SystemExit as end:  # click has answered a shell's completion, or the reader closed the pipe
        return _report(BrokenPipeError()) if end.code else codes.OK
    except (click.Abort, KeyboardInterrupt):
        effect = "; the next run resumes the fetch" if progress.is_fetching() else ""
        output.complain(f"interrupted{effect}")
        return codes.INTERRUPTED
    except Exception as error:
        if "--json" in words:
            options.given["json"] = True
        return _report(error)


def _report(error: Exception) -> int:
    """Reports an error. Returns the exit code."""
    if isinstance(error, OSError) and not isinstance(error, Error):
        # Otherwise Python would report the error again when it flushes standard output at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        # The reader closed the pipe. Windows' C library reports a closed pipe as an invalid argument.
        if isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL):
            return codes.PIPE_CLOSED
        output.complain(f"cannot read or write {error.filename or 'standard output'}: {error.strerror or error}")
        return codes.STORE
    settings = options.given.get("settings")
    code = codes.of(error, database=getattr(settings, "reads_database_only", False))
    text = str(error)
    if isinstance(error, click.ClickException):
        command = getattr(getattr(error, "ctx", None), "command_path", "plexindex")
        text = f"{error.format_message()}\nSee `{command} --help`."
    elif isinstance(error, Error):
        text += _advice(error, settings)
    elif isinstance(error, ModuleNotFoundError) and error.name and error.name.startswith("rich"):
        text = "the command needs more packages: pipx install 'plexindex[cli]'"
    elif not isinstance(error, ImportError):
        import traceback

        traceback.print_exc()
        text = "this is a bug in plexindex: please report it with the lines above"
    if options.given.get("json"):
        fields = {"message": text, "status": getattr(error, "status_name", None), "exit_code": code}
        output.say_json({"error": {**fields, "argument": getattr(error, "argument", None)}}, sys.stderr)
    else:
        output.complain(text)
    return code


def _advice(error: Error, settings: Any) -> str:
    """Returns the source of the setting that is wrong, or how to read the database alone, to append to an error."""
    if settings is None:
        return ""
    is_unreachable = error.status_name == "connect" or (isinstance(error, TimeoutError) and settings.timeout is None)
    if is_unreachable and settings.url and settings.database and not settings.offline:
        return "; plexindex needs the server to identify Plex's database: add --no-server to use the database alone"
    argument = "token" if isinstance(error, UnauthorizedError) else getattr(error, "argument", None)
    source = settings.source_of(argument)
    if argument and source and isinstance(error, (InvalidArgumentError, UnauthorizedError)):
        return f"; the {argument} is from {source}"
    return ""
