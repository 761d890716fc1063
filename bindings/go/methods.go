// Made from include/plexindex.schema.json by `make header`.

package plexindex

type jsonAction = string

type jsonBySection struct {
	Section string `json:"section"`
}

type jsonByTitle struct {
	Title string `json:"title"`
}

type jsonByUuid struct {
	Uuid string `json:"uuid"`
}

type jsonByteString = any

type jsonChange struct {
	Change  jsonChangeKind `json:"change"`
	From    *string        `json:"from,omitempty"`
	FromKey *string        `json:"from_key,omitempty"`
	Item    *jsonItem      `json:"item,omitempty"`
	Library string         `json:"library"`
	Path    *string        `json:"path,omitempty"`
	Section string         `json:"section"`
}

type jsonChangeKind = string

type jsonChangePage struct {
	Changes []jsonChange `json:"changes"`
	Cursor  string       `json:"cursor"`
	More    bool         `json:"more"`
}

type jsonCheckServer struct {}

type jsonClearTable struct {
	All   *bool          `json:"all,omitempty"`
	Table jsonByteString `json:"table,omitempty"`
}

type jsonComparePaths struct {
	Others []jsonByteString `json:"others"`
	Path   jsonByteString   `json:"path"`
}

type jsonConfidence = string

type jsonCountTable struct {
	Table jsonByteString `json:"table,omitempty"`
}

type jsonEditChange struct {
	Add    *string `json:"add,omitempty"`
	Field  string  `json:"field"`
	Remove *string `json:"remove,omitempty"`
	Set    *string `json:"set,omitempty"`
}

type jsonEditItems struct {
	Changes []jsonEditChange `json:"changes"`
	Keys    []string         `json:"keys"`
	Library jsonLibraryName  `json:"library"`
	Lock    *jsonLockChange  `json:"lock,omitempty"`
}

type jsonEdited = string

type jsonEditedItems struct {
	Done     int64        `json:"done"`
	Failed   int64        `json:"failed"`
	Requests int64        `json:"requests"`
	States   []jsonEdited `json:"states"`
}

type jsonErrorKind = string

type jsonFilesPage struct {
	Cursor *string    `json:"cursor,omitempty"`
	Items  []jsonItem `json:"items"`
}

type jsonFinding struct {
	Cause  *string        `json:"cause,omitempty"`
	Detail jsonByteString `json:"detail,omitempty"`
	Errno  *int64         `json:"errno,omitempty"`
	Kind   string         `json:"kind"`
	Path   jsonByteString `json:"path"`
	Twin   *bool          `json:"twin,omitempty"`
}

type jsonFolder struct {
	AgeMs      *int64          `json:"age_ms,omitempty"`
	Candidates []jsonItem      `json:"candidates"`
	Confidence *jsonConfidence `json:"confidence,omitempty"`
	Files      int64           `json:"files"`
	Items      int64           `json:"items"`
	Kind       *jsonItemType   `json:"kind,omitempty"`
	MatchKind  *jsonMatchKind  `json:"match_kind,omitempty"`
	Message    *string         `json:"message,omitempty"`
	Reason     *jsonReason     `json:"reason,omitempty"`
	Stale      bool            `json:"stale"`
	Status     jsonMatchStatus `json:"status"`
	Total      int64           `json:"total"`
}

type jsonGetItem struct {
	Key     string          `json:"key"`
	Library jsonLibraryName `json:"library,omitempty"`
}

type jsonGetStore struct {}

type jsonGetVersions struct {}

type jsonHostPath struct {
	Path jsonByteString `json:"path"`
}

type jsonItem struct {
	Episode       *int64         `json:"episode,omitempty"`
	Guid          *string        `json:"guid,omitempty"`
	Guids         []string       `json:"guids,omitempty"`
	Key           string         `json:"key"`
	Kind          jsonItemType   `json:"kind"`
	Library       *string        `json:"library,omitempty"`
	Path          jsonByteString `json:"path,omitempty"`
	Paths         []string       `json:"paths,omitempty"`
	RatingKey     string         `json:"rating_key"`
	Season        *int64         `json:"season,omitempty"`
	Section       *string        `json:"section,omitempty"`
	ShowGuid      *string        `json:"show_guid,omitempty"`
	ShowRatingKey *string        `json:"show_rating_key,omitempty"`
	ShowTitle     *string        `json:"show_title,omitempty"`
	Title         *string        `json:"title,omitempty"`
	Year          *int64         `json:"year,omitempty"`
}

type jsonItemType = string

type jsonItemsBelow struct {
	Cursor  *string         `json:"cursor,omitempty"`
	Library jsonLibraryName `json:"library,omitempty"`
	Limit   *int64          `json:"limit,omitempty"`
	Path    jsonByteString  `json:"path"`
}

type jsonItemsMissing = ItemsBelow

type jsonItemsPage struct {
	Cursor *string    `json:"cursor,omitempty"`
	Items  []jsonItem `json:"items"`
}

type jsonLibraries struct {
	Libraries []jsonLibraryInfo `json:"libraries"`
}

type jsonLibraryInfo struct {
	AgeMs      *int64          `json:"age_ms,omitempty"`
	Fresh      bool            `json:"fresh"`
	Generation *int64          `json:"generation,omitempty"`
	Items      *int64          `json:"items,omitempty"`
	Kind       jsonLibraryKind `json:"kind"`
	Locations  []string        `json:"locations"`
	Section    string          `json:"section"`
	Title      string          `json:"title"`
	Uuid       string          `json:"uuid"`
}

type jsonLibraryKind = string

type jsonLibraryName = any

type jsonListChanges struct {
	Cursor  *string         `json:"cursor,omitempty"`
	Full    *bool           `json:"full,omitempty"`
	Library jsonLibraryName `json:"library,omitempty"`
	Limit   *int64          `json:"limit,omitempty"`
}

type jsonListItems struct {
	Cursor  *string         `json:"cursor,omitempty"`
	Library jsonLibraryName `json:"library"`
	Limit   *int64          `json:"limit,omitempty"`
}

type jsonListLibraries struct {
	Offline *bool `json:"offline,omitempty"`
}

type jsonLockChange = string

type jsonLookedFor struct {
	Item   jsonItem     `json:"item"`
	OnDisk jsonPresence `json:"on_disk"`
}

type jsonMapToHost struct {
	Path jsonByteString `json:"path"`
}

type jsonMatch struct {
	AgeMs      *int64          `json:"age_ms,omitempty"`
	Candidates []jsonItem      `json:"candidates"`
	Confidence *jsonConfidence `json:"confidence,omitempty"`
	MatchKind  *jsonMatchKind  `json:"match_kind,omitempty"`
	Message    *string         `json:"message,omitempty"`
	Reason     *jsonReason     `json:"reason,omitempty"`
	Stale      bool            `json:"stale"`
	Status     jsonMatchStatus `json:"status"`
	Total      int64           `json:"total"`
}

type jsonMatchFolder struct {
	AtOnce  *bool           `json:"at_once,omitempty"`
	Library jsonLibraryName `json:"library,omitempty"`
	Offline *bool           `json:"offline,omitempty"`
	Path    jsonByteString  `json:"path"`
}

type jsonMatchGuid struct {
	Guid    string          `json:"guid"`
	Library jsonLibraryName `json:"library,omitempty"`
	Offline *bool           `json:"offline,omitempty"`
}

type jsonMatchKind = string

type jsonMatchStatus = string

type jsonMatchTitle struct {
	Library jsonLibraryName `json:"library,omitempty"`
	Offline *bool           `json:"offline,omitempty"`
	Title   string          `json:"title"`
}

type jsonMissingPage struct {
	Cursor    *string         `json:"cursor,omitempty"`
	Files     []jsonLookedFor `json:"files"`
	LookedFor int64           `json:"looked_for"`
}

type jsonNextOfWalk struct {
	Library jsonLibraryName `json:"library,omitempty"`
	Limit   *int64          `json:"limit,omitempty"`
	Once    *bool           `json:"once,omitempty"`
	Rules   []string        `json:"rules,omitempty"`
	Start   []jsonWalkStart `json:"start,omitempty"`
	Walk    *string         `json:"walk,omitempty"`
}

type jsonNothing struct {}

type jsonOneItem struct {
	Item *jsonItem `json:"item,omitempty"`
}

type jsonPathRelation struct {
	Common int64 `json:"common"`
	Equal  bool  `json:"equal"`
	Under  bool  `json:"under"`
}

type jsonPathRelations struct {
	Relations []jsonPathRelation `json:"relations"`
}

type jsonPlace struct {
	Address     string `json:"address"`
	Taken       *int64 `json:"taken,omitempty"`
	Undelivered *int64 `json:"undelivered,omitempty"`
}

type jsonPresence = string

type jsonProposal struct {
	From    jsonByteString `json:"from"`
	Gain    *int64         `json:"gain,omitempty"`
	Matched int64          `json:"matched"`
	Of      int64          `json:"of"`
	To      jsonByteString `json:"to"`
}

type jsonProposals struct {
	Proposals []jsonProposal `json:"proposals"`
}

type jsonProposeMappings struct {
	Paths []jsonByteString `json:"paths,omitempty"`
}

type jsonReason = string

type jsonServerInfo struct {
	AnsweredUs        int64   `json:"answered_us"`
	Libraries         int64   `json:"libraries"`
	MachineIdentifier string  `json:"machine_identifier"`
	Version           *string `json:"version,omitempty"`
}

type jsonShare struct {
	Action *jsonAction `json:"action,omitempty"`
}

type jsonShared struct {
	Folder *jsonPlace        `json:"folder,omitempty"`
	Log    *jsonSharedStatus `json:"log,omitempty"`
	Tables *jsonSharedTables `json:"tables,omitempty"`
}

type jsonSharedStatus struct {
	Address     string           `json:"address"`
	Behind      *int64           `json:"behind,omitempty"`
	Error       *string          `json:"error,omitempty"`
	ErrorKind   *jsonErrorKind   `json:"error_kind,omitempty"`
	Reachable   bool             `json:"reachable"`
	Server      *string          `json:"server,omitempty"`
	Taken       *int64           `json:"taken,omitempty"`
	Undelivered *int64           `json:"undelivered,omitempty"`
	Views       []jsonSharedView `json:"views"`
}

type jsonSharedTables = string

type jsonSharedView struct {
	AgeMs   *int64           `json:"age_ms,omitempty"`
	Bytes   int64            `json:"bytes"`
	Entries map[string]int64 `json:"entries"`
	Hosts   int64            `json:"hosts"`
	Last    int64            `json:"last"`
	Own     bool             `json:"own"`
	Server  string           `json:"server"`
	User    string           `json:"user"`
}

type jsonStartKind = string

type jsonStartWatch struct {}

type jsonStopWatch struct {}

type jsonStoreInfo struct {
	CounterPage  bool           `json:"counter_page"`
	DiskBytes    int64          `json:"disk_bytes"`
	FileSystem   *string        `json:"file_system,omitempty"`
	Folder       jsonByteString `json:"folder"`
	FreeBytes    *int64         `json:"free_bytes,omitempty"`
	Journal      string         `json:"journal"`
	Locks        bool           `json:"locks"`
	LocksError   *string        `json:"locks_error,omitempty"`
	SharesMemory bool           `json:"shares_memory"`
}

type jsonTableCount struct {
	Count int64 `json:"count"`
}

type jsonVersions struct {
	Abi     int64  `json:"abi"`
	Library string `json:"library"`
	Sqlite  string `json:"sqlite"`
}

type jsonWaitForChanges struct {
	Cursor  string          `json:"cursor"`
	Library jsonLibraryName `json:"library,omitempty"`
	Offline *bool           `json:"offline,omitempty"`
}

type jsonWalkStart struct {
	Kind jsonStartKind  `json:"kind"`
	Path jsonByteString `json:"path"`
	Twin *bool          `json:"twin,omitempty"`
}

type jsonWalked struct {
	Files    int64         `json:"files"`
	Findings []jsonFinding `json:"findings"`
	Walk     *string       `json:"walk,omitempty"`
}
