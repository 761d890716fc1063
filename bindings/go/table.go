package plexindex

// #include "shim.h"
import "C"

import (
	"strings"
	"time"
)

// A Table has the host's own values by name. Any number of goroutines may use it at once.
type Table struct {
	index  *Index
	handle *C.plexindex_table_handle
}

// Table returns a table by its name. With foldASCII, `A` to `Z` in names of entries count as `a` to `z`.
func (i *Index) Table(name string, foldASCII bool) (*Table, error) {
	data, length := view(name)
	table := &Table{index: i}
	err := i.do(func(failure *C.plexindex_buffer) C.int32_t {
		flags := flagIf(foldASCII, C.PLEXINDEX_TABLE_FOLD_ASCII)
		return C.plexindex_get_table(i.handle, data, length, flags, &table.handle, failure)
	})
	if err != nil {
		return nil, err
	}
	return table, nil
}

// Lookup returns a value, or "" if the index does not have it at hand. Get also finds values of more than 1,000 bytes,
// or with a NUL.
func (t *Table) Lookup(name string) string {
	if strings.IndexByte(name, 0) >= 0 || t.index.begin() != nil {
		return ""
	}
	defer t.index.end()
	data, _ := view(name + "\x00")
	return resultText(C.table_lookup(t.handle, data))
}

// read makes a call that fills a buffer, and returns whether there is a value.
func (t *Table) read(work func(out, failure *C.plexindex_buffer) C.int32_t) (value []byte, exists bool, err error) {
	status, err := t.index.hold(func() (Status, error) {
		return fill(1024, work, func(out *C.plexindex_buffer) { value = C.GoBytes(out.data, C.int(out.length)) })
	})
	return value, status == OK && err == nil, err
}

// Get returns the value of a name, and whether there is one.
func (t *Table) Get(name string) (value []byte, exists bool, err error) {
	data, length := view(name)
	return t.read(func(out, failure *C.plexindex_buffer) C.int32_t {
		return C.plexindex_table_get(t.handle, data, length, out, failure)
	})
}

// Put stores a value until its time to live has passed: 0 is one hour; TTLNever. `limit` is how many bytes the
// table may take, beyond which its oldest entries go; 0 is no limit.
func (t *Table) Put(name string, value []byte, ttl time.Duration, limit uint64) error {
	data, length := view(name)
	valueData, valueLength := view(string(value))
	return t.index.do(func(failure *C.plexindex_buffer) C.int32_t {
		return C.plexindex_table_put(
			t.handle, data, length, valueData, valueLength, milliseconds(ttl), C.uint64_t(limit), failure)
	})
}

// Remove removes an entry.
func (t *Table) Remove(name string) error {
	data, length := view(name)
	return t.index.do(func(failure *C.plexindex_buffer) C.int32_t {
		return C.plexindex_table_remove(t.handle, data, length, failure)
	})
}

// Names passes the names of the entries to `each`, in the order of their bytes, until it returns false.
func (t *Table) Names(each func(string) bool) error {
	var after *C.char
	var length C.size_t
	for {
		name, exists, err := t.read(func(out, failure *C.plexindex_buffer) C.int32_t {
			return C.plexindex_table_get_next(t.handle, after, length, out, failure)
		})
		if err != nil || !exists || !each(string(name)) {
			return err
		}
		after, length = view(string(name))
	}
}
