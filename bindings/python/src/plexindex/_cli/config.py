"""The flags, and settings from the environment and files."""

from __future__ import annotations

import os

from .. import _config
from .._config import Setting
from .._errors import StoreError
from .._mapping import Mapping
from . import output
from .codes import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from .._callbacks import ProgressArg
    from .._index import Index


HELP = """\
server, token and folder are looked for in this order:
  1. flags: --url, --token-file, --token-command or --token, --user, --database, --dir, --size-limit, --shared,
     --mapping
  2. the environment: PLEXINDEX_URL, PLEXINDEX_TOKEN, PLEXINDEX_TOKEN_FILE, PLEXINDEX_TOKEN_COMMAND,
     PLEXINDEX_USER, PLEXINDEX_DATABASE, PLEXINDEX_DIR, PLEXINDEX_SIZE_LIMIT, PLEXINDEX_SHARED,
     PLEXINDEX_SHARED_DURABLE (1 or 0), and PLEXINDEX_MAPPINGS, such as '/mnt/media=/data/media;/mnt/tv=/data/tv'
  3. plexapi's environment: PLEXAPI_AUTH_SERVER_BASEURL, PLEXAPI_AUTH_SERVER_TOKEN
  4. plexapi's file, ~/.config/plexapi/config.ini or what PLEXAPI_CONFIG_PATH names:
         [auth]
         server_baseurl = http://127.0.0.1:32400
         server_token = YOUR-TOKEN
         [plexindex]
         dir = /var/cache/plexindex
         database = /var/lib/plexmediaserver/Library/Application Support/Plex Media Server
         size_limit = 2G
         shared = postgresql://plexindex@nas/plexindex
         shared_durable = no
         token_command = pass show plex/token
         user = ann
         mappings =
             /mnt/media -> /data/media
The default folder is ~/.cache/plexindex.
Quotes around a value of [plexindex] are removed. An unknown name there causes a warning.
A token is sent only to the server that the same place names.
A user's name is used for a token from the same place or a later one.
If the command of --token-command fails at the start, the exit code is 2."""


def _rules_for(host: str, server: str) -> list[tuple[str, str]]:
    """Returns the rules for a mapping: for a folder below the current one with its full path, as paths become full."""
    if os.path.isabs(host) or not os.path.isdir(host):
        return [(host, server)]
    try:
        return [(os.path.abspath(host), server)]
    except OSError:
        # The current folder is gone, so no file is below it.
        return []


class Settings:
    """The settings and their origins."""

    __slots__ = ("ca_file", "database", "deadline", "flag_names_folder", "folder", "insecure", "mappings", "offline",
                 "renew", "shared", "shared_durable", "size_limit", "token", "token_from", "url", "url_from", "user",
                 "verbose")  # fmt: skip

    def __init__(self, options: argparse.Namespace) -> None:
        given = {
            "--url": options.url,
            "--token": options.token,
            "--token-file": options.token_file,
            "--token-command": options.token_command,
            "--shared": options.shared,
        }
        unused = [flag for flag, value in given.items() if options.no_server and value is not None]
        if unused:
            raise UsageError(f"--no-server uses no server: omit {' and '.join(unused)} or --no-server")
        found = _config.find(
            Setting(options.url, "--url"),
            _config.token_of(
                Setting(options.token, "--token"),
                Setting(options.token_file, "--token-file"),
                Setting(options.token_command, "--token-command"),
            ),
            no_server=options.no_server,
            user=options.user,
            folder=options.dir,
            size_limit=options.size_limit,
            database=options.database,
            shared=options.shared,
            mappings=[Mapping.host_prefix(*rule) for given in options.mapping or () for rule in _rules_for(*given)],
        )
        self.url, self.url_from = found.url.value, found.url.source
        output.name_url(self.url_from)
        self.renew = found.token.renew
        self.token: str | None = found.token.value if self.renew is None else self.renew.first()
        self.token_from: str = found.token.source
        self.folder: str = found.folder
        self.flag_names_folder: bool = options.dir is not None
        self.size_limit: int | None = found.size_limit
        self.database: str | None = found.database
        self.shared: str | None = found.shared
        self.shared_durable: bool = found.shared_durable
        self.mappings = found.mappings
        self.user = found.user
        self.ca_file: str | None = options.ca_file
        self.insecure: bool = options.insecure
        self.offline: bool = options.offline
        self.deadline: float | None = options.deadline
        self.verbose: int = options.verbose
        # For the exit code and the text of an error.
        options.token_from = self.token_from if self.url is not None else ""
        options.database_alone = self.database is not None and self.url is None
        options.database_beside = self.database is not None and self.url is not None and not self.offline

    @property
    def silent(self) -> bool:
        """Whether only the store may answer: there is no source, or --offline was given."""
        return (self.url is None and self.database is None) or self.offline

    @property
    def local(self) -> bool:
        """Whether Plex's database is the only source, which needs no request."""
        return self.url is None and self.database is not None and not self.offline

    @property
    def asked(self) -> str:
        """Names the source within a sentence."""
        return "Plex's database" if self.url is None and self.database is not None else "the server"

    def has_store(self) -> bool:
        """Whether there is a store in the folder."""
        try:
            return any(name.startswith("plexindex-") and name.endswith(".db") for name in os.listdir(self.folder))
        except FileNotFoundError:
            return False
        except OSError:
            # Opening it reports the error.
            return True

    def expect_folder(self) -> None:
        """Refuses a missing folder that a flag names: it may be misspelt."""
        if self.flag_names_folder and not os.path.lexists(self.folder):
            raise StoreError(
                f"there is no folder {self.folder} (from --dir): correct it, or let `plexindex warm` create it"
            )

    def open(
        self,
        *,
        folder: str | None = None,
        only: list[Mapping] | None = None,
        progress: ProgressArg = None,
        **options: object,
    ) -> Index:
        """Opens an index with these settings. ``folder`` and ``only`` replace those of the settings."""
        from .._open import open

        chosen: dict[str, object] = {
            "user": self.user,
            "ca_file": self.ca_file,
            "accept_invalid_certs": self.insecure,
            "offline": self.offline,
            "deadline": self.deadline,
            "size_limit": self.size_limit,
            "database": self.database,
            "shared": self.shared,
            "shared_durable": self.shared_durable,
            "mappings": self.mappings if only is None else only,
            "progress": progress,
            "retry_for": 3.0,
            # At a terminal slow calls are visible anyway.
            "slow": 1.0 if self.verbose else None,
            **options,
        }
        return open(folder or self.folder, self.url, self.renew or self.token, **chosen)  # type: ignore[arg-type]
