//! Limits of a call to a source.

use std::time::{Duration, Instant};

/// Limits of one call: a deadline and cancellation by the host.
#[derive(Clone, Copy)]
pub struct Bounds<'a> {
    /// When the call must have ended, retries and pauses included; `None` leaves the source's own time-outs.
    pub deadline: Option<Instant>,
    /// How long the source may be silent, where that is less than what it allows itself.
    pub silence: Option<Duration>,
    /// Asked between pieces of work and during pauses; `true` ends the call with [`crate::error::Status::Aborted`].
    pub aborted: &'a (dyn Fn() -> bool + Sync),
    /// The number of the token that the call began with ([`super::Session::number`]); 0: the current one.
    pub session: u64,
}

impl Bounds<'_> {
    /// No bounds but the source's own time-outs.
    pub const NONE: Bounds<'static> = Bounds {
        deadline: None,
        silence: None,
        aborted: &|| false,
        session: 0,
    };

    /// The time left until the deadline; `None` without one, zero when it has passed.
    #[must_use]
    pub fn left(&self) -> Option<Duration> {
        self.deadline.map(|at| at.saturating_duration_since(Instant::now()))
    }
}
