package plexindex

// #include "lookup.h"
import "C"

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"unsafe"
)

// A Library is a library of an index, or all of them. Any number of goroutines may use it at once.
type Library struct {
	index  *Index
	handle *C.plexindex_library_handle
}

// some is a library without an index for none at all: what that is asked is an error.
func (l *Library) some() *Library {
	if l == nil {
		return &Library{}
	}
	return l
}

// Library gives a library by its uuid, title or section id; "" gives all of them. It sends no request: the first
// question to a library that does not exist gives LibraryNotFound.
func (i *Index) Library(name string) (*Library, error) {
	kind := C.int32_t(C.PLEXINDEX_SELECT_ANY)
	if name == "" {
		kind = C.PLEXINDEX_SELECT_ALL
	}
	data, length := text(name)
	var memory arena
	defer memory.free()
	out := (**C.plexindex_library_handle)(memory.zeroed(8))
	_, err := i.do(func(failed *C.plexindex_buffer) C.int32_t {
		return C.plexindex_get_library(i.handle, kind, data, length, out, failed)
	})
	if err != nil {
		return nil, err
	}
	return &Library{i, *out}, nil
}

// Match gives the full answer for one path. It asks the server where that is needed.
func (l *Library) Match(ctx context.Context, path string, ask ...Ask) (Answer, error) {
	return one(l.ask(ctx, path, first(ask), func(i *C.plexindex_handle, q *C.plexindex_query, out, failed *C.plexindex_buffer) C.int32_t {
		return C.plexindex_match_path(i, q, out, failed)
	}))
}

// MatchPaths is Match for many paths in one call: an answer for each, in order. Where the context's deadline came first
// there are both: the answers so far, and the error.
func (l *Library) MatchPaths(ctx context.Context, paths []string, ask ...Ask) ([]Answer, error) {
	all, refused := joinedBut(paths)
	if len(paths) == 0 {
		return nil, nil
	}
	answers, err := l.ask(ctx, all, first(ask), func(i *C.plexindex_handle, q *C.plexindex_query, out, failed *C.plexindex_buffer) C.int32_t {
		return C.plexindex_match_paths(i, q, C.size_t(len(paths)), out, failed)
	})
	for _, place := range refused {
		if place < len(answers) {
			answers[place].Message = holdsNUL(paths[place])
		}
	}
	return answers, err
}

// Folder says which show, season, artist, album or item a folder is.
func (l *Library) Folder(ctx context.Context, path string, ask ...Ask) (Answer, error) {
	return one(l.ask(ctx, path, first(ask), func(i *C.plexindex_handle, q *C.plexindex_query, out, failed *C.plexindex_buffer) C.int32_t {
		return C.plexindex_match_folder(i, q, out, failed)
	}))
}

// MatchGUID gives the items with this GUID.
func (l *Library) MatchGUID(ctx context.Context, guid string, ask ...Ask) (Answer, error) {
	return one(l.ask(ctx, guid, first(ask), func(i *C.plexindex_handle, q *C.plexindex_query, out, failed *C.plexindex_buffer) C.int32_t {
		return C.plexindex_match_guid(i, q, out, failed)
	}))
}

// SearchTitle gives the items with this title.
func (l *Library) SearchTitle(ctx context.Context, title string, ask ...Ask) (Answer, error) {
	return one(l.ask(ctx, title, first(ask), func(i *C.plexindex_handle, q *C.plexindex_query, out, failed *C.plexindex_buffer) C.int32_t {
		return C.plexindex_search_title(i, q, out, failed)
	}))
}

var found = sync.Pool{New: func() any { return new([1024]byte) }}

// LookupKey gives the key of the item with this path, where the index has it at hand; else "". It never waits. A path
// with a NUL has none.
func (l *Library) LookupKey(path string) string {
	l = l.some()
	if path == "" || l.index.begin() != nil {
		return ""
	}
	defer l.index.end()
	room := found.Get().(*[1024]byte)
	defer found.Put(room)
	data, length := text(path)
	size := C.lookup_key(l.handle, data, length, (*C.char)(unsafe.Pointer(room)), C.size_t(len(room)))
	if size == 0 {
		return ""
	}
	return string(room[:size-1])
}

// LookupKeys is LookupKey for many paths: a key or "" for each, in order.
func (l *Library) LookupKeys(paths []string) ([]string, error) {
	l = l.some()
	all, _ := joinedBut(paths)
	if len(paths) == 0 {
		return nil, nil
	}
	if err := l.index.begin(); err != nil {
		return nil, err
	}
	defer l.index.end()
	data, length := text(all)
	var read []string
	_, err := fill(64+40*len(paths), func(out, failed *C.plexindex_buffer) C.int32_t {
		return C.plexindex_lookup_keys(l.handle, data, length, C.size_t(len(paths)), out, failed)
	}, func(out *C.plexindex_buffer) { read = keys(out, len(paths)) })
	return read, err
}

const (
	page    = 1000
	maxPage = 10_000
)

// ItemsBelow gives the items with files below a folder to `each`, in the order of their paths, until that says false.
// It sends no request.
func (l *Library) ItemsBelow(folder string, each func(Item) bool) error {
	l = l.some()
	at, length := text(folder)
	for after := ""; ; {
		from, size := text(after)
		items, err := l.page(func(out, failed *C.plexindex_buffer) C.int32_t {
			return C.plexindex_list_items_below(l.handle, at, length, from, size, page, out, failed)
		})
		if err != nil || len(items) == 0 {
			return err
		}
		for _, item := range items {
			if !each(item) {
				return nil
			}
		}
		after = items[len(items)-1].Path
	}
}

// Items gives the items of the library to `each`, until that says false. It sends no request.
func (l *Library) Items(each func(Item) bool) error {
	l = l.some()
	var memory arena
	defer memory.free()
	cursor := (*C.int64_t)(memory.zeroed(8))
	for {
		items, err := l.page(func(out, failed *C.plexindex_buffer) C.int32_t {
			return C.plexindex_list_items(l.handle, cursor, page, out, failed)
		})
		if err != nil || len(items) == 0 {
			return err
		}
		for _, item := range items {
			if !each(item) {
				return nil
			}
		}
	}
}

func (l *Library) page(work func(out, failed *C.plexindex_buffer) C.int32_t) ([]Item, error) {
	l = l.some()
	if err := l.index.begin(); err != nil {
		return nil, err
	}
	defer l.index.end()
	var items []Item
	status, err := fill(400*page, work, func(out *C.plexindex_buffer) { items = readBlock(out)[0].Candidates })
	if status != OK {
		items = nil
	}
	return items, err
}

// Item gives one item with all its files and ids. The error is NotFound when no listing holds it.
func (l *Library) Item(key string) (item ItemDetails, err error) {
	l = l.some()
	data, length := text(key)
	err = l.index.json(&item, func(out, failed *C.plexindex_buffer) C.int32_t {
		return C.plexindex_get_item_json(l.handle, data, length, out, failed)
	})
	return item, err
}

// Refresh brings the library up to date. It gives false when Ask.Deadline came first; the next call goes on behind the
// server's last answer. A deadline that is shorter than each answer takes gets no further, with Timeout before the first.
func (l *Library) Refresh(ctx context.Context, ask ...Ask) (bool, error) {
	l = l.some()
	status, err := l.index.query(ctx, l.handle, "", first(ask), func(query *C.plexindex_query) (Status, error) {
		return call(func(failed *C.plexindex_buffer) C.int32_t {
			return C.plexindex_refresh(l.index.handle, query, failed)
		})
	})
	return status == OK && err == nil, err
}

// A Change is one entry of the feed.
type Change struct {
	// Change is added, removed, changed, moved or list_again.
	Change  string `json:"change"`
	Library string `json:"library,omitempty"`
	Section string `json:"section,omitempty"`
	// Path is the file, From where it was, FromKey the rating key before; each may be "".
	Path    string `json:"path,omitempty"`
	From    string `json:"from,omitempty"`
	FromKey string `json:"from_key,omitempty"`
	// Item is as Library.Item gives it; nil for list_again.
	Item *ItemDetails `json:"item,omitempty"`
}

// Changes is a page of the feed. Give the Cursor to the next call; More says that it has something now.
type Changes struct {
	Changes []Change `json:"changes"`
	Cursor  string   `json:"cursor"`
	More    bool     `json:"more"`
}

// Changes gives what was added, removed, changed and moved since a cursor, in the order in which the index learned it.
// Without a cursor it gives no changes, and the cursor of now; with Ask.Full all items come first. `limit`: how many at most, up to
// 10,000; 0 is 1,000. It sends no request.
// The error ListAgain says to begin anew with Full.
func (l *Library) Changes(cursor string, limit int, ask ...Ask) (changes Changes, err error) {
	l = l.some()
	if limit < 0 || limit > maxPage {
		return changes, &Error{Status: InvalidArgument, Message: fmt.Sprintf("limit is %d: give 1 to %d", limit, maxPage)}
	}
	if limit == 0 {
		limit = page
	}
	var unread error
	_, err = l.index.query(context.Background(), l.handle, cursor, first(ask), func(query *C.plexindex_query) (Status, error) {
		return fill(16384, func(out, failed *C.plexindex_buffer) C.int32_t {
			return C.plexindex_list_changes(l.index.handle, query, C.size_t(limit), out, failed)
		}, func(out *C.plexindex_buffer) {
			texts := keys(out, 0)
			changes = Changes{make([]Change, 0, len(texts)/8), texts[0], texts[1] != ""}
			for texts = texts[2:]; len(texts) > 0; texts = texts[8:] {
				change := Change{texts[0], texts[1], texts[2], texts[3], texts[4], texts[6], nil}
				if texts[7] != "" {
					change.Item = new(ItemDetails)
					unread = json.Unmarshal([]byte(texts[7]), change.Item)
				}
				changes.Changes = append(changes.Changes, change)
			}
		})
	})
	if err == nil {
		err = unread
	}
	return changes, err
}

// WaitForChanges waits until Changes has something since the cursor, or until Refresh has to ask the server before that
// is known. It gives false when Ask.Deadline came first. The end of the context ends it.
func (l *Library) WaitForChanges(ctx context.Context, cursor string, ask ...Ask) (bool, error) {
	l = l.some()
	status, err := l.index.query(ctx, l.handle, cursor, first(ask), func(query *C.plexindex_query) (Status, error) {
		over, left := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(left)
			select {
			case <-ctx.Done():
				l.index.wakeWaiting()
			case <-over:
			}
		}()
		// It uses the handle, which this call keeps open.
		defer func() { close(over); <-left }()
		return call(func(failed *C.plexindex_buffer) C.int32_t {
			return C.plexindex_wait_for_changes(l.index.handle, query, failed)
		})
	})
	return status == OK && err == nil, err
}

// RecordMatch records that the item with this key has this path. The server is asked only for a library that the store
// does not know yet. When the context's deadline passes first nothing is recorded. When the context is cancelled the call
// returns at once, and the match may be recorded all the same.
func (l *Library) RecordMatch(ctx context.Context, path, key string) error {
	return l.RecordMatches(ctx, [][2]string{{path, key}})
}

// RecordMatches records many pairs of a path and a key: all, or none.
func (l *Library) RecordMatches(ctx context.Context, pairs [][2]string) error {
	l = l.some()
	paths, keys := make([]string, len(pairs)), make([]string, len(pairs))
	for at, pair := range pairs {
		paths[at], keys[at] = pair[0], pair[1]
	}
	allPaths, err := joined(paths)
	if err != nil {
		return err
	}
	allKeys, err := joined(keys)
	if err != nil {
		return err
	}
	path, pathLength := text(allPaths)
	key, keyLength := text(allKeys)
	return l.index.detached(ctx, asked(allPaths), func(within C.int64_t, failed *C.plexindex_buffer) C.int32_t {
		return C.plexindex_record_matches(l.handle, path, pathLength, key, keyLength, C.size_t(len(pairs)), 0, within, failed)
	}, nil)
}

// A Lock says what an edit does to the locks of the fields that it names.
type Lock int32

// The locks.
const (
	Locks   Lock = C.PLEXINDEX_EDIT_LOCK
	Unlocks Lock = C.PLEXINDEX_EDIT_UNLOCK
	Leaves  Lock = C.PLEXINDEX_EDIT_LEAVE
)

func (l Lock) String() string { return name([]string{"lock", "unlock", "leave"}, int(l)) }

// Edited is what became of an item.
type Edited uint8

// What may become of one: no request was sent, it was edited, that is not known, the server does not have it.
const (
	EditedNo      Edited = C.PLEXINDEX_EDITED_NO
	EditedDone    Edited = C.PLEXINDEX_EDITED_DONE
	EditedFailed  Edited = C.PLEXINDEX_EDITED_FAILED
	EditedMissing Edited = C.PLEXINDEX_EDITED_MISSING
)

func (e Edited) String() string { return name([]string{"no", "done", "failed", "missing"}, int(e)) }

// name is the word for a number.
func name(words []string, number int) string {
	if number < 0 || number >= len(words) {
		return "unknown"
	}
	return words[number]
}

// An EditReport says how far an edit came, whether it succeeded or not.
type EditReport struct {
	Done     uint64   `json:"done"`
	Failed   uint64   `json:"failed"`
	Requests uint64   `json:"requests"`
	States   []Edited `json:"states"`
}

// EditItems gives many items the same values: pairs of a name, as Plex has it, and a value. When the context is cancelled
// the call returns at once without a report, and the server may edit the items all the same.
func (l *Library) EditItems(ctx context.Context, keys []string, changes [][2]string, lock Lock) (EditReport, error) {
	l = l.some()
	values := []string{}
	for _, change := range changes {
		values = append(values, change[0], change[1])
	}
	items, err := joined(keys)
	if err != nil {
		return EditReport{}, err
	}
	named, err := joined(values)
	if err != nil {
		return EditReport{}, err
	}
	memory := &arena{}
	states := memory.zeroed(C.size_t(len(keys) + 1))
	report := (*C.plexindex_edit_report)(memory.zeroed(C.sizeof_plexindex_edit_report))
	report.size, report.states, report.states_capacity = C.sizeof_plexindex_edit_report, (*C.uint8_t)(states), C.size_t(len(keys))
	edit := (*C.plexindex_edit)(memory.zeroed(C.sizeof_plexindex_edit))
	edit.size, edit.library = C.sizeof_plexindex_edit, l.handle
	edit.keys, edit.keys_count = memory.bytes(items), C.size_t(len(keys))
	edit.changes, edit.changes_count = memory.bytes(named), C.size_t(len(changes))
	edit.lock = C.int32_t(lock)
	// The call may outlive this function, so that it frees its memory itself.
	told := make(chan EditReport, 1)
	err = l.index.detached(ctx, asked(items), func(within C.int64_t, failed *C.plexindex_buffer) C.int32_t {
		edit.deadline_ms = within
		return C.plexindex_edit_items(edit, report, failed)
	}, func() {
		read := EditReport{Done: uint64(report.done), Failed: uint64(report.failed), Requests: uint64(report.requests)}
		for _, state := range C.GoBytes(states, C.int(len(keys))) {
			read.States = append(read.States, Edited(state))
		}
		told <- read
		memory.free()
	})
	select {
	case report := <-told:
		return report, err
	default:
		return EditReport{}, err
	}
}

// InvalidatePath invalidates a path.
func (l *Library) InvalidatePath(path string) error {
	l = l.some()
	data, length := text(path)
	_, err := l.index.do(func(failed *C.plexindex_buffer) C.int32_t {
		return C.plexindex_invalidate_path(l.handle, data, length, failed)
	})
	return err
}

// InvalidateItem invalidates an item by its key or rating key.
func (l *Library) InvalidateItem(key string) error {
	l = l.some()
	data, length := text(key)
	_, err := l.index.do(func(failed *C.plexindex_buffer) C.int32_t {
		return C.plexindex_invalidate_item(l.handle, data, length, failed)
	})
	return err
}

// Invalidate invalidates the library.
func (l *Library) Invalidate() error {
	l = l.some()
	_, err := l.index.do(func(failed *C.plexindex_buffer) C.int32_t {
		return C.plexindex_invalidate_library(l.handle, failed)
	})
	return err
}
