//! The Plex HTTP client against a server that answers, misbehaves, is slow or is none, with every request counted.
//!
//! No test waits for real: pauses between tries go to a clock of the tests', and what is slow is cut short by a
//! deadline or by the host.

mod confirming;
mod failures;
mod listing;
mod refusing;
mod retries;
mod stopping;
mod support;
mod tls;
