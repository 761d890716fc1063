"""Batch edits of items on the server: the request, and its report."""

from __future__ import annotations

from ._core import TYPE_CHECKING
from ._core import convert as _convert
from .errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from ._core.types import FieldArg, KeyArg


def edit_request(
    keys: Iterable[KeyArg],
    fields: Mapping[str, FieldArg] | None,
    remove: Mapping[str, str | Iterable[str]] | None,
    locked: bool | None,
) -> dict[str, Any]:
    """Returns the request for the method ``edit``, without the library."""
    if isinstance(keys, (str, bytes)) or not hasattr(keys, "__iter__"):
        raise TypeError(f"keys must be a list of keys, not {type(keys).__name__}")
    if locked is not None:
        _convert.flag("locked", locked)
    for argument, given in (("fields", fields), ("remove", remove)):
        if given is not None and not hasattr(given, "keys"):
            raise TypeError(f"{argument} must be a dict of field names and values, not {type(given).__name__}")
    changes: list[dict[str, str]] = []
    for name, value in dict(fields or {}).items():
        _check_field(name, value)
        if value is None:
            changes.append({"field": name})
        elif isinstance(value, (str, int, float)) and not isinstance(value, bool):
            changes.append({"field": name, "set": str(value)})
        else:
            changes += _tags(name, value, "add")
    for name, tags in dict(remove or {}).items():
        _check_field(name, [tags] if isinstance(tags, str) else tags)
        changes += _tags(name, tags, "remove")
    lock = "leave" if locked is None else "lock" if locked else "unlock"
    return {"keys": [_convert.key_bytes(key).decode() for key in keys], "changes": changes, "lock": lock}


# Plex's fields that contain tags, and numbers; and other fields, so that a misspelt name can be recognised.
TAGS = ("collection", "country", "director", "genre", "label", "mood", "producer", "similar", "style", "tag", "writer")
NUMBERS = ("addedAt", "audienceRating", "index", "parentIndex", "rating", "userRating", "year")
TEXTS = ("contentRating", "editionTitle", "originallyAvailableAt", "originalTitle", "studio", "summary", "tagline",
         "title", "titleSort")  # fmt: skip
_SPELLINGS = {name.lower(): name for name in (*TAGS, *NUMBERS, *TEXTS)}


def _check_field(name: str, value: FieldArg) -> None:
    """Rejects what Plex would ignore: a field in the wrong letter case, or with a value of the wrong kind. Plex may
    have more fields.
    """
    if not isinstance(name, str):
        raise TypeError(f"a field's name must be str, not {type(name).__name__}")
    spelling = _SPELLINGS.get(name.lower(), name)
    if spelling != name:
        raise InvalidArgumentError(f"{name!r} is not a field of Plex: write {spelling!r}")
    if value is None:
        return
    is_list = not isinstance(value, (str, bytes, int, float))
    if name in TAGS and not is_list:
        raise InvalidArgumentError(f"{name} contains tags: pass a list, such as [{value!r}]")
    if name in (*NUMBERS, *TEXTS) and is_list:
        raise InvalidArgumentError(f"{name} does not contain tags: pass a single value, not a list")
    if name in NUMBERS and isinstance(value, str):
        try:
            float(value)
        except ValueError:
            raise InvalidArgumentError(f"{name} must be a number, not {value!r}") from None


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


class EditReport:
    """An edit's outcome for each item, by the caller's keys."""

    __slots__ = ("done", "failed", "left", "missing", "requests")

    done: list[str]
    """Keys of edited items."""
    failed: list[str]
    """Keys of the failed request. The server may have edited these items."""
    left: list[str]
    """Keys for which plexindex sent no request."""
    missing: list[str]
    """Keys that do not exist on the server. If any key is missing, plexindex has edited nothing."""
    requests: int
    """Number of edit requests, including a failed request, but not retries."""

    def __init__(self, keys: list[str], states: list[str], requests: int = 0, **_: int) -> None:
        """Creates the report from the answer to the method ``edit``."""

        def of(state: str) -> list[str]:
            return [key for key, one in zip(keys, states) if one == state]

        self.done, self.failed, self.left, self.missing = map(of, ("done", "failed", "no", "missing"))
        self.requests = requests

    def __repr__(self) -> str:
        more = "".join(
            f", {len(keys)} {name}"
            for name, keys in (("failed", self.failed), ("left", self.left), ("missing", self.missing))
            if keys
        )
        requests = "1 request" if self.requests == 1 else f"{self.requests} requests"
        return f"<plexindex.EditReport: {len(self.done)} done{more}, {requests}>"
