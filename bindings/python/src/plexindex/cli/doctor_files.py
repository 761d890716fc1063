"""The report of `plexindex doctor`, and its part on how files match."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Sequence

from .._core.paths import full_path, lies_under, same_file
from ..compare import missing_mounts, scope_of
from ..compare.rules import extensions_of, is_media
from ..compare.walk import MediaFile, Scope, Walk
from ..index import Index
from ..library import Library
from ..mapping import Proposal
from ..match import Match
from . import codes, output
from .ignored import ignored_by_plex
from .mappings import arrow, flag, host_and_server, is_sure, judge
from .match import read_paths
from .options import given
from .output import count, say, share
from .settings import Settings

_EXAMPLES = 3

_MATCH_KINDS = (
    ("confirmed", "recorded by you"),
    ("exact", "listed under this path"),
    ("mapped", "listed under the path that a mapping produces"),
    ("suffix", "found by the end of the path"),
    ("file_name", "found by the file name"),
)
_REASONS = {
    "not found: no location": "not in any library's folder; a mapping may be missing",
    "not found: not listed": "in a library's folder, but not listed by Plex yet",
    "not found: unavailable": "unknown, because the server did not respond",
    "not found: not fetched": "the library was never fetched: run `plexindex refresh`",
    "ambiguous": "several items match equally well",
}
_LEFT_OUT = "files that Plex ignores, such as trailers and samples; `plexindex diff --left-out` lists them"
_NO_MEDIA = "files such as subtitles, pictures and disc images"
# Plex does not scan new files immediately, so doctor reports no problem if at most this share of the files is unlisted.
_FEW = 0.1


_STYLES = {"ok": "good", "note": "warn", "BAD": "bad", "try": "hint"}


class Report:
    """doctor's findings, which are lines of text or one JSON value, and the exit code."""

    def __init__(self) -> None:
        self.proposals: list[dict[str, object]] = []
        self._findings: list[dict[str, str]] = []
        self._code = codes.OK
        self._is_silent = bool(given.get("json") or given.get("quiet"))

    def title(self, text: str) -> None:
        self.line(f"\n{output.paint(text, 'bold')}")

    def line(self, text: str) -> None:
        if not self._is_silent:
            say(text)

    def table(self, rows: Sequence[Sequence[str]], right: tuple[int, ...]) -> None:
        if not self._is_silent:
            output.print_table(rows, right, indent=2)

    def bad(self, text: str, code: int = codes.NOT_ALL) -> None:
        """Reports a problem. The report's first problem determines the exit code."""
        self._code = self._code or code
        self.add("BAD", text)
        if given.get("quiet") and not given.get("json"):
            output.complain(text)

    def ok(self, text: str) -> None:
        self.add("ok", text)

    def note(self, text: str) -> None:
        """Reports what may matter."""
        self.add("note", text)

    def add(self, mark: str, text: str) -> None:
        self._findings.append({"mark": mark, "text": text})
        text = output.fitted(f"  {mark:<5}{output.clean(text)}".replace("\n", f"\n{'':7}"))
        self.line(f"  {output.paint(mark, _STYLES[mark])}{text[2 + len(mark) :]}")

    def end(self) -> int:
        problems = [one["text"] for one in self._findings if one["mark"] == "BAD"]
        if given.get("json"):
            facts = {"findings": self._findings, "proposals": self.proposals, "problems": problems}
            output.say_json({**facts, "exit_code": self._code})
        summary = f"{count(len(problems), 'problem')} found" if problems else "no problems found"
        proposed = f"; {count(len(self.proposals), 'mapping')} proposed" if self.proposals else ""
        self.line(f"\n{output.paint(summary, 'bad' if problems else 'good')}{proposed}")
        return self._code


def check_files(
    report: Report, settings: Settings, index: Index, arguments: Sequence[str], wanted: int, *,
    is_listed: bool, is_reached: bool,
) -> None:  # fmt: skip
    """Counts the files that match, by match kind, and proposes mappings. Sends no request.

    ``wanted``: the size of the sample. ``is_listed``: whether even libraries that were never fetched can match.
    """
    report.title("Files")
    libraries = index.libraries(offline=True)
    if not is_listed and not any(library.age is not None for library in libraries):
        text = "no library was fetched yet, so nothing can match"
        if is_reached or settings.offline:
            report.bad(f"{text}: run `plexindex refresh`, or add --yes", codes.NOT_FETCHED)
        else:
            report.note(text)  # doctor has already reported the cause, which is the server
        return
    for path in arguments:
        if path != "-" and not os.path.lexists(path):
            report.bad(f"there is no file or folder {path}", codes.USAGE)
            return
    folders = [full_path(os.fsencode(path)) for path in arguments if path != "-" and os.path.isdir(path)]
    listed = list(read_paths((path for path in arguments if path == "-" or not os.path.isdir(path)), null=False))
    scope = scope_of(index.library())
    for one in missing_mounts(scope, folders):
        report.bad(f"{one.path}: {one.message}")
    found = [files for files in [*(_media_below(report, folder, scope) for folder in folders), listed] if files]
    paths = [path for files in found for path in _sample(files, max(wanted // len(found), 1))]
    file_count = sum(map(len, found))
    origins = ", ".join("the list on standard input" if path == "-" else path for path in arguments)
    if not paths:
        report.bad(f"there are no media files in {origins}")
        return
    answers = index.match_paths(paths, offline=not is_listed)
    of = "" if len(paths) == file_count else f"a sample of {len(paths):,} of "
    report.line(f"  {of}{count(file_count, 'file')} in {origins}")
    for rule in settings.mappings:
        report.line(f"  with the mapping {output.clean(arrow(rule))}")
    ignored = ignored_by_plex(index, answers, paths)
    _report_counts(report, answers, paths, ignored)
    wrong, proposals = judge(settings, index, paths, answers)
    for text in wrong:
        report.bad(text)
    # A mapping's host folder does not exist, and the files suggest a different one.
    for rule in settings.mappings:
        host, server = host_and_server(rule)
        better = [one for one in proposals if _fits(server, [one.server])]
        if better and not os.path.isdir(host) and not any(lies_under(os.fsdecode(path), [host]) for path in paths):
            there_is = f"there is no folder {host}; try {flag(better[0].mapping)}"
            report.bad(f"the mapping {arrow(rule)} is wrong: {there_is}")
    checked = len(paths) - len(ignored)
    if proposals:
        unsure = checked - sum(map(is_sure, answers))
        _report_proposals(report, settings, proposals, checked, unsure, replaces=bool(wrong))


def check_mappings(report: Report, settings: Settings, libraries: list[Library]) -> None:
    """Reports mappings that do not lead to any library's folder."""
    locations = [location for library in libraries for location in library.locations]
    for rule in settings.mappings if locations else ():
        host, server = host_and_server(rule)
        if _fits(server, locations):
            if os.path.isabs(host) and not os.path.isdir(host):
                report.note(f"the mapping {arrow(rule)}: there is no folder {host} on this machine")
        elif _fits(host, locations):
            swapped = f"`--mapping {output.as_argument(f'{server} -> {host}')}`"
            report.bad(f"the mapping {arrow(rule)} is swapped: {host} is Plex's folder; try {swapped}")
        else:
            shown = ", ".join(locations[:_EXAMPLES]) + (", …" if len(locations) > _EXAMPLES else "")
            report.note(f"the mapping {arrow(rule)} matches no folder in Plex's libraries: {shown}")


def _fits(folder: str, locations: list[str]) -> bool:
    """Returns whether a folder is a location of a library, is in a location, or contains a location."""
    contains_one = any(lies_under(location, [folder]) for location in locations)
    return contains_one or lies_under(folder, locations) or same_file(folder, locations)


def _report_counts(report: Report, answers: Sequence[Match], paths: list[bytes], ignored: dict[bytes, str]) -> None:
    kinds: Counter[str] = Counter(answer.match_kind or "none" for answer in answers if answer.status == "found")
    by_kind = {kind: kinds[kind] for kind, _ in _MATCH_KINDS}
    unmatched: dict[str, list[bytes]] = {}
    for path, answer in zip(paths, answers):
        if answer.status != "found" and path not in ignored:
            name = (
                "ambiguous"
                if answer.status == "ambiguous"
                else f"not found: {(answer.reason or 'none').replace('_', ' ')}"
            )
            unmatched.setdefault(name, []).append(path)
    low = sum(answer.status == "found" and answer.confidence == "low" for answer in answers)
    certain = sum(bool(answer) and answer.match_kind != "mapped" for answer in answers)
    missing = {name: len(files) for name, files in sorted(unmatched.items())}
    never_listed = sum(rule == "extension" for rule in ignored.values())
    counts = [(kind.replace("_", " "), by_kind[kind], words) for kind, words in _MATCH_KINDS]
    counts += [(name, files, _REASONS.get(name, "")) for name, files in missing.items()]
    counts += [("left out", len(ignored) - never_listed, _LEFT_OUT), ("never listed", never_listed, _NO_MEDIA)]
    report.table([(name, f"{files:,}", share(files, len(paths)), words) for name, files, words in counts if files],
                 right=(1, 2))  # fmt: skip
    for name in missing:
        report.line(f"\n  {name}, for example:")
        for path in unmatched[name][:_EXAMPLES]:
            report.line(f"    {output.one_line(os.fsdecode(path))}")
    report.line(f"\n  {certain:,} of {count(len(paths), 'file')} certain without a mapping")
    if low:
        has = count(low, "answer has", "answers have")
        report.note(f"{has} low confidence: use `plexindex match` to see why")
    total, checked = sum(missing.values()), len(paths) - len(ignored)
    if set(missing) == {"not found: not listed"} and total <= max(1, checked * _FEW) < checked:
        verb = "is" if total == 1 else "are"
        report.note(f"{count(total, 'file')} {verb} not listed by Plex yet: `plexindex diff` explains why")
    elif total:
        verb = "matches" if total == 1 else "match"
        code = codes.NOT_FETCHED if "not found: not fetched" in missing else codes.NOT_ALL
        report.bad(f"{total:,} of {count(checked, 'file')} {verb} no item, or several items", code)
    elif checked:
        report.ok(f"each of {'the other files' if ignored else 'the files'} matches a single item")


def _report_proposals(
    report: Report, settings: Settings, proposals: Sequence[Proposal], total: int, unsure: int, *, replaces: bool
) -> None:
    """Reports missing mappings. ``unsure``: how many of the ``total`` files Plex does not list under their path.
    ``replaces``: whether the user's mappings are wrong.
    """
    report.title("Proposed mappings")
    if replaces:
        report.line("  Replace the wrong mappings: plexindex uses the first mapping that applies to a path.")
    for one in proposals:
        gain = one.gain or 0
        unsure -= gain
        report.proposals.append({"host": one.host, "server": one.server, "matched": gain, "of": total,
                                 "contradicted": one.contradicted, "certain": one.certain})  # fmt: skip
        text = f"{gain:,} of {count(total, 'file')} match if {one.host} becomes {one.server}"
        report.add("try", f"{text}{_evidence(one)}")
    if unsure > 0:
        report.line(f"       {count(unsure, 'file')} would still not be listed under the mapped path")
    pairs = [(one.host, one.server) for one in proposals]
    flags = " ".join(flag(one.mapping).strip("`") for one in proposals)
    lines = "\n".join(f"    {_toml(host)} = {_toml(server)}" for host, server in pairs)
    report.line(f"\n  for plexindex.open() in Python:\n    mappings=[{', '.join(map(repr, pairs))}]")
    report.line(f"\n  for this command:\n    {output.clean(flags)}")
    report.line(f"\n  for {settings.found.file}:\n    [mappings]\n{lines}")


def _evidence(proposal: Proposal) -> str:
    """Says what the sizes of files show about a proposal."""
    if proposal.contradicted:
        against = count(proposal.contradicted, "file speaks", "files speak")
        return f"; {against} against it: of another size, or in another folder, too"
    certain = "certain: " if proposal.certain else ""
    return f"; {certain}{count(proposal.matched, 'file has', 'files have')} the size that Plex lists"


def _toml(text: str) -> str:
    return f"'{text}'" if "'" not in text and text.isprintable() else json.dumps(text)


# A walk of a network drive can take long, and a part of it is enough for a sample.
_MAX_SECONDS = 20.0


def _media_below(report: Report, folder: bytes, scope: Scope) -> list[bytes]:
    """Returns the media files below a folder, in folders that Plex does not ignore."""
    paths: list[bytes] = []
    suffixes = extensions_of(library.kind for one in scope.compared for library in one.compared)
    end = time.monotonic() + _MAX_SECONDS
    for found in Walk(scope, folder):
        paths += [one.path for one in found if isinstance(one, MediaFile) and is_media(one.path, suffixes)]
        if time.monotonic() > end:
            report.note(f"{os.fsdecode(folder)} is large: these are the files that were found in {_MAX_SECONDS:.0f} s")
            break
    return paths


def _sample(paths: Sequence[bytes], size: int) -> list[bytes]:
    """Returns paths from all over a list."""
    step = max(len(paths) / size, 1.0)
    return [paths[int(number * step)] for number in range(min(size, len(paths)))]
