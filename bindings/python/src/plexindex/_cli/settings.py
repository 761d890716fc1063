"""The settings for one run of the command: options take precedence, then the environment, then the files."""

from __future__ import annotations

import os

from .._core import TYPE_CHECKING
from .._core import config as _config
from .._core.config import Setting
from ..errors import Error, InvalidArgumentError, NotFetchedError, StoreError, TimeoutError, UnauthorizedError
from ..mapping import Mapping
from . import codes, output
from .options import UsageError, command, given

if TYPE_CHECKING:
    from ..index import Index
    from ..queries import Queries

HOW_TO_NAME_A_SERVER = "give --server-url or --database, set PLEXINDEX_SERVER_URL, or see `plexindex help config`"
_OF_A_SERVER = ("server_url", "server", "token", "token_file", "token_command", "shared")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _mapping_rules() -> list[tuple[Mapping, str]]:
    """Returns the mappings from the options. Makes relative folders absolute, because match makes paths absolute."""
    rules = []
    for host, server in given.get("mapping", ()):
        try:
            is_relative_folder = not os.path.isabs(host) and os.path.isdir(host)
            rule = Mapping.host_prefix(os.path.abspath(host) if is_relative_folder else host, server)
            rules.append((rule, "--mapping"))
        except OSError:
            pass  # the current folder no longer exists, so it contains no files
    return rules


class Settings:
    """The settings for one run of the command, and the source of each setting.

    ``server``: the name of a server in the configuration file; None: the one in --server, or the only one.
    """

    def __init__(self, server: str | None = None) -> None:
        output.log_to_stderr(given.get("verbose", 0))
        if "server" in given and "server_url" in given:
            raise UsageError("--server and --server-url both specify a server: give only one of them")
        unused = [_flag(name) for name in _OF_A_SERVER if name in given]
        if given.get("no_server") and unused:
            raise UsageError(f"--no-server excludes a server: omit {' and '.join(unused)} or --no-server")
        names = *_config.SETTINGS, "config", "server"
        options = {name: Setting(given[name], _flag(name)) for name in names if name in given}
        if server is not None:
            options["server"] = Setting(server, "")
        self.found = found = _config.find(options, _mapping_rules(), use_server=not given.get("no_server"))
        self.url, self.renew = found.server_url.value, found.token.renew
        self.token = found.token.value if self.renew is None else self.renew.first()
        self.server: str | None = found.server
        self.folder, self.database, self.shared = found.cache_dir.value, found.database.value, found.shared.value
        self.mappings = [rule for rule, _ in found.mappings]
        self.offline: bool = given.get("offline", False)
        self.timeout: float | None = given.get("timeout")
        has_source = self.url is not None or self.database is not None
        self.answers_from_store_only = not has_source or self.offline
        """Whether the command sends no requests: there is neither a server nor a database, or --offline was given."""
        self.reads_database_only = has_source and self.url is None and not self.offline
        """Whether Plex's database is the only source, so that no request is needed."""
        is_missing = self.database is not None and not os.path.exists(self.database)
        self.needs_database = self.reads_database_only or (is_missing and not self.offline)
        """Whether an error is the database's: it is the only source, or does not exist."""
        self.source_name = "Plex's database" if has_source and self.url is None else "the server"
        self._how_to_ask = "omit --offline" if has_source else f"no server is specified: {HOW_TO_NAME_A_SERVER}"
        given["settings"] = self  # the report of an error names the source of a wrong setting

    def advice(self, error: Error) -> str:
        """Returns the source of the setting that is wrong, or how to read the database alone, to append to an error."""
        is_unreachable = error.status_name == "connect" or (isinstance(error, TimeoutError) and self.timeout is None)
        if is_unreachable and self.url and self.database and not self.needs_database:
            return "; plexindex needs the server to identify Plex's database: add --no-server to use the database alone"
        if isinstance(error, UnauthorizedError) and self.url and self.token is None:
            return f"; for this command, set PLEXINDEX_TOKEN, or token or token_file in {self.found.file}"
        argument = "token" if isinstance(error, UnauthorizedError) else error.argument or ""
        setting = getattr(self.found, argument, None) or given.get(argument)
        source = setting.source if isinstance(setting, Setting) else _flag(argument) if setting else ""
        if source and isinstance(error, (InvalidArgumentError, UnauthorizedError)):
            return f"; the {argument} is from {source}"
        return ""

    def has_store(self) -> bool:
        try:
            return any(name.startswith("plexindex-") and name.endswith(".db") for name in os.listdir(self.folder))
        except FileNotFoundError:
            return False
        except OSError:
            return True  # `open` reports the error

    def expect_folder(self) -> None:
        """Raises an error if --cache-dir is a folder that does not exist, because the path may be misspelt."""
        if "cache_dir" in given and not os.path.lexists(self.folder):
            remedy = "correct the name, or run `plexindex refresh` to create it"
            raise StoreError(f"there is no folder {self.folder} (from --cache-dir): {remedy}")

    def expect_source(self, what: str = "--check") -> None:
        """Raises an error if there is no source for ``what`` to ask."""
        if self.answers_from_store_only:
            raise UsageError(f"{what} needs {self.source_name}; {self._how_to_ask}")

    def open_for_answers(self, **options: object) -> Index:
        """Opens the index. Raises an error if the store is empty and there is no source to fetch from."""
        if not self.answers_from_store_only:
            return self.open(**options)
        self.expect_folder()
        if self.has_store():
            index = self.open(**options)
            if index.libraries(offline=True):
                return index
            index.close()
        raise NotFetchedError(f"nothing was fetched into {self.folder} yet; {self._how_to_ask}")

    def open(self, **options: object) -> Index:
        """Opens an index with these settings. ``options`` override the settings."""
        from ..index import open

        found, names = self.found, ("user", "size_limit", "database", "shared", "shared_durable")
        chosen = {
            "cache_dir": self.folder,
            "mappings": self.mappings,
            **{name: getattr(found, name).value for name in names},
            "ca_file": given.get("ca_file"),
            "accept_invalid_certs": given.get("accept_invalid_certs", False),
            "offline": self.offline,
            "timeout": self.timeout,
            "retry_for": 3.0,
            "read_timeout": 15.0,
            # Without -v, log no slow calls, because the user notices slow calls anyway.
            "slow": 1.0 if given.get("verbose") else None,
            **options,
        }
        return open(server_url=self.url, token=self.renew or self.token, **chosen)


def chosen(index: Index, library: str | None) -> Queries:
    """Returns the library of the option --library, or the index for all libraries."""
    return index if library is None else index.library(library)


def of_all_servers() -> list[Settings]:
    """Returns the settings for the chosen server, or for each server in the configuration file."""
    try:
        return [Settings()]
    except _config.SeveralServersError as error:
        return [Settings(name) for name in error.names]


@command("""config

    Show each setting and its source.

    JSON: one object for each setting, with name, value and source. The token's value is null.
    """)
def config_command() -> int:
    found = Settings().found
    rows: list[tuple[str, object, str]] = [("config", found.file if os.path.exists(found.file) else None, "")]
    names = [name for name, one in vars(found).items() if isinstance(one, Setting)]
    rows += [(name, getattr(found, name).value, getattr(found, name).source) for name in names]
    rows += [("mapping", f"{os.fsdecode(rule.find)} -> {os.fsdecode(rule.replace)}", at) for rule, at in found.mappings]
    for name, value, source in rows:
        is_secret = name == "token" and found.token.is_set
        source = source if value is not None or is_secret else ""
        shown = "(hidden)" if is_secret else "–" if value is None else value
        # A terminal can wrap the line, but a path stays whole when the user copies it.
        text = output.clean(f"{name:<15} {shown}{source and f'  ({source})'}")
        output.show({"name": name, "value": None if is_secret else value, "source": source or None}, text)
    return codes.OK
