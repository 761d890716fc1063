package plexindex

// #include "plexindex_more.h"
import "C"

import (
	"context"
	"encoding/json"
	"time"
)

// A Request is a kind of request, a key of Stats.Requests.
type Request uint8

// The kinds of requests.
const (
	RequestIdentity Request = C.PLEXINDEX_REQUEST_IDENTITY
	RequestProbe    Request = C.PLEXINDEX_REQUEST_PROBE
	RequestPage     Request = C.PLEXINDEX_REQUEST_PAGE
	RequestDelta    Request = C.PLEXINDEX_REQUEST_DELTA
	RequestFindPath Request = C.PLEXINDEX_REQUEST_FIND_PATH
	RequestConfirm  Request = C.PLEXINDEX_REQUEST_CONFIRM
	RequestEdit     Request = C.PLEXINDEX_REQUEST_EDIT
	RequestEvents   Request = C.PLEXINDEX_REQUEST_EVENTS
)

func (r Request) String() string {
	return name([]string{"identity", "probe", "page", "delta", "find_path", "confirm", "edit", "events"}, int(r))
}

// Stats is what happened. A count is of this index's life unless plexindex.h says otherwise of plexindex_stats.
type Stats struct {
	Answers  map[MatchKind]uint64 `json:"answers"`
	Requests map[Request]uint64   `json:"requests"`

	LookupMisses  uint64 `json:"lookup_misses"`
	StaleAnswers  uint64 `json:"stale_answers"`
	BytesReceived uint64 `json:"bytes_received"`
	StoreRequests uint64 `json:"store_requests"`
	StoreAnswers  uint64 `json:"store_answers"`
	Listings      uint64 `json:"listings"`
	Items         uint64 `json:"items"`
	Matches       uint64 `json:"matches"`
	Libraries     uint64 `json:"libraries"`
	DiskBytes     uint64 `json:"disk_bytes"`
	Sequence      uint64 `json:"sequence"`
	Events        uint64 `json:"events"`
	Hints         uint64 `json:"hints"`
	Calls         uint64 `json:"calls"`
	SlowCalls     uint64 `json:"slow_calls"`
	Failures      uint64 `json:"failures"`
	SizeLimit     uint64 `json:"size_limit"`
	OverLimit     uint64 `json:"over_limit"`
	Evictions     uint64 `json:"evictions"`

	// Times; the parts overlap.
	Network time.Duration `json:"network_ns"`
	Store   time.Duration `json:"store_ns"`
	Segment time.Duration `json:"segment_ns"`
	Parse   time.Duration `json:"parse_ns"`
	Wait    time.Duration `json:"wait_ns"`
	Match   time.Duration `json:"match_ns"`
	InCalls time.Duration `json:"calls_ns"`
	// LastFailure says why an old answer was given last; empty: never.
	LastFailure string `json:"last_failure,omitempty"`
}

// Stats gives the statistics.
func (i *Index) Stats() (Stats, error) {
	of := C.plexindex_stats{size: C.sizeof_plexindex_stats}
	if _, err := i.do(func(failed *C.plexindex_buffer) C.int32_t { return C.plexindex_get_stats(i.handle, &of, failed) }); err != nil {
		return Stats{}, err
	}
	micros := func(count C.uint64_t) time.Duration { return time.Duration(count) * time.Microsecond }
	stats := Stats{
		Answers:       map[MatchKind]uint64{},
		Requests:      map[Request]uint64{},
		LookupMisses:  uint64(of.lookup_misses),
		StaleAnswers:  uint64(of.stale_answers),
		BytesReceived: uint64(of.bytes_received),
		StoreRequests: uint64(of.store_requests),
		StoreAnswers:  uint64(of.store_answers),
		Listings:      uint64(of.listings),
		Items:         uint64(of.items),
		Matches:       uint64(of.matches),
		Libraries:     uint64(of.libraries),
		DiskBytes:     uint64(of.disk_bytes),
		Sequence:      uint64(of.sequence),
		Events:        uint64(of.events),
		Hints:         uint64(of.hints),
		Calls:         uint64(of.calls),
		SlowCalls:     uint64(of.slow_calls),
		Failures:      uint64(of.failures),
		SizeLimit:     uint64(of.size_limit),
		OverLimit:     uint64(of.over_limit),
		Evictions:     uint64(of.evictions),
		Network:       micros(of.network_us),
		Store:         micros(of.store_us),
		Segment:       micros(of.segment_us),
		Parse:         micros(of.parse_us),
		Wait:          micros(of.wait_us),
		Match:         micros(of.match_us),
		InCalls:       micros(of.calls_us),
		LastFailure:   C.GoString(&of.last_failure[0]),
	}
	for at, count := range of.answers {
		stats.Answers[MatchKind(at)] = uint64(count)
	}
	for at, count := range of.requests {
		stats.Requests[Request(at)] = uint64(count)
	}
	return stats, nil
}

// ItemDetails is an item with all its files and ids. A text that is not known is empty.
type ItemDetails struct {
	Key       string `json:"key"`
	RatingKey string `json:"rating_key"`
	Kind      Kind   `json:"kind"`
	Title     string `json:"title,omitempty"`
	// Year is 0, Season and Episode are -1 where there is none.
	Year          int      `json:"year,omitempty"`
	ShowTitle     string   `json:"show_title,omitempty"`
	ShowRatingKey string   `json:"show_rating_key,omitempty"`
	ShowGUID      string   `json:"show_guid,omitempty"`
	Season        int      `json:"season"`
	Episode       int      `json:"episode"`
	GUID          string   `json:"guid,omitempty"`
	GUIDs         []string `json:"guids"`
	Paths         []string `json:"paths"`
}

// A LibraryInfo is a library, and how fresh its listing is.
type LibraryInfo struct {
	Section    string   `json:"section"`
	UUID       string   `json:"uuid"`
	Title      string   `json:"title"`
	Kind       Kind     `json:"kind"`
	Locations  []string `json:"locations"`
	Items      uint64   `json:"items"`
	Fresh      bool     `json:"fresh"`
	Generation uint64   `json:"generation"`
	// Age is that of its listing; negative where it was never fetched.
	Age time.Duration `json:"age_ns"`
}

// Libraries gives the libraries that are known. The server is asked when none is.
func (i *Index) Libraries(ctx context.Context, ask ...Ask) (libraries []LibraryInfo, err error) {
	_, err = i.query(ctx, nil, "", first(ask), func(query *C.plexindex_query) (Status, error) {
		return OK, readJSON(&libraries, func(out, failed *C.plexindex_buffer) C.int32_t {
			return C.plexindex_list_libraries_json(i.handle, query, out, failed)
		})
	})
	return libraries, err
}

// A ServerInfo is what the server said of itself.
type ServerInfo struct {
	MachineIdentifier string `json:"machine_identifier"`
	Version           string `json:"version"`
	// Answered is how long it took.
	Answered  time.Duration `json:"answered_ns"`
	Libraries int           `json:"libraries"`
}

// Server asks the server who it is and which libraries it shows.
func (i *Index) Server(ctx context.Context, ask ...Ask) (ServerInfo, error) {
	var read struct {
		MachineIdentifier string `json:"machine_identifier"`
		Version           string `json:"version"`
		Answered          int64  `json:"answered_us"`
		Libraries         int    `json:"libraries"`
	}
	_, err := i.query(ctx, nil, "", first(ask), func(query *C.plexindex_query) (Status, error) {
		return OK, readJSON(&read, func(out, failed *C.plexindex_buffer) C.int32_t {
			return C.plexindex_check_server_json(i.handle, query, out, failed)
		})
	})
	answered := time.Duration(read.Answered) * time.Microsecond
	return ServerInfo{read.MachineIdentifier, read.Version, answered, read.Libraries}, err
}

// A StoreInfo is the place that the store is in: plexindex_get_store_json() of plexindex_more.h says what is in it.
type StoreInfo struct {
	Folder       string `json:"folder"`
	FileSystem   string `json:"file_system"`
	Journal      string `json:"journal"`
	SharesMemory bool   `json:"shares_memory"`
	CounterPage  bool   `json:"counter_page"`
	Locks        bool   `json:"locks"`
	LocksError   string `json:"locks_error,omitempty"`
	DiskBytes    uint64 `json:"disk_bytes"`
	FreeBytes    uint64 `json:"free_bytes"`
}

// Store says in what kind of place the store is.
func (i *Index) Store() (info StoreInfo, err error) {
	err = i.json(&info, func(out, failed *C.plexindex_buffer) C.int32_t {
		return C.plexindex_get_store_json(i.handle, out, failed)
	})
	return info, err
}

// A Proposal is a mapping that seems to be missing: Matched of Of paths would be listed with it.
type Proposal struct {
	From    string `json:"from"`
	To      string `json:"to"`
	Matched int    `json:"matched"`
	Of      int    `json:"of"`
	// Gain is how many of the paths that were given it has listed, of those that the proposals before it leave.
	Gain int `json:"gain"`
}

// Proposals gives mappings that seem to be missing, the best first; with paths those that would have these listed.
func (i *Index) Proposals(paths ...string) (proposals []Proposal, err error) {
	all, err := joined(paths)
	if err != nil {
		return nil, err
	}
	data, length := text(all)
	err = i.json(&proposals, func(out, failed *C.plexindex_buffer) C.int32_t {
		return C.plexindex_propose_mappings_json(i.handle, data, length, C.size_t(len(paths)), out, failed)
	})
	return proposals, err
}

func (i *Index) json(into any, work func(out, failed *C.plexindex_buffer) C.int32_t) error {
	if err := i.begin(); err != nil {
		return err
	}
	defer i.end()
	return readJSON(into, work)
}

// readJSON makes a call that fills a buffer with JSON.
func readJSON(into any, work func(out, failed *C.plexindex_buffer) C.int32_t) error {
	var raw []byte
	status, err := fill(16384, work, func(out *C.plexindex_buffer) { raw = C.GoBytes(out.data, C.int(out.length)) })
	if err != nil {
		return err
	}
	if status != OK {
		return &Error{Status: status, Message: "no listing holds the item"}
	}
	return json.Unmarshal(raw, into)
}
