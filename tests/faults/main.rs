//! Kills, forks, races and disks that fail: what is acknowledged stays, and every answer is right.

mod disk;
mod processes;

use plexindex_tests as support;

#[test]
#[ignore = "played by the other tests, as another process"]
fn worker() {
    support::worker::play(&[disk::ROLES, processes::ROLES]);
}
