//! Leases, which replace file locks on file systems without locks. The lease of a killed holder expires.

use rusqlite::params;

use super::cached::CachedStatements;
use super::open::Store;
use crate::error::Result;
use crate::platform::deadline::Deadline;

impl Store {
    /// Takes a lease, or extends the holder's own. Returns `false` while another holder has it. A lease that ends more
    /// than twice its length ahead was written before the clock was set back, and does not count. Slightly more than
    /// its length is normal, because the caller read `now_ms` before the other holder wrote.
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

    /// Ends a lease of this holder.
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
