"""Explains why Plex does not list a path: by a mapping, by Plex's rules, or by the disk."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from .._core.convert import text_of
from .._core.json_call import ask_without_index
from ..compare import RULES, scope_of
from ..index import Index
from ..mapping import Mapping
from ..match import Match
from .output import one_line


def host_and_server(rule: Mapping) -> tuple[str, str]:
    return os.fsdecode(rule.find), os.fsdecode(rule.replace)


def arrow(rule: Mapping) -> str:
    return " -> ".join(host_and_server(rule))


def to_server(rule: Mapping, paths: Sequence[bytes]) -> list[str | None]:
    """Returns the server's path for each path of the host, or None if the mapping does not apply to it."""
    given = {"from": rule.find, "to": rule.replace}  # the command has no patterns
    answer = ask_without_index("mappings.to_server", {"paths": paths, "mappings": [given]})
    return [text_of(found[0]) if found else None for found in answer["paths"]]


def first_applying(rules: Sequence[Mapping], paths: Sequence[bytes]) -> list[tuple[Mapping, str] | None]:
    """Returns for each path the first mapping that applies to it, and the resulting path on the server."""
    by_rule = [[found and (rule, found) for found in to_server(rule, paths)] for rule in rules]
    return [next(filter(None, found), None) for found in zip(*by_rule)] if rules else [None] * len(paths)


def ignored_by_plex(index: Index, answers: Iterable[Match], paths: Iterable[bytes]) -> dict[bytes, str]:
    """Returns the unmatched files in the libraries' folders that Plex ignores, each with the rule that applies."""
    scope, found = scope_of(index), {}
    for path, answer in zip(paths, answers):
        # On Windows, a path without a drive belongs to a different machine.
        is_here = os.name != "nt" or os.path.splitdrive(path)[0]
        if answer.status != "found" and is_here and (ruling := scope.ruling_for_path(path)):
            found[path] = ruling[0]
    return found


def reasons(index: Index, paths: Iterable[bytes], answers: Iterable[Match]) -> dict[bytes, str]:
    """Returns why paths are unmatched: Plex ignores the file, the path is a folder, or the path does not exist."""
    unmatched = {path: answer for path, answer in zip(paths, answers) if answer.status != "found"}
    why: dict[bytes, str] = {}
    for path in unmatched:
        if os.path.isdir(path):
            why[path] = "the path is a folder: `plexindex folder` shows the items that Plex lists in it"
        # If the parent folder does not exist either, the path may belong to a different machine.
        elif os.path.isdir(os.path.dirname(path) or b".") and not os.path.lexists(path):
            why[path] = "there is no such file on this machine"
    files = {path: answer for path, answer in unmatched.items() if path not in why}
    for path, rule in ignored_by_plex(index, files.values(), files).items():
        what = RULES[rule][0].partition(": ")[0] if rule == "plexignore" else RULES[rule][0]
        why[path] = f"Plex ignores the file because of the rule '{rule}' (see `plexindex diff --rules`): {what}"
        if folder := index.folder(os.path.dirname(path), offline=True).sure:
            why[path] += f"; its folder is {folder.describe()} ({one_line(folder.key)})"
    return why
