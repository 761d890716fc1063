//! Shuts down a connection that another thread may be waiting on.

use std::io;
use std::net::{Shutdown, TcpStream};

use super::system;

/// Shuts a connection down. A thread that waits for data wakes with an error or the end of the stream.
pub fn shut_down(stream: &TcpStream) {
    // An error means that the connection has ended already.
    let _ = stream.shutdown(Shutdown::Both);
    system::wake_readers(stream);
}

/// Returns whether an error of a read or write means that [`shut_down`] woke it.
#[must_use]
pub fn is_shut_down(error: &io::Error) -> bool {
    system::is_wake(error)
}

#[cfg(test)]
#[path = "interrupt_tests.rs"]
mod tests;
