// Package plexindex tells which Plex item a file is, without asking the server. It is a thin layer over the C library:
// plexindex.h says in full what a call does.
//
// Calls that may wait or ask the server take a context first. A call that its context ends gives an error with
// errors.Is(err, context.Canceled) or errors.Is(err, context.DeadlineExceeded). A call that ends before its deadline gives
// its own error, such as Connect where the server refuses connections and no further try would fit in.
package plexindex

/*
#include <stdlib.h>
#include <string.h>
#include "plexindex_more.h"

extern int32_t plexindexGoProgress(void *user, plexindex_progress *progress);
extern int32_t plexindexGoRenewToken(void *user, plexindex_buffer *token);
extern void plexindexGoLog(void *user, int32_t level, char *message, size_t length);

static int32_t report(void *user, const plexindex_progress *progress) {
    return plexindexGoProgress(user, (plexindex_progress *)progress);
}

static void receive(void *user, int32_t level, const char *message, size_t length) {
    plexindexGoLog(user, level, (char *)message, length);
}

// Go must not store a Go pointer in C's memory: `user` is a number.
static void ask_progress(plexindex_query *query, uintptr_t user) {
    query->progress = report;
    query->progress_user = (void *)user;
}

static void ask_token(plexindex_options *options, uintptr_t user) {
    options->renew_token = plexindexGoRenewToken;
    options->renew_token_user = (void *)user;
}

static int32_t drain(uintptr_t user, plexindex_buffer *error) {
    return plexindex_drain_log(receive, (void *)user, error);
}
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/cgo"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// Status is the outcome of a call. Statuses from 100 on are errors: errors.Is(err, plexindex.LibraryNotFound).
type Status int32

// What a caller may want to tell apart; plexindex.h has all of them.
const (
	OK               Status = C.PLEXINDEX_OK
	NotFound         Status = C.PLEXINDEX_NOT_FOUND
	Ambiguous        Status = C.PLEXINDEX_AMBIGUOUS
	NotYet           Status = C.PLEXINDEX_NOT_YET
	NeedsWarm        Status = C.PLEXINDEX_NEEDS_WARM
	InvalidArgument  Status = C.PLEXINDEX_INVALID_ARGUMENT
	Unsupported      Status = C.PLEXINDEX_UNSUPPORTED
	Aborted          Status = C.PLEXINDEX_ABORTED
	Panic            Status = C.PLEXINDEX_PANIC
	Store            Status = C.PLEXINDEX_STORE
	StoreFull        Status = C.PLEXINDEX_STORE_FULL
	ListAgain        Status = C.PLEXINDEX_LIST_AGAIN
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
	// NotFetched: nothing is stored of the library, which may exist. Refresh asks the server.
	NotFetched Status = C.PLEXINDEX_NOT_FETCHED
)

// Error is the status's name, such as NOT_FOUND.
func (s Status) Error() string { return C.GoString(C.plexindex_get_status_name(C.int32_t(s))) }

func (s Status) String() string { return s.Error() }

// An Error has the text of its own call, which names the input and the remedy.
type Error struct {
	Status  Status
	Message string
	// The error of the context that ended the call, or of RenewToken.
	cause error
}

func (e *Error) Error() string {
	if e.cause != nil {
		return e.Message + ": " + e.cause.Error()
	}
	return e.Message
}

// Is says whether the target is the error's status.
func (e *Error) Is(target error) bool { return target == error(e.Status) }

// Unwrap gives context.Canceled or context.DeadlineExceeded where the call's context ended it, what RenewToken gave where that
// failed, else nil.
func (e *Error) Unwrap() error { return e.cause }

// ErrClosed is what calls give once the index is closed.
var ErrClosed = errors.New("the index is closed: open it again")

// An Index, a Library or a Table that did not come from this package's functions.
var errNotOpen = &Error{Status: InvalidArgument, Message: "the index was not opened: Open gives one, and its Library and Table the others"}

// Version is that of the library.
func Version() string { return C.GoString(C.plexindex_get_version()) }

const errorText = 2048

// newError makes a buffer for a call's text, in C's memory: it is filled on another thread than this one perhaps.
type failure struct{ buffer *C.plexindex_buffer }

func newFailure() failure {
	memory := C.calloc(1, C.sizeof_plexindex_buffer+errorText)
	buffer := (*C.plexindex_buffer)(memory)
	buffer.data = unsafe.Add(memory, C.sizeof_plexindex_buffer)
	buffer.capacity = errorText
	return failure{buffer}
}

func (f failure) free() { C.free(unsafe.Pointer(f.buffer)) }

// of gives the status, or the error that it is.
func (f failure) of(status C.int32_t) (Status, error) {
	if status < 100 {
		return Status(status), nil
	}
	message := C.GoString((*C.char)(f.buffer.data))
	if status == C.PLEXINDEX_INVALID_ARGUMENT {
		message = words.Replace(message)
	}
	return Status(status), &Error{Status: Status(status), Message: message}
}

// What C's texts name, in words of this package.
var words = strings.NewReplacer("query.flags has ", "the call has ", "PLEXINDEX_QUERY_FULL", "Ask.Full", "PLEXINDEX_QUERY_PROBE", "Ask.Check",
	"PLEXINDEX_QUERY_AT_ONCE", "Ask.AtOnce", "PLEXINDEX_QUERY_OFFLINE", "Ask.Offline", "query.deadline_ms", "Ask.Deadline in ms",
	"options.deadline_ms", "Options.Deadline in ms", "PLEXINDEX_NO_DEADLINE", "NoDeadline", "PLEXINDEX_TTL_AT_ONCE", "TTLAtOnce",
	"PLEXINDEX_TTL_NEVER", "TTLNever", "PLEXINDEX_LOG_*", "LogOff, LogError, LogWarn, LogInfo, LogDebug", "edit.lock", "the lock",
	"PLEXINDEX_EDIT_*", "Locks, Unlocks, Leaves", "plexindex_refresh()", "Refresh", "plexindex_match_path()", "Match",
	"plexindex_match_paths()", "MatchPaths", "plexindex_match_folder()", "Folder")

// call makes a call with a buffer for its error.
func call(work func(failed *C.plexindex_buffer) C.int32_t) (Status, error) {
	failed := newFailure()
	defer failed.free()
	return failed.of(work(failed.buffer))
}

// fill makes a call that fills a buffer, again with a larger one where it must, and lets `read` have what it wrote.
func fill(reserve int, work func(out, failed *C.plexindex_buffer) C.int32_t, read func(out *C.plexindex_buffer)) (Status, error) {
	out := (*C.plexindex_buffer)(C.calloc(1, C.sizeof_plexindex_buffer))
	defer C.free(unsafe.Pointer(out))
	for capacity := C.size_t(reserve); ; capacity = out.length + out.length/4 {
		C.free(out.data)
		out.data, out.capacity = C.malloc(capacity), capacity
		status, err := call(func(failed *C.plexindex_buffer) C.int32_t { return work(out, failed) })
		if status == C.PLEXINDEX_BUFFER_TOO_SMALL {
			continue
		}
		if err == nil {
			read(out)
		}
		C.free(out.data)
		return status, err
	}
}

// text is a string for the time of a call: Go's own memory, which C reads and does not keep.
func text(of string) (*C.char, C.size_t) {
	if of == "" {
		return nil, 0
	}
	return (*C.char)(unsafe.Pointer(stringData(of))), C.size_t(len(of))
}

func stringData(of string) *byte { return *(**byte)(unsafe.Pointer(&of)) }

// arena is C's memory for a struct and what it points to.
type arena []unsafe.Pointer

func (a *arena) free() {
	for _, one := range *a {
		C.free(one)
	}
}

func (a *arena) zeroed(size C.size_t) unsafe.Pointer {
	memory := C.calloc(1, size)
	*a = append(*a, memory)
	return memory
}

func (a *arena) bytes(of string) C.plexindex_bytes {
	if of == "" {
		return C.plexindex_bytes{}
	}
	memory := C.CBytes([]byte(of))
	*a = append(*a, memory)
	return C.plexindex_bytes{data: (*C.char)(memory), length: C.size_t(len(of))}
}

// joined is texts with a NUL behind each. One that contains a NUL is an error.
func joined(texts []string) (string, error) {
	all, refused := joinedBut(texts)
	if len(refused) > 0 {
		return "", &Error{Status: InvalidArgument, Message: holdsNUL(texts[refused[0]])}
	}
	return all, nil
}

func holdsNUL(text string) string { return fmt.Sprintf("a path or a key cannot hold a NUL: %q", text) }

// joinedBut is joined with an empty text for each that contains a NUL, and the places of these.
func joinedBut(texts []string) (string, []int) {
	var refused []int
	size := len(texts)
	for _, one := range texts {
		size += len(one)
	}
	all := make([]byte, 0, size)
	for place, one := range texts {
		if strings.IndexByte(one, 0) >= 0 {
			refused, one = append(refused, place), ""
		}
		all = append(append(all, one...), 0)
	}
	return string(all), refused
}

// A Mapping is a rule between the host's paths and the server's.
type Mapping struct {
	// Server says that From is about the server's paths, Pattern that it is a regular expression.
	Server, Pattern bool
	From, To        string
}

// Options say how to open an index: the fields of plexindex_options. Zero is the default of each.
type Options struct {
	CacheDir, ServerURL, Token, User, CAFile string
	// RenewToken gives a new token, or "" for none now, when the server refuses the one that there is, or it expired. The call
	// that was refused waits for it, and is then made again. It gets that call's context, whose end ends the call: RenewToken is
	// left behind then, and a token that it gives later is set. Its error is the cause of the call's. After "", an error or a token
	// that is refused it is not called for 15 s; SetToken goes on at once.
	//
	// It runs in a goroutine of its own, one at a time; other calls that are refused wait for it, until their deadline or for
	// ReadTimeout. If it panics there is no new token, and the panic goes on in the goroutine of a call; nor is there one after
	// runtime.Goexit. It must ask this index with its own context only: that is Unauthorized at once, unless Offline or AtOnce.
	// To close the index is an error.
	RenewToken func(ctx context.Context) (string, error)
	// Plex's own database, or a folder in which it lies: docs/plex-database.md.
	Database string
	// A PostgreSQL database that several hosts share, without a password: docs/several-hosts.md.
	Shared string
	// SharedDurable forces what other hosts are told to the disk before a call returns.
	SharedDurable bool
	// TTLAtOnce, TTLNever.
	LibraryTTL, MaxAge, Deadline, ConnectTimeout, ReadTimeout time.Duration
	// Negative: no request is tried again; no call is slow; a host without the shared log asks for listings at once.
	Retry, Slow, SharedRetry time.Duration
	MatchesLimit, SizeLimit  uint64
	PageSize                 uint32
	// LogOff, LogError, LogWarn, LogInfo, LogDebug; 0 is LogWarn. It holds for the whole process.
	LogLevel int32
	Mappings []Mapping

	Offline, AcceptInvalidCerts, NoMmap, ObfuscatePaths bool
}

// Values of Options and Ask that are no durations.
const (
	TTLAtOnce  = C.PLEXINDEX_TTL_AT_ONCE * time.Millisecond
	TTLNever   = C.PLEXINDEX_TTL_NEVER * time.Millisecond
	NoDeadline = C.PLEXINDEX_NO_DEADLINE * time.Millisecond
)

// Values of Options.LogLevel, and what DrainLog gives.
const (
	LogOff   = C.PLEXINDEX_LOG_OFF
	LogError = C.PLEXINDEX_LOG_ERROR
	LogWarn  = C.PLEXINDEX_LOG_WARN
	LogInfo  = C.PLEXINDEX_LOG_INFO
	LogDebug = C.PLEXINDEX_LOG_DEBUG
)

// milliseconds rounds up, as a short time is no default, and a negative one is a value of its own.
func milliseconds(of time.Duration) C.int64_t {
	if of > 0 {
		return C.int64_t((of-1)/time.Millisecond + 1)
	}
	return C.int64_t(of / time.Millisecond)
}

// notTooShort refuses a duration below a millisecond: as a rule a number without its unit.
func notTooShort(name string, of time.Duration) error {
	if of == 0 || of >= time.Millisecond || of <= -time.Millisecond {
		return nil
	}
	return &Error{Status: InvalidArgument, Message: fmt.Sprintf("%s is %s: give a millisecond or more, such as 500*time.Millisecond", name, of)}
}

func flag(on bool, value C.uint32_t) C.uint32_t {
	if on {
		return value
	}
	return 0
}

// An Index is open from Open to Close. Any number of goroutines may use it at once. One that is collected without
// Close is closed then. A copy is the same index.
type Index struct{ *state }

// state is what copies of an index share.
type state struct {
	// How many calls are in flight; less than zero once Close has begun.
	flying atomic.Int64
	// The process that they are counted in: a forked child has none of its parent's threads.
	process int
	idle    chan struct{}
	mutex   sync.Mutex
	handle  *C.plexindex_handle
	// The caller's functions, until Close.
	callbacks *callbacks
	renewal   cgo.Handle
	// Closed once Close has begun.
	ending chan struct{}
	// Options.Deadline, Options.ServerURL.
	deadline time.Duration
	server   string
}

// closed is what Close adds to the calls in flight.
const closed = math.MinInt64 / 2

// Open opens an index. It reads the disk only.
func Open(options Options) (*Index, error) {
	// The headers are this module's own copy.
	if found := C.plexindex_get_abi_version(); found != C.PLEXINDEX_ABI_VERSION {
		return nil, fmt.Errorf("the plexindex library %s has ABI version %d, this module was written for %d: install matching versions",
			Version(), found, C.PLEXINDEX_ABI_VERSION)
	}
	for name, of := range map[string]time.Duration{
		"Options.LibraryTTL": options.LibraryTTL, "Options.MaxAge": options.MaxAge, "Options.Deadline": options.Deadline,
		"Options.ConnectTimeout": options.ConnectTimeout, "Options.ReadTimeout": options.ReadTimeout,
	} {
		if err := notTooShort(name, of); err != nil {
			return nil, err
		}
	}
	var memory arena
	defer memory.free()
	given := (*C.plexindex_options)(memory.zeroed(C.sizeof_plexindex_options))
	given.size = C.sizeof_plexindex_options
	given.cache_dir = memory.bytes(options.CacheDir)
	given.server_url = memory.bytes(options.ServerURL)
	given.token = memory.bytes(options.Token)
	given.user = memory.bytes(options.User)
	given.ca_file = memory.bytes(options.CAFile)
	given.database = memory.bytes(options.Database)
	given.shared = memory.bytes(options.Shared)
	given.shared_retry_ms = noneBelowZero(options.SharedRetry)
	given.library_ttl_ms = milliseconds(options.LibraryTTL)
	given.max_age_ms = milliseconds(options.MaxAge)
	given.deadline_ms = milliseconds(options.Deadline)
	given.connect_timeout_ms = milliseconds(options.ConnectTimeout)
	given.read_timeout_ms = milliseconds(options.ReadTimeout)
	given.retry_ms = noneBelowZero(options.Retry)
	given.slow_ms = noneBelowZero(options.Slow)
	given.matches_limit = C.uint64_t(options.MatchesLimit)
	given.size_limit = C.uint64_t(options.SizeLimit)
	given.page_size = C.uint32_t(options.PageSize)
	given.log_level = C.int32_t(options.LogLevel)
	given.flags = flag(options.Offline, C.PLEXINDEX_OPEN_OFFLINE) |
		flag(options.AcceptInvalidCerts, C.PLEXINDEX_OPEN_ACCEPT_INVALID_CERTS) |
		flag(options.NoMmap, C.PLEXINDEX_OPEN_NO_MMAP) |
		flag(options.ObfuscatePaths, C.PLEXINDEX_OPEN_OBFUSCATE_PATHS) |
		flag(options.SharedDurable, C.PLEXINDEX_OPEN_SHARED_DURABLE)
	if count := len(options.Mappings); count > 0 {
		rules := memory.zeroed(C.size_t(count) * C.sizeof_plexindex_mapping)
		for at, rule := range options.Mappings {
			kind := C.int32_t(C.PLEXINDEX_MAPPING_HOST_PREFIX)
			if rule.Server {
				kind = C.PLEXINDEX_MAPPING_SERVER_PREFIX
			}
			if rule.Pattern {
				kind++
			}
			one := (*C.plexindex_mapping)(unsafe.Add(rules, at*C.sizeof_plexindex_mapping))
			one.kind, one.from, one.to = kind, memory.bytes(rule.From), memory.bytes(rule.To)
		}
		given.mappings = (*C.plexindex_mapping)(rules)
		given.mappings_count = C.size_t(count)
	}
	callbacks := &callbacks{renew: options.RenewToken, slot: make(chan struct{}, 1)}
	var renewal cgo.Handle
	if options.RenewToken != nil {
		renewal = cgo.NewHandle(callbacks)
		C.ask_token(given, C.uintptr_t(renewal))
	}
	out := (**C.plexindex_handle)(memory.zeroed(8))
	_, err := call(func(failed *C.plexindex_buffer) C.int32_t { return C.plexindex_open(given, out, failed) })
	if err != nil {
		forget(renewal)
		return nil, err
	}
	index := &state{process: os.Getpid(), handle: *out, idle: make(chan struct{}, 1), ending: make(chan struct{}), callbacks: callbacks,
		renewal: renewal, deadline: options.Deadline, server: options.ServerURL}
	runtime.SetFinalizer(index, func(index *state) { _ = (&Index{index}).Close() })
	return &Index{index}, nil
}

func noneBelowZero(of time.Duration) C.int64_t {
	if of < 0 {
		return C.PLEXINDEX_NO_RETRY
	}
	return milliseconds(of)
}

// begin registers a call, for which Close waits.
func (i *Index) begin() error {
	if i == nil || i.state == nil {
		return errNotOpen
	}
	if i.flying.Add(1) <= 0 {
		i.end()
		return ErrClosed
	}
	if i.handle == nil {
		i.end()
		return errNotOpen
	}
	return nil
}

func (i *Index) end() {
	if i.flying.Add(-1) == closed {
		select {
		case i.idle <- struct{}{}:
		default:
		}
	}
}

func (i *Index) closing() bool { return i.flying.Load() < 0 }

// Close closes the index, after the calls that are in flight; fetches are cut short. These and later calls give
// ErrClosed. RecordMatch and EditItems cannot be cut short in C: they are waited for, also when their caller has gone, until
// the server answers or Options.ReadTimeout passes. From Ask.Progress or Options.RenewToken it is refused: they must not wait
// for it either.
func (i *Index) Close() error {
	if i == nil || i.state == nil {
		return nil
	}
	if i.callbacks.runHere() {
		return &Error{Status: InvalidArgument, Message: "an index cannot be closed from its Progress or RenewToken: return first"}
	}
	i.mutex.Lock()
	defer i.mutex.Unlock()
	if i.handle == nil {
		return nil
	}
	runtime.SetFinalizer(i.state, nil)
	close(i.ending)
	if i.flying.Add(closed) != closed && i.process == os.Getpid() {
		i.wakeWaiting()
		for i.flying.Load() != closed {
			<-i.idle
		}
	}
	_, err := call(func(failed *C.plexindex_buffer) C.int32_t { return C.plexindex_close(i.handle, failed) })
	i.handle = nil
	forget(i.renewal)
	return err
}

func forget(renewal cgo.Handle) {
	if renewal != 0 {
		renewal.Delete()
	}
}

// wakeWaiting makes the calls that wait look whether they are to end.
func (i *Index) wakeWaiting() { C.plexindex_wake_waiting(i.handle, nil) }

// do makes a call that close waits for.
func (i *Index) do(work func(failed *C.plexindex_buffer) C.int32_t) (Status, error) {
	if err := i.begin(); err != nil {
		return 0, err
	}
	defer i.end()
	return call(work)
}

// A Progress says how far a fetch has come.
type Progress struct {
	Library string        `json:"library"`
	Items   uint64        `json:"items"`
	Total   uint64        `json:"total"`
	Elapsed time.Duration `json:"elapsed_ns"`
}

// Ask says how a question is asked. The zero value is as the options of the index say. A call takes one at most.
type Ask struct {
	// Deadline is the library's own. When it passes, Match, MatchPaths, Folder, MatchGUID and SearchTitle give an older answer,
	// or NotYet or NeedsWarm, without an error. Refresh gives false; it gives the error Timeout, as Libraries and Server do,
	// while the server has not answered at all. NoDeadline: as long as the context allows.
	Deadline time.Duration
	Offline  bool
	// AtOnce is for Match and MatchPaths: the answer waits for nothing; where it would have to it is NotYet, so always for a file
	// below a library's folder that is not listed. With Offline that is NotFound at once, from the store and without a request.
	AtOnce bool
	// Full is for Refresh and Changes: a full listing is fetched in any case; all items come first.
	Full bool
	// Check is for Refresh: the server is asked once whether anything changed while the listing is fresh, too.
	Check bool
	// Progress is called while the call waits for the server, which waits for it. False ends the call with Aborted. It runs
	// in a goroutine of its own, and the call does not end before it. A panic in it, or runtime.Goexit as of testing.T.FailNow,
	// ends the call, and goes on behind that in the caller's goroutine. It cannot call Close.
	Progress func(Progress) bool

	// That there were several, which is refused.
	several bool
}

// first is an optional argument: the zero value where it was not given.
func first(given []Ask) (one Ask) {
	if len(given) > 0 {
		one = given[0]
	}
	one.several = len(given) > 1
	return one
}

// watcher is what a call's progress is told to.
type watcher struct {
	index    *Index
	limit    limit
	progress func(Progress) bool
	ended    ending
}

// An ending is how a caller's function ended: it returned, panicked, or called runtime.Goexit.
type ending struct {
	panicked any
	exited   bool
}

func (e ending) early() bool { return e.exited || e.panicked != nil }

// raise goes on with a panic or a runtime.Goexit, behind C.
func (e ending) raise() {
	if e.panicked != nil {
		panic(e.panicked)
	}
	if e.exited {
		runtime.Goexit()
	}
}

// apart runs a caller's function in a goroutine of its own, and waits for it: in the goroutine of the call a panic, or
// runtime.Goexit, would leave C's frames and what they hold.
func apart(work func()) (end ending) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		returned := false
		defer func() {
			end.panicked = recover()
			// panic(nil), too.
			end.exited = !returned && end.panicked == nil
		}()
		work()
		returned = true
	}()
	<-done
	return end
}

// run runs a function of the caller's as apart does. From there the index is not closed.
func (c *callbacks) run(work func()) ending {
	return apart(func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		here := thisThread()
		c.threads.Store(here, true)
		defer c.threads.Delete(here)
		work()
	})
}

// runHere says whether this goroutine is in one of the functions.
func (c *callbacks) runHere() bool {
	if c == nil {
		return false
	}
	_, runs := c.threads.Load(thisThread())
	return runs
}

//export plexindexGoProgress
func plexindexGoProgress(user unsafe.Pointer, progress *C.plexindex_progress) C.int32_t {
	watching := cgo.Handle(uintptr(user)).Value().(*watcher)
	if watching.limit.aborts() || watching.index.closing() || watching.ended.early() {
		return 1
	}
	if watching.progress == nil {
		return 0
	}
	told := Progress{
		Library: C.GoStringN(progress.library.data, C.int(progress.library.length)),
		Items:   uint64(progress.items),
		Total:   uint64(progress.total),
		Elapsed: time.Duration(progress.elapsed_ms) * time.Millisecond,
	}
	goOn := false
	watching.ended = watching.index.callbacks.run(func() { goOn = watching.progress(told) })
	if goOn {
		return 0
	}
	return 1
}

// query makes a call that takes a plexindex_query, and that ends when its context does.
func (i *Index) query(ctx context.Context, library *C.plexindex_library_handle, text string, ask Ask, work func(*C.plexindex_query) (Status, error)) (Status, error) {
	if err := i.ended(ctx, asked(text)); err != nil {
		return Aborted, err
	}
	if !ask.Offline && !ask.AtOnce && i.renewing(ctx) {
		return Unauthorized, errRenewing
	}
	if err := notTooShort("Ask.Deadline", ask.Deadline); err != nil {
		return InvalidArgument, err
	}
	if ask.several {
		return InvalidArgument, &Error{Status: InvalidArgument, Message: "a call takes one Ask: put all of it into that"}
	}
	if err := i.begin(); err != nil {
		return 0, err
	}
	defer i.end()
	var memory arena
	defer memory.free()
	limit := i.limit(ctx, ask.Deadline, asked(text))
	if ask.AtOnce {
		limit.end = time.Time{} // NotYet is the answer, and no deadline's
	}
	query := (*C.plexindex_query)(memory.zeroed(C.sizeof_plexindex_query))
	query.size = C.sizeof_plexindex_query
	query.library = library
	query.text = memory.bytes(text)
	query.deadline_ms = milliseconds(limit.within)
	query.flags = flag(ask.Offline, C.PLEXINDEX_QUERY_OFFLINE) | flag(ask.Full, C.PLEXINDEX_QUERY_FULL) |
		flag(ask.Check, C.PLEXINDEX_QUERY_PROBE) | flag(ask.AtOnce, C.PLEXINDEX_QUERY_AT_ONCE)
	watching := &watcher{index: i, limit: limit, progress: ask.Progress}
	user := cgo.NewHandle(watching)
	defer user.Delete()
	C.ask_progress(query, C.uintptr_t(user))
	renewal, over := i.callbacks.call(ctx, i)
	status, err := work(query)
	over()
	watching.ended.raise()
	i.callbacks.raise()
	if errors.Is(err, Aborted) && i.closing() {
		return status, ErrClosed
	}
	return status, limit.outcome(status, renewal.explain(err))
}

type blockCall func(*C.plexindex_handle, *C.plexindex_query, *C.plexindex_buffer, *C.plexindex_buffer) C.int32_t

// ask makes a question, and reads its block.
func (l *Library) ask(ctx context.Context, text string, ask Ask, function blockCall) ([]Answer, error) {
	l = l.some()
	var answers []Answer
	_, err := l.index.query(ctx, l.handle, text, ask, func(query *C.plexindex_query) (Status, error) {
		status, err := fill(16384+4*len(text), func(out, failed *C.plexindex_buffer) C.int32_t {
			return function(l.index.handle, query, out, failed)
		}, func(out *C.plexindex_buffer) { answers = readBlock(out) })
		for _, answer := range answers { // of many the status is OK
			if answer.Status == NotYet || answer.Status == NeedsWarm {
				status = answer.Status
			}
		}
		return status, err
	})
	return answers, err
}

func one(answers []Answer, err error) (Answer, error) {
	if len(answers) == 0 {
		// Its status is not OK, which is zero.
		failed := &Error{Status: Aborted, Message: fmt.Sprint(err)}
		_ = errors.As(err, &failed)
		return Answer{Status: failed.Status, Message: failed.Message, Age: -time.Millisecond}, err
	}
	return answers[0], err
}

func drainLog(user uintptr) error {
	_, err := call(func(failed *C.plexindex_buffer) C.int32_t { return C.drain(C.uintptr_t(user), failed) })
	return err
}
