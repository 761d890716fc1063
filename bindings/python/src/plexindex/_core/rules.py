"""Applies mappings to single paths, so that a report can say which mapping produces which path."""

from __future__ import annotations

import re

from . import TYPE_CHECKING
from . import abi as c
from .paths import components, lies_under

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..mapping import Mapping

# In a replacement, a backslash is literal unless it starts a group reference.
_BACKSLASH = re.compile(r"\\\\|\\(?![1-9]|g<)")


class Rules:
    """An index's mapping rules, in order. The library has already rejected invalid rules."""

    def __init__(self, mappings: Iterable[Mapping]) -> None:
        self._rules = [rule for rule in mappings if rule.kind in (c.MAPPING_HOST_PREFIX, c.MAPPING_HOST_PATTERN)]

    def to_server(self, path: str) -> list[str]:
        """Returns the result of each rule that matches the path."""
        return [found for found in (_apply(rule, path) for rule in self._rules) if found]


def _apply(rule: Mapping, path: str) -> str | None:
    find, replace = (text.decode("utf-8", "surrogateescape") for text in (rule.find, rule.replace))
    if rule.kind == c.MAPPING_HOST_PATTERN:
        found = re.search(find, path)
        return found and found.expand(_BACKSLASH.sub(r"\\\\\\\\", replace))
    if not lies_under(path, [find]):
        return None
    return "/".join([replace.rstrip("/\\"), *components(path)[len(components(find)) :]])
