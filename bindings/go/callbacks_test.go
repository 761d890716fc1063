package plexindex

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestProgressIsReportedAndCanEndACall(t *testing.T) {
	movies := library(t, opened(t, slowly), "Movies")
	seen := []Progress{}
	_, err := movies.Refresh(always, Ask{Progress: func(progress Progress) bool {
		runtime.GC() // Go's memory may not move what C reads
		seen = append(seen, progress)
		return progress.Items < 50
	}})
	if !errors.Is(err, Aborted) || len(seen) == 0 || seen[len(seen)-1].Items < 50 || seen[len(seen)-1].Library != "Movies" {
		t.Fatal(err, seen)
	}
	// As of a panic and of testing.T.Fatal: C's frames must not be left by them.
	for _, wanted := range []ending{{panicked: "mine"}, {exited: true}} {
		progress := func(Progress) bool { wanted.raise(); return true }
		same(t, apart(func() { _, _ = movies.Refresh(always, Ask{Full: true, Progress: progress}) }), wanted)
		same(t, apart(func() { _, _ = movies.SearchTitle(always, "A", Ask{Progress: progress}) }), wanted)
	}
	done, err := movies.Refresh(always)
	same(t, []any{done, err}, []any{true, nil})
	logging := library(t, opened(t, func(options *Options) { options.LogLevel = LogDebug }), "Movies")
	_, err = logging.Refresh(always)
	must(t, err)
	same(t, apart(func() { _ = DrainLog(func(int, string) { panic("mine") }) }), ending{panicked: "mine"})
}

// It waits for the call that the function is in.
func TestAnIndexIsNotClosedFromItsOwnFunctions(t *testing.T) {
	index, other := opened(t, slowly), opened(t)
	movies := library(t, index, "Movies")
	var refused []error
	_, err := movies.Refresh(always, Ask{Progress: func(Progress) bool {
		must(t, other.Close()) // which is no matter
		// Also within a call of its own.
		_, _ = index.Server(always, Ask{Progress: func(Progress) bool { refused = append(refused, index.Close()); return true }})
		refused = append(refused, index.Close())
		return false
	}})
	same(t, errors.Is(err, Aborted), true)
	var renewing *Index
	renewing = opened(t, renewed(func(context.Context) (string, error) {
		refused = append(refused, renewing.Close())
		return token, nil
	}))
	_, err = library(t, renewing, "Movies").Refresh(always)
	must(t, err)
	same(t, len(refused) >= 2, true)
	for _, err := range refused {
		same(t, []any{errors.Is(err, InvalidArgument), strings.Contains(err.Error(), "Progress or RenewToken")}, []any{true, true})
	}
}

func TestATokenIsRenewedOnceForAllCalls(t *testing.T) {
	asked := 0
	movies := library(t, opened(t, renewed(func(context.Context) (string, error) { asked++; runtime.GC(); return token, nil })), "Movies")
	errs := make(chan error, 8)
	for range [8]int{} {
		go func() { _, err := movies.Match(always, path); errs <- err }()
	}
	for range [8]int{} {
		must(t, <-errs)
	}
	same(t, asked, 1)
}

func TestWhyThereIsNoNewTokenIsTheCause(t *testing.T) {
	mine := errors.New("mine")
	for wanted, renew := range map[string]func(context.Context) (string, error){
		"mine":          func(context.Context) (string, error) { return "", mine },
		"1048576 bytes": func(context.Context) (string, error) { return strings.Repeat("t", 1<<20), nil },
		"a line break":  func(context.Context) (string, error) { return "token\n", nil },
		"not UTF-8":     func(context.Context) (string, error) { return "\xff", nil },
	} {
		index := opened(t, renewed(renew))
		_, err := index.Server(always)
		same(t, []any{errors.Is(err, Unauthorized), strings.Contains(err.Error(), wanted)}, []any{true, true})
		same(t, errors.Is(err, mine), wanted == "mine")
		_, err = index.Server(always) // RenewToken is not called now
		same(t, []any{errors.Is(err, Unauthorized), strings.Contains(err.Error(), wanted)}, []any{true, false})
	}
	for _, wanted := range []ending{{panicked: "mine"}, {}} {
		index := opened(t, renewed(func(context.Context) (string, error) {
			if !wanted.early() {
				runtime.Goexit()
			}
			panic(wanted.panicked)
		}))
		movies := library(t, index, "Movies")
		same(t, apart(func() { _ = movies.RecordMatch(always, "/a.mkv", "1") }), wanted)
		must(t, index.SetToken(token))
		_, err := movies.Match(always, path)
		must(t, err)
	}
}

// Where it ignores its context it is left behind, and asked for only once.
func TestACallEndsWhileItsTokenIsRenewed(t *testing.T) {
	asked, gate := make(chan context.Context, 8), make(chan string, 1)
	renew := renewed(func(ctx context.Context) (string, error) { asked <- ctx; return <-gate, nil })
	index, closing := opened(t, renew), opened(t, renew)
	ctx, cancel := context.WithCancel(always)
	ended := make(chan error, 1)
	go func() { _, err := index.Server(ctx); ended <- err }()
	own := <-asked
	cancel()
	same(t, []any{errors.Is(<-ended, context.Canceled), own.Err() != nil}, []any{true, true})
	gate <- token
	for begun := time.Now(); ; {
		_, err := index.Server(always)
		if err == nil {
			break
		}
		if !errors.Is(err, Unauthorized) || time.Since(begun) > 10*time.Second {
			t.Fatal(err)
		}
	}
	same(t, len(asked), 0)
	go func() { _, err := closing.Server(always); ended <- err }()
	<-asked
	must(t, closing.Close())
	same(t, <-ended != nil, true)
	close(gate)
}

func TestRenewTokenDoesNotWaitForItself(t *testing.T) {
	var refused []error
	var index *Index
	index = opened(t, renewed(func(ctx context.Context) (string, error) {
		for _, call := range waitingCalls(index, library(t, index, "Movies")) {
			refused = append(refused, call(ctx))
		}
		_, err := library(t, index, "Movies").Match(ctx, "/a.mkv", Ask{AtOnce: true})
		return token, err
	}))
	_, err := index.Server(always)
	must(t, err)
	same(t, len(refused), len(waitingCalls(nil, nil)))
	for _, err := range refused {
		same(t, []any{errors.Is(err, Unauthorized), strings.Contains(err.Error(), "RenewToken")}, []any{true, true})
	}
}
