"""Finds server, token, folder and mappings in the environment and in plexapi's file.

The command and :func:`plexindex.open` without a folder look in the same places, in the same order.
"""

from __future__ import annotations

import os
import re
import sys
from typing import NamedTuple

from ._errors import InvalidArgumentError
from ._mapping import Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class TokenCommand:
    """A command that prints the token: run when a token is needed, and again for a new one."""

    __slots__ = ("_command", "_first", "_source")

    def __init__(self, command: str, source: str) -> None:
        self._command, self._source = command, source
        self._first: str | None = None

    def first(self) -> str:
        """Runs the command for the first token."""
        if self._first is None:
            self._first = self._run()
        return self._first

    def __call__(self) -> str:
        """The printed token. The command runs without a shell."""
        first, self._first = self._first, None
        return self._run() if first is None else first

    def _run(self) -> str:
        import shlex
        import subprocess

        # Without output and arguments: they may hold secrets.
        try:
            # Windows takes the line as it is, where `\\` separates folders.
            words = self._command if os.name == "nt" else shlex.split(self._command)
            done = subprocess.run(  # noqa: S603 - the user's own
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=60, check=False
            )
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            why = getattr(error, "strerror", None) or (
                "it took longer than 60 s"
                if isinstance(error, subprocess.TimeoutExpired)
                else "its quotes do not match"
            )
            raise InvalidArgumentError(f"{self._source}: the command cannot be run: {why}") from None
        if done.returncode:
            raise InvalidArgumentError(f"{self._source}: the command failed with exit code {done.returncode}")
        token = done.stdout.decode("utf-8", "replace").strip()
        if not token:
            raise InvalidArgumentError(f"{self._source}: the command printed nothing: it should print the token")
        return token


class Setting(NamedTuple):
    """A value and its origin."""

    value: str | None
    source: str
    renew: TokenCommand | None = None
    """In place of a value: a command for the token, and for a new one after a refusal."""

    @property
    def is_given(self) -> bool:
        """Whether there is a value or a callable for one."""
        return bool(self.value or self.renew)


class Layer(NamedTuple):
    """One place that may name a server, a token and a user."""

    url: Setting
    token: Setting
    user: str | None = None


class Configuration(NamedTuple):
    """The settings, those of server and token with their origins."""

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
    """Returns the configuration. The arguments have priority over the environment and the file.

    A token is used only for the server of its own place or a later one, and a user only for such a token.
    ``no_server``: neither a server nor a token is searched for, nor what hosts of a server share.
    """
    path, file = _plexapi_file()
    auth, ours = file.get("auth", {}), _own_section(file.get("plexindex", {}), path)
    chosen_url = chosen_token = NOTHING
    if not no_server:
        layers = [
            Layer(url, token, user),
            Layer(
                variable("PLEXINDEX_URL"),
                token_of(
                    variable("PLEXINDEX_TOKEN"),
                    variable("PLEXINDEX_TOKEN_FILE"),
                    variable("PLEXINDEX_TOKEN_COMMAND"),
                ),
                variable("PLEXINDEX_USER").value,
            ),
            Layer(variable("PLEXAPI_AUTH_SERVER_BASEURL"), variable("PLEXAPI_AUTH_SERVER_TOKEN")),
            Layer(
                Setting(auth.get("server_baseurl"), path),
                # plexapi's section has a token of its own; ours has priority.
                _token_from_command(Setting(ours.get("token_command"), f"{path}, [plexindex] token_command"))
                or Setting(auth.get("server_token"), path),
                ours.get("user"),
            ),
        ]
        chosen_url, chosen_token = _choose_server(layers)
        user = _user_of(layers)
    if size_limit is None:
        size_limit = _size_from(variable("PLEXINDEX_SIZE_LIMIT")) or _size_from(
            Setting(ours.get("size_limit"), f"{path}, [plexindex] size_limit")
        )
    if database is None:
        database = variable("PLEXINDEX_DATABASE").value or ours.get("database")
    if shared is None and not no_server:
        shared = variable("PLEXINDEX_SHARED").value or ours.get("shared")
    if shared_durable is None:
        shared_durable = _is_on(variable("PLEXINDEX_SHARED_DURABLE"))
    if shared_durable is None:
        shared_durable = _is_on(Setting(ours.get("shared_durable"), f"{path}, [plexindex] shared_durable"))
    named = variable("PLEXINDEX_MAPPINGS")
    if variable("PLEXINDEX_MAPPING").value:
        import logging

        text = "PLEXINDEX_MAPPING is no setting, and is ignored; did you mean PLEXINDEX_MAPPINGS?"
        logging.getLogger("plexindex").warning(text)
    return Configuration(
        chosen_url,
        chosen_token,
        user,
        os.path.expanduser(folder or variable("PLEXINDEX_DIR").value or ours.get("dir") or default_folder()),
        size_limit,
        None if database is None else os.path.expanduser(os.fspath(database)),
        shared,
        bool(shared_durable),
        [
            *mappings,
            *_mappings_of((named.value or "").replace(";", "\n"), named.source),
            *_mappings_of(ours.get("mappings", ""), f"{path}, [plexindex] mappings"),
        ],
    )


# The settings in the section [plexindex] of plexapi's file.
_SETTINGS = ("dir", "database", "size_limit", "shared", "shared_durable", "token_command", "user", "mappings")


def _own_section(section: dict[str, str], path: str) -> dict[str, str]:
    """Returns our section of the file. Quotes around values are removed; unknown settings cause a warning."""
    for name in sorted(section.keys() - set(_SETTINGS), reverse=True):
        import difflib
        import logging

        meant = difflib.get_close_matches(name, _SETTINGS, 1)
        hint = f"did you mean {meant[0]}?" if meant else f"there are {', '.join(_SETTINGS[:-1])} and {_SETTINGS[-1]}"
        text = "%s, [plexindex] %s: it is no setting, and is ignored; %s"
        logging.getLogger("plexindex").warning(text, path, name, hint)
    return {name: _without_quotes(value) for name, value in section.items()}


def _without_quotes(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value


def size_of(text: str) -> int:
    """Parses a number of bytes: digits, then K, M, G or T for powers of 1000."""
    number, unit = text.strip(), 1
    if number and number[-1] in "KMGTkmgt":
        number, unit = number[:-1], 1000 ** (1 + "KMGT".index(number[-1].upper()))
    if not (number.isascii() and number.isdigit()) or not 0 < int(number) * unit < 2**63:
        raise ValueError(f"{text!r} is no size: give a number of bytes, or one such as 500M or 2G")
    return int(number) * unit


def _size_from(named: Setting) -> int | None:
    if not named.value:
        return None
    try:
        return size_of(named.value)
    except ValueError as error:
        raise InvalidArgumentError(f"{named.source}: {error}") from None


def _is_on(named: Setting) -> bool | None:
    """Whether a setting that is yes or no says yes; None if it is not there."""
    if not named.value:
        return None
    text = named.value.strip().lower()
    if text not in ("1", "yes", "true", "on", "0", "no", "false", "off"):
        raise InvalidArgumentError(f"{named.source}: {named.value!r} is neither yes nor no: write 1 or 0")
    return text in ("1", "yes", "true", "on")


# A separator between two folders: an absolute folder follows. The colon of a drive letter is none.
_SEPARATED = {sign: re.compile(rf"(?<![=:][A-Za-z]){sign}(?= *(?:[A-Za-z]:)?[\\/])") for sign in "=:"}


def pair_of(text: str) -> tuple[str, str]:
    """Parses the two folders of a mapping: ``HOST=SERVER``, ``HOST:SERVER`` or ``HOST -> SERVER``."""
    if "->" in text:
        host, _, server = map(str.strip, text.partition("->"))
        if host and "->" not in server and re.match(r"([A-Za-z]:)?[\\/]", server):
            return host, server
    for sign in "" if "->" in text else "=:":
        # Not among the first characters: the host's folder may begin with a drive letter.
        places = [found.start() for found in _SEPARATED[sign].finditer(text, 2 if text[1:2] == ":" else 1)]
        if len(places) > 1:
            raise ValueError(f"{text!r} can be read in {len(places)} ways: write 'HOST -> SERVER'")
        if places:
            return text[: places[0]].strip(), text[places[0] + 1 :].strip()
    raise ValueError(
        f"{text!r} is no mapping: give HOST=SERVER, with the server's full folder, such as /mnt/media=/data/media"
    )


def default_folder() -> str:
    """Returns the default folder of the store."""
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Caches/plexindex")
    if os.name == "nt":
        local = variable("LOCALAPPDATA").value or os.path.expanduser("~\\AppData\\Local")
        if local.startswith("~"):
            raise InvalidArgumentError(
                "neither LOCALAPPDATA nor USERPROFILE is set: give cache_dir, or set PLEXINDEX_DIR"
            )
        return os.path.join(local, "plexindex")
    return os.path.join(variable("XDG_CACHE_HOME").value or os.path.expanduser("~/.cache"), "plexindex")


def _choose_server(layers: list[Layer]) -> tuple[Setting, Setting]:
    """Returns the first server and the first token. Raises an error if the token belongs to another server."""
    url_layer = next((number for number, layer in enumerate(layers) if layer.url.value), len(layers))
    token_layer = next((number for number, layer in enumerate(layers) if layer.token.is_given), len(layers))
    url = layers[url_layer].url if url_layer < len(layers) else NOTHING
    if url.value and not re.match("https?://", url.value.strip(), re.IGNORECASE):
        # Opening reports errors of the database before those of tokens.
        return url, NOTHING
    token = layers[token_layer].token if token_layer < len(layers) else NOTHING
    if url_layer < token_layer < len(layers):
        # A token from a later place belongs to the first server named there or after.
        other = next((layer.url.value for layer in layers[token_layer:] if layer.url.value), None)
        if other is not None and _normal(other) != _normal(url.value or ""):
            raise InvalidArgumentError(
                f"no token was given for {url.value} (from {url.source}); the one from {token.source} is for {other}, "
                "and is sent nowhere else: give a token for this server, or set PLEXINDEX_TOKEN"
            )
    return url, token


def _user_of(layers: list[Layer]) -> str | None:
    """Returns the first user, up to the place of the token: a later one may belong to another token."""
    for layer in layers:
        if layer.user or layer.token.is_given:
            return layer.user
    return None


def _normal(url: str) -> str:
    scheme, separator, rest = url.strip().partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}{separator}{host.lower()}{slash}{path}".rstrip("/")


def variable(name: str) -> Setting:
    """Returns an environment variable as a setting. An empty one counts as missing."""
    return Setting(os.environ.get(name) or None, name)


def _token_from_command(command: Setting) -> Setting | None:
    return Setting(None, command.source, TokenCommand(command.value, command.source)) if command.value else None


def token_of(token: Setting, file: Setting, command: Setting = NOTHING) -> Setting:
    """Returns the token: as given, from a file, or from a command."""
    sources = [one.source for one in (token, file, command) if one.value is not None]
    if len(sources) > 1:
        raise InvalidArgumentError(f"{sources[0]} and {sources[1]} are both given: give one of them")
    if file.value is None:
        return _token_from_command(command) or token
    try:
        with open(os.path.expanduser(file.value), encoding="utf-8") as lines:
            text = lines.read().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise InvalidArgumentError(
            f"{file.source} {file.value} cannot be read: {why}; name a file with the token"
        ) from None
    if not text:
        raise InvalidArgumentError(f"{file.source} {file.value} is empty: it should hold the token and nothing else")
    return Setting(text, file.source)


def _plexapi_file() -> tuple[str, dict[str, dict[str, str]]]:
    """Returns the path and the sections of plexapi's configuration file. Names are in lower case, as for plexapi."""
    path = os.path.expanduser(variable("PLEXAPI_CONFIG_PATH").value or "~/.config/plexapi/config.ini")
    path = os.path.normpath(path) if os.name == "nt" else path
    if not os.path.exists(path):
        return path, {}
    import configparser

    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        # Some of these errors quote the line, and so perhaps the token.
        line = getattr(error, "lineno", None)
        where = f" at line {line}" if line else ""
        raise InvalidArgumentError(
            f"{path} is no configuration file that plexapi could read ({type(error).__name__}{where})"
        ) from None
    return path, {
        section.lower(): {name.lower(): value.strip() for name, value in parser.items(section, raw=True) if value}
        for section in parser.sections()
    }


def _mappings_of(lines: str, source: str) -> list[Mapping]:
    rules = []
    for line in filter(None, map(str.strip, lines.splitlines())):
        try:
            rules.append(Mapping.host_prefix(*pair_of(line)))
        except ValueError as error:
            form = "write each mapping on a line of its own, HOST-FOLDER -> SERVER-FOLDER"
            apart = ", or put ; between them" if source == "PLEXINDEX_MAPPINGS" else ""
            raise InvalidArgumentError(f"{source}: {error}; {form}{apart}") from None
    return rules
