package plexindex

// #include "plexindex.h"
import "C"

import (
	"context"
	"errors"
	"strings"
	"time"
)

// asked is a text as an error names it: the first one of many, and cut.
func asked(text string) string {
	first, more, _ := strings.Cut(text, "\x00")
	if len(first) > 200 {
		first, more = strings.ToValidUTF8(first[:200], ""), "…"
	}
	switch {
	case first == "":
		return ""
	case more != "":
		return "'" + first + "'…"
	}
	return "'" + first + "'"
}

// about begins an error of this package's with what was asked, and the server.
func (i *Index) about(subject, message string) string {
	if i == nil || i.state == nil {
		return message
	}
	if i.server != "" {
		subject = strings.TrimSpace(subject + " at " + i.server)
	}
	if subject == "" {
		return message
	}
	return subject + ": " + message
}

// ended is the error of a call whose context had ended before it began.
func (i *Index) ended(ctx context.Context, subject string) error {
	if ctx == nil {
		return &Error{Status: InvalidArgument, Message: "the context is nil: give context.Background()"}
	}
	if cause := ctx.Err(); cause != nil {
		return &Error{Aborted, i.about(subject, "the call was not made"), cause}
	}
	return nil
}

// limit is how long a call may take.
type limit struct {
	ctx context.Context
	// The nearer of the call's own deadline and the context's, for the library.
	within time.Duration
	// The context's deadline where that is the nearer one; else zero.
	end time.Time
	// What was asked, and where, for the error.
	again string
}

func (i *Index) limit(ctx context.Context, own time.Duration, subject string) limit {
	again := i.about(subject, "the same call, repeated, goes on where this one stopped")
	if own == 0 {
		own = i.deadline
	}
	end, has := ctx.Deadline()
	left := time.Until(end)
	if !has || own > 0 && own <= left || own < 0 && own != NoDeadline {
		return limit{ctx: ctx, within: own, again: again}
	}
	if left < time.Millisecond {
		left = time.Millisecond
	}
	return limit{ctx, left, end, again}
}

// aborts says whether the context has to end the call. At its deadline the library ends the call by itself: then with an
// older answer, if it has one.
func (l limit) aborts() bool {
	cause := l.ctx.Err()
	return cause != nil && (l.end.IsZero() || !errors.Is(cause, context.DeadlineExceeded))
}

// outcome is the error of a call that ended with this status and error: the context's where that ended it.
func (l limit) outcome(status Status, err error) error {
	late := !l.end.IsZero() && !time.Now().Before(l.end)
	cause := l.ctx.Err()
	if cause == nil && late {
		cause = context.DeadlineExceeded
	}
	var failed *Error
	switch {
	case err == nil && !l.end.IsZero() && (status == NotYet || status == NeedsWarm):
		return &Error{status, l.again, context.DeadlineExceeded}
	// Store: another goroutine kept the store locked until the deadline.
	case cause != nil && errors.As(err, &failed) && (failed.Status == Aborted || failed.Status == Store || failed.Status >= 300 && failed.Status < 400):
		return &Error{failed.Status, failed.Message, cause}
	}
	return err
}

// detached makes a call that nothing but a deadline ends in C. When its context ends first the call goes on without its
// caller, and Close waits for it.
func (i *Index) detached(ctx context.Context, subject string, work func(within C.int64_t, failed *C.plexindex_buffer) C.int32_t) error {
	err := i.ended(ctx, subject)
	if err == nil && i.renewing(ctx) {
		err = errRenewing
	}
	if err == nil {
		err = i.begin()
	}
	if err != nil {
		return err
	}
	limit := i.limit(ctx, 0, subject)
	made := func() error {
		defer i.end()
		renewal, over := i.callbacks.call(ctx, i)
		defer over()
		status, err := call(func(failed *C.plexindex_buffer) C.int32_t { return work(milliseconds(limit.within), failed) })
		return limit.outcome(status, renewal.explain(err))
	}
	// In the caller's goroutine, if that still waits.
	defer i.callbacks.raise()
	if ctx.Done() == nil {
		return made()
	}
	done := make(chan error, 1)
	go func() { done <- made() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	if !limit.aborts() {
		// The library ends the call now, and says whether anything was done.
		select {
		case err := <-done:
			return err
		case <-time.After(grace):
		}
	}
	return &Error{Aborted, i.about(subject, "the call goes on, and may be made all the same"), ctx.Err()}
}

// grace is how long after a deadline the library's own word about it is waited for.
const grace = 100 * time.Millisecond
