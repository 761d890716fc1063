package plexindex

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// As a release has it: the archive lies in the module, and no variable names a folder.
func TestAModuleWithItsLibraryNeedsNothingElse(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a release has libraries for Linux")
	}
	module := t.TempDir()
	for _, pattern := range []string{"*.go", "*.h", "go.mod", "examples/match/main.go"} {
		files, err := filepath.Glob(pattern)
		must(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			must(t, err)
			must(t, os.MkdirAll(filepath.Join(module, filepath.Dir(file)), 0o755))
			must(t, os.WriteFile(filepath.Join(module, file), text, 0o644))
		}
	}
	beside := filepath.Join(module, "lib", runtime.GOOS+"_"+runtime.GOARCH)
	must(t, os.MkdirAll(beside, 0o755))
	archive := filepath.Join(filepath.Dir(os.Getenv("PLEXINDEX_LIBRARY")), "libplexindex.a")
	must(t, os.Symlink(archive, filepath.Join(beside, "libplexindex.a")))
	build := exec.Command("go", "build", "-o", "program", "./examples/match")
	build.Dir, build.Env = module, append(os.Environ(), "CGO_LDFLAGS=")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatal(string(said))
	}
	program := exec.Command(filepath.Join(module, "program"),
		os.Getenv("PLEXINDEX_TEST_URL"), os.Getenv("PLEXINDEX_TEST_TOKEN"), t.TempDir(), "Movies", told.Movies[0].Path)
	program.Env = []string{}
	printed, err := program.Output()
	must(t, err)
	same(t, string(printed), told.Movies[0].Key+": "+told.Movies[0].Title+"\n")
}
