// Which item is this file? `match URL TOKEN FOLDER LIBRARY FILE`
package main

import (
	"fmt"
	"log"
	"os"

	"plexindex"
)

func main() {
	if len(os.Args) != 6 {
		log.Fatal("give URL, TOKEN, FOLDER, LIBRARY and FILE")
	}
	options := plexindex.Options{ServerURL: os.Args[1], Token: os.Args[2], CacheDir: os.Args[3]}
	index, err := plexindex.Open(options) // the folder is made, nothing is fetched
	if err != nil {
		log.Fatal(err)
	}
	defer index.Close()
	library, err := index.Library(os.Args[4])
	if err != nil {
		log.Fatal(err)
	}
	match, err := library.Match(os.Args[5]) // fetches the library where it must
	if err != nil {
		log.Fatal(err)
	}
	if match.Item != nil {
		fmt.Printf("%s: %s\n", match.Item.Key, match.Item.Title)
		return
	}
	fmt.Printf("%s: %s\n", match.Status.Error(), match.Message)
	for _, item := range match.Candidates {
		fmt.Println(" ", item.Path)
	}
}
