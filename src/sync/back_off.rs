//! Pauses requests after the server or the store has failed.

use std::sync::{Arc, Mutex};

use crate::error::{Error, Status};
use crate::platform::clock::Clock;
use crate::platform::mutex::lock;
use crate::source::SourceKind;
use crate::stats::Counters;

/// Length of the pause after a failure, if stale answers are available.
pub const BACK_OFF_MS: i64 = 15_000;
/// Length of the pause after a failure if no stale answers are available: so short that users hardly notice it.
pub const BACK_OFF_NOT_FETCHED_MS: i64 = 2_000;

/// The last failure, and the pause that follows it. During the pause, plexindex returns stale answers and sends no
/// requests.
pub struct BackOff {
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
    kind: &'static SourceKind,
    pub(super) failure: Mutex<Option<LastFailure>>,
}

pub(super) struct LastFailure {
    error: Error,
    /// Time of the failure, in Unix ms.
    failed_ms: i64,
}

impl BackOff {
    /// Creates the state before any failure. `kind`: the kind of source, for log lines.
    pub fn new(clock: Arc<dyn Clock>, counters: Arc<Counters>, kind: &'static SourceKind) -> Self {
        Self {
            clock,
            counters,
            kind,
            failure: Mutex::new(None),
        }
    }

    /// Starts a pause after a failure of the server or the store. Logs repeated failures only once.
    pub fn record_failure(&self, error: &Error) {
        self.counters.count_failure();
        let mut failure = lock(&self.failure);
        if failure.as_ref().is_none_or(|last| last.error != *error) {
            log::warn!(
                "{}: {error}; serving cached answers",
                failed_operation(error, self.kind)
            );
        }
        *failure = Some(LastFailure {
            error: error.clone(),
            failed_ms: self.clock.now_ms(),
        });
    }

    /// Ends the pause, because the server has answered.
    pub fn record_success(&self) {
        if lock(&self.failure).take().is_some() {
            log::info!("answers are current again");
        }
    }

    /// Ends the pause without an answer from the server, so that the next call sends a request.
    pub fn forget(&self) {
        *lock(&self.failure) = None;
    }

    /// Returns the last failure if more than `remaining_ms` of the pause after it remains; otherwise `None`, and the
    /// caller may send a request. With a larger `remaining_ms`, the caller waits for a shorter time.
    pub fn recent_failure(&self, remaining_ms: i64) -> Option<Error> {
        // A negative age means that the clock was set back, so the pause is over.
        let ages = 0..BACK_OFF_MS - remaining_ms;
        let now_ms = self.clock.now_ms();
        lock(&self.failure)
            .as_ref()
            .filter(|failure| ages.contains(&now_ms.saturating_sub(failure.failed_ms)))
            .map(|failure| failure.error.clone())
    }

    /// Returns the message of the last failure, even if the pause is over; `None` if a request has succeeded since.
    pub fn last_error_message(&self) -> Option<String> {
        lock(&self.failure).as_ref().map(|failure| failure.error.to_string())
    }
}

/// Returns the beginning of a message about an error: the operation that failed, such as 'cannot reach the server'.
pub fn failed_operation(error: &Error, kind: &SourceKind) -> String {
    match error.status {
        Status::Store | Status::StoreFull => "cannot write to the store".into(),
        _ => format!("cannot reach {}", kind.noun),
    }
}
