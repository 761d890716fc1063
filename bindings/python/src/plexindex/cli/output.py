"""Formats output for people: lines, tables, numbers and prompts."""

from __future__ import annotations

import os
import sys
from functools import lru_cache

from .._core import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO


def prepare() -> None:
    """Makes the standard streams escape characters that they cannot encode, so that every file name can be printed.

    Replaces a closed standard input with an empty stream, and a closed standard output with a stream that rejects
    writes.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # Occupies the free descriptor. Otherwise one of the store's files could get the descriptor and receive the
            # output.
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDONLY if name != "stderr" else os.O_WRONLY), mode))
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
            if os.name == "nt" and not is_terminal(stream):
                # Write UTF-8 to files and pipes, as on other systems, because a code page cannot encode most names.
                reconfigure(encoding="utf-8", newline="\n")


def as_argument(text: str) -> str:
    """Quotes an argument so that a user can paste it into this system's shell."""
    if os.name == "nt":
        import subprocess

        if any(sign in text for sign in '$`"'):
            # PowerShell expands these characters between double quotes; cmd cannot quote all of the characters.
            return "'" + text.replace("'", "''") + "'"
        # list2cmdline quotes only a string with a space. Without quotes, cmd treats `&` as the end of the command.
        slashes = len(text) - len(text.rstrip("\\"))
        return subprocess.list2cmdline([text + " "])[:-2] + "\\" * slashes + '"'
    import shlex

    return shlex.quote(text)


def log_to_stderr(verbose: int) -> None:
    """Prints the library's warnings to standard error, and further log lines with -v or -vv."""
    import logging

    handler = logging.StreamHandler()
    clear_line = "\r\x1b[K" if is_terminal(sys.stderr) else ""  # the line may show a progress bar

    class TerminalFormatter(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return clear_line + fitted(clean(with_flags(super().format(record))), sys.stderr)

    handler.setFormatter(TerminalFormatter("plexindex: %(levelname)s: %(message)s"))
    logger = logging.getLogger("plexindex")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel((logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)])


def hide_log_lines(text: str) -> None:
    """Hides log lines that contain ``text``."""
    import logging

    for handler in logging.getLogger("plexindex").handlers:
        handler.addFilter(lambda record: text not in record.getMessage())


_STYLES = {"good": "32", "warn": "33", "bad": "1;31", "hint": "36", "bold": "1", "faint": "2"}
_color = "auto"
_url_from = "--url"


def set_url_source(source: str) -> None:
    """Sets the source of the server's address, which errors about the address mention."""
    global _url_from
    _url_from = source or "--url"


def set_color(when: str) -> None:
    """Sets when to use colors: ``always``, ``never`` or ``auto`` (on a terminal, unless NO_COLOR is set)."""
    global _color
    _color = when


def paint(text: str, style: str, stream: TextIO | None = None) -> str:
    """Colors a string if color output is on."""
    has_colors = is_terminal(stream or sys.stdout) and not os.environ.get("NO_COLOR")
    if not text or _color == "never" or (_color == "auto" and not has_colors):
        return text
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"


def columns() -> int:
    """Returns the width of the terminal."""
    import shutil

    return shutil.get_terminal_size().columns


def wrapped(text: str, width: int) -> str:
    """Wraps a line at word boundaries, and indents the continuation lines."""
    if len(text) <= width:
        return text
    import re
    import textwrap

    indent = len(text) - len(text.lstrip(" "))
    column = re.match(r" *(?:\d+\. |\S.{0,40}? {2,})", text)
    hanging_indent = len(column[0]) if column and len(column[0]) < width // 2 + 8 else indent + 2 if indent else 0
    return textwrap.fill(
        text[indent:],
        width,
        initial_indent=" " * indent,
        subsequent_indent=" " * hanging_indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def fitted(text: str, stream: TextIO | None = None) -> str:
    """Wraps lines to the width of the terminal, if the stream is a terminal."""
    if not is_terminal(stream or sys.stdout):
        return text
    return "\n".join(wrapped(line, columns()) for line in text.split("\n"))


def say(text: str = "") -> None:
    """Prints one or more lines."""
    sys.stdout.write(f"{text}\n")


def say_json(value: object) -> None:
    """Prints a value as one line of JSON, and flushes the line so that a pipe's reader receives it immediately."""
    import json

    line = json.dumps(value)
    if "\\udc" in line:
        line = json.dumps(_with_bytes(value))
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _with_bytes(value: object) -> object:
    """Adds the bytes of each non-UTF-8 name as `…_base64`, because other programs cannot read surrogates."""
    if isinstance(value, list):
        return [_with_bytes(element) for element in value]
    if not isinstance(value, dict):
        return value
    fields: dict[str, object] = {}
    for name, content in value.items():
        fields[name] = _with_bytes(content)
        texts = content if isinstance(content, list) else [content]
        # The field `message` is only for people, who do not need the bytes.
        if name != "message" and any(isinstance(text, str) and not _is_utf8(text) for text in texts):
            fields[f"{name}_base64"] = [_base64(text) for text in texts] if texts is content else _base64(content)
    return fields


def _is_utf8(text: str) -> bool:
    return not any("\udc80" <= char <= "\udcff" for char in text)


def _base64(name: str) -> str:
    import base64

    return base64.b64encode(os.fsencode(name)).decode()


def complain(text: str) -> None:
    """Prints an error message to standard error."""
    sys.stdout.flush()
    lines = fitted(f"plexindex: {clean(with_flags(text))}", sys.stderr)
    sys.stderr.write(f"{paint('plexindex:', 'bad', sys.stderr)}{lines.partition(':')[2]}\n")


# The library's names for options and calls in messages, each with the command's name.
_NAMES = {
    "the option `token`": "--token-file",
    "the option 'shared'": "--shared",
    "the offline flag": "--offline",
    "another cache_dir": "another folder (--dir)",
    "a cache_dir": "a folder (--dir)",
    "cache_dir": "the folder",
    ", or set a longer read_timeout": "",
    "ca_file": "--ca-file",
    "size_limit": "--size-limit",
    "(refresh)": "(plexindex warm)",
    "(folder)": "(plexindex folder)",
    "(match)": "(plexindex match)",
    "list again in full": "list again (plexindex changes --full)",
}


def with_flags(text: str) -> str:
    """Replaces the names of the library's options in a message with the command's flags."""
    if "[plexindex]" in text:
        # The text concerns plexapi's file, where settings have the library's names.
        return text
    for name, flag in _NAMES.items():
        text = text.replace(name, flag)
    return text.replace("server_url", _url_from)


def is_terminal(stream: TextIO) -> bool:
    """Returns whether a stream is a terminal that can show escape sequences."""
    return stream.isatty() and os.environ.get("TERM") != "dumb" and (os.name != "nt" or _console_has_escapes())


@lru_cache(maxsize=1)
def _console_has_escapes() -> bool:
    """Enables escape sequences in the Windows console. Returns False before Windows 10, which does not support them."""
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
    """Asks the user to confirm at the terminal. Returns None if there is no terminal."""
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
    """Escapes bytes that are not UTF-8, and control characters, so that file names cannot control the terminal."""
    return "".join(char if char.isprintable() or char == "\n" else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return f"\\x{ord(char) - 0xDC00:02x}" if "\udc80" <= char <= "\udcff" else repr(char)[1:-1]


def one_line(text: str) -> str:
    """Formats a string as one line, with control characters and line ends escaped."""
    return clean(text).replace("\n", "\\n")


def reason_line(text: str | None, path: str) -> str:
    """Formats a reason as one line, with the path in the reason escaped in the same way as all other paths."""
    shown = os.fsencode(path).decode("utf-8", "replace")
    return one_line(with_flags((text or "").replace(shown, path)))


def width(text: str) -> int:
    """Returns a string's width in terminal columns."""
    if text.isascii():
        return len(text)
    import unicodedata

    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(bool(unicodedata.combining(char)) for char in text)


def cut(text: str, most: int) -> str:
    """Shortens a string to at most ``most`` columns."""
    if width(text) <= most:
        return text
    while text and width(text) > most - 1:
        text = text[:-1]
    return f"{text}…"


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = (), indent: str = "") -> str:
    """Formats rows as a table. ``right`` contains the indexes of the right-aligned columns."""
    rows = [[clean(cell) for cell in row] for row in rows]
    widths = [max(map(width, column)) for column in zip(*rows)]

    def cell(text: str, number: int) -> str:
        gap = " " * (widths[number] - width(text))
        return gap + text if number in right else text + gap

    return "\n".join(indent + "  ".join(cell(text, column) for column, text in enumerate(row)).rstrip() for row in rows)


def number(value: float) -> str:
    """Formats ``20000`` as ``20,000``."""
    return f"{value:,.0f}"


def count(value: int, noun: str, plural: str | None = None) -> str:
    """Formats a count with its noun, such as ``1 item`` or ``2 items``."""
    return f"{value:,} {noun if value == 1 else plural or f'{noun}s'}"


def share(part: int, whole: int) -> str:
    """Formats a percentage, such as ``97 %``: 100 % only if ``part`` equals ``whole``, and 0 % only if it is 0."""
    if not whole:
        return "–"
    percent = round(100 * part / whole)
    percent = min(percent, 99) if part < whole else percent
    return f"{max(percent, 1) if part else 0} %"


def size(value: int) -> str:
    """Formats a number of bytes, such as ``1.5 MB``."""
    units = ["bytes", "kB", "MB", "GB", "TB"]
    amount = float(value)
    while amount >= 999.95 and len(units) > 1:
        amount /= 1000
        units.pop(0)
    return f"{value} bytes" if units[0] == "bytes" else f"{amount:.1f} {units[0]}"


def span(seconds: float) -> str:
    """Formats a rounded duration, such as ``3 s``, ``5 min``, ``2 h`` or ``4 days``."""
    for limit, unit, name in ((90, 1, "s"), (5400, 60, "min"), (48 * 3600, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86400:.0f} days"


def ago(seconds: float) -> str:
    """Formats a rounded age, such as ``5 min ago``."""
    return "just now" if seconds < 2 else f"{span(seconds)} ago"


def short(seconds: float) -> str:
    """Formats a measured duration, such as ``1.2 ms`` or ``3.42 s``."""
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s" if seconds < 100 else clock(seconds)


def clock(seconds: float) -> str:
    """Formats a duration as ``0:07``, ``12:30`` or ``1:02:03``."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def remark(text: str, *, terminal_only: bool = False) -> None:
    """Prints a remark to standard error."""
    if terminal_only and not is_terminal(sys.stderr):
        return
    sys.stdout.flush()
    sys.stderr.write(f"{fitted(clean(text), sys.stderr)}\n")
