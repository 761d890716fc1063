"""Opens an index."""

import os
import sys

from . import accelerator as _accelerator
from . import constants as c
from . import convert as _convert
from . import lazy_index as _lazy_index
from .convert import argument_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ..errors import Error
    from ..index import Index
    from ..mapping import MappingArg
    from .callbacks import ProgressArg
    from .types import PathArg, Renew, TokenArg


def open(
    cache_dir: "PathArg | None" = None,
    server_url: "str | None" = None,
    token: "TokenArg" = None,
    *,
    user: "str | None" = None,
    library_ttl: "float | None" = 3600.0,
    max_age: "float | None" = 86400.0,
    deadline: "float | None" = None,
    connect_timeout: float = 5.0,
    read_timeout: float = 60.0,
    retry_for: "float | None" = 30.0,
    ca_file: "PathArg | None" = None,
    accept_invalid_certs: bool = False,
    offline: bool = False,
    mappings: "Iterable[MappingArg]" = (),
    page_size: int = 1000,
    matches_limit: int = 52_428_800,
    size_limit: "int | None" = None,
    database: "PathArg | None" = None,
    mmap: bool = True,
    slow: "float | None" = 1.0,
    obfuscate_paths: bool = False,
    shared: "str | None" = None,
    shared_retry: "float | None" = 60.0,
    shared_durable: "bool | None" = None,
    log_level: "int | str | None" = None,
    progress: "ProgressArg" = None,
) -> "Index":
    """Opens an index in a folder. Sends no request; the first lookup that needs the server sends one.

    Several processes can open the same folder, and one process can open it several times. All times are in seconds.

    Without ``cache_dir``, the folder, server, token, user, Plex's database, shared log, mappings and size limit come
    from the environment (``PLEXINDEX_URL``, ``PLEXINDEX_TOKEN``, …) and from plexapi's ``config.ini``, as for the
    command ``plexindex``; ``plexindex --help`` lists the sources. Arguments take precedence. plexindex sends a
    configured token only to the server that is configured with the token.

    Args:
        cache_dir: The store's folder. If the folder is missing, plexindex creates it, accessible only to its owner.
            None: the configured folder.
        server_url: Base URL, such as ``http://127.0.0.1:32400``. Without a URL, plexindex answers from the store or
            ``database``.
        token: The Plex token, or a callable that returns the token. plexindex sends the token only to this server, and
            never stores or logs it. ``open`` calls the callable first, and raises its exception. When the server
            rejects the token (401) or reports that it has expired (498), plexindex calls the callable again, on the
            thread of the rejected call and once for all threads, and retries. If the callable then raises, or returns
            None or the same token, plexindex answers from the store, and does not use the callable again for 15
            seconds. Other threads wait for the new token until their deadline, but at most ``read_timeout``.
        user: A name for the user whose view of the server the index contains. None: each token has its own index. Set a
            name if the token changes: a new token for the same user then uses the same index. JSON Web Tokens that
            contain their key pair and their user (``thumbprint``, ``username``) need no name.
        library_ttl: How long a listing is fresh. 0: never; None: until it is invalidated.
        max_age: Age at which plexindex fetches a full listing even if the server reports no change. None: never.
        deadline: Default deadline for calls. None: no limit; 0: hardly any time.
        connect_timeout: Maximum time for connecting.
        read_timeout: Maximum time for which the server may send nothing during a response. For a lookup without a
            listing, at most 15 s.
        retry_for: How long to retry a request after a temporary failure. 0: no retries; None: until the deadline.
        ca_file: PEM file with certificate authorities to trust instead of the system's authorities.
        accept_invalid_certs: Accept any certificate, with a warning in the log.
        offline: Send no requests.
        mappings: Rules between the host's paths and the server's: :class:`plexindex.Mapping`, or pairs of folders
            ``(host, server)``.
        page_size: Number of rows in a page of a listing, from 1 to 1000.
        matches_limit: Maximum size of confirmed matches on disk in bytes. plexindex removes the oldest matches first.
        size_limit: Maximum size of the whole folder in bytes. plexindex removes the least recently refreshed libraries,
            and fetches them again when needed. Confirmed matches, tables and the newest listing remain. If processes
            have different limits, the smallest limit applies. None: no limit.
        database: Plex's own database, on the server's machine: the file ``com.plexapp.plugins.library.db``, its folder,
            or the folder 'Plex Media Server'. plexindex reads the database while the server runs, and never writes to
            it. With only a database, plexindex needs neither a URL nor a token, sends no requests, notices each change
            on the next lookup, and shows all of the server's libraries. None: no database; plexindex never searches for
            one.
        mmap: Whether to map the index files into memory. False: read them into memory.
        slow: Log each call that takes longer than this, with a breakdown of its time: as a warning, or as info if the
            call fetched a library or waited for another fetch. None: log no calls.
        obfuscate_paths: In log lines, errors and reasons, replace a media path with a short hash and the extension,
            such as ``path-3f9a2c1b07.mkv``. The same path in the same folder always has the same hash.
        shared: A PostgreSQL database that several hosts with the same server share, such as
            ``postgresql://user@host/database?sslmode=verify-full``; the password comes from ``PGPASSWORD`` or a
            password file. One host fetches for all, and confirmed matches and invalidations reach all hosts. Each host
            answers from its own folder. You cannot combine ``shared`` with ``database``. Without ``server_url``, the
            hosts exchange nothing.
        shared_retry: How long to wait for an unreachable shared log before asking Plex for listings. None: forever.
        shared_durable: Sync each confirmed match and invalidation for other hosts to disk before the call returns, so
            that a power cut loses none of them. These calls take longer. None: False.
        log_level: Log level of the library: a ``logging`` level, one of ``"error"``, ``"warning"``, ``"info"``,
            ``"debug"`` (with full paths), ``"off"``, or None for the current level of the logger ``plexindex``. The
            level applies to the whole process, and the last ``open`` sets it.
        progress: Default callback for progress (:class:`plexindex.Progress`).

    Raises:
        InvalidArgumentError: an argument is invalid; the message names the argument.
        StoreError: plexindex cannot open or create the folder.
        LoadError: Python cannot load the shared library, or the library has a different version.

    """
    given = dict(locals())
    if isinstance(mappings, (str, bytes, dict)):
        kind = type(mappings).__name__
        raise TypeError(f"mappings must be a list of pairs such as [('/mnt/media', '/data/media')], not {kind}")
    text, renew = (token(), token) if callable(token) else (token, None)
    if cache_dir is None:
        found = _find_configuration(given, text)
        cache_dir, server_url, user, size_limit = found.folder, found.url.value, found.user, found.size_limit
        database, shared, shared_durable, mappings = found.database, found.shared, found.shared_durable, found.mappings
        text, renew = found.token.value, renew or found.token.renew
        if found.token.renew is not None:
            text = found.token.renew()
    mappings = list(mappings)
    given.update(user=user, size_limit=size_limit, shared=shared, shared_durable=shared_durable, mappings=mappings)
    folder = _convert.folder_bytes("cache_dir", cache_dir)
    if not folder or b"\0" in folder:
        raise argument_error(f"invalid cache_dir ({cache_dir!r}): give the path of a folder")
    if database is not None and not os.fspath(database):
        raise argument_error("database is empty: give Plex's database or the folder 'Plex Media Server', or None")
    if shared is not None and not shared:
        raise argument_error("shared is empty: give an address such as postgresql://user@host/database, or omit shared")
    _convert.callback("progress", progress)
    ms = _convert.milliseconds
    forever = _convert.FOREVER_MS
    rules = _rules(mappings)
    texts = (
        folder,
        _text("server_url", server_url),
        _text("token", text),
        _text("user", user),
        None if ca_file is None else _convert.folder_bytes("ca_file", ca_file),
        None if database is None else _convert.folder_bytes("database", database),
        _text("shared", shared),
    )
    numbers = (
        ms("library_ttl", library_ttl, none=c.TTL_NEVER, zero=c.TTL_AT_ONCE),
        ms("max_age", max_age, none=forever),
        ms("deadline", deadline, none=0),
        ms("connect_timeout", connect_timeout, none=None, zero=None),
        ms("read_timeout", read_timeout, none=None, zero=None),
        ms("retry_for", retry_for, none=forever, zero=c.NO_RETRY),
        _whole("matches_limit", matches_limit, 2**63 - 1),
        (c.OPEN_OFFLINE if offline else 0)
        | (c.OPEN_ACCEPT_INVALID_CERTS if accept_invalid_certs else 0)
        | (0 if mmap else c.OPEN_NO_MMAP)
        | (c.OPEN_OBFUSCATE_PATHS if obfuscate_paths else 0)
        | (c.OPEN_SHARED_DURABLE if shared_durable else 0),
        _whole("page_size", page_size, 1000),
        _log_level(log_level),
        ms("slow", slow, none=c.NEVER_SLOW),
        0 if size_limit is None else _whole("size_limit", size_limit, 2**63 - 1),
        ms("shared_retry", shared_retry, none=forever, zero=c.NO_RETRY),
    )
    index: Index | None = None
    if renew is None:
        index = _lazy_index.open_lazily(_accelerator.library_path(), texts, numbers, rules, progress)
    if index is None:
        index = _open_with_ctypes(texts, numbers, rules, progress, renew)
    for name in ("cache_dir", "server_url", "token", "progress"):
        del given[name]
    if database is not None:
        given["database"] = os.path.abspath(os.fspath(database))
    index._recipe = _open_again, (os.fsdecode(os.path.abspath(folder)), server_url, text is not None, given)
    return index


_reopened: "dict[str, Index]" = {}


class _UnavailableIndex:
    """Stands for a pickled index that plexindex cannot open, and for its libraries. Each use raises the error.

    An error during unpickling would end a worker of a multiprocessing.Pool, and the pool would wait forever.
    """

    __slots__ = ("_error",)

    def __init__(self, error: "Error") -> None:
        self._error = error

    def library(self, *_: object, **__: object) -> "_UnavailableIndex":
        """Returns an object that raises the error on each use."""
        return self

    def _refuse(self, *_: object) -> "Any":
        raise self._error

    __enter__ = __len__ = __iter__ = __contains__ = __getitem__ = _refuse

    def __exit__(self, *_: object) -> None:
        pass

    def __getattr__(self, name: str) -> "Any":
        if name.startswith("__"):
            # Python looks for special methods, such as the methods for copying and pickling.
            raise AttributeError(name)
        raise self._error

    def __repr__(self) -> str:
        return f"<plexindex: not opened: {self._error}>"


def _open_again(
    folder: str, server_url: "str | None", has_token: bool, given: "dict[str, Any]"
) -> "Index | _UnavailableIndex":
    """Opens a pickled index. Equal pickles return the same index, which stays open until the process exits."""
    from .. import Error

    try:
        return _opened_again(folder, server_url, has_token, given)
    except Error as error:
        return _UnavailableIndex(error)


def _opened_again(folder: str, server_url: "str | None", has_token: bool, given: "dict[str, Any]") -> "Index":
    name = repr((os.getpid(), folder, server_url, has_token, given))
    found = _reopened.get(name)
    if found is not None and found.is_open:
        return found
    token: TokenArg = None
    if has_token and server_url is not None:
        from .config import NOTHING, Setting, find

        found_token = find(Setting(server_url, "the pickled index"), NOTHING).token
        token = found_token.renew or found_token.value
        if token is None:
            raise argument_error(
                f"the index of {server_url} was pickled without its token: set PLEXINDEX_TOKEN, or set the token in "
                "plexapi's config.ini, or open the index in each process"
            )
    _reopened[name] = index = open(folder, server_url, token, **given)
    return index


def _find_configuration(given: "dict[str, Any]", token: "str | None") -> "Any":
    """Returns the given options, with missing options from the environment and plexapi's file."""
    from ..mapping import as_mapping
    from .config import Setting, find

    names = ("user", "size_limit", "database", "shared", "shared_durable")
    found = find(
        Setting(given["server_url"], "server_url"),
        Setting(token, "token"),
        **{name: given[name] for name in names},
        mappings=[as_mapping(rule) for rule in given["mappings"]],
    )
    os.makedirs(os.path.dirname(os.path.abspath(found.folder)), exist_ok=True)
    return found


def _open_with_ctypes(
    texts: "_lazy_index.Texts",
    numbers: "_lazy_index.Numbers",
    rules: "_lazy_index.Rules",
    progress: "ProgressArg",
    renew: "Renew | None",
) -> "Index":
    """Opens an index through ctypes, without the accelerator."""
    import ctypes

    from .. import Index
    from . import native as _native

    text = _native.CBytes.of
    array = (_native.CMapping * len(rules))(
        *[_native.CMapping(kind, 0, text(find), text(replace)) for kind, find, replace in rules]
    )
    options = _native.COptions(
        ctypes.sizeof(_native.COptions),
        *map(text, texts[:5]),
        *numbers[:10],
        0,
        array if rules else None,
        len(rules),
        *numbers[10:12],
        text(texts[5]),
        shared=text(texts[6]),
        shared_retry_ms=numbers[12],
    )
    if renew is None:
        return Index(_native.load(), options, progress)
    from .callbacks import Renewal, renewal_callback

    renewal = Renewal(renew)
    options.renew_token = renewal_callback(renewal)
    return Index(_native.load(), options, progress, renewal)


def _log_level(level: "int | str | None") -> int:
    if level is None and "logging" not in sys.modules:
        return c.LOG_WARN
    from .log import level_for

    return level_for(level)


def _rules(mappings: "list[MappingArg]") -> "_lazy_index.Rules":
    pairs = [rule for rule in mappings if type(rule) is tuple and len(rule) == 2]
    if len(pairs) < len(mappings):
        # Import the module on first use, because few hosts need it.
        from ..mapping import rules_of

        return rules_of(mappings)
    text = _convert.text_bytes
    return tuple((c.MAPPING_HOST_PREFIX, text("mapping", host), text("mapping", server)) for host, server in pairs)


def _text(name: str, value: "str | None") -> "bytes | None":
    return None if value is None else _convert.text_bytes(name, value)


def _whole(name: str, value: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if not 1 <= value <= most:
        raise argument_error(f"invalid {name} ({value}): must be from 1 to {most}")
    return value
