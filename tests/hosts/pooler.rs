//! A pooler in transaction mode between hosts and `PostgreSQL`: each transaction may have another session, and
//! notifications are dropped.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use plexindex::inside::Deadline;
use plexindex_sharing::SharedIndex;

use crate::cluster::{Cluster, alone, as_nobody, shared};
use crate::contract;
use crate::fixture::{Fixture, matched};
use crate::host::host;
use crate::shared_faults::hosts::Host;
use crate::support::{clock, movies, path_of};

/// A running pgbouncer, before all databases of a cluster.
struct Pooler(Child);

impl Pooler {
    fn start(cluster: &Cluster) -> Option<Self> {
        let places = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"];
        let Some(program) = places.into_iter().find(|file| Path::new(file).is_file()) else {
            assert!(
                std::env::var_os("CI").is_none(),
                "pgbouncer is not installed: apt-get install pgbouncer"
            );
            eprintln!("the tests of a pooler are skipped: pgbouncer is not installed");
            return None;
        };
        let (folder, port) = (cluster.folder().display(), cluster.port);
        let settings = format!(
            "[databases]\n* = host={folder} port={port} user=postgres\n[pgbouncer]\npool_mode = transaction\n\
             auth_type = any\nlisten_port = 6432\nunix_socket_dir = {folder}\ndefault_pool_size = 2\n"
        );
        let settings = cluster.file("pgbouncer.ini", &settings);
        let mut command = as_nobody(program);
        command.arg("--quiet").arg(settings).stdin(Stdio::null());
        let pooler = Self(command.spawn().expect("started"));
        let begin = Instant::now();
        while UnixStream::connect(cluster.folder().join(".s.PGSQL.6432")).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(20), "pgbouncer does not start");
            thread::sleep(Duration::from_millis(5));
        }
        Some(pooler)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.0.kill().expect("ended");
        self.0.wait().expect("ended");
    }
}

#[test]
fn a_pooler_in_transaction_mode_is_no_obstacle() {
    let Some(cluster) = shared() else { return };
    let Some(_pooler) = Pooler::start(cluster) else { return };
    let fixture = || {
        let name = cluster.database().name;
        let address = format!("postgresql://postgres@:6432/{name}?host={}", cluster.folder().display());
        Fixture::of_postgres(&address)
    };
    contract::each_that_needs_no_notification(fixture);
    // Hosts that take turns on the sessions.
    let first = fixture();
    let second = Fixture::of_postgres(&first.address());
    for round in 1..20 {
        let (writes, reads) = if round % 2 == 0 {
            (&first, &second)
        } else {
            (&second, &first)
        };
        writes.append(&[matched(&round.to_string(), "")]);
        assert_eq!(reads.all().len(), round);
    }
    // A notification may be lost: the number is read at the end of a wait.
    let (log, view) = (&first.log, first.view);
    _ = log.wait(view, 19, Duration::from_millis(10)).expect("waited");
    second.append(&[matched("20", "")]);
    assert_eq!(log.wait(view, 19, Duration::from_millis(100)), Ok(true));
    assert_eq!(log.wait(view, 20, Duration::from_millis(10)), Ok(false));
    assert_eq!(log.summary(Deadline::NONE).expect("read").len(), 1);
}

#[test]
fn a_host_that_follows_needs_no_notification() {
    let Some(cluster) = alone() else { return };
    let Some(_pooler) = Pooler::start(&cluster) else { return };
    let (name, folder) = (cluster.database().name, cluster.folder().display());
    let address = format!("postgresql://postgres@:6432/{name}?host={folder}&connect_timeout=30");
    let (server, clock) = (movies(20), clock());
    let hosts = [true, true, false].map(|has_thread| host(&server, &clock, &address, has_thread));
    hosts.iter().for_each(Host::refresh);
    let [often, now_and_then, one] = hosts;
    let (_, key) = path_of(&server, 1, 7);
    let taken = |host: &Host| host.index.shared_progress().and_then(|place| place.taken);
    for path in ["/mnt/odd/1.mkv", "/mnt/odd/2.mkv"] {
        for host in [&often, &now_and_then] {
            host.index.follow_shared_until(false).expect("it shares");
        }
        one.record(path, &key);
        assert!(one.index.exchange());
        let last = taken(&one);
        let begun = Instant::now();
        // A question would make a host look: the command asks none.
        while [&often, &now_and_then].map(taken).iter().any(|number| *number < last) {
            assert!(begun.elapsed() < Duration::from_secs(9), "{path} is not noticed");
            // A host asks for its progress, as the command does.
            often.index.follow_shared_until(false).expect("it shares");
            if begun.elapsed().as_millis() % 500 < 2 {
                now_and_then.index.follow_shared_until(false).expect("it shares");
            }
            thread::sleep(Duration::from_millis(1));
        }
        let known = [&often, &now_and_then].map(|host| host.confirmed(path));
        assert_eq!(known, [Some(key.clone()), Some(key.clone())]);
    }
}
