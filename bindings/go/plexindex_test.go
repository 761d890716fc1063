package plexindex

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"
)

type movie struct{ Key, Title, Path string }

// What the server has.
var told struct {
	Movies   []movie
	Repeated struct {
		Name  string
		Paths []string
	}
	Show struct {
		Folder, Title string
		Paths         []string
	}
}

var always = context.Background()

func TestMain(m *testing.M) {
	raw, err := os.ReadFile(os.Getenv("PLEXINDEX_TEST_FACTS"))
	if err != nil {
		fmt.Println("run `make test-languages`:", err)
		os.Exit(1)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(raw)), "\n") {
		switch row := strings.Split(line, "\t"); row[0] {
		case "movie":
			told.Movies = append(told.Movies, movie{row[1], row[2], row[3]})
		case "repeated":
			told.Repeated.Name, told.Repeated.Paths = row[1], append(told.Repeated.Paths, row[2])
		case "show":
			told.Show.Folder, told.Show.Title, told.Show.Paths = row[1], row[2], append(told.Show.Paths, row[3])
		}
	}
	os.Exit(m.Run())
}

// Sixty pages of 20 ms: a fetch that is still under way when its progress is told of.
func slowly(options *Options) {
	options.ServerURL, options.PageSize = os.Getenv("PLEXINDEX_TEST_SLOW_URL"), 25
}

func opened(t *testing.T, change ...func(*Options)) *Index {
	t.Helper()
	options := Options{
		CacheDir:  t.TempDir(),
		ServerURL: os.Getenv("PLEXINDEX_TEST_URL"),
		Token:     os.Getenv("PLEXINDEX_TEST_TOKEN"),
		Retry:     -1,
	}
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

func TestOnePathManyPathsAndCandidates(t *testing.T) {
	movies := library(t, opened(t), "Movies")
	wanted := told.Movies[0]
	same(t, movies.LookupKey(wanted.Path), "")
	answer, err := movies.Match(always, wanted.Path)
	must(t, err)
	same(t, []any{answer.Status, answer.MatchKind, answer.Confidence, answer.Stale}, []any{OK, MatchExact, ConfidenceHigh, false})
	same(t, []any{answer.Item.Key, answer.Item.Title, string(answer.Item.Path), answer.Item.Kind}, []any{wanted.Key, wanted.Title, wanted.Path, ItemMovie})
	paths, keys := []string{}, []string{}
	for _, movie := range told.Movies {
		paths, keys = append(paths, movie.Path), append(keys, movie.Key)
	}
	paths, keys = append(paths, "/nowhere/x.mkv"), append(keys, "")
	answers, err := movies.MatchPaths(always, paths)
	must(t, err)
	for at, answer := range answers[:len(answers)-1] {
		same(t, answer.Item.Key, keys[at])
	}
	last := answers[len(answers)-1]
	if last.Status != NotFound || last.Item != nil || !strings.Contains(last.Message, "no library has a folder above") {
		t.Fatalf("%+v", last)
	}
	found, err := movies.LookupKeys(paths)
	must(t, err)
	same(t, found, keys)
	same(t, movies.LookupKey(paths[1]), keys[1])
	same(t, movies.LookupKey(strings.Repeat("x", 5000)), "")
	same(t, movies.LookupKey("a\x00b"), "")

	several, err := movies.Match(always, "/somewhere/else/"+told.Repeated.Name)
	must(t, err)
	same(t, []any{several.Status, several.Item == nil, int(several.Total)}, []any{Ambiguous, true, len(told.Repeated.Paths)})
	candidates := []string{}
	for _, item := range several.Candidates {
		candidates = append(candidates, string(item.Path))
	}
	sort.Strings(candidates)
	sort.Strings(told.Repeated.Paths)
	same(t, candidates, told.Repeated.Paths)
}

func TestFoldersAndTheItemsBelow(t *testing.T) {
	shows := library(t, opened(t), "TV Shows")
	folder, err := shows.Folder(always, told.Show.Folder)
	must(t, err)
	same(t, []any{folder.Status, folder.Kind, folder.Item.Title, int(folder.Items)}, []any{OK, ItemShow, told.Show.Title, len(told.Show.Paths)})
	below := map[string]bool{}
	must(t, shows.ItemsBelow(told.Show.Folder, func(item Item) bool { below[string(item.Path)] = true; return true }))
	same(t, len(below), int(folder.Files))
	for _, path := range told.Show.Paths {
		same(t, below[path], true)
	}
	count := 0
	must(t, shows.Items(func(item Item) bool { count++; return item.Kind == ItemEpisode && count < 50 }))
	same(t, count, 50)
}

func TestAnErrorIsTyped(t *testing.T) {
	index := opened(t)
	_, err := library(t, index, "Movies").Match(always, "")
	var typed *Error
	if !errors.As(err, &typed) || typed.Status != InvalidArgument || !errors.Is(err, InvalidArgument) || errors.Is(err, Timeout) {
		t.Fatal(err)
	}
	if _, err := Open(Options{}); !errors.Is(err, InvalidArgument) || !strings.Contains(err.Error(), "cache_dir") {
		t.Fatal(err)
	}
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
			if err == nil {
				_, err = unknown.Match(always, "/x.mkv")
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
	func() {
		defer func() { same(t, recover(), "mine") }()
		_, _ = movies.Refresh(always, Ask{Full: true, Progress: func(Progress) bool { panic("mine") }})
		t.Fatal("the panic is lost")
	}()
	done, err := movies.Refresh(always)
	same(t, []any{done, err}, []any{true, nil})
}

func TestATokenIsRenewedAndTheCallMadeAgain(t *testing.T) {
	asked := 0
	answers := []func() string{
		func() string { return "" },
		func() string { panic("mine") },
		func() string { return strings.Repeat("x", 1<<20) },
		func() string { return os.Getenv("PLEXINDEX_TEST_TOKEN") },
	}
	renewing := func(options *Options) {
		options.Token = "refused"
		options.RenewToken = func(context.Context) (string, error) {
			asked++
			runtime.GC()
			return answers[asked-1](), nil
		}
	}
	for _, wanted := range []ending{{}, {panicked: "mine"}, {}} {
		all, err := opened(t, renewing).Library("")
		must(t, err)
		end := apart(func() { _, err = all.Refresh(always) })
		same(t, end, wanted)
		same(t, errors.Is(err, Unauthorized), !wanted.early())
	}
	movies, err := opened(t, renewing).Library("Movies")
	must(t, err)
	var group sync.WaitGroup
	for at := 0; at < 8; at++ {
		group.Add(1)
		go func() {
			defer group.Done()
			answer, err := movies.Match(always, told.Movies[0].Path)
			if err != nil || answer.Item == nil || answer.Item.Key != told.Movies[0].Key {
				t.Error(answer, err)
			}
		}()
	}
	group.Wait()
	same(t, asked, 4)
}

// A quick fetch tells of its progress once, when all is fetched.
func TestTheLastWordOfAProgressFunctionCounts(t *testing.T) {
	movies := library(t, opened(t), "Movies")
	for times := 0; times < 20; times++ {
		func() {
			defer func() { same(t, recover(), "mine") }()
			_, _ = movies.Refresh(always, Ask{Full: true, Progress: func(Progress) bool { panic("mine") }})
			t.Fatal("the panic is lost")
		}()
	}
	_, err := movies.Refresh(always, Ask{Full: true, Progress: func(Progress) bool { return false }})
	same(t, errors.Is(err, Aborted), true)
	found, err := movies.Match(always, told.Movies[0].Path, Ask{Offline: true})
	must(t, err)
	same(t, found.Item.Key, told.Movies[0].Key)
}

func TestCloseWaitsForCallsInFlight(t *testing.T) {
	index := opened(t, slowly)
	movies := library(t, index, "Movies")
	begun, ended := make(chan struct{}), make(chan error, 1)
	var once sync.Once
	go func() {
		_, err := movies.Refresh(always, Ask{Progress: func(Progress) bool { once.Do(func() { close(begun) }); return true }})
		ended <- err
	}()
	<-begun
	var lookups sync.WaitGroup
	for range [8]int{} {
		lookups.Add(1)
		go func() {
			defer lookups.Done()
			for !index.closing() {
				movies.LookupKey(told.Movies[0].Path)
			}
		}()
	}
	must(t, index.Close())
	select {
	case err := <-ended:
		same(t, err, ErrClosed)
	case <-time.After(20 * time.Second):
		t.Fatal("the call did not end")
	}
	lookups.Wait()
	_, err := movies.Match(always, "/x")
	same(t, err, ErrClosed)
	same(t, movies.LookupKey("/x"), "")
	must(t, index.Close())
}

func TestStatisticsAndWhatIsRecorded(t *testing.T) {
	index := opened(t)
	movies := library(t, index, "Movies")
	must(t, movies.RecordMatch(always, "/own/name.mkv", told.Movies[3].Key))
	answer, err := movies.Match(always, "/own/name.mkv")
	must(t, err)
	same(t, answer.MatchKind, MatchConfirmed)
	must(t, movies.InvalidatePath("/own/name.mkv"))
	answer, err = movies.Match(always, "/own/name.mkv")
	must(t, err)
	same(t, answer.Status, NotFound)
	stats, err := index.Stats()
	must(t, err)
	if stats.Answers[MatchConfirmed] != 1 || stats.Requests["page"] < 1 || stats.Items < 1500 || stats.InCalls <= 0 {
		t.Fatalf("%+v", stats)
	}
	for probes, ask := range []Ask{{}, {Check: true}} {
		before := stats.Requests["probe"]
		_, err = movies.Refresh(always, ask)
		must(t, err)
		stats, err = index.Stats()
		must(t, err)
		same(t, stats.Requests["probe"], before+uint64(probes))
	}
	libraries, err := index.Libraries(always)
	must(t, err)
	same(t, []any{len(libraries), libraries[0].Title, libraries[0].Kind, libraries[0].AgeMs != nil, libraries[1].AgeMs == nil}, []any{2, "Movies", LibraryMovie, true, true})
	server, err := index.Server(always)
	must(t, err)
	same(t, []any{server.MachineIdentifier != "", int(server.Libraries), server.AnsweredUs > 0}, []any{true, 2, true})
	store, err := index.Store()
	must(t, err)
	same(t, []any{store.Folder != "", store.Locks, store.DiskBytes > 0}, []any{true, true, true})
	item, err := movies.Item(told.Movies[3].Key)
	must(t, err)
	same(t, []any{item.Kind, item.Title, item.Season == nil, item.Paths[0]}, []any{ItemMovie, told.Movies[3].Title, true, told.Movies[3].Path})
	_, err = movies.Item("999999")
	same(t, errors.Is(err, NotFound), true)
	_, err = index.Proposals("/elsewhere/x.mkv")
	must(t, err)
	found, err := movies.SearchTitle(always, told.Movies[3].Title)
	must(t, err)
	same(t, len(found.Candidates) >= 1, true)
	answer, err = movies.MatchGUID(always, "imdb://tt0000000")
	same(t, []any{answer.Status, err}, []any{NotFound, nil})
	must(t, movies.InvalidateItem(told.Movies[4].Key))
	must(t, movies.Invalidate())
	must(t, index.SetToken("refused"))
	all, err := index.Library("")
	must(t, err)
	_, err = all.Refresh(always)
	same(t, errors.Is(err, Unauthorized), true)
	must(t, index.SetToken(os.Getenv("PLEXINDEX_TEST_TOKEN")))
	must(t, index.InvalidateAll())
	must(t, index.WatchStart())
	must(t, index.WatchStop())
	same(t, errors.Is(index.Notify("no event"), InvalidArgument), true)
	relations, err := ComparePaths("/a/b/c.mkv", []string{"/A/b/c.mkv", "/a"})
	must(t, err)
	same(t, relations, []PathRelation{{3, true, false}, {0, false, true}})
	must(t, DrainLog(func(int, string) {}))
	same(t, Version() != "", true)
	must(t, index.Clear())
}

func TestTheFeedOfChanges(t *testing.T) {
	index := opened(t)
	movies := library(t, index, "Movies")
	_, err := movies.Refresh(always)
	must(t, err)
	now, err := movies.Changes("", 100)
	must(t, err)
	same(t, []any{len(now.Changes), now.More}, []any{0, false})
	came, err := movies.WaitForChanges(always, now.Cursor, Ask{Deadline: time.Millisecond, Offline: true})
	same(t, []any{came, err}, []any{false, nil})
	all := map[string]bool{}
	for page, asked := (ChangePage{More: true}), (Ask{Full: true}); page.More; asked = (Ask{}) {
		page, err = movies.Changes(page.Cursor, 700, asked)
		must(t, err)
		for _, change := range page.Changes {
			same(t, []any{change.Change, change.Item.Paths != nil}, []any{ChangeAdded, true})
			all[change.Path] = true
		}
	}
	same(t, len(all) >= 1490 && all[told.Movies[0].Path], true)
	_, err = movies.Changes("no cursor", 1)
	same(t, errors.Is(err, InvalidArgument), true)
	ended := make(chan error, 1)
	go func() {
		_, err := movies.WaitForChanges(always, now.Cursor, Ask{Offline: true})
		ended <- err
	}()
	for index.flying.Load() == 0 {
		runtime.Gosched()
	}
	must(t, index.Close())
	same(t, <-ended, ErrClosed)
}

func TestAnEdit(t *testing.T) {
	movies := library(t, opened(t), "Movies")
	report, err := movies.EditItems(always, []string{told.Movies[0].Key, "999999"}, []EditChange{Set("title", "A")}, LockChangeLock)
	same(t, []any{errors.Is(err, NotOnServer), report.States}, []any{true, []Edited{EditedNo, EditedMissing}})
	report, err = movies.EditItems(always, []string{told.Movies[9].Key}, []EditChange{Set("summary", "A")}, LockChangeLeave)
	must(t, err)
	same(t, []any{int(report.Done), report.States}, []any{1, []Edited{EditedDone}})
}

func TestTables(t *testing.T) {
	index := opened(t)
	table, err := index.Table("notes", true)
	must(t, err)
	must(t, table.Put("One", []byte("first"), TTLNever, DefaultTableLimit))
	must(t, table.Put("", []byte{0, 255}, 0, DefaultTableLimit))
	value, there, err := table.Get("ONE")
	must(t, err)
	same(t, []any{string(value), there, table.Lookup("one")}, []any{"first", true, "first"})
	_, there, err = table.Get("two")
	same(t, []any{there, err}, []any{false, nil})
	names := []string{}
	must(t, table.Names(func(name string) bool { names = append(names, name); return true }))
	same(t, names, []string{"", "one"})
	count, err := table.Count()
	same(t, []any{count, err}, []any{uint64(2), nil})
	must(t, table.Remove("one"))
	must(t, table.Clear())
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
		index, err := Open(Options{CacheDir: folder, ServerURL: os.Getenv("PLEXINDEX_TEST_URL"), Token: os.Getenv("PLEXINDEX_TEST_TOKEN")})
		must(t, err)
		_, err = library(t, index, "Movies").Match(always, told.Movies[0].Path)
		must(t, err)
	}()
	same(t, held() > 0, true)
	for tries := 0; held() > 0 && tries < 500; tries++ {
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
	same(t, held(), 0)
}

func TestPlexsOwnDatabaseIsNamedByAnOption(t *testing.T) {
	index, err := Open(Options{CacheDir: t.TempDir(), Database: "/nowhere/plex.db"})
	must(t, err)
	defer index.Close()
	_, err = library(t, index, "Movies").Match(always, "/data/a.mkv")
	same(t, err != nil && strings.Contains(err.Error(), "/nowhere/plex.db"), true)
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
	url, token := os.Getenv("PLEXINDEX_TEST_SLOW_URL"), os.Getenv("PLEXINDEX_TEST_TOKEN")
	said, err := exec.Command(built(t, "./test/fork"), url, token, t.TempDir()).CombinedOutput()
	same(t, []any{string(said), err}, []any{"", nil})
}

func TestTheExampleFindsAFile(t *testing.T) {
	program := built(t, "./examples/match")
	url, token := os.Getenv("PLEXINDEX_TEST_URL"), os.Getenv("PLEXINDEX_TEST_TOKEN")
	printed, err := exec.Command(program, url, token, t.TempDir(), "Movies", told.Movies[0].Path).Output()
	must(t, err)
	same(t, string(printed), told.Movies[0].Key+": "+told.Movies[0].Title+"\n")
}
