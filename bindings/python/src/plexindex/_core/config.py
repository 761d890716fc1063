"""Finds the server, the token, the folder and the mappings in the environment and in configuration files.

The command and :func:`plexindex.open` without a folder use the same sources, in the same order.
"""

from __future__ import annotations

import os
import re
import sys

from ..errors import InvalidArgumentError
from ..mapping import Mapping
from . import Any, Callable, Iterable, Record, importing
from .log import logger


class TokenCommand:
    """A command that prints the token. plexindex runs the command at the start, and after a token is rejected."""

    def __init__(self, command: str, source: str) -> None:
        self._command, self._source = command, source
        self._first_token: str | None = None

    def first(self) -> str:
        """Runs the command, and keeps the token for the first ``__call__``."""
        self._first_token = token = self._run()
        return token

    def __call__(self) -> str:
        """Returns the token from :meth:`first`. Later calls run the command for a new token."""
        token, self._first_token = self._first_token, None
        return self._run() if token is None else token

    def _run(self) -> str:
        with importing():
            import shlex
            import subprocess

        # Errors contain neither the command line nor its output, because both can contain secrets.
        try:
            # Do not split the command line on Windows, where `\` separates folders.
            words = self._command if os.name == "nt" else shlex.split(self._command)
            done = subprocess.run(  # noqa: S603 - the user's own
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=60, check=False
            )
        except subprocess.TimeoutExpired:
            raise InvalidArgumentError(f"{self._source}: the command did not finish within 60 s") from None
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "its quotes do not match"
            raise InvalidArgumentError(f"{self._source}: cannot run the command: {why}") from None
        if done.returncode:
            raise InvalidArgumentError(f"{self._source}: the command failed with exit code {done.returncode}")
        token = done.stdout.decode("utf-8", "replace").strip()
        if not token:
            raise InvalidArgumentError(f"{self._source}: the command printed nothing, but must print the token")
        return token


class Setting(Record):
    """A setting's value and its source."""

    value: Any
    source: str
    renew: TokenCommand | None
    """A command that prints the token, if there is no value."""

    def __init__(self, value: Any, source: str, renew: TokenCommand | None = None) -> None:
        super().__init__(value, source, renew)

    @property
    def is_set(self) -> bool:
        """Whether there is a value, or a command that prints the value."""
        return bool(self.value or self.renew)


class Configuration(Record):
    """All settings, each with its source."""

    server_url: Setting
    token: Setting
    user: Setting
    cache_dir: Setting
    size_limit: Setting
    database: Setting
    shared: Setting
    shared_durable: Setting
    mappings: list[tuple[Mapping, str]]
    file: str
    """The path of plexindex's configuration file, which need not exist."""
    server: str | None
    """The server's name in the file, if it has one."""


class SeveralServersError(InvalidArgumentError):
    """The file has several servers, and none was chosen."""

    names: list[str]


NOTHING = Setting(None, "")


def find(
    given: dict[str, Setting], mappings: Iterable[tuple[Mapping, str]] = (), *, use_server: bool = True
) -> Configuration:
    """Returns the configuration. The ``given`` settings, by name, override the environment, which overrides the files.

    plexindex uses a token only for a server from the same or a later source, and a user only for a token from the same
    or a later source. Without ``use_server``, ignores servers, tokens and shared databases. The setting ``server`` is
    the name of a server in the file, whose own settings come after the ``given`` ones.
    """
    path, file = _read_file(given.get("config", NOTHING))
    tables = file.pop("servers", {})
    environment = {name: variable(f"PLEXINDEX_{name.upper()}") for name in (*SETTINGS, "server")}
    sources = [given, environment, _settings(file, f"in {path}")]
    is_chosen = "server_url" in given or environment["server_url"].value is not None
    server_name = (given.get("server") or (NOTHING if is_chosen else environment["server"])).value
    if server_name is None and use_server and not is_chosen:
        if len(tables) > 1:
            text = f"{path} has several servers: choose one of {', '.join(tables)} with --server or PLEXINDEX_SERVER"
            error = SeveralServersError(text)
            error.names = list(tables)
            raise error
        server_name = next(iter(tables), None)
    own: dict[str, Any] = {}
    if server_name is not None:
        if server_name not in tables:
            there = ", ".join(tables) or "none"
            raise InvalidArgumentError(f"{path} has no server {server_name!r}: the servers are {there}")
        own = tables[server_name]
        sources.insert(1, _settings(own, f"of server {server_name} in {path}"))
        # A server of which only the database is known does not get another source's address.
        use_server = use_server and "server_url" in own

    def first(name: str) -> Setting:
        return next((one[name] for one in sources if one.get(name, NOTHING).value is not None), NOTHING)

    url, token, user = NOTHING, NOTHING, given.get("user", NOTHING)
    if use_server:
        sources = [{**one, "token": _token_of(one)} for one in sources]
        url, token, user = _choose_server(sources)
    store = first("cache_dir")
    if not store.value:
        store = Setting(default_folder(), "the default")
    in_variable = environment["mappings"]
    return Configuration(
        server_url=url,
        token=token,
        user=user,
        cache_dir=_parse(os.path.expanduser, store),
        size_limit=_parse(parse_size, first("size_limit")),
        database=_parse(os.path.expanduser, first("database")),
        shared=first("shared") if use_server else NOTHING,
        shared_durable=_parse(_parse_switch, first("shared_durable")),
        mappings=[
            *mappings,
            *_parse_mappings(own.get("mappings", {}), f"mappings of server {server_name} in {path}"),
            *_parse_mappings((in_variable.value or "").replace(";", "\n").splitlines(), in_variable.source),
            *_parse_mappings(file.get("mappings", {}), f"mappings in {path}"),
        ],
        file=path,
        server=server_name,
    )


def _settings(table: dict[str, Any], place: str) -> dict[str, Setting]:
    return {name: Setting(value, f"{name} {place}") for name, value in table.items()}


# Names of the settings in plexindex's file.
SETTINGS = ("server_url", "token", "token_file", "token_command", "user", "cache_dir", "size_limit", "database",
            "shared", "shared_durable", "mappings")  # fmt: skip


def _read_file(given: Setting) -> tuple[str, dict[str, Any]]:
    """Returns the path and the settings of plexindex's file. Logs a warning about unknown settings."""
    chosen = given if given.value else variable("PLEXINDEX_CONFIG")
    path = os.path.expanduser(chosen.value or os.path.join(folder("config"), "config.toml"))
    if not chosen.value and not os.path.exists(path):
        return path, {}
    with importing():
        if sys.version_info >= (3, 11):
            import tomllib
        else:
            import tomli as tomllib
    try:
        with open(path, "rb") as lines:
            settings = tomllib.load(lines)
    except OSError as error:
        raise InvalidArgumentError(f"cannot read the configuration file {path}: {error.strerror}") from None
    except ValueError as error:
        raise InvalidArgumentError(f"{path} is not TOML: {error}") from None
    servers = settings.get("servers", {})
    if not isinstance(servers, dict) or not all(isinstance(table, dict) for table in servers.values()):
        raise InvalidArgumentError(
            f"servers in {path} must contain a table for each server: see `plexindex help config`"
        )
    _check(settings, (*SETTINGS, "servers"), path)
    for name, table in servers.items():
        _check(table, SETTINGS, f"[servers.{name}] of {path}")
    misplaced = [name for name in ("server_url", "database") if servers and name in settings]
    if misplaced:
        raise InvalidArgumentError(f"{path} has [servers.…]: move {misplaced[0]} into such a table, too")
    return path, settings


def _check(settings: dict[str, Any], names: tuple[str, ...], place: str) -> None:
    """Checks the kind of each setting. Removes unknown settings, with a warning in the log."""
    for name in [name for name in settings if name not in names]:
        del settings[name]
        logger().warning("ignoring the unknown setting %s in %s; the settings are %s", name, place, ", ".join(names))
    for name, value in settings.items():
        kinds: Any = {"mappings": dict, "servers": dict, "size_limit": (str, int), "shared_durable": bool}
        pairs = value.items() if name == "mappings" and isinstance(value, dict) else ()
        is_good = isinstance(value, kinds.get(name, str))
        if not is_good or not all(isinstance(text, str) for pair in pairs for text in pair):
            raise InvalidArgumentError(f"{name} in {place} has a value of the wrong kind: see `plexindex help config`")


def parse_size(text: str | int) -> int:
    """Parses a number of bytes: digits, then K, M, G or T for powers of 1000."""
    number, unit = str(text).strip(), 1
    if number and number[-1] in "KMGTkmgt":
        number, unit = number[:-1], 1000 ** (1 + "KMGT".index(number[-1].upper()))
    if not (number.isascii() and number.isdigit()) or not 0 < int(number) * unit < 2**63:
        raise ValueError(f"{text!r} is not a size: give a number of bytes, such as 500M or 2G")
    return int(number) * unit


def _parse_switch(text: str | bool) -> bool:
    word = str(text).strip().lower()
    if word not in ("1", "yes", "true", "on", "0", "no", "false", "off"):
        raise ValueError(f"{text!r} is neither yes nor no: write 1 or 0")
    return word in ("1", "yes", "true", "on")


def _parse(parse: Callable[[Any], object], setting: Setting) -> Setting:
    """Parses a setting if it is set. An error message contains the setting's source."""
    if setting.value is None:
        return setting
    try:
        return Setting(parse(setting.value), setting.source, setting.renew)
    except ValueError as error:
        raise InvalidArgumentError(f"{setting.source}: {error}") from None


def parse_mapping(text: str) -> tuple[str, str]:
    """Parses the two folders of a mapping: ``HOST=SERVER``, ``HOST:SERVER`` or ``HOST -> SERVER``."""
    text = text.strip()
    # A colon must not belong to a drive letter, and an absolute folder must follow.
    for sign in ("->",) if "->" in text else ("=", "(?<![=:][A-Za-z]):"):
        separator = re.compile(rf" *{sign} *(?=([A-Za-z]:)?[\\/])")
        found = list(separator.finditer(text, 2 if text[1:2] == ":" else 1))
        if len(found) > 1:
            raise ValueError(f"{text!r} can be read in {len(found)} ways: write 'HOST -> SERVER'")
        if found:
            return text[: found[0].start()].strip(), text[found[0].end() :].strip()
    raise ValueError(
        f"{text!r} is not a mapping: give HOST=SERVER, with the server's full folder, such as /mnt/media=/data/media"
    )


def _parse_mappings(given: Iterable[str] | dict[str, str], source: str) -> list[tuple[Mapping, str]]:
    lines = [f"{host} -> {server}" for host, server in given.items()] if isinstance(given, dict) else given
    rules = []
    for line in filter(None, map(str.strip, lines)):
        try:
            rules.append((Mapping.host_prefix(*parse_mapping(line)), source))
        except ValueError as error:
            hint = "; separate mappings with a semicolon or a line break" if source == "PLEXINDEX_MAPPINGS" else ""
            raise InvalidArgumentError(f"{source}: {error}{hint}") from None
    return rules


def folder(kind: str) -> str:
    """Returns plexindex's folder for "data", "config" or "cache", where this system keeps such folders."""
    is_cache = kind == "cache"
    if os.name == "nt":
        local = os.environ.get("LOCALAPPDATA") or os.path.expanduser("~\\AppData\\Local")
        return os.path.join(local, "plexindex", *(["Cache"] if is_cache else []))
    if sys.platform == "darwin":
        return os.path.expanduser(f"~/Library/{'Caches' if is_cache else 'Application Support'}/plexindex")
    default = {"data": "~/.local/share", "config": "~/.config", "cache": "~/.cache"}[kind]
    return os.path.join(os.environ.get(f"XDG_{kind.upper()}_HOME") or os.path.expanduser(default), "plexindex")


def default_folder() -> str:
    """Returns the store's default folder: the system's folder for data, which cleaners of caches spare.

    An index in the former default folder, a cache folder, stays in use if there is none in the new one.
    """
    new, old = folder("data"), folder("cache")
    if os.path.exists(new) or not os.path.exists(old):
        return new
    text = "using the index in the former default folder %s: end all programs that use it, and move it to %s"
    logger().info(text, old, new)
    return old


def _choose_server(sources: list[dict[str, Setting]]) -> tuple[Setting, Setting, Setting]:
    """Returns the first server, token and user. Raises an error if the token belongs to a different server.

    The user must not come after the token, because the user could belong to a different token.
    """

    def first(name: str, among: list[dict[str, Setting]]) -> tuple[int, Setting]:
        found = ((at, one[name]) for at, one in enumerate(among) if one.get(name, NOTHING).is_set)
        return next(found, (len(sources), NOTHING))

    (url_at, url), (token_at, token) = first("server_url", sources), first("token", sources)
    _, user = first("user", sources[: token_at + 1])
    if url.value and not re.match("https?://", url.value.strip(), re.IGNORECASE):
        # `open` rejects the address, with a more useful error than an error about the token.
        return url, NOTHING, user
    if url_at < token_at < len(sources):
        # A token from a later source belongs to the first server in this source or in a later source.
        token_url = first("server_url", sources[token_at:])[1].value
        if token_url is not None and _normalize(token_url) != _normalize(url.value):
            raise InvalidArgumentError(
                f"no token was given for {url.value} (from {url.source}); plexindex sends the token from "
                f"{token.source} only to {token_url}: give a token for this server, or set PLEXINDEX_TOKEN"
            )
    return url, token, user


def _normalize(url: str) -> str:
    scheme, separator, rest = url.strip().partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}{separator}{host.lower()}{slash}{path}".rstrip("/")


def variable(name: str) -> Setting:
    """Returns an environment variable as a setting. An empty variable is treated as missing."""
    return Setting(os.environ.get(name) or None, name)


def _token_of(one: dict[str, Setting]) -> Setting:
    """Returns the token itself, the token from a file, or a command that prints the token."""
    token, file, command = (one.get(name, NOTHING) for name in ("token", "token_file", "token_command"))
    sources = [setting.source for setting in (token, file, command) if setting.value is not None]
    if len(sources) > 1:
        raise InvalidArgumentError(f"{sources[0]} and {sources[1]} are both given: give only one of them")
    if command.value is not None:
        return Setting(None, command.source, TokenCommand(command.value, command.source))
    if file.value is None:
        return token
    try:
        with open(os.path.expanduser(file.value), encoding="utf-8") as lines:
            text = lines.read().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "the file is not text"
        raise InvalidArgumentError(
            f"cannot read {file.source} {file.value}: {why}; give a file that contains the token"
        ) from None
    if not text:
        raise InvalidArgumentError(f"{file.source} {file.value} is empty: it must contain only the token")
    return Setting(text, file.source)
