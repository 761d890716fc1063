//! Bad disks: nothing that is wrong with the folder ends the host, makes an answer wrong, or stays after its cause went.
#![allow(unsafe_code)] // mounts, limits and masks have no safe door

mod blocks;
mod broken;
mod every_write;
mod full;
mod growth;
mod migration;
mod mutations;
mod network;
pub mod open;
mod planted;
mod power;
mod scarce;
mod secrecy;
mod segments;

use crate::support::warnings::so_far;
use crate::support::worker::Role;

use std::path::Path;

/// What workers of these tests do.
pub const ROLES: &[Role] = &[
    ("host", open::host),
    ("read-only", full::read_only),
    ("full and closed", full::full_and_closed),
    ("masked", secrecy::masked),
    ("stores and ends", growth::stores_and_ends),
    ("power", power::power),
    ("every write", every_write::every_write),
    ("migration", migration::migration),
    ("migration on a full disk", migration::on_a_full_disk),
    ("migration read-only", migration::where_nothing_can_be_written),
    ("on a network", network::on_a_network),
    ("without threads", scarce::without_threads),
    ("without descriptors", scarce::without_descriptors),
    ("remembered", secrecy::remembered),
    ("little space", scarce::little_space),
    ("another user", open::another_user),
    ("without permission", segments::without_permission),
];

/// Another user than root and the one of the tests.
const OTHER: u32 = 54_321;

fn is_root() -> bool {
    // SAFETY: cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// In a worker: root becomes another user, to whom files may be closed.
fn become_other() {
    // SAFETY: plain calls; this process is for this alone.
    assert_eq!(unsafe { [libc::setgid(OTHER), libc::setuid(OTHER)] }, [0, 0]);
}

/// The warnings that name this folder.
fn warnings(folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    let lines = so_far();
    lines.iter().filter(|line| line.contains(&folder)).cloned().collect()
}
