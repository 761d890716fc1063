// Closes an index in a forked child while a goroutine of the parent is in a call: fork URL TOKEN CACHE. A child has one
// thread and little of Go, so it does nothing else.
package main

/*
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

// Forks; the child ends after 3 s, unless it gets back to Go.
static pid_t forked(void) {
    pid_t child = fork();
    if (child == 0) {
        signal(SIGALRM, SIG_DFL);
        alarm(3);
    }
    return child;
}
*/
import "C"

import (
	"context"
	"log"
	"os"
	"sync"
	"syscall"

	plexindex "github.com/plexindex/plexindex/bindings/go"
)

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// Has a child close the index while a goroutine refreshes a library. Returns false if the child did not get back to Go: where
// fork takes long, Go gives the caller's place to run to another thread, which a child does not have.
func closesInChild(index *plexindex.Index, movies *plexindex.Library) bool {
	begun, ended := make(chan struct{}), make(chan error)
	var once sync.Once
	go func() {
		_, err := movies.Refresh(context.Background(), plexindex.Ask{Full: true, Progress: func(plexindex.Progress) bool {
			once.Do(func() { close(begun) })
			return true
		}})
		ended <- err
	}()
	<-begun
	defer func() { must(<-ended) }()
	var ends [2]int
	must(syscall.Pipe(ends[:]))
	child := C.forked()
	if child == 0 {
		C.alarm(30)
		_, _ = syscall.Write(ends[1], []byte{1})
		if index.Close() != nil {
			C._exit(3)
		}
		C._exit(0)
	}
	must(syscall.Close(ends[1]))
	defer syscall.Close(ends[0])
	var status C.int
	if C.waitpid(child, &status, 0) != child {
		log.Fatal("the child is gone")
	}
	if count, _ := syscall.Read(ends[0], make([]byte, 1)); count == 0 && status == C.SIGALRM {
		return false
	}
	if status != 0 {
		log.Fatal("the child ended with status ", status)
	}
	return true
}

func main() {
	index, err := plexindex.Open(plexindex.Options{ServerURL: os.Args[1], Token: os.Args[2], CacheDir: os.Args[3], PageSize: 25})
	must(err)
	movies, err := index.Library("Movies")
	must(err)
	for tries := 1; !closesInChild(index, movies); tries++ {
		if tries == 5 {
			log.Fatal("no child got back to Go")
		}
	}
	must(index.Close())
}
