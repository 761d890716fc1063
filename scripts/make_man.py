"""Prints the manual page of the command, from its own help. Packages contain the page; `make man` writes it, too."""

from __future__ import annotations

import sys

from plexindex._cli import COMMANDS, GROUPS, find, help, options

HEADER = """\
.\\" Licence: MIT OR Apache-2.0. Generated from the command by scripts/make_man.py.
.TH PLEXINDEX 1
.SH NAME
plexindex \\- find the Plex item for a file"""


def roff(text: str) -> str:
    """Escapes what roff would interpret."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line[:1] in (".", "'") else line for line in text.split("\n"))


def paragraphs(text: str) -> list[str]:
    """Returns the lines of a help."""
    lines = []
    for part, keeps_lines in help.paragraphs(text):
        lines += [".PP", *([".nf", roff(part), ".fi"] if keeps_lines else [roff(part)])]
    return lines


def records(found: list[options.Option]) -> list[str]:
    """Returns the lines of a list of options."""
    lines = []
    for forms, text in help.records(found):
        lines += [".TP", f"\\fB{roff(forms)}\\fR", roff(text)]
    return lines


def commands() -> list[str]:
    """Returns the lines of all commands, in the order of the help."""
    lines = []
    for command in filter(None, map(find, COMMANDS)):
        usage = roff(help.usage_of(command.name))
        lines += [f".SS {usage}", *paragraphs(command.help)[1:], *records(command.options)]
    return lines


def page() -> str:
    """Returns the page."""
    return "\n".join([
        HEADER, ".SH SYNOPSIS", roff(help.usage_of("")), ".SH DESCRIPTION", roff(GROUPS[""]),
        ".SH COMMANDS", *commands(),
        ".SH OPTIONS", "All commands accept these options, before or after the command.", *records(options.SHARED),
        ".SH CONFIGURATION", ".nf", roff(help.CONFIG), ".fi",
        ".SH EXIT STATUS", ".nf", roff(help.EXIT_CODES), ".fi", "",
    ])  # fmt: skip


if __name__ == "__main__":
    sys.stdout.write(page())
