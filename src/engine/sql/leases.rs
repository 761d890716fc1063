//! Leases, which replace file locks on file systems without locks. The lease of a killed holder expires.

use rusqlite::params;

use super::cached::CachedStatements;
use super::open::Store;
use crate::error::Result;
use crate::platform::deadline::Deadline;

impl Store {
    /// Takes a lease, or makes the holder's own last longer; `false` when it is another's. One that lasts twice as long as
    /// leases do is of a clock that was set back; a little longer is only younger than the moment this call was given.
    pub fn take_lease(&self, what: &str, holder: u64, now_ms: i64, until_ms: i64, deadline: Deadline) -> Result<bool> {
        self.write(deadline, |tx| {
            let taken = tx
                .prepare_cached(
                    "INSERT INTO leases (what, holder, until_ms) VALUES (?1, ?2, ?4) ON CONFLICT (what) DO UPDATE \
                     SET holder = excluded.holder, until_ms = excluded.until_ms \
                     WHERE holder = excluded.holder OR until_ms <= ?3 OR until_ms > 2 * ?4 - ?3",
                )?
                .execute(params![what, holder.cast_signed(), now_ms, until_ms])?;
            Ok(taken > 0)
        })
    }

    /// Gives a lease back.
    pub fn end_lease(&self, what: &str, holder: u64, deadline: Deadline) -> Result<()> {
        self.write(deadline, |tx| {
            tx.run(
                "DELETE FROM leases WHERE what = ?1 AND holder = ?2",
                params![what, holder.cast_signed()],
            )
        })
    }
}

#[cfg(test)]
#[path = "leases_tests.rs"]
mod tests;
