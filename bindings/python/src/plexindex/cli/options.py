"""The options that commands share, how commands declare theirs, and what reads a command line.

Importing click takes longer than an answer, and argparse does not accept shared options at any place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from .._core import TYPE_CHECKING, config

if TYPE_CHECKING:
    from typing import Any, TypeVar

    Function = TypeVar("Function", bound=Callable[..., object])

given: dict[str, Any] = {}
"""The shared options of this run that were read, by name. They can precede or follow the command."""


class UsageError(Exception):
    """The command line is wrong. ``argument``: the name of the wrong option, if there is one."""

    def __init__(self, message: str, argument: str | None = None) -> None:
        super().__init__(message)
        self.argument = argument


class Value:
    """The type of an option's value: its name, the function that parses it, and its possible values, if few."""

    def __init__(self, name: str, parse: Callable[[str], Any] = str, choices: Iterable[str] = ()) -> None:
        self.name, self.choices, self._parse = name, list(choices), parse

    def parse(self, text: str) -> Any:
        """Parses a value. Raises ValueError. An empty value, such as an unset variable, does not mean the default."""
        if text == "":
            raise ValueError("the value is empty: give a value, or omit the option")
        if self.choices and text not in self.choices:
            raise ValueError(f"{text!r} is not one of {', '.join(map(repr, self.choices))}")
        return self._parse(text)


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\d+\.?\d*|\.\d+", text) or not 0 < float(text) < 1e9:
        raise ValueError(f"{text!r} is not a number of seconds greater than zero")
    return float(text)


def whole(minimum: int, maximum: int = 2**63 - 1) -> Value:
    """The type of a whole number within limits."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,19}", text) or not minimum <= int(text) <= maximum:
            limits = f"at least {minimum}" if maximum >= 2**63 - 1 else f"from {minimum} to {maximum:,}"
            raise ValueError(f"{text!r} is not a whole number {limits}")
        return int(text)

    return Value("number", parse)


def choice(values: Iterable[str]) -> Value:
    """The type of a value that is one of a few."""
    return Value("choice", choices=values)


SECONDS = Value("seconds", _seconds)
SECONDS_OR_NEVER = Value("seconds", lambda text: 0.0 if text == "0" else _seconds(text))
TEXT, FILE, FOLDER = Value("text"), Value("file"), Value("folder")
SIZE, MAPPING = Value("size", config.parse_size), Value("mapping", config.parse_mapping)


class Parameter:
    """An option, or an argument if no name begins with a hyphen. An option without a type is a flag."""

    def __init__(
        self, *names: str, type: Value | None = None, metavar: str | None = None, help: str = "",  # noqa: A002
        count: bool = False, multiple: bool = False, required: bool = False,
    ) -> None:  # fmt: skip
        self.flags = [name for name in names if name.startswith("-")]
        self.name = names[-1].lstrip("-").replace("-", "_")
        self.type, self.help, self.count = type, help, count
        self.metavar = metavar or (type.name.upper() if type and self.flags else self.name.upper())
        self.multiple, self.required = multiple, required
        self.unset = () if multiple or not self.flags else False if type is None else None
        """The value if the command line does not contain the option."""

    def parse(self, text: str, name: str) -> Any:
        """Parses a value. ``name``: how the command line names the option."""
        assert self.type is not None
        try:
            return self.type.parse(text)
        except ValueError as error:
            raise UsageError(f"Invalid value for '{name}': {error}", self.name) from None


# The names, the type (None for a flag), and the help of each option. The type's name is the metavar, unless it follows.
_SHARED: tuple[tuple[Any, ...], ...] = (
    ("--server-url", TEXT, "The server's URL, such as http://127.0.0.1:32400.", "URL"),
    ("--server", TEXT, ("The name of a server in the configuration file. Without it, match asks each of the file's "
     "servers."), "NAME"),
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
    ("--color", choice(("auto", "always", "never")), ("Use colors always, never or, with auto, on a terminal. "
     "NO_COLOR and FORCE_COLOR change auto."), "WHEN"),
)  # fmt: skip

SHARED = [
    Parameter(*names.split(), type=kind, help=help, metavar=(*metavar, None)[0], count="--verbose" in names,
              multiple=names == "--mapping")
    for names, kind, help, *metavar in _SHARED
]  # fmt: skip


HELP = Parameter("-h", "--help", help="Show this message and exit.")


class Command:
    """A command, which also accepts the shared options. Its name includes its group's."""

    def __init__(self, name: str, run: Callable[..., int]) -> None:
        self.name, self.run, self.help = name, run, run.__doc__ or ""
        self.parameters: list[Parameter] = run.__dict__.get("parameters", [])


class Group:
    """Commands whose names begin with the same word. ``find`` returns one by its next word."""

    def __init__(self, name: str, text: str, names: Sequence[str], find: Callable[[str], Command | Group]) -> None:
        self.name, self.help, self.names, self._find = name, text, names, find
        self.parameters: list[Parameter] = []

    def find(self, word: str) -> Command | Group:
        """Returns the command with this name. Raises UsageError."""
        if word not in self.names:
            raise UsageError(f"No such command '{word}'.")
        return self._find(word)


def group(name: str, text: str, *commands: Command) -> Group:
    """Makes a group of commands."""
    by_name = {one.name.split()[-1]: one for one in commands}
    return Group(name, text, list(by_name), by_name.__getitem__)


def command(name: str) -> Callable[[Callable[..., int]], Command]:
    """Makes a command of a function, which returns the exit code."""
    return lambda run: Command(name, run)


def option(*names: str, **more: Any) -> Callable[[Function], Function]:
    """Declares an option or an argument of the function's command, as :class:`Parameter` describes it."""
    one = Parameter(*names, **more)

    def declare(function: Function) -> Function:
        function.__dict__["parameters"] = [one, *function.__dict__.get("parameters", [])]
        return function

    return declare


argument = option
library = option("-l", "--library", type=TEXT, metavar="LIBRARY",
                 help="Title, section id or uuid of a library. Default: all libraries.")  # fmt: skip
null = option("-0", "--null", help="Read NUL-terminated paths from standard input (find -print0).")
yes = option("-y", "--yes", help="Do not ask for confirmation.")


def options_of(command: Command | Group) -> list[Parameter]:
    """Returns the options and arguments that a command accepts."""
    return [*SHARED, *command.parameters, HELP]


def parse(words: Iterable[str], command: Command | Group) -> tuple[Command | Group, dict[str, Any]]:
    """Reads a command line that follows a group's name. Returns the command, and its own options and arguments.

    The value ``help`` means a request for help. Raises UsageError if the command line contains a mistake.
    """
    found: dict[str, Any] = {}
    operands: list[str] = []
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        given["command"] = f"plexindex {command.name}".strip()  # for the report of an error
        if word == "--":
            operands, waiting = operands + waiting, []
        elif word[:1] == "-" and word != "-":
            is_long = word.startswith("--")
            flag, has_value, value = word.partition("=") if is_long else (word[:2], word[2:], word[2:])
            one = next((one for one in options_of(command) if flag in one.flags), None)
            if one is None:
                raise UsageError(f"No such option '{flag}'.")
            kept = given if one in SHARED else found
            if one.type is not None:
                if not (has_value or waiting):
                    raise UsageError(f"Option '{flag}' requires an argument.", one.name)
                parsed = one.parse(value if has_value else waiting.pop(0), "' / '".join(one.flags))
                kept[one.name] = (*kept.get(one.name, ()), parsed) if one.multiple else parsed
            elif is_long and has_value:
                raise UsageError(f"Option '{flag}' does not take a value.", one.name)
            else:
                kept[one.name] = kept.get(one.name, 0) + 1 if one.count else True
                waiting[:0] = [f"-{value}"] if value else []
        elif isinstance(command, Command):
            operands.append(word)
        else:
            command = command.find(word)
    given["command"] = f"plexindex {command.name}".strip()
    if "help" in found:
        return command, found
    own = {one.name: found.get(one.name, one.unset) for one in command.parameters}
    for one in command.parameters:
        if not one.flags:
            if one.required and not operands:
                raise UsageError(f"Missing argument '{one.metavar}...'.", one.name)
            own[one.name], operands = tuple(one.parse(word, one.metavar) for word in operands), []
    if operands:
        raise UsageError(f"Got unexpected extra argument{'s'[: len(operands) - 1]} ({' '.join(operands)})")
    return command, own
