//! Stores which arguments a server refuses.

use std::sync::atomic::{AtomicU16, Ordering};

use super::refused::Refused;

/// The arguments that the server refuses.
#[derive(Default)]
pub(super) struct Refusals {
    known: AtomicU16,
    /// Found, and not yet taken by [`Refusals::take_new`].
    found: AtomicU16,
}

impl Refusals {
    /// Returns all refused arguments.
    pub fn all(&self) -> Refused {
        let load = |set: &AtomicU16| Refused::from_bits(set.load(Ordering::Relaxed));
        load(&self.known).and(load(&self.found))
    }

    /// Replaces the stored arguments.
    pub fn restore(&self, known: Refused) {
        self.known.store(known.bits(), Ordering::Relaxed);
    }

    /// Returns the arguments found since the last call.
    pub fn take_new(&self) -> Refused {
        let found = self.found.load(Ordering::Relaxed);
        if found != 0 {
            // Sets `known` first, so that an argument is always in one of both.
            self.known.fetch_or(found, Ordering::Relaxed);
            self.found.fetch_and(!found, Ordering::Relaxed);
        }
        Refused::from_bits(found)
    }

    /// Adds newly found arguments.
    pub fn add(&self, found: Refused) {
        self.found.fetch_or(found.bits(), Ordering::Relaxed);
    }
}
