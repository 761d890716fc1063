//! Interrupts a thread that waits on a socket.

use std::io::{self, Write};
use std::sync::Mutex;

use crate::platform::lock;

use crate::system;

/// A request to end the current wait, or else the next one. Any thread may make the request, even a thread of the host,
/// since it leaves no thread-local values behind.
#[derive(Debug, Default)]
pub struct Wake(Mutex<WakeState>);

/// A socket that a request makes readable.
pub type WakeSocket = system::Socket;

/// A [`WakeSocket`] for tokio.
pub type AsyncWakeSocket = system::AsyncSocket;

pub use system::connect as connect_local;

/// The state of a [`Wake`].
#[derive(Debug, Default)]
pub struct WakeState {
    is_requested: bool,
    /// A request writes to this socket. The socket exists only during a wait, so that a forked child does not share it.
    sender: Option<WakeSocket>,
}

impl Wake {
    /// Begins a wait. Returns the socket that a request makes readable; `None` if a request was made before, so that
    /// there is nothing to wait for.
    ///
    /// # Errors
    /// Errors of the operating system.
    pub fn begin(&self) -> io::Result<Option<WakeSocket>> {
        let mut state = lock(&self.0);
        if std::mem::take(&mut state.is_requested) {
            return Ok(None);
        }
        let (sender, receiver) = system::pair()?;
        sender.set_nonblocking(true)?;
        receiver.set_nonblocking(true)?;
        state.sender = Some(sender);
        Ok(Some(receiver))
    }

    /// Ends the wait. Returns whether a request was made.
    pub fn end(&self) -> bool {
        let mut state = lock(&self.0);
        state.sender = None;
        std::mem::take(&mut state.is_requested)
    }

    /// Requests the end of the current wait, or else of the next one.
    pub fn request(&self) {
        let mut state = lock(&self.0);
        state.is_requested = true;
        state.send();
    }

    /// Returns the mutex of the state, which must be held during a fork.
    pub fn mutex(&self) -> &Mutex<WakeState> {
        &self.0
    }

    /// Requests the end of the current wait. Without one, does nothing, so that the next wait is not affected.
    pub fn request_if_waiting(&self) {
        let mut state = lock(&self.0);
        if state.sender.is_some() {
            state.is_requested = true;
            state.send();
        }
    }
}

impl WakeState {
    /// Makes the other socket readable, on which a thread waits.
    fn send(&mut self) {
        if let Some(sender) = &mut self.sender {
            _ = sender.write(&[0]); // if the buffer is full, the other socket is readable already
        }
    }
}

#[cfg(test)]
#[path = "wake_tests.rs"]
mod tests;
