//! The thread of the exchange: delivers what this host writes at once, and takes news as it comes, or every few seconds
//! while the index is in use. It also renews leases.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::core::{Away, Exchange, Listeners, set_patient};
use super::incoming::Exchanged;
use crate::error::Result;
use crate::platform::Deadline;
use crate::platform::FileLock;
use crate::platform::Worker;
use crate::platform::lock;

/// Interval between two looks for news, if nothing tells of them.
const LOOK: Duration = Duration::from_secs(5);
/// Interval between renewals of leases.
const RENEW: Duration = Duration::from_secs(5);
/// Least time between two exchanges: what is written meanwhile goes in one request, and ten busy hosts leave the
/// processor to those who record.
const GATHER: Duration = Duration::from_millis(25);
/// How long a log that was away may take for its first answer. Closing may wait for that.
const FIRST: Duration = Duration::from_secs(1);

impl Exchange {
    /// Starts the thread, unless it runs.
    pub fn begin(self: &Arc<Self>) {
        let mut thread = lock(&self.thread);
        if self.has_thread && thread.is_none() && !lock(&self.state).stops {
            let exchange = Arc::clone(self);
            *thread = Worker::spawn(move || exchange.run());
            if thread.is_none() {
                log::warn!("cannot start a thread for sharing with other hosts");
            }
        }
    }

    /// Ends the thread, which delivers what waits first.
    pub fn end(&self) {
        lock(&self.state).stops = true;
        self.log.hurry();
        self.wake();
        // After the lock is released: a fork waits for it, and the thread may wait for the fork.
        let thread = lock(&self.thread).take();
        drop(thread);
    }

    /// Changes whether news is taken as it comes, or only now and then.
    pub fn listen(self: &Arc<Self>, change: impl FnOnce(&mut Listeners)) {
        let (before, now) = {
            let mut state = lock(&self.state);
            let before = state.listens();
            change(&mut state.listeners);
            (before, state.listens())
        };
        self.begin();
        if before != now {
            self.changed.notify_all();
            self.log.interrupt();
        }
    }

    /// Delivers soon what was written.
    pub fn tell(self: &Arc<Self>) {
        let was_told = std::mem::replace(&mut lock(&self.state).is_told, true);
        if !was_told {
            self.begin(); // the child of a fork has none yet
            self.wake();
        }
    }

    /// Notes that the index is used, so that news is taken within [`LOOK`].
    pub fn note_use(&self) {
        lock(&self.state).is_used = true;
    }

    fn wake(&self) {
        self.changed.notify_all();
        if lock(&self.state).listens() {
            self.log.interrupt();
        }
    }

    fn run(&self) {
        let (mut looked, mut renewed) = (None::<Instant>, Instant::now());
        let mut used = self.counters.totals();
        let (mut listening, mut is_unfinished) = (None, false);
        loop {
            let (stops, is_told, listens, is_asked) = {
                let mut state = lock(&self.state);
                let is_asked = std::mem::take(&mut state.is_used);
                (state.stops, state.is_told, state.listens(), is_asked)
            };
            if stops {
                self.last();
                return;
            }
            let now_used = self.counters.totals();
            let is_used = std::mem::replace(&mut used, now_used) != now_used || is_asked;
            let rest = looked.map_or(Duration::ZERO, |at| LOOK.saturating_sub(at.elapsed()));
            // A notification may be lost, as behind a pooler.
            let is_due = rest.is_zero() && (is_used || is_unfinished || looked.is_none() || listening.is_some());
            // What this host has to tell comes before any wait.
            let has_news =
                self.can_listen(&mut listening) && !is_told && !is_due && self.wait_for_news(&mut listening, rest);
            if is_told || is_due || has_news {
                if !self.gather(looked) {
                    continue; // closing waits for this thread
                }
                let done = self.run_once(looked.is_none()).unwrap_or_else(|error| {
                    log::debug!("sharing with other hosts will be retried: {error}");
                    Exchanged::default()
                });
                // Nobody need call this host for what it has to tell to be delivered later.
                is_unfinished = !done.is_complete() && self.has_undelivered();
                looked = Some(Instant::now());
            }
            if renewed.elapsed() >= RENEW {
                self.renew_leases();
                renewed = Instant::now();
            }
            if listening.is_none() {
                self.pause(listens);
            }
        }
    }

    /// Whether this folder has something to tell: also of a process that ended before it could.
    fn has_undelivered(&self) -> bool {
        self.undelivered().is_ok_and(|waiting| waiting > 0)
    }

    /// One exchange. `first`: this thread made none yet; another process may just have made one, which serves as well.
    /// Calls skip a slow log; this thread waits longer for it.
    fn run_once(&self, first: bool) -> Result<Exchanged> {
        if self.away_ms().is_none() {
            return self.try_once(first);
        }
        if self.is_away() {
            return Ok(Exchanged::default());
        }
        set_patient(true);
        // Tries the log before it takes a lock that calls wait for.
        let done = self.trying(|| match self.ask(|log, limit| log.secret(limit.at_most(FIRST))) {
            Ok(_) => self.try_once(first),
            Err(Away) => Ok(Exchanged::default()),
        });
        set_patient(false);
        if matches!(done, Ok(done) if done.has_taken) {
            self.note_answer();
        }
        done
    }

    fn try_once(&self, first: bool) -> Result<Exchanged> {
        let Some(view) = self.view()? else {
            return Ok(Exchanged::default());
        };
        let looked_ms = self.place(view.identity)?.looked_ms;
        let since = self.clock.now_ms().saturating_sub(looked_ms);
        if first && (0..i64::try_from(LOOK.as_millis()).unwrap_or(0)).contains(&since) {
            let has_delivered = self.deliver(&view, Deadline::NONE)?;
            return Ok(Exchanged {
                has_delivered,
                has_taken: has_delivered, // a moment ago
            });
        }
        self.exchange_fully(&view, Deadline::after(LOOK))
    }

    /// Waits until something is to be done, for [`LOOK`] at most. `listens`: what the host asked for before.
    fn pause(&self, listens: bool) {
        let state = lock(&self.state);
        if !state.is_told && !state.stops && state.listens() == listens {
            drop(self.changed.wait_timeout(state, LOOK));
        }
    }

    /// Waits until [`GATHER`] has passed since the last exchange, and takes what was told. Returns `false` if the
    /// thread is to stop.
    fn gather(&self, last: Option<Instant>) -> bool {
        let rest = last.map_or(Duration::ZERO, |at| GATHER.saturating_sub(at.elapsed()));
        let waited = self
            .changed
            .wait_timeout_while(lock(&self.state), rest, |state| !state.stops);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.is_told = false;
        !state.stops
    }

    /// Returns whether this process listens for its folder, which one process does.
    fn can_listen(&self, listening: &mut Option<FileLock>) -> bool {
        if !lock(&self.state).listens() {
            *listening = None;
        } else if listening.is_none() {
            let path = self.store.folder().fetch_lock("shared");
            *listening = FileLock::acquire(&path, Deadline::after(Duration::ZERO), &|| true).unwrap_or_default();
        }
        listening.is_some()
    }

    /// Waits for news, for `time` at most. Returns whether there may be some.
    fn wait_for_news(&self, listening: &mut Option<FileLock>, time: Duration) -> bool {
        let Ok(Some(view)) = self.view() else {
            *listening = None;
            return false;
        };
        let number = self.place(view.identity).map_or(0, |place| place.position.number);
        let news = self.ask(|log, _| log.wait(view.number, number, time));
        if news.is_err() {
            *listening = None; // waits without the log
        }
        news.unwrap_or(false)
    }

    fn renew_leases(&self) {
        let leases = lock(&self.state).leases.clone();
        for lease in leases {
            if self.ask_to_take(Deadline::NONE, |log, limit| log.renew(&lease, limit)) == Ok(false) {
                lock(&self.state).leases.retain(|held| *held != lease);
                log::info!("another host took over this fetch: {}", lease.what);
            }
        }
    }

    /// Delivers what waits before the index closes.
    fn last(&self) {
        if self.has_undelivered()
            && let Ok(Some(view)) = self.view()
            && let Err(error) = self.deliver(&view, Deadline::NONE)
        {
            log::debug!("entries for other hosts stay in the folder: {error}");
        }
    }
}
