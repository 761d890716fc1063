package plexindex

/*
#include <pthread.h>
#include <string.h>
#include "plexindex.h"

static uintptr_t this_thread(void) { return (uintptr_t)pthread_self(); }
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/cgo"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"
	"unicode/utf8"
	"unsafe"
)

func thisThread() uintptr { return uintptr(C.this_thread()) }

// callbacks are an index's RenewToken, and what is known of the caller's functions that C calls. A handle of C's keeps them, so
// that they do not name the index, which may be collected.
type callbacks struct {
	renew func(context.Context) (string, error)
	// Full while RenewToken runs.
	slot chan struct{}
	// The threads of the caller's functions that run. None of them has another goroutine meanwhile.
	threads sync.Map
	// The calls in flight by their thread: *renewal.
	calls sync.Map
	// How RenewToken panicked, until a call goes on with that.
	ended atomic.Pointer[ending]
}

// renewal is a call that may ask for a token.
type renewal struct {
	ctx   context.Context
	index *Index
	// Why there is no new token.
	failed error
}

// renewingKey is what RenewToken's context has the index's state under.
type renewingKey struct{}

var errRenewing = &Error{Status: Unauthorized, Message: "RenewToken asks the index that it has to give a token: this call would wait for itself"}

// renewing says whether RenewToken of this index makes this call.
func (i *Index) renewing(ctx context.Context) bool {
	return i != nil && i.state != nil && ctx.Value(renewingKey{}) == i.state
}

// call notes a call that may ask for a token, on this thread, until `over`.
func (c *callbacks) call(ctx context.Context, index *Index) (call *renewal, over func()) {
	call = &renewal{ctx: ctx, index: index}
	if c.renew == nil {
		return call, func() {}
	}
	runtime.LockOSThread()
	here := thisThread()
	// A call of a Progress function has a thread of its own.
	c.calls.Store(here, call)
	return call, func() {
		c.calls.Delete(here)
		runtime.UnlockOSThread()
	}
}

// explain adds to Unauthorized why there is no new token.
func (r *renewal) explain(err error) error {
	var failed *Error
	if r.failed == nil || !errors.As(err, &failed) || failed.Status != Unauthorized {
		return err
	}
	return &Error{failed.Status, failed.Message, r.failed}
}

//export plexindexGoRenewToken
func plexindexGoRenewToken(user unsafe.Pointer, token *C.plexindex_buffer) C.int32_t {
	callbacks := cgo.Handle(uintptr(user)).Value().(*callbacks)
	found, there := callbacks.calls.Load(thisThread())
	if !there {
		return 1
	}
	call := found.(*renewal)
	var given string
	if given, call.failed = callbacks.token(call); given == "" {
		return 1
	}
	C.memcpy(token.data, unsafe.Pointer(stringData(given)), C.size_t(len(given)))
	token.length = C.size_t(len(given))
	return 0
}

// token is RenewToken's, unless the call ends before.
func (c *callbacks) token(call *renewal) (string, error) {
	select {
	case c.slot <- struct{}{}: // after one that was left behind
	case <-call.ctx.Done():
		return "", call.ctx.Err()
	case <-call.index.ending:
		return "", ErrClosed
	}
	type answer struct {
		token string
		err   error
	}
	answers, left := make(chan answer), make(chan struct{})
	index := call.index
	go func() {
		var given answer
		end := c.run(func() { given.token, given.err = c.renew(context.WithValue(call.ctx, renewingKey{}, index.state)) })
		if end.panicked != nil {
			c.ended.Store(&end)
		}
		if given.err == nil {
			given.err = tokenFault(given.token)
		}
		if end.early() || given.err != nil {
			given.token = ""
		}
		<-c.slot
		select {
		case answers <- given:
		case <-left:
			if given.token != "" {
				_ = index.SetToken(given.token)
			}
		}
	}()
	select {
	case given := <-answers:
		return given.token, given.err
	case <-call.ctx.Done():
		close(left)
		return "", call.ctx.Err()
	case <-index.ending:
		close(left)
		return "", ErrClosed
	}
}

const longestToken = 65_536

// tokenFault says why a text can be no token.
func tokenFault(token string) error {
	switch {
	case len(token) > longestToken:
		return fmt.Errorf("RenewToken gave %d bytes: a token has %d at most", len(token), longestToken)
	case !utf8.ValidString(token):
		return errors.New("RenewToken gave a text that is not UTF-8: it is no token")
	case strings.IndexFunc(token, unicode.IsControl) >= 0:
		return errors.New("RenewToken gave a text with a NUL, a line break or another control character: it is no token")
	}
	return nil
}

// raise goes on with the panic of RenewToken, behind C.
func (c *callbacks) raise() {
	if end := c.ended.Swap(nil); end != nil {
		end.raise()
	}
}
