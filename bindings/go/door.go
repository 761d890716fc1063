package plexindex

/*
#include <stdlib.h>
#include "plexindex.h"

extern int32_t plexindexGoProgress(void *user, plexindex_progress *progress);

static int32_t report(void *user, const plexindex_progress *progress) {
    return plexindexGoProgress(user, (plexindex_progress *)progress);
}

// Go must not store a Go pointer in C's memory: `user` is a number.
static int32_t call_method(const plexindex_handle *handle, const char *method, const char *request, size_t length,
                           int64_t deadline_ms, uintptr_t user, char **out, plexindex_buffer *error) {
    plexindex_call_options options = {sizeof options, deadline_ms, user == 0 ? NULL : report, (void *)user};
    return plexindex_call(handle, method, request, length, &options, out, error);
}

// A question of the typed functions: many paths, or one, or with neither a buffer a refresh.
static int32_t ask(const plexindex_handle *handle, const plexindex_library_handle *library, const char *text, size_t length,
                   size_t count, int64_t deadline_ms, uint32_t flags, uintptr_t user, plexindex_buffer *out,
                   plexindex_buffer *error) {
    plexindex_query query = {sizeof query, library, {text, length}, deadline_ms, flags, 0, report, (void *)user};
    if (out == NULL) return plexindex_refresh(handle, &query, error);
    if (count > 0) return plexindex_match_paths(handle, &query, count, out, error);
    return plexindex_match_path(handle, &query, out, error);
}
*/
import "C"

import (
	"context"
	"encoding/json"
	"errors"
	"runtime/cgo"
	"time"
	"unicode/utf8"
	"unsafe"
)

// ByteString is a path or a name. As JSON it is a string, or its bytes in Base64 where it is not UTF-8.
type ByteString string

type encoded struct {
	Bytes []byte `json:"bytes"`
}

// MarshalJSON writes a string, or its bytes.
func (b ByteString) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(b)) {
		return json.Marshal(string(b))
	}
	return json.Marshal(encoded{[]byte(b)})
}

// UnmarshalJSON reads what MarshalJSON and the library write.
func (b *ByteString) UnmarshalJSON(raw []byte) error {
	var bytes encoded
	if len(raw) == 0 || raw[0] != '{' {
		return json.Unmarshal(raw, (*string)(b))
	}
	err := json.Unmarshal(raw, &bytes)
	*b = ByteString(bytes.Bytes)
	return err
}

func byteStrings(texts []string) []ByteString {
	all := make([]ByteString, len(texts))
	for at, text := range texts {
		all[at] = ByteString(text)
	}
	return all
}

// fields are a request.
type fields map[string]any

// Call calls a method by its name: docs/methods.md describes all methods, with the fields of their requests and answers. For
// each there are types, such as ItemsBelowRequest and FilesPage; maps will do. `request` may be nil, `answer` is a pointer or nil. Of an Ask only
// Deadline and Progress count.
func (i *Index) Call(ctx context.Context, method string, request, answer any, ask ...Ask) error {
	_, err := i.call(ctx, method, "", request, answer, first(ask))
	return err
}

// named calls a method that knows what is among the options.
func (i *Index) named(ctx context.Context, method, subject string, request fields, answer any, ask Ask) (Status, error) {
	for name, is := range map[string]bool{"offline": ask.Offline, "at_once": ask.AtOnce, "full": ask.Full, "check": ask.Check} {
		if is {
			request[name] = true
		}
	}
	return i.call(ctx, method, subject, request, answer, ask)
}

func (i *Index) call(ctx context.Context, method, subject string, request, answer any, ask Ask) (status Status, err error) {
	return i.wait(ctx, asked(subject), ask, func(within C.int64_t, user C.uintptr_t) (Status, error) {
		return callMethod(i.handle, method, request, answer, within, user)
	})
}

// callMethod also reads the answer of a call that failed, if it has one.
func callMethod(handle *C.plexindex_handle, method string, request, answer any, within C.int64_t, user C.uintptr_t) (Status, error) {
	if request == nil {
		request = fields{}
	}
	raw, err := json.Marshal(request)
	if err != nil {
		return InvalidArgument, err
	}
	name := C.CString(method)
	defer C.free(unsafe.Pointer(name))
	given, length := text(string(raw))
	var out *C.char
	status, err := call(func(failed *C.plexindex_buffer) C.int32_t {
		return C.call_method(handle, name, given, length, within, user, &out, failed)
	})
	defer C.plexindex_free(out)
	if out != nil && answer != nil {
		if unread := json.Unmarshal([]byte(C.GoString(out)), answer); err == nil {
			err = unread
		}
	}
	return status, err
}

// wait makes a call that ends when its context does. `work` is given the time that it may take, and what its progress is told.
func (i *Index) wait(ctx context.Context, subject string, ask Ask, work func(C.int64_t, C.uintptr_t) (Status, error)) (Status, error) {
	if err := i.ended(ctx, subject); err != nil {
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
	limit := i.limit(ctx, ask.Deadline, subject)
	if ask.AtOnce {
		limit.end = time.Time{} // NotYet is the answer, and no deadline's
	}
	watching := &watcher{index: i, limit: limit, progress: ask.Progress}
	user := cgo.NewHandle(watching)
	defer user.Delete()
	// A wait for changes tells of no progress until it is woken.
	over, left := make(chan struct{}), make(chan struct{})
	if ctx.Done() == nil {
		close(left)
	} else {
		go func() {
			defer close(left)
			select {
			case <-ctx.Done():
				i.wakeWaiting()
			case <-over:
			}
		}()
	}
	renewal, renewed := i.callbacks.call(ctx, i)
	status, err := work(milliseconds(limit.within), C.uintptr_t(user))
	renewed()
	close(over)
	<-left // it uses the handle
	watching.ended.raise()
	i.callbacks.raise()
	if errors.Is(err, Aborted) && i.closing() {
		return status, ErrClosed
	}
	return status, limit.outcome(status, renewal.explain(err))
}

// An Answer is the answer for one path, folder, GUID or title. Its fields are those of docs/methods.md; Files, Items and Kind are of a
// folder.
type Answer struct {
	Folder
	// OK, NotFound, Ambiguous, NotYet, NeedsWarm; in a batch also the error of this one path.
	Status Status `json:"-"`
	// Item is nil when there is no single one.
	Item *Item `json:"-"`
}

func (a *Answer) item() {
	if a.Status == OK && len(a.Candidates) > 0 {
		a.Item = &a.Candidates[0]
	}
}

// match calls a method that answers as Match does.
func (l *Library) match(ctx context.Context, method, subject string, request fields, ask []Ask) (answer Answer, err error) {
	answer.Status, err = l.named(ctx, method, subject, request, &answer.Folder, first(ask))
	answer.item()
	return answer, failedAnswer(&answer, err)
}

// failedAnswer gives the answer of a call that failed its error's status and text.
func failedAnswer(answer *Answer, err error) error {
	var failed *Error
	if errors.As(err, &failed) {
		answer.Status, answer.Message = failed.Status, failed.Message
	} else if err != nil {
		answer.Status, answer.Message = Aborted, err.Error()
	}
	return err
}

func (a Ask) flags() C.uint32_t {
	return flag(a.Offline, C.PLEXINDEX_QUERY_OFFLINE) | flag(a.AtOnce, C.PLEXINDEX_QUERY_AT_ONCE) |
		flag(a.Full, C.PLEXINDEX_QUERY_FULL) | flag(a.Check, C.PLEXINDEX_QUERY_PROBE)
}

// paths asks for one path, or for many with a NUL behind each.
func (l *Library) paths(ctx context.Context, all string, count int, ask Ask) (answers []Answer, err error) {
	l = l.some()
	given, length := text(all)
	_, err = l.index.wait(ctx, asked(all), ask, func(within C.int64_t, user C.uintptr_t) (Status, error) {
		status, err := fill(16384+4*len(all), func(out, failed *C.plexindex_buffer) C.int32_t {
			return C.ask(l.index.handle, l.handle, given, length, C.size_t(count), within, ask.flags(), user, out, failed)
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

// Refresh brings the library up to date. It gives false when Ask.Deadline came first; the next call goes on behind the
// server's last answer. A deadline that is shorter than each answer takes gets no further, with Timeout before the first.
func (l *Library) Refresh(ctx context.Context, ask ...Ask) (bool, error) {
	l = l.some()
	one := first(ask)
	status, err := l.index.wait(ctx, "", one, func(within C.int64_t, user C.uintptr_t) (Status, error) {
		return call(func(failed *C.plexindex_buffer) C.int32_t {
			return C.ask(l.index.handle, l.handle, nil, 0, 0, within, one.flags(), user, nil, failed)
		})
	})
	return status == OK && err == nil, err
}

func readText(block *C.plexindex_buffer, text *C.plexindex_text) string {
	at := C.plexindex_get_text(block, text)
	if at == nil {
		return ""
	}
	return C.GoStringN(at, C.int(text.length))
}

// number is a number that is known, unless it is `none`.
func number(of, none C.int32_t) *int64 {
	if of == none {
		return nil
	}
	value := int64(of)
	return &value
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
		Year:          number(item.year, 0),
		Season:        number(item.season, -1),
		Episode:       number(item.episode, -1),
	}
}

func readBlock(block *C.plexindex_buffer) []Answer {
	answers := make([]Answer, int(C.plexindex_count_answers(block)))
	for place := range answers {
		found := C.plexindex_get_answer(block, C.size_t(place))
		answer := &answers[place]
		answer.Status = Status(found.status)
		answer.Folder = Folder{
			Status:     MatchStatus(word(C.plexindex_get_status_name(found.status))),
			MatchKind:  MatchKind(some(word(C.plexindex_get_match_kind_name(C.int32_t(found.match_kind))))),
			Confidence: Confidence(some(word(C.plexindex_get_confidence_name(C.int32_t(found.confidence))))),
			Reason:     Reason(some(word(C.plexindex_get_reason_name(C.int32_t(found.reason))))),
			Stale:      found.flags&C.PLEXINDEX_ANSWER_STALE != 0,
			Total:      int64(found.candidates_total),
			Message:    readText(block, &found.message),
			Candidates: make([]Item, int(found.candidates_count)),
		}
		if found.status == C.PLEXINDEX_OK {
			answer.Folder.Status = MatchStatusFound
		}
		if age := int64(found.age_ms); age >= 0 {
			answer.AgeMs = &age
		}
		for at := range answer.Candidates {
			answer.Candidates[at] = readItem(block, C.plexindex_get_candidate(block, found, C.size_t(at)))
		}
		answer.item()
	}
	return answers
}
