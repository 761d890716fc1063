"""The types of requests and answers. Made from include/plexindex.schema.json by `make header`."""

from typing import Literal, TypedDict

Action = Literal["status", "init", "clear", "deliver", "follow", "unfollow"]
class BySection(TypedDict):
    section: str
class ByTitle(TypedDict):
    title: str
class ByUuid(TypedDict):
    uuid: str
ByteString = str | dict[str, str]
Change = TypedDict("Change", {"change": ChangeKind, "from": str, "from_key": str, "item": Item, "library": str, "path": str, "section": str}, total=False)
ChangeKind = Literal["added", "removed", "changed", "moved", "list_again"]
class ChangePage(TypedDict):
    changes: list[Change]
    cursor: str
    more: bool
class CheckServer(TypedDict): ...
class ClearTable(TypedDict, total=False):
    all: bool
    table: ByteString
class ComparePaths(TypedDict):
    others: list[ByteString]
    path: ByteString
Confidence = Literal["none", "low", "high"]
class CountTable(TypedDict, total=False):
    table: ByteString
class EditChange(TypedDict, total=False):
    add: str
    field: str
    remove: str
    set: str
class EditItems(TypedDict, total=False):
    changes: list[EditChange]
    keys: list[str]
    library: LibraryName
    lock: LockChange
Edited = Literal["no", "done", "failed", "missing"]
class EditedItems(TypedDict):
    done: int
    failed: int
    requests: int
    states: list[Edited]
ErrorKind = Literal["invalid_argument", "unsupported", "aborted", "store", "store_full", "connect", "tls", "unauthorized", "forbidden", "not_on_server", "not_plex", "starting", "bad_answer", "server_error", "timeout", "redirected", "offline", "library_not_found", "not_fetched", "library_ambiguous", "list_again", "defect"]
class ExportMatches(TypedDict, total=False):
    broken: ByteString
    cursor: str
    limit: int
class FilesPage(TypedDict, total=False):
    cursor: str
    items: list[Item]
class Finding(TypedDict, total=False):
    cause: str
    detail: ByteString
    errno: int
    kind: str
    path: ByteString
    twin: bool
class Folder(TypedDict, total=False):
    age_ms: int
    candidates: list[Item]
    confidence: Confidence
    files: int
    items: int
    kind: ItemType
    match_kind: MatchKind
    message: str
    reason: Reason
    stale: bool
    status: MatchStatus
    total: int
class GetItem(TypedDict, total=False):
    key: str
    library: LibraryName
class GetStore(TypedDict): ...
class GetVersions(TypedDict): ...
class HostPath(TypedDict):
    path: ByteString
class ImportMatches(TypedDict, total=False):
    matches: list[MatchLine]
    offline: bool
class Imported(TypedDict):
    kept: int
    recorded: int
    skipped: int
class Item(TypedDict, total=False):
    episode: int
    guid: str
    guids: list[str]
    key: str
    kind: ItemType
    library: str
    path: ByteString
    paths: list[str]
    rating_key: str
    season: int
    section: str
    show_guid: str
    show_rating_key: str
    show_title: str
    title: str
    year: int
ItemType = Literal["movie", "show", "season", "episode", "artist", "album", "track", "clip", "photo", "other"]
class ItemsBelow(TypedDict, total=False):
    cursor: str
    library: LibraryName
    limit: int
    path: ByteString
ItemsMissing = ItemsBelow
class ItemsPage(TypedDict, total=False):
    cursor: str
    items: list[Item]
class Libraries(TypedDict):
    libraries: list[LibraryInfo]
class LibraryInfo(TypedDict, total=False):
    age_ms: int
    fresh: bool
    generation: int
    items: int
    kind: LibraryKind
    locations: list[str]
    section: str
    title: str
    uuid: str
LibraryKind = Literal["movie", "show", "artist", "photo", "other"]
LibraryName = str | ByTitle | BySection | ByUuid
class ListChanges(TypedDict, total=False):
    cursor: str
    full: bool
    library: LibraryName
    limit: int
class ListItems(TypedDict, total=False):
    cursor: str
    library: LibraryName
    limit: int
class ListLibraries(TypedDict, total=False):
    offline: bool
LockChange = Literal["lock", "unlock", "leave"]
class LookedFor(TypedDict):
    item: Item
    on_disk: Presence
class MapToHost(TypedDict):
    path: ByteString
class Match(TypedDict, total=False):
    age_ms: int
    candidates: list[Item]
    confidence: Confidence
    match_kind: MatchKind
    message: str
    reason: Reason
    stale: bool
    status: MatchStatus
    total: int
class MatchFolder(TypedDict, total=False):
    at_once: bool
    check: bool
    library: LibraryName
    offline: bool
    path: ByteString
class MatchGuid(TypedDict, total=False):
    check: bool
    guid: str
    library: LibraryName
    offline: bool
MatchKind = Literal["none", "confirmed", "exact", "mapped", "suffix", "file_name"]
class MatchLine(TypedDict, total=False):
    key: str
    library_title: str
    library_uuid: str
    path: ByteString
    server: str
MatchStatus = Literal["found", "ambiguous", "not_found", "not_yet", "needs_warm"]
class MatchTitle(TypedDict, total=False):
    check: bool
    library: LibraryName
    offline: bool
    title: str
class MatchesPage(TypedDict, total=False):
    cursor: str
    matches: list[MatchLine]
class MissingPage(TypedDict, total=False):
    cursor: str
    files: list[LookedFor]
    looked_for: int
class NextOfWalk(TypedDict, total=False):
    library: LibraryName
    limit: int
    once: bool
    rules: list[str]
    start: list[WalkStart]
    walk: str
class Nothing(TypedDict): ...
class OneItem(TypedDict, total=False):
    item: Item
class PathRelation(TypedDict):
    common: int
    equal: bool
    under: bool
class PathRelations(TypedDict):
    relations: list[PathRelation]
class Place(TypedDict, total=False):
    address: str
    taken: int
    undelivered: int
Presence = Literal["there", "missing", "unknown"]
Proposal = TypedDict("Proposal", {"from": ByteString, "gain": int, "matched": int, "of": int, "to": ByteString}, total=False)
class Proposals(TypedDict):
    proposals: list[Proposal]
class ProposeMappings(TypedDict, total=False):
    paths: list[ByteString]
Reason = Literal["none", "no_location", "not_listed", "not_fetched", "several_items", "several_libraries", "unconfirmed", "only_root_differs", "several_episodes", "empty", "above_locations", "unavailable", "not_asked", "same_name"]
class ServerInfo(TypedDict, total=False):
    answered_us: int
    libraries: int
    machine_identifier: str
    version: str
class Share(TypedDict, total=False):
    action: Action
class Shared(TypedDict, total=False):
    folder: Place
    log: SharedStatus
    tables: SharedTables
class SharedStatus(TypedDict, total=False):
    address: str
    behind: int
    error: str
    error_kind: ErrorKind
    reachable: bool
    server: str
    taken: int
    undelivered: int
    views: list[SharedView]
SharedTables = str
class SharedView(TypedDict, total=False):
    age_ms: int
    bytes: int
    entries: dict[str, int]
    hosts: int
    last: int
    own: bool
    server: str
    user: str
StartKind = Literal["folder", "file"]
class StartWatch(TypedDict): ...
class StopWatch(TypedDict): ...
class StoreInfo(TypedDict, total=False):
    broken: list[str]
    counter_page: bool
    disk_bytes: int
    file_system: str
    folder: ByteString
    free_bytes: int
    journal: str
    locks: bool
    locks_error: str
    shares_memory: bool
class TableCount(TypedDict):
    count: int
class Versions(TypedDict):
    abi: int
    library: str
    sqlite: str
class WaitForChanges(TypedDict, total=False):
    cursor: str
    library: LibraryName
    offline: bool
class Waited(TypedDict):
    ready: bool
class WalkStart(TypedDict, total=False):
    kind: StartKind
    path: ByteString
    twin: bool
class Walked(TypedDict, total=False):
    files: int
    findings: list[Finding]
    walk: str
