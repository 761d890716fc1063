//! A host that shares forks while it records. In a process of its own: a fork takes the locks of all that is open.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use crate::world::World;

fn fork() {
    // With a user the standard library forks: otherwise the system starts the program.
    let user = std::fs::metadata("/proc/self").map_or(0, |facts| facts.uid());
    let done = Command::new("true").uid(user).status();
    assert!(done.is_ok_and(|status| status.success()));
}

fn record_and_fork(world: &World) {
    let (host, stops, key) = (world.host(), AtomicBool::new(false), world.key(5));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in (0..20).cycle().take_while(|_| !stops.load(Ordering::Relaxed)) {
                host.record(&format!("/mnt/odd/{number}.mkv"), &key);
            }
        });
        (0..150).for_each(|_| fork());
        stops.store(true, Ordering::Relaxed);
    });
    host.deliver();
}

#[test]
fn a_host_forks_while_it_records() {
    let Some(world) = World::new() else { return };
    let (ended, end) = mpsc::channel();
    // On a thread of its own: a fork that waits for ever fails the test.
    std::thread::spawn(move || {
        record_and_fork(&world);
        ended.send(()).expect("awaited");
    });
    end.recv_timeout(Duration::from_secs(60))
        .expect("no fork waits for a lock of a thread that waits for the fork");
}
