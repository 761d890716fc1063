"""Checks the user's mappings with a sample of files, because a different mapping may find more of the files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from copy import copy
from itertools import islice, takewhile

from .._core import abi as c
from .._core.convert import text_of
from .._core.paths import lies_under
from ..errors import Error
from ..index import Index
from ..mapping import Mapping, Proposal
from ..match import LISTED, Match
from . import output
from .settings import Settings

# Of the first _LISTED_FILES listed files below a mapping's folder, doctor looks for every _STEP-th on the disk.
_LISTED_FILES, _STEP = 5_000, 25


def arrow(rule: Mapping) -> str:
    return " -> ".join(host_and_server(rule))


def flag(rule: Mapping) -> str:
    """Formats a mapping as an option that a user can paste into the shell."""
    return f"`--mapping {output.as_argument(arrow(rule))}`"


def host_and_server(rule: Mapping) -> tuple[str, str]:
    return os.fsdecode(rule.find), os.fsdecode(rule.replace)


def first_applying(rules: Sequence[Mapping], paths: Sequence[bytes]) -> list[tuple[Mapping, str] | None]:
    """Returns for each path the first mapping that applies to it, and the resulting path on the server."""
    found: list[tuple[Mapping, str] | None] = [None] * len(paths)
    for rule in rules:
        for number, server_path in enumerate(_to_server(rule, paths)):
            if found[number] is None and server_path is not None:
                found[number] = rule, server_path
    return found


def _to_server(rule: Mapping, paths: Sequence[bytes]) -> list[str | None]:
    """Returns the server's path for each path of the host, or None if the mapping does not apply to it."""
    if rule.kind not in (c.MAPPING_HOST_PREFIX, c.MAPPING_HOST_PATTERN):
        return [None] * len(paths)
    from .._core.json_call import ask_without_index  # `plexindex match` needs no JSON for a path that Plex lists

    given = {"from": rule.find, "to": rule.replace, "pattern": rule.kind == c.MAPPING_HOST_PATTERN}
    answer = ask_without_index("mappings.to_server", {"paths": paths, "mappings": [given]})
    return [text_of(found[0]) if found else None for found in answer["paths"]]


def is_sure(answer: Match) -> bool:
    """Returns whether the user confirmed the match, or Plex lists the path, directly or through a mapping."""
    return answer.status == "found" and answer.match_kind in LISTED


def judge(
    settings: Settings, index: Index, paths: Sequence[bytes], answers: Iterable[Match]
) -> tuple[list[str], list[Proposal]]:
    """Compares the user's mappings with the mappings that the files suggest. Returns a sentence for each wrong mapping,
    and the mappings that replace them. Sends no request.

    A mapping is wrong if three conditions hold: Plex lists fewer than half of the files under the paths that the
    mapping produces; Plex lists more of the files with a different mapping; and no file that Plex lists in the
    mapping's folder exists. A file that Plex lists under its own path needs no mapping, and no mapping hides the file.
    """
    found_counts: Counter[Mapping] = Counter()
    lost: dict[Mapping, list[bytes]] = {}
    for path, answer, applied in zip(paths, answers, first_applying(settings.mappings, paths)):
        if applied:
            found_counts[applied[0]] += is_sure(answer)
            lost.setdefault(applied[0], []).extend([] if is_sure(answer) else [path])
    suspects = [rule for rule in lost if len(lost[rule]) > found_counts[rule] and not _is_useful(index, rule)]
    if not suspects:
        return [], _propose(index, paths)
    others = [rule for rule in settings.mappings if rule not in suspects]
    with settings.open(offline=True, mappings=others) as other:
        proposals = _propose(other, paths)
    rules = [*others, *(proposal.mapping for proposal in proposals)]
    with settings.open(offline=True, mappings=rules) as other:
        better = {rule: sum(map(is_sure, other.match_paths(lost[rule], offline=True))) for rule in suspects}
    wrong = [
        _sentence(rule, found_counts[rule], lost[rule], better[rule], proposals)
        for rule in suspects
        if better[rule] > found_counts[rule]
    ]
    return wrong, proposals if len(wrong) == len(suspects) else _propose(index, paths)


def _propose(index: Index, paths: Sequence[bytes]) -> list[Proposal]:
    locations = [location for library in index.libraries(offline=True) for location in library.locations]
    return [_narrowed(proposal, paths, locations) for proposal in index.proposals(paths)]


def _narrowed(proposal: Proposal, paths: Sequence[bytes], locations: Iterable[str]) -> Proposal:
    """Restricts a proposal to the libraries' folders that contain tested files."""
    tested = list(filter(None, _to_server(proposal.mapping, paths)))
    used = [folder for folder in locations if any(lies_under(path, [folder]) for path in tested)]
    separator = "\\" if "\\" in proposal.server else "/"
    levels = zip(*(folder.rstrip("/\\").split(separator) for folder in used))
    common = [level[0] for level in takewhile(lambda level: len(set(level)) == 1, levels)]
    below = common[len(proposal.server.rstrip("/\\").split(separator)) :]
    if not below:
        return proposal
    narrowed = copy(proposal)
    narrowed.host, narrowed.server = os.sep.join([proposal.host.rstrip(os.sep), *below]), separator.join(common)
    return narrowed


def _is_useful(index: Index, rule: Mapping) -> bool:
    """Returns whether any file that Plex lists exists where the mapping expects it, in the sample or elsewhere."""
    listed = index.items_below(rule.find, offline=True)
    try:
        sample = islice(listed, 0, _LISTED_FILES, _STEP)
        return any(os.path.lexists(item.host_path) for item in sample if item.host_path)
    except Error:
        return False  # the mapping has a pattern instead of a folder


def _sentence(rule: Mapping, found: int, lost: Sequence[bytes], better: int, proposals: Sequence[Proposal]) -> str:
    rules = [proposal.mapping for proposal in proposals]
    used = {applied[0] for applied in first_applying(rules, lost) if applied}
    flags = " ".join(flag(one) for one in rules if one in used)
    listed = f"{found:,} of {output.count(found + len(lost), 'file')}"
    return f"the mapping {arrow(rule)} is wrong: with it, Plex lists {listed}; with {flags}, {better:,}"
