//! The limits of a call to a source.

use std::time::Duration;

use crate::platform::deadline::Deadline;

/// Limits of one call: its time limits, and cancellation by the host.
#[derive(Clone, Copy)]
pub struct Bounds<'a> {
    /// Time when the call must end, including retries. Without a deadline, only the source's own time-outs apply.
    pub deadline: Deadline,
    /// Maximum time without any data from the server, if shorter than the source's own time-out.
    pub max_silence: Option<Duration>,
    /// Maximum time for retries, if shorter than the source's own limit.
    pub retry_for: Option<Duration>,
    /// Returns whether the host has aborted the call. The source calls this function between pieces of work and during
    /// pauses. If this function returns `true`, the call fails with [`ErrorKind::Aborted`](crate::ErrorKind::Aborted).
    pub aborted: &'a (dyn Fn() -> bool + Sync),
    /// [`Session::number`](crate::source::Session::number) of the token to use; 0 for the current token.
    pub token_number: u64,
}

impl Bounds<'_> {
    /// No limits except the source's own time-outs.
    pub const NONE: Bounds<'static> = Bounds {
        deadline: Deadline::NONE,
        max_silence: None,
        retry_for: None,
        aborted: &|| false,
        token_number: 0,
    };
}
