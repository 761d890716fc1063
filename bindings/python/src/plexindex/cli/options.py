"""The options that all commands share, and the commands' types of values and of help."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click

from .._core import config

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
        if value == "":
            self.fail("the value is empty: give a value, or omit the option", parameter, context)
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), parameter, context)

    def shell_complete(self, context: click.Context, parameter: click.Parameter, start: str) -> Any:
        """Completes paths as click's own type for paths does."""
        if self.name not in ("file", "folder"):
            return []
        return click.Path(file_okay=self.name == "file").shell_complete(context, parameter, start)


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\d+\.?\d*|\.\d+", text) or not 0 < float(text) < 1e9:
        raise ValueError(f"{text!r} is not a number of seconds greater than zero")
    return float(text)


SECONDS = Value("seconds", _seconds)
SECONDS_OR_NEVER = Value("seconds", lambda text: 0.0 if text == "0" else _seconds(text))
TEXT, FILE, FOLDER = Value("text"), Value("file"), Value("folder")
SIZE, MAPPING = Value("size", config.parse_size), Value("mapping", config.parse_mapping)

# The names, the type (None for a flag), and the help of each option. The type's name is the metavar, unless it follows.
_SHARED: tuple[tuple[Any, ...], ...] = (
    ("--server-url", TEXT, "The server's URL, such as http://127.0.0.1:32400.", "URL"),
    ("--token-file", FILE, "A file that contains only the token."),
    ("--token-command", TEXT, ("A command that prints the token. plexindex runs it without a shell at each start, and "
     "when the token expires or is rejected. It must finish within 60 seconds."), "COMMAND"),
    ("--token", TEXT, ("The token. Other users of this machine can see it in the process list: prefer --token-file or "
     "the environment variable PLEXINDEX_TOKEN."), "TOKEN"),
    ("--user", TEXT, ("A name for the token's user. If you keep the name when the token changes, plexindex keeps the "
     "listings."), "NAME"),
    ("--database", FILE, ("Plex's own database on this machine, its folder, or the folder 'Plex Media Server'. "
     "plexindex never writes to it.")),
    ("--no-server", None, "Use only --database, even if the configuration names a server."),
    ("--cache-dir", FOLDER, "The store's folder."),
    ("--size-limit", SIZE, ("The maximum size of the store's folder, such as 500M or 2G. If "
     "the folder is larger, plexindex removes the least recently refreshed libraries."), "BYTES"),
    ("--shared", TEXT, ("A PostgreSQL database that several hosts share, such as postgresql://user@host/database. Put "
     "the password into PGPASSWORD or a password file."), "ADDRESS"),
    ("--mapping", MAPPING, ("Map the folder HOST on this machine to the folder SERVER on "
     "the server. You can also write HOST:SERVER or 'HOST -> SERVER', and repeat this option."), "HOST=SERVER"),
    ("--offline", None, "Send no requests, and answer only from the store."),
    ("--timeout", SECONDS, ("The time limit for each answer or fetch; without it, there is none. If the server is "
     "unreachable, plexindex retries for 3 seconds, and refresh for 30.")),
    ("--ca-file", FILE, "A PEM file with the authorities, or the server's own certificate, to trust."),
    ("--accept-invalid-certs", None, "Accept any certificate. An attacker on the network can then read the token."),
    ("--config", FILE, "A configuration file to read instead of the default file; see `plexindex help config`."),
    ("--json", None, "Print one JSON object per line, and errors as JSON on standard error."),
    ("-q --quiet", None, "Print no remarks, only errors; doctor prints only problems."),
    ("-v --verbose", None, "Log each step; -vv logs everything, with full paths."),
    ("--color", click.Choice(["auto", "always", "never"]), ("Use colors always, never or, with auto, on a terminal. "
     "NO_COLOR and FORCE_COLOR change auto."), "WHEN"),
)  # fmt: skip


def shared_options() -> list[click.Option]:
    made = []
    for names, kind, help, *metavar in _SHARED:
        flag = {"count": True} if "--verbose" in names else {"is_flag": True}
        more = {"type": kind, "metavar": (*metavar, kind.name.upper())[0]} if kind else flag
        made.append(click.Option(names.split(), expose_value=False, callback=_keep, help=help,
                                 multiple=names == "--mapping", **more))  # fmt: skip
    return made


SHARED_NAMES = {option.name for option in shared_options()}


class Command(click.Command):
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


def command(name: str) -> Callable[[Callable[..., Any]], Command]:
    return click.command(name, cls=Command)


library = click.option("-l", "--library", type=TEXT, metavar="LIBRARY",
                       help="Title, section id or uuid of a library. Default: all libraries.")  # fmt: skip
null = click.option("-0", "--null", is_flag=True, help="Read NUL-terminated paths from standard input (find -print0).")
yes = click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
