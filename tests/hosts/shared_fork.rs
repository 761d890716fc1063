//! A host that shares an index forks while it records. In a process of its own: a fork takes the locks of all that is open.

use crate::shared_faults::gate;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use crate::support::index::{Index, QueryOptions};
use crate::support::{clock, movies, options, path_of};
use plexindex::options::{Mapping, Options};
use plexindex_sharing::{SharedIndex, SharedLog};
use plexindex_tests::memory_log::MemoryLog;

fn record_and_fork() {
    let (server, clock) = (movies(60), clock());
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options {
        shared: Some("memory".into()),
        mappings: vec![Mapping::host_to_server("/mnt", "/media")],
        ..options(&server, folder.path())
    };
    let log = Arc::new(MemoryLog::new(Arc::clone(&clock) as _)) as Arc<dyn SharedLog>;
    let index = Index::open_with_log(&options, clock as _, (log, true)).expect("opened");
    index.refresh(&QueryOptions::default(), false).expect("refreshed");
    let library = index.library("Movies").expect("a handle");
    let (_, key) = path_of(&server, 1, 5);
    let user = std::fs::metadata("/proc/self").map_or(0, |facts| facts.uid());
    let stops = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0_u32;
            while !stops.load(Ordering::Relaxed) {
                let path = format!("/mnt/odd/{number}.mkv");
                library.record_matches(&[(path.as_bytes(), &key)]).expect("recorded");
                number = (number + 1) % 20;
            }
        });
        for _ in 0..150 {
            // With a user the standard library forks: otherwise the system starts the program.
            let done = Command::new("true").uid(user).status();
            assert!(done.is_ok_and(|status| status.success()));
        }
        stops.store(true, Ordering::Relaxed);
    });
}

/// Its parent's thread, which renews leases, is not in the child.
#[test]
#[allow(unsafe_code)] // forks
fn a_forked_child_renews_the_lease_under_which_it_lists() {
    let (server, clock) = (movies(20), clock());
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options {
        shared: Some("memory".into()),
        ..options(&server, folder.path())
    };
    let log = Arc::new(MemoryLog::new(Arc::clone(&clock) as _)) as Arc<dyn SharedLog>;
    let index = Index::open_with_log(&options, clock as _, (log, true)).expect("opened");
    index.refresh(&QueryOptions::default(), false).expect("refreshed");
    // Safety: the child calls nothing but this index, which allows it.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let is_listed = index.refresh(&QueryOptions::default(), true).is_ok();
        let threads = std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
        // Safety: nothing of the parent is left to this process.
        unsafe { libc::_exit(i32::from(!is_listed || threads < 2)) };
    }
    let mut status = 0;
    // Safety: the child is this process's own.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0, "a thread runs beside the listing's");
}

/// Without a server nothing is exchanged, and the status still connects.
#[test]
fn connections_of_an_index_without_a_server_are_closed_before_a_fork() {
    let (server, clock) = (movies(20), clock());
    let folder = tempfile::tempdir().expect("a folder");
    let user = std::fs::metadata("/proc/self").map_or(0, |facts| facts.uid());
    for server_url in [None, Some("http://127.0.0.1:1".to_owned())] {
        let options = Options {
            shared: Some("memory".into()),
            server_url,
            ..options(&server, folder.path())
        };
        let log = gate::Gate::new(Arc::new(MemoryLog::new(Arc::clone(&clock) as _)));
        let its_log = Arc::clone(&log) as Arc<dyn SharedLog>;
        let index = Index::open_with_log(&options, Arc::clone(&clock) as _, (its_log, true)).expect("opened");
        assert!(index.shared_status().expect("there").expect("shared").reachable);
        let done = Command::new("true").uid(user).status();
        assert!(done.is_ok_and(|status| status.success()));
        assert!(log.forks() > 0, "{:?}", options.server_url);
        index.close().expect("closed");
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
