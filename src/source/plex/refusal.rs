//! Which arguments a server is known to refuse.

use std::sync::atomic::{AtomicU16, Ordering};

use super::refused::Refused;

/// What the server is known to refuse.
#[derive(Default)]
pub(super) struct Refusals {
    known: AtomicU16,
    /// Found out since, and not told yet.
    found: AtomicU16,
}

impl Refusals {
    /// All of it.
    pub fn all(&self) -> Refused {
        let load = |set: &AtomicU16| Refused::from_bits(set.load(Ordering::Relaxed));
        load(&self.known).and(load(&self.found))
    }

    /// Replaces what was known before.
    pub fn assume(&self, known: Refused) {
        self.known.store(known.bits(), Ordering::Relaxed);
    }

    /// Gives what was found out since this was asked last.
    pub fn take_found(&self) -> Refused {
        let found = self.found.load(Ordering::Relaxed);
        if found != 0 {
            // Known first: at no moment is it neither.
            self.known.fetch_or(found, Ordering::Relaxed);
            self.found.fetch_and(!found, Ordering::Relaxed);
        }
        Refused::from_bits(found)
    }

    /// Found out just now.
    pub fn add(&self, found: Refused) {
        self.found.fetch_or(found.bits(), Ordering::Relaxed);
    }
}
