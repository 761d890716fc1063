//! A server, a database, and hosts with a folder each.

use std::sync::Arc;

use plexindex::inside::Clock;
use plexindex::model::MatchKind;
use plexindex::options::{Mapping, Options};
use plexindex_sharing::{SharedIndex, SharedStatus};
use plexindex_standin::Standin;
use tempfile::TempDir;

use crate::cluster::{Database, shared};
use crate::support::index::{Ask as _, Index, Library, ManualClock};
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

    /// A host that has not asked the server, with another way to a database.
    pub fn host_at(&self, address: String) -> Host {
        self.new_host(|options| options.shared = Some(address))
    }

    pub fn open(&self, options: Options, folder: Option<TempDir>) -> Host {
        Host::open(options, folder, Arc::clone(&self.clock) as _)
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

    /// Takes a backup of the shared database, and returns its name.
    pub fn backup(&self) -> String {
        let name = &self.database.name;
        // Otherwise hosts connect again at once, and a database in use is not copied.
        self.database.cluster.each(&[
            format!("DROP DATABASE IF EXISTS {name}_backup"),
            format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"),
            format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"),
            format!("CREATE DATABASE {name}_backup TEMPLATE {name}"),
            format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"),
        ]);
        format!("{name}_backup")
    }

    /// Puts a backup in place of the shared database.
    pub fn restore(&self, backup: &str) {
        let name = &self.database.name;
        self.database.cluster.each(&[
            format!("DROP DATABASE {name} WITH (FORCE)"),
            format!("ALTER DATABASE {backup} RENAME TO {name}"),
        ]);
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
    pub fn open(options: Options, folder: Option<TempDir>, clock: Arc<dyn Clock>) -> Self {
        let index = Index::open_with_clock(options.clone(), clock).expect("opened");
        Self {
            movies: index.movies(),
            index,
            options,
            folder,
        }
    }

    /// Its process ends.
    pub fn end(self) -> (Options, Option<TempDir>) {
        self.index.close().expect("closed");
        (self.options, self.folder)
    }

    pub fn refresh(&self) {
        self.index.query().refreshed(false).expect("refreshed");
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
        let found = offline(&self.movies).matched(path).expect("answered");
        let item = found.item.filter(|_| found.match_kind == MatchKind::Confirmed);
        item.map(|item| (item.rating_key, found.stale))
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
