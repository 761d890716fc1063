//! The pause between requests after a failure of the server.

use std::sync::{Arc, Mutex};

use crate::error::{Error, Status};
use crate::platform::clock::Clock;
use crate::platform::fork::{Release, hold};
use crate::platform::mutex::lock;
use crate::source::Kind;
use crate::stats::Counters;

/// The pause after a failure while an old answer exists.
pub const BACK_OFF_MS: i64 = 15_000;
/// The pause without an old answer: long enough for one batch of work, too short for a person to notice.
pub const BACK_OFF_NOT_FETCHED_MS: i64 = 2_000;

/// The last failure. While it is recent, stale answers are returned without a request.
pub struct BackOff {
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
    kind: &'static Kind,
    failure: Mutex<Option<LastFailure>>,
}

struct LastFailure {
    error: Error,
    at_ms: i64,
}

impl BackOff {
    pub fn new(clock: Arc<dyn Clock>, counters: Arc<Counters>, kind: &'static Kind) -> Self {
        Self {
            clock,
            counters,
            kind,
            failure: Mutex::new(None),
        }
    }

    /// Its lock, held through a fork.
    pub fn hold<O: 'static>(owner: &Arc<O>, within: fn(&O) -> &Self) -> Box<dyn Release> {
        Box::new(hold(owner, |owner| &within(owner).failure))
    }

    /// Remembers that the server failed, or the store; logs it once.
    pub fn begin(&self, error: &Error) {
        self.counters.count_failure();
        let mut failure = lock(&self.failure);
        if failure.as_ref().is_none_or(|known| known.error != *error) {
            log::warn!("{}, serving cached answers: {error}", cannot(error, self.kind));
        }
        *failure = Some(LastFailure {
            error: error.clone(),
            at_ms: self.clock.now_ms(),
        });
    }

    /// Ends the backoff because the server answered.
    pub fn end(&self) {
        if lock(&self.failure).take().is_some() {
            log::info!("answers are current again");
        }
    }

    /// Ends the backoff: the next call sends a request.
    pub fn forget(&self) {
        *lock(&self.failure) = None;
    }

    /// Returns the server's last failure, if more than `left_ms` of the pause after it remains.
    pub fn last(&self, left_ms: i64) -> Option<Error> {
        // If the clock was set back, the pause is over.
        let pause = 0..BACK_OFF_MS - left_ms;
        let now = self.clock.now_ms();
        lock(&self.failure)
            .as_ref()
            .filter(|failure| pause.contains(&now.saturating_sub(failure.at_ms)))
            .map(|failure| failure.error.clone())
    }

    /// The text of the last failure, however old, until a request succeeds again.
    pub fn text(&self) -> Option<String> {
        lock(&self.failure).as_ref().map(|failure| failure.error.to_string())
    }
}

/// Says which operation this error prevents.
pub fn cannot(error: &Error, kind: &Kind) -> String {
    match error.status {
        Status::Store | Status::StoreFull => "cannot store anything new".into(),
        _ => format!("cannot reach {}", kind.noun),
    }
}
