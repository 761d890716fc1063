// Finds items over HTTP: `service URL TOKEN CACHE LIBRARY localhost:8080`, then
// `curl 'localhost:8080/?path=/media/a.mkv'`. A client that disconnects ends its call. Listed files are answered
// without waiting. Each waiting call holds a thread, so a semaphore limits how many wait.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	plexindex "plexindex.invalid/bindings/go"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 6 {
		log.Fatal("give URL, TOKEN, CACHE, LIBRARY and an address to listen on")
	}
	index, err := plexindex.Open(plexindex.Options{ServerURL: os.Args[1], Token: os.Args[2], CacheDir: os.Args[3]})
	if err != nil {
		log.Fatal(err)
	}
	library, err := index.Library(os.Args[4]) // sends no request
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", os.Args[5])
	if err != nil {
		log.Fatal(err)
	}
	log.Print("listening on ", listener.Addr())
	log.Fatal(http.Serve(listener, handler(library)))
}

// The calls that may wait at once.
const slots = 64

func handler(library *plexindex.Library) http.HandlerFunc {
	waiting := make(chan struct{}, slots)
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
		defer cancel()
		path := r.URL.Query().Get("path")
		match, err := library.Match(ctx, path, plexindex.Ask{AtOnce: true})
		if err == nil && match.Status == plexindex.NotYet {
			select {
			case waiting <- struct{}{}:
				match, err = library.Match(ctx, path)
				<-waiting
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		switch {
		case errors.Is(err, context.Canceled):
			log.Print("the client disconnected: ", err)
		case errors.Is(err, context.DeadlineExceeded):
			http.Error(w, err.Error(), http.StatusGatewayTimeout)
		case errors.Is(err, plexindex.InvalidArgument):
			http.Error(w, err.Error(), http.StatusBadRequest)
		case err != nil:
			http.Error(w, err.Error(), http.StatusBadGateway)
		case match.Sure == nil:
			http.Error(w, match.Message, http.StatusNotFound)
		default:
			_ = json.NewEncoder(w).Encode(map[string]any{"key": match.Sure.Key, "title": match.Sure.Title})
		}
	}
}
