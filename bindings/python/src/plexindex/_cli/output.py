"""Prints output for people and programs: lines, JSON, tables, progress, numbers and prompts."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Sequence

from .._core import TYPE_CHECKING, log
from .options import UsageError, given

if TYPE_CHECKING:
    from typing import Any, TextIO

    from ..progress import Progress


def prepare() -> None:
    """Makes the standard streams escape characters that they cannot encode, so that every file name can be printed.

    Replaces a closed standard input with an empty stream, and a closed standard output with a stream that rejects
    writes.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # Occupies the free descriptor. Otherwise one of the store's files could get it and receive the output.
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDONLY if name != "stderr" else os.O_WRONLY), mode))
    if sys.platform == "win32":
        import ctypes

        # Makes the console interpret escape sequences. It ignores the call if standard output is no console.
        ctypes.windll.kernel32.SetConsoleMode(ctypes.windll.kernel32.GetStdHandle(-11), 7)
    for stream in (sys.stdout, sys.stderr):
        # On Windows, pipes get UTF-8 as on other systems, because a code page cannot encode most names.
        is_pipe = os.name == "nt" and not stream.isatty()
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace", **({"encoding": "utf-8", "newline": "\n"} if is_pipe else {}))


def log_to_stderr(verbose: int) -> None:
    """Prints the library's warnings to standard error, and further log lines with -v or -vv."""

    def configure() -> None:
        import logging

        class Handler(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                _to_stderr(clean(f"plexindex: {record.levelname}: {record.getMessage()}"))

        logger = logging.getLogger("plexindex")
        logger.handlers, logger.propagate = [Handler()], False
        logger.setLevel((logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)])
        log.configure = None

    log.configure = configure
    if verbose or "logging" in sys.modules:
        configure()


def _color(stream: TextIO) -> bool:
    """Returns whether to print colors: as --color says, or on a terminal, unless the environment says otherwise."""
    when = given.get("color", "auto")
    if when != "auto":
        return bool(when == "always")
    return not os.environ.get("NO_COLOR") and (bool(os.environ.get("FORCE_COLOR")) or is_terminal(stream))


_STYLES = {"good": "\x1b[32m", "warn": "\x1b[33m", "bad": "\x1b[31m\x1b[1m", "hint": "\x1b[36m", "bold": "\x1b[1m",
           "faint": "\x1b[2m"}  # fmt: skip


def paint(text: str, style: str, stream: TextIO | None = None) -> str:
    """Colors a string if colors are on. The styles are good, warn, bad, hint, bold and faint."""
    if not text or not _color(stream or sys.stdout):
        return text
    return f"{_STYLES[style]}{text}\x1b[0m"


def is_terminal(stream: TextIO) -> bool:
    """Returns whether a stream is a terminal that can show escape sequences."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


# Replaces the spaces in a command or a quoted path, where a line must not break, until the text is wrapped.
_NO_BREAK = "\ue000"


def _glued(text: str) -> str:
    return re.sub("`[^`]*`|'/[^']*'", lambda quoted: quoted[0].replace(" ", _NO_BREAK), text)


def columns(stream: TextIO | None = None) -> int:
    """Returns the width of the terminal; 80 if the stream is none."""
    import shutil

    return shutil.get_terminal_size().columns if is_terminal(stream or sys.stdout) else 80


def fitted(text: str, stream: TextIO | None = None) -> str:
    """Wraps lines to the width of the terminal, if the stream is one. A command or a path stays in one piece."""
    if not is_terminal(stream or sys.stdout):
        return text
    import textwrap

    width, lines = columns(stream), []
    for line in text.split("\n"):
        indent = len(line) - len(line.lstrip(" "))
        mark = re.match(r" *[A-Za-z]{2,4} {2,}", line)
        hanging = " " * (len(mark[0]) if mark else indent + 2 if indent else 0)
        lines.append(textwrap.fill(_glued(line), width, subsequent_indent=hanging, break_long_words=False,
                                   break_on_hyphens=False) if len(line) > width else line)  # fmt: skip
    return "\n".join(lines).replace(_NO_BREAK, " ")


def say(text: str, stream: TextIO | None = None) -> None:
    """Prints a text, and flushes it so that a pipe's reader receives it immediately. If standard error is
    full, or its reader has gone, nobody sees the text.
    """
    stream = stream or sys.stdout
    try:
        stream.write(f"{text}\n")
        stream.flush()
    except OSError:
        if stream is not sys.stderr:
            raise
        discard(2)


def discard(descriptor: int) -> None:
    """Discards what a standard stream still contains. Otherwise Python would report the error again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


def say_json(value: object, stream: TextIO | None = None) -> None:
    say(json_line(value), stream)


def show(value: object, text: str | None = None, *, is_problem: bool = False) -> None:
    """Prints a value as JSON with --json, and otherwise a text, if there is one; a problem to standard error."""
    if given.get("json"):
        say_json(value)
    elif text is not None:
        (complain if is_problem else say)(text)


def json_line(value: object) -> str:
    import json

    line = json.dumps(value)
    return json.dumps(_with_bytes(value)) if "\\udc" in line else line


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
        if name != "message" and any(isinstance(text, str) and re.search("[\udc80-\udcff]", text) for text in texts):
            from base64 import b64encode

            coded = [b64encode(os.fsencode(text)).decode() for text in texts]
            fields[f"{name}_base64"] = coded if texts is content else coded[0]
    return fields


def _to_stderr(text: str, mark: str = "") -> None:
    sys.stdout.flush()
    text = fitted(mark + text, sys.stderr)
    text = paint(mark, "bad", sys.stderr) + text[len(mark) :]
    say(text, sys.stderr)  # while rich shows a bar, its stream prints above the bar


def complain(text: str) -> None:
    _to_stderr(f" {clean(text)}", "plexindex:")


def remark(text: str, *, terminal_only: bool = False) -> None:
    """Prints a remark to standard error, unless --quiet was given."""
    if not (given.get("quiet") or (terminal_only and not is_terminal(sys.stderr))):
        _to_stderr(clean(text))


def is_confirmed(yes: bool, question: str, *, default: bool = False) -> bool:
    """Returns whether the user agrees. Raises an error if there is neither a terminal nor --yes."""
    if yes:
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("this command asks for confirmation, but there is no terminal: add --yes")
    sys.stderr.write(f"{question} [{'Y/n' if default else 'y/N'}]: ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    is_wanted = answer.strip().lower() in ("y", "yes") or (answer == "\n" and default)
    if not is_wanted:
        remark("nothing was changed", terminal_only=True)
    return is_wanted


def expect_tables() -> None:
    """Fails before the first request if the package that prints tables is missing."""
    import rich  # noqa: F401


def print_table(
    rows: Sequence[Sequence[str]], right: Sequence[int] = (), *, header: bool = False, indent: int = 0
) -> None:
    """Prints rows as a table, with the columns in ``right`` right-aligned. On a terminal, long cells wrap."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    terminal = is_terminal(sys.stdout)
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for column in range(len(rows[0])):
        table.add_column(justify="right" if column in right else "left", overflow="fold", no_wrap=not terminal)
    for number, row in enumerate(rows):
        table.add_row(*(Text(_glued(clean(cell))) for cell in row), style="bold" if header and not number else "")
    console = Console(width=None if terminal else 100_000, no_color=not _color(sys.stdout), highlight=False,
                      force_terminal=_color(sys.stdout))  # fmt: skip
    with console.capture() as capture:
        console.print(Padding(table, (0, 0, 0, indent), expand=False))
    say("\n".join(line.rstrip() for line in capture.get().rstrip("\n").replace(_NO_BREAK, " ").split("\n")))


class Report:
    """What doctor finds, as lines of text or one JSON value, and the exit code."""

    def __init__(self) -> None:
        self.proposals: list[dict[str, object]] = []
        self._findings: list[dict[str, str]] = []
        self._code = 0
        self._is_silent = bool(given.get("json") or given.get("quiet"))

    def title(self, text: str) -> None:
        self.line(f"\n{paint(text, 'bold')}")

    def line(self, text: str) -> None:
        if not self._is_silent:
            say(text)

    def table(self, rows: Sequence[Sequence[str]], right: tuple[int, ...]) -> None:
        if not self._is_silent:
            print_table(rows, right, indent=2)

    def bad(self, text: str, code: int = 1) -> None:
        """Reports a problem. The report's first problem determines the exit code."""
        self._code = self._code or code
        self.add("BAD", text)
        if given.get("quiet") and not given.get("json"):
            complain(text)

    def ok(self, text: str) -> None:
        self.add("ok", text)

    def note(self, text: str) -> None:
        self.add("note", text)

    def add(self, mark: str, text: str) -> None:
        self._findings.append({"mark": mark, "text": text})
        text = fitted(f"  {mark:<5}{clean(text)}".replace("\n", f"\n{'':7}"))
        style = {"ok": "good", "note": "warn", "BAD": "bad", "try": "hint"}[mark]
        self.line(f"  {paint(mark, style)}{text[2 + len(mark) :]}")

    def end(self) -> int:
        problems = [one["text"] for one in self._findings if one["mark"] == "BAD"]
        if given.get("json"):
            facts = {"findings": self._findings, "proposals": self.proposals, "problems": problems}
            say_json({**facts, "exit_code": self._code})
        summary = f"{count(len(problems), 'problem')} found" if problems else "no problems found"
        proposed = f"; {count(len(self.proposals), 'mapping')} proposed" if self.proposals else ""
        self.line(f"\n{paint(summary, 'bad' if problems else 'good')}{proposed}")
        return self._code


class Bar:
    """Shows the progress of fetches on a terminal. Pass a bar as ``progress``, and then call done or drop."""

    is_fetching = False
    """Whether a fetch of this process has begun and not ended."""

    def __init__(self) -> None:
        self._title, self._begun, self._items = "", time.monotonic(), 0
        self._display: Any = None

    def __call__(self, progress: Progress) -> None:
        if progress.library != self._title or progress.items < self._items:
            self.done()
            self._begun = time.monotonic() - progress.elapsed
        Bar.is_fetching = True
        self._title, self._items, total = progress.library, progress.items, progress.total
        words = f"{self._items:,} of {total:,}" if total else "waiting"
        self.show("building the index" if total and self._items >= total else words, total)

    def show(self, words: str, total: int | None = None) -> None:
        """Draws the bar with these words at its end or, without a title, only the words."""
        if not is_terminal(sys.stderr) or given.get("quiet"):
            return
        if self._display is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            end = TextColumn("{task.fields[words]}", markup=False)
            bar = TextColumn("{task.description}", markup=False), BarColumn(30), end, TimeRemainingColumn()
            self._display = Progress(*(bar if self._title else [end]), console=Console(stderr=True), transient=True)
            self._display.add_task("", words=words)
            self._display.start()
        facts = {"description": clean(self._title)[:24], "completed": self._items, "total": total or None}
        self._display.update(0, **facts, words=words)

    def done(self) -> None:
        """Replaces the bar with a line that summarizes the fetch, if there was one."""
        has_fetched, seconds = Bar.is_fetching, time.monotonic() - self._begun
        text = f"{self._title}  {count(self._items, 'item')} in {span(seconds)}"
        self.drop()
        if has_fetched:
            remark(text, terminal_only=True)

    def drop(self) -> None:
        """Clears the bar after a failed fetch, or if no fetch was needed."""
        if self._display is not None:
            self._display.stop()
            self._display = None
        if not isinstance(sys.exc_info()[1], KeyboardInterrupt):  # otherwise the message says that the fetch resumes
            Bar.is_fetching = False
        self._title, self._items = "", 0


def clean(text: str) -> str:
    """Escapes bytes that are not UTF-8, and control characters, so that file names cannot control the terminal."""
    return "".join(char if char.isprintable() or char == "\n" else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return f"\\x{ord(char) - 0xDC00:02x}" if "\udc80" <= char <= "\udcff" else repr(char)[1:-1]


def one_line(text: str) -> str:
    return clean(text).replace("\n", "\\n")


def reason_line(text: str | None, path: str) -> str:
    """Formats a reason as one line, with the path in the reason escaped in the same way as all other paths."""
    shown = os.fsencode(path).decode("utf-8", "replace")
    return one_line((text or "").replace(shown, path))


def count(value: int, noun: str, plural: str | None = None) -> str:
    """Formats a count with its noun, such as ``1 item`` or ``2 items``."""
    return f"{value:,} {noun if value == 1 else plural or f'{noun}s'}"


def share(part: int, whole: int) -> str:
    """Formats a percentage, such as ``97 %``: 100 % only if ``part`` equals ``whole``, and 0 % only if it is 0."""
    percent = round(100 * part / whole)
    percent = min(percent, 99) if part < whole else percent
    return f"{max(percent, 1) if part else 0} %"


def size(value: int) -> str:
    from rich.filesize import decimal

    return decimal(value)


def span(seconds: float) -> str:
    """Formats a rounded duration, such as ``7 ms``, ``3 s``, ``5 min``, ``2 h`` or ``4 days``."""
    for limit, unit, name in ((1, 0.001, "ms"), (90, 1, "s"), (5400, 60, "min"), (48 * 3600, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86400:.0f} days"


def ago(seconds: float) -> str:
    return "just now" if seconds < 2 else f"{span(seconds)} ago"
