"""The topics of `plexindex help`, and the installed versions."""

from __future__ import annotations

import platform

from .. import __version__
from .._core import native as _native
from .._core.json_call import ask_without_index

CONFIG = """\
plexindex reads each setting from the first of these sources that has it:
  1. options, such as --server-url; `plexindex help options` lists them
  2. the environment: PLEXINDEX_SERVER_URL, PLEXINDEX_TOKEN,
     PLEXINDEX_TOKEN_FILE, PLEXINDEX_TOKEN_COMMAND, PLEXINDEX_USER,
     PLEXINDEX_DATABASE, PLEXINDEX_CACHE_DIR, PLEXINDEX_SIZE_LIMIT,
     PLEXINDEX_SHARED, PLEXINDEX_SHARED_DURABLE (1 or 0) and
     PLEXINDEX_MAPPINGS, such as '/mnt/media=/data/media;/mnt/tv=/data/tv'
  3. plexindex/config.toml in the system's folder for configurations, such as
     ~/.config, or the file in --config or PLEXINDEX_CONFIG:
         server_url = "http://127.0.0.1:32400"
         token_file = "/run/secrets/plex-token"    # or token, or token_command
         user = "ann"
         cache_dir = "/var/lib/plexindex"
         size_limit = "2G"
         database = "/config/Library/Application Support/Plex Media Server"
         shared = "postgresql://plexindex@nas/plexindex"
         shared_durable = false
         [mappings]
         "/mnt/media" = "/data/media"
     or, for several servers, such settings in a table [servers.NAME] for each;
     --server chooses one, and what is above the tables is for all
  4. for the URL and the token only, plexapi's settings:
     PLEXAPI_AUTH_SERVER_BASEURL and PLEXAPI_AUTH_SERVER_TOKEN, or
     ~/.config/plexapi/config.ini, or the file in PLEXAPI_CONFIG_PATH
Mappings from all sources apply, in this order. `plexindex config` shows each
setting and its source. plexindex sends a token only to the server whose URL is
from the same source or a later one. A user's name applies only to a token from
the same source or a later one."""

EXIT_CODES = """\
  0    success: every path matches a single item, or nothing differs
  1    a path does not match a single item; diff or doctor found something; or
       you declined
  2    the command line, environment, configuration file or Plex's database is
       invalid
  3    the server or the shared database failed or is away, or the time limit
       passed: try again later
  4    the server rejects the token or its user (401, 403, 498), or PostgreSQL
       rejects the role
  5    plexindex cannot use the store or a standard stream, or has a bug
  6    a library does not exist or was never fetched, or the changes since a
       cursor are gone: refresh, or list again
  130  you interrupted the command with Ctrl-C
For several paths, the exit code is the first of 3, 6 and 1 that applies to any
path. If the server is unreachable or rejects the token, plexindex answers from
older listings, and marks these answers as 'stale' in JSON; with --check, the
exit code is then 3 or 4. refresh and doctor fail in this case."""


def versions() -> dict[str, str]:
    """Returns the versions of the package, the library, SQLite and Python, and where they are."""
    library = ask_without_index("versions", {})
    return {
        "plexindex": __version__,
        "library": library["library"],
        "library_path": _native.load().path,
        "sqlite": library["sqlite"],
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def version_lines() -> list[str]:
    found = versions()
    return [
        f"plexindex {found['plexindex']}",
        f"library {found['library']}, {found['library_path']}",
        f"SQLite {found['sqlite']}, built into the library",
        f"Python {found['python']}, {found['platform']}",
    ]
