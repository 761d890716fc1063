"""Converts the values of a batch edit for the C ABI."""

from __future__ import annotations

import ctypes

from . import _constants as c
from . import _convert
from ._errors import InvalidArgumentError
from ._native import CBytes, CEdit, CEditReport
from ._report import EditReport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ._types import FieldArg, KeyArg


class Edit:
    """An edit as a struct of the library. It keeps alive what the struct points to."""

    def __init__(
        self,
        library: int,
        keys: Iterable[KeyArg],
        fields: Mapping[str, FieldArg] | None,
        remove: Mapping[str, str | Iterable[str]] | None,
        locked: bool | None,
        deadline: float | None,
    ) -> None:
        if isinstance(keys, (str, bytes, int)):
            raise TypeError("give a list of keys, not a single key")
        if not hasattr(keys, "__iter__"):
            raise TypeError(f"keys must be a list of keys, not {type(keys).__name__}")
        self.keys = [_convert.key_text(key) for key in keys]
        changes: list[str] = []
        for name, value in dict(fields or {}).items():
            changes += _changes(name, value)
        for name, tags in dict(remove or {}).items():
            changes += _tags(name, tags, "-")
        texts = [*self.keys, *changes]
        if any("\0" in text for text in texts):
            raise InvalidArgumentError("a key, a field or a value contains a NUL character: leave it out")
        self._keys, self._changes = ("".join([f"{text}\0" for text in part]) for part in (self.keys, changes))
        self._states = (ctypes.c_uint8 * max(1, len(self.keys)))()
        self.edit = CEdit(
            size=ctypes.sizeof(CEdit),
            library=library,
            keys=CBytes.of(_convert.text_bytes("key", self._keys)),
            keys_count=len(self.keys),
            changes=CBytes.of(_convert.text_bytes("value", self._changes)),
            changes_count=len(changes) // 2,
            deadline_ms=_convert.deadline_ms(deadline),
            lock=_lock(locked),
        )
        self._report = CEditReport(
            size=ctypes.sizeof(CEditReport),
            states=ctypes.cast(self._states, ctypes.c_void_p),
            states_capacity=len(self.keys),
        )
        self.out_report = ctypes.byref(self._report)

    def report(self) -> EditReport:
        """The report of the edit."""
        return EditReport(self.keys, bytes(self._states), self._report.requests)


def _lock(locked: bool | None) -> int:
    if locked is None:
        return c.EDIT_LEAVE
    if not isinstance(locked, bool):
        raise TypeError(f"locked must be True, False or None, not {type(locked).__name__}")
    return c.EDIT_LOCK if locked else c.EDIT_UNLOCK


def _changes(name: str, value: FieldArg) -> list[str]:
    """Returns the texts of a field change, as the library expects them: name and value in turn."""
    _check_name(name)
    if value is None:
        return [f"{name}!", ""]
    if isinstance(value, str):
        return [name, value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return [name, str(value)]
    return _tags(name, value, "+")


def _tags(name: str, tags: float | str | Iterable[str], sign: str) -> list[str]:
    _check_name(name)
    if isinstance(tags, (bytes, int, float)) or not hasattr(tags, "__iter__"):
        raise TypeError(f"{name} must be a text, a number, a list of tags or None, not {type(tags).__name__}")
    tags = [tags] if isinstance(tags, str) else list(tags)
    if not tags:
        raise InvalidArgumentError(f"{name}=[] changes nothing: leave it out, or name the tags to remove")
    for tag in tags:
        if not isinstance(tag, str):
            raise TypeError(f"a tag of {name} must be str, not {type(tag).__name__}")
    return [text for tag in tags for text in (name + sign, tag)]


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f"a field's name must be str, not {type(name).__name__}")
    if not name.isalnum():
        raise InvalidArgumentError(f"{name!r} is no name of a field: give Plex's, such as 'title' or 'genre'")
