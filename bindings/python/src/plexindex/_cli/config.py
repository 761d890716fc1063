"""Where server, token, folder and mappings come from: flags, the environment, and the file that plexapi users have."""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

from .._mapping import Mapping
from .codes import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from .._callbacks import ProgressArg
    from .._index import Index


class Named(NamedTuple):
    """A value, and where it is from."""

    value: str | None
    source: str


class Layer(NamedTuple):
    """One place that may name a server and a token."""

    url: Named
    token: Named


HELP = """\
server, token and folder are looked for in this order:
  1. flags: --url, --token-file or --token, --dir, --size-limit, --mapping
  2. the environment: PLEXINDEX_URL, PLEXINDEX_TOKEN, PLEXINDEX_TOKEN_FILE, PLEXINDEX_DIR, PLEXINDEX_SIZE_LIMIT
  3. plexapi's environment: PLEXAPI_AUTH_SERVER_BASEURL, PLEXAPI_AUTH_SERVER_TOKEN
  4. plexapi's file, ~/.config/plexapi/config.ini or what PLEXAPI_CONFIG_PATH names:
         [auth]
         server_baseurl = http://127.0.0.1:32400
         server_token = YOUR-TOKEN
         [plexindex]
         dir = /var/cache/plexindex
         size_limit = 2G
         mappings =
             /mnt/media -> /data/media
A token is sent only to the server that it stands beside. The folder is ~/.cache/plexindex where none is named."""


class Settings:
    """What was found, and where."""

    __slots__ = ("ca_file", "deadline", "folder", "insecure", "mappings", "offline", "size_limit", "token",
                 "token_from", "url", "url_from", "user", "verbose")  # fmt: skip

    def __init__(self, options: argparse.Namespace) -> None:
        path, file = _plexapi_file()
        auth, ours = file.get("auth", {}), file.get("plexindex", {})
        layers = [
            Layer(Named(options.url, "--url"), _token_of(options.token, "--token", options.token_file, "--token-file")),
            Layer(
                _variable("PLEXINDEX_URL"),
                _token_of(
                    *_variable("PLEXINDEX_TOKEN"),
                    *_variable("PLEXINDEX_TOKEN_FILE"),
                ),
            ),
            Layer(_variable("PLEXAPI_AUTH_SERVER_BASEURL"), _variable("PLEXAPI_AUTH_SERVER_TOKEN")),
            Layer(Named(auth.get("server_baseurl"), path), Named(auth.get("server_token"), path)),
        ]
        url, token = _chosen(layers)
        self.url, self.url_from = url
        self.token, self.token_from = token
        folder = options.dir or _variable("PLEXINDEX_DIR").value or ours.get("dir") or default_folder()
        self.folder: str = os.path.expanduser(folder)
        self.size_limit: int | None = options.size_limit
        if self.size_limit is None:
            self.size_limit = _size_from(_variable("PLEXINDEX_SIZE_LIMIT")) or _size_from(
                Named(ours.get("size_limit"), f"{path}, [plexindex] size_limit")
            )
        self.mappings = [Mapping.host_prefix(host, server) for host, server in options.mapping or ()]
        self.mappings += _mappings_of(ours.get("mappings", ""), path)
        self.user: str | None = options.user
        self.ca_file: str | None = options.ca_file
        self.insecure: bool = options.insecure
        self.offline: bool = options.offline
        self.deadline: float | None = options.deadline
        self.verbose: int = options.verbose

    def open(self, *, mappings: list[Mapping] | None = None, progress: ProgressArg = None, **options: object) -> Index:
        """An index with these settings; ``mappings`` come after those that were found."""
        from .._open import open

        chosen: dict[str, object] = {
            "user": self.user,
            "ca_file": self.ca_file,
            "accept_invalid_certs": self.insecure,
            "offline": self.offline,
            "deadline": self.deadline,
            "size_limit": self.size_limit,
            "mappings": self.mappings + (mappings or []),
            "progress": progress,
            "retry_for": 3.0,
            # At a terminal a slow call shows by itself.
            "slow": 1.0 if self.verbose else None,
            **options,
        }
        return open(self.folder, self.url, self.token, **chosen)  # type: ignore[arg-type]


def size_of(text: str) -> int:
    """A number of bytes: digits, and K, M, G or T for 1000 of what stands before."""
    number, unit = text.strip(), 1
    if number and number[-1] in "KMGTkmgt":
        number, unit = number[:-1], 1000 ** (1 + "KMGT".index(number[-1].upper()))
    if not (number.isascii() and number.isdigit()) or not 0 < int(number) * unit < 2**63:
        raise ValueError(f"{text!r} is no size: give a number of bytes, or one such as 500M or 2G")
    return int(number) * unit


def _size_from(named: Named) -> int | None:
    if not named.value:
        return None
    try:
        return size_of(named.value)
    except ValueError as error:
        raise UsageError(f"{named.source}: {error}") from None


def default_folder() -> str:
    """Where the store is when no folder is named."""
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Caches/plexindex")
    return os.path.join(_variable("XDG_CACHE_HOME").value or os.path.expanduser("~/.cache"), "plexindex")


def _chosen(layers: list[Layer]) -> tuple[Named, Named]:
    """The first server and the first token."""
    at = next((number for number, layer in enumerate(layers) if layer.url.value), len(layers))
    by = next((number for number, layer in enumerate(layers) if layer.token.value), len(layers))
    nothing = Named(None, "")
    url = layers[at].url if at < len(layers) else nothing
    token = layers[by].token if by < len(layers) else nothing
    if at < by < len(layers):
        # A token from further down was written for the server that stands beside it, or below.
        own = next((layer.url.value for layer in layers[by:] if layer.url.value), None)
        if own is not None and _normal(own) != _normal(url.value or ""):
            raise UsageError(
                f"no token was given for {url.value} (from {url.source}); the one from {token.source} is for {own}, "
                "and is sent nowhere else: give --token-file, or set PLEXINDEX_TOKEN"
            )
    return url, token


def _normal(url: str) -> str:
    scheme, separator, rest = url.strip().partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}{separator}{host.lower()}{slash}{path}".rstrip("/")


def _variable(name: str) -> Named:
    return Named(os.environ.get(name) or None, name)


def _token_of(token: str | None, name: str, file: str | None, file_name: str) -> Named:
    if token is not None and file is not None:
        raise UsageError(f"{name} and {file_name} are both given: give one of them")
    if file is None:
        return Named(token, name)
    try:
        with open(os.path.expanduser(file), encoding="utf-8") as lines:
            token = lines.read().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file_name} {file} cannot be read: {error}") from None
    if not token:
        raise UsageError(f"{file_name} {file} is empty: it should hold the token and nothing else")
    return Named(token, file_name)


def _plexapi_file() -> tuple[str, dict[str, dict[str, str]]]:
    """The configuration file of plexapi: its path, and its sections, as plexapi reads them: names in lower case."""
    path = os.path.expanduser(_variable("PLEXAPI_CONFIG_PATH").value or "~/.config/plexapi/config.ini")
    if not os.path.exists(path):
        return path, {}
    import configparser

    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        # The text of some of these errors holds the line, and with it perhaps the token.
        line = getattr(error, "lineno", None)
        where = f" at line {line}" if line else ""
        raise UsageError(
            f"{path} is no configuration file that plexapi could read ({type(error).__name__}{where})"
        ) from None
    return path, {
        section.lower(): {name.lower(): value.strip() for name, value in parser.items(section, raw=True) if value}
        for section in parser.sections()
    }


def _mappings_of(lines: str, path: str) -> list[Mapping]:
    rules = []
    for line in filter(None, map(str.strip, lines.splitlines())):
        host, arrow, server = map(str.strip, line.partition("->"))
        if not (host and arrow and server):
            raise UsageError(f"{path}, [plexindex] mappings: {line!r} is not of the form HOST-FOLDER -> SERVER-FOLDER")
        rules.append(Mapping.host_prefix(host, server))
    return rules
