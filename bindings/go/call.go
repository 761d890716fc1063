package plexindex

// #include "shim.h"
import "C"

import (
	"context"
	"encoding/json"
	"errors"
	"runtime/cgo"
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"
)

// call makes a call with memory for its error.
func call(work func(failure *C.plexindex_buffer) C.int32_t) (Status, error) {
	memory := (*C.plexindex_error)(C.malloc(C.sizeof_plexindex_error))
	defer C.free(unsafe.Pointer(memory))
	status := Status(work(C.plexindex_error_init(memory)))
	if status < 100 {
		return status, nil
	}
	return status, &Error{Status: status, Message: C.GoString(&memory.text[0])}
}

// fill makes a call that fills a buffer, which `read` then reads.
func fill(
	capacity int, work func(out, failure *C.plexindex_buffer) C.int32_t, read func(out *C.plexindex_buffer),
) (Status, error) {
	out := (*C.plexindex_buffer)(C.calloc(1, C.sizeof_plexindex_buffer))
	defer C.free(unsafe.Pointer(out))
	defer C.plexindex_buffer_free(out)
	out.data, out.capacity = C.malloc(C.size_t(capacity)), C.size_t(capacity)
	for {
		status, err := call(func(failure *C.plexindex_buffer) C.int32_t { return work(out, failure) })
		if C.plexindex_buffer_grow(out, C.int32_t(status)) != 0 {
			continue
		}
		if err == nil {
			read(out)
		}
		return status, err
	}
}

var noText [1]byte

// view returns the memory of a string, for C to read during a call. It is never NULL.
func view(text string) (*C.char, C.size_t) {
	if text == "" {
		return (*C.char)(unsafe.Pointer(&noText)), 0
	}
	return (*C.char)(*(*unsafe.Pointer)(unsafe.Pointer(&text))), C.size_t(len(text))
}

// Progress is how far a fetch has come.
type Progress struct {
	Library      string
	Items, Total uint64
	Elapsed      time.Duration
}

// Ask has the options of a call. A zero value means the default.
type Ask struct {
	// When the Timeout passes, Match returns an older answer, NotYet or NeedsWarm without an error. Less than a
	// millisecond counts as one. NoTimeout: only the context limits the call.
	Timeout time.Duration
	// Offline sends no request. AtOnce, for Match and MatchPaths, returns NotYet instead of waiting.
	Offline, AtOnce bool
	// Full, for Refresh, fetches a full listing. Check, for Refresh, Match and MatchPaths, asks the server for changes
	// even if the listing is fresh.
	Full, Check bool
	// Size, for Match, is the file's size in bytes. By default, the library reads the size of a file on this machine if
	// the path is neither recorded nor listed nor mapped; NoSize, for Match and MatchPaths, forbids it.
	Size   uint64
	NoSize bool
	// Progress runs while the call waits. False ends the call with Aborted.
	Progress func(Progress) bool
}

func firstAsk(asks []Ask) (ask Ask) {
	if len(asks) > 0 {
		ask = asks[0]
	}
	return ask
}

// A waitingCall is what the progress function needs of a call.
type waitingCall struct {
	ctx      context.Context
	index    *Index
	progress func(Progress) bool
	panicked any
}

//export plexindexGoProgress
func plexindexGoProgress(user unsafe.Pointer, progress *C.plexindex_progress) (result C.int32_t) {
	waiting := cgo.Handle(uintptr(user)).Value().(*waitingCall)
	if errors.Is(waiting.ctx.Err(), context.Canceled) || waiting.index.isClosing.Load() || waiting.panicked != nil {
		return 1
	}
	if waiting.progress == nil {
		return 0
	}
	// A panic must not skip C's frames: wait() repeats it behind them.
	defer func() { waiting.panicked = recover() }()
	result = 1
	if waiting.progress(Progress{
		Library: C.GoStringN(progress.library.data, C.int(progress.library.length)),
		Items:   uint64(progress.items),
		Total:   uint64(progress.total),
		Elapsed: time.Duration(progress.elapsed_ms) * time.Millisecond,
	}) {
		result = 0
	}
	return result
}

// wait makes a call that ends with its context. `work` gets the deadline, and the number of the progress function.
func (i *Index) wait(ctx context.Context, ask Ask, work func(C.int64_t, C.uintptr_t) (Status, error)) (Status, error) {
	if err := ctx.Err(); err != nil {
		return Aborted, &Error{Aborted, "plexindex did not begin the call", err}
	}
	if err := i.begin(); err != nil {
		return Aborted, err
	}
	defer i.end()
	deadline := milliseconds(ask.Timeout)
	if deadline == 0 {
		deadline = i.timeout
	}
	end, hasEnd := ctx.Deadline()
	isUnlimited := deadline == 0 || deadline == C.PLEXINDEX_NO_TIMEOUT
	if left := milliseconds(time.Until(end)); hasEnd && (isUnlimited || left < deadline) {
		if deadline = left; deadline < 1 {
			deadline = 1
		}
	}
	waiting := &waitingCall{ctx: ctx, index: i, progress: ask.Progress}
	user := cgo.NewHandle(waiting)
	defer user.Delete()
	status, err := work(deadline, C.uintptr_t(user))
	if waiting.panicked != nil {
		panic(waiting.panicked)
	}
	if errors.Is(err, Aborted) && i.isClosing.Load() {
		return status, ErrClosed
	}
	cause := ctx.Err()
	if hasEnd && !time.Now().Before(end) {
		cause = context.DeadlineExceeded // the context's timer may be late
	}
	var failure *Error
	switch {
	case cause == nil:
	case errors.As(err, &failure):
		err = &Error{status, failure.Message, cause}
	case err == nil && (status == NotYet || status == NeedsWarm):
		err = &Error{status, "the timeout passed; repeat the call to continue", cause}
	}
	return status, err
}

// Call calls a method by its name: docs/methods.md describes all methods. A request is nil, a map, or a type such as
// ItemsBelowRequest; an answer is nil, or a pointer to a map or a type such as FilesPage. Call uses the Timeout and
// Progress of an Ask. It reads the answer of a failed call, if there is one.
func (i *Index) Call(ctx context.Context, method string, request, answer any, asks ...Ask) error {
	if request == nil {
		request = struct{}{}
	}
	raw, err := json.Marshal(request)
	if err != nil {
		return err
	}
	// encoding/json writes this for a byte that is not UTF-8: the call would be about another file.
	if strings.Contains(strings.ReplaceAll(string(raw), `\\`, ""), `\ufffd`) {
		return &Error{Status: InvalidArgument, Message: method + ": a text of the request is not UTF-8; use a ByteString"}
	}
	_, err = i.wait(ctx, firstAsk(asks), func(deadline C.int64_t, user C.uintptr_t) (Status, error) {
		name := C.CString(method)
		defer C.free(unsafe.Pointer(name))
		data, length := view(string(raw))
		var out *C.char
		status, err := call(func(failure *C.plexindex_buffer) C.int32_t {
			return C.call_method(i.handle, name, data, length, deadline, user, &out, failure)
		})
		defer C.plexindex_free(out)
		if out != nil && answer != nil {
			if unread := json.Unmarshal([]byte(C.GoString(out)), answer); err == nil {
				err = unread
			}
		}
		return status, err
	})
	return err
}

// ByteString is a path or a name. Its JSON is a string, or Base64 if it is not UTF-8.
type ByteString string

type base64Bytes struct {
	Bytes []byte `json:"bytes"`
}

// MarshalJSON writes a string, or its bytes in Base64.
func (b ByteString) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(b)) {
		return json.Marshal(string(b))
	}
	return json.Marshal(base64Bytes{[]byte(b)})
}

// UnmarshalJSON reads a string, or its bytes in Base64.
func (b *ByteString) UnmarshalJSON(raw []byte) error {
	if len(raw) == 0 || raw[0] != '{' {
		return json.Unmarshal(raw, (*string)(b))
	}
	var bytes base64Bytes
	err := json.Unmarshal(raw, &bytes)
	*b = ByteString(bytes.Bytes)
	return err
}

type logLine struct {
	level   int
	message string
}

// DrainLog passes the waiting log lines to `receive`, oldest first. At most 256 wait in the whole process.
func DrainLog(receive func(level int, message string)) error {
	var lines []logLine
	user := cgo.NewHandle(&lines)
	defer user.Delete()
	_, err := call(func(failure *C.plexindex_buffer) C.int32_t { return C.drain_log(C.uintptr_t(user), failure) })
	for _, line := range lines {
		receive(line.level, line.message)
	}
	return err
}

//export plexindexGoLog
func plexindexGoLog(user unsafe.Pointer, level C.int32_t, message *C.char, length C.size_t) {
	lines := cgo.Handle(uintptr(user)).Value().(*[]logLine)
	*lines = append(*lines, logLine{int(level), C.GoStringN(message, C.int(length))})
}
