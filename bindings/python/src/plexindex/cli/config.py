"""The settings for one run of the command. Flags take precedence, then the environment, then plexapi's file."""

from __future__ import annotations

import os

from .._core import TYPE_CHECKING
from .._core import config as _config
from .._core.config import Setting
from ..errors import NotFetchedError, StoreError
from ..mapping import Mapping
from . import output
from .codes import UsageError

if TYPE_CHECKING:
    import argparse

    from ..index import Index
    from ..progress import ProgressArg


HELP = """\
plexindex reads the server's URL, the token and the folder from the first of these sources that has the value:
  1. flags: --url, --token-file, --token-command or --token, --user, --database, --dir, --size-limit,
     --shared, --mapping
  2. the environment: PLEXINDEX_URL, PLEXINDEX_TOKEN, PLEXINDEX_TOKEN_FILE, PLEXINDEX_TOKEN_COMMAND,
     PLEXINDEX_USER, PLEXINDEX_DATABASE, PLEXINDEX_DIR, PLEXINDEX_SIZE_LIMIT, PLEXINDEX_SHARED,
     PLEXINDEX_SHARED_DURABLE (1 or 0), and PLEXINDEX_MAPPINGS, such as
     '/mnt/media=/data/media;/mnt/tv=/data/tv'
  3. plexapi's environment: PLEXAPI_AUTH_SERVER_BASEURL, PLEXAPI_AUTH_SERVER_TOKEN
  4. plexapi's file, ~/.config/plexapi/config.ini, or the file in PLEXAPI_CONFIG_PATH:
         [auth]
         server_baseurl = http://127.0.0.1:32400
         server_token = YOUR-TOKEN
         [plexindex]
         dir = /var/lib/plexindex
         database = /var/lib/plexmediaserver/Library/Application Support/Plex Media Server
         size_limit = 2G
         shared = postgresql://plexindex@nas/plexindex
         shared_durable = no
         token_command = pass show plex/token
         user = ann
         mappings =
             /mnt/media -> /data/media
The default folder is ~/.local/share/plexindex.
You can put quotes around a value in [plexindex]. An unknown name in this section causes a warning.
plexindex sends a token only to the server whose URL is from the same source.
A user's name applies only to a token from the same source, or from a source further down in this list.
If the token command fails at startup, the exit code is 2."""

HOW_TO_NAME_A_SERVER = "give --url or --database, set PLEXINDEX_URL, or see `plexindex --help`"


def _mapping_rules(options: argparse.Namespace) -> list[Mapping]:
    """Returns the mappings from the flags. Makes relative folders absolute, because match also makes paths absolute."""
    rules = []
    for host, server in options.mapping or ():
        try:
            is_relative_folder = not os.path.isabs(host) and os.path.isdir(host)
            rules.append(Mapping.host_prefix(os.path.abspath(host) if is_relative_folder else host, server))
        except OSError:
            pass  # the current folder no longer exists, so it contains no files
    return rules


class Settings:
    """The settings for one run of the command, and the source of each setting."""

    def __init__(self, options: argparse.Namespace) -> None:
        server_flags = ("--url", "--token", "--token-file", "--token-command", "--shared")
        unused = [flag for flag in server_flags if getattr(options, flag[2:].replace("-", "_")) is not None]
        if options.no_server and unused:
            raise UsageError(f"--no-server excludes a server: omit {' and '.join(unused)} or --no-server")
        token = _config.token_of(
            Setting(options.token, "--token"),
            Setting(options.token_file, "--token-file"),
            Setting(options.token_command, "--token-command"),
        )
        configuration = _config.find(
            Setting(options.url, "--url"),
            token,
            no_server=options.no_server,
            user=options.user,
            folder=options.dir,
            size_limit=options.size_limit,
            database=options.database,
            shared=options.shared,
            mappings=_mapping_rules(options),
        )
        self.url, self.url_from = configuration.url.value, configuration.url.source
        output.set_url_source(self.url_from)
        self.renew = configuration.token.renew
        self.token = configuration.token.value if self.renew is None else self.renew.first()
        self.token_from = configuration.token.source
        self.folder, self.database, self.mappings = configuration.folder, configuration.database, configuration.mappings
        self.shared = configuration.shared
        self.offline: bool = options.offline
        self.deadline: float | None = options.deadline
        self._flag_names_folder = options.dir is not None
        self._open_options: dict[str, object] = {
            "user": configuration.user,
            "ca_file": options.ca_file,
            "accept_invalid_certs": options.insecure,
            "offline": self.offline,
            "timeout": self.deadline,
            "size_limit": configuration.size_limit,
            "database": self.database,
            "shared": self.shared,
            "shared_durable": configuration.shared_durable,
            "retry_for": 3.0,
            # Without -v, log no slow calls, because the user notices slow calls anyway.
            "slow": 1.0 if options.verbose else None,
        }
        # `main` uses these values to choose an error's exit code and text.
        options.token_from = self.token_from if self.url is not None else ""
        options.database_alone = self.database is not None and self.url is None
        options.database_beside = self.database is not None and self.url is not None and not self.offline

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
        if self._flag_names_folder and not os.path.lexists(self.folder):
            raise StoreError(
                f"there is no folder {self.folder} (from --dir): correct the name, or run `plexindex warm` to create it"
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
        from ..index import open

        chosen = {"mappings": self.mappings, **self._open_options, **options}
        return open(folder or self.folder, self.url, self.renew or self.token, **chosen)  # type: ignore[arg-type]
