//go:build cgo

package plexindex

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// As JSON all types have names in small letters, and words for numbers of plexindex.h. What is not known is left out, and
// read again as what it was. Durations are nanoseconds, as Go writes them: `age_ns`.

// MarshalText is the status's name in small letters.
func (s Status) MarshalText() ([]byte, error) { return []byte(strings.ToLower(s.String())), nil }

// MarshalText is the word for it.
func (k MatchKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// MarshalText is the word for it.
func (c Confidence) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// MarshalText is the word for it.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// numbered is the number for a word, up to the last number.
func numbered[T interface {
	~uint8 | ~int32
	String() string
}](word []byte, last T) (T, error) {
	for one := T(0); one <= last; one++ {
		if strings.EqualFold(one.String(), string(word)) {
			return one, nil
		}
	}
	return 0, fmt.Errorf("plexindex has no word %q", word)
}

// UnmarshalText reads what MarshalText wrote.
func (s *Status) UnmarshalText(text []byte) (err error) {
	*s, err = numbered[Status](text, 999)
	return
}

// UnmarshalText reads what MarshalText wrote.
func (k *MatchKind) UnmarshalText(text []byte) (err error) {
	*k, err = numbered(text, MatchFileName)
	return
}

// UnmarshalText reads what MarshalText wrote.
func (c *Confidence) UnmarshalText(text []byte) (err error) {
	*c, err = numbered(text, ConfidenceHigh)
	return
}

// UnmarshalText reads what MarshalText wrote.
func (r *Reason) UnmarshalText(text []byte) (err error) {
	*r, err = numbered(text, ReasonUnavailable)
	return
}

// UnmarshalText reads Plex's word for a kind.
func (k *Kind) UnmarshalText(text []byte) error {
	*k = KindOther
	for one := KindOther; one <= KindPhoto; one++ {
		if one.String() == string(text) {
			*k = one
		}
	}
	return nil
}

// MarshalText is the kind's word.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// MarshalText is the word for it.
func (r Request) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (r *Request) UnmarshalText(text []byte) (err error) {
	*r, err = numbered(text, RequestEvents)
	return
}

// MarshalText is the word for it.
func (e Edited) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (e *Edited) UnmarshalText(text []byte) (err error) {
	*e, err = numbered(text, EditedMissing)
	return
}

// known is a number that JSON has; nil for one below zero, which is left out.
func known[N ~int | ~int64](number N) *N {
	if number < 0 {
		return nil
	}
	return &number
}

// MarshalJSON leaves out what is not known.
func (i Item) MarshalJSON() ([]byte, error) {
	type plain Item
	return json.Marshal(struct {
		plain
		Season  *int `json:"season,omitempty"`
		Episode *int `json:"episode,omitempty"`
	}{plain(i), known(i.Season), known(i.Episode)})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (i *Item) UnmarshalJSON(text []byte) error {
	type plain Item
	*i = Item{Season: -1, Episode: -1}
	return json.Unmarshal(text, (*plain)(i))
}

// MarshalJSON leaves out what is not known.
func (i ItemDetails) MarshalJSON() ([]byte, error) {
	type plain ItemDetails
	return json.Marshal(struct {
		plain
		Season  *int `json:"season,omitempty"`
		Episode *int `json:"episode,omitempty"`
	}{plain(i), known(i.Season), known(i.Episode)})
}

// UnmarshalJSON reads what MarshalJSON wrote, and what the library writes.
func (i *ItemDetails) UnmarshalJSON(text []byte) error {
	type plain ItemDetails
	*i = ItemDetails{Season: -1, Episode: -1}
	return json.Unmarshal(text, (*plain)(i))
}

// MarshalJSON leaves out what is not known.
func (a Answer) MarshalJSON() ([]byte, error) {
	type plain Answer
	return json.Marshal(struct {
		plain
		Age *time.Duration `json:"age_ns,omitempty"`
	}{plain(a), known(a.Age)})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (a *Answer) UnmarshalJSON(text []byte) error {
	type plain Answer
	*a = Answer{Age: -time.Millisecond}
	return json.Unmarshal(text, (*plain)(a))
}

// MarshalJSON leaves out what is not known.
func (l LibraryInfo) MarshalJSON() ([]byte, error) {
	type plain LibraryInfo
	return json.Marshal(struct {
		plain
		Age *time.Duration `json:"age_ns,omitempty"`
	}{plain(l), known(l.Age)})
}

// UnmarshalJSON reads what MarshalJSON wrote, and what the library writes.
func (l *LibraryInfo) UnmarshalJSON(text []byte) error {
	type plain LibraryInfo
	*l = LibraryInfo{Age: -time.Millisecond}
	read := struct {
		*plain
		AgeMs *int64 `json:"age_ms"`
	}{plain: (*plain)(l)}
	err := json.Unmarshal(text, &read)
	if read.AgeMs != nil {
		l.Age = time.Duration(*read.AgeMs) * time.Millisecond
	}
	return err
}
