//! Ends a connection that another thread may be waiting on.

use std::io;
use std::net::{Shutdown, TcpStream};

use super::system;

/// Ends a connection in both directions. A thread that waits for data of it wakes with an error or the end.
pub fn end(stream: &TcpStream) {
    // An error means that it has ended already.
    let _ = stream.shutdown(Shutdown::Both);
    system::wake_readers(stream);
}

/// Returns whether this error of a read or a write means that [`end`] woke it.
#[must_use]
pub fn is_end(error: &io::Error) -> bool {
    system::is_wake(error)
}

#[cfg(test)]
#[path = "interrupt_tests.rs"]
mod tests;
