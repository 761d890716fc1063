//! A limit on what the folder takes: libraries that were asked for longest ago are evicted, one by one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::upkeep::SWEEP;
use crate::error::Result;
use crate::model::LibraryId;
use crate::platform::clock::Clock;
use crate::platform::fork::{Release, hold};
use crate::platform::mutex::lock;
use crate::store::{Patience, Store};

/// How long this waits for other writers.
const SHORTLY: Duration = Duration::from_secs(1);

/// The limit of one handle on its folder.
pub struct Limit {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    bytes: Option<u64>,
    looked: Mutex<Looked>,
    /// A thread is evicting. No lock: a fork would wait for it, and it may take its time.
    evicting: AtomicBool,
    /// The log says that the limit is too small.
    said: AtomicBool,
}

/// When the folder was looked at last.
#[derive(Default)]
struct Looked {
    at: Option<Instant>,
    /// Something is left to be done.
    unfinished: bool,
}

/// Until it is dropped, a thread evicts.
struct Busy<'l>(&'l AtomicBool);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Limit {
    pub fn new(store: Arc<Store>, clock: Arc<dyn Clock>, bytes: Option<u64>) -> Self {
        Self {
            store,
            clock,
            bytes,
            looked: Mutex::default(),
            evicting: AtomicBool::new(false),
            said: AtomicBool::new(false),
        }
    }

    /// Its lock, held through a fork.
    pub fn hold(self: &Arc<Self>) -> Box<dyn Release> {
        Box::new(hold(self, |limit| &limit.looked))
    }

    /// In the child of a fork: the thread that evicts goes on in the parent only.
    pub fn after_fork(&self) {
        self.evicting.store(false, Ordering::Release);
    }

    /// The limit; `None`: there is none.
    pub fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    /// Bytes by which what has to stay is more than the limit.
    ///
    /// # Errors
    /// The store's.
    pub fn exceeded(&self) -> Result<u64> {
        self.bytes
            .map_or(Ok(0), |limit| Ok(self.store.bytes_kept()?.saturating_sub(limit)))
    }

    /// Whether the folder takes more.
    pub fn is_over(&self) -> bool {
        self.bytes.is_some_and(|limit| self.store.folder().disk_bytes() > limit)
    }

    /// Whether the folder has to be looked at: it was not within this time, or what was begun then is not done.
    pub fn is_due(&self, every: Duration) -> bool {
        self.bytes.is_some() && {
            let looked = lock(&self.looked);
            looked.unfinished || looked.at.is_none_or(|at| at.elapsed() >= every)
        }
    }

    /// Brings the folder within the limit, as far as that can be done until then. The libraries that `stays` names are being
    /// read. An error is no caller's: its answer does not need this.
    pub fn keep(&self, until: Option<Instant>, stays: &dyn Fn(LibraryId) -> bool) {
        let Some(limit) = self.bytes else { return };
        if self.evicting.swap(true, Ordering::AcqRel) {
            return; // one thread is enough
        }
        let _busy = Busy(&self.evicting);
        let _held = Patience::now().at_most(SHORTLY).until(until).hold();
        let done = self.evict_down_to(limit, until, stays);
        if let Err(error) = &done {
            log::warn!("the folder could not be brought within size_limit; it is tried again later: {error}");
        }
        *lock(&self.looked) = Looked {
            at: Some(Instant::now()),
            unfinished: matches!(done, Ok(false)),
        };
    }

    /// Whether all was done that can be done.
    fn evict_down_to(&self, limit: u64, until: Option<Instant>, stays: &dyn Fn(LibraryId) -> bool) -> Result<bool> {
        let late = || until.is_some_and(|until| Instant::now() >= until);
        loop {
            if self.store.folder().disk_bytes() <= limit {
                self.said.store(false, Ordering::Relaxed);
                return Ok(true);
            }
            // What went before counts until it is swept: no library goes for that.
            while self.store.sweep(SWEEP)? {
                if late() {
                    return Ok(false);
                }
            }
            self.store.sweep_images();
            while self.store.give_back()? {
                if late() {
                    return Ok(false);
                }
            }
            self.store.settle();
            // Of the log what others still read stays a moment longer.
            let kept = self.store.bytes_kept()?;
            if kept <= limit {
                self.said.store(false, Ordering::Relaxed);
                return Ok(true);
            }
            let libraries = self.store.evictable(self.clock.now_ms())?;
            let Some(library) = libraries.iter().find(|one| !stays(one.id)) else {
                if !self.said.swap(true, Ordering::Relaxed) {
                    log::warn!(
                        "{} takes {kept} bytes, more than size_limit={limit}, and all of it has to stay: recorded matches, \
                         what the host keeps, and the library asked for last; raise size_limit",
                        self.store.folder().path().display()
                    );
                }
                return Ok(true);
            };
            if self.store.evict(library.id, self.clock.now_ms())? {
                log::info!(
                    "'{}' was asked for longest ago, and goes: {kept} bytes are more than size_limit={limit}; the next \
                     question fetches it again",
                    library.title
                );
            }
        }
    }
}
