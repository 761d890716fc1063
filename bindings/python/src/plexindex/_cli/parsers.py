"""Parsers of the command line: errors that name the word that was meant, and help that fits the terminal."""

from __future__ import annotations

import argparse
import sys

from . import codes, output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn


class VersionAction(argparse.Action):
    """Prints the versions of the package and the library."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from .output import say
        from .versions import version_lines

        say("\n".join(version_lines()))
        parser.exit()


class HelpfulParser(argparse.ArgumentParser):
    """A parser whose errors suggest the word that was probably meant, and name the help."""

    commands: dict[str, argparse.ArgumentParser] = {}  # noqa: RUF012
    """The parsers of all commands, to name those that have an unknown option."""

    def _print_message(self, message: str, file: Any = None) -> None:
        """Prints a text, and raises an error if that fails: argparse ignores it."""
        (file or sys.stderr).write(message)

    def error(self, message: str) -> NoReturn:
        import difflib
        import re

        wrong = re.search(r"(?:unrecognized arguments: |invalid choice: ')(-?[\w-]+)", message)
        if choices := re.search(r"\(choose from (.*)\)", message):
            known = re.findall(r"[\w-]+", choices[1])
        else:
            known = list(self._option_string_actions)
        owners = [
            name for name, command in self.commands.items() if wrong and wrong[1] in command._option_string_actions
        ]
        missing = re.search(r"argument (?:.*/)?(-[\w-]+): expected one argument|are required: (.*)", message)
        if missing and missing[1]:
            action = self._option_string_actions[missing[1]]
            message = f"argument {missing[1]} has no value: give one, {missing[1]} {action.metavar}"
        elif missing:
            words = [action for action in self._actions if action.choices and action.dest in missing[2].split(", ")]
            message += "".join(f": give {' or '.join(map(str, action.choices or ()))}" for action in words)
            if missing[2] in ("PATH", "FOLDER"):
                message += "; write -- before one that begins with a dash"
        suggestions = difflib.get_close_matches(wrong[1], known, 1, 0.7) if wrong else []
        text = message
        if "-l" in self._option_string_actions and self.prog.endswith(" changes") and wrong and wrong[1][0] != "-":
            text += "; name a library with -l"
        elif "PATH" in {action.metavar for action in self._actions} and wrong and "." in message.split(wrong[1])[-1]:
            text += "; write -- before a path that begins with a dash"
        elif owners:
            text += f"; it is an option of {', '.join(owners)}"
        elif suggestions:
            text += f"; did you mean {suggestions[0]}?"
        # Without the usage, which is longer than a terminal may be high.
        self.exit(codes.USAGE, f"{self.prog}: error: {text}\n`{self.prog} --help` says more\n")


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Breaks lines between words only, so that flags and addresses stay whole."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return output.wrapped(" ".join(text.split()), width).splitlines()

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(output.wrapped(indent + line, width) for line in text.splitlines())


def make_parser(
    make: Callable[..., argparse.ArgumentParser], *names: str, description: str, **options: object
) -> argparse.ArgumentParser:
    """Creates a parser by ``make``, with help as wide as the terminal."""
    columns = max(min(output.columns(), 110), 50)
    return make(
        *names,
        description=description,
        formatter_class=lambda prog: HelpFormatter(prog, max_help_position=28 if columns > 75 else 14, width=columns),
        allow_abbrev=False,
        **options,
    )
