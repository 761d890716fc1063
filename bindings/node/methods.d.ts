// Made from include/plexindex.schema.json by `make header`.

export type Action = 'status' | 'init' | 'clear' | 'deliver' | 'drop_old';
export interface AddEntry {
  max_bytes?: number;
  name: ByteString;
  table: ByteString;
  ttl_ms?: number;
  value: ByteString;
}
export interface BySection {
  section: string;
}
export interface ByTitle {
  title: string;
}
export interface ByUuid {
  uuid: string;
}
export type ByteString = string | Uint8Array;
export interface Change {
  change: ChangeKind;
  from?: ByteString;
  from_key?: string;
  item?: Item;
  library: string;
  path?: ByteString;
  section: string;
}
export type ChangeKind = 'added' | 'removed' | 'changed' | 'moved' | 'list_again';
export interface ChangePage {
  changes: readonly (Change)[];
  cursor: string;
  more: boolean;
}
export interface CheckServer {
}
export interface ClearTable {
  all?: boolean;
  table?: ByteString;
}
export interface ComparePaths {
  others: readonly (ByteString)[];
  path: ByteString;
}
export type Confidence = 'none' | 'low' | 'high';
export interface CountTable {
  table?: ByteString;
}
export interface EntryBefore {
  value?: ByteString;
}
export type ErrorKind = 'invalid_argument' | 'unsupported' | 'aborted' | 'store' | 'store_full' | 'connect' | 'tls' | 'unauthorized' | 'forbidden' | 'not_on_server' | 'not_plex' | 'starting' | 'bad_answer' | 'server_error' | 'timeout' | 'redirected' | 'offline' | 'library_not_found' | 'not_fetched' | 'library_ambiguous' | 'list_again' | 'defect';
export interface ExportMatches {
  broken?: ByteString;
  cursor?: string;
  limit?: number;
}
export interface FilesPage {
  cursor?: string;
  items: readonly (Item)[];
}
export interface Folder {
  age_ms?: number;
  candidates: readonly (Item)[];
  confidence?: Confidence;
  file?: MatchedFile;
  files: number;
  items: number;
  kind?: ItemType;
  match_kind?: MatchKind;
  message?: string;
  reason?: Reason;
  stale: boolean;
  status: MatchStatus;
  total: number;
}
export type FolderKind = 'movie' | 'show' | 'season' | 'artist' | 'album';
export interface GetItem {
  key: string;
  library?: LibraryName;
}
export interface GetStore {
}
export interface GetVersions {
}
export interface HostMapping {
  from: ByteString;
  pattern?: boolean;
  to: ByteString;
}
export interface HostPath {
  path: ByteString;
}
export interface ImportMatches {
  matches: readonly (MatchLine)[];
  offline?: boolean;
}
export interface Imported {
  kept: number;
  recorded: number;
  skipped: number;
}
export interface Item {
  added_at?: number;
  duration_ms?: number;
  edition?: string;
  episode?: number;
  guid?: string;
  guids?: readonly (string)[];
  key: string;
  kind: ItemType;
  library?: string;
  media?: readonly (Media)[];
  path?: ByteString;
  paths?: readonly (ByteString)[];
  rating_key: string;
  season?: number;
  season_guid?: string;
  season_rating_key?: string;
  season_title?: string;
  section?: string;
  show_guid?: string;
  show_rating_key?: string;
  show_title?: string;
  title?: string;
  trashed?: boolean;
  year?: number;
}
export type ItemType = 'movie' | 'show' | 'season' | 'episode' | 'artist' | 'album' | 'track' | 'clip' | 'photo' | 'other';
export interface ItemsBelow {
  cursor?: string;
  library?: LibraryName;
  limit?: number;
  path: ByteString;
}
export type ItemsMissing = ItemsBelow;
export interface ItemsPage {
  cursor?: string;
  items: readonly (Item)[];
}
export interface Libraries {
  libraries: readonly (LibraryInfo)[];
}
export interface LibraryInfo {
  age_ms?: number;
  fresh: boolean;
  generation?: number;
  items?: number;
  kind: LibraryKind;
  locations: readonly (string)[];
  section: string;
  title: string;
  uuid: string;
}
export type LibraryKind = 'movie' | 'show' | 'artist' | 'photo' | 'other';
export type LibraryName = string | ByTitle | BySection | ByUuid;
export interface ListChanges {
  cursor?: string;
  full?: boolean;
  library?: LibraryName;
  limit?: number;
}
export interface ListItems {
  cursor?: string;
  library: LibraryName;
  limit?: number;
  offline?: boolean;
  trashed?: boolean;
}
export interface ListLibraries {
  library?: LibraryName;
  offline?: boolean;
}
export interface ListShows {
  library: LibraryName;
}
export interface LookedFor {
  item: Item;
  on_disk: Presence;
}
export interface MapToHost {
  path: ByteString;
}
export interface MapToServer {
  mappings?: readonly (HostMapping)[];
  paths: readonly (ByteString)[];
}
export interface Match {
  age_ms?: number;
  candidates: readonly (Item)[];
  confidence?: Confidence;
  file?: MatchedFile;
  match_kind?: MatchKind;
  message?: string;
  reason?: Reason;
  stale: boolean;
  status: MatchStatus;
  total: number;
}
export interface MatchFolder {
  at_once?: boolean;
  check?: boolean;
  kind?: FolderKind;
  library?: LibraryName;
  offline?: boolean;
  path: ByteString;
}
export interface MatchGuid {
  check?: boolean;
  guid: string;
  library?: LibraryName;
  offline?: boolean;
}
export type MatchKind = 'none' | 'confirmed' | 'exact' | 'mapped' | 'suffix' | 'file_name';
export interface MatchLine {
  key: string;
  library_title?: string;
  library_uuid: string;
  path: ByteString;
  server?: string;
}
export type MatchStatus = 'found' | 'ambiguous' | 'not_found' | 'not_yet' | 'needs_warm';
export interface MatchTitle {
  check?: boolean;
  library?: LibraryName;
  offline?: boolean;
  title: string;
}
export interface MatchedFile {
  container?: string;
  duration_ms?: number;
  media_id?: number;
  optimized?: boolean;
  part: number;
  part_id?: number;
  parts: number;
  path: ByteString;
  resolution?: string;
  size?: number;
  version: number;
  versions: number;
}
export interface MatchesPage {
  cursor?: string;
  matches: readonly (MatchLine)[];
}
export interface Media {
  container?: string;
  duration_ms?: number;
  media_id?: number;
  optimized?: boolean;
  parts: readonly (MediaPart)[];
  resolution?: string;
}
export interface MediaPart {
  part_id?: number;
  size?: number;
}
export interface MissingPage {
  cursor?: string;
  files: readonly (LookedFor)[];
  looked_for: number;
}
export interface Nothing {
}
export interface OneItem {
  item?: Item;
}
export interface PathRelation {
  common: number;
  equal: boolean;
  under: boolean;
}
export interface PathRelations {
  relations: readonly (PathRelation)[];
}
export type Presence = 'there' | 'missing' | 'unknown';
export interface Proposal {
  certain: boolean;
  contradicted: number;
  from: ByteString;
  gain?: number;
  matched: number;
  of: number;
  to: ByteString;
}
export interface Proposals {
  proposals: readonly (Proposal)[];
}
export interface ProposeMappings {
  paths?: readonly (ByteString)[];
}
export type Reason = 'none' | 'no_location' | 'not_listed' | 'not_fetched' | 'several_items' | 'several_libraries' | 'unconfirmed' | 'only_root_differs' | 'several_episodes' | 'empty' | 'above_locations' | 'unavailable' | 'not_asked' | 'same_name' | 'same_file' | 'size_differs' | 'same_size';
export interface RefreshItems {
  analyze?: boolean;
  keys: readonly (string)[];
}
export interface ScanFolders {
  paths: readonly (ByteString)[];
}
export interface ScannedFolders {
  paths: readonly (ScannedPath)[];
}
export interface ScannedPath {
  folder?: ByteString;
  library?: string;
  message?: string;
  section?: string;
}
export interface Season {
  guid?: string;
  items: number;
  number?: number;
  rating_key: string;
  show_rating_key?: string;
  title?: string;
}
export interface ServerInfo {
  answered_us: number;
  libraries: number;
  machine_identifier: string;
  version?: string;
}
export interface ServerPaths {
  paths: readonly (readonly (ByteString)[])[];
}
export interface SetLogLevel {
  level: number;
}
export interface Share {
  action?: Action;
}
export interface Shared {
  database?: SharedStatus;
  tables?: SharedTables;
}
export interface SharedStatus {
  address: string;
  behind?: number;
  error?: string;
  error_kind?: ErrorKind;
  failing_since_ms?: number;
  lost: number;
  reachable: boolean;
  taken?: number;
  undelivered?: number;
  views: readonly (SharedView)[];
}
export type SharedTables = string;
export interface SharedView {
  age_ms?: number;
  bytes: number;
  last: number;
  matches: number;
  own: boolean;
  server: string;
  taken_back: number;
  user: string;
}
export interface Show {
  guid?: string;
  items: number;
  rating_key: string;
  title?: string;
}
export interface Shows {
  seasons: readonly (Season)[];
  shows: readonly (Show)[];
}
export interface StartWatch {
}
export interface StopWatch {
}
export interface StoreInfo {
  broken: readonly (string)[];
  counter_page: boolean;
  disk_bytes: number;
  file_system?: string;
  folder: ByteString;
  free_bytes?: number;
  journal: string;
  locks: boolean;
  locks_error?: string;
  shares_memory: boolean;
}
export interface TableCount {
  count: number;
}
export interface TakeEntry {
  name: ByteString;
  table: ByteString;
}
export interface Versions {
  abi: number;
  library: string;
  sqlite: string;
}
export interface WaitForChanges {
  cursor: string;
  library?: LibraryName;
  offline?: boolean;
}
export interface WaitForMatch {
  every_ms?: number;
  library?: LibraryName;
  path: ByteString;
  size?: number;
}
export interface Waited {
  ready: boolean;
}

/** Each method, with its request and its answer: docs/methods.md. */
export interface Methods {
  'changes.list': { request: ListChanges; answer: ChangePage };
  'changes.wait': { request: WaitForChanges; answer: Waited };
  'items.below': { request: ItemsBelow; answer: FilesPage };
  'items.get': { request: GetItem; answer: OneItem };
  'items.list': { request: ListItems; answer: ItemsPage };
  'items.missing': { request: ItemsMissing; answer: MissingPage };
  'items.refresh': { request: RefreshItems; answer: Nothing };
  'libraries.list': { request: ListLibraries; answer: Libraries };
  'log.set_level': { request: SetLogLevel; answer: Nothing };
  'mappings.propose': { request: ProposeMappings; answer: Proposals };
  'mappings.to_host': { request: MapToHost; answer: HostPath };
  'mappings.to_server': { request: MapToServer; answer: ServerPaths };
  'match.folder': { request: MatchFolder; answer: Folder };
  'match.guid': { request: MatchGuid; answer: Match };
  'match.title': { request: MatchTitle; answer: Match };
  'match.wait': { request: WaitForMatch; answer: Match };
  'matches.export': { request: ExportMatches; answer: MatchesPage };
  'matches.import': { request: ImportMatches; answer: Imported };
  'paths.compare': { request: ComparePaths; answer: PathRelations };
  'server.check': { request: CheckServer; answer: ServerInfo };
  'server.scan': { request: ScanFolders; answer: ScannedFolders };
  'sharing': { request: Share; answer: Shared };
  'shows.list': { request: ListShows; answer: Shows };
  'store.get': { request: GetStore; answer: StoreInfo };
  'tables.add': { request: AddEntry; answer: EntryBefore };
  'tables.clear': { request: ClearTable; answer: Nothing };
  'tables.count': { request: CountTable; answer: TableCount };
  'tables.take': { request: TakeEntry; answer: EntryBefore };
  'versions': { request: GetVersions; answer: Versions };
  'watch.start': { request: StartWatch; answer: Nothing };
  'watch.stop': { request: StopWatch; answer: Nothing };
}
