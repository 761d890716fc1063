package plexindex

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestWhatIsWrongIsRefusedAndNotACrash(t *testing.T) {
	movies := library(t, opened(t), "Movies")
	path := told.Movies[0].Path
	var missing context.Context
	_, err := movies.Match(missing, path)
	same(t, []any{errors.Is(err, InvalidArgument), strings.Contains(err.Error(), "context is nil")}, []any{true, true})
	answer, err := movies.Match(always, path, Ask{}, Ask{Offline: true})
	same(t, []any{errors.Is(err, InvalidArgument), answer.Status, answer.Age < 0}, []any{true, InvalidArgument, true})
	var index Index
	_, err = index.Stats()
	same(t, []any{errors.Is(err, InvalidArgument), index.Close()}, []any{true, nil})
	_, err = index.Library("")
	same(t, errors.Is(err, InvalidArgument), true)
	var none Library
	_, err = none.Match(always, path)
	same(t, []any{errors.Is(err, InvalidArgument), none.LookupKey(path)}, []any{true, ""})
	_, err = new(Table).Count()
	same(t, errors.Is(err, InvalidArgument), true)
	same(t, (*Index)(nil).Close(), nil)
	_, err = movies.Changes("", -1)
	same(t, err.Error(), "limit is -1: give 1 to 10000")
	same(t, strings.Contains(movies.RecordMatch(always, "/x", "no key").Error(), "'no key' is not the key of an item"), true)
}

// As of a caller who does not look at the error of Index.Library.
func TestALibraryOrTableThatIsNilIsAnError(t *testing.T) {
	for _, one := range []any{(*Library)(nil), (*Table)(nil)} {
		value := reflect.ValueOf(one)
		for at := 0; at < value.NumMethod(); at++ {
			kind := value.Type().Method(at)
			given := []reflect.Value{}
			for place := 1; place < kind.Type.NumIn()-map[bool]int{true: 1}[kind.Type.IsVariadic()]; place++ {
				wanted := kind.Type.In(place)
				switch wanted.Kind() {
				case reflect.Interface:
					given = append(given, reflect.ValueOf(always))
				case reflect.String:
					given = append(given, reflect.ValueOf("/a"))
				case reflect.Slice:
					made := reflect.MakeSlice(wanted, 1, 1)
					given = append(given, made)
				case reflect.Int:
					given = append(given, reflect.ValueOf(1))
				default:
					given = append(given, reflect.Zero(wanted))
				}
			}
			results := value.Method(at).Call(given)
			last := results[len(results)-1].Interface()
			if err, is := last.(error); is && !errors.Is(err, InvalidArgument) || !is && last != "" {
				t.Error(kind.Name, last)
			}
		}
	}
}

// What C refuses has no names of C.
func TestErrorsSpeakGo(t *testing.T) {
	movies := library(t, opened(t), "Movies")
	for wanted, ask := range map[string]Ask{
		"Ask.Deadline in ms is -7: give milliseconds, 0 for the options' default, or NoDeadline":                           {Deadline: -7 * time.Millisecond},
		"Ask.Deadline is 7ns: give a millisecond or more, such as 500*time.Millisecond":                                    {Deadline: 7},
		"the call has Ask.Full, which this function does not know: call Refresh with it first":                             {Full: true},
		"the call has Ask.Check, which this function does not know: call Refresh with it first":                            {Check: true},
		"the call has Ask.AtOnce, which this function does not know: Match, MatchPaths and Folder do; or give Ask.Offline": {AtOnce: true},
	} {
		_, err := movies.SearchTitle(always, "A", ask)
		same(t, err.Error(), wanted)
	}
	for wanted, change := range map[string]func(*Options){
		"log_level is 9: give one of LogOff, LogError, LogWarn, LogInfo, LogDebug":            func(options *Options) { options.LogLevel = 9 },
		"library_ttl_ms is -5: give milliseconds, 0 for one hour, TTLAtOnce or TTLNever":      func(options *Options) { options.LibraryTTL = -5 * time.Millisecond },
		"Options.Deadline is 500ns: give a millisecond or more, such as 500*time.Millisecond": func(options *Options) { options.Deadline = 500 },
		"Options.Deadline in ms is -5: give milliseconds, or NoDeadline":                      func(options *Options) { options.Deadline = -5 * time.Millisecond },
	} {
		options := Options{CacheDir: t.TempDir()}
		change(&options)
		_, err := Open(options)
		same(t, err.Error(), wanted)
	}
}

func TestTheLongestDurationIsTaken(t *testing.T) {
	index := opened(t, func(options *Options) { options.Deadline = math.MaxInt64 })
	_, err := library(t, index, "Movies").Match(always, told.Movies[0].Path, Ask{Deadline: math.MaxInt64})
	must(t, err)
}

func TestATextThatIsNoTokenIsNamed(t *testing.T) {
	for wanted, token := range map[string]string{
		"1048576 bytes": strings.Repeat("t", 1<<20), "a line break": "token\n", "a NUL": "to\x00ken", "not UTF-8": "\xff",
	} {
		index := opened(t, func(options *Options) {
			options.Token, options.RenewToken = "refused", func(context.Context) (string, error) { return token, nil }
		})
		_, err := index.Libraries(always)
		same(t, []any{errors.Is(err, Unauthorized), strings.Contains(err.Error(), wanted)}, []any{true, true})
	}
}

func TestAPathWithANULIsItsOwnError(t *testing.T) {
	movies := library(t, opened(t), "Movies")
	path, key := told.Movies[0].Path, told.Movies[0].Key
	answers, err := movies.MatchPaths(always, []string{path, "a\x00b", path})
	must(t, err)
	same(t, []any{answers[0].Status, answers[1].Status, answers[2].Status}, []any{OK, InvalidArgument, OK})
	same(t, strings.Contains(answers[1].Message, "cannot hold a NUL"), true)
	_, err = movies.Match(always, "a\x00b")
	same(t, errors.Is(err, InvalidArgument), true)
	keys, err := movies.LookupKeys([]string{path, "a\x00b"})
	must(t, err)
	same(t, keys, []string{key, ""})
}

func TestAnAnswerAsJSONHasWords(t *testing.T) {
	index := opened(t, func(options *Options) { options.LogLevel = LogWarn })
	answer, err := library(t, index, "Movies").Match(always, told.Movies[0].Path)
	must(t, err)
	text, err := json.Marshal(answer)
	must(t, err)
	for _, one := range []string{`"status":"ok"`, `"match_kind":"exact"`, `"confidence":"high"`, `"reason":"none"`, `"rating_key":"`, `"kind":"movie"`} {
		if !strings.Contains(string(text), one) {
			t.Fatal(one, " is not in ", string(text))
		}
	}
}

// All that a call gives is written with names in small letters, without what is not known, and read again as it was.
func TestJSONHasOneScheme(t *testing.T) {
	index := opened(t)
	movies := library(t, index, "Movies")
	written := map[string]string{}
	again := func(found any, err error) {
		t.Helper()
		must(t, err)
		text, err := json.Marshal(found)
		must(t, err)
		read := reflect.New(reflect.TypeOf(found))
		must(t, json.Unmarshal(text, read.Interface()))
		same(t, read.Elem().Interface(), found)
		if names := regexp.MustCompile(`"\w*[A-Z]\w*":|:-|:""|"[a-z]+_u?s"`).FindString(string(text)); names != "" {
			t.Errorf("%s is in %s", names, text)
		}
		written[reflect.TypeOf(found).Name()] = string(text)
	}
	answer, err := movies.Match(always, told.Movies[0].Path)
	again(answer, err)
	none, err := movies.Match(always, "/nowhere/x.mkv")
	must(t, err)
	none.Age = -time.Millisecond
	again(none, nil)
	item, err := movies.Item(told.Movies[0].Key)
	again(item, err)
	libraries, err := index.Libraries(always)
	must(t, err)
	for _, one := range libraries { // one was never fetched
		again(one, nil)
	}
	server, err := index.Server(always)
	again(server, err)
	store, err := index.Store()
	again(store, err)
	stats, err := index.Stats()
	again(stats, err)
	changes, err := movies.Changes("", 3, Ask{Full: true})
	again(changes, err)
	report, err := movies.EditItems(always, []string{told.Movies[9].Key}, [][2]string{{"summary", "A"}}, Leaves)
	again(report, err)
	again(Progress{"Movies", 1, 2, time.Second}, nil)
	again(Proposal{"/a", "/b", 1, 2, 1}, nil)
	again(Relation{true, false, 3}, nil)
	for name, part := range map[string]string{
		"Answer": `"match_kind":"none"`, "Stats": `"answers":{"confirmed":0,"exact":1`, "EditReport": `"states":["done"]`,
		"Changes": `"changes":[{"change":"added"`, "ServerInfo": `"machine_identifier":`, "LibraryInfo": `"kind":"show"`,
	} {
		if !strings.Contains(written[name], part) {
			t.Error(name, written[name])
		}
	}
	if !strings.Contains(written["Stats"], `"requests":{`) || !strings.Contains(written["Stats"], `"page":`) {
		t.Error(written["Stats"])
	}
}

func TestABuildWithoutCgoNamesIt(t *testing.T) {
	made := exec.Command("go", "build", "-o", os.DevNull, "./examples/match")
	made.Env = append(os.Environ(), "CGO_ENABLED=0")
	said, err := made.CombinedOutput()
	same(t, []any{err != nil, strings.Contains(string(said), "needs_cgo__set_CGO_ENABLED_1")}, []any{true, true})
}
