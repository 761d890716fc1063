"""Values with named fields: ``dataclasses`` and ``typing`` take longer to import than an index to open."""

from __future__ import annotations

from . import TYPE_CHECKING, Mapping

if TYPE_CHECKING:
    from typing import Any, NoReturn, TypeVar

    Made = TypeVar("Made", bound="Record")

    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_):
        return lambda kind: kind


@dataclass_transform(frozen_default=True)
class Record:
    """A value with the fields that its classes annotate, in order."""

    __match_args__: tuple[str, ...] = ()

    def __init__(self, *values: Any, **named: Any) -> None:
        fields = self.__match_args__
        given = {**dict(zip(fields, values)), **named} if named else dict(zip(fields, values))
        is_whole = len(given) == len(fields) == len(values) + len(named)
        if not is_whole or (named and given.keys() != set(fields)):
            raise TypeError(f"{type(self).__name__} has the fields {', '.join(fields)}")
        self.__dict__.update(given)

    def __init_subclass__(cls) -> None:
        fields = tuple(dict.fromkeys((*cls.__match_args__, *cls.__annotations__)))
        type.__setattr__(cls, "__match_args__", fields)

    def __setattr__(self, name: str, _: object = None) -> NoReturn:
        raise AttributeError(f"cannot change the attribute {name!r} of a {type(self).__name__}")

    def __delattr__(self, name: str) -> NoReturn:
        self.__setattr__(name)

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(vars(self)[name] for name in self.__match_args__))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={vars(self)[name]!r}" for name in self.__match_args__)
        return f"{type(self).__name__}({fields})"


def record_of(kind: type[Made], facts: Mapping[str, Any], /, **own: Any) -> Made:
    """Creates a record from a JSON answer: its fields by their names, or None; a duration in seconds."""
    known = {name: facts.get(name) for name in kind.__match_args__}
    if "duration" in known and facts.get("duration_ms") is not None:
        known["duration"] = facts["duration_ms"] / 1000
    return kind(**{**known, **own})
