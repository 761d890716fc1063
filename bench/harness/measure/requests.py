"""Requests to Plex in a day: a Rust test counts them, because its clock can be set."""

from __future__ import annotations

import re
import subprocess

from ..results import OURS, at_most
from ..run import REQUESTS, Run
from ..timing import Figure, WrongAnswerError

ITEMS = 600


def measure(run: Run) -> None:
    """One host, and ten hosts that share their matches and ask the same."""
    if not run.day:
        run.results.absent["requests of a day"] = "a Rust test counts them, and no cargo was found"
        return
    row = run.row("requests of a day", REQUESTS, ITEMS, at_most(175, "requests"), unit="requests")
    row.note = "each hour 10 listed files, a new one, and one that Plex lacks; to list the library each hour takes 24"
    done = subprocess.run(run.day, shell=True, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S602
    found = re.search(r"requests: one (\d+) ten (\d+)", done.stdout)
    if found is None:
        raise WrongAnswerError(f"the test of a day printed no counts: {done.stdout[-500:]}")
    row.add(OURS, Figure(float(found[1])))
    row.add("ten hosts that ask the same", Figure(float(found[2])), ranked=False)
