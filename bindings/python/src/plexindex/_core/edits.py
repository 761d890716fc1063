"""Converts the values of a batch edit for the library."""

from __future__ import annotations

from ..errors import InvalidArgumentError
from . import TYPE_CHECKING
from . import convert as _convert

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from .types import FieldArg, KeyArg


def edit_request(
    keys: Iterable[KeyArg],
    fields: Mapping[str, FieldArg] | None,
    remove: Mapping[str, str | Iterable[str]] | None,
    locked: bool | None,
) -> dict[str, Any]:
    """Returns the request for the method ``edit``, without the library."""
    if isinstance(keys, (str, bytes, int)):
        raise TypeError("give a list of keys, not a single key")
    if not hasattr(keys, "__iter__"):
        raise TypeError(f"keys must be a list of keys, not {type(keys).__name__}")
    if locked is not None and not isinstance(locked, bool):
        raise TypeError(f"locked must be True, False or None, not {type(locked).__name__}")
    changes: list[dict[str, str]] = []
    for name, value in dict(fields or {}).items():
        changes += _changes(name, value)
    for name, tags in dict(remove or {}).items():
        changes += _tags(name, tags, "remove")
    lock = "leave" if locked is None else "lock" if locked else "unlock"
    return {"keys": [_convert.key_text(key) for key in keys], "changes": changes, "lock": lock}


def _changes(name: str, value: FieldArg) -> list[dict[str, str]]:
    """Returns the changes to a field in the form that the library expects."""
    if not isinstance(name, str):
        raise TypeError(f"a field's name must be str, not {type(name).__name__}")
    if value is None:
        return [{"field": name}]
    if isinstance(value, str):
        return [{"field": name, "set": value}]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return [{"field": name, "set": str(value)}]
    return _tags(name, value, "add")


def _tags(name: str, tags: float | str | Iterable[str], what: str) -> list[dict[str, str]]:
    if isinstance(tags, (bytes, int, float)) or not hasattr(tags, "__iter__"):
        raise TypeError(f"{name} must be a string, a number, a list of tags or None, not {type(tags).__name__}")
    tags = [tags] if isinstance(tags, str) else list(tags)
    if not tags:
        raise InvalidArgumentError(f"{name}=[] changes nothing: omit the field, or list the tags in remove")
    for tag in tags:
        if not isinstance(tag, str):
            raise TypeError(f"a tag of {name} must be str, not {type(tag).__name__}")
    return [{"field": name, what: tag} for tag in tags]
