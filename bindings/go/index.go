package plexindex

// #include "plexindex_more.h"
import "C"

import (
	"runtime/cgo"
	"unsafe"
)

// WatchStart begins to listen to the server's events.
func (i *Index) WatchStart() error {
	_, err := i.do(func(failed *C.plexindex_buffer) C.int32_t { return C.plexindex_watch_start(i.handle, failed) })
	return err
}

// WatchStop ends what WatchStart began.
func (i *Index) WatchStop() error {
	_, err := i.do(func(failed *C.plexindex_buffer) C.int32_t { return C.plexindex_watch_stop(i.handle, failed) })
	return err
}

// Notify tells the index of an event that the host received, such as a webhook.
func (i *Index) Notify(body string) error {
	data, length := text(body)
	_, err := i.do(func(failed *C.plexindex_buffer) C.int32_t { return C.plexindex_notify(i.handle, data, length, failed) })
	return err
}

// SetToken replaces the token; an empty one is none. It sends no request, and calls under way go on as they began.
// Without Options.User nothing of the earlier token's is answered before the server has accepted this one. After a call
// that fails with Unauthorized (401, or 498: the token expired), set a new one and call again.
func (i *Index) SetToken(token string) error {
	var memory arena
	defer memory.free()
	given := memory.bytes(token)
	_, err := i.do(func(failed *C.plexindex_buffer) C.int32_t {
		return C.plexindex_set_token(i.handle, given.data, given.length, failed)
	})
	return err
}

// InvalidateAll invalidates all libraries.
func (i *Index) InvalidateAll() error {
	all, err := i.Library("")
	if err != nil {
		return err
	}
	return all.Invalidate()
}

// Clear removes all that the store holds of this server and user.
func (i *Index) Clear() error {
	_, err := i.do(func(failed *C.plexindex_buffer) C.int32_t { return C.plexindex_clear(i.handle, failed) })
	return err
}

// A Relation is how a path compares with another one.
type Relation struct {
	Equal bool `json:"equal"`
	Under bool `json:"under"`
	// Common is how many components agree, from the end.
	Common int `json:"common"`
}

// ComparePaths compares a path with others.
func ComparePaths(path string, others []string) ([]Relation, error) {
	all, err := joined(others)
	if err != nil || len(others) == 0 {
		return nil, err
	}
	data, length := text(path)
	list, size := text(all)
	numbers := make([]C.uint32_t, len(others))
	_, err = call(func(failed *C.plexindex_buffer) C.int32_t {
		return C.plexindex_compare_paths(data, length, list, size, C.size_t(len(others)), &numbers[0], failed)
	})
	relations := make([]Relation, len(others))
	for at, number := range numbers {
		relations[at] = Relation{
			Equal:  number&C.PLEXINDEX_PATHS_EQUAL != 0,
			Under:  number&C.PLEXINDEX_PATHS_UNDER != 0,
			Common: int(number & C.PLEXINDEX_PATHS_COMMON),
		}
	}
	return relations, err
}

// DrainLog gives the log lines that wait to `receive`, oldest first. The ring holds 256 for the whole process.
func DrainLog(receive func(level int, message string)) error {
	// `receive` runs behind the call: what ends it early must not leave C's frames.
	var lines []logLine
	user := cgo.NewHandle(&lines)
	defer user.Delete()
	err := drainLog(uintptr(user))
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
