//! Shuts down a connection on which another thread may be waiting.

use std::io;
use std::net::{Shutdown, TcpStream};

use super::system;

/// Shuts down a connection. A thread that waits for data on it wakes up with an error or the end of the stream.
pub fn shut_down(stream: &TcpStream) {
    // An error means that the connection has already ended.
    let _ = stream.shutdown(Shutdown::Both);
    system::wake_readers(stream);
}

/// Returns whether an error from a read or write means that [`shut_down`] interrupted the operation.
#[must_use]
pub fn is_shut_down(error: &io::Error) -> bool {
    system::is_wake(error)
}

#[cfg(test)]
#[path = "interrupt_tests.rs"]
mod tests;
