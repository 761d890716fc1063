package plexindex

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// What the server has: fields of the lines of a kind.
func told(kind string) (rows [][]string) {
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
	always = context.Background()
	token  = os.Getenv("PLEXINDEX_TEST_TOKEN")
	// The first film.
	key, title, path = told("movie")[0][0], told("movie")[0][1], told("movie")[0][2]
)

// Sixty pages of 20 ms: a fetch that is still under way when its progress is told of.
func slowly(options *Options) {
	options.ServerURL, options.PageSize = os.Getenv("PLEXINDEX_TEST_SLOW_URL"), 25
}

func renewed(renew func(context.Context) (string, error)) func(*Options) {
	return func(options *Options) { options.Token, options.RenewToken = "refused", renew }
}

func opened(t *testing.T, change ...func(*Options)) *Index {
	t.Helper()
	options := Options{CacheDir: t.TempDir(), ServerURL: os.Getenv("PLEXINDEX_TEST_URL"), Token: token, Retry: -1}
	for _, one := range change {
		one(&options)
	}
	index, err := Open(options)
	must(t, err)
	t.Cleanup(func() { must(t, index.Close()) })
	return index
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same(t *testing.T, found, wanted any) {
	t.Helper()
	if !reflect.DeepEqual(found, wanted) {
		t.Fatalf("found %v, wanted %v", found, wanted)
	}
}

func library(t *testing.T, index *Index, name string) *Library {
	t.Helper()
	found, err := index.Library(name)
	must(t, err)
	return found
}

func TestAnswersComeAlikeFromBlocksAndFromMethods(t *testing.T) {
	index := opened(t)
	movies := library(t, index, "Movies")
	same(t, movies.LookupKey(path), "")
	answer, err := movies.Match(always, path)
	must(t, err)
	same(t, []any{answer.Status, answer.MatchKind, answer.Confidence, answer.Reason}, []any{OK, MatchExact, ConfidenceHigh, Reason("")})
	same(t, []any{answer.Item.Key, answer.Item.Title, answer.Item.Path}, []any{key, title, ByteString(path)})
	found, err := movies.SearchTitle(always, title)
	must(t, err)
	same(t, *found.Item, *answer.Item)
	item, err := movies.Item(key)
	must(t, err)
	same(t, []any{item.Title, item.Paths[0], item.Season == nil}, []any{title, path, true})
	_, err = movies.Item("999999")
	same(t, errors.Is(err, NotFound), true)
	text, err := json.Marshal(answer)
	must(t, err)
	same(t, strings.Contains(string(text), `"match_kind":"exact"`) && strings.Contains(string(text), `"status":"found"`), true)

	paths, keys := []string{}, []string{}
	for _, movie := range told("movie") {
		paths, keys = append(paths, movie[2]), append(keys, movie[0])
	}
	paths, keys = append(paths, "/nowhere/x.mkv", "a\x00b"), append(keys, "", "")
	answers, err := movies.MatchPaths(always, paths)
	must(t, err)
	for at, wanted := range keys[:len(keys)-2] {
		same(t, answers[at].Item.Key, wanted)
	}
	none, refused := answers[len(keys)-2], answers[len(keys)-1]
	same(t, []any{none.Status, none.Item == nil, none.AgeMs != nil}, []any{NotFound, true, true})
	same(t, []any{refused.Status, strings.Contains(refused.Message, "cannot hold a NUL")}, []any{InvalidArgument, true})
	read, err := movies.LookupKeys(paths)
	must(t, err)
	same(t, read, keys)
	same(t, []string{movies.LookupKey(path), movies.LookupKey(strings.Repeat("x", 5000)), movies.LookupKey("a\x00b")}, []string{key, "", ""})
	several, err := movies.Match(always, "/else/"+told("repeated")[0][0])
	must(t, err)
	same(t, []any{several.Status, several.Item == nil, len(several.Candidates)}, []any{Ambiguous, true, len(told("repeated"))})
}

func TestMethodsAreCalledByNameAndTheirPagesReadToTheEnd(t *testing.T) {
	index := opened(t)
	shows, show := library(t, index, "TV Shows"), told("show")
	folder, err := shows.Folder(always, show[0][0])
	must(t, err)
	same(t, []any{folder.Status, folder.Kind, folder.Item.Title}, []any{OK, ItemShow, show[0][1]})
	below := map[ByteString]bool{}
	must(t, shows.ItemsBelow(show[0][0], func(item Item) bool { below[item.Path] = true; return true }))
	for _, row := range show {
		same(t, below[ByteString(row[2])], true)
	}
	count := 0
	must(t, shows.Items(func(Item) bool { count++; return count < 1050 }))
	same(t, count > 100, true)
	var page FilesPage
	must(t, index.Call(always, "items.below", ItemsBelowRequest{Library: "TV Shows", Path: ByteString(show[0][0]), Limit: 1}, &page))
	same(t, []any{below[page.Items[0].Path], page.Cursor != ""}, []any{true, true})
	bytes := ByteString("/\xff")
	var host HostPath
	must(t, index.Call(always, "mappings.to_host", MapToHostRequest{bytes}, &host))
	same(t, host.Path, bytes)
	relations, err := ComparePaths("/a/b/c.mkv", []string{"/A/b/c.mkv", string(bytes)})
	must(t, err)
	same(t, relations, []PathRelation{{3, true, false}, {0, false, false}})
	store, err := index.Store()
	must(t, err)
	libraries, err := index.Libraries(always)
	must(t, err)
	same(t, []any{store.DiskBytes > 0, len(libraries), libraries[0].Kind}, []any{true, 2, LibraryMovie})
	err = index.Call(always, "items.get", map[string]any{"path": path}, nil)
	same(t, []any{errors.Is(err, InvalidArgument), strings.Contains(err.Error(), "unknown field `path`")}, []any{true, true})
	same(t, errors.Is(index.Call(always, "no such", nil, nil), InvalidArgument), true)
}

func TestWhatChangesTheStoreIsCalledWithItsArguments(t *testing.T) {
	index := opened(t)
	movies := library(t, index, "Movies")
	must(t, movies.RecordMatch(always, "/own/name.mkv", key))
	answer, err := movies.Match(always, "/own/name.mkv")
	same(t, []any{answer.MatchKind, err}, []any{MatchConfirmed, nil})
	must(t, movies.InvalidatePath("/own/name.mkv"))
	_, err = movies.Refresh(always, Ask{Check: true})
	must(t, err)
	stats, err := index.Stats()
	must(t, err)
	same(t, []any{stats.Answers[MatchConfirmed], stats.Requests["page"] > 0, stats.InCalls > 0}, []any{uint64(1), true, true})
	must(t, movies.InvalidateItem(key))
	must(t, index.InvalidateAll())
	must(t, index.SetToken("refused"))
	_, err = movies.Refresh(always)
	same(t, errors.Is(err, Unauthorized), true)
	must(t, index.SetToken(token))
	must(t, index.WatchStart())
	must(t, index.WatchStop())
	same(t, errors.Is(index.Notify("no event"), InvalidArgument), true)
	report, err := movies.EditItems(always, []string{key, "999999"}, []EditChange{Set("title", "A")}, LockChangeLock)
	same(t, []any{errors.Is(err, NotOnServer), report.States}, []any{true, []Edited{EditedNo, EditedMissing}})
	report, err = movies.EditItems(always, []string{told("movie")[9][0]}, []EditChange{Set("summary", "")}, LockChangeLeave)
	same(t, []any{report.States, err}, []any{[]Edited{EditedDone}, nil})
	now, err := movies.Changes("", 0)
	must(t, err)
	came, err := movies.WaitForChanges(always, now.Cursor, Ask{Deadline: time.Millisecond, Offline: true})
	same(t, []any{len(now.Changes), came, err}, []any{0, false, nil})
	page, err := movies.Changes("", 7, Ask{Full: true})
	must(t, err)
	same(t, []any{page.Changes[0].Change, page.Changes[0].Item.Title != "", page.More}, []any{ChangeAdded, true, true})

	table, err := index.Table("notes", true)
	must(t, err)
	must(t, table.Put("One", []byte("first"), TTLNever, DefaultTableLimit))
	must(t, table.Put("", []byte{0, 255}, 0, DefaultTableLimit))
	value, there, err := table.Get("ONE")
	same(t, []any{string(value), there, err, table.Lookup("one")}, []any{"first", true, nil, "first"})
	names := []string{}
	must(t, table.Names(func(name string) bool { names = append(names, name); return true }))
	count, err := table.Count()
	same(t, []any{names, count, err}, []any{[]string{"", "one"}, uint64(2), nil})
	must(t, table.Remove("one"))
	must(t, table.Clear())
	_, there, err = table.Get("")
	same(t, []any{there, err}, []any{false, nil})
	must(t, index.Clear())
}

func TestAHundredFailingCallsEachHaveTheirOwnText(t *testing.T) {
	index := opened(t)
	failures := make([]error, 100)
	var group sync.WaitGroup
	for number := range failures {
		group.Add(1)
		go func(number int) {
			defer group.Done()
			unknown, err := index.Library(fmt.Sprintf("None %d", number))
			if err == nil && number%2 == 0 {
				_, err = unknown.Match(always, "/x.mkv")
			} else if err == nil {
				_, err = unknown.SearchTitle(always, "x")
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

func TestCloseWaitsForCallsInFlight(t *testing.T) {
	index := opened(t, slowly)
	movies, other := library(t, index, "Movies"), *index
	begun, ended := make(chan struct{}), make(chan error, 2)
	var once sync.Once
	go func() {
		_, err := movies.Refresh(always, Ask{Progress: func(Progress) bool { once.Do(func() { close(begun) }); return true }})
		ended <- err
	}()
	<-begun
	go func() {
		for !index.closing() {
			movies.LookupKey(path)
		}
		ended <- ErrClosed
	}()
	must(t, index.Close())
	for range [2]int{} {
		select {
		case err := <-ended:
			same(t, err, ErrClosed)
		case <-time.After(20 * time.Second):
			t.Fatal("the call did not end")
		}
	}
	_, err := movies.Match(always, "/x")
	same(t, []any{err, movies.LookupKey("/x"), index.Close(), other.Close()}, []any{ErrClosed, "", nil, nil})
}

func TestAnIndexThatIsNotClosedIsCollected(t *testing.T) {
	folder := t.TempDir()
	held := func() (count int) {
		entries, _ := os.ReadDir("/proc/self/fd")
		for _, entry := range entries {
			if target, err := os.Readlink("/proc/self/fd/" + entry.Name()); err == nil && strings.HasPrefix(target, folder) {
				count++
			}
		}
		return count
	}
	func() {
		index, err := Open(Options{CacheDir: folder, RenewToken: func(context.Context) (string, error) { return "", nil }})
		must(t, err)
		_, err = index.Store()
		must(t, err)
	}()
	same(t, held() > 0, true)
	for tries := 0; held() > 0 && tries < 500; tries++ {
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
	same(t, held(), 0)
}

// What is wrong is an error of this package, in its words, and no crash.
func TestWhatIsWrongIsRefused(t *testing.T) {
	movies := library(t, opened(t), "Movies")
	var missing context.Context
	var index Index
	refuse := func(wanted string, err error) {
		t.Helper()
		if !errors.Is(err, InvalidArgument) || !strings.Contains(err.Error(), wanted) {
			t.Error(err, wanted)
		}
	}
	match := func(ctx context.Context, path string, ask ...Ask) error {
		_, err := movies.Match(ctx, path, ask...)
		return err
	}
	refuse("context is nil", match(missing, path))
	refuse("one Ask", match(always, path, Ask{}, Ask{}))
	refuse("path is empty", match(always, ""))
	must(t, match(always, path, Ask{Deadline: 1<<63 - 1}))
	refuse("deadline in ms is -7: give milliseconds, 0 for the options' default, or NoDeadline", match(always, path, Ask{Deadline: -7 * time.Millisecond}))
	refuse("Ask.Deadline is 7ns: give a millisecond or more", match(always, path, Ask{Deadline: 7}))
	refuse("the call has Ask.Full", match(always, path, Ask{Full: true}))
	_, err := movies.SearchTitle(always, "A", Ask{AtOnce: true})
	refuse("unknown field `at_once`", err)
	refuse("'no key' is not the key of an item", movies.RecordMatch(always, "/x", "no key"))
	refuse("cannot hold a NUL", movies.RecordMatch(always, "a\x00b", key))
	_, err = index.Stats()
	refuse("not opened", err)
	same(t, []any{index.Close(), (*Index)(nil).Close(), (*Library)(nil).LookupKey(path)}, []any{nil, nil, ""})
	_, err = (*Library)(nil).Match(always, path)
	refuse("not opened", err)
	_, err = (*Library)(nil).Item(key)
	refuse("not opened", err)
	_, err = (*Table)(nil).Count()
	refuse("not opened", err)
	refuse("not opened", new(Table).Remove("x"))
	for wanted, options := range map[string]Options{
		"cache_dir":                 {},
		"one of LogOff, LogError":   {CacheDir: t.TempDir(), LogLevel: 9},
		"TTLAtOnce or TTLNever":     {CacheDir: t.TempDir(), LibraryTTL: -5 * time.Millisecond},
		"Options.Deadline is 500ns": {CacheDir: t.TempDir(), Deadline: 500},
		"unclosed":                  {CacheDir: t.TempDir(), Mappings: []Mapping{{From: "/a", To: "/b"}, {Pattern: true, From: "("}}},
	} {
		_, err := Open(options)
		refuse(wanted, err)
	}
}

// The address of the repository is written in Cargo.toml when there is one.
func TestTheModuleHasAnAddressThatGoGetAccepts(t *testing.T) {
	module, err := os.ReadFile("go.mod")
	must(t, err)
	manifest, err := os.ReadFile("../../Cargo.toml")
	must(t, err)
	line, _, _ := strings.Cut(string(module), "\n")
	address := strings.TrimSuffix(strings.TrimPrefix(line, "module "), "/bindings/go")
	same(t, []any{line, strings.Contains(address, ".")}, []any{"module " + address + "/bindings/go", true})
	if strings.Contains(string(manifest), "\nrepository = ") {
		same(t, strings.Contains(string(manifest), `repository = "https://`+address+`"`), true)
	}
}

func TestABuildWithoutCgoNamesIt(t *testing.T) {
	made := exec.Command("go", "build", "-o", os.DevNull, "./examples/match")
	made.Env = append(os.Environ(), "CGO_ENABLED=0")
	said, err := made.CombinedOutput()
	same(t, []any{err != nil, strings.Contains(string(said), "needs_cgo__set_CGO_ENABLED_1")}, []any{true, true})
}

// What takes long, or is of packages, is for `make check-deep`.
func deep(t *testing.T) {
	t.Helper()
	if os.Getenv("PLEXINDEX_TEST_DEEP") == "" {
		t.Skip("for make check-deep")
	}
}

func built(t *testing.T, folder string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	if said, err := exec.Command("go", "build", "-o", program, folder).CombinedOutput(); err != nil {
		t.Fatal(string(said))
	}
	return program
}

func TestAClosingChildWaitsForNoThreadOfItsParent(t *testing.T) {
	deep(t)
	said, err := exec.Command(built(t, "./test/fork"), os.Getenv("PLEXINDEX_TEST_SLOW_URL"), token, t.TempDir()).CombinedOutput()
	same(t, []any{string(said), err}, []any{"", nil})
}

func TestTheExampleFindsAFile(t *testing.T) {
	program := built(t, "./examples/match")
	printed, err := exec.Command(program, os.Getenv("PLEXINDEX_TEST_URL"), token, t.TempDir(), "Movies", path).Output()
	must(t, err)
	same(t, string(printed), key+": "+title+"\n")
}
