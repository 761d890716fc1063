"""The types of requests and answers. Made from include/plexindex.schema.json by `make header`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol, TypedDict, Union, overload

from . import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import NotRequired

    from ..library import Library
    from ..types import ProgressArg

Action = Literal["status", "init", "clear", "deliver", "drop_old"]
class AddEntry(TypedDict): max_bytes: NotRequired[int | None]; name: ByteString | bytes; table: ByteString | bytes; ttl_ms: NotRequired[int | None]; value: ByteString | bytes
class BySection(TypedDict): section: str
class ByTitle(TypedDict): title: str
class ByUuid(TypedDict): uuid: str
ByteString = Union["str", "dict[str, str]"]
_ChangeKeyword = TypedDict("_ChangeKeyword", {"from": "NotRequired[ByteString]"})
class ChangeJson(_ChangeKeyword): change: ChangeKind; from_key: NotRequired[str]; item: NotRequired[ItemJson]; library: str; path: NotRequired[ByteString]; section: str
ChangeKind = Literal["added", "removed", "changed", "moved", "list_again"]
class ChangePage(TypedDict): changes: list[ChangeJson]; cursor: str; more: bool
class CheckServer(TypedDict): ...
class ClearTable(TypedDict): all: NotRequired[bool | None]; table: NotRequired[ByteString | bytes | None]
class ComparePaths(TypedDict): others: list[ByteString | bytes]; path: ByteString | bytes
Confidence = Literal["low", "high"]
class CountTable(TypedDict): table: NotRequired[ByteString | bytes | None]
class EntryBefore(TypedDict): value: NotRequired[ByteString]
ErrorKind = Literal["invalid_argument", "unsupported", "aborted", "store", "store_full", "connect", "tls", "unauthorized", "forbidden", "not_on_server", "not_plex", "starting", "bad_answer", "server_error", "timeout", "redirected", "offline", "library_not_found", "not_fetched", "library_ambiguous", "list_again", "defect"]
class ExportMatches(TypedDict): broken: NotRequired[ByteString | bytes | None]; cursor: NotRequired[str | None]; limit: NotRequired[int | None]
class FilesPage(TypedDict): cursor: NotRequired[str]; items: list[ItemJson]
class Folder(TypedDict): age_ms: NotRequired[int]; candidates: list[ItemJson]; confidence: NotRequired[Confidence]; file: NotRequired[MatchedFileJson]; files: int; items: int; kind: NotRequired[ItemType]; match_kind: NotRequired[MatchKind]; message: NotRequired[str]; reason: NotRequired[Reason]; stale: bool; status: MatchStatus; total: int
FolderKind = Literal["movie", "show", "season", "artist", "album"]
class GetItem(TypedDict): key: str; library: NotRequired[LibraryName | int | Library | None]
class GetStore(TypedDict): ...
class GetVersions(TypedDict): ...
_HostMappingKeyword = TypedDict("_HostMappingKeyword", {"from": "ByteString"})
class HostMapping(_HostMappingKeyword): pattern: NotRequired[bool]; to: ByteString
class HostPath(TypedDict): path: ByteString
class ImportMatches(TypedDict): matches: list[MatchLine]; offline: NotRequired[bool | None]
class Imported(TypedDict): kept: int; recorded: int; skipped: int
class ItemJson(TypedDict): added_at: NotRequired[int]; duration_ms: NotRequired[int]; edition: NotRequired[str]; episode: NotRequired[int]; guid: NotRequired[str]; guids: NotRequired[list[str]]; key: str; kind: ItemType; library: NotRequired[str]; media: NotRequired[list[MediaJson]]; path: NotRequired[ByteString]; paths: NotRequired[list[ByteString]]; rating_key: str; season: NotRequired[int]; season_guid: NotRequired[str]; season_rating_key: NotRequired[str]; season_title: NotRequired[str]; section: NotRequired[str]; show_guid: NotRequired[str]; show_rating_key: NotRequired[str]; show_title: NotRequired[str]; title: NotRequired[str]; trashed: bool; year: NotRequired[int]
ItemType = Literal["movie", "show", "season", "episode", "artist", "album", "track", "clip", "photo", "other"]
class ItemsBelow(TypedDict): cursor: NotRequired[str | None]; library: NotRequired[LibraryName | int | Library | None]; limit: NotRequired[int | None]; path: ByteString | bytes
ItemsMissing = ItemsBelow
class ItemsPage(TypedDict): cursor: NotRequired[str]; items: list[ItemJson]
class Libraries(TypedDict): libraries: list[LibraryInfo]
class LibraryInfo(TypedDict): age_ms: NotRequired[int]; fresh: bool; generation: NotRequired[int]; items: NotRequired[int]; kind: LibraryKind; locations: list[str]; section: str; title: str; uuid: str
LibraryKind = Literal["movie", "show", "artist", "photo", "other"]
LibraryName = Union["str", "ByTitle", "BySection", "ByUuid"]
class ListChanges(TypedDict): cursor: NotRequired[str | None]; full: NotRequired[bool | None]; library: NotRequired[LibraryName | int | Library | None]; limit: NotRequired[int | None]
class ListItems(TypedDict): cursor: NotRequired[str | None]; library: LibraryName | int | Library; limit: NotRequired[int | None]; offline: NotRequired[bool | None]; trashed: NotRequired[bool | None]
class ListLibraries(TypedDict): library: NotRequired[LibraryName | int | Library | None]; offline: NotRequired[bool | None]
class ListShows(TypedDict): library: LibraryName | int | Library
class LookedFor(TypedDict): item: ItemJson; on_disk: Presence
class MapToHost(TypedDict): path: ByteString | bytes
class MapToServer(TypedDict): mappings: NotRequired[list[HostMapping] | None]; paths: list[ByteString | bytes]
class MatchJson(TypedDict): age_ms: NotRequired[int]; candidates: list[ItemJson]; confidence: NotRequired[Confidence]; file: NotRequired[MatchedFileJson]; match_kind: NotRequired[MatchKind]; message: NotRequired[str]; reason: NotRequired[Reason]; stale: bool; status: MatchStatus; total: int
class MatchFolder(TypedDict): at_once: NotRequired[bool | None]; check: NotRequired[bool | None]; kind: NotRequired[FolderKind | None]; library: NotRequired[LibraryName | int | Library | None]; offline: NotRequired[bool | None]; path: ByteString | bytes
class MatchGuid(TypedDict): check: NotRequired[bool | None]; guid: str; library: NotRequired[LibraryName | int | Library | None]; offline: NotRequired[bool | None]
MatchKind = Literal["confirmed", "exact", "mapped", "suffix", "file_name"]
class MatchLine(TypedDict): key: str; library_title: NotRequired[str]; library_uuid: str; path: ByteString; server: NotRequired[str]
MatchStatus = Literal["found", "ambiguous", "not_found", "not_yet", "needs_warm"]
class MatchTitle(TypedDict): check: NotRequired[bool | None]; library: NotRequired[LibraryName | int | Library | None]; offline: NotRequired[bool | None]; title: str
class MatchedFileJson(TypedDict): container: NotRequired[str]; duration_ms: NotRequired[int]; media_id: NotRequired[int]; optimized: NotRequired[bool]; part: int; part_id: NotRequired[int]; parts: int; path: ByteString; resolution: NotRequired[str]; size: NotRequired[int]; version: int; versions: int
class MatchesPage(TypedDict): cursor: NotRequired[str]; matches: list[MatchLine]
class MediaJson(TypedDict): container: NotRequired[str]; duration_ms: NotRequired[int]; media_id: NotRequired[int]; optimized: NotRequired[bool]; parts: list[MediaPartJson]; resolution: NotRequired[str]
class MediaPartJson(TypedDict): part_id: NotRequired[int]; size: NotRequired[int]
class MissingPage(TypedDict): cursor: NotRequired[str]; files: list[LookedFor]; looked_for: int
class Nothing(TypedDict): ...
class OneItem(TypedDict): item: NotRequired[ItemJson]
class PathRelation(TypedDict): common: int; equal: bool; under: bool
class PathRelations(TypedDict): relations: list[PathRelation]
Presence = Literal["there", "missing", "unknown"]
_ProposalKeyword = TypedDict("_ProposalKeyword", {"from": "ByteString"})
class ProposalJson(_ProposalKeyword): certain: bool; contradicted: int; gain: NotRequired[int]; matched: int; of: int; to: ByteString
class Proposals(TypedDict): proposals: list[ProposalJson]
class ProposeMappings(TypedDict): paths: NotRequired[list[ByteString | bytes] | None]
Reason = Literal["no_location", "not_listed", "not_fetched", "several_items", "several_libraries", "unconfirmed", "only_root_differs", "several_episodes", "empty", "above_locations", "unavailable", "not_asked", "same_name", "same_file", "size_differs", "same_size"]
class RefreshItems(TypedDict): analyze: NotRequired[bool | None]; keys: list[str]
class ScanFolders(TypedDict): paths: list[ByteString | bytes]
class ScannedFolders(TypedDict): paths: list[ScannedPath]
class ScannedPath(TypedDict): folder: NotRequired[ByteString]; library: NotRequired[str]; message: NotRequired[str]; section: NotRequired[str]
class SeasonJson(TypedDict): guid: NotRequired[str]; items: int; number: NotRequired[int]; rating_key: str; show_rating_key: NotRequired[str]; title: NotRequired[str]
class ServerInfo(TypedDict): answered_us: int; libraries: int; machine_identifier: str; version: NotRequired[str]
class ServerPaths(TypedDict): paths: list[list[ByteString]]
class SetLogLevel(TypedDict): level: int
class Share(TypedDict): action: NotRequired[Action | None]
class Shared(TypedDict): database: NotRequired[SharedStatus]; tables: NotRequired[SharedTables]
class SharedStatus(TypedDict): address: str; behind: NotRequired[int]; error: NotRequired[str]; error_kind: NotRequired[ErrorKind]; failing_since_ms: NotRequired[int]; lost: int; reachable: bool; taken: NotRequired[int]; undelivered: NotRequired[int]; views: list[SharedView]
SharedTables = str
class SharedView(TypedDict): age_ms: NotRequired[int]; bytes: int; last: int; matches: int; own: bool; server: str; taken_back: int; user: str
class ShowJson(TypedDict): guid: NotRequired[str]; items: int; rating_key: str; title: NotRequired[str]
class Shows(TypedDict): seasons: list[SeasonJson]; shows: list[ShowJson]
class StartWatch(TypedDict): ...
class StopWatch(TypedDict): ...
class StoreInfo(TypedDict): broken: list[str]; counter_page: bool; disk_bytes: int; file_system: NotRequired[str]; folder: ByteString; free_bytes: NotRequired[int]; journal: str; locks: bool; locks_error: NotRequired[str]; shares_memory: bool
class TableCount(TypedDict): count: int
class TakeEntry(TypedDict): name: ByteString | bytes; table: ByteString | bytes
class Versions(TypedDict): abi: int; library: str; sqlite: str
class WaitForChanges(TypedDict): cursor: str; library: NotRequired[LibraryName | int | Library | None]; offline: NotRequired[bool | None]
class WaitForMatch(TypedDict): every_ms: NotRequired[int | None]; library: NotRequired[LibraryName | int | Library | None]; path: ByteString | bytes; size: NotRequired[int | None]
class Waited(TypedDict): ready: bool
class Call(Protocol):
    """Calls a method: docs/methods.md."""
    @overload
    def __call__(self, method: Literal["changes.list"], request: ListChanges | None = None, *, timeout: float | None = None, progress: ProgressArg = None) -> ChangePage: ...
    @overload
    def __call__(self, method: Literal["changes.wait"], request: WaitForChanges, *, timeout: float | None = None, progress: ProgressArg = None) -> Waited: ...
    @overload
    def __call__(self, method: Literal["items.below"], request: ItemsBelow, *, timeout: float | None = None, progress: ProgressArg = None) -> FilesPage: ...
    @overload
    def __call__(self, method: Literal["items.get"], request: GetItem, *, timeout: float | None = None, progress: ProgressArg = None) -> OneItem: ...
    @overload
    def __call__(self, method: Literal["items.list"], request: ListItems, *, timeout: float | None = None, progress: ProgressArg = None) -> ItemsPage: ...
    @overload
    def __call__(self, method: Literal["items.missing"], request: ItemsMissing, *, timeout: float | None = None, progress: ProgressArg = None) -> MissingPage: ...
    @overload
    def __call__(self, method: Literal["items.refresh"], request: RefreshItems, *, timeout: float | None = None, progress: ProgressArg = None) -> Nothing: ...
    @overload
    def __call__(self, method: Literal["libraries.list"], request: ListLibraries | None = None, *, timeout: float | None = None, progress: ProgressArg = None) -> Libraries: ...
    @overload
    def __call__(self, method: Literal["log.set_level"], request: SetLogLevel, *, timeout: float | None = None, progress: ProgressArg = None) -> Nothing: ...
    @overload
    def __call__(self, method: Literal["mappings.propose"], request: ProposeMappings | None = None, *, timeout: float | None = None, progress: ProgressArg = None) -> Proposals: ...
    @overload
    def __call__(self, method: Literal["mappings.to_host"], request: MapToHost, *, timeout: float | None = None, progress: ProgressArg = None) -> HostPath: ...
    @overload
    def __call__(self, method: Literal["mappings.to_server"], request: MapToServer, *, timeout: float | None = None, progress: ProgressArg = None) -> ServerPaths: ...
    @overload
    def __call__(self, method: Literal["match.folder"], request: MatchFolder, *, timeout: float | None = None, progress: ProgressArg = None) -> Folder: ...
    @overload
    def __call__(self, method: Literal["match.guid"], request: MatchGuid, *, timeout: float | None = None, progress: ProgressArg = None) -> MatchJson: ...
    @overload
    def __call__(self, method: Literal["match.title"], request: MatchTitle, *, timeout: float | None = None, progress: ProgressArg = None) -> MatchJson: ...
    @overload
    def __call__(self, method: Literal["match.wait"], request: WaitForMatch, *, timeout: float | None = None, progress: ProgressArg = None) -> MatchJson: ...
    @overload
    def __call__(self, method: Literal["matches.export"], request: ExportMatches | None = None, *, timeout: float | None = None, progress: ProgressArg = None) -> MatchesPage: ...
    @overload
    def __call__(self, method: Literal["matches.import"], request: ImportMatches, *, timeout: float | None = None, progress: ProgressArg = None) -> Imported: ...
    @overload
    def __call__(self, method: Literal["paths.compare"], request: ComparePaths, *, timeout: float | None = None, progress: ProgressArg = None) -> PathRelations: ...
    @overload
    def __call__(self, method: Literal["server.check"], request: CheckServer | None = None, *, timeout: float | None = None, progress: ProgressArg = None) -> ServerInfo: ...
    @overload
    def __call__(self, method: Literal["server.scan"], request: ScanFolders, *, timeout: float | None = None, progress: ProgressArg = None) -> ScannedFolders: ...
    @overload
    def __call__(self, method: Literal["sharing"], request: Share | None = None, *, timeout: float | None = None, progress: ProgressArg = None) -> Shared: ...
    @overload
    def __call__(self, method: Literal["shows.list"], request: ListShows, *, timeout: float | None = None, progress: ProgressArg = None) -> Shows: ...
    @overload
    def __call__(self, method: Literal["store.get"], request: GetStore | None = None, *, timeout: float | None = None, progress: ProgressArg = None) -> StoreInfo: ...
    @overload
    def __call__(self, method: Literal["tables.add"], request: AddEntry, *, timeout: float | None = None, progress: ProgressArg = None) -> EntryBefore: ...
    @overload
    def __call__(self, method: Literal["tables.clear"], request: ClearTable | None = None, *, timeout: float | None = None, progress: ProgressArg = None) -> Nothing: ...
    @overload
    def __call__(self, method: Literal["tables.count"], request: CountTable | None = None, *, timeout: float | None = None, progress: ProgressArg = None) -> TableCount: ...
    @overload
    def __call__(self, method: Literal["tables.take"], request: TakeEntry, *, timeout: float | None = None, progress: ProgressArg = None) -> EntryBefore: ...
    @overload
    def __call__(self, method: Literal["versions"], request: GetVersions | None = None, *, timeout: float | None = None, progress: ProgressArg = None) -> Versions: ...
    @overload
    def __call__(self, method: Literal["watch.start"], request: StartWatch | None = None, *, timeout: float | None = None, progress: ProgressArg = None) -> Nothing: ...
    @overload
    def __call__(self, method: Literal["watch.stop"], request: StopWatch | None = None, *, timeout: float | None = None, progress: ProgressArg = None) -> Nothing: ...
    @overload
    def __call__(self, method: str, request: Mapping[str, Any] | None = None, *, timeout: float | None = None, progress: ProgressArg = None) -> Any: ...
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
    answers: dict[str, int]; lookup_misses: int; stale_answers: int; requests: dict[str, int]; bytes_received: int; store_requests: int; store_answers: int; listings: int; network_seconds: float; store_seconds: float; segment_seconds: float; items: int; matches: int; libraries: int; disk_bytes: int; sequence: int; events: int; hints: int; parse_seconds: float; wait_seconds: float; match_seconds: float; calls: int; calls_seconds: float; slow_calls: int; failures: int; size_limit: int; over_limit: int; evictions: int; last_failure: str | None
