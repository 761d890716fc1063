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
#include "plexindex.h"

extern int32_t plexindexGoRenewToken(void *user, plexindex_buffer *token);
extern void plexindexGoLog(void *user, int32_t level, char *message, size_t length);

static void receive(void *user, int32_t level, const char *message, size_t length) {
    plexindexGoLog(user, level, (char *)message, length);
}

// Go must not store a Go pointer in C's memory: `user` is a number.
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

// Error is the status's name, such as NOT_FOUND.
func (s Status) Error() string { return C.GoString(C.plexindex_get_status_name(C.int32_t(s))) }

func (s Status) String() string { return s.Error() }

// word is a name of plexindex.h in small letters.
func word(name *C.char) string { return strings.ToLower(C.GoString(name)) }

// some is a word for what is known.
func some(word string) string {
	if word == "none" {
		return ""
	}
	return word
}

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

// What C's texts name, in words of this package.
var words = strings.NewReplacer("query.flags has ", "the call has ", "PLEXINDEX_QUERY_FULL", "Ask.Full", "PLEXINDEX_QUERY_PROBE", "Ask.Check",
	"PLEXINDEX_QUERY_AT_ONCE", "Ask.AtOnce", "query.deadline_ms", "the deadline in ms", "options.deadline_ms", "the deadline in ms",
	"PLEXINDEX_NO_DEADLINE", "NoDeadline", "PLEXINDEX_TTL_AT_ONCE", "TTLAtOnce", "PLEXINDEX_TTL_NEVER", "TTLNever",
	"PLEXINDEX_LOG_*", "LogOff, LogError, LogWarn, LogInfo, LogDebug", "plexindex_refresh()", "Refresh")

const errorText = 2048

// call makes a call with a buffer for its error, in C's memory: the call may outlive its caller.
func call(work func(failed *C.plexindex_buffer) C.int32_t) (Status, error) {
	memory := C.calloc(1, C.sizeof_plexindex_buffer+errorText)
	defer C.free(memory)
	failed := (*C.plexindex_buffer)(memory)
	failed.data, failed.capacity = unsafe.Add(memory, C.sizeof_plexindex_buffer), errorText
	status := Status(work(failed))
	if status < 100 {
		return status, nil
	}
	return status, &Error{Status: status, Message: words.Replace(C.GoString((*C.char)(failed.data)))}
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

// joined is texts with a NUL behind each, an empty text for each that contains one, and the places of these.
func joined(texts []string) (string, []int) {
	var all strings.Builder
	var refused []int
	for place, one := range texts {
		if strings.IndexByte(one, 0) >= 0 {
			refused, one = append(refused, place), ""
		}
		all.WriteString(one)
		all.WriteByte(0)
	}
	return all.String(), refused
}

func holdsNUL(text string) string { return fmt.Sprintf("a path or a key cannot hold a NUL: %q", text) }

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
	*given = C.plexindex_options{
		size:               C.sizeof_plexindex_options,
		cache_dir:          memory.bytes(options.CacheDir),
		server_url:         memory.bytes(options.ServerURL),
		token:              memory.bytes(options.Token),
		user:               memory.bytes(options.User),
		ca_file:            memory.bytes(options.CAFile),
		database:           memory.bytes(options.Database),
		shared:             memory.bytes(options.Shared),
		shared_retry_ms:    noneBelowZero(options.SharedRetry),
		library_ttl_ms:     milliseconds(options.LibraryTTL),
		max_age_ms:         milliseconds(options.MaxAge),
		deadline_ms:        milliseconds(options.Deadline),
		connect_timeout_ms: milliseconds(options.ConnectTimeout),
		read_timeout_ms:    milliseconds(options.ReadTimeout),
		retry_ms:           noneBelowZero(options.Retry),
		slow_ms:            noneBelowZero(options.Slow),
		matches_limit:      C.uint64_t(options.MatchesLimit),
		size_limit:         C.uint64_t(options.SizeLimit),
		page_size:          C.uint32_t(options.PageSize),
		log_level:          C.int32_t(options.LogLevel),
		flags: flag(options.Offline, C.PLEXINDEX_OPEN_OFFLINE) |
			flag(options.AcceptInvalidCerts, C.PLEXINDEX_OPEN_ACCEPT_INVALID_CERTS) |
			flag(options.NoMmap, C.PLEXINDEX_OPEN_NO_MMAP) | flag(options.ObfuscatePaths, C.PLEXINDEX_OPEN_OBFUSCATE_PATHS) |
			flag(options.SharedDurable, C.PLEXINDEX_OPEN_SHARED_DURABLE),
		mappings_count: C.size_t(len(options.Mappings)),
	}
	rules := memory.zeroed(C.size_t(len(options.Mappings)) * C.sizeof_plexindex_mapping)
	given.mappings = (*C.plexindex_mapping)(rules)
	for at, rule := range options.Mappings {
		one := (*C.plexindex_mapping)(unsafe.Add(rules, at*C.sizeof_plexindex_mapping))
		one.kind, one.from, one.to = C.PLEXINDEX_MAPPING_HOST_PREFIX, memory.bytes(rule.From), memory.bytes(rule.To)
		if rule.Server {
			one.kind = C.PLEXINDEX_MAPPING_SERVER_PREFIX
		}
		if rule.Pattern {
			one.kind++
		}
	}
	callbacks := &callbacks{renew: options.RenewToken, slot: make(chan struct{}, 1)}
	var renewal cgo.Handle
	if options.RenewToken != nil {
		renewal = cgo.NewHandle(callbacks)
		C.ask_token(given, C.uintptr_t(renewal))
	}
	var handle *C.plexindex_handle
	_, err := call(func(failed *C.plexindex_buffer) C.int32_t { return C.plexindex_open(given, &handle, failed) })
	if err != nil {
		forget(renewal)
		return nil, err
	}
	index := &state{process: os.Getpid(), handle: handle, idle: make(chan struct{}, 1), ending: make(chan struct{}), callbacks: callbacks,
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
// ErrClosed. RecordMatch cannot be cut short in C: it is waited for, also when its caller has gone, until the server answers or
// Options.ReadTimeout passes. From Ask.Progress or Options.RenewToken it is refused: they must not wait for it either.
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
	Library      string
	Items, Total uint64
	Elapsed      time.Duration
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

// ComparePaths compares a path with others.
func ComparePaths(path string, others []string) ([]PathRelation, error) {
	var read PathRelations
	_, err := callMethod(nil, "paths.compare", fields{"path": ByteString(path), "others": byteStrings(others)}, &read, 0, 0)
	return read.Relations, err
}

// DrainLog gives the log lines that wait to `receive`, oldest first. The ring holds 256 for the whole process.
func DrainLog(receive func(level int, message string)) error {
	// `receive` runs behind the call: what ends it early must not leave C's frames.
	var lines []logLine
	user := cgo.NewHandle(&lines)
	defer user.Delete()
	_, err := call(func(failed *C.plexindex_buffer) C.int32_t { return C.drain(C.uintptr_t(user), failed) })
	for _, line := range lines {
		receive(line.level, line.message)
	}
	return err
}

type logLine struct {
	level   int
	message string
}

//export plexindexGoLog
func plexindexGoLog(user unsafe.Pointer, level C.int32_t, message *C.char, length C.size_t) {
	lines := cgo.Handle(uintptr(user)).Value().(*[]logLine)
	*lines = append(*lines, logLine{int(level), C.GoStringN(message, C.int(length))})
}
