package plexindex

// #include "plexindex.h"
import "C"

import "context"

// WatchStart begins to listen to the server's events.
func (i *Index) WatchStart() error { return i.Call(context.Background(), "watch.start", fields{}, nil) }

// WatchStop ends what WatchStart began.
func (i *Index) WatchStop() error { return i.Call(context.Background(), "watch.stop", fields{}, nil) }

// Libraries gives the libraries that are known. The server is asked when none is.
func (i *Index) Libraries(ctx context.Context, ask ...Ask) ([]LibraryInfo, error) {
	var read Libraries
	_, err := i.named(ctx, "libraries.list", "", fields{}, &read, first(ask))
	return read.Libraries, err
}

// Server asks the server who it is and which libraries it shows.
func (i *Index) Server(ctx context.Context, ask ...Ask) (info ServerInfo, err error) {
	_, err = i.named(ctx, "server.check", "", fields{}, &info, first(ask))
	return info, err
}

// Store says in what kind of place the store is.
func (i *Index) Store() (info StoreInfo, err error) {
	err = i.Call(context.Background(), "store.get", fields{}, &info)
	return info, err
}

// Proposals gives mappings that seem to be missing, the best first; with paths those that would have these listed.
func (i *Index) Proposals(paths ...string) ([]Proposal, error) {
	var read Proposals
	err := i.Call(context.Background(), "mappings.propose", fields{"paths": byteStrings(paths)}, &read)
	return read.Proposals, err
}

// Stats gives the statistics.
func (i *Index) Stats() (Stats, error) {
	of := C.plexindex_stats{size: C.sizeof_plexindex_stats}
	_, err := i.do(func(failed *C.plexindex_buffer) C.int32_t { return C.plexindex_get_stats(i.handle, &of, failed) })
	return readStats(&of), err
}

// Notify tells the index of an event that the host received, such as a webhook.
func (i *Index) Notify(body string) error {
	data, length := text(body)
	_, err := i.do(func(failed *C.plexindex_buffer) C.int32_t { return C.plexindex_notify(i.handle, data, length, failed) })
	return err
}

// SetToken replaces the token; an empty one is none. It sends no request, and calls under way go on as they began.
// Without Options.User nothing of the earlier token's is answered before the server has accepted this one. After a call
// that fails with Unauthorized (401, or 498: the token expired), set a new one and call again.
func (i *Index) SetToken(token string) error {
	data, length := text(token)
	_, err := i.do(func(failed *C.plexindex_buffer) C.int32_t {
		return C.plexindex_set_token(i.handle, data, length, failed)
	})
	return err
}

// InvalidateAll invalidates all libraries.
func (i *Index) InvalidateAll() error {
	all, err := i.Library("")
	if err != nil {
		return err
	}
	return all.Invalidate()
}

// Clear removes all that the store holds of this server and user.
func (i *Index) Clear() error {
	_, err := i.do(func(failed *C.plexindex_buffer) C.int32_t { return C.plexindex_clear(i.handle, failed) })
	return err
}
