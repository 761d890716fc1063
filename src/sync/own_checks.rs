//! Remembers when this handle found listings to be current, by its own clock.
//!
//! If the clocks of two processes differ, each replaces the other's time of the last check in the store, and would
//! probe again at each lookup.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::engine::LibraryRow;
use crate::model::LibraryId;
use crate::platform::clock::Clock;
use crate::platform::fork::lock;

/// This handle's checks of listings.
#[derive(Default)]
pub struct OwnChecks {
    pub(super) by_library: Mutex<HashMap<LibraryId, OwnCheck>>,
    /// Whether another process's clock seems to differ from this process's clock.
    do_clocks_differ: AtomicBool,
}

/// A probe of this handle that found a listing to be current.
pub(super) struct OwnCheck {
    checked_ms: i64,
    token: String,
}

impl OwnChecks {
    /// Compares a library's row with this handle's last check, before a probe at `now_ms`. If the row's check is in the
    /// future or older than this handle's check, a process whose clock differs has written it.
    pub fn compare(&self, row: &LibraryRow, now_ms: i64) {
        let by_library = lock(&self.by_library);
        let is_older = |own: &OwnCheck| own.token == row.listed_token() && row.checked_ms() < own.checked_ms;
        if row.checked_ms() > now_ms || by_library.get(&row.id).is_some_and(is_older) {
            self.do_clocks_differ.store(true, Ordering::Relaxed);
        }
    }

    /// Records the libraries that a probe at `now_ms` found to be current.
    pub fn note(&self, rows: &[LibraryRow], now_ms: i64) {
        let mut by_library = lock(&self.by_library);
        for row in rows.iter().filter(|row| row.checked_ms() == now_ms) {
            let token = row.listed_token().to_owned();
            by_library.insert(
                row.id,
                OwnCheck {
                    checked_ms: now_ms,
                    token,
                },
            );
        }
    }

    /// Returns the time when the library's listing was last found to be current, by this process's clock as far as
    /// possible.
    pub fn checked_ms(&self, row: &LibraryRow, clock: &dyn Clock) -> i64 {
        if !self.do_clocks_differ.load(Ordering::Relaxed) {
            return row.checked_ms();
        }
        let now_ms = clock.now_ms();
        let by_library = lock(&self.by_library);
        let is_usable = |own: &&OwnCheck| own.token == row.listed_token() && own.checked_ms <= now_ms;
        match by_library.get(&row.id).filter(is_usable) {
            Some(own) if row.checked_ms() > now_ms => own.checked_ms,
            Some(own) => row.checked_ms().max(own.checked_ms),
            None => row.checked_ms(),
        }
    }
}
