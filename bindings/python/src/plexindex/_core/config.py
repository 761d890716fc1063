"""Finds the server, the token, the folder and the mappings in the environment and in plexapi's file.

The command and :func:`plexindex.open` without a folder use the same sources, in the same order.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from ..errors import InvalidArgumentError
from ..mapping import Mapping
from . import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeVar

    Value = TypeVar("Value")


class TokenCommand:
    """A command that prints the token. plexindex runs the command at the start, and after a token is rejected."""

    __slots__ = ("_command", "_first_token", "_source")

    def __init__(self, command: str, source: str) -> None:
        self._command, self._source = command, source
        self._first_token: str | None = None

    def first(self) -> str:
        """Runs the command once, and keeps the token for the first ``__call__``."""
        if self._first_token is None:
            self._first_token = self._run()
        return self._first_token

    def __call__(self) -> str:
        """Returns the token from :meth:`first`. Later calls run the command for a new token."""
        token, self._first_token = self._first_token, None
        return self._run() if token is None else token

    def _run(self) -> str:
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


class Setting(NamedTuple):
    """A setting's value and its source."""

    value: str | None
    source: str
    renew: TokenCommand | None = None
    """A command that prints the token, if there is no value."""

    @property
    def is_set(self) -> bool:
        """Whether there is a value, or a command that prints the value."""
        return bool(self.value or self.renew)


class Layer(NamedTuple):
    """The server, token and user from one source."""

    url: Setting
    token: Setting
    user: str | None = None


class Configuration(NamedTuple):
    """All settings. The server and the token are stored with their sources."""

    url: Setting
    token: Setting
    user: str | None
    folder: str
    size_limit: int | None
    database: str | None
    shared: str | None
    shared_durable: bool
    mappings: list[Mapping]


NOTHING = Setting(None, "")


def find(
    url: Setting = NOTHING,
    token: Setting = NOTHING,
    *,
    no_server: bool = False,
    user: str | None = None,
    folder: str | None = None,
    size_limit: int | None = None,
    database: str | os.PathLike[str] | None = None,
    shared: str | None = None,
    shared_durable: bool | None = None,
    mappings: Iterable[Mapping] = (),
) -> Configuration:
    """Returns the configuration. The arguments override the environment, and the environment overrides the file.

    plexindex uses a token only for a server from the same or a later source, and a user only for a token from the same
    or a later source. With ``no_server``, ignores servers, tokens and shared logs.
    """
    path, file = _read_plexapi_file()
    auth, section = file.get("auth", {}), _own_section(file.get("plexindex", {}), path)

    def look_up(name: str) -> Setting:
        in_environment = variable(f"PLEXINDEX_{name.upper()}")
        in_file = Setting(section.get(name) or None, f"{path}, [plexindex] {name}")
        return in_environment if in_environment.value else in_file

    chosen_url = chosen_token = NOTHING
    if not no_server:
        token_variables = [variable(f"PLEXINDEX_TOKEN{end}") for end in ("", "_FILE", "_COMMAND")]
        command = Setting(section.get("token_command"), f"{path}, [plexindex] token_command")
        file_token = token_of(NOTHING, NOTHING, command) if command.value else Setting(auth.get("server_token"), path)
        layers = [
            Layer(url, token, user),
            Layer(variable("PLEXINDEX_URL"), token_of(*token_variables), variable("PLEXINDEX_USER").value),
            Layer(variable("PLEXAPI_AUTH_SERVER_BASEURL"), variable("PLEXAPI_AUTH_SERVER_TOKEN")),
            Layer(Setting(auth.get("server_baseurl"), path), file_token, section.get("user")),
        ]
        chosen_url, chosen_token = _choose_server(layers)
        user = _user_of(layers)
        shared = look_up("shared").value if shared is None else shared
    if size_limit is None:
        size_limit = _parse(parse_size, look_up("size_limit"))
    if shared_durable is None:
        shared_durable = _parse(_parse_switch, look_up("shared_durable"))
    database = look_up("database").value if database is None else os.fspath(database)
    mapping_variable = variable("PLEXINDEX_MAPPINGS")
    return Configuration(
        chosen_url,
        chosen_token,
        user,
        os.path.expanduser(folder or look_up("dir").value or default_folder()),
        size_limit,
        None if database is None else os.path.expanduser(database),
        shared,
        bool(shared_durable),
        [
            *mappings,
            *_parse_mappings((mapping_variable.value or "").replace(";", "\n"), mapping_variable.source),
            *_parse_mappings(section.get("mappings", ""), f"{path}, [plexindex] mappings"),
        ],
    )


# Names of the settings in the section [plexindex] of plexapi's file.
_SETTINGS = ("dir", "database", "size_limit", "shared", "shared_durable", "token_command", "user", "mappings")


def _own_section(section: dict[str, str], path: str) -> dict[str, str]:
    """Returns the section [plexindex] without quotes around values, and logs a warning about unknown settings."""
    for name in sorted(section.keys() - set(_SETTINGS), reverse=True):
        import difflib
        import logging

        similar = difflib.get_close_matches(name, _SETTINGS, 1)
        hint = f"did you mean {similar[0]}?" if similar else f"the settings are {', '.join(_SETTINGS)}"
        text = "%s, [plexindex] %s: ignoring an unknown setting; %s"
        logging.getLogger("plexindex").warning(text, path, name, hint)
    return {name: re.sub(r"""^(['"])(.*)\1$""", r"\2", value) for name, value in section.items()}


def parse_size(text: str) -> int:
    """Parses a number of bytes: digits, then K, M, G or T for powers of 1000."""
    number, unit = text.strip(), 1
    if number and number[-1] in "KMGTkmgt":
        number, unit = number[:-1], 1000 ** (1 + "KMGT".index(number[-1].upper()))
    if not (number.isascii() and number.isdigit()) or not 0 < int(number) * unit < 2**63:
        raise ValueError(f"{text!r} is not a size: give a number of bytes, such as 500M or 2G")
    return int(number) * unit


def _parse_switch(text: str) -> bool:
    word = text.strip().lower()
    if word not in ("1", "yes", "true", "on", "0", "no", "false", "off"):
        raise ValueError(f"{text!r} is neither yes nor no: write 1 or 0")
    return word in ("1", "yes", "true", "on")


def _parse(parse: Callable[[str], Value], setting: Setting) -> Value | None:
    """Parses a setting if it is set. An error message contains the setting's source."""
    if not setting.value:
        return None
    try:
        return parse(setting.value)
    except ValueError as error:
        raise InvalidArgumentError(f"{setting.source}: {error}") from None


# Separators between two folders. An absolute folder must follow, and a colon must not belong to a drive letter.
_SEPARATORS = {sign: re.compile(rf"(?<![=:][A-Za-z]){sign}(?= *(?:[A-Za-z]:)?[\\/])") for sign in "=:"}


def parse_mapping(text: str) -> tuple[str, str]:
    """Parses the two folders of a mapping: ``HOST=SERVER``, ``HOST:SERVER`` or ``HOST -> SERVER``."""
    if "->" in text:
        host, _, server = map(str.strip, text.partition("->"))
        if host and "->" not in server and re.match(r"([A-Za-z]:)?[\\/]", server):
            return host, server
    for sign in "" if "->" in text else "=:":
        # Search after the drive letter, or after the first character if there is no drive letter.
        positions = [match.start() for match in _SEPARATORS[sign].finditer(text, 2 if text[1:2] == ":" else 1)]
        if len(positions) > 1:
            raise ValueError(f"{text!r} can be read in {len(positions)} ways: write 'HOST -> SERVER'")
        if positions:
            return text[: positions[0]].strip(), text[positions[0] + 1 :].strip()
    raise ValueError(
        f"{text!r} is not a mapping: give HOST=SERVER, with the server's full folder, such as /mnt/media=/data/media"
    )


def _parse_mappings(lines: str, source: str) -> list[Mapping]:
    rules = []
    for line in filter(None, map(str.strip, lines.splitlines())):
        try:
            rules.append(Mapping.host_prefix(*parse_mapping(line)))
        except ValueError as error:
            separator = " or a semicolon" if source == "PLEXINDEX_MAPPINGS" else ""
            raise InvalidArgumentError(f"{source}: {error}; separate mappings with a line break{separator}") from None
    return rules


def default_folder() -> str:
    """Returns the store's default folder: the system's folder for data, which cleaners of caches spare.

    An index in the former default folder, a cache folder, stays in use if there is none in the new one.
    """
    try:
        from platformdirs import PlatformDirs
    except ImportError:
        raise InvalidArgumentError(
            "the package platformdirs, which knows the default folder, is missing: give cache_dir, or set PLEXINDEX_DIR"
        ) from None
    folders = PlatformDirs("plexindex", appauthor=False, opinion=False)
    new, old = folders.user_data_dir, folders.user_cache_dir
    if os.path.exists(new) or not os.path.exists(old):
        return new
    import logging

    text = "using the index in the former default folder %s: end all programs that use it, and move it to %s"
    logging.getLogger("plexindex").info(text, old, new)
    return old


def _choose_server(layers: list[Layer]) -> tuple[Setting, Setting]:
    """Returns the first server and the first token. Raises an error if the token belongs to a different server."""
    url_layer = next((number for number, layer in enumerate(layers) if layer.url.value), len(layers))
    token_layer = next((number for number, layer in enumerate(layers) if layer.token.is_set), len(layers))
    url = layers[url_layer].url if url_layer < len(layers) else NOTHING
    if url.value and not re.match("https?://", url.value.strip(), re.IGNORECASE):
        # `open` rejects the address, with a more useful error than an error about the token.
        return url, NOTHING
    token = layers[token_layer].token if token_layer < len(layers) else NOTHING
    if url_layer < token_layer < len(layers):
        # A token from a later source belongs to the first server in this source or in a later source.
        token_url = next((layer.url.value for layer in layers[token_layer:] if layer.url.value), None)
        if token_url is not None and _normalize(token_url) != _normalize(url.value or ""):
            raise InvalidArgumentError(
                f"no token was given for {url.value} (from {url.source}); plexindex sends the token from "
                f"{token.source} only to {token_url}: give a token for this server, or set PLEXINDEX_TOKEN"
            )
    return url, token


def _user_of(layers: list[Layer]) -> str | None:
    """Returns the first user, unless the user comes after the token, and so could belong to a different token."""
    for layer in layers:
        if layer.user or layer.token.is_set:
            return layer.user
    return None


def _normalize(url: str) -> str:
    scheme, separator, rest = url.strip().partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}{separator}{host.lower()}{slash}{path}".rstrip("/")


def variable(name: str) -> Setting:
    """Returns an environment variable as a setting. An empty variable is treated as missing."""
    return Setting(os.environ.get(name) or None, name)


def token_of(token: Setting, file: Setting, command: Setting = NOTHING) -> Setting:
    """Returns the token itself, the token from a file, or a command that prints the token."""
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


def _read_plexapi_file() -> tuple[str, dict[str, dict[str, str]]]:
    """Returns the path and the sections of plexapi's configuration file. Names are in lower case, as in plexapi."""
    path = os.path.expanduser(variable("PLEXAPI_CONFIG_PATH").value or "~/.config/plexapi/config.ini")
    path = os.path.normpath(path) if os.name == "nt" else path
    if not os.path.exists(path):
        return path, {}
    import configparser

    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        # The original error text can quote the line, and thus the token.
        line = getattr(error, "lineno", None)
        position = f" at line {line}" if line else ""
        raise InvalidArgumentError(
            f"cannot read {path}: plexapi could not read this file either ({type(error).__name__}{position})"
        ) from None
    return path, {
        section.lower(): {name.lower(): value.strip() for name, value in parser.items(section, raw=True) if value}
        for section in parser.sections()
    }
