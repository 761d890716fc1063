//! Limits of a call to a source.

use std::time::Duration;

use crate::platform::deadline::Deadline;

/// Limits of one call: a deadline and cancellation by the host.
#[derive(Clone, Copy)]
pub struct Bounds<'a> {
    /// When the call must have ended, retries and pauses included; without one the source's own time-outs hold.
    pub deadline: Deadline,
    /// How long the source may be silent, where that is less than what it allows itself.
    pub silence: Option<Duration>,
    /// How long failures may be retried, where that is less than what the source allows itself.
    pub retry_for: Option<Duration>,
    /// Asked between pieces of work and during pauses; `true` ends the call with [`ErrorKind::Aborted`](crate::ErrorKind::Aborted).
    pub aborted: &'a (dyn Fn() -> bool + Sync),
    /// The number of the token that the call began with ([`Session::number`](crate::source::Session::number)); 0: the current one.
    pub session: u64,
}

impl Bounds<'_> {
    /// No bounds but the source's own time-outs.
    pub const NONE: Bounds<'static> = Bounds {
        deadline: Deadline::NONE,
        silence: None,
        retry_for: None,
        aborted: &|| false,
        session: 0,
    };
}
