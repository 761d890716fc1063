//! A server, a database, and hosts with a folder each.

use std::sync::Arc;

use plexindex::inside::Clock;
use plexindex::model::MatchKind;
use plexindex::options::{Mapping, Options};
use plexindex_sharing::{SharedIndex, SharedStatus};
use plexindex_standin::Standin;
use tempfile::TempDir;

use crate::cluster::{Database, shared};
use crate::support::index::{Index, Library, ManualClock, QueryOptions};
use crate::support::worker::until;
use crate::support::{clock, movies, offline, options, path_of};

pub struct World {
    pub server: Standin,
    pub clock: Arc<ManualClock>,
    pub database: Database<'static>,
}

pub struct Host {
    pub options: Options,
    pub index: Index,
    pub movies: Library,
    folder: Option<TempDir>,
}

impl World {
    /// A world with a new database; `None` without `PostgreSQL`.
    pub fn new() -> Option<Self> {
        Some(Self::over(shared()?.database()))
    }

    pub fn over(database: Database<'static>) -> Self {
        Self {
            server: movies(30),
            clock: clock(),
            database,
        }
    }

    /// A host with `/mnt` for the server's `/media`, which has listed the library.
    pub fn host(&self) -> Host {
        self.host_with(|_| {})
    }

    pub fn host_with(&self, change: impl FnOnce(&mut Options)) -> Host {
        let host = self.new_host(change);
        host.refresh();
        host
    }

    /// A host that has not asked the server.
    pub fn new_host(&self, change: impl FnOnce(&mut Options)) -> Host {
        let folder = tempfile::tempdir().expect("a folder");
        let mut options = Options {
            shared: Some(self.database.address("postgres")),
            mappings: vec![Mapping::host_to_server("/mnt", "/media")],
            ..options(&self.server, folder.path())
        };
        change(&mut options);
        self.open(options, Some(folder))
    }

    pub fn open(&self, options: Options, folder: Option<TempDir>) -> Host {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let index = Index::open_with_clock(options.clone(), clock).expect("opened");
        Host {
            movies: index.movies(),
            index,
            options,
            folder,
        }
    }

    /// The host in a new process, with other options.
    pub fn reopened(&self, host: Host, change: impl FnOnce(&mut Options)) -> Host {
        let (mut options, folder) = host.end();
        change(&mut options);
        self.open(options, folder)
    }

    /// The rating key of an item of the library.
    pub fn key(&self, nth: usize) -> String {
        path_of(&self.server, 1, nth).1
    }

    /// Rows of the shared database that are matches, and those that are not.
    pub fn rows(&self) -> String {
        let count = "SELECT count(key), count(*) - count(key) FROM plexindex_shared.matches";
        self.database.sql(count)
    }

    /// Waits until these hosts have delivered and read everything.
    pub fn exchange(&self, hosts: &[&Host]) {
        for host in hosts {
            host.deliver();
        }
        let last = "SELECT seq FROM plexindex_shared.views ORDER BY written DESC NULLS LAST LIMIT 1";
        let last = self.database.sql(last).parse().unwrap_or(0);
        for host in hosts {
            until("everything is read", || host.taken() >= Some(last));
        }
    }
}

impl Host {
    /// Its process ends.
    pub fn end(self) -> (Options, Option<TempDir>) {
        self.index.close().expect("closed");
        (self.options, self.folder)
    }

    pub fn refresh(&self) {
        self.index.refresh(&QueryOptions::default(), false).expect("refreshed");
    }

    pub fn record(&self, path: &str, key: &str) {
        self.movies.record(path, key);
    }

    /// Waits until the database has everything.
    pub fn deliver(&self) {
        until("everything is delivered", || self.index.shared_deliver().is_ok());
    }

    pub fn status(&self) -> SharedStatus {
        self.index.shared_status().expect("read").expect("it shares")
    }

    /// Number of the last row that it has read.
    pub fn taken(&self) -> Option<u64> {
        self.index.shared_progress().expect("it shares").taken
    }

    /// The item that is recorded for a path, and whether the answer is stale.
    pub fn answer(&self, path: &str) -> Option<(String, bool)> {
        let found = self
            .index
            .match_path(&offline(&self.movies), path.as_bytes())
            .expect("answered");
        let item = found.item.filter(|_| found.match_kind == MatchKind::Confirmed);
        item.map(|item| (item.item.rating_key, found.stale))
    }

    /// The item that is recorded for a path.
    pub fn recorded(&self, path: &str) -> Option<String> {
        self.answer(path).map(|(key, _)| key)
    }
}

/// Two hosts that have listed the library.
pub fn pair() -> Option<(World, Host, Host)> {
    let world = World::new()?;
    let (one, two) = (world.host(), world.host());
    Some((world, one, two))
}
