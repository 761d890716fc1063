"""The part of `plexindex doctor` about files: how they match, and which mappings are missing."""

from __future__ import annotations

import os

from .._paths import lies_under, same_file
from . import codes, commands, output, sample
from .codes import UsageError
from .ignored import ignored_by_plex
from .mappings import arrow, host_and_server, is_sure, judge
from .output import count, share

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from .._answers import Match
    from .._facts import Proposal
    from .._index import Index
    from .._library import LibraryInfo
    from .config import Settings
    from .doctor_report import Report
    from .mappings import Verdict

_EXAMPLES = 3

_MATCH_KINDS = (
    ("confirmed", "recorded as true"),
    ("exact", "listed under this path"),
    ("mapped", "listed, through a mapping"),
    ("suffix", "found by the end of the path; a mapping is more reliable"),
    ("file_name", "found by the file name alone"),
)
_WHY = {
    "not found: no_location": "in no folder of a library; a mapping may be missing",
    "not found: not_listed": "in a folder of a library, but the server does not list them (yet)",
    "not found: unavailable": "unknown, because the server could not be asked",
    "not found: not_fetched": "their library was never fetched: run `plexindex warm`",
    "ambiguous": "several items fit equally well",
}
_LEFT_OUT = "trailers, samples and the like, which Plex ignores; `plexindex diff --left-out` lists them"
_NO_MEDIA = "subtitles, pictures, disc images and the like"
# The share of files that may be missing in Plex while nothing is wrong: it scans new files after a while.
_FEW = 0.1


def read_lists(given: Sequence[str]) -> list[bytes]:
    """Returns the paths of media files among the arguments, and those listed in other files and in standard input.

    Folders are skipped, and a file that cannot be read is refused.
    """
    paths: list[bytes] = []
    for path in given:
        if path == "-":
            paths += commands.read_list(commands.read_stdin())
        elif os.path.isdir(path):
            continue
        elif sample.is_media(path):
            paths.append(os.fsencode(os.path.abspath(path)))
        else:
            try:
                with open(path, "rb") as lines:
                    paths += commands.read_list(lines.read())
            except OSError as error:
                raise UsageError(f"{path}: {error.strerror}; give a folder, or a file that lists paths") from None
    return paths


def check_files(
    report: Report,
    settings: Settings,
    index: Index,
    libraries: list[LibraryInfo],
    options: argparse.Namespace,
    listed: list[bytes],
    *,
    local: bool,
    reached: bool,
) -> None:
    """Counts the files that match, by match kind, and proposes mappings. With ``local`` no request is made."""
    report.title("Files")
    if not local and not any(library.age is not None for library in libraries):
        nothing = "no library was fetched yet, so nothing can match"
        if reached or settings.offline:
            report.bad(f"{nothing}: run `plexindex warm`, or add --yes", codes.LIBRARY)
        else:
            report.note(nothing)  # what is wrong with the server was said
        return
    folders = [path for path in options.path if path != "-" and os.path.isdir(path)]
    ends = sample.extensions({library.kind for library in libraries})
    sample_size = max(options.sample // max(len(folders) + bool(listed), 1), 1)
    samples = [sample.of_folder(folder, sample_size, ends) for folder in folders]
    samples += [sample.of_list(listed, sample_size)] if listed else []
    paths = [path for one in samples for path in one.paths]
    file_count = sum(one.found for one in samples)
    origins = ", ".join("the list on standard input" if path == "-" else path for path in options.path)
    if not paths:
        report.bad(f"there are no media files in {origins}")
        return
    answers = index.match_paths(paths, offline=not local)
    is_complete = all(one.whole for one in samples)
    if len(paths) < file_count or not is_complete:
        more = "" if is_complete else "more than "
        files = f"{output.number(len(paths))} of {more}{count(file_count, 'file')}, from all over"
    else:
        files = f"{count(file_count, 'file')} in"
    report.line(f"  {files} {origins}")
    for rule in settings.mappings:
        report.line(f"  with the mapping {output.clean(arrow(rule))}")
    left_out = ignored_by_plex(index, libraries, answers, paths)
    _count_kinds(report, answers, paths, left_out)
    verdict = judge(settings, index, paths, answers)
    for _, text in verdict.wrong:
        report.bad(text)
    _check_missing_hosts(report, settings, paths, verdict.proposals)
    sure = sum(map(is_sure, answers))
    compared = len(paths) - len(left_out)
    _propose(report, verdict, compared, compared - sure)


def check_mappings(report: Report, settings: Settings, libraries: list[LibraryInfo]) -> None:
    """Reports mappings that do not lead to a folder of any library."""
    locations = [location for library in libraries for location in library.locations]
    for rule in settings.mappings if locations else ():
        host, server = host_and_server(rule)
        if _fits(server, locations):
            if os.path.isabs(host) and not os.path.isdir(host):
                report.note(f"the mapping {arrow(rule)}: there is no folder {host} on this machine")
            continue
        if _fits(host, locations):
            report.bad(
                f"the mapping {arrow(rule)} is swapped: {host} is a folder of Plex's, and the host's comes first; "
                f"try --mapping {output.as_argument(f'{server} -> {host}')}"
            )
        else:
            shown = ", ".join(locations[:_EXAMPLES]) + (", …" if len(locations) > _EXAMPLES else "")
            report.note(f"the mapping {arrow(rule)} fits no folder of Plex's libraries, which are {shown}")


def _fits(folder: str, locations: list[str]) -> bool:
    """Returns whether a folder is a library's folder, lies in one, or has one below it."""
    above = any(lies_under(location, [folder]) for location in locations)
    return above or lies_under(folder, locations) or same_file(folder, locations)


def _count_kinds(report: Report, answers: Sequence[Match], paths: list[bytes], left_out: dict[bytes, str]) -> None:
    by_kind = {kind: 0 for kind, _ in _MATCH_KINDS}
    by_status: dict[str, list[bytes]] = {}
    low = 0
    for path, answer in zip(paths, answers):
        if answer:
            by_kind[answer.match_kind] = by_kind.get(answer.match_kind, 0) + 1
            low += answer.confidence == "low"
        elif path not in left_out:
            name = "ambiguous" if answer.status == "ambiguous" else f"not found: {answer.reason_code}"
            by_status.setdefault(name, []).append(path)
    total = len(paths)
    rows = [(kind.replace("_", " "), output.number(by_kind[kind]), share(by_kind[kind], total), words)
            for kind, words in _MATCH_KINDS if by_kind[kind]]  # fmt: skip
    rows += [(name.replace("_", " "), output.number(len(few)), share(len(few), total), _WHY.get(name, ""))
             for name, few in sorted(by_status.items())]  # fmt: skip
    no_media = sum(rule == "extension" for rule in left_out.values())
    for name, number, words in ("left out", len(left_out) - no_media, _LEFT_OUT), ("never listed", no_media, _NO_MEDIA):
        if number:
            rows.append((name, output.number(number), share(number, total), words))
    report.line(output.table(rows, right=(1, 2), indent="  "))
    for name, few in sorted(by_status.items()):
        report.line(f"\n  {name.replace('_', ' ')}, for example:")
        for path in few[:_EXAMPLES]:
            report.line(f"    {output.one_line(os.fsdecode(path))}")
    if low:
        report.note(f"{count(low, 'answer')} of low confidence: `plexindex match` says why for each file")
    unmatched = sum(map(len, by_status.values()))
    report.values["files"] = {
        "looked_at": total,
        "match_kinds": by_kind,
        "low_confidence": low,
        "left_out": len(left_out),
        "unmatched": {name.replace("_", " "): len(few) for name, few in by_status.items()},
    }
    verb = "is" if unmatched == 1 else "are"
    matches = "matches" if unmatched == 1 else "match"
    compared = total - len(left_out)
    if unmatched and set(by_status) == {"not found: not_listed"} and unmatched <= max(1, compared * _FEW) < compared:
        report.note(f"{count(unmatched, 'file')} {verb} not listed by Plex (yet): `plexindex diff` says why")
    elif unmatched:
        report.bad(
            f"{output.number(unmatched)} of {count(compared, 'file')} {matches} no item, or several",
            codes.LIBRARY if "not found: not_fetched" in by_status else codes.NOT_ALL,
        )
    elif compared:
        report.good(f"each of {'the others' if left_out else 'them'} is a single item")


def _check_missing_hosts(report: Report, settings: Settings, paths: list[bytes], proposals: Sequence[Proposal]) -> None:
    """Reports mappings whose host folder does not exist, if the files suggest another one for the same folder."""
    for rule in settings.mappings:
        host, server = host_and_server(rule)
        if os.path.isdir(host) or any(lies_under(os.fsdecode(path), [host]) for path in paths):
            continue
        for one in proposals:
            if _fits(server, [one.server]):
                right = output.as_argument(arrow(one.mapping))
                report.bad(f"the mapping {arrow(rule)} is wrong: there is no folder {host}; try --mapping {right}")
                break


def _propose(report: Report, verdict: Verdict, total: int, unsure: int) -> None:
    """Reports missing mappings. ``unsure``: number of files that are not listed under their path."""
    tried = [(proposal, proposal.gain or 0) for proposal in verdict.proposals]
    report.values["proposals"] = [
        {"host": one.host, "server": one.server, "matched": gain, "of": total} for one, gain in tried
    ]
    if verdict.wrong:
        report.values["wrong_mappings"] = [dict(zip(("host", "server"), host_and_server(rule))) for rule, _ in
                                           verdict.wrong]  # fmt: skip
    if not tried:
        return
    report.title("Proposed mappings")
    if verdict.wrong:
        report.line("  instead of the wrong ones: the first mapping that applies is used")
    for proposal, gain in tried:
        report.propose(
            f"{output.number(gain)} of {count(total, 'file')} match if {proposal.host} becomes {proposal.server}"
        )
    left = unsure - sum(gain for _, gain in tried)
    if left > 0:
        report.line(f"       {count(left, 'file')} would still not be listed under that path")
    pairs = ", ".join(f"({one.host!r}, {one.server!r})" for one, _ in tried)
    flags = " ".join(f"--mapping {output.as_argument(f'{one.host} -> {one.server}')}" for one, _ in tried)
    lines = "\n".join(f"      {output.clean(one.host)} -> {output.clean(one.server)}" for one, _ in tried)
    report.line(f"\n  for plexindex.open() in Python:\n    mappings=[{pairs}]")
    report.line(f"\n  for this command:\n    {output.clean(flags)}")
    report.line(f"\n  for config.ini of plexapi, which this command reads:\n    [plexindex]\n    mappings =\n{lines}")
