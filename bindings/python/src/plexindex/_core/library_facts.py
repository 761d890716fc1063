"""Facts about libraries, as in the answer to ``libraries.list``."""

from __future__ import annotations

from . import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


def is_chosen(facts: dict[str, Any], named: Any) -> bool:
    """Returns whether a library is one of the libraries that are named so in a JSON request."""
    if named is None:
        return True
    names = set(named.values()) if isinstance(named, dict) else {named}
    own = {facts["uuid"], facts["section"], facts["title"]}
    return bool(own & names) or facts["title"].casefold() in {name.casefold() for name in names}


def oldest(known: list[dict[str, Any]]) -> float | None:
    """Returns the maximum age of these libraries' listings in seconds."""
    ages = [facts["age_ms"] for facts in known if "age_ms" in facts]
    return max(ages) / 1000 if ages else None
