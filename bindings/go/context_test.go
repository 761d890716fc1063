package plexindex

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A server that takes connections and never answers. `asked` gets one value for each connection.
func silent(t *testing.T) (address string, asked chan bool) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	asked = make(chan bool, 64)
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { connection.Close() })
			asked <- true
		}
	}()
	t.Cleanup(func() { listener.Close() })
	return "http://" + listener.Addr().String(), asked
}

// Each call that may wait, with a context.
func waitingCalls(index *Index, movies *Library) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Match":       func(ctx context.Context) error { _, err := movies.Match(ctx, "/a.mkv"); return err },
		"MatchPaths":  func(ctx context.Context) error { _, err := movies.MatchPaths(ctx, []string{"/a.mkv"}); return err },
		"Folder":      func(ctx context.Context) error { _, err := movies.Folder(ctx, "/a"); return err },
		"MatchGUID":   func(ctx context.Context) error { _, err := movies.MatchGUID(ctx, "imdb://tt1"); return err },
		"SearchTitle": func(ctx context.Context) error { _, err := movies.SearchTitle(ctx, "A"); return err },
		"Refresh":     func(ctx context.Context) error { _, err := movies.Refresh(ctx); return err },
		"Libraries":   func(ctx context.Context) error { _, err := index.Libraries(ctx); return err },
		"Server":      func(ctx context.Context) error { _, err := index.Server(ctx); return err },
		"RecordMatch": func(ctx context.Context) error { return movies.RecordMatch(ctx, "/a.mkv", "1") },
		"EditItems": func(ctx context.Context) error {
			_, err := movies.EditItems(ctx, []string{"1"}, []EditChange{Set("title", "A")}, LockChangeLock)
			return err
		},
	}
}

func TestACancelledCallEndsSoon(t *testing.T) {
	for name, wanted := range map[string]error{"cancel": context.Canceled, "deadline": context.DeadlineExceeded} {
		address, asked := silent(t)
		change := func(options *Options) { options.ServerURL, options.ReadTimeout = address, 2*time.Second }
		for call := range waitingCalls(nil, nil) {
			call, wanted := call, wanted
			t.Run(name+" "+call, func(t *testing.T) {
				t.Parallel()
				index := opened(t, change)
				work := waitingCalls(index, library(t, index, "Movies"))[call]
				ctx, cancel := context.WithCancel(always)
				if wanted == context.DeadlineExceeded {
					ctx, cancel = context.WithTimeout(always, 200*time.Millisecond)
				}
				defer cancel()
				ended := make(chan error, 1)
				go func() { ended <- work(ctx) }()
				if wanted == context.Canceled {
					<-asked // some call's, while others wait
					cancel()
				}
				begun := time.Now()
				err := <-ended
				if took := time.Since(begun); !errors.Is(err, wanted) || took > 1500*time.Millisecond {
					t.Fatal(err, took)
				}
				t.Log("after ", time.Since(begun))
				var typed *Error
				same(t, errors.As(err, &typed), true)
				same(t, errors.Is(work(ctx), wanted), true) // not even begun
			})
		}
	}
}

// As of a call that waited for another goroutine's write.
func TestACallThatFailsByTimeNamesItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(always, 0)
	defer cancel()
	end, _ := ctx.Deadline()
	for _, status := range []Status{Store, Timeout, Aborted, Connect} {
		err := limit{ctx, time.Millisecond, end, "again"}.outcome(status, &Error{Status: status, Message: "mine"})
		same(t, []any{errors.Is(err, context.DeadlineExceeded), errors.Is(err, status)}, []any{true, true})
	}
	err := limit{ctx, time.Millisecond, end, "again"}.outcome(LibraryNotFound, &Error{Status: LibraryNotFound})
	same(t, errors.Is(err, context.DeadlineExceeded), false)
}

// README says what a passed Ask.Deadline gives.
func TestADeadlineOnAServerThatHangs(t *testing.T) {
	address, _ := silent(t)
	index := opened(t, func(options *Options) { options.ServerURL = address })
	movies := library(t, index, "Movies")
	ask := Ask{Deadline: 50 * time.Millisecond}
	answers := map[string]func() (Answer, error){
		"Match": func() (Answer, error) { return movies.Match(always, "/a.mkv", ask) },
		"MatchPaths": func() (Answer, error) {
			all, err := movies.MatchPaths(always, []string{"/a.mkv"}, ask)
			return all[0], err
		},
		"Folder":      func() (Answer, error) { return movies.Folder(always, "/a", ask) },
		"MatchGUID":   func() (Answer, error) { return movies.MatchGUID(always, "imdb://tt1", ask) },
		"SearchTitle": func() (Answer, error) { return movies.SearchTitle(always, "A", ask) },
	}
	for name, work := range answers {
		answer, err := work()
		same(t, []any{name, answer.Status, err}, []any{name, NeedsWarm, nil})
	}
	_, err := movies.Refresh(always, ask)
	same(t, errors.Is(err, Timeout), true)
	_, err = index.Libraries(always, ask)
	same(t, errors.Is(err, Timeout), true)
}

func TestAWaitForChangesEndsWithItsContext(t *testing.T) {
	movies := library(t, opened(t), "Movies")
	_, err := movies.Refresh(always)
	must(t, err)
	now, err := movies.Changes("", 1)
	must(t, err)
	ctx, cancel := context.WithCancel(always)
	time.AfterFunc(20*time.Millisecond, cancel)
	begun := time.Now()
	_, err = movies.WaitForChanges(ctx, now.Cursor, Ask{Offline: true})
	same(t, []any{errors.Is(err, context.Canceled), time.Since(begun) < time.Second}, []any{true, true})
	ctx, cancel = context.WithTimeout(always, 20*time.Millisecond)
	defer cancel()
	_, err = movies.WaitForChanges(ctx, now.Cursor, Ask{Offline: true})
	same(t, errors.Is(err, context.DeadlineExceeded), true)
}

func TestTheExampleServiceEndsWhatItsClientsGiveUp(t *testing.T) {
	deep(t)
	program := built(t, "./examples/service")
	start := func(server string) (string, *bufio.Scanner) {
		service := exec.Command(program, server, os.Getenv("PLEXINDEX_TEST_TOKEN"), t.TempDir(), "Movies", "127.0.0.1:0")
		said, err := service.StderrPipe()
		must(t, err)
		must(t, service.Start())
		t.Cleanup(func() { _ = service.Process.Kill(); _ = service.Wait() })
		lines := bufio.NewScanner(said)
		lines.Scan()
		return "http://" + strings.TrimPrefix(lines.Text(), "listening on "), lines
	}
	address, _ := start(os.Getenv("PLEXINDEX_TEST_URL"))
	for path, wanted := range map[string]string{
		told.Movies[0].Path: `200 {"key":"` + told.Movies[0].Key + `","title":"` + told.Movies[0].Title + `"}`,
		"/nowhere/x.mkv":    "404 no library has a folder above",
		"":                  "400 ",
	} {
		answer, err := http.Get(address + "/?path=" + url.QueryEscape(path))
		must(t, err)
		body, err := io.ReadAll(answer.Body)
		must(t, err)
		answer.Body.Close()
		if found := answer.Status[:4] + string(body); !strings.HasPrefix(found, wanted) {
			t.Fatal(found)
		}
	}
	never, asked := silent(t)
	address, lines := start(never)
	ctx, cancel := context.WithCancel(always)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/?path=/a.mkv", nil)
	must(t, err)
	go func() { <-asked; cancel() }()
	_, err = http.DefaultClient.Do(request)
	same(t, errors.Is(err, context.Canceled), true)
	begun := time.Now()
	lines.Scan()
	same(t, []any{strings.HasPrefix(lines.Text(), "given up: "), time.Since(begun) < 1500*time.Millisecond}, []any{true, true})
}
