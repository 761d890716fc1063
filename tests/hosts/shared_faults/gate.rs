//! A log that calls a test before and after each call of a host.
#![allow(dead_code)] // each test file uses its part

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use plexindex::error::{Error, Result, Status};
use plexindex::inside::{Deadline, ForkLock};
use plexindex_sharing::{
    Entry, EntryName, EntryPage, HostId, Lease, LogSummary, NewEntry, Position, SharedLog, ViewNumber,
};

/// Called with the call's name, and whether it was made already. An error is that of the call.
pub type Hook = Box<dyn FnMut(&'static str, bool) -> Result<()> + Send>;

/// A log behind a hook.
pub struct Gate {
    log: Arc<dyn SharedLog>,
    hook: Mutex<Option<Hook>>,
    /// Number of forks that closed its connections.
    forks: AtomicUsize,
}

impl Gate {
    pub fn new(log: Arc<dyn SharedLog>) -> Arc<Self> {
        Arc::new(Self {
            log,
            hook: Mutex::default(),
            forks: AtomicUsize::default(),
        })
    }

    pub fn forks(&self) -> usize {
        self.forks.load(Ordering::SeqCst)
    }

    /// Calls this from now on.
    pub fn set(&self, hook: impl FnMut(&'static str, bool) -> Result<()> + Send + 'static) {
        *self.hook.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(hook));
    }

    /// From now on calls of this name fail.
    pub fn fail(&self, name: &'static str) {
        self.set(move |called, is_made| {
            if called == name && !is_made {
                return Err(Error::new(Status::Connect, "cut"));
            }
            Ok(())
        });
    }

    /// From now on the log takes nothing from this host, and can be read.
    pub fn refuse(&self) {
        const WRITES: [&str; 7] = [
            "append",
            "deliver",
            "lease",
            "renew",
            "release",
            "put_chunk",
            "publish_listing",
        ];
        self.set(move |called, is_made| {
            if WRITES.contains(&called) && !is_made {
                return Err(Error::new(Status::ServerError, "no space left (SQLSTATE 53100)"));
            }
            Ok(())
        });
    }

    /// After so many steps all calls fail, so nothing more is written: a process that was killed there.
    pub fn end_after(&self, steps: usize) {
        let mut left = steps;
        self.set(move |_, _| {
            left = left.saturating_sub(1);
            match left {
                0 => Err(Error::new(Status::Connect, "killed")),
                _ => Ok(()),
            }
        });
    }

    /// Calls pass again.
    pub fn open(&self) {
        self.set(|_, _| Ok(()));
    }

    /// Calls this once, before a call of this name.
    pub fn once_before(&self, name: &'static str, act: impl FnOnce() + Send + 'static) {
        let mut act = Some(act);
        self.set(move |called, is_made| {
            if called == name
                && !is_made
                && let Some(act) = act.take()
            {
                act();
            }
            Ok(())
        });
    }

    fn pass<R>(&self, name: &'static str, call: impl FnOnce(&dyn SharedLog) -> Result<R>) -> Result<R> {
        self.reach(name, false)?;
        let done = call(&*self.log)?;
        self.reach(name, true)?;
        Ok(done)
    }

    fn reach(&self, name: &'static str, is_made: bool) -> Result<()> {
        let mut hook = self.hook.lock().unwrap_or_else(PoisonError::into_inner);
        hook.as_mut().map_or(Ok(()), |hook| hook(name, is_made))
    }
}

impl SharedLog for Gate {
    fn name(&self) -> &str {
        self.log.name()
    }

    fn secret(&self, by: Deadline) -> Result<[u8; 32]> {
        self.pass("secret", |log| log.secret(by))
    }

    fn view(&self, server: &str, viewer: &[u8], by: Deadline) -> Result<ViewNumber> {
        self.pass("view", |log| log.view(server, viewer, by))
    }

    fn read(&self, view: ViewNumber, after: Position, limit: usize, by: Deadline) -> Result<EntryPage> {
        self.pass("read", |log| log.read(view, after, limit, by))
    }

    fn find(&self, view: ViewNumber, names: &[EntryName], by: Deadline) -> Result<Vec<Entry>> {
        self.pass("find", |log| log.find(view, names, by))
    }

    fn append(
        &self,
        view: ViewNumber,
        host: HostId,
        entries: &[NewEntry],
        lease: Option<&Lease>,
        by: Deadline,
    ) -> Result<bool> {
        self.pass("append", |log| log.append(view, host, entries, lease, by))
    }

    fn deliver(
        &self,
        view: ViewNumber,
        host: HostId,
        known: u64,
        entries: &[(u64, NewEntry)],
        by: Deadline,
    ) -> Result<u64> {
        self.pass("deliver", |log| log.deliver(view, host, known, entries, by))
    }

    fn lease(&self, view: ViewNumber, what: &str, by: Deadline) -> Result<Option<Lease>> {
        self.pass("lease", |log| log.lease(view, what, by))
    }

    fn renew(&self, lease: &Lease, by: Deadline) -> Result<bool> {
        self.pass("renew", |log| log.renew(lease, by))
    }

    fn release(&self, lease: &Lease, by: Deadline) -> Result<()> {
        self.pass("release", |log| log.release(lease, by))
    }

    fn put_chunk(&self, lease: &Lease, library: &str, number: u32, body: &[u8], by: Deadline) -> Result<bool> {
        self.pass("put_chunk", |log| log.put_chunk(lease, library, number, body, by))
    }

    fn publish_listing(
        &self,
        lease: &Lease,
        host: HostId,
        head: &NewEntry,
        included: u64,
        by: Deadline,
    ) -> Result<bool> {
        self.pass("publish_listing", |log| {
            log.publish_listing(lease, host, head, included, by)
        })
    }

    fn chunk(
        &self,
        view: ViewNumber,
        library: &str,
        listing: i64,
        number: u32,
        by: Deadline,
    ) -> Result<Option<Vec<u8>>> {
        self.pass("chunk", |log| log.chunk(view, library, listing, number, by))
    }

    fn wait(&self, view: ViewNumber, number: u64, time: Duration) -> Result<bool> {
        self.log.wait(view, number, time)
    }

    fn expect_writable(&self, by: Deadline) -> Result<()> {
        self.log.expect_writable(by)
    }

    fn shorten_timeouts(&self) {
        self.log.shorten_timeouts();
    }

    fn interrupt(&self) {
        self.log.interrupt();
    }

    fn count_others(&self, view: ViewNumber, host: HostId, number: u64, by: Deadline) -> Result<u64> {
        self.log.count_others(view, host, number, by)
    }

    fn summary(&self, by: Deadline) -> Result<Vec<LogSummary>> {
        self.log.summary(by)
    }

    fn clear(&self, by: Deadline) -> Result<()> {
        self.log.clear(by)
    }

    fn before_fork(self: Arc<Self>) -> Vec<Box<dyn ForkLock>> {
        self.forks.fetch_add(1, Ordering::SeqCst);
        Arc::clone(&self.log).before_fork()
    }
}
