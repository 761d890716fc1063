package plexindex

// #include "lookup.h"
import "C"

import (
	"context"
	"time"
	"unsafe"
)

// A Table holds the host's own values by name. Any number of goroutines may use it at once.
type Table struct {
	index  *Index
	handle *C.plexindex_table_handle
	name   string
}

// some is a table without an index for none at all: what that is asked is an error.
func (t *Table) some() *Table {
	if t == nil {
		return &Table{}
	}
	return t
}

// DefaultTableLimit is how many bytes all tables may take, where a caller has no other wish.
const DefaultTableLimit = 100_000_000

var nothing [1]byte

// named is a text for the time of a call; an empty one is a pointer, and 0.
func named(of string) (*C.char, C.size_t) {
	if of == "" {
		return (*C.char)(unsafe.Pointer(&nothing)), 0
	}
	return text(of)
}

// Table gives a table by its name. With foldASCII `A` to `Z` in names of entries count as `a` to `z`.
func (i *Index) Table(name string, foldASCII bool) (*Table, error) {
	data, length := named(name)
	var out *C.plexindex_table_handle
	flags := C.uint32_t(flag(foldASCII, C.PLEXINDEX_TABLE_FOLD_ASCII))
	_, err := i.do(func(failed *C.plexindex_buffer) C.int32_t {
		return C.plexindex_get_table(i.handle, data, length, flags, &out, failed)
	})
	if err != nil {
		return nil, err
	}
	return &Table{i, out, name}, nil
}

// Lookup gives a value where the index has it at hand; else "". It never waits.
func (t *Table) Lookup(name string) string {
	t = t.some()
	return lookup(t.index, name, func(data *C.char, length C.size_t, room *C.char, capacity C.size_t) C.size_t {
		return C.table_lookup(t.handle, data, length, room, capacity)
	})
}

// Get gives the value of this name, and whether there is one.
func (t *Table) Get(name string) (value []byte, there bool, err error) {
	t = t.some()
	if err := t.index.begin(); err != nil {
		return nil, false, err
	}
	defer t.index.end()
	data, length := named(name)
	status, err := fill(1024, func(out, failed *C.plexindex_buffer) C.int32_t {
		return C.plexindex_table_get(t.handle, data, length, out, failed)
	}, func(out *C.plexindex_buffer) { value = C.GoBytes(out.data, C.int(out.length)) })
	if status != OK || err != nil {
		return nil, false, err
	}
	return value, true, nil
}

// Put stores a value. `ttl`: after how long it expires; 0 is one hour, TTLNever. `limit`: how many bytes all tables
// may take; 0 is no limit.
func (t *Table) Put(name string, value []byte, ttl time.Duration, limit uint64) error {
	t = t.some()
	data, length := named(name)
	stored, size := named(string(value))
	_, err := t.index.do(func(failed *C.plexindex_buffer) C.int32_t {
		return C.plexindex_table_put(t.handle, data, length, stored, size, milliseconds(ttl), C.uint64_t(limit), failed)
	})
	return err
}

// Remove removes an entry.
func (t *Table) Remove(name string) error {
	t = t.some()
	data, length := named(name)
	_, err := t.index.do(func(failed *C.plexindex_buffer) C.int32_t {
		return C.plexindex_table_remove(t.handle, data, length, failed)
	})
	return err
}

// Names gives the names of its entries to `each`, in the order of their bytes, until that says false.
func (t *Table) Names(each func(string) bool) error {
	for after, begun := "", false; ; begun = true {
		name, there, err := t.next(after, begun)
		if err != nil || !there || !each(name) {
			return err
		}
		after = name
	}
}

func (t *Table) next(after string, begun bool) (name string, there bool, err error) {
	t = t.some()
	if err := t.index.begin(); err != nil {
		return "", false, err
	}
	defer t.index.end()
	data, length := text("")
	if begun {
		data, length = named(after)
	}
	status, err := fill(1024, func(out, failed *C.plexindex_buffer) C.int32_t {
		return C.plexindex_table_get_next(t.handle, data, length, out, failed)
	}, func(out *C.plexindex_buffer) { name = C.GoStringN((*C.char)(out.data), C.int(out.length)) })
	return name, status == OK && err == nil, err
}

// Count says how many entries it has.
func (t *Table) Count() (uint64, error) {
	t = t.some()
	var read TableCount
	err := t.index.Call(context.Background(), "tables.count", fields{"table": ByteString(t.name)}, &read)
	return uint64(read.Count), err
}

// Clear removes all entries.
func (t *Table) Clear() error {
	t = t.some()
	return t.index.Call(context.Background(), "tables.clear", fields{"table": ByteString(t.name)}, nil)
}
