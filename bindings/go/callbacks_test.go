package plexindex

import (
	"errors"
	"os"
	"runtime"
	"testing"
)

// As of testing.T.Fatal: C's frames must not be left by it.
func TestAFunctionThatExitsItsGoroutineLeavesTheIndexWhole(t *testing.T) {
	index := opened(t, slowly)
	movies := library(t, index, "Movies")
	end := apart(func() {
		_, _ = movies.Refresh(always, Ask{Progress: func(Progress) bool { runtime.Goexit(); return true }})
	})
	same(t, end, ending{exited: true})
	done, err := movies.Refresh(always)
	same(t, []any{done, err}, []any{true, nil})

	refused := opened(t, func(options *Options) {
		options.Token = "refused"
		options.RenewToken = func() string { runtime.Goexit(); return "" }
	})
	own := library(t, refused, "Movies")
	_, err = own.Match(always, told.Movies[0].Path)
	same(t, errors.Is(err, Unauthorized), true)
	must(t, refused.SetToken(os.Getenv("PLEXINDEX_TEST_TOKEN")))
	answer, err := own.Match(always, told.Movies[0].Path)
	must(t, err)
	same(t, answer.Item.Key, told.Movies[0].Key)

	logging := library(t, opened(t, func(options *Options) { options.LogLevel = 4 }), "Movies")
	for _, wanted := range []ending{{exited: true}, {panicked: "mine"}} {
		_, err = logging.Refresh(always, Ask{Full: true})
		must(t, err)
		end = apart(func() { _ = DrainLog(func(int, string) { wanted.raise() }) })
		same(t, end, wanted)
	}
}
