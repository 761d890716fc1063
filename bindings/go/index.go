package plexindex

// #include "plexindex_more.h"
import "C"

import (
	"encoding/json"
	"reflect"
	"runtime/cgo"
	"unsafe"
)

// Stats reads the fields of plexindex_stats into what json.Unmarshal takes: counts, `answers` by match kind, `requests`
// by kind, and `last_failure`, null if there was none.
func (i *Index) Stats(into any) error {
	filled := C.plexindex_stats{size: C.sizeof_plexindex_stats}
	_, err := i.do(func(failed *C.plexindex_buffer) C.int32_t { return C.plexindex_get_stats(i.handle, &filled, failed) })
	if err != nil {
		return err
	}
	read, fields := map[string]any{}, reflect.ValueOf(filled)
	for at := 1; at < fields.NumField(); at++ { // 0 is the size
		if field := fields.Field(at); field.Kind() == reflect.Uint64 {
			read[fields.Type().Field(at).Name] = field.Uint()
		}
	}
	read["answers"] = byWord(filled.answers[:], "none", "confirmed", "exact", "mapped", "suffix", "file_name")
	read["requests"] = byWord(filled.requests[:], "identity", "probe", "page", "delta", "find_path", "confirm", "edit", "events")
	read["last_failure"] = nil
	if text := C.GoString(&filled.last_failure[0]); text != "" {
		read["last_failure"] = text
	}
	raw, err := json.Marshal(read)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

func byWord(counts []C.uint64_t, words ...string) map[string]uint64 {
	named := map[string]uint64{}
	for at, word := range words {
		named[word] = uint64(counts[at])
	}
	return named
}

// Store reads in what kind of place the store is.
func (i *Index) Store(into any) error {
	return i.json(into, func(out, failed *C.plexindex_buffer) C.int32_t {
		return C.plexindex_get_store_json(i.handle, out, failed)
	})
}

// Proposals reads mappings that seem to be missing, the best first; with paths those that would have these listed.
func (i *Index) Proposals(into any, paths ...string) error {
	all, err := joined(paths)
	if err != nil {
		return err
	}
	data, length := text(all)
	return i.json(into, func(out, failed *C.plexindex_buffer) C.int32_t {
		return C.plexindex_propose_mappings_json(i.handle, data, length, C.size_t(len(paths)), out, failed)
	})
}

// Libraries reads the libraries that are known.
func (i *Index) Libraries(into any, ask ...Ask) error {
	_, err := i.query(nil, "", first(ask), func(query *C.plexindex_query) (Status, error) {
		return OK, readJSON(into, func(out, failed *C.plexindex_buffer) C.int32_t {
			return C.plexindex_list_libraries_json(i.handle, query, out, failed)
		})
	})
	return err
}

// Server asks the server who it is and which libraries it shows.
func (i *Index) Server(into any, ask ...Ask) error {
	_, err := i.query(nil, "", first(ask), func(query *C.plexindex_query) (Status, error) {
		return OK, readJSON(into, func(out, failed *C.plexindex_buffer) C.int32_t {
			return C.plexindex_check_server_json(i.handle, query, out, failed)
		})
	})
	return err
}

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
	Equal, Under bool
	// Common is how many components agree, from the end.
	Common int
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
	user := cgo.NewHandle(receive)
	defer user.Delete()
	return drainLog(uintptr(user))
}

//export plexindexGoLog
func plexindexGoLog(user unsafe.Pointer, level C.int32_t, message *C.char, length C.size_t) {
	cgo.Handle(uintptr(user)).Value().(func(int, string))(int(level), C.GoStringN(message, C.int(length)))
}
