//! Hints from events: libraries that should be probed, and deleted items.

use rusqlite::params;

use super::cached::CachedStatements;
use super::invalidation::mark_item_unverified;
use super::libraries::{LibraryRow, LibraryRows, libraries};
use super::outbox::tell;
use super::tx::Tx;
use crate::entries::NewEntry;
use crate::error::Result;
use crate::model::{Hint, IdentityId, LibraryId};
use crate::platform::deadline::Deadline;

/// Reports of events about one library, or about all: whether to probe it, and which items were deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LibraryHint {
    /// Its section id; `None` for every library.
    pub section: Option<String>,
    /// Whether to probe it, and why.
    pub hint: Hint,
    /// Items that events reported as deleted. Each must be verified before it is returned again.
    pub deleted: Vec<String>,
}

impl LibraryRows<'_> {
    /// Stores reports of events, in one transaction. If a report names an unknown library, all libraries will be
    /// probed. `told` goes into the outbox.
    pub fn mark(
        &self,
        identity: IdentityId,
        marks: &[LibraryHint],
        told: &[NewEntry],
        deadline: Deadline,
    ) -> Result<()> {
        self.0.write(deadline, |tx| {
            tell(tx, identity, told)?;
            let rows = libraries(tx.connection, identity)?;
            let mut hinted = false;
            for mark in marks {
                let is_named = |row: &&LibraryRow| mark.section.as_ref().is_none_or(|id| row.library.section == *id);
                let named: Vec<&LibraryRow> = rows.iter().filter(is_named).collect();
                let mut hint = mark.hint;
                for rating_key in &mark.deleted {
                    let mut is_marked = false;
                    for row in &named {
                        is_marked |= mark_item_unverified(tx, identity, row, rating_key)?;
                    }
                    // It is the key of a show or an album, or of an item that only a listing under way has stored.
                    if !is_marked {
                        hint = hint.max(Hint::Probe);
                    }
                }
                if hint == Hint::None {
                    continue;
                }
                hinted = true;
                for row in &named {
                    note(tx, row.id, hint)?;
                }
                for row in rows.iter().filter(|_| named.is_empty()) {
                    note(tx, row.id, Hint::Probe)?;
                }
            }
            if hinted {
                tx.freshness_changed(identity)?;
            }
            Ok(())
        })
    }
}

fn note(tx: &Tx<'_>, library: LibraryId, hint: Hint) -> rusqlite::Result<()> {
    tx.run(
        "UPDATE libraries SET hint = max(hint, ?2), hint_seq = ?3 WHERE id = ?1",
        params![library, hint as i64, tx.sequence],
    )
}
