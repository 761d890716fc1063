"""Functions that parse option values. If a value is invalid, the error says why."""

from __future__ import annotations

from argparse import ArgumentTypeError

from .._core import config as _config

FORMATS = ("text", "keys", "paths", "tsv", "json")


def not_empty(text: str) -> str:
    """Rejects an empty string, because an unset shell variable must not select the default server or store."""
    if not text:
        raise ArgumentTypeError("the value is empty: give a value, or omit the option")
    return text


def output_format(text: str) -> str:
    """Returns the name of an output format; ``jsonl`` and ``ndjson`` mean ``json``."""
    return "json" if text in ("jsonl", "ndjson") else text


def seconds(text: str) -> float:
    """Parses a positive number of seconds."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number < 1e9:
        raise ArgumentTypeError(f"{text!r} is not a positive number of seconds")
    return number


def seconds_or_never(text: str) -> float:
    """Parses a number of seconds. 0 means never."""
    return 0.0 if text.strip() == "0" else seconds(text)


def positive(text: str) -> int:
    """Parses a positive integer."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 1_000_000:
        raise ArgumentTypeError(f"{text!r} is not a number from 1 to 1000000")
    return int(text)


def size(text: str) -> int:
    """Parses a number of bytes, such as ``500M``."""
    try:
        return _config.parse_size(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def mapping(text: str) -> tuple[str, str]:
    """Parses a mapping into the host's folder and the server's folder."""
    try:
        return _config.parse_mapping(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
