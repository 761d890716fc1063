"""What the public modules share: the C functions, calls, buffers, JSON, the log and the end of the process."""

from __future__ import annotations

import os
import time

# What `collections.abc` and `threading` have. They import `collections` and `functools`, in 3 and 6 ms of each process
# (`python -X importtime`), and a lookup takes microseconds. Every Python since 3.3 has them; import them from here.
from _collections_abc import Callable as Callable
from _collections_abc import Collection as Collection
from _collections_abc import Generator as Generator
from _collections_abc import ItemsView as ItemsView
from _collections_abc import Iterable as Iterable
from _collections_abc import Iterator as Iterator
from _collections_abc import Mapping as Mapping
from _collections_abc import MutableMapping as MutableMapping
from _collections_abc import Sequence as Sequence
from _collections_abc import ValuesView as ValuesView
from _thread import LockType as LockType
from _thread import RLock as RLock
from _thread import _local as _local
from _thread import allocate_lock as allocate_lock
from _thread import get_ident as get_ident
from _thread import start_new_thread as start_new_thread
from _weakref import ref as ref

# The name that type checkers treat as true. Importing the module ``typing``, which also has this name, takes longer
# than opening an index.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any as Any
    from typing import NoReturn as NoReturn
    from typing import TypeVar

    from typing_extensions import Self as Self
    from typing_extensions import dataclass_transform

    T = TypeVar("T")
    Made = TypeVar("Made", bound="Record")
else:
    Any = NoReturn = Self = T = Made = object  # for annotations, which nothing reads at run time

    def dataclass_transform(**_):
        return lambda kind: kind


# How long a fork waits for imports, in seconds.
_FORK_WAITS = 5.0
_forking = RLock()
# The locks of imports, each with its thread.
_imports: dict[ref[LockType], int] = {}
# What threads have, each with its thread. A forked child, which has only one thread, forgets what the others have.
OWNED: list[dict[Any, int]] = [_imports]
# What begins anew there.
_beginning: dict[ref[Any], None] = {}


def importing() -> LockType:
    """Encloses the imports of a call. Calls import what few processes need, because a new process would otherwise take
    twice as long.

    A fork waits until no other thread is within: a child that was forked during an import would wait forever for the
    thread that imports, which does not exist there. Any number of threads can be within at once, since Python has a
    lock for each module. The lock lives as long as the block, however it ends: so no interruption leaves it behind.
    """
    lock = allocate_lock()
    with _forking:
        _imports[ref(lock, _imports.pop)] = get_ident()
    return lock


def _before_fork() -> None:
    until = time.monotonic() + _FORK_WAITS
    _forking.acquire()
    while any(thread != get_ident() for thread in list(_imports.values())) and time.monotonic() < until:
        _forking.release()
        time.sleep(0.001)
        _forking.acquire()


def _in_child() -> None:
    for owned in OWNED:
        for one, thread in list(owned.items()):
            if thread != get_ident():
                owned.pop(one, None)
    _forking.release()
    for known in list(_beginning):
        if (one := known()) is not None:
            one.begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_forking.release, after_in_child=_in_child)


def begin_in_child(one: Any) -> None:
    """Calls an object's ``begin`` in each forked child, as long as the object lives."""
    _beginning[ref(one, _beginning.pop)] = None


@dataclass_transform(frozen_default=True)
class Record:
    """A value with the fields that its classes annotate, in order: ``dataclasses`` and ``typing`` take longer to import
    than an index to open.
    """

    __match_args__: tuple[str, ...] = ()

    def __init__(self, *values: Any, **named: Any) -> None:
        fields = self.__match_args__
        given = {**dict(zip(fields, values)), **named} if named else dict(zip(fields, values))
        is_whole = len(given) == len(fields) == len(values) + len(named)
        if not is_whole or (named and given.keys() != set(fields)):
            raise TypeError(f"{type(self).__name__} has the fields {', '.join(fields)}")
        self.__dict__.update(given)

    def __init_subclass__(cls) -> None:
        fields = (name for one in reversed(cls.__mro__[:-2]) for name in one.__annotations__)  # as in `dataclasses`
        type.__setattr__(cls, "__match_args__", tuple(dict.fromkeys(fields)))

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
