"""Opens an index."""

from __future__ import annotations

import plexindex

from ._core import Iterable
from ._core.options import open_session
from .index import Index


def open(
    cache_dir: plexindex.types.PathArg | None = None,
    server_url: str | None = None,
    token: plexindex.types.TokenArg = None,
    *,
    user: str | None = None,
    library_ttl: float | None = 3600.0,
    max_age: float | None = 86400.0,
    timeout: float | None = None,
    connect_timeout: float = 5.0,
    read_timeout: float = 60.0,
    stale_answer_timeout: float | None = 2.0,
    retry_for: float | None = 30.0,
    ca_file: plexindex.types.PathArg | None = None,
    accept_invalid_certs: bool = False,
    offline: bool = False,
    mappings: Iterable[plexindex.types.MappingArg] = (),
    page_size: int = 1000,
    matches_limit: int | None = None,
    size_limit: int | None = None,
    database: plexindex.types.PathArg | None = None,
    mmap: bool = True,
    slow: float | None = 1.0,
    obfuscate_paths: bool = False,
    shared: str | None = None,
    shared_durable: bool | None = None,
    progress: plexindex.types.ProgressArg = None,
) -> Index:
    """Opens an index in a folder. Sends no request; the first lookup that needs the server sends one.

    Several processes can open the same folder, and one process can open it several times. All times are in seconds.

    Without ``cache_dir``, the folder, server, token, user, Plex's and the shared database, mappings and size limit come
    from the environment (``PLEXINDEX_SERVER_URL``, ``PLEXINDEX_TOKEN``, …) and from configuration files, as for the
    command ``plexindex``; ``plexindex help config`` lists the sources. Arguments take precedence. plexindex sends a
    configured token only to the server that is configured with the token.

    Args:
        cache_dir: The store's folder. If the folder is missing, plexindex creates it, accessible only to its owner.
            None: the configured folder.
        server_url: Base URL, such as ``http://127.0.0.1:32400``. Without a URL, plexindex answers from the store or
            ``database``.
        token: The Plex token, or a callable that returns it. plexindex sends the token only to this server, and never
            stores or logs it. ``open`` calls the callable, and raises its exception. When the server rejects the token
            (401, or 498 for an expired one), plexindex calls the callable again, on the thread of the rejected call and
            once for all threads, and retries. If the callable then raises, or returns None or the same token, plexindex
            answers from the store, and calls it again after 15 seconds at the earliest. Other threads wait for the new
            token until their timeout, but at most ``read_timeout``.
        user: A name for the user whose view of the server the index contains. None: each token has its own index. With
            a name, a new token for the same user uses the same index. JSON Web Tokens that contain their key pair and
            their user (``thumbprint``, ``username``) need no name.
        library_ttl: How long a listing is fresh. 0: never; None: until it is invalidated.
        max_age: Age at which plexindex fetches a full listing even if the server reports no change. None: never.
        timeout: Default timeout for calls. None: no limit; 0: hardly any time.
        connect_timeout: Maximum time for connecting.
        read_timeout: Maximum time for which the server may send nothing during a response. For a lookup without a
            listing, at most 15 s.
        stale_answer_timeout: Maximum time that a query without ``check`` waits for the server if a stored listing can
            answer; the answer is then stale. None: no limit.
        retry_for: How long to retry a request after a temporary failure. 0: no retries; None: until the timeout.
        ca_file: PEM file with the authorities, or the server's own certificate, to trust instead of the system's.
        accept_invalid_certs: Accept any certificate, with a warning in the log.
        offline: Send no requests. The folder can then be one that this user cannot write to, such as in a container
            image, if the index was closed there: queries work, and writes raise StoreError.
        mappings: Rules between the host's paths and the server's: :class:`plexindex.Mapping`, or pairs of folders
            ``(host, server)``.
        page_size: Number of rows in a page of a listing, from 1 to 1000.
        matches_limit: Maximum size of confirmed matches on disk in bytes. plexindex removes the oldest matches first.
            None: 50 MiB, or 500 MiB with ``shared``.
        size_limit: Maximum size of the whole folder in bytes. plexindex removes the least recently refreshed libraries,
            and fetches them again when needed, but no confirmed matches, tables or newest listing. The smallest limit
            of all processes applies. None: no limit.
        database: Plex's own database, on the server's machine: the file ``com.plexapp.plugins.library.db``, its folder,
            or the folder 'Plex Media Server'. plexindex reads it while the server runs, and never writes to it. With
            only a database, plexindex needs neither a URL nor a token, sends no requests, notices each change on the
            next lookup, and shows all of the server's libraries. None: no database.
        mmap: Whether to map the index files into memory. False: read them into memory.
        slow: Log each call that takes longer than this, with a breakdown of its time: as a warning, or as info if the
            call fetched a library or waited for another fetch. None: log no calls.
        obfuscate_paths: In log lines, errors and reasons, replace a media path with a short hash and the extension,
            such as ``path-3f9a2c1b07.mkv``: always the same for the same path and ``cache_dir``.
        shared: A PostgreSQL database that several hosts with the same server share, such as
            ``postgresql://user@host/database?sslmode=verify-full``; the password comes from ``PGPASSWORD`` or a
            password file. Confirmed matches and invalidations reach all hosts. Needs ``server_url``, and cannot be
            combined with ``database``.
        shared_durable: Sync each confirmed match and invalidation for other hosts to disk before the call returns, so
            that a power cut loses none. None: False.
        progress: Default callback for progress (:class:`plexindex.Progress`).

    Raises:
        InvalidArgumentError: an argument is invalid; the message names the argument.
        StoreError: plexindex cannot open or create the folder.
        ImportError: Python cannot load the shared library, or the library has a different version.

    >>> with plexindex.open(cache_dir, server_url=plex.url, token=plex.token) as index:
    ...     index.match("/films/Sintel (2010).mkv").title
    'Sintel'
    """
    return Index(open_session(dict(locals())))
