package plexindex

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
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
	var read Answer
	must(t, json.Unmarshal(text, &read))
	same(t, read, answer)
}

func TestABuildWithoutCgoNamesIt(t *testing.T) {
	made := exec.Command("go", "build", "-o", os.DevNull, "./examples/match")
	made.Env = append(os.Environ(), "CGO_ENABLED=0")
	said, err := made.CombinedOutput()
	same(t, []any{err != nil, strings.Contains(string(said), "needs_cgo__set_CGO_ENABLED_1")}, []any{true, true})
}
