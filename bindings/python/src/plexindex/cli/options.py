"""The options that all commands share, and the commands' types of values and of help."""

from __future__ import annotations

from typing import Any

import click

from .._core import TYPE_CHECKING, config

if TYPE_CHECKING:
    from collections.abc import Callable

    Function = Callable[..., Any]

given: dict[str, Any] = {}
"""The shared options of this run, by name. They can precede or follow the command."""


def _keep(_: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value and parameter.name:
        given[parameter.name] = (*given.get(parameter.name, ()), *value) if isinstance(value, tuple) else value


class Value(click.ParamType):  # type: ignore[type-arg,unused-ignore] # generic since click 8.4
    """A value that ``parse`` accepts. An empty value, such as an unset shell variable, does not mean the default."""

    def __init__(self, name: str, parse: Callable[[str], Any] = str) -> None:
        self.name, self._parse = name, parse

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """Parses a value."""
        if value == "":
            self.fail("the value is empty: give a value, or omit the option", parameter, context)
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), parameter, context)


class Place(Value):
    """The path of a file or folder, which shells complete."""

    def shell_complete(self, context: click.Context, parameter: click.Parameter, start: str) -> Any:
        """Returns what click's own type for paths does."""
        return click.Path(file_okay=self.name == "file").shell_complete(context, parameter, start)


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e9:
        raise ValueError(f"{text!r} is not a number of seconds")
    return number


def _positive(text: str) -> float:
    if not (number := _seconds(text)):
        raise ValueError("the number of seconds must be greater than zero")
    return number


SECONDS, SECONDS_OR_NEVER = Value("seconds", _positive), Value("seconds", _seconds)
TEXT, FILE, FOLDER = Value("text"), Place("file"), Place("folder")


def _mapping(text: str) -> tuple[str, str]:
    return config.parse_mapping(text)


_SHARED: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("--server-url",), {"metavar": "URL", "help": "The server's URL, such as http://127.0.0.1:32400."}),
    (("--token-file",), {"type": FILE, "metavar": "FILE", "help": "A file that contains only the token."}),
    (("--token-command",), {"metavar": "COMMAND", "help": "A command that prints the token. plexindex runs it without "
     "a shell at each start, and when the token expires or is rejected. It must finish within 60 seconds."}),
    (("--token",), {"metavar": "TOKEN", "help": "The token. Other users of this machine can see it in the process "
     "list: prefer --token-file or the environment variable PLEXINDEX_TOKEN."}),
    (("--user",), {"metavar": "NAME", "help": "A name for the token's user. If you keep the name when the token "
     "changes, plexindex keeps the listings."}),
    (("--database",), {"type": FILE, "metavar": "FILE", "help": "Plex's own database on this machine, its folder, or "
     "the folder 'Plex Media Server'. plexindex never writes to it."}),
    (("--no-server",), {"is_flag": True, "help": "Use only --database, even if the configuration names a server."}),
    (("--cache-dir",), {"type": FOLDER, "metavar": "FOLDER", "help": "The store's folder."}),
    (("--size-limit",), {"type": Value("size", config.parse_size), "metavar": "BYTES", "help": "The maximum size of "
     "the store's folder, such as 500M or 2G. If the folder is larger, plexindex removes the least recently refreshed "
     "libraries."}),
    (("--shared",), {"metavar": "ADDRESS", "help": "A PostgreSQL database that several hosts share, such as "
     "postgresql://user@host/database. Put the password into PGPASSWORD or a password file."}),
    (("--mapping",), {"type": Value("mapping", _mapping), "multiple": True, "metavar": "HOST=SERVER", "help": "Map "
     "the folder HOST on this machine to the folder SERVER on the server. You can also write HOST:SERVER or 'HOST -> "
     "SERVER', and repeat this option."}),
    (("--offline",), {"is_flag": True, "help": "Send no requests, and answer only from the store."}),
    (("--timeout",), {"type": SECONDS, "metavar": "SECONDS", "help": "The time limit for each answer or fetch; "
     "without it, there is none. If the server is unreachable, plexindex retries for 3 seconds, and refresh for 30."}),
    (("--ca-file",), {"type": FILE, "metavar": "FILE", "help": "A PEM file with certificate authorities to trust "
     "instead of the system's."}),
    (("--accept-invalid-certs",), {"is_flag": True, "help": "Accept any certificate. An attacker on the network can "
     "then read the token."}),
    (("--config",), {"type": FILE, "metavar": "FILE", "help": "A configuration file to read instead of the default "
     "file; see `plexindex help config`."}),
    (("--json",), {"is_flag": True, "help": "Print one JSON object per line, and errors as JSON on standard error."}),
    (("-q", "--quiet"), {"is_flag": True, "help": "Print no remarks on standard error, only errors."}),
    (("-v", "--verbose"), {"count": True, "help": "Log each step; -vv logs everything, with full paths."}),
    (("--color",), {"type": click.Choice(["auto", "always", "never"]), "metavar": "WHEN", "help": "Use colors always, "
     "never or, with auto, on a terminal. NO_COLOR and FORCE_COLOR change auto."}),
)  # fmt: skip


def shared_options() -> list[click.Option]:
    """Returns the options that all commands share."""
    return [
        click.Option(names, expose_value=False, callback=_keep, **{"type": None if "is_flag" in more or "count" in more
                     else TEXT, **more})
        for names, more in _SHARED
    ]  # fmt: skip


SHARED_NAMES = {names[-1].lstrip("-").replace("-", "_") for names, _ in _SHARED}


class Command(click.Command):
    """A command that accepts the shared options. Its help lists only its own options."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.params += shared_options()

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the command's own options."""
        own = [
            one for one in self.get_params(context) if isinstance(one, click.Option) and one.name not in SHARED_NAMES
        ]
        with formatter.section("Options"):
            formatter.write_dl([record for one in own if (record := one.get_help_record(context))])

    def format_epilog(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """Refers to the shared options."""
        formatter.write_paragraph()
        formatter.write_text("All commands also accept --json, -q, -v and the others in `plexindex help options`.")


def command(name: str | None = None) -> Callable[[Function], Command]:
    """Makes a function a command."""
    return click.command(name, cls=Command)


_LIBRARY_HELP = "Title, section id or uuid of a library. Default: all libraries."
library = click.option("-l", "--library", type=TEXT, metavar="LIBRARY", help=_LIBRARY_HELP)
null = click.option("-0", "--null", is_flag=True, help="Read NUL-terminated paths from standard input (find -print0).")


def yes(text: str) -> Callable[[Function], Function]:
    """Returns the option --yes."""
    return click.option("-y", "--yes", is_flag=True, help=text)
