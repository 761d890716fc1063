//! Sources of items: Plex over HTTP, Plex's own database, and the contract that all of them keep.

mod database;
mod http;
mod source_contract;
mod source_log;

use plexindex_tests as support;

#[test]
#[ignore = "played by the other tests, as another process"]
fn worker() {
    support::worker::play(&[database::ROLES]);
}
