// Package plexindex finds the Plex item of a file, without asking the server. It calls the C library: plexindex.h
// describes each function in full.
//
// A call that may wait takes a context. When the context ends the call, the error wraps context.Canceled or
// context.DeadlineExceeded.
package plexindex

// #include <stdlib.h>
// #include <plexindex.h>
import "C"

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// Status is the outcome of a call. A status from 100 on is an error: errors.Is(err, plexindex.LibraryNotFound).
type Status int32

// Error returns the name of the status, such as NOT_FOUND.
func (s Status) Error() string { return C.GoString(C.plexindex_get_status_name(C.int32_t(s))) }

// String returns the name of the status, such as NOT_FOUND.
func (s Status) String() string { return s.Error() }

// Error is the error of one call. Its text names the input and the remedy.
type Error struct {
	Status  Status
	Message string
	// The error of the context that ended the call.
	cause error
}

func (e *Error) Error() string {
	if e.cause != nil {
		return e.Message + ": " + e.cause.Error()
	}
	return e.Message
}

// Is returns whether the target is the status of the error.
func (e *Error) Is(target error) bool { return target == error(e.Status) }

// Unwrap returns the error of the context that ended the call.
func (e *Error) Unwrap() error { return e.cause }

// ErrClosed is the error of a call on an index that was closed.
var ErrClosed = errors.New("the index is closed; open it again")

// Version returns the version of the C library.
func Version() string { return C.GoString(C.plexindex_get_version()) }

// A Mapping is a rule between the host's paths and the server's.
type Mapping struct {
	// Server: From names paths of the server. Pattern: From is a regular expression.
	Server, Pattern bool
	From, To        string
}

// Options are the fields of plexindex_options. A zero value means the default.
type Options struct {
	CacheDir, ServerURL, Token, User, CAFile string
	// Plex's own database, or its folder: docs/plex-database.md.
	Database string
	// A PostgreSQL database that several hosts share, without its password: docs/several-hosts.md.
	Shared string
	// TTLAtOnce, TTLNever.
	LibraryTTL, MaxAge, Timeout, ConnectTimeout, ReadTimeout, StaleAnswerTimeout time.Duration
	// -1: plexindex sends a request once; logs no slow call.
	Retry, Slow             time.Duration
	MatchesLimit, SizeLimit uint64
	PageSize                uint32
	// LogOff, LogError, LogWarn, LogInfo, LogDebug. The whole process has one level. Default: LogWarn.
	LogLevel int32
	Mappings []Mapping

	Offline, AcceptInvalidCerts, NoMmap, ObfuscatePaths, SharedDurable bool
}

// Special values of durations.
const (
	TTLAtOnce = C.PLEXINDEX_TTL_AT_ONCE * time.Millisecond
	TTLNever  = C.PLEXINDEX_TTL_NEVER * time.Millisecond
	NoTimeout = C.PLEXINDEX_NO_TIMEOUT * time.Millisecond
)

// Log levels.
const (
	LogOff   = C.PLEXINDEX_LOG_OFF
	LogError = C.PLEXINDEX_LOG_ERROR
	LogWarn  = C.PLEXINDEX_LOG_WARN
	LogInfo  = C.PLEXINDEX_LOG_INFO
	LogDebug = C.PLEXINDEX_LOG_DEBUG
)

// milliseconds rounds away from zero, because 0 means the default.
func milliseconds(duration time.Duration) C.int64_t {
	whole := duration / time.Millisecond
	switch rest := duration % time.Millisecond; {
	case rest > 0:
		whole++
	case rest < 0:
		whole--
	}
	return C.int64_t(whole)
}

func flagIf(isSet bool, flag C.uint32_t) C.uint32_t {
	if isSet {
		return flag
	}
	return 0
}

// An arena owns the C memory that a struct points to.
type arena []unsafe.Pointer

func (a *arena) allocate(size C.size_t) unsafe.Pointer {
	memory := C.calloc(1, size)
	*a = append(*a, memory)
	return memory
}

func (a *arena) bytes(text string) C.plexindex_bytes {
	if text == "" {
		return C.plexindex_bytes{}
	}
	memory := C.CBytes([]byte(text))
	*a = append(*a, memory)
	return C.plexindex_bytes{data: (*C.char)(memory), length: C.size_t(len(text))}
}

func (a *arena) mappings(rules []Mapping) *C.plexindex_mapping {
	memory := a.allocate(C.size_t(len(rules)+1) * C.sizeof_plexindex_mapping)
	for place, rule := range rules {
		mapping := (*C.plexindex_mapping)(unsafe.Add(memory, place*C.sizeof_plexindex_mapping))
		mapping.kind, mapping.from, mapping.to = C.PLEXINDEX_MAPPING_HOST_PREFIX, a.bytes(rule.From), a.bytes(rule.To)
		if rule.Server {
			mapping.kind = C.PLEXINDEX_MAPPING_SERVER_PREFIX
		}
		if rule.Pattern {
			mapping.kind++
		}
	}
	return (*C.plexindex_mapping)(memory)
}

func (a *arena) free() {
	for _, memory := range *a {
		C.free(memory)
	}
}

// An Index is open from Open to Close. Any number of goroutines may use it at once.
type Index struct {
	handle *C.plexindex_handle
	// Options.Timeout, in milliseconds.
	timeout C.int64_t
	// Calls lock it for reading, and Close for writing.
	inUse     sync.RWMutex
	isClosing atomic.Bool
}

// Open opens an index. It reads the disk only. Close the index in the end: the garbage collector does not.
func Open(options Options) (*Index, error) {
	if version := C.plexindex_get_abi_version(); version != C.PLEXINDEX_ABI_VERSION {
		return nil, fmt.Errorf("the plexindex library %s has ABI version %d, not %d; install the version of this module",
			Version(), version, C.PLEXINDEX_ABI_VERSION)
	}
	var memory arena
	defer memory.free()
	native := (*C.plexindex_options)(memory.allocate(C.sizeof_plexindex_options))
	*native = C.plexindex_options{
		size:                    C.sizeof_plexindex_options,
		cache_dir:               memory.bytes(options.CacheDir),
		server_url:              memory.bytes(options.ServerURL),
		token:                   memory.bytes(options.Token),
		user:                    memory.bytes(options.User),
		ca_file:                 memory.bytes(options.CAFile),
		database:                memory.bytes(options.Database),
		shared:                  memory.bytes(options.Shared),
		stale_answer_timeout_ms: milliseconds(options.StaleAnswerTimeout),
		library_ttl_ms:          milliseconds(options.LibraryTTL),
		max_age_ms:              milliseconds(options.MaxAge),
		timeout_ms:              milliseconds(options.Timeout),
		connect_timeout_ms:      milliseconds(options.ConnectTimeout),
		read_timeout_ms:         milliseconds(options.ReadTimeout),
		retry_ms:                milliseconds(options.Retry),
		slow_ms:                 milliseconds(options.Slow),
		matches_limit:           C.uint64_t(options.MatchesLimit),
		size_limit:              C.uint64_t(options.SizeLimit),
		page_size:               C.uint32_t(options.PageSize),
		log_level:               C.int32_t(options.LogLevel),
		mappings:                memory.mappings(options.Mappings),
		mappings_count:          C.size_t(len(options.Mappings)),
		flags: flagIf(options.Offline, C.PLEXINDEX_OPEN_OFFLINE) |
			flagIf(options.AcceptInvalidCerts, C.PLEXINDEX_OPEN_ACCEPT_INVALID_CERTS) |
			flagIf(options.NoMmap, C.PLEXINDEX_OPEN_NO_MMAP) |
			flagIf(options.ObfuscatePaths, C.PLEXINDEX_OPEN_OBFUSCATE_PATHS) |
			flagIf(options.SharedDurable, C.PLEXINDEX_OPEN_SHARED_DURABLE),
	}
	index := &Index{timeout: native.timeout_ms}
	_, err := call(func(failure *C.plexindex_buffer) C.int32_t {
		return C.plexindex_open(native, &index.handle, failure)
	})
	if err != nil {
		return nil, err
	}
	return index, nil
}

// Close ends waiting calls with ErrClosed, waits for the others, and closes the index. A Progress must not call it.
func (i *Index) Close() error {
	i.isClosing.Store(true)
	i.inUse.Lock()
	defer i.inUse.Unlock()
	if i.handle == nil {
		return nil
	}
	_, err := call(func(failure *C.plexindex_buffer) C.int32_t { return C.plexindex_close(i.handle, failure) })
	i.handle = nil
	return err
}

// begin starts a call. Close waits until it ends.
func (i *Index) begin() error {
	// RLock would wait for Close, which waits for a call whose Progress may have come here.
	if !i.inUse.TryRLock() {
		return ErrClosed
	}
	if i.handle == nil || i.isClosing.Load() {
		i.end()
		return ErrClosed
	}
	return nil
}

func (i *Index) end() { i.inUse.RUnlock() }

// hold does work with the open index.
func (i *Index) hold(work func() (Status, error)) (Status, error) {
	if err := i.begin(); err != nil {
		return Aborted, err
	}
	defer i.end()
	return work()
}

// do makes a call that does not wait for the server.
func (i *Index) do(work func(failure *C.plexindex_buffer) C.int32_t) error {
	_, err := i.hold(func() (Status, error) { return call(work) })
	return err
}

// Stats returns the statistics.
func (i *Index) Stats() (Stats, error) {
	stats := C.plexindex_stats{size: C.sizeof_plexindex_stats}
	err := i.do(func(failure *C.plexindex_buffer) C.int32_t { return C.plexindex_get_stats(i.handle, &stats, failure) })
	return readStats(&stats), err
}

// Notify passes on an event that the host received, such as the body of a webhook.
func (i *Index) Notify(body string) error {
	data, length := view(body)
	return i.do(func(failure *C.plexindex_buffer) C.int32_t {
		return C.plexindex_notify(i.handle, data, length, failure)
	})
}

// SetToken replaces the token; "" removes it. It sends no request. After the error Unauthorized, set a new token and
// repeat the call.
func (i *Index) SetToken(token string) error {
	data, length := view(token)
	return i.do(func(failure *C.plexindex_buffer) C.int32_t {
		return C.plexindex_set_token(i.handle, data, length, failure)
	})
}

// Clear removes everything that the store has of this server and user.
func (i *Index) Clear() error {
	return i.do(func(failure *C.plexindex_buffer) C.int32_t { return C.plexindex_clear(i.handle, failure) })
}
