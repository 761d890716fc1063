"""Parsers whose error messages suggest the right word, and whose help fits the terminal."""

from __future__ import annotations

import argparse
import sys

from .._core import TYPE_CHECKING
from . import codes, output

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn


class VersionAction(argparse.Action):
    """Prints the versions of the package and the library."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Prints the versions, and exits."""
        from .versions import version_lines

        output.say("\n".join(version_lines()))
        parser.exit()


class HelpfulParser(argparse.ArgumentParser):
    """A parser whose error messages suggest the right word, and refer to the help instead of the long usage text."""

    commands: dict[str, argparse.ArgumentParser] = {}  # noqa: RUF012
    """All commands' parsers. An error about an unknown option lists the commands that have this option."""

    def _print_message(self, message: str, file: Any = None) -> None:
        """Prints a message. Unlike argparse, raises an error if printing fails."""
        (file or sys.stderr).write(message)

    def error(self, message: str) -> NoReturn:
        """Prints the message with a hint, and exits."""
        import re

        if missing := re.search(r"argument (?:.*/)?(-[\w-]+): expected one argument", message):
            action = self._option_string_actions[missing[1]]
            message = f"argument {missing[1]} has no value: write {missing[1]} {action.metavar}"
        elif missing := re.search("are required: (.*)", message):
            positionals = [action for action in self._actions if action.dest in missing[1].split(", ")]
            message += "".join(
                f": give {' or '.join(map(str, action.choices))}" for action in positionals if action.choices
            )
            if missing[1] in ("PATH", "FOLDER"):
                message += "; write -- before a path that begins with a dash"
        elif wrong := re.search(r"(?:unrecognized arguments: |invalid choice: ')(-?[\w-]+)(.*)", message):
            message += self._suggestion(wrong[1], wrong[2])
        self.exit(codes.USAGE, f"{self.prog}: error: {message}\nSee `{self.prog} --help`.\n")

    def _suggestion(self, word: str, rest_of_error: str) -> str:
        """Returns a suggestion to append to an error. In the message, ``rest_of_error`` follows the wrong ``word``."""
        import difflib
        import re

        if self.prog.endswith(" changes") and word[0] != "-":
            return "; to specify a library, use -l"
        if "." in rest_of_error.partition(" (choose from")[0] and any(
            action.metavar == "PATH" for action in self._actions
        ):
            return "; write -- before a path that begins with a dash"
        owners = [name for name, command in self.commands.items() if word in command._option_string_actions]
        if owners:
            return f"; this is an option of {', '.join(owners)}"
        _, is_choice, listed = rest_of_error.partition("(choose from ")
        words = re.findall(r"[\w-]+", listed) if is_choice else list(self._option_string_actions)
        similar = difflib.get_close_matches(word, words, 1, 0.7)
        return f"; did you mean {similar[0]}?" if similar else ""


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Breaks lines only between words, so that flags and addresses stay intact."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return output.wrapped(" ".join(text.split()), width).splitlines()

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(output.wrapped(indent + line, width) for line in text.splitlines())


def make_parser(
    make: Callable[..., argparse.ArgumentParser], *names: str, description: str, **options: object
) -> argparse.ArgumentParser:
    """Creates a parser with ``make``. The parser's help is as wide as the terminal, from 50 to 110 columns."""
    columns = max(min(output.columns(), 110), 50)
    return make(
        *names,
        description=description,
        formatter_class=lambda prog: HelpFormatter(prog, max_help_position=28 if columns > 75 else 14, width=columns),
        allow_abbrev=False,
        **options,
    )
