"""Output for people: lines, tables, numbers, questions."""

from __future__ import annotations

import os
import sys
from functools import lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO


def prepare() -> None:
    """Makes output safe for all file names: characters that cannot be encoded are escaped.

    A closed standard input is empty. Output to a closed stream fails, as to a full disk.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # Takes the free descriptor: otherwise a file of the store could get it, and be written to.
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDONLY if name != "stderr" else os.O_WRONLY), mode))
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
            if os.name == "nt" and not is_terminal(stream):
                # A file or a pipe: the same bytes as elsewhere, not those of a code page that lacks most names.
                reconfigure(encoding="utf-8", newline="\n")


def as_argument(text: str) -> str:
    """Quotes an argument, to be pasted into the shell of this system."""
    if os.name == "nt":
        import subprocess

        if any(sign in text for sign in '$`"'):
            # PowerShell replaces these between double quotes; cmd has no quotes in which all of them are plain.
            return "'" + text.replace("'", "''") + "'"
        # It quotes what has a space. Without quotes cmd would take `&` for the end of the command.
        slashes = len(text) - len(text.rstrip("\\"))
        return subprocess.list2cmdline([text + " "])[:-2] + "\\" * slashes + '"'
    import shlex

    return shlex.quote(text)


def log_to_stderr(verbose: int) -> None:
    """Shows the library's log lines: warnings, and more with -v."""
    import logging

    handler = logging.StreamHandler()
    # Clears the line, which may have a progress bar.
    begin = "\r\x1b[K" if is_terminal(sys.stderr) else ""

    class ForPeople(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return begin + fitted(clean(in_flags(super().format(record))), sys.stderr)

    handler.setFormatter(ForPeople("plexindex: %(levelname)s: %(message)s"))
    logger = logging.getLogger("plexindex")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel((logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)])


def leave_out(text: str) -> None:
    """Leaves log lines out that hold this text."""
    import logging

    for handler in logging.getLogger("plexindex").handlers:
        handler.addFilter(lambda record: text not in record.getMessage())


_STYLES = {"good": "32", "warn": "33", "bad": "1;31", "hint": "36", "bold": "1", "faint": "2"}
_when = "auto"
_url_from = "--url"


def name_url(source: str) -> None:
    """Sets the place that the server's address is from, for errors about it."""
    global _url_from
    _url_from = source or "--url"


def colour(when: str) -> None:
    """Sets when to use colours: ``always``, ``never``, or ``auto``: on a terminal without NO_COLOR."""
    global _when
    _when = when


def paint(text: str, style: str, stream: TextIO | None = None) -> str:
    """Adds a colour to a text, if colours are used."""
    on = _when == "always" or (_when == "auto" and not os.environ.get("NO_COLOR") and is_terminal(stream or sys.stdout))
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if on and text else text


def columns() -> int:
    """Returns the width of the terminal."""
    import shutil

    return shutil.get_terminal_size().columns


def wrapped(text: str, width: int) -> str:
    """Wraps a line between words. Further lines are indented."""
    if len(text) <= width:
        return text
    import re
    import textwrap

    lead = len(text) - len(text.lstrip(" "))
    column = re.match(r" *(?:\d+\. |\S.{0,40}? {2,})", text)
    hang = len(column[0]) if column and len(column[0]) < width // 2 + 8 else lead + 2 if lead else 0
    return textwrap.fill(
        text[lead:],
        width,
        initial_indent=" " * lead,
        subsequent_indent=" " * hang,
        break_long_words=False,
        break_on_hyphens=False,
    )


def fitted(text: str, stream: TextIO | None = None) -> str:
    """Wraps lines on a terminal only."""
    if not is_terminal(stream or sys.stdout):
        return text
    return "\n".join(wrapped(line, columns()) for line in text.split("\n"))


def say(text: str = "") -> None:
    """Prints a line, or several."""
    sys.stdout.write(f"{text}\n")


def say_json(value: object) -> None:
    """Prints a value as one line of JSON, flushed at once for readers of a pipe."""
    import json

    line = json.dumps(value)
    if "\\udc" in line:
        line = json.dumps(_with_bytes(value))
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _with_bytes(value: object) -> object:
    """Adds the bytes of each name that is not UTF-8 as `…_base64`: other programs lose surrogates."""
    if isinstance(value, list):
        return [_with_bytes(one) for one in value]
    if not isinstance(value, dict):
        return value
    fields: dict[str, object] = {}
    for name, held in value.items():
        fields[name] = _with_bytes(held)
        texts = held if isinstance(held, list) else [held]
        # A reason is for people only.
        if name != "reason" and any(isinstance(text, str) and not _is_utf8(text) for text in texts):
            fields[f"{name}_base64"] = [_base64(text) for text in held] if texts is held else _base64(held)
    return fields


def _is_utf8(text: str) -> bool:
    return not any("\udc80" <= char <= "\udcff" for char in text)


def _base64(name: str) -> str:
    import base64

    return base64.b64encode(os.fsencode(name)).decode()


def why_none(asked: str, *, refused: bool) -> str:
    """Explains why the answer is old."""
    return f"{asked} refused the token" if refused else f"{asked} did not answer"


def complain(text: str) -> None:
    """Prints an error on standard error."""
    sys.stdout.flush()
    lines = fitted(f"plexindex: {clean(in_flags(text))}", sys.stderr)
    sys.stderr.write(f"{paint('plexindex:', 'bad', sys.stderr)}{lines.partition(':')[2]}\n")


# Phrases of the library's texts, and what the command says instead.
_OPTIONS = (
    (
        "give server_url and token, or database, or drop the offline flag",
        "give --url and a token, or --database, or omit --offline",
    ),
    ("open it once without the offline flag", "ask it first (plexindex warm)"),
    ("give a token for this server", "give --token-file"),
    ("pass one as the option `token`", "give it with --token-file, or set PLEXINDEX_TOKEN"),
    ("pass the token as the option `token`", "give the token with --token-file, or set PLEXINDEX_TOKEN"),
    ("set the option `token`", "give --token-file, or set PLEXINDEX_TOKEN"),
    ("another cache_dir", "another --dir"),
    ("a cache_dir ", "a --dir "),
    ("cache_dir ", "the folder "),
    (", or allow a longer read_timeout", ""),
    ("ca_file", "--ca-file"),
    ("size_limit", "--size-limit"),
    ("the option 'shared'", "--shared"),
    ("shared and database are both given", "--shared and --database are both given"),
    ("(refresh)", "(plexindex warm)"),
    ("(folder)", "(plexindex folder)"),
    ("(match)", "(plexindex match)"),
    ("name that library, or begin", "name that library with --library, or begin"),
    ("list again in full", "list again (plexindex changes --full)"),
)


def in_flags(text: str) -> str:
    """Replaces names of the library's options by the command's flags."""
    if "[plexindex]" in text:
        # The text is about plexapi's file, where settings have the library's names.
        return text
    for option, flag in _OPTIONS:
        text = text.replace(option, flag)
    return text.replace("server_url", _url_from)


def is_terminal(stream: TextIO) -> bool:
    """Returns whether a stream is a terminal that can show escape sequences."""
    return stream.isatty() and os.environ.get("TERM") != "dumb" and (os.name != "nt" or _console_has_escapes())


@lru_cache(maxsize=1)
def _console_has_escapes() -> bool:
    """Has Windows' console understand escape sequences. Returns whether it does: since Windows 10."""
    if sys.platform != "win32":
        return True
    import ctypes

    mode, kernel = ctypes.c_ulong(), ctypes.windll.kernel32
    for number in (-11, -12):  # of standard output and standard error
        handle = ctypes.c_void_p(kernel.GetStdHandle(number))
        if kernel.GetConsoleMode(handle, ctypes.byref(mode)):
            return bool(kernel.SetConsoleMode(handle, mode.value | 4))
    return False


def confirm(question: str, default: bool) -> bool | None:
    """Asks at the terminal; None without one."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    sys.stdout.flush()
    sys.stderr.write(f"{question} [{'Y/n' if default else 'y/N'}] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer:
        sys.stderr.write("\n")
        return False
    answer = answer.strip().lower()
    return default if not answer else answer in ("y", "yes")


def clean(text: str) -> str:
    """Escapes control characters, so that file names cannot control the terminal. Shows invalid UTF-8 as bytes."""
    return "".join(char if char.isprintable() or char == "\n" else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return f"\\x{ord(char) - 0xDC00:02x}" if "\udc80" <= char <= "\udcff" else repr(char)[1:-1]


def one_line(text: str) -> str:
    """Formats a text in one line: escapes control characters and line ends."""
    return clean(text).replace("\n", "\\n")


def reason(text: str | None, path: str) -> str:
    """Formats a reason in one line, with the path escaped as elsewhere."""
    shown = os.fsencode(path).decode("utf-8", "replace")
    return one_line(in_flags((text or "").replace(shown, path)))


def width(text: str) -> int:
    """Returns the width of a text in a terminal."""
    if text.isascii():
        return len(text)
    import unicodedata

    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(bool(unicodedata.combining(char)) for char in text)


def cut(text: str, most: int) -> str:
    """Cuts a text to at most so many columns."""
    if width(text) <= most:
        return text
    while text and width(text) > most - 1:
        text = text[:-1]
    return f"{text}…"


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = (), indent: str = "") -> str:
    """Formats rows as a table. ``right``: indexes of the columns that are aligned to the right."""
    rows = [[clean(cell) for cell in row] for row in rows]
    widths = [max(map(width, column)) for column in zip(*rows)]

    def cell(text: str, number: int) -> str:
        gap = " " * (widths[number] - width(text))
        return gap + text if number in right else text + gap

    return "\n".join(indent + "  ".join(cell(text, at) for at, text in enumerate(row)).rstrip() for row in rows)


def number(value: float) -> str:
    """Formats ``20000`` as ``20,000``."""
    return f"{value:,.0f}"


def count(value: int, what: str, many: str | None = None) -> str:
    """Formats a count: ``1 item``, ``2 items``."""
    return f"{value:,} {what if value == 1 else many or f'{what}s'}"


def share(part: int, whole: int) -> str:
    """Formats a percentage: ``97 %``; 100 only for all of them, and 0 only for none."""
    if not whole:
        return "–"
    percent = round(100 * part / whole)
    percent = min(percent, 99) if part < whole else percent
    return f"{max(percent, 1) if part else 0} %"


def size(value: int) -> str:
    """Formats a number of bytes."""
    units = ["bytes", "kB", "MB", "GB", "TB"]
    amount = float(value)
    while amount >= 999.95 and len(units) > 1:
        amount /= 1000
        units.pop(0)
    return f"{value} bytes" if units[0] == "bytes" else f"{amount:.1f} {units[0]}"


def span(seconds: float) -> str:
    """Formats a time roughly: ``3 s``, ``5 min``, ``2 h``, ``4 days``."""
    for limit, unit, name in ((90, 1, "s"), (5400, 60, "min"), (48 * 3600, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86400:.0f} days"


def ago(seconds: float) -> str:
    """Formats an age roughly."""
    return "just now" if seconds < 2 else f"{span(seconds)} ago"


def short(seconds: float) -> str:
    """Formats a measured time: ``1.2 ms``, ``3.42 s``."""
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s" if seconds < 100 else clock(seconds)


def clock(seconds: float) -> str:
    """Formats a time as ``0:07``, ``12:30`` or ``1:02:03``."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def note(text: str) -> None:
    """Prints a remark, on a terminal only."""
    if is_terminal(sys.stderr):
        remark(text)


def remark(text: str) -> None:
    """Prints a remark on standard error."""
    sys.stdout.flush()
    sys.stderr.write(f"{fitted(clean(text), sys.stderr)}\n")
