//! A log in memory, for tests and simulations: several hosts of one process share it. Its clock is given, and it can be
//! away, silent, full of refusals, or restored from a backup.

mod view;

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use self::view::{MemoryView, Stored, entry, size};
use plexindex::error::{Error, Result, Status};
use plexindex::inside::fork::lock_for_fork;
use plexindex::inside::{Clock, Deadline, ForkLock};
use plexindex_sharing::{
    Entry, EntryName, EntryPage, HostId, LARGEST_BATCH, LogSummary, NewEntry, Position, SharedLog, ViewNumber,
};

/// What is wrong with a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    #[default]
    None,
    /// Every call fails: it cannot be reached.
    Away,
    /// Every call fails as one that got no answer in time, and does so at once.
    Silent,
    /// Writes are refused, as by a replica.
    ReadOnly,
}

/// A log in memory.
pub struct MemoryLog {
    clock: Arc<dyn Clock>,
    shared: Mutex<Shared>,
    changed: Condvar,
}

#[derive(Default)]
struct Shared {
    trouble: Trouble,
    views: BTreeMap<ViewNumber, MemoryView>,
    /// The views before each of the last writes.
    history: VecDeque<BTreeMap<ViewNumber, MemoryView>>,
    /// How many of them are kept.
    kept: usize,
    /// Gives marks, which no restored backup gives again.
    counter: i64,
    is_interrupted: bool,
    is_waiting: bool,
}

impl MemoryLog {
    /// An empty log.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            shared: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// The same, for [`MemoryLog::lose_writes`] of at most so many writes.
    #[must_use]
    pub fn with_history(self, writes: usize) -> Self {
        lock(&self.shared).kept = writes;
        self
    }

    /// Sets what is wrong from now on.
    pub fn set_trouble(&self, trouble: Trouble) {
        lock(&self.shared).trouble = trouble;
        self.changed.notify_all();
    }

    /// The views that it has.
    #[must_use]
    pub fn views(&self) -> Vec<ViewNumber> {
        lock(&self.shared).views.keys().copied().collect()
    }

    /// Loses the last writes of all views, or those that the history has: the log was restored from a backup.
    pub fn lose_writes(&self, writes: usize) {
        let mut shared = lock(&self.shared);
        for _ in 0..writes {
            if let Some(before) = shared.history.pop_back() {
                shared.views = before;
            }
        }
    }

    fn reach(&self, is_write: bool) -> Result<MutexGuard<'_, Shared>> {
        let shared = lock(&self.shared);
        shared.trouble.check(is_write)?;
        Ok(shared)
    }

    /// Changes a view, which is created if a restored log lacks it.
    fn change<R>(&self, view: ViewNumber, change: impl FnOnce(&mut MemoryView, &mut i64, i64) -> R) -> Result<R> {
        let mut shared = self.reach(true)?;
        let now_ms = self.clock.now_ms();
        if shared.kept > 0 {
            let before = shared.views.clone();
            shared.history.push_back(before);
            if shared.history.len() > shared.kept {
                shared.history.pop_front();
            }
        }
        let Shared { views, counter, .. } = &mut *shared;
        let changed = change(views.entry(view).or_default(), counter, now_ms);
        self.changed.notify_all();
        Ok(changed)
    }
}

impl Trouble {
    fn check(self, is_write: bool) -> Result<()> {
        let (status, text) = match self {
            Self::Away => (Status::Connect, "is away"),
            Self::Silent => (Status::Timeout, "is silent"),
            Self::ReadOnly if is_write => (Status::ServerError, "is read-only"),
            Self::None | Self::ReadOnly => return Ok(()),
        };
        Err(Error::new(status, format!("the shared log memory: {text}")))
    }
}

impl SharedLog for MemoryLog {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn secret(&self, _: Deadline) -> Result<[u8; 32]> {
        self.reach(false).map(|_| [7; 32])
    }

    fn view(&self, server: &str, viewer: &[u8], _: Deadline) -> Result<ViewNumber> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one((server, viewer));
        let view = ViewNumber((hash >> 1).cast_signed());
        let mut shared = self.reach(false)?;
        if !shared.views.contains_key(&view) {
            shared.trouble.check(true)?;
        }
        let known = shared.views.entry(view).or_default();
        (known.server, known.viewer) = (server.into(), viewer.into());
        Ok(view)
    }

    fn read(&self, view: ViewNumber, host: HostId, after: Position, limit: usize, _: Deadline) -> Result<EntryPage> {
        let shared = self.reach(false)?;
        let Some(view) = shared.views.get(&view) else {
            return Ok(EntryPage {
                starts_over: after.number > 0,
                ..EntryPage::default()
            });
        };
        let is_known = after.number <= view.last && view.mark(after.number) == Some(after.mark);
        let begin = if is_known { after.number } else { 0 };
        let mut found: Vec<_> = view
            .entries
            .iter()
            .filter(|(_, stored)| stored.number > begin)
            .collect();
        found.sort_by_key(|(_, stored)| stored.number);
        let mut bytes = 0;
        let is_too_much = |(place, (name, stored)): (usize, &(&EntryName, &Stored))| {
            bytes += size(name, stored).unwrap_or(0);
            place > 0 && (place >= limit || bytes > LARGEST_BATCH)
        };
        let end = found.iter().enumerate().position(is_too_much);
        let more = end.is_some();
        found.truncate(end.unwrap_or(found.len()));
        let number = found.last().filter(|_| more).map_or(view.last, |(_, last)| last.number);
        found.retain(|(name, stored)| size(name, stored).is_some());
        Ok(EntryPage {
            entries: found.iter().map(|(name, stored)| entry(name, stored)).collect(),
            position: Position {
                number,
                mark: view.mark(number).unwrap_or(0),
            },
            delivered: view.delivered.get(&host).copied().unwrap_or(0),
            has_more: more,
            starts_over: begin != after.number,
        })
    }

    fn find(&self, view: ViewNumber, names: &[EntryName], _: Deadline) -> Result<Vec<Entry>> {
        let shared = self.reach(false)?;
        let found = |name| {
            let stored = shared.views.get(&view)?.entries.get(name)?;
            size(name, stored).map(|_| entry(name, stored))
        };
        Ok(names.iter().filter_map(found).collect())
    }

    fn deliver(
        &self,
        view: ViewNumber,
        host: HostId,
        known: u64,
        entries: &[(u64, NewEntry)],
        _: Deadline,
    ) -> Result<u64> {
        let last = entries.last().map_or(0, |(number, _)| *number);
        self.change(view, |view, counter, now_ms| {
            let upto = view.delivered.get(&host).copied().unwrap_or(0);
            let is_own = || entries.iter().any(|(number, _)| *number == upto);
            if upto < known || upto > known && upto < last && !is_own() {
                return upto;
            }
            let new = entries.iter().filter(|(number, _)| *number > upto);
            view.write(host, new.map(|(_, entry)| entry), counter, now_ms);
            let upto = upto.max(last);
            view.delivered.insert(host, upto);
            upto
        })
    }

    fn wait(&self, view: ViewNumber, number: u64, time: Duration) -> Result<bool> {
        let until = Instant::now() + time;
        let mut shared = self.reach(false)?;
        shared.is_waiting = true;
        let outcome = loop {
            if std::mem::take(&mut shared.is_interrupted) {
                break Ok(false);
            }
            if let Err(error) = shared.trouble.check(false) {
                break Err(error);
            }
            if shared.views.get(&view).map_or(0, |view| view.last) != number {
                break Ok(true);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break Ok(false);
            }
            let woken = self.changed.wait_timeout(shared, left);
            shared = woken.unwrap_or_else(PoisonError::into_inner).0;
        };
        shared.is_waiting = false;
        outcome
    }

    fn interrupt(&self) {
        lock(&self.shared).is_interrupted = true;
        self.changed.notify_all();
    }

    fn expect_writable(&self, _: Deadline) -> Result<()> {
        self.reach(true).map(drop)
    }

    fn count_others(&self, view: ViewNumber, host: HostId, number: u64, _: Deadline) -> Result<u64> {
        let shared = self.reach(false)?;
        let entries = shared
            .views
            .get(&view)
            .into_iter()
            .flat_map(|view| view.entries.values());
        let is_news = |stored: &&Stored| stored.host != host && stored.number > number;
        Ok(entries.filter(is_news).count() as u64)
    }

    fn summary(&self, _: Deadline) -> Result<Vec<LogSummary>> {
        let shared = self.reach(false)?;
        let now_ms = self.clock.now_ms();
        let summary = shared.views.iter().map(|(number, view)| {
            let mut entries = BTreeMap::new();
            for name in view.entries.keys() {
                *entries.entry(name.kind).or_default() += 1;
            }
            let bodies = view.entries.values().map(|stored| stored.body.len());
            LogSummary {
                view: *number,
                server: view.server.clone(),
                viewer: view.viewer.clone(),
                last: view.last,
                age: (view.written_ms).map(|ms| Duration::from_millis(u64::try_from(now_ms - ms).unwrap_or(0))),
                entries: entries.into_iter().collect(),
                hosts: view.hosts().len() as u64,
                bytes: bodies.sum::<usize>() as u64,
            }
        });
        Ok(summary.collect())
    }

    fn clear(&self, _: Deadline) -> Result<()> {
        self.reach(true)?.views.clear();
        self.changed.notify_all();
        Ok(())
    }

    fn before_fork(self: Arc<Self>) -> Vec<Box<dyn ForkLock>> {
        {
            let mut shared = lock(&self.shared);
            shared.is_interrupted |= shared.is_waiting;
            self.changed.notify_all();
        }
        vec![Box::new(lock_for_fork(&self, |log| &log.shared))]
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
