package plexindex

// #include "lookup.h"
import "C"

import (
	"context"
	"strings"
	"sync"
	"unsafe"
)

// A Library is a library of an index, or all of them. Any number of goroutines may use it at once.
type Library struct {
	index  *Index
	handle *C.plexindex_library_handle
	name   string
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
	var out *C.plexindex_library_handle
	_, err := i.do(func(failed *C.plexindex_buffer) C.int32_t {
		return C.plexindex_get_library(i.handle, kind, data, length, &out, failed)
	})
	if err != nil {
		return nil, err
	}
	return &Library{i, out, name}, nil
}

// named calls a method about the library.
func (l *Library) named(ctx context.Context, method, subject string, request fields, answer any, ask Ask) (Status, error) {
	l = l.some()
	if l.name != "" {
		request["library"] = l.name
	}
	return l.index.named(ctx, method, subject, request, answer, ask)
}

// Match gives the full answer for one path. It asks the server where that is needed.
func (l *Library) Match(ctx context.Context, path string, ask ...Ask) (answer Answer, err error) {
	answers, err := l.paths(ctx, path, 0, first(ask))
	if len(answers) > 0 {
		return answers[0], err
	}
	return answer, failedAnswer(&answer, err)
}

// MatchPaths is Match for many paths in one call: an answer for each, in order. Where the context's deadline came first
// there are both: the answers so far, and the error.
func (l *Library) MatchPaths(ctx context.Context, paths []string, ask ...Ask) ([]Answer, error) {
	all, refused := joined(paths)
	if len(paths) == 0 {
		return nil, nil
	}
	answers, err := l.paths(ctx, all, len(paths), first(ask))
	for _, place := range refused {
		if place < len(answers) {
			answers[place].Message = holdsNUL(paths[place])
		}
	}
	return answers, err
}

// Folder says which show, season, artist, album or item a folder is.
func (l *Library) Folder(ctx context.Context, path string, ask ...Ask) (Answer, error) {
	return l.match(ctx, "match.folder", path, fields{"path": ByteString(path)}, ask)
}

// MatchGUID gives the items with this GUID.
func (l *Library) MatchGUID(ctx context.Context, guid string, ask ...Ask) (Answer, error) {
	return l.match(ctx, "match.guid", guid, fields{"guid": guid}, ask)
}

// SearchTitle gives the items with this title.
func (l *Library) SearchTitle(ctx context.Context, title string, ask ...Ask) (Answer, error) {
	return l.match(ctx, "match.title", title, fields{"title": title}, ask)
}

var found = sync.Pool{New: func() any { return new([1024]byte) }}

// lookup makes a fast lookup: "" where there is nothing.
func lookup(index *Index, name string, work func(data *C.char, length C.size_t, room *C.char, capacity C.size_t) C.size_t) string {
	if name == "" || index.begin() != nil {
		return ""
	}
	defer index.end()
	room := found.Get().(*[1024]byte)
	defer found.Put(room)
	data, length := text(name)
	if size := work(data, length, (*C.char)(unsafe.Pointer(room)), C.size_t(len(room))); size > 0 {
		return string(room[:size-1])
	}
	return ""
}

// LookupKey gives the key of the item with this path, where the index has it at hand; else "". It never waits. A path
// with a NUL has none.
func (l *Library) LookupKey(path string) string {
	l = l.some()
	return lookup(l.index, path, func(data *C.char, length C.size_t, room *C.char, capacity C.size_t) C.size_t {
		return C.lookup_key(l.handle, data, length, room, capacity)
	})
}

// LookupKeys is LookupKey for many paths: a key or "" for each, in order.
func (l *Library) LookupKeys(paths []string) ([]string, error) {
	l = l.some()
	all, _ := joined(paths)
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

// ItemsBelow gives the items with files below a folder to `each`, in the order of their paths, until that says false.
// It sends no request.
func (l *Library) ItemsBelow(folder string, each func(Item) bool) error {
	return l.pages("items.below", fields{"path": ByteString(folder)}, each)
}

// Items gives the items of the library to `each`, until that says false. It sends no request.
func (l *Library) Items(each func(Item) bool) error { return l.pages("items.list", fields{}, each) }

func (l *Library) pages(method string, request fields, each func(Item) bool) error {
	for {
		var page ItemsPage
		if _, err := l.named(context.Background(), method, "", request, &page, Ask{}); err != nil {
			return err
		}
		for _, item := range page.Items {
			if !each(item) {
				return nil
			}
		}
		if page.Cursor == "" {
			return nil
		}
		request["cursor"] = page.Cursor
	}
}

// Item gives one item with all its files and ids. The error is NotFound when no listing holds it.
func (l *Library) Item(key string) (Item, error) {
	var read OneItem
	_, err := l.named(context.Background(), "items.get", key, fields{"key": key}, &read, Ask{})
	if err == nil && read.Item == nil {
		err = &Error{Status: NotFound, Message: "no listing holds the item"}
	}
	if err != nil {
		return Item{}, err
	}
	return *read.Item, nil
}

// Changes gives what was added, removed, changed and moved since a cursor, in the order in which the index learned it.
// Without a cursor it gives no changes, and the cursor of now; with Ask.Full all items come first. `limit`: how many at most, up to
// 10,000; 0 is 1,000. It sends no request. Give the Cursor to the next call; More says that it has something now.
// The error ListAgain says to begin anew with Full.
func (l *Library) Changes(cursor string, limit int, ask ...Ask) (changes ChangePage, err error) {
	request := fields{"cursor": cursor}
	if limit != 0 {
		request["limit"] = limit
	}
	_, err = l.named(context.Background(), "changes.list", "", request, &changes, first(ask))
	return changes, err
}

// WaitForChanges waits until Changes has something since the cursor, or until Refresh has to ask the server before that
// is known. It gives false when Ask.Deadline came first. The end of the context ends it.
func (l *Library) WaitForChanges(ctx context.Context, cursor string, ask ...Ask) (bool, error) {
	status, err := l.named(ctx, "changes.wait", "", fields{"cursor": cursor}, nil, first(ask))
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
	allPaths, refused := joined(paths)
	if len(refused) > 0 {
		return &Error{Status: InvalidArgument, Message: holdsNUL(paths[refused[0]])}
	}
	allKeys, refused := joined(keys)
	if len(refused) > 0 {
		return &Error{Status: InvalidArgument, Message: holdsNUL(keys[refused[0]])}
	}
	path, pathLength := text(allPaths)
	key, keyLength := text(allKeys)
	return l.index.detached(ctx, asked(allPaths), func(within C.int64_t, failed *C.plexindex_buffer) C.int32_t {
		return C.plexindex_record_matches(l.handle, path, pathLength, key, keyLength, C.size_t(len(pairs)), 0, within, failed)
	})
}

// EditItems gives many items the same values; LockChangeLock, LockChangeUnlock or LockChangeLeave says what happens to the locks of
// these fields. The report says how far it came, whether it succeeded or not.
func (l *Library) EditItems(ctx context.Context, keys []string, changes []EditChange, lock LockChange) (report EditedItems, err error) {
	_, err = l.named(ctx, "edit", strings.Join(keys, "\x00"), fields{"keys": keys, "changes": changes, "lock": lock}, &report, Ask{})
	return report, err
}

// Set sets a field to a value.
func Set(field, value string) EditChange { return EditChange{Field: field, Set: &value} }

// Add adds a tag.
func Add(field, tag string) EditChange { return EditChange{Field: field, Add: &tag} }

// Remove removes a tag.
func Remove(field, tag string) EditChange { return EditChange{Field: field, Remove: &tag} }

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

// keys splits texts that have a NUL behind each.
func keys(out *C.plexindex_buffer, count int) []string {
	all := C.GoStringN((*C.char)(out.data), C.int(out.length))
	return strings.SplitN(all, "\x00", count+1)[:count]
}
