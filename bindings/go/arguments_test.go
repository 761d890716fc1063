package plexindex

import (
	"context"
	"errors"
	"math"
	"os"
	"os/exec"
	"reflect"
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
	same(t, []any{errors.Is(err, InvalidArgument), answer.Status, answer.AgeMs == nil}, []any{true, InvalidArgument, true})
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
	same(t, errors.Is(err, InvalidArgument), true)
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
					given = append(given, reflect.ValueOf("/a").Convert(wanted))
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
		"the deadline in ms is -7: give milliseconds, 0 for the options' default, or NoDeadline": {Deadline: -7 * time.Millisecond},
		"Ask.Deadline is 7ns: give a millisecond or more, such as 500*time.Millisecond":          {Deadline: 7},
		"the call has Ask.Full, which this function does not know: call Refresh with it first":   {Full: true},
	} {
		_, err := movies.Match(always, "/a", ask)
		same(t, err.Error(), wanted)
	}
	_, err := movies.SearchTitle(always, "A", Ask{AtOnce: true})
	same(t, strings.Contains(err.Error(), "match.title: the request is refused: unknown field `at_once`"), true)
	for wanted, change := range map[string]func(*Options){
		"log_level is 9: give one of LogOff, LogError, LogWarn, LogInfo, LogDebug":            func(options *Options) { options.LogLevel = 9 },
		"library_ttl_ms is -5: give milliseconds, 0 for one hour, TTLAtOnce or TTLNever":      func(options *Options) { options.LibraryTTL = -5 * time.Millisecond },
		"Options.Deadline is 500ns: give a millisecond or more, such as 500*time.Millisecond": func(options *Options) { options.Deadline = 500 },
		"the deadline in ms is -5: give milliseconds, or NoDeadline":                          func(options *Options) { options.Deadline = -5 * time.Millisecond },
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

func TestABuildWithoutCgoNamesIt(t *testing.T) {
	made := exec.Command("go", "build", "-o", os.DevNull, "./examples/match")
	made.Env = append(os.Environ(), "CGO_ENABLED=0")
	said, err := made.CombinedOutput()
	same(t, []any{err != nil, strings.Contains(string(said), "needs_cgo__set_CGO_ENABLED_1")}, []any{true, true})
}
