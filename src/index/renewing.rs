//! Asking the host for a new token: on the thread of a call that was refused, one thread at a time.

use std::cell::Cell;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::model::Token;
use crate::options::Renewal;
use crate::platform::fork::{Release, hold};
use crate::platform::mutex::{lock, try_lock};

/// For so long the host is not asked again that had no new token.
const PAUSE_MS: i64 = 15_000;
/// How often a thread that waits for another one's renewal looks whether the call has still time.
const TICK: Duration = Duration::from_millis(100);

thread_local! {
    /// This thread is in the host's function: a call that it makes there does not renew the token.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// The host's function, and whether a thread is in it.
pub(crate) struct Renewing {
    renewal: Option<Renewal>,
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    under_way: bool,
    /// When the host had no new token, Unix ms.
    in_vain_ms: Option<i64>,
}

/// Ends a renewal, also when the host's function panics.
struct UnderWay<'r>(&'r Renewing);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        INSIDE.set(false);
        lock(&self.0.state).under_way = false;
        self.0.ended.notify_all();
    }
}

impl Renewing {
    pub fn new(renewal: Option<Renewal>) -> Self {
        Self {
            renewal,
            state: Mutex::default(),
            ended: Condvar::new(),
        }
    }

    /// Whether a call that is refused now asks the host.
    pub fn is_possible(&self) -> bool {
        self.renewal.is_some() && !INSIDE.get()
    }

    /// Its lock, held through a fork.
    pub fn hold<O: 'static>(owner: &Arc<O>, within: fn(&O) -> &Self) -> Box<dyn Release> {
        Box::new(hold(owner, |owner| &within(owner).state))
    }

    /// In a child the thread that was in the host's function does not exist.
    pub fn after_fork(&self) {
        if let Some(mut state) = try_lock(&self.state) {
            state.under_way = false;
        }
    }

    /// Hands a new token to `set`, unless `is_renewed` before that. Waits while another thread is at it.
    pub fn renew(&self, now_ms: i64, until: Option<Instant>, is_renewed: &dyn Fn() -> bool, set: &dyn Fn(Token)) {
        let Some(renewal) = &self.renewal else { return };
        let mut state = lock(&self.state);
        while state.under_way {
            if until.is_some_and(|until| until <= Instant::now()) {
                return;
            }
            let waited = self.ended.wait_timeout(state, TICK);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        let in_vain = |since: i64| (0..PAUSE_MS).contains(&now_ms.saturating_sub(since));
        if is_renewed() || state.in_vain_ms.is_some_and(in_vain) {
            return;
        }
        state.under_way = true;
        drop(state);
        let ends = UnderWay(self);
        INSIDE.set(true);
        if let Some(token) = renewal.call() {
            set(token);
        }
        lock(&self.state).in_vain_ms = (!is_renewed()).then_some(now_ms);
        drop(ends);
    }
}
