package plexindex

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestEnumsHaveNames(t *testing.T) {
	named := fmt.Sprint(MatchExact, ConfidenceHigh, ReasonNotListed, KindMovie, OK, NotFound, Locks, EditedMissing, RequestFindPath, MatchKind(99))
	same(t, named, "exact high not_listed movie OK NOT_FOUND lock missing find_path unknown")
	written, err := json.Marshal(KindEpisode)
	must(t, err)
	same(t, string(written), `"episode"`)
}

// A field that the header gets is one of Stats, too.
func TestStatsHasEachFieldOfTheHeader(t *testing.T) {
	raw, err := os.ReadFile("../../include/plexindex.json")
	must(t, err)
	var abi struct {
		Structs map[string]struct{ Fields []struct{ Name string } }
	}
	must(t, json.Unmarshal(raw, &abi))
	there := map[string]bool{}
	for at, of := 0, reflect.TypeOf(Stats{}); at < of.NumField(); at++ {
		there[strings.ToLower(of.Field(at).Name)] = true
	}
	same(t, len(there), len(abi.Structs["plexindex_stats"].Fields)-1)
	for _, field := range abi.Structs["plexindex_stats"].Fields[1:] {
		name := strings.ReplaceAll(strings.TrimSuffix(field.Name, "_us"), "_", "")
		if field.Name == "calls_us" {
			name = "incalls"
		}
		if !there[name] {
			t.Error("Stats lacks", field.Name)
		}
	}
}

// The address of the repository is written in Cargo.toml when there is one.
func TestTheModuleHasAnAddressThatGoGetAccepts(t *testing.T) {
	module, err := os.ReadFile("go.mod")
	must(t, err)
	path := strings.TrimPrefix(strings.SplitN(string(module), "\n", 2)[0], "module ")
	host, _, _ := strings.Cut(path, "/")
	same(t, []any{strings.Contains(host, "."), strings.HasSuffix(path, "/bindings/go")}, []any{true, true})
	manifest, err := os.ReadFile("../../Cargo.toml")
	must(t, err)
	for _, line := range strings.Split(string(manifest), "\n") {
		if strings.HasPrefix(line, "repository = ") {
			same(t, "https://"+strings.TrimSuffix(path, "/bindings/go"), strings.Trim(strings.TrimPrefix(line, "repository = "), `"`))
		}
	}
}
