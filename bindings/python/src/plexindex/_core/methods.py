"""The types of answers. Made from include/plexindex.schema.json by `make header`."""

from __future__ import annotations

import sys
from typing import Literal, TypedDict, Union

from . import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import NotRequired
elif sys.version_info >= (3, 11):
    from typing import NotRequired

ByteString = Union["str", "dict[str, str]"]
ChangeKind = Literal["added", "removed", "changed", "moved", "list_again"]
Confidence = Literal["low", "high"]
ErrorKind = Literal["invalid_argument", "unsupported", "aborted", "store", "store_full", "connect", "tls", "unauthorized", "forbidden", "not_on_server", "not_plex", "starting", "bad_answer", "server_error", "timeout", "redirected", "offline", "library_not_found", "not_fetched", "library_ambiguous", "list_again", "defect"]
FolderKind = Literal["movie", "show", "season", "artist", "album"]
MatchKind = Literal["confirmed", "exact", "mapped", "suffix", "file_name"]
MatchStatus = Literal["found", "ambiguous", "not_found", "not_yet", "needs_warm"]
Reason = Literal["no_location", "not_listed", "not_fetched", "several_items", "several_libraries", "unconfirmed", "only_root_differs", "several_episodes", "empty", "above_locations", "unavailable", "not_asked", "same_name", "same_file", "size_differs", "same_size"]
class ServerInfo(TypedDict): answered_us: int; libraries: int; machine_identifier: str; version: NotRequired[str]
class SharedStatus(TypedDict): address: str; behind: NotRequired[int]; error: NotRequired[str]; error_kind: NotRequired[ErrorKind]; failing_since_ms: NotRequired[int]; lost: int; reachable: bool; taken: NotRequired[int]; undelivered: NotRequired[int]; views: list[SharedView]
class SharedView(TypedDict): age_ms: NotRequired[int]; bytes: int; last: int; matches: int; own: bool; server: str; taken_back: int; user: str
class StoreInfo(TypedDict): broken: list[str]; counter_page: bool; disk_bytes: int; file_system: NotRequired[str]; folder: ByteString; free_bytes: NotRequired[int]; journal: str; locks: bool; locks_error: NotRequired[str]; shares_memory: bool
class Stats(TypedDict):
    """An index's statistics at one moment, as in ``plexindex_stats`` of plexindex.h, but with times in seconds.

    Counts start when the index is opened; those that begin with ``store`` and ``evictions`` are of all processes since
    the store was created. ``answers`` are by match kind, where ``"none"`` means no item, and include fast lookups;
    ``lookup_misses`` are fast lookups that found nothing. ``requests`` are by kind, with retries. ``calls`` are
    lookups, refreshes and recorded matches, but no fast lookups; ``slow_calls`` took longer than the option ``slow``.
    ``items``, ``matches`` and ``libraries`` are those of this view, and ``sequence`` is the store's change sequence.

    ``network_seconds`` is the time spent waiting for the server, ``parse_seconds`` decompressing and parsing its
    responses, ``store_seconds`` reading and writing the store, ``segment_seconds`` building and opening segments,
    ``match_seconds`` matching, and ``wait_seconds`` waiting for other fetches and before retries. Their sum can be
    larger than ``calls_seconds``, because plexindex stores a page while it fetches the next one.

    ``over_limit`` are bytes beyond ``size_limit`` that plexindex cannot remove: if it is not 0, the limit is too small.
    ``events`` came from the server or ``notify``, and ``hints`` are the writes that they caused. ``failures`` are
    cached answers because the server did not respond, or its response could not be stored; ``last_failure`` is the
    reason, and None once the server has responded again.
    """
    answers: dict[str, int]; lookup_misses: int; stale_answers: int; requests: dict[str, int]; bytes_received: int; store_requests: int; store_answers: int; listings: int; network_seconds: float; store_seconds: float; segment_seconds: float; items: int; matches: int; libraries: int; disk_bytes: int; sequence: int; events: int; hints: int; parse_seconds: float; wait_seconds: float; match_seconds: float; calls: int; calls_seconds: float; slow_calls: int; failures: int; size_limit: int; over_limit: int; evictions: int; last_failure: Union[str, None]
