"""Parses `.plexignore` files. The format differs from `.gitignore`.

A pattern without a slash matches file names, and ignores case. It applies in the folder of the `.plexignore` file; if
this folder is a library's own, also in all subfolders. A pattern with a slash matches the paths of files and folders
relative to the folder of the `.plexignore` file. The part of the pattern before its last slash also matches the path of
a folder. A pattern that starts with a slash matches nothing. No pattern negates, and `*` does not match a slash.
"""

from __future__ import annotations

import os
import re

from . import on_disk

_NAME = b".plexignore"
# Number of bytes to read from a file.
_MAX_BYTES = 1 << 20


class Ignored:
    """The patterns of one folder's `.plexignore` file."""

    def __init__(self, folder: bytes, text: bytes) -> None:
        """``text``: the file's content, a pattern on each line. A line that starts with ``#`` is a comment."""
        self._folder = folder.rstrip(on_disk.SEPARATOR)
        self._names, self._paths = _Patterns(ignores_case=True), _Patterns(ignores_case=False)
        for raw in text.split(b"\n"):
            line = raw.decode("utf-8", "surrogateescape").strip()
            if not line or line.startswith("#"):
                continue
            # A backslash stands before a pattern that starts with `#`, because `#` starts a comment.
            pattern = line[1:] if line.startswith("\\#") else line
            if "/" not in pattern:
                self._names.add(line, pattern)
            elif not pattern.startswith("/"):
                # The part before the last slash also matches, so that `extras/*` ignores the folder `extras`.
                self._paths.add(line, pattern.rstrip("/"), pattern.rpartition("/")[0])

    @classmethod
    def read(cls, folder: bytes) -> Ignored | None:
        """Reads the file in a folder. Returns None if there is no regular file that can be read."""
        path = os.path.join(folder, _NAME)
        try:
            # Opening a pipe could block forever.
            if not os.path.isfile(on_disk.native(path)):
                return None
            with open(on_disk.native(path), "rb") as file:
                return cls(folder, file.read(_MAX_BYTES))
        except OSError:
            return None

    def line_for_file(self, path: bytes) -> bytes | None:
        """Returns the first line that ignores a file in or below the folder, with the path of the `.plexignore` file.
        None if no line does.
        """
        relative = self._relative(path)
        if relative is None:
            return None
        # A file name has precedence over a path.
        line = self._names.first(relative.rpartition("/")[2])
        return self._shown(self._paths.first(relative) if line is None else line)

    def line_for_folder(self, path: bytes) -> bytes | None:
        """Returns the first line that ignores a folder below this one, likewise. Only patterns with a slash do."""
        relative = self._relative(path)
        return None if relative is None else self._shown(self._paths.first(relative))

    def _relative(self, path: bytes) -> str | None:
        """Returns a path relative to the folder, with slashes; None for a path that is not below the folder."""
        above, below = path[: len(self._folder)], path[len(self._folder) :]
        if above != self._folder or not below.startswith(on_disk.SEPARATOR):
            return None
        return below[1:].replace(on_disk.SEPARATOR, b"/").decode("utf-8", "surrogateescape")

    def _shown(self, line: str | None) -> bytes | None:
        if line is None:
            return None
        return b"'%s' in %s" % (line.encode("utf-8", "surrogateescape"), self._folder + on_disk.SEPARATOR + _NAME)


class _Patterns:
    """Either the patterns with a slash or those without: plain names in a table, and globs to try one after another."""

    def __init__(self, ignores_case: bool) -> None:
        self._ignores_case = ignores_case
        self._lines: list[str] = []
        # Each plain name with the number of its first line, and the globs with those of theirs.
        self._plain: dict[str, int] = {}
        self._globs: list[tuple[int, re.Pattern[str]]] = []

    def add(self, line: str, *patterns: str) -> None:
        """Adds the next line of the file, which matches a name if one of its patterns does."""
        for pattern in map(self._folded, patterns):
            if any(mark in pattern for mark in "*?["):
                self._globs.append((len(self._lines), _compiled(pattern)))
            else:
                self._plain.setdefault(pattern, len(self._lines))
        self._lines.append(line)

    def first(self, name: str) -> str | None:
        """Returns the first line that matches a whole file name or relative path."""
        name = self._folded(name)
        plain = self._plain.get(name, len(self._lines))
        globs = (number for number, glob in self._globs if number < plain and glob.match(name))
        number = next(globs, plain)
        return self._lines[number] if number < len(self._lines) else None

    def _folded(self, text: str) -> str:
        """Returns a text in lower case, if case does not matter. A character whose lower case is longer stays."""
        if not self._ignores_case:
            return text
        if text.isascii():
            return text.lower()
        return "".join(low if len(low := one.lower()) == 1 else one for one in text)


def _compiled(glob: str) -> re.Pattern[str]:
    """Compiles a glob with ``*``, ``?`` and ``[…]`` for a match of a whole name."""
    first, *others = _parts(glob)
    if not others:
        return re.compile(f"{first}\\Z", re.DOTALL)
    # Each star takes as little as possible, and the match never returns to it, because another place for the part
    # between two stars cannot help. Otherwise, a few stars could take hours.
    *middle, last = others
    between = "".join(f"(?=(?P<star{number}>[^/]*?{part}))(?P=star{number})" for number, part in enumerate(middle))
    return re.compile(f"{first}{between}[^/]*{last}\\Z", re.DOTALL)


# The content of a set, after the opening bracket. A closing bracket at the start belongs to the set.
_SET = re.compile(r"(!|(?!!))(.[^\]]*)\]", re.DOTALL)


def _parts(glob: str) -> list[str]:
    """Returns the regular expressions of a glob's parts between its stars."""
    parts, place = [""], 0
    while place < len(glob):
        mark = glob[place]
        place += 1
        if mark == "*":
            parts.append("")
            continue
        # An unclosed bracket is an ordinary character.
        closed = _SET.match(glob, place) if mark == "[" else None
        if closed is not None:
            place = closed.end()
        parts[-1] += _set(*closed.groups()) if closed else "[^/]" if mark == "?" else re.escape(mark)
    return parts


def _set(negated: str, content: str) -> str:
    """Returns the regular expression of a set, such as ``a-fx``, which never matches a slash."""
    ranges = re.findall(r"(.)(?:-(.))?", content, re.DOTALL)
    # A range that ends before it starts is empty.
    found = "".join(f"{re.escape(low)}-{re.escape(high or low)}" for low, high in ranges if low <= (high or low))
    if negated:
        return f"[^/{found}]"
    return f"(?!/)[{found}]" if found else "(?!)"
