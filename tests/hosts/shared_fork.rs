//! A host that shares a log forks while it records. In a process of its own: a fork takes the locks of all that is open.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use crate::shared_faults::hosts::World;
use crate::support::index::QueryOptions;
use crate::support::path_of;
use plexindex_sharing::SharedIndex;

fn fork() {
    // With a user the standard library forks: otherwise the system starts the program.
    let user = std::fs::metadata("/proc/self").map_or(0, |facts| facts.uid());
    let done = Command::new("true").uid(user).status();
    assert!(done.is_ok_and(|status| status.success()));
}

fn record_and_fork() {
    let world = World::with_threads(60);
    let (host, stops) = (world.host(), AtomicBool::new(false));
    let (_, key) = path_of(&world.server, 1, 5);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in (0..20).cycle().take_while(|_| !stops.load(Ordering::Relaxed)) {
                host.record(&format!("/mnt/odd/{number}.mkv"), &key);
            }
        });
        (0..150).for_each(|_| fork());
        stops.store(true, Ordering::Relaxed);
    });
}

/// Its parent's thread, which exchanges news, is not in the child.
#[test]
#[allow(unsafe_code)] // forks
fn a_forked_child_has_a_thread_of_its_own() {
    let world = World::with_threads(20);
    let host = world.host();
    // Safety: the child calls nothing but this index, which allows it.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let is_listed = host.index.refresh(&QueryOptions::default(), true).is_ok();
        let threads = std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
        // Safety: nothing of the parent is left to this process.
        unsafe { libc::_exit(i32::from(!is_listed || threads < 2)) };
    }
    let mut status = 0;
    // Safety: the child is this process's own.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0, "a thread exchanges news");
}

/// Without a server nothing is exchanged, and the status still connects.
#[test]
fn connections_of_an_index_without_a_server_are_closed_before_a_fork() {
    let world = World::with_threads(20);
    for server_url in [None, Some("http://127.0.0.1:1".to_owned())] {
        let host = world.new_host(|options| options.server_url.clone_from(&server_url));
        assert!(host.index.shared_status().expect("there").expect("shared").reachable);
        fork();
        assert!(host.gate.forks() > 0, "{server_url:?}");
    }
}

#[test]
fn a_host_forks_while_it_records() {
    let (ended, end) = mpsc::channel();
    // On a thread of its own: a fork that waits for ever fails the test.
    std::thread::spawn(move || {
        record_and_fork();
        ended.send(()).expect("awaited");
    });
    end.recv_timeout(Duration::from_secs(60))
        .expect("no fork waits for a lock of a thread that waits for the fork");
}
