//! Indexes of items that are made when they are first asked for, and done without where they cannot be stored.

use std::time::Duration;

use super::patience::Patience;
use crate::error::Result;

/// How long a query waits for other writers until an index is made: without one it takes longer, and is answered.
const SHORTLY: Duration = Duration::from_secs(1);

/// Whether an index could be brought up to date. Not where the store cannot be written: the rows know the same.
pub(super) fn was_indexed(what: &str, index: impl FnOnce() -> Result<()>) -> bool {
    let _held = Patience::now().at_most(SHORTLY).hold();
    let done = index();
    if let Err(error) = &done {
        log::warn!("the index of {what} cannot be stored now, every row is read instead: {error}");
    }
    done.is_ok()
}
