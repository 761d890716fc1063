//! The fast path: a key in a glance, or nothing.

use std::sync::{PoisonError, TryLockError};

use super::library::Resolved;
use super::{Library, Shared};
use crate::matching::{Scope, glance};

impl Shared {
    /// Hands the rating key of the item with this path to `then`, if that is known in a glance.
    ///
    /// Warm: two loads tell that nothing was committed since the snapshot, the rest are loads from mapped memory. After
    /// a commit, here or in another process, the change is read first, unless another thread is at it.
    pub(super) fn lookup_key<R>(&self, library: &Library, path: &[u8], then: impl FnOnce(&str) -> R) -> Option<R> {
        if !self.is_current() && !self.try_catch_up() {
            self.counters.glance_missed();
            return None;
        }
        let snapshot = self.snapshot.read();
        let scope = if let Some(place) = library.remembered(&snapshot) {
            Scope::One(place)
        } else if let Ok(Resolved::Scope(scope)) = library.resolve(&snapshot) {
            scope
        } else {
            self.counters.glance_missed();
            return None;
        };
        if path.is_empty() {
            return None;
        }
        if let Some(hit) = glance(&snapshot.views, scope, &self.mappings, path) {
            self.counters.answered(hit.rung, false);
            Some(then(hit.rating_key))
        } else {
            self.counters.glance_missed();
            None
        }
    }

    /// Whether the snapshot shows all that was committed, for the price of some loads.
    pub(super) fn is_current(&self) -> bool {
        let sequence = self.snapshot.read().sequence();
        self.store.is_current(sequence)
    }

    /// Brings the snapshot up to date unless another thread is at it, or is reading.
    fn try_catch_up(&self) -> bool {
        let _catching_up = match self.catching_up.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
            Err(TryLockError::WouldBlock) => return false,
        };
        matches!(self.catch_up_alone(false), Ok(true))
    }
}
