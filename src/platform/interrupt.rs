//! Ends a connection that another thread may be waiting on.

use std::net::{Shutdown, TcpStream};

use super::system;

/// Ends a connection in both directions. A thread that waits for data of it wakes with an error or the end.
pub fn end(stream: &TcpStream) {
    // An error means that it has ended already.
    let _ = stream.shutdown(Shutdown::Both);
    system::wake_readers(stream);
}

#[cfg(test)]
#[path = "interrupt_tests.rs"]
mod tests;
