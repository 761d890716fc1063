//! What the library answers, over a stand-in server: one program, as each one links SQLite and TLS.

mod api;
mod documented_gaps;
mod edits;
mod events;
mod evidence;
mod fetching;
mod folders;
mod freshness;
mod hostile;
mod listed_spellings;
mod locked_store;
mod on_disk;
mod questions;
mod readme;
mod recorded;
mod regressions;
mod size_limit;
mod source_layers;
mod state_file;
mod tables;
mod token_renewal;
mod upgrade;

use plexindex_tests as support;

#[test]
#[ignore = "played by the other tests, as another process"]
fn worker() {
    support::worker::play(&[hostile::ROLES]);
}
