//! A log that calls a test before and after each call of a host.
#![allow(dead_code)] // each test file uses its part

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use plexindex::error::{Error, Result, Status};
use plexindex::inside::{Deadline, ForkLock};
use plexindex_sharing::{Entry, EntryName, EntryPage, HostId, LogSummary, NewEntry, Position, SharedLog, ViewNumber};

/// Called with the call's name, and whether it was made already. An error is that of the call.
pub type Hook = Box<dyn FnMut(&'static str, bool) -> Result<()> + Send>;

/// A log behind a hook.
pub struct Gate {
    log: Arc<dyn SharedLog>,
    hook: Mutex<Option<Hook>>,
    /// Until then no call takes a lock, which a fork would have to take.
    has_hook: AtomicBool,
    /// Number of forks that closed its connections.
    forks: AtomicUsize,
}

impl Gate {
    pub fn new(log: Arc<dyn SharedLog>) -> Arc<Self> {
        Arc::new(Self {
            log,
            hook: Mutex::default(),
            has_hook: AtomicBool::default(),
            forks: AtomicUsize::default(),
        })
    }

    pub fn forks(&self) -> usize {
        self.forks.load(Ordering::SeqCst)
    }

    /// Calls this from now on.
    pub fn set(&self, hook: impl FnMut(&'static str, bool) -> Result<()> + Send + 'static) {
        *self.hook.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(hook));
        self.has_hook.store(true, Ordering::SeqCst);
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
        self.set(move |called, is_made| {
            if called == "deliver" && !is_made {
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
        self.once(name, false, act);
    }

    /// Calls this once, after a call of this name.
    pub fn once_after(&self, name: &'static str, act: impl FnOnce() + Send + 'static) {
        self.once(name, true, act);
    }

    fn once(&self, name: &'static str, after: bool, act: impl FnOnce() + Send + 'static) {
        let mut act = Some(act);
        self.set(move |called, is_made| {
            if called == name
                && is_made == after
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
        if !self.has_hook.load(Ordering::SeqCst) {
            return Ok(());
        }
        let mut hook = self.hook.lock().unwrap_or_else(PoisonError::into_inner);
        hook.as_mut().map_or(Ok(()), |hook| hook(name, is_made))
    }
}

/// Makes methods that call the hook before and after that of the log.
macro_rules! hooked {
    ($($name:ident($($argument:ident: $of:ty),*) -> $answer:ty;)*) => {
        $(fn $name(&self, $($argument: $of),*) -> Result<$answer> {
            self.pass(stringify!($name), |log| log.$name($($argument),*))
        })*
    };
}

#[rustfmt::skip] // one line each
impl SharedLog for Gate {
    hooked! {
        secret(by: Deadline) -> [u8; 32];
        view(server: &str, viewer: &[u8], by: Deadline) -> ViewNumber;
        read(view: ViewNumber, host: HostId, after: Position, limit: usize, by: Deadline) -> EntryPage;
        find(view: ViewNumber, names: &[EntryName], by: Deadline) -> Vec<Entry>;
        deliver(view: ViewNumber, host: HostId, known: u64, entries: &[(u64, NewEntry)], by: Deadline) -> u64;
        expect_writable(by: Deadline) -> ();
        count_others(view: ViewNumber, host: HostId, number: u64, by: Deadline) -> u64;
        summary(by: Deadline) -> Vec<LogSummary>;
        clear(by: Deadline) -> ();
    }

    fn name(&self) -> &str {
        self.log.name()
    }

    fn answer_timeout(&self) -> Duration {
        self.log.answer_timeout()
    }

    fn wait(&self, view: ViewNumber, number: u64, time: Duration) -> Result<bool> {
        self.log.wait(view, number, time)
    }

    fn shorten_timeouts(&self) {
        self.log.shorten_timeouts();
    }

    fn interrupt(&self) {
        self.log.interrupt();
    }

    fn before_fork(self: Arc<Self>) -> Vec<Box<dyn ForkLock>> {
        self.forks.fetch_add(1, Ordering::SeqCst);
        Arc::clone(&self.log).before_fork()
    }
}
