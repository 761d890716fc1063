// Made from include/plexindex.schema.json by `make header`.

//go:build cgo

package plexindex

type Action string

const (
	ActionStatus  Action = "status"
	ActionInit    Action = "init"
	ActionClear   Action = "clear"
	ActionDeliver Action = "deliver"
	ActionDropOld Action = "drop_old"
)

type AddEntryRequest struct {
	MaxBytes int64      `json:"max_bytes,omitempty"`
	Name     ByteString `json:"name"`
	Table    ByteString `json:"table"`
	TtlMs    int64      `json:"ttl_ms,omitempty"`
	Value    ByteString `json:"value"`
}

type BySection struct {
	Section string `json:"section"`
}

type ByTitle struct {
	Title string `json:"title"`
}

type ByUUID struct {
	UUID string `json:"uuid"`
}

type Change struct {
	Change  ChangeKind `json:"change"`
	From    ByteString `json:"from,omitempty"`
	FromKey string     `json:"from_key,omitempty"`
	Item    *Item      `json:"item,omitempty"`
	Library string     `json:"library"`
	Path    ByteString `json:"path,omitempty"`
	Section string     `json:"section"`
}

type ChangeKind string

const (
	ChangeAdded     ChangeKind = "added"
	ChangeRemoved   ChangeKind = "removed"
	ChangeChanged   ChangeKind = "changed"
	ChangeMoved     ChangeKind = "moved"
	ChangeListAgain ChangeKind = "list_again"
)

type ChangePage struct {
	Changes []Change `json:"changes"`
	Cursor  string   `json:"cursor"`
	More    bool     `json:"more"`
}

type CheckServerRequest struct{}

type ClearTableRequest struct {
	All   bool       `json:"all,omitempty"`
	Table ByteString `json:"table,omitempty"`
}

type ComparePathsRequest struct {
	Others []ByteString `json:"others"`
	Path   ByteString   `json:"path"`
}

type Confidence string

const (
	ConfidenceNone Confidence = "none"
	ConfidenceLow  Confidence = "low"
	ConfidenceHigh Confidence = "high"
)

type CountTableRequest struct {
	Table ByteString `json:"table,omitempty"`
}

type EntryBefore struct {
	Value ByteString `json:"value,omitempty"`
}

type ErrorKind string

const (
	ErrorInvalidArgument  ErrorKind = "invalid_argument"
	ErrorUnsupported      ErrorKind = "unsupported"
	ErrorAborted          ErrorKind = "aborted"
	ErrorStore            ErrorKind = "store"
	ErrorStoreFull        ErrorKind = "store_full"
	ErrorConnect          ErrorKind = "connect"
	ErrorTLS              ErrorKind = "tls"
	ErrorUnauthorized     ErrorKind = "unauthorized"
	ErrorForbidden        ErrorKind = "forbidden"
	ErrorNotOnServer      ErrorKind = "not_on_server"
	ErrorNotPlex          ErrorKind = "not_plex"
	ErrorStarting         ErrorKind = "starting"
	ErrorBadAnswer        ErrorKind = "bad_answer"
	ErrorServerError      ErrorKind = "server_error"
	ErrorTimeout          ErrorKind = "timeout"
	ErrorRedirected       ErrorKind = "redirected"
	ErrorOffline          ErrorKind = "offline"
	ErrorLibraryNotFound  ErrorKind = "library_not_found"
	ErrorNotFetched       ErrorKind = "not_fetched"
	ErrorLibraryAmbiguous ErrorKind = "library_ambiguous"
	ErrorListAgain        ErrorKind = "list_again"
	ErrorDefect           ErrorKind = "defect"
)

type ExportMatchesRequest struct {
	Broken ByteString `json:"broken,omitempty"`
	Cursor string     `json:"cursor,omitempty"`
	Limit  int64      `json:"limit,omitempty"`
}

type FilesPage struct {
	Cursor string `json:"cursor,omitempty"`
	Items  []Item `json:"items"`
}

type Folder struct {
	AgeMs      *int64       `json:"age_ms,omitempty"`
	Candidates []Item       `json:"candidates"`
	Confidence Confidence   `json:"confidence,omitempty"`
	File       *MatchedFile `json:"file,omitempty"`
	Files      int64        `json:"files"`
	Items      int64        `json:"items"`
	Kind       ItemType     `json:"kind,omitempty"`
	MatchKind  MatchKind    `json:"match_kind,omitempty"`
	Message    string       `json:"message,omitempty"`
	Reason     Reason       `json:"reason,omitempty"`
	Stale      bool         `json:"stale"`
	Status     MatchStatus  `json:"status"`
	Total      int64        `json:"total"`
}

type FolderKind string

const (
	FolderMovie  FolderKind = "movie"
	FolderShow   FolderKind = "show"
	FolderSeason FolderKind = "season"
	FolderArtist FolderKind = "artist"
	FolderAlbum  FolderKind = "album"
)

type GetItemRequest struct {
	Key     string      `json:"key"`
	Library LibraryName `json:"library,omitempty"`
}

type GetStoreRequest struct{}

type GetVersionsRequest struct{}

type HostMapping struct {
	From    ByteString `json:"from"`
	Pattern bool       `json:"pattern,omitempty"`
	To      ByteString `json:"to"`
}

type HostPath struct {
	Path ByteString `json:"path"`
}

type ImportMatchesRequest struct {
	Matches []MatchLine `json:"matches"`
	Offline bool        `json:"offline,omitempty"`
}

type Imported struct {
	Kept     int64 `json:"kept"`
	Recorded int64 `json:"recorded"`
	Skipped  int64 `json:"skipped"`
}

type Item struct {
	AddedAt         *int64       `json:"added_at,omitempty"`
	DurationMs      *int64       `json:"duration_ms,omitempty"`
	Edition         string       `json:"edition,omitempty"`
	Episode         *int64       `json:"episode,omitempty"`
	GUID            string       `json:"guid,omitempty"`
	GUIDs           []string     `json:"guids,omitempty"`
	Key             string       `json:"key"`
	Kind            ItemType     `json:"kind"`
	Library         string       `json:"library,omitempty"`
	Media           []Media      `json:"media,omitempty"`
	Path            ByteString   `json:"path,omitempty"`
	Paths           []ByteString `json:"paths,omitempty"`
	RatingKey       string       `json:"rating_key"`
	Season          *int64       `json:"season,omitempty"`
	SeasonGUID      string       `json:"season_guid,omitempty"`
	SeasonRatingKey string       `json:"season_rating_key,omitempty"`
	SeasonTitle     string       `json:"season_title,omitempty"`
	Section         string       `json:"section,omitempty"`
	ShowGUID        string       `json:"show_guid,omitempty"`
	ShowRatingKey   string       `json:"show_rating_key,omitempty"`
	ShowTitle       string       `json:"show_title,omitempty"`
	Title           string       `json:"title,omitempty"`
	Trashed         bool         `json:"trashed,omitempty"`
	Year            *int64       `json:"year,omitempty"`
}

type ItemType string

const (
	ItemMovie   ItemType = "movie"
	ItemShow    ItemType = "show"
	ItemSeason  ItemType = "season"
	ItemEpisode ItemType = "episode"
	ItemArtist  ItemType = "artist"
	ItemAlbum   ItemType = "album"
	ItemTrack   ItemType = "track"
	ItemClip    ItemType = "clip"
	ItemPhoto   ItemType = "photo"
	ItemOther   ItemType = "other"
)

type ItemsBelowRequest struct {
	Cursor  string      `json:"cursor,omitempty"`
	Library LibraryName `json:"library,omitempty"`
	Limit   int64       `json:"limit,omitempty"`
	Path    ByteString  `json:"path"`
}

type ItemsMissingRequest = ItemsBelowRequest

type ItemsPage struct {
	Cursor string `json:"cursor,omitempty"`
	Items  []Item `json:"items"`
}

type Libraries struct {
	Libraries []LibraryInfo `json:"libraries"`
}

type LibraryInfo struct {
	AgeMs      *int64      `json:"age_ms,omitempty"`
	Fresh      bool        `json:"fresh"`
	Generation *int64      `json:"generation,omitempty"`
	Items      *int64      `json:"items,omitempty"`
	Kind       LibraryKind `json:"kind"`
	Locations  []string    `json:"locations"`
	Section    string      `json:"section"`
	Title      string      `json:"title"`
	UUID       string      `json:"uuid"`
}

type LibraryKind string

const (
	LibraryMovie  LibraryKind = "movie"
	LibraryShow   LibraryKind = "show"
	LibraryArtist LibraryKind = "artist"
	LibraryPhoto  LibraryKind = "photo"
	LibraryOther  LibraryKind = "other"
)

type LibraryName = any

type ListChangesRequest struct {
	Cursor  string      `json:"cursor,omitempty"`
	Full    bool        `json:"full,omitempty"`
	Library LibraryName `json:"library,omitempty"`
	Limit   int64       `json:"limit,omitempty"`
}

type ListItemsRequest struct {
	Cursor  string      `json:"cursor,omitempty"`
	Library LibraryName `json:"library"`
	Limit   int64       `json:"limit,omitempty"`
	Offline bool        `json:"offline,omitempty"`
	Trashed bool        `json:"trashed,omitempty"`
}

type ListLibrariesRequest struct {
	Library LibraryName `json:"library,omitempty"`
	Offline bool        `json:"offline,omitempty"`
}

type ListShowsRequest struct {
	Library LibraryName `json:"library"`
}

type LookedFor struct {
	Item   Item     `json:"item"`
	OnDisk Presence `json:"on_disk"`
}

type MapToHostRequest struct {
	Path ByteString `json:"path"`
}

type MapToServerRequest struct {
	Mappings []HostMapping `json:"mappings,omitempty"`
	Paths    []ByteString  `json:"paths"`
}

type Match struct {
	AgeMs      *int64       `json:"age_ms,omitempty"`
	Candidates []Item       `json:"candidates"`
	Confidence Confidence   `json:"confidence,omitempty"`
	File       *MatchedFile `json:"file,omitempty"`
	MatchKind  MatchKind    `json:"match_kind,omitempty"`
	Message    string       `json:"message,omitempty"`
	Reason     Reason       `json:"reason,omitempty"`
	Stale      bool         `json:"stale"`
	Status     MatchStatus  `json:"status"`
	Total      int64        `json:"total"`
}

type MatchFolderRequest struct {
	AtOnce  bool        `json:"at_once,omitempty"`
	Check   bool        `json:"check,omitempty"`
	Kind    FolderKind  `json:"kind,omitempty"`
	Library LibraryName `json:"library,omitempty"`
	Offline bool        `json:"offline,omitempty"`
	Path    ByteString  `json:"path"`
}

type MatchGuidRequest struct {
	Check   bool        `json:"check,omitempty"`
	GUID    string      `json:"guid"`
	Library LibraryName `json:"library,omitempty"`
	Offline bool        `json:"offline,omitempty"`
}

type MatchKind string

const (
	MatchNone      MatchKind = "none"
	MatchConfirmed MatchKind = "confirmed"
	MatchExact     MatchKind = "exact"
	MatchMapped    MatchKind = "mapped"
	MatchSuffix    MatchKind = "suffix"
	MatchFileName  MatchKind = "file_name"
)

type MatchLine struct {
	Key          string     `json:"key"`
	LibraryTitle string     `json:"library_title,omitempty"`
	LibraryUUID  string     `json:"library_uuid"`
	Path         ByteString `json:"path"`
	Server       string     `json:"server,omitempty"`
}

type MatchStatus string

const (
	MatchStatusFound     MatchStatus = "found"
	MatchStatusAmbiguous MatchStatus = "ambiguous"
	MatchStatusNotFound  MatchStatus = "not_found"
	MatchStatusNotYet    MatchStatus = "not_yet"
	MatchStatusNeedsWarm MatchStatus = "needs_warm"
)

type MatchTitleRequest struct {
	Check   bool        `json:"check,omitempty"`
	Library LibraryName `json:"library,omitempty"`
	Offline bool        `json:"offline,omitempty"`
	Title   string      `json:"title"`
}

type MatchedFile struct {
	Container  string     `json:"container,omitempty"`
	DurationMs *int64     `json:"duration_ms,omitempty"`
	MediaID    *int64     `json:"media_id,omitempty"`
	Optimized  bool       `json:"optimized,omitempty"`
	Part       int64      `json:"part"`
	PartID     *int64     `json:"part_id,omitempty"`
	Parts      int64      `json:"parts"`
	Path       ByteString `json:"path"`
	Resolution string     `json:"resolution,omitempty"`
	Size       *int64     `json:"size,omitempty"`
	Version    int64      `json:"version"`
	Versions   int64      `json:"versions"`
}

type MatchesPage struct {
	Cursor  string      `json:"cursor,omitempty"`
	Matches []MatchLine `json:"matches"`
}

type Media struct {
	Container  string      `json:"container,omitempty"`
	DurationMs *int64      `json:"duration_ms,omitempty"`
	MediaID    *int64      `json:"media_id,omitempty"`
	Optimized  bool        `json:"optimized,omitempty"`
	Parts      []MediaPart `json:"parts"`
	Resolution string      `json:"resolution,omitempty"`
}

type MediaPart struct {
	PartID *int64 `json:"part_id,omitempty"`
	Size   *int64 `json:"size,omitempty"`
}

type MissingPage struct {
	Cursor    string      `json:"cursor,omitempty"`
	Files     []LookedFor `json:"files"`
	LookedFor int64       `json:"looked_for"`
}

type Nothing struct{}

type OneItem struct {
	Item *Item `json:"item,omitempty"`
}

type PathRelation struct {
	Common int64 `json:"common"`
	Equal  bool  `json:"equal"`
	Under  bool  `json:"under"`
}

type PathRelations struct {
	Relations []PathRelation `json:"relations"`
}

type Presence string

const (
	PresenceThere   Presence = "there"
	PresenceMissing Presence = "missing"
	PresenceUnknown Presence = "unknown"
)

type Proposal struct {
	Certain      bool       `json:"certain"`
	Contradicted int64      `json:"contradicted"`
	From         ByteString `json:"from"`
	Gain         *int64     `json:"gain,omitempty"`
	Matched      int64      `json:"matched"`
	Of           int64      `json:"of"`
	To           ByteString `json:"to"`
}

type Proposals struct {
	Proposals []Proposal `json:"proposals"`
}

type ProposeMappingsRequest struct {
	Paths []ByteString `json:"paths,omitempty"`
}

type Reason string

const (
	ReasonNone             Reason = "none"
	ReasonNoLocation       Reason = "no_location"
	ReasonNotListed        Reason = "not_listed"
	ReasonNotFetched       Reason = "not_fetched"
	ReasonSeveralItems     Reason = "several_items"
	ReasonSeveralLibraries Reason = "several_libraries"
	ReasonUnconfirmed      Reason = "unconfirmed"
	ReasonOnlyRootDiffers  Reason = "only_root_differs"
	ReasonSeveralEpisodes  Reason = "several_episodes"
	ReasonEmpty            Reason = "empty"
	ReasonAboveLocations   Reason = "above_locations"
	ReasonUnavailable      Reason = "unavailable"
	ReasonNotAsked         Reason = "not_asked"
	ReasonSameName         Reason = "same_name"
	ReasonSameFile         Reason = "same_file"
	ReasonSizeDiffers      Reason = "size_differs"
	ReasonSameSize         Reason = "same_size"
)

type RefreshItemsRequest struct {
	Analyze bool     `json:"analyze,omitempty"`
	Keys    []string `json:"keys"`
}

type ScanFoldersRequest struct {
	Paths []ByteString `json:"paths"`
}

type ScannedFolders struct {
	Paths []ScannedPath `json:"paths"`
}

type ScannedPath struct {
	Folder  ByteString `json:"folder,omitempty"`
	Library string     `json:"library,omitempty"`
	Message string     `json:"message,omitempty"`
	Section string     `json:"section,omitempty"`
}

type Season struct {
	GUID          string `json:"guid,omitempty"`
	Items         int64  `json:"items"`
	Number        *int64 `json:"number,omitempty"`
	RatingKey     string `json:"rating_key"`
	ShowRatingKey string `json:"show_rating_key,omitempty"`
	Title         string `json:"title,omitempty"`
}

type ServerInfo struct {
	AnsweredUs        int64  `json:"answered_us"`
	Libraries         int64  `json:"libraries"`
	MachineIdentifier string `json:"machine_identifier"`
	Version           string `json:"version,omitempty"`
}

type ServerPaths struct {
	Paths [][]ByteString `json:"paths"`
}

type SetLogLevelRequest struct {
	Level int64 `json:"level"`
}

type ShareRequest struct {
	Action Action `json:"action,omitempty"`
}

type Shared struct {
	Database *SharedStatus `json:"database,omitempty"`
	Tables   SharedTables  `json:"tables,omitempty"`
}

type SharedStatus struct {
	Address        string       `json:"address"`
	Behind         *int64       `json:"behind,omitempty"`
	Error          string       `json:"error,omitempty"`
	ErrorKind      ErrorKind    `json:"error_kind,omitempty"`
	FailingSinceMs *int64       `json:"failing_since_ms,omitempty"`
	Lost           int64        `json:"lost"`
	Reachable      bool         `json:"reachable"`
	Taken          *int64       `json:"taken,omitempty"`
	Undelivered    *int64       `json:"undelivered,omitempty"`
	Views          []SharedView `json:"views"`
}

type SharedTables string

const (
	SharedTablesMade    SharedTables = "made"
	SharedTablesPresent SharedTables = "present"
)

type SharedView struct {
	AgeMs     *int64 `json:"age_ms,omitempty"`
	Bytes     int64  `json:"bytes"`
	Last      int64  `json:"last"`
	Matches   int64  `json:"matches"`
	Own       bool   `json:"own"`
	Server    string `json:"server"`
	TakenBack int64  `json:"taken_back"`
	User      string `json:"user"`
}

type Show struct {
	GUID      string `json:"guid,omitempty"`
	Items     int64  `json:"items"`
	RatingKey string `json:"rating_key"`
	Title     string `json:"title,omitempty"`
}

type Shows struct {
	Seasons []Season `json:"seasons"`
	Shows   []Show   `json:"shows"`
}

type StartWatchRequest struct{}

type StopWatchRequest struct{}

type StoreInfo struct {
	Broken       []string   `json:"broken"`
	CounterPage  bool       `json:"counter_page"`
	DiskBytes    int64      `json:"disk_bytes"`
	FileSystem   string     `json:"file_system,omitempty"`
	Folder       ByteString `json:"folder"`
	FreeBytes    *int64     `json:"free_bytes,omitempty"`
	Journal      string     `json:"journal"`
	Locks        bool       `json:"locks"`
	LocksError   string     `json:"locks_error,omitempty"`
	SharesMemory bool       `json:"shares_memory"`
}

type TableCount struct {
	Count int64 `json:"count"`
}

type TakeEntryRequest struct {
	Name  ByteString `json:"name"`
	Table ByteString `json:"table"`
}

type Versions struct {
	ABI     int64  `json:"abi"`
	Library string `json:"library"`
	SQLite  string `json:"sqlite"`
}

type WaitForChangesRequest struct {
	Cursor  string      `json:"cursor"`
	Library LibraryName `json:"library,omitempty"`
	Offline bool        `json:"offline,omitempty"`
}

type WaitForMatchRequest struct {
	EveryMs int64       `json:"every_ms,omitempty"`
	Library LibraryName `json:"library,omitempty"`
	Path    ByteString  `json:"path"`
	Size    int64       `json:"size,omitempty"`
}

type Waited struct {
	Ready bool `json:"ready"`
}
