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
		"Match": func(ctx context.Context) error { _, err := movies.Match(ctx, "/a.mkv"); return err },
		"MatchPaths": func(ctx context.Context) error {
			_, err := movies.MatchPaths(ctx, []string{"/a.mkv", "/b"})
			return err
		},
		"Folder":      func(ctx context.Context) error { _, err := movies.Folder(ctx, "/a"); return err },
		"Refresh":     func(ctx context.Context) error { _, err := movies.Refresh(ctx); return err },
		"Call":        func(ctx context.Context) error { return index.Call(ctx, "server.check", nil, nil) },
		"RecordMatch": func(ctx context.Context) error { return movies.RecordMatch(ctx, "/a.mkv", "1") },
		"EditItems": func(ctx context.Context) error {
			_, err := movies.EditItems(ctx, []string{"1"}, []EditChange{Set("title", "A")}, LockChangeLock)
			return err
		},
	}
}

func TestACancelledCallEndsSoon(t *testing.T) {
	for name, wanted := range map[string]error{"cancel": context.Canceled, "deadline": context.DeadlineExceeded} {
		for call := range waitingCalls(nil, nil) {
			call, wanted := call, wanted
			t.Run(name+" "+call, func(t *testing.T) {
				t.Parallel()
				address, asked := silent(t)
				index := opened(t, func(options *Options) { options.ServerURL, options.ReadTimeout = address, 5*time.Second })
				work := waitingCalls(index, library(t, index, "Movies"))[call]
				ctx, cancel := context.WithCancel(always)
				if wanted == context.DeadlineExceeded {
					ctx, cancel = context.WithTimeout(always, 200*time.Millisecond)
				}
				defer cancel()
				ended := make(chan error, 1)
				go func() { ended <- work(ctx) }()
				if wanted == context.Canceled {
					<-asked
					cancel()
				}
				begun := time.Now()
				err := <-ended
				if took := time.Since(begun); !errors.Is(err, wanted) || took > 1500*time.Millisecond {
					t.Fatal(err, took)
				}
				var typed *Error
				same(t, errors.As(err, &typed), true)
				err = work(ctx) // not even begun
				same(t, []any{errors.Is(err, wanted), strings.Contains(err.Error(), address)}, []any{true, true})
			})
		}
	}
}

// As of a call that waited for another goroutine's write.
func TestACallThatFailsByTimeNamesItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(always, 0)
	defer cancel()
	end, _ := ctx.Deadline()
	for status, is := range map[Status]bool{Store: true, Timeout: true, Aborted: true, Connect: true, LibraryNotFound: false} {
		err := limit{ctx, time.Millisecond, end, "again"}.outcome(status, &Error{Status: status, Message: "mine"})
		same(t, []any{errors.Is(err, context.DeadlineExceeded), errors.Is(err, status)}, []any{is, true})
	}
	err := limit{ctx: always}.outcome(Connect, &Error{Status: Connect}) // no deadline's
	same(t, []any{errors.Is(err, Connect), errors.Is(err, context.DeadlineExceeded)}, []any{true, false})
	same(t, asked("/a\x00/b\x00"), "'/a'…")
}

// README says what a passed Ask.Deadline gives.
func TestADeadlineOnAServerThatHangs(t *testing.T) {
	address, _ := silent(t)
	index := opened(t, func(options *Options) { options.ServerURL = address })
	movies, ask := library(t, index, "Movies"), Ask{Deadline: 50 * time.Millisecond}
	answer, err := movies.Match(always, "/a.mkv", ask)
	same(t, []any{answer.Status, err}, []any{NeedsWarm, nil})
	answer, err = movies.MatchGUID(always, "imdb://tt1", ask)
	same(t, []any{answer.Status, err}, []any{NeedsWarm, nil})
	_, err = movies.Refresh(always, ask)
	same(t, errors.Is(err, Timeout), true)
	_, err = index.Libraries(always, ask)
	same(t, errors.Is(err, Timeout), true)
}

func TestAWaitForChangesEndsWithItsContextAndItsIndex(t *testing.T) {
	index := opened(t)
	movies := library(t, index, "Movies")
	_, err := movies.Refresh(always)
	must(t, err)
	now, err := movies.Changes("", 1)
	must(t, err)
	cancelled, cancel := context.WithCancel(always)
	time.AfterFunc(20*time.Millisecond, cancel)
	late, cancel := context.WithTimeout(always, 20*time.Millisecond)
	defer cancel()
	for ctx, wanted := range map[context.Context]error{cancelled: context.Canceled, late: context.DeadlineExceeded} {
		_, err = movies.WaitForChanges(ctx, now.Cursor, Ask{Offline: true})
		same(t, errors.Is(err, wanted), true)
	}
	time.AfterFunc(20*time.Millisecond, func() { _ = index.Close() })
	_, err = movies.WaitForChanges(always, now.Cursor, Ask{Offline: true})
	same(t, err, ErrClosed)
}

func TestTheExampleServiceAnswers(t *testing.T) {
	deep(t)
	service := exec.Command(built(t, "./examples/service"), os.Getenv("PLEXINDEX_TEST_URL"), token, t.TempDir(), "Movies", "127.0.0.1:0")
	said, err := service.StderrPipe()
	must(t, err)
	must(t, service.Start())
	t.Cleanup(func() { _ = service.Process.Kill(); _ = service.Wait() })
	line, err := bufio.NewReader(said).ReadString('\n')
	must(t, err)
	address := "http://" + strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
	for path, wanted := range map[string]string{path: `200 {"key":"` + key, "/nowhere/x.mkv": "404 no library has a folder above", "": "400 "} {
		answer, err := http.Get(address + "/?path=" + url.QueryEscape(path))
		must(t, err)
		body, err := io.ReadAll(answer.Body)
		must(t, err)
		same(t, strings.HasPrefix(answer.Status[:4]+string(body), wanted), true)
	}
}
