//! The exchange thread, which delivers this host's entries at once, and receives other hosts' entries. While there is a
//! listener, the thread receives entries immediately; otherwise every few seconds while the index is in use.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::core::{Exchange, Listeners, Unavailable, set_waits_for_slow_log};
use crate::error::Result;
use crate::platform::Deadline;
use crate::platform::FileLock;
use crate::platform::Worker;
use crate::platform::lock;

/// Interval between reads of the log without a notification.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// Minimum interval between two exchanges. Entries written within this interval share one request, so that even ten
/// busy hosts leave CPU time for recording.
const BATCH_INTERVAL: Duration = Duration::from_millis(25);
/// Timeout for the first answer from a log that was unavailable. Closing the index can take this long.
const FIRST_ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

impl Exchange {
    /// Starts the exchange thread, unless the thread is already running or the index is closing.
    pub fn start_thread(self: &Arc<Self>) {
        let mut thread = lock(&self.thread);
        if self.has_thread && thread.is_none() && !lock(&self.state).is_stopping {
            let exchange = Arc::clone(self);
            *thread = Worker::spawn(move || exchange.run_thread());
            if thread.is_none() {
                log::warn!("cannot start the thread that exchanges entries with other hosts");
            }
        }
    }

    /// Stops the exchange thread, which first delivers the outbox. Returns when the thread has ended.
    pub fn stop_thread(&self) {
        lock(&self.state).is_stopping = true;
        self.log.shorten_timeouts();
        self.wake();
        // Join the thread without the lock, since a fork waits for the lock, and the thread may wait for the fork.
        let thread = lock(&self.thread).take();
        drop(thread);
    }

    /// Applies `change` to the listeners. While there is a listener, the exchange thread waits for notifications.
    pub fn listen(self: &Arc<Self>, change: impl FnOnce(&mut Listeners)) {
        let (listened_before, listens_now) = {
            let mut state = lock(&self.state);
            let listened_before = state.listens();
            change(&mut state.listeners);
            (listened_before, state.listens())
        };
        self.start_thread();
        if listened_before != listens_now {
            self.changed.notify_all();
            self.log.interrupt();
        }
    }

    /// Wakes the exchange thread to deliver new entries.
    pub fn deliver_soon(self: &Arc<Self>) {
        let was_set = std::mem::replace(&mut lock(&self.state).has_new_entries, true);
        if !was_set {
            self.start_thread(); // a forked child has no thread yet
            self.wake();
        }
    }

    /// Records that the index is in use, so that the exchange thread reads the log within [`POLL_INTERVAL`].
    pub fn note_use(&self) {
        lock(&self.state).is_used = true;
    }

    /// Wakes the exchange thread from its wait for new entries or for a notification.
    fn wake(&self) {
        self.changed.notify_all();
        if lock(&self.state).listens() {
            self.log.interrupt();
        }
    }

    /// Runs the exchange thread's loop until the index closes.
    fn run_thread(&self) {
        let mut last_exchange = None::<Instant>;
        let mut totals = self.counters.totals();
        let (mut listener_lock, mut is_unfinished) = (None, false);
        loop {
            let (is_stopping, has_new_entries, listens, was_used) = {
                let mut state = lock(&self.state);
                let was_used = std::mem::take(&mut state.is_used);
                (state.is_stopping, state.has_new_entries, state.listens(), was_used)
            };
            if is_stopping {
                self.deliver_before_close();
                return;
            }
            // Exchange if calls have used the index, or if something remains to be exchanged.
            let new_totals = self.counters.totals();
            let is_used = std::mem::replace(&mut totals, new_totals) != new_totals || was_used;
            let until_due = last_exchange.map_or(Duration::ZERO, |time| POLL_INTERVAL.saturating_sub(time.elapsed()));
            // Poll even if there is a listener, since notifications can be lost, for example behind a pooler.
            let is_wanted = is_used || is_unfinished || last_exchange.is_none() || listener_lock.is_some();
            let is_due = until_due.is_zero() && is_wanted;
            // Deliver this host's new entries before waiting.
            let has_news = self.hold_listener_lock(&mut listener_lock)
                && !has_new_entries
                && !is_due
                && self.wait_for_news(&mut listener_lock, until_due);
            // Exchange entries. New entries that arrive within `BATCH_INTERVAL` share the request.
            if has_new_entries || is_due || has_news {
                if !self.wait_to_batch(last_exchange) {
                    continue; // closing waits for this thread
                }
                let is_complete = self.exchange_once(last_exchange.is_none()).unwrap_or_else(|error| {
                    log::debug!("cannot exchange entries with other hosts: {error}; retrying later");
                    false
                });
                // Retry even if no call uses the index.
                is_unfinished = !is_complete && self.has_undelivered();
                last_exchange = Some(Instant::now());
            }
            if listener_lock.is_none() {
                self.wait_for_work(listens);
            }
        }
    }

    /// Returns whether the outbox has entries, which an earlier process may have left behind.
    fn has_undelivered(&self) -> bool {
        self.undelivered().is_ok_and(|count| count > 0)
    }

    /// Performs one exchange on the exchange thread. Does nothing during the pause after a failure. After the pause,
    /// first checks that the log answers, with a longer timeout than calls use. Returns whether the exchange is
    /// complete. `first`: whether this is the thread's first exchange.
    fn exchange_once(&self, first: bool) -> Result<bool> {
        if !self.is_log_unavailable() {
            return self.exchange_with_reachable_log(first);
        }
        if self.must_skip_log() {
            return Ok(false);
        }
        set_waits_for_slow_log(true);
        // Do not hold the exchange lock, for which calls wait, during this check.
        let result =
            self.retry_log(
                || match self.send_request(|log, limit| log.secret(limit.at_most(FIRST_ANSWER_TIMEOUT))) {
                    Ok(_) => self.exchange_with_reachable_log(first),
                    Err(Unavailable) => Ok(false),
                },
            );
        set_waits_for_slow_log(false);
        if matches!(result, Ok(true)) {
            self.note_answer();
        }
        result
    }

    /// Performs one exchange with a log that answers. If `first` is `true`, and another process with the same folder
    /// has read the log within [`POLL_INTERVAL`], only delivers. Returns whether the exchange is complete; `false` if
    /// the view is unknown.
    fn exchange_with_reachable_log(&self, first: bool) -> Result<bool> {
        let Some(view) = self.view()? else {
            return Ok(false);
        };
        let last_read_ms = self.read_position(view.view_id)?.unwrap_or_default().last_read_ms;
        let age_ms = self.clock.now_ms().saturating_sub(last_read_ms);
        if first && (0..i64::try_from(POLL_INTERVAL.as_millis()).unwrap_or(0)).contains(&age_ms) {
            return self.deliver(&view, Deadline::NONE);
        }
        self.exchange_exclusively(&view, Deadline::after(POLL_INTERVAL), Deadline::NONE)
    }

    /// Waits until there are new entries, the listeners change or the index closes, for at most [`POLL_INTERVAL`].
    /// `listens`: whether there was a listener at the start of the iteration.
    fn wait_for_work(&self, listens: bool) {
        let state = lock(&self.state);
        if !state.has_new_entries && !state.is_stopping && state.listens() == listens {
            drop(self.changed.wait_timeout(state, POLL_INTERVAL));
        }
    }

    /// Waits until [`BATCH_INTERVAL`] has passed since the last exchange, or [`POLL_INTERVAL`] if the log rejected the
    /// last write and the exchange would write again, and clears `has_new_entries`. Returns `false` if the thread must
    /// stop.
    fn wait_to_batch(&self, last_exchange: Option<Instant>) -> bool {
        let interval = if self.write_error().is_some() && self.has_undelivered() {
            POLL_INTERVAL
        } else {
            BATCH_INTERVAL
        };
        let remaining = last_exchange.map_or(Duration::ZERO, |time| interval.saturating_sub(time.elapsed()));
        let waited = self
            .changed
            .wait_timeout_while(lock(&self.state), remaining, |state| !state.is_stopping);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.has_new_entries = false;
        !state.is_stopping
    }

    /// Tries without waiting to acquire the lock that allows only one process per folder to listen, or releases the
    /// lock if there is no listener. Returns whether this process holds the lock.
    fn hold_listener_lock(&self, listener_lock: &mut Option<FileLock>) -> bool {
        if !lock(&self.state).listens() {
            *listener_lock = None;
        } else if listener_lock.is_none() {
            let path = self.store.folder().lock_path("shared");
            *listener_lock = FileLock::acquire(&path, Deadline::after(Duration::ZERO), &|| true).unwrap_or_default();
        }
        listener_lock.is_some()
    }

    /// Waits for a notification for at most `time`. Returns whether other hosts may have written entries. If the log or
    /// the view is unavailable or has no library, releases the listener lock, so that another process can listen, and
    /// returns `false`.
    fn wait_for_news(&self, listener_lock: &mut Option<FileLock>, time: Duration) -> bool {
        let read = match self.view() {
            Ok(Some(view)) => self
                .read_position(view.view_id)
                .map(|read| Some((view.number, read?.position.number))),
            view => view.map(|_| None),
        };
        let Ok(Some((view, number))) = read else {
            *listener_lock = None;
            return false;
        };
        let has_new_entries = self.send_request(|log, _| log.wait(view, number, time));
        if has_new_entries.is_err() {
            *listener_lock = None;
        }
        has_new_entries.unwrap_or(false)
    }

    /// Delivers the outbox before the index closes.
    fn deliver_before_close(&self) {
        if self.has_undelivered()
            && let Ok(Some(view)) = self.view()
            && let Err(error) = self.deliver(&view, Deadline::NONE)
        {
            log::debug!("cannot deliver entries before closing: {error}; the entries stay in the folder");
        }
    }
}
