// bench/languages/README.md
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"math/rand"
	"os"
	"strconv"
	"strings"
	"time"

	"plexindex"
)

func main() {
	given := os.Args[1:]
	index, err := plexindex.Open(plexindex.Options{
		CacheDir: given[0], ServerURL: os.Getenv("PLEX_URL"), Token: os.Getenv("PLEX_TOKEN"),
		LibraryTTL: plexindex.TTLNever, Mappings: []plexindex.Mapping{{From: given[1], To: given[2]}},
	})
	if err != nil {
		log.Fatal(err)
	}
	movies, err := index.Library("Movies")
	if err != nil {
		log.Fatal(err)
	}
	text, err := os.ReadFile(given[3])
	if err != nil {
		log.Fatal(err)
	}
	pairs := [][2]string{}
	for _, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		path, key, _ := strings.Cut(line, "\t")
		pairs = append(pairs, [2]string{path, key})
	}
	rounds, _ := strconv.Atoi(given[4])
	times := []float64{}
	for round := -1; round < rounds; round++ {
		rand.Shuffle(len(pairs), func(one, other int) { pairs[one], pairs[other] = pairs[other], pairs[one] })
		wrong := 0
		begun := time.Now()
		for _, pair := range pairs {
			if movies.LookupKey(pair[0]) != pair[1] {
				wrong++
			}
		}
		took := time.Since(begun)
		if wrong > 0 {
			log.Fatal(wrong, " answers are wrong")
		}
		if round >= 0 {
			times = append(times, float64(took.Nanoseconds())/float64(len(pairs)))
		}
	}
	printed, _ := json.Marshal(times)
	fmt.Println(string(printed))
	_ = index.Close()
}
