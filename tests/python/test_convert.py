"""Paths, keys and times on their way to the library."""

from __future__ import annotations

import math
import os
from pathlib import Path, PurePosixPath
from typing import Any

import plexindex
import pytest
from plexindex._core import convert as _convert

REFUSED = plexindex.InvalidArgumentError


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        ("/m/a.mkv", b"/m/a.mkv"),
        ("/m/ü.mkv", "/m/ü.mkv".encode()),
        ("/m/\udcff.mkv", os.fsencode("/m/\udcff.mkv")),
        (b"/m/\xff.mkv", b"/m/\xff.mkv"),
        (PurePosixPath("/m/a.mkv"), b"/m/a.mkv"),
        (Path("relative"), b"relative"),
    ],
)
def test_paths_become_the_file_system_s_bytes(path: Any, raw: bytes) -> None:
    assert _convert.path_bytes(path) == raw
    assert _convert.join_paths([path, "/x"]) == raw + b"\0/x\0"


def test_equal_rules_are_equal_mappings() -> None:
    rules = [plexindex.Mapping.host_prefix("/a", "/b"), plexindex.Mapping.host_prefix(b"/a", b"/b")]
    assert len({*rules, plexindex.Mapping.server_prefix("/a", "/b")}) == 2


def test_seconds_become_milliseconds() -> None:
    def ms(seconds: float | None) -> int:
        return _convert.milliseconds("t", seconds, none=-2, zero=-1)

    assert [ms(value) for value in (1, 0.25, 0, 0.0, 0.0001, None, math.inf)] == [1000, 250, -1, -1, 1, -2, -2]
    assert ms(1e300) == _convert.FOREVER_MS < 2**62
    for wrong in (-1, -0.001, math.nan, -math.inf):
        with pytest.raises(REFUSED, match=r"invalid t .*: must be 0 seconds or more"):
            ms(wrong)
    for kind in ("1", True, [1]):
        with pytest.raises(TypeError):
            ms(kind)  # type: ignore[arg-type]
    with pytest.raises(REFUSED):
        _convert.milliseconds("t", None, none=None)
    with pytest.raises(REFUSED):
        _convert.milliseconds("t", 0, none=None, zero=None)
