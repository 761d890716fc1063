//! What the handles of a simulation reach: a clock that stands still, URLs behind which servers in memory answer, and the
//! points at which a process may be killed.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::support::index::Clock;
use plexindex::error::Status;
use plexindex::source::{Counters, Source};

use plexindex_tests::hooked::Hooked;
use plexindex_tests::memory::Memory;

/// How many URLs there are. Behind each one of two servers answers, and no server behind two.
pub const URLS: usize = 2;

/// What each user is shown. The second one is not shown all.
const SEES: [fn(&str) -> bool; 3] = [|_| true, |key| !key.starts_with(['0', '1', '2', '3']), |_| true];

/// Whether a user is shown the item with this key.
pub fn sees(user: usize, key: &str) -> bool {
    SEES[user](key)
}

/// A kill: the folder as it is at a counted point, which is all that a process leaves that is killed there.
///
/// The points are those where the library reads the clock, requests that are no pages, and commits, before they are written: a
/// page is asked for on another thread than the one that stores the page before, so that what the folder holds then depends
/// on the scheduler.
#[derive(Default)]
struct Kill {
    /// Points left, the folder, and where its copy goes.
    armed: Option<(u64, PathBuf, PathBuf)>,
    fired: bool,
}

/// The clock and the network of one simulation.
pub struct Net {
    now_ms: AtomicI64,
    pub servers: Vec<Memory>,
    routes: Mutex<[usize; URLS]>,
    /// What went wrong: URL, status, and what the clock showed.
    failures: Mutex<Vec<(usize, Status, i64)>>,
    kill: Mutex<Kill>,
    /// A change of a server, before so many requests more.
    change: Mutex<Option<(u64, Change)>>,
}

type Change = Box<dyn FnOnce() + Send>;

impl Net {
    pub fn new(now_ms: i64, servers: Vec<Memory>) -> Arc<Self> {
        Arc::new(Self {
            now_ms: AtomicI64::new(now_ms),
            servers,
            routes: Mutex::new([0, 1]),
            failures: Mutex::default(),
            kill: Mutex::default(),
            change: Mutex::default(),
        })
    }

    pub fn now(&self) -> i64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    pub fn advance(&self, ms: i64) {
        self.now_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// Which server answers behind a URL.
    pub fn route(&self, url: usize) -> usize {
        lock(&self.routes)[url]
    }

    /// Another server answers behind a URL from now on.
    pub fn swap(&self, url: usize) {
        let mut routes = lock(&self.routes);
        routes[url] = (routes[url] + URLS) % (2 * URLS);
    }

    pub fn server(&self, url: usize) -> &Memory {
        &self.servers[self.route(url)]
    }

    /// Whether a URL failed with this status within so many milliseconds.
    pub fn failed(&self, url: usize, status: Status, within_ms: i64) -> bool {
        let now = self.now();
        let failures = lock(&self.failures);
        (failures.iter()).any(|(at, what, ms)| (*at, *what) == (url, status) && (now - ms).abs() <= within_ms)
    }

    /// How many requests failed, by status.
    pub fn failures(&self) -> Vec<Status> {
        lock(&self.failures).iter().map(|(_, status, _)| *status).collect()
    }

    /// Whether any request to a URL failed within so many milliseconds.
    pub fn failed_at_all(&self, url: usize, within_ms: i64) -> bool {
        let now = self.now();
        let failures = lock(&self.failures);
        (failures.iter()).any(|(at, _, ms)| *at == url && (now - ms).abs() <= within_ms)
    }

    /// A source that asks whichever server answers behind a URL now.
    pub fn source(self: &Arc<Self>, url: usize, user: usize, counters: &Arc<Counters>) -> Arc<dyn Source> {
        let servers = self.servers.iter();
        let servers: Vec<_> = servers
            .map(|server| server.source_for(Arc::clone(counters), SEES[user]))
            .collect();
        let [net, at_point, failing, changing] = [(); 4].map(|()| Arc::clone(self));
        Arc::new(Hooked {
            begins: Box::new(move |request| {
                changing.change_now();
                if request != "page" {
                    at_point.point();
                }
            }),
            fails: Box::new(move |status| lock(&failing.failures).push((url, status, failing.now()))),
            real: Box::new(move || Arc::clone(&servers[net.route(url)])),
            ..Hooked::new(self.servers[0].source(Arc::clone(counters)))
        })
    }

    /// Changes a server before a request to come.
    pub fn change_before(&self, requests: u64, change: Change) {
        *lock(&self.change) = Some((requests, change));
    }

    /// Whether there is no such change, or it has come. It comes no more.
    pub fn has_changed(&self) -> bool {
        lock(&self.change).take().is_none()
    }

    fn change_now(&self) {
        let mut next = lock(&self.change);
        if let Some((requests, change)) = next.take() {
            match requests {
                0 => change(),
                _ => *next = Some((requests - 1, change)),
            }
        }
    }

    /// Kills at a point to come: the folder is copied there.
    pub fn arm(&self, points: u64, folder: &Path, copy: &Path) {
        *lock(&self.kill) = Kill {
            armed: Some((points, folder.to_owned(), copy.to_owned())),
            fired: false,
        };
    }

    /// Whether the kill came before the call returned that is being made now.
    pub fn killed(&self) -> bool {
        lock(&self.kill).fired
    }

    /// The kill comes now at the latest. Gives whether it had come before.
    pub fn disarm(&self) -> bool {
        let mut kill = lock(&self.kill);
        if let Some((_, folder, copy)) = kill.armed.take() {
            copy_folder(&folder, &copy);
        }
        std::mem::take(&mut kill.fired)
    }

    /// The process may be killed here.
    pub fn point(&self) {
        let mut kill = lock(&self.kill);
        match &mut kill.armed {
            None => {}
            Some((0, folder, copy)) => {
                copy_folder(folder, copy);
                *kill = Kill {
                    armed: None,
                    fired: true,
                };
            }
            Some((points, ..)) => *points -= 1,
        }
    }
}

impl Clock for Net {
    fn now_ms(&self) -> i64 {
        self.point();
        self.now()
    }

    /// No call takes any time.
    fn has_passed(&self, _: Instant) -> bool {
        false
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All files of a folder, as any process sees them now.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder for the copy");
    for entry in std::fs::read_dir(from).expect("the folder") {
        let entry = entry.expect("an entry");
        // One that is renamed meanwhile is not there, as it is after a kill.
        let _ = std::fs::copy(entry.path(), to.join(entry.file_name()));
    }
}
