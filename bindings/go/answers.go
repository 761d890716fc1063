package plexindex

// #include "plexindex.h"
import "C"

import (
	"strings"
	"time"
)

// word is a name of plexindex.h in small letters.
func word(name *C.char) string { return strings.ToLower(C.GoString(name)) }

func (k MatchKind) String() string  { return word(C.plexindex_get_match_kind_name(C.int32_t(k))) }
func (c Confidence) String() string { return word(C.plexindex_get_confidence_name(C.int32_t(c))) }
func (r Reason) String() string     { return word(C.plexindex_get_reason_name(C.int32_t(r))) }
func (k Kind) String() string       { return word(C.plexindex_get_kind_name(C.int32_t(k))) }

// A MatchKind is how an item was found.
type MatchKind uint8

// A Confidence is how sure an answer is.
type Confidence uint8

// A Reason is why there is no single item, or what speaks for it.
type Reason uint8

// The numbers of plexindex.h.
const (
	MatchNone      MatchKind = C.PLEXINDEX_MATCH_NONE
	MatchConfirmed MatchKind = C.PLEXINDEX_MATCH_CONFIRMED
	MatchExact     MatchKind = C.PLEXINDEX_MATCH_EXACT
	MatchMapped    MatchKind = C.PLEXINDEX_MATCH_MAPPED
	MatchSuffix    MatchKind = C.PLEXINDEX_MATCH_SUFFIX
	MatchFileName  MatchKind = C.PLEXINDEX_MATCH_FILE_NAME

	ConfidenceNone Confidence = C.PLEXINDEX_CONFIDENCE_NONE
	ConfidenceLow  Confidence = C.PLEXINDEX_CONFIDENCE_LOW
	ConfidenceHigh Confidence = C.PLEXINDEX_CONFIDENCE_HIGH

	ReasonNone             Reason = C.PLEXINDEX_REASON_NONE
	ReasonNoLocation       Reason = C.PLEXINDEX_REASON_NO_LOCATION
	ReasonNotListed        Reason = C.PLEXINDEX_REASON_NOT_LISTED
	ReasonNotFetched       Reason = C.PLEXINDEX_REASON_NOT_FETCHED
	ReasonSeveralItems     Reason = C.PLEXINDEX_REASON_SEVERAL_ITEMS
	ReasonSeveralLibraries Reason = C.PLEXINDEX_REASON_SEVERAL_LIBRARIES
	ReasonUnconfirmed      Reason = C.PLEXINDEX_REASON_UNCONFIRMED
	ReasonOnlyRootDiffers  Reason = C.PLEXINDEX_REASON_ONLY_ROOT_DIFFERS
	ReasonPathTells        Reason = C.PLEXINDEX_REASON_PATH_TELLS
	ReasonNoEvidence       Reason = C.PLEXINDEX_REASON_NO_EVIDENCE
	ReasonContradicted     Reason = C.PLEXINDEX_REASON_CONTRADICTED
	ReasonSeveralEpisodes  Reason = C.PLEXINDEX_REASON_SEVERAL_EPISODES
	ReasonEmpty            Reason = C.PLEXINDEX_REASON_EMPTY
	ReasonAboveLocations   Reason = C.PLEXINDEX_REASON_ABOVE_LOCATIONS
	ReasonUnavailable      Reason = C.PLEXINDEX_REASON_UNAVAILABLE
)

// A Kind is Plex's number of a type.
type Kind int32

// The kinds; KindOther also where a folder holds several.
const (
	KindOther   Kind = C.PLEXINDEX_KIND_OTHER
	KindMovie   Kind = C.PLEXINDEX_KIND_MOVIE
	KindShow    Kind = C.PLEXINDEX_KIND_SHOW
	KindSeason  Kind = C.PLEXINDEX_KIND_SEASON
	KindEpisode Kind = C.PLEXINDEX_KIND_EPISODE
	KindArtist  Kind = C.PLEXINDEX_KIND_ARTIST
	KindAlbum   Kind = C.PLEXINDEX_KIND_ALBUM
	KindTrack   Kind = C.PLEXINDEX_KIND_TRACK
	KindClip    Kind = C.PLEXINDEX_KIND_CLIP
	KindPhoto   Kind = C.PLEXINDEX_KIND_PHOTO
)

// An Item is an item as the index knows it. A text that it does not know is empty.
type Item struct {
	Key           string `json:"key"`
	RatingKey     string `json:"rating_key"`
	Title         string `json:"title,omitempty"`
	GUID          string `json:"guid,omitempty"`
	ShowTitle     string `json:"show_title,omitempty"`
	ShowRatingKey string `json:"show_rating_key,omitempty"`
	ShowGUID      string `json:"show_guid,omitempty"`
	Path          string `json:"path,omitempty"`
	Section       string `json:"section,omitempty"`
	LibraryTitle  string `json:"library_title,omitempty"`

	Kind Kind `json:"kind"`
	// Year is 0, Season and Episode are -1 where there is none.
	Year    int `json:"year,omitempty"`
	Season  int `json:"season"`
	Episode int `json:"episode"`
	// KeyOnly: the match was recorded, and no listing holds the item.
	KeyOnly bool `json:"key_only"`
}

// An Answer is the answer for one path, folder, GUID or title.
type Answer struct {
	// OK, NotFound, Ambiguous, NotYet, NeedsWarm; in a batch also the error of this one path.
	Status     Status     `json:"status"`
	MatchKind  MatchKind  `json:"match_kind"`
	Confidence Confidence `json:"confidence"`
	Reason     Reason     `json:"reason"`
	Stale      bool       `json:"stale"`
	// Item is nil when there is no single one.
	Item            *Item  `json:"item,omitempty"`
	Candidates      []Item `json:"candidates"`
	CandidatesTotal int    `json:"candidates_total"`
	Message         string `json:"message,omitempty"`
	// Age is negative when no listing answered.
	Age time.Duration `json:"age_ns"`
	// Of a folder: how many items and files are below it, and what it is.
	Items uint64 `json:"items"`
	Files uint64 `json:"files"`
	Kind  Kind   `json:"kind,omitempty"`
}

func readText(block *C.plexindex_buffer, text *C.plexindex_text) string {
	at := C.plexindex_get_text(block, text)
	if at == nil {
		return ""
	}
	return C.GoStringN(at, C.int(text.length))
}

func readItem(block *C.plexindex_buffer, item *C.plexindex_item) Item {
	return Item{
		Key:           readText(block, &item.key),
		RatingKey:     readText(block, &item.rating_key),
		Title:         readText(block, &item.title),
		GUID:          readText(block, &item.guid),
		ShowTitle:     readText(block, &item.show_title),
		ShowRatingKey: readText(block, &item.show_rating_key),
		ShowGUID:      readText(block, &item.show_guid),
		Path:          readText(block, &item.path),
		Section:       readText(block, &item.section),
		LibraryTitle:  readText(block, &item.library_title),
		Kind:          Kind(item.kind),
		Year:          int(item.year),
		Season:        int(item.season),
		Episode:       int(item.episode),
		KeyOnly:       item.flags&C.PLEXINDEX_ITEM_KEY_ONLY != 0,
	}
}

func readBlock(block *C.plexindex_buffer) []Answer {
	answers := make([]Answer, int(C.plexindex_count_answers(block)))
	for place := range answers {
		found := C.plexindex_get_answer(block, C.size_t(place))
		answer := &answers[place]
		*answer = Answer{
			Status:          Status(found.status),
			MatchKind:       MatchKind(found.match_kind),
			Confidence:      Confidence(found.confidence),
			Reason:          Reason(found.reason),
			Stale:           found.flags&C.PLEXINDEX_ANSWER_STALE != 0,
			CandidatesTotal: int(found.candidates_total),
			Message:         readText(block, &found.message),
			Age:             time.Duration(found.age_ms) * time.Millisecond,
			Items:           uint64(found.items),
			Files:           uint64(found.files),
			Kind:            Kind(found.kind),
		}
		if item := C.plexindex_get_item(block, found); item != nil {
			read := readItem(block, item)
			answer.Item = &read
		}
		answer.Candidates = make([]Item, int(found.candidates_count))
		for at := range answer.Candidates {
			answer.Candidates[at] = readItem(block, C.plexindex_get_candidate(block, found, C.size_t(at)))
		}
	}
	return answers
}

// keys splits texts that have a NUL behind each.
func keys(out *C.plexindex_buffer, count int) []string {
	all := C.GoStringN((*C.char)(out.data), C.int(out.length))
	found := make([]string, 0, count)
	for begin, at := 0, 0; at < len(all); at++ {
		if all[at] == 0 {
			found = append(found, all[begin:at])
			begin = at + 1
		}
	}
	return found
}
