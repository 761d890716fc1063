//! A host of a log in `PostgreSQL`, and how long its calls take.

use std::sync::Arc;
use std::time::{Duration, Instant};

use plexindex::options::{Mapping, Options};
use plexindex_sharing::SharedLog;
use plexindex_sharing::postgres::Postgres;
use plexindex_standin::Standin;

use crate::cluster;
use crate::link::Link;
use crate::shared_faults::hosts::Host;
use crate::support::index::ManualClock;
use crate::support::options;

/// Far more than a call may lose, and far less than the 5 s that an engine has to answer where nobody waits.
pub const SHORT: Duration = Duration::from_secs(2);

/// A host that calls the server's `/media` `/mnt`.
pub fn host(server: &Standin, clock: &Arc<ManualClock>, address: &str, has_thread: bool) -> Host {
    host_of(server, clock, cluster::log(address), has_thread)
}

pub fn host_of(server: &Standin, clock: &Arc<ManualClock>, log: Postgres, has_thread: bool) -> Host {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options {
        shared: Some(log.name().into()),
        mappings: vec![Mapping::host_to_server("/mnt", "/media")],
        ..options(server, folder.path())
    };
    Host::open(options, Arc::clone(clock), Some(folder), (Arc::new(log), has_thread))
}

/// Runs a call, which may lose one short attempt.
pub fn timed<R>(link: &Link, what: &str, attempts: usize, call: impl FnOnce() -> R) -> R {
    let (begun, before) = (Instant::now(), link.connections());
    let result = call();
    let elapsed = begun.elapsed();
    assert!(elapsed < SHORT, "{what}: {elapsed:?}");
    let tried = link.connections() - before;
    assert!(tried <= attempts, "{what}: {tried} attempts");
    result
}
