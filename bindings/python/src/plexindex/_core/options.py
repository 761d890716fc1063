"""Opens a session with the options of :func:`plexindex.open`: finds the configuration, and converts the options."""

from __future__ import annotations

import ctypes
import os
from types import SimpleNamespace

from ..errors import InvalidArgumentError, StoreError
from ..mapping import as_mapping
from . import TYPE_CHECKING, Any, convert, importing, log
from . import abi as c
from .session import Recipe, Session

if TYPE_CHECKING:
    from ..types import PathArg, TokenArg


def open_session(options: dict[str, Any]) -> Session:
    """Opens a session with the options of :func:`plexindex.open`."""
    progress = convert.callback("progress", options.pop("progress"))
    token = options.pop("token")
    text, renew = (token(), token) if callable(token) else (token, None)
    if hasattr(text, "__await__"):
        if hasattr(text, "close"):
            text.close()  # otherwise, Python warns that nobody awaited it
        raise TypeError("token must be a string or a function that returns one: plexindex.aio.open takes a coroutine")
    mappings = options["mappings"]
    if isinstance(mappings, (str, bytes, dict)) or not hasattr(mappings, "__iter__"):
        kind = type(mappings).__name__
        raise TypeError(f"mappings must be a list of pairs such as [('/mnt/media', '/data/media')], not {kind}")
    options["mappings"] = [as_mapping(rule) for rule in mappings]
    if options["cache_dir"] is None:
        text, found_renew = _add_configuration(options, text)
        renew = renew or found_renew
    c_struct = _c_options(text, options)
    renewal = None
    if renew is not None:
        with importing():
            from .renewal import Renewal

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
    recipe = Recipe(os.fsdecode(os.path.abspath(folder)), server_url, bool(text), options)
    session = Session(os.fsdecode(folder), recipe, progress)
    session.open(c_struct, renewal)
    session.plexapi.token = renew or text
    return session


# What options name, which are empty if a variable is not set.
_NOT_EMPTY = {
    "server_url": "the server's address, such as http://127.0.0.1:32400",
    "user": "a name",
    "ca_file": "a PEM file",
    "database": "Plex's database or the folder 'Plex Media Server'",
    "shared": "an address such as postgresql://user@host/database",
}


def _c_options(token: str | None, options: dict[str, Any]) -> c.COptions:
    """Returns a plexindex_options from the arguments of :func:`plexindex.open`. The struct keeps its texts alive."""
    given = SimpleNamespace(**options)
    folder = convert.folder_bytes("cache_dir", given.cache_dir)
    if not folder or b"\0" in folder:
        raise convert.invalid("cache_dir", f"invalid cache_dir ({given.cache_dir!r}): give the path of a folder")
    for name, wanted in _NOT_EMPTY.items():
        if options[name] is not None and not options[name]:
            raise convert.invalid(name, f"{name} is empty: give {wanted}, or None")
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
    """Adds missing options from the environment and the file. Returns the token, and what renews it."""
    with importing():
        from .config import Setting, find

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
        raise StoreError(
            f"cannot create the folder {parent}: {error.strerror}; give cache_dir, or set PLEXINDEX_CACHE_DIR"
        ) from error
    renew = found.token.renew
    return (found.token.value if renew is None else renew()), renew


def configured_token(server_url: str, recipe: Recipe) -> TokenArg:
    with importing():
        from .config import Setting, find

    found = find({"server_url": Setting(server_url, "the pickled index")}).token
    if found.is_set:
        return found.renew or found.value
    if recipe.options["user"] is not None:
        return None  # the content is that of the user, whatever the token
    raise InvalidArgumentError(
        f"the index of {server_url} was pickled without its token: set PLEXINDEX_TOKEN, or set the token in "
        "config.toml, or open the index in each process"
    )
