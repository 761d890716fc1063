"""Reads a command line by the help of its command, which is also the table of the command's options.

Importing click takes longer than an answer, and argparse does not accept shared options at any place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from .._core import Any, config

given: dict[str, Any] = {}
"""The shared options of this run that were read, by name. They can precede or follow the command."""


class UsageError(Exception):
    """The command line is wrong. ``argument``: the name of the wrong option, if there is one."""

    def __init__(self, message: str, argument: str | None = None) -> None:
        super().__init__(message)
        self.argument = argument


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\d+\.?\d*|\.\d+", text) or not 0 < float(text) < 1e9:
        raise ValueError(f"{text!r} is not a number of seconds greater than zero")
    return float(text)


def _whole(minimum: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,18}", text) or int(text) < minimum:
            raise ValueError(f"{text!r} is not a whole number of at least {minimum}")
        return int(text)

    return parse


# The parser of a value, or its possible values, by its word in the help. Other words are texts.
VALUES: dict[str, Callable[[str], Any] | list[str]] = {
    "SECONDS": _seconds,
    "COUNT": _whole(1),
    "BYTES": _whole(1),
    "N": _whole(0),
    "SIZE": config.parse_size,
    "HOST=SERVER": config.parse_mapping,
}


class Option:
    """An option as the help writes it: its flags, and the word for its value; without a word, it is a switch. ``...``
    after the word: it can be repeated. ``{a|b}``: the possible values. An argument has only a word.
    """

    def __init__(self, forms: str, text: str = "") -> None:
        *flags, last = forms.split(", ")
        flag, _, word = last.rpartition(" ") if " " in last or last[:1] != "-" else (last, "", "")
        self.forms, self.flags, self.help = forms, [*flags, flag] if flag else flags, text
        self.is_repeated, self.word = word.endswith("..."), word.replace("...", "").strip("[]")
        known = self.word.strip("{}").split("|") if self.word[:1] == "{" else VALUES.get(self.word, str)
        self.choices = known if isinstance(known, list) else []
        self._parse: Callable[[str], Any] = str if isinstance(known, list) else known
        self.name = (flag[2:] or self.word.lower()).replace("-", "_")
        self.unset: Any = () if self.is_repeated else None if word else False
        """The value if the command line does not contain the option."""

    def parse(self, text: str) -> Any:
        """Parses a value. An empty value, such as an unset variable, does not mean the default."""
        try:
            if text == "":
                raise ValueError("the value is empty: give a value, or omit the option")
            if self.choices and text not in self.choices:
                raise ValueError(f"{text!r} is not one of {', '.join(map(repr, self.choices))}")
            return self._parse(text)
        except ValueError as error:
            shown = "' / '".join(self.flags) or self.word
            raise UsageError(f"Invalid value for '{shown}': {error}", self.name) from None


# The help of options that several commands have, by their forms.
_COMMON = {
    "-l, --library LIBRARY": "Title, section id or uuid of a library. Default: all libraries.",
    "-0, --null": "With -, standard input has NUL-terminated paths (find -print0).",
    "-y, --yes": "Do not ask for confirmation.",
}


def options_in(text: str) -> list[Option]:
    """Returns the options in a help. Two spaces precede the text of an option, and more lines of it may follow."""
    found: list[Option] = []
    for line in map(str.strip, text.partition("Options:\n")[2].split("\n")):
        if line.startswith("-"):
            forms, _, words = line.partition("  ")
            found.append(Option(forms, words.strip() or _COMMON[forms]))
        elif line:
            found[-1].help += f" {line}"
    return found


SHARED = options_in("""
Options:
  --server-url URL  The server's URL, such as http://127.0.0.1:32400.
  --server NAME  The name of a server in the configuration file. Without it, match asks each of the file's servers.
  --token-file FILE  A file that contains only the token.
  --token-command COMMAND  A command that prints the token. plexindex runs it without a shell at each start, and when
    the token expires or is rejected. It must finish within 60 seconds.
  --token TOKEN  The token. Other users of this machine can see it in the process list: prefer --token-file or the
    environment variable PLEXINDEX_TOKEN.
  --user NAME  A name for the token's user. If you keep the name when the token changes, plexindex keeps the listings.
  --database FILE  Plex's own database on this machine, its folder, or the folder 'Plex Media Server'. plexindex never
    writes to it.
  --no-server  Use only --database, even if the configuration names a server.
  --cache-dir FOLDER  The store's folder.
  --size-limit SIZE  The maximum size of the store's folder in bytes, such as 500M or 2G. If the folder is larger,
    plexindex removes the least recently refreshed libraries.
  --shared ADDRESS  A PostgreSQL database that several hosts share, such as postgresql://user@host/database. Put the
    password into PGPASSWORD or a password file.
  --mapping HOST=SERVER...  Map the folder HOST on this machine to the folder SERVER on the server. You can also write
    HOST:SERVER or 'HOST -> SERVER', and repeat this option.
  --offline  Send no requests, and answer only from the store.
  --timeout SECONDS  The time limit for each answer or fetch; without it, there is none. If the server is unreachable,
    plexindex retries for 3 seconds, and refresh for 30.
  --ca-file FILE  A PEM file with the authorities, or the server's own certificate, to trust.
  --accept-invalid-certs  Accept any certificate. An attacker on the network can then read the token.
  --config FILE  A configuration file to read instead of the default file; see `plexindex help config`.
  --json  Print one JSON object per line, and errors as JSON on standard error.
  -q, --quiet  Print no remarks, only errors; doctor prints only problems.
  -v, --verbose  Log each step; -vv logs everything, with full paths.
  --color {auto|always|never}  Use colors always, never or, with auto, on a terminal. NO_COLOR and FORCE_COLOR change
    auto.
  -h, --help  Show the help of a command.
  -V, --version  Show the installed versions.
""")


class Command:
    """A command: its name, which can have two words, its argument, its help with its options, and its function."""

    def __init__(self, text: str, run: Callable[..., int]) -> None:
        self.usage, _, self.help = text.strip().partition("\n\n")
        name, _, argument = self.usage.rpartition(" ") if self.usage.endswith("...") else (self.usage, "", "")
        self.name, self.run, self.options = name, run, options_in(text)
        self.argument = Option(argument) if argument else None


def command(text: str) -> Callable[[Callable[..., int]], Command]:
    """Makes a command of a function, which takes the arguments and the options by name, and returns the exit code.
    ``text``: the name with the argument, an empty line, and the help.
    """
    return lambda run: Command(text, run)


def parse(
    words: Iterable[str], find: Callable[[str], Command | None]
) -> tuple[str, Command | None, list[Any], dict[str, Any]]:
    """Reads a command line. Returns the name, the command, its arguments and its own options. Raises UsageError.

    ``find`` returns a command by its name, or None for the first word of several commands.
    """
    name, chosen = "", find("")
    own: dict[str, Any] = {}
    arguments: list[str] = []
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        given["command"] = f"plexindex {name}".strip()  # for the report of an error
        if word == "--":
            arguments, waiting = arguments + waiting, []
        elif word[:1] == "-" and word != "-":
            is_long = word.startswith("--")
            flag, has_value, value = word.partition("=") if is_long else (word[:2], word[2:], word[2:])
            of_command = chosen.options if chosen else []
            one = next((one for one in [*SHARED, *of_command] if flag in one.flags), None)
            if one is None:
                raise UsageError(f"No such option '{flag}'.")
            kept = own if one in of_command else given
            if one.word:
                if not (has_value or waiting):
                    raise UsageError(f"Option '{flag}' requires an argument.", one.name)
                parsed = one.parse(value if has_value else waiting.pop(0))
                kept[one.name] = (*kept.get(one.name, ()), parsed) if one.is_repeated else parsed
            elif is_long and has_value:
                raise UsageError(f"Option '{flag}' does not take a value.", one.name)
            else:
                kept[one.name] = kept.get(one.name, 0) + 1 if one.name == "verbose" else True
                waiting[:0] = [f"-{value}"] if value else []
        elif chosen is not None:
            arguments.append(word)
        else:
            name = f"{name} {word}".strip()
            chosen = find(name)
    given["command"] = f"plexindex {name}".strip()
    if chosen is None or "help" in given or "version" in given:
        return name, chosen, [], {}
    argument = chosen.argument
    if argument and not arguments and argument.forms[:1] != "[":
        raise UsageError(f"Missing argument '{argument.forms}'.", argument.name)
    if arguments and not argument:
        raise UsageError(f"Got unexpected extra argument{'s'[: len(arguments) - 1]} ({' '.join(arguments)})")
    parsed = [argument.parse(word) for word in arguments] if argument else []
    return name, chosen, parsed, {one.name: own.get(one.name, one.unset) for one in chosen.options}
