//! Shuts down a connection on which another thread may be waiting.

use std::net::{Shutdown, TcpStream};

pub use super::system::is_wake as is_shut_down;
use super::system::wake_readers;

/// Shuts down a connection. A thread that waits for data on it wakes up with an error or the end of the stream.
pub fn shut_down(stream: &TcpStream) {
    // An error means that the connection has already ended.
    let _ = stream.shutdown(Shutdown::Both);
    wake_readers(stream);
}

#[cfg(test)]
#[path = "interrupt_tests.rs"]
mod tests;
