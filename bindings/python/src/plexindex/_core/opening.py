"""Opens the session of an index: finds the configuration, and describes how another process opens the same index."""

from __future__ import annotations

import os

from ..errors import Error, InvalidArgumentError
from ..mapping import as_mapping
from . import TYPE_CHECKING, accelerator, convert, native
from .options import c_options
from .session import Session

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Optional

    from ..index import Index

    # How another process opens the same index: the folder, the URL, whether there is a token, and the options.
    Recipe = tuple[str, Optional[str], bool, dict[str, Any]]


def open_session(options: dict[str, Any]) -> tuple[Session, Recipe]:
    """Opens a session with the options of :func:`plexindex.open`. Returns the session, and how to open it again."""
    progress = convert.callback("progress", options.pop("progress"))
    token = options.pop("token")
    text, renew = (token(), token) if callable(token) else (token, None)
    mappings = options["mappings"]
    if isinstance(mappings, (str, bytes, dict)) or not hasattr(mappings, "__iter__"):
        kind = type(mappings).__name__
        raise TypeError(f"mappings must be a list of pairs such as [('/mnt/media', '/data/media')], not {kind}")
    options["mappings"] = list(mappings)
    if options["cache_dir"] is None:
        text, found_renew = _add_configuration(options, text)
        renew = renew or found_renew
    native_library = native.load()
    accelerator.fast()
    c_struct = c_options(text, options)
    renewal = None
    if renew is not None:
        from .callbacks import Renewal, renewal_callback

        renewal = Renewal(renew)
        c_struct.renew_token = renewal_callback(renewal)
    session = Session(native_library, c_struct, progress, renewal)
    folder, server_url = os.fsdecode(os.path.abspath(options.pop("cache_dir"))), options.pop("server_url")
    if options["database"] is not None:
        options["database"] = os.path.abspath(os.fspath(options["database"]))
    return session, (folder, server_url, text is not None, options)


def _add_configuration(options: dict[str, Any], token: str | None) -> tuple[str | None, Any]:
    """Adds missing options from the environment and plexapi's file. Returns the token, and what renews it."""
    from .config import Setting, find

    names = ("server_url", "user", "size_limit", "database", "shared", "shared_durable")
    given = {name: Setting(options[name], name) for name in names if options[name] is not None}
    if token is not None:
        given["token"] = Setting(token, "token")
    found = find(given, [(as_mapping(rule), "mappings") for rule in options["mappings"]])
    options.update({name: getattr(found, name).value for name in (*names, "cache_dir")})
    options["mappings"] = [rule for rule, _ in found.mappings]
    os.makedirs(os.path.dirname(os.path.abspath(options["cache_dir"])), exist_ok=True)
    renew = found.token.renew
    return (found.token.value if renew is None else renew()), renew


_reopened: dict[str, Index] = {}


def open_again(
    open_index: Callable[..., Index], folder: str, server_url: str | None, has_token: bool, options: dict[str, Any]
) -> Any:
    """Opens a pickled index with :func:`plexindex.open`. Equal pickles return the same index, which stays open until
    the process exits.
    """
    try:
        return _opened_again(open_index, folder, server_url, has_token, options)
    except Error as error:
        return _UnavailableIndex(error)


def _opened_again(
    open_index: Callable[..., Index], folder: str, server_url: str | None, has_token: bool, options: dict[str, Any]
) -> Index:
    name = repr((os.getpid(), folder, server_url, has_token, options))
    found = _reopened.get(name)
    if found is not None and found.is_open:
        return found
    token: Any = None
    if has_token and server_url is not None:
        from .config import Setting, find

        found_token = find({"server_url": Setting(server_url, "the pickled index")}).token
        token = found_token.renew or found_token.value
        if token is None:
            raise InvalidArgumentError(
                f"the index of {server_url} was pickled without its token: set PLEXINDEX_TOKEN, or set the token in "
                "plexapi's config.ini, or open the index in each process"
            )
    _reopened[name] = index = open_index(folder, server_url, token, **options)
    return index


class _UnavailableIndex:
    """Stands for a pickled index that plexindex cannot open, and for its libraries. Each use raises the error.

    An error during unpickling would end a worker of a multiprocessing.Pool, and the pool would wait forever.
    """

    __slots__ = ("_error",)

    def __init__(self, error: Error) -> None:
        self._error = error

    def library(self, *_: object, **__: object) -> _UnavailableIndex:
        """Returns an object that raises the error on each use."""
        return self

    def _refuse(self, *_: object) -> Any:
        raise self._error

    __enter__ = __iter__ = _refuse

    def __exit__(self, *_: object) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            # Python looks for special methods, such as the methods for copying and pickling.
            raise AttributeError(name)
        raise self._error

    def __repr__(self) -> str:
        return f"<plexindex: not opened: {self._error}>"
