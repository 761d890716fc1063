// Each path of a list is that item: `job URL TOKEN FOLDER LIST`, lines `key<tab>path`.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"

	plexindex "github.com/plexindex/plexindex/bindings/go"
)

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	index, err := plexindex.Open(plexindex.Options{ServerURL: os.Args[1], Token: os.Args[2], CacheDir: os.Args[3]})
	must(err)
	defer index.Close()
	movies, err := index.Library("Movies")
	must(err)
	list, err := os.ReadFile(os.Args[4])
	must(err)
	rows := strings.Split(strings.TrimSpace(string(list)), "\n")
	for _, row := range rows {
		key, path, _ := strings.Cut(row, "\t")
		match, err := movies.Match(context.Background(), path)
		must(err)
		if match.Item == nil || match.Item.Key != key {
			log.Fatal(path, ": not ", key)
		}
	}
	fmt.Println(len(rows), "paths right")
}
