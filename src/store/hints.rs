//! What events say of libraries and items: hints that somebody should look again, kept until somebody did.

use rusqlite::params;

use super::matches::mark_unverified;
use super::rows::{LibraryRow, libraries, one_library};
use super::single::visible;
use super::{Store, Tx};
use crate::error::Result;
use crate::model::Hint;

/// What is to be noted of a library.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Its section id; `None` for every library.
    pub section: Option<String>,
    /// What was said of the library.
    pub hint: Hint,
    /// Items that are said to be gone: each is asked for once before it is answered again.
    pub deleted: Vec<String>,
}

impl Store {
    /// Notes what events said, in one transaction. A library that is not known is a reason to look at all of them.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
    pub fn mark(&self, identity: i64, marks: &[Mark]) -> Result<()> {
        self.write(|tx| {
            let rows = libraries(tx.connection, identity)?;
            let mut hinted = false;
            for mark in marks {
                let of_mark = |row: &&LibraryRow| mark.section.as_ref().is_none_or(|id| row.library.section == *id);
                let mut hint = mark.hint;
                for rating_key in &mark.deleted {
                    let mut known = false;
                    for row in rows.iter().filter(of_mark) {
                        known |= mark_item_unverified(tx, identity, row, rating_key)?;
                    }
                    // A show, an album, or what a listing under way has just seen.
                    if !known {
                        hint = hint.max(Hint::Probe);
                    }
                }
                if hint == Hint::None {
                    continue;
                }
                hinted = true;
                if rows.iter().any(|row| of_mark(&row)) {
                    for row in rows.iter().filter(of_mark) {
                        note(tx, row.id, hint)?;
                    }
                } else {
                    for row in &rows {
                        note(tx, row.id, Hint::Probe)?;
                    }
                }
            }
            if hinted {
                tx.clocks_changed(identity)?;
            }
            Ok(())
        })
    }

    /// Has items of a library confirmed by a request before they are answered again. What hosts recorded of them stays.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
    pub fn invalidate_items(&self, identity: i64, library: i64, rating_keys: &[&str]) -> Result<()> {
        self.write(|tx| {
            let row = one_library(tx.connection, library)?;
            for rating_key in rating_keys {
                mark_item_unverified(tx, identity, &row, rating_key)?;
            }
            Ok(())
        })
    }
}

/// Has an item confirmed before it is answered again; gives whether the library lists it.
fn mark_item_unverified(tx: &Tx<'_>, identity: i64, row: &LibraryRow, rating_key: &str) -> rusqlite::Result<bool> {
    let listed = visible(tx.connection, row.id, row.generation.cast_signed(), rating_key)?.is_some();
    if listed {
        mark_unverified(tx, identity, row.id, b"", rating_key)?;
    }
    Ok(listed)
}

fn note(tx: &Tx<'_>, library: i64, hint: Hint) -> rusqlite::Result<()> {
    tx.connection
        .prepare_cached("UPDATE libraries SET hint = max(hint, ?2), hint_seq = ?3 WHERE id = ?1")?
        .execute(params![library, hint as i64, tx.sequence.cast_signed()])?;
    Ok(())
}
