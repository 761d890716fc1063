package plexindex

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// facts returns the rows of one kind: what the server has.
func facts(kind string) (rows [][]string) {
	raw, err := os.ReadFile(os.Getenv("PLEXINDEX_TEST_FACTS"))
	if err != nil {
		panic(fmt.Sprint("run `make test-languages`: ", err))
	}
	for _, line := range strings.Split(strings.TrimSpace(string(raw)), "\n") {
		if row := strings.Split(line, "\t"); row[0] == kind {
			rows = append(rows, row[1:])
		}
	}
	return rows
}

var (
	background = context.Background()
	token      = os.Getenv("PLEXINDEX_TEST_TOKEN")
	// The first movie.
	key, title, path = facts("movie")[0][0], facts("movie")[0][1], facts("movie")[0][2]
)

// useSlowServer chooses a server whose sixty pages take 20 ms each.
func useSlowServer(options *Options) {
	options.ServerURL, options.PageSize = os.Getenv("PLEXINDEX_TEST_SLOW_URL"), 25
}

func openIndex(t *testing.T, changes ...func(*Options)) *Index {
	t.Helper()
	options := Options{CacheDir: t.TempDir(), ServerURL: os.Getenv("PLEXINDEX_TEST_URL"), Token: token, Retry: -1}
	for _, change := range changes {
		change(&options)
	}
	index, err := Open(options)
	must(t, err)
	t.Cleanup(func() {
		if !index.isClosing.Load() { // no call left a lock, for which Close would wait
			assertEqual(t, index.inUse.TryLock(), true)
			index.inUse.Unlock()
		}
		must(t, index.Close())
	})
	return index
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func assertEqual(t *testing.T, actual, expected any) {
	t.Helper()
	if !reflect.DeepEqual(actual, expected) {
		t.Fatalf("got %v, expected %v", actual, expected)
	}
}

func openLibrary(t *testing.T, index *Index, name string) *Library {
	t.Helper()
	library, err := index.Library(name)
	must(t, err)
	return library
}

func TestMatchesAndLookupsFindItems(t *testing.T) {
	index := openIndex(t)
	movies := openLibrary(t, index, "Movies")
	assertEqual(t, movies.LookupKey(path), "")
	answer, err := movies.Match(background, path)
	must(t, err)
	assertEqual(t, []any{answer.Status, answer.MatchKind, answer.Confidence, answer.Reason},
		[]any{OK, MatchExact, ConfidenceHigh, Reason("")})
	assertEqual(t, []any{answer.Sure.Key, answer.Sure.Title, answer.Sure.Path}, []any{key, title, ByteString(path)})
	var found Match
	must(t, index.Call(background, "match.title", MatchTitleRequest{Library: "Movies", Title: title}, &found))
	file := answer.File
	assertEqual(t, []any{file.Path, file.Part, file.Parts, file.Version <= file.Versions, *file.Size > 0},
		[]any{ByteString(path), int64(1), int64(1), true, true})
	elsewhere := "/elsewhere" + path[strings.LastIndexByte(path, '/'):]
	sized, err := movies.Match(background, elsewhere, Ask{Size: uint64(*file.Size)})
	must(t, err)
	assertEqual(t, []any{sized.Sure.Key, sized.Confidence, sized.Reason}, []any{key, ConfidenceHigh, ReasonSameFile})
	unsized, err := movies.MatchPaths(background, []string{elsewhere}, Ask{NoSize: true})
	must(t, err)
	assertEqual(t, []any{unsized[0].Confidence, unsized[0].Sure == nil, unsized[0].Likely.Key}, []any{ConfidenceLow, true, key})
	found.AgeMs, answer.AgeMs, answer.File = nil, nil, nil
	found.MatchKind, found.Confidence = answer.MatchKind, answer.Confidence
	assertEqual(t, found, answer.Match)
	paths, keys := []string{}, []string{}
	for _, movie := range facts("movie") {
		paths, keys = append(paths, movie[2]), append(keys, movie[0])
	}
	paths, keys = append(paths, "/nowhere/x.mkv"), append(keys, "")
	answers, err := movies.MatchPaths(background, paths)
	must(t, err)
	for place, expected := range keys[:len(keys)-1] {
		assertEqual(t, answers[place].Sure.Key, expected)
	}
	none := answers[len(keys)-1]
	assertEqual(t, []any{none.Status, none.Sure == nil, none.AgeMs != nil}, []any{NotFound, true, true})
	lookedUp, err := movies.LookupKeys(paths)
	must(t, err)
	assertEqual(t, lookedUp, keys)
	lookedUp, err = movies.LookupKeys(nil)
	assertEqual(t, []any{len(lookedUp), err}, []any{0, nil})
	long, withNUL := strings.Repeat("x", 5000), "a\x00b"
	assertEqual(t, []string{movies.LookupKey(path), movies.LookupKey(long), movies.LookupKey(withNUL)}, []string{key, "", ""})
	several, err := movies.Match(background, "/else/"+facts("repeated")[0][0])
	must(t, err)
	assertEqual(t, []any{several.Status, several.Sure == nil, len(several.Candidates)},
		[]any{Ambiguous, true, len(facts("repeated"))})
}

func TestMethodsAreCalledByName(t *testing.T) {
	index := openIndex(t)
	_, err := openLibrary(t, index, "").Refresh(background)
	must(t, err)
	var page FilesPage
	folder := facts("show")[0][0]
	request := ItemsBelowRequest{Library: "TV Shows", Path: ByteString(folder), Limit: 1}
	must(t, index.Call(background, "items.below", request, &page))
	assertEqual(t, []any{strings.HasPrefix(string(page.Items[0].Path), folder), page.Cursor != ""}, []any{true, true})
	notUTF8 := ByteString("/\xff")
	var host HostPath
	must(t, index.Call(background, "mappings.to_host", MapToHostRequest{notUTF8}, &host))
	assertEqual(t, host.Path, notUTF8)
	replaced := ByteString("/\uFFFD\\ufffd")
	must(t, index.Call(background, "mappings.to_host", map[string]any{"path": replaced}, &host))
	assertEqual(t, host.Path, replaced)
	err = index.Call(background, "mappings.to_host", map[string]any{"path": string(notUTF8)}, &host)
	assertEqual(t, []any{errors.Is(err, InvalidArgument), strings.Contains(err.Error(), "ByteString")}, []any{true, true})
	var versions map[string]any
	must(t, index.Call(background, "versions", nil, &versions))
	assertEqual(t, versions["library"], Version())
	err = index.Call(background, "items.get", map[string]any{"path": path}, nil)
	assertEqual(t, []any{errors.Is(err, InvalidArgument), strings.Contains(err.Error(), "unknown field `path`")},
		[]any{true, true})
	assertEqual(t, errors.Is(index.Call(background, "no such", nil, nil), InvalidArgument), true)
}

func TestCallsThatChangeTheStorePassTheirArgumentsOn(t *testing.T) {
	index := openIndex(t)
	movies := openLibrary(t, index, "Movies")
	must(t, movies.RecordMatch(background, "/own/name.mkv", key))
	answer, err := movies.Match(background, "/own/name.mkv")
	assertEqual(t, []any{answer.MatchKind, err}, []any{MatchConfirmed, nil})
	must(t, movies.InvalidatePath("/own/name.mkv"))
	_, err = movies.Refresh(background, Ask{Check: true})
	must(t, err)
	stats, err := index.Stats()
	must(t, err)
	assertEqual(t, []any{stats.Answers[MatchConfirmed], stats.Requests["page"] > 0, stats.InCalls > 0},
		[]any{uint64(1), true, true})
	must(t, movies.InvalidateItem(key))
	must(t, movies.Invalidate())
	must(t, index.SetToken("refused"))
	_, err = movies.Refresh(background)
	assertEqual(t, errors.Is(err, Unauthorized), true)
	must(t, index.SetToken(token))
	assertEqual(t, errors.Is(index.Notify("no event"), InvalidArgument), true)
	must(t, DrainLog(func(int, string) {}))

	table, err := index.Table("notes", true)
	must(t, err)
	must(t, table.Put("One", []byte("first"), TTLNever, 0))
	must(t, table.Put("", []byte(strings.Repeat("\xff", 5000)), 0, 0))
	value, exists, err := table.Get("ONE")
	assertEqual(t, []any{string(value), exists, err, table.Lookup("one")}, []any{"first", true, nil, "first"})
	value, _, err = table.Get("")
	assertEqual(t, []any{len(value), err}, []any{5000, nil})
	names := []string{}
	must(t, table.Names(func(name string) bool { names = append(names, name); return true }))
	assertEqual(t, names, []string{"", "one"})
	must(t, table.Remove("one"))
	_, exists, err = table.Get("one")
	assertEqual(t, []any{exists, err}, []any{false, nil})
	must(t, index.Clear())
}

func TestAHundredFailingCallsEachHaveTheirOwnError(t *testing.T) {
	index := openIndex(t)
	failures := make([]error, 100)
	var group sync.WaitGroup
	for number := range failures {
		group.Add(1)
		go func(number int) {
			defer group.Done()
			unknown, err := index.Library(fmt.Sprintf("None %d", number))
			if err == nil {
				_, err = unknown.Match(background, "/x.mkv")
			}
			failures[number] = err
		}(number)
	}
	group.Wait()
	for number, err := range failures {
		if !errors.Is(err, LibraryNotFound) || !strings.Contains(err.Error(), fmt.Sprintf("'None %d'", number)) {
			t.Fatal(number, err)
		}
	}
}

func TestProgressIsReportedAndCanEndACall(t *testing.T) {
	index := openIndex(t, useSlowServer)
	movies := openLibrary(t, index, "Movies")
	reports := []Progress{}
	_, err := movies.Refresh(background, Ask{Progress: func(progress Progress) bool {
		runtime.GC() // Go's memory may not move while C reads it
		reports = append(reports, progress)
		return progress.Items < 50
	}})
	last := reports[len(reports)-1]
	assertEqual(t, []any{errors.Is(err, Aborted), last.Items >= 50, last.Library}, []any{true, true, "Movies"})
	_, err = movies.Refresh(background, Ask{Progress: func(Progress) bool { movies.LookupKey(path); return true }})
	must(t, err)
	for _, panicked := range []any{"mine", nil} { // recover() returns nil for both none and nil
		func() {
			defer func() { assertEqual(t, recover(), panicked) }()
			_, err = movies.Refresh(background, Ask{Full: true, Progress: func(Progress) bool { panic(panicked) }})
			assertEqual(t, errors.Is(err, Aborted), true)
		}()
	}
	_, err = movies.Refresh(background) // the panic left no lock
	must(t, err)
}

func TestCloseEndsCallsAndWaitsForThem(t *testing.T) {
	index := openIndex(t, useSlowServer)
	movies := openLibrary(t, index, "Movies")
	begun, ended := make(chan struct{}), make(chan error, 2)
	var once sync.Once
	go func() {
		progress := func(Progress) bool { once.Do(func() { close(begun) }); return true }
		_, err := movies.Refresh(background, Ask{Progress: progress})
		ended <- err
	}()
	<-begun
	go func() {
		for !index.isClosing.Load() {
			movies.LookupKey(path)
		}
		ended <- ErrClosed
	}()
	must(t, index.Close())
	for range [2]int{} {
		assertEqual(t, <-ended, ErrClosed)
	}
	_, err := movies.Match(background, "/x")
	assertEqual(t, []any{err, movies.LookupKey("/x"), index.Close()}, []any{ErrClosed, "", nil})
}

// startSilentServer starts a server that accepts connections and never answers.
func startSilentServer(t *testing.T) (address string, connected chan bool) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	connected = make(chan bool, 64)
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { connection.Close() })
			connected <- true
		}
	}()
	t.Cleanup(func() { listener.Close() })
	return "http://" + listener.Addr().String(), connected
}

func TestAContextEndsACall(t *testing.T) {
	for name, expected := range map[string]error{"cancel": context.Canceled, "deadline": context.DeadlineExceeded} {
		for _, call := range []string{"Match", "MatchPaths", "Refresh", "Call", "Record"} {
			call, expected := call, expected
			if call == "Record" && expected == context.Canceled {
				continue // only a deadline ends it
			}
			t.Run(name+" "+call, func(t *testing.T) {
				t.Parallel()
				address, connected := startSilentServer(t)
				index := openIndex(t, func(options *Options) { options.ServerURL = address })
				movies := openLibrary(t, index, "Movies")
				work := map[string]func(context.Context) error{
					"Match":      func(ctx context.Context) error { _, err := movies.Match(ctx, "/a.mkv"); return err },
					"MatchPaths": func(ctx context.Context) error { _, err := movies.MatchPaths(ctx, []string{"/a"}); return err },
					"Refresh":    func(ctx context.Context) error { _, err := movies.Refresh(ctx); return err },
					"Call":       func(ctx context.Context) error { return index.Call(ctx, "server.check", nil, nil) },
					"Record":     func(ctx context.Context) error { return movies.RecordMatch(ctx, "/a.mkv", "1") },
				}[call]
				ctx, cancel := context.WithCancel(background)
				if expected == context.DeadlineExceeded {
					ctx, cancel = context.WithTimeout(background, 200*time.Millisecond)
				}
				defer cancel()
				ended := make(chan error, 1)
				go func() { ended <- work(ctx) }()
				if expected == context.Canceled {
					<-connected
					cancel()
				}
				begun := time.Now()
				err := <-ended
				if took := time.Since(begun); !errors.Is(err, expected) || took > 1500*time.Millisecond {
					t.Fatal(err, took)
				}
				assertEqual(t, errors.Is(work(ctx), expected), true) // it does not begin
			})
		}
	}
}

func TestTheNearerLimitCounts(t *testing.T) {
	address, _ := startSilentServer(t)
	index := openIndex(t, func(options *Options) {
		options.ServerURL, options.Timeout = address, 50*time.Millisecond
	})
	ctx, cancel := context.WithTimeout(background, time.Minute)
	defer cancel()
	answer, err := openLibrary(t, index, "Movies").Match(ctx, "/a.mkv")
	assertEqual(t, []any{answer.Status, err}, []any{NeedsWarm, nil})
}

func TestAWaitForChangesEnds(t *testing.T) {
	index := openIndex(t)
	_, err := openLibrary(t, index, "Movies").Refresh(background)
	must(t, err)
	var page ChangePage
	must(t, index.Call(background, "changes.list", ListChangesRequest{Library: "Movies"}, &page))
	request := WaitForChangesRequest{Library: "Movies", Cursor: page.Cursor, Offline: true}
	cancelled, cancel := context.WithCancel(background)
	time.AfterFunc(20*time.Millisecond, cancel)
	late, cancel := context.WithTimeout(background, 20*time.Millisecond)
	defer cancel()
	for ctx, expected := range map[context.Context]error{cancelled: context.Canceled, late: context.DeadlineExceeded} {
		assertEqual(t, errors.Is(index.Call(ctx, "changes.wait", request, nil), expected), true)
	}
	time.AfterFunc(20*time.Millisecond, func() { _ = index.Close() })
	assertEqual(t, index.Call(background, "changes.wait", request, nil), ErrClosed)
}

func TestAWrongArgumentIsAnError(t *testing.T) {
	movies := openLibrary(t, openIndex(t), "Movies")
	refuse := func(expected string, err error) {
		t.Helper()
		if !errors.Is(err, InvalidArgument) || !strings.Contains(err.Error(), expected) {
			t.Error(err, expected)
		}
	}
	match := func(path string, ask Ask) error {
		_, err := movies.Match(background, path, ask)
		return err
	}
	refuse("path is empty", match("", Ask{}))
	must(t, match(path, Ask{Timeout: 1<<63 - 1}))
	limited, cancel := context.WithTimeout(background, time.Minute)
	defer cancel()
	for _, ctx := range []context.Context{background, limited} {
		_, err := movies.Match(ctx, path, Ask{Timeout: -7 * time.Millisecond})
		refuse("timeout_ms is -7", err)
	}
	refuse("PLEXINDEX_QUERY_FULL", match(path, Ask{Full: true}))
	refuse("'no key' is not the key of an item", movies.RecordMatch(background, "/x", "no key"))
	refuse("contains a NUL", movies.RecordMatch(background, "a\x00b", key))
	_, err := movies.MatchPaths(background, []string{"a\x00b"})
	refuse("contains a NUL", err)
	_, err = new(Index).Stats()
	assertEqual(t, []any{err, new(Index).Close()}, []any{ErrClosed, nil})
	for expected, options := range map[string]Options{
		"cache_dir":      {},
		"log_level":      {CacheDir: t.TempDir(), LogLevel: 9},
		"library_ttl_ms": {CacheDir: t.TempDir(), LibraryTTL: -5 * time.Millisecond},
		"unclosed":       {CacheDir: t.TempDir(), Mappings: []Mapping{{From: "/a", To: "/b"}, {Pattern: true, From: "("}}},
	} {
		_, err := Open(options)
		refuse(expected, err)
	}
}

// Until Cargo.toml names a repository, the module has an address that nobody can register.
func TestTheModuleIsNamedAfterTheRepository(t *testing.T) {
	module, err := os.ReadFile("go.mod")
	must(t, err)
	manifest, err := os.ReadFile("../../Cargo.toml")
	must(t, err)
	line, _, _ := strings.Cut(string(module), "\n")
	address := "plexindex.invalid"
	if _, repository, isPublic := strings.Cut(string(manifest), "\nrepository = \"https://"); isPublic {
		address, _, _ = strings.Cut(repository, `"`)
	}
	assertEqual(t, line, "module "+address+"/bindings/go")
}

// skipUnlessDeep skips a slow test unless `make check-deep` runs it.
func skipUnlessDeep(t *testing.T) {
	t.Helper()
	if os.Getenv("PLEXINDEX_TEST_DEEP") == "" {
		t.Skip("only `make check-deep` runs this")
	}
}

func build(t *testing.T, folder string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	if output, err := exec.Command("go", "build", "-o", program, folder).CombinedOutput(); err != nil {
		t.Fatal(string(output))
	}
	return program
}

func TestTheExampleFindsAFile(t *testing.T) {
	program := build(t, "./examples/match")
	printed, err := exec.Command(program, os.Getenv("PLEXINDEX_TEST_URL"), token, t.TempDir(), "Movies", path).Output()
	must(t, err)
	assertEqual(t, string(printed), key+": "+title+"\n")
}

func TestTheExampleServiceAnswers(t *testing.T) {
	skipUnlessDeep(t)
	program := build(t, "./examples/service")
	service := exec.Command(program, os.Getenv("PLEXINDEX_TEST_URL"), token, t.TempDir(), "Movies", "127.0.0.1:0")
	stderr, err := service.StderrPipe()
	must(t, err)
	must(t, service.Start())
	t.Cleanup(func() { _ = service.Process.Kill(); _ = service.Wait() })
	line, err := bufio.NewReader(stderr).ReadString('\n')
	must(t, err)
	address := "http://" + strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
	responses := map[string]string{path: `200 {"key":"` + key, "/nowhere/x.mkv": "404 no library has", "": "400 "}
	for path, expected := range responses {
		response, err := http.Get(address + "/?path=" + url.QueryEscape(path))
		must(t, err)
		body, err := io.ReadAll(response.Body)
		must(t, err)
		assertEqual(t, strings.HasPrefix(response.Status[:4]+string(body), expected), true)
	}
}
