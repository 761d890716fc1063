"""The settings for one run of the command: options take precedence, then the environment, then the files."""

from __future__ import annotations

import os

from .._core import TYPE_CHECKING
from .._core import config as _config
from .._core.config import Setting
from ..errors import NotFetchedError, StoreError
from ..mapping import Mapping
from . import codes, output
from .codes import UsageError
from .options import command, given

if TYPE_CHECKING:
    from ..index import Index
    from ..progress import ProgressArg

HOW_TO_NAME_A_SERVER = "give --server-url or --database, set PLEXINDEX_SERVER_URL, or see `plexindex help config`"
_OF_A_SERVER = ("server_url", "token", "token_file", "token_command", "shared")


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
    """The settings for one run of the command, and the source of each setting."""

    def __init__(self) -> None:
        output.log_to_stderr(given.get("verbose", 0))
        unused = [_flag(name) for name in _OF_A_SERVER if name in given]
        if given.get("no_server") and unused:
            raise UsageError(f"--no-server excludes a server: omit {' and '.join(unused)} or --no-server")
        names = (*_config.SETTINGS, "config")
        options = {name: Setting(given[name], _flag(name)) for name in names if name in given}
        found = _config.find(options, _mapping_rules(), use_server=not given.get("no_server"))
        self.found = found
        self.url, self.renew = found.server_url.value, found.token.renew
        self.token = found.token.value if self.renew is None else self.renew.first()
        self.url_from, self.token_from = found.server_url.source, found.token.source
        self.folder, self.database, self.shared = found.cache_dir.value, found.database.value, found.shared.value
        self.mappings = [rule for rule, _ in found.mappings]
        self.offline: bool = given.get("offline", False)
        self.timeout: float | None = given.get("timeout")
        self._open_options: dict[str, object] = {
            **{name: getattr(found, name).value for name in ("user", "size_limit", "database", "shared",
                                                             "shared_durable")},
            "ca_file": given.get("ca_file"),
            "accept_invalid_certs": given.get("accept_invalid_certs", False),
            "offline": self.offline,
            "timeout": self.timeout,
            "retry_for": 3.0,
            # Without -v, log no slow calls, because the user notices slow calls anyway.
            "slow": 1.0 if given.get("verbose") else None,
        }  # fmt: skip
        given["settings"] = self  # the report of an error names the source of a wrong setting

    def source_of(self, name: str | None) -> str:
        """Returns the source of a setting, or an empty string."""
        setting = getattr(self.found, name or "", None) or given.get(name or "")
        return setting.source if isinstance(setting, Setting) else _flag(str(name)) if setting else ""

    @property
    def answers_from_store_only(self) -> bool:
        """Whether the command sends no requests: there is neither a server nor a database, or --offline was given."""
        return (self.url is None and self.database is None) or self.offline

    @property
    def reads_database_only(self) -> bool:
        """Whether Plex's database is the only source, so that no request is needed."""
        return self.url is None and self.database is not None and not self.offline

    @property
    def source_name(self) -> str:
        """The source's name, for use in a sentence."""
        return "Plex's database" if self.url is None and self.database is not None else "the server"

    def has_store(self) -> bool:
        """Returns whether the folder contains a store."""
        try:
            return any(name.startswith("plexindex-") and name.endswith(".db") for name in os.listdir(self.folder))
        except FileNotFoundError:
            return False
        except OSError:
            return True  # `open` reports the error

    def expect_folder(self) -> None:
        """Raises an error if --dir is a folder that does not exist, because the path may be misspelt."""
        if "cache_dir" in given and not os.path.lexists(self.folder):
            raise StoreError(
                f"there is no folder {self.folder} (from --cache-dir): correct the name, or run `plexindex refresh` to "
                "create it"
            )

    def expect_source(self) -> None:
        """Raises an error if there is no source for --check to ask."""
        if self.answers_from_store_only:
            how = "omit --offline" if self.offline else f"no server is specified: {HOW_TO_NAME_A_SERVER}"
            raise UsageError(f"--check needs {self.source_name}: {how}")

    def nothing_to_ask(self) -> NotFetchedError:
        """Creates the error for an empty store without a source."""
        remedy = HOW_TO_NAME_A_SERVER if self.url is None and self.database is None else "omit --offline"
        text = f"nothing was fetched into {self.folder} yet, and no server is available: {remedy}"
        return NotFetchedError(text)

    def open_for_answers(self, progress: ProgressArg = None) -> Index:
        """Opens the index. Raises an error if the store is empty and there is no source to fetch from."""
        if not self.answers_from_store_only:
            return self.open(progress=progress)
        self.expect_folder()
        if not self.has_store():
            raise self.nothing_to_ask()
        index = self.open(progress=progress)
        if not index.libraries(offline=True):
            index.close()
            raise self.nothing_to_ask()
        return index

    def open(self, *, folder: str | None = None, **options: object) -> Index:
        """Opens an index with these settings. ``folder`` and ``options`` override the settings."""
        from ..opening import open

        chosen = {"mappings": self.mappings, **self._open_options, **options}
        return open(folder or self.folder, self.url, self.renew or self.token, **chosen)  # type: ignore[arg-type]


@command("config")
def config_command() -> int:
    """Show each setting and its source.

    JSON: one object for each setting, with name, value and source. The token's value is null.
    """
    found = Settings().found
    rows: list[tuple[str, object, str]] = [("config", found.file if os.path.exists(found.file) else None, "")]
    rows += [(name, *getattr(found, name)[:2]) for name in found._fields[:-2]]
    rows += [("mapping", f"{os.fsdecode(rule.find)} -> {os.fsdecode(rule.replace)}", at) for rule, at in found.mappings]
    shown = []
    for name, value, source in rows:
        is_secret, source = (
            name == "token" and found.token.is_set,
            source if value is not None or name == "token" else "",
        )
        if given.get("json"):
            output.say_json({"name": name, "value": None if is_secret else value, "source": source or None})
        shown.append((name, "(hidden)" if is_secret else "–" if value is None else str(value), source))
    if not given.get("json"):
        output.print_table([("setting", "value", "source"), *shown], header=True)
    return codes.OK
