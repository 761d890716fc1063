package plexindex

// #include "shim.h"
import "C"

import (
	"context"
	"fmt"
	"strings"
	"unsafe"
)

// A Library is a library of an index, or all of them. Any number of goroutines may use it at once.
type Library struct {
	index  *Index
	handle *C.plexindex_library_handle
}

// Library returns a library by its uuid, title or section id; "" returns all of them. It sends no request: the first
// call that needs a library which does not exist returns LibraryNotFound.
func (i *Index) Library(name string) (*Library, error) {
	kind := C.int32_t(C.PLEXINDEX_SELECT_ANY)
	if name == "" {
		kind = C.PLEXINDEX_SELECT_ALL
	}
	data, length := view(name)
	library := &Library{index: i}
	err := i.do(func(failure *C.plexindex_buffer) C.int32_t {
		return C.plexindex_get_library(i.handle, kind, data, length, &library.handle, failure)
	})
	if err != nil {
		return nil, err
	}
	return library, nil
}

// An Answer is the answer for one path: docs/methods.md describes its fields.
type Answer struct {
	Match
	// OK, NotFound, Ambiguous, NotYet, NeedsWarm. MatchPaths also returns errors of single paths.
	Status Status `json:"-"`
	// Sure is the single item with high confidence, or nil.
	Sure *Item `json:"-"`
	// Likely is the single item with low confidence, or nil. The file may be another work: verify it before a change.
	Likely *Item `json:"-"`
}

// Match finds the item of a path. It asks the server if necessary.
func (l *Library) Match(ctx context.Context, path string, asks ...Ask) (Answer, error) {
	answers, err := l.match(ctx, path, 0, firstAsk(asks))
	if len(answers) == 0 {
		return Answer{}, err
	}
	return answers[0], err
}

// MatchPaths finds the items of many paths with one call, in order. If the context's deadline passes, it returns the
// answers so far and an error.
func (l *Library) MatchPaths(ctx context.Context, paths []string, asks ...Ask) ([]Answer, error) {
	text, err := joinTexts(paths)
	if err != nil || len(paths) == 0 {
		return nil, err
	}
	return l.match(ctx, text, len(paths), firstAsk(asks))
}

func (l *Library) match(ctx context.Context, text string, count int, ask Ask) (answers []Answer, err error) {
	data, length := view(text)
	_, err = l.index.wait(ctx, ask, func(deadline C.int64_t, user C.uintptr_t) (Status, error) {
		status, err := fill(16384+4*len(text), func(out, failure *C.plexindex_buffer) C.int32_t {
			flags := ask.flags() | C.PLEXINDEX_QUERY_FILE
			return C.query(l.index.handle, l.handle, data, length, C.size_t(count), deadline, flags, C.uint64_t(ask.Size), user,
				out, failure)
		}, func(out *C.plexindex_buffer) { answers = readBlock(out) })
		for _, answer := range answers { // the status of many is OK
			if answer.Status == NotYet || answer.Status == NeedsWarm {
				status = answer.Status
			}
		}
		return status, err
	})
	return answers, err
}

// Refresh brings the library up to date. It returns false if Ask.Timeout passed first, or Timeout if the server had
// not answered at all.
func (l *Library) Refresh(ctx context.Context, asks ...Ask) (bool, error) {
	ask := firstAsk(asks)
	status, err := l.index.wait(ctx, ask, func(deadline C.int64_t, user C.uintptr_t) (Status, error) {
		return call(func(failure *C.plexindex_buffer) C.int32_t {
			return C.query(l.index.handle, l.handle, nil, 0, 0, deadline, ask.flags(), C.uint64_t(ask.Size), user, nil,
				failure)
		})
	})
	return status == OK && err == nil, err
}

func (a Ask) flags() C.uint32_t {
	return flagIf(a.Offline, C.PLEXINDEX_QUERY_OFFLINE) | flagIf(a.AtOnce, C.PLEXINDEX_QUERY_AT_ONCE) |
		flagIf(a.Full, C.PLEXINDEX_QUERY_FULL) | flagIf(a.Check, C.PLEXINDEX_QUERY_PROBE) |
		flagIf(a.NoSize, C.PLEXINDEX_QUERY_NO_SIZE)
}

// joinTexts returns texts with a NUL behind each.
func joinTexts(texts []string) (string, error) {
	var joined strings.Builder
	for _, text := range texts {
		if strings.IndexByte(text, 0) >= 0 {
			return "", &Error{Status: InvalidArgument, Message: fmt.Sprintf("%q contains a NUL", text)}
		}
		joined.WriteString(text)
		joined.WriteByte(0)
	}
	return joined.String(), nil
}

// LookupKey returns the key of the item with this path, or "" if the index does not have it at hand. It sends no
// request.
func (l *Library) LookupKey(path string) string {
	if strings.IndexByte(path, 0) >= 0 || l.index.begin() != nil {
		return ""
	}
	defer l.index.end()
	data, _ := view(path + "\x00")
	return resultText(C.lookup_key(l.handle, data))
}

func resultText(result C.fast_result) string {
	return string((*[len(result.text)]byte)(unsafe.Pointer(&result.text))[:result.length])
}

// LookupKeys is LookupKey for many paths.
func (l *Library) LookupKeys(paths []string) (keys []string, err error) {
	text, err := joinTexts(paths)
	if err != nil || len(paths) == 0 {
		return nil, err
	}
	data, length := view(text)
	_, err = l.index.hold(func() (Status, error) {
		return fill(64+40*len(paths), func(out, failure *C.plexindex_buffer) C.int32_t {
			return C.plexindex_lookup_keys(l.handle, data, length, C.size_t(len(paths)), out, failure)
		}, func(out *C.plexindex_buffer) {
			keys = strings.SplitN(C.GoStringN((*C.char)(out.data), C.int(out.length)), "\x00", len(paths)+1)[:len(paths)]
		})
	})
	return keys, err
}

// RecordMatch records that the item with this key has this path. A cancelled context does not end the call, but the
// context's deadline does: then nothing is recorded.
func (l *Library) RecordMatch(ctx context.Context, path, key string) error {
	return l.RecordMatches(ctx, [][2]string{{path, key}})
}

// RecordMatches records all pairs of a path and a key, or none.
func (l *Library) RecordMatches(ctx context.Context, pairs [][2]string) error {
	paths, keys := make([]string, len(pairs)), make([]string, len(pairs))
	for place, pair := range pairs {
		paths[place], keys[place] = pair[0], pair[1]
	}
	joinedPaths, err := joinTexts(paths)
	if err != nil {
		return err
	}
	joinedKeys, err := joinTexts(keys)
	if err != nil {
		return err
	}
	path, pathLength := view(joinedPaths)
	key, keyLength := view(joinedKeys)
	_, err = l.index.wait(ctx, Ask{}, func(deadline C.int64_t, _ C.uintptr_t) (Status, error) {
		return call(func(failure *C.plexindex_buffer) C.int32_t {
			return C.plexindex_record_matches(
				l.handle, path, pathLength, key, keyLength, C.size_t(len(pairs)), 0, deadline, failure)
		})
	})
	return err
}

// InvalidatePath invalidates a path.
func (l *Library) InvalidatePath(path string) error {
	data, length := view(path)
	return l.index.do(func(failure *C.plexindex_buffer) C.int32_t {
		return C.plexindex_invalidate_path(l.handle, data, length, failure)
	})
}

// InvalidateItem invalidates an item by its key or rating key.
func (l *Library) InvalidateItem(key string) error {
	data, length := view(key)
	return l.index.do(func(failure *C.plexindex_buffer) C.int32_t {
		return C.plexindex_invalidate_item(l.handle, data, length, failure)
	})
}

// Invalidate invalidates the library.
func (l *Library) Invalidate() error {
	return l.index.do(func(failure *C.plexindex_buffer) C.int32_t {
		return C.plexindex_invalidate_library(l.handle, failure)
	})
}

func readText(block *C.plexindex_buffer, text *C.plexindex_text) string {
	return C.GoStringN(C.plexindex_get_text(block, text), C.int(text.length))
}

// numberUnless returns a number, or nil if it is the one that means unknown.
func numberUnless(unknown, number int64) *int64 {
	if number == unknown {
		return nil
	}
	return &number
}

// word returns a name of plexindex.h as methods write it: "" for NONE.
func word(name *C.char) string {
	if text := strings.ToLower(C.GoString(name)); text != "none" {
		return text
	}
	return ""
}

func readItem(block *C.plexindex_buffer, item *C.plexindex_item) Item {
	return Item{
		Key:           readText(block, &item.key),
		RatingKey:     readText(block, &item.rating_key),
		Title:         readText(block, &item.title),
		GUID:          readText(block, &item.guid),
		ShowTitle:     readText(block, &item.show_title),
		ShowRatingKey: readText(block, &item.show_rating_key),
		ShowGUID:      readText(block, &item.show_guid),
		Path:          ByteString(readText(block, &item.path)),
		Section:       readText(block, &item.section),
		Library:       readText(block, &item.library_title),
		Kind:          ItemType(word(C.plexindex_get_kind_name(item.kind))),
		Year:          numberUnless(0, int64(item.year)),
		Season:        numberUnless(-1, int64(item.season)),
		Episode:       numberUnless(-1, int64(item.episode)),
	}
}

// readFile returns the file of an item; nil if the listing does not have it.
func readFile(block *C.plexindex_buffer, item *C.plexindex_item) *MatchedFile {
	file := C.plexindex_get_file(block, item)
	if file == nil {
		return nil
	}
	return &MatchedFile{
		Path:       ByteString(readText(block, &item.path)),
		Size:       numberUnless(0, int64(file.size_bytes)),
		PartID:     numberUnless(0, int64(file.part_id)),
		MediaID:    numberUnless(0, int64(file.media_id)),
		DurationMs: numberUnless(0, int64(file.duration_ms)),
		Part:       int64(file.part),
		Parts:      int64(file.parts),
		Version:    int64(file.version),
		Versions:   int64(file.versions),
		Resolution: readText(block, &file.resolution),
		Container:  readText(block, &file.container),
		Optimized:  file.flags&C.PLEXINDEX_FILE_OPTIMIZED != 0,
	}
}

func readBlock(block *C.plexindex_buffer) []Answer {
	answers := make([]Answer, int(C.plexindex_count_answers(block)))
	for place := range answers {
		native := C.plexindex_get_answer(block, C.size_t(place))
		answer := &answers[place]
		answer.Status = Status(native.status)
		answer.Match = Match{
			Status:     MatchStatus(word(C.plexindex_get_status_name(native.status))),
			MatchKind:  MatchKind(word(C.plexindex_get_match_kind_name(C.int32_t(native.match_kind)))),
			Confidence: Confidence(word(C.plexindex_get_confidence_name(C.int32_t(native.confidence)))),
			Reason:     Reason(word(C.plexindex_get_reason_name(C.int32_t(native.reason)))),
			Stale:      native.flags&C.PLEXINDEX_ANSWER_STALE != 0,
			Total:      int64(native.candidates_total),
			Message:    readText(block, &native.message),
			Candidates: make([]Item, int(native.candidates_count)),
			AgeMs:      numberUnless(-1, int64(native.age_ms)),
		}
		for candidate := range answer.Candidates {
			item := C.plexindex_get_candidate(block, native, C.size_t(candidate))
			answer.Candidates[candidate] = readItem(block, item)
		}
		if native.status == C.PLEXINDEX_OK {
			answer.Match.Status = MatchStatusFound
			if native.confidence == C.PLEXINDEX_CONFIDENCE_HIGH {
				answer.Sure = &answer.Candidates[0]
			} else {
				answer.Likely = &answer.Candidates[0]
			}
			answer.File = readFile(block, C.plexindex_get_candidate(block, native, 0))
		}
	}
	return answers
}
