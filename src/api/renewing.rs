//! Asks the host for a new token after the server has refused a call. The host's callback runs on the thread of the
//! refused call, and on one thread at a time.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::model::Token;
use crate::options::{Options, Renewal};
use crate::platform::clock::Deadline;
use crate::platform::fork::{lock, try_lock};

const PAUSE_MS: i64 = 15_000; // after a renewal that yielded no token, or a token that the server refused

thread_local! {
    /// The address of this variable identifies a running thread. `std::thread::try_read_current` would register a
    /// destructor on the host's thread, and the library may be unloaded before that destructor runs.
    static MARK: u8 = const { 0 };
}

/// Returns a number that identifies the calling thread while it runs.
fn this_thread() -> usize {
    MARK.with(|mark| std::ptr::from_ref(mark).addr())
}

/// The host's callback, and the state of its current run.
pub(crate) struct TokenRenewal {
    renewal: Option<Renewal>,
    /// Maximum wait for another thread's renewal. Prevents a deadlock if the callback waits for the waiting call.
    max_wait: Duration,
    pub(super) state: Mutex<RenewalState>,
    ended: Condvar,
}

/// A call that the server refused, and whose thread is running the callback.
#[derive(Clone, Copy)]
struct RefusedCall {
    thread: usize, // the call's thread, from `this_thread`
    session: u64,  // number of the refused token
}

#[derive(Default)]
pub(super) struct RenewalState {
    /// The refused call whose thread is running the callback, if any. Calls within the callback do not renew the token.
    running_for: Option<RefusedCall>,
    failed_ms: Option<i64>, // Unix ms of the last renewal that yielded no token, or a token that the server refused
}

/// Ends a renewal when dropped, even after a panic in the callback.
struct RenewalGuard<'r>(&'r TokenRenewal);

impl Drop for RenewalGuard<'_> {
    /// Ends the renewal, and wakes the threads that wait for it.
    fn drop(&mut self) {
        lock(&self.0.state).running_for = None;
        self.0.ended.notify_all();
    }
}

impl TokenRenewal {
    pub fn new(options: &Options) -> Self {
        Self {
            renewal: options.renewal.clone(),
            max_wait: options.read_timeout,
            state: Mutex::default(),
            ended: Condvar::new(),
        }
    }

    /// Returns whether the host supplied a callback.
    pub fn is_possible(&self) -> bool {
        self.renewal.is_some()
    }

    /// Resets the state in the child of a fork, where only a renewal on the forking thread continues. If the state is
    /// locked, leaves it unchanged, because no other thread could release the lock.
    pub fn after_fork(&self) {
        if let Some(mut state) = try_lock(&self.state) {
            state.running_for = state.running_for.filter(|call| call.thread == this_thread());
        }
    }

    /// Returns the number of the refused token if the callback is running on this thread; otherwise `None`. The caller
    /// treats a token that the host sets within the callback like a token that the callback returns.
    pub fn refused_session(&self) -> Option<u64> {
        let refused_call = lock(&self.state).running_for;
        refused_call
            .filter(|call| call.thread == this_thread())
            .map(|call| call.session)
    }

    /// Asks the host for a new token after the server has refused the token with the number `session`, and passes the
    /// new token to `set`. If another thread is running the callback, first waits for that thread until the deadline,
    /// but no longer than the read timeout. Does nothing if `is_renewed` then returns `true`, during the pause after a
    /// failed renewal, or within the callback. `now_ms` is the current time in Unix ms.
    pub fn renew(
        &self,
        now_ms: i64,
        session: u64,
        deadline: Deadline,
        is_renewed: &dyn Fn() -> bool,
        set: &dyn Fn(Token),
    ) {
        let Some(renewal) = &self.renewal else { return };
        let thread = this_thread();
        let state = lock(&self.state);
        // A call within the callback must not run the callback again.
        if state.running_for.is_some_and(|call| call.thread == thread) {
            return;
        }
        // Wait for another thread's renewal, whose token this call can use.
        let waited = self
            .ended
            .wait_timeout_while(state, deadline.wait(self.max_wait), |state| state.running_for.is_some());
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        // A negative difference means that the clock was set back, which ends the pause.
        let is_in_pause = |failed_ms: i64| (0..PAUSE_MS).contains(&now_ms.saturating_sub(failed_ms));
        if state.running_for.is_some() || is_renewed() || state.failed_ms.is_some_and(is_in_pause) {
            return;
        }
        // Run the callback without the lock, since the callback may use the index.
        state.running_for = Some(RefusedCall { thread, session });
        drop(state);
        let guard = RenewalGuard(self);
        if let Some(token) = renewal.call() {
            set(token);
        }
        lock(&self.state).failed_ms = (!is_renewed()).then_some(now_ms);
        drop(guard);
    }

    /// Starts the pause before the next renewal, since the server refused the new token. `now_ms`: current Unix ms.
    pub fn record_failure(&self, now_ms: i64) {
        lock(&self.state).failed_ms = Some(now_ms);
    }
}
