package plexindex

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// An index whose RenewToken waits for `gate`, and gives what comes from there.
func gated(t *testing.T) (index *Index, asked chan context.Context, gate chan string) {
	asked, gate = make(chan context.Context, 8), make(chan string, 1)
	index = opened(t, func(options *Options) {
		options.Token = "refused"
		options.RenewToken = func(ctx context.Context) (string, error) {
			asked <- ctx
			return <-gate, nil
		}
	})
	t.Cleanup(func() { close(gate) })
	return index, asked, gate
}

func TestACallEndsWhileItsTokenIsRenewed(t *testing.T) {
	index, asked, _ := gated(t)
	ctx, cancel := context.WithCancel(always)
	ended := make(chan error, 1)
	go func() { _, err := index.Server(ctx); ended <- err }()
	own := <-asked
	cancel()
	same(t, []any{errors.Is(<-ended, context.Canceled), own.Err() != nil}, []any{true, true})
}

func TestCloseEndsACallWhoseTokenIsRenewed(t *testing.T) {
	index, asked, _ := gated(t)
	ended := make(chan error, 1)
	go func() { _, err := index.Server(always); ended <- err }()
	<-asked
	must(t, index.Close())
	same(t, <-ended != nil, true)
}

// No call waits for it any more, and it is asked for only once.
func TestATokenThatComesLateIsSet(t *testing.T) {
	index, asked, gate := gated(t)
	ctx, cancel := context.WithTimeout(always, 100*time.Millisecond)
	defer cancel()
	_, err := index.Server(ctx)
	same(t, errors.Is(err, context.DeadlineExceeded), true)
	gate <- os.Getenv("PLEXINDEX_TEST_TOKEN")
	for begun := time.Now(); ; {
		_, err = index.Server(always)
		if err == nil {
			break
		}
		if !errors.Is(err, Unauthorized) || time.Since(begun) > 10*time.Second {
			t.Fatal(err)
		}
	}
	same(t, len(asked), 1)
}

func TestTheErrorOfRenewTokenIsTheCause(t *testing.T) {
	mine := errors.New("mine")
	index := opened(t, func(options *Options) {
		options.Token = "refused"
		options.RenewToken = func(context.Context) (string, error) { return "", mine }
	})
	_, err := index.Server(always)
	same(t, []any{errors.Is(err, mine), errors.Is(err, Unauthorized)}, []any{true, true})
	_, err = index.Server(always) // RenewToken is not called now
	same(t, []any{errors.Is(err, mine), errors.Is(err, Unauthorized)}, []any{false, true})
}

func TestRenewTokenDoesNotWaitForItself(t *testing.T) {
	var refused []error
	var index *Index
	index = opened(t, func(options *Options) {
		options.Token = "refused"
		options.RenewToken = func(ctx context.Context) (string, error) {
			for _, call := range waitingCalls(index, library(t, index, "Movies")) {
				refused = append(refused, call(ctx))
			}
			_, err := library(t, index, "Movies").Match(ctx, "/a.mkv", Ask{AtOnce: true})
			return os.Getenv("PLEXINDEX_TEST_TOKEN"), err
		}
	})
	begun := time.Now()
	_, err := index.Server(always)
	must(t, err)
	same(t, time.Since(begun) < 10*time.Second, true)
	same(t, len(refused), len(waitingCalls(nil, nil)))
	for _, err := range refused {
		same(t, []any{errors.Is(err, Unauthorized), strings.Contains(err.Error(), "RenewToken")}, []any{true, true})
	}
}

func TestACopyIsTheSameIndex(t *testing.T) {
	index := opened(t)
	other := *index
	must(t, other.Close())
	must(t, index.Close())
	_, err := index.Library("Movies")
	same(t, err, ErrClosed)
	var none Index
	must(t, none.Close())
	_, err = none.Server(always)
	same(t, errors.Is(err, InvalidArgument), true)
}

func TestTheEndOfAContextNamesTheCall(t *testing.T) {
	address, _ := silent(t)
	index := opened(t, func(options *Options) { options.ServerURL = address })
	movies := library(t, index, "Movies")
	ended, cancel := context.WithCancel(always)
	cancel()
	soon, cancel := context.WithTimeout(always, 50*time.Millisecond)
	defer cancel()
	for _, ctx := range []context.Context{ended, soon} {
		_, err := movies.Match(ctx, "/a.mkv")
		same(t, []any{strings.Contains(err.Error(), "/a.mkv"), strings.Contains(err.Error(), address)}, []any{true, true})
	}
	_, err := movies.MatchPaths(ended, []string{"/a.mkv", "/b.mkv"})
	same(t, strings.Contains(err.Error(), "'/a.mkv'…"), true)
}
