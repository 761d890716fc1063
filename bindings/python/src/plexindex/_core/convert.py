"""Converts Python values for the C ABI, such as paths to bytes, and compares paths in the library's normal form."""

from __future__ import annotations

import os
import sys
from struct import Struct

from ..errors import InvalidArgumentError
from . import TYPE_CHECKING, Any, Iterable, Sequence, T, importing
from . import abi as c

if TYPE_CHECKING:
    from ..types import PathArg, SizeArg


# A thousand years, which means 'never' where the ABI has no value for 'never'.
FOREVER_MS = 1000 * 365 * 24 * 3600 * 1000


def display_path(path: object, hidden: bool = False) -> str:
    """Formats a path for an error message: its shortened repr or, with ``hidden``, only its length."""
    text = repr(path)
    if hidden:
        return f"({len(path) if isinstance(path, (str, bytes)) else len(text)} characters, hidden)"
    return text if len(text) <= 200 else f"{text[:120]}…{text[-60:]} ({len(text)} characters)"


def path_bytes(path: PathArg, hidden: bool = False, what: str = "file") -> bytes:
    """Encodes a path as UTF-8, with ``surrogateescape`` for non-UTF-8 bytes, and ``surrogatepass`` on Windows.

    Raises InvalidArgumentError if the path is empty or contains a NUL, and TypeError for other types. With ``hidden``,
    errors do not show the path.
    """
    value: Any = path
    try:
        raw = str.encode(value)  # most paths are such strings
    except (TypeError, UnicodeEncodeError):
        value = fspath("a path", path)
        raw = text_bytes("path", value, hidden)
    if not raw:
        raise InvalidArgumentError(f"the path is empty: give the full path of a {what}")
    if 0 in raw:  # b"\0" would take longer
        raise InvalidArgumentError(
            f"the path {display_path(value, hidden)} contains a NUL character, which no file name can contain: "
            "omit this path"
        )
    return raw


def fspath(name: str, path: PathArg) -> str | bytes:
    try:
        text = os.fspath(path)
    except TypeError:
        raise TypeError(f"{name} must be str, bytes or os.PathLike, not {type(path).__name__}") from None
    if os.name == "nt" and text is not path and isinstance(text, str) and text[:1] == "\\" != text[1:2]:
        # `Path("/data/film.mkv")` is a path on a different machine, because each Windows path has a drive or a share.
        return text.replace("\\", "/")
    return text


def folder_bytes(name: str, path: PathArg) -> bytes:
    """Encodes the path of a folder or file on this machine."""
    value = fspath(name, path)
    if isinstance(value, bytes):
        return value
    encoding, errors = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
    return only_text(name, value, errors=errors, encoding=encoding)


def text_bytes(name: str, value: str | bytes, hidden: bool = False) -> bytes:
    """Encodes a string like ``os.fsencode``. Returns bytes unchanged. With ``hidden``, errors do not show the value."""
    if isinstance(value, bytes):
        return value
    return only_text(name, value, hidden, errors=sys.getfilesystemencodeerrors(), kinds="str or bytes")


def only_text(
    name: str, value: str, hidden: bool = False, *, errors: str = "strict", encoding: str = "utf-8", kinds: str = "str"
) -> bytes:
    """Encodes a string, by default one that is no path: rejects bytes, and surrogates that stand for bytes. With
    ``hidden``, errors do not show the string.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be {kinds}, not {type(value).__name__}")
    try:
        return str.encode(value, encoding, errors)
    except UnicodeEncodeError as error:
        raise invalid(
            name if name.isidentifier() else None,
            f"the {name} {display_path(value, hidden)} contains a lone surrogate at position {error.start}: remove the "
            "surrogate, or decode file names with os.fsdecode",
        ) from None


def event_bytes(body: Any) -> bytes:
    """Encodes a webhook or a server notification."""
    if isinstance(body, str):
        return text_bytes("body", body, hidden=True)
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body)
    if not hasattr(body, "keys"):
        raise TypeError(f"body must be bytes, str or a dict, not {type(body).__name__}")
    with importing():
        import json

    return json.dumps(dict(body)).encode()


def listed(name: str, values: Iterable[T]) -> Sequence[T]:
    """Returns a copy of paths or keys, because the caller may change the list while answers still refer to it. Rejects
    a single one, because a string is also iterable.
    """
    if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
        raise TypeError(f"{name} must be a list of {name}, not {type(values).__name__}")
    return tuple(values)


def join_paths(paths: Sequence[PathArg], hidden: bool = False) -> bytes:
    """Encodes paths as one block, each followed by a NUL.

    Raises the same errors as ``path_bytes``, except for a NUL in a path. Searching for a NUL would double the time, and
    the library counts the NULs anyway. See ``check_paths``.
    """
    try:
        block = "\0".join([*paths, ""]).encode()  # type: ignore[list-item]
    except (TypeError, UnicodeEncodeError):
        if {*map(type, paths)} != {bytes}:
            return b"".join([raw + b"\0" for raw in check_paths(paths, hidden)])
        block = b"\0".join([*paths, b""])  # type: ignore[list-item]
    if not all(paths):
        check_paths(paths, hidden)
    return block


def check_paths(paths: Sequence[PathArg], hidden: bool = False) -> list[bytes]:
    """Encodes paths. An error contains the position of the first invalid path, which the library's error lacks."""
    encoded: list[bytes] = []
    try:
        for path in paths:
            encoded.append(path_bytes(path, hidden))  # noqa: PERF401 - the length is the position
    except (TypeError, InvalidArgumentError) as error:
        raise type(error)(f"{error} (position {len(encoded)} in the list of paths)") from None
    return encoded


# CO_COROUTINE of `inspect`, which takes longer to import than this package.
_IS_COROUTINE = 0x80


def callback(name: str, given: Any) -> Any:
    """Rejects a callback that is neither a function nor None. This early check makes the traceback show the caller."""
    if given is not None and not callable(given):
        raise TypeError(f"{name} must be a function, not {type(given).__name__}")
    if getattr(getattr(given, "__code__", None), "co_flags", 0) & _IS_COROUTINE:
        raise TypeError(f"{name} must be a plain function: plexindex calls it on a thread, and does not await it")
    return given


def milliseconds(name: str, seconds: float | None, *, none: int | None, zero: int | None = 1) -> int:
    """Converts seconds to whole milliseconds, at least 1.

    ``none`` is the result for None and infinity, ``zero`` the result for 0. If a result is None, its inputs are
    invalid.
    """
    if seconds is None or seconds == float("inf"):
        if none is None:
            raise invalid(name, f"invalid {name} ({seconds}): must be a number of seconds")
        return none
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"{name} must be a number of seconds, not {type(seconds).__name__}")
    if not seconds >= 0:
        raise invalid(name, f"invalid {name} ({seconds}): must be 0 seconds or more")
    if seconds == 0:
        if zero is None:
            raise invalid(name, f"invalid {name} (0): must be greater than zero")
        return zero
    return min(max(1, round(min(seconds, FOREVER_MS) * 1000)), FOREVER_MS)


def invalid(argument: str | None, text: str) -> InvalidArgumentError:
    """Creates the error for an invalid option or argument."""
    error = InvalidArgumentError(text)
    error.argument = argument
    return error


def whole(name: str, value: int | None, most: int = 2**63 - 1) -> int:
    """Rejects any value that is not a whole number from 1 to ``most``. Returns 0 for None."""
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if not 1 <= value <= most:
        raise invalid(name, f"invalid {name} ({value}): must be from 1 to {most}")
    return value


def flag(name: str, value: bool) -> bool:
    """Rejects any value that is not a bool. The string ``"false"`` would count as true."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, not {type(value).__name__}")
    return value


def timeout_ms(seconds: float | None) -> int:
    """Converts a call's timeout to milliseconds. None means the index's default, infinity means no timeout."""
    if seconds is None:
        return 0
    return milliseconds("timeout", seconds, none=c.NO_TIMEOUT)


def file_size(size: SizeArg) -> tuple[int, int]:
    """Converts a file's size to the flags and the field of a query. No file of size 0 matches, so none is read."""
    if size is None:
        return 0, 0
    if size is True or not isinstance(size, int):
        raise TypeError(f"size must be a number of bytes, None or False, not {size!r}")
    if not 0 <= size < 1 << 64:
        raise invalid("size", f"invalid size ({size}): must be from 0 to {(1 << 64) - 1} bytes")
    return (0, size) if size else (c.QUERY_NO_SIZE, 0)


two_numbers = Struct("=2i").unpack_from
"""Returns two numbers at an offset in a block of answers."""


def path_of(value: str | dict[str, str] | None) -> bytes:
    """Returns a path from an answer as bytes, which are empty if the path is absent."""
    if isinstance(value, dict):
        with importing():
            from binascii import a2b_base64

        return a2b_base64(value["bytes"])
    return (value or "").encode()


def text_of(value: str | dict[str, str] | None) -> str | None:
    """Returns a path from an answer as a string. ``surrogateescape`` decodes bytes that are not UTF-8."""
    return path_of(value).decode("utf-8", "surrogateescape") if isinstance(value, dict) else value


def full_path(path: bytes) -> bytes:
    r"""Returns the absolute path of a file on this machine. On Windows, removes the ``\\?\`` prefix of long paths."""
    if os.name == "nt":
        if path[:8].upper() == b"\\\\?\\UNC\\":
            path = b"\\\\" + path[8:]
        elif path[:4] == b"\\\\?\\" and path[5:6] == b":":
            path = path[4:]
    return os.path.abspath(path)


def last_component(path: str) -> str:
    """Returns a path's last component, for messages that can appear in a log. In a Windows path, a backslash is also a
    separator.
    """
    has_drive = path[1:2] == ":" and path[2:3] in ("/", "\\") and path[0].isascii() and path[0].isalpha()
    name = path.replace("\\", "/") if path[:2] == "\\\\" or has_drive else path
    return name.rstrip("/").rpartition("/")[2] or path


def same_file(path: str, others: Sequence[str]) -> bool:
    """Returns whether one of ``others`` is the same path in any spelling."""
    return _compare("equal", path, others)


def lies_under(path: str, folders: Sequence[str]) -> bool:
    """Returns whether a path is below one of the folders."""
    return _compare("under", path, folders)


def _compare(relation: str, path: str, others: Sequence[str]) -> bool:
    # Import the module on first use, because importing the drop-in must be fast.
    with importing():
        from .json_call import ask_without_index

    raw, *given = (text.encode("utf-8", "surrogatepass") for text in (path, *others))
    found = ask_without_index("paths.compare", {"path": raw, "others": given})["relations"]
    return any(one[relation] for one in found)
