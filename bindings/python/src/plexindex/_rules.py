"""Applies mappings to the drop-in's rows, as the library does to listed paths."""

from __future__ import annotations

import re

from . import _constants as c
from ._mapping import Mapping
from ._paths import best, components, lies_under, same_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ._mapping import MappingArg

    Rule = Callable[[str], "str | None"]
    Keyed = list[tuple[str, list[str]]]

# In a replacement a backslash is literal, except before a group.
_BACKSLASH = re.compile(r"\\\\|\\(?![1-9]|g<)")


class Rules:
    """The rules of a cache, in order. The library has refused invalid ones before."""

    def __init__(self, mappings: Iterable[MappingArg]) -> None:
        rules = [rule if isinstance(rule, Mapping) else Mapping.host_prefix(*rule) for rule in mappings]
        host = (c.MAPPING_HOST_PREFIX, c.MAPPING_HOST_PATTERN)
        self._to_server = [_rule(rule) for rule in rules if rule.kind in host]
        self._to_host = [_rule(rule) for rule in rules if rule.kind not in host]
        self.rename = any(rule.kind == c.MAPPING_SERVER_PATTERN for rule in rules)
        """Whether a listed file may have another name on the host."""

    def to_server(self, path: str) -> list[str]:
        """Returns the path after each rule that matches it."""
        return [found for found in (rule(path) for rule in self._to_server) if found]

    def best(self, rows: Keyed, path: str, other: str | None) -> tuple[list[str], bool]:
        """Returns the rows that fit the path best, and whether the path is listed or mapped.

        A listed path comes first, then a mapped one, then the longest common end.
        """
        for name in (path, *self.to_server(path), *([other] if other else [])):
            found = _listing(rows, name)
            if found:
                return best(found, path, other), True
        if self._to_host:
            found = _listing([(key, [self._host(file) for file in files]) for key, files in rows], path)
            if found:
                return [key for key, _ in found], True
        return best(rows, path, other), False

    def _host(self, path: str) -> str:
        return next((found for found in (rule(path) for rule in self._to_host) if found is not None), "")


def _listing(rows: Keyed, path: str) -> Keyed:
    return [(key, files) for key, files in rows if same_file(path, files)]


def _rule(rule: Mapping) -> Rule:
    find, replace = (text.decode("utf-8", "surrogateescape") for text in (rule.find, rule.replace))
    if rule.kind in (c.MAPPING_HOST_PREFIX, c.MAPPING_SERVER_PREFIX):
        return lambda path: _moved(path, find, replace)
    pattern, template = re.compile(find), _BACKSLASH.sub(r"\\\\\\\\", replace)

    def rewritten(path: str) -> str | None:
        fits = pattern.search(path)
        return fits and fits.expand(template)

    return rewritten


def _moved(path: str, folder: str, to: str) -> str | None:
    plain = folder.rstrip("/") + "/"
    if path.startswith(plain) and path[-1] != "/" and "//" not in path and "\\" not in path:
        return to.rstrip("/\\") + path[len(plain) - 1 :]
    if not lies_under(path, [folder]):
        return None
    return "/".join([to.rstrip("/\\"), *components(path)[len(components(folder)) :]])
