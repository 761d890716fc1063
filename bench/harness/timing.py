"""Rounds that take turns, and what they gave: medians with their spread."""

from __future__ import annotations

import gc
import os
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter_ns, thread_time_ns

CPU_TIME = os.environ.get("PLEXINDEX_BENCH_CLOCK") == "cpu"
"""For work on a busy machine: lookups in one thread are timed by what it ran, not by what passed. Never for claims."""
lookup_clock = thread_time_ns if CPU_TIME else perf_counter_ns


class WrongAnswerError(Exception):
    """Something that was measured gave a wrong answer: its time is worth nothing, and the run ends."""


@dataclass(frozen=True)
class Spread:
    """A median with the smallest and the largest value, in seconds or bytes."""

    median: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Of all rounds."""
        values = sorted(values)
        return cls(statistics.median(values), values[0], values[-1], len(values))

    def scaled(self, factor: float) -> Spread:
        """In another unit, or for one of many."""
        return Spread(self.median * factor, self.low * factor, self.high * factor, self.rounds)


def interleaved(rounds: int, contenders: Sequence[tuple[str, Callable[[int], float]]]) -> dict[str, Spread]:
    """Calls every contender once a round, A B C, B C A, C A B, …; each call gives the value measured."""
    values: dict[str, list[float]] = {name: [] for name, _ in contenders}
    for number in range(rounds):
        turn = number % max(1, len(contenders))
        for name, measure in [*contenders[turn:], *contenders[:turn]]:
            gc.collect()
            gc.disable()
            try:
                values[name].append(measure(number))
            finally:
                gc.enable()
    return {name: Spread.of(found) for name, found in values.items()}


def each(get: Callable[..., object], paths: list[str], library: str | None = None) -> tuple[float, list[object]]:
    """Seconds for each path, and the answers: one call a path, kept in a list as any caller would."""
    begun = lookup_clock()
    answers = [get(path) for path in paths] if library is None else [get(library, path) for path in paths]
    return (lookup_clock() - begun) / 1e9 / len(paths), answers


def at_once(get: Callable[[list[str]], Sequence[object]], paths: list[str]) -> tuple[float, Sequence[object]]:
    """Seconds for each path of a batch, and the answers."""
    begun = lookup_clock()
    answers = get(paths)
    return (lookup_clock() - begun) / 1e9 / len(paths), answers


def once(action: Callable[[], object]) -> float:
    """Seconds that it takes."""
    begun = perf_counter_ns()
    action()
    return (perf_counter_ns() - begun) / 1e9


def check(who: str, paths: Sequence[str], answers: Sequence[object], expected: Sequence[object]) -> None:
    """Raises WrongAnswerError with the first answer that is not as expected. Outside of what is timed."""
    if list(answers) == list(expected):
        return
    if len(answers) != len(expected):
        raise WrongAnswerError(f"{who} gave {len(answers)} answers for {len(expected)} paths")
    for path, answer, wanted in zip(paths, answers, expected):
        if answer != wanted:
            raise WrongAnswerError(f"{who} answered {answer!r} for {path!r}, and {wanted!r} is right")
