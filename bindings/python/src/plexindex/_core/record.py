"""Values with named fields: ``dataclasses`` and ``typing`` take longer to import than an index to open."""

from __future__ import annotations

from . import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, NoReturn

    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_):
        return lambda kind: kind


@dataclass_transform(frozen_default=True)
class Record:
    """A value with the fields that its class annotates, in order. A field that is set in the class can be omitted."""

    def __init__(self, *values: Any, **named: Any) -> None:
        fields = type(self).__annotations__
        given = {**dict(zip(fields, values)), **named}
        known = given.keys() | vars(type(self)).keys()
        if len(given) != len(values) + len(named) or not given.keys() <= fields.keys() <= known:
            raise TypeError(f"{type(self).__name__} has the fields {', '.join(fields)}")
        vars(self).update(given)

    def __setattr__(self, name: str, _: object) -> NoReturn:
        raise AttributeError(f"cannot set the attribute {name!r} of a {type(self).__name__}")

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(vars(self).values()))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({fields})"
