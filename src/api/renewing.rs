//! Asks the host for a new token, on the thread of the call that the server refused, one thread at a time.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::model::Token;
use crate::options::{Options, Renewal};
use crate::platform::deadline::Deadline;
use crate::platform::fork::{Release, hold};
use crate::platform::mutex::{lock, try_lock};

/// Pause after the host had no new token, or one that the server refused.
const PAUSE_MS: i64 = 15_000;

thread_local! {
    /// Its address identifies a running thread. `std::thread::current` would leave a destructor on the host's thread,
    /// which would run after the library is unloaded.
    static MARK: u8 = const { 0 };
}

fn this_thread() -> usize {
    MARK.with(|mark| std::ptr::from_ref(mark).addr())
}

/// The host's callback, and whether a thread is in it.
pub(crate) struct Renewing {
    renewal: Option<Renewal>,
    /// Longest wait for another thread's renewal: the callback may itself wait for the call that waits here.
    longest: Duration,
    state: Mutex<RenewalState>,
    ended: Condvar,
}

/// A call that the server refused, in the callback.
#[derive(Clone, Copy)]
struct RefusedCall {
    /// Its thread: [`this_thread`].
    thread: usize,
    /// Number of its token.
    session: u64,
}

#[derive(Default)]
struct RenewalState {
    /// The call whose token is renewed. Calls that the callback makes on its thread do not renew the token.
    under_way: Option<RefusedCall>,
    /// When the host last had no new token, or one that the server refused, Unix ms.
    in_vain_ms: Option<i64>,
}

/// Ends a renewal when dropped, also after a panic of the callback.
struct UnderWay<'r>(&'r Renewing);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).under_way = None;
        self.0.ended.notify_all();
    }
}

impl Renewing {
    pub fn new(options: &Options) -> Self {
        Self {
            renewal: options.renewal.clone(),
            longest: options.read_timeout,
            state: Mutex::default(),
            ended: Condvar::new(),
        }
    }

    /// Returns whether a refused call asks the host.
    pub fn is_possible(&self) -> bool {
        self.renewal.is_some()
    }

    /// Its lock, held through a fork.
    pub fn hold<O: 'static>(owner: &Arc<O>, within: fn(&O) -> &Self) -> Box<dyn Release> {
        Box::new(hold(owner, |owner| &within(owner).state))
    }

    /// Resets the state in the child of a fork: only a renewal of the forking thread continues there.
    pub fn after_fork(&self) {
        if let Some(mut state) = try_lock(&self.state) {
            state.under_way = state.under_way.filter(|call| call.thread == this_thread());
        }
    }

    /// Returns the number of the refused token if this thread is in the callback.
    pub fn refused_session(&self) -> Option<u64> {
        let under_way = lock(&self.state).under_way;
        under_way
            .filter(|call| call.thread == this_thread())
            .map(|call| call.session)
    }

    /// Gets a new token from the host for a call that was refused with the token `session`, and passes it to `set`,
    /// unless `is_renewed` is true before. Waits for a renewal of another thread, until the deadline and at most as
    /// long as for a silent server.
    pub fn renew(
        &self,
        now_ms: i64,
        (session, deadline): (u64, Deadline),
        is_renewed: &dyn Fn() -> bool,
        set: &dyn Fn(Token),
    ) {
        let Some(renewal) = &self.renewal else { return };
        let thread = this_thread();
        let state = lock(&self.state);
        if state.under_way.is_some_and(|call| call.thread == thread) {
            return;
        }
        let waited = self
            .ended
            .wait_timeout_while(state, deadline.wait(self.longest), |state| state.under_way.is_some());
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let in_vain = |since: i64| (0..PAUSE_MS).contains(&now_ms.saturating_sub(since));
        if state.under_way.is_some() || is_renewed() || state.in_vain_ms.is_some_and(in_vain) {
            return;
        }
        state.under_way = Some(RefusedCall { thread, session });
        drop(state);
        let ends = UnderWay(self);
        if let Some(token) = renewal.call() {
            set(token);
        }
        lock(&self.state).in_vain_ms = (!is_renewed()).then_some(now_ms);
        drop(ends);
    }

    /// Begins the pause: the server refused the new token.
    pub fn was_in_vain(&self, now_ms: i64) {
        lock(&self.state).in_vain_ms = Some(now_ms);
    }
}
