"""The command ``plexindex``, for people and scripts.

This module defines the group of commands and reports errors. ``options`` defines the options that commands share,
``settings`` their sources, and ``codes`` the exit codes; ``output`` prints.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from ..errors import Error, InvalidArgumentError, TimeoutError, UnauthorizedError
from . import codes, options, output

# The commands in the order of the help, each with its module, which is imported only for this command or the help.
_COMMANDS = {
    "doctor": "doctor", "match": "match", "folder": "match", "diff": "diff", "changes": "changes", "scan": "match",
    "refresh": "libraries", "libraries": "libraries", "stats": "libraries", "clear": "libraries",
    "matches": "libraries", "shared": "shared", "config": "settings", "completion": "help", "help": "help",
}  # fmt: skip


class Commands(click.Group):
    """The group of all commands."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.commands = dict.fromkeys(_COMMANDS)  # type: ignore[assignment] # click suggests similar names of these
        self.params += options.shared_options()

    def list_commands(self, _: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"{__package__}.{_COMMANDS[name]}"), f"{name}_command")
        return command

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the commands; the usage shows the group's own options."""
        self.format_commands(context, formatter)

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = "plexindex", **_: Any) -> Any:  # type: ignore[override]
        """Runs the command, reports an error, and exits."""
        output.prepare()
        options.given.clear()
        words = sys.argv[1:] if args is None else args
        try:
            code = super().main(words, prog_name, standalone_mode=False)
            sys.stdout.flush()
        except SystemExit as end:  # click has answered a shell's completion, or the reader closed the pipe
            code = _report(BrokenPipeError()) if end.code else codes.OK
        except (click.Abort, KeyboardInterrupt):
            effect = "; the next run resumes the fetch" if output.Bar.is_fetching else ""
            output.complain(f"interrupted{effect}")
            code = codes.INTERRUPTED
        except Exception as error:
            if "--json" in words:
                options.given["json"] = True
            code = _report(error)
        sys.exit(code)


def _print_versions(context: click.Context, _: click.Parameter, is_wanted: bool) -> None:
    if is_wanted:
        from .help import version_lines

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
def plexindex(context: click.Context) -> None:
    """Find the Plex item for a file without asking the server each time."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(codes.USAGE)


def _report(error: Exception) -> int:
    settings = options.given.get("settings")
    code = codes.of(error, database=settings is not None and settings.needs_database)
    text = str(error)
    if isinstance(error, click.ClickException):
        command = getattr(getattr(error, "ctx", None), "command_path", "plexindex")
        text = f"{error.format_message()}\nSee `{command} --help`."
    elif isinstance(error, Error):
        text += _advice(error, settings) if settings else ""
    elif isinstance(error, OSError):
        # Otherwise Python would report the error again when it flushes standard output at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        # The reader closed the pipe. Windows' C library reports a closed pipe as an invalid argument.
        if isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL):
            return codes.PIPE_CLOSED
        text = f"cannot read or write {error.filename or 'standard output'}: {error.strerror or error}"
    elif isinstance(error, ModuleNotFoundError) and (error.name or "").startswith("rich"):
        text = "the command needs the packages click and rich: pip install click rich"
    elif not isinstance(error, ImportError):
        import traceback

        traceback.print_exc()
        text = "this is a bug in plexindex: please report it with the lines above"
    if options.given.get("json"):
        # An error of click has the option instead.
        argument = getattr(error, "argument", None) or getattr(getattr(error, "param", None), "name", None)
        fields = {"message": text, "status": getattr(error, "status_name", None), "exit_code": code}
        output.say_json({"error": {**fields, "argument": argument}}, sys.stderr)
    else:
        output.complain(text)
    return code


def _advice(error: Error, settings: Any) -> str:
    """Returns the source of the setting that is wrong, or how to read the database alone, to append to an error."""
    is_unreachable = error.status_name == "connect" or (isinstance(error, TimeoutError) and settings.timeout is None)
    if is_unreachable and settings.url and settings.database and not settings.needs_database:
        return "; plexindex needs the server to identify Plex's database: add --no-server to use the database alone"
    if isinstance(error, UnauthorizedError) and settings.url and settings.token is None:
        return f"; {settings.how_to_give_a_token}"
    argument = "token" if isinstance(error, UnauthorizedError) else error.argument
    source = settings.source_of(argument)
    if source and isinstance(error, (InvalidArgumentError, UnauthorizedError)):
        return f"; the {argument} is from {source}"
    return ""
