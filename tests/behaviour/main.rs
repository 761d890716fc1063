//! What the library answers, over a stand-in server; and in `tests/sources` the sources of items: Plex over HTTP,
//! Plex's own database, and the contract that both keep. One program, as each one links SQLite and TLS.

mod api;
#[path = "../sources/database/mod.rs"]
mod database;
mod documented_gaps;
mod events;
mod evidence;
mod fetching;
mod folders;
mod freshness;
mod hostile;
#[path = "../sources/http/mod.rs"]
mod http;
mod knowledge;
mod listed_spellings;
mod locked_store;
mod on_disk;
mod questions;
mod readme;
mod recorded;
mod regressions;
mod same_file;
mod size_limit;
#[path = "../sources/source_contract/mod.rs"]
mod source_contract;
mod source_layers;
#[path = "../sources/source_log.rs"]
mod source_log;
mod tables;
mod token_renewal;
mod upgrade;

use plexindex_tests as support;

#[test]
#[ignore = "played by the other tests, as another process"]
fn worker() {
    support::worker::play(&[database::ROLES, hostile::ROLES]);
}
