//! A server, a log, and hosts with a folder each. No thread exchanges news, or the tests say that one does.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use plexindex::model::MatchKind;
use plexindex::options::{Mapping, Options, Ttl};
use plexindex_sharing::{Entry, HostId, NewEntry, Position, SharedLog, ViewNumber};
use plexindex_standin::Standin;
use plexindex_tests::memory_log::MemoryLog;
use tempfile::TempDir;

use crate::fixture::append;
use crate::shared_faults::gate::Gate;
use crate::support::index::{Index, Library, ManualClock, QueryOptions};
use crate::support::{clock, movies, offline, options};
use crate::support::{copy_files, copy_of};

pub const NONE: plexindex::inside::Deadline = plexindex::inside::Deadline::NONE;

pub struct World {
    pub server: Standin,
    /// The log's.
    pub clock: Arc<ManualClock>,
    pub log: Arc<MemoryLog>,
    /// Whether a thread of each host exchanges news.
    pub has_threads: bool,
}

pub struct Host {
    pub options: Options,
    pub index: Index,
    pub movies: Library,
    pub gate: Arc<Gate>,
    /// This host's.
    pub clock: Arc<ManualClock>,
    folder: Option<TempDir>,
}

impl World {
    pub fn of(items: u32) -> Self {
        Self::over(movies(items))
    }

    pub fn with_threads(items: u32) -> Self {
        Self {
            has_threads: true,
            ..Self::of(items)
        }
    }

    pub fn over(server: Standin) -> Self {
        let clock = clock();
        Self {
            server,
            log: Arc::new(MemoryLog::new(Arc::clone(&clock) as _).with_history(200)),
            clock,
            has_threads: false,
        }
    }

    /// A host with `/mnt` for the server's `/media`, which has listed the library.
    pub fn host(&self) -> Host {
        self.host_with(|options| options.mappings = vec![Mapping::host_to_server("/mnt", "/media")])
    }

    pub fn host_with(&self, change: impl FnOnce(&mut Options)) -> Host {
        let host = self.new_host(change);
        host.refresh();
        host
    }

    pub fn new_host(&self, change: impl FnOnce(&mut Options)) -> Host {
        let folder = tempfile::tempdir().expect("a folder");
        let mut options = Options {
            shared: Some("memory".into()),
            library_ttl: Ttl::For(Duration::from_secs(3_600)),
            ..options(&self.server, folder.path())
        };
        change(&mut options);
        self.open(options, Arc::clone(&self.clock), Some(folder))
    }

    pub fn open(&self, options: Options, clock: Arc<ManualClock>, folder: Option<TempDir>) -> Host {
        Host::open(options, clock, folder, (Arc::clone(&self.log) as _, self.has_threads))
    }

    /// The host in a new process, with other options.
    pub fn reopened(&self, host: Host, change: impl FnOnce(&mut Options)) -> Host {
        let (mut options, clock, folder) = host.end();
        change(&mut options);
        self.open(options, clock, folder)
    }

    /// A new process opens the folder before the old one closes it.
    pub fn overlapped(&self, host: Host) -> Host {
        let Host {
            options,
            index,
            clock,
            folder,
            ..
        } = host;
        let new = self.open(options, clock, folder);
        index.close().expect("closed");
        new
    }

    /// The files of a host are changed between two processes.
    pub fn after(&self, host: Host, change: impl FnOnce(&Path)) -> Host {
        self.reopened(host, |options| change(&options.cache_dir))
    }

    /// The folder of a host is moved, or copied and the old one left: it is another host by now.
    pub fn moved(&self, host: Host) -> Host {
        let (mut options, clock, _old) = host.end();
        let folder = copy_of(&options.cache_dir);
        folder.path().clone_into(&mut options.cache_dir);
        self.open(options, clock, Some(folder))
    }

    /// The only view of the log.
    pub fn view(&self) -> ViewNumber {
        let views = self.log.views();
        assert_eq!(views.len(), 1, "{views:?}");
        views[0]
    }

    /// Writes entries as a host that was broken into may.
    pub fn plant(&self, entries: &[NewEntry]) {
        append(&*self.log, self.view(), entries).expect("written");
    }
}

impl Host {
    /// `log`: what it shares, and whether a thread exchanges news.
    pub fn open(
        options: Options,
        clock: Arc<ManualClock>,
        folder: Option<TempDir>,
        (log, has_thread): (Arc<dyn SharedLog>, bool),
    ) -> Self {
        let gate = Gate::new(log);
        let its_log = (Arc::clone(&gate) as Arc<dyn SharedLog>, has_thread);
        let index = Index::open_with_log(&options, Arc::clone(&clock) as _, its_log).expect("opened");
        Self {
            movies: index.movies(),
            index,
            options,
            gate,
            clock,
            folder,
        }
    }

    /// Its process ends.
    fn end(self) -> (Options, Arc<ManualClock>, Option<TempDir>) {
        self.index.close().expect("closed");
        (self.options, self.clock, self.folder)
    }

    pub fn refresh(&self) {
        self.index.refresh(&QueryOptions::default(), false).expect("refreshed");
    }

    /// Whether it has a listing.
    pub fn has_listed(&self) -> bool {
        self.index.match_path(&offline(&self.movies), b"/x").is_ok()
    }

    /// Delivers and takes all there is.
    pub fn exchange(&self) {
        assert!(self.index.exchange(), "the log is there");
    }

    pub fn record(&self, path: &str, key: &str) {
        self.movies.record(path, key);
    }

    /// Delivers what waits, and reads nothing: as a process that ends does.
    pub fn deliver(&self) {
        self.gate.fail("read");
        assert!(!self.index.exchange());
        self.gate.open();
        self.clock.advance_ms(6_000);
    }

    /// What it answers without a request.
    pub fn known(&self, path: &str) -> Option<(String, MatchKind)> {
        self.known_bytes(path.as_bytes())
    }

    pub fn known_bytes(&self, path: &[u8]) -> Option<(String, MatchKind)> {
        let answer = self.index.match_path(&offline(&self.movies), path).expect("answered");
        let kind = answer.match_kind;
        answer.item.map(|item| (item.item.rating_key, kind))
    }

    /// The item that is recorded for a path.
    pub fn confirmed(&self, path: &str) -> Option<String> {
        let (key, kind) = self.known(path)?;
        (kind == MatchKind::Confirmed).then_some(key)
    }
}

/// Puts a backup into the files of a folder.
pub fn restore(backup: &Path, folder: &Path) {
    for file in std::fs::read_dir(folder).expect("read").flatten() {
        if !backup.join(file.file_name()).exists() {
            let _ = std::fs::remove_file(file.path());
        }
    }
    copy_files(backup, folder);
}

/// Two hosts that have listed the library, and taken what there was.
pub fn pair() -> (World, Host, Host) {
    let world = World::of(20);
    let (one, two) = (world.host(), world.host());
    exchange(&[&one, &two]);
    (world, one, two)
}

/// Each delivers and takes, until nothing is left.
pub fn exchange(hosts: &[&Host]) {
    for _ in 0..2 {
        for host in hosts {
            host.exchange();
        }
    }
}

impl World {
    /// All entries of the log.
    pub fn entries(&self) -> Vec<Entry> {
        let page = (self.log).read(self.view(), HostId(1), Position::default(), usize::MAX, NONE);
        page.expect("read").entries
    }

    /// The uuid of the library.
    pub fn library(&self) -> String {
        self.server
            .change(|state| state.library(1).expect("there").uuid.clone())
    }
}
