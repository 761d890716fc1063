"""The types of requests and answers. Made from include/plexindex.schema.json by `make header`."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any, Literal, Protocol, TypedDict, Union, overload

from . import TYPE_CHECKING

if TYPE_CHECKING:
    from ..library import Library
    from ..types import ProgressArg

Action = Literal["status", "init", "clear", "deliver", "drop_old"]
class _AddEntry(TypedDict): name: ByteString | bytes; table: ByteString | bytes; value: ByteString | bytes
class AddEntry(_AddEntry, total=False): max_bytes: int | None; ttl_ms: int | None
class BySection(TypedDict): section: str
class ByTitle(TypedDict): title: str
class ByUuid(TypedDict): uuid: str
ByteString = Union["str", "dict[str, str]"]
class _Change(TypedDict): change: ChangeKind; library: str; section: str
_ChangeKeyword = TypedDict("_ChangeKeyword", {"from": "ByteString"}, total=False)
class ChangeJson(_Change, _ChangeKeyword, total=False): from_key: str; item: ItemJson; path: ByteString
ChangeKind = Literal["added", "removed", "changed", "moved", "list_again"]
class ChangePage(TypedDict): changes: list[ChangeJson]; cursor: str; more: bool
class CheckServer(TypedDict): ...
class ClearTable(TypedDict, total=False): all: bool | None; table: ByteString | bytes | None
class ComparePaths(TypedDict): others: list[ByteString | bytes]; path: ByteString | bytes
Confidence = Literal["low", "high"]
class CountTable(TypedDict, total=False): table: ByteString | bytes | None
class EntryBefore(TypedDict, total=False): value: ByteString
ErrorKind = Literal["invalid_argument", "unsupported", "aborted", "store", "store_full", "connect", "tls", "unauthorized", "forbidden", "not_on_server", "not_plex", "starting", "bad_answer", "server_error", "timeout", "redirected", "offline", "library_not_found", "not_fetched", "library_ambiguous", "list_again", "defect"]
class ExportMatches(TypedDict, total=False): broken: ByteString | bytes | None; cursor: str | None; limit: int | None
class _FilesPage(TypedDict): items: list[ItemJson]
class FilesPage(_FilesPage, total=False): cursor: str
class _Folder(TypedDict): candidates: list[ItemJson]; files: int; items: int; stale: bool; status: MatchStatus; total: int
class Folder(_Folder, total=False): age_ms: int; confidence: Confidence; file: MatchedFileJson; kind: ItemType; match_kind: MatchKind; message: str; reason: Reason
FolderKind = Literal["movie", "show", "season", "artist", "album"]
class _GetItem(TypedDict): key: str
class GetItem(_GetItem, total=False): library: LibraryName | int | Library | None
class GetStore(TypedDict): ...
class GetVersions(TypedDict): ...
_HostMappingKeyword = TypedDict("_HostMappingKeyword", {"from": "ByteString"})
class _HostMapping(_HostMappingKeyword): to: ByteString
class HostMapping(_HostMapping, total=False): pattern: bool
class HostPath(TypedDict): path: ByteString
class _ImportMatches(TypedDict): matches: list[MatchLine]
class ImportMatches(_ImportMatches, total=False): offline: bool | None
class Imported(TypedDict): kept: int; recorded: int; skipped: int
class _Item(TypedDict): key: str; kind: ItemType; rating_key: str; trashed: bool
class ItemJson(_Item, total=False): added_at: int; duration_ms: int; edition: str; episode: int; guid: str; guids: list[str]; library: str; media: list[MediaJson]; path: ByteString; paths: list[ByteString]; season: int; season_guid: str; season_rating_key: str; season_title: str; section: str; show_guid: str; show_rating_key: str; show_title: str; title: str; year: int
ItemType = Literal["movie", "show", "season", "episode", "artist", "album", "track", "clip", "photo", "other"]
class _ItemsBelow(TypedDict): path: ByteString | bytes
class ItemsBelow(_ItemsBelow, total=False): cursor: str | None; library: LibraryName | int | Library | None; limit: int | None
ItemsMissing = ItemsBelow
class _ItemsPage(TypedDict): items: list[ItemJson]
class ItemsPage(_ItemsPage, total=False): cursor: str
class Libraries(TypedDict): libraries: list[LibraryInfo]
class _LibraryInfo(TypedDict): fresh: bool; kind: LibraryKind; locations: list[str]; section: str; title: str; uuid: str
class LibraryInfo(_LibraryInfo, total=False): age_ms: int; generation: int; items: int
LibraryKind = Literal["movie", "show", "artist", "photo", "other"]
LibraryName = Union["str", "ByTitle", "BySection", "ByUuid"]
class ListChanges(TypedDict, total=False): cursor: str | None; full: bool | None; library: LibraryName | int | Library | None; limit: int | None
class _ListItems(TypedDict): library: LibraryName | int | Library
class ListItems(_ListItems, total=False): cursor: str | None; limit: int | None; offline: bool | None; trashed: bool | None
class ListLibraries(TypedDict, total=False): library: LibraryName | int | Library | None; offline: bool | None
class ListShows(TypedDict): library: LibraryName | int | Library
class LookedFor(TypedDict): item: ItemJson; on_disk: Presence
class MapToHost(TypedDict): path: ByteString | bytes
class _MapToServer(TypedDict): paths: list[ByteString | bytes]
class MapToServer(_MapToServer, total=False): mappings: list[HostMapping] | None
class _Match(TypedDict): candidates: list[ItemJson]; stale: bool; status: MatchStatus; total: int
class MatchJson(_Match, total=False): age_ms: int; confidence: Confidence; file: MatchedFileJson; match_kind: MatchKind; message: str; reason: Reason
class _MatchFolder(TypedDict): path: ByteString | bytes
class MatchFolder(_MatchFolder, total=False): at_once: bool | None; check: bool | None; kind: FolderKind | None; library: LibraryName | int | Library | None; offline: bool | None
class _MatchGuid(TypedDict): guid: str
class MatchGuid(_MatchGuid, total=False): check: bool | None; library: LibraryName | int | Library | None; offline: bool | None
MatchKind = Literal["confirmed", "exact", "mapped", "suffix", "file_name"]
class _MatchLine(TypedDict): key: str; library_uuid: str; path: ByteString
class MatchLine(_MatchLine, total=False): library_title: str; server: str
MatchStatus = Literal["found", "ambiguous", "not_found", "not_yet", "needs_warm"]
class _MatchTitle(TypedDict): title: str
class MatchTitle(_MatchTitle, total=False): check: bool | None; library: LibraryName | int | Library | None; offline: bool | None
class _MatchedFile(TypedDict): part: int; parts: int; path: ByteString; version: int; versions: int
class MatchedFileJson(_MatchedFile, total=False): container: str; duration_ms: int; media_id: int; optimized: bool; part_id: int; resolution: str; size: int
class _MatchesPage(TypedDict): matches: list[MatchLine]
class MatchesPage(_MatchesPage, total=False): cursor: str
class _Media(TypedDict): parts: list[MediaPartJson]
class MediaJson(_Media, total=False): container: str; duration_ms: int; media_id: int; optimized: bool; resolution: str
class MediaPartJson(TypedDict, total=False): part_id: int; size: int
class _MissingPage(TypedDict): files: list[LookedFor]; looked_for: int
class MissingPage(_MissingPage, total=False): cursor: str
class Nothing(TypedDict): ...
class OneItem(TypedDict, total=False): item: ItemJson
class PathRelation(TypedDict): common: int; equal: bool; under: bool
class PathRelations(TypedDict): relations: list[PathRelation]
class _Place(TypedDict): address: str; lost: int
class Place(_Place, total=False): error: str; failing_since_ms: int; taken: int; undelivered: int
Presence = Literal["there", "missing", "unknown"]
_ProposalKeyword = TypedDict("_ProposalKeyword", {"from": "ByteString"})
class _Proposal(_ProposalKeyword): certain: bool; contradicted: int; matched: int; of: int; to: ByteString
class ProposalJson(_Proposal, total=False): gain: int
class Proposals(TypedDict): proposals: list[ProposalJson]
class ProposeMappings(TypedDict, total=False): paths: list[ByteString | bytes] | None
Reason = Literal["no_location", "not_listed", "not_fetched", "several_items", "several_libraries", "unconfirmed", "only_root_differs", "several_episodes", "empty", "above_locations", "unavailable", "not_asked", "same_name", "same_file", "size_differs", "same_size"]
class _RefreshItems(TypedDict): keys: list[str]
class RefreshItems(_RefreshItems, total=False): analyze: bool | None
class ScanFolders(TypedDict): paths: list[ByteString | bytes]
class ScannedFolders(TypedDict): paths: list[ScannedPath]
class ScannedPath(TypedDict, total=False): folder: ByteString; library: str; message: str; section: str
class _Season(TypedDict): items: int; rating_key: str
class SeasonJson(_Season, total=False): guid: str; number: int; show_rating_key: str; title: str
class _ServerInfo(TypedDict): answered_us: int; libraries: int; machine_identifier: str
class ServerInfo(_ServerInfo, total=False): version: str
class ServerPaths(TypedDict): paths: list[list[ByteString]]
class SetLogLevel(TypedDict): level: int
class Share(TypedDict, total=False): action: Action | None
class Shared(TypedDict, total=False): database: SharedStatus; folder: Place; tables: SharedTables
class _SharedStatus(TypedDict): address: str; lost: int; reachable: bool; views: list[SharedView]
class SharedStatus(_SharedStatus, total=False): behind: int; error: str; error_kind: ErrorKind; failing_since_ms: int; taken: int; undelivered: int
SharedTables = str
class _SharedView(TypedDict): bytes: int; last: int; matches: int; own: bool; server: str; taken_back: int; user: str
class SharedView(_SharedView, total=False): age_ms: int
class _Show(TypedDict): items: int; rating_key: str
class ShowJson(_Show, total=False): guid: str; title: str
class Shows(TypedDict): seasons: list[SeasonJson]; shows: list[ShowJson]
class StartWatch(TypedDict): ...
class StopWatch(TypedDict): ...
class _StoreInfo(TypedDict): broken: list[str]; counter_page: bool; disk_bytes: int; folder: ByteString; journal: str; locks: bool; shares_memory: bool
class StoreInfo(_StoreInfo, total=False): file_system: str; free_bytes: int; locks_error: str
class TableCount(TypedDict): count: int
class TakeEntry(TypedDict): name: ByteString | bytes; table: ByteString | bytes
class Versions(TypedDict): abi: int; library: str; sqlite: str
class _WaitForChanges(TypedDict): cursor: str
class WaitForChanges(_WaitForChanges, total=False): library: LibraryName | int | Library | None; offline: bool | None
class _WaitForMatch(TypedDict): path: ByteString | bytes
class WaitForMatch(_WaitForMatch, total=False): every_ms: int | None; library: LibraryName | int | Library | None; size: int | None
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
class AsyncCall(Protocol):
    """Calls a method: docs/methods.md."""
    @overload
    def __call__(self, method: Literal["changes.list"], request: ListChanges | None = None, *, timeout: float | None = None, progress: ProgressArg = None) -> Coroutine[Any, Any, ChangePage]: ...
    @overload
    def __call__(self, method: Literal["changes.wait"], request: WaitForChanges, *, timeout: float | None = None, progress: ProgressArg = None) -> Coroutine[Any, Any, Waited]: ...
    @overload
    def __call__(self, method: Literal["items.below"], request: ItemsBelow, *, timeout: float | None = None, progress: ProgressArg = None) -> Coroutine[Any, Any, FilesPage]: ...
    @overload
    def __call__(self, method: Literal["items.get"], request: GetItem, *, timeout: float | None = None, progress: ProgressArg = None) -> Coroutine[Any, Any, OneItem]: ...
    @overload
    def __call__(self, method: Literal["items.list"], request: ListItems, *, timeout: float | None = None, progress: ProgressArg = None) -> Coroutine[Any, Any, ItemsPage]: ...
    @overload
    def __call__(self, method: Literal["items.missing"], request: ItemsMissing, *, timeout: float | None = None, progress: ProgressArg = None) -> Coroutine[Any, Any, MissingPage]: ...
    @overload
    def __call__(self, method: Literal["items.refresh"], request: RefreshItems, *, timeout: float | None = None, progress: ProgressArg = None) -> Coroutine[Any, Any, Nothing]: ...
    @overload
    def __call__(self, method: Literal["libraries.list"], request: ListLibraries | None = None, *, timeout: float | None = None, progress: ProgressArg = None) -> Coroutine[Any, Any, Libraries]: ...
    @overload
    def __call__(self, method: Literal["log.set_level"], request: SetLogLevel, *, timeout: float | None = None, progress: ProgressArg = None) -> Coroutine[Any, Any, Nothing]: ...
    @overload
    def __call__(self, method: Literal["mappings.propose"], request: ProposeMappings | None = None, *, timeout: float | None = None, progress: ProgressArg = None) -> Coroutine[Any, Any, Proposals]: ...
    @overload
    def __call__(self, method: Literal["mappings.to_host"], request: MapToHost, *, timeout: float | None = None, progress: ProgressArg = None) -> Coroutine[Any, Any, HostPath]: ...
    @overload
    def __call__(self, method: Literal["mappings.to_server"], request: MapToServer, *, timeout: float | None = None, progress: ProgressArg = None) -> Coroutine[Any, Any, ServerPaths]: ...
    @overload
    def __call__(self, method: Literal["match.folder"], request: MatchFolder, *, timeout: float | None = None, progress: ProgressArg = None) -> Coroutine[Any, Any, Folder]: ...
    @overload
    def __call__(self, method: Literal["match.guid"], request: MatchGuid, *, timeout: float | None = None, progress: ProgressArg = None) -> Coroutine[Any, Any, MatchJson]: ...
    @overload
    def __call__(self, method: Literal["match.title"], request: MatchTitle, *, timeout: float | None = None, progress: ProgressArg = None) -> Coroutine[Any, Any, MatchJson]: ...
    @overload
    def __call__(self, method: Literal["match.wait"], request: WaitForMatch, *, timeout: float | None = None, progress: ProgressArg = None) -> Coroutine[Any, Any, MatchJson]: ...
    @overload
    def __call__(self, method: Literal["matches.export"], request: ExportMatches | None = None, *, timeout: float | None = None, progress: ProgressArg = None) -> Coroutine[Any, Any, MatchesPage]: ...
    @overload
    def __call__(self, method: Literal["matches.import"], request: ImportMatches, *, timeout: float | None = None, progress: ProgressArg = None) -> Coroutine[Any, Any, Imported]: ...
    @overload
    def __call__(self, method: Literal["paths.compare"], request: ComparePaths, *, timeout: float | None = None, progress: ProgressArg = None) -> Coroutine[Any, Any, PathRelations]: ...
    @overload
    def __call__(self, method: Literal["server.check"], request: CheckServer | None = None, *, timeout: float | None = None, progress: ProgressArg = None) -> Coroutine[Any, Any, ServerInfo]: ...
    @overload
    def __call__(self, method: Literal["server.scan"], request: ScanFolders, *, timeout: float | None = None, progress: ProgressArg = None) -> Coroutine[Any, Any, ScannedFolders]: ...
    @overload
    def __call__(self, method: Literal["sharing"], request: Share | None = None, *, timeout: float | None = None, progress: ProgressArg = None) -> Coroutine[Any, Any, Shared]: ...
    @overload
    def __call__(self, method: Literal["shows.list"], request: ListShows, *, timeout: float | None = None, progress: ProgressArg = None) -> Coroutine[Any, Any, Shows]: ...
    @overload
    def __call__(self, method: Literal["store.get"], request: GetStore | None = None, *, timeout: float | None = None, progress: ProgressArg = None) -> Coroutine[Any, Any, StoreInfo]: ...
    @overload
    def __call__(self, method: Literal["tables.add"], request: AddEntry, *, timeout: float | None = None, progress: ProgressArg = None) -> Coroutine[Any, Any, EntryBefore]: ...
    @overload
    def __call__(self, method: Literal["tables.clear"], request: ClearTable | None = None, *, timeout: float | None = None, progress: ProgressArg = None) -> Coroutine[Any, Any, Nothing]: ...
    @overload
    def __call__(self, method: Literal["tables.count"], request: CountTable | None = None, *, timeout: float | None = None, progress: ProgressArg = None) -> Coroutine[Any, Any, TableCount]: ...
    @overload
    def __call__(self, method: Literal["tables.take"], request: TakeEntry, *, timeout: float | None = None, progress: ProgressArg = None) -> Coroutine[Any, Any, EntryBefore]: ...
    @overload
    def __call__(self, method: Literal["versions"], request: GetVersions | None = None, *, timeout: float | None = None, progress: ProgressArg = None) -> Coroutine[Any, Any, Versions]: ...
    @overload
    def __call__(self, method: Literal["watch.start"], request: StartWatch | None = None, *, timeout: float | None = None, progress: ProgressArg = None) -> Coroutine[Any, Any, Nothing]: ...
    @overload
    def __call__(self, method: Literal["watch.stop"], request: StopWatch | None = None, *, timeout: float | None = None, progress: ProgressArg = None) -> Coroutine[Any, Any, Nothing]: ...
    @overload
    def __call__(self, method: str, request: Mapping[str, Any] | None = None, *, timeout: float | None = None, progress: ProgressArg = None) -> Coroutine[Any, Any, Any]: ...
