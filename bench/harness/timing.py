"""How long calls take: their mean, their median, and what one call in a thousand exceeds."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any

MOST_TIMED = 20_000
"""Calls of a round that are timed one by one, for the median and the tail."""


class WrongAnswerError(Exception):
    """A contender gave a wrong answer: its time is worth nothing, and the run ends."""


@dataclass(frozen=True)
class Figure:
    """What a contender needed: seconds, bytes or a count. Only the mean is always known."""

    mean: float
    median: float | None = None
    tail: float | None = None
    """One value in a thousand is larger; of fewer values the largest."""
    longest: float | None = None

    @classmethod
    def of(cls, values: Iterable[float]) -> Figure:
        """The figure of single values."""
        ordered = sorted(values)
        if len(ordered) == 1:
            return cls(ordered[0])
        tail = ordered[-1 - len(ordered) // 1000]
        return cls(sum(ordered) / len(ordered), statistics.median(ordered), tail, ordered[-1])


def in_turns(rounds: int, contenders: dict[str, Callable[[int], Any]]) -> dict[str, list[Any]]:
    """Calls each contender once a round, A B C, B C A, C A B, and returns what each call returned."""
    names = list(contenders)
    found: dict[str, list[Any]] = {name: [] for name in names}
    for number in range(rounds):
        turn = number % len(names)
        for name in [*names[turn:], *names[:turn]]:
            gc.collect()
            gc.disable()
            try:
                found[name].append(contenders[name](number))
            finally:
                gc.enable()
    return found


def seconds_of(action: Callable[[], object]) -> float:
    """How long one call takes."""
    begun = perf_counter_ns()
    action()
    return (perf_counter_ns() - begun) / 1e9


def mean_of_calls(get: Callable[..., object], paths: list[str], library: str = "") -> tuple[float, list[object]]:
    """Seconds a call, and the answers, kept in a list as a caller would."""
    begun = perf_counter_ns()
    answers = [get(library, path) for path in paths] if library else [get(path) for path in paths]
    return (perf_counter_ns() - begun) / 1e9 / len(paths), answers


def each_call(get: Callable[..., object], arguments: Iterable[tuple[Any, ...]]) -> list[float]:
    """Seconds of each call, without those that reading the clock takes."""
    now = perf_counter_ns
    empty = statistics.median(-(now() - now()) for _ in range(1000))
    found = []
    for one in arguments:
        begun = now()
        get(*one)
        found.append(max(0.0, now() - begun - empty) / 1e9)
    return found


def check(who: str, paths: Sequence[str], answers: Sequence[object], expected: Sequence[object]) -> None:
    """Raises WrongAnswerError with the first answer that is not as expected. Never part of a time."""
    for path, answer, wanted in zip(paths, answers, expected, strict=True):
        if answer != wanted:
            raise WrongAnswerError(f"{who} answered {answer!r} for {path!r}, and {wanted!r} is right")
