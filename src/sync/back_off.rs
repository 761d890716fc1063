//! The pause between requests after a failure of the server.

use std::sync::{Arc, Mutex};

use crate::error::{Error, Status};
use crate::platform::clock::Clock;
use crate::platform::fork::{Release, hold};
use crate::platform::mutex::lock;
use crate::source::Kind;
use crate::stats::Counters;

/// The pause after a failure if stale answers are available.
pub const BACK_OFF_MS: i64 = 15_000;
/// The pause after a failure without stale answers. It is so short that a person hardly notices it.
pub const BACK_OFF_NOT_FETCHED_MS: i64 = 2_000;

/// The last failure. While it is recent, plexindex returns stale answers and sends no request.
pub struct BackOff {
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
    kind: &'static Kind,
    failure: Mutex<Option<LastFailure>>,
}

struct LastFailure {
    error: Error,
    /// Time of the failure, Unix ms.
    failed_ms: i64,
}

impl BackOff {
    /// Creates the state before any failure. `kind` is the kind of source, which log lines name.
    pub fn new(clock: Arc<dyn Clock>, counters: Arc<Counters>, kind: &'static Kind) -> Self {
        Self {
            clock,
            counters,
            kind,
            failure: Mutex::new(None),
        }
    }

    /// Takes the lock of this struct for a fork, and holds it until the returned value is dropped. `part` returns this
    /// struct from its owner.
    pub fn hold<O: 'static>(owner: &Arc<O>, part: fn(&O) -> &Self) -> Box<dyn Release> {
        Box::new(hold(owner, |owner| &part(owner).failure))
    }

    /// Starts a pause after a failure of the server or the store. Logs the same failure only once.
    pub fn begin(&self, error: &Error) {
        self.counters.count_failure();
        let mut failure = lock(&self.failure);
        if failure.as_ref().is_none_or(|last| last.error != *error) {
            log::warn!("{}: {error}; serving cached answers", cannot(error, self.kind));
        }
        *failure = Some(LastFailure {
            error: error.clone(),
            failed_ms: self.clock.now_ms(),
        });
    }

    /// Ends the pause, because the server answered.
    pub fn end(&self) {
        if lock(&self.failure).take().is_some() {
            log::info!("answers are current again");
        }
    }

    /// Ends the pause without a request, so that the next call sends one.
    pub fn forget(&self) {
        *lock(&self.failure) = None;
    }

    /// Returns the last failure, if more than `remaining_ms` of the pause after the failure remains.
    pub fn last(&self, remaining_ms: i64) -> Option<Error> {
        // A negative age means that the clock was set back: the pause is over.
        let ages = 0..BACK_OFF_MS - remaining_ms;
        let now = self.clock.now_ms();
        lock(&self.failure)
            .as_ref()
            .filter(|failure| ages.contains(&now.saturating_sub(failure.failed_ms)))
            .map(|failure| failure.error.clone())
    }

    /// Returns the text of the last failure, of any age; `None` after a request succeeded.
    pub fn text(&self) -> Option<String> {
        lock(&self.failure).as_ref().map(|failure| failure.error.to_string())
    }
}

/// Returns a phrase for messages that names the operation which the error prevents, such as 'cannot reach the server'.
pub fn cannot(error: &Error, kind: &Kind) -> String {
    match error.status {
        Status::Store | Status::StoreFull => "cannot store anything new".into(),
        _ => format!("cannot reach {}", kind.noun),
    }
}
