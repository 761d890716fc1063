//! Bad disks: nothing that is wrong with the folder ends the host, makes an answer wrong, or stays after its cause went.
#![allow(unsafe_code)] // mounts, limits and masks have no safe door

mod blocks;
mod broken;
mod every_write;
mod full;
mod growth;
mod mutations;
mod network;
mod open;
mod planted;
mod power;
mod scarce;
mod secrecy;
mod segments;

use crate::support::worker::Role;

use std::path::Path;
use std::sync::Mutex;

/// What workers of these tests do.
pub const ROLES: &[Role] = &[
    ("host", open::host),
    ("damage", broken::damage),
    ("read-only", full::read_only),
    ("full and closed", full::full_and_closed),
    ("masked", secrecy::masked),
    ("stores and ends", growth::stores_and_ends),
    ("small disk", growth::small_disk),
    ("power", power::power),
    ("every write", every_write::every_write),
    ("on a network", network::on_a_network),
    ("without threads", scarce::without_threads),
    ("without descriptors", scarce::without_descriptors),
    ("remembered", secrecy::remembered),
    ("little space", scarce::little_space),
    ("another user", open::another_user),
];

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Everything;

impl log::Log for Everything {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("plexindex")
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = format!("{} {}", record.level(), record.args());
            LINES.lock().expect("no panic").push(line);
        }
    }

    fn flush(&self) {}
}

/// From now on log lines are kept.
fn listen() {
    static LOGGER: Everything = Everything;
    let _ = log::set_logger(&LOGGER);
    log::set_max_level(log::LevelFilter::Info);
}

/// The warnings that name this folder.
fn warnings(folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    let lines = LINES.lock().expect("no panic");
    let warns = |line: &&String| line.starts_with("WARN") && line.contains(&folder);
    lines.iter().filter(warns).cloned().collect()
}
