"""Prints the manual page of the command from its own help: `make man` writes docs/plexindex.1."""

from __future__ import annotations

import inspect
import sys

import click
from plexindex.cli import help
from plexindex.cli.clicks import SHARED_NAMES, plexindex, shared_options

HEADER = """\
.\\" Licence: MIT OR Apache-2.0. Generated from the command by `make man`.
.TH PLEXINDEX 1
.SH NAME
plexindex \\- find the Plex item for a file"""


def roff(text: str) -> str:
    """Escapes what roff would interpret."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line[:1] in (".", "'") else line for line in text.split("\n"))


def paragraphs(text: str) -> list[str]:
    """Returns the lines of a help. A paragraph after \\b keeps its lines."""
    lines = []
    for part in inspect.cleandoc(text).split("\n\n"):
        text = roff(part.replace("\b\n", ""))
        lines += [".PP", *([".nf", text, ".fi"] if part.startswith("\b\n") else [text])]
    return lines


def records(parameters: list[click.Parameter], context: click.Context) -> list[str]:
    """Returns the lines of a list of options."""
    lines = []
    for one in parameters:
        record = one.get_help_record(context) if isinstance(one, click.Option) else None
        if record and one.name not in ("version", "help"):
            lines += [".TP", f"\\fB{roff(record[0])}\\fR", roff(record[1])]
    return lines


def commands(group: click.Group, context: click.Context) -> list[str]:
    """Returns the lines of all commands of a group, in the order of its help."""
    lines = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        own = click.Context(command, parent=context, info_name=name)
        usage = " ".join([own.command_path, *command.collect_usage_pieces(own)])
        if isinstance(command, click.Group):
            lines += commands(command, own)
            continue
        own_options = [one for one in command.params if one.name not in SHARED_NAMES]
        lines += [f".SS {roff(usage)}", *paragraphs(command.help or "")[1:], *records(own_options, own)]
    return lines


def page() -> str:
    """Returns the page."""
    context = click.Context(plexindex, info_name="plexindex")
    shared = records(shared_options(), context)
    return "\n".join([
        HEADER, ".SH SYNOPSIS", f"plexindex {roff(' '.join(plexindex.collect_usage_pieces(context)))}",
        ".SH DESCRIPTION", roff(plexindex.help or ""), ".SH COMMANDS", *commands(plexindex, context),
        ".SH OPTIONS", "All commands accept these options, before or after the command.", *shared,
        ".SH CONFIGURATION", ".nf", roff(help.CONFIG), ".fi",
        ".SH EXIT STATUS", ".nf", roff(help.EXIT_CODES), ".fi", "",
    ])  # fmt: skip


if __name__ == "__main__":
    sys.stdout.write(page())
