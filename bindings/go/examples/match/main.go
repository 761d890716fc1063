// Finds the item of a file: `match URL TOKEN CACHE LIBRARY FILE`. Ctrl+C ends it.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"

	plexindex "plexindex.invalid/bindings/go"
)

func main() {
	if len(os.Args) != 6 {
		log.Fatal("give URL, TOKEN, CACHE, LIBRARY and FILE")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := match(ctx, os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]); err != nil {
		log.Fatal(err)
	}
}

func match(ctx context.Context, url, token, folder, name, file string) error {
	options := plexindex.Options{ServerURL: url, Token: token, CacheDir: folder}
	index, err := plexindex.Open(options) // makes the folder, and sends no request
	if err != nil {
		return err
	}
	defer index.Close()
	library, err := index.Library(name)
	if err != nil {
		return err
	}
	match, err := library.Match(ctx, file) // fetches the library if necessary
	if err != nil {
		return err
	}
	if match.Sure != nil {
		fmt.Printf("%s: %s\n", match.Sure.Key, match.Sure.Title)
		return nil
	}
	fmt.Printf("not sure, %v, %v: %s\n", match.Status, match.Reason, match.Message)
	for _, item := range match.Candidates {
		fmt.Println(" ", item.Path)
	}
	return nil
}
