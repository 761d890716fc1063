//! A host, and how long its calls take.

use std::sync::Arc;
use std::time::{Duration, Instant};

use plexindex::model::MatchKind;
use plexindex::options::{Mapping, Options};
use plexindex_sharing::SharedLog;
use plexindex_sharing::postgres::{Postgres, parse};
use plexindex_standin::Standin;
use tempfile::TempDir;

use crate::link::Link;
use crate::support::index::{Index, Library, ManualClock, QueryOptions};
use crate::support::{offline, options};

/// Far more than a call may lose, and far less than the 5 s that an engine has to answer where nobody waits.
pub const SHORT: Duration = Duration::from_secs(2);

/// A host that calls the server's `/media` `/mnt`.
pub struct Host {
    pub index: Index,
    pub movies: Library,
    pub log: Arc<Postgres>,
    _folder: TempDir,
}

impl Host {
    pub fn new(server: &Standin, clock: &Arc<ManualClock>, address: &str, has_thread: bool) -> Self {
        let log = Postgres::new(parse(address, |_| None).expect("valid"));
        Self::with_log(server, clock, log, has_thread)
    }

    pub fn with_log(server: &Standin, clock: &Arc<ManualClock>, log: Postgres, has_thread: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let options = Options {
            shared: Some(log.name().into()),
            mappings: vec![Mapping::host_to_server("/mnt", "/media")],
            ..options(server, folder.path())
        };
        let log = Arc::new(log);
        let its_log = Arc::clone(&log) as Arc<dyn SharedLog>;
        let index = Index::open_with_log(&options, Arc::clone(clock) as _, (its_log, has_thread)).expect("opened");
        Self {
            movies: index.library("Movies").expect("a handle"),
            index,
            log,
            _folder: folder,
        }
    }

    pub fn record(&self, path: &str, key: &str) {
        self.movies.record_matches(&[(path.as_bytes(), key)]).expect("recorded");
    }

    pub fn refresh(&self) {
        self.index.refresh(&QueryOptions::default(), false).expect("refreshed");
    }

    pub fn confirmed(&self, path: &str) -> Option<String> {
        let answer = self.index.match_path(&offline(&self.movies), path.as_bytes());
        let answer = answer.expect("answered");
        let is_confirmed = answer.match_kind == MatchKind::Confirmed;
        answer.item.filter(|_| is_confirmed).map(|item| item.item.rating_key)
    }
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
