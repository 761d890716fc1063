"""Checks given mappings against a sample of files: another mapping may find more of them."""

from __future__ import annotations

import os
from itertools import islice

from .._errors import Error
from .._places import Names
from .._rules import Rules
from . import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .._answers import Match
    from .._facts import Proposal
    from .._index import Index
    from .._mapping import Mapping
    from .config import Settings

# How many listed files below a mapping's folder are passed, and each of how many is looked for on the disk.
_LISTED, _EACH = 5_000, 25
# Match kinds of a path that Plex lists.
SURE = ("confirmed", "exact", "mapped")


class Verdict:
    """What is wrong with the given mappings, and which would be better."""

    __slots__ = ("proposals", "wrong")

    def __init__(self) -> None:
        self.wrong: list[tuple[Mapping, str]] = []
        """Mappings that lead to the wrong folder, each with a sentence that names the remedy."""
        self.proposals: list[Proposal] = []
        """Mappings for the files that are not found, in the place of the wrong ones."""


def arrow(rule: Mapping) -> str:
    """Formats a mapping as ``HOST -> SERVER``."""
    return " -> ".join(host_and_server(rule))


def host_and_server(rule: Mapping) -> tuple[str, str]:
    """Returns the two folders of a mapping."""
    return os.fsdecode(rule.find), os.fsdecode(rule.replace)


def applied(rules: Iterable[Mapping], path: str) -> tuple[Mapping, str] | None:
    """Returns the first mapping that applies to a path, and the server's path that it gives."""
    for rule in rules:
        for mapped in Rules([rule]).to_server(path):
            return rule, mapped
    return None


def judge(settings: Settings, index: Index, paths: Sequence[bytes], answers: Iterable[Match]) -> Verdict:
    """Compares the given mappings with those that the files suggest. Sends no request.

    A mapping is wrong if most of its files are not listed under the path that it gives, more of them are with another
    one, and it leads to no listed file. A file that is listed under its own path needs none, and no mapping hides it.
    """
    verdict = Verdict()
    found = dict.fromkeys(settings.mappings, 0)
    lost: dict[Mapping, list[bytes]] = {}
    for path, answer in zip(paths, answers):
        use = applied(settings.mappings, os.fsdecode(path))
        if use is not None and is_sure(answer):
            found[use[0]] += 1
        elif use is not None:
            lost.setdefault(use[0], []).append(path)
    suspects = [
        rule for rule in settings.mappings if len(lost.get(rule, ())) > found[rule] and not _is_of_use(index, rule)
    ]
    others = [rule for rule in settings.mappings if rule not in suspects]
    if not suspects:
        verdict.proposals = index.proposals(paths)
        return verdict
    with settings.open(offline=True, only=others) as other:
        proposals = other.proposals(paths)
    with settings.open(offline=True, only=[*others, *(one.mapping for one in proposals)]) as other:
        better = {rule: sum(map(is_sure, other.match_paths(lost[rule], offline=True))) for rule in suspects}
    for rule in suspects:
        if better[rule] > found[rule]:
            text = _sentence(rule, found[rule], lost[rule], better[rule], proposals)
            verdict.wrong.append((rule, text))
    verdict.proposals = proposals if len(verdict.wrong) == len(suspects) else index.proposals(paths)
    return verdict


def _is_of_use(index: Index, rule: Mapping) -> bool:
    """Returns whether listed files lie where a mapping expects them. The sample may be a folder that Plex lacks."""
    names = Names(index)
    listed = index.items_below(rule.find, offline=True)
    try:
        return any(os.path.lexists(names.host(item.path)) for item in islice(listed, 0, _LISTED, _EACH) if item.path)
    except Error:  # a pattern is no folder
        return False


def is_sure(answer: Match) -> bool:
    """Returns whether a path is listed, by itself or by way of a mapping."""
    return bool(answer) and answer.match_kind in SURE


def _sentence(rule: Mapping, found: int, lost: Sequence[bytes], better: int, proposals: Sequence[Proposal]) -> str:
    total = output.count(found + len(lost), "file")
    rules = [one.mapping for one in proposals]
    used = {use[0] for use in (applied(rules, os.fsdecode(path)) for path in lost) if use is not None}
    flags = " ".join(f"--mapping {output.as_argument(arrow(rule))}" for rule in rules if rule in used)
    return (
        f"the mapping {arrow(rule)} is wrong: Plex lists {output.number(found)} of its {total} under that path, and "
        f"{output.number(better)} with {flags} in its place"
    )
