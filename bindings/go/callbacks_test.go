package plexindex

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// As of testing.T.Fatal: C's frames must not be left by it.
func TestAFunctionThatExitsItsGoroutineLeavesTheIndexWhole(t *testing.T) {
	index := opened(t, slowly)
	movies := library(t, index, "Movies")
	end := apart(func() {
		_, _ = movies.Refresh(always, Ask{Progress: func(Progress) bool { runtime.Goexit(); return true }})
	})
	same(t, end, ending{exited: true})
	done, err := movies.Refresh(always)
	same(t, []any{done, err}, []any{true, nil})

	refused := opened(t, func(options *Options) {
		options.Token = "refused"
		options.RenewToken = func(context.Context) (string, error) { runtime.Goexit(); return "", nil }
	})
	own := library(t, refused, "Movies")
	_, err = own.Match(always, told.Movies[0].Path)
	same(t, errors.Is(err, Unauthorized), true)
	must(t, refused.SetToken(os.Getenv("PLEXINDEX_TEST_TOKEN")))
	answer, err := own.Match(always, told.Movies[0].Path)
	must(t, err)
	same(t, answer.Item.Key, told.Movies[0].Key)

	logging := library(t, opened(t, func(options *Options) { options.LogLevel = 4 }), "Movies")
	for _, wanted := range []ending{{exited: true}, {panicked: "mine"}} {
		_, err = logging.Refresh(always, Ask{Full: true})
		must(t, err)
		end = apart(func() { _ = DrainLog(func(int, string) { wanted.raise() }) })
		same(t, end, wanted)
	}
}

// It waits for the call that the function is in.
func TestAnIndexIsNotClosedFromItsOwnFunctions(t *testing.T) {
	index := opened(t, slowly)
	movies := library(t, index, "Movies")
	var refused []error
	_, err := movies.Refresh(always, Ask{Progress: func(Progress) bool {
		// Also within a call of its own.
		_, _ = index.Server(always, Ask{Progress: func(Progress) bool { refused = append(refused, index.Close()); return true }})
		refused = append(refused, index.Close())
		return false
	}})
	same(t, errors.Is(err, Aborted), true)
	var renewing *Index
	renewing = opened(t, func(options *Options) {
		options.Token = "refused"
		options.RenewToken = func(context.Context) (string, error) {
			refused = append(refused, renewing.Close())
			return os.Getenv("PLEXINDEX_TEST_TOKEN"), nil
		}
	})
	_, err = library(t, renewing, "Movies").Refresh(always)
	must(t, err)
	same(t, len(refused) >= 2, true)
	for _, err := range refused {
		same(t, []any{errors.Is(err, InvalidArgument), strings.Contains(err.Error(), "Progress or RenewToken")}, []any{true, true})
	}
	// Another index, and another goroutine's Close, are no matter.
	other := opened(t)
	begun, closed := make(chan struct{}), make(chan error, 1)
	go func() { <-begun; closed <- index.Close() }()
	_, err = movies.Refresh(always, Ask{Progress: func(Progress) bool {
		if len(closed) == 0 && !index.closing() {
			must(t, other.Close())
			close(begun)
			for !index.closing() {
				runtime.Gosched()
			}
		}
		return true
	}})
	same(t, err, ErrClosed)
	must(t, <-closed)
}

// Its caller may be gone: then another call goes on with it.
func TestAPanicForATokenReachesACaller(t *testing.T) {
	index := opened(t, func(options *Options) {
		options.Token = "refused"
		options.RenewToken = func(context.Context) (string, error) { panic("mine") }
	})
	movies := library(t, index, "Movies")
	ctx, cancel := context.WithCancel(always)
	defer cancel()
	end := apart(func() { _ = movies.RecordMatch(ctx, "/a.mkv", "1") })
	same(t, end, ending{panicked: "mine"})
	_, err := index.Server(always)
	same(t, errors.Is(err, Unauthorized), true)
}

// The library does not wait for a deadline that comes before its next try.
func TestAServerThatRefusesConnectionsIsNoDeadline(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address := "http://" + listener.Addr().String()
	must(t, listener.Close())
	movies := library(t, opened(t, func(options *Options) { options.ServerURL, options.Retry = address, 0 }), "Movies")
	ctx, cancel := context.WithTimeout(always, time.Second)
	defer cancel()
	_, err = movies.Match(ctx, "/a.mkv")
	same(t, errors.Is(err, Connect), true)
	if ctx.Err() == nil {
		same(t, errors.Is(err, context.DeadlineExceeded), false)
	}
}
