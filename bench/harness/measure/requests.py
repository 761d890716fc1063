"""Requests to Plex in a day: a Rust test counts them, because its clock can be set."""

from __future__ import annotations

import re
import subprocess

from ..results import OURS, below
from ..run import Run
from ..timing import Figure, WrongAnswerError

ITEMS = 600
NAMES = ("one host", OURS, "all ten at once", "all ten, six minutes apart", "ten hosts that share nothing")


def measure(run: Run) -> None:
    """One host, ten hosts that share a log, and ten that share nothing."""
    if not run.day:
        run.results.absent["requests of a day"] = "a Rust test counts them, and no cargo was found"
        return
    row = run.row("requests of a day, ten hosts", "Requests", ITEMS, below("one host", 2.0), unit="requests")
    row.note = "each hour 10 listed files, a new one, and one that Plex lacks"
    done = subprocess.run(run.day, shell=True, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S602
    found = re.search(r"all: one (\S+) turns (\S+) all (\S+) spread (\S+) alone (\S+)", done.stdout)
    if found is None:
        raise WrongAnswerError(f"the test of a day printed no counts: {done.stdout[-500:]}")
    for name, text in zip(NAMES, found.groups()):
        row.add(name, Figure(float(text.split(",")[-1])), ranked=name.startswith("ten"))
