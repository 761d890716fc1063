// Generated from include/plexindex.json by `make header`.

package plexindex

// #include <plexindex.h>
import "C"

import "time"

// Statuses, which plexindex.h describes.
const (
	OK               Status = C.PLEXINDEX_OK
	NotFound         Status = C.PLEXINDEX_NOT_FOUND
	Ambiguous        Status = C.PLEXINDEX_AMBIGUOUS
	NotYet           Status = C.PLEXINDEX_NOT_YET
	NeedsWarm        Status = C.PLEXINDEX_NEEDS_WARM
	InvalidArgument  Status = C.PLEXINDEX_INVALID_ARGUMENT
	NullPointer      Status = C.PLEXINDEX_NULL_POINTER
	Unsupported      Status = C.PLEXINDEX_UNSUPPORTED
	BufferTooSmall   Status = C.PLEXINDEX_BUFFER_TOO_SMALL
	Aborted          Status = C.PLEXINDEX_ABORTED
	Panic            Status = C.PLEXINDEX_PANIC
	Store            Status = C.PLEXINDEX_STORE
	StoreFull        Status = C.PLEXINDEX_STORE_FULL
	Connect          Status = C.PLEXINDEX_CONNECT
	TLS              Status = C.PLEXINDEX_TLS
	Unauthorized     Status = C.PLEXINDEX_UNAUTHORIZED
	Forbidden        Status = C.PLEXINDEX_FORBIDDEN
	NotOnServer      Status = C.PLEXINDEX_NOT_ON_SERVER
	NotPlex          Status = C.PLEXINDEX_NOT_PLEX
	Starting         Status = C.PLEXINDEX_STARTING
	BadAnswer        Status = C.PLEXINDEX_BAD_ANSWER
	ServerError      Status = C.PLEXINDEX_SERVER_ERROR
	Timeout          Status = C.PLEXINDEX_TIMEOUT
	Redirected       Status = C.PLEXINDEX_REDIRECTED
	Offline          Status = C.PLEXINDEX_OFFLINE
	LibraryNotFound  Status = C.PLEXINDEX_LIBRARY_NOT_FOUND
	LibraryAmbiguous Status = C.PLEXINDEX_LIBRARY_AMBIGUOUS
	ListAgain        Status = C.PLEXINDEX_LIST_AGAIN
	NotFetched       Status = C.PLEXINDEX_NOT_FETCHED
)

// Stats are the fields of plexindex_stats, which plexindex.h describes.
type Stats struct {
	Answers       map[MatchKind]uint64
	LookupMisses  uint64
	StaleAnswers  uint64
	Requests      map[string]uint64
	BytesReceived uint64
	StoreRequests uint64
	StoreAnswers  uint64
	Listings      uint64
	Network       time.Duration
	Store         time.Duration
	Segment       time.Duration
	Items         uint64
	Matches       uint64
	Libraries     uint64
	DiskBytes     uint64
	Sequence      uint64
	Events        uint64
	Hints         uint64
	Parse         time.Duration
	Wait          time.Duration
	Match         time.Duration
	Calls         uint64
	InCalls       time.Duration
	SlowCalls     uint64
	Failures      uint64
	SizeLimit     uint64
	OverLimit     uint64
	Evictions     uint64
	LastFailure   string
}

func readStats(of *C.plexindex_stats) Stats {
	return Stats{
		Answers:       map[MatchKind]uint64{"none": uint64(of.answers[C.PLEXINDEX_MATCH_NONE]), "confirmed": uint64(of.answers[C.PLEXINDEX_MATCH_CONFIRMED]), "exact": uint64(of.answers[C.PLEXINDEX_MATCH_EXACT]), "mapped": uint64(of.answers[C.PLEXINDEX_MATCH_MAPPED]), "suffix": uint64(of.answers[C.PLEXINDEX_MATCH_SUFFIX]), "file_name": uint64(of.answers[C.PLEXINDEX_MATCH_FILE_NAME])},
		LookupMisses:  uint64(of.lookup_misses),
		StaleAnswers:  uint64(of.stale_answers),
		Requests:      map[string]uint64{"identity": uint64(of.requests[C.PLEXINDEX_REQUEST_IDENTITY]), "probe": uint64(of.requests[C.PLEXINDEX_REQUEST_PROBE]), "page": uint64(of.requests[C.PLEXINDEX_REQUEST_PAGE]), "delta": uint64(of.requests[C.PLEXINDEX_REQUEST_DELTA]), "find_path": uint64(of.requests[C.PLEXINDEX_REQUEST_FIND_PATH]), "confirm": uint64(of.requests[C.PLEXINDEX_REQUEST_CONFIRM]), "scan": uint64(of.requests[C.PLEXINDEX_REQUEST_SCAN]), "events": uint64(of.requests[C.PLEXINDEX_REQUEST_EVENTS])},
		BytesReceived: uint64(of.bytes_received),
		StoreRequests: uint64(of.store_requests),
		StoreAnswers:  uint64(of.store_answers),
		Listings:      uint64(of.listings),
		Network:       time.Duration(of.network_us) * time.Microsecond,
		Store:         time.Duration(of.store_us) * time.Microsecond,
		Segment:       time.Duration(of.segment_us) * time.Microsecond,
		Items:         uint64(of.items),
		Matches:       uint64(of.matches),
		Libraries:     uint64(of.libraries),
		DiskBytes:     uint64(of.disk_bytes),
		Sequence:      uint64(of.sequence),
		Events:        uint64(of.events),
		Hints:         uint64(of.hints),
		Parse:         time.Duration(of.parse_us) * time.Microsecond,
		Wait:          time.Duration(of.wait_us) * time.Microsecond,
		Match:         time.Duration(of.match_us) * time.Microsecond,
		Calls:         uint64(of.calls),
		InCalls:       time.Duration(of.calls_us) * time.Microsecond,
		SlowCalls:     uint64(of.slow_calls),
		Failures:      uint64(of.failures),
		SizeLimit:     uint64(of.size_limit),
		OverLimit:     uint64(of.over_limit),
		Evictions:     uint64(of.evictions),
		LastFailure:   C.GoString(&of.last_failure[0]),
	}
}
