"""Opens an index: finds the configuration, converts the options, and says how another process opens the same index."""

from __future__ import annotations

import ctypes
import os
from types import SimpleNamespace

import plexindex

from ._core import TYPE_CHECKING, Iterable, convert, importing, log
from ._core import abi as c
from ._core.session import ForkLock, Session

if TYPE_CHECKING:
    from typing import Any

    from .types import PathArg, TokenArg


class Recipe:
    """How another process opens the same index."""

    def __init__(self, folder: str, server_url: str | None, has_token: bool, options: dict[str, Any]) -> None:
        self.folder, self.server_url, self.has_token, self.options = folder, server_url, has_token, options


def open(
    cache_dir: plexindex.types.PathArg | None = None,
    server_url: str | None = None,
    token: plexindex.types.TokenArg = None,
    *,
    user: str | None = None,
    library_ttl: float | None = 3600.0,
    max_age: float | None = 86400.0,
    timeout: float | None = None,
    connect_timeout: float = 5.0,
    read_timeout: float = 60.0,
    stale_answer_timeout: float | None = 2.0,
    retry_for: float | None = 30.0,
    ca_file: plexindex.types.PathArg | None = None,
    accept_invalid_certs: bool = False,
    offline: bool = False,
    mappings: Iterable[plexindex.types.MappingArg] = (),
    page_size: int = 1000,
    matches_limit: int | None = None,
    size_limit: int | None = None,
    database: plexindex.types.PathArg | None = None,
    mmap: bool = True,
    slow: float | None = 1.0,
    obfuscate_paths: bool = False,
    shared: str | None = None,
    shared_durable: bool | None = None,
    progress: plexindex.types.ProgressArg = None,
) -> plexindex.Index:
    """Opens an index in a folder. Sends no request; the first lookup that needs the server sends one.

    Several processes can open the same folder, and one process can open it several times. All times are in seconds.

    Without ``cache_dir``, the folder, server, token, user, Plex's and the shared database, mappings and size limit come
    from the environment (``PLEXINDEX_SERVER_URL``, ``PLEXINDEX_TOKEN``, …) and from configuration files, as for the
    command ``plexindex``; ``plexindex help config`` lists the sources. Arguments take precedence. plexindex sends a
    configured token only to the server that is configured with the token.

    Args:
        cache_dir: The store's folder. If the folder is missing, plexindex creates it, accessible only to its owner.
            None: the configured folder.
        server_url: Base URL, such as ``http://127.0.0.1:32400``. Without a URL, plexindex answers from the store or
            ``database``.
        token: The Plex token, or a callable that returns it. plexindex sends the token only to this server, and never
            stores or logs it. ``open`` calls the callable, and raises its exception. When the server rejects the token
            (401, or 498 for an expired one), plexindex calls the callable again, on the thread of the rejected call and
            once for all threads, and retries. If the callable then raises, or returns None or the same token, plexindex
            answers from the store, and calls it again after 15 seconds at the earliest. Other threads wait for the new
            token until their timeout, but at most ``read_timeout``.
        user: A name for the user whose view of the server the index contains. None: each token has its own index. With
            a name, a new token for the same user uses the same index. JSON Web Tokens that contain their key pair and
            their user (``thumbprint``, ``username``) need no name.
        library_ttl: How long a listing is fresh. 0: never; None: until it is invalidated.
        max_age: Age at which plexindex fetches a full listing even if the server reports no change. None: never.
        timeout: Default timeout for calls. None: no limit; 0: hardly any time.
        connect_timeout: Maximum time for connecting.
        read_timeout: Maximum time for which the server may send nothing during a response. For a lookup without a
            listing, at most 15 s.
        stale_answer_timeout: Maximum time that a query without ``check`` waits for the server if a stored listing can
            answer; the answer is then stale. None: no limit.
        retry_for: How long to retry a request after a temporary failure. 0: no retries; None: until the timeout.
        ca_file: PEM file with the authorities, or the server's own certificate, to trust instead of the system's.
        accept_invalid_certs: Accept any certificate, with a warning in the log.
        offline: Send no requests. The folder can then be one that this user cannot write to, such as in a container
            image, if the index was closed there: queries work, and writes raise StoreError.
        mappings: Rules between the host's paths and the server's: :class:`plexindex.Mapping`, or pairs of folders
            ``(host, server)``.
        page_size: Number of rows in a page of a listing, from 1 to 1000.
        matches_limit: Maximum size of confirmed matches on disk in bytes. plexindex removes the oldest matches first.
            None: 50 MiB, or 500 MiB with ``shared``.
        size_limit: Maximum size of the whole folder in bytes. plexindex removes the least recently refreshed libraries,
            and fetches them again when needed, but no confirmed matches, tables or newest listing. The smallest limit
            of all processes applies. None: no limit.
        database: Plex's own database, on the server's machine: the file ``com.plexapp.plugins.library.db``, its folder,
            or the folder 'Plex Media Server'. plexindex reads it while the server runs, and never writes to it. With
            only a database, plexindex needs neither a URL nor a token, sends no requests, notices each change on the
            next lookup, and shows all of the server's libraries. None: no database.
        mmap: Whether to map the index files into memory. False: read them into memory.
        slow: Log each call that takes longer than this, with a breakdown of its time: as a warning, or as info if the
            call fetched a library or waited for another fetch. None: log no calls.
        obfuscate_paths: In log lines, errors and reasons, replace a media path with a short hash and the extension,
            such as ``path-3f9a2c1b07.mkv``: always the same for the same path and ``cache_dir``.
        shared: A PostgreSQL database that several hosts with the same server share, such as
            ``postgresql://user@host/database?sslmode=verify-full``; the password comes from ``PGPASSWORD`` or a
            password file. Confirmed matches and invalidations reach all hosts. Needs ``server_url``, and cannot be
            combined with ``database``.
        shared_durable: Sync each confirmed match and invalidation for other hosts to disk before the call returns, so
            that a power cut loses none. None: False.
        progress: Default callback for progress (:class:`plexindex.Progress`).

    Raises:
        InvalidArgumentError: an argument is invalid; the message names the argument.
        StoreError: plexindex cannot open or create the folder.
        ImportError: Python cannot load the shared library, or the library has a different version.

    >>> with plexindex.open(cache_dir, server_url=plex.url, token=plex.token) as index:
    ...     index.match("/films/Sintel (2010).mkv").title
    'Sintel'
    """
    return plexindex.Index(open_session(dict(locals())))


def open_tables(folder: str) -> Session:
    """Opens a folder for its tables, without the classes of an index, which take a new process time to import."""
    defaults: Any = open.__kwdefaults__
    return open_session({**defaults, "cache_dir": folder, "server_url": None, "token": None, "slow": None})


def open_session(options: dict[str, Any]) -> Session:
    """Opens a session with the options of :func:`plexindex.open`."""
    progress = convert.callback("progress", options.pop("progress"))
    token = options.pop("token")
    text, renew = (token(), token) if callable(token) else (token, None)
    if hasattr(text, "__await__"):
        text.close()
        raise TypeError("token must be a string or a function that returns one: plexindex.aio.open takes a coroutine")
    mappings = options["mappings"]
    if isinstance(mappings, (str, bytes, dict)) or not hasattr(mappings, "__iter__"):
        kind = type(mappings).__name__
        raise TypeError(f"mappings must be a list of pairs such as [('/mnt/media', '/data/media')], not {kind}")
    options["mappings"] = [plexindex.mapping.as_mapping(rule) for rule in mappings]
    if options["cache_dir"] is None:
        text, found_renew = _add_configuration(options, text)
        renew = renew or found_renew
    c_struct = _c_options(text, options)
    renewal = None
    if renew is not None:
        with importing:
            from ._core.renewal import Renewal

        renewal = Renewal(renew)
        c_struct.renew_token, c_struct.renew_token_user = renewal.call, renewal.user
    for name in ("database", "ca_file"):
        if options[name] is not None:
            try:
                options[name] = os.path.abspath(os.fspath(options[name]))
            except OSError as error:
                raise convert.invalid(
                    name, f"{name} is relative, but there is no working directory: {error}"
                ) from error
    folder, server_url = os.fspath(options.pop("cache_dir")), options.pop("server_url")
    recipe = Recipe(os.fsdecode(os.path.abspath(folder)), server_url, text is not None, options)
    session = Session(os.fsdecode(folder), recipe, progress)
    session.open(c_struct, renewal)
    session.token = renew or text
    return session


def _c_options(token: str | None, options: dict[str, Any]) -> c.COptions:
    """Returns a plexindex_options from the arguments of :func:`plexindex.open`. The struct keeps its texts alive."""
    given = SimpleNamespace(**options)
    folder = convert.folder_bytes("cache_dir", given.cache_dir)
    if not folder or b"\0" in folder:
        raise convert.invalid("cache_dir", f"invalid cache_dir ({given.cache_dir!r}): give the path of a folder")
    if given.database is not None and not convert.folder_bytes("database", given.database):
        raise convert.invalid(
            "database", "database is empty: give Plex's database or the folder 'Plex Media Server', or None"
        )
    if given.shared is not None and not given.shared:
        raise convert.invalid(
            "shared", "shared is empty: give an address such as postgresql://user@host/database, or omit shared"
        )
    for name in ("accept_invalid_certs", "offline", "mmap", "obfuscate_paths", "shared_durable"):
        if name != "shared_durable" or given.shared_durable is not None:
            convert.flag(name, options[name])
    ms, forever = convert.milliseconds, convert.FOREVER_MS
    rules = [c.CMapping(rule.kind, 0, _bytes(rule.find), _bytes(rule.replace)) for rule in given.mappings]
    return c.COptions(
        size=ctypes.sizeof(c.COptions),
        cache_dir=_bytes(folder),
        server_url=_text("server_url", given.server_url),
        token=_text("token", token, hidden=True),
        user=_text("user", given.user),
        ca_file=_path("ca_file", given.ca_file),
        library_ttl_ms=ms("library_ttl", given.library_ttl, none=c.TTL_NEVER, zero=c.TTL_AT_ONCE),
        max_age_ms=ms("max_age", given.max_age, none=forever),
        timeout_ms=ms("timeout", given.timeout, none=0),
        connect_timeout_ms=ms("connect_timeout", given.connect_timeout, none=None, zero=None),
        read_timeout_ms=ms("read_timeout", given.read_timeout, none=None, zero=None),
        retry_ms=ms("retry_for", given.retry_for, none=forever, zero=c.NO_RETRY),
        matches_limit=convert.whole("matches_limit", given.matches_limit),
        flags=(c.OPEN_OFFLINE if given.offline else 0)
        | (c.OPEN_ACCEPT_INVALID_CERTS if given.accept_invalid_certs else 0)
        | (0 if given.mmap else c.OPEN_NO_MMAP)
        | (c.OPEN_OBFUSCATE_PATHS if given.obfuscate_paths else 0)
        | (c.OPEN_SHARED_DURABLE if given.shared_durable else 0),
        log_level=log.follow_level(),
        page_size=convert.whole("page_size", given.page_size, 1000),
        mappings=(c.CMapping * len(rules))(*rules) if rules else None,
        mappings_count=len(rules),
        slow_ms=ms("slow", given.slow, none=c.NEVER_SLOW),
        size_limit=convert.whole("size_limit", given.size_limit),
        database=_path("database", given.database),
        shared=_text("shared", given.shared, hidden=True),
        stale_answer_timeout_ms=ms("stale_answer_timeout", given.stale_answer_timeout, none=forever),
    )


def _text(name: str, value: str | None, hidden: bool = False) -> c.CBytes:
    return _bytes(None if value is None else convert.text_bytes(name, value, hidden))


def _path(name: str, value: PathArg | None) -> c.CBytes:
    return _bytes(None if value is None else convert.folder_bytes(name, value))


def _bytes(raw: bytes | None) -> c.CBytes:
    """Returns a struct that points to the bytes, and keeps them alive."""
    return c.CBytes() if raw is None else c.CBytes(raw, len(raw))


def _add_configuration(options: dict[str, Any], token: str | None) -> tuple[str | None, Any]:
    """Adds missing options from the environment and plexapi's file. Returns the token, and what renews it."""
    with importing:
        from ._core.config import Setting, find

    names = ("server_url", "user", "size_limit", "database", "shared", "shared_durable")
    given = {name: Setting(options[name], name) for name in names if options[name] is not None}
    if token is not None:
        given["token"] = Setting(token, "token")
    found = find(given, [(rule, "mappings") for rule in options["mappings"]])
    options.update({name: getattr(found, name).value for name in (*names, "cache_dir")})
    options["mappings"] = [rule for rule, _ in found.mappings]
    parent = os.path.dirname(os.path.abspath(options["cache_dir"]))
    try:
        os.makedirs(parent, exist_ok=True)
    except OSError as error:
        raise plexindex.StoreError(
            f"cannot create the folder {parent}: {error.strerror}; give cache_dir, or set PLEXINDEX_CACHE_DIR"
        ) from error
    renew = found.token.renew
    return (found.token.value if renew is None else renew()), renew


_reopened: dict[str, Session] = {}
_reopening = ForkLock()


def open_again(recipe: Recipe) -> Any:
    """Opens a pickled index. Equal pickles share a handle, which stays open until each of their indexes was closed, or
    until the process exits. Each call of an index that cannot be opened raises the reason.
    """
    name = repr((os.getpid(), vars(recipe)))
    with _reopening():
        shared = _reopened[name].share() if name in _reopened else None
        if shared is None:
            place: dict[str, Any] = {"cache_dir": recipe.folder, "server_url": recipe.server_url, "progress": None}
            try:
                url = recipe.server_url
                place["token"] = _configured_token(url, recipe) if recipe.has_token and url is not None else None
                _reopened[name] = open_session({**recipe.options, **place})
            except plexindex.Error as error:
                # An error during unpickling would end a worker of a multiprocessing.Pool, and the pool would wait
                # forever.
                return plexindex.Index(Session(recipe.folder, recipe, reason=error))
            shared = _reopened[name].share()
    assert shared is not None, "nobody else has the session"
    return plexindex.Index(shared)


def _configured_token(server_url: str, recipe: Recipe) -> TokenArg:
    with importing:
        from ._core.config import Setting, find

    found = find({"server_url": Setting(server_url, "the pickled index")}).token
    if found.is_set:
        return found.renew or found.value
    if recipe.options["user"] is not None:
        return None  # the content is that of the user, whatever the token
    raise plexindex.InvalidArgumentError(
        f"the index of {server_url} was pickled without its token: set PLEXINDEX_TOKEN, or set the token in plexapi's "
        "config.ini, or open the index in each process"
    )
