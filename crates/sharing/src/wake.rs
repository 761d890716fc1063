//! Ends a wait of another thread.

use std::io::{self, Write};
use std::sync::Mutex;

use crate::platform::lock;

use crate::system;

/// A request to end a wait: the one under way, or else the next. It may be made on any thread, also on one of the host,
/// where it leaves nothing behind.
#[derive(Debug, Default)]
pub struct Wake(Mutex<WakeState>);

/// What a request makes readable.
pub type WakeSocket = system::Socket;

/// The same for the runtime of a call.
pub type AsyncWakeSocket = system::AsyncSocket;

pub use system::connect as connect_local;

/// The state of a [`Wake`].
#[derive(Debug, Default)]
pub struct WakeState {
    is_requested: bool,
    /// Readable at its other end once a request was made. Of the wait under way only, so that no process shares it with
    /// one that it forked.
    sender: Option<WakeSocket>,
}

impl Wake {
    /// Begins a wait. Returns what becomes readable when a request is made; `None` if one was made before, which ends
    /// this wait at once.
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

    /// Ends the wait. Returns whether that was requested.
    pub fn end(&self) -> bool {
        let mut state = lock(&self.0);
        state.sender = None;
        std::mem::take(&mut state.is_requested)
    }

    /// Makes a request.
    pub fn request(&self) {
        let mut state = lock(&self.0);
        state.is_requested = true;
        state.send();
    }

    /// The lock that all of this takes, for an instant.
    pub fn mutex(&self) -> &Mutex<WakeState> {
        &self.0
    }

    /// Makes a request if a wait is under way.
    pub fn request_if_waiting(&self) {
        let mut state = lock(&self.0);
        if state.sender.is_some() {
            state.is_requested = true;
            state.send();
        }
    }
}

impl WakeState {
    fn send(&mut self) {
        if let Some(sender) = &mut self.sender {
            _ = sender.write(&[0]); // if its buffer is full, the other end is readable
        }
    }
}

#[cfg(test)]
#[path = "wake_tests.rs"]
mod tests;
