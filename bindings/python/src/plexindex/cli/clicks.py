"""What needs click: the help, command lines with a mistake, and what shells complete."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

from . import COMMANDS, codes, find, help, options
from .options import Command, Group, Parameter, UsageError, Value
from .output import remark, say

# The file where each shell looks for a completion script, relative to a data folder such as /usr/share.
PLACES = {
    "bash": "bash-completion/completions/plexindex",
    "zsh": "zsh/site-functions/_plexindex",
    "fish": "fish/vendor_completions.d/plexindex.fish",
}


class _Type(click.ParamType):  # type: ignore[type-arg,unused-ignore] # generic since click 8.4
    def __init__(self, value: Value) -> None:
        self.name, self._value = value.name, value

    def convert(self, value: str, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        try:
            return self._value.parse(value)
        except ValueError as error:
            self.fail(str(error), parameter, context)

    def shell_complete(self, context: click.Context, parameter: click.Parameter, start: str) -> list[CompletionItem]:
        """Completes paths as click's own type for paths does."""
        if self.name in ("file", "folder"):
            return click.Path(file_okay=self.name == "file").shell_complete(context, parameter, start)
        return [CompletionItem(one) for one in self._value.choices if one.startswith(start)]


def _parameter(one: Parameter, **more: Any) -> click.Parameter:
    kind = None if one.type is None else _Type(one.type)
    if not one.flags:
        return click.Argument([one.name], type=kind, nargs=-1, required=one.required)
    flag = {} if kind else {"count": True} if one.count else {"is_flag": True}
    return click.Option([*one.flags, one.name], type=kind, metavar=one.metavar, help=one.help, multiple=one.multiple,
                        **flag, **more)  # fmt: skip


SHARED_NAMES = [one.name for one in options.SHARED]


def shared_options() -> list[click.Parameter]:
    def keep(_: click.Context, parameter: click.Parameter, value: Any) -> None:
        options.keep(parameter.name or "", value)

    return [_parameter(one, expose_value=False, callback=keep) for one in options.SHARED]


class _Command(click.Command):
    """A command that accepts the shared options. Its help lists only its own options."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.params += shared_options()

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        own = [one for one in self.get_params(context) if one.name not in SHARED_NAMES]
        with formatter.section("Options"):
            formatter.write_dl([record for one in own if (record := one.get_help_record(context))])

    def format_epilog(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_paragraph()
        formatter.write_text("All commands also accept --json, -q, -v and the others in `plexindex help options`.")


def _as_click(name: str, found: Command | Group) -> click.Command:
    if isinstance(found, Command):
        return _Command(name, params=[*map(_parameter, found.parameters)], callback=found.run, help=found.help)
    commands = {name: _as_click(name, one) for name, one in found.commands.items()}
    return click.Group(name, commands, help=found.help, no_args_is_help=False)


class Commands(click.Group):
    """The group of all commands, which imports a command's module for this command or the help."""

    def list_commands(self, _: click.Context) -> list[str]:
        return [*COMMANDS, *self.commands]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        return _as_click(name, find(name)) if name in COMMANDS else super().get_command(context, name)

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the commands; the usage shows the group's own options."""
        self.format_commands(context, formatter)


def _print_versions(context: click.Context, _: click.Parameter, is_wanted: bool) -> None:
    if is_wanted:
        say("\n".join(help.version_lines()))
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


plexindex.params += shared_options()


def run_with_click(words: Sequence[str]) -> int:
    """Runs the command, and returns the exit code. Raises UsageError if the command line contains a mistake."""
    try:
        code: int = plexindex.main(list(words), "plexindex", standalone_mode=False)
        return code
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        context, parameter = getattr(error, "ctx", None), getattr(error, "param", None)
        options.given["command"] = getattr(context, "command_path", "plexindex")
        raise UsageError(error.format_message(), getattr(parameter, "name", None)) from None


def completion_script(shell: str) -> str:
    """Returns the script with which a shell completes the command."""
    make = get_completion_class(shell)
    assert make is not None
    return make(plexindex, {}, "plexindex", "_PLEXINDEX_COMPLETE").source().strip()


@plexindex.command("completion")
@click.option("--install", is_flag=True, help="Install the script where the shell looks for it, and print its path.")
@click.argument("shell", type=click.Choice(list(PLACES)))
def completion_command(install: bool, shell: str) -> int:
    """Print or install a script for shell completion.

    The shell then completes commands, options and option values. bash must be 4.4 or newer; PowerShell is not
    supported.
    """
    text = completion_script(shell)
    if not install:
        say(text)
        return codes.OK
    path = os.path.join(os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share"), PLACES[shell])
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"{text}\n")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None
    say(path)
    if shell == "zsh":
        remark(f"add this line to ~/.zshrc, before compinit: fpath+=({shlex.quote(os.path.dirname(path))})")
    remark("start a new shell to use the completion", terminal_only=True)
    return codes.OK


@plexindex.command("help", cls=_Command)
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
        say(click.Command(None, params=[*shared_options()], help=text, add_help_option=False).get_help(group))
    elif topic in ("config", "exit-codes"):
        say(help.CONFIG if topic == "config" else help.EXIT_CODES)
    else:
        _, command, _ = plexindex.resolve_command(group, [topic])
        say("" if command is None else command.get_help(click.Context(command, parent=group, info_name=topic)))
    return codes.OK
