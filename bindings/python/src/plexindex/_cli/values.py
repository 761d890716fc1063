"""Parsers of option values. Each raises an error that says what is wrong."""

from __future__ import annotations

import argparse
import os

from .. import _config


def given(text: str) -> str:
    """A text that is not empty: a shell variable that is not set must not select the default server or store."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty: give a value, or leave the option out")
    return text


def output_format(text: str) -> str:
    """``jsonl`` and ``ndjson`` mean ``json``."""
    return "json" if text in ("jsonl", "ndjson") else text


def seconds(text: str) -> float:
    """A number of seconds above 0."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return number


def seconds_or_never(text: str) -> float:
    """A number of seconds; 0 for never."""
    return 0.0 if text.strip() == "0" else seconds(text)


def positive(text: str) -> int:
    """A whole number above 0."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 1000000")
    return int(text)


def size(text: str) -> int:
    """A number of bytes, such as ``500M``."""
    try:
        return _config.size_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def mapping(text: str) -> tuple[str, str]:
    """Two folders: the host's and the server's."""
    try:
        pair = _config.pair_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    from .sample import is_media

    for folder in pair:
        if os.path.isfile(folder) or is_media(folder):
            raise argparse.ArgumentTypeError(f"{folder} is a file: a mapping is between folders, HOST=SERVER")
    return pair
