// Closes an index in a forked child while a goroutine of the parent is in a call: fork URL TOKEN FOLDER. A child has one
// thread and little of Go, so it does nothing else.
package main

/*
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

// Forks; the child ends after 30 s, whatever it waits for.
static pid_t forked(void) {
    pid_t child = fork();
    if (child == 0) {
        signal(SIGALRM, SIG_DFL);
        alarm(30);
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

	plexindex "github.com/plexindex/plexindex/bindings/go"
)

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	index, err := plexindex.Open(plexindex.Options{ServerURL: os.Args[1], Token: os.Args[2], CacheDir: os.Args[3], PageSize: 25})
	must(err)
	movies, err := index.Library("Movies")
	must(err)
	begun, ended := make(chan struct{}), make(chan error)
	var once sync.Once
	go func() {
		_, err := movies.Refresh(context.Background(), plexindex.Ask{Progress: func(plexindex.Progress) bool {
			once.Do(func() { close(begun) })
			return true
		}})
		ended <- err
	}()
	<-begun
	child := C.forked()
	if child == 0 {
		if index.Close() != nil {
			C._exit(3)
		}
		C._exit(0)
	}
	var status C.int
	if C.waitpid(child, &status, 0) != child || status != 0 {
		log.Fatal("the child ended with status ", status)
	}
	must(<-ended)
	must(index.Close())
}
