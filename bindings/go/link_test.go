package plexindex

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// As a release has it: the archive lies in the module, and no variable names a folder; also in a program with a copy of
// its modules.
func TestAModuleWithItsLibraryNeedsNothingElse(t *testing.T) {
	deep(t)
	if runtime.GOOS != "linux" {
		t.Skip("a release has libraries for Linux")
	}
	folder := t.TempDir()
	archive := filepath.Join(filepath.Dir(os.Getenv("PLEXINDEX_LIBRARY")), "libplexindex.a")
	run := func(folder string, command ...string) {
		t.Helper()
		made := exec.Command(command[0], command[1:]...)
		made.Dir, made.Env = folder, append(os.Environ(), "CGO_LDFLAGS=", "GOFLAGS=")
		if said, err := made.CombinedOutput(); err != nil {
			t.Fatal(command, string(said))
		}
	}
	shared := os.Getenv("PLEXINDEX_LIBRARY")
	said, err := exec.Command("python3", "../../scripts/pack.py", "go", folder, shared).CombinedOutput()
	same(t, []any{err != nil, string(said)}, []any{true, shared +
		" is no archive: Go needs libplexindex.a, which `make install` installs, too\n"})
	run(".", "python3", "../../scripts/pack.py", "go", folder, archive)
	user := filepath.Join(folder, "user")
	must(t, os.Mkdir(user, 0o755))
	example, err := os.ReadFile("examples/match/main.go")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(user, "main.go"), example, 0o644))
	const module = "github.com/plexindex/plexindex/bindings/go"
	run(user, "go", "mod", "init", "user")
	run(user, "go", "mod", "edit", "-require="+module+"@v0.1.0", "-replace="+module+"=../go")
	run(user, "go", "mod", "vendor")
	run(user, "go", "build", "-mod=vendor", "-o", "program")
	for _, licence := range []string{"LICENSE-MIT", "LICENSE-APACHE", "THIRD-PARTY"} {
		text, err := os.ReadFile(filepath.Join(user, "vendor", module, licence))
		same(t, []any{len(text) > 1000, err}, []any{true, nil})
	}
	program := exec.Command(filepath.Join(user, "program"),
		os.Getenv("PLEXINDEX_TEST_URL"), os.Getenv("PLEXINDEX_TEST_TOKEN"), t.TempDir(), "Movies", told.Movies[0].Path)
	program.Env = []string{}
	printed, err := program.Output()
	must(t, err)
	same(t, string(printed), told.Movies[0].Key+": "+told.Movies[0].Title+"\n")
}
