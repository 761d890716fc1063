//! Interrupts a thread that waits on a socket.

use std::io::{self, Write};
use std::sync::Mutex;

use crate::platform::lock;

use crate::system;

/// Interrupts the current wait, or, if no thread is waiting, the next wait. Even a host thread can request the
/// interruption, since the request leaves no thread-local values behind.
#[derive(Debug, Default)]
pub struct WaitInterrupt(Mutex<WakeState>);

/// A socket that becomes readable when a thread requests the end of the wait.
pub type WakeSocket = system::Socket;

/// A [`WakeSocket`] for tokio.
pub type AsyncWakeSocket = system::AsyncSocket;

pub use system::connect as connect_local;

#[derive(Debug, Default)]
pub struct WakeState {
    is_requested: bool,
    /// The socket to which a request writes. It exists only during a wait, so that a forked child does not share it.
    sender: Option<WakeSocket>,
}

impl WaitInterrupt {
    /// Starts a wait. Returns a socket that becomes readable when a thread requests the end of the wait; `None` if a
    /// request is already pending, so that the caller must not wait.
    ///
    /// # Errors
    /// Operating system errors.
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

    /// Ends the wait, and returns whether a thread requested its end.
    pub fn end(&self) -> bool {
        let mut state = lock(&self.0);
        state.sender = None;
        std::mem::take(&mut state.is_requested)
    }

    /// Requests the end of the current wait, or, if no thread is waiting, of the next wait.
    pub fn request(&self) {
        let mut state = lock(&self.0);
        state.is_requested = true;
        state.send();
    }

    /// Returns the mutex that protects the state, for a caller that holds the mutex during a fork.
    pub fn mutex(&self) -> &Mutex<WakeState> {
        &self.0
    }

    /// Requests the end of the current wait. Does nothing if no thread is waiting, so that the next wait is unaffected.
    pub fn request_if_waiting(&self) {
        let mut state = lock(&self.0);
        if state.sender.is_some() {
            state.is_requested = true;
            state.send();
        }
    }
}

impl WakeState {
    /// If a thread is waiting, makes the thread's socket readable.
    fn send(&mut self) {
        if let Some(sender) = &mut self.sender {
            _ = sender.write(&[0]); // if the buffer is full, the other socket is readable already
        }
    }
}

#[cfg(test)]
#[path = "wake_tests.rs"]
mod tests;
